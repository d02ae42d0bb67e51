/*
 * buffer.h
 *	  What the current transaction tells, until it commits.
 */
#ifndef RLREC_BUFFER_H
#define RLREC_BUFFER_H

#include "feedback/queue.h"

/* Tells an agent of something if the current subtransaction commits, and all above it. False when its strings are too long for the queue. */
extern bool rlrec_buffer_add(int64 agent, const RlrecQueueEntry *entry);

extern void rlrec_buffer_init(void);

#endif							/* RLREC_BUFFER_H */
