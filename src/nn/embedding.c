/*
 * embedding.c
 *	  The vectors of items.
 */
#include "postgres.h"

#include "nn/embedding.h"
#include "tensor/fused.h"
#include "tensor/random.h"

static bool
table_kept(real dropout, uint64 key, int item)
{
	return dropout <= 0 || rlrec_random_uniform(key, item) >= dropout;
}

void
rlrec_embedding_forward(int first, int end, int d, const real *table, const RlrecItemFeatures *features,
						const real *projection, real dropout, uint64 key, real *e)
{
	for (int i = first; i < end; i++)
	{
		real	   *row = e + (size_t) i * d;

		if (table_kept(dropout, key, i))
			memcpy(row, table + (size_t) i * d, d * sizeof(real));
		else
			memset(row, 0, d * sizeof(real));
		for (int f = features->start[i]; f < features->start[i + 1]; f++)
			rlrec_add(d, features->value[f], projection + (size_t) features->feature[f] * d, row);
	}
}

void
rlrec_embedding_backward(int first, int end, int d, const RlrecItemFeatures *features, real dropout, uint64 key,
						 real *de, real *dprojection)
{
	for (int i = first; i < end; i++)
	{
		real	   *row = de + (size_t) i * d;

		for (int f = features->start[i]; f < features->start[i + 1]; f++)
			rlrec_add(d, features->value[f], row, dprojection + (size_t) features->feature[f] * d);
		if (!table_kept(dropout, key, i))
			memset(row, 0, d * sizeof(real));
	}
}

void
rlrec_gather(int n, int d, real scale, const int32 *item, const real *e, real *x)
{
	memset(x, 0, (size_t) n * d * sizeof(real));
	for (int i = 0; i < n; i++)
		rlrec_add(d, scale, e + (size_t) item[i] * d, x + (size_t) i * d);
}

void
rlrec_scatter_add(int n, int d, real scale, const int32 *item, const real *dx, real *de)
{
	for (int i = 0; i < n; i++)
		rlrec_add(d, scale, dx + (size_t) i * d, de + (size_t) item[i] * d);
}
