/*
 * quantize.h
 *	  Matrices in 8 bits: a quarter of the memory, and of the time where memory is the bound.
 */
#ifndef RLREC_QUANTIZE_H
#define RLREC_QUANTIZE_H

/*
 * Rows of a (m,n) as q (m,n) with a scale each: a[i][j] = scale[i] * q[i][j], q in -127 .. 127, scale[i] = max |a[i]| / 127. The error of
 * an entry is at most scale[i] / 2. All entries must be finite.
 */
extern void rlrec_quantize_rows(int m, int n, const float *a, int8 *q, float *scale);

/* y[m] = a x[n], for a quantized; x stays in float32, so that only the rows' rounding shows. */
extern void rlrec_gemv_int8(int m, int n, const int8 *q, const float *scale, const float *x, float *y);

#endif							/* RLREC_QUANTIZE_H */
