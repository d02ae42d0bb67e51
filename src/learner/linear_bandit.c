/*
 * linear_bandit.c
 *	  Linear contextual bandits with a model for each action: LinUCB (Li et al. 2010, Algorithm 1) and Thompson sampling (Agrawal and Goyal 2013).
 *
 * An action's reward in a context x has the mean theta^T x. What was observed of it are the sums of types/linear_statistics.h, so that learning is
 * exact and, unless it forgets, in any order. Its value is that of the ridge regression, mean = theta^T x; how uncertain that is, the
 * deviation = sqrt(x^T (A + lambda I)^-1 x).
 *
 * LinUCB takes the action of the highest mean + ucb_width * deviation. Thompson sampling draws a value of each action from its posterior,
 * normal with that mean and posterior_scale * noise * deviation, and takes the best: that is one vote, and an action's probability is its share of the votes.
 * The draws are a function of the seed, of how much was learned, and of the context; so whoever asks meanwhile finds the same shares, and
 * the propensity is exact.
 *
 * With `forget`, an observation that n others followed, of any action, weighs forget^n (Russac et al. 2019). The statistics of an action
 * are as of its last observation, `time`; the factors and thetas, which are kept in memory only, as of now.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"

#include "learner/linear_bandit.h"
#include "tensor/random.h"
#include "types/linear_statistics.h"

/* Updates of a factor before it is made anew, lest rounding adds up. */
#define MOST_UPDATES 1000

#define STATISTICS "statistics"	/* the name of a tensor */

#define COMMON_OPTIONS \
	{"lambda", RLREC_OPTION_REAL, 1, 1e-9, 1e9, "ridge: precision of the prior of theta"}, \
	{"intercept", RLREC_OPTION_BOOL, 1, 0, 1, "a 1 after the numbers of the context"}, \
	{"forget", RLREC_OPTION_REAL, 1, 0.5, 1, "factor of the weight of an observation after each other one"}, \
	{"floor", RLREC_OPTION_REAL, 0, 0, 1, "least probability of each action"}, \
	{"seed", RLREC_OPTION_INT, 1, 0, PG_INT32_MAX, "of the random numbers"}, \
	{NULL, 0, 0, 0, 0, NULL}

static const RlrecOption linucb_options[] = {
	{"ucb_width", RLREC_OPTION_REAL, 0.5, 0, 1e9, "deviations above the mean: alpha of the paper"},
	COMMON_OPTIONS
};

static const RlrecOption lints_options[] = {
	{"draws", RLREC_OPTION_INT, 100, 1, 100000, "votes"},
	{"noise", RLREC_OPTION_REAL, 0, 0, 1e9, "standard deviation of rewards around their mean, 0 to estimate it"},
	{"posterior_scale", RLREC_OPTION_REAL, 0.5, 0, 1e9, "factor of the posterior's standard deviations"},
	COMMON_OPTIONS
};

typedef struct Bandit
{
	int			d;				/* of a context, with the intercept */
	bool		intercept;
	double		lambda;
	double		forget;
	double		floor;
	double		ucb_width;		/* of linucb */
	double		noise;			/* of lints; 0 to estimate it */
	double		posterior_scale;
	int			draws;			/* of lints, else 0 */
	double	   *statistics;		/* (actions,rlrec_linear_numbers(d)) */
	double	   *time;			/* [actions] `learned` after an action's last observation */
	double	   *factor;			/* (actions,rlrec_packed_size(d)) */
	double	   *theta;			/* (actions,d) */
	int64	   *made;			/* [actions] `learned` when the factor was made, -1 when there is none */
	int		   *updates;		/* [actions] since then */
	bool	   *solved;			/* [actions] theta is of the factor */
	double	   *x;				/* [d] */
	double	   *scratch;		/* [d] */
	double	   *mean;			/* [actions] */
	double	   *deviation;		/* [actions] */
} Bandit;

/* ---------------------------------------------------------------- tensors and what is made of them */

bool
rlrec_is_bandit(const RlrecOnlineLearner *learner)
{
	return learner == &rlrec_linucb_online || learner == &rlrec_lints_online;
}

