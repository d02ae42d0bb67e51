/*
 * history.c
 *	  The user-state encoder.
 *
 * Pre-norm blocks (Xiong et al. 2020) of causal self-attention with a learned bias for each distance and of a SwiGLU network; where
 * gated, what a block adds is weighed by a sigmoid of its input (LiGR, Hertel et al. 2024):
 *		x = sqrt(d) e_item + gap + type;   x += [sigmoid(N x G) *] attention(N x);   x += [sigmoid(N x G') *] swiglu(N x);   state = N x
 * with dropout of x at first, of attention's probabilities, of the hidden units and of what is added. gap and type are learned for how
 * long ago the event before was, or how long after it the next came, and for what type of event it is; where not used they are 0.
 *
 * The workspace holds what the gradient needs of each block, then one set of scratch for all. No absolute positions: a state depends
 * only on what lies how far back.
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bitutils.h"

#include "encoder/history.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "tensor/fused.h"
#include "tensor/random.h"

/* The places of dropout in a block, each with a key of its own */
enum
{
	DROP_PROBABILITIES,
	DROP_ATTENTION,
	DROP_HIDDEN,
	DROP_FORWARD,
	DROP_SITES
};

/* What a block leaves for its gradient; all (n,...) */
typedef struct Cache
{
	real	   *x;				/* d: input */
	real	   *a;				/* d: its norm */
	real	   *moments_a;		/* 2 */
	real	   *qkv;			/* 3d */
	real	   *p;				/* probabilities */
	real	   *o;				/* d: of attention */
	real	   *r;				/* d: what attention adds, before its gate */
	real	   *g;				/* d: the gate, before its sigmoid */
	real	   *y;				/* d: after attention */
	real	   *b;				/* d: its norm */
	real	   *moments_b;		/* 2 */
	real	   *before;			/* 2 hidden */
	real	   *after;			/* hidden */
	real	   *s;				/* d: what the network adds, before its gate */
	real	   *h;				/* d: the gate, before its sigmoid */
} Cache;

/* The workspace of a batch */
typedef struct Workspace
{
	Cache		block[RLREC_HISTORY_MAX_BLOCKS];
	real	   *x;				/* (n,d) after the last block */
	real	   *moments;		/* (n,2) */
	real	   *state;			/* (n,d) */
	real	   *wide;			/* (n,3d) or (n,hidden) */
	real	   *dr;				/* (n,d) */
	real	   *dn;				/* (n,d) */
	real	   *scratch;		/* of attention */
} Workspace;

static real *
take(real **at, size_t n)
{
	real	   *taken = *at;

	*at += (n + 15) & ~(size_t) 15;
	return taken;
}

static RlrecAttention
attention_of(const RlrecHistoryShape *shape)
{
	return (RlrecAttention) {shape->dimension, shape->heads, shape->length, shape->dropout};
}

static RlrecFeedForward
feedforward_of(const RlrecHistoryShape *shape)
{
	return (RlrecFeedForward) {shape->dimension, shape->hidden, true, RLREC_SILU, shape->dropout};
}

/* Lays out the workspace from `at`, NULL to measure; returns its end. */
static real *
lay_out(const RlrecHistoryShape *shape, size_t n, int longest, size_t probabilities, real *at, Workspace *w)
{
	size_t		d = shape->dimension;
	RlrecAttention attention = attention_of(shape);

	for (int k = 0; k < shape->blocks; k++)
	{
		Cache	   *c = &w->block[k];

		c->x = take(&at, n * d);
		c->a = take(&at, n * d);
		c->moments_a = take(&at, n * 2);
		c->qkv = take(&at, n * 3 * d);
		c->p = take(&at, probabilities);
		c->o = take(&at, n * d);
		c->r = take(&at, n * d);
		c->g = take(&at, n * d);
		c->y = take(&at, n * d);
		c->b = take(&at, n * d);
		c->moments_b = take(&at, n * 2);
		c->before = take(&at, n * 2 * shape->hidden);
		c->after = take(&at, n * shape->hidden);
		c->s = take(&at, n * d);
		c->h = take(&at, n * d);
	}
	w->x = take(&at, n * d);
	w->moments = take(&at, n * 2);
	w->state = take(&at, n * d);
	w->wide = take(&at, n * Max(3 * d, (size_t) shape->hidden));
	w->dr = take(&at, n * d);
	w->dn = take(&at, n * d);
	w->scratch = take(&at, rlrec_attention_scratch(&attention, longest));
	return at;
}

