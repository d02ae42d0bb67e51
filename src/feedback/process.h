/*
 * process.h
 *	  Learning from committed feedback.
 */
#ifndef RLREC_PROCESS_H
#define RLREC_PROCESS_H

#include "store/agent.h"

/* An error unless the agent is attached. The active snapshot is used. */
extern void rlrec_process_check(const RlrecAgent *agent);

/* The lock that lets one transaction at a time learn for an agent, until it ends; false when it is not to be had without waiting. */
extern bool rlrec_process_lock(const RlrecAgent *agent, bool wait);

/*
 * Lets the agent learn at most so many committed events, as its owner, in the current transaction; returns how many, 0 when there is nothing to
 * do, which writes nothing. Takes the lock, waiting for it; 0 when the agent is not attached by then. In a transaction that has written
 * nothing before, it also keeps the queue's tables small. Needs no snapshot; checks no rights.
 *
 * With skipped not NULL the events are learned one by one, those with an error of their own are logged, and added to it, and the others count;
 * where none is without such an error, it is raised.
 */
extern int64 rlrec_process_batch(const RlrecAgent *agent, int64 most, int64 *skipped);

/* Whether an error can be one event's own: of the classes 22 (data), 23 (constraints) and P0 (raised by PL/pgSQL). */
extern bool rlrec_process_may_skip(const ErrorData *error);

#endif							/* RLREC_PROCESS_H */
