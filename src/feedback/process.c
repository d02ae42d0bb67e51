/*
 * process.c
 *	  Learning from committed feedback.
 *
 * Transactions that learn for one agent follow one another: each holds, until it ends, a lock that writes nothing, so that to look for
 * feedback in vain costs no transaction id, but where a table of the queue is emptied. The watermark is read after the lock is had; a snapshot
 * from before, of REPEATABLE READ, ends in a serialization failure when the watermark's row is updated. watermark.c says why each event
 * counts once.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "feedback/attribution.h"
#include "feedback/launcher.h"
#include "feedback/learn.h"
#include "feedback/process.h"
#include "feedback/queue.h"
#include "feedback/range.h"
#include "feedback/reader.h"
#include "feedback/stats.h"
#include "feedback/watermark.h"
#include "store/catalog.h"
#include "store/subscription.h"

#define BATCH 10000				/* events that rlrec_process() learns at a time */
#define LEAST_TRIES 1000		/* events that are tried one by one before the error counts as none of single events */

/* Columns of rlrec.watermark, in the order of sql/feedback.sql */
enum
{
	WATERMARK_AGENT = 1, WATERMARK_SEEN, WATERMARK_PARTIAL, WATERMARK_PARTIAL_ENTRIES
};

void
rlrec_process_check(const RlrecAgent *agent)
{
	if (rlrec_feedback_mode(agent->id) == RLREC_FEEDBACK_DETACHED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("agent \"%s\" is not attached to its events", agent->name),
				 errhint("SELECT rlrec_attach(%s) attaches it.", quote_literal_cstr(agent->name))));
}

bool
rlrec_process_lock(const RlrecAgent *agent, bool wait)
{
	LOCKTAG		tag;

	if (wait)
		LockRelationOid(agent->anchor, AccessShareLock);
	else if (!ConditionalLockRelationOid(agent->anchor, AccessShareLock))
		return false;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, rlrec_catalog_relation("watermark"), agent->anchor, 0);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

/* An agent without a row has learned nothing of the queue. */
static void
read_watermark(const RlrecAgent *agent, RlrecWatermark *watermark)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	bool		isnull;

	rlrec_catalog_begin(&scan, "watermark", "watermark_pkey", WATERMARK_AGENT, F_INT8EQ, Int64GetDatum(agent->id));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	descriptor = RelationGetDescr(scan.table);
		Datum		partial = heap_getattr(tuple, WATERMARK_PARTIAL, descriptor, &isnull);

		rlrec_watermark_read(watermark, heap_getattr(tuple, WATERMARK_SEEN, descriptor, &isnull));
		(void) heap_getattr(tuple, WATERMARK_PARTIAL, descriptor, &isnull);
		watermark->partial = isnull ? 0 : DatumGetUInt64(partial);
		watermark->partial_entries = DatumGetInt64(heap_getattr(tuple, WATERMARK_PARTIAL_ENTRIES, descriptor, &isnull));
		watermark->committed = !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	}
	else
		rlrec_watermark_read(watermark, DirectFunctionCall1(pg_snapshot_in, CStringGetDatum("1:1:")));
	rlrec_catalog_end(&scan);
}

static void
write_watermark(const RlrecAgent *agent, const RlrecWatermark *watermark, int64 learned)
{
	Oid			types[] = {INT8OID, PG_SNAPSHOTOID, XID8OID, INT8OID, INT8OID};
	Datum		values[5];
	char		nulls[] = "     ";

	values[0] = Int64GetDatum(agent->id);
	values[1] = rlrec_watermark_datum(watermark);
	values[2] = UInt64GetDatum(watermark->partial);
	nulls[2] = watermark->partial ? ' ' : 'n';
	values[3] = Int64GetDatum(watermark->partial_entries);
	values[4] = Int64GetDatum(learned);
	SPI_connect();
	rlrec_catalog_execute("INSERT INTO rlrec.watermark AS w (agent, seen, partial, partial_entries, learned, batches, learned_at)"
						  " VALUES ($1, $2, $3, $4, $5, 1, clock_timestamp())"
						  " ON CONFLICT (agent) DO UPDATE SET seen = EXCLUDED.seen, partial = EXCLUDED.partial,"
						  " partial_entries = EXCLUDED.partial_entries, learned = w.learned + EXCLUDED.learned,"
						  " batches = w.batches + 1, learned_at = EXCLUDED.learned_at", 5, types, values, nulls);
	SPI_finish();
}

/* The events of a batch */
typedef struct Batch
{
	RlrecFeedbackEvent *events;
	int64		n;
	int64		capacity;
	int			rows;			/* of the queue's rows, how many it has begun with */
	int64		next;			/* number of the first entry of the last of them that was left */
	bool		careful;		/* each entry is learned by itself, as it is added; no events are kept */
	List	   *skipped;		/* of Skipped * */
	TimestampTz began;
} Batch;

