/*
 * reward.h
 *	  What an event is worth: docs/rewards.md.
 */
#ifndef RLREC_STORE_REWARD_H
#define RLREC_STORE_REWARD_H

#include "data/events.h"
#include "store/agent.h"
#include "store/event_stream.h"

/* What the agent says of rewards, ready to be applied to events. */
typedef struct RlrecRewardReader
{
	const RlrecAgent *agent;
	bool		is_expression;	/* option "reward" is given */
	int			n_rewards;
	struct TypeReward *rewards; /* [n_rewards] */
	double		minimum;
	double		maximum;
} RlrecRewardReader;

extern void rlrec_reward_reader_init(RlrecRewardReader *reader, const RlrecAgent *agent);

/*
 * Reads the reward of an event whose user, item and type are decoded; value is what rlrec_reward_sql() came to. One that is out of range, or NaN, is an error,
 * but false where the reader is lenient.
 */
extern bool rlrec_reward_of(const RlrecRewardReader *reader, RlrecEvent *event, Datum value, bool isnull, bool lenient);

/* The reward of an event that is no row of the table: what `rewards` says of its type, 1 where it says nothing of any, times the value. */
extern float rlrec_reward_of_type(const RlrecRewardReader *reader, const RlrecEvent *event, double value);

/*
 * An SQL expression of type float8 over the events table, for a query that runs under rlrec_run_as(): option "reward", or the value
 * column. An error, with a hint, when that option is not one expression that gives a number by means of PostgreSQL's own immutable
 * functions.
 */
extern char *rlrec_reward_sql(const RlrecAgent *agent);

/* What becomes of the rewards of several events. */
extern RlrecRewardRules rlrec_reward_rules(const RlrecAgent *agent);

/* Checks the options about rewards, when an agent is made or altered. */
extern void rlrec_reward_check(const RlrecAgent *agent);

#endif							/* RLREC_STORE_REWARD_H */
