/*
 * arguments.h
 *	  The arguments that the serving functions share.
 */
#ifndef RLREC_ARGUMENTS_H
#define RLREC_ARGUMENTS_H

#include "fmgr.h"
#include "learner/learner.h"
#include "store/agent.h"

/* The agent named by text argument n, or the only one where it is NULL; the current user must have USAGE, the columns must exist. */
extern RlrecAgent *rlrec_agent_argument(FunctionCallInfo fcinfo, int n);

/* An id argument of any type as text, in the form in which the column's output function writes it; an error when NULL. */
extern char *rlrec_id_argument(FunctionCallInfo fcinfo, int n, const RlrecAgent *agent, const char *column, const char *name);

/* k, checked; the most that can be asked for is RLREC_MAX_K. */
#define RLREC_MAX_K 1000000
extern int	rlrec_k_argument(FunctionCallInfo fcinfo, int n);

/* A jsonb argument, NULL when it is NULL. */
extern Jsonb *rlrec_jsonb_argument(FunctionCallInfo fcinfo, int n);

/*
 * Whether items that the user has had are left out: what the context says, else the agent's option. Checks the context's keys, which may also
 * be those of more, unless that is NULL.
 */
extern bool rlrec_exclude_seen(FunctionCallInfo fcinfo, int context, const RlrecAgent *agent, const RlrecOption *more);

/* Scores of all items for a history, [items.n], and where they come from: the learner's name, or popularity when it knows nothing. */
extern const char *rlrec_score_history(const RlrecModel *model, const RlrecHistory *history, float *scores);

#endif							/* RLREC_ARGUMENTS_H */
