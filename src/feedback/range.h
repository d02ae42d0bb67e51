/*
 * range.h
 *	  Feedback by ranges of the primary key, for bulk loads.
 */
#ifndef RLREC_RANGE_H
#define RLREC_RANGE_H

#include "access/attnum.h"
#include "feedback/queue.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

/* The column that is the relation's integer primary key, InvalidAttrNumber when there is none. */
extern AttrNumber rlrec_range_key(Relation relation);

/* Tells the agent of rows that a statement inserted, by their keys. */
extern void rlrec_range_tell(int64 agent, Relation relation, AttrNumber key, Tuplestorestate *rows);

/* The events that the rows of a range are now, palloc'd, *n of them. */
extern RlrecFeedbackEvent *rlrec_range_read(const RlrecAgent *agent, const RlrecQueueEntry *range, int64 *n);

#endif							/* RLREC_RANGE_H */
