/*
 * online.c
 *	  The rows that an agent learns of events on top of a version: kept, changed by one session at a time, and read when it serves.
 *
 * The rows are those of rlrec.qtable, whose part says what they are: learner/learned.h. The agent's row of rlrec.learned is locked by whoever
 * changes them, and its generation changes with them; rows of another version than the one deployed are as good as none.
 *
 * Serving probes for the agent's row, and for the rows of the states that a learner asks for. Counts of items lie in 64 rows, so that an event
 * need not rewrite all of them, and serving keeps what it read of them, for each agent, as long as the agent's row is the same one.
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
#include "store/sums.h"

/* Columns of rlrec.qtable and rlrec.learned, in the order of sql/environment.sql and sql/online.sql. */
enum
{
	QTABLE_AGENT = 1, QTABLE_STATE, QTABLE_PART, QTABLE_ENTRIES, QTABLE_N = QTABLE_ENTRIES
};
enum
{
	LEARNED_AGENT = 1, LEARNED_MODEL, LEARNED_GENERATION, LEARNED_EVENTS, LEARNED_NEWER, LEARNED_USERS, LEARNED_STATES, LEARNED_NEWEST,
	LEARNED_N = LEARNED_NEWEST
};
enum
{
	SEEN_AGENT = 1, SEEN_MODEL, SEEN_SEEN
};

/* Entries that a row starts with. */
#define ROOM 8

/* ---------------------------------------------------------------- rows */

/* The row's tuple in the scan's buffer; NULL when there is none. */
static HeapTuple
find_tuple(Relation table, Snapshot snapshot, int64 agent, int part, const char *state, int length, SysScanDesc *scan)
{
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], QTABLE_AGENT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(agent));
	ScanKeyInit(&keys[1], QTABLE_STATE, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(cstring_to_text_with_len(state, length)));
	ScanKeyInit(&keys[2], QTABLE_PART, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(part));
	*scan = systable_beginscan(table, rlrec_catalog_relation("qtable_pkey"), true, snapshot, 3, keys);
	return systable_getnext(*scan);
}

/* The tuple's entries, or none, in CurrentMemoryContext. */
static RlrecLearnedRow *
row_of_tuple(Relation table, HeapTuple tuple)
{
	RlrecLearnedRow *row = palloc0(sizeof(RlrecLearnedRow));
	RlrecQTable *entries = NULL;
	bool		isnull;

	if (HeapTupleIsValid(tuple))
	{
		entries = (RlrecQTable *) PG_DETOAST_DATUM_COPY(heap_getattr(tuple, QTABLE_ENTRIES, RelationGetDescr(table), &isnull));
		row->n = rlrec_qtable_n(entries);
	}
	row->room = Max(row->n, ROOM);
	row->entry = palloc_array(RlrecQEntry, row->room);
	for (int i = 0; i < row->n; i++)
		row->entry[i] = rlrec_qtable_entry(entries, i);
	return row;
}

/* ---------------------------------------------------------------- learning */

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
	RlrecLearnedSums sums;		/* sum NULL when there are none, and none were asked to be made */
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
	SysScanDesc scan;
	HeapTuple	tuple;

	if (state->snapshot == NULL)
		return;
	tuple = find_tuple(state->table, state->snapshot, rows->agent, kept->part, kept->state, kept->length, &scan);
	if (HeapTupleIsValid(tuple))
	{
		kept->tuple = heap_copytuple(tuple);
		kept->row = row_of_tuple(state->table, kept->tuple);
	}
	systable_endscan(scan);
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
		kept->row = row_of_tuple(state->table, NULL);
		state->states += !is_bucketed(part);
	}
	MemoryContextSwitchTo(outer);
	return kept->row;
}

static KeptSums *
keep_sums(RlrecOnlineRows *rows, const char *learner, int n, int m)
{
	RlrecOnlineState *state = rows->state;
	KeptSums   *kept;
	ListCell   *cell;

	foreach(cell, state->sums)
	{
		kept = lfirst(cell);
		if (kept->learner == learner)
			return kept;
	}
	kept = palloc(sizeof(KeptSums));
	*kept = (KeptSums) {learner, {n, NULL, m, palloc0(mul_size(m, sizeof(double)))}};
	if (state->snapshot != NULL)
		kept->sums.sum = rlrec_sums_read(rows->agent, learner, RLREC_SUMS_STATISTICS, n, state->snapshot);
	state->sums = lappend(state->sums, kept);
	return kept;
}

