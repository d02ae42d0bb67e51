/*
 * fused.c
 *	  The kernels of the neural layers.
 *
 * Written like kernels.c in vectors of 8 numbers. A row that is no multiple of 8 long ends in a vector filled up with what does not count.
 */
#include "postgres.h"

#include <math.h>

#include "tensor/fused.h"
#include "tensor/lanes.h"

/* ---------------------------------------------------------------- products */

#define ROWS 4

/* c (rows,2 LANES or LANES) of rlrec_matmul(), in registers */
INLINE void
matmul_tile(int rows, int vectors, int k, const real *a, int lda, const real *b, int ldb, real *c, int ldc)
{
	lanes		s[ROWS][2];

	for (int r = 0; r < rows; r++)
		for (int v = 0; v < vectors; v++)
			s[r][v] = splat(0);
	for (int p = 0; p < k; p++)
		for (int v = 0; v < vectors; v++)
		{
			lanes		x = load(b + (size_t) p * ldb + v * LANES);

			for (int r = 0; r < rows; r++)
				s[r][v] += a[(size_t) r * lda + p] * x;
		}
	for (int r = 0; r < rows; r++)
		for (int v = 0; v < vectors; v++)
			store(c + (size_t) r * ldc + v * LANES, s[r][v]);
}

DISPATCHED void
rlrec_matmul(int m, int n, int k, const real *a, int lda, const real *b, int ldb, real *c, int ldc)
{
	int			j = 0;

	for (; j + 2 * LANES <= n; j += 2 * LANES)
	{
		int			i = 0;

		for (; i + ROWS <= m; i += ROWS)
			matmul_tile(ROWS, 2, k, a + (size_t) i * lda, lda, b + j, ldb, c + (size_t) i * ldc + j, ldc);
		for (; i < m; i++)
			matmul_tile(1, 2, k, a + (size_t) i * lda, lda, b + j, ldb, c + (size_t) i * ldc + j, ldc);
	}
	for (; j + LANES <= n; j += LANES)
	{
		int			i = 0;

		for (; i + ROWS <= m; i += ROWS)
			matmul_tile(ROWS, 1, k, a + (size_t) i * lda, lda, b + j, ldb, c + (size_t) i * ldc + j, ldc);
		for (; i < m; i++)
			matmul_tile(1, 1, k, a + (size_t) i * lda, lda, b + j, ldb, c + (size_t) i * ldc + j, ldc);
	}
	for (; j < n; j++)
		for (int i = 0; i < m; i++)
		{
			real		s = 0;

			for (int p = 0; p < k; p++)
				s += a[(size_t) i * lda + p] * b[(size_t) p * ldb + j];
			c[(size_t) i * ldc + j] = s;
		}
}

DISPATCHED void
rlrec_transpose(int m, int n, const real *a, real *b)
{
	int			i = 0;

	for (; i + LANES <= m; i += LANES)
		for (int j = 0; j < n; j++)
		{
			lanes		column;

			for (int l = 0; l < LANES; l++)
				column[l] = a[(size_t) (i + l) * n + j];
			store(b + (size_t) j * m + i, column);
		}
	for (; i < m; i++)
		for (int j = 0; j < n; j++)
			b[(size_t) j * m + i] = a[(size_t) i * n + j];
}

DISPATCHED void
rlrec_add(int64 n, real alpha, const real *x, real *y)
{
	int64		i = 0;

	for (; i + LANES <= n; i += LANES)
		store(y + i, load(y + i) + alpha * load(x + i));
	for (; i < n; i++)
		y[i] += alpha * x[i];
}

DISPATCHED void
rlrec_scale(int64 n, real alpha, real *x)
{
	int64		i = 0;

	for (; i + LANES <= n; i += LANES)
		store(x + i, alpha * load(x + i));
	for (; i < n; i++)
		x[i] *= alpha;
}

/* Added up in double every 1024 numbers. */
DISPATCHED double
rlrec_sum_squares(int64 n, const real *x)
{
	double		total = 0;

	for (int64 at = 0; at < n; at += 1024)
	{
		int64		stop = Min(n, at + 1024);
		lanes		s[4];
		int64		i = at;

		for (int v = 0; v < 4; v++)
			s[v] = splat(0);
		for (; i + 4 * LANES <= stop; i += 4 * LANES)
			for (int v = 0; v < 4; v++)
				s[v] += load(x + i + v * LANES) * load(x + i + v * LANES);
		for (; i < stop; i++)
			s[0][0] += x[i] * x[i];
		total += sum((s[0] + s[1]) + (s[2] + s[3]));
	}
	return total;
}

