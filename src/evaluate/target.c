/*
 * target.c
 *	  What rlrec_serve() would do with a version where decisions of others were logged.
 *
 * Its own shortlist out of the whole catalogue for the user's history before the decision, and its exploration. Candidates of the past are not
 * known: those of now count, and what the decision's own shortlist had.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"

#include "data/rewards.h"
#include "data/split.h"
#include "evaluate/target.h"
#include "policy/policy.h"
#include "serve/arguments.h"
#include "serve/serve.h"
#include "store/cache.h"
#include "store/events.h"
#include "store/state_key.h"

struct RlrecTarget
{
	const RlrecAgent *agent;
	const RlrecModel *model;
	const RlrecEvents *events;
	const int32 *item;			/* [events->items.n] in the model, -1 for none */
	const int32 *type;			/* [events->types.n] the same of types of events */
	RlrecCandidates candidates;
	RlrecRerank rerank;
	bool		exclude_seen;
	bool		as_logged;
	float	   *scores;			/* [model->items.n] */
	int64	   *first;			/* [events->items.n] scratch of rlrec_rewards_credit() */
};

/* What the user had before a time, as rlrec_history_read() would have read it then; marks all of it in seen unless that is NULL. */
static RlrecHistory
history_before(RlrecTarget *target, const char *user, TimestampTz time, RlrecItemSet *seen)
{
	const RlrecEvents *events = target->events;
	int32		u = rlrec_dictionary_find(&events->users, user, strlen(user));
	int64		start = u < 0 ? 0 : events->start[u];
	int64		n = u < 0 ? 0 : rlrec_split_first_not_before(events, u, rlrec_events_cut(target->agent, time)) - start;
	int32	   *item = palloc(Max(n, 1) * sizeof(int32));
	int64	   *times = palloc(Max(n, 1) * sizeof(int64));
	float	   *reward = palloc(Max(n, 1) * sizeof(float));
	uint8	   *type = palloc(Max(n, 1) * sizeof(uint8));
	RlrecHistory history = {0, item, times, reward, type, rlrec_events_time(target->agent, time), {user, strlen(user)}, NULL};

	if (u >= 0)
		history.key = rlrec_events_key(events, u);
	memcpy(reward, events->own_reward + start, n * sizeof(float));
	if (events->rules.horizon > 0)
	{
		memset(target->first, 0, events->items.n * sizeof(int64));
		rlrec_rewards_credit(&events->rules, 0, n, events->item + start, events->time + start, reward, target->first);
	}
	for (int64 i = 0; i < n; i++)
	{
		int32		index = target->item[events->item[start + i]];

		if (index < 0)
			continue;
		if (seen)
			seen->member[index] = true;
		if (!(reward[i] > 0))
			continue;
		item[history.n] = index;
		times[history.n] = events->time[start + i];
		type[history.n] = events->type[start + i] == 0 ? 0 : target->type[events->type[start + i] - 1] + 1;
		reward[history.n++] = reward[i] / target->model->reward_scale;
	}
	return history;
}

/* What was in the shortlist might be shown then, whatever the candidates are now. Returns the items' places in the model, -1 for none. */
static int32 *
allow_shortlist(RlrecTarget *target, const RlrecMaturedDecision *decision, const Datum *item, RlrecItemSet *excluded, bool *was_candidate)
{
	int32	   *index = palloc(Max(decision->n, 1) * sizeof(int32));

	for (int i = 0; i < decision->n; i++)
	{
		index[i] = rlrec_dictionary_find(&target->model->items, VARDATA_ANY(item[i]), VARSIZE_ANY_EXHDR(item[i]));
		if (index[i] < 0)
			continue;
		excluded->member[index[i]] = false;
		if (target->candidates.member)
		{
			was_candidate[i] = target->candidates.member[index[i]];
			target->candidates.member[index[i]] = true;
		}
	}
	return index;
}

static void
disallow_shortlist(RlrecTarget *target, int n, const int32 *index, const bool *was_candidate)
{
	for (int i = 0; i < n && target->candidates.member; i++)
		if (index[i] >= 0)
			target->candidates.member[index[i]] = was_candidate[i];
}

