/*
 * decision.h
 *	  Decisions: what was shown to whom, with what probability.
 */
#ifndef RLREC_DECISION_H
#define RLREC_DECISION_H

#include "datatype/timestamp.h"
#include "policy/explore.h"
#include "store/agent.h"

/* A row of rlrec.decision, as far as its caller knows more of it than the transaction does */
typedef struct RlrecDecision
{
	const char *arm;			/* of an experiment; NULL outside of one */
	const char *user;
	TimestampTz served_at;
	const Datum *item;			/* [shortlist.n] texts */
	RlrecShortlist shortlist;
	int			k;
	const int  *place;			/* [k] in the shortlist, from 0 */
	const double *propensity;	/* [k] given the places before */
	double		probability;	/* of the slate */
	const double *marginal;		/* [k]; NULL when nobody asked */
	const Jsonb *policy;
} RlrecDecision;

/* Writes the row for the agent's deployed version in the current transaction, and returns its id. The caller has checked what the user may do. */
extern int64 rlrec_decision_insert(const RlrecAgent *agent, const RlrecDecision *decision);

/* Writes what another version, the one that the agent's row says, would have shown for a decision. */
extern void rlrec_decision_insert_shadow(const RlrecAgent *agent, int64 id, const RlrecDecision *decision);

/*
 * Deletes at most so many decisions, with their outcomes, that are older than the agent's option decision_retention; the oldest first. Returns
 * how many. SPI must be connected.
 */
extern int64 rlrec_decisions_trim(const RlrecAgent *agent, int most);

#endif							/* RLREC_DECISION_H */
