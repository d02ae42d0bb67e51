/*
 * qlearning_log.c
 *	  Q-learning and its kin from a log: docs/qlearning.md.
 *
 * A user's events are episodes of transitions: in the state s after what came before, the item of the next event is the action a, its
 * reward r, and the state after it s'. Where an episode is truncated, at the end of a session or of the log, the value of s' still counts.
 *
 * The actions of a state are those that the log has seen in it. They are the rows of a sparse matrix, states x items, over whose entries lie
 * the values. A state's best entry and the sum of its values are kept up as values change, so a transition costs the same in a state of
 * ten actions as in one of ten thousand; only when the best value falls is its row searched again.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "data/intern.h"
#include "data/session.h"
#include "data/sparse.h"
#include "learner/cluster.h"
#include "learner/learner.h"
#include "learner/qlearning_model.h"
#include "learner/state.h"
#include "learner/tabular.h"
#include "tensor/random.h"

/* Transitions between two looks at interrupts. */
#define CHUNK 16384

static const RlrecOption options[] = {
	RLREC_STATE_OPTIONS,
	{"sweeps", RLREC_OPTION_INT, 1, 1, 10000, "times that the log is gone through"},
	RLREC_TABULAR_OPTIONS,
	{NULL}
};

/* Transitions, in the order in which they are learned; the action after number i is that of i + 1 unless `last`. */
typedef struct Log
{
	int32		n;
	int32	   *state;			/* [n] */
	int32	   *action;			/* [n] an item, later its entry in the row of the state */
	float	   *reward;			/* [n] */
	int32	   *next;			/* [n] the state after it */
	bool	   *last;			/* [n] of its episode */
	RlrecDictionary states;
} Log;

/* The values over the entries of a matrix: the second table is double Q-learning's. */
typedef struct Values
{
	RlrecTabular tabular;
	uint64		key;
	RlrecSparse *actions;		/* states x items, ascending and distinct in a row */
	double	   *q[2];			/* [entries] */
	int32	   *visits[2];		/* [entries] */
	int32	   *best[2];		/* [states] the first entry of the highest value; of no meaning in an empty row */
	double	   *sum;			/* [states] of the first table */
	double		error;			/* sum of |target - q| of the last sweep */
} Values;

static void *
alloc_zero(int64 n, Size size)
{
	return palloc_extended(mul_size(Max(n, 1), size), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static const char *
obstacle(const RlrecFit *fit)
{
	return rlrec_state_obstacle(fit);
}

/* ---------------------------------------------------------------- the log as transitions */

/* The state after a history, a new one if it has not come before; -1 when there is none. */
static int32
intern_state(RlrecStateReader *reader, RlrecIntern *states, const int32 *item, int64 n, const RlrecKey *user, int32 cluster)
{
	int32		length;
	const char *key = rlrec_state_key(reader, item, n, user, cluster, &length);

	return key == NULL ? -1 : rlrec_intern_add(states, key, length);
}

/*
 * As in a history that is served, only events with a positive reward change the state; each is an action. cluster[events] is NULL where states
 * are no clusters; history[] is scratch.
 */
static void
add_user(Log *log, const RlrecEvents *events, int32 u, RlrecStateReader *reader, const int32 *cluster, RlrecIntern *states,
		 int32 *history)
{
	RlrecKey	user = rlrec_events_key(events, u);
	int32		state = intern_state(reader, states, history, 0, &user, -1);
	int64		n = 0;
	int64		to;

	for (int64 from = events->start[u]; from < events->end[u]; from = to)
	{
		bool		any = false;

		to = rlrec_session_end(events->time, from, events->end[u], events->session);
		for (int64 e = from; e < to; e++)
		{
			int32		before = state;

			if (events->reward[e] > 0)
			{
				history[n++] = events->item[e];
				state = intern_state(reader, states, history, n, &user, cluster ? cluster[e] : -1);
			}
			if (before < 0)
				continue;
			log->state[log->n] = before;
			log->action[log->n] = events->item[e];
			log->reward[log->n] = events->reward[e];
			log->next[log->n++] = state;
			any = true;
		}
		if (any)
			log->last[log->n - 1] = true;
	}
}

static Log *
read_log(const RlrecEvents *events, RlrecStateReader *reader, const int32 *cluster)
{
	Log		   *log = palloc0(sizeof(Log));
	RlrecIntern *states = rlrec_intern_create();
	int64		room = 0;
	int64		longest = 0;
	int32	   *history;
	int32	   *rank;

	for (int32 u = 0; u < events->users.n; u++)
	{
		room += events->end[u] - events->start[u];
		longest = Max(longest, events->end[u] - events->start[u]);
	}
	if (room > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many events for a table of action values"),
				 errdetail("There are %lld, and at most %d can be learned.", (long long) room, PG_INT32_MAX),
				 errhint("Make the agent over a view of recent events.")));
	history = alloc_zero(longest, sizeof(int32));
	log->state = alloc_zero(room, sizeof(int32));
	log->action = alloc_zero(room, sizeof(int32));
	log->reward = alloc_zero(room, sizeof(float));
	log->next = alloc_zero(room, sizeof(int32));
	log->last = alloc_zero(room, sizeof(bool));
	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		add_user(log, events, u, reader, cluster, states, history);
	}
	log->states = rlrec_intern_finish(states, &rank);
	for (int32 i = 0; i < log->n; i++)
	{
		log->state[i] = rank[log->state[i]];
		log->next[i] = rank[log->next[i]];
	}
	pfree(rank);
	pfree(history);
	return log;
}