/* An entry whose error was its own */
typedef struct Skipped
{
	RlrecQueueEntry entry;
	ErrorData  *error;
} Skipped;

static void
add_events(Batch *batch, const RlrecFeedbackEvent *events, int64 n, TransactionId xid)
{
	if (batch->n + n > batch->capacity)
	{
		batch->capacity = Max(batch->n + n, 2 * batch->capacity);
		batch->events = repalloc_huge(batch->events, batch->capacity * sizeof(RlrecFeedbackEvent));
	}
	memcpy(batch->events + batch->n, events, n * sizeof(RlrecFeedbackEvent));
	for (int64 i = 0; i < n; i++)
		batch->events[batch->n++].xid = xid;
}

static void
add_entry(Batch *batch, const RlrecAgent *agent, const RlrecQueueEntry *entry, TransactionId xid)
{
	int64		n;
	RlrecFeedbackEvent *events;

	if (!entry->is_range)
	{
		add_events(batch, &entry->event, 1, xid);
		return;
	}
	events = rlrec_range_read(agent, entry, &n);
	add_events(batch, events, n, xid);
	pfree(events);
}

static void
learn_events(const Batch *batch, const RlrecAgent *agent)
{
	if (batch->n == 0)
		return;
	rlrec_attribute(agent, batch->events, batch->n);
	rlrec_online_learn(agent, batch->events, batch->n);
}

bool
rlrec_process_may_skip(const ErrorData *error)
{
	int			class = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return class == ERRCODE_DATA_EXCEPTION || class == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION || class == ERRCODE_PLPGSQL_ERROR;
}

/* Learns an entry in a subtransaction, or skips it; of a range only rows. */
static void
learn_entry(Batch *batch, const RlrecAgent *agent, const RlrecQueueEntry *entry, TransactionId xid)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Batch		alone = {.capacity = 1, .events = palloc(sizeof(RlrecFeedbackEvent))};
	ErrorData  *volatile error = NULL;

	CHECK_FOR_INTERRUPTS();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		add_entry(&alone, agent, entry, xid);
		learn_events(&alone, agent);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error == NULL)
	{
		batch->n += alone.n;
		pfree(alone.events);
	}
	else if (!rlrec_process_may_skip(error))
		ReThrowError(error);
	else if (entry->is_range && entry->low < entry->high)
	{
		RlrecQueueEntry half = *entry;

		half.high = entry->low + (int64) (((uint64) entry->high - (uint64) entry->low) / 2);
		learn_entry(batch, agent, &half, xid);
		half.low = half.high + 1;
		half.high = entry->high;
		learn_entry(batch, agent, &half, xid);
	}
	else
	{
		Skipped    *skipped = palloc(sizeof(Skipped));

		*skipped = (Skipped) {*entry, error};
		batch->skipped = lappend(batch->skipped, skipped);
	}
}

/* Whether it has `most` events or more; one that learns event by event is to end in time, and with one that it has learned. */
static bool
is_full(const Batch *batch, int64 most)
{
	if (batch->careful && batch->n > 0 && rlrec_worker_batch_timeout > 0 &&
		TimestampDifferenceExceeds(batch->began, GetCurrentTimestamp(), rlrec_worker_batch_timeout / 2))
		return true;
	return batch->n + list_length(batch->skipped) >= (batch->careful && batch->n == 0 ? Max(most, LEAST_TRIES) : most);
}

/* Adds the entries of a row that were not learned before, until the batch is full. */
static void
add_row(Batch *batch, const RlrecAgent *agent, const RlrecQueueRow *row, int64 most)
{
	const char *at = row->packed;

	batch->rows++;
	for (batch->next = row->first; batch->next < row->first + row->n && !is_full(batch, most); batch->next++)
	{
		RlrecQueueEntry entry;

		at = rlrec_queue_unpack(at, &entry);
		if (batch->next < row->first + row->skip)
			continue;
		if (batch->careful)
			learn_entry(batch, agent, &entry, (TransactionId) row->xid);
		else
			add_entry(batch, agent, &entry, (TransactionId) row->xid);
	}
}

