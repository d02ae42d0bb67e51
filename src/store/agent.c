/*
 * agent.c
 *	  Finding an agent and checking who may use it.
 *
 * An agent is a row of rlrec.agent and an anchor: a sequence rlrec.agent_NAME that the agent's owner owns. PostgreSQL's own GRANT USAGE ON
 * SEQUENCE, ALTER ... OWNER, REASSIGN OWNED and DROP OWNED work on the anchor, so the row needs no list of rights: who owns the anchor
 * owns the agent, who has USAGE on it may use the agent, and a row whose anchor is gone counts as dropped.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "learner/options.h"
#include "store/agent.h"
#include "store/catalog.h"

/* Columns of rlrec.agent, in the order of sql/store.sql. */
enum
{
	AGENT_ID = 1, AGENT_NAME, AGENT_ANCHOR, AGENT_EVENTS, AGENT_USER_COLUMN, AGENT_ITEM_COLUMN, AGENT_TIME_COLUMN, AGENT_EVENT_COLUMN,
	AGENT_VALUE_COLUMN, AGENT_REWARDS, AGENT_ITEMS, AGENT_ITEM_KEY, AGENT_USERS, AGENT_CANDIDATES, AGENT_CANDIDATE_KEY, AGENT_ENCODER,
	AGENT_GENERATOR, AGENT_LEARNER, AGENT_OPTIONS, AGENT_DEPLOYED, AGENT_N = AGENT_DEPLOYED
};

const RlrecOption rlrec_agent_options[] = {
	{"exclude_seen", RLREC_OPTION_BOOL, 1, 0, 1, "leave out what the user has had already"},
	{"skip_missing", RLREC_OPTION_BOOL, 0, 0, 1, "pass over events whose user, item or time is NULL instead of raising an error"},
	{"reward", RLREC_OPTION_TEXT, 0, 0, 0, "an SQL expression over the events table, instead of rewards and value column"},
	{"reward_min", RLREC_OPTION_REAL, -INFINITY, -1e30, 1e30, "an event's reward is at least this"},
	{"reward_max", RLREC_OPTION_REAL, INFINITY, -1e30, 1e30, "an event's reward is at most this"},
	{"reward_scale", RLREC_OPTION_CHOICE, 0, 0, 0, "none, max, deviation"},
	{"horizon", RLREC_OPTION_INTERVAL, 0, 0, 1e10, "in which later events of an item are credited to its first; 0 for none"},
	{"horizon_discount", RLREC_OPTION_REAL, 1, 0, 1, "what a reward at the end of the horizon still counts"},
	{"position_discount", RLREC_OPTION_REAL, 1, 0, 1, "what a reward at each further place of a slate still counts"},
	{"session", RLREC_OPTION_INTERVAL, 0, 0, 1e10, "a longer gap between a user's events ends an episode; 0 for never"},
	{"feedback_batch", RLREC_OPTION_INT, 1000, 1, 1000000, "how many events of feedback are learned at most in a transaction"},
	{"decision_retention", RLREC_OPTION_INTERVAL, 0, 0, 1e10, "after which rlrec_trim_decisions() deletes a decision; 0 for never"},
	{"deploy_confidence", RLREC_OPTION_REAL, 0.95, 0.5, 0.999999, "with which a version must earn more before it is deployed if_better"},
	{"rollback", RLREC_OPTION_REAL, 50, 0, 1e9, "by how many standard deviations rewards may stay behind the last version's in all; 0 for ever"},
	{"rollback_tolerance", RLREC_OPTION_REAL, 0.1, 0, 1e6, "and by how many each may without being counted"},
	{"online_batch", RLREC_OPTION_INT, 0, 0, PG_INT32_MAX, "new events after which an attached agent is trained in the background; 0 for never"},
	{"online_states", RLREC_OPTION_INT, 100000, 0, PG_INT32_MAX, "states of which what is learned online is kept"},
	{"online_entries", RLREC_OPTION_INT, 10000, 1, 100000, "items that are kept of a state learned online, those of most events"},
	{"versions", RLREC_OPTION_INT, 5, 1, 1000, "how many versions are kept; the deployed one always is"},
	{NULL}
};

