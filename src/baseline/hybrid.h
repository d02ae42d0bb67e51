/*
 * hybrid.h
 *	  What the learner "hybrid" tells of its model.
 */
#ifndef RLREC_HYBRID_H
#define RLREC_HYBRID_H

#include "learner/parts.h"

/* The parts (const RlrecLearner *), heaviest first, and their weights, which sum to 1. */
extern List *rlrec_hybrid_parts(const RlrecModel *model, const float **weights);

#endif							/* RLREC_HYBRID_H */
