/*
 * events.h
 *	  The events of an agent as compact arrays.
 */
#ifndef RLREC_EVENTS_H
#define RLREC_EVENTS_H

#include "data/dictionary.h"

#define RLREC_MAX_TYPES 255

/* Bytes without a terminator; NULL for none. */
typedef struct RlrecKey
{
	const char *bytes;
	int32		length;
} RlrecKey;

typedef enum RlrecRewardScale
{
	RLREC_SCALE_NONE,
	RLREC_SCALE_MAX,			/* by the largest absolute reward */
	RLREC_SCALE_DEVIATION		/* by the rewards' standard deviation */
} RlrecRewardScale;

/* How what events count by themselves becomes what learners are given: data/rewards.c. */
typedef struct RlrecRewardRules
{
	int64		horizon;		/* microseconds in which later events of an item are credited to its first; 0 for none */
	double		discount;		/* of what comes at the end of the horizon */
	RlrecRewardScale scale;		/* by what rewards are divided */
} RlrecRewardRules;

/*
 * Each user's events, oldest first, ordered by (time, integer primary key, else ctid). User u has the events start[u] .. end[u] - 1.
 * A split of the data is another `end` over the same arrays: both leave-one-out and the temporal split cut each user's sequence
 * in a prefix to learn from and a rest; rlrec_rewards_apply() then makes the rewards those of the prefix.
 */
typedef struct RlrecEvents
{
	RlrecDictionary users;		/* .n users */
	RlrecDictionary items;		/* .n items, those of the events and those of the items table */
	RlrecDictionary types;		/* of events; none when there is no event column, or it has more than RLREC_MAX_TYPES values */
	const int64 *start;			/* [users.n] */
	const int64 *end;			/* [users.n] */
	const int32 *item;			/* [events] index in items */
	const int64 *time;			/* [events] microseconds since 2000-01-01; all 0 when the agent has no time column */
	const float *reward;		/* [events] what the event is worth: own_reward, credited and scaled by the rules; 1 without any */
	const float *own_reward;	/* [events] what the event counts by itself */
	const uint8 *type;			/* [events] 1 + index in types, 0 for none */
	int64		session;		/* microseconds; a longer gap between a user's events ends an episode; 0 for never */
	const RlrecKey *key;		/* [users.n] what names each user's state, with option "expression"; NULL where it is his id */
	RlrecRewardRules rules;
	float		scale;			/* by which reward was divided, 1 for none */
} RlrecEvents;

static inline RlrecKey
rlrec_events_key(const RlrecEvents *events, int32 user)
{
	const int32 *offset = events->users.offset;

	if (events->key != NULL)
		return events->key[user];
	return (RlrecKey) {events->users.bytes + offset[user], offset[user + 1] - offset[user]};
}

#endif							/* RLREC_EVENTS_H */
