/*
 * linear_bandit.h
 *	  Linear contextual bandits: linucb and lints.
 */
#ifndef RLREC_LINEAR_BANDIT_H
#define RLREC_LINEAR_BANDIT_H

#include "learner/online.h"

extern const RlrecOnlineLearner rlrec_linucb_online;
extern const RlrecOnlineLearner rlrec_lints_online;

extern bool rlrec_is_bandit(const RlrecOnlineLearner *learner);

/* Numbers of a context, with the intercept. */
extern int	rlrec_bandit_dimension(const RlrecOnline *online);

/* What was observed of an action, as of now: statistics[rlrec_linear_numbers(dimension)] of types/linear_statistics.h */
extern void rlrec_bandit_statistics_of(RlrecOnline *online, int action, double *statistics);

#endif							/* RLREC_LINEAR_BANDIT_H */
