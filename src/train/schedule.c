/*
 * schedule.c
 *	  rlrec_schedule() and rlrec_unschedule(): pg_cron runs an agent's commands by the clock.
 *
 * A job is a row of cron.job, named "rlrec COMMAND ID" by the agent's id, as names of agents may be too long for one; cron.schedule() makes
 * it in the name of the caller, as whom pg_cron will connect. What it runs is one of a few fixed calls. pg_cron keeps the jobs of all
 * databases in one, cron.database_name, and only there its functions are.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "store/agent.h"
#include "store/catalog.h"
#include "train/schedule.h"

/* What may be scheduled; the call's %s is the agent's name, quoted. */
typedef struct Command
{
	const char *name;
	const char *call;
} Command;

static const Command commands[] = {
	{"train", "rlrec_train(%s, 'always'::pg_catalog.text)"},
	{"train_if_better", "rlrec_train(%s, 'if_better'::pg_catalog.text)"},
	{"process", "rlrec_process(%s)"},
	{"maintain", "rlrec_maintain(%s)"},
};

static const Command *
command_find(const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < (int) lengthof(commands); i++)
	{
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		appendStringInfo(&names, "%s'%s'", i > 0 ? ", " : "", commands[i].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown command \"%s\"", name),
			 errhint("Use one of %s.", names.data)));
}

static char *
job_name(int64 agent, const char *command)
{
	return psprintf("rlrec %s %lld", command, (long long) agent);
}

/* The statement of a job: every name in it is qualified and every argument has its type, so that no search_path can change what it calls. */
static char *
job_statement(const RlrecAgent *agent, const Command *command, Oid schema)
{
	char	   *name = psprintf("%s::pg_catalog.text", quote_literal_cstr(agent->name));

	return psprintf("SELECT * FROM %s.%s", quote_identifier(get_namespace_name(schema)), psprintf(command->call, name));
}

/* Errors, with what to do, unless pg_cron's functions are here and the current user may call them. */
static void
check_cron(const char *job, const char *schedule, const char *statement)
{
	const char *home = GetConfigOption("cron.database_name", true, false);
	char	   *here = get_database_name(MyDatabaseId);

	if (home == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_cron is not loaded"),
				 errhint("Install it (on Debian the package postgresql-%d-cron), add it to shared_preload_libraries, set cron.database_name"
						 " to '%s', restart the server, and run CREATE EXTENSION pg_cron.", PG_MAJORVERSION_NUM, here)));
	if (strcmp(home, here) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_cron keeps its jobs in database \"%s\", not in \"%s\"", home, here),
				 errhint("There a superuser can run SELECT cron.schedule_in_database(%s, %s, %s, %s, %s).",
						 quote_literal_cstr(psprintf("%s in %s", job, here)), quote_literal_cstr(schedule),
						 quote_literal_cstr(statement), quote_literal_cstr(here),
						 quote_literal_cstr(GetUserNameFromId(GetUserId(), false)))));
	if (!OidIsValid(get_extension_oid("pg_cron", true)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pg_cron\" does not exist"),
				 errhint("Run CREATE EXTENSION pg_cron in this database.")));
	if (!DatumGetBool(DirectFunctionCall2(has_schema_privilege_id, ObjectIdGetDatum(get_namespace_oid("cron", false)),
										  CStringGetTextDatum("USAGE"))))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema cron"),
				 errhint("A superuser can run GRANT USAGE ON SCHEMA cron TO %s.",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* The caller's own agent, which nobody drops while this transaction lasts. A training does not stand in the way. */
static RlrecAgent *
keep_agent(const char *name, const char *function)
{
	RlrecAgent *agent;

	PreventCommandIfReadOnly(function);
	PreventCommandDuringRecovery(function);
	agent = rlrec_agent_get(name, RLREC_AGENT_OWN);
	LockRelationOid(agent->anchor, AccessShareLock);
	return rlrec_agent_get(agent->name, RLREC_AGENT_OWN);
}

/* Removes the jobs of these names in this database, but for those of one user, NULL for nobody. As superuser: those of others are hidden. */
static int
remove_jobs(Datum *names, int n, const char *but_for)
{
	Oid			types[] = {TEXTARRAYOID, TEXTOID};
	Datum		values[2];

	if (!OidIsValid(get_extension_oid("pg_cron", true)) || GetConfigOption("cron.database_name", true, false) == NULL)
		return 0;
	values[0] = PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = but_for ? CStringGetTextDatum(but_for) : (Datum) 0;
	return (int) rlrec_catalog_execute("SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname::text = ANY ($1)"
									   " AND database = current_database() AND username IS DISTINCT FROM $2",
									   2, types, values, but_for ? "  " : " n");
}

int
rlrec_schedule_remove(int64 agent, const char *command)
{
	Datum		names[lengthof(commands)];
	int			n = 0;

	for (int i = 0; i < (int) lengthof(commands); i++)
		if (command == NULL || strcmp(command, commands[i].name) == 0)
			names[n++] = CStringGetTextDatum(job_name(agent, commands[i].name));
	return remove_jobs(names, n, NULL);
}

PG_FUNCTION_INFO_V1(rlrec_schedule);
Datum
rlrec_schedule(PG_FUNCTION_ARGS)
{
	const Command *command = command_find(PG_ARGISNULL(2) ? "train" : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	RlrecAgent *agent;
	char	   *name,
			   *statement;
	bool		isnull;
	int64		job;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a schedule is needed"),
				 errhint("Give minute, hour, day of the month, month and day of the week: '0 3 * * *' is three o'clock every night.")));
	agent = keep_agent(rlrec_text_argument(fcinfo, 0), "rlrec_schedule()");
	name = job_name(agent->id, command->name);
	statement = job_statement(agent, command, get_func_namespace(fcinfo->flinfo->fn_oid));
	check_cron(name, text_to_cstring(PG_GETARG_TEXT_PP(1)), statement);

	values[0] = CStringGetTextDatum(name);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = CStringGetTextDatum(statement);
	SPI_connect();
	remove_jobs(values, 1, GetUserNameFromId(GetUserId(), false));
	if (SPI_execute_with_args("SELECT cron.schedule($1, $2, $3)", 3, types, values, NULL, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "cron.schedule() returned no job");
	job = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PG_RETURN_INT64(job);
}

PG_FUNCTION_INFO_V1(rlrec_unschedule);
Datum
rlrec_unschedule(PG_FUNCTION_ARGS)
{
	const Command *command = PG_ARGISNULL(1) ? NULL : command_find(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	RlrecAgent *agent = keep_agent(rlrec_text_argument(fcinfo, 0), "rlrec_unschedule()");
	int			n;

	SPI_connect();
	n = rlrec_schedule_remove(agent->id, command ? command->name : NULL);
	SPI_finish();
	PG_RETURN_INT32(n);
}
