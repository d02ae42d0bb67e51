/*
 * attention.h
 *	  Multi-head causal self-attention over sequences packed one after another, without padding.
 *
 * Position i of a sequence sees j <= i. With q, k, v of head h and its d' = d / heads columns,
 *		p_ij = softmax_j(q_i . k_j / sqrt(d') + relative[h, i - j]),   o_i = sum_j dropout(p_ij) v_j
 * where relative is a learned bias for each distance, clipped at `reach` - 1 (Shaw et al. 2018, Raffel et al. 2020).
 */
#ifndef RLREC_ATTENTION_H
#define RLREC_ATTENTION_H

#include "tensor/real.h"

typedef struct RlrecAttention
{
	int			d;
	int			heads;
	int			reach;			/* of relative (heads,reach), stored from the farthest distance, reach - 1, to 0 */
	real		dropout;
} RlrecAttention;

/* Probabilities of a packed batch: heads * sum of length^2 */
extern size_t rlrec_attention_probabilities(const RlrecAttention *a, int sequences, const int *start);

/* Numbers of scratch for a longest sequence */
extern size_t rlrec_attention_scratch(const RlrecAttention *a, int longest);

/*
 * o (n,d) from qkv (n,3d), whose rows are q, k, v; sequence s is start[s] .. start[s + 1] - 1, none longer than reach. The probabilities
 * are kept for the gradient. key is of the dropout.
 */
extern void rlrec_attention_forward(const RlrecAttention *a, int sequences, const int *start, const real *qkv, const real *relative,
									uint64 key, real *probabilities, real *o, real *scratch);

/* dqkv (n,3d) = its gradient, drelative (heads,reach) += its own. */
extern void rlrec_attention_backward(const RlrecAttention *a, int sequences, const int *start, const real *qkv,
									 uint64 key, const real *probabilities, const real *dout, real *dqkv, real *drelative,
									 real *scratch);

/*
 * Without dropout, gradient or library: o of the last `last` positions of one sequence of n, o (last,d), from q (last,d) and kv (n,2d), whose
 * rows are k, v.
 */
extern void rlrec_attention_infer(const RlrecAttention *a, int n, int last, const real *q, const real *kv, const real *relative,
								  real *o, real *scratch);

#endif							/* RLREC_ATTENTION_H */
