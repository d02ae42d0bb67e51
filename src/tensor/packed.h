/*
 * packed.h
 *	  Small symmetric matrices in double precision, and their Cholesky factors: no BLAS library is loaded for them.
 *
 * A matrix a (n,n) is packed: its upper triangle by rows. So is a factor, the upper triangular r with r^T r = a.
 */
#ifndef RLREC_PACKED_H
#define RLREC_PACKED_H

/* Numbers of a packed matrix, and the place of its row i, which begins with the diagonal. */
#define rlrec_packed_size(n) ((size_t) (n) * ((size_t) (n) + 1) / 2)
#define rlrec_packed_row(n, i) ((size_t) (i) * (2 * (size_t) (n) - (size_t) (i) + 1) / 2)

/* y[n] += alpha * x[n]; the sum of x[i] * y[i] */
extern void rlrec_axpy_double(size_t n, double alpha, const double *x, double *y);
extern double rlrec_dot_double(size_t n, const double *x, const double *y);

/* a += alpha * x x^T */
extern void rlrec_packed_add(int n, double alpha, const double *x, double *a);

/* The factor r of scale * a + ridge * identity; false when that is not positive definite but for rounding. Looks for interrupts. */
extern bool rlrec_packed_factor(int n, double scale, const double *a, double ridge, double *r);

/* Makes of the factor of a that of a + x x^T (Gill et al. 1974, method C1); x is scratch afterwards. */
extern void rlrec_packed_update(int n, double *x, double *r);

/* Replaces x by the solution y of r^T y = x, and of r y = x. */
extern void rlrec_packed_forward(int n, const double *r, double *x);
extern void rlrec_packed_backward(int n, const double *r, double *x);

#endif							/* RLREC_PACKED_H */
