/*
 * supervised_model.h
 *	  A trained next-item policy: its tensors, and serving from them.
 */
#ifndef RLREC_SUPERVISED_MODEL_H
#define RLREC_SUPERVISED_MODEL_H

#include "encoder/history.h"
#include "learner/next_item.h"

/* What a training comes to */
typedef struct RlrecSupervisedModel
{
	RlrecHistoryShape shape;
	bool		to_request;		/* gaps of time are those to the event after, see encoder/history.h */
	float	   *network;		/* the encoder's parameters in the order of rlrec_history_place() */
	int32		n_items;
	const float *e;				/* (n_items,d) */
	int32		n_features;		/* 0 when items have none */
	const int32 *bucket;		/* [n_features], as in encoder/features.h */
	const float *projection;	/* (n_features,d), which e contains already */
	int64		until;			/* time of the last event */
	int			epoch;			/* that was best */
	double		ndcg;			/* of its validation; NaN where there was none */
	int			n_heads;
	float	   *heads;			/* rlrec_head_parameters() of each; the last ones need have no weight */
	float		blend[2 + RLREC_MAX_HEADS]; /* weights in the score of the policy and of each head */
} RlrecSupervisedModel;

/* Adds it to the tensors, e in 8 bits where quantized. */
extern void rlrec_supervised_write(const RlrecSupervisedModel *model, bool quantized, const char *prefix, RlrecTensors *tensors);

/* What another training starts from; palloc'd, or in the model. */
extern RlrecNextItemStart rlrec_supervised_start(const RlrecModel *model);

/* As in learner.h; blend makes of a state of the encoder alone what encode() gives. */
extern bool rlrec_supervised_score(const RlrecModel *model, const RlrecHistory *history, float *scores);
extern void rlrec_supervised_similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores);
extern int	rlrec_supervised_dimension(const RlrecModel *model);
extern bool rlrec_supervised_encode(const RlrecModel *model, const RlrecHistory *history, float *state);
extern void rlrec_supervised_decode(const RlrecModel *model, const float *state, float *scores);
extern void rlrec_supervised_blend(const RlrecModel *model, float *state);
extern void rlrec_supervised_describe(const RlrecModel *model, StringInfo json);
extern int	rlrec_supervised_check(const RlrecModel *model);

#endif							/* RLREC_SUPERVISED_MODEL_H */
