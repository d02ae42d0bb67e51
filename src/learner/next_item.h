/*
 * next_item.h
 *	  Training the history encoder to tell the next item of every history.
 */
#ifndef RLREC_NEXT_ITEM_H
#define RLREC_NEXT_ITEM_H

#include "encoder/history.h"
#include "learner/learner.h"
#include "learner/next_item_objective.h"
#include "nn/adam.h"
#include "nn/embedding.h"
#include "nn/head.h"
#include "nn/loss.h"

/* The names of parameters' rows, by which they are carried from one training to another */
typedef struct RlrecNextItemNames
{
	RlrecDictionary items;
	RlrecDictionary types;
	int32		n_features;
	const int32 *bucket;		/* [n_features] ascending */
} RlrecNextItemNames;

/* What an objective knows of the events */
typedef struct RlrecRewards
{
	const float *worth;			/* [events] by which validation weighs them */
	const float *credit;		/* [events] of which the weights of positions are made */
	const float *reward;		/* (values, events + n_refused) as each head of values learns them, the refused ones last */
	int64		n_refused;		/* events without a positive reward: in no history, but values learn of them */
	const int32 *refused;		/* [n_refused] their items */
	const int64 *refused_start; /* [events + 1] those after event e, before the user's next one, are refused_start[e] .. [e + 1] - 1 */
} RlrecRewards;

/* What is learned from: user u has the events start[u] .. start[u + 1] - 1, oldest first. */
typedef struct RlrecSequences
{
	int32		n_users;
	int32		n_items;
	int32		n_features;		/* 0 when items have none */
	const int64 *start;			/* [n_users + 1] */
	const int64 *fresh;			/* [n_users] the first event that the training started from has not seen; NULL when none has been seen */
	RlrecHistoryEvents events;
	RlrecRewards rewards;		/* with an objective only */
	RlrecItemFeatures features;
	RlrecNextItemNames names;
} RlrecSequences;

/* What an earlier training came to */
typedef struct RlrecNextItemStart
{
	RlrecHistoryShape shape;
	RlrecNextItemNames names;
	const float *e;				/* (items,d) with features in them */
	const float *projection;	/* (n_features,d) */
	const float *network;		/* rlrec_history_parameters() of them */
	int			n_heads;
	const float *heads;			/* rlrec_head_parameters() of each */
	const float *blend;			/* [n_heads] their weights in the score */
	bool		to_request;		/* its gaps of time are those to the event after */
	int64		until;			/* time of the last event that it learned */
} RlrecNextItemStart;

/* Whether a network of one shape can start from one of the other. */
extern bool rlrec_next_item_can_start(const RlrecHistoryShape *a, const RlrecHistoryShape *b);

typedef struct RlrecNextItem
{
	const char *learner;		/* for messages */
	const RlrecObjective *objective;	/* NULL where the next item is all that is learned */
	RlrecHistoryShape shape;
	RlrecAdam	adam;
	int			epochs;
	int			batch;			/* sequences a step */
	int			patience;		/* epochs without a better validation */
	int			negatives;		/* a micro-batch; 0 for the softmax over all items */
	RlrecSampledLoss loss;		/* with negatives */
	real		beta;			/* of gBCE, see nn/loss.h */
	int			threads;
	real		modality_dropout;	/* share of the items whose table part is taken away for a step; acts where there are features */
	real		finish;			/* epochs over all events after the best one, as a share of the epochs up to it */
	real		average;		/* decay of the moving average of the weights */
	double		seconds;		/* after which to stop; 0 for never */
	bool		new_only;		/* only fresh events are learned */
	double		checkpoint;		/* seconds between checkpoints; 0 for none */
	Size		spare;			/* bytes that reading a checkpoint may take */
	uint64		options;		/* hash of all options as given, which a checkpoint must share */
	uint64		seed;
} RlrecNextItem;

/* What comes out: embeddings (n_items,d) with features in them, and the encoder's weights, palloc'd */
typedef struct RlrecNextItemResult
{
	real	   *e;
	const real *projection;		/* (n_features,d) */
	real	   *parameters;		/* rlrec_history_parameters() of them */
	real	   *heads;			/* rlrec_head_parameters() of each */
	real		blend[RLREC_MAX_HEADS]; /* weights of the heads of values in the score */
	int			epoch;			/* that was best, from 1; 0 when none was better than the start */
	double		ndcg;			/* at 10, on users' last items, of that epoch, weighed by rewards with an objective; NaN without validation */
} RlrecNextItemResult;

/* Bytes that training will need. */
extern Size rlrec_next_item_memory(const RlrecNextItem *config, const RlrecSequences *data);

/*
 * Trains, in CurrentMemoryContext, from where an interrupted training was that left a checkpoint in the past, else from `start`, else from
 * random weights; start and past may be NULL. An error when the loss is not finite.
 */
extern RlrecNextItemResult rlrec_next_item_train(const RlrecNextItem *config, const RlrecSequences *data, const RlrecNextItemStart *start,
												 RlrecPast *past);

#endif							/* RLREC_NEXT_ITEM_H */