DISPATCHED int
rlrec_count_at_least(int n, const real *x, real bound)
{
	int			count = 0;

	for (int i = 0; i < n; i++)
		count += x[i] >= bound;
	return count;
}

/* ---------------------------------------------------------------- dropout */

/* 0 or scale for the numbers at i .. i + LANES - 1: a hash of the place (the finaliser of MurmurHash3) against the rate in 31 bits */
INLINE lanes
keep(uint32 i, uint32 key0, uint32 key1, int32 threshold, real scale)
{
	const words ramp = {0, 1, 2, 3, 4, 5, 6, 7};
	words		h = (ramp + i) * 0x9E3779B1u ^ key0;
	signs		kept;

	h ^= h >> 16;
	h *= 0x85EBCA6Bu;
	h ^= (h >> 13) ^ key1;
	h *= 0xC2B2AE35u;
	h ^= h >> 16;
	kept = (signs) (h >> 1) >= threshold;
	return __builtin_convertvector(-kept, lanes) * scale;
}

DISPATCHED void
rlrec_dropout(int64 n, real rate, uint64 key, real *x)
{
	int32		threshold = (int32) (rate * 2147483647.0);
	real		scale = 1 / (1 - rate);
	int64		i = 0;

	if (rate <= 0)
		return;
	for (; i + LANES <= n; i += LANES)
		store(x + i, load(x + i) * keep((uint32) i, (uint32) key, (uint32) (key >> 32), threshold, scale));
	if (i < n)
		store_part(x + i, (int) (n - i), load_part(x + i, (int) (n - i), 0) *
				   keep((uint32) i, (uint32) key, (uint32) (key >> 32), threshold, scale));
}

/* ---------------------------------------------------------------- softmax */

INLINE real
row_maximum(int n, const real *x)
{
	lanes		m = splat(-INFINITY);
	int			i = 0;

	for (; i + LANES <= n; i += LANES)
		m = maximum(load(x + i), m);
	if (i < n)
		m = maximum(load_part(x + i, n - i, -INFINITY), m);
	return largest(m);
}

/* x[n] becomes e^(x - shift); returns the sum. */
INLINE real
row_exponential(int n, real shift, real *x)
{
	lanes		s = splat(0);
	lanes		v;
	int			i = 0;

	for (; i + LANES <= n; i += LANES)
	{
		v = exponential(load(x + i) - shift);
		store(x + i, v);
		s += v;
	}
	if (i < n)
	{
		v = exponential(load_part(x + i, n - i, -INFINITY) - shift);
		store_part(x + i, n - i, v);
		s += v;
	}
	return sum(s);
}

INLINE void
row_scale(int n, real alpha, real *x)
{
	int			i = 0;

	for (; i + LANES <= n; i += LANES)
		store(x + i, alpha * load(x + i));
	for (; i < n; i++)
		x[i] *= alpha;
}

DISPATCHED void
rlrec_softmax(int n, const real *bias, real *x)
{
	real		total;

	if (bias != NULL)
	{
		int			i = 0;

		for (; i + LANES <= n; i += LANES)
			store(x + i, load(x + i) + load(bias + i));
		for (; i < n; i++)
			x[i] += bias[i];
	}
	total = row_exponential(n, row_maximum(n, x), x);
	row_scale(n, 1 / total, x);
}

DISPATCHED void
rlrec_softmax_backward(int n, const real *p, real *dp)
{
	lanes		s = splat(0);
	real		mean;
	int			i = 0;

	for (; i + LANES <= n; i += LANES)
		s += load(p + i) * load(dp + i);
	for (; i < n; i++)
		s[0] += p[i] * dp[i];
	mean = sum(s);
	for (i = 0; i + LANES <= n; i += LANES)
		store(dp + i, load(p + i) * (load(dp + i) - mean));
	for (; i < n; i++)
		dp[i] = p[i] * (dp[i] - mean);
}

DISPATCHED double
rlrec_cross_entropy(int n, int target, real weight, real *logits)
{
	real		wanted = logits[target];
	real		most = row_maximum(n, logits);
	real		total = row_exponential(n, most, logits);

	row_scale(n, weight / total, logits);
	logits[target] -= weight;
	return log(total) + (double) most - (double) wanted;
}

/* ---------------------------------------------------------------- norm */

