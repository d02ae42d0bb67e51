/*
 * packed.c
 *	  Small symmetric matrices in double precision, and their Cholesky factors.
 *
 * Every inner loop runs along a row, so that the compiler makes vectors of it.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"

#include "tensor/blas.h"
#include "tensor/lanes.h"
#include "tensor/packed.h"

/* Partial sums of a dot product, always added up in the same order. */
#define SUMS 8

/* Up to here a factor is made in place, within some 4 ms. */
#define SMALL 256

DISPATCHED void
rlrec_axpy_double(size_t n, double alpha, const double *x, double *y)
{
	for (size_t i = 0; i < n; i++)
		y[i] += alpha * x[i];
}

DISPATCHED double
rlrec_dot_double(size_t n, const double *x, const double *y)
{
	double		s[SUMS] = {0};
	size_t		i = 0;

	for (; i + SUMS <= n; i += SUMS)
		for (int l = 0; l < SUMS; l++)
			s[l] += x[i + l] * y[i + l];
	for (int l = 0; i < n; i++, l++)
		s[l] += x[i] * y[i];
	return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

void
rlrec_packed_add(int n, double alpha, const double *x, double *a)
{
	for (int i = 0; i < n; a += n - i, i++)
		if (x[i] != 0)
			rlrec_axpy_double(n - i, alpha * x[i], x + i, a);
}

/* Whether a pivot, the square of r's diagonal, is more than what rounding has left, which counts for nothing. */
static bool
is_pivot(int n, double pivot, double diagonal)
{
	return pivot > n * DBL_EPSILON * diagonal && !isinf(pivot);
}

static bool
factor_small(int n, double scale, const double *a, double ridge, double *r)
{
	for (size_t i = 0; i < rlrec_packed_size(n); i++)
		r[i] = scale * a[i];
	for (int i = 0; i < n; i++)
		r[rlrec_packed_row(n, i)] += ridge;
	for (int k = 0; k < n; k++)
	{
		double	   *row = r + rlrec_packed_row(n, k);
		double		pivot = sqrt(row[0]);

		if (!is_pivot(n, row[0], scale * a[rlrec_packed_row(n, k)] + ridge))
			return false;
		row[0] = pivot;
		for (int j = 1; j < n - k; j++)
			row[j] /= pivot;
		for (int i = 1; i < n - k; i++)
			rlrec_axpy_double(n - k - i, -row[i], row + i, r + rlrec_packed_row(n, k + i));
	}
	return true;
}

/* By LAPACK, whose lower triangle in columns is ours in rows */
static bool
factor_large(int n, double scale, const double *a, double ridge, double *r)
{
	double	   *full = palloc_extended((size_t) n * n * sizeof(double), MCXT_ALLOC_HUGE);
	bool		done;

	for (int k = 0; k < n; k++)
	{
		const double *row = a + rlrec_packed_row(n, k);
		double	   *column = full + (size_t) k * n + k;

		for (int j = 0; j < n - k; j++)
			column[j] = scale * row[j];
		column[0] += ridge;
	}
	CHECK_FOR_INTERRUPTS();
	done = rlrec_cholesky(n, full);
	CHECK_FOR_INTERRUPTS();
	for (int k = 0; k < n && done; k++)
	{
		const double *column = full + (size_t) k * n + k;

		memcpy(r + rlrec_packed_row(n, k), column, (n - k) * sizeof(double));
		done = is_pivot(n, column[0] * column[0], scale * a[rlrec_packed_row(n, k)] + ridge);
	}
	pfree(full);
	return done;
}

bool
rlrec_packed_factor(int n, double scale, const double *a, double ridge, double *r)
{
	return n <= SMALL ? factor_small(n, scale, a, ridge, r) : factor_large(n, scale, a, ridge, r);
}

/* row[n] and x[n], rotated so that the sum of their squares stays, number by number */
DISPATCHED static void
rotate(int n, double cosine, double sine, double *row, double *x)
{
	for (int j = 0; j < n; j++)
	{
		double		old = row[j];

		row[j] = cosine * old + sine * x[j];
		x[j] = cosine * x[j] - sine * old;
	}
}

void
rlrec_packed_update(int n, double *x, double *r)
{
	for (int k = 0; k < n; k++)
	{
		double	   *row = r + rlrec_packed_row(n, k);
		double		pivot = hypot(row[0], x[k]);
		double		cosine = row[0] / pivot;
		double		sine = x[k] / pivot;

		if (sine == 0)
			continue;
		row[0] = pivot;
		rotate(n - k - 1, cosine, sine, row + 1, x + k + 1);
	}
}

void
rlrec_packed_forward(int n, const double *r, double *x)
{
	for (int k = 0; k < n; r += n - k, k++)
	{
		x[k] /= r[0];
		if (x[k] != 0)
			rlrec_axpy_double(n - k - 1, -x[k], r + 1, x + k + 1);
	}
}

void
rlrec_packed_backward(int n, const double *r, double *x)
{
	for (int k = n - 1; k >= 0; k--)
	{
		const double *row = r + rlrec_packed_row(n, k);

		x[k] = (x[k] - rlrec_dot_double(n - k - 1, row + 1, x + k + 1)) / row[0];
	}
}
