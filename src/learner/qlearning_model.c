/*
 * qlearning_model.c
 *	  The tables that Q-learning and its kin learned from a log: served, and learned on with events that came since.
 *
 * A row that was learned since has the values, not their changes, of the actions that were taken since; other actions, and other states, have
 * the model's. Both rows of double Q-learning have the same actions; of the model it starts both from the mean, which is what that keeps.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"

#include "learner/cluster.h"
#include "learner/qlearning_model.h"
#include "learner/state.h"
#include "learner/tabular.h"
#include "tensor/random.h"

/* Actions of state s are entries offset[s] .. offset[s + 1] - 1, ascending. */
typedef struct Table
{
	RlrecDictionary states;
	const int32 *offset;
	const int32 *action;
	const float *q;
	const int32 *visits;
} Table;

/* What is known of a state: -1 when the model has none of that name, NULL where nothing was learned since. */
typedef struct State
{
	int32		trained;
	RlrecLearnedRow *row[2];
} State;

static Table
open_table(const RlrecModel *model)
{
	Table		table;

	table.states = rlrec_dictionary_open(model, "states");
	table.offset = rlrec_model_data(model, "offset", RLREC_I32, table.states.n + (int64) 1);
	table.action = rlrec_model_data(model, "action", RLREC_I32, table.offset[table.states.n]);
	table.q = rlrec_model_data(model, "q", RLREC_F32, table.offset[table.states.n]);
	table.visits = rlrec_model_data(model, "visits", RLREC_I32, table.offset[table.states.n]);
	return table;
}

static State
find_state(const RlrecModel *model, const Table *table, RlrecLearned *learned, const char *key, int32 length, bool create)
{
	State		state = {rlrec_dictionary_find(&table->states, key, length), {NULL, NULL}};

	if (learned != NULL)
		state.row[0] = learned->row(learned, RLREC_LEARNED_VALUES, key, length, create);
	if (state.row[0] != NULL && model->learner == &rlrec_double_q)
		state.row[1] = learned->row(learned, RLREC_LEARNED_VALUES + 1, key, length, create);
	return state;
}

static bool
has_actions(const Table *table, const State *state)
{
	return state->row[0] != NULL || (state->trained >= 0 && table->offset[state->trained] < table->offset[state->trained + 1]);
}

