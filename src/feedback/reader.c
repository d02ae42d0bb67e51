/*
 * reader.c
 *	  What an agent has still to learn from the queue.
 *
 * The queue has no index, and to find what comes next all of it has to be looked at. So more is read than a batch takes, READ_BYTES of it, and a
 * session keeps it, together with the transactions that had ended by then: batches may go on with it, as long as the watermark is what they left,
 * and moves within these (watermark.c). Whoever else learns for the agent moves it elsewhere, as does an abort. And blocks of which nothing
 * is left to learn are passed over.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "compat.h"
#include "feedback/queue.h"
#include "feedback/reader.h"

#define READ_BYTES ((Size) 4 * 1024 * 1024)

/* The first rows so far */
typedef struct Reader
{
	int64		agent;
	const RlrecWatermark *watermark;
	uint64		own;			/* the transaction that reads: it has not ended */
	RlrecQueueRow *rows;
	int			n;
	int			capacity;
	Size		bytes;			/* of them */
	uint64		rest;			/* the first transaction of which rows were left, 0 for none */
	int64		rest_first;
} Reader;

static int
compare_rows(const void *a, const void *b)
{
	const RlrecQueueRow *x = a;
	const RlrecQueueRow *y = b;

	if (x->xid != y->xid)
		return x->xid < y->xid ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Whether rows that come before this one were left already. */
static bool
is_beyond(const Reader *reader, uint64 xid, int64 first)
{
	return reader->rest != 0 && (xid > reader->rest || (xid == reader->rest && first >= reader->rest_first));
}

static Size
row_bytes(const RlrecQueueRow *row)
{
	return sizeof(RlrecQueueRow) + GetMemoryChunkSpace(row->packed);
}

/* Keeps the first rows that have READ_BYTES or more. */
static void
keep_first(Reader *reader)
{
	int			n = 0;

	qsort(reader->rows, reader->n, sizeof(RlrecQueueRow), compare_rows);
	reader->bytes = 0;
	while (n < reader->n && reader->bytes < READ_BYTES)
		reader->bytes += row_bytes(&reader->rows[n++]);
	if (n < reader->n && !is_beyond(reader, reader->rows[n].xid, reader->rows[n].first))
	{
		reader->rest = reader->rows[n].xid;
		reader->rest_first = reader->rows[n].first;
	}
	for (int i = n; i < reader->n; i++)
		pfree(reader->rows[i].packed);
	reader->n = n;
}

static bool
is_due(const Reader *reader, uint64 xid, int64 end)
{
	const RlrecWatermark *watermark = reader->watermark;

	if (xid == reader->own)
		return false;
	if (watermark->partial != 0)
		return xid == watermark->partial && end > watermark->partial_entries;
	return !rlrec_watermark_has(watermark, xid);
}

/* Takes a row that the snapshot sees; false when the agent has still to learn from it. */
static bool
read_row(Reader *reader, HeapTuple tuple, TupleDesc descriptor)
{
	bool		isnull;
	uint64		xid = DatumGetUInt64(heap_getattr(tuple, RLREC_QUEUE_XID, descriptor, &isnull));
	int64		first = DatumGetInt64(heap_getattr(tuple, RLREC_QUEUE_FIRST, descriptor, &isnull));
	int			n = DatumGetInt32(heap_getattr(tuple, RLREC_QUEUE_ENTRIES, descriptor, &isnull));
	struct varlena *data;
	RlrecQueueRow *row;

	if (DatumGetInt64(heap_getattr(tuple, RLREC_QUEUE_AGENT, descriptor, &isnull)) != reader->agent)
		return true;
	if (!is_due(reader, xid, first + n) || is_beyond(reader, xid, first))
		return rlrec_watermark_has(reader->watermark, xid);
	data = (struct varlena *) DatumGetPointer(heap_getattr(tuple, RLREC_QUEUE_DATA, descriptor, &isnull));
	if (reader->n == reader->capacity)
	{
		reader->capacity = Max(64, 2 * reader->capacity);
		reader->rows = reader->rows ? repalloc_huge(reader->rows, reader->capacity * sizeof(RlrecQueueRow)) :
			palloc(reader->capacity * sizeof(RlrecQueueRow));
	}
	row = &reader->rows[reader->n++];
	row->xid = xid;
	row->first = first;
	row->n = n;
	row->skip = xid == reader->watermark->partial ? (int) Max(0, reader->watermark->partial_entries - first) : 0;
	row->packed = palloc(VARSIZE_ANY_EXHDR(data));
	memcpy(row->packed, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
	reader->bytes += row_bytes(row);
	if (reader->bytes >= 2 * READ_BYTES)
		keep_first(reader);
	return false;
}

/*
 * What this session knows of a table: its first blocks are full, nothing in them is dead or undecided, and an agent has learned from them by
 * what is committed. As rows are only ever inserted, that stays so until the table is emptied, after which its first row is of
 * another transaction.
 */
typedef struct Passed
{
	int64		agent;
	Oid			table;
	uint64		xid;			/* of the first row */
	BlockNumber blocks;
} Passed;

#define PASSED 64				/* tables remembered, each where its number says */
#define LEAST_ROW 64			/* bytes that no row can do without */

static Passed passed[PASSED];

/*
 * Reads the rows of a block that the snapshot sees. Returns whether the block can be passed over from here on; *first_xid is the transaction
 * of its first row, 0 when that is not seen.
 */
static bool
read_block(Reader *reader, Relation table, BlockNumber block, uint64 *first_xid)
{
	Buffer		buffer = ReadBufferExtended(table, MAIN_FORKNUM, block, RBM_NORMAL, NULL);
	Page		page = BufferGetPage(buffer);
	bool		done;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	done = !PageIsNew(page) && PageGetHeapFreeSpace(page) < LEAST_ROW;
	*first_xid = 0;
	for (OffsetNumber i = FirstOffsetNumber; i <= PageGetMaxOffsetNumber(page); i++)
	{
		ItemId		item = PageGetItemId(page, i);
		HeapTupleData tuple;
		bool		isnull;

		if (ItemIdIsNormal(item))
		{
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			tuple.t_tableOid = RelationGetRelid(table);
			ItemPointerSet(&tuple.t_self, block, i);
		}
		if (!ItemIdIsNormal(item) || !HeapTupleSatisfiesVisibility(&tuple, GetActiveSnapshot(), buffer))
		{
			done = false;
			continue;
		}
		if (i == FirstOffsetNumber)
			*first_xid = DatumGetUInt64(heap_getattr(&tuple, RLREC_QUEUE_XID, RelationGetDescr(table), &isnull));
		if (!read_row(reader, &tuple, RelationGetDescr(table)))
			done = false;
	}
	UnlockReleaseBuffer(buffer);
	return done;
}

static void
read_table(Reader *reader, int i)
{
	Relation	table = table_open(rlrec_queue_table(i), AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(table);
	Passed	   *known = &passed[(reader->agent * RLREC_QUEUE_TABLES + i) % PASSED];
	Passed		now = {0};

	now.agent = reader->agent;
	now.table = RelationGetRelid(table);
	for (BlockNumber block = 0; block < blocks; block++)
	{
		uint64		xid;
		bool		done;

		CHECK_FOR_INTERRUPTS();
		done = read_block(reader, table, block, &xid);
		if (block == 0)
			now.xid = xid;
		if (done && now.blocks == block)
			now.blocks++;
		if (block == 0 && done && known->agent == now.agent && known->table == now.table && known->xid == xid && known->blocks > 1)
		{
			now.blocks = known->blocks;
			block = known->blocks - 1;
		}
	}
	if (reader->watermark->committed)
		*known = now;
	table_close(table, AccessShareLock);
}

/* ---------------------------------------------------------------- what was read */

/* Where the reading of an agent is kept; another one with the same place takes it. */
static RlrecReading readings[8];

static void
forget(RlrecReading *reading)
{
	if (reading->context == NULL)
		reading->context = AllocSetContextCreate(TopMemoryContext, "rlrec feedback read", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(reading->context);
	reading->agent = 0;
}

RlrecReading *
rlrec_reader_next(int64 agent, const RlrecWatermark *watermark)
{
	RlrecReading *reading = &readings[agent % lengthof(readings)];
	Reader		reader = {0};
	MemoryContext old;

	if (reading->agent == agent && rlrec_watermark_equal(&reading->learned, watermark))
		return reading;
	forget(reading);
	old = MemoryContextSwitchTo(reading->context);
	reader.agent = agent;
	reader.watermark = watermark;
	reader.own = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	for (int i = 0; i < RLREC_QUEUE_TABLES; i++)
		read_table(&reader, i);
	keep_first(&reader);
	if (reader.n > 0)
	{
		rlrec_watermark_now(&reading->ended);
		reading->rows = reader.rows;
		reading->n = reader.n;
		reading->rest = reader.rest;
		rlrec_watermark_copy(&reading->learned, watermark);
		reading->agent = agent;
	}
	MemoryContextSwitchTo(old);
	return reader.n > 0 ? reading : NULL;
}

void
rlrec_reader_learned(RlrecReading *reading, int n, int64 next, const RlrecWatermark *watermark)
{
	RlrecQueueRow *last = &reading->rows[n - 1];
	MemoryContext old;

	if (next < last->first + last->n)
	{
		last->skip = (int) (next - last->first);
		n--;
	}
	reading->rows += n;
	reading->n -= n;
	if (reading->n == 0)
	{
		forget(reading);
		return;
	}
	old = MemoryContextSwitchTo(reading->context);
	pfree(reading->learned.xip);
	rlrec_watermark_copy(&reading->learned, watermark);
	MemoryContextSwitchTo(old);
}
