/*
 * attribution.c
 *	  What decisions came to.
 *
 * An event is credited to the decision that rlrec_feedback() named, else to the newest one that showed the item to the user at most `horizon`
 * before; to none when there is none. A reward counts less the later it comes, horizon_discount ^ (delay / horizon), where the delay is at most the
 * horizon, and the further down the item was shown, position_discount ^ (place - 1). Both are declared, so what an outcome says is what is learned.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "feedback/attribution.h"
#include "learner/options.h"
#include "store/catalog.h"

/*
 * No event may be an error here, for the agent would not get past it. So discounts are logarithms, and what they would make underflow is 0.
 *
 * An event that seems to have come a little before the decision, as clocks differ and transactions take their time, is credited to it if to none.
 *
 * LIMIT makes the planner look up each decision: of a partitioned table it has no statistics, and would join with all of it.
 */
static const char credit[] =
"WITH event AS (SELECT * FROM unnest($2, $3, $4, $5, $6) AS e(user_id, item, at, decision, reward)),"
" credited AS ("
" SELECT d.id, d.place, e.at, greatest(e.at - d.served_at, '0') AS delay, e.reward FROM event e, LATERAL ("
"  SELECT d.id, d.served_at, s.place FROM rlrec.decision d, unnest(d.slate) WITH ORDINALITY AS s(choice, place)"
"  WHERE d.agent = $1 AND d.user_id = e.user_id AND d.served_at"
"   BETWEEN e.at - make_interval(secs => $7) AND e.at + interval '5 seconds'"
"   AND d.shortlist[s.choice] = e.item"
"  ORDER BY d.served_at <= e.at DESC, d.served_at DESC, d.id DESC LIMIT 1) d"
" WHERE e.decision = 0"
" UNION ALL"
" SELECT d.id, s.place, e.at, greatest(e.at - d.served_at, '0'), e.reward"
" FROM event e, LATERAL (SELECT * FROM rlrec.decision WHERE id = e.decision AND agent = $1 LIMIT 1) d,"
"  unnest(d.slate) WITH ORDINALITY AS s(choice, place) WHERE d.shortlist[s.choice] = e.item),"
" discounted AS (SELECT id, place, at, reward, $8 * least(extract(epoch FROM delay)::float8 / $7, 1) + $9 * (place - 1) AS discount FROM credited)"
" INSERT INTO rlrec.outcome AS o (decision, place, agent, reward, events, first_at)"
" SELECT id, place, $1, sum(CASE WHEN discount > -300 THEN reward * exp(discount) ELSE 0 END), count(*), min(at)"
" FROM discounted GROUP BY id, place"
" ON CONFLICT (decision, place) DO UPDATE SET reward = o.reward + EXCLUDED.reward, events = o.events + EXCLUDED.events,"
" first_at = least(o.first_at, EXCLUDED.first_at)";

/*
 * When an event came, as decisions tell time. Timestamps are taken to be of the time zone that is set, which for the worker is the server's. A date
 * tells the day alone: its end, or now. What came before 2000, when there were no decisions, or comes at the end of time, becomes near enough
 * for intervals to be added.
 */
static TimestampTz
moment_of(Oid type, int64 time, TimestampTz now)
{
	int			overflow;

	if (type == TIMESTAMPOID || type == DATEOID)
		time = timestamp2timestamptz_opt_overflow(time, &overflow);
	time = Max(Min(time, END_TIMESTAMP - USECS_PER_DAY), 0);
	return type == DATEOID ? Min(time + USECS_PER_DAY - 1, now) : time;
}

/* The events as arrays, one a column of the query. */
static void
event_arrays(const RlrecAgent *agent, const RlrecFeedbackEvent *events, int64 n, Datum *arrays)
{
	Oid			type = agent->time_column ? rlrec_column_type(agent->events, agent->time_column) : InvalidOid;
	TimestampTz now = GetCurrentTimestamp();
	Datum	   *user = palloc_extended(5 * n * sizeof(Datum), MCXT_ALLOC_HUGE);
	Datum	   *item = user + n;
	Datum	   *at = item + n;
	Datum	   *decision = at + n;
	Datum	   *reward = decision + n;

	for (int64 i = 0; i < n; i++)
	{
		user[i] = PointerGetDatum(cstring_to_text_with_len(events[i].user, events[i].user_length));
		item[i] = PointerGetDatum(cstring_to_text_with_len(events[i].item, events[i].item_length));
		at[i] = TimestampTzGetDatum(events[i].decision != 0 ? events[i].time : moment_of(type, events[i].time, now));
		decision[i] = Int64GetDatum(events[i].decision);
		reward[i] = Float8GetDatum(events[i].reward);
	}
	arrays[0] = PointerGetDatum(construct_array(user, n, TEXTOID, -1, false, TYPALIGN_INT));
	arrays[1] = PointerGetDatum(construct_array(item, n, TEXTOID, -1, false, TYPALIGN_INT));
	arrays[2] = PointerGetDatum(construct_array(at, n, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	arrays[3] = PointerGetDatum(construct_array(decision, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	arrays[4] = PointerGetDatum(construct_array(reward, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* A discount's logarithm; one of 0 leaves nothing, however short the delay is. */
static double
log_discount(const RlrecAgent *agent, const char *option)
{
	return Max(log(rlrec_option_real(agent->options, rlrec_agent_options, option)), -1e30);
}

double
rlrec_attribution_horizon(const RlrecAgent *agent)
{
	double		horizon = rlrec_option_real(agent->options, rlrec_agent_options, "horizon");

	return horizon > 0 ? horizon : SECS_PER_DAY;
}

void
rlrec_attribute(const RlrecAgent *agent, const RlrecFeedbackEvent *events, int64 n)
{
	Oid			types[] = {INT8OID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID, FLOAT8ARRAYOID, FLOAT8OID, FLOAT8OID, FLOAT8OID};
	Datum		values[9];

	values[0] = Int64GetDatum(agent->id);
	event_arrays(agent, events, n, values + 1);
	values[6] = Float8GetDatum(rlrec_attribution_horizon(agent));
	values[7] = Float8GetDatum(log_discount(agent, "horizon_discount"));
	values[8] = Float8GetDatum(log_discount(agent, "position_discount"));
	SPI_connect();
	rlrec_catalog_execute(credit, lengthof(types), types, values, NULL);
	SPI_finish();
}
