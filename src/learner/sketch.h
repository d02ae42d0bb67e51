/*
 * sketch.h
 *	  Who had an item, in few numbers: similarity of items for models that know none.
 */
#ifndef RLREC_SKETCH_H
#define RLREC_SKETCH_H

#include "learner/learner.h"

/* Adds the sketches of all items. The tensors have items/count already. */
extern void rlrec_sketch_add(const RlrecEvents *events, RlrecTensors *tensors);

/* matrix[n][n]: by them the cosine of each of n items to each over their users, 0 on the diagonal and in a model without sketches. */
extern void rlrec_sketch_similarities(const RlrecModel *model, int32 n, const int32 *items, float *matrix);

#endif							/* RLREC_SKETCH_H */
