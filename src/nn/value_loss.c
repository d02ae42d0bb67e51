/*
 * value_loss.c
 *	  What action values are trained to do.
 */
#include "postgres.h"

#include <math.h>

#include "nn/value_loss.h"
#include "tensor/fused.h"

void
rlrec_dueling(int n, int actions, int stride, real *q)
{
	for (int i = 0; i < n; i++, q += stride)
	{
		real		mean = 0;

		for (int a = 0; a < actions; a++)
			mean += q[a];
		mean /= actions;
		for (int a = 0; a < actions; a++)
			q[a] += q[actions] - mean;
	}
}

void
rlrec_dueling_backward(int n, int actions, int stride, real *q)
{
	for (int i = 0; i < n; i++, q += stride)
	{
		real		total = 0;

		for (int a = 0; a < actions; a++)
			total += q[a];
		for (int a = 0; a < actions; a++)
			q[a] -= total / actions;
		q[actions] = total;
	}
}

double
rlrec_loss_value(int n, int actions, int stride, real delta, real cql, const int32 *action, const real *target, const real *weight,
				 real *q, real *error)
{
	double		loss = 0;

	for (int i = 0; i < n; i++, q += stride)
	{
		real		e = q[action[i]] - target[i];
		real		size = fabs(e);
		bool		linear = delta > 0 && size > delta;

		loss += (double) weight[i] * (linear ? delta * (size - 0.5 * delta) : 0.5 * size * size);
		if (cql > 0)
			loss += cql * rlrec_cross_entropy(actions, action[i], cql / n, q);
		else
			for (int a = 0; a < actions; a++)
				q[a] = 0;
		q[action[i]] += weight[i] / n * (linear ? (e < 0 ? -delta : delta) : e);
		if (error != NULL)
			error[i] = size;
	}
	return loss / n;
}

double
rlrec_loss_state_value(int n, int stride, real expectile, const real *target, real *v)
{
	double		loss = 0;

	for (int i = 0; i < n; i++, v += stride)
	{
		real		u = target[i] - *v;
		real		weight = u < 0 ? 1 - expectile : expectile;

		loss += (double) weight * u * u;
		*v = -2 * weight * u / n;
	}
	return loss / n;
}

double
rlrec_loss_imitation(int n, int actions, int stride, const int32 *action, const real *weight, real *logits)
{
	double		loss = 0;

	for (int i = 0; i < n; i++, logits += stride)
		loss += weight[i] * rlrec_cross_entropy(actions, action[i], weight[i] / n, logits);
	return loss / n;
}
