/*
 * queue.c
 *	  The queue of feedback: what committed transactions told, in three tables.
 *
 * A row holds some 8 KB of packed entries of one transaction for one agent. There is no index: readers go through all of it, so it has to stay
 * small. Writers append to one of the tables, the current one, whose number is the last value of a sequence, which each session remembers
 * until it hears of a change. Nothing depends on it that all agree: readers read all three, and a table is emptied only when
 *	 - the lock that excludes writers until their transactions end is had at once (a prepared transaction may hold it for days; three tables,
 *	   so that writing goes on in turn between the other two), and never waited for, as all that write would queue behind;
 *	 - what is committed says that every row in it is learned by its agent, or that the agent is not attached any more;
 *	 - and that is on disk, as the file is cut at once, as VACUUM does it, whatever becomes of this transaction. That needs no new file and no
 *	   catalog rows, and the lock is given back at once.
 * A reader that finds the table empty had no use for its rows: a watermark only grows, and what a reader has locked is the last one.
 *
 * Rows are written by heap_insert(), below the executor and its checks of rights: who may insert events may not write here.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/pg_control.h"
#include "catalog/pg_type.h"
#include "catalog/storage.h"
#include "commands/sequence.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"
#include "feedback/queue.h"
#include "store/catalog.h"

#define ROTATE_MS 500			/* a session looks no more often whether tables can be emptied, for it may go through all of them in vain */

/* ---------------------------------------------------------------- entries */

/* What an entry starts with; user, item and type follow, and the decision if there is one; in a range, the highest key. */
typedef struct EntryHead
{
	int64		time;			/* or the lowest key */
	float		reward;
	uint16		user_length;
	uint16		item_length;
	uint16		type_length;	/* NO_TYPE for none */
	uint16		kind;
} EntryHead;

#define NO_TYPE 0xFFFF

/* What kind says */
enum
{
	ENTRY_ROW, ENTRY_DECISION, ENTRY_RANGE
};

static void
pack_range(StringInfo packed, const RlrecQueueEntry *entry)
{
	EntryHead	head = {0};

	head.kind = ENTRY_RANGE;
	head.time = entry->low;
	appendBinaryStringInfo(packed, (char *) &head, sizeof(head));
	appendBinaryStringInfo(packed, (const char *) &entry->high, sizeof(int64));
	appendBinaryStringInfo(packed, (const char *) &entry->xmin, sizeof(TransactionId));
	appendBinaryStringInfo(packed, (const char *) &entry->cmin, sizeof(CommandId));
}

bool
rlrec_queue_pack(StringInfo packed, const RlrecQueueEntry *entry)
{
	const RlrecFeedbackEvent *event = &entry->event;
	size_t		type_length = event->type ? event->type_length : 0;
	EntryHead	head;

	if (entry->is_range)
	{
		pack_range(packed, entry);
		return true;
	}
	if (event->user_length > RLREC_QUEUE_MAX_BYTES || event->item_length > RLREC_QUEUE_MAX_BYTES || type_length > RLREC_QUEUE_MAX_BYTES ||
		sizeof(head) + event->user_length + event->item_length + type_length + sizeof(int64) > RLREC_QUEUE_MAX_BYTES)
		return false;
	head.time = event->time;
	head.reward = event->reward;
	head.user_length = event->user_length;
	head.item_length = event->item_length;
	head.type_length = event->type ? type_length : NO_TYPE;
	head.kind = event->decision != 0 ? ENTRY_DECISION : ENTRY_ROW;
	appendBinaryStringInfo(packed, (char *) &head, sizeof(head));
	appendBinaryStringInfo(packed, event->user, event->user_length);
	appendBinaryStringInfo(packed, event->item, event->item_length);
	if (event->type)
		appendBinaryStringInfo(packed, event->type, type_length);
	if (event->decision != 0)
		appendBinaryStringInfo(packed, (const char *) &event->decision, sizeof(int64));
	return true;
}

/* Copies so many bytes and returns the place behind them. */
static const char *
take(const char *at, void *to, size_t length)
{
	memcpy(to, at, length);
	return at + length;
}

