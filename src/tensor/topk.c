/*
 * topk.c
 *	  The k best of n scores without sorting them all.
 *
 * A heap of the k best so far with the worst on top. Of scores in no particular order the n-th enters with probability k / n, so nearly
 * all of them cost one comparison. Entries are ordered by (score descending, index ascending), which is total: the result does not
 * depend on the order in which they are offered.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "tensor/topk.h"

static inline bool
worse(RlrecTopEntry a, RlrecTopEntry b)
{
	return a.score < b.score || (a.score == b.score && a.index > b.index);
}

/* Puts an entry in the hole at the top of a heap of n. */
static void
sift_down(RlrecTopEntry *heap, int n, RlrecTopEntry entry)
{
	int			hole = 0;

	for (;;)
	{
		int64		child = 2 * (int64) hole + 1;

		if (child >= n)
			break;
		if (child + 1 < n && worse(heap[child + 1], heap[child]))
			child++;
		if (!worse(heap[child], entry))
			break;
		heap[hole] = heap[child];
		hole = (int) child;
	}
	heap[hole] = entry;
}

static void
sift_up(RlrecTopEntry *heap, int hole, RlrecTopEntry entry)
{
	while (hole > 0)
	{
		int			parent = (hole - 1) / 2;

		if (!worse(entry, heap[parent]))
			break;
		heap[hole] = heap[parent];
		hole = parent;
	}
	heap[hole] = entry;
}

void
rlrec_top_enter(RlrecTop *top, float score, int32 index)
{
	RlrecTopEntry entry = {score, index};

	if (top->n < top->k)
		sift_up(top->entry, top->n++, entry);
	else if (worse(top->entry[0], entry))
		sift_down(top->entry, top->n, entry);
}

void
rlrec_top_sort(RlrecTop *top)
{
	for (int n = top->n - 1; n > 0; n--)
	{
		RlrecTopEntry last = top->entry[n];

		if (n % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		top->entry[n] = top->entry[0];
		sift_down(top->entry, n, last);
	}
}

int
rlrec_topk(int n, const float *scores, const bool *eligible, int k, int32 *best)
{
	RlrecTop	top = {Min(k, n), 0, NULL};

	if (top.k <= 0)
		return 0;
	top.entry = MemoryContextAllocHuge(CurrentMemoryContext, top.k * sizeof(RlrecTopEntry));
	for (int i = 0; i < n; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		/* written so that NaN is passed over; of equal scores the one that is in has the lower index */
		if (top.n == top.k && !(scores[i] > top.entry[0].score))
			continue;
		if (eligible == NULL || eligible[i])
			rlrec_top_offer(&top, isnan(scores[i]) ? -INFINITY : scores[i], i);
	}
	rlrec_top_sort(&top);
	for (int i = 0; i < top.n; i++)
		best[i] = top.entry[i].index;
	pfree(top.entry);
	return top.n;
}
