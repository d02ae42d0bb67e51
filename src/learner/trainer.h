/*
 * trainer.h
 *	  A training of next_item.c on its way: what its files share.
 *
 * All parameters lie in one array: the items' table, the features' projection, the encoder, the heads. Table and projection are rows of the same
 * width, so a row is an item or, from n_items on, a feature.
 *
 * Items with features but without events are cold: no target, and so no negative either, lest the loss learn that nobody wants them. What
 * they are is said by their features alone, in training and in the result.
 */
#ifndef RLREC_TRAINER_H
#define RLREC_TRAINER_H

#include "learner/next_item.h"
#include "tensor/parallel.h"

/* The streams of random numbers */
enum
{
	RLREC_STREAM_TABLE,
	RLREC_STREAM_NETWORK,
	RLREC_STREAM_ORDER,
	RLREC_STREAM_WINDOW,
	RLREC_STREAM_STEP,
	RLREC_STREAM_VALIDATION,
	RLREC_STREAM_KEEPERS
};

/* A part of a user's history that is trained on */
typedef struct RlrecWindow
{
	int32		user;
	int64		first;			/* place in data->events of the first input */
	int32		length;			/* inputs; the targets are one further on, but for a trainer's tail */
	int32		skip;			/* targets at the beginning that do not count */
} RlrecWindow;

/* What a shard's task has for itself */
typedef struct RlrecTrainerShard
{
	RlrecWindow *window;			/* [batch + 1] */
	int			n_windows;
	int64		positions;
	real	   *gradient;		/* of all parameters */
	real	   *workspace;		/* of the encoder */
	real	   *logits;
	real	   *dstates;		/* (positions,d) */
	real	   *positive;		/* (positions,d), dpositive as well; with negatives only */
	real	   *dpositive;
	real	   *negative;		/* (negatives,d) */
	real	   *dnegative;
	real	   *correction;		/* [negatives] */
	int32	   *sample;			/* [negatives] */
	int32	   *item;			/* [positions] inputs, and what else is known of them */
	uint8	   *gap;
	uint8	   *type;
	int32	   *target;			/* [n_targets <= positions] those that count */
	int32	   *place;			/* [n_targets] their positions, ascending */
	int			n_targets;
	int			n_refused;		/* rows of target, place and event after those: see RlrecRewards; with an objective only */
	real	   *counted;		/* (n_targets,d) their states; only where some do not count */
	int64	   *event;			/* [n_targets] places of the targets' rewards; from here on with an objective only */
	bool	   *last;			/* [n_targets] whether the history ends with it */
	real	   *foreseen;		/* (positions,d) states by the target weights */
	real	   *future;			/* [positions] what each state is worth to the one before it */
	real	   *taken;			/* [n_targets] Q of the target by the first head */
	real	   *value;			/* [n_targets] V of the state */
	real	   *behaviour;		/* [n_targets] log of the target's probability by the policy that acted */
	real	   *row_weight;		/* [n_targets] how much the target counts */
	real	   *dheads;			/* (n_targets + n_refused,d) the heads' part of the states' gradient */
	real	   *x;				/* (logits_rows,d) and a number for each action: a head's scratch */
	real	   *dx;
	real	   *q;				/* (logits_rows, 1 + actions) */
	real	   *dq;
	int		   *start;			/* [positions + 1] */
	int32	   *mark;			/* [items] by validation */
	int32	   *touched;		/* [n_touched] rows that have a gradient, when listed */
	int32		n_touched;
	bool	   *is_touched;		/* [rows] */
	double		loss;
	double		squares;
	double		ndcg;			/* sums over the users who validate */
	double		reward_ndcg;
	double		reward;
} RlrecTrainerShard;

