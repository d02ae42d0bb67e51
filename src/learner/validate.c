/*
 * validate.c
 *	  The ranking metrics of a model on a split.
 *
 * For each tested user the model scores the whole catalogue from his training history; the items of that history are not ranked. A
 * test item's rank is the number of other ranked items whose score is at least its own: a tie counts against the model, so that constant scores are
 * worth nothing and no figure depends on the order of the items. The list that coverage, novelty and diversity look at is what
 * rlrec_recommend would show: the k best, equal scores by the item's bytes, or what re-ranking makes of them, by which the test items are
 * then ranked too.
 *
 * Scratch lives in a context that is reset for each user; what is kept over users is O(items + users) and the incidence of the
 * training events.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "data/sparse.h"
#include "learner/rerank.h"
#include "learner/validate.h"

#define COSINE_BITS 15			/* log2 of the slots of the cache of cosines */

/* A direct-mapped cache of cosines of pairs of items: popular lists share most of their pairs. */
typedef struct CosineSlot
{
	int32		a;				/* -1 when empty */
	int32		b;
	float		cosine;
} CosineSlot;

/* What measuring a model needs besides it. */
typedef struct Judge
{
	const RlrecModel *model;
	const RlrecSplit *split;
	RlrecRerank rerank;
	int			k;
	double	   *ideal;			/* [k] the DCG of hits at all ranks up to this one */
	float	   *information;	/* [n_items] bits */
	bool	   *eligible;		/* [n_items] all true between users */
	bool	   *shown;			/* [n_items] in anybody's list */
	bool	   *marked;			/* [n_users] all false between pairs */
	RlrecSparse *audience;		/* row i: the training users of item i */
	CosineSlot *cosines;		/* [1 << COSINE_BITS] */
} Judge;