DISPATCHED void
rlrec_norm(int n, int d, const real *x, const real *gain, const real *bias, real *y, real *moments)
{
	for (int r = 0; r < n; r++, x += d, y += d)
	{
		lanes		s = splat(0);
		real		mean;
		real		scale;
		int			i = 0;

		for (; i + LANES <= d; i += LANES)
			s += load(x + i);
		for (; i < d; i++)
			s[0] += x[i];
		mean = sum(s) / d;
		s = splat(0);
		for (i = 0; i + LANES <= d; i += LANES)
			s += (load(x + i) - mean) * (load(x + i) - mean);
		for (; i < d; i++)
			s[0] += (x[i] - mean) * (x[i] - mean);
		scale = 1 / (real) sqrt(sum(s) / d + (real) 1e-6);
		for (i = 0; i + LANES <= d; i += LANES)
			store(y + i, (load(x + i) - mean) * scale * load(gain + i) + load(bias + i));
		for (; i < d; i++)
			y[i] = (x[i] - mean) * scale * gain[i] + bias[i];
		if (moments != NULL)
		{
			moments[2 * r] = mean;
			moments[2 * r + 1] = scale;
		}
	}
}

/* With z = (x - mean) * scale and g = dy * gain: dx = scale * (g - mean(g) - z * mean(g z)). */
DISPATCHED void
rlrec_norm_backward(int n, int d, const real *x, const real *gain, const real *moments, const real *dy, real *dx,
					real *dgain, real *dbias)
{
	for (int r = 0; r < n; r++, x += d, dy += d, dx += d)
	{
		real		mean = moments[2 * r];
		real		scale = moments[2 * r + 1];
		lanes		s = splat(0);
		lanes		t = splat(0);
		real		of_g;
		real		of_gz;
		int			i = 0;

		for (; i + LANES <= d; i += LANES)
		{
			lanes		z = (load(x + i) - mean) * scale;
			lanes		g = load(dy + i) * load(gain + i);

			store(dgain + i, load(dgain + i) + load(dy + i) * z);
			store(dbias + i, load(dbias + i) + load(dy + i));
			s += g;
			t += g * z;
		}
		for (; i < d; i++)
		{
			real		z = (x[i] - mean) * scale;

			dgain[i] += dy[i] * z;
			dbias[i] += dy[i];
			s[0] += dy[i] * gain[i];
			t[0] += dy[i] * gain[i] * z;
		}
		of_g = sum(s) / d;
		of_gz = sum(t) / d;
		for (i = 0; i + LANES <= d; i += LANES)
			store(dx + i, load(dx + i) + scale * (load(dy + i) * load(gain + i) - of_g - (load(x + i) - mean) * scale * of_gz));
		for (; i < d; i++)
			dx[i] += scale * (dy[i] * gain[i] - of_g - (x[i] - mean) * scale * of_gz);
	}
}

/* ---------------------------------------------------------------- Adam */

INLINE lanes
square_root(lanes x)
{
	for (int l = 0; l < LANES; l++)
		x[l] = sizeof(real) == sizeof(float) ? sqrtf(x[l]) : sqrt(x[l]);
	return x;
}

INLINE lanes
adam(const RlrecAdamStep *step, lanes g, lanes *m, lanes *v, lanes w)
{
	g *= step->gradient_scale;
	*m = step->beta1 * *m + (1 - step->beta1) * g;
	*v = step->beta2 * *v + (1 - step->beta2) * (g * g);
	return w - step->rate * *m / (square_root(*v) + step->epsilon) - step->decay * w;
}

DISPATCHED void
rlrec_adam_update(int64 n, const RlrecAdamStep *step, const real *gradient, real *m, real *v, real *parameter)
{
	int64		i = 0;
	lanes		a;
	lanes		b;

	for (; i + LANES <= n; i += LANES)
	{
		a = load(m + i);
		b = load(v + i);
		store(parameter + i, adam(step, load(gradient + i), &a, &b, load(parameter + i)));
		store(m + i, a);
		store(v + i, b);
	}
	if (i < n)
	{
		int			rest = (int) (n - i);

		a = load_part(m + i, rest, 0);
		b = load_part(v + i, rest, 0);
		store_part(parameter + i, rest, adam(step, load_part(gradient + i, rest, 0), &a, &b, load_part(parameter + i, rest, 0)));
		store_part(m + i, rest, a);
		store_part(v + i, rest, b);
	}
}
