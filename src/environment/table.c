/*
 * table.c
 *	  Acting and observing of tabular agents: what learner/tabular.c says, on the rows of rlrec.qtable.
 *
 * A transition changes the row of its state. Two things cannot be told from a transition alone and are kept in rlrec.episode: Sarsa learns from
 * the action that comes after, so that each transition waits for the next one of its episode; and eligibility traces, which are replacing
 * (Singh and Sutton 1996), cut at an exploring action for Q-learning (Watkins 1989), and forgotten below MIN_TRACE.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"
#include "environment/episodes.h"
#include "environment/qrows.h"
#include "environment/table.h"
#include "store/catalog.h"

#define MIN_TRACE 0.01

/* ---------------------------------------------------------------- acting */

void
rlrec_table_values(const RlrecEnvironment *environment, const RlrecEnvironmentState *state, double *q, int64 *visits)
{
	double	   *other;
	int64	   *more;

	rlrec_qrows_read(environment, state->text, state->length, 0, q, visits);
	if (environment->tabular.update != RLREC_DOUBLE_Q)
		return;
	other = palloc_array(double, environment->n_actions);
	more = palloc_array(int64, environment->n_actions);
	rlrec_qrows_read(environment, state->text, state->length, 1, other, more);
	for (int a = 0; a < environment->n_actions; a++)
	{
		q[a] = (q[a] + other[a]) / 2;
		visits[a] += more[a];
	}
}

/* The probability of exploring as it is now */
static double
epsilon_now(const RlrecEnvironment *environment)
{
	int64		episodes = environment->tabular.epsilon_decay < 1 ? rlrec_environment_row(environment).episodes : 0;

	return rlrec_tabular_epsilon(&environment->tabular, episodes);
}

void
rlrec_table_policy(const RlrecEnvironment *environment, const RlrecEnvironmentState *state, bool explore, double *p)
{
	int			n = environment->n_actions;
	double	   *q = palloc_array(double, n);
	int			best;

	rlrec_table_values(environment, state, q, palloc_array(int64, n));
	if (explore)
	{
		rlrec_epsilon_greedy(n, epsilon_now(environment), q, p);
		return;
	}
	best = rlrec_greedy(n, q);
	for (int a = 0; a < n; a++)
		p[a] = a == best;
}

/* ---------------------------------------------------------------- what an episode remembers */

typedef struct Pair
{
	const char *state;
	int			length;
	int			action;
	double		eligibility;
} Pair;

typedef struct Episode
{
	bool		waits;			/* a transition, for the action after it */
	Pair		pair;			/* of that transition */
	double		reward;
	const char *next_state;
	int			next_length;
	int			n;				/* of the trace */
	Pair	   *trace;			/* room for two more: Sarsa's last observation learns of two pairs */
} Episode;

static const char *
text_column(int column, int *length)
{
	bool		isnull;
	Datum		datum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	text	   *value = isnull ? NULL : DatumGetTextPP(datum);

	*length = value ? VARSIZE_ANY_EXHDR(value) : 0;
	return value ? VARDATA_ANY(value) : NULL;
}

static Datum *
array_column(int column, Oid type, int *n)
{
	bool		isnull;
	Datum		datum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	Datum	   *elements = NULL;
	bool	   *nulls;

	*n = 0;
	if (!isnull && type == TEXTOID)
		deconstruct_array(DatumGetArrayTypeP(datum), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	else if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(datum), FLOAT8OID, 8, true, TYPALIGN_DOUBLE, &elements, &nulls, n);
	return elements;
}

