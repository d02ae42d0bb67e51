/*
 * gate.c
 *	  The gain of a candidate over the version that serves, by importance weights.
 *
 * Everything is of the stochastic policy that rlrec_serve() would follow with the candidate (target.c), with as much exploration as the decision had,
 * so that to explore less or more is no gain of a version. What came of the item at place r is weighed by how much more probable the slate up to r
 * is under the candidate,
 *
 *	  w_r = product over j <= r of p_candidate(item_j | items before) / p_logged(item_j | items before)
 *
 * (reward-interaction importance sampling: McInerney et al., "Counterfactual evaluation of slate recommendations with sequential reward
 * interactions", KDD 2020, equation 6: an item's reward may depend on what is above it.) Only decisions of the incumbent itself count, whose own
 * weight is 1, so that a decision adds
 *
 *	  sum over r of (reward_r - b_r) (w_r - 1)
 *
 * to the gain, with b_r = min(0, least reward at r). That is on the safe side: probability that the candidate gives to items which the log
 * could not show, and what clipping cuts off a weight, counts as earning nothing, or where rewards are negative, the least of them. So no decision
 * can lose more than the sum of its (reward_r - b_r), and the values are skewed to the right, as the bound of sequence.c wants them: it reckons
 * with one more user whose decisions lose as much as any could. The price is that a rare reward far below 0 makes each value large, and
 * the gate weak.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "data/intern.h"
#include "evaluate/gate.h"
#include "evaluate/sequence.h"
#include "policy/slate.h"
#include "serve/serve.h"
#include "store/catalog.h"
#include "store/model.h"
#include "tensor/product.h"

#define MOST_WEIGHT 1000.0

/* Writes weight[decision->k]. */
static void
weigh(RlrecTarget *target, const RlrecMaturedDecision *decision, double *weight)
{
	RlrecTargetChoice choice = rlrec_target_choose(target, decision);
	RlrecProduct product = RLREC_PRODUCT_EMPTY;

	(void) rlrec_policy_probability(&choice.policy, &choice.shortlist, decision->k, choice.place, weight);
	for (int r = 0; r < decision->k; r++)
	{
		rlrec_product_multiply(&product, weight[r] / decision->propensity[r]);
		weight[r] = rlrec_product_value(&product);
	}
}

/* min(0, least reward) at each place: [most_k] */
static double *
baselines(int64 n, const RlrecMaturedDecision *decisions, int most_k)
{
	double	   *least = palloc0(Max(most_k, 1) * sizeof(double));

	for (int64 i = 0; i < n; i++)
		for (int r = 0; r < decisions[i].k; r++)
			least[r] = Min(least[r], decisions[i].reward[r]);
	return least;
}

/* What a decision adds to the gain, and takes from it at most, which is what weights of 0 would. */
static double
gain_of(const RlrecMaturedDecision *decision, const double *baseline, const double *weight, double *stake)
{
	double		gain = 0;

	*stake = 0;
	for (int r = 0; r < decision->k; r++)
	{
		double		reward = decision->reward[r] - baseline[r];

		gain += reward * (Min(weight[r], MOST_WEIGHT) - 1);
		*stake += reward;
	}
	return gain;
}

/*
 * Whether two policies differ in nothing but epsilon, by which the sign of a gain at the first place does not depend: what is explored is
 * drawn alike from all. With weights for an incumbent that explores otherwise than it did, heavy ones would have a minus, and the bound of
 * sequence.c be wrong.
 */
static bool
explore_alike(const RlrecPolicy *a, const RlrecPolicy *b)
{
	return a->explore == b->explore && a->reranked == b->reranked && a->floor == b->floor &&
		(a->explore != RLREC_EXPLORE_SOFTMAX || a->temperature == b->temperature) &&
		(a->explore != RLREC_EXPLORE_UCB || a->width == b->width) &&
		(a->explore != RLREC_EXPLORE_THOMPSON || a->draws == b->draws) &&
		(a->explore != RLREC_EXPLORE_SQUARECB || a->gamma == b->gamma);
}

RlrecMaturedDecision *
rlrec_gate_decisions(const RlrecAgent *agent, const RlrecModelRow *incumbent, TimestampTz since, int64 *n)
{
	const RlrecLearner *learner = rlrec_learner_find(incumbent->learner);
	RlrecMaturedDecision *decisions = rlrec_matured_decisions(agent, incumbent->id, since, RLREC_GATE_DECISIONS, n);
	RlrecPolicy now = rlrec_serve_policy(agent, learner, 0);
	int64		all = *n;

	*n = 0;
	for (int64 i = 0; i < all; i++)
		if (explore_alike(&decisions[i].policy, &now))
			decisions[(*n)++] = decisions[i];
	if (*n < all)
		ereport(NOTICE,
				(errmsg("%lld of %lld decisions of version %d do not count", (long long) (all - *n), (long long) all, incumbent->version),
				 errdetail("They were made with other options of exploration than agent \"%s\" has now.", agent->name)));
	return decisions;
}

