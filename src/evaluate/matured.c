/*
 * matured.c
 *	  Decisions of which all feedback has come.
 *
 * A decision of which no feedback came counts with a reward of 0: that an item was ignored is what it came to. One of which the caller chose the
 * seed counts for nothing, as what it showed was certain whatever its propensity says.
 */
#include "postgres.h"

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

void
rlrec_matured_range(const RlrecAgent *agent, TimestampTz *since, TimestampTz *until)
{
	if (rlrec_feedback_range(agent->id, since, until))
		*until -= (TimestampTz) (rlrec_attribution_horizon(agent) * USECS_PER_SEC);
	else
		*since = *until = DT_NOBEGIN;
}

/*
 * Runs a query of a version's newest matured decisions, of any version where model is 0: columns of each, by the name d. SPI must be connected. Returns how many.
 */
static int64
select_decisions(const char *columns, const RlrecAgent *agent, int64 model, TimestampTz since, int64 most)
{
	Oid			types[] = {INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID};
	Datum		values[5];
	TimestampTz attached_at,
				until;

	rlrec_matured_range(agent, &attached_at, &until);
	values[0] = Int64GetDatum(agent->id);
	values[1] = Int64GetDatum(model);
	values[2] = TimestampTzGetDatum(Max(since, attached_at));
	values[3] = TimestampTzGetDatum(until);
	values[4] = Int64GetDatum(most);
	return (int64) rlrec_catalog_execute(psprintf("SELECT %s FROM (SELECT * FROM rlrec.decision WHERE agent = $1 AND ($2 = 0 OR model = $2) AND served_at >= $3"
												  "  AND served_at < $4 AND NOT policy ? 'seeded' ORDER BY served_at DESC, id DESC LIMIT $5) d ORDER BY served_at, id", columns),
										 lengthof(types), types, values, NULL);
}

double *
rlrec_matured_rewards(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, int64 *n)
{
	MemoryContext caller = CurrentMemoryContext;
	double	   *reward;

	SPI_connect();
	*n = select_decisions("(SELECT coalesce(sum(o.reward), 0) FROM rlrec.outcome o WHERE o.decision = d.id)", agent, model, since, most);
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

static RlrecMaturedDecision
decision_of_row(HeapTuple row, TupleDesc descriptor)
{
	RlrecMaturedDecision decision;
	Datum		value[8];
	const int32 *slate;
	int			n;

	for (int i = 0; i < 8; i++)
	{
		bool		isnull;

		value[i] = SPI_getbinval(row, descriptor, i + 1, &isnull);
	}
	decision.id = DatumGetInt64(value[0]);
	decision.user = TextDatumGetCString(value[1]);
	decision.served_at = DatumGetTimestampTz(value[2]);
	decision.shortlist = DatumGetArrayTypePCopy(value[3]);
	decision.n = ArrayGetNItems(ARR_NDIM(decision.shortlist), ARR_DIMS(decision.shortlist));
	slate = numbers(value[4], &decision.k);
	decision.place = palloc(Max(decision.k, 1) * sizeof(int));
	for (int r = 0; r < decision.k; r++)
		decision.place[r] = slate[r] - 1;
	decision.propensity = palloc(Max(decision.k, 1) * sizeof(double));
	memcpy(decision.propensity, numbers(value[5], &n), decision.k * sizeof(double));
	decision.reward = palloc(Max(decision.k, 1) * sizeof(double));
	memcpy(decision.reward, numbers(value[6], &n), decision.k * sizeof(double));
	decision.policy = rlrec_policy_of_log(DatumGetJsonbP(value[7]));
	return decision;
}

RlrecMaturedDecision *
rlrec_matured_decisions(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, int64 *n)
{
	MemoryContext caller = CurrentMemoryContext;
	RlrecMaturedDecision *decision;
	MemoryContext spi;

	SPI_connect();
	*n = select_decisions("id, user_id, served_at, shortlist, slate, propensity, ARRAY(SELECT coalesce(o.reward, 0)"
						  " FROM generate_subscripts(d.slate, 1) s LEFT JOIN rlrec.outcome o ON o.decision = d.id AND o.place = s ORDER BY s), policy",
						  agent, model, since, most);
	spi = MemoryContextSwitchTo(caller);
	decision = palloc_extended(Max(*n, 1) * sizeof(RlrecMaturedDecision), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < *n; i++)
		decision[i] = decision_of_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	MemoryContextSwitchTo(spi);
	SPI_finish();
	return decision;
}

bool
rlrec_matured_any(const RlrecAgent *agent)
{
	bool		any;

	SPI_connect();
	any = select_decisions("id", agent, 0, DT_NOBEGIN, 1) > 0;
	SPI_finish();
	return any;
}
