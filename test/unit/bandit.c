/*
 * bandit.c
 *	  Linear bandits outside the server: propensities against frequencies, the factor that is kept up to date against one made anew, forgetting.
 *
 * Prints the Test Anything Protocol.
 */
#include "postgres.h"

#include "online.h"

#include "learner/linear_bandit.h"
#include "types/linear_statistics.h"

int			maintenance_work_mem = 1 << 20;

#define STATES 5
#define ACTIONS 4
#define DRAWS 200000

/* The context of a round, and the reward of an action in it: linear with noise */
static void
context_of(int round, float *state)
{
	for (int i = 0; i < STATES; i++)
		state[i] = (float) rlrec_random_normal(91, (uint64) round * STATES + i);
}

static float
reward_of(int round, const float *state, int action)
{
	double		mean = 0;

	for (int i = 0; i < STATES; i++)
		mean += state[i] * rlrec_random_normal(92, action * STATES + i);
	return (float) (mean + rlrec_random_normal(93, round));
}

static void
teach(Run *run, int first, int last)
{
	for (int round = first; round < last; round++)
	{
		float		state[STATES];
		int			action = round % ACTIONS;

		context_of(round, state);
		run_observe(run, state, action, reward_of(round, state, action), state, RLREC_TERMINATED, 0, 1);
	}
}

/* Pearson's statistic of the frequencies of actions against their propensities; an action of propensity 0 must not come. */
static double
chi_square(Run *run, const float *state, int *freedom)
{
	double		count[ACTIONS] = {0};
	double		p[ACTIONS] = {0};
	double		sum = 0;

	for (int i = 0; i < DRAWS; i++)
	{
		float		propensity;
		int			action = run_act(run, state, true, &propensity);

		count[action]++;
		p[action] = propensity;
	}
	*freedom = -1;
	for (int a = 0; a < ACTIONS; a++)
		if (p[a] > 0)
		{
			sum += (count[a] - DRAWS * p[a]) * (count[a] - DRAWS * p[a]) / (DRAWS * p[a]);
			++*freedom;
		}
	return sum;
}

/* At p = 0.001, for 0 to 3 degrees of freedom */
static const double critical[] = {1e-9, 10.828, 13.816, 16.266};

static void
test_frequencies(void)
{
	static const struct
	{
		const RlrecOnlineLearner *learner;
		double		floor;
		const char *what;
		int			freedom;	/* the least that makes it a test */
	}			kinds[] = {
		{&rlrec_lints_online, 0, "lints: frequencies agree with propensities", 1},
		{&rlrec_lints_online, 0.05, "lints with a floor: frequencies agree with propensities", 3},
		{&rlrec_linucb_online, 0.05, "linucb with a floor: frequencies agree with propensities", 3}
	};

	for (int k = 0; k < (int) lengthof(kinds); k++)
	{
		Run			run;
		float		state[STATES];
		int			freedom;
		double		statistic;

		reset_options();
		set_option("floor", kinds[k].floor);
		set_option("draws", 20);
		run_start(&run, kinds[k].learner, STATES, ACTIONS, 7);
		teach(&run, 0, 12);
		context_of(1001, state);
		statistic = chi_square(&run, state, &freedom);
		check(freedom >= kinds[k].freedom && statistic < critical[freedom], kinds[k].what, statistic);
	}
}

/* Votes of one learner are those of another that was told the same, and others after an observation or in another context. */
static void
test_votes(void)
{
	Run			run[2];
	float		p[4][ACTIONS];
	float		state[2][STATES];

	reset_options();
	set_option("draws", 1000);
	for (int i = 0; i < 2; i++)
	{
		run_start(&run[i], &rlrec_lints_online, STATES, ACTIONS, 7);
		teach(&run[i], 0, 12);
		context_of(1000 + i, state[i]);
	}
	for (int i = 0; i < 2; i++)
		rlrec_lints_online.policy(&run[i].online, state[0], true, p[i]);
	check(memcmp(p[0], p[1], sizeof(p[0])) == 0, "the votes follow from seed, observations and context", p[0][0]);
	rlrec_lints_online.policy(&run[0].online, state[1], true, p[2]);
	teach(&run[0], 12, 13);
	rlrec_lints_online.policy(&run[0].online, state[0], true, p[3]);
	check(memcmp(p[0], p[2], sizeof(p[0])) != 0 && memcmp(p[0], p[3], sizeof(p[0])) != 0,
		  "and are others in another context, or after an observation", p[3][0]);
}

