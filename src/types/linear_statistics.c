/*
 * linear_statistics.c
 *	  What observations of contexts and rewards come to for a linear model: sums, and the ridge regression on them.
 */
#include "postgres.h"

#include <math.h>

#include "types/linear_statistics.h"

int
rlrec_linear_dimension(int64 numbers)
{
	/* b and A have d (d + 3) / 2 */
	int			d = (int) ((sqrt(9 + 8.0 * (double) Max(numbers - RLREC_LINEAR_B, 0)) - 3) / 2 + 0.5);

	return d > 0 && (int64) rlrec_linear_numbers(d) == numbers ? d : 0;
}

void
rlrec_linear_add(int d, const double *x, double reward, double weight, double *statistics)
{
	statistics[RLREC_LINEAR_ROWS]++;
	statistics[RLREC_LINEAR_WEIGHT] += weight;
	statistics[RLREC_LINEAR_SQUARES] += weight * reward * reward;
	rlrec_axpy_double(d, weight * reward, x, statistics + RLREC_LINEAR_B);
	rlrec_packed_add(d, weight, x, rlrec_linear_a(d, statistics));
}

void
rlrec_linear_solve(int d, double scale, const double *statistics, const double *factor, double *theta)
{
	for (int i = 0; i < d; i++)
		theta[i] = scale * statistics[RLREC_LINEAR_B + i];
	rlrec_packed_forward(d, factor, theta);
	rlrec_packed_backward(d, factor, theta);
}

bool
rlrec_linear_fit(int d, double scale, const double *statistics, double lambda, double *factor, double *theta)
{
	if (!rlrec_packed_factor(d, scale, rlrec_linear_a(d, statistics), lambda, factor))
		return false;
	rlrec_linear_solve(d, scale, statistics, factor, theta);
	return true;
}

double
rlrec_linear_deviation(int d, const double *factor, const double *x, double *scratch)
{
	memcpy(scratch, x, d * sizeof(double));
	rlrec_packed_forward(d, factor, scratch);
	return sqrt(rlrec_dot_double(d, scratch, scratch));
}
