/*
 * events.h
 *	  The events of an agent as compact arrays.
 */
#ifndef RLREC_EVENTS_H
#define RLREC_EVENTS_H

#include "data/dictionary.h"

#define RLREC_MAX_TYPES 255

/*
 * Each user's events, oldest first, ordered by (time, integer primary key, else ctid). User u has the events start[u] .. end[u] - 1.
 * A split of the data is another `end` over the same arrays: both leave-one-out and the temporal split cut each user's sequence
 * in a prefix to learn from and a rest.
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
	const float *reward;		/* [events] what `rewards` and the value column make of the event; 1 without them */
	const uint8 *type;			/* [events] 1 + index in types, 0 for none */
	int64		session;		/* microseconds; a longer gap between a user's events ends an episode; 0 for never */
} RlrecEvents;

#endif							/* RLREC_EVENTS_H */
