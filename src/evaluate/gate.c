/*
 * gate.c
 *	  The gain of a candidate over the version that serves, by importance weights.
 *
 * Everything is of the stochastic policy that rlrec_serve() would follow with the candidate: its own shortlist out of the whole catalogue for the
 * user's history before the decision, its exploration, and by these the probability of what was shown. What came of the item at place r is
 * weighed by how much more probable the slate up to r is under the candidate,
 *
 *	  w_r = product over j <= r of p_candidate(item_j | items before) / p_logged(item_j | items before)
 *
 * (reward-interaction importance sampling: McInerney et al., "Counterfactual evaluation of slate recommendations with sequential reward
 * interactions", KDD 2020, equation 6: an item's reward may depend on what is above it.) Only decisions of the incumbent itself count, whose own
 * weight is 1, so that a decision adds
 *
 *	  sum over r of (reward_r - b_r) (w_r - 1)
 *
 * to the gain, with b_r = min(0, mean reward at r). That is on the safe side: probability that the candidate gives to items which the log
 * could not show, and what clipping cuts off a weight, counts as earning nothing, or where the mean is negative, the mean. And the values are skewed to
 * the right, as the bound of sequence.c wants them.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "data/intern.h"
#include "data/rewards.h"
#include "data/split.h"
#include "evaluate/gate.h"
#include "evaluate/sequence.h"
#include "policy/policy.h"
#include "policy/slate.h"
#include "serve/arguments.h"
#include "serve/serve.h"
#include "store/cache.h"
#include "store/catalog.h"
#include "store/events.h"
#include "store/model.h"
#include "store/state_key.h"

#define MOST_WEIGHT 1000.0

typedef struct Gate
{
	const RlrecAgent *agent;
	const RlrecModel *model;
	const RlrecEvents *events;
	const int32 *item;			/* [events->items.n] in the model, -1 for none */
	const int32 *type;			/* [events->types.n] the same of types of events */
	RlrecCandidates candidates;
	RlrecRerank rerank;
	bool		exclude_seen;
	float	   *scores;			/* [model->items.n] */
	int64	   *first;			/* [events->items.n] scratch of rlrec_rewards_credit() */
} Gate;

/* What the user had before a time, as rlrec_history_read() would have read it then; marks all of it in seen unless that is NULL. */
static RlrecHistory
history_before(Gate *gate, const char *user, int64 time, RlrecItemSet *seen)
{
	const RlrecEvents *events = gate->events;
	int32		u = rlrec_dictionary_find(&events->users, user, strlen(user));
	int64		start = u < 0 ? 0 : events->start[u];
	int64		n = u < 0 ? 0 : rlrec_split_first_not_before(events, u, time) - start;
	int32	   *item = palloc(Max(n, 1) * sizeof(int32));
	int64	   *times = palloc(Max(n, 1) * sizeof(int64));
	float	   *reward = palloc(Max(n, 1) * sizeof(float));
	uint8	   *type = palloc(Max(n, 1) * sizeof(uint8));
	RlrecHistory history = {0, item, times, reward, type, time, {user, strlen(user)}, NULL};

	if (u >= 0)
		history.key = rlrec_events_key(events, u);
	memcpy(reward, events->own_reward + start, n * sizeof(float));
	if (events->rules.horizon > 0)
	{
		memset(gate->first, 0, events->items.n * sizeof(int64));
		rlrec_rewards_credit(&events->rules, 0, n, events->item + start, events->time + start, reward, gate->first);
	}
	for (int64 i = 0; i < n; i++)
	{
		int32		index = gate->item[events->item[start + i]];

		if (index < 0)
			continue;
		if (seen)
			seen->member[index] = true;
		if (!(reward[i] > 0))
			continue;
		item[history.n] = index;
		times[history.n] = events->time[start + i];
		type[history.n] = events->type[start + i] == 0 ? 0 : gate->type[events->type[start + i] - 1] + 1;
		reward[history.n++] = reward[i] / gate->model->reward_scale;
	}
	return history;
}

