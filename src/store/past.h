/*
 * past.h
 *	  What came before a training of an agent: the version that serves, and how far an interrupted training came.
 */
#ifndef RLREC_PAST_H
#define RLREC_PAST_H

#include "learner/learner.h"
#include "store/agent.h"

/* Both are in CurrentMemoryContext; rlrec_past_close() lets go of the version. */
extern RlrecPast *rlrec_past_open(const RlrecAgent *agent);
extern void rlrec_past_close(RlrecPast *past);

/* Forgets how far a training came. */
extern void rlrec_past_forget(const RlrecAgent *agent);

#endif							/* RLREC_PAST_H */
