/*
 * rewards.c
 *	  rlrec_rewards(): what the events are worth, as learners are given them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "data/session.h"
#include "serve/arguments.h"
#include "store/events.h"

/* An event's time as timestamptz; a column without a zone has the session's. */
static Datum
time_datum(Oid type, int64 time)
{
	if (type == TIMESTAMPOID || type == DATEOID)
		return DirectFunctionCall1(timestamp_timestamptz, TimestampGetDatum(time));
	return TimestampTzGetDatum(time);
}

static void
return_event(ReturnSetInfo *result, const RlrecEvents *events, Oid time_type, Datum user, int64 e, int32 episode)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = user;
	values[1] = CStringGetTextDatum(rlrec_dictionary_id(&events->items, events->item[e]));
	nulls[2] = events->type[e] == 0;
	if (!nulls[2])
		values[2] = CStringGetTextDatum(rlrec_dictionary_id(&events->types, events->type[e] - 1));
	nulls[3] = !OidIsValid(time_type);
	if (!nulls[3])
		values[3] = time_datum(time_type, events->time[e]);
	values[4] = Float4GetDatum(events->reward[e]);
	values[5] = Int32GetDatum(episode);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* rlrec_rewards(agent) */
PG_FUNCTION_INFO_V1(rlrec_rewards);
Datum
rlrec_rewards(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 0);
	Oid			time_type = agent->time_column ? rlrec_column_type(agent->events, agent->time_column) : InvalidOid;
	MemoryContext row_context;
	RlrecEvents *events;

	InitMaterializedSRF(fcinfo, 0);
	events = rlrec_events_read(agent, (Size) maintenance_work_mem * 1024, false, true);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "rlrec user", ALLOCSET_DEFAULT_SIZES);
	for (int32 u = 0; u < events->users.n; u++)
	{
		MemoryContext old = MemoryContextSwitchTo(row_context);
		Datum		user = CStringGetTextDatum(rlrec_dictionary_id(&events->users, u));
		int32		episode = 0;
		int64		to;

		CHECK_FOR_INTERRUPTS();
		for (int64 from = events->start[u]; from < events->end[u]; from = to)
		{
			to = rlrec_session_end(events->time, from, events->end[u], events->session);
			episode++;
			for (int64 e = from; e < to; e++)
				return_event((ReturnSetInfo *) fcinfo->resultinfo, events, time_type, user, e, episode);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_context);
	}
	return (Datum) 0;
}
