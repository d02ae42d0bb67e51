/*
 * fused.c
 *	  The kernels of the neural layers.
 *
 * Written like kernels.c in vectors of 8 numbers that GCC compiles for AVX2 and for any x86-64, without fused multiply-add: the same
 * bits on every x86-64. A row that is no multiple of 8 long ends in a vector filled up with what does not count.
 */
#include "postgres.h"

#include <math.h>

#include "tensor/fused.h"

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
		lanes		s = splat(0);
		int64		i = at;

		for (; i + LANES <= stop; i += LANES)
			s += load(x + i) * load(x + i);
		for (; i < stop; i++)
			s[0] += x[i] * x[i];
		total += sum(s);
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

/* ---------------------------------------------------------------- activations and gates */

/* x sigmoid(c x), and its derivative */
INLINE lanes
swish(lanes x, real c)
{
	return x * sigmoid(c * x);
}

INLINE lanes
swish_slope(lanes x, real c)
{
	lanes		s = sigmoid(c * x);

	return s + c * x * s * (1 - s);
}

INLINE lanes
activate(RlrecActivation activation, lanes x)
{
	if (activation == RLREC_RELU)
		return maximum(x, splat(0));
	return swish(x, activation == RLREC_GELU ? (real) 1.702 : 1);
}

INLINE lanes
slope(RlrecActivation activation, lanes x)
{
	if (activation == RLREC_RELU)
		return choose(x > splat(0), splat(1), splat(0));
	return swish_slope(x, activation == RLREC_GELU ? (real) 1.702 : 1);
}

DISPATCHED void
rlrec_activate(RlrecActivation activation, int64 n, const real *x, real *y)
{
	int64		i = 0;

	for (; i + LANES <= n; i += LANES)
		store(y + i, activate(activation, load(x + i)));
	if (i < n)
		store_part(y + i, (int) (n - i), activate(activation, load_part(x + i, (int) (n - i), 0)));
}

DISPATCHED void
rlrec_activate_backward(RlrecActivation activation, int64 n, const real *x, const real *dy, real *dx)
{
	int64		i = 0;

	for (; i + LANES <= n; i += LANES)
		store(dx + i, load(dy + i) * slope(activation, load(x + i)));
	if (i < n)
		store_part(dx + i, (int) (n - i), load_part(dy + i, (int) (n - i), 0) *
				   slope(activation, load_part(x + i, (int) (n - i), 0)));
}

INLINE lanes
mlp_activate(RlrecMlpActivation activation, lanes x)
{
	if (activation == RLREC_MLP_RELU)
		return (lanes) (~(x < splat(0)) & (integers) x);	/* NaN stays */
	return 2 * sigmoid(2 * x) - 1;
}

INLINE lanes
mlp_activate_backward(RlrecMlpActivation activation, lanes y, lanes dy)
{
	if (activation == RLREC_MLP_RELU)
		return (lanes) ((y > splat(0)) & (integers) dy);
	return dy * (1 - y * y);
}

INLINE void
bias_activate(RlrecMlpActivation activation, int n, int d, const real *bias, real *y)
{
	for (int r = 0; r < n; r++, y += d)
	{
		int			i = 0;

		for (; i + LANES <= d; i += LANES)
			store(y + i, mlp_activate(activation, load(y + i) + load(bias + i)));
		if (i < d)
			store_part(y + i, d - i, mlp_activate(activation, load_part(y + i, d - i, 0) + load_part(bias + i, d - i, 0)));
	}
}

DISPATCHED void
rlrec_bias_activate(RlrecMlpActivation activation, int n, int d, const real *bias, real *y)
{
	if (activation == RLREC_MLP_RELU)
		bias_activate(RLREC_MLP_RELU, n, d, bias, y);
	else if (activation == RLREC_MLP_TANH)
		bias_activate(RLREC_MLP_TANH, n, d, bias, y);
	else						/* often narrower than a vector */
		for (int r = 0; r < n; r++, y += d)
			for (int i = 0; i < d; i++)
				y[i] += bias[i];
}

