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

/* Rows first .. end - 1 of e (items,d); dropout is of the table part, for all items alike by the key. */
extern void rlrec_embedding_forward(int first, int end, int d, const real *table, const RlrecItemFeatures *features,
									const real *projection, real dropout, uint64 key, real *e);

/* de becomes the table's gradient; dprojection (features,d) += its own. */
extern void rlrec_embedding_backward(int first, int end, int d, const RlrecItemFeatures *features, real dropout, uint64 key,
									 real *de, real *dprojection);

/* x (n,d) = scale * e[item[n]], and de[item] += scale * dx */
extern void rlrec_gather(int n, int d, real scale, const int32 *item, const real *e, real *x);
extern void rlrec_scatter_add(int n, int d, real scale, const int32 *item, const real *dx, real *de);

#endif							/* RLREC_EMBEDDING_H */
