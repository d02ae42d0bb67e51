/*
 * reader.c
 *	  What an agent has still to learn from the queue.
 *
 * The queue has no index, and to find what comes next all of it has to be looked at. So more is read than a batch takes, READ_BYTES of it, and a
 * session keeps it, together with the transactions that had ended by then: batches may go on with it, as long as the watermark is what they left,
 * and moves within these (watermark.c). Whoever else learns for the agent moves it elsewhere, as does an abort. And blocks of which nothing
 * is left to learn are passed over, so that an agent with nothing to learn does not read what others have before it each time.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/hsearch.h"
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

	/* Nor is it known whether this transaction's rows stay. */
	if (xid == reader->own)
		return false;
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

/* ---------------------------------------------------------------- blocks */

/*
 * What this session knows of a table's blocks: how many rows each had when nothing in it was dead or undecided, and the agent had learned from all
 * by what is committed; 0 where that is not so, or not known. As rows are only ever inserted, there is nothing new in a block with so many. That
 * holds until the table is emptied, after which its first row is of another transaction, or rewritten, after which it is another file.
 */
typedef struct Passed
{
	Oid			file;
	uint64		xid;			/* of the first row, which need not be visible; 0 where that was removed */
	TransactionId xmin;			/* the subtransaction that wrote it */
	uint16	   *rows;			/* [blocks] */
	BlockNumber blocks;
} Passed;

#define FULL PG_UINT16_MAX		/* for a block that can take no further row, so that it need not even be looked at */
#define LEAST_ROW 64			/* bytes that no row can do without */

/* Fits the table as it is now. */
static void
fit_passed(Passed *passed, Relation table, BlockNumber blocks)
{
	if (blocks > passed->blocks)
	{
		BlockNumber room = Max(64, Max(blocks, 2 * passed->blocks));

		passed->rows = passed->rows ? repalloc_huge(passed->rows, room * sizeof(uint16)) :
			MemoryContextAllocHuge(TopMemoryContext, room * sizeof(uint16));
		memset(passed->rows + passed->blocks, 0, (room - passed->blocks) * sizeof(uint16));
		passed->blocks = room;
	}
	if (passed->file != table->rd_rel->relfilenode)
		passed->xid = 0;
	passed->file = table->rd_rel->relfilenode;
}

/* Forgets what is known when the table's first block says that it was emptied. */
static void
check_passed(Passed *passed, Page page, TupleDesc descriptor)
{
	ItemId		item = PageGetMaxOffsetNumber(page) > 0 ? PageGetItemId(page, FirstOffsetNumber) : NULL;
	uint64		xid = 0;
	TransactionId xmin = InvalidTransactionId;

	if (item && ItemIdIsNormal(item))
	{
		HeapTupleData tuple = {.t_len = ItemIdGetLength(item), .t_data = (HeapTupleHeader) PageGetItem(page, item)};
		bool		isnull;

		xid = DatumGetUInt64(heap_getattr(&tuple, RLREC_QUEUE_XID, descriptor, &isnull));
		xmin = HeapTupleHeaderGetRawXmin(tuple.t_data);
	}
	if (xid == 0 || xid != passed->xid || xmin != passed->xmin)
		memset(passed->rows, 0, passed->blocks * sizeof(uint16));
	passed->xid = xid;
	passed->xmin = xmin;
}

/* Reads the rows of a block that the snapshot sees. Returns whether nothing is left to learn from it. */
static bool
read_rows(Reader *reader, Relation table, BlockNumber block, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	bool		done = PageGetMaxOffsetNumber(page) > 0;	/* not of a new page, which seems to be full */

	for (OffsetNumber i = FirstOffsetNumber; i <= PageGetMaxOffsetNumber(page); i++)
	{
		ItemId		item = PageGetItemId(page, i);
		HeapTupleData tuple;

		if (!ItemIdIsNormal(item))
		{
			done = false;
			continue;
		}
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = RelationGetRelid(table);
		ItemPointerSet(&tuple.t_self, block, i);
		if (!HeapTupleSatisfiesVisibility(&tuple, GetActiveSnapshot(), buffer) || !read_row(reader, &tuple, RelationGetDescr(table)))
			done = false;
	}
	return done;
}

