/*
 * range.c
 *	  Feedback by ranges of the primary key, for bulk loads.
 *
 * A trigger that fires once a statement queues no rows, only the range of their keys and the transaction and command that inserted them, their
 * xmin and cmin. They are read when they are learned from: a row that was updated or deleted meanwhile has others, or is not there, and
 * teaches nothing. Keys that ascend, as those of a sequence do, are cut in ranges of ROWS, so that a batch can end between them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "feedback/buffer.h"
#include "feedback/range.h"
#include "store/event_stream.h"

#define ROWS 1000

AttrNumber
rlrec_range_key(Relation relation)
{
	char	   *name = rlrec_integer_primary_key(RelationGetRelid(relation));

	return name ? get_attnum(RelationGetRelid(relation), name) : InvalidAttrNumber;
}

static int64
key_of(TupleTableSlot *slot, AttrNumber key, Oid type)
{
	bool		isnull;
	Datum		datum = slot_getattr(slot, key, &isnull);

	return type == INT8OID ? DatumGetInt64(datum) : type == INT4OID ? DatumGetInt32(datum) : DatumGetInt16(datum);
}

void
rlrec_range_tell(int64 agent, Relation relation, AttrNumber key, Tuplestorestate *rows)
{
	Oid			type = getBaseType(TupleDescAttr(RelationGetDescr(relation), key - 1)->atttypid);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsMinimalTuple);
	RlrecQueueEntry range = {0};
	int64	   *highest = palloc(sizeof(int64));	/* of each range */
	int64		ranges = 0;
	int64		n = 0;
	int64		last = 0;
	bool		ascending = true;

	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	for (; tuplestore_gettupleslot(rows, true, false, slot); n++)
	{
		int64		value = key_of(slot, key, type);

		ascending = ascending && (n == 0 || value > last);
		range.low = n == 0 ? value : Min(range.low, value);
		range.high = n == 0 ? value : Max(range.high, value);
		last = value;
		if (n % ROWS == 0)
			highest = repalloc_huge(highest, (++ranges) * sizeof(int64));
		highest[ranges - 1] = range.high;
	}
	ExecDropSingleTupleTableSlot(slot);
	if (n == 0)
		return;

	range.is_range = true;
	range.xmin = GetCurrentTransactionId();
	range.cmin = GetActiveSnapshot()->curcid;	/* the statement's, whatever other triggers did since */
	for (int64 i = ascending ? 0 : ranges - 1; i < ranges; i++)
	{
		range.high = highest[i];
		(void) rlrec_buffer_add(agent, &range);
		range.low = range.high + 1;
	}
	pfree(highest);
}

/* ---------------------------------------------------------------- reading */

typedef struct Collector
{
	bool		has_time;
	RlrecFeedbackEvent *events;
	int64		n;
	int64		capacity;
} Collector;

/* A copy in the context of the collector's array */
static const char *
copy(const Collector *collector, const char *bytes, size_t length)
{
	char	   *to = MemoryContextAlloc(GetMemoryChunkContext(collector->events), Max(length, 1));

	memcpy(to, bytes, length);
	return to;
}

static void
collect(void *argument, const RlrecEvent *row)
{
	Collector  *collector = argument;
	RlrecFeedbackEvent *event;

	if (collector->n == collector->capacity)
	{
		collector->capacity *= 2;
		collector->events = repalloc_huge(collector->events, collector->capacity * sizeof(RlrecFeedbackEvent));
	}
	event = &collector->events[collector->n++];
	memset(event, 0, sizeof(*event));
	event->user = copy(collector, row->user, row->user_length);
	event->user_length = row->user_length;
	event->item = copy(collector, row->item, row->item_length);
	event->item_length = row->item_length;
	event->type = row->type ? copy(collector, row->type, row->type_length) : NULL;
	event->type_length = row->type_length;
	event->time = collector->has_time ? row->time : GetCurrentStatementStartTimestamp();
	event->reward = row->reward;
}

RlrecFeedbackEvent *
rlrec_range_read(const RlrecAgent *agent, const RlrecQueueEntry *range, int64 *n)
{
	Collector	collector = {0};

	collector.has_time = agent->time_column != NULL;
	collector.capacity = ROWS;
	collector.events = palloc(ROWS * sizeof(RlrecFeedbackEvent));
	rlrec_events_stream_range(agent, range->low, range->high, range->xmin, range->cmin, collect, &collector);
	*n = collector.n;
	return collector.events;
}
