/*
 * events.h
 *	  Reading the agent's events: all of them for training, one user's for serving.
 */
#ifndef RLREC_STORE_EVENTS_H
#define RLREC_STORE_EVENTS_H

#include "data/events.h"
#include "datatype/timestamp.h"
#include "learner/learner.h"
#include "store/agent.h"

/*
 * All events, as the current user sees them, in CurrentMemoryContext. with_items adds the ids of the items table to the items. An error when the
 * arrays would pass budget bytes, and, unless empty_ok, when there is no event.
 */
extern RlrecEvents *rlrec_events_read(const RlrecAgent *agent, Size budget, bool with_items, bool empty_ok);

/*
 * One user's events, as the current user sees them. history has those that count, by the model's item indices; seen[items.n], when not NULL, is
 * set for every item that the user had in any way; unknown, when not NULL, becomes a list of the ids (char *) that the dictionary has not.
 */
extern void rlrec_history_read(const RlrecAgent *agent, const char *user, const RlrecModel *model, RlrecHistory *history, bool *seen,
							   List **unknown);

/* A time, and that of the statement, as the agent's time column tells time. */
extern int64 rlrec_events_time(const RlrecAgent *agent, TimestampTz time);
extern int64 rlrec_events_now(const RlrecAgent *agent);

/* The time, after 1999, rounded down to what the column can tell apart: no event that came after it lies before this. */
extern int64 rlrec_events_cut(const RlrecAgent *agent, TimestampTz time);

/* An id in the form in which the column's output function writes it: parsed as the column's type, or the error of its input function. */
extern char *rlrec_canonical_id(const RlrecAgent *agent, const char *column, const char *id);

/* Whether a text of the database's encoding is an id of the column's type, as its output function would write it, so that it may be read without error. */
extern bool rlrec_id_is_of_column(const RlrecAgent *agent, const char *column, const char *id);

/*
 * The ids in a column of a relation, as the agent's owner sees them, each handed to the sink once a row; NULLs are passed over.
 */
typedef void (*RlrecIdSink) (void *argument, const char *id, size_t length);

extern void rlrec_ids_read(const RlrecAgent *agent, Oid relation, const char *column, RlrecIdSink sink, void *argument);

#endif							/* RLREC_STORE_EVENTS_H */
