/*
 * arms.h
 *	  What the arms of experiments came to.
 */
#ifndef RLREC_ARMS_H
#define RLREC_ARMS_H

#include "store/agent.h"

/* Keeps what the agent's ended experiments came to, once all of their decisions have matured. */
extern void rlrec_arms_keep(const RlrecAgent *agent);

#endif							/* RLREC_ARMS_H */
