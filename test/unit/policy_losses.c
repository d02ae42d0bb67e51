/*
 * policy_losses.c
 *	  The gradients of policies' losses against central differences, and what REINFORCE estimates against its exact expectation.
 *
 * Built as gradients.c is. Prints the Test Anything Protocol.
 */
#include "postgres.h"

#include "gradients.h"

#include "nn/policy_gradient.h"
#include "tensor/fused.h"

/* Rows and actions */
enum
{
	N = 7, H = 11
};

static real *x, *y, *w;
static const int32 taken[N] = {3, 0, 10, 3, 5, 1, 1};
static real *advantage, *propensity, *old;
static real clipping;

static double
value_policy_gradient(void)
{
	memcpy(y, x, N * H * sizeof(real));
	return 0.3 * rlrec_loss_policy_gradient(N, H, 0.3, 0.2, taken, advantage, propensity, y);
}

static double
value_clipped_surrogate(void)
{
	memcpy(y, x, N * H * sizeof(real));
	return 0.3 * rlrec_loss_clipped_surrogate(N, H, 0.3, 0.2, 0.2, taken, advantage, propensity, y);
}

static double
value_critic(void)
{
	memcpy(y, x, N * sizeof(real));
	return 0.3 * rlrec_loss_critic(N, 0.3, clipping, old, w, y);
}

static void
test_policy_gradient(void)
{
	real		log_p[H];
	real		loss;

	x = numbers(N * H, 1), y = zeros(N * H), advantage = numbers(N, 1), propensity = numbers(N, 1);
	(void) value_policy_gradient();
	compare("policy gradient, logits", value_policy_gradient, N * H, x, copied(N * H, y));

	/* ratios of .5, .7, .9, .. 1.7: below, inside and above the clip, with advantages of both signs */
	for (int i = 0; i < N; i++)
	{
		real		p[H];

		memcpy(p, x + i * H, sizeof(p));
		rlrec_softmax(H, NULL, p);
		propensity[i] = p[taken[i]] / (0.5 + 0.2 * i);
		advantage[i] = (i % 2 == 0 ? 1 : -1) * (1 + 0.1 * i);
		log_p[i] = log(p[taken[i]]);
	}
	(void) value_clipped_surrogate();
	compare("clipped surrogate, logits", value_clipped_surrogate, N * H, x, copied(N * H, y));
	loss = 0;
	for (int i = 0; i < N; i++)
		loss -= (i % 2 == 0 ? Min(0.5 + 0.2 * i, 1.2) : Max(0.5 + 0.2 * i, 0.8)) * advantage[i];
	memcpy(y, x, N * H * sizeof(real));
	loss -= rlrec_loss_clipped_surrogate(N, H, 0.3, 0, 0.2, taken, advantage, propensity, y);
	check(fabs(loss) < 1e-12, "clipped surrogate, of known ratios", fabs(loss));

	rlrec_importance(N, H, 1.2, taken, propensity, x, y);
	loss = 0;
	for (int i = 0; i < N; i++)
		loss = Max(loss, fabs(y[i] - Min(0.5 + 0.2 * i, 1.2)));
	check(loss < 1e-12, "importance, of known ratios", loss);
	rlrec_importance(N, H, 10, taken, propensity, x, y);
	loss = 0;
	for (int i = 0; i < N; i++)
		loss = Max(loss, fabs(log(y[i] * propensity[i]) - log_p[i]));
	check(loss < 1e-12, "importance, uncapped", loss);

	x = numbers(N, 1), old = numbers(N, 1), w = numbers(N, 1);
	for (int i = 0; i < 2; i++)
	{
		clipping = i * 0.3;
		(void) value_critic();
		compare(i ? "clipped value loss" : "value loss", value_critic, N, x, copied(N, y));
	}
}

/*
 * A bandit of three arms that pay 1 with their chance, else 0. The estimator's mean over every arm, by a behaviour other than the policy,
 * and every reward must be the gradient of the expected reward, pi(a) * (chance(a) - expected reward), whatever the baseline.
 */
static const real chance[3] = {0.2, 0.5, 0.9};

static void
test_bandit_expectation(real baseline)
{
	const real	behaviour[3] = {0.6, 0.1, 0.3};
	real		logits[3] = {0.3, -0.2, -1};
	real		p[3];
	real		mean[3] = {0, 0, 0};
	real		worst = 0;

	memcpy(p, logits, sizeof(p));
	rlrec_softmax(3, NULL, p);
	for (int32 a = 0; a < 3; a++)
		for (int reward = 0; reward < 2; reward++)
		{
			real		g[3];
			real		importance;
			real		gain = reward - baseline;

			memcpy(g, logits, sizeof(g));
			rlrec_importance(1, 3, 100, &a, &behaviour[a], g, &importance);
			rlrec_loss_policy_gradient(1, 3, 1, 0, &a, &gain, &importance, g);
			rlrec_add(3, behaviour[a] * (reward ? chance[a] : 1 - chance[a]), g, mean);
		}
	for (int a = 0; a < 3; a++)
		worst = Max(worst, fabs(mean[a] + p[a] * (chance[a] - inner(3, p, chance))));
	check(worst < 1e-12, baseline == 0 ? "reinforce's expectation over a bandit" : "reinforce's expectation over a bandit, with a baseline",
		  worst);
}

/* Samples of the same, with the mean reward so far as baseline, find the best arm. */
static void
test_bandit_sampled(void)
{
	real		logits[3] = {0, 0, 0};
	real		p[3];
	real		mean = 0;
	const real	one = 1;

	for (int i = 0; i < 2000; i++)
	{
		real		u = rlrec_random_uniform(21, 2 * i);
		real		g[3];
		real		gain;
		int32		a;

		memcpy(p, logits, sizeof(p));
		rlrec_softmax(3, NULL, p);
		a = u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2;
		gain = (rlrec_random_uniform(21, 2 * i + 1) < chance[a]) - mean;
		mean += gain / (i + 1);
		memcpy(g, logits, sizeof(g));
		rlrec_loss_policy_gradient(1, 3, 1, 0, &a, &gain, &one, g);
		rlrec_add(3, -0.1, g, logits);
	}
	check(p[2] > 0.95, "reinforce finds the best arm", 1 - p[2]);
}

int
main(void)
{
	test_policy_gradient();
	test_bandit_expectation(0);
	test_bandit_expectation(0.7);
	test_bandit_sampled();
	printf("1..%d\n", tests);
	return failures > 0;
}
