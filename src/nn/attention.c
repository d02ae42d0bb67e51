/*
 * attention.c
 *	  Multi-head causal self-attention.
 *
 * Rows are taken in blocks of ROWS, so that a block's products stop at its last row: what the mask forbids is computed only inside the
 * blocks on the diagonal.
 */
#include "postgres.h"

#include <math.h>

#include "nn/attention.h"
#include "tensor/blas.h"
#include "tensor/fused.h"
#include "tensor/random.h"

#define ROWS 64

size_t
rlrec_attention_probabilities(const RlrecAttention *a, int sequences, const int *start)
{
	size_t		total = 0;

	for (int s = 0; s < sequences; s++)
		total += (size_t) (start[s + 1] - start[s]) * (start[s + 1] - start[s]);
	return total * a->heads;
}

size_t
rlrec_attention_scratch(const RlrecAttention *a, int longest)
{
	return (size_t) longest * (2 * ROWS + a->d);
}

/* One head of one sequence of n: q, k, v have stride 3d, p is (n,n). */
static void
forward_head(const RlrecAttention *a, int n, const real *q, const real *relative, uint64 key, real *p, real *o, real *dropped)
{
	int			width = a->d / a->heads;
	int			stride = 3 * a->d;
	const real *k = q + a->d;
	const real *v = k + a->d;

	for (int r = 0; r < n; r += ROWS)
	{
		int			rows = Min(ROWS, n - r);
		int			seen = r + rows;
		real	   *block = p + (size_t) r * n;

		rlrec_gemm_raw(false, true, rows, seen, width, 1 / sqrt(width), q + (size_t) r * stride, stride, k, stride, 0, block, n);
		for (int i = 0; i < rows; i++)
		{
			real	   *row = block + (size_t) i * n;

			rlrec_softmax(r + i + 1, relative + a->reach - 1 - (r + i), row);
			memset(row + r + i + 1, 0, (rows - i - 1) * sizeof(real));
			memcpy(dropped + (size_t) i * seen, row, seen * sizeof(real));
		}
		rlrec_dropout((int64) rows * seen, a->dropout, rlrec_random_key(key, r), dropped);
		rlrec_gemm_raw(false, false, rows, width, seen, 1, dropped, seen, v, stride, 0, o + (size_t) r * a->d, a->d);
	}
}

void
rlrec_attention_forward(const RlrecAttention *a, int sequences, const int *start, const real *qkv, const real *relative,
						uint64 key, real *probabilities, real *o, real *scratch)
{
	int			width = a->d / a->heads;

	for (int s = 0; s < sequences; s++)
	{
		int			n = start[s + 1] - start[s];

		for (int h = 0; h < a->heads; h++)
		{
			forward_head(a, n, qkv + (size_t) start[s] * 3 * a->d + h * width, relative + (size_t) h * a->reach,
						 rlrec_random_key(key, (uint64) s * a->heads + h), probabilities,
						 o + (size_t) start[s] * a->d + h * width, scratch);
			probabilities += (size_t) n * n;
		}
	}
}

/* scratch is (ROWS,n) twice */
static void
backward_head(const RlrecAttention *a, int n, const real *q, uint64 key, const real *p, const real *dout, real *dq,
			  real *drelative, real *scratch)
{
	int			width = a->d / a->heads;
	int			stride = 3 * a->d;
	real		scale = 1 / sqrt(width);
	const real *k = q + a->d;
	const real *v = k + a->d;
	real	   *dk = dq + a->d;
	real	   *dv = dk + a->d;
	real	   *dp = scratch + (size_t) ROWS * n;

	for (int r = 0; r < n; r += ROWS)
	{
		int			rows = Min(ROWS, n - r);
		int			seen = r + rows;
		const real *block = p + (size_t) r * n;
		uint64		block_key = rlrec_random_key(key, r);

		for (int i = 0; i < rows; i++)
			memcpy(scratch + (size_t) i * seen, block + (size_t) i * n, seen * sizeof(real));
		rlrec_dropout((int64) rows * seen, a->dropout, block_key, scratch);
		rlrec_gemm_raw(true, false, seen, width, rows, 1, scratch, seen, dout + (size_t) r * a->d, a->d, 1, dv, stride);
		rlrec_gemm_raw(false, true, rows, seen, width, 1, dout + (size_t) r * a->d, a->d, v, stride, 0, dp, seen);
		rlrec_dropout((int64) rows * seen, a->dropout, block_key, dp);
		for (int i = 0; i < rows; i++)
		{
			real	   *row = dp + (size_t) i * seen;
			int			own = r + i + 1;

			rlrec_softmax_backward(own, block + (size_t) i * n, row);
			memset(row + own, 0, (seen - own) * sizeof(real));
			rlrec_add(own, 1, row, drelative + a->reach - own);
		}
		rlrec_gemm_raw(false, false, rows, width, seen, scale, dp, seen, k, stride, 0, dq + (size_t) r * stride, stride);
		rlrec_gemm_raw(true, false, seen, width, rows, scale, dp, seen, q + (size_t) r * stride, stride, 1, dk, stride);
	}
}

void
rlrec_attention_backward(const RlrecAttention *a, int sequences, const int *start, const real *qkv,
						 uint64 key, const real *probabilities, const real *dout, real *dqkv, real *drelative, real *scratch)
{
	int			width = a->d / a->heads;

	memset(dqkv, 0, (size_t) start[sequences] * 3 * a->d * sizeof(real));
	for (int s = 0; s < sequences; s++)
	{
		int			n = start[s + 1] - start[s];

		for (int h = 0; h < a->heads; h++)
		{
			size_t		at = (size_t) start[s] * 3 * a->d + h * width;

			backward_head(a, n, qkv + at, rlrec_random_key(key, (uint64) s * a->heads + h), probabilities,
						  dout + (size_t) start[s] * a->d + h * width, dqkv + at, drelative + (size_t) h * a->reach, scratch);
			probabilities += (size_t) n * n;
		}
	}
}

/* scratch: keys (width,n), then scores (ROWS,n) */
void
rlrec_attention_infer(const RlrecAttention *a, int n, int last, const real *q, const real *kv, const real *relative,
					  real *o, real *scratch)
{
	int			width = a->d / a->heads;
	real		scale = 1 / sqrt(width);
	real	   *keys = scratch;
	real	   *scores = scratch + (size_t) width * n;

	for (int h = 0; h < a->heads; h++)
	{
		const real *k = kv + h * width;

		for (int j = 0; j < n; j++)
			for (int c = 0; c < width; c++)
				keys[(size_t) c * n + j] = scale * k[(size_t) j * 2 * a->d + c];
		for (int r = 0; r < last; r += ROWS)
		{
			int			rows = Min(ROWS, last - r);
			int			first = n - last + r;	/* position of the block's first row */
			int			seen = first + rows;

			rlrec_matmul(rows, seen, width, q + (size_t) r * a->d + h * width, a->d, keys, n, scores, n);
			for (int i = 0; i < rows; i++)
			{
				real	   *row = scores + (size_t) i * n;

				rlrec_softmax(first + i + 1, relative + (size_t) (h + 1) * a->reach - 1 - (first + i), row);
				memset(row + first + i + 1, 0, (rows - i - 1) * sizeof(real));
			}
			rlrec_matmul(rows, width, seen, scores, n, k + a->d, 2 * a->d, o + (size_t) r * a->d + h * width, a->d);
		}
	}
}
