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

/* The same for scores that come one at a time, in any order: init, offer each (no NaN), sort. */
typedef struct RlrecTopEntry
{
	float		score;
	int32		index;
} RlrecTopEntry;

typedef struct RlrecTop
{
	int			k;
	int			n;				/* kept so far */
	RlrecTopEntry *entry;		/* [k], the caller's; a heap, its worst at 0; after rlrec_top_sort() best first */
} RlrecTop;

extern void rlrec_top_enter(RlrecTop *top, float score, int32 index);
extern void rlrec_top_sort(RlrecTop *top);

static inline void
rlrec_top_offer(RlrecTop *top, float score, int32 index)
{
	if (top->n < top->k || (top->k > 0 && score >= top->entry[0].score))
		rlrec_top_enter(top, score, index);
}

#endif							/* RLREC_TOPK_H */
