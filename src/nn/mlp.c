/*
 * mlp.c
 *	  A multilayer perceptron.
 *
 * The workspace is each layer's output (n,width) in order, then two gradients (n,widest) between which the backward pass alternates, then
 * the transpose of a layer's matrix.
 */
#include "postgres.h"

#include <math.h>

#include "nn/mlp.h"
#include "tensor/blas.h"
#include "tensor/fused.h"
#include "tensor/random.h"

size_t
rlrec_mlp_parameters(const RlrecMlpShape *shape)
{
	size_t		n = 0;

	for (int l = 0; l < shape->layers; l++)
		n += ((size_t) shape->width[l] + 1) * shape->width[l + 1];
	return n;
}

static int
widest(const RlrecMlpShape *shape)
{
	int			most = 0;

	for (int l = 1; l <= shape->layers; l++)
		most = Max(most, shape->width[l]);
	return most;
}

static size_t
outputs(const RlrecMlpShape *shape, int n)
{
	size_t		columns = 0;

	for (int l = 1; l <= shape->layers; l++)
		columns += shape->width[l];
	return columns * n;
}

size_t
rlrec_mlp_workspace(const RlrecMlpShape *shape, int n)
{
	size_t		largest = 0;

	for (int l = 0; l < shape->layers; l++)
		largest = Max(largest, (size_t) shape->width[l] * shape->width[l + 1]);
	return outputs(shape, n) + 2 * (size_t) n * widest(shape) + largest;
}

static RlrecMlpActivation
activation_of(const RlrecMlpShape *shape, int layer)
{
	return layer < shape->layers - 1 ? shape->activation : RLREC_MLP_LINEAR;
}

/* n vectors of d numbers, n <= d, number i of vector v at x[v * next + i * stride], become orthonormal (Gram and Schmidt, twice). */
static void
orthonormalize(int n, int d, size_t next, size_t stride, real *x)
{
	for (int v = 0; v < n; v++)
	{
		real	   *own = x + v * next;
		double		square = 0;

		for (int pass = 0; pass < 2; pass++)
			for (int u = 0; u < v; u++)
			{
				const real *other = x + u * next;
				double		product = 0;

				for (int i = 0; i < d; i++)
					product += (double) own[i * stride] * other[i * stride];
				for (int i = 0; i < d; i++)
					own[i * stride] -= product * other[i * stride];
			}
		for (int i = 0; i < d; i++)
			square += (double) own[i * stride] * own[i * stride];
		for (int i = 0; i < d; i++)
			own[i * stride] /= sqrt(square);
	}
}

void
rlrec_mlp_initialize(const RlrecMlpShape *shape, uint64 key, real last, real *parameters)
{
	for (int l = 0; l < shape->layers; l++)
	{
		int			in = shape->width[l];
		int			out = shape->width[l + 1];
		size_t		n = (size_t) in * out;
		bool		orthogonal = shape->activation == RLREC_MLP_TANH;
		double		gain = l == shape->layers - 1 ? last : sqrt(2);

		for (size_t i = 0; i < n; i++)
			parameters[i] = rlrec_random_normal(rlrec_random_key(key, l), i);
		if (orthogonal && in < out)
			orthonormalize(in, out, out, 1, parameters);
		else if (orthogonal)
			orthonormalize(out, in, 1, out, parameters);
		rlrec_scale(n, orthogonal ? gain : gain / sqrt(in), parameters);
		memset(parameters + n, 0, out * sizeof(real));
		parameters += n + out;
	}
}

/*
 * Rows of a product: up to a million multiply-adds OpenBLAS has kernels that do without copies of the matrices, a sixth faster for two
 * layers of 64 and 128; with a transposed second factor they gain nothing.
 */
static int
rows_at_once(int n, int in, int out)
{
	int64		most = 1000000 / Max((int64) in * out, 1);

	return most >= 32 ? (int) Min(n, most / 32 * 32) : n;
}

/* y (n,out) = x (n,in) w (in,out) */
static void
product(int n, int in, int out, const real *x, const real *w, real *y)
{
	int			rows = rows_at_once(n, in, out);

	if (n <= RLREC_MLP_FEW)
		rlrec_matmul(n, out, in, x, in, w, out, y, out);
	else
		for (int i = 0; i < n; i += rows)
			rlrec_gemm_raw(false, false, Min(rows, n - i), out, in, 1, x + (size_t) i * in, in, w, out, 0, y + (size_t) i * out, out);
}

/* dw (in,out) += x^T dy */
static void
add_product(int n, int in, int out, const real *x, const real *dy, real *dw)
{
	int			rows = rows_at_once(n, in, out);

	for (int i = 0; i < n; i += rows)
		rlrec_gemm_raw(true, false, in, out, Min(rows, n - i), 1, x + (size_t) i * in, in, dy + (size_t) i * out, out, 1, dw, out);
}

real *
rlrec_mlp_forward(const RlrecMlpShape *shape, const real *parameters, int n, const real *x, real *workspace)
{
	real	   *y = workspace;

	for (int l = 0; l < shape->layers; l++)
	{
		int			in = shape->width[l];
		int			out = shape->width[l + 1];

		y = workspace;
		product(n, in, out, x, parameters, y);
		parameters += (size_t) in * out;
		rlrec_bias_activate(activation_of(shape, l), n, out, parameters, y);
		parameters += out;
		x = y;
		workspace += (size_t) n * out;
	}
	return y;
}

void
rlrec_mlp_backward(const RlrecMlpShape *shape, const real *parameters, int n, const real *x, real *workspace, const real *dy,
				   real *gradient, real *dx)
{
	int			last = shape->layers - 1;
	size_t		size = (size_t) n * widest(shape);
	real	   *dout = workspace + outputs(shape, n);
	real	   *din = dout + size;
	real	   *transposed = din + size;
	const real *y = dout;

	parameters += rlrec_mlp_parameters(shape);
	gradient += rlrec_mlp_parameters(shape);
	memcpy(dout, dy, (size_t) n * shape->width[last + 1] * sizeof(real));
	for (int l = last; l >= 0; l--)
	{
		int			in = shape->width[l];
		int			out = shape->width[l + 1];
		const real *before;
		real	   *swap = dout;

		y -= (size_t) n * out;
		before = l == 0 ? x : y - (size_t) n * in;
		gradient -= out;
		rlrec_bias_activate_backward(activation_of(shape, l), n, out, y, dout, gradient);
		gradient -= (size_t) in * out;
		parameters -= ((size_t) in + 1) * out;
		add_product(n, in, out, before, dout, gradient);
		if (l == 0 && dx == NULL)
			break;
		rlrec_transpose(in, out, parameters, transposed);
		product(n, out, in, dout, transposed, l == 0 ? dx : din);
		dout = din;
		din = swap;
	}
}
