/*
 * transitions.h
 *	  Reading a table of transitions, or of the outcomes of an MDP.
 */
#ifndef RLREC_TRANSITIONS_H
#define RLREC_TRANSITIONS_H

#include "environment/table.h"

/* What is done with a row; probability is NaN where the table has no such column. What is in the observation lasts until the next row. */
typedef void (*RlrecTransitionSink) (void *argument, const RlrecObservation *observation, double probability);

/* Reads the rows in the table's order, as the current user. An unfit column or row is an error. Returns how many there were. */
extern int64 rlrec_transitions_read(const RlrecEnvironment *environment, Oid relation, RlrecTransitionSink sink, void *argument);

#endif							/* RLREC_TRANSITIONS_H */