int
rlrec_bandit_dimension(const RlrecOnline *online)
{
	return online->state_size + rlrec_option_bool(online->options, online->learner->options, "intercept");
}

static void
check_memory(const RlrecOnline *online, int d)
{
	double		bytes = (double) online->actions * (rlrec_linear_numbers(d) + rlrec_packed_size(d)) * sizeof(double);

	if (bytes > maintenance_work_mem * 1024.0)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("learner \"%s\" needs %.0f MB", online->learner->name, bytes / (1 << 20)),
				 errdetail("It keeps two triangles of %d x %d numbers for each of %d actions; maintenance_work_mem is %d MB.", d, d,
						   online->actions, maintenance_work_mem / 1024),
				 errhint("Raise maintenance_work_mem, or give the agent shorter states or fewer actions.")));
}

static void
start(RlrecOnline *online)
{
	int			d = rlrec_bandit_dimension(online);

	check_memory(online, d);
	rlrec_tensors_add(online->tensors, STATISTICS, RLREC_F64, 2, online->actions, rlrec_linear_numbers(d));
	rlrec_tensors_add(online->tensors, "time", RLREC_F64, 1, online->actions, 0);
}

/* No observations, which zeros are. */
static void
initialize(RlrecOnline *online pg_attribute_unused())
{
}

static void
read_options(const RlrecOnline *online, Bandit *bandit)
{
	const RlrecOption *specs = online->learner->options;

	bandit->d = rlrec_bandit_dimension(online);
	bandit->intercept = bandit->d > online->state_size;
	bandit->lambda = rlrec_option_real(online->options, specs, "lambda");
	bandit->forget = rlrec_option_real(online->options, specs, "forget");
	bandit->floor = Min(rlrec_option_real(online->options, specs, "floor"), 1.0 / online->actions);
	if (online->learner == &rlrec_linucb_online)
		bandit->ucb_width = rlrec_option_real(online->options, specs, "ucb_width");
	else
	{
		bandit->noise = rlrec_option_real(online->options, specs, "noise");
		bandit->posterior_scale = rlrec_option_real(online->options, specs, "posterior_scale");
		bandit->draws = rlrec_option_int(online->options, specs, "draws");
	}
}

static Bandit *
open_bandit(RlrecOnline *online)
{
	Size		actions = online->actions;
	Bandit	   *bandit;

	if (online->scratch != NULL)
		return online->scratch;
	bandit = MemoryContextAllocZero(online->context, sizeof(Bandit));
	read_options(online, bandit);
	bandit->statistics = rlrec_tensors_find(online->tensors, STATISTICS)->data;
	bandit->time = rlrec_tensors_find(online->tensors, "time")->data;
	bandit->factor = MemoryContextAllocHuge(online->context, actions * rlrec_packed_size(bandit->d) * sizeof(double));
	bandit->theta = MemoryContextAllocHuge(online->context, actions * bandit->d * sizeof(double));
	bandit->made = MemoryContextAlloc(online->context, actions * sizeof(int64));
	bandit->updates = MemoryContextAlloc(online->context, actions * sizeof(int));
	bandit->solved = MemoryContextAlloc(online->context, actions * sizeof(bool));
	bandit->x = MemoryContextAlloc(online->context, bandit->d * sizeof(double));
	bandit->scratch = MemoryContextAlloc(online->context, bandit->d * sizeof(double));
	bandit->mean = MemoryContextAlloc(online->context, actions * sizeof(double));
	bandit->deviation = MemoryContextAlloc(online->context, actions * sizeof(double));
	for (Size a = 0; a < actions; a++)
		bandit->made[a] = -1;
	online->scratch = bandit;
	return bandit;
}

static double *
statistics_of(const Bandit *bandit, int action)
{
	return bandit->statistics + action * rlrec_linear_numbers(bandit->d);
}

static double *
factor_of(const Bandit *bandit, int action)
{
	return bandit->factor + action * rlrec_packed_size(bandit->d);
}

static double *
theta_of(const Bandit *bandit, int action)
{
	return bandit->theta + (Size) action * bandit->d;
}

