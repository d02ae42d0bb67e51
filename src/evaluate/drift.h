/*
 * drift.h
 *	  Whether the version that serves earns less than the one before it did.
 */
#ifndef RLREC_DRIFT_H
#define RLREC_DRIFT_H

#include "store/agent.h"

/*
 * Rolls the agent back when its version's rewards have dropped, with a WARNING; returns the version that serves again, 0 where nothing happened, also
 * because the agent is being trained. The current user must own the agent.
 */
extern int32 rlrec_drift_check(const RlrecAgent *agent);

#endif							/* RLREC_DRIFT_H */
