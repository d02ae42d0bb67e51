/*
 * logged.c
 *	  Policies that learn of rewards from a log: actor_critic, reinforce and dqn, over the transformer that `supervised` trains.
 *
 * The log's events are the actions of a policy that is not known. The three differ in their objective only, learner/next_item_objective.h,
 * which their options make: actor_critic learns the next item and, by a head, what it is worth (Xin et al. 2020, SQN and SAC; 2022, SNQN and
 * SA2C); reinforce weighs the next item by the return that followed (Chen et al. 2019); dqn ranks by values alone, conservatively (Kumar et
 * al. 2020, CQL), or by the policy that values in the log support (Kostrikov et al. 2022, IQL).
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "learner/supervised.h"
#include "learner/supervised_model.h"

#define CHOSEN (-1)
#define LOSSES "sampled, full"

/* The name in option "tasks" of the agent's own reward */
#define REWARD "reward"

static const RlrecOption actor_critic_options[] = {
	RLREC_SUPERVISED_OPTIONS(LOSSES),
	{"gamma", RLREC_OPTION_REAL, 0.5, 0, 1, "discount of rewards that follow"},
	{"bootstrap", RLREC_OPTION_CHOICE, 0, 0, 0, "double, sarsa, expectile"},
	{"value_loss", RLREC_OPTION_REAL, 0.1, 1e-6, 1000, "weight of the values' loss, the next item's being 1"},
	{"share", RLREC_OPTION_BOOL, 0, 0, 1, "whether the values' loss trains the encoder too"},
	{"conservative", RLREC_OPTION_REAL, 0, 0, 1000, "weight of the penalty on values of actions that the log has not"},
	{"unobserved", RLREC_OPTION_REAL, 0, 0, 1000, "weight of the loss by which sampled actions bring no reward"},
	{"huber", RLREC_OPTION_REAL, 1, 1e-6, 1e6, "error of a value, in deviations of the reward, from which its loss grows linearly"},
	{"advantage", RLREC_OPTION_CHOICE, 0, 0, 0, "none, linear, exponential"},
	{"temperature", RLREC_OPTION_REAL, 1, 1e-3, 1000, "of an advantage, in deviations of the reward"},
	{"expectile", RLREC_OPTION_REAL, 0.5, 0.01, 0.99, "of the values of actions that a state is worth"},
	{"cap", RLREC_OPTION_REAL, 10, 1, 1e6, "highest weight of an advantage"},
	{"weight", RLREC_OPTION_REAL, CHOSEN, 0, 1e6, "of the values in the score"},
	{"tasks", RLREC_OPTION_WEIGHTS, 0, -1e6, 1e6, "rewards to learn, each by a head of its own, and their weights in the score"},
	{NULL}
};

static const RlrecOption reinforce_options[] = {
	RLREC_SUPERVISED_OPTIONS(LOSSES),
	{"gamma", RLREC_OPTION_REAL, 0.5, 0, 1, "discount of rewards that follow"},
	{"baseline", RLREC_OPTION_CHOICE, 0, 0, 0, "none, mean, state"},
	{"top_k", RLREC_OPTION_INT, 1, 1, 10000, "length of the lists that the policy is to fill"},
	{"importance", RLREC_OPTION_REAL, 1, 0, 1e6, "highest importance weight; 0 for none at all"},
	{NULL}
};

static const RlrecOption dqn_options[] = {
	RLREC_SUPERVISED_OPTIONS(LOSSES),
	{"gamma", RLREC_OPTION_REAL, 0.5, 0, 1, "discount of rewards that follow"},
	{"offline", RLREC_OPTION_CHOICE, 0, 0, 0, "cql, iql"},
	{"conservative", RLREC_OPTION_REAL, 1, 0, 1000, "of cql: weight of the penalty on values of actions that the log has not"},
	{"value_loss", RLREC_OPTION_REAL, 1, 1e-6, 1000, "weight of the values' loss"},
	{"huber", RLREC_OPTION_REAL, 1, 1e-6, 1e6, "error of a value, in deviations of the reward, from which its loss grows linearly"},
	{"expectile", RLREC_OPTION_REAL, 0.7, 0.01, 0.99, "of iql: of the values of actions that a state is worth"},
	{"temperature", RLREC_OPTION_REAL, 1, 1e-3, 1000, "of iql: of an advantage, in deviations of the reward"},
	{"cap", RLREC_OPTION_REAL, 100, 1, 1e6, "of iql: highest weight of an advantage"},
	{NULL}
};

