/*
 * replay.h
 *	  What a learner draws from its replay.
 */
#ifndef RLREC_REPLAY_H
#define RLREC_REPLAY_H

#include "learner/online.h"

/* Transitions over several steps: from a state to the state that its value is bootstrapped from. */
typedef struct RlrecBatch
{
	int			n;
	int64	   *number;			/* [n] of the first of its transitions */
	float	   *weight;			/* [n] importance weight, 1 of a uniform draw */
	float	   *state;			/* (n,state_size) */
	float	   *next_state;		/* (n,state_size) */
	int32	   *action;			/* [n] */
	float	   *reward;			/* [n] discounted sum */
	float	   *discount;		/* [n] of the value of next_state; 0 where terminated */
} RlrecBatch;

extern void rlrec_batch_create(RlrecBatch *batch, int n, int state_size, MemoryContext context);

/* Draws numbers uniformly, with replacement; weights are 1. */
extern void rlrec_replay_draw(const RlrecReplay *replay, uint64 key, RlrecBatch *batch);

/*
 * Fills in the rest from the numbers: rewards of n_step transitions of the episode, or fewer where it ends or goes no further yet. What
 * is terminated bootstraps from nothing, what is truncated and what goes on, from the last state that was seen.
 */
extern void rlrec_replay_gather(const RlrecReplay *replay, int n_step, double gamma, RlrecBatch *batch);

/*
 * Prioritised replay (Schaul et al. 2016), proportional: a sum tree over priorities that are already raised to alpha. Every node is the sum
 * of its two, so that a tree that was built anew has the bits of one that was updated.
 */
typedef struct RlrecPriorities
{
	int32		capacity;
	float	   *priority;		/* [capacity] by slots, the caller's */
	int32		leaves;			/* a power of 2 */
	double	   *sum;			/* [2 leaves] node i over 2 i and 2 i + 1, the root 1 */
} RlrecPriorities;

extern void rlrec_priorities_create(RlrecPriorities *priorities, int32 capacity, float *priority, MemoryContext context);
extern void rlrec_priorities_set(RlrecPriorities *priorities, int32 slot, float priority);

/*
 * Draws one number from each of n equal parts of the sum of priorities. weight = (N P(i))^-beta over the largest of the batch, with N the
 * transitions there are.
 */
extern void rlrec_priorities_draw(const RlrecPriorities *priorities, const RlrecReplay *replay, double beta, uint64 key,
								  RlrecBatch *batch);

#endif							/* RLREC_REPLAY_H */
