/*
 * feedforward.h
 *	  The position-wise network of a transformer's block: y = dropout(activate(x U)) V, or with SwiGLU
 *	  y = dropout(silu(x U1) * (x U2)) V (Shazeer 2020).
 */
#ifndef RLREC_FEEDFORWARD_H
#define RLREC_FEEDFORWARD_H

#include "tensor/activation.h"

typedef struct RlrecFeedForward
{
	int			d;
	int			hidden;
	bool		gated;			/* SwiGLU: u is (d, 2 hidden), U1 beside U2 */
	RlrecActivation activation; /* when not gated */
	real		dropout;
} RlrecFeedForward;

/* Columns of u */
extern int	rlrec_feedforward_columns(const RlrecFeedForward *f);

/* y (n,d) from x (n,d), u (d,columns), v (hidden,d); keeps before (n,columns) and after (n,hidden) the activation. */
extern void rlrec_feedforward_forward(const RlrecFeedForward *f, int n, const real *x, const real *u, const real *v, uint64 key,
									  real *before, real *after, real *y);

/* dx (n,d) = its gradient, du and dv += theirs; before and after are overwritten, scratch is (n,hidden). */
extern void rlrec_feedforward_backward(const RlrecFeedForward *f, int n, const real *x, const real *u, const real *v, uint64 key,
									   real *before, real *after, const real *dy, real *dx, real *du, real *dv, real *scratch);

/* The same without dropout, gradient or library. */
extern void rlrec_feedforward_infer(const RlrecFeedForward *f, int n, const real *x, const real *u, const real *v,
									real *before, real *after, real *y);

#endif							/* RLREC_FEEDFORWARD_H */
