/*
 * policy_gradient.c
 *	  Losses of a policy pi = softmax(logits) over a few actions, and of the critic beside it.
 */
#include "postgres.h"

#include <math.h>

#include "nn/policy_gradient.h"

/* log of the sum of exp(x[n]) */
static real
log_sum_exp(int n, const real *x)
{
	real		highest = x[0];
	real		sum = 0;

	for (int i = 1; i < n; i++)
		highest = Max(highest, x[i]);
	for (int i = 0; i < n; i++)
		sum += (real) exp(x[i] - highest);
	return highest + (real) log(sum);
}

/*
 * Logits of a row, with log pi = logits - total, become weight * the gradient of -push * log pi(action) - entropy * H; returns H. With
 * respect to logit j, log pi(action) has the gradient 1[j = action] - pi(j), and H has -pi(j) * (log pi(j) + H).
 */
static double
row_gradient(int actions, real weight, real entropy, int action, real push, real total, real *logits)
{
	real		h = 0;

	for (int j = 0; j < actions; j++)
		h -= (real) exp(logits[j] - total) * (logits[j] - total);
	for (int j = 0; j < actions; j++)
	{
		real		log_p = logits[j] - total;
		real		p = (real) exp(log_p);

		logits[j] = weight * (push * (p - (j == action)) + entropy * p * (log_p + h));
	}
	return h;
}

double
rlrec_loss_policy_gradient(int n, int actions, real weight, real entropy, const int32 *action, const real *advantage,
						   const real *importance, real *logits)
{
	double		loss = 0;

	for (int i = 0; i < n; i++)
	{
		real	   *row = logits + (size_t) i * actions;
		real		total = log_sum_exp(actions, row);
		real		push = importance[i] * advantage[i];

		loss -= push * (row[action[i]] - total);
		loss -= entropy * row_gradient(actions, weight, entropy, action[i], push, total, row);
	}
	return loss;
}

double
rlrec_loss_clipped_surrogate(int n, int actions, real weight, real entropy, real clip, const int32 *action,
							 const real *advantage, const real *propensity, real *logits)
{
	double		loss = 0;

	for (int i = 0; i < n; i++)
	{
		real	   *row = logits + (size_t) i * actions;
		real		total = log_sum_exp(actions, row);
		real		ratio = (real) exp(row[action[i]] - total) / propensity[i];
		real		clamped = Min(Max(ratio, 1 - clip), 1 + clip);
		bool		unclipped = ratio * advantage[i] <= clamped * advantage[i];

		/* d ratio = ratio * d log pi */
		loss -= (unclipped ? ratio : clamped) * advantage[i];
		loss -= entropy * row_gradient(actions, weight, entropy, action[i], unclipped ? ratio * advantage[i] : 0, total, row);
	}
	return loss;
}

double
rlrec_loss_critic(int n, real weight, real clip, const real *old, const real *target, real *value)
{
	double		loss = 0;

	for (int i = 0; i < n; i++)
	{
		real		error = value[i] - target[i];
		real		gradient = error;

		if (clip > 0)
		{
			real		clamped = old[i] + Min(Max(value[i] - old[i], -clip), clip) - target[i];

			if (clamped * clamped > error * error)
			{
				error = clamped;
				gradient = 0;
			}
		}
		loss += 0.5 * error * error;
		value[i] = weight * gradient;
	}
	return loss;
}

void
rlrec_importance(int n, int actions, real cap, const int32 *action, const real *propensity, const real *logits, real *importance)
{
	for (int i = 0; i < n; i++)
	{
		const real *row = logits + (size_t) i * actions;
		real		p = (real) exp(row[action[i]] - log_sum_exp(actions, row));

		importance[i] = Min(cap, p / propensity[i]);
	}
}

void
rlrec_generalized_advantages(int n, real gamma, real lambda, const real *reward, const real *value, const real *next_value,
							 const bool *terminated, const bool *last, real *advantage)
{
	real		after = 0;

	for (int i = n - 1; i >= 0; i--)
	{
		real		future = terminated[i] ? 0 : gamma * next_value[i];

		if (last[i])
			after = 0;
		after = advantage[i] = reward[i] + future - value[i] + gamma * lambda * after;
	}
}

void
rlrec_normalize(int n, real *x)
{
	double		mean = 0;
	double		square = 0;

	if (n < 2)
		return;
	for (int i = 0; i < n; i++)
		mean += (double) x[i] / n;
	for (int i = 0; i < n; i++)
		square += (x[i] - mean) * (x[i] - mean) / n;
	for (int i = 0; i < n; i++)
		x[i] = (x[i] - mean) / (sqrt(square) + 1e-8);
}