RlrecTargetChoice
rlrec_target_choose(RlrecTarget *target, const RlrecMaturedDecision *decision)
{
	RlrecRequest request = {0};
	RlrecTargetChoice choice = {0};
	int			most = target->as_logged ? Max(decision->n, 1) : rlrec_policy_shortlist(target->agent->options, decision->k);
	bool	   *was_candidate = palloc0(Max(decision->n, 1) * sizeof(bool));
	RlrecRecommendation *best;
	Datum	   *item;
	bool	   *nulls;
	float	   *logit;
	int32	   *index;
	int			n;

	deconstruct_array(decision->shortlist, TEXTOID, -1, false, TYPALIGN_INT, &item, &nulls, &n);
	choice.policy = rlrec_serve_policy(target->agent, target->model->learner, 0);
	if (target->as_logged && decision->policy.explore == RLREC_EXPLORE_EPSILON_GREEDY)
		choice.policy.epsilon = decision->policy.epsilon;
	request.agent = target->agent;
	request.model = target->model;
	request.excluded = rlrec_item_set_create(target->model);
	request.history = history_before(target, decision->user, decision->served_at, target->exclude_seen ? &request.excluded : NULL);
	request.source = rlrec_score_history(target->model, &request.history, target->scores);
	index = allow_shortlist(target, decision, item, &request.excluded, was_candidate);
	best = rlrec_recommendation_buffer(target->model, &target->candidates, &most);
	choice.shortlist.n = rlrec_shortlist(target->model, &target->rerank, target->scores, &target->candidates, &request.excluded, most, best);
	disallow_shortlist(target, decision->n, index, was_candidate);

	logit = palloc(Max(choice.shortlist.n, 1) * sizeof(float));
	for (int i = 0; i < choice.shortlist.n; i++)
		logit[i] = best[i].score;
	choice.best = best;
	choice.shortlist.logit = logit;
	choice.policy.seed = (uint64) decision->id;
	if (rlrec_policy_is_uncertain(&choice.policy))
		choice.shortlist.uncertainty = rlrec_serve_uncertainty(&request, choice.shortlist.n, best);
	choice.place = palloc(Max(decision->k, 1) * sizeof(int));
	for (int r = 0; r < decision->k; r++)
	{
		int32		shown = index[decision->place[r]];

		choice.place[r] = choice.shortlist.n - 1;
		while (choice.place[r] >= 0 && (shown < 0 || best[choice.place[r]].index != shown))
			choice.place[r]--;
	}
	return choice;
}

RlrecTarget *
rlrec_target_open(const RlrecAgent *agent, const RlrecModel *model, const RlrecEvents *events, bool as_logged)
{
	RlrecTarget *target = palloc0(sizeof(RlrecTarget));

	target->agent = agent;
	target->model = model;
	target->events = events;
	target->as_logged = as_logged;
	target->item = rlrec_dictionary_map(&events->items, &model->items);
	target->type = rlrec_dictionary_map(&events->types, &model->types);
	target->rerank = rlrec_rerank_read(agent->options);
	target->exclude_seen = rlrec_option_bool(agent->options, rlrec_agent_options, "exclude_seen");
	target->scores = rlrec_score_buffer(model);
	target->first = palloc_extended(Max(events->items.n, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	rlrec_candidates_read(&target->candidates, agent, model, NULL);
	return target;
}

RlrecTarget *
rlrec_target_open_version(const RlrecAgent *agent, int64 model, bool as_logged)
{
	RlrecAgent	other = *agent;
	const RlrecModel *version;
	RlrecEvents *events;

	other.deployed = model;
	version = rlrec_cache_model(&other);
	events = rlrec_events_read(agent, (Size) maintenance_work_mem * 1024, false, true);
	rlrec_state_keys_read(agent, events);
	return rlrec_target_open(agent, version, events, as_logged);
}

void
rlrec_target_close(RlrecTarget *target)
{
	rlrec_cache_release(target->model);
}
