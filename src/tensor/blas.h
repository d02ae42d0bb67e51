/*
 * blas.h
 *	  OpenBLAS, loaded when first needed, and cut into calls of about 10 ms so that cancel works.
 */
#ifndef RLREC_BLAS_H
#define RLREC_BLAS_H

#include "tensor/real.h"

/*
 * All matrices are row-major float32. Each call loads OpenBLAS if it is not there yet (an error with a hint when it cannot) and checks
 * for interrupts between blocks; call only outside critical sections.
 */

/* c (m,n) = alpha * op(a) op(b) + beta * c, with op(a) (m,k), op(b) (k,n) */
extern void rlrec_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
					   const float *b, int ldb, float beta, float *c, int ldc);

/*
 * The same for the tasks of a thread pool, and for pieces of work that are small: no interrupts, no errors, on one thread. The backend's own
 * thread must have called rlrec_blas_load() before.
 */
extern void rlrec_gemm_raw(bool transpose_a, bool transpose_b, int m, int n, int k, real alpha, const real *a, int lda,
						   const real *b, int ldb, real beta, real *c, int ldc);
extern void rlrec_blas_load(void);

/* The lower triangle of c (n,n) = alpha * a^T a + beta * c, with a (k,n) */
extern void rlrec_syrk(int n, int k, float alpha, const float *a, int lda, float beta, float *c, int ldc);

/*
 * Replaces the lower triangle of a symmetric positive definite a (n,n) by that of its inverse (blocked Cholesky, then inverse of the
 * factor, then product); returns false when a is not positive definite, in single precision. progress may be NULL.
 */
extern bool rlrec_invert(int n, float *a, int lda, void (*progress) (int64 done, int64 total));

/*
 * Solves a x = b in place for one right side; a (n,n) lower triangle, overwritten by its factor; false when it is not positive
 * definite or x not finite. No interrupts: n is small.
 */
extern bool rlrec_solve(int n, float *a, int lda, float *b);

/*
 * The lower triangle of l (n,n), column-major, in double precision: replaced by L of l = L L^T; false when it is not positive definite. In one
 * call: n is 2048 at most, 0.1 s.
 */
extern bool rlrec_cholesky(int n, double *l);

#endif							/* RLREC_BLAS_H */
