/*
 * user_log.c
 *	  Users' logs, read from the events table many at a time and handed out one after the other.
 *
 * By an index on the users' column one query reads a thousand users, as it may read each page of the table once for all of them. Who has too
 * many events for that is read alone, which an index on user and time lets stop early.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "data/intern.h"
#include "feedback/user_log.h"
#include "store/events.h"
#include "store/id_reader.h"

/* So many logs are read by one query, unless their users have more events than this on average. */
#define TOGETHER 1000
#define MOST_TOGETHER 1000

typedef struct UserLog
{
	RlrecUserLog base;
	int64		expected;		/* events */
	int64		latest;			/* time of those */
	bool		alone;			/* to be read by a query of its own */
	int			room;			/* for places */
} UserLog;

struct RlrecUserLogs
{
	const RlrecAgent *agent;
	const RlrecModel *model;
	MemoryContext context;
	RlrecIntern *item_ids;		/* number: index in items */
	int32		n_items;
	int32		items_room;
	RlrecLoggedItem *items;
	RlrecIntern *users;			/* number: index in log */
	int32		n;
	int32		room;
	UserLog    *log;
	int64		left;			/* of the query that reads many: so many events more may come */
	bool		stop;			/* and this ends it */
};

RlrecUserLogs *
rlrec_user_logs_create(const RlrecAgent *agent, const RlrecModel *model)
{
	RlrecUserLogs *logs = palloc0(sizeof(RlrecUserLogs));

	logs->agent = agent;
	logs->model = model;
	logs->context = CurrentMemoryContext;
	logs->item_ids = rlrec_intern_create();
	logs->items_room = 256;
	logs->items = palloc_array(RlrecLoggedItem, logs->items_room);
	logs->users = rlrec_intern_create();
	logs->room = 256;
	logs->log = palloc_array(UserLog, logs->room);
	return logs;
}

int32
rlrec_user_logs_add(RlrecUserLogs *logs, const char *user, size_t length)
{
	MemoryContext outer = MemoryContextSwitchTo(logs->context);
	int32		number = rlrec_intern_add(logs->users, user, length);

	if (number == logs->n)
	{
		if (logs->n == logs->room)
		{
			logs->room *= 2;
			logs->log = repalloc_huge(logs->log, logs->room * sizeof(UserLog));
		}
		logs->log[logs->n++] = (UserLog) {.base = {.number = number, .user = pnstrdup(user, length)}, .latest = PG_INT64_MIN};
	}
	MemoryContextSwitchTo(outer);
	return number;
}

void
rlrec_user_logs_expect(RlrecUserLogs *logs, int32 user, int64 time)
{
	UserLog    *log = &logs->log[user];

	log->expected++;
	log->latest = Max(log->latest, time);
}

int32
rlrec_user_logs_item(const RlrecUserLogs *logs, const char *id, size_t length)
{
	return rlrec_intern_find(logs->item_ids, id, length);
}

/* ---------------------------------------------------------------- events */

static int32
add_item(RlrecUserLogs *logs, const char *id, size_t length)
{
	MemoryContext outer = MemoryContextSwitchTo(logs->context);
	int32		number = rlrec_intern_add(logs->item_ids, id, length);

	if (number == logs->n_items)
	{
		if (logs->n_items == logs->items_room)
		{
			logs->items_room *= 2;
			logs->items = repalloc_huge(logs->items, logs->items_room * sizeof(RlrecLoggedItem));
		}
		logs->items[logs->n_items++] = (RlrecLoggedItem) {{pnstrdup(id, length), (int32) length},
		rlrec_dictionary_find(&logs->model->items, id, length)};
	}
	MemoryContextSwitchTo(outer);
	return number;
}

/* NULL for a user who was not added. */
static UserLog *
find_log(const RlrecUserLogs *logs, const char *user, size_t length)
{
	int32		number = rlrec_intern_find(logs->users, user, length);

	return number < 0 ? NULL : &logs->log[number];
}

static void
add_event(RlrecUserLogs *logs, UserLog *log, const RlrecEvent *event)
{
	RlrecLogPlace *place;

	if (log->base.n == log->room)
	{
		log->room = Max(2 * log->room, 16);
		log->base.place = log->base.place ? repalloc_huge(log->base.place, log->room * sizeof(RlrecLogPlace)) :
			MemoryContextAlloc(logs->context, log->room * sizeof(RlrecLogPlace));
	}
	place = &log->base.place[log->base.n++];
	memset(place, 0, sizeof(RlrecLogPlace));
	place->base.time = event->time;
	place->base.tie = event->tie;
	place->base.item = add_item(logs, event->item, event->item_length);
	place->base.reward = event->reward;
	if (event->type != NULL)
		place->base.type = rlrec_dictionary_find(&logs->model->types, event->type, event->type_length) + 1;
	place->xid = event->xid;
}

/* Adds an event of the table to its user's log, if he has one. */
static void
collect(void *argument, const RlrecEvent *event)
{
	RlrecUserLogs *logs = argument;
	UserLog    *log = find_log(logs, event->user, event->user_length);

	if (log != NULL)
		add_event(logs, log, event);
}