/* The distinct pairs of a state and an action. */
static RlrecSparse *
distinct_actions(const Log *log, int32 n_items)
{
	RlrecSparse *by_item = rlrec_sparse_gather(n_items, log->states.n, log->n, log->action, log->state);
	RlrecSparse *actions = rlrec_sparse_transpose(by_item);
	int64		begin = 0;		/* of the row as it was */
	int64		n = 0;

	rlrec_sparse_free(by_item);
	for (int32 s = 0; s < actions->n_rows; s++)
	{
		int64		end = actions->start[s + 1];

		for (int64 k = begin; k < end; k++)
			if (k == begin || actions->column[k] != actions->column[k - 1])
				actions->column[n++] = actions->column[k];
		begin = end;
		actions->start[s + 1] = n;
	}
	return actions;
}

/* The entry of a pair that is there. */
static int32
find_entry(const RlrecSparse *actions, int32 state, int32 action)
{
	int64		low = actions->start[state];
	int64		high = actions->start[state + 1] - 1;

	while (low < high)
	{
		int64		middle = (low + high) / 2;

		if (actions->column[middle] < action)
			low = middle + 1;
		else
			high = middle;
	}
	Assert(actions->column[low] == action);
	return (int32) low;
}

/* ---------------------------------------------------------------- learning */

static Values *
values_create(const RlrecFit *data, const char *learner, const Log *log)
{
	Values	   *values = palloc0(sizeof(Values));
	int64		entries;

	if (!rlrec_tabular_read(learner, data->options, &values->tabular))
		elog(ERROR, "learner \"%s\" is not tabular", learner);
	values->key = rlrec_random_key((uint64) rlrec_option_int(data->options, options, "seed"), 0);
	values->actions = distinct_actions(log, data->events->items.n);
	entries = values->actions->start[values->actions->n_rows];
	values->sum = alloc_zero(log->states.n, sizeof(double));
	for (int t = 0; t < 2; t++)
	{
		values->q[t] = alloc_zero(entries, sizeof(double));
		values->visits[t] = alloc_zero(entries, sizeof(int32));
		values->best[t] = alloc_zero(log->states.n, sizeof(int32));
		for (int64 k = 0; k < entries; k++)
			values->q[t][k] = values->tabular.initial;
		for (int32 s = 0; s < log->states.n; s++)
			values->best[t][s] = (int32) values->actions->start[s];
	}
	for (int32 s = 0; s < log->states.n; s++)
		values->sum[s] = values->tabular.initial * (values->actions->start[s + 1] - values->actions->start[s]);
	return values;
}

