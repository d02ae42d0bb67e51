/*
 * learn.c
 *	  What agents learn of committed events between trainings: docs/online.md.
 *
 * An event's lesson is its user's events without it and with it, read from the events table, so that learners count what training would have
 * counted; each event is preceded by those before it in the user's order of (time, tie). What the worker tells only says which to learn.
 *
 * What was told of a user who cannot be one any more, as the column's type is another now, is an event whose row is gone.
 *
 * Each event is in the version, because training saw it, or in the rows, or neither, and no event is to be in both. So it is kept with each
 * version which transactions its training saw, and with the rows which events of the table they stand for. When the rows are found to be on
 * top of another version than the one deployed, they are made anew of the events that the table has now and that version was not trained on;
 * whichever of these the worker tells of later counts as learned.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "data/intern.h"
#include "data/rewards.h"
#include "feedback/learn.h"
#include "learner/parts.h"
#include "store/cache.h"
#include "store/catalog.h"
#include "store/event_stream.h"
#include "store/events.h"
#include "store/id_reader.h"
#include "store/online.h"
#include "store/reward.h"
#include "store/state_key.h"
#include "train/train.h"

/* Of the events before one that is learned, and of those after it, learners see this many: of a user who has more, the nearest. */
#define MOST 10000

/* So many logs are read by one query, unless their users have more events than this on average. */
#define TOGETHER 1000
#define MOST_TOGETHER 1000

/* An item that some event has. */
typedef struct LoggedItem
{
	RlrecKey	id;
	int32		index;			/* in the model, -1 when it does not know it */
} LoggedItem;

/* An event of a user in the table. */
typedef struct Place
{
	RlrecPlace	base;			/* item is an index in Learner.items */
	TransactionId xid;			/* that wrote the row */
	bool		old;			/* in the version or in the rows already */
	bool		known;			/* likewise, or told of and learned before */
	bool		lesson;			/* to be learned */
} Place;

typedef struct UserLog
{
	char	   *user;
	bool		alone;			/* read by a query of its own, if at all */
	int			n;
	int			room;
	Place	   *place;			/* [n] */
} UserLog;

typedef struct Learner
{
	const RlrecAgent *agent;
	const RlrecModel *model;
	List	   *parts;			/* of RlrecModel *, those that learn */
	RlrecOnlineRows *rows;
	RlrecRewardRules rules;
	bool		has_seen;
	RlrecSeen	seen;			/* what the version and the rows have, but for what was told since */
	bool		has_told;
	RlrecSeen	told;			/* what was told, as the queue's watermark says */
	bool		anew;			/* every event that they do not have, and `now` has, is to be learned */
	RlrecSeen	now;
	RlrecIntern *ids;			/* number: index in items */
	int32		n_items;
	int32		room;
	LoggedItem *items;
	int64	   *first;			/* [room] scratch of rlrec_rewards_credit(), all 0 */
	RlrecIntern *users;			/* number: index in logs */
	int32		n_logs;
	int32		logs_room;
	UserLog    *logs;
	bool		together;		/* logs are being read by one query, of which */
	int64		left;			/* so many events more may come */
	bool		stop;			/* and this ends it */
	MemoryContext context;		/* of the above */
} Learner;

static int32
item_number(Learner *learner, const char *id, size_t length)
{
	MemoryContext outer = MemoryContextSwitchTo(learner->context);
	int32		number = rlrec_intern_add(learner->ids, id, length);

	if (number == learner->n_items)
	{
		if (learner->n_items == learner->room)
		{
			learner->items = repalloc_huge(learner->items, 2 * learner->room * sizeof(LoggedItem));
			learner->first = repalloc_huge(learner->first, 2 * learner->room * sizeof(int64));
			memset(learner->first + learner->room, 0, learner->room * sizeof(int64));
			learner->room *= 2;
		}
		learner->items[learner->n_items++] = (LoggedItem) {{pnstrdup(id, length), (int32) length},
		rlrec_dictionary_find(&learner->model->items, id, length)};
	}
	MemoryContextSwitchTo(outer);
	return number;
}

static UserLog *
log_of_user(Learner *learner, const char *user, size_t length)
{
	MemoryContext outer = MemoryContextSwitchTo(learner->context);
	int32		number = rlrec_intern_add(learner->users, user, length);

	if (number == learner->n_logs)
	{
		if (learner->n_logs == learner->logs_room)
		{
			learner->logs_room *= 2;
			learner->logs = repalloc_huge(learner->logs, learner->logs_room * sizeof(UserLog));
		}
		learner->logs[learner->n_logs++] = (UserLog) {pnstrdup(user, length), false, 0, 0, NULL};
	}
	MemoryContextSwitchTo(outer);
	return &learner->logs[number];
}

