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

#include "baseline/popularity.h"

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
	if (half_life > 0)
	{
		double	   *decay = rlrec_tensors_add(tensors, psprintf("%sdecay", prefix), RLREC_F64, 1, 2, 0);

		decay[0] = half_life;
		decay[1] = (double) now;
	}
	pfree(sum);
	pfree(user);
}

/* Half-life and newest time of the model in microseconds; NULL when it has none. */
static const double *
decay_of(const RlrecModel *model)
{
	if (rlrec_tensors_find(model->tensors, psprintf("%sdecay", model->prefix)) == NULL)
		return NULL;
	return rlrec_model_data(model, "decay", RLREC_F64, 2);
}

/*
 * What an event at that time counts, where one at the model's newest time counts 1. After MOST half-lives without a training, within the range of
 * type real, later events count alike.
 */
#define MOST 90

static double
weight_at(const double *decay, int64 time)
{
	return exp2(Min(((double) time - decay[1]) / decay[0], MOST));
}

const RlrecLearnedCounts *
rlrec_popularity_learned(const RlrecModel *model, RlrecLearned *learned, double *scale)
{
	const double *decay = decay_of(model);

	*scale = decay != NULL && learned->newest > decay[1] ? 1 / weight_at(decay, learned->newest) : 1;
	return learned->counts(learned, decay != NULL ? RLREC_LEARNED_DECAYED : RLREC_LEARNED_USERS);
}

static bool
score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	const RlrecLearnedCounts *more = NULL;
	double		scale = 1;

	memcpy(scores, rlrec_model_data(model, "score", RLREC_F32, model->items.n), model->items.n * sizeof(float));
	if (history->learned != NULL)
		more = rlrec_popularity_learned(model, history->learned, &scale);
	for (int32 i = 0; i < model->items.n && more != NULL; i++)
		scores[i] = (float) ((scores[i] + more->count[i]) * scale);
	return true;
}

/* What a user's latest event of an item counts; 0 when he has none. */
static double
latest_weight(const double *decay, int32 n, const RlrecPastEvent *events, const RlrecKey *item)
{
	while (--n >= 0)
		if (events[n].reward > 0 && rlrec_same_key(&events[n].id, item))
			return weight_at(decay, events[n].time);
	return 0;
}

/* Without a half-life the counts that every agent keeps are enough. */
static void
learn(const RlrecModel *model, const RlrecLesson *lesson, RlrecLearned *learned)
{
	const double *decay = decay_of(model);
	const RlrecKey *item = &lesson->after[lesson->place].id;
	RlrecQEntry *entry;

	if (decay == NULL)
		return;
	entry = rlrec_learned_take(learned, rlrec_learned_bucket(learned, RLREC_LEARNED_DECAYED, item), item->bytes, item->length);
	entry->q += latest_weight(decay, lesson->n_after, lesson->after, item) - latest_weight(decay, lesson->n_before, lesson->before, item);
	entry->visits++;
}

const RlrecLearner rlrec_popularity = {
	.name = "popularity",
	.summary = "what most users had, optionally with time decay",
	.options = options,
	.obstacle = obstacle,
	.fit = fit,
	.score = score,
	.learn = learn
};
