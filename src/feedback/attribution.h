/*
 * attribution.h
 *	  What decisions came to.
 */
#ifndef RLREC_ATTRIBUTION_H
#define RLREC_ATTRIBUTION_H

#include "feedback/feedback.h"

/* Credits events to the decisions that showed their items, in rlrec.outcome. */
extern void rlrec_attribute(const RlrecAgent *agent, const RlrecFeedbackEvent *events, int64 n);

/* How long after a decision what comes is credited to it, in seconds. */
extern double rlrec_attribution_horizon(const RlrecAgent *agent);

#endif							/* RLREC_ATTRIBUTION_H */
