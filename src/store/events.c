/*
 * events.c
 *	  Reading the agent's events: all of them for training, one user's for serving.
 *
 * Both are the same query, the second with a WHERE, and go through the same receiver, so that what an event means is said once. The
 * executor streams rows into the receiver; nothing is kept of them but compact arrays. Order is by (time, tie), the tie being the integer
 * primary key if there is one, else ctid: many logs have thousands of events in the same second, and results must not depend on a plan.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/itemptr.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "data/intern.h"
#include "store/catalog.h"
#include "store/events.h"

/* How an id is turned into bytes. */
typedef struct IdReader
{
	Oid			type;			/* looked through domains; bpchar is read as text */
	FmgrInfo	output;			/* of other types than integers and text */
	char		buffer[32];
} IdReader;

/* An event, decoded. Strings are good until the next one. */
typedef struct Event
{
	const char *user;
	size_t		user_length;
	const char *item;
	size_t		item_length;
	int64		time;
	int64		tie;
	float		reward;
} Event;

typedef void (*EventSink) (void *argument, const Event *event);

/* What `rewards` says of one type of event. */
typedef struct Reward
{
	const char *event;
	size_t		length;
	float		reward;
} Reward;

typedef struct EventReceiver
{
	DestReceiver base;
	const RlrecAgent *agent;
	EventSink	sink;
	void	   *argument;
	IdReader	user;
	IdReader	item;
	Oid			time_type;		/* InvalidOid without a time column */
	int			n_rewards;
	Reward	   *rewards;
	bool		skip_missing;
	MemoryContext row_context;
} EventReceiver;

/* Columns of the query. */
enum
{
	COLUMN_USER, COLUMN_ITEM, COLUMN_TIME, COLUMN_TIE, COLUMN_EVENT, COLUMN_VALUE, COLUMNS
};

/* ---------------------------------------------------------------- decoding */

static void
id_reader_init(IdReader *reader, Oid type)
{
	reader->type = type;
	if (type != INT2OID && type != INT4OID && type != INT8OID && type != TEXTOID && type != VARCHAROID && type != BPCHAROID)
	{
		Oid			output;
		bool		is_varlena;

		getTypeOutputInfo(type, &output, &is_varlena);
		fmgr_info(output, &reader->output);
	}
}

static const char *
id_bytes(IdReader *reader, Datum datum, size_t *length)
{
	struct varlena *text;
	char	   *string;

	switch (reader->type)
	{
		case INT2OID:
			*length = pg_ltoa(DatumGetInt16(datum), reader->buffer);
			return reader->buffer;
		case INT4OID:
			*length = pg_ltoa(DatumGetInt32(datum), reader->buffer);
			return reader->buffer;
		case INT8OID:
			*length = pg_lltoa(DatumGetInt64(datum), reader->buffer);
			return reader->buffer;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			text = PG_DETOAST_DATUM_PACKED(datum);
			*length = VARSIZE_ANY_EXHDR(text);
			return VARDATA_ANY(text);
		default:
			string = OutputFunctionCall(&reader->output, datum);
			*length = strlen(string);
			return string;
	}
}

static pg_attribute_noreturn() void
bad_event(const EventReceiver *receiver, const char *column, const char *what, int code, bool can_skip)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s has events whose %s is %s", rlrec_qualified_name(receiver->agent->events), column, what),
			 can_skip ?
			 errhint("Mend or delete these rows, or pass over them: SELECT rlrec_alter_agent('%s', options => '{\"skip_missing\": true}').",
					 receiver->agent->name) :
			 errhint("Mend or delete these rows, or make the agent over a view that leaves them out.")));
}

/* Microseconds since 2000-01-01 of a finite time. */
static int64
time_of(const EventReceiver *receiver, Datum datum)
{
	const char *column = receiver->agent->time_column;
	const int64 epoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

	if (receiver->time_type == FLOAT8OID)
	{
		double		seconds = DatumGetFloat8(datum) - (double) epoch;

		if (!(fabs(seconds) < 9e12))
			bad_event(receiver, column, "not a finite number of seconds", ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, false);
		return (int64) (seconds * USECS_PER_SEC);
	}
	if (receiver->time_type == TIMESTAMPOID)
	{
		if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(datum)))
			bad_event(receiver, column, "infinite", ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, false);
		return DatumGetTimestamp(datum);
	}
	elog(ERROR, "unexpected type %u of time", receiver->time_type);
	return 0;
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

