/*
 * ranking.c
 *	  rlrec_evaluate(): how well learners find what was held out, a row a learner.
 *
 * The metrics are learner/validate.c's, the protocols data/split.c's; docs/evaluation.md defines both.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "learner/learner.h"
#include "learner/validate.h"
#include "serve/arguments.h"
#include "store/progress.h"
#include "train/train.h"

#define TEMPORAL_QUANTILE 0.8

static const RlrecSplit *
split_of(const char *protocol, const RlrecEvents *events)
{
	if (strcmp(protocol, "leave_one_out") == 0)
		return rlrec_split_leave_one_out(events);
	if (strcmp(protocol, "temporal") == 0)
		return rlrec_split_temporal(events, TEMPORAL_QUANTILE);
	if (strcmp(protocol, "last_fifth") == 0)
		return rlrec_split_last_share(events, 0.2);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown protocol \"%s\"", protocol),
			 errhint("The protocols are leave_one_out, temporal and last_fifth.")));
}

/* The learners of a text[], all of them errors when unknown. */
static List *
named_learners(ArrayType *names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	List	   *learners = NIL;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			continue;
		rlrec_options_check(TextDatumGetCString(elements[i]), NULL, 0, NULL);
		learners = lappend(learners, unconstify(RlrecLearner *, rlrec_learner_find(TextDatumGetCString(elements[i]))));
	}
	return learners;
}

/*
 * Every learner that can be fitted, the agent's own first; auto, being one of the others, and those that take long only when they are the
 * agent's own.
 */
static List *
eligible_learners(const RlrecAgent *agent, const RlrecFit *fit)
{
	const RlrecLearner *own = rlrec_learner_find(agent->learner);
	List	   *learners = list_make1(unconstify(RlrecLearner *, own));

	for (const RlrecLearner *const *learner = rlrec_learners; *learner != NULL; learner++)
	{
		const char *obstacle;

		if (*learner == own || *learner == &rlrec_auto || (*learner)->encoder != NULL || (*learner)->when_named)
			continue;
		obstacle = (*learner)->obstacle ? (*learner)->obstacle(fit) : NULL;
		if (obstacle)
			ereport(NOTICE,
					(errmsg("learner \"%s\" is left out", (*learner)->name),
					 errdetail("It cannot be fitted: %s.", obstacle)));
		else
			learners = lappend(learners, unconstify(RlrecLearner *, *learner));
	}
	return learners;
}

static void
return_metrics(ReturnSetInfo *result, const RlrecLearner *learner, const RlrecMetrics *metrics)
{
	Datum		values[12];
	bool		nulls[12] = {false};

	values[0] = CStringGetTextDatum(learner->name);
	values[1] = Int64GetDatum(metrics->users);
	values[2] = Float8GetDatum(metrics->precision);
	values[3] = Float8GetDatum(metrics->recall);
	values[4] = Float8GetDatum(metrics->hit_rate);
	values[5] = Float8GetDatum(metrics->ndcg);
	values[6] = Float8GetDatum(metrics->mrr);
	values[7] = Float8GetDatum(metrics->coverage);
	values[8] = Float8GetDatum(metrics->novelty);
	values[9] = Float8GetDatum(metrics->diversity);
	values[10] = Float8GetDatum(metrics->fit_seconds + metrics->seconds);
	values[11] = Float8GetDatum(metrics->reward_ndcg);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* rlrec_evaluate(agent, k, protocol, learners) */
PG_FUNCTION_INFO_V1(rlrec_evaluate);
Datum
rlrec_evaluate(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 0);
	int			k = rlrec_k_argument(fcinfo, 1);
	char	   *protocol = PG_ARGISNULL(2) ? "leave_one_out" : text_to_cstring(PG_GETARG_TEXT_PP(2));
	MemoryContext context,
				old;
	const RlrecSplit *split;
	RlrecFit	fit;
	List	   *learners;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	context = AllocSetContextCreate(CurrentMemoryContext, "rlrec evaluation", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	rlrec_progress_start(agent->anchor, false);
	learners = PG_ARGISNULL(3) ? NIL : named_learners(PG_GETARG_ARRAYTYPE_P(3));
	rlrec_fit_begin(&fit, agent);
	split = split_of(protocol, fit.events);
	if (split->n_tests == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("agent \"%s\" has no user whose events could be held out by protocol \"%s\"", agent->name, protocol),
				 errhint("Leave-one-out needs users with at least 3 events, last_fifth with at least 5; the temporal split needs users with events before and after it.")));
	if (PG_ARGISNULL(3))
		learners = eligible_learners(agent, &fit);
	foreach(cell, learners)
	{
		RlrecMetrics metrics;

		rlrec_validate_learner(lfirst(cell), &fit, split, k, NULL, &metrics);
		return_metrics((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell), &metrics);
	}
	rlrec_progress_end();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (Datum) 0;
}
