/*
 * bare_agent.c
 *	  Agents without events: their options and learners, checked when they are made or altered.
 */
#include "postgres.h"

#include "learner/linear_bandit.h"
#include "learner/tabular.h"
#include "store/bare_agent.h"

#define MAX_STATE_SIZE 100000

const RlrecOption rlrec_bare_options[] = {
	{"actions", RLREC_OPTION_STRINGS, 0, 0, 0, "the actions' names"},
	{"state_size", RLREC_OPTION_INT, 0, 1, MAX_STATE_SIZE, "numbers of a state; text states when not given"},
	{NULL}
};

static const RlrecOnlineLearner *const online_learners[] = {
	&rlrec_dqn_online, &rlrec_reinforce_online, &rlrec_actor_critic_online, &rlrec_linucb_online, &rlrec_lints_online
};

const RlrecOnlineLearner *
rlrec_online_find(const char *name)
{
	for (int i = 0; i < (int) lengthof(online_learners); i++)
		if (strcmp(online_learners[i]->name, name) == 0)
			return online_learners[i];
	return NULL;
}

static void
check_without_events(const RlrecAgent *agent)
{
	const char *given = agent->user_column ? "user_column" : agent->item_column ? "item_column" : agent->time_column ? "time_column" :
		agent->event_column ? "event_column" : agent->value_column ? "value_column" : agent->rewards ? "rewards" :
		OidIsValid(agent->items) ? "items" : OidIsValid(agent->users) ? "users" : OidIsValid(agent->candidates) ? "candidates" :
		agent->item_key ? "item_key" : agent->candidate_key ? "candidate_key" : NULL;

	if (given)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s needs a table of events", given),
				 errhint("Name it: rlrec_create_agent('%s', events => 'events', ...). Without events an agent is a bare environment.",
						 agent->name)));
	if (agent->options == NULL || rlrec_option_names(agent->options, rlrec_bare_options, "actions") == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("agent \"%s\" needs a table of events, or actions", agent->name),
				 errhint("Name the table: rlrec_create_agent('%s', events => 'events'); or, for a bare environment, the actions: "
						 "options => '{\"actions\": [\"left\", \"right\"]}'.", agent->name)));
}

void
rlrec_bare_agent_check(RlrecAgent *agent)
{
	RlrecTabular tabular;
	const RlrecOption *specs[] = {rlrec_bare_options, NULL};
	bool		is_vector;

	is_vector = agent->options && JB_ROOT_IS_OBJECT(agent->options) &&
		rlrec_option_given(agent->options, "state_size");
	if (strcmp(agent->learner, "auto") == 0)
		agent->learner = is_vector ? "dqn" : "qlearning";
	if (rlrec_tabular_read(agent->learner, NULL, &tabular))
		specs[1] = rlrec_tabular_options;
	else if (rlrec_online_find(agent->learner))
		specs[1] = rlrec_online_find(agent->learner)->options;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("learner \"%s\" needs a table of events", agent->learner),
				 errhint("Name one with events => '...'. The learners of a bare environment are qlearning, sarsa, expected_sarsa and double_q "
						 "for text states, and dqn, reinforce, actor_critic, linucb and lints for vectors.")));
	rlrec_options_check_object("options", agent->options, 2, specs);
	check_without_events(agent);
	if (rlrec_tabular_read(agent->learner, agent->options, &tabular) && tabular.update == RLREC_DOUBLE_Q && tabular.lambda > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("learner \"double_q\" has no eligibility traces"),
				 errhint("Leave out lambda, or choose learner qlearning, sarsa or expected_sarsa.")));
	if (is_vector != (rlrec_online_find(agent->learner) != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 is_vector ? errmsg("learner \"%s\" learns from text states, not from vectors", agent->learner) :
				 errmsg("learner \"%s\" learns from vectors, not from text states", agent->learner),
				 is_vector ? errhint("Leave out state_size, or choose learner dqn, reinforce, actor_critic, linucb or lints.") :
				 errhint("Say how many numbers a state has: \"state_size\": 4; or choose learner qlearning.")));
}
