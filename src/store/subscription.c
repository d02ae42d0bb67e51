/*
 * subscription.c
 *	  Which agents are attached to their events, and the triggers of those that are.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
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

static bool
is_feedback_trigger(Oid trigger)
{
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			function = InvalidOid;
	char	   *name;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(trigger));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		function = ((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid;
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	name = get_func_name(function);
	return name && strcmp(name, "rlrec_feedback_trigger") == 0 &&
		getExtensionOfObject(ProcedureRelationId, function) == get_extension_oid("rlrec", false);
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
rlrec_feedback_drop_trigger(int64 agent, const char *name, Oid events)
{
	ObjectAddress address = {TriggerRelationId, InvalidOid, 0};
	RlrecFeedbackMode mode = rlrec_feedback_mode(agent);

	/* The queue drops for good what no attached agent waits for; so that nobody is attached has to be on disk when others see it. */
	ForceSyncCommit();
	if ((mode != RLREC_FEEDBACK_ROW && mode != RLREC_FEEDBACK_RANGE) || get_rel_name(events) == NULL)
		return;
	address.objectId = get_trigger_oid(events, psprintf(RLREC_TRIGGER_PREFIX "%s", name), true);
	if (OidIsValid(address.objectId) && is_feedback_trigger(address.objectId))
		performDeletion(&address, DROP_RESTRICT, 0);
}

void
rlrec_feedback_changed(const RlrecAgent *agent)
{
	if (OidIsValid(agent->events) && get_rel_name(agent->events) != NULL)
		CacheInvalidateRelcacheByRelid(agent->events);
}
