/*
 * validate.h
 *	  Measuring a model on what a split holds out. docs/evaluation.md has the definitions.
 */
#ifndef RLREC_VALIDATE_H
#define RLREC_VALIDATE_H

#include "data/split.h"
#include "learner/learner.h"

/* Means over the tested users, all 0 when there is none; coverage is over all their lists together. */
typedef struct RlrecMetrics
{
	int64		users;
	double		precision;
	double		recall;
	double		hit_rate;
	double		ndcg;
	double		mrr;
	double		coverage;		/* share of the catalogue */
	double		novelty;		/* bits */
	double		diversity;
	double		reward_ndcg;	/* over the rewards of all users together; of one user the sum and, in reward_ideal, its most */
	double		reward_ideal;
	double		seconds;		/* to score and rank */
	double		fit_seconds;	/* 0 from rlrec_validate() */
} RlrecMetrics;

/*
 * Measures a model that was fitted on split->train by the best k items (k > 0; more than the catalogue has is the whole catalogue).
 * Lists are re-ranked as the agent's options say. user_ndcg, when not NULL, receives [n_tests] the NDCG of each tested user, for intervals over users.
 */
extern void rlrec_validate(const RlrecModel *model, const RlrecSplit *split, const Jsonb *options, int k, float *user_ndcg,
						   RlrecMetrics *metrics);

/*
 * Fits the learner on the training part of the split and measures it; everything but user_ndcg and metrics is freed. fit->events is
 * ignored.
 */
extern void rlrec_validate_learner(const RlrecLearner *learner, const RlrecFit *fit, const RlrecSplit *split, int k,
								   float *user_ndcg, RlrecMetrics *metrics);

/*
 * The training events of a tested user as what a model is asked about, at the time of his first event that is held out: those with a
 * positive reward. The arrays are palloc'd.
 */
extern RlrecHistory rlrec_history_of(const RlrecSplit *split, int32 test);

/* The model's scores, or the items' popularity where the history tells it nothing. */
extern void rlrec_model_scores(const RlrecModel *model, const RlrecHistory *history, float *scores);

#endif							/* RLREC_VALIDATE_H */