/* ---------------------------------------------------------------- reading */

/* Adds an event of the table to its user's log, if he has one. */
static void
collect(void *argument, const RlrecEvent *event)
{
	Learner    *learner = argument;
	int32		number = rlrec_intern_add(learner->users, event->user, event->user_length);
	UserLog    *log;
	Place	   *place;

	if (number >= learner->n_logs)
		return;
	log = &learner->logs[number];
	if (learner->together && (log->n == MOST || learner->left-- == 0))
	{
		log->alone = learner->stop = true;
		return;
	}
	if (log->n == log->room)
	{
		log->room = Max(2 * log->room, 16);
		log->place = log->place ? repalloc_huge(log->place, log->room * sizeof(Place)) :
			MemoryContextAlloc(learner->context, log->room * sizeof(Place));
	}
	place = &log->place[log->n++];
	memset(place, 0, sizeof(Place));
	place->base.time = event->time;
	place->base.tie = event->tie;
	place->base.item = item_number(learner, event->item, event->item_length);
	place->base.reward = event->reward;
	if (event->type != NULL)
		place->base.type = rlrec_dictionary_find(&learner->model->types, event->type, event->type_length) + 1;
	place->xid = event->xid;
	place->old = learner->has_seen && rlrec_seen(&learner->seen, event->xid);
	place->known = place->old || (learner->has_told && rlrec_seen(&learner->told, event->xid));
	place->lesson = learner->anew && !place->old && rlrec_seen(&learner->now, event->xid);
}

/* Gives each user who has an event to be learned a log. */
static void
collect_user(void *argument, const RlrecEvent *event)
{
	Learner    *learner = argument;

	if (!rlrec_seen(&learner->seen, event->xid) && rlrec_seen(&learner->now, event->xid))
		(void) log_of_user(learner, event->user, event->user_length);
}

/* Whether one user's events are found by an index. */
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

		found = found || (index->rd_index->indkey.values[0] == user && RelationGetIndexPredicate(index) == NIL);
		index_close(index, AccessShareLock);
	}
	table_close(table, NoLock);
	return found;
}

/* ---------------------------------------------------------------- lessons */

/* A user's events as learners see them, by `reward` what they count by themselves. */
static RlrecPastEvent *
events_of(const Learner *learner, const UserLog *log)
{
	RlrecPastEvent *events = palloc_extended(Max(log->n, 1) * sizeof(RlrecPastEvent), MCXT_ALLOC_HUGE);

	for (int i = 0; i < log->n; i++)
	{
		const RlrecPlace *place = &log->place[i].base;
		const LoggedItem *item = &learner->items[place->item];

		events[i] = (RlrecPastEvent) {item->id, item->index, place->time, place->reward / learner->model->reward_scale, place->type};
	}
	return events;
}

/* Copies the events of the places, [n], and credits them. */
static RlrecPastEvent *
pick(const Learner *learner, const UserLog *log, const RlrecPastEvent *events, int32 n, const int32 *places)
{
	RlrecPastEvent *picked = palloc_extended(Max(n, 1) * sizeof(RlrecPastEvent), MCXT_ALLOC_HUGE);
	int32	   *item = palloc(Max(n, 1) * sizeof(int32));
	int64	   *time = palloc(Max(n, 1) * sizeof(int64));
	float	   *reward = palloc(Max(n, 1) * sizeof(float));

	for (int32 i = 0; i < n; i++)
	{
		picked[i] = events[places[i]];
		item[i] = log->place[places[i]].base.item;
		time[i] = picked[i].time;
		reward[i] = picked[i].reward;
	}
	if (learner->rules.horizon > 0)
	{
		rlrec_rewards_credit(&learner->rules, 0, n, item, time, reward, learner->first);
		for (int32 i = 0; i < n; i++)
		{
			picked[i].reward = reward[i];
			learner->first[item[i]] = 0;
		}
	}
	return picked;
}

