/*
 * observe.h
 *	  One observation of an agent without events, whatever its learner.
 */
#ifndef RLREC_OBSERVE_H
#define RLREC_OBSERVE_H

#include "environment/table.h"

/* Learns from it; an error when the reward is not finite. */
extern void rlrec_environment_observe(const RlrecEnvironment *environment, const RlrecObservation *observation);

#endif							/* RLREC_OBSERVE_H */
