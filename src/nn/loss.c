/*
 * loss.c
 *	  What a policy is trained to do.
 */
#include "postgres.h"

#include <math.h>

#include "nn/loss.h"
#include "tensor/blas.h"
#include "tensor/fused.h"

/* What takes an item out of a row: its probability is 0 in every loss. */
#define NEVER ((real) -1e9)

/* A row of logits that became the gradient of its softmax's cross-entropy counts as much as it shall; returns the cross-entropy times that. */
static double
weigh_row(const RlrecRowWeights *rows, int i, int n, double cross_entropy, real *row)
{
	double		factor;

	if (rows == NULL)
		return cross_entropy;
	factor = rows->weight[i];
	if (rows->behaviour != NULL)
		factor *= Min(exp(-cross_entropy - rows->behaviour[i]), rows->cap) * rows->top * pow(-expm1(-cross_entropy), rows->top - 1);
	rlrec_scale(n, factor, row);
	return factor * cross_entropy;
}

double
rlrec_loss_full(int n, int items, int d, real weight, const RlrecRowWeights *rows, const real *h, const real *e, const int32 *target,
				int n_never, const int32 *never, real *dh, real *de, real *logits)
{
	double		loss = 0;

	rlrec_gemm_raw(false, true, n, items, d, 1, h, d, e, d, 0, logits, items);
	for (int i = 0; i < n; i++)
	{
		for (int k = 0; k < n_never; k++)
			logits[(size_t) i * items + never[k]] = NEVER;
		loss += weigh_row(rows, i, items, rlrec_cross_entropy(items, target[i], weight, logits + (size_t) i * items),
						  logits + (size_t) i * items);
	}
	rlrec_gemm_raw(false, false, n, d, items, 1, logits, items, e, d, 0, dh, d);
	rlrec_gemm_raw(true, false, items, d, n, 1, logits, items, h, d, 1, de, d);
	return loss;
}

static real
sigmoid(real x)
{
	return 1 / (1 + (real) exp(-x));
}

/* -log sigmoid(x) */
static double
surprise(real x)
{
	return x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x;
}

/* A row of logits, the target's at 0, becomes its gradient. */
static double
row_bce(int n, real beta, real weight, real *x)
{
	double		loss = beta * surprise(x[0]);

	x[0] = weight * beta * (sigmoid(x[0]) - 1);
	for (int j = 1; j <= n; j++)
	{
		loss += surprise(-x[j]);
		x[j] = weight * sigmoid(x[j]);
	}
	return loss;
}

static double
row_bpr(int n, real weight, real *x)
{
	double		loss = 0;
	real		total = 0;

	for (int j = 1; j <= n; j++)
	{
		loss += surprise(x[0] - x[j]) / n;
		x[j] = weight / n * sigmoid(x[j] - x[0]);
		total += x[j];
	}
	x[0] = -total;
	return loss;
}

double
rlrec_loss_sampled(int n, int d, real weight, const RlrecRowWeights *rows, const RlrecNegatives *negatives,
				   const real *h, const int32 *target, const real *positive, real *dh, real *dpositive, real *dnegative, real *logits)
{
	int			width = negatives->n + 1;
	double		loss = 0;

	rlrec_gemm_raw(false, true, n, negatives->n, d, 1, h, d, negatives->e, d, 0, logits + 1, width);
	for (int i = 0; i < n; i++)
	{
		real	   *row = logits + (size_t) i * width;

		row[0] = 0;
		for (int c = 0; c < d; c++)
			row[0] += h[(size_t) i * d + c] * positive[(size_t) i * d + c];
		rlrec_add(negatives->n, -1, negatives->correction, row + 1);
		for (int j = 0; j < negatives->n; j++)
			if (negatives->item[j] == target[i])
				row[j + 1] = NEVER;
		if (negatives->loss == RLREC_SAMPLED_SOFTMAX)
			loss += weigh_row(rows, i, width, rlrec_cross_entropy(width, 0, weight, row), row);
		else if (negatives->loss == RLREC_SAMPLED_BCE)
			loss += row_bce(negatives->n, negatives->beta, weight, row);
		else
			loss += row_bpr(negatives->n, weight, row);
	}
	rlrec_gemm_raw(false, false, n, d, negatives->n, 1, logits + 1, width, negatives->e, d, 0, dh, d);
	rlrec_gemm_raw(true, false, negatives->n, d, n, 1, logits + 1, width, h, d, 1, dnegative, d);
	for (int i = 0; i < n; i++)
	{
		real		g = logits[(size_t) i * width];

		rlrec_add(d, g, positive + (size_t) i * d, dh + (size_t) i * d);
		rlrec_add(d, g, h + (size_t) i * d, dpositive + (size_t) i * d);
	}
	return loss;
}

double
rlrec_loss_actions(int n, int actions, real weight, const int32 *item, const real *correction, const int32 *target,
				   real *logits, real *surprise)
{
	double		loss = 0;

	for (int i = 0; i < n; i++)
	{
		real	   *row = logits + (size_t) i * (1 + actions);
		double		own;

		if (correction != NULL)
			rlrec_add(actions, -1, correction, row + 1);
		for (int j = 0; item != NULL && j < actions; j++)
			if (item[j] == target[i])
				row[j + 1] = NEVER;
		if (item == NULL)
			row[target[i] + 1] = NEVER;
		own = rlrec_cross_entropy(1 + actions, 0, weight, row);
		if (surprise != NULL)
			surprise[i] = own;
		loss += own;
	}
	return loss;
}

double
rlrec_loss_expectile(int n, real weight, real tau, const real *target, real *x)
{
	double		loss = 0;

	for (int i = 0; i < n; i++)
	{
		real		error = x[i] - target[i];
		real		side = error > 0 ? 1 - tau : tau;

		loss += side * error * error;
		x[i] = weight * 2 * side * error;
	}
	return loss;
}

double
rlrec_loss_huber(int n, real weight, real delta, const real *target, real *x)
{
	double		loss = 0;

	for (int i = 0; i < n; i++)
	{
		real		error = x[i] - target[i];
		real		size = error < 0 ? -error : error;

		loss += size <= delta ? 0.5 * error * error : delta * (size - 0.5 * delta);
		x[i] = weight * (size <= delta ? error : error < 0 ? -delta : delta);
	}
	return loss;
}
