/*
 * agent.h
 *	  An agent: which tables are its environment, how it learns, which version serves.
 */
#ifndef RLREC_AGENT_H
#define RLREC_AGENT_H

#include "fmgr.h"
#include "learner/options.h"
#include "storage/itemptr.h"
#include "storage/lockdefs.h"

/* A row of rlrec.agent; strings are NULL and OIDs InvalidOid where the column is NULL. */
typedef struct RlrecAgent
{
	int64		id;
	char	   *name;
	Oid			anchor;			/* the sequence that carries owner and privileges */
	Oid			owner;
	Oid			events;
	char	   *user_column;
	char	   *item_column;
	char	   *time_column;
	char	   *event_column;
	char	   *value_column;
	Jsonb	   *rewards;
	Oid			items;
	char	   *item_key;
	Oid			users;
	Oid			candidates;
	char	   *candidate_key;
	char	   *encoder;
	char	   *generator;
	char	   *learner;
	Jsonb	   *options;
	int64		deployed;		/* rlrec.model.id, 0 when there is none */
	TransactionId xmin;			/* of the row, and its place: other ones are another version of it */
	ItemPointerData place;
} RlrecAgent;

typedef enum RlrecAgentRight
{
	RLREC_AGENT_USE,			/* USAGE on the anchor */
	RLREC_AGENT_OWN				/* membership in the owner's role */
} RlrecAgentRight;

/*
 * The agent of that name, with the current user's right to it checked; name NULL means the only agent that he may use. Errors when it does
 * not exist, is not unique, or is not his.
 */
extern RlrecAgent *rlrec_agent_get(const char *name, RlrecAgentRight right);

/* Text argument n, such as an agent's name; NULL when it is NULL. */
extern char *rlrec_text_argument(FunctionCallInfo fcinfo, int n);

/* NULL when there is none; checks no rights. An agent whose anchor was dropped does not exist. */
extern RlrecAgent *rlrec_agent_find(const char *name);

/* What serialises training and changes of an agent; dropping one takes AccessExclusiveLock. */
#define RLREC_AGENT_LOCK ShareUpdateExclusiveLock

/*
 * The current user's own agent, for command to change it: locked until the transaction ends, and as it is once the lock is held. Pushes
 * the snapshot that sees it so, which the caller pops.
 */
extern RlrecAgent *rlrec_agent_get_locked(const char *name, LOCKMODE mode, const char *command);

/* Options that every agent has, beside its learner's. */
extern const RlrecOption rlrec_agent_options[];

/* The type of a column looked through domains, InvalidOid when there is no such column. */
extern Oid	rlrec_column_type(Oid relation, const char *column);

/* "schema"."table", quoted. */
extern char *rlrec_qualified_name(Oid relation);

/*
 * Checks that the agent's relations and columns still are what they were when it was made; errors say what is gone and how to mend it.
 */
extern void rlrec_agent_check_columns(const RlrecAgent *agent);

/* The same for the events alone. No type that passes runs anybody's code when it is cast to number or time, or printed. */
extern void rlrec_agent_check_events(const RlrecAgent *agent);

/* Fills in the columns that the caller left NULL, from names, types and foreign keys; errors when none or several fit. */
extern void rlrec_agent_infer_columns(RlrecAgent *agent);

#endif							/* RLREC_AGENT_H */