static void *
alloc_zero(Size count, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, Max(mul_size(count, size), 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

RlrecHistory
rlrec_history_of(const RlrecSplit *split, int32 test)
{
	const RlrecEvents *events = &split->train;
	int32		user = split->user[test];
	Size		n = events->end[user] - events->start[user];
	int32	   *item = alloc_zero(n, sizeof(int32));
	int64	   *time = alloc_zero(n, sizeof(int64));
	float	   *reward = alloc_zero(n, sizeof(float));
	uint8	   *type = alloc_zero(n, sizeof(uint8));
	RlrecHistory history = {0, item, time, reward, type, events->time[events->end[user]], rlrec_events_key(events, user), NULL};

	for (int64 e = events->start[user]; e < events->end[user]; e++)
	{
		if (!(events->reward[e] > 0))
			continue;
		item[history.n] = events->item[e];
		time[history.n] = events->time[e];
		type[history.n] = events->type[e];
		reward[history.n++] = events->reward[e];
	}
	return history;
}

void
rlrec_model_scores(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	if (!model->learner->score(model, history, scores))
		memcpy(scores, model->count, model->items.n * sizeof(float));
}

/*
 * Mean of 1 - cosine over the pairs of the list, where an item is the set of its training users. The users of an item are marked once,
 * and only if some pair with it is not in the cache.
 */
static double
list_diversity(Judge *judge, const int32 *list, int n)
{
	const RlrecSparse *audience = judge->audience;
	double		sum = 0;

	for (int a = 0; a < n; a++)
	{
		int64		begin = audience->start[list[a]];
		int64		end = audience->start[list[a] + 1];
		bool		marked = false;

		CHECK_FOR_INTERRUPTS();
		for (int b = a + 1; b < n; b++)
		{
			int32		i = Min(list[a], list[b]);
			int32		j = Max(list[a], list[b]);
			CosineSlot *slot = &judge->cosines[((uint32) i * 0x9E3779B1u + (uint32) j * 0x85EBCA77u) >> (32 - COSINE_BITS)];

			if (slot->a != i || slot->b != j)
			{
				int64		first = audience->start[list[b]];
				int64		stop = audience->start[list[b] + 1];
				int64		both = 0;

				for (int64 x = begin; x < end && !marked; x++)
					judge->marked[audience->column[x]] = true;
				marked = true;
				for (int64 x = first; x < stop; x++)
					both += judge->marked[audience->column[x]];
				slot->a = i;
				slot->b = j;
				slot->cosine = both == 0 ? 0 : both / sqrt((double) (end - begin) * (double) (stop - first));
			}
			sum += 1 - slot->cosine;
		}
		for (int64 x = begin; x < end && marked; x++)
			judge->marked[audience->column[x]] = false;
	}
	return sum / (0.5 * n * (n - 1));
}

static Judge
judge_create(const RlrecModel *model, const RlrecSplit *split, const Jsonb *options, int k)
{
	int32		n_items = model->items.n;
	RlrecIncidence incidence = rlrec_incidence_build(&split->train, false);
	Judge		judge = {0};

	judge.model = model;
	judge.split = split;
	judge.rerank = rlrec_rerank_read(options);
	judge.k = k;
	judge.ideal = alloc_zero(k, sizeof(double));
	judge.information = alloc_zero(n_items, sizeof(float));
	judge.eligible = alloc_zero(n_items, sizeof(bool));
	judge.shown = alloc_zero(n_items, sizeof(bool));
	judge.marked = alloc_zero(split->train.users.n, sizeof(bool));
	rlrec_sparse_free(incidence.users);
	judge.audience = incidence.items;
	judge.cosines = alloc_zero(1 << COSINE_BITS, sizeof(CosineSlot));

	for (int r = 0; r < k; r++)
		judge.ideal[r] = (r > 0 ? judge.ideal[r - 1] : 0) + 1 / log2(r + 2);
	for (int32 i = 0; i < n_items; i++)
		judge.information[i] = -log2(Max(model->count[i], 1) / Max(model->n_users, 1));
	memset(judge.eligible, true, n_items * sizeof(bool));
	for (int s = 0; s < 1 << COSINE_BITS; s++)
		judge.cosines[s].a = -1;
	return judge;
}

static int
compare_descending(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The DCG of a list that has the test items first, by their rewards. */
static double
ideal_reward(int k, const float *reward, int64 n_test)
{
	float	   *sorted = alloc_zero(n_test, sizeof(float));
	double		ideal = 0;

	memcpy(sorted, reward, n_test * sizeof(float));
	qsort(sorted, n_test, sizeof(float), compare_descending);
	for (int64 r = 0; r < Min(k, n_test); r++)
		ideal += sorted[r] / log2(r + 2);
	return ideal;
}

/*
 * The test items' ranks, as hits, DCG and the best one. Scores of what is not eligible become -infinity: such an item is above nothing,
 * and a test item that is in the history keeps the score it had.
 */
static void
judge_ranks(const Judge *judge, float *scores, const int32 *test, const float *reward, int64 n_test, RlrecMetrics *user)
{
	int32		n_items = judge->model->items.n;
	int64		best = PG_INT64_MAX;
	int64		hits = 0;
	float	   *score = alloc_zero(n_test, sizeof(float));

	for (int64 t = 0; t < n_test; t++)
	{
		score[t] = scores[test[t]];
		if (!isfinite(score[t]))
			elog(ERROR, "learner \"%s\" gave an item a score that is not finite", judge->model->learner->name);
	}
	for (int32 i = 0; i < n_items; i++)
		if (!judge->eligible[i])
			scores[i] = -INFINITY;

	for (int64 t = 0; t < n_test; t++)
	{
		int32		above = 0;
		int64		rank;

		CHECK_FOR_INTERRUPTS();
		for (int32 i = 0; i < n_items; i++)
			above += scores[i] >= score[t];
		rank = above - (judge->eligible[test[t]] ? 1 : 0);	/* but not itself */

		best = Min(best, rank);
		if (rank < judge->k)
		{
			hits++;
			user->ndcg += 1 / log2(rank + 2);
			user->reward_ndcg += reward[t] / log2(rank + 2);
		}
	}
	user->ndcg /= judge->ideal[Min(judge->k, n_test) - 1];
	user->reward_ideal = ideal_reward(judge->k, reward, n_test);
	user->precision = (double) hits / judge->k;
	user->recall = (double) hits / n_test;
	user->hit_rate = hits > 0;
	user->mrr = 1.0 / (best + 1);
}

/* Ranks follow scores: those of a re-ranked list go above all others, in its order. */
static void
raise_list(float *scores, const int32 *list, int n)
{
	float		score = FLT_MAX;

	for (int r = 0; r < n; r++)
	{
		scores[list[r]] = score;
		score = nextafterf(score, 0);
	}
}

/* The metrics of one tested user; coverage goes to judge->shown. */
static RlrecMetrics
judge_user(Judge *judge, int32 t)
{
	const RlrecSplit *split = judge->split;
	const RlrecEvents *train = &split->train;
	const RlrecModel *model = judge->model;
	int32		u = split->user[t];
	RlrecHistory history = rlrec_history_of(split, t);
	float	   *scores = alloc_zero(model->items.n, sizeof(float));
	int32	   *list = alloc_zero(judge->k, sizeof(int32));
	RlrecMetrics user = {0};
	int			n;

	rlrec_model_scores(model, &history, scores);
	for (int64 e = train->start[u]; e < train->end[u]; e++)
		judge->eligible[train->item[e]] = false;
	n = rlrec_rerank(model, &judge->rerank, scores, judge->eligible, judge->k, list);
	if (rlrec_rerank_matters(&judge->rerank))
		raise_list(scores, list, n);
	judge_ranks(judge, scores, split->item + split->start[t], split->reward + split->start[t], split->start[t + 1] - split->start[t], &user);
	for (int64 e = train->start[u]; e < train->end[u]; e++)
		judge->eligible[train->item[e]] = true;

	for (int r = 0; r < n; r++)
	{
		judge->shown[list[r]] = true;
		user.novelty += judge->information[list[r]] / n;
	}
	if (n > 1)
		user.diversity = list_diversity(judge, list, n);
	return user;
}

static double
seconds_since(instr_time started)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, started);
	return INSTR_TIME_GET_DOUBLE(now);
}

void
rlrec_validate(const RlrecModel *model, const RlrecSplit *split, const Jsonb *options, int k, float *user_ndcg, RlrecMetrics *metrics)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "rlrec validate", ALLOCSET_DEFAULT_SIZES);
	MemoryContext scratch = AllocSetContextCreate(context, "rlrec validate user", ALLOCSET_DEFAULT_SIZES);
	double		n = Max(split->n_tests, 1);
	int32		shown = 0;
	instr_time	started;
	Judge		judge;

	Assert(k > 0 && model->items.n == split->train.items.n);
	INSTR_TIME_SET_CURRENT(started);
	memset(metrics, 0, sizeof(RlrecMetrics));
	k = Max(Min(k, model->items.n), 1);

	MemoryContextSwitchTo(context);
	judge = judge_create(model, split, options, k);
	MemoryContextSwitchTo(scratch);
	for (int32 t = 0; t < split->n_tests; t++)
	{
		RlrecMetrics user;

		CHECK_FOR_INTERRUPTS();
		rlrec_progress("evaluating", t, split->n_tests);
		user = judge_user(&judge, t);
		if (user_ndcg != NULL)
			user_ndcg[t] = user.ndcg;
		metrics->precision += user.precision / n;
		metrics->recall += user.recall / n;
		metrics->hit_rate += user.hit_rate / n;
		metrics->ndcg += user.ndcg / n;
		metrics->mrr += user.mrr / n;
		metrics->novelty += user.novelty / n;
		metrics->diversity += user.diversity / n;
		metrics->reward_ndcg += user.reward_ndcg;
		metrics->reward_ideal += user.reward_ideal;
		MemoryContextReset(scratch);
	}
	for (int32 i = 0; i < model->items.n; i++)
		shown += judge.shown[i];
	metrics->users = split->n_tests;
	metrics->reward_ndcg /= metrics->reward_ideal > 0 ? metrics->reward_ideal : 1;
	metrics->coverage = (double) shown / Max(model->items.n, 1);
	metrics->seconds = seconds_since(started);

	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
}

void
rlrec_validate_learner(const RlrecLearner *learner, const RlrecFit *fit, const RlrecSplit *split, int k,
					   float *user_ndcg, RlrecMetrics *metrics)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec validate fit", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	RlrecFit	part = *fit;
	RlrecModel *model;
	instr_time	started;
	double		fit_seconds;

	INSTR_TIME_SET_CURRENT(started);
	part.events = &split->train;
	part.past = NULL;
	model = rlrec_learner_fit(learner, &part);
	fit_seconds = seconds_since(started);
	rlrec_validate(model, split, fit->options, k, user_ndcg, metrics);
	metrics->fit_seconds = fit_seconds;

	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
}
