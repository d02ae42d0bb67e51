/*
 * event_receiver.h
 *	  What decodes the rows of a query of events, for event_stream.c.
 */
#ifndef RLREC_EVENT_RECEIVER_H
#define RLREC_EVENT_RECEIVER_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "store/event_stream.h"
#include "store/reward.h"
#include "tcop/dest.h"

/* From 1970 to 2000. */
#define RLREC_UNIX_EPOCH_SECONDS ((double) ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY))

/* Columns of the query. */
enum
{
	COLUMN_USER, COLUMN_ITEM, COLUMN_TIME, COLUMN_TIE, COLUMN_EVENT, COLUMN_VALUE, COLUMN_XID
};

typedef struct RlrecEventReceiver
{
	DestReceiver base;
	const RlrecAgent *agent;
	RlrecEventSink	sink;
	void	   *argument;
	RlrecIdReader	user;
	RlrecIdReader	item;
	RlrecIdReader	type;
	Oid			time_type;		/* InvalidOid without a time column */
	RlrecRewardReader reward;
	bool		skip_missing;
	bool		lenient;		/* passes over what is otherwise an error */
	const bool *stop;			/* set by the sink when no more rows are wanted; NULL where all are */
	MemoryContext row_context;
} RlrecEventReceiver;

/* For rows of a query of these columns, whose time is of that type; the row context is to be deleted after the last row. */
extern void rlrec_event_receiver_init(RlrecEventReceiver *receiver, const RlrecAgent *agent, Oid time_type, RlrecEventSink sink, void *argument);

/* Hands a row, decoded, to the sink, unless it is passed over; whether more are wanted. */
extern bool rlrec_event_receive(TupleTableSlot *slot, DestReceiver *self);

#endif							/* RLREC_EVENT_RECEIVER_H */
