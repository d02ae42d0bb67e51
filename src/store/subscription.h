/*
 * subscription.h
 *	  Which agents are attached to their events, and the triggers of those that are.
 */
#ifndef RLREC_SUBSCRIPTION_H
#define RLREC_SUBSCRIPTION_H

#include "datatype/timestamp.h"
#include "store/agent.h"

typedef enum RlrecFeedbackMode
{
	RLREC_FEEDBACK_DETACHED,	/* the agent learns from nothing until it is trained */
	RLREC_FEEDBACK_ROW,			/* a trigger queues each row */
	RLREC_FEEDBACK_RANGE,		/* a trigger queues ranges of the primary key */
	RLREC_FEEDBACK_NONE			/* there is no trigger; what rlrec_feedback() tells */
} RlrecFeedbackMode;

#define RLREC_TRIGGER_PREFIX "rlrec_"

/* The active snapshot is used. */
extern RlrecFeedbackMode rlrec_feedback_mode(int64 agent);

/*
 * Of the events of an agent those told from *since on and before *until are learned; false where it is not attached. What a transaction tells counts
 * from its commit.
 */
extern bool rlrec_feedback_range(int64 agent, TimestampTz *since, TimestampTz *until);

/* Drops the trigger that rlrec_attach() made for the agent of that id and name on its events table, if it is there; nobody's else. */
extern void rlrec_feedback_drop_trigger(int64 agent, const char *name, Oid events);

/* Makes all sessions read anew, from the commit on, what they remember of an agent's trigger. */
extern void rlrec_feedback_changed(const RlrecAgent *agent);

#endif							/* RLREC_SUBSCRIPTION_H */
