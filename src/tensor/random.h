/*
 * random.h
 *	  Random numbers as a pure function of a key and a counter: who draws first, and on which thread, changes nothing.
 *
 * The function is the output step of SplitMix64 (Steele, Lea, Flood 2014) at the counter's place in the key's sequence.
 */
#ifndef RLREC_RANDOM_H
#define RLREC_RANDOM_H

#include <math.h>

static inline uint64
rlrec_random_bits(uint64 key, uint64 counter)
{
	uint64		x = key + (counter + 1) * UINT64CONST(0x9E3779B97F4A7C15);

	x = (x ^ (x >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return x ^ (x >> 31);
}

/* The key of a stream of its own under a key. */
static inline uint64
rlrec_random_key(uint64 key, uint64 stream)
{
	return rlrec_random_bits(rlrec_random_bits(key, stream), UINT64CONST(0x5DEECE66D));
}

/* Uniform in (0, 1) */
static inline double
rlrec_random_uniform(uint64 key, uint64 counter)
{
	return ((double) (rlrec_random_bits(key, counter) >> 11) + 0.5) / 9007199254740992.0;
}

/* Uniform in [0, n) */
static inline uint32
rlrec_random_below(uint64 key, uint64 counter, uint32 n)
{
	return (uint32) (((rlrec_random_bits(key, counter) >> 32) * n) >> 32);
}

/* Normal, mean 0 and variance 1 (Box and Muller 1958) */
static inline double
rlrec_random_normal(uint64 key, uint64 counter)
{
	return sqrt(-2 * log(rlrec_random_uniform(key, 2 * counter))) *
		cos(6.283185307179586 * rlrec_random_uniform(key, 2 * counter + 1));
}

#endif							/* RLREC_RANDOM_H */
