/*
 * split.c
 *	  Splits of the events: leave one out, by time, and by a share of each user's.
 *
 * A split copies no event: it is another `end` per user over the same arrays (see events.h), plus the test items. Only rewards that depend
 * on one another are its own, so that nothing of what is held out is in them.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "data/rewards.h"
#include "data/split.h"

#define LEAST_EVENTS 3			/* of a user whom leave-one-out tests */

static void *
alloc_zero(Size count, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, Max(mul_size(count, size), 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * An empty split over the events: its training part is all of them, in an `end` of its own.
 */
static RlrecSplit *
split_create(const RlrecEvents *events, int64 **end, int32 **user, int64 **start)
{
	RlrecSplit *split = palloc0(sizeof(RlrecSplit));
	Size		n = events->users.n;

	*end = alloc_zero(n, sizeof(int64));
	*user = alloc_zero(n, sizeof(int32));
	*start = alloc_zero(add_size(n, 1), sizeof(int64));
	if (n > 0)
		memcpy(*end, events->end, n * sizeof(int64));

	split->train = *events;
	split->train.end = *end;
	split->user = *user;
	split->start = *start;
	return split;
}

RlrecSplit *
rlrec_split_leave_one_out(const RlrecEvents *events)
{
	int64	   *end;
	int32	   *user;
	int64	   *start;
	RlrecSplit *split = split_create(events, &end, &user, &start);
	int32	   *item = alloc_zero(events->users.n, sizeof(int32));
	float	   *reward = alloc_zero(events->users.n, sizeof(float));

	for (int32 u = 0; u < events->users.n; u++)
	{
		int64		last = events->end[u] - 1;

		if (events->end[u] - events->start[u] < LEAST_EVENTS)
			continue;
		while (last > events->start[u] && !(events->reward[last] > 0))
			last--;
		if (last == events->start[u])
			continue;

		end[u] = last;
		user[split->n_tests] = u;
		reward[split->n_tests] = events->reward[last];
		item[split->n_tests++] = events->item[last];
		start[split->n_tests] = split->n_tests;
	}
	split->item = item;
	rlrec_rewards_apply(&split->train);
	split->reward = reward;
	return split;
}

int64
rlrec_split_first_not_before(const RlrecEvents *events, int32 u, int64 time)
{
	int64		low = events->start[u];
	int64		high = events->end[u];

	while (low < high)
	{
		int64		middle = low + (high - low) / 2;

		if (events->time[middle] < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

RlrecSplit *
rlrec_split_before(const RlrecEvents *events, int64 time)
{
	int64	   *end;
	int32	   *user;
	int64	   *start;
	RlrecSplit *split = split_create(events, &end, &user, &start);

	for (int32 u = 0; u < events->users.n; u++)
		end[u] = rlrec_split_first_not_before(events, u, time);
	rlrec_rewards_apply(&split->train);
	return split;
}

static int64
count_before(const RlrecEvents *events, int64 time)
{
	int64		count = 0;

	CHECK_FOR_INTERRUPTS();
	for (int32 u = 0; u < events->users.n; u++)
		count += rlrec_split_first_not_before(events, u, time) - events->start[u];
	return count;
}

/* The first and last time of any event; false when there is no event. */
static bool
time_range(const RlrecEvents *events, int64 *first, int64 *last)
{
	*first = PG_INT64_MAX;
	*last = PG_INT64_MIN;
	for (int32 u = 0; u < events->users.n; u++)
	{
		if (events->end[u] == events->start[u])
			continue;
		*first = Min(*first, events->time[events->start[u]]);
		*last = Max(*last, events->time[events->end[u] - 1]);
	}
	return *first <= *last;
}

bool
rlrec_split_has_time(const RlrecEvents *events)
{
	int64		first;
	int64		last;

	return time_range(events, &first, &last) && first < last;
}

/*
 * The time at the quantile, by bisection over time: 64 rounds of one binary search a user, and nothing to sort or copy. Never the first
 * time of all, before which there would be nothing to learn from.
 */
static int64
time_quantile(const RlrecEvents *events, double quantile)
{
	int64		low;
	int64		high;
	int64		total = 0;
	int64		position;

	if (!time_range(events, &low, &high) || low == high)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot split the events by time"),
				 errdetail("All events have the same time, or the agent has no time column."),
				 errhint("Use the protocol \"leave_one_out\", or create the agent with time_column.")));

	for (int32 u = 0; u < events->users.n; u++)
		total += events->end[u] - events->start[u];
	position = Min((int64) (quantile * (double) total), total - 1);

	/* The least time, but the first of all, up to which there are more than `position` events. */
	low++;
	while (low < high)
	{
		int64		middle = (int64) ((uint64) low + ((uint64) high - (uint64) low) / 2);

		if (count_before(events, middle + 1) > position)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/*
 * Tests users on what follows their end[]: the distinct items that they liked there and had not met before. Who has nothing before it, or
 * no such item, is not tested.
 */
static void
test_rest(const RlrecEvents *events, RlrecSplit *split, const int64 *end, int32 *user, int64 *start)
{
	int32	   *met = alloc_zero(events->items.n, sizeof(int32));	/* the user, plus 1, who had the item last */
	int64		rest = 0;
	int64		n = 0;
	int32	   *item;
	float	   *reward;

	for (int32 u = 0; u < events->users.n; u++)
		rest += events->end[u] - end[u];
	item = alloc_zero(rest, sizeof(int32));
	reward = alloc_zero(rest, sizeof(float));

	for (int32 u = 0; u < events->users.n; u++)
	{
		int64		before = n;

		if (end[u] == events->start[u])
			continue;
		for (int64 e = events->start[u]; e < end[u]; e++)
			met[events->item[e]] = u + 1;
		for (int64 e = end[u]; e < events->end[u]; e++)
		{
			int32		i = events->item[e];

			if (met[i] == u + 1 || !(events->reward[e] > 0))
				continue;
			met[i] = u + 1;
			reward[n] = events->reward[e];
			item[n++] = i;
		}
		if (n > before)
		{
			user[split->n_tests++] = u;
			start[split->n_tests] = n;
		}
	}
	pfree(met);
	split->item = item;
	rlrec_rewards_apply(&split->train);
	split->reward = reward;
}

RlrecSplit *
rlrec_split_temporal(const RlrecEvents *events, double quantile)
{
	int64		cut = time_quantile(events, quantile);
	int64	   *end;
	int32	   *user;
	int64	   *start;
	RlrecSplit *split = split_create(events, &end, &user, &start);

	for (int32 u = 0; u < events->users.n; u++)
		end[u] = rlrec_split_first_not_before(events, u, cut);
	test_rest(events, split, end, user, start);
	return split;
}

RlrecSplit *
rlrec_split_last_share(const RlrecEvents *events, double share)
{
	int64	   *end;
	int32	   *user;
	int64	   *start;
	RlrecSplit *split = split_create(events, &end, &user, &start);

	for (int32 u = 0; u < events->users.n; u++)
		end[u] -= (int64) (share * (double) (events->end[u] - events->start[u]));
	test_rest(events, split, end, user, start);
	return split;
}

/*
 * Selection sampling (Knuth, The Art of Computer Programming, vol. 2, algorithm S), which keeps the order.
 */
void
rlrec_split_sample(RlrecSplit *split, int32 at_most, uint64 seed)
{
	int32	   *user;
	int64	   *start;
	int32	   *item;
	float	   *reward;
	int32		n = 0;
	pg_prng_state random;

	if (split->n_tests <= at_most)
		return;
	user = alloc_zero(at_most, sizeof(int32));
	start = alloc_zero(add_size(at_most, 1), sizeof(int64));
	item = alloc_zero(split->start[split->n_tests], sizeof(int32));
	reward = alloc_zero(split->start[split->n_tests], sizeof(float));

	pg_prng_seed(&random, seed);
	for (int32 t = 0; t < split->n_tests && n < at_most; t++)
	{
		int64		length = split->start[t + 1] - split->start[t];

		if (pg_prng_double(&random) * (split->n_tests - t) >= at_most - n)
			continue;
		memcpy(item + start[n], split->item + split->start[t], length * sizeof(int32));
		memcpy(reward + start[n], split->reward + split->start[t], length * sizeof(float));
		user[n++] = split->user[t];
		start[n] = start[n - 1] + length;
	}
	split->n_tests = n;
	split->user = user;
	split->start = start;
	split->item = item;
	split->reward = reward;
}
