/*
 * features.h
 *	  What the items table says of the items, as sparse vectors.
 */
#ifndef RLREC_FEATURES_H
#define RLREC_FEATURES_H

#include "data/dictionary.h"

/* How a column is read: features.c and docs/content.md. */
typedef enum RlrecFeatureKind
{
	RLREC_FEATURE_IGNORED,
	RLREC_FEATURE_WORDS,
	RLREC_FEATURE_CATEGORY,
	RLREC_FEATURE_TOKENS,
	RLREC_FEATURE_NUMBER,
	RLREC_FEATURE_VECTOR
} RlrecFeatureKind;

typedef struct RlrecFeatureColumn
{
	RlrecFeatureKind kind;
	Oid			type;			/* domains looked through */
	const char *name;
	int32		first;			/* of its features, which are those before the next column's first */
} RlrecFeatureColumn;

/*
 * A compressed sparse row matrix, items x features. Each column of the items table is a block of features; every block that says
 * something of an item is scaled to length 1, then the row to length 1, so a dot product of two rows is their cosine.
 */
typedef struct RlrecFeatures
{
	int32		n_items;
	int32		n_features;		/* 0 when nothing is said of any item */
	int			n_columns;
	const RlrecFeatureColumn *column;	/* [n_columns + 1] */
	const int64 *label;			/* [n_features + 1]; the feature's token is bytes[label[f]] .. bytes[label[f + 1] - 1] */
	const char *bytes;			/* of words, categories and tokens; a bin or element f is known by its place, f - column->first */
	const int32 *start;			/* [n_items + 1] */
	const int32 *feature;		/* [start[n_items]], ascending in a row */
	const float *value;			/* [start[n_items]] */
} RlrecFeatures;

/*
 * Reads the items table (any relation that can be selected from) through one cursor. Rows whose id is not in the dictionary are
 * skipped; the rows of one id add up. How a column becomes features: features.c and docs/content.md.
 *
 * For the caller to do: switch to the role and the search_path under which the relation is to be read. The result is allocated in
 * CurrentMemoryContext. Errors: the relation or the id column is gone, a NULL id, a value that is not finite, arrays of unequal length, more memory than maintenance_work_mem.
 */
extern RlrecFeatures *rlrec_features_read(Oid items, const char *id_column, const RlrecDictionary *dictionary);

/*
 * The same before it is a matrix: columns and their values. With `only`, which is for few items, no other rows are read than those of the
 * dictionary's ids, by an index where there is one.
 */
struct RlrecFeatureBuilder;
extern struct RlrecFeatureBuilder *rlrec_features_collect(Oid items, const char *id_column, const RlrecDictionary *dictionary, bool only);

#endif							/* RLREC_FEATURES_H */
