/*
 * feedforward.c
 *	  The position-wise network of a transformer's block.
 */
#include "postgres.h"

#include "nn/feedforward.h"
#include "nn/linear.h"
#include "tensor/fused.h"

int
rlrec_feedforward_columns(const RlrecFeedForward *f)
{
	return f->gated ? 2 * f->hidden : f->hidden;
}

static void
activate(const RlrecFeedForward *f, int n, const real *before, real *after)
{
	if (f->gated)
		rlrec_swiglu(n, f->hidden, before, after);
	else
		rlrec_activate(f->activation, (int64) n * f->hidden, before, after);
}

void
rlrec_feedforward_forward(const RlrecFeedForward *f, int n, const real *x, const real *u, const real *v, uint64 key,
						  real *before, real *after, real *y)
{
	rlrec_linear_forward(n, f->d, rlrec_feedforward_columns(f), x, u, before);
	activate(f, n, before, after);
	rlrec_dropout((int64) n * f->hidden, f->dropout, key, after);
	rlrec_linear_forward(n, f->hidden, f->d, after, v, y);
}

void
rlrec_feedforward_backward(const RlrecFeedForward *f, int n, const real *x, const real *u, const real *v, uint64 key,
						   real *before, real *after, const real *dy, real *dx, real *du, real *dv, real *scratch)
{
	rlrec_linear_backward(n, f->hidden, f->d, after, v, dy, dv, scratch, false);
	rlrec_dropout((int64) n * f->hidden, f->dropout, key, scratch);
	if (f->gated)
		rlrec_swiglu_backward(n, f->hidden, before, scratch, before);
	else
		rlrec_activate_backward(f->activation, (int64) n * f->hidden, before, scratch, before);
	rlrec_linear_backward(n, f->d, rlrec_feedforward_columns(f), x, u, before, du, dx, false);
}

void
rlrec_feedforward_infer(const RlrecFeedForward *f, int n, const real *x, const real *u, const real *v,
						real *before, real *after, real *y)
{
	int			columns = rlrec_feedforward_columns(f);

	rlrec_matmul(n, columns, f->d, x, f->d, u, columns, before, columns);
	activate(f, n, before, after);
	rlrec_matmul(n, f->d, f->hidden, after, f->hidden, v, f->d, y, f->d);
}
