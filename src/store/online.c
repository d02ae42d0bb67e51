/*
 * online.c
 *	  The rows that an agent learns of events on top of a version: kept, and changed by one session at a time; online_read.c reads them to serve.
 *
 * The rows are those of rlrec.qtable, whose part says what they are: learner/learned.h. The agent's row of rlrec.learned is locked by whoever
 * changes them, and its generation changes with them; rows of another version than the one deployed are as good as none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "data/intern.h"
#include "store/catalog.h"
#include "store/online.h"
#include "store/online_row.h"
#include "store/sums.h"

typedef struct KeptRow
{
	RlrecLearnedRow *row;		/* NULL where there is none, and none was asked to be made */
	char	   *state;
	int			length;
	int			part;
	HeapTuple	tuple;			/* NULL when it is new */
} KeptRow;

typedef struct KeptSums
{
	const char *learner;
	RlrecLearnedSums sums;		/* sum NULL when there are none, and no room for states */
} KeptSums;

typedef struct RlrecOnlineState
{
	MemoryContext context;
	Relation	table;			/* rlrec.qtable */
	Snapshot	snapshot;		/* that sees the newest rows; NULL when all there were are deleted */
	RlrecIntern *keys;			/* of a part and a state, by which `kept` is indexed */
	int			n;
	int			room;
	KeptRow    *kept;
	List	   *sums;			/* of KeptSums * */
	int64		states;
	int64		most_states;
} RlrecOnlineState;

static bool
is_bucketed(int part)
{
	return part == RLREC_LEARNED_USERS || part == RLREC_LEARNED_DECAYED;
}

/* The row as the table has it. */
static void
load_row(RlrecOnlineRows *rows, KeptRow *kept)
{
	RlrecOnlineState *state = rows->state;

	if (state->snapshot != NULL)
		kept->row = rlrec_online_row_read(state->table, state->snapshot, rows->agent, kept->part, kept->state, kept->length, &kept->tuple);
}

static KeptRow *
keep_row(RlrecOnlineRows *rows, int part, const char *name, int length)
{
	RlrecOnlineState *state = rows->state;
	char	   *key = palloc(length + 1);
	int32		number;
	KeptRow    *kept;

	key[0] = (char) part;
	memcpy(key + 1, name, length);
	number = rlrec_intern_add(state->keys, key, length + 1);
	if (number < state->n)
	{
		pfree(key);
		return &state->kept[number];
	}
	if (state->n == state->room)
	{
		state->room *= 2;
		state->kept = repalloc_huge(state->kept, state->room * sizeof(KeptRow));
	}
	kept = &state->kept[state->n++];
	*kept = (KeptRow) {NULL, key + 1, length, part, NULL};
	load_row(rows, kept);
	return kept;
}

static RlrecLearnedRow *
learning_row(RlrecLearned *learned, int part, const char *name, int length, bool create)
{
	RlrecOnlineRows *rows = (RlrecOnlineRows *) learned;
	RlrecOnlineState *state = rows->state;
	MemoryContext outer = MemoryContextSwitchTo(state->context);
	KeptRow    *kept = keep_row(rows, part, name, length);

	if (kept->row == NULL && create && (is_bucketed(part) || state->states < state->most_states))
	{
		kept->row = rlrec_online_row_create();
		state->states += !is_bucketed(part);
	}
	MemoryContextSwitchTo(outer);
	return kept->row;
}

static RlrecLearnedSums *
learning_sums(RlrecLearned *learned, const char *learner, int n, int m, bool create)
{
	RlrecOnlineRows *rows = (RlrecOnlineRows *) learned;
	RlrecOnlineState *state = rows->state;
	MemoryContext outer;
	KeptSums   *kept;
	ListCell   *cell;

	foreach(cell, state->sums)
	{
		kept = lfirst(cell);
		if (kept->learner == learner)
			return kept->sums.sum ? &kept->sums : NULL;
	}
	if (!create)
		return NULL;
	outer = MemoryContextSwitchTo(state->context);
	kept = palloc(sizeof(KeptSums));
	*kept = (KeptSums) {learner, {n, NULL, m, palloc0(mul_size(m, sizeof(double)))}};
	if (state->snapshot != NULL)
		kept->sums.sum = rlrec_sums_read(rows->agent, learner, RLREC_SUMS_STATISTICS, n, state->snapshot);
	if (kept->sums.sum == NULL && state->most_states > 0)
		kept->sums.sum = palloc0(mul_size(n, sizeof(double)));
	state->sums = lappend(state->sums, kept);
	MemoryContextSwitchTo(outer);
	return kept->sums.sum ? &kept->sums : NULL;
}

