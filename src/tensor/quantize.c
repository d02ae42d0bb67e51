/*
 * quantize.c
 *	  Matrices in 8 bits.
 *
 * The product with a vector is written once in plain C and once for AVX2, in intrinsics because compilers make poor code of widening bytes;
 * both add in the same order, so that a score does not depend on the processor.
 */
#include "postgres.h"

#include <math.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_AVX2_KERNEL
#include <immintrin.h>
#endif

#include "tensor/quantize.h"

#define LANES 8

void
rlrec_quantize_rows(int m, int n, const float *a, int8 *q, float *scale)
{
	for (int i = 0; i < m; i++)
	{
		const float *row = a + (size_t) i * n;
		float		largest = 0;

		for (int j = 0; j < n; j++)
			largest = Max(largest, fabsf(row[j]));
		scale[i] = largest / 127;
		for (int j = 0; j < n; j++)
			q[(size_t) i * n + j] = largest > 0 ? (int8) rintf(row[j] / largest * 127) : 0;
	}
}

/* Sum of two sets of partial sums and of what was left over. */
static inline float
total(const float *s0, const float *s1, float rest)
{
	float		s[LANES];

	for (int k = 0; k < LANES; k++)
		s[k] = s0[k] + s1[k];
	return (((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))) + rest;
}

static void
gemv_plain(int m, int n, const int8 *q, const float *scale, const float *x, float *y)
{
	for (int i = 0; i < m; i++, q += n)
	{
		float		s[2][LANES] = {{0}};
		float		rest = 0;
		int			j = 0;

		for (; j + 2 * LANES <= n; j += 2 * LANES)
			for (int k = 0; k < 2 * LANES; k++)
				s[k / LANES][k % LANES] += q[j + k] * x[j + k];
		for (; j < n; j++)
			rest += q[j] * x[j];
		y[i] = scale[i] * total(s[0], s[1], rest);
	}
}

#ifdef HAVE_AVX2_KERNEL
__attribute__((target("avx2")))
static inline __m256
widen(const int8 *q)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *) q)));
}

__attribute__((target("avx2")))
static void
gemv_avx2(int m, int n, const int8 *q, const float *scale, const float *x, float *y)
{
	for (int i = 0; i < m; i++, q += n)
	{
		__m256		s0 = _mm256_setzero_ps();
		__m256		s1 = _mm256_setzero_ps();
		float		rest = 0;
		int			j = 0;
		__m128		half;

		for (; j + 2 * LANES <= n; j += 2 * LANES)
		{
			s0 = _mm256_add_ps(s0, _mm256_mul_ps(widen(q + j), _mm256_loadu_ps(x + j)));
			s1 = _mm256_add_ps(s1, _mm256_mul_ps(widen(q + j + LANES), _mm256_loadu_ps(x + j + LANES)));
		}
		for (; j < n; j++)
			rest += q[j] * x[j];
		s0 = _mm256_add_ps(s0, s1);
		half = _mm_add_ps(_mm256_castps256_ps128(s0), _mm256_extractf128_ps(s0, 1));
		half = _mm_add_ps(half, _mm_movehdup_ps(half));
		half = _mm_add_ss(half, _mm_movehl_ps(half, half));
		y[i] = scale[i] * (_mm_cvtss_f32(half) + rest);
	}
}
#endif

void
rlrec_gemv_int8(int m, int n, const int8 *q, const float *scale, const float *x, float *y)
{
#ifdef HAVE_AVX2_KERNEL
	if (__builtin_cpu_supports("avx2"))
	{
		gemv_avx2(m, n, q, scale, x, y);
		return;
	}
#endif
	gemv_plain(m, n, q, scale, x, y);
}
