/*
 * qrows.c
 *	  The rows of rlrec.qtable: the action values of a state, read and changed.
 *
 * Values are changed by heap updates: the state's row is locked in its newest version first, as UPDATE does under READ COMMITTED, and nothing
 * that is indexed changes, so that the update stays within the page where there is room. No right is checked here; the caller has.
 *
 * A transaction that changes a row many times leaves as many versions, which an index scan would go through one by one; so the places of the
 * last rows that this transaction wrote are remembered.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "environment/qrows.h"
#include "store/catalog.h"

/* Columns of rlrec.qtable, in the order of sql/environment.sql */
enum
{
	QTABLE_AGENT = 1, QTABLE_STATE, QTABLE_PART, QTABLE_ENTRIES, QTABLE_N = QTABLE_ENTRIES
};

/* ---------------------------------------------------------------- rows that this transaction wrote */

#define WRITTEN 64				/* rows remembered, each where its hash says */

typedef struct Written
{
	char	   *state;			/* in TopTransactionContext; NULL for none */
	int			length;
	int			part;
	int64		agent;
	Oid			file;			/* of the table, which another command may have rewritten */
	ItemPointerData place;
} Written;

static Written written[WRITTEN];

static Written *
written_at(int64 agent, const char *state, int length, int part)
{
	return &written[(hash_bytes((const unsigned char *) state, length) + (uint32) agent * 2 + (uint32) part) % WRITTEN];
}

/* NULL when the row is not remembered. */
static Written *
find_written(Relation table, int64 agent, const char *state, int length, int part)
{
	Written    *row = written_at(agent, state, length, part);

	return row->state && row->agent == agent && row->part == part && row->file == table->rd_rel->relfilenode &&
		row->length == length && memcmp(row->state, state, length) == 0 ? row : NULL;
}

static void
remember(Relation table, int64 agent, const RlrecQRow *row, const ItemPointerData *place)
{
	Written    *to = written_at(agent, row->state, row->length, row->part);

	if (find_written(table, agent, row->state, row->length, row->part) == NULL)
	{
		if (to->state)
			pfree(to->state);
		to->state = MemoryContextAlloc(TopTransactionContext, Max(row->length, 1));
		memcpy(to->state, row->state, row->length);
		to->length = row->length;
		to->part = row->part;
		to->agent = agent;
		to->file = table->rd_rel->relfilenode;
	}
	to->place = *place;
}

static void
forget_written(void)
{
	memset(written, 0, sizeof(written));
}

static void
on_transaction(XactEvent event, void *argument pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget_written();
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId mine pg_attribute_unused(), SubTransactionId parent pg_attribute_unused(),
				  void *argument pg_attribute_unused())
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_written();
}

void
rlrec_qrows_init(void)
{
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}

/* ---------------------------------------------------------------- reading and changing */

/* Of the actions that the environment has; entries may be NULL, visits too. */
static void
unpack(const RlrecEnvironment *environment, const RlrecQTable *entries, double *q, int64 *visits)
{
	int			n = entries ? rlrec_qtable_n(entries) : 0;

	for (int a = 0; a < environment->n_actions; a++)
	{
		q[a] = environment->tabular.initial;
		if (visits)
			visits[a] = 0;
	}
	for (int i = 0; i < n; i++)
	{
		RlrecQEntry entry = rlrec_qtable_entry(entries, i);
		int32		a = rlrec_dictionary_find(&environment->actions, entry.action, entry.length);

		if (a < 0)
			continue;			/* an action that the agent has no longer */
		q[a] = entry.q;
		if (visits)
			visits[a] = entry.visits;
	}
}

/* The tuple of a state in the scan's buffer; NULL when the active snapshot sees none. */
static HeapTuple
find_tuple(Relation table, const RlrecEnvironment *environment, const char *state, int length, int part, SysScanDesc *scan)
{
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], QTABLE_AGENT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(environment->agent));
	ScanKeyInit(&keys[1], QTABLE_STATE, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(cstring_to_text_with_len(state, length)));
	ScanKeyInit(&keys[2], QTABLE_PART, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(part));
	*scan = systable_beginscan(table, rlrec_catalog_relation("qtable_pkey"), true, GetActiveSnapshot(), 3, keys);
	return systable_getnext(*scan);
}

/* Detoasted, in the tuple or palloc'd */
static RlrecQTable *
tuple_entries(Relation table, HeapTuple tuple)
{
	bool		isnull;

	return (RlrecQTable *) PG_DETOAST_DATUM(heap_getattr(tuple, QTABLE_ENTRIES, RelationGetDescr(table), &isnull));
}

void
rlrec_qrows_read(const RlrecEnvironment *environment, const char *state, int length, int part, double *q, int64 *visits)
{
	Relation	table = table_open(rlrec_catalog_relation("qtable"), AccessShareLock);
	Written    *known = find_written(table, environment->agent, state, length, part);
	SysScanDesc scan;
	HeapTuple	tuple;

	if (known)
	{
		TupleTableSlot *slot = table_slot_create(table, NULL);
		bool		visible = table_tuple_fetch_row_version(table, &known->place, GetActiveSnapshot(), slot);

		if (visible)
			unpack(environment, tuple_entries(table, ExecFetchSlotHeapTuple(slot, false, NULL)), q, visits);
		ExecDropSingleTupleTableSlot(slot);
		if (visible)
		{
			table_close(table, AccessShareLock);
			return;
		}
	}
	tuple = find_tuple(table, environment, state, length, part, &scan);
	unpack(environment, HeapTupleIsValid(tuple) ? tuple_entries(table, tuple) : NULL, q, visits);
	systable_endscan(scan);
	table_close(table, AccessShareLock);
}

