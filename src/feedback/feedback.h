/*
 * feedback.h
 *	  What the queue carries from the statement that told of it to the worker that learns from it.
 */
#ifndef RLREC_FEEDBACK_H
#define RLREC_FEEDBACK_H

#include "store/agent.h"

/* A committed event of an agent's events table, or what rlrec_feedback() told. Strings are not terminated. */
typedef struct RlrecFeedbackEvent
{
	const char *user;
	size_t		user_length;
	const char *item;
	size_t		item_length;
	const char *type;			/* NULL for none */
	size_t		type_length;
	int64		time;			/* microseconds since 2000-01-01, as the agent's time column tells it; of the statement where it has none, or a decision is named */
	float		reward;			/* what the agent's rewards make of it */
	int64		decision;		/* rlrec.decision.id that rlrec_feedback() named; 0 for an event of the table */
	TransactionId xid;			/* the top-level transaction that told, once it is read from the queue */
} RlrecFeedbackEvent;

#endif							/* RLREC_FEEDBACK_H */
