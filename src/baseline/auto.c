/*
 * auto.c
 *	  The learner "auto": fits every learner that can be on an earlier part of the events, keeps the one that ranks the later part
 *	  best, and fits that on everything.
 *
 * The cut is global in time, as in use: a model is learnt from what was, and judged by what came after. Leave-one-out stands in where
 * the events have no time or too few users have events on both sides of the cut (ratings entered in one sitting). Where even that
 * tests next to nobody, NDCG would be noise, and auto takes popularity, which cannot be far wrong. Equal figures go to the earlier, the
 * simpler, learner of the registry.
 *
 * Tensors: "parts" the chosen learner, its own under its name; "candidates" and "ndcg" [candidates], when there was a comparison.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "baseline/auto.h"
#include "data/split.h"
#include "learner/validate.h"

#define CUT 0.9					/* time quantile */
#define LIST_LENGTH 10
#define ENOUGH_BY_TIME 50		/* tested users for the temporal split */
#define ENOUGH 10				/* tested users for any comparison */
#define MOST 10000				/* tested users, a sample of more */
#define SEED 1
#define SECONDS 600				/* for a fit that can stop, unless its options say otherwise */

static const RlrecOption auto_options[] = {
	{"learners", RLREC_OPTION_NAMES, 0, 0, 0, "learners to choose from; default all but hybrid"},
	{NULL}
};

/* NULL when the events are too few. */
static RlrecSplit *
choose_split(const RlrecEvents *events)
{
	RlrecSplit *split = NULL;

	if (rlrec_split_has_time(events))
		split = rlrec_split_temporal(events, CUT);
	if (split == NULL || split->n_tests < ENOUGH_BY_TIME)
		split = rlrec_split_leave_one_out(events);
	if (split->n_tests < ENOUGH)
		return NULL;
	rlrec_split_sample(split, MOST, SEED);
	return split;
}

/* Fills ndcg[] for each of the candidates; those that the training part is too small for get 0. Returns the best. */
static const RlrecLearner *
compare(const RlrecFit *fit, const RlrecSplit *split, const List *candidates, float *ndcg)
{
	RlrecFit	early = *fit;
	const RlrecLearner *best = NULL;
	float		highest = -1;
	ListCell   *cell;

	early.events = &split->train;
	foreach(cell, candidates)
	{
		const RlrecLearner *learner = lfirst(cell);
		float	   *figure = &ndcg[foreach_current_index(cell)];
		RlrecMetrics metrics = {0};

		if (learner->obstacle(&early) == NULL)
			rlrec_validate_learner(learner, fit, split, LIST_LENGTH, NULL, &metrics);
		*figure = metrics.ndcg;
		ereport(DEBUG1,
				(errmsg_internal("learner \"%s\": NDCG@%d %.4f on validation, %.1f s", learner->name, LIST_LENGTH,
								 metrics.ndcg, metrics.fit_seconds + metrics.seconds)));
		if (*figure > highest)
		{
			highest = *figure;
			best = learner;
		}
	}
	return best;
}

static const char *
auto_obstacle(const RlrecFit *fit)
{
	return rlrec_parts_choose(fit, auto_options, true, false) == NIL ? "none of the learners to choose from can be fitted" : NULL;
}

static void
auto_fit(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	List	   *candidates = rlrec_parts_choose(fit, auto_options, true, true);
	RlrecSplit *split = list_length(candidates) > 1 ? choose_split(fit->events) : NULL;
	RlrecFit	bounded = *fit;
	const RlrecLearner *chosen = linitial(candidates);

	bounded.seconds = SECONDS;
	if (split != NULL)
	{
		float	   *ndcg = rlrec_tensors_add(tensors, psprintf("%sndcg", prefix), RLREC_F32, 1, list_length(candidates), 0);

		rlrec_parts_write(candidates, prefix, "candidates", tensors);
		chosen = compare(&bounded, split, candidates, ndcg);
	}
	else if (list_member_ptr(candidates, &rlrec_popularity))
		chosen = &rlrec_popularity;

	rlrec_parts_write(list_make1((void *) chosen), prefix, "parts", tensors);
	rlrec_parts_fit(chosen, &bounded, prefix, tensors);
}

static RlrecModel
chosen_model(const RlrecModel *model)
{
	return rlrec_parts_open(model, linitial(rlrec_parts_read(model, "parts")));
}

static bool
auto_score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	RlrecModel	chosen = chosen_model(model);

	return chosen.learner->score(&chosen, history, scores);
}

static int
auto_dimension(const RlrecModel *model)
{
	RlrecModel	chosen = chosen_model(model);

	return rlrec_model_dimension(&chosen);
}

static bool
auto_encode(const RlrecModel *model, const RlrecHistory *history, float *state)
{
	RlrecModel	chosen = chosen_model(model);

	return chosen.learner->encode(&chosen, history, state);
}

static void
auto_decode(const RlrecModel *model, const float *state, float *scores)
{
	RlrecModel	chosen = chosen_model(model);

	chosen.learner->decode(&chosen, state, scores);
}

const char *
rlrec_auto_chosen(const RlrecModel *model)
{
	return model->learner == &rlrec_auto ? chosen_model(model).learner->name : NULL;
}

/* What was chosen, what that came to, and how the learners compared, unless the data were too few for that */
static void
auto_describe(const RlrecModel *model, StringInfo json)
{
	RlrecModel	chosen = chosen_model(model);

	appendStringInfo(json, ", \"chosen\": \"%s\"", chosen.learner->name);
	if (chosen.learner->describe != NULL)
		chosen.learner->describe(&chosen, json);
	if (rlrec_tensors_find(model->tensors, psprintf("%scandidates", model->prefix)) != NULL)
	{
		List	   *candidates = rlrec_parts_read(model, "candidates");

		rlrec_parts_describe(candidates, "validation_ndcg", rlrec_model_data(model, "ndcg", RLREC_F32, list_length(candidates)), json);
	}
}

const RlrecLearner rlrec_auto = {
	.name = "auto",
	.summary = "whichever learner ranks the most recent events best",
	.options = auto_options,
	.obstacle = auto_obstacle,
	.fit = auto_fit,
	.score = auto_score,
	.describe = auto_describe,
	.similar = rlrec_parts_similar,
	.dimension = auto_dimension,
	.encode = auto_encode,
	.decode = auto_decode
};
