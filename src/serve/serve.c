/*
 * serve.c
 *	  rlrec_serve(): what is shown to a user by the agent's stochastic policy, with its probability, and logged.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "learner/rerank.h"
#include "policy/policy.h"
#include "policy/slate.h"
#include "serve/arguments.h"
#include "serve/experiment.h"
#include "serve/recommend.h"
#include "serve/serve.h"
#include "store/cache.h"
#include "store/decision.h"
#include "store/model.h"
#include "tensor/random.h"

/* Seeds are whole numbers that JSON keeps. */
#define SEED_BITS 53

static const RlrecOption context_options[] = {
	{"seed", RLREC_OPTION_INT, 0, 0, 9007199254740991.0, "makes the draw repeatable"},
	{"marginals", RLREC_OPTION_BOOL, 0, 0, 1, "log the probability of each item to be at its position"},
	{NULL}
};

/* k, which is at most what a shortlist can be. */
static int
k_argument(FunctionCallInfo fcinfo)
{
	int			k = rlrec_k_argument(fcinfo, 1);

	if (k > RLREC_MOST_EXPLORED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be at most %d, not %d", RLREC_MOST_EXPLORED, k),
				 errhint("What is not shown to anybody is recommended by rlrec_recommend().")));
	return k;
}

static uint64
new_seed(void)
{
	static pg_prng_state state;
	static bool seeded = false;

	if (!seeded && !pg_prng_strong_seed(&state))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random seed")));
	seeded = true;
	return pg_prng_uint64(&state) >> (64 - SEED_BITS);
}

RlrecPolicy
rlrec_serve_policy(const RlrecAgent *agent, const RlrecLearner *learner, double age)
{
	RlrecRerank rerank = rlrec_rerank_read(agent->options);
	RlrecPolicy policy = rlrec_policy_read(agent->options, age);

	if (learner->explore && !rlrec_option_given(agent->options, "explore"))
		policy.explore = rlrec_exploration_find(learner->explore);
	policy.reranked = rlrec_rerank_matters(&rerank);
	return policy;
}

static RlrecPolicy
policy_of(const RlrecRequest *request, const Jsonb *context)
{
	double		age = rlrec_policy_decays(request->agent->options) ? rlrec_model_age(request->agent->deployed) : 0;
	RlrecPolicy policy = rlrec_serve_policy(request->agent, request->model->learner, age);

	policy.seed = rlrec_option_given(context, "seed") ? (uint64) rlrec_option_real(context, context_options, "seed") : new_seed();
	return policy;
}

/*
 * Standard errors of scores of which nothing else is known: those of the mean of as many observations as users had the item, and one:
 * range of the shortlist's scores / sqrt(1 + users), the posterior of Agrawal and Goyal 2013 for scores brought to 0 .. 1.
 */
static void
errors_by_count(const RlrecModel *model, int n, const RlrecRecommendation *best, float *error)
{
	float		least = INFINITY;
	float		greatest = -INFINITY;

	for (int i = 0; i < n; i++)
	{
		if (best[i].index < 0)
			continue;
		least = Min(least, best[i].score);
		greatest = Max(greatest, best[i].score);
	}
	for (int i = 0; i < n; i++)
		error[i] = (greatest > least ? greatest - least : 1) / sqrt(1 + (best[i].index < 0 ? 0 : model->count[best[i].index]));
}

/* Standard errors of the shortlist's scores: the learner's, where it has any and spoke; items that the model does not know are the last. */
float *
rlrec_serve_uncertainty(const RlrecRequest *request, int n, const RlrecRecommendation *best)
{
	const RlrecModel *model = request->model;
	float	   *error = palloc(Max(n, 1) * sizeof(float));
	int32	   *known = palloc(Max(n, 1) * sizeof(int32));
	int			n_known = 0;

	errors_by_count(model, n, best, error);
	if (model->learner->uncertainty == NULL || strcmp(request->source, rlrec_popularity.name) == 0)
		return error;
	for (; n_known < n && best[n_known].index >= 0; n_known++)
		known[n_known] = best[n_known].index;
	model->learner->uncertainty(model, &request->history, n_known, known, error);
	return error;
}

static void
cannot_marginalise(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("marginals of so many slates cannot be computed"),
			 errhint("Ask for a smaller k, set a smaller option \"explore_shortlist\", or explore by epsilon_greedy, whose marginals are always exact.")));
}

