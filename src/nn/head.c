/*
 * head.c
 *	  Values and other policies over the state encoder.
 */
#include "postgres.h"

#include "nn/head.h"
#include "tensor/blas.h"
#include "tensor/fused.h"

size_t
rlrec_head_fixed(int d)
{
	return (size_t) d * d + 2 * (d + 1);
}

size_t
rlrec_head_parameters(int items, int d)
{
	return rlrec_head_fixed(d) + items;
}

RlrecHead
rlrec_head_place(int d, real *parameters)
{
	real	   *level = parameters + (size_t) d * d;

	return (RlrecHead) {parameters, level, level + d + 1, level + 2 * (d + 1)};
}

void
rlrec_head_initialize(int items, int d, real *parameters)
{
	memset(parameters, 0, rlrec_head_parameters(items, d) * sizeof(real));
	for (int i = 0; i < d; i++)
		parameters[(size_t) i * (d + 1)] = 1;
}

static real
dot(int n, const real *x, const real *y)
{
	real		sum = 0;

	for (int i = 0; i < n; i++)
		sum += x[i] * y[i];
	return sum;
}

static inline int32
action_item(const RlrecActions *actions, int j)
{
	return actions->item != NULL ? actions->item[j] : j;
}

void
rlrec_head_forward(int n, int d, const RlrecHead *head, const real *h, const int32 *item, const real *own,
				   const RlrecActions *actions, real *x, real *q)
{
	int			first = own != NULL ? 1 : 0;
	int			width = first + actions->n;
	real	   *bias = x + (size_t) n * d;

	rlrec_gemm_raw(false, false, n, d, d, 1, h, d, head->projection, d, 0, x, d);
	if (actions->n > 0)
		rlrec_gemm_raw(false, true, n, actions->n, d, 1, x, d, actions->e, d, 0, q + first, width);
	for (int j = 0; j < actions->n; j++)
		bias[j] = head->bias[action_item(actions, j)];
	for (int i = 0; i < n; i++)
	{
		real	   *row = q + (size_t) i * width;
		real		level = dot(d, h + (size_t) i * d, head->level) + head->level[d];

		if (own != NULL)
			row[0] = dot(d, x + (size_t) i * d, own + (size_t) i * d) + head->bias[item[i]] + level;
		for (int j = 0; j < actions->n; j++)
			row[first + j] += bias[j] + level;
	}
}

void
rlrec_head_backward(int n, int d, const RlrecHead *head, const real *h, const int32 *item, const real *own,
					const RlrecActions *actions, const real *x, const real *dq, const RlrecHead *gradient, real *dx,
					real *dh, real *down, real *dactions)
{
	int			width = 1 + actions->n;
	real	   *dbias = dx + (size_t) n * d;

	memset(dx, 0, ((size_t) n * d + actions->n) * sizeof(real));
	if (actions->n > 0)
		rlrec_gemm_raw(false, false, n, d, actions->n, 1, dq + 1, width, actions->e, d, 0, dx, d);
	if (actions->n > 0 && dactions != NULL)
		rlrec_gemm_raw(true, false, actions->n, d, n, 1, dq + 1, width, x, d, 1, dactions, d);
	for (int i = 0; i < n; i++)
	{
		const real *row = dq + (size_t) i * width;
		size_t		at = (size_t) i * d;
		real		total = row[0];

		for (int j = 0; j < actions->n; j++)
			total += row[1 + j];
		rlrec_add(actions->n, 1, row + 1, dbias);
		gradient->bias[item[i]] += row[0];
		rlrec_add(d, row[0], own + at, dx + at);
		rlrec_add(d, total, h + at, gradient->level);
		gradient->level[d] += total;
		if (dh == NULL)
			continue;
		rlrec_add(d, row[0], x + at, down + at);
		rlrec_add(d, total, head->level, dh + at);
	}
	for (int j = 0; j < actions->n; j++)
		gradient->bias[action_item(actions, j)] += dbias[j];
	rlrec_gemm_raw(true, false, d, d, n, 1, h, d, dx, d, 1, gradient->projection, d);
	if (dh != NULL)
		rlrec_gemm_raw(false, true, n, d, d, 1, dx, d, head->projection, d, 1, dh, d);
}

void
rlrec_head_value(int n, int d, const RlrecHead *head, const real *h, real *v)
{
	for (int i = 0; i < n; i++)
		v[i] = dot(d, h + (size_t) i * d, head->value) + head->value[d];
}

void
rlrec_head_value_backward(int n, int d, const real *h, const real *dv, const RlrecHead *gradient)
{
	for (int i = 0; i < n; i++)
	{
		rlrec_add(d, dv[i], h + (size_t) i * d, gradient->value);
		gradient->value[d] += dv[i];
	}
}

void
rlrec_head_blend(int n, int d, real policy, int heads, const RlrecHead *head, const real *weight, const real *h, real *x)
{
	memset(x, 0, (size_t) n * d * sizeof(real));
	rlrec_add((int64) n * d, policy, h, x);
	for (int k = 0; k < heads; k++)
		if (weight[k] != 0)
			rlrec_gemm_raw(false, false, n, d, d, weight[k], h, d, head[k].projection, d, 1, x, d);
}