/* The same where many users are read by one query, which ends when one has too many events, or all together have. */
static void
collect_together(void *argument, const RlrecEvent *event)
{
	RlrecUserLogs *logs = argument;
	UserLog    *log = find_log(logs, event->user, event->user_length);

	if (log == NULL)
		return;
	if (log->base.n == RLREC_LOG_MOST || logs->left-- == 0)
		log->alone = logs->stop = true;
	else
		add_event(logs, log, event);
}

static void
empty_log(UserLog *log)
{
	if (log->base.place != NULL)
		pfree(log->base.place);
	log->base.place = NULL;
	log->base.n = log->room = 0;
}

/* ---------------------------------------------------------------- reading */

/* Whether one user's events are found by an index that reads no others. */
static bool
users_are_indexed(const RlrecAgent *agent)
{
	Relation	table = table_open(agent->events, AccessShareLock);
	AttrNumber	user = get_attnum(agent->events, agent->user_column);
	List	   *indexes = RelationGetIndexList(table);
	bool		found = false;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		found = found || (index->rd_index->indisvalid && index->rd_index->indkey.values[0] == user && RelationGetIndexPredicate(index) == NIL &&
						  (index->rd_rel->relam == BTREE_AM_OID || index->rd_rel->relam == HASH_AM_OID));
		index_close(index, AccessShareLock);
	}
	table_close(table, NoLock);
	return found;
}

/* Leaves alone the users who have too many events, as the table's statistics say: an index would read through all of them. */
static void
leave_common(RlrecUserLogs *logs)
{
	Oid			events = logs->agent->events;
	Relation	table = table_open(events, AccessShareLock);
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(events), Int16GetDatum(get_attnum(events, logs->agent->user_column)),
										BoolGetDatum(table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE));
	AttStatsSlot slot;
	RlrecIdReader reader;

	if (HeapTupleIsValid(tuple) && get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
	{
		rlrec_id_reader_init(&reader, slot.valuetype);
		for (int i = 0; i < slot.nvalues && slot.numbers[i] * table->rd_rel->reltuples > RLREC_LOG_MOST; i++)
		{
			size_t		length;
			const char *user = rlrec_id_bytes(&reader, slot.values[i], &length);
			UserLog    *log = find_log(logs, user, length);

			if (log != NULL)
				log->alone = true;
		}
		free_attstatsslot(&slot);
	}
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	table_close(table, NoLock);
}

/* Whether the table may have what is to be read of a user: an id that is none of the column's type would be an error. */
static bool
is_read(const RlrecUserLogs *logs, const UserLog *log, bool whole)
{
	return (whole || log->expected > 0) && rlrec_id_is_of_column(logs->agent, logs->agent->user_column, log->base.user);
}

static void
read_alone(RlrecUserLogs *logs, const UserLog *log, bool whole)
{
	if (whole)
		rlrec_events_stream_xids(logs->agent, log->base.user, collect, logs);
	else
		rlrec_events_stream_window(logs->agent, log->base.user, log->latest, RLREC_LOG_MOST + log->expected, collect, logs);
}

/*
 * Reads logs [begin .. end - 1], as far as they are to be read, except those that are then left alone: users with too many events, without whom
 * the query starts again, and all when what it has read comes to too many.
 */
static void
read_together(RlrecUserLogs *logs, int32 begin, int32 end, bool whole)
{
	UserLog   **log = palloc_array(UserLog *, end - begin);
	const char **users = palloc_array(const char *, end - begin);
	int			n = 0;

	for (int32 u = begin; u < end; u++)
		if (is_read(logs, &logs->log[u], whole))
			log[n++] = &logs->log[u];
		else
			logs->log[u].alone = false;
	logs->left = n == 1 ? -1 : RLREC_LOG_MOST + (int64) MOST_TOGETHER * n;
	do
	{
		int			n_users = 0;

		for (int i = 0; i < n; i++)
		{
			empty_log(log[i]);
			log[i]->alone = log[i]->alone || logs->left < 0;
			if (!log[i]->alone)
				users[n_users++] = log[i]->base.user;
		}
		logs->stop = false;
		if (n_users > 0)
			rlrec_events_stream_users(logs->agent, n_users, users, &logs->stop, collect_together, logs);
	} while (logs->stop);
}

void
rlrec_user_logs_read(RlrecUserLogs *logs, bool whole, RlrecUserLogSink sink, void *argument)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "rlrec user", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(scratch);
	bool		indexed = users_are_indexed(logs->agent);

	if (indexed)
		leave_common(logs);
	else if (logs->n > 0)
		rlrec_events_stream_xids(logs->agent, NULL, collect, logs);
	for (int32 u = 0; u < logs->n; u++)
	{
		UserLog    *log = &logs->log[u];

		CHECK_FOR_INTERRUPTS();
		if (indexed && u % TOGETHER == 0)
			read_together(logs, u, Min(u + TOGETHER, logs->n), whole);
		if (indexed && log->alone)
			read_alone(logs, log, whole);
		if (log->base.n > 1)
			qsort(log->base.place, log->base.n, sizeof(RlrecLogPlace), rlrec_place_compare);
		log->base.n_items = logs->n_items;
		log->base.items = logs->items;
		sink(argument, &log->base);
		empty_log(log);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(scratch);
}
