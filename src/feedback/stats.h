/*
 * stats.h
 *	  What the worker writes down of an agent: its pace, its errors, and when it is tried again.
 */
#ifndef RLREC_STATS_H
#define RLREC_STATS_H

#include "datatype/timestamp.h"

/* An agent that crashes the server so often, with no batch learned in between, is set aside. */
#define RLREC_MAX_CRASHES 3

/* What was learned of an agent since it was last written down. */
typedef struct RlrecPace
{
	int64		agent;			/* rlrec.agent.id */
	int64		events;
	int64		batch;			/* the last one's events */
	TimestampTz learned_at;		/* when that was; 0 for never */
	TimestampTz since;			/* 0: not written down by this process yet */
} RlrecPace;

/*
 * Counts a batch; in its transaction, at most once a second, writes the pace down. failed: whether the last attempt did.
 * skipped: how many events were.
 */
extern void rlrec_stats_learned(RlrecPace *pace, int64 events, bool failed, int64 skipped);

/* Counts an attempt that ended in an error, and one that ended in a crash; the agent is tried again later, each time twice as late. */
extern void rlrec_stats_failed(int64 agent, const char *error);
extern void rlrec_stats_crashed(int64 agent);

/* Forgets failures, so that the agent is tried at once; as the owner of the extension's tables, in the caller's transaction. */
extern void rlrec_stats_revive(int64 agent);

#endif							/* RLREC_STATS_H */