static float
reward_of(const EventReceiver *receiver, const Datum *values, const bool *nulls)
{
	double		reward = 1;

	if (receiver->agent->rewards)
	{
		text	   *event = nulls[COLUMN_EVENT] ? NULL : DatumGetTextPP(values[COLUMN_EVENT]);

		reward = 0;
		for (int i = 0; event && i < receiver->n_rewards; i++)
			if (VARSIZE_ANY_EXHDR(event) == receiver->rewards[i].length &&
				memcmp(VARDATA_ANY(event), receiver->rewards[i].event, receiver->rewards[i].length) == 0)
				reward = receiver->rewards[i].reward;
	}
	if (receiver->agent->value_column)
	{
		double		value = DatumGetFloat8(values[COLUMN_VALUE]);

		if (!isfinite(value) || fabs(reward * value) > 1e30)
			bad_event(receiver, receiver->agent->value_column, "not finite", ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, false);
		reward *= value;
	}
	return (float) reward;
}

static const char *
missing_column(const EventReceiver *receiver, const bool *nulls)
{
	if (nulls[COLUMN_USER])
		return receiver->agent->user_column;
	if (nulls[COLUMN_ITEM])
		return receiver->agent->item_column;
	if (nulls[COLUMN_TIME] && OidIsValid(receiver->time_type))
		return receiver->agent->time_column;
	if (nulls[COLUMN_VALUE] && receiver->agent->value_column)
		return receiver->agent->value_column;
	return NULL;
}

static bool
receive_event(TupleTableSlot *slot, DestReceiver *self)
{
	EventReceiver *receiver = (EventReceiver *) self;
	MemoryContext old;
	const char *missing;
	Event		event = {0};

	slot_getallattrs(slot);
	missing = missing_column(receiver, slot->tts_isnull);
	if (missing && receiver->skip_missing)
		return true;
	if (missing)
		bad_event(receiver, missing, "NULL", ERRCODE_NULL_VALUE_NOT_ALLOWED, true);

	old = MemoryContextSwitchTo(receiver->row_context);
	event.user = id_bytes(&receiver->user, slot->tts_values[COLUMN_USER], &event.user_length);
	event.item = id_bytes(&receiver->item, slot->tts_values[COLUMN_ITEM], &event.item_length);
	if (OidIsValid(receiver->time_type))
		event.time = time_of(receiver, slot->tts_values[COLUMN_TIME]);
	if (!slot->tts_isnull[COLUMN_TIE])
		event.tie = tie_of(slot);
	event.reward = reward_of(receiver, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	receiver->sink(receiver->argument, &event);
	MemoryContextReset(receiver->row_context);
	return true;
}

static void
read_rewards(EventReceiver *receiver)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	Reward	   *reward = NULL;

	if (receiver->agent->rewards == NULL)
		return;
	receiver->rewards = palloc(JB_ROOT_COUNT(receiver->agent->rewards) * sizeof(Reward));
	iterator = JsonbIteratorInit(&receiver->agent->rewards->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			reward = &receiver->rewards[receiver->n_rewards++];
			reward->event = value.val.string.val;
			reward->length = value.val.string.len;
		}
		else if (token == WJB_VALUE)
			reward->reward = (float) DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric)));
	}
}

/* ---------------------------------------------------------------- the query */

/* The integer primary key's name, NULL when there is none. */
static char *
integer_primary_key(Oid relation)
{
	Relation	table = table_open(relation, AccessShareLock);
	Oid			index;
	HeapTuple	tuple;
	char	   *column = NULL;

	(void) RelationGetIndexList(table);
	index = table->rd_pkindex;
	if (OidIsValid(index) && HeapTupleIsValid(tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index))))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		if (form->indnkeyatts == 1 && form->indkey.values[0] > 0)
		{
			char	   *name = get_attname(relation, form->indkey.values[0], false);
			Oid			type = rlrec_column_type(relation, name);

			if (type == INT2OID || type == INT4OID || type == INT8OID)
				column = name;
		}
		ReleaseSysCache(tuple);
	}
	table_close(table, AccessShareLock);
	return column;
}

/* What orders events of the same time: a bigint or ctid. */
static char *
tie_expression(Oid relation)
{
	char		kind = get_rel_relkind(relation);
	char	   *key;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_MATVIEW)
		return "NULL::pg_catalog.int8";
	key = integer_primary_key(relation);
	if (key)
		return psprintf("%s::pg_catalog.int8", quote_identifier(key));
	return "ctid";
}

