/*
 * split.h
 *	  A part of the events to learn from, and what to find again. docs/evaluation.md has the protocols.
 */
#ifndef RLREC_SPLIT_H
#define RLREC_SPLIT_H

#include "data/events.h"

/*
 * What to learn from, and what to find again. `train` is a view: the arrays of the events that were split, with another `end`.
 * The test items of tested user t, distinct, are item[start[t]] .. item[start[t + 1] - 1].
 */
typedef struct RlrecSplit
{
	RlrecEvents train;
	int32		n_tests;		/* tested users */
	const int32 *user;			/* [n_tests] index in train.users, ascending */
	const int64 *start;			/* [n_tests + 1] into item */
	const int32 *item;			/* [start[n_tests]] */
	const float *reward;		/* [start[n_tests]] of the items' events, positive */
} RlrecSplit;

/*
 * Of each user with at least 3 events the last one with a positive reward is the test item; it and what follows it are held out. A
 * user with fewer events, without a positive reward, or with nothing before it, is not tested and his events all fit.
 */
extern RlrecSplit *rlrec_split_leave_one_out(const RlrecEvents *events);

/*
 * What lies before the time of the event at this quantile (0 .. 1) of all events fits. A user with events on both sides is tested on
 * the items that he liked after it and had not met before. Where all times are equal: an error, with a hint.
 */
extern RlrecSplit *rlrec_split_temporal(const RlrecEvents *events, double quantile);

/*
 * Of each user's events the last share (0 .. 1), rounded down, is held out, whatever the time; he is tested on the items that he liked in it
 * and had not met before.
 */
extern RlrecSplit *rlrec_split_last_share(const RlrecEvents *events, double share);

/* The training part alone: what lies before the time fits, and nobody is tested. */
extern RlrecSplit *rlrec_split_before(const RlrecEvents *events, int64 time);

/* The first of a user's events that is not before the time. */
extern int64 rlrec_split_first_not_before(const RlrecEvents *events, int32 u, int64 time);

/* Whether the events' times tell them apart, so that rlrec_split_temporal() has a cut. */
extern bool rlrec_split_has_time(const RlrecEvents *events);

/* Keeps a random sample of the tested users when there are more; the training part stays. */
extern void rlrec_split_sample(RlrecSplit *split, int32 at_most, uint64 seed);

#endif							/* RLREC_SPLIT_H */