/* Without tasks the one reward is the agent's, and `names` is NIL. */
static RlrecObjective
actor_critic_objective(const Jsonb *given, List **names)
{
	RlrecObjective o = {.policy = true, .values = 1};
	char	   *bootstrap = rlrec_option_choice(given, actor_critic_options, "bootstrap");
	char	   *advantage = rlrec_option_choice(given, actor_critic_options, "advantage");
	double		weight = rlrec_option_real(given, actor_critic_options, "weight");
	double	   *weights;

	o.weighting = strcmp(advantage, "linear") == 0 ? RLREC_WEIGH_LINEAR :
		strcmp(advantage, "exponential") == 0 ? RLREC_WEIGH_EXPONENTIAL : RLREC_WEIGH_ALIKE;
	o.bootstrap = strcmp(bootstrap, "sarsa") == 0 ? RLREC_BOOTSTRAP_SARSA :
		strcmp(bootstrap, "expectile") == 0 ? RLREC_BOOTSTRAP_EXPECTILE : RLREC_BOOTSTRAP_DOUBLE;
	o.temperature = rlrec_option_real(given, actor_critic_options, "temperature");
	o.cap = rlrec_option_real(given, actor_critic_options, "cap");
	o.gamma = rlrec_option_real(given, actor_critic_options, "gamma");
	o.loss = rlrec_option_real(given, actor_critic_options, "value_loss");
	o.shared = rlrec_option_bool(given, actor_critic_options, "share");
	o.conservative = rlrec_option_real(given, actor_critic_options, "conservative");
	o.unobserved = rlrec_option_real(given, actor_critic_options, "unobserved");
	o.huber = rlrec_option_real(given, actor_critic_options, "huber");
	o.expectile = rlrec_option_real(given, actor_critic_options, "expectile");
	o.choose = weight == CHOSEN;
	o.blend[0] = o.choose ? 0 : weight;

	*names = rlrec_option_weights(given, actor_critic_options, "tasks", &weights);
	if (*names == NIL)
		return o;
	o.values = list_length(*names);
	o.gamma = 0;
	o.choose = false;
	for (int k = 0; k < o.values; k++)
		o.blend[k] = weights[k];
	return o;
}

static RlrecObjective
reinforce_objective(const Jsonb *given)
{
	RlrecObjective o = {.policy = true, .weighting = RLREC_WEIGH_CREDIT, .expectile = 0.5};

	o.baseline = strcmp(rlrec_option_choice(given, reinforce_options, "baseline"), "state") == 0;
	o.values = o.baseline;
	o.top = rlrec_option_int(given, reinforce_options, "top_k");
	o.correction = rlrec_option_real(given, reinforce_options, "importance");
	return o;
}

static RlrecObjective
dqn_objective(const Jsonb *given)
{
	RlrecObjective o = {.values = 1, .shared = true, .bootstrap = RLREC_BOOTSTRAP_DOUBLE, .blend = {1}};

	o.gamma = rlrec_option_real(given, dqn_options, "gamma");
	o.loss = rlrec_option_real(given, dqn_options, "value_loss");
	o.huber = rlrec_option_real(given, dqn_options, "huber");
	o.expectile = rlrec_option_real(given, dqn_options, "expectile");
	o.temperature = rlrec_option_real(given, dqn_options, "temperature");
	o.cap = rlrec_option_real(given, dqn_options, "cap");
	if (strcmp(rlrec_option_choice(given, dqn_options, "offline"), "cql") == 0)
		o.conservative = rlrec_option_real(given, dqn_options, "conservative");
	else
	{
		o.policy = true;
		o.weighting = RLREC_WEIGH_EXPONENTIAL;
		o.bootstrap = RLREC_BOOTSTRAP_EXPECTILE;
		o.blend[0] = 0;
	}
	return o;
}

/* ---------------------------------------------------------------- rewards */

static float *
allocate(Size n)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, Max(mul_size(n, sizeof(float)), 1));
}

/* The type of a task's events; 0 when it is the agent's reward, -1 when there is no such thing. */
static int
task_type(const RlrecEvents *events, const char *name)
{
	int32		type = rlrec_dictionary_find(&events->types, name, strlen(name));

	return type >= 0 ? type + 1 : strcmp(name, REWARD) == 0 ? 0 : -1;
}