/* What was in the shortlist might be shown then, whatever the candidates are now. Returns the items' places in the model, -1 for none. */
static int32 *
allow_shortlist(Gate *gate, const RlrecMaturedDecision *decision, const Datum *item, RlrecItemSet *excluded, bool *was_candidate)
{
	int32	   *index = palloc(Max(decision->n, 1) * sizeof(int32));

	for (int i = 0; i < decision->n; i++)
	{
		index[i] = rlrec_dictionary_find(&gate->model->items, VARDATA_ANY(item[i]), VARSIZE_ANY_EXHDR(item[i]));
		if (index[i] < 0)
			continue;
		excluded->member[index[i]] = false;
		if (gate->candidates.member)
		{
			was_candidate[i] = gate->candidates.member[index[i]];
			gate->candidates.member[index[i]] = true;
		}
	}
	return index;
}

static void
disallow_shortlist(Gate *gate, int n, const int32 *index, const bool *was_candidate)
{
	for (int i = 0; i < n && gate->candidates.member; i++)
		if (index[i] >= 0)
			gate->candidates.member[index[i]] = was_candidate[i];
}

/* Writes weight[decision->k]. */
static void
weigh(Gate *gate, const RlrecMaturedDecision *decision, double *weight)
{
	RlrecRequest request = {0};
	RlrecPolicy policy = rlrec_serve_policy(gate->agent, gate->model, 0);
	RlrecShortlist shortlist = {0};
	RlrecRecommendation *best;
	int			most = rlrec_policy_shortlist(gate->agent->options, decision->k);
	int		   *place = palloc(Max(decision->k, 1) * sizeof(int));
	bool	   *was_candidate = palloc0(Max(decision->n, 1) * sizeof(bool));
	Datum	   *item;
	bool	   *nulls;
	float	   *logit;
	int32	   *index;
	double		product = 1;

	deconstruct_array(decision->shortlist, TEXTOID, -1, false, TYPALIGN_INT, &item, &nulls, &shortlist.n);
	request.agent = gate->agent;
	request.model = gate->model;
	request.excluded = rlrec_item_set_create(gate->model);
	request.history = history_before(gate, decision->user, rlrec_events_time(gate->agent, decision->served_at),
									 gate->exclude_seen ? &request.excluded : NULL);
	request.source = rlrec_score_history(gate->model, &request.history, gate->scores);
	index = allow_shortlist(gate, decision, item, &request.excluded, was_candidate);
	best = rlrec_recommendation_buffer(gate->model, &gate->candidates, &most);
	shortlist.n = rlrec_shortlist(gate->model, &gate->rerank, gate->scores, &gate->candidates, &request.excluded, most, best);
	disallow_shortlist(gate, decision->n, index, was_candidate);

	logit = palloc(Max(shortlist.n, 1) * sizeof(float));
	for (int i = 0; i < shortlist.n; i++)
		logit[i] = best[i].score;
	shortlist.logit = logit;
	policy.seed = (uint64) decision->id;
	if (rlrec_policy_is_uncertain(&policy))
		shortlist.uncertainty = rlrec_serve_uncertainty(&request, shortlist.n, best);
	for (int r = 0; r < decision->k; r++)
	{
		int32		shown = index[decision->place[r]];

		place[r] = shortlist.n - 1;
		while (place[r] >= 0 && (shown < 0 || best[place[r]].index != shown))
			place[r]--;
	}
	(void) rlrec_policy_probability(&policy, &shortlist, decision->k, place, weight);
	for (int r = 0; r < decision->k; r++)
	{
		product *= weight[r] / decision->propensity[r];
		weight[r] = product;
	}
}

/* min(0, mean reward) at each place: [most_k] */
static double *
baselines(int64 n, const RlrecMaturedDecision *decisions, int most_k)
{
	double	   *sum = palloc0(Max(most_k, 1) * sizeof(double));
	int64	   *count = palloc0(Max(most_k, 1) * sizeof(int64));

	for (int64 i = 0; i < n; i++)
		for (int r = 0; r < decisions[i].k; r++)
		{
			sum[r] += decisions[i].reward[r];
			count[r]++;
		}
	for (int r = 0; r < most_k; r++)
		sum[r] = Min(0, sum[r] / Max(count[r], 1));
	return sum;
}

/* What a decision adds to the gain. */
static double
gain_of(const RlrecMaturedDecision *decision, const double *baseline, const double *weight)
{
	double		gain = 0;

	for (int r = 0; r < decision->k; r++)
	{
		double		reward = decision->reward[r] - baseline[r];

		gain += reward * ((reward > 0 ? Min(weight[r], MOST_WEIGHT) : weight[r]) - 1);
	}
	return gain;
}