/* So many vectors of columns, each of LANES numbers or, where it is one, of `rest` */
INLINE void
bias_backward_columns(RlrecMlpActivation activation, int vectors, int rest, int n, int d, const real *y, real *dy, real *dbias)
{
	lanes		total[4];

	for (int v = 0; v < vectors; v++)
		total[v] = splat(0);
	for (int r = 0; r < n; r++, y += d, dy += d)
		for (int v = 0; v < vectors; v++)
		{
			int			at = v * LANES;
			lanes		g;

			if (rest == LANES)
			{
				g = mlp_activate_backward(activation, load(y + at), load(dy + at));
				store(dy + at, g);
			}
			else
			{
				g = mlp_activate_backward(activation, load_part(y + at, rest, 0), load_part(dy + at, rest, 0));
				store_part(dy + at, rest, g);
			}
			total[v] += g;
		}
	for (int v = 0; v < vectors; v++)
		for (int l = 0; l < rest; l++)
			dbias[v * LANES + l] += total[v][l];
}

INLINE void
bias_activate_backward(RlrecMlpActivation activation, int n, int d, const real *y, real *dy, real *dbias)
{
	int			i = 0;

	for (; i + 4 * LANES <= d; i += 4 * LANES)
		bias_backward_columns(activation, 4, LANES, n, d, y + i, dy + i, dbias + i);
	for (; i + LANES <= d; i += LANES)
		bias_backward_columns(activation, 1, LANES, n, d, y + i, dy + i, dbias + i);
	if (i < d)
		bias_backward_columns(activation, 1, d - i, n, d, y + i, dy + i, dbias + i);
}

DISPATCHED void
rlrec_bias_activate_backward(RlrecMlpActivation activation, int n, int d, const real *y, real *dy, real *dbias)
{
	if (activation == RLREC_MLP_RELU)
		bias_activate_backward(RLREC_MLP_RELU, n, d, y, dy, dbias);
	else if (activation == RLREC_MLP_TANH)
		bias_activate_backward(RLREC_MLP_TANH, n, d, y, dy, dbias);
	else
		for (int r = 0; r < n; r++, dy += d)
			for (int i = 0; i < d; i++)
				dbias[i] += dy[i];
}

DISPATCHED void
rlrec_swiglu(int n, int d, const real *u, real *y)
{
	for (int r = 0; r < n; r++, u += 2 * (size_t) d, y += d)
	{
		int			i = 0;

		for (; i + LANES <= d; i += LANES)
			store(y + i, swish(load(u + i), 1) * load(u + d + i));
		if (i < d)
			store_part(y + i, d - i, swish(load_part(u + i, d - i, 0), 1) * load_part(u + d + i, d - i, 0));
	}
}

DISPATCHED void
rlrec_swiglu_backward(int n, int d, const real *u, const real *dy, real *du)
{
	for (int r = 0; r < n; r++, u += 2 * (size_t) d, du += 2 * (size_t) d, dy += d)
	{
		int			i = 0;

		for (; i + LANES <= d; i += LANES)
		{
			lanes		a = load(u + i);
			lanes		g = load(dy + i);

			store(du + i, g * load(u + d + i) * swish_slope(a, 1));
			store(du + d + i, g * swish(a, 1));
		}
		if (i < d)
		{
			lanes		a = load_part(u + i, d - i, 0);
			lanes		g = load_part(dy + i, d - i, 0);

			store_part(du + i, d - i, g * load_part(u + d + i, d - i, 0) * swish_slope(a, 1));
			store_part(du + d + i, d - i, g * swish(a, 1));
		}
	}
}

DISPATCHED void
rlrec_gate(int64 n, const real *g, const real *x, real *y)
{
	int64		i = 0;

	for (; i + LANES <= n; i += LANES)
		store(y + i, load(y + i) + sigmoid(load(g + i)) * load(x + i));
	if (i < n)
	{
		int			rest = (int) (n - i);

		store_part(y + i, rest, load_part(y + i, rest, 0) + sigmoid(load_part(g + i, rest, 0)) * load_part(x + i, rest, 0));
	}
}

DISPATCHED void
rlrec_gate_backward(int64 n, const real *g, const real *x, const real *dy, real *dx, real *dg)
{
	int64		i = 0;

	for (; i + LANES <= n; i += LANES)
	{
		lanes		s = sigmoid(load(g + i));
		lanes		d = load(dy + i);

		store(dg + i, d * load(x + i) * s * (1 - s));
		store(dx + i, d * s);
	}
	if (i < n)
	{
		int			rest = (int) (n - i);
		lanes		s = sigmoid(load_part(g + i, rest, 0));
		lanes		d = load_part(dy + i, rest, 0);

		store_part(dg + i, rest, d * load_part(x + i, rest, 0) * s * (1 - s));
		store_part(dx + i, rest, d * s);
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