/* Shifts and scales reward[n] to mean 0 and deviation 1; returns what 0 becomes. */
static double
standardize(int64 n, float *reward)
{
	double		mean = 0;
	double		square = 0;
	double		deviation;

	for (int64 i = 0; i < n; i++)
		mean += reward[i] / n;
	for (int64 i = 0; i < n; i++)
		square += ((double) reward[i] - mean) * ((double) reward[i] - mean) / n;
	deviation = square > 0 ? sqrt(square) : 1;
	for (int64 i = 0; i < n; i++)
		reward[i] = (reward[i] - mean) / deviation;
	return -mean / deviation;
}

/* How many events have a positive reward, and how many others come after such an event of their user */
static int64
count_events(const RlrecEvents *events, int64 *refused)
{
	int64		n = 0;

	*refused = 0;
	for (int32 u = 0; u < events->users.n; u++)
	{
		int64		before = n;

		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
			if (events->reward[e] > 0)
				n++;
			else if (n > before)
				(*refused)++;
	}
	return n;
}

/* What head k of values learns of each event, reward[n + n_refused]: the event's reward, or of a type whether it is of it */
static void
read_reward(const RlrecEvents *events, int type, int64 n, float *reward)
{
	int64		positive = 0;

	for (int32 u = 0; u < events->users.n; u++)
	{
		int64		before = positive;

		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
		{
			float		learned = type == 0 ? events->reward[e] : events->type[e] == type;

			if (events->reward[e] > 0)
				reward[positive++] = learned;
			else if (positive > before)
				reward[n++] = learned;
		}
	}
}

/* The refused events of rewards, by the event that they come after */
static void
read_refused(const RlrecEvents *events, int64 n, RlrecRewards *rewards)
{
	int64	   *start = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(n + 1, sizeof(int64)));
	int32	   *item = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(rewards->n_refused, sizeof(int32)));
	int64		positive = 0;
	int64		refused = 0;

	for (int32 u = 0; u < events->users.n; u++)
	{
		int64		before = positive;

		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
			if (events->reward[e] > 0)
				start[positive++] = refused;
			else if (positive > before)
				item[refused++] = events->item[e];
	}
	start[n] = refused;
	rewards->refused = item;
	rewards->refused_start = start;
}

/* credit[n]: the discounted rewards from the event to the end of its episode, over the mean of their sizes, less `less` */
static void
read_returns(const RlrecEvents *events, double gamma, double less, int64 n, float *credit)
{
	double		mean = 0;
	int64		at = n;

	for (int32 u = events->users.n - 1; u >= 0; u--)
	{
		double		to_go = 0;
		int64		later = PG_INT64_MAX;

		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->end[u] - 1; e >= events->start[u]; e--)
		{
			if (events->session > 0 && later != PG_INT64_MAX && later - events->time[e] > events->session)
				to_go = 0;
			later = events->time[e];
			to_go = events->reward[e] + gamma * to_go;
			if (!(events->reward[e] > 0))
				continue;
			credit[--at] = to_go;
			mean += fabs(to_go) / n;
		}
	}
	for (int64 i = 0; i < n; i++)
		credit[i] = credit[i] / Max(mean, 1e-30) - less;
}

/* Without tasks all values are of the agent's reward. The credit is left alike. */
static RlrecRewards
read_rewards(const RlrecEvents *events, const List *tasks, RlrecObjective *objective, int64 *n_events)
{
	RlrecRewards rewards = {0};
	int64		n = count_events(events, &rewards.n_refused);
	int64		all = n + rewards.n_refused;
	float	   *worth = allocate(all);
	float	   *reward = allocate(mul_size(Max(objective->values, 1), all));
	float	   *credit = allocate(n);

	read_reward(events, 0, n, worth);
	for (int k = 0; k < objective->values; k++)
	{
		double		nothing;

		read_reward(events, tasks != NIL ? task_type(events, list_nth(tasks, k)) : 0, n, reward + k * all);
		nothing = standardize(all, reward + k * all);
		if (k == 0)
			objective->nothing = nothing;
	}
	for (int64 i = 0; i < n; i++)
		credit[i] = 1;
	if (objective->values == 0)
		rewards.n_refused = 0;
	if (rewards.n_refused > 0)
		read_refused(events, n, &rewards);
	rewards.worth = worth;
	rewards.reward = reward;
	rewards.credit = credit;
	*n_events = n;
	return rewards;
}

