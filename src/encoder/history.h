/*
 * history.h
 *	  The user-state encoder: a causal transformer over the items of a user's history, oldest first.
 *
 * Knows of no SQL and allocates nothing. Positions are packed: a batch is the sequences' items one after another.
 */
#ifndef RLREC_HISTORY_H
#define RLREC_HISTORY_H

#include "nn/attention.h"
#include "nn/feedforward.h"

#define RLREC_HISTORY_MAX_BLOCKS 16

typedef struct RlrecHistoryShape
{
	int			length;			/* of the longest history */
	int			dimension;		/* of embeddings and state, d */
	int			blocks;
	int			heads;
	int			hidden;			/* of the feed-forward network */
	bool		gated;			/* a block's output is added through a learned gate */
	int			gaps;			/* rows of the table of gaps of time, 0 for none; RLREC_HISTORY_GAPS else */
	int			types;			/* rows of the table of types of events, 0 for none */
	real		dropout;
} RlrecHistoryShape;

/* The parameters of a block, and those after the last block. A norm is gain[d] and bias[d]. */
typedef enum RlrecHistoryPart
{
	RLREC_HISTORY_ATTENTION_NORM,	/* (2,d) */
	RLREC_HISTORY_QKV,			/* (d,3d) */
	RLREC_HISTORY_RELATIVE,		/* (heads,length) as in nn/attention.h */
	RLREC_HISTORY_OUT,			/* (d,d) */
	RLREC_HISTORY_ATTENTION_GATE,	/* (d,d), none when not gated */
	RLREC_HISTORY_FORWARD_NORM, /* (2,d) */
	RLREC_HISTORY_UP,			/* (d,2 hidden) */
	RLREC_HISTORY_DOWN,			/* (hidden,d) */
	RLREC_HISTORY_FORWARD_GATE, /* (d,d), none when not gated */
	RLREC_HISTORY_PARTS
} RlrecHistoryPart;

/* Those after the last block */
typedef enum RlrecHistoryRest
{
	RLREC_HISTORY_NORM,			/* (2,d) of the state */
	RLREC_HISTORY_GAP,			/* (gaps,d) */
	RLREC_HISTORY_TYPE,			/* (types,d) */
	RLREC_HISTORY_REST
} RlrecHistoryRest;

#define RLREC_HISTORY_MAX_TENSORS (RLREC_HISTORY_MAX_BLOCKS * RLREC_HISTORY_PARTS + RLREC_HISTORY_REST)

/* Tensor b * RLREC_HISTORY_PARTS + part is block b's; the rest comes after them. */
typedef struct RlrecHistoryWeights
{
	real	   *tensor[RLREC_HISTORY_MAX_TENSORS];
} RlrecHistoryWeights;

extern int	rlrec_history_tensors(const RlrecHistoryShape *shape);

/* Name (into a buffer of 64) and shape of a tensor; rows is 0 when the network has none there. */
extern void rlrec_history_describe(const RlrecHistoryShape *shape, int tensor, char *name, int *rows, int *columns);

/* Numbers in all tensors, and their places one after another. */
extern size_t rlrec_history_parameters(const RlrecHistoryShape *shape);
extern RlrecHistoryWeights rlrec_history_place(const RlrecHistoryShape *shape, real *parameters);

extern void rlrec_history_initialize(const RlrecHistoryShape *shape, uint64 key, const RlrecHistoryWeights *weights);

/* Gaps of time in rows: 0 for an unknown one, else 1 + floor(log2(1 + seconds)), up to some 300 years. */
#define RLREC_HISTORY_GAPS 36

extern uint8 rlrec_history_gap(int64 microseconds);

/*
 * The gaps of n events' times: since the one before, of which the first has none; or to_request, to the next one and at last to the request
 * at `now`.
 */
extern void rlrec_history_gaps(int64 n, const int64 *time, bool to_request, int64 now, uint8 *gap);

/* What is known of n events */
typedef struct RlrecHistoryEvents
{
	const int32 *item;			/* [n] */
	const uint8 *gap;			/* [n] row of the table of gaps; not read without one */
	const uint8 *type;			/* [n] the same of types */
} RlrecHistoryEvents;

static inline RlrecHistoryEvents
rlrec_history_events_from(const RlrecHistoryEvents *events, int64 first)
{
	return (RlrecHistoryEvents) {events->item + first, events->gap + first, events->type + first};
}

/* A batch of n = start[sequences] positions */
typedef struct RlrecPacked
{
	int			sequences;
	const int  *start;			/* [sequences + 1] */
	RlrecHistoryEvents events;
} RlrecPacked;

/* Numbers of workspace for batches of at most n positions in sequences of at most `longest`. */
extern size_t rlrec_history_workspace(const RlrecHistoryShape *shape, int n, int longest);

/*
 * The states after each position, (n,d), in the workspace; e (items,d) are the embeddings of items. The workspace must stay for the
 * gradient, and have room for this n and longest.
 */
extern real *rlrec_history_forward(const RlrecHistoryShape *shape, const RlrecHistoryWeights *weights, const real *e,
								   const RlrecPacked *batch, uint64 key, real *workspace);

/* From dstates (n,d), which is overwritten: gradients added to those of the weights and of e. */
extern void rlrec_history_backward(const RlrecHistoryShape *shape, const RlrecHistoryWeights *weights, const RlrecPacked *batch,
								   uint64 key, real *workspace, real *dstates, const RlrecHistoryWeights *gradient, real *de);

/* Numbers of scratch for rlrec_history_state() of n items. */
extern size_t rlrec_history_scratch(const RlrecHistoryShape *shape, int n);

/*
 * state[d] after the last of n events, 0 < n <= length, without dropout, by the kernels of serving.
 */
extern void rlrec_history_state(const RlrecHistoryShape *shape, const RlrecHistoryWeights *weights, const real *e,
								int n, const RlrecHistoryEvents *events, real *state, real *scratch);

#endif							/* RLREC_HISTORY_H */
