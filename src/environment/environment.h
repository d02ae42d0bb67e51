/*
 * environment.h
 *	  An agent without events: a bare environment, whose program asks for actions and tells what they led to.
 */
#ifndef RLREC_ENVIRONMENT_H
#define RLREC_ENVIRONMENT_H

#include "data/dictionary.h"
#include "fmgr.h"
#include "learner/online.h"
#include "learner/tabular.h"
#include "store/agent.h"

/* What an agent's row says, parsed; kept in the backend until the row changes. */
typedef struct RlrecEnvironment
{
	int64		agent;
	Oid			anchor;
	char	   *name;
	TransactionId xmin;			/* of the agent's row, and its place: another one is another version of the row */
	ItemPointerData place;
	Jsonb	   *options;
	RlrecDictionary actions;
	int			n_actions;
	char	  **action;			/* [n_actions] the same, terminated */
	int			state_size;		/* 0 when states are text */
	const RlrecOnlineLearner *online;	/* of vector states; NULL when the learner is tabular */
	RlrecTabular tabular;
	uint64		key;			/* of its random numbers */
} RlrecEnvironment;

/* A state as an argument: one of both is NULL. */
typedef struct RlrecEnvironmentState
{
	const char *text;
	int			length;			/* bytes of the text */
	float	   *vector;			/* [state_size] */
} RlrecEnvironmentState;

/* Of the agent of that name (NULL: the only one), which the current user may use; good until the transaction ends. */
extern const RlrecEnvironment *rlrec_environment_open(const char *name);

/* An argument that must be an action, or a state; errors say what would be valid. */
extern int	rlrec_action_argument(FunctionCallInfo fcinfo, int n, const RlrecEnvironment *environment);
extern RlrecEnvironmentState rlrec_state_argument(FunctionCallInfo fcinfo, int n, const RlrecEnvironment *environment, const char *name);

/* A state out of a table or a tuple, whose type was checked to be text or float8[]. */
extern RlrecEnvironmentState rlrec_state_datum(Datum datum, bool is_array, const RlrecEnvironment *environment, const char *name);

/* The next random number of the agent, uniform in (0, 1). Never the same in two sessions, for it counts with the anchor. */
extern double rlrec_environment_random(const RlrecEnvironment *environment);

/* What of an agent is in rlrec.environment. */
typedef struct RlrecEnvironmentRow
{
	int64		episodes;		/* ended */
	int64		generation;		/* of the weights; 0 before the first learning */
	int64		learned;
	int64		steps;
	struct varlena *weights;	/* may be toasted; NULL before the first learning */
} RlrecEnvironmentRow;

/* As the active snapshot sees it, with the episodes that ended in this transaction, in CurrentMemoryContext. */
extern RlrecEnvironmentRow rlrec_environment_row(const RlrecEnvironment *environment);

/* The error where what was learned is of other actions, states or layers than the options say. */
extern void rlrec_environment_misfit(const RlrecEnvironment *environment);

/*
 * Until the transaction ends nobody drops the agent, and when exclusive nobody else teaches it: what replay and the learners of vector states
 * need, while observations of tabular ones go on beside each other.
 */
extern void rlrec_environment_lock(const RlrecEnvironment *environment, bool exclusive);

#endif							/* RLREC_ENVIRONMENT_H */
