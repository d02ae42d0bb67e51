/*
 * kernels.h
 *	  The vector kernels of serving: no BLAS library is loaded for them. Dispatched at run time to what the CPU has.
 */
#ifndef RLREC_KERNELS_H
#define RLREC_KERNELS_H

/* y[n] += alpha * x[n] */
extern void rlrec_axpy(int n, float alpha, const float *x, float *y);

/* sum of x[i] * y[i] */
extern float rlrec_dot(int n, const float *x, const float *y);

/* y[m] = a (m,n) x[n] */
extern void rlrec_gemv(int m, int n, const float *a, const float *x, float *y);

/*
 * Cholesky solve of a small system, a (n,n) symmetric positive definite, lower triangle read and overwritten by its factor; b[n] in,
 * x[n] out. Returns false when a is not positive definite.
 */
extern bool rlrec_cholesky_solve(int n, float *a, float *b);

#endif							/* RLREC_KERNELS_H */
