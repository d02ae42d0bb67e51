/*
 * parallel.c
 *	  Two threads for training.
 *
 * The helper sleeps on `wake` until `round` changes, runs shard 1 and signals `idle`. The backend's thread runs shard 0 (and 1 when it
 * is alone), looks for interrupts between its pieces of work and passes them on as `stop`. Interrupts are never served here: the
 * caller does that when both threads are at rest.
 */
#include "postgres.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "tensor/parallel.h"

#define WAIT_NANOSECONDS 5000000

struct RlrecPool
{
	int			threads;
	bool		(*pending) (void);
	pthread_t	main;
	pthread_t	helper;
	pthread_mutex_t lock;		/* over what follows, but for the atomic ones */
	pthread_cond_t wake;
	pthread_cond_t idle;
	uint64		round;			/* of the work to do */
	uint64		finished;		/* rounds */
	bool		quit;
	int			stop;			/* by __atomic: an interrupt is waiting */
	int			stopped;		/* by __atomic: a task was told so */
	RlrecTask	task;
	void	   *argument;
};

static void *
helper_main(void *argument)
{
	RlrecPool  *pool = argument;
	uint64		seen = 0;

	pthread_mutex_lock(&pool->lock);
	for (;;)
	{
		while (pool->round == seen && !pool->quit)
			pthread_cond_wait(&pool->wake, &pool->lock);
		if (pool->quit)
			break;
		seen = pool->round;
		pthread_mutex_unlock(&pool->lock);
		pool->task(pool, 1, pool->argument);
		pthread_mutex_lock(&pool->lock);
		pool->finished = seen;
		pthread_cond_signal(&pool->idle);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

RlrecPool *
rlrec_pool_create(int threads, bool (*pending) (void))
{
	RlrecPool  *pool = calloc(1, sizeof(RlrecPool));
	sigset_t	every;
	sigset_t	mask;
	int			error;

	if (pool == NULL)
		return NULL;
	pool->threads = threads;
	pool->pending = pending;
	pool->main = pthread_self();
	if (threads < 2)
		return pool;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pthread_cond_init(&pool->idle, NULL);
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &mask);
	error = pthread_create(&pool->helper, NULL, helper_main, pool);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (error != 0)
	{
		free(pool);
		errno = error;
		return NULL;
	}
	return pool;
}

void
rlrec_pool_destroy(RlrecPool *pool)
{
	if (pool == NULL)
		return;
	if (pool->threads > 1)
	{
		__atomic_store_n(&pool->stop, 1, __ATOMIC_RELAXED);
		pthread_mutex_lock(&pool->lock);
		pool->quit = true;
		pthread_cond_signal(&pool->wake);
		pthread_mutex_unlock(&pool->lock);
		pthread_join(pool->helper, NULL);
		pthread_cond_destroy(&pool->wake);
		pthread_cond_destroy(&pool->idle);
		pthread_mutex_destroy(&pool->lock);
	}
	free(pool);
}

bool
rlrec_pool_stopping(RlrecPool *pool)
{
	if (pthread_equal(pthread_self(), pool->main) && pool->pending())
		__atomic_store_n(&pool->stop, 1, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&pool->stop, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&pool->stopped, 1, __ATOMIC_RELAXED);
	return true;
}

/* Until the helper is at rest, with a look for interrupts now and then. */
static void
wait_for_helper(RlrecPool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->finished != pool->round)
	{
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAIT_NANOSECONDS;
		if (until.tv_nsec >= 1000000000)
		{
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&pool->idle, &pool->lock, &until);
		if (pool->pending())
			__atomic_store_n(&pool->stop, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&pool->lock);
}

bool
rlrec_pool_run(RlrecPool *pool, RlrecTask task, void *argument)
{
	__atomic_store_n(&pool->stop, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&pool->stopped, 0, __ATOMIC_RELAXED);
	if (pool->threads > 1)
	{
		pthread_mutex_lock(&pool->lock);
		pool->task = task;
		pool->argument = argument;
		pool->round++;
		pthread_cond_signal(&pool->wake);
		pthread_mutex_unlock(&pool->lock);
		task(pool, 0, argument);
		wait_for_helper(pool);
	}
	else
		for (int shard = 0; shard < RLREC_SHARDS; shard++)
			task(pool, shard, argument);
	return __atomic_load_n(&pool->stopped, __ATOMIC_RELAXED) == 0;
}