typedef struct RlrecTrainer
{
	const RlrecNextItem *config;
	const RlrecSequences *data;
	RlrecPool  *pool;
	bool		listed;			/* a step lists the rows that it touches, the first shard's list becoming that of both */
	bool		lazy;			/* and only these are updated */
	int32	   *catalog;		/* [items] the warm ones first, then the cold ones */
	int32		n_warm;
	bool	   *is_cold;		/* [items] */
	size_t		n_table;		/* numbers of the table, of it and the projection, of these and the encoder, of all */
	size_t		n_embedding;
	size_t		n_network;
	size_t		n;
	int			tail;			/* inputs at the end of a window that have no target, but are the state after the last one */
	int			room;			/* positions of a micro-batch at most */
	int			row_room;		/* the same of targets, refused events among them */
	int			logits_rows;
	real	   *parameters;
	real	   *m;
	real	   *v;
	real	   *average;		/* NULL when not averaged */
	real	   *best;
	real	   *e;				/* embeddings; the table itself when there are no features */
	const int32 *composed;		/* [n_composed] rows whose embeddings compose_task() makes; NULL for all items */
	int32		n_composed;
	real		modality_dropout;
	const real *source;			/* parameters of which it makes them */
	RlrecHistoryWeights weights;
	int64		step;			/* how many have been taken */
	int			epoch;			/* the same */
	int			best_epoch;
	double		seconds;		/* spent so far */
	RlrecAdamStep adam;
	uint64		step_key;
	real		keep;			/* of the average, in this step */
	real		weight;			/* of a position's loss: 1 / positions of the batch */
	bool		finishing;		/* nothing is kept for validation any more */
	int32	   *validated;		/* [n_validated] users */
	real	   *wanted;			/* [n_validated] scores of their last items */
	int32		n_validated;
	double		loss;			/* mean of the epoch so far; NaN before the first step */
	double		validation;		/* the best so far; NaN before the first */
	const real *judged;			/* parameters under validation */
	const real *judged_e;
	real		blend[RLREC_MAX_HEADS]; /* weights of the heads of values in the score */
	RlrecTrainerShard shard[RLREC_SHARDS];
} RlrecTrainer;

/* Runs a task to its end, serving interrupts when both threads are at rest. */
extern void rlrec_trainer_run(RlrecTrainer *trainer, RlrecTask task);

/* Makes t->e of the source's parameters: of the items among rows[n], of all items where rows is NULL. */
extern void rlrec_trainer_compose(RlrecTrainer *t, const int32 *rows, int32 n, real dropout, const real *source);

/* Users whose items are ranked at once */
extern int	rlrec_trainer_ranked(int32 n_items);

/* Whether a user's last item is kept for validation; where only what is new is learned, that of few users. */
extern bool rlrec_trainer_keeps(const RlrecTrainer *t, int32 u);

/* Chooses the users who validate. */
extern void rlrec_trainer_choose_validated(RlrecTrainer *t);

/* NDCG@10 by rewards, NaN without users; plain, unless NULL, receives that by which all users count alike. */
extern double rlrec_trainer_validate(RlrecTrainer *t, const real *judged, double *plain);

/*
 * Where the objective leaves it open: the weight of the first head in the score. With gamma 0 that which makes it the expected reward; else, of
 * those with which the plain NDCG is not below the policy's, the one with the best NDCG by rewards. Then judged are the parameters with which
 * training ended: those of the best epoch owe it to chance too, which would flatter the policy alone.
 */
extern void rlrec_trainer_choose_blend(RlrecTrainer *t);

/* A head of the parameters or of what has their shape */
extern RlrecHead rlrec_trainer_head(const RlrecTrainer *t, real *parameters, int head);

/* Before a micro-batch is encoded: the states by the target weights, where targets look ahead. */
extern void rlrec_trainer_foresee(const RlrecTrainer *t, RlrecTrainerShard *shard, const RlrecPacked *batch);

/*
 * Of a micro-batch's states (n,d), of which `counted` are those of targets and refused events: the heads' gradients, dheads, and row_weight. Returns the sum
 * of their losses.
 */
extern double rlrec_trainer_learn_heads(const RlrecTrainer *t, RlrecTrainerShard *shard, RlrecPool *pool, int n, const real *states,
										const real *counted);

/* Starts from other weights. */
extern void rlrec_trainer_warm(RlrecTrainer *t, const RlrecNextItemStart *start);

/*
 * A checkpoint, kept and found again: false when there is none of this shape and these options that fits in the spare memory. Where the
 * events are others, the validation that it had is not theirs.
 */
extern void rlrec_trainer_keep(const RlrecTrainer *t, RlrecPast *past);
extern bool rlrec_trainer_resume(RlrecTrainer *t, RlrecPast *past, bool *same_events);

/* One step over a batch of n windows; returns the mean loss of what it counts. An error when that is not finite. */
extern double rlrec_trainer_step(RlrecTrainer *t, int n, const RlrecWindow *windows);

#endif							/* RLREC_TRAINER_H */