size_t
rlrec_history_workspace(const RlrecHistoryShape *shape, int n, int longest)
{
	Workspace	w;

	return lay_out(shape, n, longest, (size_t) shape->heads * n * longest, NULL, &w) - (real *) NULL;
}

static void
open_workspace(const RlrecHistoryShape *shape, const RlrecPacked *batch, real *at, Workspace *w)
{
	RlrecAttention attention = attention_of(shape);
	int			longest = 0;

	for (int s = 0; s < batch->sequences; s++)
		longest = Max(longest, batch->start[s + 1] - batch->start[s]);
	lay_out(shape, batch->start[batch->sequences], longest,
			rlrec_attention_probabilities(&attention, batch->sequences, batch->start), at, w);
}

/* ---------------------------------------------------------------- parameters */

int
rlrec_history_tensors(const RlrecHistoryShape *shape)
{
	return shape->blocks * RLREC_HISTORY_PARTS + RLREC_HISTORY_REST;
}

typedef struct TensorShape
{
	const char *name;
	int			rows;
	int			columns;
} TensorShape;

static TensorShape
tensor_shape(const RlrecHistoryShape *shape, int tensor)
{
	int			d = shape->dimension;
	const TensorShape parts[RLREC_HISTORY_PARTS] = {
		{"attention_norm", 2, d},
		{"qkv", d, 3 * d},
		{"relative", shape->heads, shape->length},
		{"out", d, d},
		{"attention_gate", shape->gated ? d : 0, d},
		{"forward_norm", 2, d},
		{"up", d, 2 * shape->hidden},
		{"down", shape->hidden, d},
		{"forward_gate", shape->gated ? d : 0, d}
	};
	const TensorShape rest[RLREC_HISTORY_REST] = {
		{"norm", 2, d},
		{"gap", shape->gaps, d},
		{"type", shape->types, d}
	};
	int			of_rest = tensor - shape->blocks * RLREC_HISTORY_PARTS;

	return of_rest >= 0 ? rest[of_rest] : parts[tensor % RLREC_HISTORY_PARTS];
}

void
rlrec_history_describe(const RlrecHistoryShape *shape, int tensor, char *name, int *rows, int *columns)
{
	TensorShape which = tensor_shape(shape, tensor);

	if (tensor >= shape->blocks * RLREC_HISTORY_PARTS)
		snprintf(name, 64, "%s", which.name);
	else
		snprintf(name, 64, "block%d/%s", tensor / RLREC_HISTORY_PARTS, which.name);
	*rows = which.rows;
	*columns = which.columns;
}

size_t
rlrec_history_parameters(const RlrecHistoryShape *shape)
{
	size_t		total = 0;

	for (int t = 0; t < rlrec_history_tensors(shape); t++)
	{
		TensorShape tensor = tensor_shape(shape, t);

		total += (size_t) tensor.rows * tensor.columns;
	}
	return total;
}

RlrecHistoryWeights
rlrec_history_place(const RlrecHistoryShape *shape, real *parameters)
{
	RlrecHistoryWeights weights;

	for (int t = 0; t < rlrec_history_tensors(shape); t++)
	{
		TensorShape tensor = tensor_shape(shape, t);

		weights.tensor[t] = parameters;
		parameters += (size_t) tensor.rows * tensor.columns;
	}
	return weights;
}

