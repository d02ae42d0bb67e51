/*
 * train.c
 *	  rlrec_train(): read the events, fit the learner, store a version, deploy it.
 *
 * Runs as the agent's owner, in the caller's transaction: a training that fails, is cancelled or crashes leaves the deployed version
 * serving. A second training of the same agent waits for the first (lock_timeout applies).
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "baseline/auto.h"
#include "compat.h"
#include "data/features.h"
#include "evaluate/gate.h"
#include "evaluate/sequence.h"
#include "learner/learner.h"
#include "learner/validate.h"
#include "store/agent.h"
#include "store/catalog.h"
#include "store/events.h"
#include "store/model.h"
#include "store/online.h"
#include "store/past.h"
#include "store/progress.h"
#include "store/state_key.h"
#include "train/train.h"

void
rlrec_fit_begin(RlrecFit *fit, const RlrecAgent *agent)
{
	RlrecEvents *events;

	memset(fit, 0, sizeof(*fit));
	fit->budget = (Size) maintenance_work_mem * 1024;
	fit->options = agent->options;
	fit->encoder = agent->encoder;
	events = rlrec_events_read(agent, fit->budget, true, false);
	rlrec_state_keys_read(agent, events);
	fit->events = events;
	if (OidIsValid(agent->items))
	{
		RlrecRole	saved;

		rlrec_progress("reading items", 0, events->items.n);
		rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
		fit->features = rlrec_features_read(agent->items, agent->item_key, &events->items);
		rlrec_run_back(&saved);
	}
}

/* ---------------------------------------------------------------- metrics */

/* What rlrec_train() says of a model. */
static Jsonb *
describe_model(const RlrecFit *fit, const RlrecModel *model)
{
	const RlrecEvents *events = fit->events;
	StringInfoData json;
	int64		n = 0;

	for (int32 u = 0; u < events->users.n; u++)
		n += events->end[u] - events->start[u];
	initStringInfo(&json);
	appendStringInfo(&json, "{\"events\": %lld, \"users\": %d, \"items\": %d, \"bytes\": %llu", (long long) n, events->users.n,
					 events->items.n, (unsigned long long) rlrec_image_size(model->tensors));
	if (model->learner->describe != NULL)
		model->learner->describe(model, &json);
	appendStringInfoChar(&json, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

/* ---------------------------------------------------------------- deploying */

RlrecDeploy
rlrec_deploy_argument(FunctionCallInfo fcinfo, int n)
{
	const char *deploy = PG_ARGISNULL(n) ? "always" : text_to_cstring(PG_GETARG_TEXT_PP(n));

	if (strcmp(deploy, "always") == 0)
		return RLREC_DEPLOY_ALWAYS;
	if (strcmp(deploy, "never") == 0)
		return RLREC_DEPLOY_NEVER;
	if (strcmp(deploy, "if_better") == 0)
		return RLREC_DEPLOY_IF_BETTER;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown value \"%s\" of deploy", deploy),
			 errhint("Use 'always', 'never' or 'if_better'.")));
}

static double
split_ndcg(const RlrecLearner *learner, const RlrecFit *fit, const Jsonb *options, const RlrecSplit *split)
{
	RlrecFit	part = *fit;
	RlrecMetrics metrics;

	part.options = options;
	rlrec_validate_learner(learner, &part, split, 10, NULL, &metrics);
	return metrics.ndcg;
}

/*
 * Whether the agent's learner with its options is at least as good as what serves now: both are fitted on the first part of a temporal split
 * (leave-one-out where there is no time) and measured by NDCG@10 on the rest. The incumbent itself cannot be measured there, as it may have
 * learned from the rest.
 */
static bool
ranks_better(const RlrecAgent *agent, const RlrecFit *fit, const RlrecModelRow *row)
{
	const RlrecLearner *challenger = rlrec_learner_find(agent->learner);
	const RlrecLearner *incumbent = rlrec_learner_find(row->learner);
	const RlrecSplit *split;
	double		challenger_ndcg,
				incumbent_ndcg;

	split = rlrec_split_has_time(fit->events) ? rlrec_split_temporal(fit->events, 0.9) : rlrec_split_leave_one_out(fit->events);
	challenger_ndcg = split_ndcg(challenger, fit, agent->options, split);
	incumbent_ndcg = split_ndcg(incumbent, fit, row->options, split);
	if (challenger_ndcg >= incumbent_ndcg)
		return true;
	ereport(NOTICE,
			(errmsg("version %d keeps serving agent \"%s\"", row->version, agent->name),
			 errdetail("NDCG@10 on held-out events: %s now %.4f, %s newly trained %.4f.", row->learner, incumbent_ndcg, agent->learner,
					   challenger_ndcg)));
	return false;
}

/*
 * Whether the agent's learner, fitted on what came before the later half of the matured decisions of the version that serves, would surely have
 * earned more by these than that version did. They trained neither of the two.
 */