/* By how much an action's statistics count at the time. */
static double
scale_at(const Bandit *bandit, int action, int64 time)
{
	return bandit->forget < 1 ? pow(bandit->forget, (double) time - bandit->time[action]) : 1;
}

static void
take_context(const RlrecOnline *online, Bandit *bandit, const float *state)
{
	for (int i = 0; i < online->state_size; i++)
		bandit->x[i] = state[i];
	if (bandit->intercept)
		bandit->x[bandit->d - 1] = 1;
}

/* An action's factor as of now, made of its statistics */
static void
make_factor(const RlrecOnline *online, Bandit *bandit, int action, const char *hint)
{
	if (!rlrec_packed_factor(bandit->d, scale_at(bandit, action, online->learned), rlrec_linear_a(bandit->d, statistics_of(bandit, action)),
							 bandit->lambda, factor_of(bandit, action)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("learner \"%s\" cannot tell the contexts of an action apart", online->learner->name),
				 errdetail("The sum of x x^T + %g * identity is not positive definite.", bandit->lambda),
				 errhint("%s", hint)));
	bandit->made[action] = online->learned;
	bandit->updates[action] = 0;
	bandit->solved[action] = false;
}

/* An action's factor and theta as of now */
static void
prepare(const RlrecOnline *online, Bandit *bandit, int action)
{
	double		scale = scale_at(bandit, action, online->learned);

	if (bandit->made[action] < 0 || bandit->updates[action] > MOST_UPDATES ||
		(bandit->forget < 1 && bandit->made[action] != online->learned))
		make_factor(online, bandit, action, "Raise the option lambda.");
	if (!bandit->solved[action])
		rlrec_linear_solve(bandit->d, scale, statistics_of(bandit, action), factor_of(bandit, action), theta_of(bandit, action));
	bandit->solved[action] = true;
}

/* ---------------------------------------------------------------- acting */

/* Makes the means of all actions, and unless it is greedy the deviations. */
static Bandit *
predict(RlrecOnline *online, const float *state, bool deviations)
{
	Bandit	   *bandit = open_bandit(online);

	take_context(online, bandit, state);
	for (int a = 0; a < online->actions; a++)
	{
		CHECK_FOR_INTERRUPTS();
		prepare(online, bandit, a);
		bandit->mean[a] = rlrec_dot_double(bandit->d, theta_of(bandit, a), bandit->x);
		if (deviations)
			bandit->deviation[a] = rlrec_linear_deviation(bandit->d, factor_of(bandit, a), bandit->x, bandit->scratch);
	}
	return bandit;
}

/* The first action of the highest mean + width * deviation, each deviation times a normal number when a key is given. */
static int
best_action(const RlrecOnline *online, const Bandit *bandit, double width, const uint64 *key, uint64 counter)
{
	int			best = 0;
	double		most = -INFINITY;

	for (int a = 0; a < online->actions; a++)
	{
		double		value = bandit->mean[a] +
			width * bandit->deviation[a] * (key ? rlrec_random_normal(*key, counter + a) : 1);

		if (value > most)
		{
			best = a;
			most = value;
		}
	}
	return best;
}

/*
 * Of the rewards of all actions around their means, as far as these explain them: the residual sum of squares of the ridge regressions over the
 * sum of weights, with one reward of deviation 1 from before.
 */
static double
estimate_noise(const RlrecOnline *online, const Bandit *bandit)
{
	double		weight = 1;
	double		squares = 1;

	for (int a = 0; a < online->actions; a++)
	{
		const double *statistics = statistics_of(bandit, a);
		double		scale = scale_at(bandit, a, online->learned);

		weight += scale * statistics[RLREC_LINEAR_WEIGHT];
		squares += scale * (statistics[RLREC_LINEAR_SQUARES] -
							rlrec_dot_double(bandit->d, theta_of(bandit, a), statistics + RLREC_LINEAR_B));
	}
	return sqrt(Max(squares, 0) / weight);
}

static uint64
key_of(const RlrecOnline *online, const float *state)
{
	uint64		key = rlrec_random_key(online->key, (uint64) online->learned);

	for (int i = 0; i < online->state_size; i++)
	{
		uint32		bits;

		memcpy(&bits, &state[i], sizeof(bits));
		key = rlrec_random_bits(key, bits);
	}
	return key;
}

