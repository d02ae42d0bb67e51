/*
 * hybrid.c
 *	  The learner "hybrid": a weighted sum of other learners' scores, with weights learned on validation.
 *
 * Scores of different learners do not compare: one gives counts of which nearly all are 0, another inner products. So a user's scores
 * of a part are first spread: z = (score - mean) / deviation over the items that he has not had, then sign(z) log(1 + |z|), which keeps
 * the order but not the length of the tail. Of the transforms tried (z, its square root, scores by their maximum, log and reciprocal
 * rank, softmax) it was the best or next to it on both MovieLens sets; plain z loses .014 of NDCG@10 on ML-1M. docs/hybrid.md has the
 * figures.
 *
 * Fitting: the last positive event of each user is held out, the parts are fitted on the rest, and weights >= 0 are sought that
 * maximise NDCG@10 of the held-out items over a sample of users. The search starts from the best single part and from equal weights and
 * moves one weight at a time, only upwards in NDCG, so the blend is never below its best part on validation. Then the parts with a
 * weight are fitted again on everything.
 *
 * For the search a user is reduced to the candidates that some part ranks high, and a candidate to its margins: for each part, its
 * spread score less that of the held-out item. A candidate is ranked above the item when sum of weight * margin >= 0, so one step of
 * the search is one pass over an array.
 *
 * Tensors: "parts", heaviest first, "weights" [parts], and the parts' own under their names.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "data/split.h"
#include "learner/parts.h"
#include "learner/validate.h"
#include "tensor/topk.h"

#define MOST 8000				/* users in the sample, if the budget allows */
#define ENOUGH 10				/* users to learn weights from */
#define SEED 1
#define DEPTH 32				/* candidates that a part puts up */
#define LIST_LENGTH 10
#define ROUNDS 8				/* of the search, at most */
#define STEPS 15				/* trial weights of a line search, apart from 0 */

static const RlrecOption hybrid_options[] = {
	{"learners", RLREC_OPTION_NAMES, 0, 0, 0, "learners to blend; default all but auto"},
	{NULL}
};

/*
 * The validation set of the search. Candidate c of example e, start[e] <= c < start[e + 1], has the margin margin[p][c] by part p.
 */
typedef struct Examples
{
	int			n_parts;
	int32		n;
	int64	   *start;			/* [n + 1] */
	float	  **margin;			/* [n_parts][start[n]] */
} Examples;

/* Makes scores of different learners comparable: see the head. seen[] are the items that do not count; their scores are spread too. */
static void
spread(int32 n, const bool *seen, float *scores)
{
	double		sum = 0;
	double		squares = 0;
	int32		counted = 0;
	double		mean;
	double		scale;

	for (int32 i = 0; i < n; i++)
	{
		sum += seen[i] ? 0 : scores[i];
		counted += !seen[i];
	}
	mean = counted > 0 ? sum / counted : 0;
	for (int32 i = 0; i < n; i++)
	{
		double		d = (double) scores[i] - mean;

		squares += seen[i] ? 0 : d * d;
	}
	scale = squares > 0 ? sqrt(counted / squares) : 0;
	for (int32 i = 0; i < n; i++)
	{
		float		z = (float) ((scores[i] - mean) * scale);

		scores[i] = copysignf(log1pf(fabsf(z)), z);
	}
}

static bool *
items_of(const RlrecModel *model, const RlrecHistory *history)
{
	bool	   *seen = palloc0(Max(model->items.n, 1) * sizeof(bool));

	for (int32 i = 0; i < history->n; i++)
		seen[history->item[i]] = true;
	return seen;
}

/*
 * Appends the example of a user: the candidates, which are the union of the parts' best, and their margins. spreads is scratch
 * [n_parts][n_items].
 */
