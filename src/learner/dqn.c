/*
 * dqn.c
 *	  Deep Q-learning (Mnih et al. 2015) of vector states and few actions, and its kin.
 *
 * One network gives for a state the columns
 *		q[actions]			or advantages, when dueling (Wang et al. 2016)
 *		value				when dueling
 *		v, logits[actions]	with `expectile`: implicit Q-learning's value of the state, and its policy
 * Targets are those of double Q-learning (van Hasselt et al. 2016) over n steps. With `cql` the loss has the penalty of conservative
 * Q-learning (Kumar et al. 2020); with `expectile` it is that of implicit Q-learning (Kostrikov et al. 2022), whose policy is
 * advantage-weighted regression: both for transitions of another policy.
 *
 * The tensors are network, target, adam_m and adam_v, each [parameters] in the order of nn/mlp.h; with prioritised replay priority[replay]
 * by slots and priority_most[1]. All random numbers of a step are of the key and its number.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "learner/online.h"
#include "learner/replay.h"
#include "learner/tabular.h"
#include "nn/adam.h"
#include "nn/mlp.h"
#include "nn/value_loss.h"
#include "tensor/blas.h"
#include "tensor/random.h"

/* Largest weight of an imitated action, so that no transition counts for all */
#define MOST_IMITATED 100

static const RlrecOption options[] = {
	{"gamma", RLREC_OPTION_REAL, 0.99, 0, 1, "discount of a step"},
	{"learning_rate", RLREC_OPTION_REAL, 1e-3, 1e-9, 1, "of Adam"},
	{"batch", RLREC_OPTION_INT, 64, 1, 1024, "transitions in a gradient step"},
	{"hidden", RLREC_OPTION_INTS, 0, 1, 1024, "128, 128"},
	{"replay", RLREC_OPTION_INT, 100000, 100, 10000000, "transitions kept"},
	{"start", RLREC_OPTION_INT, 1000, 1, 10000000, "transitions before learning"},
	{"train_every", RLREC_OPTION_INT, 2, 1, 1000000, "transitions between trainings"},
	{"gradient_steps", RLREC_OPTION_INT, 1, 1, 1000000, "in a training"},
	{"target_every", RLREC_OPTION_INT, 1, 1, 10000000, "gradient steps between changes of the target network"},
	{"tau", RLREC_OPTION_REAL, 0.005, 1e-6, 1, "how far such a change goes"},
	{"double", RLREC_OPTION_BOOL, 1, 0, 1, "double Q-learning"},
	{"dueling", RLREC_OPTION_BOOL, 0, 0, 1, "advantages and a value"},
	{"n_step", RLREC_OPTION_INT, 10, 1, 1000, "rewards before bootstrapping"},
	{"prioritized", RLREC_OPTION_BOOL, 0, 0, 1, "replay by error"},
	{"priority_alpha", RLREC_OPTION_REAL, 0.6, 0, 1, "power of the error"},
	{"priority_beta", RLREC_OPTION_REAL, 0.4, 0, 1, "power of the importance weights"},
	{"huber", RLREC_OPTION_REAL, 10, 0, 1e9, "error from which the loss is linear, 0 for never"},
	{"clip", RLREC_OPTION_REAL, 10, 0, 1e9, "longest gradient, 0 for any"},
	{"epsilon", RLREC_OPTION_REAL, 1, 0, 1, "probability of a random action"},
	{"epsilon_decay", RLREC_OPTION_REAL, 0.98, 0, 1, "its factor at the end of each episode"},
	{"epsilon_min", RLREC_OPTION_REAL, 0.04, 0, 1, "its least"},
	{"cql", RLREC_OPTION_REAL, 0, 0, 1e6, "weight of the penalty of conservative Q-learning"},
	{"expectile", RLREC_OPTION_REAL, 0, 0, 0.999, "of implicit Q-learning, 0 for Q-learning"},
	{"temperature", RLREC_OPTION_REAL, 3, 0, 1e6, "of implicit Q-learning: how much better actions are preferred"},
	{"seed", RLREC_OPTION_INT, 1, 0, PG_INT32_MAX, "of the random numbers"},
	{NULL, 0, 0, 0, 0, NULL}
};

