/*
 * history.c
 *	  One user's events, read when he is served.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "data/rewards.h"
#include "store/event_stream.h"
#include "store/events.h"
#include "store/online.h"
#include "store/reward.h"
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

/* Credits places [n], in order, inside the horizon. */
static void
credit_places(const RlrecRewardRules *rules, const RlrecModel *model, int n, const int32 *item, const int64 *time, float *reward)
{
	int64	   *first;

	if (rules->horizon == 0)
		return;
	first = palloc_extended((Size) model->items.n * sizeof(int64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	rlrec_rewards_credit(rules, 0, n, item, time, reward, first);
	pfree(first);
}

/* Those of the places with a positive reward, once rewards are credited. */
static void
history_of_places(RlrecHistory *history, const RlrecRewardRules *rules, const RlrecModel *model, const RlrecPlace *places, int n)
{
	int32	   *item = palloc(Max(n, 1) * sizeof(int32));
	int64	   *time = palloc(Max(n, 1) * sizeof(int64));
	float	   *reward = palloc(Max(n, 1) * sizeof(float));
	uint8	   *type = palloc(Max(n, 1) * sizeof(uint8));
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		item[i] = places[i].item;
		time[i] = places[i].time;
		reward[i] = places[i].reward;
	}
	credit_places(rules, model, n, item, time, reward);
	for (int i = 0; i < n; i++)
	{
		if (!(reward[i] > 0))
			continue;
		item[kept] = item[i];
		time[kept] = time[i];
		reward[kept] = reward[i] / model->reward_scale;
		type[kept++] = places[i].type;
	}
	history->n = kept;
	history->item = item;
	history->time = time;
	history->reward = reward;
	history->type = type;
}

int64
rlrec_events_time(const RlrecAgent *agent, TimestampTz time)
{
	Oid			type = agent->time_column ? rlrec_column_type(agent->events, agent->time_column) : InvalidOid;

	if (type == TIMESTAMPOID || type == DATEOID)
		return DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(time)));
	return time;
}

/* The unit of the agent's time column in microseconds; numbers are taken for whole seconds, and float4 has but 24 bits for them. */
static int64
time_unit(const RlrecAgent *agent)
{
	AttrNumber	attno = agent->time_column ? get_attnum(agent->events, agent->time_column) : InvalidAttrNumber;
	Oid			type;
	int32		typmod;
	Oid			collation;
	int64		unit = 1;

	if (attno == InvalidAttrNumber)
		return unit;
	get_atttypetypmodcoll(agent->events, attno, &type, &typmod, &collation);
	type = getBaseTypeAndTypmod(type, &typmod);
	if (type == DATEOID)
		return USECS_PER_DAY;
	if (type == FLOAT4OID)
		return 128 * USECS_PER_SEC;
	if (type != TIMESTAMPOID && type != TIMESTAMPTZOID)
		return USECS_PER_SEC;
	for (int digits = typmod < 0 ? MAX_TIMESTAMP_PRECISION : typmod; digits < MAX_TIMESTAMP_PRECISION; digits++)
		unit *= 10;
	return unit;
}

int64
rlrec_events_cut(const RlrecAgent *agent, TimestampTz time)
{
	int64		told = rlrec_events_time(agent, time);

	return told - told % time_unit(agent);
}

int64
rlrec_events_now(const RlrecAgent *agent)
{
	return rlrec_events_time(agent, GetCurrentStatementStartTimestamp());
}

void
rlrec_history_read(const RlrecAgent *agent, const char *user, const RlrecModel *model, RlrecHistory *history, bool *seen,
				   List **unknown)
{
	HistoryCollector collector = {0};
	RlrecRewardRules rules = rlrec_reward_rules(agent);

	collector.model = model;
	collector.seen = seen;
	collector.unknown = unknown;
	collector.capacity = 256;
	collector.places = palloc(collector.capacity * sizeof(RlrecPlace));
	collector.context = CurrentMemoryContext;
	rlrec_events_stream(agent, user, collect_history, &collector);
	rlrec_places_sort(collector.places, collector.n);
	history_of_places(history, &rules, model, collector.places, collector.n);
	history->now = rlrec_events_now(agent);
	history->key = rlrec_state_key_read(agent, user);
	history->learned = rlrec_online_read(agent, model);
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

static bool
is_integer(const char *id, int bits)
{
	char	   *end;
	long long	value;

	errno = 0;
	value = strtoll(id, &end, 10);
	return end > id && *end == '\0' && !isspace((unsigned char) *id) && errno == 0 && value >> (bits - 1) == (value < 0 ? -1 : 0);
}

static bool
is_uuid(const char *id)
{
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? id[i] != '-' : !isxdigit((unsigned char) id[i]))
			return false;
	return id[36] == '\0';
}

bool
rlrec_id_is_of_column(const RlrecAgent *agent, const char *column, const char *id)
{
	switch (rlrec_column_type(agent->events, column))
	{
		case INT2OID:
			return is_integer(id, 16);
		case INT4OID:
			return is_integer(id, 32);
		case INT8OID:
			return is_integer(id, 64);
		case UUIDOID:
			return is_uuid(id);
		default:
			return true;		/* text */
	}
}
