/*
 * event_receiver.c
 *	  What decodes the rows of a query of events.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "learner/options.h"
#include "store/event_receiver.h"

pg_noreturn static void
bad_event(const RlrecEventReceiver *receiver, const char *column, const char *what, int code, bool can_skip)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s has events whose %s is %s", rlrec_qualified_name(receiver->agent->events), column, what),
			 can_skip ?
			 errhint("Mend or delete these rows, or pass over them: SELECT rlrec_alter_agent(%s, options => '{\"skip_missing\": true}').",
					 quote_literal_cstr(receiver->agent->name)) :
			 errhint("Mend or delete these rows, or make the agent over a view that leaves them out.")));
}

/* Microseconds since 2000-01-01; false for a time that is not finite, where that may be. */
static bool
time_of(const RlrecEventReceiver *receiver, Datum datum, int64 *time)
{
	const char *column = receiver->agent->time_column;
	double		seconds;

	if (receiver->time_type == TIMESTAMPOID)
	{
		*time = DatumGetTimestamp(datum);
		if (TIMESTAMP_NOT_FINITE(*time) && !receiver->lenient)
			bad_event(receiver, column, "infinite", ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, false);
		return !TIMESTAMP_NOT_FINITE(*time);
	}
	if (receiver->time_type != FLOAT8OID)
		elog(ERROR, "unexpected type %u of time", receiver->time_type);
	seconds = DatumGetFloat8(datum) - RLREC_UNIX_EPOCH_SECONDS;
	if (!(fabs(seconds) < 9e12))
	{
		if (!receiver->lenient)
			bad_event(receiver, column, "not a finite number of seconds", ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, false);
		return false;
	}
	*time = (int64) (seconds * USECS_PER_SEC);
	return true;
}

static int64
tie_of(const TupleTableSlot *slot)
{
	Datum		datum = slot->tts_values[COLUMN_TIE];
	ItemPointer tid;

	if (TupleDescAttr(slot->tts_tupleDescriptor, COLUMN_TIE)->atttypid != TIDOID)
		return DatumGetInt64(datum);
	tid = (ItemPointer) DatumGetPointer(datum);
	return ((int64) ItemPointerGetBlockNumberNoCheck(tid) << 16) | ItemPointerGetOffsetNumberNoCheck(tid);
}

static const char *
missing_column(const RlrecEventReceiver *receiver, const bool *nulls)
{
	if (nulls[COLUMN_USER])
		return receiver->agent->user_column;
	if (nulls[COLUMN_ITEM])
		return receiver->agent->item_column;
	if (nulls[COLUMN_TIME] && OidIsValid(receiver->time_type))
		return receiver->agent->time_column;
	if (nulls[COLUMN_VALUE] && receiver->agent->value_column && !receiver->reward.is_expression)
		return receiver->agent->value_column;
	return NULL;
}

/* Decodes a row, in CurrentMemoryContext; false when it is to be passed over. */
static bool
decode_event(RlrecEventReceiver *receiver, TupleTableSlot *slot, RlrecEvent *event)
{
	const char *missing;

	memset(event, 0, sizeof(*event));
	slot_getallattrs(slot);
	missing = missing_column(receiver, slot->tts_isnull);
	if (missing && receiver->skip_missing)
		return false;
	if (missing)
		bad_event(receiver, missing, "NULL", ERRCODE_NULL_VALUE_NOT_ALLOWED, true);

	if (OidIsValid(receiver->time_type) && !time_of(receiver, slot->tts_values[COLUMN_TIME], &event->time))
		return false;
	event->user = rlrec_id_bytes(&receiver->user, slot->tts_values[COLUMN_USER], &event->user_length);
	event->item = rlrec_id_bytes(&receiver->item, slot->tts_values[COLUMN_ITEM], &event->item_length);
	if (!slot->tts_isnull[COLUMN_TIE])
		event->tie = tie_of(slot);
	if (!slot->tts_isnull[COLUMN_EVENT])
		event->type = rlrec_id_bytes(&receiver->type, slot->tts_values[COLUMN_EVENT], &event->type_length);
	if (slot->tts_tupleDescriptor->natts > COLUMN_XID && !slot->tts_isnull[COLUMN_XID])
		event->xid = DatumGetTransactionId(slot->tts_values[COLUMN_XID]);
	return rlrec_reward_of(&receiver->reward, event, slot->tts_values[COLUMN_VALUE], slot->tts_isnull[COLUMN_VALUE], receiver->lenient);
}

bool
rlrec_event_receive(TupleTableSlot *slot, DestReceiver *self)
{
	RlrecEventReceiver *receiver = (RlrecEventReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->row_context);
	RlrecEvent	event;
	bool		decoded = decode_event(receiver, slot, &event);

	MemoryContextSwitchTo(old);
	if (decoded)
		receiver->sink(receiver->argument, &event);
	MemoryContextReset(receiver->row_context);
	return receiver->stop == NULL || !*receiver->stop;
}

void
rlrec_event_receiver_init(RlrecEventReceiver *receiver, const RlrecAgent *agent, Oid time_type, RlrecEventSink sink, void *argument)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->base = *None_Receiver;
	receiver->base.receiveSlot = rlrec_event_receive;
	receiver->agent = agent;
	receiver->sink = sink;
	receiver->argument = argument;
	receiver->time_type = time_type;
	receiver->skip_missing = rlrec_option_bool(agent->options, rlrec_agent_options, "skip_missing");
	rlrec_id_reader_init(&receiver->user, rlrec_column_type(agent->events, agent->user_column));
	rlrec_id_reader_init(&receiver->item, rlrec_column_type(agent->events, agent->item_column));
	rlrec_id_reader_init(&receiver->type, agent->event_column ? rlrec_column_type(agent->events, agent->event_column) : TEXTOID);
	rlrec_reward_reader_init(&receiver->reward, agent);
	receiver->row_context = AllocSetContextCreate(CurrentMemoryContext, "rlrec event", ALLOCSET_SMALL_SIZES);
}