/* A row without values, unless there is one by now. */
static void
insert_row(const RlrecEnvironment *environment, Relation table, const char *state, int length, int part)
{
	Oid			types[] = {INT8OID, TEXTOID, INT2OID, TupleDescAttr(RelationGetDescr(table), QTABLE_ENTRIES - 1)->atttypid};
	Datum		values[4];
	RlrecQTable *empty = rlrec_qtable_build(0, NULL);

	values[0] = Int64GetDatum(environment->agent);
	values[1] = PointerGetDatum(cstring_to_text_with_len(state, length));
	values[2] = Int16GetDatum(part);
	values[3] = PointerGetDatum(empty);
	SPI_connect();
	rlrec_catalog_execute("INSERT INTO rlrec.qtable (agent, state, part, entries) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
						  4, types, values, NULL);
	SPI_finish();
}

/* Locks the newest version of the tuple at a place; false when it was deleted. */
static bool
lock_tuple(Relation table, ItemPointer place, RlrecQRow *row)
{
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TM_FailureData failure;
	TM_Result	result;
	uint8		flags = TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS;

	if (!IsolationUsesXactSnapshot())
		flags |= TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
	result = table_tuple_lock(table, place, GetActiveSnapshot(), slot, GetCurrentCommandId(true), LockTupleNoKeyExclusive, LockWaitBlock,
							  flags, &failure);
	if (IsolationUsesXactSnapshot() && (result == TM_Updated || result == TM_Deleted))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errhint("Retry the transaction.")));
	if (result == TM_Ok)
	{
		row->tuple = ExecCopySlotHeapTuple(slot);
		row->place = slot->tts_tid;
	}
	else if (result != TM_Deleted)
		elog(ERROR, "unexpected result %d of table_tuple_lock()", result);
	ExecDropSingleTupleTableSlot(slot);
	return result == TM_Ok;
}

void
rlrec_qrow_lock(const RlrecEnvironment *environment, Relation table, const char *state, int length, int part, RlrecQRow *row)
{
	Written    *known = find_written(table, environment->agent, state, length, part);
	bool		locked = known && lock_tuple(table, &known->place, row);

	row->state = state;
	row->length = length;
	row->part = part;
	while (!locked)
	{
		SysScanDesc scan;
		HeapTuple	tuple = find_tuple(table, environment, state, length, part, &scan);
		bool		found = HeapTupleIsValid(tuple);
		ItemPointerData place;

		if (found)
			place = tuple->t_self;
		systable_endscan(scan);
		if (found)
			locked = lock_tuple(table, &place, row);
		else
			insert_row(environment, table, state, length, part);
		if (!locked)
		{
			CHECK_FOR_INTERRUPTS();
			PopActiveSnapshot();
			PushCopiedSnapshot(GetTransactionSnapshot());
		}
	}
	row->entries = tuple_entries(table, row->tuple);
	unpack(environment, row->entries, row->q, row->visits);
}

/* Puts row->entries in the row's place. */
static void
update_row(const RlrecEnvironment *environment, Relation table, RlrecQRow *row)
{
	HeapTuple	tuple;
	Datum		values[QTABLE_N] = {0};
	bool		nulls[QTABLE_N] = {false};
	bool		replace[QTABLE_N] = {false};

	values[QTABLE_ENTRIES - 1] = PointerGetDatum(row->entries);
	replace[QTABLE_ENTRIES - 1] = true;
	tuple = heap_modify_tuple(row->tuple, RelationGetDescr(table), values, nulls, replace);
	CatalogTupleUpdate(table, &row->place, tuple);
	remember(table, environment->agent, row, &tuple->t_self);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

void
rlrec_qrow_store(const RlrecEnvironment *environment, Relation table, RlrecQRow *row, int action)
{
	const char *name = environment->action[action];
	int			length = (int) strlen(name);
	int			i = rlrec_qtable_find(row->entries, name, length);

	if (i < 0)
		row->entries = rlrec_qtable_with(row->entries, name, length, &i);
	rlrec_qtable_set(row->entries, i, row->q[action], row->visits[action]);
	update_row(environment, table, row);
}

void
rlrec_qrow_write(const RlrecEnvironment *environment, Relation table, const char *state, int length, int part, const double *q,
				 const int64 *visits)
{
	int			actions = environment->n_actions;
	RlrecQRow	row = {.q = palloc_array(double, actions), .visits = palloc_array(int64, actions)};
	RlrecQEntry *entries;
	int			n = 0;

	rlrec_qrow_lock(environment, table, state, length, part, &row);
	if (memcmp(row.visits, visits, actions * sizeof(int64)) == 0)
		return;
	entries = palloc_array(RlrecQEntry, rlrec_qtable_n(row.entries) + actions);
	for (int e = 0; e < rlrec_qtable_n(row.entries); e++)
	{
		entries[n] = rlrec_qtable_entry(row.entries, e);
		if (rlrec_dictionary_find(&environment->actions, entries[n].action, entries[n].length) < 0)
			n++;
	}
	for (int a = 0; a < actions; a++)
		if (visits[a] > 0)
			entries[n++] = (RlrecQEntry) {environment->action[a], (int) strlen(environment->action[a]), q[a], visits[a]};
	row.entries = rlrec_qtable_build(n, entries);
	update_row(environment, table, &row);
}
