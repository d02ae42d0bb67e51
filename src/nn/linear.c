/*
 * linear.c
 *	  y = x W.
 */
#include "postgres.h"

#include "nn/linear.h"
#include "tensor/blas.h"

void
rlrec_linear_forward(int n, int in, int out, const real *x, const real *w, real *y)
{
	rlrec_gemm_raw(false, false, n, out, in, 1, x, in, w, out, 0, y, out);
}

void
rlrec_linear_backward(int n, int in, int out, const real *x, const real *w, const real *dy, real *dw, real *dx, bool add)
{
	rlrec_gemm_raw(true, false, in, out, n, 1, x, in, dy, out, 1, dw, out);
	rlrec_gemm_raw(false, true, n, in, out, 1, dy, out, w, out, add ? 1 : 0, dx, in);
}
