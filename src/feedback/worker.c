/*
 * worker.c
 *	  The process that learns a database's committed feedback.
 *
 * It goes round the attached agents and learns a batch of each in a transaction of its own, so that none starves another. It is a superuser,
 * and what may run an agent's owner's code runs as him (process.c). After a round that learned something it naps, so that the next one is
 * worth its while; else it sleeps until a commit pokes it, and looks by itself every LOOK_MS, for COMMIT PREPARED pokes nobody.
 *
 * Errors. A batch that takes longer than rlrec.worker_batch_timeout ends in an error, as the owner's code may be slow. An agent whose batch fails
 * is tried again later, each time twice as late (stats.c); the others go on. After MAX_FAULTS errors in a row that one event may have the
 * batch is learned event by event, and those that still have one are skipped (process.c).
 *
 * Crashes. Before an agent's batch its id is written to a file, after it 0: a worker that finds an id there knows that the server crashed during
 * that batch, or with it. Crashes with no batch learned in between are counted, and RLREC_MAX_CRASHES of them set the agent aside. The file is
 * not synced: it is to survive processes, not the machine. What is learned need not survive a crash either, as the watermark is lost with it,
 * so the worker commits asynchronously.
 *
 * DROP DATABASE and its like lock the database and then wait five seconds for all other sessions to go. Each of the worker's transactions
 * takes the lock that connecting takes: it holds them off until it ends, and when it cannot be had, the worker goes. So a worker is in nobody's
 * way, however long a batch takes.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/twophase.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "feedback/launcher.h"
#include "feedback/maintain.h"
#include "feedback/process.h"
#include "feedback/queue.h"
#include "feedback/stats.h"
#include "feedback/worker.h"
#include "store/agent.h"
#include "store/catalog.h"

#define NAP_US 100000L
#define LOOK_MS 1000
#define MAINTAIN_MS 60000
#define LOCK_TIMEOUT "1s"
#define MAX_FAULTS 3
#define LONG_QUEUE (16 * RLREC_QUEUE_TABLE_BYTES)
#define WARN_MS (60 * 60 * 1000)

PGDLLEXPORT void rlrec_worker_main(Datum argument);

/* ---------------------------------------------------------------- poking it */

void
rlrec_worker_poke(void)
{
	static RlrecWorkerSlot *slot = NULL;

	/* Who has poked before and was not looked at yet need not again. */
	if (slot && pg_atomic_read_u32(&slot->wanted) != 0 && slot->database == MyDatabaseId)
		return;
	slot = rlrec_launcher_want(MyDatabaseId);
}

static bool poke_pending = false;