const char *
rlrec_queue_unpack(const char *at, RlrecQueueEntry *entry)
{
	RlrecFeedbackEvent *event = &entry->event;
	EntryHead	head;

	memset(entry, 0, sizeof(*entry));
	at = take(at, &head, sizeof(head));
	if (head.kind == ENTRY_RANGE)
	{
		entry->is_range = true;
		entry->low = head.time;
		at = take(at, &entry->high, sizeof(int64));
		at = take(at, &entry->xmin, sizeof(TransactionId));
		return take(at, &entry->cmin, sizeof(CommandId));
	}
	event->time = head.time;
	event->reward = head.reward;
	event->user = at;
	event->user_length = head.user_length;
	event->item = at += head.user_length;
	event->item_length = head.item_length;
	at += head.item_length;
	if (head.type_length != NO_TYPE)
	{
		event->type = at;
		event->type_length = head.type_length;
		at += head.type_length;
	}
	if (head.kind == ENTRY_DECISION)
		at = take(at, &event->decision, sizeof(int64));
	return at;
}

/* ---------------------------------------------------------------- the tables */

static Oid	tables[RLREC_QUEUE_TABLES];		/* InvalidOid when not known */
static Oid	sequence = InvalidOid;
static int	current = -1;		/* number of the table to write to, -1 when not known */

static void
forget_tables(Datum argument pg_attribute_unused(), Oid relation)
{
	if (OidIsValid(relation) && relation != sequence && relation != tables[0] && relation != tables[1] && relation != tables[2])
		return;
	memset(tables, 0, sizeof(tables));
	sequence = InvalidOid;
	current = -1;
}

void
rlrec_queue_init(void)
{
	CacheRegisterRelcacheCallback(forget_tables, (Datum) 0);
}

Oid
rlrec_queue_table(int i)
{
	static const char *const names[RLREC_QUEUE_TABLES] = {"queue_0", "queue_1", "queue_2"};

	if (!OidIsValid(tables[i]))
		tables[i] = rlrec_catalog_relation(names[i]);
	return tables[i];
}

/* Calls that open a relation may forget it again. */
static Oid
sequence_oid(void)
{
	if (!OidIsValid(sequence))
		sequence = rlrec_catalog_relation("queue_segment");
	return sequence;
}

static int
current_table(void)
{
	Oid			oid;
	Relation	relation;
	Buffer		buffer;
	Page		page;
	HeapTupleHeader item;
	int			value;

	if (current >= 0)
		return current;
	oid = sequence_oid();
	relation = relation_open(oid, AccessShareLock);
	buffer = ReadBuffer(relation, 0);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	item = (HeapTupleHeader) PageGetItem(page, PageGetItemId(page, FirstOffsetNumber));
	value = (int) ((Form_pg_sequence_data) ((char *) item + item->t_hoff))->last_value;
	UnlockReleaseBuffer(buffer);
	relation_close(relation, AccessShareLock);
	sequence = oid;
	current = Max(0, Min(RLREC_QUEUE_TABLES - 1, value));
	return current;
}

