/*
 * async.c
 *	  rlrec_train_async() and rlrec_cancel_training(): trainings in a background worker.
 *
 * A training is a row of rlrec.training. Its worker connects as superuser, as owners need not be able to log in, and trains as the agent's
 * owner. Whatever happens is written to the row: an error at once; a crash (the server then restarts, and with it the worker) by the next
 * attempt, which waits BACKOFF_MS, doubled each time; after MAX_ATTEMPTS it is left. When no worker can be had the row waits, and the next
 * worker of this database that ends its own training takes it. An agent's rows that have ended are kept up to KEEP_FINISHED, the newest.
 *
 * Workers are registered when the transaction that asks for them is about to commit, and first wait until it has.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "learner/options.h"
#include "store/agent.h"
#include "store/catalog.h"
#include "store/progress.h"
#include "train/train.h"

#define MAX_ATTEMPTS 3
#define BACKOFF_MS 5000
#define NICE 10					/* so that queries keep most of the processor */
#define KEEP_FINISHED 100		/* rows of rlrec.training that have ended, an agent */

/* What a worker is told, in bgw_extra. */
typedef struct WorkerArgument
{
	Oid			database;
	TransactionId launcher;		/* the transaction that made the row */
	int64		training;		/* rlrec.training.id */
} WorkerArgument;

PGDLLEXPORT void rlrec_training_main(Datum argument);

/* ---------------------------------------------------------------- asking for one */

static bool
start_worker(int64 training)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;
	WorkerArgument argument;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BACKOFF_MS / 1000;
	strlcpy(worker.bgw_library_name, "rlrec", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "rlrec_training_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "rlrec training", sizeof(worker.bgw_type));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "rlrec training %lld", (long long) training);
	argument.database = MyDatabaseId;
	argument.launcher = GetTopTransactionId();
	argument.training = training;
	memcpy(worker.bgw_extra, &argument, sizeof(argument));
	return RegisterDynamicBackgroundWorker(&worker, &handle);
}

/* The trainings that this transaction asked for, in TopTransactionContext. */
static List *pending = NIL;

static void
start_pending(XactEvent event, void *argument pg_attribute_unused())
{
	ListCell   *cell;

	if (event == XACT_EVENT_PRE_COMMIT)
		foreach(cell, pending)
		{
			int64		training = *(int64 *) lfirst(cell);

			if (!start_worker(training))
				ereport(NOTICE,
						(errmsg("training %lld waits for a background worker", (long long) training),
						 errdetail("All are in use; it starts when another training in this database ends."),
						 errhint("Raise max_worker_processes to train more at once.")));
		}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		pending = NIL;
}

static void
add_pending(int64 training)
{
	static bool registered = false;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	int64	   *copy = palloc(sizeof(int64));

	*copy = training;
	pending = lappend(pending, copy);
	MemoryContextSwitchTo(old);
	if (!registered)
		RegisterXactCallback(start_pending, NULL);
	registered = true;
}

int64
rlrec_train_request(const RlrecAgent *agent, RlrecDeploy when)
{
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(agent->id), Int32GetDatum(when)};
	bool		isnull;
	int64		training;

	rlrec_catalog_execute("INSERT INTO rlrec.training (agent, deploy) VALUES ($1, $2) RETURNING id", 2, types, values, NULL);
	training = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	add_pending(training);
	return training;
}

PG_FUNCTION_INFO_V1(rlrec_train_async);
Datum
rlrec_train_async(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN);
	RlrecDeploy when = rlrec_deploy_argument(fcinfo, 1);
	int64		training;

	PreventCommandDuringRecovery("rlrec_train_async()");
	SPI_connect();
	training = rlrec_train_request(agent, when);
	SPI_finish();
	PG_RETURN_INT64(training);
}

PG_FUNCTION_INFO_V1(rlrec_cancel_training);
Datum
rlrec_cancel_training(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN);
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id)};
	int			pid = rlrec_progress_pid(agent->anchor);
	uint64		found;

	SPI_connect();
	found = rlrec_catalog_execute("SELECT pg_catalog.pg_cancel_backend(t.pid) FROM rlrec.training t,"
								  " pg_catalog.pg_stat_get_activity(t.pid) a"
								  " WHERE t.agent = $1 AND t.state = 'running' AND a.backend_type = 'rlrec training'", 1, types, values, NULL);
	found += rlrec_catalog_execute("UPDATE rlrec.training SET state = 'cancelled', finished_at = pg_catalog.clock_timestamp()"
									" WHERE agent = $1 AND state = 'waiting'", 1, types, values, NULL);
	SPI_finish();
	if (found == 0 && pid != 0)
	{
		RlrecRole	saved;

		rlrec_run_as(&saved, rlrec_catalog_owner(), SECURITY_LOCAL_USERID_CHANGE);
		(void) DirectFunctionCall1(pg_cancel_backend, Int32GetDatum(pid));
		rlrec_run_back(&saved);
	}
	PG_RETURN_BOOL(pid != 0 || found > 0);
}

/* ---------------------------------------------------------------- the worker */

/* One of our own statements in a transaction of its own; true when it touched a row, *result then being its first bigint. */
static bool
execute_alone(const char *statement, int n, Oid *types, Datum *values, int64 *result)
{
	bool		any;
	bool		isnull;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	any = rlrec_catalog_execute(statement, n, types, values, NULL) > 0;
	if (any && result)
		*result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	return any;
}