/* An expression for the time as timestamp or float8 seconds since 1970; *type says which. */
static char *
time_expression(const RlrecAgent *agent, Oid *type)
{
	Oid			column = agent->time_column ? rlrec_column_type(agent->events, agent->time_column) : InvalidOid;
	const char *name = agent->time_column ? quote_identifier(agent->time_column) : NULL;

	*type = OidIsValid(column) ? TIMESTAMPOID : InvalidOid;
	if (!OidIsValid(column))
		return "NULL::pg_catalog.timestamp";
	if (column == TIMESTAMPOID || column == TIMESTAMPTZOID)
		return pstrdup(name);
	if (column == DATEOID)
		return psprintf("%s::pg_catalog.timestamp", name);
	*type = FLOAT8OID;
	return psprintf("%s::pg_catalog.float8", name);
}

static const char *
id_expression(const RlrecAgent *agent, const char *column)
{
	if (rlrec_column_type(agent->events, column) == BPCHAROID)
		return psprintf("%s::pg_catalog.text", quote_identifier(column));
	return quote_identifier(column);
}

/* The comparison of the user column with $1; equality of a nondeterministic collation is narrowed to that of the bytes. */
static char *
user_condition(const RlrecAgent *agent)
{
	const char *column = quote_identifier(agent->user_column);
	Oid			collation = InvalidOid;
	Oid			type;
	int32		typmod;

	get_atttypetypmodcoll(agent->events, get_attnum(agent->events, agent->user_column), &type, &typmod, &collation);
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		return psprintf("%s OPERATOR(pg_catalog.=) $1 AND %s COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) $1", column, column);
	return psprintf("%s OPERATOR(pg_catalog.=) $1", column);
}

static char *
events_query(const RlrecAgent *agent, bool of_user, Oid *time_type)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s, %s, ", id_expression(agent, agent->user_column), id_expression(agent, agent->item_column));
	appendStringInfo(&query, "%s, %s, ", time_expression(agent, time_type), tie_expression(agent->events));
	if (agent->rewards)
		appendStringInfo(&query, "%s::pg_catalog.text, ", quote_identifier(agent->event_column));
	else
		appendStringInfoString(&query, "NULL, ");
	if (agent->value_column)
		appendStringInfo(&query, "%s::pg_catalog.float8", quote_identifier(agent->value_column));
	else
		appendStringInfoString(&query, "NULL::pg_catalog.float8");
	appendStringInfo(&query, " FROM %s", rlrec_qualified_name(agent->events));
	if (of_user)
		appendStringInfo(&query, " WHERE %s", user_condition(agent));
	return query.data;
}

static void
receiver_init(EventReceiver *receiver, const RlrecAgent *agent, Oid time_type, EventSink sink, void *argument)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->base = *None_Receiver;
	receiver->base.receiveSlot = receive_event;
	receiver->agent = agent;
	receiver->sink = sink;
	receiver->argument = argument;
	receiver->time_type = time_type;
	receiver->skip_missing = rlrec_option_bool(agent->options, rlrec_agent_options, "skip_missing");
	id_reader_init(&receiver->user, rlrec_column_type(agent->events, agent->user_column));
	id_reader_init(&receiver->item, rlrec_column_type(agent->events, agent->item_column));
	read_rewards(receiver);
	receiver->row_context = AllocSetContextCreate(CurrentMemoryContext, "rlrec event", ALLOCSET_SMALL_SIZES);
}

/* ---------------------------------------------------------------- all events */

/* The events as they come; arrays of capacity. */
typedef struct Collector
{
	const RlrecAgent *agent;
	RlrecIntern *users;
	RlrecIntern *items;
	int64		n;
	int64		capacity;
	int32	   *user;
	int32	   *item;
	int64	   *time;
	int64	   *tie;
	float	   *reward;
	Size		budget;
	int64		expected;		/* the planner's estimate, for progress */
} Collector;

#define EVENT_BYTES (2 * sizeof(int32) + 2 * sizeof(int64) + sizeof(float))

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
}

