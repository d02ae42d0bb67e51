/*
 * matured.c
 *	  Decisions of which all feedback has come.
 *
 * A decision of which no feedback came counts with a reward of 0: that an item was ignored is what it came to.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "evaluate/matured.h"
#include "store/catalog.h"

#define DEFAULT_HORIZON SECS_PER_DAY	/* as attribution has it */

TimestampTz
rlrec_matured_before(const RlrecAgent *agent)
{
	double		horizon = rlrec_option_real(agent->options, rlrec_agent_options, "horizon");

	return GetCurrentTimestamp() - (TimestampTz) ((horizon > 0 ? horizon : DEFAULT_HORIZON) * USECS_PER_SEC);
}

double *
rlrec_matured_rewards(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, int64 *n)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[] = {INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id), Int64GetDatum(model), TimestampTzGetDatum(since),
	TimestampTzGetDatum(rlrec_matured_before(agent)), Int64GetDatum(most)};
	double	   *reward;

	SPI_connect();
	*n = rlrec_catalog_execute("SELECT (SELECT coalesce(sum(o.reward), 0) FROM rlrec.outcome o WHERE o.decision = d.id)"
							   " FROM (SELECT id, served_at FROM rlrec.decision WHERE agent = $1 AND model = $2 AND served_at >= $3"
							   "  AND served_at < $4 ORDER BY served_at DESC, id DESC LIMIT $5) d ORDER BY served_at, id",
							   lengthof(types), types, values, NULL);
	reward = MemoryContextAllocHuge(caller, Max(*n, 1) * sizeof(double));
	for (int64 i = 0; i < *n; i++)
	{
		bool		isnull;

		reward[i] = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	return reward;
}
