/*
 * policy.h
 *	  A policy as the options of an agent declare it, and as a decision logs it.
 */
#ifndef RLREC_POLICY_H
#define RLREC_POLICY_H

#include "learner/options.h"
#include "policy/explore.h"

/* The longest shortlist that is explored */
#define RLREC_MOST_EXPLORED 1000

extern const RlrecOption rlrec_explore_options[];

/* The policy that the options declare, of a version of that age in seconds; seed and reranked are the caller's. */
extern RlrecPolicy rlrec_policy_read(const Jsonb *options, double age);

/* The strategy of that name. */
extern RlrecExploration rlrec_exploration_find(const char *name);

/* Whether the age matters. */
extern bool rlrec_policy_decays(const Jsonb *options);

/* The items explored for k rows, where there are as many. */
extern int	rlrec_policy_shortlist(const Jsonb *options, int k);

/* What is in force, as rlrec.decision.policy keeps it; seeded tells that the seed was the caller's. */
extern Jsonb *rlrec_policy_log(const RlrecPolicy *policy, const char *source, bool seeded);

/* The policy of a decision's column policy, checked: an error names what would be valid. */
extern RlrecPolicy rlrec_policy_of_log(const Jsonb *logged);

#endif							/* RLREC_POLICY_H */
