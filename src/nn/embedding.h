/*
 * embedding.h
 *	  The vectors of items: e_i = keep_i * table_i + sum_f value_if * projection_f.
 *
 * The sum is over the item's features, a sparse row; keep_i is 1 but for items whose table part modality dropout takes away for a
 * batch, so that the features alone learn to place an item that has no events.
 */
#ifndef RLREC_EMBEDDING_H
#define RLREC_EMBEDDING_H

#include "tensor/real.h"

typedef struct RlrecItemFeatures
{
	const int32 *start;			/* [items + 1]; NULL when items have no features */
	const int32 *feature;
	const float *value;
} RlrecItemFeatures;

/* Whether the item's table part is there; by the key for all items alike. */
extern bool rlrec_embedding_table_kept(int32 item, real dropout, uint64 key);

/* e[d] of one item; table (items,d), projection (features,d) */
extern void rlrec_embedding_forward(int32 item, int d, const real *table, const RlrecItemFeatures *features, const real *projection,
									bool kept, real *e);

/*
 * dprojection += its gradient, given de[d] of one item, in the features whose number modulo `parts` is `part`. The table's gradient is
 * de where the table part was kept, else 0.
 */
extern void rlrec_embedding_backward(int32 item, int d, const RlrecItemFeatures *features, int part, int parts, const real *de,
									 real *dprojection);

/* x (n,d) = scale * e[item[n]], and de[item] += scale * dx */
extern void rlrec_gather(int n, int d, real scale, const int32 *item, const real *e, real *x);
extern void rlrec_scatter_add(int n, int d, real scale, const int32 *item, const real *dx, real *de);

#endif							/* RLREC_EMBEDDING_H */