/* Logs what was skipped. Where nothing was learned, the error is none of single events, and raised. */
static void
tell_skipped(const Batch *batch, const RlrecAgent *agent)
{
	ListCell   *cell;

	foreach(cell, batch->skipped)
	{
		const Skipped *skipped = lfirst(cell);
		const RlrecFeedbackEvent *event = &skipped->entry.event;

		if (batch->n == 0)
			ReThrowError(skipped->error);
		ereport(WARNING,
				(errcode(skipped->error->sqlerrcode),
				 skipped->entry.is_range ?
				 errmsg("agent \"%s\" skips the event with the primary key %lld", agent->name, (long long) skipped->entry.low) :
				 errmsg("agent \"%s\" skips an event of user \"%.*s\" and item \"%.*s\"", agent->name, (int) event->user_length, event->user,
						(int) event->item_length, event->item),
				 errdetail("%s", skipped->error->message)));
	}
}

/* Moves the watermark: n rows were learned, the last of them up to the entry `next`. */
static void
advance(RlrecWatermark *watermark, const RlrecReading *reading, int n, int64 next)
{
	const RlrecQueueRow *last = &reading->rows[n - 1];
	uint64		rest = n < reading->n ? reading->rows[n].xid : reading->rest;
	bool		complete = next == last->first + last->n && rest != last->xid;

	if (watermark->partial != 0)
	{
		bool		is_partial = last->xid == watermark->partial;

		if (is_partial && !complete)
			watermark->partial_entries = next;
		else
			rlrec_watermark_end_partial(watermark);
		if (is_partial)
			return;
	}
	if (complete && rest == 0)
		rlrec_watermark_copy(watermark, &reading->ended);
	else
		rlrec_watermark_advance(watermark, &reading->ended, last->xid);
	if (!complete)
		rlrec_watermark_set_partial(watermark, last->xid, next);
}

/* With the lock held, under a snapshot of our own, which sees what was done when this returns; *done when there was nothing to do. */
static int64
learn_batch(const RlrecAgent *agent, int64 most, bool *done, int64 *skipped)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec feedback", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	RlrecWatermark watermark;
	RlrecReading *reading;
	Batch		batch = {0};
	RlrecRole	saved;

	batch.capacity = 1;
	batch.events = palloc(sizeof(RlrecFeedbackEvent));
	batch.careful = skipped != NULL;
	batch.began = GetCurrentTimestamp();
	read_watermark(agent, &watermark);
	reading = rlrec_reader_next(agent->id, &watermark);
	if (reading != NULL)
	{
		rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
		while (batch.rows < reading->n && !is_full(&batch, most))
			add_row(&batch, agent, &reading->rows[batch.rows], most);
		if (!batch.careful)
			learn_events(&batch, agent);
		rlrec_run_back(&saved);
		tell_skipped(&batch, agent);
		if (skipped != NULL)
			*skipped += list_length(batch.skipped);
		advance(&watermark, reading, batch.rows, batch.next);
		write_watermark(agent, &watermark, batch.n);
		rlrec_reader_learned(reading, batch.rows, batch.next, &watermark);
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	*done = reading == NULL;
	return batch.n;
}

/* Batches until all is learned that a snapshot sees, or only one. */
static int64
learn_batches(const RlrecAgent *agent, int64 most, bool all, int64 *skipped)
{
	int64		learned = 0;
	bool		done;

	do
	{
		CHECK_FOR_INTERRUPTS();
		learned += learn_batch(agent, most, &done, skipped);
	} while (!done && (all || learned == 0));
	return learned;
}

static int64
learn(const RlrecAgent *agent, int64 most, bool all, int64 *skipped)
{
	static bool learning = false;
	volatile int64 learned = 0;
	RlrecAgent *locked;

	/* The owner's code may call us, and the lock is no obstacle to its own session. */
	if (learning)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("this session is learning from feedback already")));
	learning = true;
	PG_TRY();
	{
		rlrec_queue_rotate();
		(void) rlrec_process_lock(agent, true);
		PushCopiedSnapshot(GetTransactionSnapshot());

		/* As it is by now: another version may have been deployed meanwhile. */
		locked = rlrec_agent_find(agent->name);
		if (locked && locked->id == agent->id && rlrec_feedback_mode(agent->id) != RLREC_FEEDBACK_DETACHED)
			learned = learn_batches(locked, most, all, skipped);
		PopActiveSnapshot();
	}
	PG_FINALLY();
	{
		learning = false;
	}
	PG_END_TRY();
	return learned;
}

int64
rlrec_process_batch(const RlrecAgent *agent, int64 most, int64 *skipped)
{
	return learn(agent, most, false, skipped);
}

PG_FUNCTION_INFO_V1(rlrec_process);
Datum
rlrec_process(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent;
	int64		learned;

	PreventCommandIfReadOnly("rlrec_process()");
	PreventCommandDuringRecovery("rlrec_process()");
	agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN);
	rlrec_process_check(agent);
	learned = learn(agent, BATCH, true, NULL);
	rlrec_stats_revive(agent->id);
	PG_RETURN_INT64(learned);
}