static void
add_example(Examples *examples, const RlrecModel *models, const RlrecHistory *history, int32 target, float *spreads)
{
	int32		n_items = models[0].items.n;
	bool	   *seen = items_of(&models[0], history);
	bool	   *eligible = palloc(n_items * sizeof(bool));
	int64		at = examples->start[examples->n];

	for (int32 i = 0; i < n_items; i++)
		eligible[i] = !seen[i] && i != target;

	for (int p = 0; p < examples->n_parts; p++)
	{
		float	   *row = spreads + (Size) p * n_items;

		if (models[p].learner->score(&models[p], history, row))
			spread(n_items, seen, row);
		else
			memset(row, 0, n_items * sizeof(float));
	}
	for (int p = 0; p < examples->n_parts; p++)
	{
		int32		best[DEPTH];
		int			n = rlrec_topk(n_items, spreads + (Size) p * n_items, eligible, DEPTH, best);

		/* What another part put up is still eligible here: each part's own best must all be among the candidates. */
		for (int b = 0; b < n; b++)
		{
			if (seen[best[b]])
				continue;
			seen[best[b]] = true;
			for (int q = 0; q < examples->n_parts; q++)
			{
				const float *row = spreads + (Size) q * n_items;

				examples->margin[q][at] = row[best[b]] - row[target];
			}
			at++;
		}
	}
	examples->start[++examples->n] = at;
}

static Examples *
collect_examples(const RlrecModel *models, int n_parts, const RlrecSplit *split)
{
	Examples   *examples = palloc0(sizeof(Examples));
	Size		most = mul_size(split->n_tests, n_parts * DEPTH);
	float	   *spreads = MemoryContextAllocHuge(CurrentMemoryContext,
												 mul_size(mul_size(n_parts, models[0].items.n), sizeof(float)));
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "rlrec hybrid user", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer;

	examples->n_parts = n_parts;
	examples->start = palloc0((split->n_tests + 1) * sizeof(int64));
	examples->margin = palloc(n_parts * sizeof(float *));
	for (int p = 0; p < n_parts; p++)
		examples->margin[p] = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(most, sizeof(float)));

	outer = MemoryContextSwitchTo(scratch);
	for (int32 t = 0; t < split->n_tests; t++)
	{
		RlrecHistory history = rlrec_history_of(split, t);

		CHECK_FOR_INTERRUPTS();
		rlrec_progress("preparing to blend", t, split->n_tests);
		add_example(examples, models, &history, split->item[split->start[t]], spreads);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(scratch);
	return examples;
}

/* NDCG@10 of base[] + weight * margin[part][]; base is as long as a row of margins. */
static double
blend_ndcg(const Examples *examples, const float *base, float weight, int part)
{
	const float *margin = examples->margin[part];
	double		sum = 0;

	CHECK_FOR_INTERRUPTS();
	for (int32 e = 0; e < examples->n; e++)
	{
		int			rank = 0;

		for (int64 c = examples->start[e]; c < examples->start[e + 1]; c++)
			rank += base[c] + weight * margin[c] >= 0;
		if (rank < LIST_LENGTH)
			sum += 1 / log2(rank + 2);
	}
	return sum / Max(examples->n, 1);
}

/* base[] = the blend without the part; returns whether another part has a weight. */
static bool
blend_others(const Examples *examples, const float *weights, int part, float *base)
{
	int64		n = examples->start[examples->n];
	bool		any = false;

	memset(base, 0, n * sizeof(float));
	for (int p = 0; p < examples->n_parts; p++)
	{
		if (p == part || weights[p] == 0)
			continue;
		any = true;
		for (int64 c = 0; c < n; c++)
			base[c] += weights[p] * examples->margin[p][c];
	}
	return any;
}

/*
 * Coordinate ascent from the weights given. A line search tries 0 and a geometric series around the part's weight, or around the largest
 * when it has none; the series grows finer each round. Returns the NDCG reached.
 */
