/*
 * table.h
 *	  Acting and observing of tabular agents.
 */
#ifndef RLREC_TABLE_H
#define RLREC_TABLE_H

#include "environment/environment.h"

/* What was observed; the state after is of no meaning where terminated. */
typedef struct RlrecObservation
{
	RlrecEnvironmentState state;
	int			action;
	double		reward;
	RlrecEnvironmentState next_state;
	uint8		end;			/* 0, RLREC_TERMINATED or RLREC_TRUNCATED */
	int64		episode;
	double		propensity;		/* NaN when not told */
} RlrecObservation;

/* As in learner/online.h, in double precision: p[n_actions], q[n_actions] and visits[n_actions]. */
extern void rlrec_table_policy(const RlrecEnvironment *environment, const RlrecEnvironmentState *state, bool explore, double *p);
extern void rlrec_table_values(const RlrecEnvironment *environment, const RlrecEnvironmentState *state, double *q, int64 *visits);

extern void rlrec_table_observe(const RlrecEnvironment *environment, const RlrecObservation *observation);

#endif							/* RLREC_TABLE_H */