static void
collect_event(void *argument, const Event *event)
{
	Collector  *collector = argument;
	int64		n = collector->n;

	if (n == collector->capacity)
		set_capacity(collector, n + Max(n / 2, 65536));
	collector->user[n] = rlrec_intern_add(collector->users, event->user, event->user_length);
	collector->item[n] = rlrec_intern_add(collector->items, event->item, event->item_length);
	collector->time[n] = event->time;
	collector->tie[n] = event->tie;
	collector->reward[n] = event->reward;
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

typedef struct Place
{
	int64		time;
	int64		tie;
	int32		item;
	float		reward;
} Place;

static int
compare_places(const void *a, const void *b)
{
	const Place *x = a;
	const Place *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->tie != y->tie)
		return x->tie < y->tie ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

/* Sorts a user's events [n] by (time, tie); logs mostly come in order already. */
static void
sort_places(Place *places, int64 n)
{
	for (int64 i = 1; i < n; i++)
		if (compare_places(&places[i - 1], &places[i]) > 0)
		{
			qsort(places, n, sizeof(Place), compare_places);
			return;
		}
}

/* The collected events, user by user in order of time. Frees the collector's arrays. */
static RlrecEvents *
arrange(Collector *collector)
{
	RlrecEvents *events = palloc0(sizeof(RlrecEvents));
	int32	   *user_rank;
	int32	   *item_rank;
	int64		n = collector->n;
	int64	   *start;
	int64	   *end;
	Place	   *places;

	rlrec_progress("sorting events", 0, n);
	events->users = rlrec_intern_finish(collector->users, &user_rank);
	events->items = rlrec_intern_finish(collector->items, &item_rank);
	start = MemoryContextAllocHuge(CurrentMemoryContext, (events->users.n + (Size) 1) * sizeof(int64));
	end = MemoryContextAllocHuge(CurrentMemoryContext, (events->users.n + (Size) 1) * sizeof(int64));
	places = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(Place));

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
		Place	   *place = &places[end[user_rank[collector->user[i]]]++];

		place->time = collector->time[i];
		place->tie = collector->tie[i];
		place->item = item_rank[collector->item[i]];
		place->reward = collector->reward[i];
	}
	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		sort_places(places + start[u], end[u] - start[u]);
	}
	for (int64 i = 0; i < n; i++)
	{
		collector->item[i] = places[i].item;
		collector->time[i] = places[i].time;
		collector->reward[i] = places[i].reward;
	}
	pfree(places);
	pfree(collector->user);
	pfree(collector->tie);
	pfree(user_rank);
	pfree(item_rank);

	events->start = start;
	events->end = end;
	events->item = collector->item;
	events->time = collector->time;
	events->reward = collector->reward;
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
	MemoryContext context = CurrentMemoryContext;
	SPIExecuteOptions options = {0};
	EventReceiver receiver;
	Collector	collector = {0};
	Oid			time_type;
	char	   *query;

	rlrec_agent_check_columns(agent);
	query = events_query(agent, false, &time_type);
	receiver_init(&receiver, agent, time_type, collect_event, &collector);
	collector.agent = agent;
	collector.budget = budget;
	collector.expected = expected_rows(agent->events);
	collector.users = rlrec_intern_create();
	collector.items = rlrec_intern_create();
	collector.user = palloc(1);
	collector.item = palloc(1);
	collector.time = palloc(1);
	collector.tie = palloc(1);
	collector.reward = palloc(1);
	rlrec_progress("reading events", 0, collector.expected);

	SPI_connect();
	options.dest = (DestReceiver *) &receiver;
	options.read_only = true;
	if (SPI_execute_extended(query, &options) < 0)
		elog(ERROR, "could not read the events");
	SPI_finish();
	MemoryContextSwitchTo(context);
	MemoryContextDelete(receiver.row_context);

	if (collector.n == 0 && !empty_ok)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("%s has no events for agent \"%s\" to learn from", rlrec_qualified_name(agent->events), agent->name),
				 errhint("Insert some first; if there are rows, check row-level security: training sees what the agent's owner sees.")));
	set_capacity(&collector, Max(collector.n, 1));
	check_budget(&collector, mul_size(collector.n, sizeof(Place)));
	if (with_items && OidIsValid(agent->items))
		rlrec_ids_read(agent, agent->items, agent->item_key, collect_item, &collector);
	return arrange(&collector);
}

/* ---------------------------------------------------------------- ids of a relation */

