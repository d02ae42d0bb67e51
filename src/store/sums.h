/*
 * sums.h
 *	  The sums that linear learners keep of the events that a version was not trained on: rlrec.sums.
 */
#ifndef RLREC_STORE_SUMS_H
#define RLREC_STORE_SUMS_H

#include "learner/learned.h"
#include "utils/snapshot.h"

/* Columns of rlrec.sums, in the order of sql/online.sql. */
typedef enum RlrecSumsColumn
{
	RLREC_SUMS_AGENT = 1, RLREC_SUMS_LEARNER, RLREC_SUMS_STATISTICS, RLREC_SUMS_MADE
} RlrecSumsColumn;

/* The n numbers of a column for an agent's learner, palloc'd; NULL when there is no row. */
extern double *rlrec_sums_read(int64 agent, const char *learner, RlrecSumsColumn column, int n, Snapshot snapshot);

/* SPI must be connected. */
extern void rlrec_sums_write(int64 agent, const char *learner, const RlrecLearnedSums *sums);

#endif							/* RLREC_STORE_SUMS_H */
