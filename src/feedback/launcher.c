/*
 * launcher.c
 *	  The process that starts a worker in each database that has attached agents.
 *
 * It is there where the library is preloaded, and connects to no database, so it cannot see which of them have attached agents. When it
 * starts, it starts a worker in each, one at a time; a worker that finds nothing attached ends at once. After that, commits tell: each that
 * attaches an agent or leaves feedback calls rlrec_launcher_want(). A worker that had nothing to do for rlrec.worker_idle_timeout ends, and
 * is started again by the next such commit, or after LOOK_AGAIN for what is to be done from time to time.
 *
 * What is known of the databases is in slots in shared memory, under a spinlock. A crash of any process makes the postmaster start all anew,
 * with empty slots. More databases than slots wait until one is free: then the launcher looks through all of them again.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "feedback/launcher.h"
#include "store/shared_memory.h"

#define SLOTS 256
#define RESTART_SECONDS 5		/* of the launcher itself */
#define LOOK_AGAIN_MS (10 * 60 * 1000)
#define ASIDE_MS 5000			/* DROP DATABASE and its like wait five seconds for others to go */
#define RETRY_MS 5000			/* when no worker can be had */
#define FIRST_RETRY_MS 1000		/* the first time: one that ended just now still holds its place */
#define FIRST_BACKOFF_MS 1000
#define LAST_BACKOFF_MS (5 * 60 * 1000)

typedef struct Shared
{
	slock_t		mutex;
	Latch	   *launcher;		/* NULL while there is none */
	bool		overflow;		/* a database found no slot */
	RlrecWorkerSlot slots[SLOTS];
} Shared;

bool		rlrec_worker_on = true;
int			rlrec_worker_idle_timeout = 5 * 60 * 1000;
int			rlrec_worker_batch_timeout = 60 * 1000;

static Shared *shared = NULL;

PGDLLEXPORT void rlrec_launcher_main(Datum argument);

/* ---------------------------------------------------------------- start-up */

static void
shared_memory_ready(void *memory, bool found)
{
	shared = memory;
	if (found)
		return;
	memset(shared, 0, sizeof(*shared));
	SpinLockInit(&shared->mutex);
	for (int i = 0; i < SLOTS; i++)
		pg_atomic_init_u32(&shared->slots[i].wanted, 0);
}

static void
register_launcher(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "rlrec", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "rlrec_launcher_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "rlrec launcher", sizeof(worker.bgw_type));
	strlcpy(worker.bgw_name, "rlrec launcher", sizeof(worker.bgw_name));
	RegisterBackgroundWorker(&worker);
}

