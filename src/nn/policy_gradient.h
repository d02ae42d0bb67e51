/*
 * policy_gradient.h
 *	  Losses of a policy pi = softmax(logits) over a few actions, and of the critic beside it.
 *
 * Each returns the sum of its n rows' losses, and puts the gradients of weight * that sum in the place of the logits or values. H is a row's
 * entropy, -sum_a pi(a) log pi(a).
 */
#ifndef RLREC_POLICY_GRADIENT_H
#define RLREC_POLICY_GRADIENT_H

#include "tensor/real.h"

/* -importance * advantage * log pi(action) - entropy * H (Williams 1992) from logits (n,actions) */
extern double rlrec_loss_policy_gradient(int n, int actions, real weight, real entropy, const int32 *action, const real *advantage,
										 const real *importance, real *logits);

/*
 * -min(r * advantage, clamp(r, 1 - clip, 1 + clip) * advantage) - entropy * H with r = pi(action) / propensity, from logits (n,actions)
 * (Schulman et al. 2017, equation 7)
 */
extern double rlrec_loss_clipped_surrogate(int n, int actions, real weight, real entropy, real clip, const int32 *action,
										   const real *advantage, const real *propensity, real *logits);

/* max((v - target)^2, (old + clamp(v - old, -clip, clip) - target)^2) / 2 from v = value[n]; clip 0 is without clipping, and old unused. */
extern double rlrec_loss_critic(int n, real weight, real clip, const real *old, const real *target, real *value);

/* importance[n] = min(cap, pi(action) / propensity); logits (n,actions) stay. */
extern void rlrec_importance(int n, int actions, real cap, const int32 *action, const real *propensity, const real *logits,
							 real *importance);

/*
 * Generalised advantages (Schulman et al. 2016) of rows in the order of time, each followed by the next unless it is `last`: of row i
 *		delta_i + gamma * lambda * the next row's, with delta_i = reward + gamma * next_value - value
 * where next_value counts as 0 if terminated (and may then be anything). With lambda = 1 it is the discounted reward to go, which at the
 * end of what was seen is next_value, less value.
 */
extern void rlrec_generalized_advantages(int n, real gamma, real lambda, const real *reward, const real *value, const real *next_value,
										 const bool *terminated, const bool *last, real *advantage);

/* x[n] less its mean, by its standard deviation; a single number stays as it is. */
extern void rlrec_normalize(int n, real *x);

#endif							/* RLREC_POLICY_GRADIENT_H */
