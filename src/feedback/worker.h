/*
 * worker.h
 *	  The process that learns a database's committed feedback.
 */
#ifndef RLREC_WORKER_H
#define RLREC_WORKER_H

/* Tells the worker of this database that feedback was committed: cheap, to be called after each such commit; nothing when not preloaded. */
extern void rlrec_worker_poke(void);

/* The same once the current transaction has committed; nothing when it does not. */
extern void rlrec_worker_poke_on_commit(void);

#endif							/* RLREC_WORKER_H */
