/*
 * matured.c
 *	  Decisions of which all feedback has come.
 *
 * A decision of which no feedback came counts with a reward of 0: that an item was ignored is what it came to. One of which the caller chose the
 * seed counts for nothing, as what it showed was certain whatever its propensity says. Decisions are read newest first, as many as maintenance_work_mem
 * holds.
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "evaluate/matured.h"
#include "feedback/attribution.h"
#include "policy/policy.h"
#include "store/catalog.h"
#include "store/subscription.h"

#define BATCH 100				/* decisions read at a time */

void
rlrec_matured_range(const RlrecAgent *agent, TimestampTz *since, TimestampTz *until)
{
	if (rlrec_feedback_range(agent->id, since, until))
		*until -= (TimestampTz) (rlrec_attribution_horizon(agent) * USECS_PER_SEC);
	else
		*since = *until = DT_NOBEGIN;
}

/* The newest matured decisions of a version, of any version where $2 is 0; newest_arguments() are the arguments. */
#define NEWEST "(SELECT * FROM rlrec.decision WHERE agent = $1 AND ($2 = 0 OR model = $2) AND served_at >= $3" \
	" AND served_at < $4 AND NOT policy ? 'seeded' ORDER BY served_at DESC, id DESC LIMIT $5) d"

static Oid	newest_types[] = {INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID};

static void
newest_arguments(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, Datum *values)
{
	TimestampTz attached_at,
				until;

	rlrec_matured_range(agent, &attached_at, &until);
	values[0] = Int64GetDatum(agent->id);
	values[1] = Int64GetDatum(model);
	values[2] = TimestampTzGetDatum(Max(since, attached_at));
	values[3] = TimestampTzGetDatum(until);
	values[4] = Int64GetDatum(most);
}

double *
rlrec_matured_rewards(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, int64 *n)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[lengthof(newest_types)];
	double	   *reward;

	SPI_connect();
	newest_arguments(agent, model, since, most, values);
	*n = rlrec_catalog_execute("SELECT (SELECT coalesce(sum(o.reward), 0) FROM rlrec.outcome o WHERE o.decision = d.id) FROM " NEWEST
							   " ORDER BY served_at, id", lengthof(newest_types), newest_types, values, NULL);
	reward = MemoryContextAllocHuge(caller, Max(*n, 1) * sizeof(double));
	for (int64 i = 0; i < *n; i++)
	{
		bool		isnull;

		reward[i] = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	return reward;
}

/* The elements of an array without NULL of fixed-length numbers; they stay where they are. */
static void *
numbers(Datum datum, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);

	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return ARR_DATA_PTR(array);
}

/* With copies of all that it has in a context; the rest is left in the current one. */
static RlrecMaturedDecision
decision_of_row(HeapTuple row, TupleDesc descriptor, MemoryContext kept)
{
	RlrecMaturedDecision decision;
	MemoryContext old;
	Datum		value[8];
	const int32 *slate;
	const double *propensity;
	const double *reward;
	int			n;

	for (int i = 0; i < 8; i++)
	{
		bool		isnull;

		value[i] = SPI_getbinval(row, descriptor, i + 1, &isnull);
	}
	slate = numbers(value[4], &decision.k);
	propensity = numbers(value[5], &n);
	reward = numbers(value[6], &n);
	decision.id = DatumGetInt64(value[0]);
	decision.served_at = DatumGetTimestampTz(value[2]);
	decision.policy = rlrec_policy_of_log(DatumGetJsonbP(value[7]));

	old = MemoryContextSwitchTo(kept);
	decision.user = TextDatumGetCString(value[1]);
	decision.shortlist = DatumGetArrayTypePCopy(value[3]);
	decision.n = ArrayGetNItems(ARR_NDIM(decision.shortlist), ARR_DIMS(decision.shortlist));
	decision.place = palloc(Max(decision.k, 1) * sizeof(int));
	for (int r = 0; r < decision.k; r++)
		decision.place[r] = slate[r] - 1;
	decision.propensity = palloc(Max(decision.k, 1) * sizeof(double));
	memcpy(decision.propensity, propensity, decision.k * sizeof(double));
	decision.reward = palloc(Max(decision.k, 1) * sizeof(double));
	memcpy(decision.reward, reward, decision.k * sizeof(double));
	MemoryContextSwitchTo(old);
	return decision;
}