/* Writes how the training ended, and forgets the agent's oldest ones. */
static void
conclude(int64 training, const char *state, const char *error, int32 version)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, INT4OID};
	Datum		values[] = {Int64GetDatum(training), CStringGetTextDatum(state), CStringGetTextDatum(error), Int32GetDatum(version)};

	(void) execute_alone("UPDATE rlrec.training t SET state = $2, error = NULLIF($3, ''), version = NULLIF($4, 0), pid = NULL,"
						 " finished_at = pg_catalog.clock_timestamp(),"
						 " learner = (SELECT a.learner FROM rlrec.agent a WHERE a.id = t.agent) WHERE t.id = $1", 4, types, values, NULL);
	values[1] = Int32GetDatum(KEEP_FINISHED);
	types[1] = INT4OID;
	(void) execute_alone("WITH ended AS (SELECT id FROM rlrec.training WHERE state NOT IN ('waiting', 'running')"
						 "  AND agent = (SELECT agent FROM rlrec.training WHERE id = $1))"
						 " DELETE FROM rlrec.training WHERE id IN (SELECT id FROM ended ORDER BY id DESC OFFSET $2)", 2, types, values, NULL);
}

/*
 * Claims the training and counts the attempt; after a crash it waits. False when it was cancelled, dropped or rolled back, has failed for good, or
 * another worker has it.
 */
static bool
claim(int64 training)
{
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(training), Int32GetDatum(MyProcPid)};
	int64		attempts = 0;

	if (!execute_alone("UPDATE rlrec.training SET state = 'running', attempts = attempts + 1, pid = $2,"
					   " error = CASE WHEN attempts > 0 THEN 'attempt ' || attempts || ' ended in a crash' END,"
					   " started_at = pg_catalog.clock_timestamp()"
					   " WHERE id = $1 AND (state = 'waiting' OR state = 'running' AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity(pid)))"
					   " RETURNING attempts::pg_catalog.int8", 2, types, values, &attempts))
		return false;
	if (attempts > MAX_ATTEMPTS)
	{
		conclude(training, "failed", psprintf("given up after %d attempts that ended in a crash", MAX_ATTEMPTS), 0);
		return false;
	}
	if (attempts > 1)
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, (long) BACKOFF_MS << (attempts - 2), PG_WAIT_EXTENSION);
	CHECK_FOR_INTERRUPTS();
	return true;
}

/* Trains the agent of the row in a transaction; the row's agent and deploy are read in it. */
static void
train_one(int64 training, RlrecTraining *outcome)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(training)};
	bool		isnull;
	char	   *name;
	RlrecDeploy when;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (rlrec_catalog_execute("SELECT a.name, t.deploy FROM rlrec.training t JOIN rlrec.agent a ON a.id = t.agent WHERE t.id = $1", 1, types,
							  values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the agent was dropped")));
	name = TextDatumGetCString(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	when = (RlrecDeploy) DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	pgstat_report_activity(STATE_RUNNING, psprintf("rlrec_train(%s)", quote_literal_cstr(name)));
	rlrec_train_agent(name, when, outcome);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
}

static void
run_training(int64 training, MemoryContext context)
{
	RlrecTraining outcome = {0};
	volatile bool claimed = false;

	PG_TRY();
	{
		if ((claimed = claim(training)))
			train_one(training, &outcome);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		pgstat_report_activity(STATE_IDLE, NULL);
		conclude(training, error->sqlerrcode == ERRCODE_QUERY_CANCELED ? "cancelled" : "failed",
				 error->hint ? psprintf("%s; %s", error->message, error->hint) : error->message, 0);
		return;
	}
	PG_END_TRY();
	if (claimed)
		conclude(training, "done", "", outcome.version);
}

/* Whether the extension is (still) there. */
static bool
installed(void)
{
	bool		found;

	StartTransactionCommand();
	found = OidIsValid(get_namespace_oid("rlrec", true));
	CommitTransactionCommand();
	return found;
}

/* The postmaster starts a worker again that exits with an error; one whose database is gone should not be. */
static bool connected = false;

static void
stay_away(int code, Datum argument pg_attribute_unused())
{
	if (code != 0 && !connected)
		proc_exit(0);
}

/*
 * Makes the process, and the threads that it will start, give way to queries. Where Linux shares the processor among sessions
 * (sched_autogroup_enabled), and each process of the server is one, the niceness that counts is the session's. Unprivileged, it can be set
 * ten times a second on the whole machine.
 */
static void
give_way(void)
{
	int			file = open("/proc/self/autogroup", O_WRONLY);
	char		text[12];

	(void) setpriority(PRIO_PROCESS, 0, NICE);
	if (file < 0)
		return;
	snprintf(text, sizeof(text), "%d", NICE);
	for (int attempt = 0; attempt < 30 && write(file, text, strlen(text)) < 0 && errno == EAGAIN; attempt++)
	{
		pg_usleep(100000);
		CHECK_FOR_INTERRUPTS();
	}
	(void) close(file);
}

void
rlrec_training_main(Datum argument pg_attribute_unused())
{
	WorkerArgument worker;
	MemoryContext context;
	int64		training;

	memcpy(&worker, MyBgworkerEntry->bgw_extra, sizeof(worker));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	on_proc_exit(stay_away, 0);
	BackgroundWorkerInitializeConnectionByOid(worker.database, InvalidOid, 0);
	connected = true;
	give_way();
	context = AllocSetContextCreate(TopMemoryContext, "rlrec training worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	StartTransactionCommand();
	XactLockTableWait(worker.launcher, NULL, NULL, XLTW_None);
	CommitTransactionCommand();

	if (!installed())
		proc_exit(0);
	training = worker.training;
	do
	{
		run_training(training, context);
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
	} while (execute_alone("SELECT id FROM rlrec.training WHERE state = 'waiting' OR"
						   " state = 'running' AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity(pid)) ORDER BY id LIMIT 1", 0, NULL, NULL, &training));
	proc_exit(0);
}
