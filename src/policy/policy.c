/*
 * policy.c
 *	  A policy as the options of an agent declare it, and as a decision logs it.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "policy/policy.h"

#define STRATEGIES "none, epsilon_greedy, softmax, ucb, thompson, squarecb"

/* In the order of RlrecExploration. */
static const char *const strategies[] = {"none", "epsilon_greedy", "softmax", "ucb", "thompson", "squarecb"};

const RlrecOption rlrec_explore_options[] = {
	{"explore", RLREC_OPTION_CHOICE, 0, 0, 0, STRATEGIES},
	{"explore_shortlist", RLREC_OPTION_INT, 0, 0, RLREC_MOST_EXPLORED, "of how many of the best items rlrec_serve() explores; 0 for three times k, at least 50"},
	{"explore_floor", RLREC_OPTION_REAL, 0, 0, 1, "least probability of each item of the shortlist that is left"},
	{"explore_epsilon", RLREC_OPTION_REAL, 0.1, 0, 1, "of epsilon_greedy: probability of a position to explore"},
	{"explore_epsilon_min", RLREC_OPTION_REAL, 0, 0, 1, "below which it does not fall"},
	{"explore_half_life", RLREC_OPTION_INTERVAL, 0, 0, 1e10, "in which explore_epsilon halves, from the training of the version on; 0 for never"},
	{"explore_temperature", RLREC_OPTION_REAL, 1, 1e-6, 1e6, "of softmax, in units of the scores"},
	{"explore_width", RLREC_OPTION_REAL, 1, 0, 1e6, "of ucb, in standard errors"},
	{"explore_draws", RLREC_OPTION_INT, 32, 1, 1000, "of thompson, that vote"},
	{"explore_gamma", RLREC_OPTION_REAL, 100, 0, 1e9, "of squarecb: more is greedier"},
	{NULL}
};

/* What a logged policy has besides */
static const RlrecOption logged_options[] = {
	{"reranked", RLREC_OPTION_BOOL, 0, 0, 1, "the best is what comes first in the shortlist"},
	{"seed", RLREC_OPTION_INT, 0, 0, 9007199254740991.0, "of the random numbers"},
	{"seeded", RLREC_OPTION_BOOL, 0, 0, 1, "whether the caller chose the seed"},
	{"source", RLREC_OPTION_TEXT, 0, 0, 0, "the learner that the scores are of"},
	{NULL}
};

RlrecExploration
rlrec_exploration_find(const char *name)
{
	for (int i = 0; i < (int) lengthof(strategies); i++)
		if (strcmp(strategies[i], name) == 0)
			return (RlrecExploration) i;
	elog(ERROR, "unknown exploration \"%s\"", name);
}

static RlrecExploration
strategy(const Jsonb *options)
{
	return rlrec_exploration_find(rlrec_option_choice(options, rlrec_explore_options, "explore"));
}

RlrecPolicy
rlrec_policy_read(const Jsonb *options, double age)
{
	RlrecPolicy policy = {0};
	double		half_life = rlrec_option_real(options, rlrec_explore_options, "explore_half_life");
	double		epsilon = rlrec_option_real(options, rlrec_explore_options, "explore_epsilon");
	double		least = rlrec_option_real(options, rlrec_explore_options, "explore_epsilon_min");

	policy.explore = strategy(options);
	policy.epsilon = half_life > 0 ? Max(epsilon * exp2(-Max(age, 0) / half_life), Min(least, epsilon)) : epsilon;
	policy.temperature = rlrec_option_real(options, rlrec_explore_options, "explore_temperature");
	policy.width = rlrec_option_real(options, rlrec_explore_options, "explore_width");
	policy.draws = rlrec_option_int(options, rlrec_explore_options, "explore_draws");
	policy.gamma = rlrec_option_real(options, rlrec_explore_options, "explore_gamma");
	policy.floor = rlrec_option_real(options, rlrec_explore_options, "explore_floor");
	return policy;
}

bool
rlrec_policy_decays(const Jsonb *options)
{
	return strategy(options) == RLREC_EXPLORE_EPSILON_GREEDY &&
		rlrec_option_real(options, rlrec_explore_options, "explore_half_life") > 0;
}

int
rlrec_policy_shortlist(const Jsonb *options, int k)
{
	int			given = rlrec_option_int(options, rlrec_explore_options, "explore_shortlist");

	return Max(k, given > 0 ? given : Min(Max(50, 3 * k), RLREC_MOST_EXPLORED));
}

/* The shortest decimal that is read as the same double. */
static void
append_number(StringInfo json, const char *name, double value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(value, digits);
	appendStringInfo(json, ", \"%s\": %s", name, digits);
}

Jsonb *
rlrec_policy_log(const RlrecPolicy *policy, const char *source, bool seeded)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"explore\": \"%s\"", strategies[policy->explore]);
	if (policy->explore == RLREC_EXPLORE_EPSILON_GREEDY)
		append_number(&json, "explore_epsilon", policy->epsilon);
	else if (policy->explore == RLREC_EXPLORE_SOFTMAX)
		append_number(&json, "explore_temperature", policy->temperature);
	else if (policy->explore == RLREC_EXPLORE_UCB)
		append_number(&json, "explore_width", policy->width);
	else if (policy->explore == RLREC_EXPLORE_THOMPSON)
		append_number(&json, "explore_draws", policy->draws);
	else if (policy->explore == RLREC_EXPLORE_SQUARECB)
		append_number(&json, "explore_gamma", policy->gamma);
	if (policy->floor > 0)
		append_number(&json, "explore_floor", policy->floor);
	if (policy->reranked)
		appendStringInfoString(&json, ", \"reranked\": true");
	appendStringInfo(&json, ", \"seed\": " UINT64_FORMAT, policy->seed);
	if (seeded)
		appendStringInfoString(&json, ", \"seeded\": true");
	appendStringInfoString(&json, ", \"source\": ");
	escape_json(&json, source);
	appendStringInfoChar(&json, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

RlrecPolicy
rlrec_policy_of_log(const Jsonb *logged)
{
	const RlrecOption *specs[] = {rlrec_explore_options, logged_options};
	RlrecPolicy policy;

	rlrec_options_check_object("policy", logged, lengthof(specs), specs);
	policy = rlrec_policy_read(logged, 0);
	policy.reranked = rlrec_option_bool(logged, logged_options, "reranked");
	policy.seed = (uint64) rlrec_option_real(logged, logged_options, "seed");
	return policy;
}
