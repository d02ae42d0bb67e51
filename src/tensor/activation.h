/*
 * activation.h
 *	  Activations of the neural layers, with biases and gates. As fused.h: pure functions over the caller's buffers.
 */
#ifndef RLREC_ACTIVATION_H
#define RLREC_ACTIVATION_H

#include "tensor/real.h"

typedef enum RlrecActivation
{
	RLREC_RELU,
	RLREC_GELU,					/* x sigmoid(1.702 x), of Hendrycks and Gimpel 2016 */
	RLREC_SILU
} RlrecActivation;

extern void rlrec_activate(RlrecActivation activation, int64 n, const real *x, real *y);

/* dx[n] = its gradient; dx may be dy. */
extern void rlrec_activate_backward(RlrecActivation activation, int64 n, const real *x, const real *dy, real *dx);

/* Activations of a layer with a bias, whose slope follows from what they return */
typedef enum RlrecMlpActivation
{
	RLREC_MLP_RELU,
	RLREC_MLP_TANH,
	RLREC_MLP_LINEAR			/* none */
} RlrecMlpActivation;

/* y (n,d) becomes activation(y + bias[d]). */
extern void rlrec_bias_activate(RlrecMlpActivation activation, int n, int d, const real *bias, real *y);

/* dy (n,d) becomes the gradient of what y (n,d) was before; dbias[d] += its own. */
extern void rlrec_bias_activate_backward(RlrecMlpActivation activation, int n, int d, const real *y, real *dy, real *dbias);

/* y (n,d) = silu(u[, :d]) * u[, d:] with u (n,2d) (SwiGLU, Shazeer 2020), and du (n,2d) */
extern void rlrec_swiglu(int n, int d, const real *u, real *y);
extern void rlrec_swiglu_backward(int n, int d, const real *u, const real *dy, real *du);

/* y[n] += sigmoid(g) * x */
extern void rlrec_gate(int64 n, const real *g, const real *x, real *y);

/* dx[n] and dg[n] = the gradients of x and g of rlrec_gate(), given dy; dg may be g. */
extern void rlrec_gate_backward(int64 n, const real *g, const real *x, const real *dy, real *dx, real *dg);

#endif							/* RLREC_ACTIVATION_H */