/* SPI must be connected, and stay so while the episode is used. */
static void
read_episode(const RlrecEnvironment *environment, int64 number, Episode *episode)
{
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(environment->agent), Int64GetDatum(number)};
	const char *action;
	int			length;
	bool		isnull;
	Datum	   *states,
			   *actions,
			   *eligibilities;
	int			n;

	memset(episode, 0, sizeof(*episode));
	if (rlrec_catalog_execute("SELECT state, action, reward, next_state, trace_states, trace_actions, trace FROM rlrec.episode"
							  " WHERE agent = $1 AND episode = $2 FOR NO KEY UPDATE", 2, types, values, NULL) != 1)
	{
		episode->trace = palloc_array(Pair, 2);
		return;
	}
	episode->pair.state = text_column(1, &episode->pair.length);
	action = text_column(2, &length);
	episode->pair.action = action ? rlrec_dictionary_find(&environment->actions, action, length) : -1;
	episode->waits = episode->pair.action >= 0;
	episode->reward = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	episode->next_state = text_column(4, &episode->next_length);
	states = array_column(5, TEXTOID, &n);
	actions = array_column(6, TEXTOID, &n);
	eligibilities = array_column(7, FLOAT8OID, &n);
	episode->trace = palloc_array(Pair, n + 2);
	for (int i = 0; i < n; i++)
	{
		text	   *state = DatumGetTextPP(states[i]);
		text	   *name = DatumGetTextPP(actions[i]);
		Pair		pair = {VARDATA_ANY(state), VARSIZE_ANY_EXHDR(state), 0, DatumGetFloat8(eligibilities[i])};

		pair.action = rlrec_dictionary_find(&environment->actions, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
		if (pair.action >= 0)
			episode->trace[episode->n++] = pair;
	}
}