/* Norms start as identity, biases, gates, gaps and types at 0, matrices with the variance that keeps that of their input. */
void
rlrec_history_initialize(const RlrecHistoryShape *shape, uint64 key, const RlrecHistoryWeights *weights)
{
	for (int t = 0; t < rlrec_history_tensors(shape); t++)
	{
		int			part = t % RLREC_HISTORY_PARTS;
		int			of_rest = t - shape->blocks * RLREC_HISTORY_PARTS;
		uint64		own = rlrec_random_key(key, t);
		char		name[64];
		int			rows;
		int			columns;

		rlrec_history_describe(shape, t, name, &rows, &columns);
		for (int r = 0; r < rows; r++)
			for (int c = 0; c < columns; c++)
			{
				real	   *w = weights->tensor[t] + (size_t) r * columns + c;

				if (of_rest >= 0)
					*w = of_rest == RLREC_HISTORY_NORM && r == 0;
				else if (part == RLREC_HISTORY_ATTENTION_NORM || part == RLREC_HISTORY_FORWARD_NORM)
					*w = r == 0;
				else if (part == RLREC_HISTORY_QKV || part == RLREC_HISTORY_OUT || part == RLREC_HISTORY_UP ||
						 part == RLREC_HISTORY_DOWN)
					*w = rlrec_random_normal(own, (uint64) r * columns + c) / sqrt(rows);
				else
					*w = 0;
			}
	}
}

/* ---------------------------------------------------------------- training */

static uint64
site_key(uint64 key, int block, int site)
{
	return rlrec_random_key(key, (uint64) block * DROP_SITES + site + 1);
}

/* y = x + [sigmoid(g) *] r with g = input * gate */
static void
add_residual(const RlrecHistoryShape *shape, int n, const real *input, const real *gate, const real *x, const real *r,
			 real *g, real *y)
{
	int			d = shape->dimension;

	memcpy(y, x, (size_t) n * d * sizeof(real));
	if (shape->gated)
	{
		rlrec_linear_forward(n, d, d, input, gate, g);
		rlrec_gate((int64) n * d, g, r, y);
	}
	else
		rlrec_add((int64) n * d, 1, r, y);
}

/* dr from dy; g becomes its gradient. */
static void
residual_backward(const RlrecHistoryShape *shape, int n, real *g, const real *r, const real *dy, real *dr)
{
	int			d = shape->dimension;

	if (shape->gated)
		rlrec_gate_backward((int64) n * d, g, r, dy, dr, g);
	else
		memcpy(dr, dy, (size_t) n * d * sizeof(real));
}

static void
block_forward(const RlrecHistoryShape *shape, real *const *w, const RlrecPacked *batch, uint64 key, int block,
			  const Cache *c, real *scratch, real *y)
{
	int			d = shape->dimension;
	int			n = batch->start[batch->sequences];
	RlrecAttention attention = attention_of(shape);
	RlrecFeedForward network = feedforward_of(shape);

	rlrec_norm(n, d, c->x, w[RLREC_HISTORY_ATTENTION_NORM], w[RLREC_HISTORY_ATTENTION_NORM] + d, c->a, c->moments_a);
	rlrec_linear_forward(n, d, 3 * d, c->a, w[RLREC_HISTORY_QKV], c->qkv);
	rlrec_attention_forward(&attention, batch->sequences, batch->start, c->qkv, w[RLREC_HISTORY_RELATIVE],
							site_key(key, block, DROP_PROBABILITIES), c->p, c->o, scratch);
	rlrec_linear_forward(n, d, d, c->o, w[RLREC_HISTORY_OUT], c->r);
	rlrec_dropout((int64) n * d, shape->dropout, site_key(key, block, DROP_ATTENTION), c->r);
	add_residual(shape, n, c->a, w[RLREC_HISTORY_ATTENTION_GATE], c->x, c->r, c->g, c->y);

	rlrec_norm(n, d, c->y, w[RLREC_HISTORY_FORWARD_NORM], w[RLREC_HISTORY_FORWARD_NORM] + d, c->b, c->moments_b);
	rlrec_feedforward_forward(&network, n, c->b, w[RLREC_HISTORY_UP], w[RLREC_HISTORY_DOWN],
							  site_key(key, block, DROP_HIDDEN), c->before, c->after, c->s);
	rlrec_dropout((int64) n * d, shape->dropout, site_key(key, block, DROP_FORWARD), c->s);
	add_residual(shape, n, c->b, w[RLREC_HISTORY_FORWARD_GATE], c->y, c->s, c->h, y);
}