/* The lesson of place p. The events before it count as learned, and of those after it, up to the place `last`, the ones that are known to be. */
static RlrecLesson
make_lesson(const Learner *learner, const UserLog *log, const RlrecPastEvent *events, RlrecKey user, int p, int last)
{
	int			first = Max(p - MOST, 0);
	RlrecLesson lesson = {user, p - first, events + first, p - first + 1, events + first, p - first};
	int			end = Max(Min(last, p + MOST), p) + 1;
	int32	   *before;
	int32	   *after;

	if (learner->rules.horizon == 0 && last < p)
		return lesson;
	before = palloc((end - first) * sizeof(int32));
	after = palloc((end - first) * sizeof(int32));
	lesson.n_before = lesson.n_after = 0;
	for (int i = first; i < end; i++)
	{
		if (i < p || (i > p && log->place[i].known))
			before[lesson.n_before++] = i;
		if (i <= p || log->place[i].known)
			after[lesson.n_after++] = i;
	}
	lesson.before = pick(learner, log, events, lesson.n_before, before);
	lesson.after = pick(learner, log, events, lesson.n_after, after);
	return lesson;
}

/* Learns the lessons of a user, in his order. */
static void
teach(Learner *learner, UserLog *log)
{
	MemoryContext outer = CurrentMemoryContext;
	RlrecLearned *learned = &learner->rows->learned;
	RlrecKey	user = rlrec_state_key_read(learner->agent, log->user);
	RlrecPastEvent *events = events_of(learner, log);
	MemoryContext context = AllocSetContextCreate(outer, "rlrec lesson", ALLOCSET_DEFAULT_SIZES);
	int			last = log->n - 1;
	ListCell   *cell;

	while (last >= 0 && !log->place[last].known)
		last--;
	MemoryContextSwitchTo(context);
	for (int p = 0; p < log->n; p++)
	{
		RlrecLesson lesson;

		if (!log->place[p].lesson)
			continue;
		CHECK_FOR_INTERRUPTS();
		lesson = make_lesson(learner, log, events, user, p, last);
		learner->rows->newer++;
		rlrec_learned_count(learned, &lesson);
		foreach(cell, learner->parts)
		{
			const RlrecModel *part = lfirst(cell);

			part->learner->learn(part, &lesson, learned);
		}
		log->place[p].known = true;
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(outer);
}

/* ---------------------------------------------------------------- what was told */

/* The events that are to be learned, by user. */
typedef struct Told
{
	const RlrecFeedbackEvent *events;
	int32	   *next;			/* [n] another event of the same user, told before; -1 for none */
	int32	   *last;			/* [users] the last one told of each */
} Told;

/*
 * The place of an event that was told: of its time, unless the agent has no column of time, and its item, the first one that was not told
 * before. What an earlier transaction wrote is another event; a subtransaction is later than its parent. -1 when there is none, for it came
 * from rlrec_feedback(), or is gone or changed.
 */
static int
find_told(const Learner *learner, const UserLog *log, const RlrecFeedbackEvent *event, int32 item)
{
	bool		timed = learner->agent->time_column != NULL;
	int			low = 0;
	int			high = timed ? log->n : 0;
	int			found = -1;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (log->place[middle].base.time < event->time)
			low = middle + 1;
		else
			high = middle;
	}
	for (int p = low; p < log->n && event->decision == 0; p++)
	{
		const Place *place = &log->place[p];

		if (timed && place->base.time > event->time)
			break;
		if (place->base.item != item || place->lesson || TransactionIdPrecedes(place->xid, event->xid))
			continue;
		if (!place->known)
			return p;
		if (found < 0 || (log->place[found].old && !place->old))
			found = p;
	}
	return found;
}

/* Marks the user's events that were told, unless the version or the rows have them. One that is not found is only counted. */
static void
mark_told(Learner *learner, UserLog *log, const Told *told)
{
	for (int32 e = told->last[log - learner->logs]; e >= 0; e = told->next[e])
	{
		const RlrecFeedbackEvent *event = &told->events[e];
		int32		item = item_number(learner, event->item, event->item_length);
		int			found = find_told(learner, log, event, item);

		if (found < 0)
		{
			learner->rows->newer++;
			rlrec_learned_visit(&learner->rows->learned, &learner->items[item].id);
		}
		else if (!log->place[found].old)
		{
			log->place[found].lesson = true;
			log->place[found].known = false;
		}
	}
}

static bool
has_lesson(const UserLog *log)
{
	for (int p = 0; p < log->n; p++)
		if (log->place[p].lesson)
			return true;
	return false;
}

static void
empty_log(UserLog *log)
{
	if (log->place != NULL)
		pfree(log->place);
	log->place = NULL;
	log->n = log->room = 0;
}