static void
write_episode(const RlrecEnvironment *environment, int64 number, const Episode *episode)
{
	Oid			types[] = {INT8OID, INT8OID, TEXTOID, TEXTOID, FLOAT8OID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, FLOAT8ARRAYOID};
	Datum		values[9];
	char		nulls[] = "         ";
	int			n = episode->n;
	Datum	   *states = palloc_array(Datum, n + 1);
	Datum	   *actions = palloc_array(Datum, n + 1);
	Datum	   *eligibilities = palloc_array(Datum, n + 1);

	for (int i = 0; i < n; i++)
	{
		states[i] = PointerGetDatum(cstring_to_text_with_len(episode->trace[i].state, episode->trace[i].length));
		actions[i] = CStringGetTextDatum(environment->action[episode->trace[i].action]);
		eligibilities[i] = Float8GetDatum(episode->trace[i].eligibility);
	}
	values[0] = Int64GetDatum(environment->agent);
	values[1] = Int64GetDatum(number);
	if (episode->waits)
	{
		values[2] = PointerGetDatum(cstring_to_text_with_len(episode->pair.state, episode->pair.length));
		values[3] = CStringGetTextDatum(environment->action[episode->pair.action]);
		values[4] = Float8GetDatum(episode->reward);
		values[5] = PointerGetDatum(cstring_to_text_with_len(episode->next_state, episode->next_length));
	}
	else
		memset(nulls + 2, 'n', 4);
	values[6] = PointerGetDatum(construct_array(states, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[7] = PointerGetDatum(construct_array(actions, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[8] = PointerGetDatum(construct_array(eligibilities, n, FLOAT8OID, 8, true, TYPALIGN_DOUBLE));
	rlrec_catalog_execute("INSERT INTO rlrec.episode VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (agent, episode) DO UPDATE"
						  " SET state = excluded.state, action = excluded.action, reward = excluded.reward,"
						  " next_state = excluded.next_state, trace_states = excluded.trace_states,"
						  " trace_actions = excluded.trace_actions, trace = excluded.trace", 9, types, values, nulls);
}

static void
delete_episode(const RlrecEnvironment *environment, int64 number)
{
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(environment->agent), Int64GetDatum(number)};

	rlrec_catalog_execute("DELETE FROM rlrec.episode WHERE agent = $1 AND episode = $2", 2, types, values, NULL);
}

/* ---------------------------------------------------------------- learning */

/* The rows that a transition changes, and room for values */
typedef struct Update
{
	const RlrecEnvironment *environment;
	Relation	table;
	double		epsilon;
	RlrecQRow	row;
	double	   *q;				/* [n_actions] of the state after */
	double	   *other;			/* [n_actions] the same in the other table */
} Update;

static void
update_begin(Update *update, const RlrecEnvironment *environment)
{
	int			n = environment->n_actions;

	update->environment = environment;
	update->table = table_open(rlrec_catalog_relation("qtable"), RowExclusiveLock);
	update->epsilon = environment->tabular.update == RLREC_QLEARNING || environment->tabular.update == RLREC_DOUBLE_Q ? 0 :
		epsilon_now(environment);
	update->row.q = palloc_array(double, n);
	update->row.visits = palloc_array(int64, n);
	update->q = palloc_array(double, n);
	update->other = palloc_array(double, n);
}

/* A step of size alpha * scale towards target; of another pair than the one that was taken, visits stay. */
static void
move_value(Update *update, int action, double target, double scale, bool taken)
{
	RlrecQRow  *row = &update->row;

	if (taken && row->visits[action] < PG_INT32_MAX)
		row->visits[action]++;
	row->q[action] += scale * rlrec_tabular_step(&update->environment->tabular, Max(row->visits[action], 1)) * (target - row->q[action]);
	if (!isfinite(row->q[action]))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("agent \"%s\" came to an action value that is not finite", update->environment->name),
				 errhint("Lower alpha, gamma or lambda, or scale the rewards.")));
	rlrec_qrow_store(update->environment, update->table, row, action);
}

/* What the state after is worth by expectation or maximum, in one of the tables; row holds that table's state before. */
static double
future_value(Update *update, const RlrecObservation *seen, int part)
{
	const RlrecEnvironment *environment = update->environment;
	bool		stays = seen->state.length == seen->next_state.length &&
		memcmp(seen->state.text, seen->next_state.text, seen->state.length) == 0;

	if (stays)
		memcpy(update->q, update->row.q, environment->n_actions * sizeof(double));
	else
		rlrec_qrows_read(environment, seen->next_state.text, seen->next_state.length, part, update->q, NULL);
	if (environment->tabular.update == RLREC_DOUBLE_Q)
		rlrec_qrows_read(environment, seen->next_state.text, seen->next_state.length, 1 - part, update->other, NULL);
	return rlrec_tabular_future(&environment->tabular, environment->n_actions, update->epsilon, update->q, update->other);
}

/* A transition that needs no memory of the episode */
static void
learn_alone(Update *update, const RlrecObservation *seen)
{
	const RlrecTabular *tabular = &update->environment->tabular;
	int			part = tabular->update == RLREC_DOUBLE_Q && rlrec_environment_random(update->environment) < 0.5;
	double		target = seen->reward;

	rlrec_qrow_lock(update->environment, update->table, seen->state.text, seen->state.length, part, &update->row);
	if (seen->end != RLREC_TERMINATED && tabular->gamma > 0)
		target += tabular->gamma * future_value(update, seen, part);
	move_value(update, seen->action, target, 1, true);
}

/* Puts the pair at the end of the trace with eligibility 1. */
static void
trace_pair(Episode *episode, const Pair *pair)
{
	int			kept = 0;

	for (int i = 0; i < episode->n; i++)
	{
		const Pair *each = &episode->trace[i];

		if (each->action != pair->action || each->length != pair->length || memcmp(each->state, pair->state, pair->length) != 0)
			episode->trace[kept++] = *each;
	}
	episode->trace[kept] = *pair;
	episode->trace[kept].eligibility = 1;
	episode->n = kept + 1;
}

/* The pair learns its target, and every pair of the trace its share of the error. */
static void
learn_pair(Update *update, Episode *episode, const Pair *pair, double target)
{
	const RlrecTabular *tabular = &update->environment->tabular;
	double		decay = tabular->gamma * tabular->lambda;
	double		error;
	int			kept = 0;

	rlrec_qrow_lock(update->environment, update->table, pair->state, pair->length, 0, &update->row);
	error = target - update->row.q[pair->action];
	if (tabular->lambda == 0)
	{
		move_value(update, pair->action, target, 1, true);
		return;
	}
	trace_pair(episode, pair);
	for (int i = 0; i < episode->n; i++)
	{
		Pair	   *each = &episode->trace[i];

		rlrec_qrow_lock(update->environment, update->table, each->state, each->length, 0, &update->row);
		move_value(update, each->action, update->row.q[each->action] + error, each->eligibility, i == episode->n - 1);
		each->eligibility *= decay;
		if (each->eligibility >= MIN_TRACE)
			episode->trace[kept++] = *each;
	}
	episode->n = kept;
}

/* What a state is worth to the policy that acts */
static double
expected_value(Update *update, const char *state, int length)
{
	rlrec_qrows_read(update->environment, state, length, 0, update->q, NULL);
	return rlrec_epsilon_greedy_value(update->environment->n_actions, update->epsilon, update->q);
}

/* Sarsa: the transition before learns from the action that was taken now, and this one waits in turn. */
static void
learn_sarsa(Update *update, Episode *episode, const RlrecObservation *seen)
{
	double		gamma = update->environment->tabular.gamma;
	Pair		now = {seen->state.text, seen->state.length, seen->action, 1};

	if (episode->waits)
	{
		bool		follows = episode->next_length == now.length && memcmp(episode->next_state, now.state, now.length) == 0;
		double		future = expected_value(update, episode->next_state, episode->next_length);

		learn_pair(update, episode, &episode->pair, episode->reward + gamma * (follows ? update->q[now.action] : future));
	}
	episode->waits = seen->end == 0;
	episode->pair = now;
	episode->reward = seen->reward;
	episode->next_state = seen->next_state.text;
	episode->next_length = seen->next_state.length;
	if (seen->end == RLREC_TERMINATED)
		learn_pair(update, episode, &now, seen->reward);
	else if (seen->end == RLREC_TRUNCATED)
		learn_pair(update, episode, &now, seen->reward + gamma * expected_value(update, seen->next_state.text, seen->next_state.length));
}

/* Q-learning and expected Sarsa with traces */
static void
learn_traced(Update *update, Episode *episode, const RlrecObservation *seen)
{
	const RlrecTabular *tabular = &update->environment->tabular;
	Pair		pair = {seen->state.text, seen->state.length, seen->action, 1};
	double		target = seen->reward;

	rlrec_qrow_lock(update->environment, update->table, pair.state, pair.length, 0, &update->row);
	if (tabular->update == RLREC_QLEARNING &&
		update->row.q[pair.action] < update->row.q[rlrec_greedy(update->environment->n_actions, update->row.q)])
		episode->n = 0;
	if (seen->end != RLREC_TERMINATED)
		target += tabular->gamma * future_value(update, seen, 0);
	learn_pair(update, episode, &pair, target);
}

void
rlrec_table_observe(const RlrecEnvironment *environment, const RlrecObservation *seen)
{
	bool		remembers = environment->tabular.update == RLREC_SARSA || environment->tabular.lambda > 0;
	Update		update;

	rlrec_environment_lock(environment, false);
	update_begin(&update, environment);
	if (!remembers)
		learn_alone(&update, seen);
	else
	{
		Episode		episode;

		SPI_connect();
		read_episode(environment, seen->episode, &episode);
		if (environment->tabular.update == RLREC_SARSA)
			learn_sarsa(&update, &episode, seen);
		else
			learn_traced(&update, &episode, seen);
		if (seen->end == 0)
			write_episode(environment, seen->episode, &episode);
		else
			delete_episode(environment, seen->episode);
		SPI_finish();
	}
	table_close(update.table, RowExclusiveLock);
	if (seen->end != 0)
		rlrec_episodes_add(environment->agent);
}
