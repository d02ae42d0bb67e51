/*
 * matured.h
 *	  Decisions of which all feedback has come.
 */
#ifndef RLREC_MATURED_H
#define RLREC_MATURED_H

#include "datatype/timestamp.h"
#include "store/agent.h"

/* The agent's decisions before this time have matured: its horizon, a day where it has none, has passed. */
extern TimestampTz rlrec_matured_before(const RlrecAgent *agent);

/*
 * What each matured decision of a version came to, the sum over its slate, oldest first: the newest ones since a time, at most so many.
 * Returns a palloc'd array of *n.
 */
extern double *rlrec_matured_rewards(const RlrecAgent *agent, int64 model, TimestampTz since, int64 most, int64 *n);

#endif							/* RLREC_MATURED_H */