typedef struct Dqn
{
	double		gamma;
	int			batch_size;
	int			n_step;
	int64		start;
	int64		train_every;
	int64		gradient_steps;
	int64		target_every;
	float		tau;
	bool		double_q;
	bool		dueling;
	bool		prioritized;
	double		alpha;
	double		beta;
	float		huber;
	double		epsilon;
	double		epsilon_decay;
	double		epsilon_min;
	float		cql;
	float		expectile;
	float		temperature;
	RlrecAdam	adam;

	int			actions;
	int			columns;		/* of the network's output */
	int			v_column;		/* with expectile; the logits follow */
	RlrecMlpShape shape;
	size_t		n;				/* parameters of a network */
	float	   *network;		/* [n] these are tensors */
	float	   *target;
	float	   *m;
	float	   *v;
	float	   *priority_most;
	float	   *row;			/* workspace of one state */

	/* for learning, NULL before */
	float	   *workspace;		/* of the batch, for the network */
	float	   *other;			/* and for the target network */
	float	   *gradient;		/* [n] */
	float	   *wanted;			/* [batch_size] targets */
	float	   *guess;			/* [batch_size] targets of v */
	float	   *preference;		/* [batch_size] weights of imitation */
	float	   *error;			/* [batch_size] */
	RlrecBatch	batch;
	RlrecPriorities priorities;
} Dqn;

/* ---------------------------------------------------------------- what it is made of */

static void
read_options(const RlrecOnline *online, Dqn *dqn)
{
	const Jsonb *given = online->options;

	dqn->gamma = rlrec_option_real(given, options, "gamma");
	dqn->batch_size = rlrec_option_int(given, options, "batch");
	dqn->n_step = rlrec_option_int(given, options, "n_step");
	dqn->start = rlrec_option_int(given, options, "start");
	dqn->train_every = rlrec_option_int(given, options, "train_every");
	dqn->gradient_steps = rlrec_option_int(given, options, "gradient_steps");
	dqn->target_every = rlrec_option_int(given, options, "target_every");
	dqn->tau = rlrec_option_given(given, "tau") || dqn->target_every == 1 ? rlrec_option_real(given, options, "tau") : 1;
	dqn->double_q = rlrec_option_bool(given, options, "double");
	dqn->dueling = rlrec_option_bool(given, options, "dueling");
	dqn->prioritized = rlrec_option_bool(given, options, "prioritized");
	dqn->alpha = rlrec_option_real(given, options, "priority_alpha");
	dqn->beta = rlrec_option_real(given, options, "priority_beta");
	dqn->huber = rlrec_option_real(given, options, "huber");
	dqn->epsilon = rlrec_option_real(given, options, "epsilon");
	dqn->epsilon_decay = rlrec_option_real(given, options, "epsilon_decay");
	dqn->epsilon_min = rlrec_option_real(given, options, "epsilon_min");
	dqn->cql = rlrec_option_real(given, options, "cql");
	dqn->expectile = rlrec_option_real(given, options, "expectile");
	dqn->temperature = rlrec_option_real(given, options, "temperature");
	if ((dqn->cql > 0 || dqn->expectile > 0) && !rlrec_option_given(given, "n_step"))
		dqn->n_step = 1;		/* logs are of another policy */
	dqn->adam = (RlrecAdam) {rlrec_option_real(given, options, "learning_rate"), 0.9, 0.999, 0,
		rlrec_option_real(given, options, "clip"), 0};
}

