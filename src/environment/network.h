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

/* The learner at work, as the active snapshot sees it, good until the next call; to be read only. */
extern RlrecOnline *rlrec_network_online(const RlrecEnvironment *environment);

extern void rlrec_network_init(void);

#endif							/* RLREC_NETWORK_H */
