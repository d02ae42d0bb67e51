/*
 * matured.h
 *	  Decisions of which all feedback has come, without those that were seeded by the caller.
 */
#ifndef RLREC_MATURED_H
#define RLREC_MATURED_H

#include "datatype/timestamp.h"
#include "policy/explore.h"
#include "store/agent.h"
#include "utils/array.h"

/*
 * The agent's decisions from *since on and before *until have matured: it was attached by then, and has learned all that was told until its horizon, a
 * day where it has none, had passed. None has while it is not attached.
 */
extern void rlrec_matured_range(const RlrecAgent *agent, TimestampTz *since, TimestampTz *until);

/*
 * What each matured decision of a version came to, the sum over its slate, oldest first: the newest ones since a time, at most so many.
 * Returns a palloc'd array of *n.
 */
extern double *rlrec_matured_rewards(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, int64 *n);

/* A matured decision and what it came to */
typedef struct RlrecMaturedDecision
{
	int64		id;
	char	   *user;
	TimestampTz served_at;
	ArrayType  *shortlist;		/* text[n] */
	int			n;
	int			k;
	int		   *place;			/* [k] of the slate in the shortlist, from 0 */
	double	   *propensity;		/* [k] given the places before */
	double	   *reward;			/* [k] */
	RlrecPolicy policy;			/* that decided */
} RlrecMaturedDecision;

/*
 * Those of a version, of any where model is 0, since a time, oldest first: the newest, at most so many, and no more than maintenance_work_mem holds,
 * which a NOTICE tells. A palloc'd array of *n.
 */
extern RlrecMaturedDecision *rlrec_matured_decisions(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, int64 *n);

/* Whether any decision of the agent has matured. */
extern bool rlrec_matured_any(const RlrecAgent *agent);

#endif							/* RLREC_MATURED_H */