static void
set_shape(const RlrecOnline *online, Dqn *dqn)
{
	int			hidden = rlrec_option_ints(online->options, options, "hidden", dqn->shape.width + 1);

	dqn->actions = online->actions;
	dqn->v_column = dqn->actions + dqn->dueling;
	dqn->columns = dqn->v_column + (dqn->expectile > 0 ? 1 + dqn->actions : 0);
	dqn->shape.layers = hidden + 1;
	dqn->shape.width[0] = online->state_size;
	dqn->shape.width[hidden + 1] = dqn->columns;
	dqn->shape.activation = RLREC_MLP_RELU;
	dqn->n = rlrec_mlp_parameters(&dqn->shape);
}

static Dqn *
open_dqn(RlrecOnline *online)
{
	Dqn		   *dqn = online->scratch;

	if (dqn != NULL)
		return dqn;
	dqn = MemoryContextAllocZero(online->context, sizeof(Dqn));
	read_options(online, dqn);
	set_shape(online, dqn);
	dqn->network = rlrec_online_tensor(online, "network", dqn->n);
	dqn->target = rlrec_online_tensor(online, "target", dqn->n);
	dqn->m = rlrec_online_tensor(online, "adam_m", dqn->n);
	dqn->v = rlrec_online_tensor(online, "adam_v", dqn->n);
	if (dqn->prioritized)
		dqn->priority_most = rlrec_online_tensor(online, "priority_most", 1);
	dqn->row = MemoryContextAlloc(online->context, rlrec_mlp_workspace(&dqn->shape, 1) * sizeof(float));
	online->scratch = dqn;
	return dqn;
}

static void
dqn_start(RlrecOnline *online)
{
	Dqn			dqn;

	read_options(online, &dqn);
	set_shape(online, &dqn);
	rlrec_tensors_add(online->tensors, "network", RLREC_F32, 1, dqn.n, 0);
	rlrec_tensors_add(online->tensors, "target", RLREC_F32, 1, dqn.n, 0);
	rlrec_tensors_add(online->tensors, "adam_m", RLREC_F32, 1, dqn.n, 0);
	rlrec_tensors_add(online->tensors, "adam_v", RLREC_F32, 1, dqn.n, 0);
	if (dqn.prioritized)
	{
		rlrec_tensors_add(online->tensors, "priority", RLREC_F32, 1, rlrec_option_int(online->options, options, "replay"), 0);
		rlrec_tensors_add(online->tensors, "priority_most", RLREC_F32, 1, 1, 0);
	}
}

static void
dqn_initialize(RlrecOnline *online)
{
	Dqn		   *dqn = open_dqn(online);

	rlrec_mlp_initialize(&dqn->shape, rlrec_random_key(online->key, 0), 1, dqn->network);
	memcpy(dqn->target, dqn->network, dqn->n * sizeof(float));
	if (dqn->prioritized)
		*dqn->priority_most = 1;
}

/* ---------------------------------------------------------------- acting */

/* The network's output (n,columns), advantages and value already made into q. */
static float *
evaluate(const Dqn *dqn, const float *network, int n, const float *state, float *workspace)
{
	float	   *q = rlrec_mlp_forward(&dqn->shape, network, n, state, workspace);

	if (dqn->dueling)
		rlrec_dueling(n, dqn->actions, dqn->columns, q);
	return q;
}

static void
dqn_policy(RlrecOnline *online, const float *state, bool explore, float *p)
{
	Dqn		   *dqn = open_dqn(online);

	/* Who only wants to do well is served by the target network, an average of networks, which is steadier than the last of them. */
	float	   *q = evaluate(dqn, explore ? dqn->network : dqn->target, 1, state, dqn->row);
	double		epsilon = 0;

	if (explore)
		epsilon = rlrec_epsilon(dqn->epsilon, dqn->epsilon_decay, dqn->epsilon_min, online->episodes);
	for (int a = 0; a < dqn->actions; a++)
		p[a] = epsilon / dqn->actions;
	p[rlrec_online_best(dqn->actions, dqn->expectile > 0 ? q + dqn->v_column + 1 : q)] += 1 - epsilon;
}

