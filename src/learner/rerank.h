/*
 * rerank.h
 *	  The best items, made more diverse or less popular as an agent declares.
 */
#ifndef RLREC_RERANK_H
#define RLREC_RERANK_H

#include "learner/learner.h"

/* What an agent's options say of it: the weights are 0 .. 1, and 0 is off. */
typedef struct RlrecRerank
{
	double		diversity;		/* weight of being unlike what is in the list already */
	double		novelty;		/* weight of self-information against the score */
	int			shortlist;		/* how many of the best are re-ranked */
} RlrecRerank;

extern const RlrecOption rlrec_rerank_options[];
extern RlrecRerank rlrec_rerank_read(const Jsonb *options);

/* Whether any weight is above 0. */
extern bool rlrec_rerank_matters(const RlrecRerank *rerank);

/*
 * Like rlrec_topk(): the first k of the eligible items, in the order that re-ranking gives the shortlist, and by score behind it. Nothing
 * depends on k but how many are returned.
 */
extern int	rlrec_rerank(const RlrecModel *model, const RlrecRerank *rerank, const float *scores, const bool *eligible, int k, int32 *best);

#endif							/* RLREC_RERANK_H */
