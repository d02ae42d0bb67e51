/*
 * activation.c
 *	  Activations of the neural layers, with biases and gates, in as few passes as they take.
 */
#include "postgres.h"

#include "tensor/activation.h"
#include "tensor/lanes.h"

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