typedef struct IdReceiver
{
	DestReceiver base;
	IdReader	reader;
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
	id = id_bytes(&receiver->reader, datum, &length);
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
	id_reader_init(&receiver.reader, type);

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

/* ---------------------------------------------------------------- one user's events */

/* Prepared queries of this session, by their text; started anew when there are too many. */
typedef struct PlanEntry
{
	uint32		hash;
	char	   *query;
	SPIPlanPtr	plan;
} PlanEntry;

#define MAX_PLANS 32
static PlanEntry plans[MAX_PLANS];
static int	n_plans = 0;

static SPIPlanPtr
prepared_plan(const char *query, Oid type)
{
	uint32		hash = hash_bytes((const unsigned char *) query, (int) strlen(query));
	PlanEntry  *entry;
	SPIPlanPtr	plan;

	for (int i = 0; i < n_plans; i++)
		if (plans[i].hash == hash && strcmp(plans[i].query, query) == 0)
			return plans[i].plan;
	if (n_plans == MAX_PLANS)
	{
		for (int i = 0; i < n_plans; i++)
		{
			SPI_freeplan(plans[i].plan);
			pfree(plans[i].query);
		}
		n_plans = 0;
	}
	plan = SPI_prepare(query, 1, &type);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	entry = &plans[n_plans];
	entry->query = MemoryContextStrdup(TopMemoryContext, query);
	entry->hash = hash;
	entry->plan = plan;
	n_plans++;
	return plan;
}

typedef struct HistoryCollector
{
	const RlrecDictionary *items;
	bool	   *seen;
	List	  **unknown;
	Place	   *places;
	int			n;
	int			capacity;
	MemoryContext context;
} HistoryCollector;

static void
collect_history(void *argument, const Event *event)
{
	HistoryCollector *collector = argument;
	int32		item = rlrec_dictionary_find(collector->items, event->item, event->item_length);
	Place	   *place;

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
		collector->places = repalloc_huge(collector->places, collector->capacity * sizeof(Place));
	}
	place = &collector->places[collector->n++];
	place->time = event->time;
	place->tie = event->tie;
	place->item = item;
	place->reward = event->reward;
}

static void
history_of_places(RlrecHistory *history, const Place *places, int n)
{
	int32	   *item = palloc(Max(n, 1) * sizeof(int32));
	int64	   *time = palloc(Max(n, 1) * sizeof(int64));
	float	   *reward = palloc(Max(n, 1) * sizeof(float));

	for (int i = 0; i < n; i++)
	{
		item[i] = places[i].item;
		time[i] = places[i].time;
		reward[i] = places[i].reward;
	}
	history->n = n;
	history->item = item;
	history->time = time;
	history->reward = reward;
}

/* The user's id as a value of the user column's base type. */
static Datum
user_datum(Oid type, const char *user)
{
	Oid			input;
	Oid			parameter;

	getTypeInputInfo(type, &input, &parameter);
	return OidInputFunctionCall(input, (char *) user, parameter, -1);
}

void
rlrec_history_read(const RlrecAgent *agent, const char *user, const RlrecDictionary *items, RlrecHistory *history, bool *seen,
				   List **unknown)
{
	MemoryContext context = CurrentMemoryContext;
	SPIExecuteOptions options = {0};
	EventReceiver receiver;
	HistoryCollector collector = {0};
	ParamListInfo parameters = makeParamList(1);
	Oid			type = rlrec_column_type(agent->events, agent->user_column);
	Oid			time_type;
	char	   *query = events_query(agent, true, &time_type);

	receiver_init(&receiver, agent, time_type, collect_history, &collector);
	collector.items = items;
	collector.seen = seen;
	collector.unknown = unknown;
	collector.capacity = 256;
	collector.places = palloc(collector.capacity * sizeof(Place));
	collector.context = context;
	parameters->params[0].ptype = type;
	parameters->params[0].pflags = PARAM_FLAG_CONST;
	parameters->params[0].isnull = false;
	parameters->params[0].value = user_datum(type, user);

	SPI_connect();
	options.params = parameters;
	options.dest = (DestReceiver *) &receiver;
	options.read_only = true;
	if (SPI_execute_plan_extended(prepared_plan(query, type), &options) < 0)
		elog(ERROR, "could not read a user's events");
	SPI_finish();
	MemoryContextSwitchTo(context);
	MemoryContextDelete(receiver.row_context);

	sort_places(collector.places, collector.n);
	history_of_places(history, collector.places, collector.n);
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
		type = TEXTOID;
	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, user_datum(type, id));
}
