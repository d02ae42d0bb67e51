/*
 * subscription.c
 *	  Which agents are attached to their events, and the triggers of those that are.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "store/catalog.h"
#include "store/subscription.h"

/* Columns of rlrec.subscription, in the order of sql/feedback.sql */
enum
{
	SUBSCRIPTION_AGENT = 1, SUBSCRIPTION_MODE
};

RlrecFeedbackMode
rlrec_feedback_mode(int64 agent)
{
	RlrecFeedbackMode mode = RLREC_FEEDBACK_DETACHED;
	RlrecCatalogScan scan;
	HeapTuple	tuple;

	rlrec_catalog_begin(&scan, "subscription", "subscription_pkey", SUBSCRIPTION_AGENT, F_INT8EQ, Int64GetDatum(agent));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		char	   *name = TextDatumGetCString(heap_getattr(tuple, SUBSCRIPTION_MODE, RelationGetDescr(scan.table), &isnull));

		mode = strcmp(name, "row") == 0 ? RLREC_FEEDBACK_ROW : strcmp(name, "range") == 0 ? RLREC_FEEDBACK_RANGE : RLREC_FEEDBACK_NONE;
	}
	rlrec_catalog_end(&scan);
	return mode;
}

bool
rlrec_feedback_range(int64 agent, TimestampTz *since, TimestampTz *until)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent)};
	bool		attached;

	SPI_connect();
	attached = rlrec_catalog_execute("SELECT s.attached_at, least(clock_timestamp(), (SELECT min(q.told_at) FROM"
									 "  (SELECT agent, xid, told_at FROM rlrec.queue_0 UNION ALL SELECT agent, xid, told_at FROM rlrec.queue_1"
									 "   UNION ALL SELECT agent, xid, told_at FROM rlrec.queue_2) q"
									 "  WHERE q.agent = $1 AND (w.seen IS NULL OR NOT pg_visible_in_snapshot(q.xid, w.seen))))"
									 " FROM rlrec.subscription s LEFT JOIN rlrec.watermark w USING (agent) WHERE s.agent = $1",
									 1, types, values, NULL) > 0;
	if (attached)
	{
		bool		isnull;

		*since = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		*until = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_finish();
	return attached;
}

void
rlrec_feedback_drop_trigger(const char *agent, Oid events)
{
	ObjectAddress address = {TriggerRelationId, InvalidOid, 0};

	/* The queue drops for good what no attached agent waits for; so that nobody is attached has to be on disk when others see it. */
	ForceSyncCommit();
	if (get_rel_name(events) == NULL)
		return;
	address.objectId = get_trigger_oid(events, psprintf(RLREC_TRIGGER_PREFIX "%s", agent), true);
	if (OidIsValid(address.objectId))
		performDeletion(&address, DROP_RESTRICT, 0);
}

void
rlrec_feedback_changed(const RlrecAgent *agent)
{
	if (OidIsValid(agent->events) && get_rel_name(agent->events) != NULL)
		CacheInvalidateRelcacheByRelid(agent->events);
}
