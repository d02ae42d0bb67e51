/*
 * sums.h
 *	  The sums that linear learners keep of the events that a version was not trained on: rlrec.sums.
 */
#ifndef RLREC_STORE_SUMS_H
#define RLREC_STORE_SUMS_H

#include "utils/snapshot.h"

/* The n sums of an agent's learner, palloc'd; NULL when there are none. */
extern double *rlrec_sums_read(int64 agent, const char *learner, int n, Snapshot snapshot);

/* SPI must be connected. */
extern void rlrec_sums_write(int64 agent, const char *learner, int n, const double *sums);

#endif							/* RLREC_STORE_SUMS_H */