RlrecGain
rlrec_gate_measure(const RlrecAgent *agent, RlrecTarget *candidate, int64 n, const RlrecMaturedDecision *decisions)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec decision", ALLOCSET_DEFAULT_SIZES);
	RlrecIntern *users = rlrec_intern_create();
	int32	   *user = palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	double	   *value = palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	double		alpha = 1 - rlrec_option_real(agent->options, rlrec_agent_options, "deploy_confidence");
	double	   *baseline;
	double		most_stake = 0;
	RlrecClusteredMean mean;
	RlrecGain	gain = {0};
	int32		n_users = 0;
	int			most_k = 0;

	for (int64 i = 0; i < n; i++)
		most_k = Max(most_k, decisions[i].k);
	baseline = baselines(n, decisions, most_k);
	for (int64 i = 0; i < n; i++)
	{
		MemoryContext old;
		double	   *weight;
		double		stake;

		CHECK_FOR_INTERRUPTS();
		rlrec_progress("weighing decisions", i, n);
		user[i] = rlrec_intern_add(users, decisions[i].user, strlen(decisions[i].user));
		n_users = Max(n_users, user[i] + 1);
		old = MemoryContextSwitchTo(context);
		weight = palloc(Max(decisions[i].k, 1) * sizeof(double));
		weigh(candidate, &decisions[i], weight);
		value[i] = gain_of(&decisions[i], baseline, weight, &stake);
		most_stake = Max(most_stake, stake);
		gain.support += decisions[i].k > 0 ? weight[0] / n : 0;
		for (int r = 0; r < decisions[i].k; r++)
			gain.incumbent += decisions[i].reward[r] / n;
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	mean = rlrec_clustered_mean(n, value, user, n_users);
	gain.decisions = n;
	gain.users = mean.clusters;
	gain.gain = mean.mean;
	gain.lower = rlrec_sequence_lower(n, value, user, n_users, -most_stake, alpha);
	MemoryContextDelete(context);
	return gain;
}

/* ---------------------------------------------------------------- rlrec_gain */

/* Measures a stored version as the agent's owner. */
static RlrecGain
gain_of_version(const RlrecAgent *agent, const RlrecModelRow *row)
{
	RlrecMaturedDecision *decisions;
	RlrecTarget *target;
	RlrecGain	gain;
	RlrecRole	saved;
	int64		n;

	rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
	decisions = rlrec_gate_decisions(agent, rlrec_model_row(agent->deployed), rlrec_model_trained_at(row), &n);
	target = rlrec_target_open_version(agent, row->id, true);
	gain = rlrec_gate_measure(agent, target, n, decisions);
	rlrec_target_close(target);
	rlrec_run_back(&saved);
	return gain;
}

/* rlrec_gain(agent, version) */
PG_FUNCTION_INFO_V1(rlrec_gain);
Datum
rlrec_gain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN);
	Datum		values[6];
	bool		nulls[6] = {false};
	RlrecModelRow *row;
	RlrecGain	gain;

	InitMaterializedSRF(fcinfo, 0);
	row = rlrec_model_find(agent, rlrec_version_argument(fcinfo, 1));
	if (agent->deployed == 0 || agent->time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the gain of a version of agent \"%s\" cannot be measured", agent->name),
				 agent->deployed == 0 ? errdetail("No version serves, so there is none to compare with.") :
				 errdetail("Its events have no time, so that nobody can tell which of them came before a decision.")));
	gain = gain_of_version(agent, row);
	if (gain.decisions == 0)
		ereport(NOTICE,
				(errmsg("no decision tells what version %d of agent \"%s\" would gain", row->version, agent->name),
				 errdetail("What counts was decided by the version that serves, after the training of the other, and longer ago than the option horizon, "
						   "a day where that is 0.")));
	values[0] = Int64GetDatum(gain.decisions);
	values[1] = Int64GetDatum(gain.users);
	values[2] = Float8GetDatum(gain.incumbent);
	values[3] = Float8GetDatum(gain.gain);
	values[4] = Float8GetDatum(gain.lower);
	values[5] = Float8GetDatum(gain.support);
	nulls[2] = nulls[3] = nulls[5] = gain.decisions == 0;
	nulls[4] = !isfinite(gain.lower);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