/* Sets a value, and what is kept of its row. */
static inline void
set_value(Values *values, int t, int32 state, int32 entry, double q)
{
	double	   *table = values->q[t];
	int32	   *best = &values->best[t][state];
	bool		falls = q < table[entry];

	if (t == 0)
		values->sum[state] += q - table[entry];
	table[entry] = q;
	if (entry != *best)
	{
		if (q > table[*best] || (q == table[*best] && entry < *best))
			*best = entry;
	}
	else if (falls)
	{
		int64		end = values->actions->start[state + 1];

		*best = (int32) values->actions->start[state];
		for (int32 k = *best + 1; k < end; k++)
		{
			if (k % CHUNK == 0)
				CHECK_FOR_INTERRUPTS();
			if (table[k] > table[*best])
				*best = k;
		}
	}
}

/* The value of an epsilon-greedy policy, that of a state that is not empty. */
static inline double
expected_value(const Values *values, int32 state, double epsilon)
{
	int64		n = values->actions->start[state + 1] - values->actions->start[state];

	return epsilon / n * values->sum[state] + (1 - epsilon) * values->q[0][values->best[0][state]];
}

/* What the state after transition i is worth to table t. */
static inline double
future(const Values *values, const Log *log, int32 i, int t, double epsilon)
{
	int32		state = log->next[i];

	if (values->actions->start[state] == values->actions->start[state + 1])
		return values->tabular.initial;
	switch (values->tabular.update)
	{
		case RLREC_QLEARNING:
			return values->q[0][values->best[0][state]];
		case RLREC_DOUBLE_Q:
			return values->q[1 - t][values->best[t][state]];
		case RLREC_SARSA:
			if (!log->last[i])
				return values->q[0][log->action[i + 1]];
			break;				/* the log does not know what would have come next: what was to be expected */
		case RLREC_EXPECTED_SARSA:
			break;
	}
	return expected_value(values, state, epsilon);
}

static void
sweep(Values *values, const Log *log, int64 number, int64 *episodes)
{
	const RlrecTabular *tabular = &values->tabular;
	double		epsilon = rlrec_tabular_epsilon(tabular, *episodes);
	double		error = 0;

	for (int32 i = 0; i < log->n; i++)
	{
		int32		entry = log->action[i];
		int			t = 0;
		double		q;
		double		difference;

		if (i % CHUNK == 0)
			CHECK_FOR_INTERRUPTS();
		if (tabular->update == RLREC_DOUBLE_Q)
			t = rlrec_random_bits(values->key, number * log->n + i) & 1;
		q = values->q[t][entry];
		difference = log->reward[i] + tabular->gamma * future(values, log, i, t, epsilon) - q;
		error += fabs(difference);
		values->visits[t][entry] += values->visits[t][entry] < PG_INT32_MAX / 2;
		set_value(values, t, log->state[i], entry, q + rlrec_tabular_step(tabular, values->visits[t][entry]) * difference);
		if (log->last[i])
			epsilon = rlrec_tabular_epsilon(tabular, ++*episodes);
	}
	values->error = error;
}

/* ---------------------------------------------------------------- the model */

/* Of an item: the sum of its rewards over all transitions, a transition. What is expected of it where nothing more is known. */
static void
save_prior(const Log *log, const RlrecSparse *actions, int32 n_items, const char *prefix, RlrecTensors *tensors)
{
	float	   *prior = rlrec_tensors_add(tensors, psprintf("%sprior", prefix), RLREC_F32, 1, n_items, 0);
	double	   *sum = alloc_zero(n_items, sizeof(double));

	for (int32 i = 0; i < log->n; i++)
		sum[actions->column[log->action[i]]] += log->reward[i];
	for (int32 j = 0; j < n_items; j++)
		prior[j] = (float) (sum[j] / Max(log->n, 1));
	pfree(sum);
}