uint8
rlrec_history_gap(int64 microseconds)
{
	int64		seconds = microseconds / 1000000;

	if (seconds < 0)
		return 0;
	return Min(1 + pg_leftmost_one_pos64(1 + (uint64) seconds), RLREC_HISTORY_GAPS - 1);
}

static uint8
gap_between(int64 earlier, int64 later)
{
	return later < earlier ? 0 : rlrec_history_gap((int64) Min((uint64) later - (uint64) earlier, (uint64) PG_INT64_MAX));
}

void
rlrec_history_gaps(int64 n, const int64 *time, bool to_request, int64 now, uint8 *gap)
{
	for (int64 i = 0; i < n; i++)
		if (to_request)
			gap[i] = gap_between(time[i], i + 1 < n ? time[i + 1] : now);
		else
			gap[i] = i == 0 ? 0 : gap_between(time[i - 1], time[i]);
}

/* x (n,d) = sqrt(d) e_item + gap + type */
static void
input(const RlrecHistoryShape *shape, const RlrecHistoryWeights *weights, const real *e, int n, const RlrecHistoryEvents *events,
	  real *x)
{
	int			d = shape->dimension;
	real *const *rest = weights->tensor + shape->blocks * RLREC_HISTORY_PARTS;

	rlrec_gather(n, d, sqrt(d), events->item, e, x);
	for (int i = 0; shape->gaps > 0 && i < n; i++)
		rlrec_add(d, 1, rest[RLREC_HISTORY_GAP] + (size_t) events->gap[i] * d, x + (size_t) i * d);
	for (int i = 0; shape->types > 0 && i < n; i++)
		rlrec_add(d, 1, rest[RLREC_HISTORY_TYPE] + (size_t) events->type[i] * d, x + (size_t) i * d);
}

static void
input_backward(const RlrecHistoryShape *shape, int n, const RlrecHistoryEvents *events, const real *dx,
			   const RlrecHistoryWeights *gradient, real *de)
{
	int			d = shape->dimension;
	real *const *rest = gradient->tensor + shape->blocks * RLREC_HISTORY_PARTS;

	rlrec_scatter_add(n, d, sqrt(d), events->item, dx, de);
	for (int i = 0; shape->gaps > 0 && i < n; i++)
		rlrec_add(d, 1, dx + (size_t) i * d, rest[RLREC_HISTORY_GAP] + (size_t) events->gap[i] * d);
	for (int i = 0; shape->types > 0 && i < n; i++)
		rlrec_add(d, 1, dx + (size_t) i * d, rest[RLREC_HISTORY_TYPE] + (size_t) events->type[i] * d);
}

real *
rlrec_history_forward(const RlrecHistoryShape *shape, const RlrecHistoryWeights *weights, const real *e,
					  const RlrecPacked *batch, uint64 key, real *workspace)
{
	int			d = shape->dimension;
	int			n = batch->start[batch->sequences];
	const real *norm = weights->tensor[shape->blocks * RLREC_HISTORY_PARTS];
	Workspace	w;

	open_workspace(shape, batch, workspace, &w);
	input(shape, weights, e, n, &batch->events, w.block[0].x);
	rlrec_dropout((int64) n * d, shape->dropout, rlrec_random_key(key, 0), w.block[0].x);
	for (int k = 0; k < shape->blocks; k++)
		block_forward(shape, weights->tensor + k * RLREC_HISTORY_PARTS, batch, key, k, &w.block[k], w.scratch,
					  k + 1 < shape->blocks ? w.block[k + 1].x : w.x);
	rlrec_norm(n, d, w.x, norm, norm + d, w.state, w.moments);
	return w.state;
}

