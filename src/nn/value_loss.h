/*
 * value_loss.h
 *	  What action values are trained to do. Values of n states are rows of q, `stride` numbers apart, the first `actions` of a row theirs.
 *
 * Each loss is a mean over the rows; what it reads becomes its gradient, in place.
 */
#ifndef RLREC_VALUE_LOSS_H
#define RLREC_VALUE_LOSS_H

#include "tensor/real.h"

/*
 * Dueling (Wang et al. 2016): a row's actions + 1 numbers are advantages A and a value V, of which the first become q(a) = V + A(a) - mean A;
 * and back: the gradients of q become those of A and V.
 */
extern void rlrec_dueling(int n, int actions, int stride, real *q);
extern void rlrec_dueling_backward(int n, int actions, int stride, real *q);

/*
 * With the error e = q(action) - target: the mean of weight * Huber(e) (quadratic to delta, then linear; e^2 / 2 when delta is 0) plus
 * cql * (log sum exp q - q(action)), the penalty of conservative Q-learning (Kumar et al. 2020, eq. 4). error[n] = |e|, unless NULL.
 */
extern double rlrec_loss_value(int n, int actions, int stride, real delta, real cql, const int32 *action, const real *target,
							   const real *weight, real *q, real *error);

/* The mean of |expectile - (u < 0)| u^2 with u = target - v (Kostrikov et al. 2022, eq. 5); v is one number of a row. */
extern double rlrec_loss_state_value(int n, int stride, real expectile, const real *target, real *v);

/* The mean of -weight * log softmax(logits)[action] (advantage-weighted regression, Peng et al. 2019); logits is as q. */
extern double rlrec_loss_imitation(int n, int actions, int stride, const int32 *action, const real *weight, real *logits);

#endif							/* RLREC_VALUE_LOSS_H */