static void
dqn_values(RlrecOnline *online, const float *state, float *q)
{
	Dqn		   *dqn = open_dqn(online);

	memcpy(q, evaluate(dqn, dqn->network, 1, state, dqn->row), dqn->actions * sizeof(float));
}

static int32
dqn_capacity(const RlrecOnline *online)
{
	return rlrec_option_int(online->options, options, "replay");
}

/* ---------------------------------------------------------------- learning */

static void
open_learning(RlrecOnline *online, Dqn *dqn, const RlrecReplay *replay)
{
	MemoryContext context = online->context;
	Size		of_batch = dqn->batch_size * sizeof(float);
	Size		of_workspace = rlrec_mlp_workspace(&dqn->shape, dqn->batch_size) * sizeof(float);

	if (dqn->workspace != NULL)
		return;
	rlrec_blas_load();
	if (dqn->prioritized)
		rlrec_priorities_create(&dqn->priorities, replay->capacity, rlrec_online_tensor(online, "priority", replay->capacity), context);
	rlrec_batch_create(&dqn->batch, dqn->batch_size, online->state_size, context);
	dqn->wanted = MemoryContextAlloc(context, of_batch);
	dqn->guess = MemoryContextAlloc(context, of_batch);
	dqn->preference = MemoryContextAlloc(context, of_batch);
	dqn->error = MemoryContextAlloc(context, of_batch);
	dqn->gradient = MemoryContextAllocHuge(context, dqn->n * sizeof(float));
	dqn->other = MemoryContextAllocHuge(context, of_workspace);
	dqn->workspace = MemoryContextAllocHuge(context, of_workspace);
}

/* Gradient steps to take: gradient_steps at each multiple of train_every that passed since learning began. */
static int64
steps_due(const RlrecOnline *online, const Dqn *dqn, const RlrecReplay *replay)
{
	int64		since = Max(online->learned, dqn->start - 1);

	if (replay->next <= since)
		return 0;
	return (replay->next / dqn->train_every - since / dqn->train_every) * dqn->gradient_steps;
}

static bool
dqn_due(RlrecOnline *online, const RlrecReplay *replay)
{
	return steps_due(online, open_dqn(online), replay) > 0;
}

/* wanted = reward + discount * value of the next state */
static void
set_targets(Dqn *dqn)
{
	const RlrecBatch *batch = &dqn->batch;
	const float *next;
	const float *chooser;

	if (dqn->expectile > 0)
	{
		next = evaluate(dqn, dqn->network, batch->n, batch->next_state, dqn->other);
		for (int i = 0; i < batch->n; i++)
			dqn->wanted[i] = batch->reward[i] + batch->discount[i] * next[(size_t) i * dqn->columns + dqn->v_column];
		return;
	}
	next = evaluate(dqn, dqn->target, batch->n, batch->next_state, dqn->other);
	chooser = dqn->double_q ? evaluate(dqn, dqn->network, batch->n, batch->next_state, dqn->workspace) : next;
	for (int i = 0; i < batch->n; i++, next += dqn->columns, chooser += dqn->columns)
		dqn->wanted[i] = batch->reward[i] + batch->discount[i] * next[rlrec_online_best(dqn->actions, chooser)];
}

/* Of implicit Q-learning: the loss of v and of the policy, whose columns of q become gradients. */
static double
implicit_loss(Dqn *dqn, float *q)
{
	const RlrecBatch *batch = &dqn->batch;
	const float *old = evaluate(dqn, dqn->target, batch->n, batch->state, dqn->other);
	double		loss;

	for (int i = 0; i < batch->n; i++)
	{
		size_t		row = (size_t) i * dqn->columns;
		float		advantage;

		dqn->guess[i] = old[row + batch->action[i]];
		advantage = dqn->guess[i] - q[row + dqn->v_column];
		dqn->preference[i] = exp(Min(dqn->temperature * advantage, log(MOST_IMITATED)));
	}
	loss = rlrec_loss_state_value(batch->n, dqn->columns, dqn->expectile, dqn->guess, q + dqn->v_column);
	return loss + rlrec_loss_imitation(batch->n, dqn->actions, dqn->columns, batch->action, dqn->preference, q + dqn->v_column + 1);
}

