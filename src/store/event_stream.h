/*
 * event_stream.h
 *	  The rows of the events table, decoded, one after the other.
 */
#ifndef RLREC_EVENT_STREAM_H
#define RLREC_EVENT_STREAM_H

#include "fmgr.h"
#include "store/agent.h"
#include "store/id_reader.h"
#include "tcop/dest.h"
#include "utils/rel.h"

/* An event, decoded. Strings are good until the next one. */
typedef struct RlrecEvent
{
	const char *user;
	size_t		user_length;
	const char *item;
	size_t		item_length;
	int64		time;			/* microseconds since 2000-01-01; 0 without a time column */
	int64		tie;			/* orders events of the same time */
	const char *type;			/* NULL without an event column, or where that is NULL */
	size_t		type_length;
	float		reward;
	TransactionId xid;			/* that wrote the row; invalid unless it is asked for, and of views */
} RlrecEvent;

typedef void (*RlrecEventSink) (void *argument, const RlrecEvent *event);

/*
 * Runs the query over the agent's events as the current user and hands each row to the sink: all events, or those of one user when user is not
 * NULL. Order is the sink's business. The active snapshot is used.
 */
extern void rlrec_events_stream(const RlrecAgent *agent, const char *user, RlrecEventSink sink, void *argument);

/* The same with the transactions that wrote the events, and what is an error in an event passes over it. */
extern void rlrec_events_stream_xids(const RlrecAgent *agent, const char *user, RlrecEventSink sink, void *argument);

/* The same of one user, but no more than the latest `most` up to a time and the earliest `most` after it; the latest of all without a time column. */
extern void rlrec_events_stream_window(const RlrecAgent *agent, const char *user, int64 time, int64 most, RlrecEventSink sink, void *argument);

/*
 * The same of many users, by an index that is known to be there, and in the order of the table's pages where the planner finds that faster. Ends
 * early when the sink sets *stop.
 */
extern void rlrec_events_stream_users(const RlrecAgent *agent, int n, const char *const *users, const bool *stop, RlrecEventSink sink, void *argument);

/* The name of a relation's integer primary key, NULL when there is none. */
extern char *rlrec_integer_primary_key(Oid relation);

/*
 * The events of those rows of that xmin and cmin whose integer primary keys are from low to high, in the order of the key. What is an error
 * otherwise is passed over.
 */
extern void rlrec_events_stream_range(const RlrecAgent *agent, int64 low, int64 high, TransactionId xmin, CommandId cmin, RlrecEventSink sink,
									  void *argument);

/*
 * Decodes rows of the agent's events table, or of a partition of it, one by one, as the query would. What is an error there is passed over, but not
 * the errors of the agent's expression. Created as the agent's owner; lives in the context in which it is created. Reading runs no code that is
 * not PostgreSQL's own.
 */
typedef struct RlrecRowReader RlrecRowReader;
extern RlrecRowReader *rlrec_row_reader_create(const RlrecAgent *agent, Relation relation, RlrecEventSink sink, void *argument);
extern void rlrec_row_reader_read(RlrecRowReader *reader, TupleTableSlot *row);

/* An id's text as a value of the base type of its column, or the error of its input function with a hint. */
extern Datum rlrec_id_datum(const RlrecAgent *agent, const char *column, const char *id);

/* Where an event stands in a user's history. */
typedef struct RlrecPlace
{
	int64		time;
	int64		tie;
	int32		item;
	float		reward;
	uint8		type;
} RlrecPlace;

/* The order of (time, tie, item), for qsort(), and a user's events in it. */
extern int	rlrec_place_compare(const void *a, const void *b);
extern void rlrec_places_sort(RlrecPlace *places, int64 n);

#endif							/* RLREC_EVENT_STREAM_H */
