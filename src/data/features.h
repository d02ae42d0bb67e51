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

#endif							/* RLREC_FEATURES_H */
