/*
 * replay.c
 *	  What a learner draws from its replay: uniform or prioritised, over one step or several.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "learner/replay.h"
#include "tensor/random.h"

void
rlrec_batch_create(RlrecBatch *batch, int n, int state_size, MemoryContext context)
{
	batch->n = n;
	batch->number = MemoryContextAlloc(context, n * sizeof(int64));
	batch->weight = MemoryContextAlloc(context, n * sizeof(float));
	batch->state = MemoryContextAllocHuge(context, (Size) n * state_size * sizeof(float));
	batch->next_state = MemoryContextAllocHuge(context, (Size) n * state_size * sizeof(float));
	batch->action = MemoryContextAlloc(context, n * sizeof(int32));
	batch->reward = MemoryContextAlloc(context, n * sizeof(float));
	batch->discount = MemoryContextAlloc(context, n * sizeof(float));
}

void
rlrec_replay_draw(const RlrecReplay *replay, uint64 key, RlrecBatch *batch)
{
	uint32		n = (uint32) (replay->next - replay->first);

	for (int i = 0; i < batch->n; i++)
	{
		batch->number[i] = replay->first + rlrec_random_below(key, i, n);
		batch->weight[i] = 1;
	}
}

/* The next transition of the same episode, or replay->next where there is none. */
static int64
successor(const RlrecReplay *replay, int64 number)
{
	int32		slot = (int32) (number % replay->capacity);
	int64		episode = replay->episode[slot];

	if (replay->end[slot] != 0)
		return replay->next;
	while (++number < replay->next)
	{
		slot = slot + 1 == replay->capacity ? 0 : slot + 1;
		if (replay->episode[slot] == episode)
			break;
	}
	return number;
}

/* States are short: no call of memcpy() for each. */
static inline void
copy_state(float *to, const float *from, int width)
{
	int			i = 0;

	for (; i + 4 <= width; i += 4)
		memcpy(to + i, from + i, 4 * sizeof(float));
	for (; i < width; i++)
		to[i] = from[i];
}

void
rlrec_replay_gather(const RlrecReplay *replay, int n_step, double gamma, RlrecBatch *batch)
{
	int			width = replay->state_size;

	for (int i = 0; i < batch->n; i++)
	{
		int64		number = batch->number[i];
		int32		slot = (int32) (number % replay->capacity);
		double		discount = gamma;
		double		reward = replay->reward[slot];

		/* An episode that was given up makes successor() look through all that came after it. */
		CHECK_FOR_INTERRUPTS();

		copy_state(batch->state + (size_t) i * width, replay->state + (size_t) slot * width, width);
		batch->action[i] = replay->action[slot];
		for (int step = 1; step < n_step; step++)
		{
			number = successor(replay, number);
			if (number == replay->next)
				break;
			slot = (int32) (number % replay->capacity);
			reward += discount * replay->reward[slot];
			discount *= gamma;
		}
		copy_state(batch->next_state + (size_t) i * width, replay->next_state + (size_t) slot * width, width);
		batch->reward[i] = reward;
		batch->discount[i] = replay->end[slot] == RLREC_TERMINATED ? 0 : discount;
		if (batch->discount[i] == 0)
			memset(batch->next_state + (size_t) i * width, 0, width * sizeof(float));
	}
}

/* ---------------------------------------------------------------- priorities */

void
rlrec_priorities_create(RlrecPriorities *priorities, int32 capacity, float *priority, MemoryContext context)
{
	int32		leaves = 1;

	while (leaves < capacity)
		leaves *= 2;
	priorities->capacity = capacity;
	priorities->priority = priority;
	priorities->leaves = leaves;
	priorities->sum = MemoryContextAllocHuge(context, 2 * (Size) leaves * sizeof(double));
	for (int32 i = 0; i < leaves; i++)
		priorities->sum[leaves + i] = i < capacity ? priority[i] : 0;
	for (int32 i = leaves - 1; i > 0; i--)
		priorities->sum[i] = priorities->sum[2 * i] + priorities->sum[2 * i + 1];
}

void
rlrec_priorities_set(RlrecPriorities *priorities, int32 slot, float priority)
{
	double	   *sum = priorities->sum;
	int32		i = priorities->leaves + slot;

	priorities->priority[slot] = priority;
	sum[i] = priority;
	for (i /= 2; i > 0; i /= 2)
		sum[i] = sum[2 * i] + sum[2 * i + 1];
}

/* The slot whose part of the sum that point is in; rounding never leads to a leaf of priority 0. */
static int32
find_slot(const RlrecPriorities *priorities, double point)
{
	const double *sum = priorities->sum;
	int32		i = 1;

	while (i < priorities->leaves)
	{
		i *= 2;
		if (sum[i + 1] > 0 && point >= sum[i])
		{
			point -= sum[i];
			i++;
		}
	}
	return i - priorities->leaves;
}

void
rlrec_priorities_draw(const RlrecPriorities *priorities, const RlrecReplay *replay, double beta, uint64 key, RlrecBatch *batch)
{
	double		total = priorities->sum[1];
	double		n = (double) (replay->next - replay->first);
	float		most = 0;

	for (int i = 0; i < batch->n; i++)
	{
		int32		slot = find_slot(priorities, total * (i + rlrec_random_uniform(key, i)) / batch->n);
		int64		last = replay->next - 1;

		batch->number[i] = last - (last - slot) % replay->capacity;
		batch->weight[i] = pow(n * priorities->priority[slot] / total, -beta);
		most = Max(most, batch->weight[i]);
	}
	for (int i = 0; i < batch->n; i++)
		batch->weight[i] /= most;
}
