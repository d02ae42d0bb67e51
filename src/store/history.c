/*
 * history.c
 *	  One user's events, read when he is served.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "store/event_stream.h"
#include "store/events.h"
#include "store/state_key.h"

typedef struct HistoryCollector
{
	const RlrecModel *model;
	bool	   *seen;
	List	  **unknown;
	RlrecPlace *places;
	int			n;
	int			capacity;
	MemoryContext context;
} HistoryCollector;

static void
collect_history(void *argument, const RlrecEvent *event)
{
	HistoryCollector *collector = argument;
	int32		item = rlrec_dictionary_find(&collector->model->items, event->item, event->item_length);
	RlrecPlace *place;

	if (item < 0)
	{
		if (collector->unknown)
		{
			MemoryContext old = MemoryContextSwitchTo(collector->context);

			*collector->unknown = lappend(*collector->unknown, pnstrdup(event->item, event->item_length));
			MemoryContextSwitchTo(old);
		}
		return;
	}
	if (collector->seen)
		collector->seen[item] = true;
	if (event->reward <= 0)
		return;
	if (collector->n == collector->capacity)
	{
		collector->capacity *= 2;
		collector->places = repalloc_huge(collector->places, collector->capacity * sizeof(RlrecPlace));
	}
	place = &collector->places[collector->n++];
	place->time = event->time;
	place->tie = event->tie;
	place->item = item;
	place->reward = event->reward;
	place->type = event->type == NULL ? 0 : rlrec_dictionary_find(&collector->model->types, event->type, event->type_length) + 1;
}

static void
history_of_places(RlrecHistory *history, const RlrecPlace *places, int n)
{
	int32	   *item = palloc(Max(n, 1) * sizeof(int32));
	int64	   *time = palloc(Max(n, 1) * sizeof(int64));
	float	   *reward = palloc(Max(n, 1) * sizeof(float));
	uint8	   *type = palloc(Max(n, 1) * sizeof(uint8));

	for (int i = 0; i < n; i++)
	{
		item[i] = places[i].item;
		time[i] = places[i].time;
		reward[i] = places[i].reward;
		type[i] = places[i].type;
	}
	history->n = n;
	history->item = item;
	history->time = time;
	history->reward = reward;
	history->type = type;
}

int64
rlrec_events_now(const RlrecAgent *agent)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();
	Oid			type = agent->time_column ? rlrec_column_type(agent->events, agent->time_column) : InvalidOid;

	if (type == TIMESTAMPOID || type == DATEOID)
		return DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(now)));
	return now;
}

void
rlrec_history_read(const RlrecAgent *agent, const char *user, const RlrecModel *model, RlrecHistory *history, bool *seen,
				   List **unknown)
{
	HistoryCollector collector = {0};

	collector.model = model;
	collector.seen = seen;
	collector.unknown = unknown;
	collector.capacity = 256;
	collector.places = palloc(collector.capacity * sizeof(RlrecPlace));
	collector.context = CurrentMemoryContext;
	rlrec_events_stream(agent, user, collect_history, &collector);
	rlrec_places_sort(collector.places, collector.n);
	history_of_places(history, collector.places, collector.n);
	history->now = rlrec_events_now(agent);
	history->key = rlrec_state_key_read(agent, user);
	pfree(collector.places);
}

char *
rlrec_canonical_id(const RlrecAgent *agent, const char *column, const char *id)
{
	Oid			type = rlrec_column_type(agent->events, column);
	Oid			output;
	bool		is_varlena;

	if (type == TEXTOID || type == VARCHAROID)
		return pstrdup(id);
	if (type == BPCHAROID)
		return pnstrdup(id, bpchartruelen((char *) id, (int) strlen(id)));
	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, rlrec_id_datum(agent, column, id));
}
