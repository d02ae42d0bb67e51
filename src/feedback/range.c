/*
 * range.c
 *	  Feedback by ranges of the primary key, for bulk loads.
 *
 * A trigger that fires once a statement queues no rows, only the range of their keys and the transaction and command that inserted them, their
 * xmin and cmin. They are read when they are learned from: a row that was updated or deleted meanwhile has others, or is not there, and
 * teaches nothing. The keys are cut in ranges of ROWS, so that a batch can end between them; those that do not ascend are sorted for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"

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

/* The ranges of a statement's keys, in ascending order */
typedef struct Ranges
{
	int64		lowest;
	int64	   *highest;		/* [n] of each range */
	int64		n;
	int64		keys;
	bool		ascending;
} Ranges;

static void
add_key(Ranges *ranges, int64 key)
{
	if (ranges->keys == 0)
		ranges->lowest = key;
	else
		ranges->ascending = ranges->ascending && key > ranges->highest[ranges->n - 1];
	if (ranges->keys++ % ROWS == 0)
		ranges->highest = repalloc_huge(ranges->highest, (++ranges->n) * sizeof(int64));
	ranges->highest[ranges->n - 1] = key;
}

/* Takes the keys of the rows, sorted or as they come. */
static void
cut(Ranges *ranges, Relation relation, AttrNumber key, Tuplestorestate *rows, bool sorted)
{
	Oid			type = getBaseType(TupleDescAttr(RelationGetDescr(relation), key - 1)->atttypid);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsMinimalTuple);
	Tuplesortstate *sort = sorted ?
		tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE) : NULL;

	ranges->n = ranges->keys = 0;
	ranges->ascending = true;
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		if (sorted)
			tuplesort_putdatum(sort, Int64GetDatum(key_of(slot, key, type)), false);
		else
			add_key(ranges, key_of(slot, key, type));
	}
	ExecDropSingleTupleTableSlot(slot);
	if (sorted)
	{
		Datum		datum;
		bool		isnull;

		tuplesort_performsort(sort);
		while (rlrec_tuplesort_getdatum(sort, &datum, &isnull))
			add_key(ranges, DatumGetInt64(datum));
		tuplesort_end(sort);
	}
}

void
rlrec_range_tell(int64 agent, Relation relation, AttrNumber key, Tuplestorestate *rows)
{
	RlrecQueueEntry range = {0};
	Ranges		ranges = {0};

	ranges.highest = palloc(sizeof(int64));
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	cut(&ranges, relation, key, rows, false);
	if (ranges.n == 0)
		return;
	if (!ranges.ascending)
		cut(&ranges, relation, key, rows, true);

	range.is_range = true;
	range.low = ranges.lowest;
	range.xmin = GetCurrentTransactionId();
	range.cmin = GetActiveSnapshot()->curcid;	/* the statement's, whatever other triggers did since */
	for (int64 i = 0; i < ranges.n; i++)
	{
		range.high = ranges.highest[i];
		(void) rlrec_buffer_add(agent, &range);
		range.low = range.high + 1;
	}
	pfree(ranges.highest);
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