static char *
name_column(const Datum *values, const bool *nulls, int attno)
{
	return nulls[attno - 1] ? NULL : pstrdup(NameStr(*DatumGetName(values[attno - 1])));
}

static Oid
oid_column(const Datum *values, const bool *nulls, int attno)
{
	return nulls[attno - 1] ? InvalidOid : DatumGetObjectId(values[attno - 1]);
}

static Jsonb *
jsonb_column(const Datum *values, const bool *nulls, int attno)
{
	return nulls[attno - 1] ? NULL : DatumGetJsonbPCopy(values[attno - 1]);
}

/*
 * The owner of an anchor, InvalidOid when it is gone. A dump keeps the bare OID of one that is gone, and where it is restored another
 * relation may have that OID.
 */
static Oid
anchor_owner(Oid anchor)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(anchor));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_SEQUENCE && form->relnamespace == get_namespace_oid("rlrec", true))
			owner = form->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* NULL when the anchor is gone. */
static RlrecAgent *
agent_of_tuple(HeapTuple tuple, TupleDesc descriptor)
{
	Datum		values[AGENT_N];
	bool		nulls[AGENT_N];
	RlrecAgent *agent;
	Oid			owner;

	if (descriptor->natts != AGENT_N)
		elog(ERROR, "rlrec.agent has %d columns instead of %d", descriptor->natts, AGENT_N);
	heap_deform_tuple(tuple, descriptor, values, nulls);
	owner = anchor_owner(DatumGetObjectId(values[AGENT_ANCHOR - 1]));
	if (!OidIsValid(owner))
		return NULL;

	agent = palloc0(sizeof(RlrecAgent));
	agent->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
	agent->place = tuple->t_self;
	agent->id = DatumGetInt64(values[AGENT_ID - 1]);
	agent->name = TextDatumGetCString(values[AGENT_NAME - 1]);
	agent->anchor = DatumGetObjectId(values[AGENT_ANCHOR - 1]);
	agent->owner = owner;
	agent->events = oid_column(values, nulls, AGENT_EVENTS);
	agent->user_column = name_column(values, nulls, AGENT_USER_COLUMN);
	agent->item_column = name_column(values, nulls, AGENT_ITEM_COLUMN);
	agent->time_column = name_column(values, nulls, AGENT_TIME_COLUMN);
	agent->event_column = name_column(values, nulls, AGENT_EVENT_COLUMN);
	agent->value_column = name_column(values, nulls, AGENT_VALUE_COLUMN);
	agent->rewards = jsonb_column(values, nulls, AGENT_REWARDS);
	agent->items = oid_column(values, nulls, AGENT_ITEMS);
	agent->item_key = name_column(values, nulls, AGENT_ITEM_KEY);
	agent->users = oid_column(values, nulls, AGENT_USERS);
	agent->candidates = oid_column(values, nulls, AGENT_CANDIDATES);
	agent->candidate_key = name_column(values, nulls, AGENT_CANDIDATE_KEY);
	agent->encoder = TextDatumGetCString(values[AGENT_ENCODER - 1]);
	agent->generator = TextDatumGetCString(values[AGENT_GENERATOR - 1]);
	agent->learner = TextDatumGetCString(values[AGENT_LEARNER - 1]);
	agent->options = jsonb_column(values, nulls, AGENT_OPTIONS);
	agent->deployed = nulls[AGENT_DEPLOYED - 1] ? 0 : DatumGetInt64(values[AGENT_DEPLOYED - 1]);
	return agent;
}

RlrecAgent *
rlrec_agent_find(const char *name)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	RlrecAgent *agent = NULL;

	rlrec_catalog_begin(&scan, "agent", "agent_name_key", AGENT_NAME, F_TEXTEQ, CStringGetTextDatum(name));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
		agent = agent_of_tuple(tuple, RelationGetDescr(scan.table));
	rlrec_catalog_end(&scan);
	return agent;
}

