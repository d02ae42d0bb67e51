/*
 * stats.c
 *	  What the worker writes down of an agent: a row of rlrec.worker, which rlrec.stats shows. An agent that was detached meanwhile gets none.
 *
 * A row is updated at most once a second while events are learned, so that it does not bloat where an old snapshot keeps its versions. The
 * pace is a mean over time that forgets with exp(-t / RATE_SECONDS).
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "feedback/launcher.h"
#include "feedback/stats.h"
#include "store/catalog.h"

#define WRITE_MS 1000

static void
execute(const char *statement, int n, Oid *types, Datum *values, const char *nulls)
{
	SPI_connect();
	(void) rlrec_catalog_execute(statement, n, types, values, nulls);
	SPI_finish();
}

void
rlrec_stats_learned(RlrecPace *pace, int64 events, bool failed, int64 skipped)
{
	TimestampTz now = GetCurrentTimestamp();
	double		seconds = pace->since == 0 ? 0 : (now - pace->since) / (double) USECS_PER_SEC;
	Oid			types[] = {INT8OID, INT8OID, FLOAT8OID, FLOAT8OID, TIMESTAMPTZOID, INT8OID};
	Datum		values[6];

	if (events > 0)
	{
		pace->events += events;
		pace->batch = events;
		pace->learned_at = now;
	}
	if (!failed && skipped == 0 && (pace->events == 0 || (pace->since != 0 && seconds * 1000 < WRITE_MS)))
		return;
	values[0] = Int64GetDatum(pace->agent);
	values[1] = Int64GetDatum(pace->batch);
	values[2] = Float8GetDatum(seconds > 0 ? pace->events / seconds : 0);
	values[3] = Float8GetDatum(seconds);
	values[4] = TimestampTzGetDatum(pace->learned_at);
	values[5] = Int64GetDatum(skipped);
	execute("INSERT INTO rlrec.worker AS w (agent, batch, rate, learned_at, skipped)"
			" SELECT agent, $2, 0, $5, $6 FROM rlrec.subscription WHERE agent = $1"
			" ON CONFLICT (agent) DO UPDATE SET batch = COALESCE(EXCLUDED.batch, w.batch),"
			"  learned_at = COALESCE(EXCLUDED.learned_at, w.learned_at), failures = 0, crashes = 0, retry_at = NULL,"
			"  rate = w.rate + ($3 - w.rate) * (1 - exp(-$4 / 60)), skipped = w.skipped + EXCLUDED.skipped", 6, types, values,
			pace->batch > 0 ? NULL : " n  n ");
	pace->events = 0;
	pace->since = now;
}

void
rlrec_stats_failed(int64 agent, const char *error)
{
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(agent), CStringGetTextDatum(error)};

	execute("INSERT INTO rlrec.worker AS w (agent, errors, failures, error, failed_at, retry_at)"
			" SELECT agent, 1, 1, $2, clock_timestamp(), clock_timestamp() + interval '1 s' FROM rlrec.subscription WHERE agent = $1"
			" ON CONFLICT (agent) DO UPDATE SET errors = w.errors + 1, failures = w.failures + 1, error = EXCLUDED.error,"
			"  failed_at = EXCLUDED.failed_at,"
			"  retry_at = clock_timestamp() + LEAST(interval '1 s' * 2 ^ LEAST(w.failures, 20), interval '5 min')", 2, types, values, NULL);
}

void
rlrec_stats_crashed(int64 agent)
{
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(agent), Int32GetDatum(RLREC_MAX_CRASHES)};

	execute("INSERT INTO rlrec.worker AS w (agent, errors, crashes, error, failed_at, retry_at)"
			" SELECT agent, 1, 1, 'the server crashed while this agent learned', clock_timestamp(), clock_timestamp() + interval '1 s'"
			" FROM rlrec.subscription WHERE agent = $1"
			" ON CONFLICT (agent) DO UPDATE SET errors = w.errors + 1, crashes = w.crashes + 1, error = EXCLUDED.error,"
			"  failed_at = EXCLUDED.failed_at,"
			"  retry_at = CASE WHEN w.crashes + 1 >= $2 THEN 'infinity' ELSE clock_timestamp() + interval '1 s' * 2 ^ w.crashes END",
			2, types, values, NULL);

	/* The next crash is not to undo this. */
	ForceSyncCommit();
}

void
rlrec_stats_revive(int64 agent)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent)};

	execute("UPDATE rlrec.worker SET failures = 0, crashes = 0, retry_at = NULL WHERE agent = $1 AND retry_at IS NOT NULL", 1, types, values, NULL);
}

/* rlrec.worker_pid(): the process that learns this database's feedback; NULL when there is none, 0 when it starts once it is needed. */
PG_FUNCTION_INFO_V1(rlrec_worker_pid);
Datum
rlrec_worker_pid(PG_FUNCTION_ARGS)
{
	if (!rlrec_launcher_available() || !rlrec_worker_on || RecoveryInProgress())
		PG_RETURN_NULL();
	PG_RETURN_INT32(rlrec_launcher_pid(MyDatabaseId));
}