static double
ascend(const Examples *examples, float *weights, float *base)
{
	double		reached = 0;

	for (int round = 0; round < ROUNDS; round++)
	{
		double		before = reached;
		double		ratio = 1 + pow(0.7, round);

		for (int p = 0; p < examples->n_parts; p++)
		{
			bool		others = blend_others(examples, weights, p, base);
			float		center = weights[p];

			rlrec_progress("blending", round * examples->n_parts + p, ROUNDS * examples->n_parts);
			if (round == 0 && p == 0)
				reached = before = blend_ndcg(examples, base, weights[p], p);
			if (!others)
				continue;		/* only ratios of weights matter */
			for (int q = 0; q < examples->n_parts && weights[p] == 0; q++)
				center = Max(center, weights[q]);

			for (int step = -1; step < STEPS; step++)
			{
				float		weight = step < 0 ? 0 : center * pow(ratio, step - STEPS / 2);
				double		ndcg = blend_ndcg(examples, base, weight, p);

				if (ndcg > reached)
				{
					reached = ndcg;
					weights[p] = weight;
				}
			}
		}
		if (reached == before && round > 2)
			break;
	}
	return reached;
}

/* The best of two ascents. weights[n_parts] sum to 1. */
static void
search(const Examples *examples, float *weights)
{
	int			n_parts = examples->n_parts;
	float	   *base = MemoryContextAllocHuge(CurrentMemoryContext,
											  mul_size(examples->start[examples->n] + 1, sizeof(float)));
	float	   *equal = palloc(n_parts * sizeof(float));
	double		highest = -1;
	int			best = 0;
	float		sum = 0;

	memset(base, 0, (examples->start[examples->n]) * sizeof(float));
	for (int p = 0; p < n_parts; p++)
	{
		double		ndcg = blend_ndcg(examples, base, 1, p);

		weights[p] = 0;
		equal[p] = 1;
		if (ndcg > highest)
		{
			highest = ndcg;
			best = p;
		}
	}
	weights[best] = 1;
	if (ascend(examples, equal, base) > ascend(examples, weights, base))
		memcpy(weights, equal, n_parts * sizeof(float));

	for (int p = 0; p < n_parts; p++)
		sum += weights[p];
	for (int p = 0; p < n_parts; p++)
		weights[p] /= sum;
}

static const char *
hybrid_obstacle(const RlrecFit *fit)
{
	return rlrec_parts_choose(fit, hybrid_options, false, false) == NIL ? "none of the learners to blend can be fitted" : NULL;
}

/* The parts for a rehearsal are those that its smaller data still allow. */
static void
rehearse_fit(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	List	   *parts = rlrec_parts_choose(fit, hybrid_options, false, false);
	ListCell   *cell;

	rlrec_parts_write(parts, prefix, "parts", tensors);
	foreach(cell, parts)
		rlrec_parts_fit(lfirst(cell), fit, prefix, tensors);
}

/* All parts fitted, without weights: what validation is done on. */
static const RlrecLearner rehearsal = {.name = "hybrid", .obstacle = hybrid_obstacle, .fit = rehearse_fit};

/*
 * Fills weights[] of the parts: 0 for those that cannot be fitted on less than everything, all equal when next to nobody can be tested.
 */
static void
learn_weights(const RlrecFit *fit, const List *parts, float *weights)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec hybrid", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	int			n_parts = list_length(parts);
	RlrecSplit *split = rlrec_split_leave_one_out(fit->events);
	Size		a_user = (Size) n_parts * n_parts * DEPTH * sizeof(float);
	RlrecFit	inner = *fit;
	List	   *rehearsed = NIL;
	RlrecModel *whole = NULL;
	ListCell   *cell;

	inner.events = &split->train;
	inner.past = NULL;
	if (n_parts > 1 && split->n_tests >= ENOUGH && hybrid_obstacle(&inner) == NULL)
	{
		whole = rlrec_learner_fit(&rehearsal, &inner);
		rehearsed = rlrec_parts_read(whole, "parts");
	}
	if (rehearsed == NIL)
	{
		for (int p = 0; p < n_parts; p++)
			weights[p] = 1.0f / n_parts;
	}
	else
	{
		RlrecModel *models = palloc(list_length(rehearsed) * sizeof(RlrecModel));
		float	   *found = palloc(list_length(rehearsed) * sizeof(float));

		foreach(cell, rehearsed)
			models[foreach_current_index(cell)] = rlrec_parts_open(whole, lfirst(cell));
		rlrec_split_sample(split, Min(MOST, Max(100, (int64) (fit->budget / 2 / a_user))), SEED);
		search(collect_examples(models, list_length(rehearsed), split), found);

		memset(weights, 0, n_parts * sizeof(float));
		foreach(cell, parts)
			for (int r = 0; r < list_length(rehearsed); r++)
				if (list_nth(rehearsed, r) == lfirst(cell))
					weights[foreach_current_index(cell)] = found[r];
	}
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
}

