/*
 * process.h
 *	  Learning from committed feedback.
 */
#ifndef RLREC_PROCESS_H
#define RLREC_PROCESS_H

#include "store/agent.h"

/* The lock that lets one transaction at a time learn for an attached agent; false when it is not to be had without waiting. */
extern bool rlrec_process_lock(const RlrecAgent *agent, bool wait);

/* Learns at most so many committed events in the current transaction, advances the watermark in it, returns how many; the caller commits. */
extern int64 rlrec_process_batch(const RlrecAgent *agent, int64 most);

#endif							/* RLREC_PROCESS_H */