static bool
has_right(const RlrecAgent *agent, RlrecAgentRight right)
{
	if (right == RLREC_AGENT_OWN)
		return has_privs_of_role(GetUserId(), agent->owner);
	return pg_class_aclcheck(agent->anchor, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
}

/* The only agent to which the current user has the right. */
static RlrecAgent *
only_agent(RlrecAgentRight right)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	RlrecAgent *only = NULL;
	StringInfoData names;
	int			n = 0;

	initStringInfo(&names);
	rlrec_catalog_begin(&scan, "agent", NULL, 0, InvalidOid, (Datum) 0);
	while (HeapTupleIsValid(tuple = rlrec_catalog_next(&scan)))
	{
		RlrecAgent *agent = agent_of_tuple(tuple, RelationGetDescr(scan.table));

		if (agent == NULL || !has_right(agent, right))
			continue;
		only = agent;
		if (n++ < 10)
			appendStringInfo(&names, "%s\"%s\"", n > 1 ? ", " : "", agent->name);
	}
	rlrec_catalog_end(&scan);

	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no agent that you may use"),
				 errhint("Make one with rlrec_create_agent(), or ask the owner of one to GRANT USAGE ON SEQUENCE rlrec.agent_NAME.")));
	if (n > 1)
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
				 errmsg("there are %d agents that you may use", n),
				 errdetail("Among them: %s.", names.data),
				 errhint("Name one with agent => '...'.")));
	return only;
}

char *
rlrec_text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

RlrecAgent *
rlrec_agent_get(const char *name, RlrecAgentRight right)
{
	RlrecAgent *agent;

	if (name == NULL)
		return only_agent(right);

	agent = rlrec_agent_find(name);
	if (agent == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("agent \"%s\" does not exist", name),
				 errhint("SELECT name FROM rlrec.agents lists the agents that you may use.")));
	if (!has_right(agent, right))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 right == RLREC_AGENT_OWN ?
				 errmsg("must be owner of agent \"%s\"", name) :
				 errmsg("permission denied for agent \"%s\"", name),
				 right == RLREC_AGENT_OWN ?
				 errhint("Its owner is \"%s\".", GetUserNameFromId(agent->owner, false)) :
				 errhint("Its owner can run GRANT USAGE ON SEQUENCE %s TO %s.", rlrec_qualified_name(agent->anchor),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	return agent;
}

RlrecAgent *
rlrec_agent_get_locked(const char *name, LOCKMODE mode, const char *command)
{
	RlrecAgent *agent;
	Oid			types[] = {INT8OID};
	Datum		values[1];

	PreventCommandIfReadOnly(command);
	PreventCommandDuringRecovery(command);
	agent = rlrec_agent_get(name, RLREC_AGENT_OWN);
	LockRelationOid(agent->anchor, mode);

	/* Whoever held it may have dropped the agent. */
	if (!OidIsValid(anchor_owner(agent->anchor)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("agent \"%s\" was dropped meanwhile", agent->name)));

	/* The row's lock makes an older snapshot, of REPEATABLE READ, a serialization failure. */
	PushActiveSnapshot(GetTransactionSnapshot());
	values[0] = Int64GetDatum(agent->id);
	SPI_connect();
	rlrec_catalog_execute("SELECT FROM rlrec.agent WHERE id = $1 FOR NO KEY UPDATE", 1, types, values, NULL);
	SPI_finish();
	return rlrec_agent_get(agent->name, RLREC_AGENT_OWN);
}

char *
rlrec_qualified_name(Oid relation)
{
	char	   *name = get_rel_name(relation);

	if (name == NULL)
		return psprintf("%u", relation);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
}

Oid
rlrec_column_type(Oid relation, const char *column)
{
	AttrNumber	attno = get_attnum(relation, column);

	return attno > 0 ? getBaseType(get_atttype(relation, attno)) : InvalidOid;
}
