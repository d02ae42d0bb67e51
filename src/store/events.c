/*
 * events.c
 *	  All events of an agent, as compact arrays; and the ids of a relation.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "data/intern.h"
#include "data/rewards.h"
#include "store/catalog.h"
#include "store/event_stream.h"
#include "store/events.h"
#include "store/reward.h"

/* ---------------------------------------------------------------- all events */

/* The events as they come; arrays of capacity. */
typedef struct Collector
{
	const RlrecAgent *agent;
	RlrecIntern *users;
	RlrecIntern *items;
	RlrecIntern *types;
	bool		too_many_types;
	int64		n;
	int64		capacity;
	int32	   *user;
	int32	   *item;
	int64	   *time;
	int64	   *tie;
	float	   *reward;
	uint8	   *type;
	Size		budget;
	int64		expected;		/* the planner's estimate, for progress */
} Collector;

#define EVENT_BYTES (2 * sizeof(int32) + 2 * sizeof(int64) + sizeof(float) + sizeof(uint8))

static void
check_budget(const Collector *collector, Size more)
{
	Size		need = add_size(mul_size(collector->capacity, EVENT_BYTES),
								add_size(rlrec_intern_size(collector->users), rlrec_intern_size(collector->items)));

	need = add_size(need, more);
	if (need > collector->budget)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the events of agent \"%s\" do not fit in maintenance_work_mem", collector->agent->name),
				 errdetail("After %lld events %zu MB are needed and %zu MB are allowed.", (long long) collector->n,
						   need / (1024 * 1024) + 1, collector->budget / (1024 * 1024)),
				 errhint("Run SET maintenance_work_mem = '%zuMB' or more, or make the agent over a view of recent events.",
						 2 * need / (1024 * 1024) + 1)));
}

static void
set_capacity(Collector *collector, int64 capacity)
{
	collector->capacity = capacity;
	check_budget(collector, 0);
	collector->user = repalloc_huge(collector->user, capacity * sizeof(int32));
	collector->item = repalloc_huge(collector->item, capacity * sizeof(int32));
	collector->time = repalloc_huge(collector->time, capacity * sizeof(int64));
	collector->tie = repalloc_huge(collector->tie, capacity * sizeof(int64));
	collector->reward = repalloc_huge(collector->reward, capacity * sizeof(float));
	collector->type = repalloc_huge(collector->type, capacity * sizeof(uint8));
}

/* 1 + the type's number, 0 for none. A column of too many values is about something else. */
static uint8
add_type(Collector *collector, const RlrecEvent *event)
{
	int32		number;

	if (event->type == NULL || collector->too_many_types)
		return 0;
	number = rlrec_intern_add(collector->types, event->type, event->type_length);
	collector->too_many_types = number >= RLREC_MAX_TYPES;
	return collector->too_many_types ? 0 : number + 1;
}

static void
collect_event(void *argument, const RlrecEvent *event)
{
	Collector  *collector = argument;
	int64		n = collector->n;

	if (n == collector->capacity)
		set_capacity(collector, n + Max(n / 2, 1024));
	collector->user[n] = rlrec_intern_add(collector->users, event->user, event->user_length);
	collector->item[n] = rlrec_intern_add(collector->items, event->item, event->item_length);
	collector->time[n] = event->time;
	collector->tie[n] = event->tie;
	collector->reward[n] = event->reward;
	collector->type[n] = add_type(collector, event);
	collector->n++;
	if (collector->n % 16384 == 0)
	{
		check_budget(collector, 0);
		rlrec_progress("reading events", collector->n, Max(collector->n, collector->expected));
	}
}

static void
collect_item(void *argument, const char *id, size_t length)
{
	Collector  *collector = argument;

	if (rlrec_intern_add(collector->items, id, length) % 16384 == 0)
		check_budget(collector, 0);
}

/* The collected events, user by user in order of time. Frees the collector's arrays. */
static RlrecEvents *
arrange(Collector *collector)
{
	RlrecEvents *events = palloc0(sizeof(RlrecEvents));
	int32	   *user_rank;
	int32	   *item_rank;
	int32	   *type_rank;
	int64		n = collector->n;
	int64	   *start;
	int64	   *end;
	RlrecPlace *places;

	rlrec_progress("sorting events", 0, n);
	events->users = rlrec_intern_finish(collector->users, &user_rank);
	events->items = rlrec_intern_finish(collector->items, &item_rank);
	events->types = rlrec_intern_finish(collector->types, &type_rank);
	if (collector->too_many_types)
	{
		events->types.n = 0;
		memset(collector->type, 0, n * sizeof(uint8));
	}
	start = MemoryContextAllocHuge(CurrentMemoryContext, (events->users.n + (Size) 1) * sizeof(int64));
	end = MemoryContextAllocHuge(CurrentMemoryContext, (events->users.n + (Size) 1) * sizeof(int64));
	places = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(RlrecPlace));

	/* Counting sort by user; end[u] is where the user's next event goes. */
	memset(start, 0, (events->users.n + (Size) 1) * sizeof(int64));
	for (int64 i = 0; i < n; i++)
		start[user_rank[collector->user[i]] + 1]++;
	for (int32 u = 0; u < events->users.n; u++)
	{
		start[u + 1] += start[u];
		end[u] = start[u];
	}
	for (int64 i = 0; i < n; i++)
	{
		RlrecPlace *place = &places[end[user_rank[collector->user[i]]]++];

		place->time = collector->time[i];
		place->tie = collector->tie[i];
		place->item = item_rank[collector->item[i]];
		place->reward = collector->reward[i];
		place->type = collector->type[i] == 0 ? 0 : type_rank[collector->type[i] - 1] + 1;
	}
	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		rlrec_places_sort(places + start[u], end[u] - start[u]);
	}
	for (int64 i = 0; i < n; i++)
	{
		collector->item[i] = places[i].item;
		collector->time[i] = places[i].time;
		collector->reward[i] = places[i].reward;
		collector->type[i] = places[i].type;
	}
	pfree(places);
	pfree(collector->user);
	pfree(collector->tie);
	pfree(user_rank);
	pfree(item_rank);
	pfree(type_rank);

	events->start = start;
	events->end = end;
	events->item = collector->item;
	events->time = collector->time;
	events->own_reward = collector->reward;
	events->type = collector->type;
	return events;
}

