/*
 * next_item.h
 *	  Training the history encoder to tell the next item of every history.
 */
#ifndef RLREC_NEXT_ITEM_H
#define RLREC_NEXT_ITEM_H

#include "encoder/history.h"
#include "nn/adam.h"
#include "nn/embedding.h"

/* What is learned from: user u has the events start[u] .. start[u + 1] - 1, oldest first. */
typedef struct RlrecSequences
{
	int32		n_users;
	int32		n_items;
	int32		n_features;		/* 0 when items have none */
	const int64 *start;			/* [n_users + 1] */
	RlrecHistoryEvents events;
	RlrecItemFeatures features;
} RlrecSequences;

typedef struct RlrecNextItem
{
	RlrecHistoryShape shape;
	RlrecAdam	adam;
	int			epochs;
	int			batch;			/* sequences a step */
	int			patience;		/* epochs without a better validation */
	int			negatives;		/* a micro-batch; 0 for the softmax over all items */
	int			threads;
	real		modality_dropout;	/* share of the items whose table part is taken away for a step; acts where there are features */
	real		finish;			/* epochs over all events after the best one, as a share of the epochs up to it */
	real		average;		/* decay of the moving average of the weights */
	double		seconds;		/* after which to stop; 0 for never */
	uint64		seed;
} RlrecNextItem;

/* What comes out: embeddings (n_items,d) with features in them, and the encoder's weights, palloc'd */
typedef struct RlrecNextItemResult
{
	real	   *e;
	const real *projection;		/* (n_features,d) */
	real	   *parameters;		/* rlrec_history_parameters() of them */
	int			epoch;			/* that was best, from 1 */
	double		ndcg;			/* at 10, on each user's last item, of that epoch */
} RlrecNextItemResult;

/* Bytes that training will need. */
extern Size rlrec_next_item_memory(const RlrecNextItem *config, const RlrecSequences *data);

/* Trains, in CurrentMemoryContext. An error when the loss is not finite. */
extern RlrecNextItemResult rlrec_next_item_train(const RlrecNextItem *config, const RlrecSequences *data);

#endif							/* RLREC_NEXT_ITEM_H */
