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

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "data/rewards.h"
#include "feedback/learn.h"
#include "feedback/user_log.h"
#include "learner/parts.h"
#include "store/cache.h"
#include "store/catalog.h"
#include "store/event_stream.h"
#include "store/online.h"
#include "store/reward.h"
#include "store/state_key.h"
#include "train/train.h"

/* The events that were told, by user. */
typedef struct Told
{
	const RlrecFeedbackEvent *events;
	int32	   *next;			/* [n] another event of the same user, told before; -1 for none */
	int32	   *last;			/* [users] the last one told of each */
} Told;

typedef struct Learner
{
	const RlrecAgent *agent;
	const RlrecModel *model;
	List	   *parts;			/* of RlrecModel *, those that learn */
	RlrecOnlineRows *rows;
	RlrecRewardRules rules;
	bool		has_seen;
	RlrecSeen	seen;			/* what the version and the rows have, but for what was told since */
	bool		has_before;
	RlrecSeen	before;			/* what was told before, as the queue's watermark says */
	const Told *told;			/* to be learned; NULL when every event is that they do not have, and `now` has */
	RlrecSeen	now;
	RlrecUserLogs *logs;
	int64		first_room;
	int64	   *first;			/* [first_room] scratch of rlrec_rewards_credit(), by item, all 0 */
	MemoryContext context;		/* of the above */
} Learner;

/* ---------------------------------------------------------------- lessons */

/* A user's events as learners see them, by `reward` what they count by themselves. */
static RlrecPastEvent *
events_of(const Learner *learner, const RlrecUserLog *log)
{
	RlrecPastEvent *events = palloc_extended(Max(log->n, 1) * sizeof(RlrecPastEvent), MCXT_ALLOC_HUGE);

	for (int i = 0; i < log->n; i++)
	{
		const RlrecPlace *place = &log->place[i].base;
		const RlrecLoggedItem *item = &log->items[place->item];

		events[i] = (RlrecPastEvent) {item->id, item->index, place->time, place->reward / learner->model->reward_scale, place->type};
	}
	return events;
}

