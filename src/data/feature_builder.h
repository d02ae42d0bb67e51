/*
 * feature_builder.h
 *	  Collects what is known of items, column by column, and makes the matrix of features from it.
 */
#ifndef RLREC_FEATURE_BUILDER_H
#define RLREC_FEATURE_BUILDER_H

#include "data/features.h"

typedef struct RlrecFeatureBuilder RlrecFeatureBuilder;

/*
 * A builder for a block of features a column; columns[n_columns] stays the caller's, and its `first` is not looked at. Everything lives in a context of its own under CurrentMemoryContext, of at most
 * budget bytes; passing it is an error that hints at maintenance_work_mem.
 */
extern RlrecFeatureBuilder *rlrec_feature_builder_create(int32 n_items, int n_columns, const RlrecFeatureColumn *columns,
														 Size budget);

/* Begins a row of the table; what is added next is the item's. An item may have several rows. */
extern void rlrec_feature_builder_add_row(RlrecFeatureBuilder *builder, int32 item);

/* The item has the token count times: a word of a text, a category. bytes need no terminator and may hold any byte. */
extern void rlrec_feature_builder_add_token(RlrecFeatureBuilder *builder, int column, const char *bytes, int32 length, int32 count);

/* A number of the item; must be finite. */
extern void rlrec_feature_builder_add_number(RlrecFeatureBuilder *builder, int column, double value);

/*
 * A vector of the item: values[n], n > 0, each finite as float4. Returns the length of the column's vectors; nothing is added
 * when that is not n.
 */
extern int32 rlrec_feature_builder_add_vector(RlrecFeatureBuilder *builder, int column, int32 n, const double *values);

/* The columns that it was created with; returns their number. */
extern int	rlrec_feature_builder_columns(const RlrecFeatureBuilder *builder, const RlrecFeatureColumn **columns);

/* The numbers of a column that were added so far, in their order; NULL when there are none. */
extern const double *rlrec_feature_builder_numbers(const RlrecFeatureBuilder *builder, int column, int64 *n);

/* The matrix, allocated in CurrentMemoryContext. Frees the builder. */
extern RlrecFeatures *rlrec_feature_builder_finish(RlrecFeatureBuilder *builder);

#endif							/* RLREC_FEATURE_BUILDER_H */