static void
change_target(Dqn *dqn)
{
	if (dqn->tau < 1)
	{
		rlrec_scale(dqn->n, 1 - dqn->tau, dqn->target);
		rlrec_add(dqn->n, dqn->tau, dqn->network, dqn->target);
	}
	else
		memcpy(dqn->target, dqn->network, dqn->n * sizeof(float));
}

static void
prioritize(Dqn *dqn)
{
	const RlrecBatch *batch = &dqn->batch;

	for (int i = 0; i < batch->n; i++)
	{
		float		priority = pow(dqn->error[i] + 1e-6, dqn->alpha);

		*dqn->priority_most = Max(*dqn->priority_most, priority);
		rlrec_priorities_set(&dqn->priorities, (int32) (batch->number[i] % dqn->priorities.capacity), priority);
	}
}

static void
gradient_step(RlrecOnline *online, Dqn *dqn, const RlrecReplay *replay)
{
	RlrecBatch *batch = &dqn->batch;
	uint64		key = rlrec_random_key(rlrec_random_key(online->key, 1), online->steps);
	float	   *q;
	double		loss;
	double		square;
	RlrecAdamStep step;

	if (dqn->prioritized)
		rlrec_priorities_draw(&dqn->priorities, replay, dqn->beta, key, batch);
	else
		rlrec_replay_draw(replay, key, batch);
	rlrec_replay_gather(replay, dqn->n_step, dqn->gamma, batch);
	set_targets(dqn);
	q = evaluate(dqn, dqn->network, batch->n, batch->state, dqn->workspace);
	loss = dqn->expectile > 0 ? implicit_loss(dqn, q) : 0;
	loss += rlrec_loss_value(batch->n, dqn->actions, dqn->columns, dqn->huber, dqn->cql, batch->action, dqn->wanted, batch->weight, q,
							 dqn->error);
	if (dqn->dueling)
		rlrec_dueling_backward(batch->n, dqn->actions, dqn->columns, q);
	memset(dqn->gradient, 0, dqn->n * sizeof(float));
	rlrec_mlp_backward(&dqn->shape, dqn->network, batch->n, batch->state, dqn->workspace, q, dqn->gradient, NULL);
	square = rlrec_sum_squares(dqn->n, dqn->gradient);
	if (!isfinite(loss) || !isfinite(square))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("learner \"dqn\" diverged: the loss of gradient step %lld is not finite", (long long) online->steps + 1),
				 errhint("Lower \"learning_rate\", or scale states and rewards to about 1.")));
	step = rlrec_adam_step(&dqn->adam, ++online->steps, square);
	rlrec_adam_update(dqn->n, &step, dqn->gradient, dqn->m, dqn->v, dqn->network);
	if (online->steps % dqn->target_every == 0)
		change_target(dqn);
	if (dqn->prioritized)
		prioritize(dqn);
}

static void
dqn_learn(RlrecOnline *online, const RlrecReplay *replay)
{
	Dqn		   *dqn = open_dqn(online);
	int64		steps = steps_due(online, dqn, replay);

	open_learning(online, dqn, replay);
	if (dqn->prioritized)
		for (int64 i = Max(online->learned, replay->first); i < replay->next; i++)
			rlrec_priorities_set(&dqn->priorities, (int32) (i % replay->capacity), *dqn->priority_most);
	for (int64 i = 0; i < steps; i++)
	{
		CHECK_FOR_INTERRUPTS();
		gradient_step(online, dqn, replay);
	}
	online->learned = replay->next;
}

const RlrecOnlineLearner rlrec_dqn_online = {
	.name = "dqn",
	.options = options,
	.start = dqn_start,
	.initialize = dqn_initialize,
	.policy = dqn_policy,
	.values = dqn_values,
	.capacity = dqn_capacity,
	.due = dqn_due,
	.learn = dqn_learn
};
