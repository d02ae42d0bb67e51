/*
 * sparse.h
 *	  Sparse matrices in compressed rows, and who had what.
 */
#ifndef RLREC_SPARSE_H
#define RLREC_SPARSE_H

#include "data/events.h"
#include "types/weights.h"

/* Row r has the entries start[r] .. start[r + 1] - 1. */
typedef struct RlrecSparse
{
	int32		n_rows;
	int32		n_columns;
	int64	   *start;			/* [n_rows + 1] */
	int32	   *column;			/* [start[n_rows]] */
	float	   *value;			/* [start[n_rows]], or NULL: every entry is 1 */
} RlrecSparse;

/* A matrix with room for n entries; start, column and value (NULL unless `values`) are not set. */
extern RlrecSparse *rlrec_sparse_create(int32 n_rows, int32 n_columns, int64 n, bool values);

/* The matrix of n entries (row[k], column[k]), each of value 1. */
extern RlrecSparse *rlrec_sparse_gather(int32 n_rows, int32 n_columns, int64 n, const int32 *row, const int32 *column);

/* The transpose. Its rows are ascending by column whatever the order of a's; equal entries stay apart, in order. */
extern RlrecSparse *rlrec_sparse_transpose(const RlrecSparse *a);

extern void rlrec_sparse_free(RlrecSparse *a);

/*
 * Adds a matrix with values as the tensors offset, item and value under prefix: start, column and value of above. An error when it has
 * more than 2^31 - 1 entries.
 */
extern void rlrec_sparse_save(const RlrecSparse *a, const char *prefix, RlrecTensors *tensors);

/*
 * The distinct pairs of a user and an item with a positive reward, both ways; rows ascending. value is the sum of the pair's positive
 * rewards when `rewards`, else NULL.
 */
typedef struct RlrecIncidence
{
	RlrecSparse *users;			/* row u: the items of user u */
	RlrecSparse *items;			/* row i: the users of item i */
} RlrecIncidence;

extern RlrecIncidence rlrec_incidence_build(const RlrecEvents *events, bool rewards);
extern void rlrec_incidence_free(RlrecIncidence incidence);

/* count[items.n] = users that had each item with a positive reward; returns how many users had any. */
extern int32 rlrec_incidence_count(const RlrecEvents *events, float *count);

/*
 * The distinct items among n events with a positive reward, in order of first appearance, to distinct[n]; the sums of their rewards to
 * sum[n] unless NULL. Returns their number. seen[items] is scratch, all 0 on entry and on return.
 */
extern int32 rlrec_incidence_distinct(int64 n, const int32 *item, const float *reward, int32 *seen, int32 *distinct, float *sum);

#endif							/* RLREC_SPARSE_H */