static void
vote(const RlrecOnline *online, const Bandit *bandit, const float *state, float *p)
{
	double		width = bandit->posterior_scale * (bandit->noise > 0 ? bandit->noise : estimate_noise(online, bandit));
	uint64		key = key_of(online, state);

	for (int m = 0; m < bandit->draws; m++)
	{
		CHECK_FOR_INTERRUPTS();
		p[best_action(online, bandit, width, &key, (uint64) m * online->actions)]++;
	}
	for (int a = 0; a < online->actions; a++)
		p[a] /= bandit->draws;
}

static void
policy(RlrecOnline *online, const float *state, bool explore, float *p)
{
	Bandit	   *bandit = predict(online, state, explore);

	memset(p, 0, online->actions * sizeof(float));
	if (!explore)
		memset(bandit->deviation, 0, online->actions * sizeof(double));
	if (explore && bandit->draws > 0)
		vote(online, bandit, state, p);
	else
		p[best_action(online, bandit, bandit->ucb_width, NULL, 0)] = 1;
	for (int a = 0; explore && a < online->actions; a++)
		p[a] = bandit->floor + (1 - online->actions * bandit->floor) * p[a];
}

static void
values(RlrecOnline *online, const float *state, float *q)
{
	Bandit	   *bandit = predict(online, state, false);

	for (int a = 0; a < online->actions; a++)
		q[a] = bandit->mean[a];
}

/* ---------------------------------------------------------------- learning */

/* The statistics for `scale` of what they were. */
static void
weaken(int d, double scale, double *statistics)
{
	for (size_t i = RLREC_LINEAR_WEIGHT; scale != 1 && i < rlrec_linear_numbers(d); i++)
		statistics[i] *= scale;
}

void
rlrec_bandit_statistics_of(RlrecOnline *online, int action, double *statistics)
{
	Bandit	   *bandit = open_bandit(online);

	memcpy(statistics, statistics_of(bandit, action), rlrec_linear_numbers(bandit->d) * sizeof(double));
	weaken(bandit->d, scale_at(bandit, action, online->learned), statistics);
}

static void
observe(RlrecOnline *online, const float *state, int action, double reward)
{
	Bandit	   *bandit = open_bandit(online);
	double	   *statistics = statistics_of(bandit, action);

	take_context(online, bandit, state);
	weaken(bandit->d, scale_at(bandit, action, online->learned + 1), statistics);
	rlrec_linear_add(bandit->d, bandit->x, reward, 1, statistics);
	bandit->time[action] = online->learned + 1;
	if (bandit->made[action] < 0)
		return;
	bandit->solved[action] = false;
	bandit->updates[action]++;
	if (bandit->forget == 1)
		rlrec_packed_update(bandit->d, bandit->x, factor_of(bandit, action));
}

/*
 * That the sums still have a factor, for a session that begins. The least eigenvalue of A + lambda * identity is lambda at least, and rounding
 * takes less than 4 d DBL_EPSILON trace(A) of it (Higham 2002, theorem 10.3); where that may be all, only making the factor tells.
 */
static void
check(RlrecOnline *online, int action)
{
	Bandit	   *bandit = open_bandit(online);
	const double *a = rlrec_linear_a(bandit->d, statistics_of(bandit, action));
	double		trace = 0;

	for (int i = 0; i < bandit->d; i++)
		trace += a[rlrec_packed_row(bandit->d, i)];
	if (!(bandit->lambda > 4 * bandit->d * DBL_EPSILON * trace))
		make_factor(online, bandit, action, "Nothing was learned. Scale the state, or raise the option lambda.");
}

const RlrecOnlineLearner rlrec_linucb_online = {
	.name = "linucb",
	.options = linucb_options,
	.start = start,
	.initialize = initialize,
	.policy = policy,
	.values = values,
	.observe = observe,
	.check = check
};

const RlrecOnlineLearner rlrec_lints_online = {
	.name = "lints",
	.options = lints_options,
	.start = start,
	.initialize = initialize,
	.policy = policy,
	.values = values,
	.observe = observe,
	.check = check
};