static void
save_values(const Values *values, const Log *log, const char *prefix, RlrecTensors *tensors)
{
	bool		both = values->tabular.update == RLREC_DOUBLE_Q;
	const RlrecSparse *actions = values->actions;
	int64		entries = actions->start[actions->n_rows];
	int32	   *offset = rlrec_tensors_add(tensors, psprintf("%soffset", prefix), RLREC_I32, 1, actions->n_rows + (int64) 1, 0);
	int32	   *action = rlrec_tensors_add(tensors, psprintf("%saction", prefix), RLREC_I32, 1, entries, 0);
	float	   *q = rlrec_tensors_add(tensors, psprintf("%sq", prefix), RLREC_F32, 1, entries, 0);
	int32	   *visits = rlrec_tensors_add(tensors, psprintf("%svisits", prefix), RLREC_I32, 1, entries, 0);
	double	   *training = rlrec_tensors_add(tensors, psprintf("%straining", prefix), RLREC_F64, 1, 2, 0);

	for (int32 s = 0; s <= actions->n_rows; s++)
		offset[s] = (int32) actions->start[s];
	for (int64 k = 0; k < entries; k++)
	{
		action[k] = actions->column[k];
		q[k] = (float) (both ? (values->q[0][k] + values->q[1][k]) / 2 : values->q[0][k]);
		visits[k] = values->visits[0][k] + values->visits[1][k];
		if (!isfinite(q[k]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("an action value is beyond the range of type real"),
					 errhint("Rewards are too large, or gamma is 1 in a log without end; see reward_max and gamma.")));
	}
	training[0] = log->n;
	training[1] = log->n > 0 ? values->error / log->n : 0;
}

static void
fit_tabular(const RlrecFit *data, const char *learner, const char *prefix, RlrecTensors *tensors)
{
	int			sweeps = rlrec_option_int(data->options, options, "sweeps");
	int64		episodes = 0;
	int32	   *cluster = NULL;
	RlrecStateReader reader;
	Values	   *values;
	Log		   *log;

	rlrec_state_reader_init(&reader, data);
	if (reader.kind == RLREC_STATE_CLUSTER)
		cluster = rlrec_cluster_fit(data, rlrec_option_int(data->options, options, "clusters"),
									rlrec_random_key((uint64) rlrec_option_int(data->options, options, "seed"), 1), prefix, tensors);
	log = read_log(data->events, &reader, cluster);
	values = values_create(data, learner, log);
	for (int32 i = 0; i < log->n; i++)
	{
		if (i % CHUNK == 0)
			CHECK_FOR_INTERRUPTS();
		log->action[i] = find_entry(values->actions, log->state[i], log->action[i]);
	}
	for (int s = 0; s < sweeps; s++)
	{
		rlrec_progress("learning", s, sweeps);
		sweep(values, log, s, &episodes);
	}
	rlrec_state_reader_save(&reader, prefix, tensors);
	rlrec_dictionary_save(&log->states, psprintf("%sstates", prefix), tensors);
	save_prior(log, values->actions, data->events->items.n, prefix, tensors);
	save_values(values, log, prefix, tensors);
}

/* ---------------------------------------------------------------- the learners */

#define TABULAR(learner, what) \
static void \
fit_##learner(const RlrecFit *data, const char *prefix, RlrecTensors *tensors) \
{ \
	fit_tabular(data, #learner, prefix, tensors); \
} \
const RlrecLearner rlrec_##learner = { \
	.name = #learner, \
	.summary = what, \
	.options = options, \
	.obstacle = obstacle, \
	.fit = fit_##learner, \
	.score = rlrec_qlearning_score, \
	.when_named = true, \
	.part = &rlrec_supervised, \
	.learn = rlrec_qlearning_learn, \
	.describe = rlrec_qlearning_describe, \
	.action_values = rlrec_qlearning_action_values \
}

TABULAR(qlearning, "tabular Q-learning from the log");
TABULAR(sarsa, "tabular Sarsa from the log");
TABULAR(expected_sarsa, "tabular expected Sarsa from the log");
TABULAR(double_q, "tabular double Q-learning from the log");