static void
read_block(Reader *reader, Relation table, BlockNumber block, Passed *passed)
{
	Buffer		buffer = ReadBufferExtended(table, MAIN_FORKNUM, block, RBM_NORMAL, NULL);
	Page		page = BufferGetPage(buffer);
	OffsetNumber rows;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (block == 0)
		check_passed(passed, page, RelationGetDescr(table));
	rows = PageGetMaxOffsetNumber(page);
	if (passed->rows[block] == 0 || (passed->rows[block] != FULL && passed->rows[block] != rows))
	{
		bool		done = read_rows(reader, table, block, buffer);

		if (done && reader->watermark->committed && passed->xid != 0)
			passed->rows[block] = PageGetHeapFreeSpace(page) < LEAST_ROW ? FULL : rows;
	}
	UnlockReleaseBuffer(buffer);
}

static void
read_table(Reader *reader, int i, Passed *passed)
{
	Relation	table = table_open(rlrec_queue_table(i), AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(table);

	fit_passed(passed, table, blocks);
	for (BlockNumber block = 0; block < blocks; block++)
	{
		CHECK_FOR_INTERRUPTS();
		if (block == 0 || passed->rows[block] != FULL)
			read_block(reader, table, block, passed);
	}
	table_close(table, AccessShareLock);
}

/* ---------------------------------------------------------------- what was read */

/* What this session keeps of an agent */
typedef struct Kept
{
	int64		agent;
	Passed		passed[RLREC_QUEUE_TABLES];
	RlrecReading reading;
	uint64		used;			/* when, of which the lowest number is the longest ago */
} Kept;

#define READINGS 32				/* so many agents' rows are kept, at most: those used last */

static HTAB *kept_agents = NULL;
static int	readings = 0;

static Kept *
find_kept(int64 agent)
{
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(Kept)};
	Kept	   *kept;
	bool		found;

	if (kept_agents == NULL)
		kept_agents = hash_create("rlrec feedback readers", 16, &control, HASH_ELEM | HASH_BLOBS);
	kept = hash_search(kept_agents, &agent, HASH_ENTER, &found);
	if (!found)
		memset((char *) kept + sizeof(int64), 0, sizeof(Kept) - sizeof(int64));
	return kept;
}

static void
forget(RlrecReading *reading)
{
	if (reading->context == NULL)
		return;
	MemoryContextDelete(reading->context);
	memset(reading, 0, sizeof(*reading));
	readings--;
}

/* An empty reading, in place of another agent's when there are too many. */
static void
begin(Kept *kept)
{
	forget(&kept->reading);
	if (readings == READINGS)
	{
		HASH_SEQ_STATUS all;
		Kept	   *other;
		Kept	   *oldest = NULL;

		hash_seq_init(&all, kept_agents);
		while ((other = hash_seq_search(&all)) != NULL)
			if (other->reading.context != NULL && (oldest == NULL || other->used < oldest->used))
				oldest = other;
		forget(&oldest->reading);
	}
	kept->reading.context = AllocSetContextCreate(TopMemoryContext, "rlrec feedback read", ALLOCSET_DEFAULT_SIZES);
	readings++;
}

RlrecReading *
rlrec_reader_next(int64 agent, const RlrecWatermark *watermark)
{
	static uint64 uses = 0;
	Kept	   *kept = find_kept(agent);
	RlrecReading *reading = &kept->reading;
	Reader		reader = {0};
	MemoryContext old;

	kept->used = ++uses;
	if (reading->n > 0 && rlrec_watermark_equal(&reading->learned, watermark))
		return reading;
	begin(kept);
	old = MemoryContextSwitchTo(reading->context);
	reader.agent = agent;
	reader.watermark = watermark;
	reader.own = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	for (int i = 0; i < RLREC_QUEUE_TABLES; i++)
		read_table(&reader, i, &kept->passed[i]);
	keep_first(&reader);
	if (reader.n > 0)
	{
		rlrec_watermark_now(&reading->ended);
		rlrec_watermark_copy(&reading->learned, watermark);
		reading->rows = reader.rows;
		reading->rest = reader.rest;
		reading->n = reader.n;
	}
	MemoryContextSwitchTo(old);
	if (reading->n > 0)
		return reading;
	forget(reading);
	return NULL;
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
