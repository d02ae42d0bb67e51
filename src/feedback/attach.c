/*
 * attach.c
 *	  rlrec_attach() and rlrec_detach().
 *
 * The trigger is made by CREATE TRIGGER in the caller's name, so PostgreSQL's own rules say who may. Locking the table out of writers, it
 * also divides events: whoever wrote before has ended and is in the watermark's first snapshot, whoever writes later fires the trigger.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "feedback/launcher.h"
#include "feedback/process.h"
#include "feedback/watermark.h"
#include "feedback/worker.h"
#include "store/catalog.h"
#include "store/event_stream.h"
#include "store/online.h"
#include "store/subscription.h"

static void
check_mode(const char *mode, bool replicated)
{
	if (strcmp(mode, "row") != 0 && strcmp(mode, "range") != 0 && strcmp(mode, "none") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown mode \"%s\"", mode),
				 errhint("The modes are row, range and none.")));
	if (replicated && strcmp(mode, "row") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("mode %s does not see what is replicated", mode),
				 errdetail("Logical replication applies rows, not statements."),
				 errhint("Attach the agent with mode => 'row'.")));
}

/* An error unless the caller may read the events, and they can be read as a trigger will. */
static void
check_events(const RlrecAgent *agent)
{
	char		kind = get_rel_relkind(agent->events);
	Relation	relation;

	if (pg_class_aclcheck(agent->events, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(agent->events, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(kind), get_rel_name(agent->events));
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is no table that agent \"%s\" could have a trigger on", rlrec_qualified_name(agent->events), agent->name),
				 errhint("With mode => 'none' the agent learns from what rlrec_feedback() tells.")));
	relation = table_open(agent->events, AccessShareLock);
	(void) rlrec_row_reader_create(agent, relation, NULL, NULL);
	table_close(relation, NoLock);
}

/* An error unless a statement that inserts into the events can be found again by its range of keys. */
static void
check_range(const RlrecAgent *agent)
{
	if (get_rel_relkind(agent->events) != RELKIND_RELATION || get_rel_relispartition(agent->events) ||
		rlrec_integer_primary_key(agent->events) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("mode range needs a table with an integer primary key, and without partitions"),
				 errhint("Attach the agent with mode => 'row'.")));
}

/* Creates the trigger, in the caller's name. schema is that of the trigger's function. */
static void
create_trigger(const RlrecAgent *agent, const char *schema, bool by_range, bool replicated)
{
	const char *trigger = quote_identifier(psprintf(RLREC_TRIGGER_PREFIX "%s", agent->name));
	const char *events = rlrec_qualified_name(agent->events);
	const char *on = get_rel_relkind(agent->events) == RELKIND_PARTITIONED_TABLE ? "INSERT OR DELETE" : "INSERT";
	const char *each = by_range ? "REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT" : "FOR EACH ROW";
	RlrecRole	saved;

	rlrec_run_as(&saved, GetUserId(), 0);
	if (SPI_execute(psprintf("CREATE TRIGGER %s AFTER %s ON %s %s EXECUTE FUNCTION %s.rlrec_feedback_trigger()",
							 trigger, on, events, each, quote_identifier(schema)), false, 0) != SPI_OK_UTILITY ||
		(replicated && SPI_execute(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", events, trigger), false, 0) != SPI_OK_UTILITY))
		elog(ERROR, "could not create trigger %s", trigger);
	rlrec_run_back(&saved);
}

/* From here on: nothing is due that a transaction wrote that has ended by now. */
static void
subscribe(const RlrecAgent *agent, const char *mode)
{
	Oid			types[] = {INT8OID, TEXTOID, PG_SNAPSHOTOID};
	Datum		values[3];
	RlrecWatermark watermark;

	PushActiveSnapshot(GetLatestSnapshot());
	rlrec_watermark_now(&watermark);
	PopActiveSnapshot();
	values[0] = Int64GetDatum(agent->id);
	values[1] = CStringGetTextDatum(mode);
	values[2] = rlrec_watermark_datum(&watermark);
	rlrec_catalog_execute("WITH s AS (INSERT INTO rlrec.subscription (agent, mode) VALUES ($1, $2))"
						  " INSERT INTO rlrec.watermark (agent, seen) VALUES ($1, $3)", 3, types, values, NULL);
	rlrec_feedback_changed(agent);
}

static void
start_learning(const RlrecAgent *agent)
{
	if (rlrec_launcher_available())
		rlrec_worker_poke_on_commit();
	else
		ereport(NOTICE,
				(errmsg("agent \"%s\" learns when rlrec_process() is called", agent->name),
				 errhint("With shared_preload_libraries = 'rlrec' a worker does it in the background.")));
}

PG_FUNCTION_INFO_V1(rlrec_attach);
Datum
rlrec_attach(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent;
	char	   *mode;
	bool		by_range;
	bool		replicated;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", PG_ARGISNULL(1) ? "mode" : "replicated"),
				 errhint("Leave it out for the default.")));
	mode = text_to_cstring(PG_GETARG_TEXT_PP(1));
	by_range = strcmp(mode, "range") == 0;
	replicated = PG_GETARG_BOOL(2);
	check_mode(mode, replicated);
	agent = rlrec_agent_get_locked(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_LOCK, "rlrec_attach()");
	rlrec_agent_check_columns(agent);
	if (rlrec_feedback_mode(agent->id) != RLREC_FEEDBACK_DETACHED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("agent \"%s\" is attached already", agent->name),
				 errhint("To attach it in another way, run SELECT rlrec_detach(%s) first.", quote_literal_cstr(agent->name))));
	SPI_connect();
	if (strcmp(mode, "none") != 0)
	{
		check_events(agent);
		if (by_range)
			check_range(agent);
		create_trigger(agent, get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid)), by_range, replicated);
	}
	subscribe(agent, mode);
	SPI_finish();
	start_learning(agent);
	PopActiveSnapshot();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(rlrec_detach);
Datum
rlrec_detach(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get_locked(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_LOCK, "rlrec_detach()");
	Oid			types[] = {INT8OID};
	Datum		values[1];

	rlrec_process_check(agent);
	(void) rlrec_process_lock(agent, true);
	values[0] = Int64GetDatum(agent->id);
	SPI_connect();
	rlrec_feedback_drop_trigger(agent->id, agent->name, agent->events);
	rlrec_catalog_execute("WITH s AS (DELETE FROM rlrec.subscription WHERE agent = $1), w AS (DELETE FROM rlrec.worker WHERE agent = $1)"
						  " DELETE FROM rlrec.watermark WHERE agent = $1", 1, types, values, NULL);
	rlrec_online_forget(agent->id);
	SPI_finish();
	rlrec_feedback_changed(agent);
	PopActiveSnapshot();
	PG_RETURN_VOID();
}