void
rlrec_launcher_init(void)
{
	DefineCustomBoolVariable("rlrec.worker", "Learns committed feedback in the background.",
							 "Needs shared_preload_libraries = 'rlrec'.",
							 &rlrec_worker_on, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("rlrec.worker_idle_timeout", "A worker without feedback for so long ends; the next feedback starts it again.",
							"0 keeps it.",
							&rlrec_worker_idle_timeout, 5 * 60 * 1000, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("rlrec.worker_batch_timeout", "A worker's batch that takes longer ends in an error, so that other agents have their turn.",
							"0 lets it run.",
							&rlrec_worker_batch_timeout, 60 * 1000, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	rlrec_shared_memory_reserve("rlrec workers", sizeof(Shared), shared_memory_ready);
	register_launcher();
}

bool
rlrec_launcher_available(void)
{
	return shared != NULL;
}

/* ---------------------------------------------------------------- slots */

/* The database's slot, else a free one when there is one and add is true. The lock is held. */
static RlrecWorkerSlot *
find_slot(Oid database, bool add)
{
	RlrecWorkerSlot *empty = NULL;

	for (int i = 0; i < SLOTS; i++)
	{
		RlrecWorkerSlot *slot = &shared->slots[i];

		if (slot->database == database)
			return slot;
		if (empty == NULL && !OidIsValid(slot->database))
			empty = slot;
	}
	if (!add)
		return NULL;
	if (empty == NULL)
		shared->overflow = true;
	else
	{
		empty->database = database;
		empty->hold = empty->look = empty->warned = 0;
		empty->failures = 0;
	}
	return empty;
}

RlrecWorkerSlot *
rlrec_launcher_want(Oid database)
{
	RlrecWorkerSlot *slot;
	Latch	   *latch = NULL;

	if (shared == NULL)
		return NULL;
	SpinLockAcquire(&shared->mutex);
	slot = find_slot(database, true);
	if (slot)
	{
		pg_atomic_write_u32(&slot->wanted, 1);
		latch = slot->pid != 0 ? slot->latch : shared->launcher;
	}
	SpinLockRelease(&shared->mutex);
	if (latch)
		SetLatch(latch);
	return slot;
}

RlrecWorkerSlot *
rlrec_launcher_enter(int number, Oid database)
{
	RlrecWorkerSlot *slot = &shared->slots[number];
	Latch	   *launcher;
	bool		mine;

	SpinLockAcquire(&shared->mutex);
	mine = slot->database == database && slot->pid == 0;
	slot->starting = false;
	if (mine)
	{
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
	}
	launcher = shared->launcher;
	SpinLockRelease(&shared->mutex);
	if (launcher)
		SetLatch(launcher);
	return mine ? slot : NULL;
}

/* When the slot's next worker may start and when it does; the lock is held. */
static void
plan_next(RlrecWorkerSlot *slot, RlrecWorkerEnd end, TimestampTz now)
{
	slot->look = TimestampTzPlusMilliseconds(now, LOOK_AGAIN_MS);
	if (end == RLREC_WORKER_FAILED)
	{
		int			doublings = Min(slot->failures++, 20);

		slot->hold = slot->look = TimestampTzPlusMilliseconds(now, Min((int64) FIRST_BACKOFF_MS << doublings, LAST_BACKOFF_MS));
		return;
	}
	slot->failures = 0;
	if (end == RLREC_WORKER_ASIDE)
		slot->hold = slot->look = TimestampTzPlusMilliseconds(now, ASIDE_MS);
	else if (end == RLREC_WORKER_NEEDLESS)
		slot->database = InvalidOid;
}

bool
rlrec_launcher_leave(RlrecWorkerSlot *slot, RlrecWorkerEnd end)
{
	TimestampTz now = GetCurrentTimestamp();
	Latch	   *launcher;
	bool		stay;

	SpinLockAcquire(&shared->mutex);
	stay = (end == RLREC_WORKER_IDLE || end == RLREC_WORKER_NEEDLESS) && pg_atomic_read_u32(&slot->wanted) != 0;
	if (!stay)
	{
		slot->pid = 0;
		plan_next(slot, end, now);
	}
	launcher = shared->launcher;
	SpinLockRelease(&shared->mutex);
	if (!stay && launcher)
		SetLatch(launcher);
	return !stay;
}

pid_t
rlrec_launcher_pid(Oid database)
{
	RlrecWorkerSlot *slot;
	pid_t		pid = 0;

	if (shared == NULL)
		return 0;
	SpinLockAcquire(&shared->mutex);
	slot = find_slot(database, false);
	if (slot)
		pid = slot->pid;
	SpinLockRelease(&shared->mutex);
	return pid;
}

/* ---------------------------------------------------------------- the launcher */

/* The worker that was registered last, until it has entered its slot or is gone: one at a time, so that there is only one to remember. */
static BackgroundWorkerHandle *starting = NULL;
static RlrecWorkerSlot *starting_slot = NULL;

/* The databases that are still to be looked at once. */
static List *unseen = NIL;

/* Until when nothing is started as no worker could be had, and how often in a row that was. */
static TimestampTz shortage = 0;
static int	shortages = 0;

static bool
accepts_connections(HeapTuple tuple)
{
	Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

	return database->datallowconn && database->datconnlimit >= -1;
}

/* All databases that take connections, in TopMemoryContext. */
static void
list_databases(void)
{
	Relation	table;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	table = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(table, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
		if (accepts_connections(tuple))
		{
			MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

			unseen = list_append_unique_oid(unseen, ((Form_pg_database) GETSTRUCT(tuple))->oid);
			MemoryContextSwitchTo(old);
		}
	table_endscan(scan);
	table_close(table, AccessShareLock);
	CommitTransactionCommand();
}

static bool
can_connect(Oid database)
{
	HeapTuple	tuple;
	bool		can;

	StartTransactionCommand();
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	can = HeapTupleIsValid(tuple) && accepts_connections(tuple);
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	CommitTransactionCommand();
	return can;
}

/* Whether there is a free slot. */
static bool
has_room(void)
{
	bool		room;

	SpinLockAcquire(&shared->mutex);
	room = find_slot(InvalidOid, false) != NULL;
	SpinLockRelease(&shared->mutex);
	return room;
}

/* Gives the databases not seen yet slots, as long as there are any: to ask for more would count as overflow, and all be looked at again for ever. */
static void
fill_slots(void)
{
	bool		again;

	SpinLockAcquire(&shared->mutex);
	again = shared->overflow && unseen == NIL && find_slot(InvalidOid, false) != NULL;
	if (again)
		shared->overflow = false;
	SpinLockRelease(&shared->mutex);
	if (again)
		list_databases();
	while (unseen != NIL && has_room())
	{
		(void) rlrec_launcher_want(linitial_oid(unseen));
		unseen = list_delete_first(unseen);
	}
}

/* The slot whose worker is due, the one after the last that was started first; else NULL, and *when is when one will be. */
static RlrecWorkerSlot *
due_slot(TimestampTz now, TimestampTz *when)
{
	static int	last = 0;
	RlrecWorkerSlot *due = NULL;

	SpinLockAcquire(&shared->mutex);
	for (int i = 1; i <= SLOTS && due == NULL; i++)
	{
		RlrecWorkerSlot *slot = &shared->slots[(last + i) % SLOTS];
		TimestampTz start;

		if (!OidIsValid(slot->database) || slot->pid != 0)
			continue;
		start = pg_atomic_read_u32(&slot->wanted) != 0 ? slot->hold : slot->look;
		if (start <= now)
			due = slot;
		else
			*when = Min(*when, start);
	}
	SpinLockRelease(&shared->mutex);
	if (due)
		last = (int) (due - shared->slots);
	return due;
}

/* Registers the slot's worker, unless the database is gone. */
static void
start_worker(RlrecWorkerSlot *slot, TimestampTz now)
{
	BackgroundWorker worker;
	Oid			database = slot->database;

	if (!can_connect(database))
	{
		SpinLockAcquire(&shared->mutex);
		slot->database = InvalidOid;
		SpinLockRelease(&shared->mutex);
		return;
	}
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = Int32GetDatum((int32) (slot - shared->slots));
	strlcpy(worker.bgw_library_name, "rlrec", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "rlrec_worker_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "rlrec worker", sizeof(worker.bgw_type));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "rlrec worker of database %u", database);
	memcpy(worker.bgw_extra, &database, sizeof(database));
	slot->starting = true;
	if (RegisterDynamicBackgroundWorker(&worker, &starting))
	{
		starting_slot = slot;
		shortages = 0;
		return;
	}
	starting = NULL;
	if (++shortages == 2)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is left to learn feedback in database %u", database),
				 errdetail("This is tried again every %d seconds, and not logged until it has worked.", RETRY_MS / 1000),
				 errhint("Raise max_worker_processes.")));
	shortage = TimestampTzPlusMilliseconds(now, shortages == 1 ? FIRST_RETRY_MS : RETRY_MS);
}

/* Whether the worker that was registered last has neither entered its slot nor ended. */
static bool
is_starting(TimestampTz now)
{
	pid_t		pid;
	bool		stopped;
	bool		still;

	if (starting == NULL)
		return false;
	stopped = GetBackgroundWorkerPid(starting, &pid) == BGWH_STOPPED;
	SpinLockAcquire(&shared->mutex);
	still = starting_slot->starting;
	if (still && stopped)
		plan_next(starting_slot, RLREC_WORKER_FAILED, now);
	SpinLockRelease(&shared->mutex);
	if (still && !stopped)
		return true;
	pfree(starting);
	starting = NULL;
	return false;
}

/* Starts what is due; returns for how many milliseconds there is nothing to do then. */
static long
start_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz when = TimestampTzPlusMilliseconds(now, LOOK_AGAIN_MS);

	if (!rlrec_worker_on)
		return LOOK_AGAIN_MS;
	while (!is_starting(now))
	{
		RlrecWorkerSlot *slot;

		if (shortage > now)
			return TimestampDifferenceMilliseconds(now, shortage);
		fill_slots();
		slot = due_slot(now, &when);
		if (slot == NULL)
			return TimestampDifferenceMilliseconds(now, when) + 1;
		start_worker(slot, now);
		CHECK_FOR_INTERRUPTS();
	}
	/* It wakes us. */
	return RETRY_MS;
}

static void
forget_launcher(int code pg_attribute_unused(), Datum argument pg_attribute_unused())
{
	SpinLockAcquire(&shared->mutex);
	shared->launcher = NULL;
	SpinLockRelease(&shared->mutex);
}

void
rlrec_launcher_main(Datum argument pg_attribute_unused())
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGINT, SIG_IGN);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(forget_launcher, 0);
	SpinLockAcquire(&shared->mutex);
	shared->launcher = MyLatch;
	SpinLockRelease(&shared->mutex);
	list_databases();
	for (;;)
	{
		long		wait = start_due();

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}
