/*
 * loss.h
 *	  What a policy is trained to do. Each loss returns its sum over the rows and writes or adds the gradients of weight * that sum.
 */
#ifndef RLREC_LOSS_H
#define RLREC_LOSS_H

#include "tensor/real.h"

/*
 * How much each row of a softmax counts: weight[i]; and where the target was chosen by another policy, which gave it the probability b, times
 * min(p / b, cap) K (1 - p)^(K - 1), with p its probability now and K = top (Chen et al. 2019, eq. 6 and 7). The gradient takes the factor
 * as a constant; without the cap it is then the gradient of -weight[i] (1 - (1 - p)^K) / b.
 */
typedef struct RlrecRowWeights
{
	const real *weight;			/* [n] */
	const real *behaviour;		/* [n] log b; NULL for no correction */
	real		cap;
	int			top;
} RlrecRowWeights;

/*
 * Cross-entropy of softmax(h e^T) with h (n,d), e (items,d) and target[n]: dh (n,d) = its gradient, de += its own. The items
 * never[n_never], none a target, have probability 0. rows is NULL where all count alike. logits is scratch of (n,items).
 */
extern double rlrec_loss_full(int n, int items, int d, real weight, const RlrecRowWeights *rows, const real *h, const real *e, const int32 *target,
							  int n_never, const int32 *never, real *dh, real *de, real *logits);

/* Losses over a target and sampled negatives, which all rows share. */
typedef enum RlrecSampledLoss
{
	RLREC_SAMPLED_SOFTMAX,
	RLREC_SAMPLED_BCE,			/* binary cross-entropy; gBCE (Petrov and Macdonald 2023) when beta < 1 */
	RLREC_SAMPLED_BPR			/* mean over the negatives of -log sigmoid(target - negative) (Rendle et al. 2009) */
} RlrecSampledLoss;

typedef struct RlrecNegatives
{
	RlrecSampledLoss loss;
	int			n;
	const int32 *item;			/* [n] */
	const real *e;				/* (n,d) their embeddings */
	const real *correction;		/* [n] subtracted from a negative's logit: log of how often it is expected in the sample (log-Q) */
	real		beta;			/* gBCE: the power of the target's probability */
} RlrecNegatives;

/*
 * The loss of a row over the logits of its target and of the negatives; a negative that is the row's target does not count. dh (n,d) = its
 * gradient; those of the targets' embeddings, dpositive (n,d), and of the negatives', dnegative (negatives,d), are added to. positive (n,d)
 * holds the targets' embeddings; logits is scratch of (n,negatives + 1). rows, which may be NULL, is for the softmax.
 */
extern double rlrec_loss_sampled(int n, int d, real weight, const RlrecRowWeights *rows, const RlrecNegatives *negatives,
								 const real *h, const int32 *target, const real *positive, real *dh, real *dpositive, real *dnegative, real *logits);

/*
 * Softmax over a row's own logit, then those of actions that all rows share, as in rlrec_loss_sampled(), where the logits are there already:
 * (n, 1 + actions), which become the gradient. surprise[n], unless NULL, receives -log of each row's own probability.
 */
extern double rlrec_loss_actions(int n, int actions, real weight, const int32 *item, const real *correction, const int32 *target,
								 real *logits, real *surprise);

/* Expectile regression (Newey and Powell 1987): |tau - [x > target]| (target - x)^2; x[n] becomes the gradient. */
extern double rlrec_loss_expectile(int n, real weight, real tau, const real *target, real *x);

/* Huber's: quadratic up to delta, then linear; x[n] becomes the gradient with respect to x - target. */
extern double rlrec_loss_huber(int n, real weight, real delta, const real *target, real *x);

#endif							/* RLREC_LOSS_H */