/* dx (n,d): the gradient of the block's output becomes that of its input. */
static void
block_backward(const RlrecHistoryShape *shape, real *const *w, const RlrecPacked *batch, uint64 key, int block,
			   const Cache *c, const Workspace *s, real *dx, real *const *g)
{
	int			d = shape->dimension;
	int			n = batch->start[batch->sequences];
	RlrecAttention attention = attention_of(shape);
	RlrecFeedForward network = feedforward_of(shape);

	residual_backward(shape, n, c->h, c->s, dx, s->dr);
	rlrec_dropout((int64) n * d, shape->dropout, site_key(key, block, DROP_FORWARD), s->dr);
	rlrec_feedforward_backward(&network, n, c->b, w[RLREC_HISTORY_UP], w[RLREC_HISTORY_DOWN],
							   site_key(key, block, DROP_HIDDEN), c->before, c->after, s->dr, s->dn, g[RLREC_HISTORY_UP],
							   g[RLREC_HISTORY_DOWN], s->wide);
	if (shape->gated)
		rlrec_linear_backward(n, d, d, c->b, w[RLREC_HISTORY_FORWARD_GATE], c->h, g[RLREC_HISTORY_FORWARD_GATE], s->dn, true);
	rlrec_norm_backward(n, d, c->y, w[RLREC_HISTORY_FORWARD_NORM], c->moments_b, s->dn, dx,
						g[RLREC_HISTORY_FORWARD_NORM], g[RLREC_HISTORY_FORWARD_NORM] + d);

	residual_backward(shape, n, c->g, c->r, dx, s->dr);
	rlrec_dropout((int64) n * d, shape->dropout, site_key(key, block, DROP_ATTENTION), s->dr);
	rlrec_linear_backward(n, d, d, c->o, w[RLREC_HISTORY_OUT], s->dr, g[RLREC_HISTORY_OUT], s->dn, false);
	rlrec_attention_backward(&attention, batch->sequences, batch->start, c->qkv,
							 site_key(key, block, DROP_PROBABILITIES), c->p, s->dn, s->wide, g[RLREC_HISTORY_RELATIVE],
							 s->scratch);
	rlrec_linear_backward(n, d, 3 * d, c->a, w[RLREC_HISTORY_QKV], s->wide, g[RLREC_HISTORY_QKV], s->dn, false);
	if (shape->gated)
		rlrec_linear_backward(n, d, d, c->a, w[RLREC_HISTORY_ATTENTION_GATE], c->g, g[RLREC_HISTORY_ATTENTION_GATE], s->dn, true);
	rlrec_norm_backward(n, d, c->x, w[RLREC_HISTORY_ATTENTION_NORM], c->moments_a, s->dn, dx,
						g[RLREC_HISTORY_ATTENTION_NORM], g[RLREC_HISTORY_ATTENTION_NORM] + d);
}

void
rlrec_history_backward(const RlrecHistoryShape *shape, const RlrecHistoryWeights *weights, const RlrecPacked *batch,
					   uint64 key, real *workspace, real *dstates, const RlrecHistoryWeights *gradient, real *de)
{
	int			d = shape->dimension;
	int			n = batch->start[batch->sequences];
	int			norm = shape->blocks * RLREC_HISTORY_PARTS;
	Workspace	w;
	real	   *dx;

	open_workspace(shape, batch, workspace, &w);
	dx = w.state;				/* no longer needed */
	memset(dx, 0, (size_t) n * d * sizeof(real));
	rlrec_norm_backward(n, d, w.x, weights->tensor[norm], w.moments, dstates, dx, gradient->tensor[norm],
						gradient->tensor[norm] + d);
	for (int k = shape->blocks - 1; k >= 0; k--)
		block_backward(shape, weights->tensor + k * RLREC_HISTORY_PARTS, batch, key, k, &w.block[k], &w, dx,
					   gradient->tensor + k * RLREC_HISTORY_PARTS);
	rlrec_dropout((int64) n * d, shape->dropout, rlrec_random_key(key, 0), dx);
	input_backward(shape, n, &batch->events, dx, gradient, de);
}

