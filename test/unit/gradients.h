/*
 * gradients.h
 *	  Gradients against central differences, and what src/nn calls when built by itself with RLREC_DOUBLE.
 */
#ifndef TEST_GRADIENTS_H
#define TEST_GRADIENTS_H

#include <math.h>
#include <stdlib.h>

#include "tensor/blas.h"
#include "tensor/random.h"

#undef printf
#undef vsnprintf

#define STEP 1e-5
#define TOLERANCE 1e-7			/* of |difference| / (1 + |gradient|) */

static int	tests = 0;
static int	failures = 0;

static inline void
check(bool good, const char *what, double worst)
{
	tests++;
	failures += !good;
	printf("%s %d - %s (worst %.1e)\n", good ? "ok" : "not ok", tests, what, worst);
}

void
rlrec_gemm_raw(bool ta, bool tb, int m, int n, int k, real alpha, const real *a, int lda, const real *b, int ldb, real beta,
			   real *c, int ldc)
{
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
		{
			real		s = 0;

			for (int p = 0; p < k; p++)
				s += (ta ? a[p * lda + i] : a[i * lda + p]) * (tb ? b[j * ldb + p] : b[p * ldb + j]);
			c[i * ldc + j] = alpha * s + (beta == 0 ? 0 : beta * c[i * ldc + j]);
		}
}

/* What the server has under this name */
int
pg_snprintf(char *text, size_t size, const char *format,...)
{
	va_list		arguments;
	int			n;

	va_start(arguments, format);
	n = vsnprintf(text, size, format, arguments);
	va_end(arguments);
	return n;
}

static uint64 drawn = 0;

static inline real *
numbers(size_t n, double size)
{
	real	   *x = malloc(n * sizeof(real));

	for (size_t i = 0; i < n; i++)
		x[i] = size * rlrec_random_normal(42, drawn++);
	return x;
}

static inline real *
zeros(size_t n)
{
	return calloc(n, sizeof(real));
}

static inline real
inner(size_t n, const real *x, const real *y)
{
	real		s = 0;

	for (size_t i = 0; i < n; i++)
		s += x[i] * y[i];
	return s;
}

static inline real *
copied(size_t n, const real *from)
{
	return memcpy(malloc(n * sizeof(real)), from, n * sizeof(real));
}

/* Compares gradient[n] with the differences of value() in x[n]. */
static inline void
compare(const char *what, double (*value) (void), size_t n, real *x, const real *gradient)
{
	double		worst = 0;

	for (size_t i = 0; i < n; i++)
	{
		real		was = x[i];
		double		up;
		double		down;
		double		error;

		x[i] = was + STEP;
		up = value();
		x[i] = was - STEP;
		down = value();
		x[i] = was;
		error = fabs((up - down) / (2 * STEP) - gradient[i]) / (1 + fabs(gradient[i]));
		worst = isfinite(error) ? Max(worst, error) : INFINITY;
	}
	check(worst < TOLERANCE, what, worst);
}

#endif							/* TEST_GRADIENTS_H */
