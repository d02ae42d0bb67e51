/*
 * gate.h
 *	  How much more a candidate would have earned than the version that served, as what that one showed tells.
 */
#ifndef RLREC_GATE_H
#define RLREC_GATE_H

#include "evaluate/matured.h"
#include "evaluate/target.h"
#include "store/model.h"

/* The newest decisions that a candidate is measured by, at most. */
#define RLREC_GATE_DECISIONS 20000

/* Rewards are those of a decision. */
typedef struct RlrecGain
{
	int64		decisions;
	int64		users;
	double		incumbent;		/* mean reward */
	double		gain;			/* estimate of how much more the candidate's is */
	double		lower;			/* bound of the gain, at all times at once; -infinity with too few users, or no rewards but 0 */
	double		support;		/* probability that the candidate would show first what the log could */
} RlrecGain;

/*
 * The newest matured decisions of the version that serves, since a time, by which a candidate may be measured: those made with the options of
 * exploration that the agent has now, but for epsilon. A NOTICE tells of others. A palloc'd array of *n.
 */
extern RlrecMaturedDecision *rlrec_gate_decisions(const RlrecAgent *agent, const RlrecModelRow *incumbent, TimestampTz since, int64 *n);

/*
 * The gain over n of these, the candidate being a target that is as logged, which must not have learned from what came after the first of them.
 */
extern RlrecGain rlrec_gate_measure(const RlrecAgent *agent, RlrecTarget *candidate, int64 n, const RlrecMaturedDecision *decisions);

#endif							/* RLREC_GATE_H */
