/*
 * real.h
 *	  The number that src/nn computes with: float, or double in test/unit, where gradients are held against finite differences.
 */
#ifndef RLREC_REAL_H
#define RLREC_REAL_H

#ifdef RLREC_DOUBLE
typedef double real;
#else
typedef float real;
#endif

#endif							/* RLREC_REAL_H */
