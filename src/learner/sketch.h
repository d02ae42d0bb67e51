/*
 * sketch.h
 *	  Who had an item, in few numbers: similarity of items for models that know none.
 */
#ifndef RLREC_SKETCH_H
#define RLREC_SKETCH_H

#include "learner/learner.h"

/* Adds the sketches of all items. The tensors have items/count already. */
extern void rlrec_sketch_add(const RlrecEvents *events, RlrecTensors *tensors);

/* similar() by them: cosine over the items' users. 0 to all in a model without sketches. */
extern void rlrec_sketch_similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores);

#endif							/* RLREC_SKETCH_H */
