/*
 * adam.h
 *	  AdamW (Loshchilov and Hutter 2019) with warm-up, decay of the learning rate and clipping of the gradient.
 */
#ifndef RLREC_ADAM_H
#define RLREC_ADAM_H

#include "tensor/fused.h"

typedef struct RlrecAdam
{
	real		learning_rate;
	real		beta1;
	real		beta2;
	real		weight_decay;
	real		clip;			/* longest gradient; 0 for any */
	int			warmup;			/* steps */
} RlrecAdam;

/*
 * The step number `step`, from 1, with a gradient of that sum of squares. What it returns is for rlrec_adam_update(), on all parameters
 * or on the rows of an embedding that the batch touched.
 */
extern RlrecAdamStep rlrec_adam_step(const RlrecAdam *adam, int64 step, double sum_squares);

#endif							/* RLREC_ADAM_H */