static RlrecLearnedSums *
learning_sums(RlrecLearned *learned, const char *learner, int n, int m, bool create)
{
	RlrecOnlineRows *rows = (RlrecOnlineRows *) learned;
	MemoryContext outer = MemoryContextSwitchTo(rows->state->context);
	KeptSums   *kept = keep_sums(rows, learner, n, m);

	if (kept->sums.sum == NULL && create && rows->state->most_states > 0)
		kept->sums.sum = palloc0(mul_size(n, sizeof(double)));
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

void
rlrec_online_reset(RlrecOnlineRows *rows, int64 model)
{
	RlrecOnlineState *state = rows->state;
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(rows->agent)};

	rlrec_catalog_execute("DELETE FROM rlrec.qtable WHERE agent = $1", 1, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.sums WHERE agent = $1", 1, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.seen WHERE agent = $1 AND model = 0", 1, types, values, NULL);
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
	rlrec_catalog_execute("DELETE FROM rlrec.qtable WHERE agent = $1", 1, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.sums WHERE agent = $1", 1, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.seen WHERE agent = $1 AND model = 0", 1, types, values, NULL);
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

/* ---------------------------------------------------------------- serving */

/* Which version of an agent's row of rlrec.learned. */
typedef struct HeadKey
{
	int64		agent;
	int64		model;
	int64		generation;
	Oid			file;			/* of the table */
	TransactionId xmin;
	ItemPointerData place;
} HeadKey;

typedef struct Reader
{
	RlrecLearned learned;
	const RlrecModel *model;
	HeadKey		head;
} Reader;

/* What this session has read of the rows of agents. */
#define KEPT 16

typedef struct Kept
{
	HeadKey		head;			/* agent 0: a free place */
	int			part;			/* of counts */
	const char *learner;		/* of sums; NULL of counts */
	MemoryContext context;
	void	   *value;			/* NULL for nothing */
	uint64		used;			/* the larger, the more recent */
} Kept;

static Kept kept_values[KEPT];
static uint64 uses = 0;

static RlrecLearnedRow *
serving_row(RlrecLearned *learned, int part, const char *name, int length, bool create pg_attribute_unused())
{
	Reader	   *reader = (Reader *) learned;
	Relation	table = table_open(rlrec_catalog_relation("qtable"), AccessShareLock);
	RlrecLearnedRow *row = NULL;
	SysScanDesc scan;
	HeapTuple	tuple = find_tuple(table, GetActiveSnapshot(), reader->head.agent, part, name, length, &scan);

	if (HeapTupleIsValid(tuple))
		row = row_of_tuple(table, tuple);
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return row;
}

static int
compare_new_items(const void *a, const void *b)
{
	const RlrecNewItem *x = a;
	const RlrecNewItem *y = b;
	int			order;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	order = memcmp(x->id, y->id, Min(x->length, y->length));
	return order != 0 ? order : x->length - y->length;
}

/* All rows of a part, added up; NULL when there are none. */
static void *
read_counts(Reader *reader, const void *argument)
{
	int			part = *(const int *) argument;
	const RlrecDictionary *items = &reader->model->items;
	float	   *count = palloc_extended(Max(items->n, 1) * sizeof(float), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	RlrecLearnedCounts *counts = palloc0(sizeof(RlrecLearnedCounts));
	RlrecNewItem *new_item = NULL;
	int			room = 0;
	bool		any = false;

	for (int b = 0; b < RLREC_LEARNED_BUCKETS; b++)
	{
		char		name[12];
		int			length = rlrec_learned_bucket_name(b, name);
		RlrecLearnedRow *row = serving_row(&reader->learned, part, name, length, false);

		for (int i = 0; row != NULL && i < row->n; i++)
		{
			const RlrecQEntry *entry = &row->entry[i];
			int32		item = rlrec_dictionary_find(items, entry->action, entry->length);

			any = true;
			if (item >= 0)
				count[item] = (float) entry->q;
			else if (entry->q > 0)
			{
				if (counts->n_new == room)
				{
					room = Max(2 * room, 64);
					new_item = new_item ? repalloc(new_item, room * sizeof(RlrecNewItem)) : palloc_array(RlrecNewItem, room);
				}
				new_item[counts->n_new++] = (RlrecNewItem) {entry->action, entry->length, (float) entry->q};
			}
		}
	}
	if (counts->n_new > 0)
		qsort(new_item, counts->n_new, sizeof(RlrecNewItem), compare_new_items);
	counts->count = count;
	counts->new_item = new_item;
	return any ? counts : NULL;
}

typedef struct OfLearner
{
	const char *learner;
	int			m;
} OfLearner;

static void *
read_made(Reader *reader, const void *argument)
{
	const OfLearner *of = argument;

	return rlrec_sums_read(reader->head.agent, of->learner, RLREC_SUMS_MADE, of->m, GetActiveSnapshot());
}

static bool
same_head(const HeadKey *a, const HeadKey *b)
{
	return a->agent == b->agent && a->model == b->model && a->generation == b->generation && a->file == b->file && a->xmin == b->xmin &&
		ItemPointerEquals(unconstify(ItemPointerData *, &a->place), unconstify(ItemPointerData *, &b->place));
}

/* What read() reads of the rows, which this session keeps. */
static void *
keep(Reader *reader, int part, const char *learner, void *(*read) (Reader *reader, const void *argument), const void *argument)
{
	Kept		fresh = {.head = reader->head, .part = part, .learner = learner};
	Kept	   *place = &kept_values[0];
	MemoryContext outer;

	for (int i = 0; i < KEPT; i++)
	{
		Kept	   *kept = &kept_values[i];
		bool		same = kept->part == part && kept->learner == learner;

		if (same && same_head(&kept->head, &reader->head))
		{
			kept->used = ++uses;
			return kept->value;
		}
		if (same && kept->head.agent == reader->head.agent)
			kept->used = 0;		/* out of date */
		if (kept->used < place->used)
			place = kept;
	}
	fresh.context = AllocSetContextCreate(CurrentMemoryContext, "rlrec learned", ALLOCSET_DEFAULT_SIZES);
	outer = MemoryContextSwitchTo(fresh.context);
	fresh.value = read(reader, argument);
	MemoryContextSwitchTo(outer);

	/* Nothing can fail from here on. */
	if (place->context != NULL)
		MemoryContextDelete(place->context);
	MemoryContextSetParent(fresh.context, TopMemoryContext);
	fresh.used = ++uses;
	*place = fresh;
	return place->value;
}

/* A copy, for what a session keeps may go with the next call that is nested in this one. */
static const RlrecLearnedCounts *
serving_counts(RlrecLearned *learned, int part)
{
	Reader	   *reader = (Reader *) learned;
	const RlrecLearnedCounts *counts = keep(reader, part, NULL, read_counts, &part);
	Size		size = Max(reader->model->items.n, 1) * sizeof(float);
	RlrecLearnedCounts *copy;
	float	   *count;
	RlrecNewItem *new_item;

	if (counts == NULL)
		return NULL;
	copy = palloc(sizeof(RlrecLearnedCounts));
	count = palloc_extended(size, MCXT_ALLOC_HUGE);
	new_item = palloc(counts->n_new * sizeof(RlrecNewItem));
	memcpy(count, counts->count, size);
	for (int i = 0; i < counts->n_new; i++)
	{
		new_item[i] = counts->new_item[i];
		new_item[i].id = pnstrdup(new_item[i].id, new_item[i].length);
	}
	*copy = (RlrecLearnedCounts) {count, counts->n_new, new_item};
	return copy;
}

static const double *
serving_made(RlrecLearned *learned, const char *learner, int m)
{
	OfLearner	of = {learner, m};

	return keep((Reader *) learned, 0, learner, read_made, &of);
}

RlrecLearned *
rlrec_online_read(const RlrecAgent *agent, const RlrecModel *model)
{
	Reader	   *reader = NULL;
	RlrecCatalogScan scan;
	HeapTuple	tuple;

	rlrec_catalog_begin(&scan, "learned", "learned_pkey", LEARNED_AGENT, F_INT8EQ, Int64GetDatum(agent->id));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[LEARNED_N];
		bool		nulls[LEARNED_N];

		heap_deform_tuple(tuple, RelationGetDescr(scan.table), values, nulls);
		if (DatumGetInt64(values[LEARNED_MODEL - 1]) == agent->deployed)
		{
			reader = palloc0(sizeof(Reader));
			reader->learned.row = serving_row;
			reader->learned.counts = serving_counts;
			reader->learned.made = serving_made;
			reader->learned.users = DatumGetInt64(values[LEARNED_USERS - 1]);
			reader->learned.newest = DatumGetInt64(values[LEARNED_NEWEST - 1]);
			reader->model = model;
			reader->head.agent = agent->id;
			reader->head.model = agent->deployed;
			reader->head.generation = DatumGetInt64(values[LEARNED_GENERATION - 1]);
			reader->head.file = scan.table->rd_rel->relfilenode;
			reader->head.xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
			reader->head.place = tuple->t_self;
		}
	}
	rlrec_catalog_end(&scan);
	return reader ? &reader->learned : NULL;
}