static void
hybrid_fit(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	List	   *parts = rlrec_parts_choose(fit, hybrid_options, false, true);
	float	   *weights = palloc(list_length(parts) * sizeof(float));
	float	   *kept;
	List	   *ordered = NIL;
	ListCell   *cell;

	learn_weights(fit, parts, weights);

	/* Heaviest first, without those that weigh nothing. */
	kept = palloc(list_length(parts) * sizeof(float));
	for (;;)
	{
		int			best = 0;

		for (int p = 1; p < list_length(parts); p++)
			if (weights[p] > weights[best])
				best = p;
		if (weights[best] <= 0)
			break;
		kept[list_length(ordered)] = weights[best];
		ordered = lappend(ordered, list_nth(parts, best));
		weights[best] = 0;
	}

	rlrec_parts_write(ordered, prefix, "parts", tensors);
	memcpy(rlrec_tensors_add(tensors, psprintf("%sweights", prefix), RLREC_F32, 1, list_length(ordered), 0),
		   kept, list_length(ordered) * sizeof(float));
	foreach(cell, ordered)
	{
		const RlrecLearner *part = lfirst(cell);

		ereport(DEBUG1,
				(errmsg_internal("hybrid: learner \"%s\" weighs %.3f", part->name, kept[foreach_current_index(cell)])));
		rlrec_parts_fit(part, fit, prefix, tensors);
	}
}

static List *
read_parts(const RlrecModel *model, const float **weights)
{
	List	   *parts = rlrec_parts_read(model, "parts");

	*weights = rlrec_model_data(model, "weights", RLREC_F32, list_length(parts));
	return parts;
}

static void
hybrid_describe(const RlrecModel *model, StringInfo json)
{
	const float *weights;
	List	   *parts = read_parts(model, &weights);

	rlrec_parts_describe(parts, "weights", weights, json);
}

/* Parts that the history tells nothing take no part; where popularity alone would speak, the caller recommends what is popular. */
static bool
hybrid_score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	const float *weights;
	List	   *parts = read_parts(model, &weights);
	int32		n_items = model->items.n;
	bool	   *seen = items_of(model, history);
	float	   *own = palloc(Max(n_items, 1) * sizeof(float));
	bool		any = false;
	ListCell   *cell;

	memset(scores, 0, n_items * sizeof(float));
	foreach(cell, parts)
	{
		RlrecModel	part = rlrec_parts_open(model, lfirst(cell));
		float		weight = weights[foreach_current_index(cell)];

		if (!part.learner->score(&part, history, own))
			continue;
		any |= weight != 0 && part.learner != &rlrec_popularity;
		spread(n_items, seen, own);
		for (int32 i = 0; i < n_items; i++)
			scores[i] += weight * own[i];
	}
	return any;
}

const RlrecLearner rlrec_hybrid = {
	.name = "hybrid",
	.summary = "a blend of other learners, with weights learned on validation",
	.options = hybrid_options,
	.obstacle = hybrid_obstacle,
	.fit = hybrid_fit,
	.score = hybrid_score,
	.describe = hybrid_describe,
	.similar = rlrec_parts_similar
};