static int64
expected_rows(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	int64		rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = (int64) Max(((Form_pg_class) GETSTRUCT(tuple))->reltuples, 0);
		ReleaseSysCache(tuple);
	}
	return rows;
}

RlrecEvents *
rlrec_events_read(const RlrecAgent *agent, Size budget, bool with_items, bool empty_ok)
{
	Collector	collector = {0};
	RlrecEvents *events;

	rlrec_agent_check_columns(agent);
	collector.agent = agent;
	collector.budget = budget;
	collector.expected = expected_rows(agent->events);
	collector.users = rlrec_intern_create();
	collector.items = rlrec_intern_create();
	collector.types = rlrec_intern_create();
	collector.user = palloc(1);
	collector.item = palloc(1);
	collector.time = palloc(1);
	collector.tie = palloc(1);
	collector.reward = palloc(1);
	collector.type = palloc(1);
	rlrec_progress("reading events", 0, collector.expected);
	rlrec_events_stream(agent, NULL, collect_event, &collector);

	if (collector.n == 0 && !empty_ok)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("%s has no events for agent \"%s\" to learn from", rlrec_qualified_name(agent->events), agent->name),
				 errhint("Insert some first; if there are rows, check row-level security: training sees what the agent's owner sees.")));
	set_capacity(&collector, Max(collector.n, 1));
	check_budget(&collector, mul_size(collector.n, sizeof(RlrecPlace)));
	if (with_items && OidIsValid(agent->items))
		rlrec_ids_read(agent, agent->items, agent->item_key, collect_item, &collector);
	events = arrange(&collector);
	events->session = rlrec_option_real(agent->options, rlrec_agent_options, "session") * USECS_PER_SEC;
	events->rules = rlrec_reward_rules(agent);
	rlrec_rewards_apply(events);
	return events;
}

/* ---------------------------------------------------------------- ids of a relation */

typedef struct IdReceiver
{
	DestReceiver base;
	RlrecIdReader	reader;
	RlrecIdSink sink;
	void	   *argument;
	MemoryContext row_context;
} IdReceiver;

static bool
receive_id(TupleTableSlot *slot, DestReceiver *self)
{
	IdReceiver *receiver = (IdReceiver *) self;
	bool		isnull;
	Datum		datum = slot_getattr(slot, 1, &isnull);
	MemoryContext old;
	const char *id;
	size_t		length;

	if (isnull)
		return true;
	old = MemoryContextSwitchTo(receiver->row_context);
	id = rlrec_id_bytes(&receiver->reader, datum, &length);
	MemoryContextSwitchTo(old);
	receiver->sink(receiver->argument, id, length);
	MemoryContextReset(receiver->row_context);
	return true;
}

void
rlrec_ids_read(const RlrecAgent *agent, Oid relation, const char *column, RlrecIdSink sink, void *argument)
{
	Oid			type = rlrec_column_type(relation, column);
	const char *quoted = quote_identifier(column);
	SPIExecuteOptions options = {0};
	IdReceiver	receiver = {0};
	RlrecRole	saved;

	receiver.base = *None_Receiver;
	receiver.base.receiveSlot = receive_id;
	receiver.sink = sink;
	receiver.argument = argument;
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext, "rlrec id", ALLOCSET_SMALL_SIZES);
	rlrec_id_reader_init(&receiver.reader, type);

	options.dest = (DestReceiver *) &receiver;
	options.read_only = true;
	SPI_connect();
	rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
	if (SPI_execute_extended(psprintf("SELECT %s%s FROM %s", quoted, type == BPCHAROID ? "::pg_catalog.text" : "",
									  rlrec_qualified_name(relation)), &options) < 0)
		elog(ERROR, "could not read the ids");
	rlrec_run_back(&saved);
	SPI_finish();
	MemoryContextDelete(receiver.row_context);
}
