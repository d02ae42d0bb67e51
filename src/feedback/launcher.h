/*
 * launcher.h
 *	  Which databases have a worker, or want one.
 */
#ifndef RLREC_LAUNCHER_H
#define RLREC_LAUNCHER_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/latch.h"

/* A database in shared memory. Written under a lock (launcher.c), but for wanted, which a worker takes back by itself. */
typedef struct RlrecWorkerSlot
{
	Oid			database;		/* InvalidOid: a free slot */
	pid_t		pid;			/* of its worker, 0 for none */
	Latch	   *latch;			/* of its worker */
	bool		starting;		/* the launcher has asked for its worker, which is not there yet */
	pg_atomic_uint32 wanted;	/* whether something was committed that no worker has looked at */
	TimestampTz hold;			/* no worker is started before */
	TimestampTz look;			/* one is started then, wanted or not; 0 for never */
	TimestampTz warned;			/* when its worker last said that the queue is long */
	int			failures;		/* workers that ended in an error, one after the other */
} RlrecWorkerSlot;

/* Why a worker ends. */
typedef enum RlrecWorkerEnd
{
	RLREC_WORKER_FAILED,		/* an error */
	RLREC_WORKER_NEEDLESS,		/* nothing is attached */
	RLREC_WORKER_IDLE,			/* nothing to do for long */
	RLREC_WORKER_ASIDE			/* somebody wants the database for himself, or no worker at all */
} RlrecWorkerEnd;

/* Settings rlrec.worker, rlrec.worker_idle_timeout and rlrec.worker_batch_timeout, times in milliseconds. */
extern bool rlrec_worker_on;
extern int	rlrec_worker_idle_timeout;
extern int	rlrec_worker_batch_timeout;

/* Defines the settings; when preloaded, asks for shared memory and registers the launcher. */
extern void rlrec_launcher_init(void);

/* Whether the library was preloaded, so that workers can be had. */
extern bool rlrec_launcher_available(void);

/* Tells that the database wants a worker: its own is woken, or the launcher starts one. Returns the slot, NULL when there is none. */
extern RlrecWorkerSlot *rlrec_launcher_want(Oid database);

/* The slot that this process is to serve, for that database; NULL when another one does. */
extern RlrecWorkerSlot *rlrec_launcher_enter(int number, Oid database);

/* Ends that; false, and nothing done, when the worker is wanted after all. */
extern bool rlrec_launcher_leave(RlrecWorkerSlot *slot, RlrecWorkerEnd end);

/* The process of the database's worker, 0 for none. */
extern pid_t rlrec_launcher_pid(Oid database);

#endif							/* RLREC_LAUNCHER_H */
