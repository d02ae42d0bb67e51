/*
 * linear.h
 *	  y = x W, without a bias.
 */
#ifndef RLREC_LINEAR_H
#define RLREC_LINEAR_H

#include "tensor/real.h"

/* y (n,out) = x (n,in) w (in,out) */
extern void rlrec_linear_forward(int n, int in, int out, const real *x, const real *w, real *y);

/* dw (in,out) += x^T dy, dx (n,in) = dy w^T, added to what is there when `add`. */
extern void rlrec_linear_backward(int n, int in, int out, const real *x, const real *w, const real *dy, real *dw, real *dx, bool add);

#endif							/* RLREC_LINEAR_H */