/* Whether anything is to be read of a user: told being NULL, or of what was told some being in the table; how much of that, and its latest time. */
static bool
is_read(const Learner *learner, const UserLog *log, const Told *told, int64 *n, int64 *time)
{
	*n = 0;
	*time = PG_INT64_MIN;
	for (int32 e = told ? told->last[log - learner->logs] : -1; e >= 0; e = told->next[e])
		if (told->events[e].decision == 0)
		{
			*time = Max(*time, told->events[e].time);
			(*n)++;
		}
	return (told == NULL || *n > 0) && rlrec_id_is_of_column(learner->agent, learner->agent->user_column, log->user);
}

/* Leaves alone the users who have too many events, as the table's statistics say: an index would read through all of them. */
static void
leave_common(Learner *learner)
{
	const RlrecAgent *agent = learner->agent;
	Relation	table = table_open(agent->events, AccessShareLock);
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(agent->events), Int16GetDatum(get_attnum(agent->events, agent->user_column)),
										BoolGetDatum(table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE));
	AttStatsSlot slot;
	RlrecIdReader reader;

	if (HeapTupleIsValid(tuple) && get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
	{
		rlrec_id_reader_init(&reader, slot.valuetype);
		for (int i = 0; i < slot.nvalues && slot.numbers[i] * table->rd_rel->reltuples > MOST; i++)
		{
			size_t		length;
			const char *user = rlrec_id_bytes(&reader, slot.values[i], &length);
			int32		number = rlrec_intern_add(learner->users, user, length);

			if (number < learner->n_logs)
				learner->logs[number].alone = true;
		}
		free_attstatsslot(&slot);
	}
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	table_close(table, NoLock);
}

/* Reads a user's log by an index: where it is known what was told of him, what is about it. */
static void
read_log(Learner *learner, const UserLog *log, const Told *told)
{
	int64		time;
	int64		n;

	if (!is_read(learner, log, told, &n, &time))
		return;
	if (told == NULL)
		rlrec_events_stream_xids(learner->agent, log->user, collect, learner);
	else
		rlrec_events_stream_window(learner->agent, log->user, time, MOST + n, collect, learner);
}

/*
 * Reads logs [begin .. end - 1] by one query, which may read each page of the table once for all of them. A user with too many events is left
 * alone, and all are when that is what most of them have.
 */
static void
read_together(Learner *learner, int32 begin, int32 end, const Told *told)
{
	const char **users = palloc_array(const char *, end - begin);
	int64		n;
	int64		time;

	for (int32 u = begin; u < end; u++)
		if (end - begin == 1 || !is_read(learner, &learner->logs[u], told, &n, &time))
			learner->logs[u].alone = true;
	learner->left = MOST + (int64) MOST_TOGETHER * (end - begin);
	do
	{
		int			n_users = 0;

		for (int32 u = begin; u < end; u++)
		{
			UserLog    *log = &learner->logs[u];

			empty_log(log);
			log->alone = log->alone || learner->left < 0;
			if (!log->alone)
				users[n_users++] = log->user;
		}
		learner->stop = false;
		learner->together = true;
		if (n_users > 0)
			rlrec_events_stream_users(learner->agent, n_users, users, &learner->stop, collect, learner);
		learner->together = false;
	} while (learner->stop);
}

/* Reads the logs of the users who have one, and learns their lessons: those that were told, or, told being NULL, that are marked as they are read. */
static void
teach_users(Learner *learner, const Told *told)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "rlrec user", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(scratch);
	bool		each = users_are_indexed(learner->agent);

	if (each)
		leave_common(learner);
	else if (learner->n_logs > 0)
		rlrec_events_stream_xids(learner->agent, NULL, collect, learner);
	for (int32 u = 0; u < learner->n_logs; u++)
	{
		UserLog    *log = &learner->logs[u];

		CHECK_FOR_INTERRUPTS();
		if (each && u % TOGETHER == 0)
			read_together(learner, u, Min(u + TOGETHER, learner->n_logs), told);
		if (each && log->alone)
			read_log(learner, log, told);
		if (log->n > 1)
			qsort(log->place, log->n, sizeof(Place), rlrec_place_compare);
		if (told != NULL)
			mark_told(learner, log, told);
		if (has_lesson(log))
			teach(learner, log);
		empty_log(log);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(scratch);
}

/* ---------------------------------------------------------------- what to learn */

static void
start(Learner *learner)
{
	MemoryContext outer = MemoryContextSwitchTo(learner->context);

	learner->ids = rlrec_intern_create();
	learner->n_items = 0;
	learner->room = 256;
	learner->items = palloc_array(LoggedItem, learner->room);
	learner->first = palloc0(learner->room * sizeof(int64));
	learner->users = rlrec_intern_create();
	learner->n_logs = 0;
	learner->logs_room = 256;
	learner->logs = palloc_array(UserLog, learner->logs_room);
	MemoryContextSwitchTo(outer);
}