static void
start_rows(RlrecOnlineState *state)
{
	state->sums = NIL;
	state->keys = rlrec_intern_create();
	state->n = 0;
	state->room = 256;
	state->kept = palloc_array(KeptRow, state->room);
}

/* The agent's row of rlrec.learned, locked: what it says goes to *rows. */
static void
lock_head(RlrecOnlineRows *rows)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(rows->agent)};
	Datum		column[LEARNED_N];
	bool		isnull;

	rlrec_catalog_execute("INSERT INTO rlrec.learned (agent, model) VALUES ($1, -1) ON CONFLICT DO NOTHING", 1, types, values, NULL);
	if (rlrec_catalog_execute("SELECT agent, model, generation, events, newer, users, states, newest FROM rlrec.learned WHERE agent = $1 FOR UPDATE",
							  1, types, values, NULL) != 1)
		elog(ERROR, "could not lock what agent %lld has learned", (long long) rows->agent);
	for (int i = 0; i < LEARNED_N; i++)
		column[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull);
	rows->model = DatumGetInt64(column[LEARNED_MODEL - 1]);
	rows->events = DatumGetInt64(column[LEARNED_EVENTS - 1]);
	rows->newer = DatumGetInt64(column[LEARNED_NEWER - 1]);
	rows->learned.users = DatumGetInt64(column[LEARNED_USERS - 1]);
	rows->state->states = DatumGetInt64(column[LEARNED_STATES - 1]);
	rows->learned.newest = DatumGetInt64(column[LEARNED_NEWEST - 1]);
	SPI_freetuptable(SPI_tuptable);
}

RlrecOnlineRows *
rlrec_online_lock(const RlrecAgent *agent)
{
	RlrecOnlineRows *rows = palloc0(sizeof(RlrecOnlineRows));
	RlrecOnlineState *state = palloc0(sizeof(RlrecOnlineState));

	rows->learned.row = learning_row;
	rows->learned.sums = learning_sums;
	rows->learned.options = agent->options;
	rows->learned.most = rlrec_option_int(agent->options, rlrec_agent_options, "online_entries");
	rows->agent = agent->id;
	rows->state = state;
	state->context = CurrentMemoryContext;
	state->most_states = rlrec_option_int(agent->options, rlrec_agent_options, "online_states");
	lock_head(rows);
	state->table = table_open(rlrec_catalog_relation("qtable"), RowExclusiveLock);
	state->snapshot = RegisterSnapshot(GetLatestSnapshot());
	start_rows(state);
	return rows;
}

/* The rows, and what is in them. */
static void
delete_rows(int64 agent)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent)};

	rlrec_catalog_execute("DELETE FROM rlrec.qtable WHERE agent = $1", 1, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.sums WHERE agent = $1", 1, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.seen WHERE agent = $1 AND model = 0", 1, types, values, NULL);
}

void
rlrec_online_reset(RlrecOnlineRows *rows, int64 model)
{
	RlrecOnlineState *state = rows->state;

	delete_rows(rows->agent);
	if (state->snapshot != NULL)
		UnregisterSnapshot(state->snapshot);
	state->snapshot = NULL;
	state->states = 0;
	start_rows(state);
	rows->model = model;
	rows->newer = 0;
	rows->learned.users = 0;
	rows->learned.newest = PG_INT64_MIN;
}

static void
store_head(const RlrecOnlineRows *rows)
{
	Oid			types[] = {INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID};
	Datum		values[7];

	values[0] = Int64GetDatum(rows->agent);
	values[1] = Int64GetDatum(rows->model);
	values[2] = Int64GetDatum(rows->events);
	values[3] = Int64GetDatum(rows->learned.users);
	values[4] = Int64GetDatum(rows->state->states);
	values[5] = Int64GetDatum(rows->learned.newest);
	values[6] = Int64GetDatum(rows->newer);
	rlrec_catalog_execute("UPDATE rlrec.learned SET model = $2, generation = generation + 1, events = $3, users = $4, states = $5,"
						  " newest = $6, newer = $7 WHERE agent = $1", 7, types, values, NULL);
}

