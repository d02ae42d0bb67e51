/*
 * popularity.c
 *	  What most users had: the same for everybody, and what any user gets of whom nothing is known.
 *
 * score(j) = sum over the users u that had j of 2^(-age(u, j) / half_life), where age runs from the latest event of the pair to the
 * newest event of all; without half_life it is the number of those users.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "learner/learner.h"

static const RlrecOption options[] = {
	{"half_life", RLREC_OPTION_INTERVAL, 0, 0, 1e10, "time after which an event counts half; 0 counts all events alike"},
	{NULL}
};

static const char *
obstacle(const RlrecFit *data pg_attribute_unused())
{
	return NULL;
}

static int64
newest(const RlrecEvents *events)
{
	int64		time = PG_INT64_MIN;

	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
			time = Max(time, events->time[e]);
	}
	return time;
}

static void
fit(const RlrecFit *data, const char *prefix, RlrecTensors *tensors)
{
	const RlrecEvents *events = data->events;
	int32		n = events->items.n;
	float	   *score = rlrec_tensors_add(tensors, psprintf("%sscore", prefix), RLREC_F32, 1, n, 0);
	double		half_life = rlrec_option_real(data->options, options, "half_life") * USECS_PER_SEC;
	int64		now = newest(events);
	double	   *sum = MemoryContextAllocExtended(CurrentMemoryContext, n * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int32	   *user = MemoryContextAllocExtended(CurrentMemoryContext, n * sizeof(int32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	/* newest first, and user[i], one more than the user whose event of item i was the last seen, says which to pass over */
	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->end[u] - 1; e >= events->start[u]; e--)
		{
			int32		item = events->item[e];

			if (!(events->reward[e] > 0) || user[item] == u + 1)
				continue;
			user[item] = u + 1;
			sum[item] += half_life > 0 ? exp2(-((double) now - (double) events->time[e]) / half_life) : 1;
		}
	}
	for (int32 i = 0; i < n; i++)
		score[i] = (float) sum[i];
	pfree(sum);
	pfree(user);
}

static bool
score(const RlrecModel *model, const RlrecHistory *history pg_attribute_unused(), float *scores)
{
	memcpy(scores, rlrec_model_data(model, "score", RLREC_F32, model->items.n), model->items.n * sizeof(float));
	return true;
}

const RlrecLearner rlrec_popularity = {
	.name = "popularity",
	.summary = "what most users had, optionally with time decay",
	.options = options,
	.obstacle = obstacle,
	.fit = fit,
	.score = score
};