/* The model's entry of an action, or -1. */
static int32
find_entry(const Table *table, int32 state, int32 action)
{
	int32		low = state < 0 ? 0 : table->offset[state];
	int32		high = state < 0 ? 0 : table->offset[state + 1];

	while (low < high)
	{
		int32		middle = low + (high - low) / 2;

		if (table->action[middle] == action)
			return middle;
		if (table->action[middle] < action)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* ---------------------------------------------------------------- serving */

/* The state of a history that has actions. Where nothing was ever done after the last events, those before them tell. */
static bool
state_of_history(const RlrecModel *model, const RlrecHistory *history, const Table *table, State *state)
{
	RlrecStateReader reader;
	int32		cluster;

	rlrec_state_reader_open(&reader, model);
	cluster = reader.kind == RLREC_STATE_CLUSTER ? rlrec_cluster_of(model, history) : -1;
	for (int32 n = history->n; n >= 0; n--)
	{
		int32		length;
		const char *key = rlrec_state_key(&reader, history->item, n, &history->key, cluster, &length);

		if (key != NULL)
		{
			*state = find_state(model, table, history->learned, key, length, false);
			if (has_actions(table, state))
				return true;
		}
		if (reader.kind != RLREC_STATE_LAST && reader.kind != RLREC_STATE_CATEGORY)
			break;
	}
	return false;
}

bool
rlrec_qlearning_score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	Table		table = open_table(model);
	const float *prior = rlrec_model_data(model, "prior", RLREC_F32, model->items.n);
	State		state;

	if (!state_of_history(model, history, &table, &state))
		return false;
	memcpy(scores, prior, model->items.n * sizeof(float));
	for (int32 k = state.trained < 0 ? 0 : table.offset[state.trained]; state.trained >= 0 && k < table.offset[state.trained + 1]; k++)
		scores[table.action[k]] = table.q[k];
	for (int i = 0; state.row[0] != NULL && i < state.row[0]->n; i++)
	{
		const RlrecQEntry *entry = &state.row[0]->entry[i];
		const RlrecQEntry *other = rlrec_learned_find(state.row[1], entry->action, entry->length);
		int32		item = rlrec_dictionary_find(&model->items, entry->action, entry->length);

		if (item >= 0)
			scores[item] = (float) (other ? (entry->q + other->q) / 2 : entry->q);
	}
	return true;
}

/* ---------------------------------------------------------------- learning on */

/* The history of the known items among the events; the arrays are palloc'd. */
static RlrecHistory
history_of(int32 n, const RlrecPastEvent *events, RlrecKey user)
{
	int32	   *item = palloc(Max(n, 1) * sizeof(int32));
	int64	   *time = palloc(Max(n, 1) * sizeof(int64));
	float	   *reward = palloc(Max(n, 1) * sizeof(float));
	uint8	   *type = palloc(Max(n, 1) * sizeof(uint8));
	int32		known = 0;

	for (int32 i = 0; i < n; i++)
	{
		if (!(events[i].reward > 0) || events[i].item < 0)
			continue;
		item[known] = events[i].item;
		time[known] = events[i].time;
		reward[known] = events[i].reward;
		type[known++] = events[i].type;
	}
	return (RlrecHistory) {known, item, time, reward, type, known > 0 ? time[known - 1] : 0, user, NULL};
}

/* The key of the state after a history, palloc'd; NULL when there is none. */
static const char *
key_after(const RlrecModel *model, RlrecStateReader *reader, const RlrecHistory *history, int32 *length)
{
	int32		cluster = reader->kind == RLREC_STATE_CLUSTER && history->n > 0 ? rlrec_cluster_of(model, history) : -1;
	const char *key = rlrec_state_key(reader, history->item, history->n, &history->key, cluster, length);

	return key == NULL ? NULL : pnstrdup(key, *length);
}

/* What the state is worth to table t. */
static double
future(const RlrecModel *model, const RlrecTabular *tabular, const Table *table, const State *state, int t)
{
	const RlrecLearnedRow *row = state->row[t];
	int			trained = state->trained < 0 ? 0 : table->offset[state->trained + 1] - table->offset[state->trained];
	int			room = Max(trained + (row ? row->n : 0), 1);
	double	   *q = palloc_extended(room * sizeof(double), MCXT_ALLOC_HUGE);
	double	   *other = palloc_extended(room * sizeof(double), MCXT_ALLOC_HUGE);
	int			n = trained;
	double		worth = tabular->initial;

	for (int i = 0; i < trained; i++)
		q[i] = other[i] = table->q[table->offset[state->trained] + i];
	for (int i = 0; row != NULL && i < row->n; i++)
	{
		const RlrecQEntry *second = rlrec_learned_find(state->row[1 - t], row->entry[i].action, row->entry[i].length);
		int32		item = rlrec_dictionary_find(&model->items, row->entry[i].action, row->entry[i].length);
		int32		entry = find_entry(table, state->trained, item);
		int			place = entry >= 0 ? entry - table->offset[state->trained] : n++;

		q[place] = row->entry[i].q;
		other[place] = second ? second->q : row->entry[i].q;
	}
	if (n > 0)
		worth = rlrec_tabular_future(tabular, n, rlrec_tabular_epsilon(tabular, model->n_users), q, other);
	pfree(q);
	pfree(other);
	return worth;
}

/* The entry of the event's action in table t, with the model's value where it is new. */
static RlrecQEntry *
take_entry(const RlrecLearned *learned, RlrecLearnedRow *row, const RlrecPastEvent *event, double q)
{
	RlrecQEntry *entry = rlrec_learned_find(row, event->id.bytes, event->id.length);

	if (entry != NULL)
	{
		row->changed = true;
		return entry;
	}
	entry = rlrec_learned_take(learned, row, event->id.bytes, event->id.length);
	entry->q = q;
	return entry;
}

/*
 * The update of one transition, as a sweep over the log would make it next. To Sarsa the action after it is not known yet: as at the end of a
 * log, what was to be expected counts.
 */
void
rlrec_qlearning_learn(const RlrecModel *model, const RlrecLesson *lesson, RlrecLearned *learned)
{
	const RlrecPastEvent *event = &lesson->after[lesson->place];
	RlrecHistory before = history_of(lesson->place, lesson->after, lesson->user);
	RlrecHistory after = history_of(lesson->place + 1, lesson->after, lesson->user);
	bool		both = model->learner == &rlrec_double_q;
	Table		table = open_table(model);
	RlrecTabular tabular;
	RlrecStateReader reader;
	int32		length,
				next_length;
	const char *key,
			   *next_key;
	State		state,
				next;
	int32		trained;
	double		q;
	double		target;
	int64		visits;
	RlrecQEntry *entry[2];
	int			t = 0;

	if (!rlrec_tabular_read(model->learner->name, learned->options, &tabular))
		return;
	rlrec_state_reader_open(&reader, model);
	key = key_after(model, &reader, &before, &length);
	next_key = key_after(model, &reader, &after, &next_length);
	if (event->item < 0 || key == NULL)
		return;
	state = find_state(model, &table, learned, key, length, true);
	if (state.row[0] == NULL || (both && state.row[1] == NULL))
		return;
	next = next_key ? find_state(model, &table, learned, next_key, next_length, false) : (State) {-1, {NULL, NULL}};
	if (both)
		t = rlrec_random_bits(rlrec_random_key((uint64) event->time, 2), hash_bytes((const unsigned char *) key, length) + event->item) & 1;

	trained = find_entry(&table, state.trained, event->item);
	q = trained < 0 ? tabular.initial : table.q[trained];
	visits = trained < 0 ? 0 : both ? table.visits[trained] / 2 : table.visits[trained];
	target = event->reward + tabular.gamma * future(model, &tabular, &table, &next, t);
	if (both)
		(void) take_entry(learned, state.row[1 - t], event, q);
	entry[t] = take_entry(learned, state.row[t], event, q);
	entry[t]->visits++;
	q = entry[t]->q + rlrec_tabular_step(&tabular, visits + entry[t]->visits) * (target - entry[t]->q);
	if (isfinite((float) q))
		entry[t]->q = q;
}

/* ---------------------------------------------------------------- looking */

void
rlrec_qlearning_describe(const RlrecModel *model, StringInfo json)
{
	Table		table = open_table(model);
	const double *training = rlrec_model_data(model, "training", RLREC_F64, 2);

	appendStringInfo(json, ", \"states\": %d, \"values\": %d, \"transitions\": %.0f, \"td_error\": %g", table.states.n,
					 table.offset[table.states.n], training[0], training[1]);
}

void
rlrec_qlearning_action_values(const RlrecModel *model, RlrecActionValueSink sink, void *argument)
{
	Table		table = open_table(model);
	const RlrecDictionary *states = &table.states;

	for (int32 s = 0; s < states->n; s++)
		for (int32 k = table.offset[s]; k < table.offset[s + 1]; k++)
			sink(argument, states->bytes + states->offset[s], states->offset[s + 1] - states->offset[s], table.action[k], table.q[k],
				 table.visits[k]);
}