static void
poke_after_commit(XactEvent event, void *argument pg_attribute_unused())
{
	if (!poke_pending || event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		return;
	poke_pending = false;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		rlrec_worker_poke();
}

void
rlrec_worker_poke_on_commit(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(poke_after_commit, NULL);
	registered = true;
	poke_pending = true;
}

/* ---------------------------------------------------------------- the mark of a batch */

static char mark_path[MAXPGPATH];
static int	mark_file = -1;

/* The agent whose batch a crash ended, 0 for none. */
static int64
read_mark(void)
{
	int64		agent = 0;

	snprintf(mark_path, sizeof(mark_path), PG_STAT_TMP_DIR "/rlrec.%u", MyDatabaseId);
	mark_file = BasicOpenFile(mark_path, O_RDWR | PG_BINARY);
	if (mark_file >= 0 && pg_pread(mark_file, &agent, sizeof(agent), 0) != sizeof(agent))
		agent = 0;
	return agent;
}

static void
mark(int64 agent)
{
	if (mark_file < 0)
		mark_file = BasicOpenFile(mark_path, O_RDWR | O_CREAT | PG_BINARY);
	if (mark_file < 0 || pg_pwrite(mark_file, &agent, sizeof(agent), 0) != sizeof(agent))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", mark_path)));
}

/* ---------------------------------------------------------------- transactions */

/* Between transactions there is nothing to cancel. */
static void
check_interrupts(void)
{
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
}

/* False when somebody wants the database for himself; then there is no transaction. */
static bool
begin(void)
{
	LOCKTAG		tag;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		CommitTransactionCommand();
		return false;
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

static void
commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* ---------------------------------------------------------------- the agents */

/* An attached agent, in TopMemoryContext as long as the worker lives. */
typedef struct Pupil
{
	RlrecPace	pace;			/* with the agent's id */
	TimestampTz maintained;
	TimestampTz busy;			/* until when another session's lock is not waited for again */
	int			faults;			/* attempts in a row that ended in an error that one event may have */
} Pupil;

/* An agent whose turn it is. */
typedef struct Turn
{
	Pupil	   *pupil;
	char	   *name;
	bool		failed;			/* the last time */
} Turn;

/* What came of a round. */
typedef struct Round
{
	bool		aside;			/* somebody wants the database for himself */
	int			attached;		/* agents */
	bool		learned;		/* something */
	bool		more;			/* is left */
} Round;

static RlrecWorkerSlot *my_slot = NULL;
static List *pupils = NIL;

static Pupil *
find_pupil(int64 agent)
{
	ListCell   *cell;
	Pupil	   *pupil;
	MemoryContext old;

	foreach(cell, pupils)
	{
		pupil = lfirst(cell);
		if (pupil->pace.agent == agent)
			return pupil;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	pupil = palloc0(sizeof(Pupil));
	pupil->pace.agent = agent;
	pupils = lappend(pupils, pupil);
	MemoryContextSwitchTo(old);
	return pupil;
}

/* Whether the extension is there; in the transaction it then stays. */
static bool
installed(void)
{
	return OidIsValid(get_extension_oid("rlrec", true)) &&
		OidIsValid(RangeVarGetRelid(makeRangeVar("rlrec", "subscription", -1), AccessShareLock, true));
}

/* One agent that does not learn keeps the queue's tables of all from being emptied. */
static void
warn_of_queue(void)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		bytes;

	if (!TimestampDifferenceExceeds(my_slot->warned, now, WARN_MS) || (bytes = rlrec_queue_bytes()) < LONG_QUEUE)
		return;
	my_slot->warned = now;
	ereport(WARNING,
			(errmsg("the queue of feedback of database \"%s\" has grown to %lld MB", get_database_name(MyDatabaseId), (long long) bytes >> 20),
			 errdetail("It is emptied when all attached agents have learned from it."),
			 errhint("rlrec.stats shows which agents have not, and why.")));
}

/* The agents whose turn it is, in context; blames the agent, if any, whose batch a crash ended. */
static List *
take_turns(int64 crashed, MemoryContext context, Round *round)
{
	List	   *turns = NIL;
	bool		isnull;

	if (!begin())
	{
		round->aside = true;
		return NIL;
	}
	if (installed())
	{
		if (crashed != 0)
			rlrec_stats_crashed(crashed);
		SPI_connect();
		round->attached = (int) rlrec_catalog_execute("SELECT a.id, a.name, COALESCE(w.retry_at <= clock_timestamp(), true),"
													  " w.retry_at IS NOT NULL FROM rlrec.subscription s JOIN rlrec.agent a ON a.id = s.agent"
													  " LEFT JOIN rlrec.worker w ON w.agent = a.id ORDER BY a.id", 0, NULL, NULL, NULL);
		for (int i = 0; i < round->attached; i++)
		{
			HeapTuple	row = SPI_tuptable->vals[i];
			TupleDesc	descriptor = SPI_tuptable->tupdesc;
			Pupil	   *pupil = find_pupil(DatumGetInt64(SPI_getbinval(row, descriptor, 1, &isnull)));
			MemoryContext old;
			Turn	   *turn;

			if (!DatumGetBool(SPI_getbinval(row, descriptor, 3, &isnull)) || pupil->busy > GetCurrentTimestamp())
				continue;
			old = MemoryContextSwitchTo(context);
			turn = palloc(sizeof(Turn));
			turn->pupil = pupil;
			turn->name = TextDatumGetCString(SPI_getbinval(row, descriptor, 2, &isnull));
			turn->failed = DatumGetBool(SPI_getbinval(row, descriptor, 4, &isnull));
			turns = lappend(turns, turn);
			MemoryContextSwitchTo(old);
		}
		SPI_finish();
		if (round->attached > 0)
			warn_of_queue();
	}
	commit();
	return turns;
}

/* ---------------------------------------------------------------- learning */

/* In the current transaction; the agent may be gone by now. */
static void
learn_batch(const Turn *turn, Round *round)
{
	RlrecAgent *agent = rlrec_agent_find(turn->name);
	int64		most;
	int64		n;
	int64		skipped = 0;

	if (agent == NULL || agent->id != turn->pupil->pace.agent)
		return;
	if (!rlrec_process_lock(agent, false))
	{
		turn->pupil->busy = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_MS);
		return;
	}
	most = rlrec_option_int(agent->options, rlrec_agent_options, "feedback_batch");
	n = rlrec_process_batch(agent, most, turn->pupil->faults >= MAX_FAULTS ? &skipped : NULL);
	rlrec_stats_learned(&turn->pupil->pace, n, turn->failed, skipped);
	round->learned |= n > 0;
	round->more |= n + skipped >= most;
}

/* From now on the transaction may take so long; then it is cancelled, as by pg_cancel_backend(). */
static void
limit_time(void)
{
	if (rlrec_worker_batch_timeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, rlrec_worker_batch_timeout);
}

static void
maintain(const Turn *turn)
{
	RlrecAgent *agent = rlrec_agent_find(turn->name);

	turn->pupil->maintained = GetCurrentTimestamp();
	if (agent && agent->id == turn->pupil->pace.agent)
		rlrec_maintain(agent);
}

static void
tell_agent(void *name)
{
	errcontext("learning feedback of agent \"%s\"", (char *) name);
}

/* Ends the transaction that failed, and tries the agent again later. */
static void
recover(const Turn *turn, MemoryContext context)
{
	ErrorData  *error;

	/* Whatever was to cancel the batch is not to cancel what follows. */
	disable_all_timeouts(false);
	QueryCancelPending = false;
	MemoryContextSwitchTo(context);
	error = CopyErrorData();

	/* Another session has something to do with the agent: no fault of anyone's. */
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		EmitErrorReport();
	FlushErrorState();
	if (rlrec_process_may_skip(error))
		turn->pupil->faults++;
	else if (error->sqlerrcode != ERRCODE_QUERY_CANCELED && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		turn->pupil->faults = 0;
	AbortCurrentTransaction();
	pgstat_report_activity(STATE_IDLE, NULL);
	mark(0);
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		turn->pupil->busy = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_MS);
	else if (begin())
	{
		if (installed())
			rlrec_stats_failed(turn->pupil->pace.agent,
							   error->hint ? psprintf("%s; %s", error->message, error->hint) : error->message);
		commit();
	}
}

static void
take_turn(const Turn *turn, MemoryContext context, Round *round)
{
	ErrorContextCallback callback = {error_context_stack, tell_agent, turn->name};

	error_context_stack = &callback;
	PG_TRY();
	{
		pgstat_report_activity(STATE_RUNNING, psprintf("rlrec_process(%s)", quote_literal_cstr(turn->name)));
		if (begin())
		{
			mark(turn->pupil->pace.agent);
			limit_time();
			learn_batch(turn, round);
			disable_timeout(STATEMENT_TIMEOUT, false);
			commit();
			turn->pupil->faults = 0;
			if (TimestampDifferenceExceeds(turn->pupil->maintained, GetCurrentTimestamp(), MAINTAIN_MS) && begin())
			{
				limit_time();
				maintain(turn);
				disable_timeout(STATEMENT_TIMEOUT, false);
				commit();
			}
			mark(0);
		}
		else
			round->aside = true;
	}
	PG_CATCH();
	{
		recover(turn, context);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;

	/* What the owner's code may have left. */
	LockReleaseSession(USER_LOCKMETHOD);
}

static void
run_round(int64 crashed, MemoryContext context, Round *round)
{
	List	   *turns;
	ListCell   *cell;

	memset(round, 0, sizeof(*round));
	turns = take_turns(crashed, context, round);
	MemoryContextSwitchTo(context);
	foreach(cell, turns)
	{
		if (round->aside)
			break;
		take_turn(lfirst(cell), context, round);
		MemoryContextSwitchTo(context);
		check_interrupts();
	}
	MemoryContextReset(context);
	pgstat_report_stat(false);
}

/* ---------------------------------------------------------------- the process */

/* However the process ends, but for a crash. */
static void
leave(int code pg_attribute_unused(), Datum argument pg_attribute_unused())
{
	if (mark_file >= 0)
		(void) unlink(mark_path);
	if (my_slot)
		(void) rlrec_launcher_leave(my_slot, RLREC_WORKER_FAILED);
}

/* Returns when there is something to do after all. */
static void
end(RlrecWorkerEnd how)
{
	if (!rlrec_launcher_leave(my_slot, how))
		return;
	my_slot = NULL;
	proc_exit(0);
}

/* Whether COMMIT PREPARED in this database may bring feedback. */
static bool
has_prepared(void)
{
	bool		any = false;

	if (max_prepared_xacts > 0 && begin())
	{
		SPI_connect();
		any = rlrec_catalog_execute("SELECT FROM pg_prepared_xact() p JOIN pg_database d ON d.oid = p.dbid WHERE d.datname = current_database()",
									0, NULL, NULL, NULL) > 0;
		SPI_finish();
		commit();
	}
	return any;
}

static void
reload(void)
{
	check_interrupts();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (!rlrec_worker_on)
		end(RLREC_WORKER_ASIDE);
}

static void
serve(int64 crashed, MemoryContext context)
{
	TimestampTz active = GetCurrentTimestamp();

	for (;;)
	{
		Round		round;

		reload();
		(void) pg_atomic_exchange_u32(&my_slot->wanted, 0);
		run_round(crashed, context, &round);
		crashed = 0;
		my_slot->failures = 0;
		if (round.aside)
			end(RLREC_WORKER_ASIDE);
		else if (round.attached == 0)
			end(RLREC_WORKER_NEEDLESS);
		else if (round.learned)
		{
			active = GetCurrentTimestamp();
			if (!round.more)
				pg_usleep(NAP_US);
		}
		else
		{
			if (rlrec_worker_idle_timeout > 0 &&
				TimestampDifferenceExceeds(active, GetCurrentTimestamp(), rlrec_worker_idle_timeout) && !has_prepared())
				end(RLREC_WORKER_IDLE);
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
		}
	}
}

void
rlrec_worker_main(Datum argument)
{
	Oid			database;

	memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof(database));
	my_slot = rlrec_launcher_enter(DatumGetInt32(argument), database);
	if (my_slot == NULL)
		proc_exit(0);
	before_shmem_exit(leave, 0);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	serve(read_mark(), AllocSetContextCreate(TopMemoryContext, "rlrec worker", ALLOCSET_DEFAULT_SIZES));
}