void
rlrec_online_store(RlrecOnlineRows *rows)
{
	RlrecOnlineState *state = rows->state;
	CatalogIndexState indexes = CatalogOpenIndexes(state->table);
	bool		nulls[QTABLE_N] = {false};
	Datum		values[QTABLE_N];
	ListCell   *cell;

	for (int i = 0; i < state->n; i++)
	{
		KeptRow    *kept = &state->kept[i];
		HeapTuple	tuple;

		if (kept->row == NULL || !kept->row->changed)
			continue;
		values[QTABLE_AGENT - 1] = Int64GetDatum(rows->agent);
		values[QTABLE_STATE - 1] = PointerGetDatum(cstring_to_text_with_len(kept->state, kept->length));
		values[QTABLE_PART - 1] = Int16GetDatum(kept->part);
		values[QTABLE_ENTRIES - 1] = PointerGetDatum(rlrec_qtable_build(kept->row->n, kept->row->entry));
		tuple = heap_form_tuple(RelationGetDescr(state->table), values, nulls);
		if (kept->tuple != NULL)
			CatalogTupleUpdateWithInfo(state->table, &kept->tuple->t_self, tuple, indexes);
		else
			CatalogTupleInsertWithInfo(state->table, tuple, indexes);
		heap_freetuple(tuple);
		pfree(DatumGetPointer(values[QTABLE_ENTRIES - 1]));
	}
	CatalogCloseIndexes(indexes);
	if (state->snapshot != NULL)
		UnregisterSnapshot(state->snapshot);
	table_close(state->table, NoLock);
	foreach(cell, state->sums)
	{
		const KeptSums *kept = lfirst(cell);

		if (kept->sums.sum != NULL)
			rlrec_sums_write(rows->agent, kept->learner, &kept->sums);
	}
	CommandCounterIncrement();
	store_head(rows);
}

/* ---------------------------------------------------------------- what was seen */

bool
rlrec_online_seen(int64 agent, int64 model, RlrecSeen *seen)
{
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(agent), Int64GetDatum(model)};
	bool		isnull;

	if (rlrec_catalog_execute("SELECT seen FROM rlrec.seen WHERE agent = $1 AND model = $2", 2, types, values, NULL) == 0)
		return false;
	*seen = rlrec_seen_open(SPI_datumTransfer(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull), false, -1));
	SPI_freetuptable(SPI_tuptable);
	return true;
}

void
rlrec_online_set_seen(int64 agent, int64 model, Datum seen)
{
	Oid			types[] = {INT8OID, INT8OID, PG_SNAPSHOTOID};
	Datum		values[] = {Int64GetDatum(agent), Int64GetDatum(model), seen};

	rlrec_catalog_execute("INSERT INTO rlrec.seen (agent, model, seen) VALUES ($1, $2, $3)"
						  " ON CONFLICT (agent, model) DO UPDATE SET seen = EXCLUDED.seen", 3, types, values, NULL);
}

void
rlrec_online_forget(int64 agent)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent)};

	rlrec_catalog_execute("DELETE FROM rlrec.learned WHERE agent = $1", 1, types, values, NULL);
	delete_rows(agent);
}

bool
rlrec_online_state(int64 agent, int64 *model, int64 *newer)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	bool		isnull;
	bool		found;

	rlrec_catalog_begin(&scan, "learned", "learned_pkey", LEARNED_AGENT, F_INT8EQ, Int64GetDatum(agent));
	tuple = rlrec_catalog_next(&scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		*model = DatumGetInt64(heap_getattr(tuple, LEARNED_MODEL, RelationGetDescr(scan.table), &isnull));
		*newer = DatumGetInt64(heap_getattr(tuple, LEARNED_NEWER, RelationGetDescr(scan.table), &isnull));
	}
	rlrec_catalog_end(&scan);
	return found;
}