/* Makes the scratch of rlrec_rewards_credit() large enough for all items. */
static void
fit_first(Learner *learner, int32 n_items)
{
	if (n_items <= learner->first_room)
		return;
	if (learner->first != NULL)
		pfree(learner->first);
	learner->first_room = Max(2 * (int64) n_items, 256);
	learner->first = MemoryContextAllocExtended(learner->context, learner->first_room * sizeof(int64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Copies the events of the places, [n], and credits them. */
static RlrecPastEvent *
pick(const Learner *learner, const RlrecUserLog *log, const RlrecPastEvent *events, int32 n, const int32 *places)
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
make_lesson(const Learner *learner, const RlrecUserLog *log, const RlrecPastEvent *events, RlrecKey user, int p, int last)
{
	int			first = Max(p - RLREC_LOG_MOST, 0);
	RlrecLesson lesson = {user, p - first, events + first, p - first + 1, events + first, p - first};
	int			end = Max(Min(last, p + RLREC_LOG_MOST), p) + 1;
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
teach(Learner *learner, RlrecUserLog *log)
{
	MemoryContext outer = CurrentMemoryContext;
	RlrecLearned *learned = &learner->rows->learned;
	RlrecKey	user = rlrec_state_key_read(learner->agent, log->user);
	RlrecPastEvent *events = events_of(learner, log);
	MemoryContext context = AllocSetContextCreate(outer, "rlrec lesson", ALLOCSET_DEFAULT_SIZES);
	int			last = log->n - 1;
	ListCell   *cell;

	fit_first(learner, log->n_items);
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

/* ---------------------------------------------------------------- which events */

/* Marks what the version and the rows have, and of what they do not have, when they are made anew, what they are to have. */
static void
mark_seen(const Learner *learner, RlrecUserLog *log)
{
	for (int p = 0; p < log->n; p++)
	{
		RlrecLogPlace *place = &log->place[p];

		place->old = learner->has_seen && rlrec_seen(&learner->seen, place->xid);
		place->known = place->old || (learner->has_before && rlrec_seen(&learner->before, place->xid));
		place->lesson = learner->told == NULL && !place->old && rlrec_seen(&learner->now, place->xid);
	}
}

/*
 * The place of an event that was told: of its time, unless the agent has no column of time, and its item, the first one that was not told
 * before. What an earlier transaction wrote is another event; a subtransaction is later than its parent. -1 when there is none, for it came
 * from rlrec_feedback(), or is gone or changed.
 */
static int
find_told(const Learner *learner, const RlrecUserLog *log, const RlrecFeedbackEvent *event)
{
	int32		item = rlrec_user_logs_item(learner->logs, event->item, event->item_length);
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
		const RlrecLogPlace *place = &log->place[p];

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
mark_told(const Learner *learner, RlrecUserLog *log)
{
	for (int32 e = learner->told->last[log->number]; e >= 0; e = learner->told->next[e])
	{
		const RlrecFeedbackEvent *event = &learner->told->events[e];
		int			found = find_told(learner, log, event);

		if (found < 0)
		{
			learner->rows->newer++;
			rlrec_learned_visit(&learner->rows->learned, &(RlrecKey) {event->item, (int32) event->item_length});
		}
		else if (!log->place[found].old)
		{
			log->place[found].lesson = true;
			log->place[found].known = false;
		}
	}
}

static bool
has_lesson(const RlrecUserLog *log)
{
	for (int p = 0; p < log->n; p++)
		if (log->place[p].lesson)
			return true;
	return false;
}

/* Learns what is to be learned of a user. */
static void
learn_log(void *argument, RlrecUserLog *log)
{
	Learner    *learner = argument;

	mark_seen(learner, log);
	if (learner->told != NULL)
		mark_told(learner, log);
	if (has_lesson(log))
		teach(learner, log);
}

/* ---------------------------------------------------------------- what to learn */

static void
start(Learner *learner)
{
	MemoryContext outer = MemoryContextSwitchTo(learner->context);

	learner->logs = rlrec_user_logs_create(learner->agent, learner->model);
	MemoryContextSwitchTo(outer);
}

/* Gives each user who has an event to be learned a log. */
static void
collect_user(void *argument, const RlrecEvent *event)
{
	Learner    *learner = argument;

	if (!rlrec_seen(&learner->seen, event->xid) && rlrec_seen(&learner->now, event->xid))
		(void) rlrec_user_logs_add(learner->logs, event->user, event->user_length);
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
	learner->now = rlrec_seen_open(now);
	start(learner);
	rlrec_events_stream_xids(learner->agent, NULL, collect_user, learner);
	rlrec_user_logs_read(learner->logs, true, learn_log, learner);
	rlrec_online_set_seen(learner->agent->id, 0, now);
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

	learner->has_before = rlrec_catalog_execute("SELECT seen FROM rlrec.watermark WHERE agent = $1", 1, types, values, NULL) == 1;
	if (learner->has_before)
		learner->before = rlrec_seen_open(SPI_datumTransfer(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull),
														  false, -1));
	SPI_freetuptable(SPI_tuptable);
}

static void
learn_told(Learner *learner, const RlrecFeedbackEvent *events, int64 n)
{
	Told		told = {events, palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE),
	palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE)};
	int32		n_users = 0;

	start(learner);
	for (int64 e = 0; e < n; e++)
	{
		int32		user = rlrec_user_logs_add(learner->logs, events[e].user, events[e].user_length);

		told.next[e] = user == n_users ? -1 : told.last[user];
		told.last[user] = (int32) e;
		n_users = Max(n_users, user + 1);
		if (events[e].decision == 0)
			rlrec_user_logs_expect(learner->logs, user, events[e].time);
	}
	learner->told = &told;
	rlrec_user_logs_read(learner->logs, false, learn_log, learner);
	learner->told = NULL;
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
