/*
 * embedding.c
 *	  The vectors of items.
 */
#include "postgres.h"

#include "nn/embedding.h"
#include "tensor/fused.h"
#include "tensor/random.h"

bool
rlrec_embedding_table_kept(int32 item, real dropout, uint64 key)
{
	return dropout <= 0 || rlrec_random_uniform(key, item) >= dropout;
}

void
rlrec_embedding_forward(int32 item, int d, const real *table, const RlrecItemFeatures *features, const real *projection, bool kept,
						real *e)
{
	if (kept)
		memcpy(e, table + (size_t) item * d, d * sizeof(real));
	else
		memset(e, 0, d * sizeof(real));
	for (int f = features->start[item]; f < features->start[item + 1]; f++)
		rlrec_add(d, features->value[f], projection + (size_t) features->feature[f] * d, e);
}

void
rlrec_embedding_backward(int32 item, int d, const RlrecItemFeatures *features, int part, int parts, const real *de, real *dprojection)
{
	for (int f = features->start[item]; f < features->start[item + 1]; f++)
		if (features->feature[f] % parts == part)
			rlrec_add(d, features->value[f], de, dprojection + (size_t) features->feature[f] * d);
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
