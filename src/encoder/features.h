/*
 * features.h
 *	  The features of items for an encoder: hashed, so that a feature keeps its name when the data change.
 */
#ifndef RLREC_ENCODER_FEATURES_H
#define RLREC_ENCODER_FEATURES_H

#include "data/features.h"
#include "nn/embedding.h"

/* The buckets into which features are hashed */
#define RLREC_FEATURE_BUCKETS (1 << 20)

typedef struct RlrecHashedFeatures
{
	int32		n_rows;			/* buckets in use; 0 when the features tell items apart in nothing */
	const int32 *bucket;		/* [n_rows] ascending: the bucket of a row of the projection */
	RlrecItemFeatures items;	/* an item's features are rows of the projection, ascending; its values have length 1, or there are none */
	Size		bytes;			/* of all this */
} RlrecHashedFeatures;

/*
 * Hashes features, in CurrentMemoryContext. An error that hints at maintenance_work_mem when more than budget bytes are needed for that.
 */
extern RlrecHashedFeatures rlrec_features_hash(const RlrecFeatures *features, Size budget);

#endif							/* RLREC_ENCODER_FEATURES_H */
