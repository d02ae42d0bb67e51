/*
 * user_log.h
 *	  Users' logs, read from the events table many at a time and handed out one after the other.
 *
 * A log is what the table has of one user, as the active snapshot sees it, in the order of (time, tie). Users, and the items that they had, are
 * numbered from 0 in the order in which they come. All of it lives in the context in which the logs were created, until that goes, but for a
 * log's places, which are kept while the sink has it.
 */
#ifndef RLREC_USER_LOG_H
#define RLREC_USER_LOG_H

#include "data/events.h"
#include "learner/learner.h"
#include "store/event_stream.h"

/* Of a user who has more events, the nearest are read: so many before a time, and as many after it. */
#define RLREC_LOG_MOST 10000

/* An item that some event has. */
typedef struct RlrecLoggedItem
{
	RlrecKey	id;
	int32		index;			/* in the model, -1 when it does not know it */
} RlrecLoggedItem;

/* An event of a user. */
typedef struct RlrecLogPlace
{
	RlrecPlace	base;			/* item is a number; type is 1 + index in the model's types, 0 for none */
	TransactionId xid;			/* that wrote the row */

	/* The sink's marks, all false at first. */
	bool		old;			/* in the version or in the rows already */
	bool		known;			/* likewise, or told of and learned before */
	bool		lesson;			/* to be learned */
} RlrecLogPlace;

typedef struct RlrecUserLog
{
	int32		number;			/* of the user */
	const char *user;
	int			n;
	RlrecLogPlace *place;		/* [n] */
	int32		n_items;
	const RlrecLoggedItem *items;	/* [n_items] those of all users so far, by number */
} RlrecUserLog;

typedef void (*RlrecUserLogSink) (void *argument, RlrecUserLog *log);

typedef struct RlrecUserLogs RlrecUserLogs;
extern RlrecUserLogs *rlrec_user_logs_create(const RlrecAgent *agent, const RlrecModel *model);

/* The number of a user, a new one if he has not come before. */
extern int32 rlrec_user_logs_add(RlrecUserLogs *logs, const char *user, size_t length);

/* That an event of this time is to be in a user's log. */
extern void rlrec_user_logs_expect(RlrecUserLogs *logs, int32 user, int64 time);

/* The number of an item, -1 when no log so far has it. */
extern int32 rlrec_user_logs_item(const RlrecUserLogs *logs, const char *id, size_t length);

/*
 * Hands each user's log to the sink, in the order of their numbers and in a context that is reset after each. Without `whole` the log of one of
 * whom nothing is expected may be empty, and of one who has more than RLREC_LOG_MOST events it need not have more than the latest RLREC_LOG_MOST,
 * besides as many as are expected, up to the latest time that is expected, and as many after it.
 *
 * An index on the users' column is made use of; then a thousand users' events are in memory at a time, at most a thousand of each on average or
 * those of one. Without an index the table is read, and all users' events are.
 */
extern void rlrec_user_logs_read(RlrecUserLogs *logs, bool whole, RlrecUserLogSink sink, void *argument);

#endif							/* RLREC_USER_LOG_H */
