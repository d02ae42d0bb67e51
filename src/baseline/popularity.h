/*
 * popularity.h
 *	  What the learner popularity counts of users who came since training.
 */
#ifndef RLREC_POPULARITY_H
#define RLREC_POPULARITY_H

#include "learner/learner.h"

/* What is to be added to the scores of a model of popularity, and by what the sums are then to be multiplied. NULL for nothing. */
extern const RlrecLearnedCounts *rlrec_popularity_learned(const RlrecModel *model, RlrecLearned *learned, double *scale);

#endif							/* RLREC_POPULARITY_H */
