/*
 * online.h
 *	  The rows that an agent learns of events on top of a version: kept, changed by one session at a time, and read when it serves.
 */
#ifndef RLREC_STORE_ONLINE_H
#define RLREC_STORE_ONLINE_H

#include "learner/learned.h"
#include "learner/learner.h"
#include "store/agent.h"
#include "store/seen.h"

/* ---------------------------------------------------------------- learning */

/* An agent's rows, locked until the transaction ends. */
typedef struct RlrecOnlineRows
{
	RlrecLearned learned;
	int64		agent;
	int64		model;			/* rlrec.model.id on top of which they are; 0 for none, -1 before the first time */
	int64		events;			/* that were ever learned */
	int64		newer;			/* that are in the rows */
	struct RlrecOnlineState *state;
} RlrecOnlineRows;

/* Waits for others that change them. Allocates in CurrentMemoryContext, also later; SPI must be connected. */
extern RlrecOnlineRows *rlrec_online_lock(const RlrecAgent *agent);

/* No rows, on top of that version. */
extern void rlrec_online_reset(RlrecOnlineRows *rows, int64 model);

/* Writes what changed. Ends the use of the rows. */
extern void rlrec_online_store(RlrecOnlineRows *rows);

/* What a version was trained on, or, of model 0, what is in the rows and their version; false when that is not known. */
extern bool rlrec_online_seen(int64 agent, int64 model, RlrecSeen *seen);
extern void rlrec_online_set_seen(int64 agent, int64 model, Datum seen);

/* Forgets the rows of an agent, and all that was counted. SPI must be connected. */
extern void rlrec_online_forget(int64 agent);

/* How many events are in the rows, and on top of which version they are; false when there are none. */
extern bool rlrec_online_state(int64 agent, int64 *model, int64 *newer);

/* ---------------------------------------------------------------- serving */

/* What was learned on top of the agent's deployed version, as the active snapshot sees it; NULL when that is nothing. */
extern RlrecLearned *rlrec_online_read(const RlrecAgent *agent, const RlrecModel *model);

#endif							/* RLREC_STORE_ONLINE_H */
