/*
 * rerank.c
 *	  Maximal marginal relevance (Carbonell and Goldstein 1998, "The Use of MMR, Diversity-Based Reranking").
 *
 * The items with the highest scores are the shortlist. The list is made of it one item at a time, each time the one with the highest
 *		(1 - diversity) * relevance(i) - diversity * max over j in the list of similarity(j, i),
 *		relevance(i) = (1 - novelty) * score(i) + novelty * information(i),
 * equal ones by score, then by the item's bytes. Learners' scores and similarities have scales of their own, so both are brought to 0 .. 1,
 * from the least to the greatest of the shortlist. information is -log2 of the share of users that had the item, by that of an item that
 * one user had, so it is 0 .. 1 as well (Zhou et al. 2010).
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "utils/memutils.h"

#include "learner/parts.h"
#include "learner/rerank.h"
#include "tensor/topk.h"

const RlrecOption rlrec_rerank_options[] = {
	{"diversity", RLREC_OPTION_REAL, 0, 0, 1, "weight of being unlike the rest of the list"},
	{"novelty", RLREC_OPTION_REAL, 0, 0, 1, "weight of being little known"},
	{"shortlist", RLREC_OPTION_INT, 100, 1, 1000, "how many of the best items are re-ranked"},
	{NULL}
};

RlrecRerank
rlrec_rerank_read(const Jsonb *options)
{
	RlrecRerank rerank;

	rerank.diversity = rlrec_option_real(options, rlrec_rerank_options, "diversity");
	rerank.novelty = rlrec_option_real(options, rlrec_rerank_options, "novelty");
	rerank.shortlist = rlrec_option_int(options, rlrec_rerank_options, "shortlist");
	return rerank;
}

bool
rlrec_rerank_matters(const RlrecRerank *rerank)
{
	return rerank->diversity > 0 || rerank->novelty > 0;
}

/* relevance[n] of the shortlist, whose scores descend. */
static void
fill_relevance(const RlrecModel *model, double novelty, const float *scores, int n, const int32 *shortlist, float *relevance)
{
	double		highest = scores[shortlist[0]];
	double		lowest = scores[shortlist[n - 1]];
	double		rarest = log2(Max(model->n_users, 2));

	for (int i = 0; i < n; i++)
	{
		double		score = highest > lowest ? (scores[shortlist[i]] - lowest) / (highest - lowest) : 0;
		double		information = log2(Max(model->n_users, 1) / Max(model->count[shortlist[i]], 1)) / rarest;

		relevance[i] = (1 - novelty) * score + novelty * information;
	}
}

/* similarity[n][n] of the shortlist. What an item is to itself does not count. */
static void
fill_similarity(const RlrecModel *model, int n, const int32 *shortlist, float *similarity)
{
	float		least = FLT_MAX;
	float		greatest = -FLT_MAX;
	float		scale;

	rlrec_parts_similarities(model, n, shortlist, similarity);
	for (int a = 0; a < n; a++)
		for (int b = 0; b < n; b++)
		{
			float		value = similarity[(size_t) a * n + b];

			if (a == b)
				continue;
			least = Min(least, value);
			greatest = Max(greatest, value);
		}
	scale = greatest > least ? 1 / (greatest - least) : 0;
	for (size_t pair = 0; pair < (size_t) n * n; pair++)
		similarity[pair] = (similarity[pair] - least) * scale;
}

/* Takes k of the shortlist [n], best first. */
static void
select_items(const RlrecModel *model, const RlrecRerank *rerank, const float *scores, int n, const int32 *shortlist, int k, int32 *best)
{
	float	   *relevance = palloc(n * sizeof(float));
	float	   *similarity = NULL;
	float	   *nearest = palloc0(n * sizeof(float));	/* similarity to the list so far */
	bool	   *taken = palloc0(n * sizeof(bool));

	fill_relevance(model, rerank->novelty, scores, n, shortlist, relevance);
	if (rerank->diversity > 0)
	{
		similarity = palloc((Size) n * n * sizeof(float));
		fill_similarity(model, n, shortlist, similarity);
	}
	for (int r = 0; r < k; r++)
	{
		double		highest = -DBL_MAX;
		int			next = 0;

		for (int i = 0; i < n; i++)
		{
			double		value = (1 - rerank->diversity) * relevance[i] - rerank->diversity * nearest[i];

			if (!taken[i] && value > highest)
			{
				highest = value;
				next = i;
			}
		}
		taken[next] = true;
		best[r] = shortlist[next];
		for (int i = 0; similarity != NULL && i < n; i++)
			nearest[i] = Max(nearest[i], similarity[(size_t) next * n + i]);
	}
}

int
rlrec_rerank(const RlrecModel *model, const RlrecRerank *rerank, const float *scores, const bool *eligible, int k, int32 *best)
{
	MemoryContext context;
	MemoryContext outer;
	int32	   *order;
	int			n;
	int			reranked;

	if (!rlrec_rerank_matters(rerank) || k <= 0)
		return rlrec_topk(model->items.n, scores, eligible, k, best);

	context = AllocSetContextCreate(CurrentMemoryContext, "rlrec re-ranking", ALLOCSET_DEFAULT_SIZES);
	outer = MemoryContextSwitchTo(context);
	n = Min(Max(k, rerank->shortlist), model->items.n);
	order = MemoryContextAllocHuge(context, Max(n, 1) * sizeof(int32));
	n = rlrec_topk(model->items.n, scores, eligible, n, order);
	reranked = Min(n, rerank->shortlist);
	k = Min(k, n);
	if (n > 0)
		select_items(model, rerank, scores, reranked, order, Min(k, reranked), best);
	for (int r = reranked; r < k; r++)
		best[r] = order[r];
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
	return k;
}