/* Draws the slate of at most k from the n best. */
static RlrecDecision
decide(const RlrecRequest *request, const RlrecPolicy *policy, int k, int n, const RlrecRecommendation *best, bool marginals)
{
	RlrecDecision decision = {0};
	Datum	   *item = palloc(Max(n, 1) * sizeof(Datum));
	float	   *logit = palloc(Max(n, 1) * sizeof(float));
	int		   *place = palloc(k * sizeof(int));
	double	   *propensity = palloc(k * sizeof(double));

	for (int i = 0; i < n; i++)
	{
		item[i] = PointerGetDatum(cstring_to_text_with_len(best[i].item, best[i].length));
		logit[i] = best[i].score;
	}
	decision.user = request->user;
	decision.served_at = GetCurrentStatementStartTimestamp();
	decision.item = item;
	decision.shortlist.n = n;
	decision.shortlist.logit = logit;
	if (rlrec_policy_is_uncertain(policy))
		decision.shortlist.uncertainty = rlrec_serve_uncertainty(request, n, best);
	decision.k = Min(k, n);
	decision.place = place;
	decision.propensity = propensity;
	decision.probability = rlrec_slate_draw(policy, &decision.shortlist, rlrec_random_key(policy->seed, RLREC_STREAM_SLATE), decision.k, place,
											propensity);
	if (marginals)
	{
		double	   *marginal = palloc(k * sizeof(double));

		if (!rlrec_slate_marginals(policy, &decision.shortlist, decision.k, place, marginal))
			cannot_marginalise();
		decision.marginal = marginal;
	}
	return decision;
}

/* Whether the decision could be logged; if so, its id. */
static bool
log_decision(const RlrecAgent *agent, const RlrecDecision *decision, int64 *id)
{
	if (XactReadOnly || RecoveryInProgress())
	{
		ereport(NOTICE,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("the decision of agent \"%s\" is not logged", agent->name),
				 errdetail("Nothing can be written %s, so decision_id is NULL and nothing will be learned of it.",
						   RecoveryInProgress() ? "during recovery" : "in a read-only transaction")));
		return false;
	}
	*id = rlrec_decision_insert(agent, decision);
	return true;
}

/* Reads the request for the agent's version, and draws from its best. */
static RlrecDecision
choose(FunctionCallInfo fcinfo, RlrecAgent *agent, int k, const Jsonb *context, bool marginals, RlrecRequest *request)
{
	RlrecRecommendation *best;
	RlrecPolicy policy;
	RlrecDecision decision;
	int			n;

	rlrec_request_read(fcinfo, agent, context_options, request);
	best = rlrec_request_best(fcinfo, request, rlrec_policy_shortlist(agent->options, k), &n);
	policy = policy_of(request, context);
	decision = decide(request, &policy, k, n, best, marginals);
	decision.policy = rlrec_policy_log(&policy, request->source, rlrec_option_given(context, "seed"));
	return decision;
}

/* Logs what the experiment's shadows would have shown, which has no marginals. */
static void
log_shadows(FunctionCallInfo fcinfo, const RlrecAgent *agent, const RlrecAssignment *assignment, int k, const Jsonb *context, int64 id)
{
	for (int i = 0; i < assignment->n_shadows; i++)
	{
		RlrecAgent	shadow = *agent;
		RlrecRequest request;
		RlrecDecision decision;

		shadow.deployed = assignment->shadow[i];
		decision = choose(fcinfo, &shadow, k, context, false, &request);
		rlrec_decision_insert_shadow(&shadow, id, &decision);
		rlrec_cache_release(request.model);
	}
}

/* rlrec_serve(user_id, k, agent, candidates, exclude, context) */
PG_FUNCTION_INFO_V1(rlrec_serve);
Datum
rlrec_serve(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			k = k_argument(fcinfo);
	const Jsonb *context = rlrec_jsonb_argument(fcinfo, 5);
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 2);
	RlrecAssignment assignment;
	RlrecRequest request;
	RlrecDecision decision;
	Datum		values[6];
	bool		nulls[6] = {false};
	int64		id = 0;

	InitMaterializedSRF(fcinfo, 0);
	assignment = rlrec_experiment_assign(agent, rlrec_id_argument(fcinfo, 0, agent, agent->user_column, "user_id"));
	decision = choose(fcinfo, agent, k, context, rlrec_option_bool(context, context_options, "marginals"), &request);
	decision.arm = assignment.arm;
	nulls[0] = decision.k > 0 && !log_decision(agent, &decision, &id);
	if (id != 0)
		log_shadows(fcinfo, agent, &assignment, k, context, id);
	values[0] = Int64GetDatum(id);
	values[5] = CStringGetTextDatum(request.source);
	for (int r = 0; r < decision.k; r++)
	{
		values[1] = Int32GetDatum(r + 1);
		values[2] = decision.item[decision.place[r]];
		values[3] = Float4GetDatum(decision.shortlist.logit[decision.place[r]]);
		values[4] = Float8GetDatum(decision.propensity[r]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	rlrec_cache_release(request.model);
	return (Datum) 0;
}
