/*
 * network.h
 *	  Acting and observing of agents of vector states, whose learners are those of learner/online.h.
 */
#ifndef RLREC_NETWORK_H
#define RLREC_NETWORK_H

#include "environment/table.h"

extern void rlrec_network_policy(const RlrecEnvironment *environment, const RlrecEnvironmentState *state, bool explore, double *p);
extern void rlrec_network_values(const RlrecEnvironment *environment, const RlrecEnvironmentState *state, double *q);
extern void rlrec_network_observe(const RlrecEnvironment *environment, const RlrecObservation *observation);

extern void rlrec_network_init(void);

#endif							/* RLREC_NETWORK_H */
