/*
 * adam.c
 *	  The size of a step of AdamW; fused.c takes it.
 */
#include "postgres.h"

#include <math.h>

#include "nn/adam.h"

RlrecAdamStep
rlrec_adam_step(const RlrecAdam *adam, int64 step, double sum_squares)
{
	RlrecAdamStep result;
	double		length = sqrt(sum_squares);
	double		rate = adam->learning_rate;
	double		correction = sqrt(1 - pow(adam->beta2, step));

	if (step < adam->warmup)
		rate *= (double) step / adam->warmup;
	result.rate = rate * correction / (1 - pow(adam->beta1, step));
	result.beta1 = adam->beta1;
	result.beta2 = adam->beta2;
	result.epsilon = 1e-8 * correction;
	result.decay = rate * adam->weight_decay;
	result.gradient_scale = adam->clip > 0 && length > adam->clip ? adam->clip / length : 1;
	return result;
}
