/*
 * online_read.c
 *	  What an agent learned of events on top of a version, read to serve.
 *
 * Serving probes for the agent's row, and for the rows of the states that a learner asks for. Counts of items lie in 64 rows, so that an event
 * need not rewrite all of them, and serving keeps what it read of them, for each agent, as long as the agent's row is the same one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "store/catalog.h"
#include "store/online.h"
#include "store/online_row.h"
#include "store/sums.h"

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
	RlrecLearnedRow *row = rlrec_online_row_read(table, GetActiveSnapshot(), reader->head.agent, part, name, length, NULL);

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
