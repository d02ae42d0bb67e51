/*
 * parallel.h
 *	  Two threads for training: the backend's own and a helper that runs pure functions.
 *
 * What runs as a task must call nothing of PostgreSQL, on either thread: it computes over buffers and reports through them.
 */
#ifndef RLREC_PARALLEL_H
#define RLREC_PARALLEL_H

typedef struct RlrecPool RlrecPool;

typedef void (*RlrecTask) (RlrecPool *pool, int shard, void *argument);

/* The shards into which work is cut, whatever the number of threads: results do not depend on the threads. */
#define RLREC_SHARDS 2

/*
 * Starts threads - 1 helpers (threads is 1 or 2) with all signals blocked. pending tells whether the backend wants to be interrupted; it
 * is called on the backend's thread only. NULL with errno set when memory or threads cannot be had. Not palloc'd.
 */
extern RlrecPool *rlrec_pool_create(int threads, bool (*pending) (void));

/* Stops what runs, waits for it and frees the pool; pool may be NULL. */
extern void rlrec_pool_destroy(RlrecPool *pool);

/* Runs the task for each shard. Returns false when a task was told to stop because of an interrupt: its work is to be done again. */
extern bool rlrec_pool_run(RlrecPool *pool, RlrecTask task, void *argument);

/* For tasks, every few milliseconds: whether to return without finishing. */
extern bool rlrec_pool_stopping(RlrecPool *pool);

#endif							/* RLREC_PARALLEL_H */
