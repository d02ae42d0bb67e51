/*
 * lanes.h
 *	  Vectors of 8 numbers, of which the kernels of the neural layers are made: fused.c, activation.c.
 *
 * GCC compiles them for AVX2 and for any x86-64, without fused multiply-add: the same bits on every x86-64.
 */
#ifndef RLREC_LANES_H
#define RLREC_LANES_H

#include <math.h>

#include "tensor/real.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define DISPATCHED __attribute__((target_clones("avx2", "default")))
#else
#define DISPATCHED
#endif

/* Vectors pass between functions only where these are inlined. */
#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#define LANES 8
#define INLINE static pg_attribute_always_inline

#ifdef RLREC_DOUBLE
typedef int64 integer;
#else
typedef int32 integer;
#endif
typedef real lanes __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
typedef integer integers __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
typedef uint32 words __attribute__((vector_size(LANES * sizeof(uint32))));
typedef int32 signs __attribute__((vector_size(LANES * sizeof(int32))));

INLINE lanes
load(const real *x)
{
	return *(const lanes *) x;
}

INLINE void
store(real *x, lanes v)
{
	*(lanes *) x = v;
}

/* The first n < LANES numbers, filled up. */
INLINE lanes
load_part(const real *x, int n, real fill)
{
	lanes		v;

	for (int l = 0; l < LANES; l++)
		v[l] = l < n ? x[l] : fill;
	return v;
}

INLINE void
store_part(real *x, int n, lanes v)
{
	for (int l = 0; l < LANES; l++)
		if (l < n)
			x[l] = v[l];
}

INLINE lanes
splat(real x)
{
	return x - (lanes) {0};
}

INLINE lanes
choose(integers mask, lanes yes, lanes no)
{
	return (lanes) ((mask & (integers) yes) | (~mask & (integers) no));
}

INLINE lanes
maximum(lanes a, lanes b)
{
	return choose(a > b, a, b);
}

INLINE real
sum(lanes v)
{
	return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

INLINE real
largest(lanes v)
{
	real		m = v[0];

	for (int l = 1; l < LANES; l++)
		m = v[l] > m ? v[l] : m;
	return m;
}

/* e^x: x = k log 2 + r with |r| <= log(2)/2, and a polynomial for e^r that is within 2 ulp. 0 below -87, finite above 88, NaN of NaN. */
INLINE lanes
exponential(lanes x)
{
#ifdef RLREC_DOUBLE
	for (int l = 0; l < LANES; l++)
		x[l] = exp(x[l]);
	return x;
#else
	const float magic = 12582912.0f;	/* 1.5 * 2^23: adding it rounds to an integer, in the low bits */
	integers	tiny = x < splat(-87.0f);
	lanes		k;
	lanes		r;
	lanes		p;

	x = choose(x > splat(88.0f), splat(88.0f), choose(tiny, splat(-87.0f), x));
	k = x * 1.44269504088896341f + magic;
	r = k - magic;
	r = (x - r * 0.693359375f) + r * 2.12194440e-4f;
	p = r * 1.9875691500e-4f + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * (r * r) + r + 1.0f;
	p = p * (lanes) (((integers) k + (127 - 0x4B400000)) << 23);
	return choose(tiny, splat(0), p);
#endif
}

INLINE lanes
sigmoid(lanes x)
{
	return 1 / (1 + exponential(-x));
}

#endif							/* RLREC_LANES_H */
