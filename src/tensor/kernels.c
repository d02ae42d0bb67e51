/*
 * kernels.c
 *	  The vector kernels of serving.
 *
 * Written in the compilers' vectors of 8 floats, which GCC compiles twice, for AVX2 and for any x86-64, choosing when the library is
 * loaded. Both do the same operations in the same order, without fused multiply-add (AVX2 alone does not have it), so that a score does
 * not depend on which x86-64 computed it. They are bound by memory; AVX-512 would gain little and would fuse.
 */
#include "postgres.h"

#include <math.h>

#include "tensor/kernels.h"

/* Clang builds the bitcode for JIT, where the plain code will do; the choice at load time needs glibc. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define DISPATCHED __attribute__((target_clones("avx2", "default")))
#else
#define DISPATCHED
#endif

#define LANES 8

/* aligned(4): loads and stores at any float's address; may_alias: through pointers to float */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

static pg_attribute_always_inline void
axpy(int n, float alpha, const float *x, float *y)
{
	int			i = 0;

	for (; i + 2 * LANES <= n; i += 2 * LANES)
	{
		lanes		y0 = *(lanes *) (y + i) + alpha * *(const lanes *) (x + i);
		lanes		y1 = *(lanes *) (y + i + LANES) + alpha * *(const lanes *) (x + i + LANES);

		*(lanes *) (y + i) = y0;
		*(lanes *) (y + i + LANES) = y1;
	}
	for (; i < n; i++)
		y[i] += alpha * x[i];
}

static pg_attribute_always_inline float
dot(int n, const float *x, const float *y)
{
	lanes		s0 = {0},
				s1 = {0},
				s2 = {0},
				s3 = {0};
	float		rest = 0;
	int			i = 0;

	for (; i + 4 * LANES <= n; i += 4 * LANES)
	{
		s0 += *(const lanes *) (x + i) * *(const lanes *) (y + i);
		s1 += *(const lanes *) (x + i + LANES) * *(const lanes *) (y + i + LANES);
		s2 += *(const lanes *) (x + i + 2 * LANES) * *(const lanes *) (y + i + 2 * LANES);
		s3 += *(const lanes *) (x + i + 3 * LANES) * *(const lanes *) (y + i + 3 * LANES);
	}
	for (; i + LANES <= n; i += LANES)
		s0 += *(const lanes *) (x + i) * *(const lanes *) (y + i);
	for (; i < n; i++)
		rest += x[i] * y[i];
	s0 = (s0 + s1) + (s2 + s3);
	return (((s0[0] + s0[4]) + (s0[1] + s0[5])) + ((s0[2] + s0[6]) + (s0[3] + s0[7]))) + rest;
}

DISPATCHED void
rlrec_axpy(int n, float alpha, const float *x, float *y)
{
	axpy(n, alpha, x, y);
}

DISPATCHED float
rlrec_dot(int n, const float *x, const float *y)
{
	return dot(n, x, y);
}

DISPATCHED void
rlrec_gemv(int m, int n, const float *a, const float *x, float *y)
{
	for (int i = 0; i < m; i++)
		y[i] = dot(n, a + (size_t) i * n, x);
}

/* a = L L^T row by row, then L z = b, then L^T x = z. */
DISPATCHED bool
rlrec_cholesky_solve(int n, float *a, float *b)
{
	for (int i = 0; i < n; i++)
	{
		float	   *row = a + (size_t) i * n;
		float		pivot;

		for (int j = 0; j < i; j++)
			row[j] = (row[j] - dot(j, row, a + (size_t) j * n)) / a[(size_t) j * n + j];
		pivot = row[i] - dot(i, row, row);
		if (!(pivot > 0))		/* NaN too */
			return false;
		row[i] = sqrtf(pivot);
		b[i] = (b[i] - dot(i, row, b)) / row[i];
	}
	for (int i = n - 1; i >= 0; i--)
	{
		b[i] /= a[(size_t) i * n + i];
		axpy(i, -b[i], a + (size_t) i * n, b);
	}
	return true;
}
