/*
 * learn.h
 *	  What events change in an agent between trainings.
 */
#ifndef RLREC_LEARN_H
#define RLREC_LEARN_H

#include "feedback/feedback.h"

extern void rlrec_online_learn(const RlrecAgent *agent, const RlrecFeedbackEvent *events, int64 n);

#endif							/* RLREC_LEARN_H */
