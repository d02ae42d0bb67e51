/*
 * fused.h
 *	  The kernels of the neural layers: what a layer does besides matrix products, in as few passes as it takes.
 *
 * Pure functions over the caller's buffers: no memory, no errors, safe on any thread. Matrices are row-major. "a (n,d)" has n rows of d.
 */
#ifndef RLREC_FUSED_H
#define RLREC_FUSED_H

#include "tensor/real.h"

/* c (m,n) = a (m,k) b (k,n); the product of serving, for which no library is loaded */
extern void rlrec_matmul(int m, int n, int k, const real *a, int lda, const real *b, int ldb, real *c, int ldc);

/* b (n,m) = the transpose of a (m,n) */
extern void rlrec_transpose(int m, int n, const real *a, real *b);

/* y[n] += alpha * x[n] */
extern void rlrec_add(int64 n, real alpha, const real *x, real *y);
extern void rlrec_scale(int64 n, real alpha, real *x);
extern double rlrec_sum_squares(int64 n, const real *x);

/* How many x[i] >= bound */
extern int	rlrec_count_at_least(int n, const real *x, real bound);

/* Each x[i] becomes 0 with probability rate, else x[i] / (1 - rate), by the key alone: the same call drops the gradient. */
extern void rlrec_dropout(int64 n, real rate, uint64 key, real *x);

/* A row x[n] becomes softmax(x + bias); bias may be NULL. */
extern void rlrec_softmax(int n, const real *bias, real *x);

/* dp[n], the gradient of p = softmax(s), becomes that of s. */
extern void rlrec_softmax_backward(int n, const real *p, real *dp);

/* logits[n] become the gradient of -weight * log softmax(logits)[target]; returns -log softmax(logits)[target]. */
extern double rlrec_cross_entropy(int n, int target, real weight, real *logits);

/* y (n,d) = gain * (x - mean) / deviation + bias by rows; moments (n,2) is mean and 1 / deviation, for the gradient, or NULL. */
extern void rlrec_norm(int n, int d, const real *x, const real *gain, const real *bias, real *y, real *moments);

/* dx += its gradient; dgain[d] and dbias[d] += theirs. */
extern void rlrec_norm_backward(int n, int d, const real *x, const real *gain, const real *moments, const real *dy, real *dx,
								real *dgain, real *dbias);

/*
 * A step of AdamW (Loshchilov and Hutter 2019) on n parameters. gradient is first multiplied by gradient_scale. The corrections of the
 * moments' bias are in rate and epsilon: rate = learning rate * sqrt(1 - beta2^t) / (1 - beta1^t). decay = learning rate * weight decay.
 */
typedef struct RlrecAdamStep
{
	real		rate;
	real		beta1;
	real		beta2;
	real		epsilon;
	real		decay;
	real		gradient_scale;
} RlrecAdamStep;

extern void rlrec_adam_update(int64 n, const RlrecAdamStep *step, const real *gradient, real *m, real *v, real *parameter);

#endif							/* RLREC_FUSED_H */
