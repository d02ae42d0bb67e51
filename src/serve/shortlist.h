/*
 * shortlist.h
 *	  Which items may be recommended, and the best of them.
 */
#ifndef RLREC_SHORTLIST_H
#define RLREC_SHORTLIST_H

#include "learner/learner.h"
#include "learner/rerank.h"
#include "store/agent.h"
#include "utils/array.h"

/* A set of items: those of the model's dictionary as a mask, others as a list of their ids. */
typedef struct RlrecItemSet
{
	bool	   *member;			/* [items.n] */
	List	   *others;			/* of char * */
} RlrecItemSet;

extern RlrecItemSet rlrec_item_set_create(const RlrecModel *model);

/* Adds the ids of a text[], each parsed as the item column's type; NULL adds nothing. */
extern void rlrec_item_set_add_array(RlrecItemSet *set, const RlrecAgent *agent, const RlrecModel *model, ArrayType *ids);

/* What may be shown: the agent's candidates, where it has them, and those of the array, where given. Computed once a query. */
typedef struct RlrecCandidates
{
	bool	   *member;			/* [items.n]; NULL when all items of the model may be shown */
	List	   *others;			/* ids that the model does not know */
	int			n_new;
	const RlrecNewItem *new_item;	/* [n_new] of these, or where all items may be shown, those that have a score, the highest first */
} RlrecCandidates;

extern void rlrec_candidates_read(RlrecCandidates *candidates, const RlrecAgent *agent, const RlrecModel *model, ArrayType *array);

/* Adds the items that the model does not know and that have become popular since, where the scores are popularity. */
extern void rlrec_candidates_add_new(RlrecCandidates *candidates, const RlrecModel *model, const RlrecHistory *history, const char *source);

typedef struct RlrecRecommendation
{
	const char *item;			/* not terminated */
	int			length;
	int32		index;			/* in the model's dictionary, -1 when it is not there */
	float		score;			/* -infinity for an item of which nothing is known */
} RlrecRecommendation;

/* Room for a score of every item of the model, and for the k best; k falls to what there can be at most. */
extern float *rlrec_score_buffer(const RlrecModel *model);
extern RlrecRecommendation *rlrec_recommendation_buffer(const RlrecModel *model, const RlrecCandidates *candidates, int *k);

/*
 * The k best candidates that are not excluded, re-ranked unless rerank is NULL; returns how many there are. Items that the model does not
 * know come last, in order of their ids' bytes, unless they have a score.
 */
extern int	rlrec_shortlist(const RlrecModel *model, const RlrecRerank *rerank, const float *scores, const RlrecCandidates *candidates,
							const RlrecItemSet *excluded, int k, RlrecRecommendation *best);

#endif							/* RLREC_SHORTLIST_H */
