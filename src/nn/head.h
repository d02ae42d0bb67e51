/*
 * head.h
 *	  A head on the state encoder: a number for each action in a state, over the embeddings that the policy's logits use, and one for the state.
 *
 * An action's number is a value, Q(s,a) = (h W) e_a + c_a + h u + u_0, or the logit of another policy; V(s) = h v + v_0. e_a are the items'
 * embeddings, h (n,d) the encoder's states.
 */
#ifndef RLREC_HEAD_H
#define RLREC_HEAD_H

#include "tensor/real.h"

typedef struct RlrecHead
{
	real	   *projection;		/* W (d,d) */
	real	   *level;			/* u, then u_0: [d + 1] */
	real	   *value;			/* v, then v_0: [d + 1] */
	real	   *bias;			/* c [items] */
} RlrecHead;

/* Numbers of a head but for the biases, and all of them; a head's places in an array of them, in the order above. */
extern size_t rlrec_head_fixed(int d);
extern size_t rlrec_head_parameters(int items, int d);
extern RlrecHead rlrec_head_place(int d, real *parameters);

/* W is the identity, so that a head starts as the policy's logits are; the rest is 0. */
extern void rlrec_head_initialize(int items, int d, real *parameters);

/* The actions that all rows have in common */
typedef struct RlrecActions
{
	int			n;
	const int32 *item;			/* [n]; NULL for item j being action j */
	const real *e;				/* (n,d) */
} RlrecActions;

/*
 * q (n, 1 + actions->n): the number of the row's own action item[i], whose embedding is own (n,d), then those of the actions in common;
 * without own, (n, actions->n), these alone. x is scratch of n d + actions->n, of which the gradient reads (n,d).
 */
extern void rlrec_head_forward(int n, int d, const RlrecHead *head, const real *h, const int32 *item, const real *own,
							   const RlrecActions *actions, real *x, real *q);

/*
 * From dq (n, 1 + actions->n): adds to the gradients of the head, of the states, dh (n,d), and of the embeddings, down (n,d) and dactions
 * (actions,d). With dh NULL it ends at the head. dx is scratch as x.
 */
extern void rlrec_head_backward(int n, int d, const RlrecHead *head, const real *h, const int32 *item, const real *own,
								const RlrecActions *actions, const real *x, const real *dq, const RlrecHead *gradient, real *dx,
								real *dh, real *down, real *dactions);

/* v[n] = V(h), and from dv[n] what it adds to the gradient of the head, where it ends. */
extern void rlrec_head_value(int n, int d, const RlrecHead *head, const real *h, real *v);
extern void rlrec_head_value_backward(int n, int d, const real *h, const real *dv, const RlrecHead *gradient);

/*
 * Scores by the policy and by heads: x (n,d) = policy * h + sum_k weight[k] h W_k, whose product with e_a, plus sum_k weight[k] c_ka, ranks
 * actions as policy * logits + sum_k weight[k] Q_k does.
 */
extern void rlrec_head_blend(int n, int d, real policy, int heads, const RlrecHead *head, const real *weight, const real *h, real *x);

#endif							/* RLREC_HEAD_H */