static Size
decision_bytes(const RlrecMaturedDecision *decision)
{
	return sizeof(*decision) + GetMemoryChunkSpace(decision->user) + GetMemoryChunkSpace(decision->shortlist) +
		GetMemoryChunkSpace(decision->place) + GetMemoryChunkSpace(decision->propensity) + GetMemoryChunkSpace(decision->reward);
}

/* The newest decisions, newest first */
typedef struct Newest
{
	MemoryContext kept;			/* where they are */
	RlrecMaturedDecision *decision; /* [capacity] */
	int64		n;
	int64		capacity;
	int64		read;			/* also those that were not kept */
	Size		bytes;
} Newest;

/* Reads the next rows; false when there are no more, or the budget does not hold the next one. */
static bool
read_batch(Portal portal, Newest *newest, MemoryContext batch)
{
	Size		budget = (Size) maintenance_work_mem * 1024;
	SPITupleTable *rows;
	uint64		n;
	bool		more;

	CHECK_FOR_INTERRUPTS();
	SPI_cursor_fetch(portal, true, BATCH);
	rows = SPI_tuptable;
	n = SPI_processed;
	newest->read += n;
	more = n > 0;
	for (uint64 i = 0; i < n && more; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(batch);
		RlrecMaturedDecision next = decision_of_row(rows->vals[i], rows->tupdesc, newest->kept);

		MemoryContextSwitchTo(old);
		newest->bytes += decision_bytes(&next);
		more = newest->bytes <= budget;
		if (more && newest->n == newest->capacity)
		{
			newest->capacity *= 2;
			newest->decision = repalloc_huge(newest->decision, newest->capacity * sizeof(RlrecMaturedDecision));
		}
		if (more)
			newest->decision[newest->n++] = next;
	}
	SPI_freetuptable(rows);
	MemoryContextReset(batch);
	return more;
}

static void
tell_left_out(const RlrecAgent *agent, Portal portal, const Newest *newest)
{
	SPI_cursor_move(portal, true, LONG_MAX);
	ereport(NOTICE,
			(errmsg("only the newest %lld of %lld matured decisions of agent \"%s\" count", (long long) newest->n,
					(long long) (newest->read + SPI_processed), agent->name),
			 errdetail("maintenance_work_mem holds no more of them."),
			 errhint("Raise maintenance_work_mem, now %d kB.", maintenance_work_mem)));
}

RlrecMaturedDecision *
rlrec_matured_decisions(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, int64 *n)
{
	Newest		newest = {0};
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "rlrec batch", ALLOCSET_DEFAULT_SIZES);
	Datum		values[lengthof(newest_types)];
	Portal		portal;
	RlrecRole	saved;

	newest.kept = AllocSetContextCreate(CurrentMemoryContext, "rlrec decisions", ALLOCSET_DEFAULT_SIZES);
	newest.capacity = BATCH;
	newest.decision = MemoryContextAlloc(newest.kept, newest.capacity * sizeof(RlrecMaturedDecision));
	SPI_connect();
	newest_arguments(agent, model, since, most, values);
	rlrec_run_as(&saved, rlrec_catalog_owner(), SECURITY_LOCAL_USERID_CHANGE);
	portal = SPI_cursor_open_with_args(NULL, "SELECT id, user_id, served_at, shortlist, slate, propensity, ARRAY(SELECT coalesce(o.reward, 0)"
									   " FROM generate_subscripts(d.slate, 1) s LEFT JOIN rlrec.outcome o ON o.decision = d.id AND o.place = s ORDER BY s), policy"
									   " FROM " NEWEST " ORDER BY served_at DESC, id DESC",
									   lengthof(newest_types), newest_types, values, NULL, false, CURSOR_OPT_NO_SCROLL);
	rlrec_run_back(&saved);
	while (read_batch(portal, &newest, batch))
		;
	if (newest.bytes > (Size) maintenance_work_mem * 1024)
		tell_left_out(agent, portal, &newest);
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextDelete(batch);
	for (int64 i = 0; i < newest.n / 2; i++)
	{
		RlrecMaturedDecision other = newest.decision[i];

		newest.decision[i] = newest.decision[newest.n - 1 - i];
		newest.decision[newest.n - 1 - i] = other;
	}
	*n = newest.n;
	return newest.decision;
}

bool
rlrec_matured_any(const RlrecAgent *agent)
{
	Datum		values[lengthof(newest_types)];
	bool		any;

	SPI_connect();
	newest_arguments(agent, 0, DT_NOBEGIN, 1, values);
	any = rlrec_catalog_execute("SELECT FROM " NEWEST, lengthof(newest_types), newest_types, values, NULL) > 0;
	SPI_finish();
	return any;
}