/* ---------------------------------------------------------------- serving */

size_t
rlrec_history_scratch(const RlrecHistoryShape *shape, int n)
{
	size_t		d = shape->dimension;
	RlrecAttention attention = attention_of(shape);

	/* x, then of a block a, q, kv, o, r, and what follows them: attention's or the network's */
	return n * 7 * d + 128 + Max(n * 3 * (size_t) shape->hidden, rlrec_attention_scratch(&attention, n));
}

/* x (n,d) += [sigmoid(input gate) *] r; scratch (n,d) */
static void
infer_residual(const RlrecHistoryShape *shape, int n, const real *input, const real *gate, const real *r, real *x, real *scratch)
{
	int			d = shape->dimension;

	if (shape->gated)
	{
		rlrec_matmul(n, d, d, input, d, gate, d, scratch, d);
		rlrec_gate((int64) n * d, scratch, r, x);
	}
	else
		rlrec_add((int64) n * d, 1, r, x);
}

/* x (n,d) becomes the block's output at its last `last` positions, which move to the front; no others are needed of the last block. */
static void
infer_block(const RlrecHistoryShape *shape, real *const *w, int n, int last, real *x, real *scratch)
{
	int			d = shape->dimension;
	RlrecAttention attention = attention_of(shape);
	RlrecFeedForward network = feedforward_of(shape);
	real	   *a = take(&scratch, (size_t) n * d);
	real	   *q = take(&scratch, (size_t) n * d);
	real	   *kv = take(&scratch, (size_t) n * 2 * d);
	real	   *o = take(&scratch, (size_t) n * d);
	real	   *r = take(&scratch, (size_t) n * d);
	const real *own = a + (size_t) (n - last) * d;
	const real *norm = w[RLREC_HISTORY_ATTENTION_NORM];

	rlrec_norm(n, d, x, norm, norm + d, a, NULL);
	rlrec_matmul(last, d, d, own, d, w[RLREC_HISTORY_QKV], 3 * d, q, d);
	rlrec_matmul(n, 2 * d, d, a, d, w[RLREC_HISTORY_QKV] + d, 3 * d, kv, 2 * d);
	rlrec_attention_infer(&attention, n, last, q, kv, w[RLREC_HISTORY_RELATIVE], o, scratch);
	rlrec_matmul(last, d, d, o, d, w[RLREC_HISTORY_OUT], d, r, d);
	memmove(x, x + (size_t) (n - last) * d, (size_t) last * d * sizeof(real));
	infer_residual(shape, last, own, w[RLREC_HISTORY_ATTENTION_GATE], r, x, o);

	norm = w[RLREC_HISTORY_FORWARD_NORM];
	rlrec_norm(last, d, x, norm, norm + d, a, NULL);
	rlrec_feedforward_infer(&network, last, a, w[RLREC_HISTORY_UP], w[RLREC_HISTORY_DOWN], scratch,
							scratch + (size_t) last * 2 * shape->hidden, r);
	infer_residual(shape, last, a, w[RLREC_HISTORY_FORWARD_GATE], r, x, o);
}

void
rlrec_history_state(const RlrecHistoryShape *shape, const RlrecHistoryWeights *weights, const real *e,
					int n, const RlrecHistoryEvents *events, real *state, real *scratch)
{
	int			d = shape->dimension;
	const real *norm = weights->tensor[shape->blocks * RLREC_HISTORY_PARTS];
	real	   *x = take(&scratch, (size_t) n * d);

	input(shape, weights, e, n, events, x);
	for (int k = 0; k < shape->blocks; k++)
		infer_block(shape, weights->tensor + k * RLREC_HISTORY_PARTS, n, k + 1 < shape->blocks ? n : 1, x, scratch);
	rlrec_norm(1, d, x, norm, norm + d, state, NULL);
}