static bool
earns_more(const RlrecAgent *agent, const RlrecFit *fit, const RlrecModelRow *row)
{
	RlrecGain	gain = {0};
	RlrecMaturedDecision *decisions;
	int64		n;

	decisions = rlrec_gate_decisions(agent, row, DT_NOBEGIN, &n);
	if (n > 0)
	{
		int64		cut = rlrec_events_cut(agent, decisions[n / 2].served_at);
		RlrecFit	part = *fit;
		RlrecModel *candidate;

		part.events = &rlrec_split_before(fit->events, cut)->train;
		part.past = NULL;
		candidate = rlrec_learner_fit(rlrec_learner_find(agent->learner), &part);
		gain = rlrec_gate_measure(agent, rlrec_target_open(agent, candidate, fit->events, true), n - n / 2, decisions + n / 2);
		if (gain.lower > 0)
			return true;
	}
	ereport(NOTICE,
			(errmsg("version %d keeps serving agent \"%s\"", row->version, agent->name),
			 n == 0 ? errdetail("None of its matured decisions counts, so nothing proves another better.") :
			 gain.users < RLREC_LEAST_CLUSTERS ?
			 errdetail("There are too few users: the later half of its matured decisions is for %lld, and a bound of the gain needs %d.",
					   (long long) gain.users, RLREC_LEAST_CLUSTERS) :
			 !isfinite(gain.lower) ?
			 errdetail("%lld of its matured decisions for %lld users all came to the same, so nothing proves another better.",
					   (long long) gain.decisions, (long long) gain.users) :
			 errdetail("By %lld of its matured decisions for %lld users, of mean reward %.4g, the candidate would have earned %.4g more, at least %.4g;"
					   " the log tells of %.0f %% of what it would show.", (long long) gain.decisions, (long long) gain.users, gain.incumbent,
					   gain.gain, gain.lower, 100 * Min(gain.support, 1))));
	return false;
}

/* Once decisions have matured it is what they came to that counts; where events have no time, no model can be kept from knowing it. */
static bool
is_better(const RlrecAgent *agent, const RlrecFit *fit)
{
	RlrecModelRow *row = agent->deployed ? rlrec_model_row(agent->deployed) : NULL;

	if (row == NULL || rlrec_learner_find(row->learner) == NULL)
		return true;
	if (agent->time_column && rlrec_matured_any(agent))
		return earns_more(agent, fit, row);
	return ranks_better(agent, fit, row);
}

const char *
rlrec_model_source(const RlrecModel *model)
{
	const char *chosen = rlrec_auto_chosen(model);

	return chosen ? chosen : model->learner->name;
}

/* ---------------------------------------------------------------- rlrec_train */

/* Fits the agent's learner as its owner; metrics and whether the model deserves to serve come with it. */
static RlrecModel *
fit_as_owner(const RlrecAgent *agent, RlrecDeploy when, Jsonb **metrics, bool *deploy)
{
	RlrecFit	fit;
	RlrecModel *model;
	RlrecRole	saved;

	rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
	rlrec_fit_begin(&fit, agent);
	fit.past = rlrec_past_open(agent);
	*deploy = when == RLREC_DEPLOY_ALWAYS || (when == RLREC_DEPLOY_IF_BETTER && is_better(agent, &fit));
	model = rlrec_learner_fit(rlrec_learner_find(agent->learner), &fit);
	*metrics = describe_model(&fit, model);
	rlrec_past_close(fit.past);
	rlrec_run_back(&saved);
	return model;
}

void
rlrec_train_agent(const char *name, RlrecDeploy when, RlrecTraining *training)
{
	TimestampTz started = GetCurrentTimestamp();
	RlrecAgent *agent;
	RlrecModel *model;
	Datum		seen;
	int64		id;

	/* What was committed while this waited for the lock counts. */
	agent = rlrec_agent_get_locked(name, RLREC_AGENT_LOCK, "rlrec_train()");
	seen = rlrec_seen_of(GetActiveSnapshot(), true);
	rlrec_progress_start(agent->anchor, true);
	model = fit_as_owner(agent, when, &training->metrics, &training->deployed);
	SPI_connect();
	id = rlrec_model_store(agent, model, training->metrics, (GetCurrentTimestamp() - started) / 1e6, &training->version);
	rlrec_online_set_seen(agent->id, id, seen);
	if (training->deployed)
		rlrec_model_deploy(agent, id);
	rlrec_model_trim(agent);
	SPI_finish();
	PopActiveSnapshot();
	rlrec_past_forget(agent);
	rlrec_progress_end();
	training->seconds = (GetCurrentTimestamp() - started) / 1e6;
}

PG_FUNCTION_INFO_V1(rlrec_train);
Datum
rlrec_train(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RlrecDeploy when = rlrec_deploy_argument(fcinfo, 1);
	MemoryContext context,
				old;
	RlrecTraining training;
	Datum		values[4];
	bool		nulls[4] = {false};

	InitMaterializedSRF(fcinfo, 0);
	context = AllocSetContextCreate(CurrentMemoryContext, "rlrec training", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	rlrec_train_agent(rlrec_text_argument(fcinfo, 0), when, &training);
	values[0] = Int32GetDatum(training.version);
	values[1] = JsonbPGetDatum(training.metrics);
	values[2] = Float8GetDatum(training.seconds);
	values[3] = BoolGetDatum(training.deployed);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (Datum) 0;
}