/* The rows anew, of what the version was not trained on. Where that is not known, of nothing. */
static void
learn_anew(Learner *learner)
{
	Datum		now = rlrec_seen_of(GetActiveSnapshot(), false);

	rlrec_online_reset(learner->rows, learner->agent->deployed);
	if (!rlrec_online_seen(learner->agent->id, learner->agent->deployed, &learner->seen))
		return;
	learner->has_seen = true;
	learner->anew = true;
	learner->now = rlrec_seen_open(now);
	start(learner);
	rlrec_events_stream_xids(learner->agent, NULL, collect_user, learner);
	teach_users(learner, NULL);
	rlrec_online_set_seen(learner->agent->id, 0, now);
	learner->anew = false;
	learner->seen = learner->now;
}

/*
 * What was told before, and so is in the rows. The watermark knows top-level transactions only: what a subtransaction wrote may pass for told
 * before while it waits for a later batch than this one, and then an event that comes late is counted as if it were not.
 */
static void
read_told(Learner *learner)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(learner->agent->id)};
	bool		isnull;

	learner->has_told = rlrec_catalog_execute("SELECT seen FROM rlrec.watermark WHERE agent = $1", 1, types, values, NULL) == 1;
	if (learner->has_told)
		learner->told = rlrec_seen_open(SPI_datumTransfer(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull),
														  false, -1));
	SPI_freetuptable(SPI_tuptable);
}

static void
learn_told(Learner *learner, const RlrecFeedbackEvent *events, int64 n)
{
	Told		told = {events, palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE),
	palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE)};

	start(learner);
	for (int64 e = 0; e < n; e++)
	{
		int32		known = learner->n_logs;
		int32		number = (int32) (log_of_user(learner, events[e].user, events[e].user_length) - learner->logs);

		told.next[e] = number < known ? told.last[number] : -1;
		told.last[number] = (int32) e;
	}
	teach_users(learner, &told);
}

void
rlrec_online_learn(const RlrecAgent *agent, const RlrecFeedbackEvent *events, int64 n)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec online learning", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	Learner		learner = {.agent = agent, .context = context};
	RlrecRole	saved;
	ListCell   *cell;

	SPI_connect();
	MemoryContextSwitchTo(context);
	rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
	learner.rows = rlrec_online_lock(agent);
	learner.rows->events += n;
	PushActiveSnapshot(GetTransactionSnapshot());
	if (agent->deployed != 0)
	{
		learner.model = rlrec_cache_model(agent);
		learner.rules = rlrec_reward_rules(agent);
		foreach(cell, rlrec_parts_all(learner.model))
			if (((const RlrecModel *) lfirst(cell))->learner->learn != NULL)
				learner.parts = lappend(learner.parts, lfirst(cell));
		if (learner.rows->model != agent->deployed)
			learn_anew(&learner);
		else
		{
			learner.has_seen = rlrec_online_seen(agent->id, 0, &learner.seen);
			read_told(&learner);
		}
		learn_told(&learner, events, n);
		foreach(cell, learner.parts)
		{
			const RlrecModel *part = lfirst(cell);

			if (part->learner->learned != NULL)
				part->learner->learned(part, &learner.rows->learned);
		}
		rlrec_cache_release(learner.model);
	}
	rlrec_online_store(learner.rows);
	PopActiveSnapshot();
	rlrec_run_back(&saved);
	SPI_finish();
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
}

/* Whether the agent is being trained in the background, waits for it, or failed to be within the hour. */
static bool
in_training(const RlrecAgent *agent)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id)};

	return rlrec_catalog_execute("SELECT FROM rlrec.training WHERE agent = $1 AND (state IN ('waiting', 'running')"
								 " OR (state = 'failed' AND requested_at > pg_catalog.now() - interval '1 hour')) LIMIT 1",
								 1, types, values, NULL) > 0;
}

void
rlrec_online_maintain(const RlrecAgent *agent)
{
	int			batch = rlrec_option_int(agent->options, rlrec_agent_options, "online_batch");
	int64		model;
	int64		newer;

	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (agent->deployed != 0 && rlrec_online_state(agent->id, &model, &newer))
	{
		if (model != agent->deployed)
			rlrec_online_learn(agent, NULL, 0);
		else if (batch > 0 && newer >= batch && !in_training(agent))
			(void) rlrec_train_request(agent, RLREC_DEPLOY_ALWAYS);
	}
	PopActiveSnapshot();
	SPI_finish();
}