int64
rlrec_queue_write(int64 agent, int64 first, const char *packed, size_t length)
{
	Relation	table = table_open(rlrec_queue_table(current_table()), RowExclusiveLock);
	const char *end = packed + length;
	Datum		values[RLREC_QUEUE_N];
	bool		nulls[RLREC_QUEUE_N] = {false};
	bytea	   *data = palloc(VARHDRSZ + Min(length, RLREC_QUEUE_MAX_BYTES));

	values[RLREC_QUEUE_AGENT - 1] = Int64GetDatum(agent);
	values[RLREC_QUEUE_XID - 1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[RLREC_QUEUE_TOLD_AT - 1] = TimestampTzGetDatum(GetCurrentStatementStartTimestamp());
	values[RLREC_QUEUE_DATA - 1] = PointerGetDatum(data);
	while (packed < end)
	{
		const char *at = packed;
		int			entries = 0;
		HeapTuple	tuple;

		while (at < end)
		{
			RlrecQueueEntry entry;
			const char *next = rlrec_queue_unpack(at, &entry);

			if (next - packed > RLREC_QUEUE_MAX_BYTES)
				break;
			at = next;
			entries++;
		}
		memcpy(VARDATA(data), packed, at - packed);
		SET_VARSIZE(data, VARHDRSZ + (at - packed));
		values[RLREC_QUEUE_FIRST - 1] = Int64GetDatum(first);
		values[RLREC_QUEUE_ENTRIES - 1] = Int32GetDatum(entries);
		tuple = heap_form_tuple(RelationGetDescr(table), values, nulls);
		heap_insert(table, tuple, GetCurrentCommandId(true), 0, NULL);
		heap_freetuple(tuple);
		packed = at;
		first += entries;
	}
	pfree(data);
	table_close(table, NoLock);
	return first;
}

/* ---------------------------------------------------------------- rotation */

static BlockNumber
table_blocks(int i)
{
	Relation	table = table_open(rlrec_queue_table(i), AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(table);

	table_close(table, AccessShareLock);
	return blocks;
}

int64
rlrec_queue_bytes(void)
{
	int64		bytes = 0;

	for (int i = 0; i < RLREC_QUEUE_TABLES; i++)
		bytes += (int64) table_blocks(i) * BLCKSZ;
	return bytes;
}

/* Finds a row from a place on that an attached agent has still to learn from, of what is committed by now; makes it the place. */
static bool
find_unlearned(int i, ItemPointer place)
{
	Oid			types[] = {TIDOID};
	Datum		values[] = {PointerGetDatum(place)};
	RlrecRole	saved;
	char	   *query = psprintf("SELECT q.ctid FROM rlrec.queue_%d q JOIN rlrec.subscription s USING (agent) JOIN rlrec.agent a ON a.id = s.agent"
								 " JOIN pg_class c ON c.oid = a.anchor AND c.relkind = 'S' AND c.relnamespace = 'rlrec'::regnamespace"
								 " LEFT JOIN rlrec.watermark w ON w.agent = s.agent"
								 " WHERE q.ctid >= $1 AND (w.seen IS NULL OR NOT pg_visible_in_snapshot(q.xid, w.seen))", i);
	bool		found;
	bool		isnull;

	rlrec_run_as(&saved, rlrec_catalog_owner(), SECURITY_LOCAL_USERID_CHANGE);
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read rlrec.queue_%d", i);
	found = SPI_processed > 0;
	if (found)
		*place = *(ItemPointer) DatumGetPointer(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PopActiveSnapshot();
	rlrec_run_back(&saved);
	return found;
}

/*
 * Whether what is committed by now has no row in the table that an attached agent still has to learn from. Where one was found the last time,
 * or further on, there mostly still is one.
 */
static bool
is_learned(int i)
{
	static ItemPointerData places[RLREC_QUEUE_TABLES];

	if (ItemPointerIsValid(&places[i]) && find_unlearned(i, &places[i]))
		return false;
	ItemPointerSet(&places[i], 0, FirstOffsetNumber);
	if (find_unlearned(i, &places[i]))
		return false;
	ItemPointerSetInvalid(&places[i]);
	return true;
}

/* Puts on disk what was committed up to now. */
static void
flush_log(void)
{
	char		nothing = 0;

	XLogBeginInsert();
	XLogRegisterData(&nothing, sizeof(nothing));
	XLogFlush(XLogInsert(RM_XLOG_ID, XLOG_NOOP));
}

/*
 * Empties a table that has been learned from, if nobody uses it, this session included: its locks are no obstacle to each other. That no
 * transaction is about to write to it is found out first, by a lock for which, other than for the last one, a transaction id is not needed.
 */
static void
empty_table(int i)
{
	Oid			oid = rlrec_queue_table(i);
	Relation	table;

	if (table_blocks(i) == 0 || !is_learned(i) || !ConditionalLockRelationOid(oid, ExclusiveLock))
		return;
	if (ConditionalLockRelationOid(oid, AccessExclusiveLock))
	{
		table = table_open(oid, NoLock);
		if (table->rd_refcnt == 1 && is_learned(i))
		{
			flush_log();
			RelationTruncate(table, 0);
		}
		table_close(table, AccessExclusiveLock);
	}
	UnlockRelationOid(oid, ExclusiveLock);
}

void
rlrec_queue_rotate(void)
{
	static TimestampTz looked_at = 0;
	TimestampTz time = GetCurrentTimestamp();
	int			now;

	/* What this transaction did so far may yet be undone, and has to be seen neither by is_learned(). */
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()) || !TimestampDifferenceExceeds(looked_at, time, ROTATE_MS))
		return;
	looked_at = time;
	current = -1;
	now = current_table();
	for (int i = 0; i < RLREC_QUEUE_TABLES; i++)
		if (i != now)
			empty_table(i);
	current = -1;
	now = current_table();
	if (table_blocks(now) < RLREC_QUEUE_TABLE_BYTES / BLCKSZ)
		return;
	for (int i = 1; i < RLREC_QUEUE_TABLES; i++)
	{
		int			next = (now + i) % RLREC_QUEUE_TABLES;
		Oid			oid;

		if (table_blocks(next) > 0)
			continue;
		oid = sequence_oid();
		while (nextval_internal(oid, false) != next)
			;
		CacheInvalidateRelcacheByRelid(oid);
		current = -1;
		return;
	}
}
