/*
 * linear_statistics.h
 *	  What observations of contexts and rewards come to for a linear model: sums, in C and as an SQL float8[].
 *
 * Of observations (x, r) with weights w, contexts of d numbers, the numbers are in this order: how many there were; the sum of w; the sum of
 * w r^2; b = sum of w r x, d numbers; A = sum of w x x^T, packed as in tensor/packed.h. Merging is adding them up.
 */
#ifndef RLREC_LINEAR_STATISTICS_H
#define RLREC_LINEAR_STATISTICS_H

#include "tensor/packed.h"

#define RLREC_LINEAR_ROWS 0
#define RLREC_LINEAR_WEIGHT 1
#define RLREC_LINEAR_SQUARES 2
#define RLREC_LINEAR_B 3

/* Of a context: the statistics have 17 MB then. */
#define RLREC_LINEAR_MAX_DIMENSION 2048

#define rlrec_linear_numbers(d) (RLREC_LINEAR_B + (size_t) (d) + rlrec_packed_size(d))
#define rlrec_linear_a(d, statistics) ((statistics) + RLREC_LINEAR_B + (d))

/* The d of so many numbers, 0 when they are none's. */
extern int	rlrec_linear_dimension(int64 numbers);

extern void rlrec_linear_add(int d, const double *x, double reward, double weight, double *statistics);

/*
 * Ridge regression on statistics whose sums count for `scale`: factor is that of scale * A + lambda * identity, and theta[d] solves
 * (scale * A + lambda * identity) theta = scale * b. false when that is not positive definite.
 */
extern bool rlrec_linear_fit(int d, double scale, const double *statistics, double lambda, double *factor, double *theta);

/* theta alone, of a factor that is known */
extern void rlrec_linear_solve(int d, double scale, const double *statistics, const double *factor, double *theta);

/* sqrt(x^T (A + lambda * identity)^-1 x); scratch[d] */
extern double rlrec_linear_deviation(int d, const double *factor, const double *x, double *scratch);

#endif							/* RLREC_LINEAR_STATISTICS_H */
