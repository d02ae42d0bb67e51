/*
 * rewards.h
 *	  From what each event counts by itself to what learners are given: docs/rewards.md.
 */
#ifndef RLREC_REWARDS_H
#define RLREC_REWARDS_H

#include "data/events.h"

/* Sets reward and scale by own_reward and the rules, for the events of this view alone: reward is a new array if any rule applies. */
extern void rlrec_rewards_apply(RlrecEvents *events);

/*
 * Credits the rewards of a user's events [start .. end - 1] in place. first[items] is scratch: less than or equal to start on entry, 1 +
 * the place of an event of the item on return.
 */
extern void rlrec_rewards_credit(const RlrecRewardRules *rules, int64 start, int64 end, const int32 *item, const int64 *time, float *reward,
								 int64 *first);

#endif							/* RLREC_REWARDS_H */
