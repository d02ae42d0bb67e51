/*
 * learn.h
 *	  What agents learn of committed events between trainings: docs/online.md.
 */
#ifndef RLREC_LEARN_H
#define RLREC_LEARN_H

#include "feedback/feedback.h"

/*
 * Learns events [n], in order of commit, in the current transaction, on top of the version that is deployed; each is to be given once. Runs as
 * the agent's owner. With n 0 it only sees to it that what was learned is on top of that version.
 */
extern void rlrec_online_learn(const RlrecAgent *agent, const RlrecFeedbackEvent *events, int64 n);

/*
 * Now and then: puts what was learned on top of the version that is deployed, or starts a training in the background when there are as many new
 * events as option "online_batch" says. In a transaction that the caller commits.
 */
extern void rlrec_online_maintain(const RlrecAgent *agent);

#endif							/* RLREC_LEARN_H */
