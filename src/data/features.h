/*
 * features.h
 *	  What the items table says of the items, as sparse vectors.
 */
#ifndef RLREC_FEATURES_H
#define RLREC_FEATURES_H

#include "data/dictionary.h"

/*
 * A compressed sparse row matrix, items x features. Each column of the items table is a block of features; every block that says
 * something of an item is scaled to length 1, then the row to length 1, so a dot product of two rows is their cosine.
 */
typedef struct RlrecFeatures
{
	int32		n_items;
	int32		n_features;
	const int32 *start;			/* [n_items + 1] */
	const int32 *feature;		/* [start[n_items]], ascending in a row */
	const float *value;			/* [start[n_items]] */
} RlrecFeatures;

/*
 * Reads the items table (any relation that can be selected from) through one cursor. Rows whose id is not in the dictionary are
 * skipped; the rows of one id add up. How a column becomes features: features.c and docs/content.md.
 *
 * For the caller to do: switch to the role and the search_path under which the relation is to be read. The result is allocated in
 * CurrentMemoryContext and has n_features 0 when no column says anything. Errors: the relation or the id column is gone, a NULL id,
 * a value that is not finite, arrays of unequal length, more memory than maintenance_work_mem.
 */
extern RlrecFeatures *rlrec_features_read(Oid items, const char *id_column, const RlrecDictionary *dictionary);

#endif							/* RLREC_FEATURES_H */
