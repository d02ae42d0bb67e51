/*
 * bare_agent.h
 *	  Agents without events: their options and learners.
 */
#ifndef RLREC_BARE_AGENT_H
#define RLREC_BARE_AGENT_H

#include "learner/online.h"
#include "store/agent.h"

/* Those that every agent without events has, beside its learner's. */
extern const RlrecOption rlrec_bare_options[];

/* NULL when there is none of that name that learns from vector states. */
extern const RlrecOnlineLearner *rlrec_online_find(const char *name);

/* What rlrec_create_agent() and rlrec_alter_agent() check of an agent without events; "auto" becomes a learner. */
extern void rlrec_bare_agent_check(RlrecAgent *agent);

#endif							/* RLREC_BARE_AGENT_H */
