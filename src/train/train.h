/*
 * train.h
 *	  What training and evaluation share.
 */
#ifndef RLREC_TRAIN_H
#define RLREC_TRAIN_H

#include "learner/learner.h"
#include "store/agent.h"

/* Reads what a learner is fitted on: the events as the current user sees them, the items as the agent's owner does. */
extern void rlrec_fit_begin(RlrecFit *fit, const RlrecAgent *agent);

/* The learner that serves: the one that auto chose, else the model's own. */
extern const char *rlrec_model_source(const RlrecModel *model);

#endif							/* RLREC_TRAIN_H */
