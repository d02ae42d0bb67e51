/*
 * topk.h
 *	  The k best of n scores without sorting them all.
 */
#ifndef RLREC_TOPK_H
#define RLREC_TOPK_H

/*
 * Writes to best[] the indices of the k highest scores among those with eligible[i] (all when eligible is NULL), best first, equal scores by
 * lower index (which is the order of the ids' bytes). Returns how many there were, at most k. NaN counts as -infinity.
 */
extern int rlrec_topk(int n, const float *scores, const bool *eligible, int k, int32 *best);

#endif							/* RLREC_TOPK_H */
