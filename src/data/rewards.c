/*
 * rewards.c
 *	  From what each event counts by itself to what learners are given: docs/rewards.md.
 *
 * Credit: a user's first event of an item opens a window as long as the horizon, and what later events of the item inside it count is
 * added to it and taken from them, so that each reward is given once; the first event after it opens the next. Then the scale. Both
 * depend on what else there is, so a part that is cut off, to be found again, must be left out of them: a split applies the rules anew.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"

#include "data/rewards.h"

void
rlrec_rewards_credit(const RlrecRewardRules *rules, int64 start, int64 end, const int32 *item, const int64 *time, float *reward,
					 int64 *first)
{
	for (int64 e = start; e < end; e++)
	{
		int64		opener = first[item[e]] - 1;
		int64		elapsed = opener < start ? 0 : time[e] - time[opener];

		if (opener < start || elapsed > rules->horizon)
			first[item[e]] = e + 1;
		else
		{
			reward[opener] += pow(rules->discount, (double) elapsed / rules->horizon) * reward[e];
			reward[e] = 0;
		}
	}
}

static void
credit_all(const RlrecEvents *events, float *reward)
{
	int64	   *first = MemoryContextAllocExtended(CurrentMemoryContext, mul_size(Max(events->items.n, 1), sizeof(int64)),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		rlrec_rewards_credit(&events->rules, events->start[u], events->end[u], events->item, events->time, reward, first);
	}
	pfree(first);
}

/* By what all rewards are to be divided; 1 where the statistic is 0, or next to it. */
static double
scale_of(const RlrecEvents *events, const float *reward)
{
	double		largest = 0;
	double		mean = 0;
	double		squares = 0;	/* sum of squared deviations, by Welford's recurrence */
	double		statistic;
	int64		n = 0;

	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
		{
			double		delta = reward[e] - mean;

			mean += delta / ++n;
			squares += delta * (reward[e] - mean);
			largest = Max(largest, fabs(reward[e]));
		}
	}
	statistic = events->rules.scale == RLREC_SCALE_MAX ? largest : n > 0 ? sqrt(squares / n) : 0;
	return statistic > 1e-30 ? statistic : 1;
}

void
rlrec_rewards_apply(RlrecEvents *events)
{
	int64		n = 0;
	float	   *reward;

	events->reward = events->own_reward;
	events->scale = 1;
	if (events->rules.horizon == 0 && events->rules.scale == RLREC_SCALE_NONE)
		return;

	for (int32 u = 0; u < events->users.n; u++)
		n = Max(n, events->end[u]);
	reward = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(n, 1), sizeof(float)));
	memcpy(reward, events->own_reward, n * sizeof(float));
	if (events->rules.horizon > 0)
		credit_all(events, reward);
	if (events->rules.scale != RLREC_SCALE_NONE)
		events->scale = scale_of(events, reward);
	for (int64 e = 0; e < n && events->scale != 1; e++)
		reward[e] /= events->scale;
	events->reward = reward;
}