/* The share of votes of the better of two actions against the normal probability that it is: both with noise 1 and A = n */
static void
test_probability(void)
{
	const float one[1] = {1};
	Run			run;
	float		p[2];
	double		mean[2];
	double		exact;

	reset_options();
	set_option("draws", 100000);
	set_option("noise", 1);
	set_option("posterior_scale", 1);
	set_option("intercept", 0);
	run_start(&run, &rlrec_lints_online, 1, 2, 3);
	for (int i = 0; i < 9; i++)
		run_observe(&run, one, 0, 0.8f, one, RLREC_TERMINATED, 0, 1);
	for (int i = 0; i < 4; i++)
		run_observe(&run, one, 1, 0.5f, one, RLREC_TERMINATED, 0, 1);
	rlrec_lints_online.policy(&run.online, one, true, p);
	mean[0] = 9 * 0.8 / 10;
	mean[1] = 4 * 0.5 / 5;
	exact = 0.5 * erfc(-(mean[0] - mean[1]) / sqrt(1.0 / 10 + 1.0 / 5) / sqrt(2));
	check(fabs(p[0] - exact) < 0.006, "votes have the posterior's probability of being best", p[0] - exact);
}

/* Of the factor that is updated with each observation, against one made of the statistics */
static void
test_factor(void)
{
	Run			run;
	float		state[STATES];
	float		q[ACTIONS];
	double		worst = 0;
	double		statistics[rlrec_linear_numbers(STATES + 1)];
	double		factor[rlrec_packed_size(STATES + 1)];
	double		theta[STATES + 1];

	reset_options();
	run_start(&run, &rlrec_linucb_online, STATES, ACTIONS, 7);
	context_of(1002, state);
	for (int i = 0; i < 3000; i += 100)
	{
		teach(&run, i, i + 100);
		rlrec_linucb_online.values(&run.online, state, q);
		for (int a = 0; a < ACTIONS; a++)
		{
			double		value;

			rlrec_bandit_statistics_of(&run.online, a, statistics);
			if (!rlrec_linear_fit(STATES + 1, 1, statistics, 1, factor, theta))
				worst = 1e9;
			value = theta[STATES];
			for (int j = 0; j < STATES; j++)
				value += theta[j] * state[j];
			worst = Max(worst, fabs(value - q[a]));
		}
	}
	check(worst < 1e-6, "values stay those of the statistics", worst);
}

/* With forget 0.5 what was observed last weighs 1, what 9 others followed 1 / 512. */
static void
test_forget(void)
{
	const float one[1] = {1};
	Run			run;
	double		statistics[rlrec_linear_numbers(1)];
	float		q[2];

	reset_options();
	set_option("forget", 0.5);
	set_option("intercept", 0);
	run_start(&run, &rlrec_linucb_online, 1, 2, 3);
	rlrec_linucb_online.values(&run.online, one, q);
	for (int i = 0; i < 10; i++)
		run_observe(&run, one, i > 0, (float) i, one, RLREC_TERMINATED, 0, 1);
	rlrec_bandit_statistics_of(&run.online, 0, statistics);
	check(statistics[RLREC_LINEAR_ROWS] == 1 && fabs(statistics[RLREC_LINEAR_WEIGHT] - 1.0 / 512) < 1e-12,
		  "an action is forgotten while others are observed", statistics[RLREC_LINEAR_WEIGHT]);
	rlrec_bandit_statistics_of(&run.online, 1, statistics);
	check(fabs(statistics[RLREC_LINEAR_WEIGHT] - (2 - 1.0 / 256)) < 1e-12, "and the older observations of one", statistics[RLREC_LINEAR_WEIGHT]);
	rlrec_linucb_online.values(&run.online, one, q);
	check(fabs(q[1] - statistics[RLREC_LINEAR_B] / (statistics[RLREC_LINEAR_WEIGHT] + 1)) < 1e-6, "values are as of now", q[1]);
}

int
main(void)
{
	test_frequencies();
	test_votes();
	test_probability();
	test_factor();
	test_forget();
	printf("1..%d\n", tests);
	return failures != 0;
}