/* ---------------------------------------------------------------- the learners */

static const char *
obstacle_of(const RlrecFit *fit, const RlrecObjective *objective, const List *tasks)
{
	ListCell   *cell;

	foreach(cell, tasks)
		if (task_type(fit->events, lfirst(cell)) < 0)
			return psprintf("option \"tasks\" names \"%s\", and no event is of that type", (char *) lfirst(cell));
	if (rlrec_objective_looks_ahead(objective) && rlrec_option_int(fit->options, dqn_options, "length") < 2)
		return "option \"length\" is 1, so that no state follows another; option \"gamma\" must then be 0";
	return rlrec_supervised_obstacle(fit, objective);
}

static void
fit_objective(const RlrecFit *fit, const RlrecLearner *learner, RlrecObjective *objective, const List *tasks, const char *prefix,
			  RlrecTensors *tensors)
{
	int64		n;
	RlrecRewards rewards = read_rewards(fit->events, tasks, objective, &n);

	rlrec_supervised_fit(fit, learner, objective, &rewards, prefix, tensors);
}

static const char *
actor_critic_obstacle(const RlrecFit *fit)
{
	List	   *tasks;
	RlrecObjective objective = actor_critic_objective(fit->options, &tasks);

	return obstacle_of(fit, &objective, tasks);
}

static void
actor_critic_fit(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	List	   *tasks;
	RlrecObjective objective = actor_critic_objective(fit->options, &tasks);

	fit_objective(fit, &rlrec_actor_critic, &objective, tasks, prefix, tensors);
}

static const char *
reinforce_obstacle(const RlrecFit *fit)
{
	RlrecObjective objective = reinforce_objective(fit->options);

	return obstacle_of(fit, &objective, NIL);
}

static void
reinforce_fit(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	RlrecObjective objective = reinforce_objective(fit->options);
	int64		n;
	RlrecRewards rewards = read_rewards(fit->events, NIL, &objective, &n);

	read_returns(fit->events, rlrec_option_real(fit->options, reinforce_options, "gamma"),
				 strcmp(rlrec_option_choice(fit->options, reinforce_options, "baseline"), "mean") == 0 ? 1 : 0, n,
				 unconstify(float *, rewards.credit));
	rlrec_supervised_fit(fit, &rlrec_reinforce, &objective, &rewards, prefix, tensors);
}

static const char *
dqn_obstacle(const RlrecFit *fit)
{
	RlrecObjective objective = dqn_objective(fit->options);

	return obstacle_of(fit, &objective, NIL);
}

static void
dqn_fit(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	RlrecObjective objective = dqn_objective(fit->options);

	fit_objective(fit, &rlrec_dqn, &objective, NIL, prefix, tensors);
}

#define SERVED_AS_SUPERVISED \
	.score = rlrec_supervised_score, \
	.describe = rlrec_supervised_describe, \
	.similar = rlrec_supervised_similar, \
	.encoder = "transformer", \
	.when_named = true, \
	.dimension = rlrec_supervised_dimension, \
	.encode = rlrec_supervised_encode, \
	.decode = rlrec_supervised_decode, \
	.check = rlrec_supervised_check

const RlrecLearner rlrec_actor_critic = {
	.name = "actor_critic",
	.summary = "the transformer of supervised, with a head that learns what the next item is worth",
	.options = actor_critic_options,
	.obstacle = actor_critic_obstacle,
	.fit = actor_critic_fit,
	SERVED_AS_SUPERVISED
};

const RlrecLearner rlrec_reinforce = {
	.name = "reinforce",
	.summary = "the transformer of supervised, trained by the return that followed each item",
	.options = reinforce_options,
	.obstacle = reinforce_obstacle,
	.fit = reinforce_fit,
	SERVED_AS_SUPERVISED
};

const RlrecLearner rlrec_dqn = {
	.name = "dqn",
	.summary = "values of items over the transformer's state, learned from the log by Q-learning",
	.options = dqn_options,
	.obstacle = dqn_obstacle,
	.fit = dqn_fit,
	SERVED_AS_SUPERVISED
};