static Gate
open_gate(const RlrecAgent *agent, const RlrecModel *candidate, const RlrecEvents *events)
{
	Gate		gate = {0};

	gate.agent = agent;
	gate.model = candidate;
	gate.events = events;
	gate.item = rlrec_dictionary_map(&events->items, &candidate->items);
	gate.type = rlrec_dictionary_map(&events->types, &candidate->types);
	gate.rerank = rlrec_rerank_read(agent->options);
	gate.exclude_seen = rlrec_option_bool(agent->options, rlrec_agent_options, "exclude_seen");
	gate.scores = rlrec_score_buffer(candidate);
	gate.first = palloc_extended(Max(events->items.n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	rlrec_candidates_read(&gate.candidates, agent, candidate, NULL);
	return gate;
}

RlrecGain
rlrec_gate_measure(const RlrecAgent *agent, const RlrecModel *candidate, const RlrecEvents *events, int64 n,
				   const RlrecMaturedDecision *decisions)
{
	Gate		gate = open_gate(agent, candidate, events);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec decision", ALLOCSET_DEFAULT_SIZES);
	RlrecIntern *users = rlrec_intern_create();
	int32	   *user = palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	double	   *value = palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	double		alpha = 1 - rlrec_option_real(agent->options, rlrec_agent_options, "confidence");
	double	   *baseline;
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

		CHECK_FOR_INTERRUPTS();
		rlrec_progress("weighing decisions", i, n);
		user[i] = rlrec_intern_add(users, decisions[i].user, strlen(decisions[i].user));
		n_users = Max(n_users, user[i] + 1);
		old = MemoryContextSwitchTo(context);
		weight = palloc(Max(decisions[i].k, 1) * sizeof(double));
		weigh(&gate, &decisions[i], weight);
		value[i] = gain_of(&decisions[i], baseline, weight);
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
	gain.lower = mean.mean - rlrec_sequence_width(mean.n, mean.clusters, mean.clustered, mean.independent, alpha);
	MemoryContextDelete(context);
	return gain;
}

/* ---------------------------------------------------------------- rlrec_gain */

/* When the training of a version had read all that it learned from: decisions from then on are news to it. */
static TimestampTz
trained_at(const RlrecModelRow *row)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(row->id)};
	TimestampTz at;
	bool		isnull;

	SPI_connect();
	if (rlrec_catalog_execute("SELECT created_at + make_interval(secs => seconds) FROM rlrec.model WHERE id = $1", 1, types, values, NULL) != 1)
		elog(ERROR, "version %d is gone", row->version);
	at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return at;
}

/* Measures a stored version as the agent's owner. */
static RlrecGain
gain_of_version(const RlrecAgent *agent, const RlrecModelRow *row)
{
	RlrecAgent	other = *agent;
	RlrecMaturedDecision *decisions;
	const RlrecModel *model;
	RlrecEvents *events;
	RlrecGain	gain;
	RlrecRole	saved;
	int64		n;

	rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
	decisions = rlrec_matured_decisions(agent, agent->deployed, trained_at(row), RLREC_GATE_DECISIONS, &n);
	other.deployed = row->id;
	model = rlrec_cache_model(&other);
	events = rlrec_events_read(agent, (Size) maintenance_work_mem * 1024, false, true);
	rlrec_state_keys_read(agent, events);
	gain = rlrec_gate_measure(agent, model, events, n, decisions);
	rlrec_cache_release(model);
	rlrec_run_back(&saved);
	return gain;
}

/* rlrec_gain(agent, version) */
PG_FUNCTION_INFO_V1(rlrec_gain);
Datum
rlrec_gain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RlrecAgent *agent = rlrec_agent_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), RLREC_AGENT_OWN);
	Datum		values[6];
	bool		nulls[6] = {false};
	RlrecModelRow *row;
	RlrecGain	gain;

	InitMaterializedSRF(fcinfo, 0);
	row = rlrec_model_find(agent, PG_GETARG_INT32(1));
	if (agent->deployed == 0 || agent->time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the gain of a version of agent \"%s\" cannot be measured", agent->name),
				 agent->deployed == 0 ? errdetail("No version serves, so there is none to compare with.") :
				 errdetail("Its events have no time, so that nobody can tell which of them came before a decision.")));
	gain = gain_of_version(agent, row);
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
