/*
 * create_agent.c
 *	  rlrec_create_agent(), rlrec_alter_agent() and rlrec_drop_agent().
 *
 * Rights: to make an agent one needs SELECT on the relations that it reads; training later runs as the owner and is checked again by the
 * executor. The anchor is created by the owner of the extension's tables, who may create in schema rlrec, and handed to the caller.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "learner/learner.h"
#include "policy/policy.h"
#include "store/agent.h"
#include "store/bare_agent.h"
#include "store/catalog.h"
#include "store/past.h"
#include "store/reward.h"
#include "store/state_key.h"
#include "store/subscription.h"
#include "train/schedule.h"

#define ANCHOR_PREFIX "agent_"

static char *
name_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(n)));
}

static Oid
relation_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? InvalidOid : PG_GETARG_OID(n);
}

static Jsonb *
jsonb_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n);
}

/* An error unless the relation is one that can be read, and the current user may. */
static void
check_readable(Oid relation, const char *argument)
{
	char		kind;
	AclResult	result;

	if (!OidIsValid(relation))
		return;
	kind = get_rel_relkind(relation);
	if (kind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation),
				 errhint("Pass the name of a table or view as %s => '...'.", argument)));
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW && kind != RELKIND_MATVIEW &&
		kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s cannot be the %s of an agent", rlrec_qualified_name(relation), argument),
				 errhint("Pass a table, view, materialized view or foreign table.")));
	result = pg_class_aclcheck(relation, GetUserId(), ACL_SELECT);
	if (result != ACLCHECK_OK && pg_attribute_aclcheck_all(relation, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(kind), get_rel_name(relation));
}

static void
check_name(const char *name)
{
	if (name == NULL || name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("an agent needs a name"),
				 errhint("Give it one: rlrec_create_agent('shop', ...).")));
	if (strlen(name) + strlen(ANCHOR_PREFIX) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("agent name \"%s\" is too long", name),
				 errhint("Use at most %d bytes.", NAMEDATALEN - 1 - (int) strlen(ANCHOR_PREFIX))));
}

/* rewards: an object of event types and finite numbers */
static void
check_rewards(Jsonb *rewards)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *event = NULL;

	if (rewards == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(rewards) || JB_ROOT_COUNT(rewards) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rewards must be a JSON object of event types and numbers"),
				 errhint("For example {\"purchase\": 5, \"click\": 1, \"dislike\": -2}.")));
	iterator = JsonbIteratorInit(&rewards->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			event = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE &&
				 (value.type != jbvNumeric ||
				  !isfinite((float) DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
																	   NumericGetDatum(value.val.numeric))))))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the reward of event \"%s\" is not a finite number", event),
					 errhint("For example {\"purchase\": 5, \"click\": 1, \"dislike\": -2}.")));
	}
}

static void
check_choice(const char *argument, const char *value, const char *only)
{
	if (strcmp(value, "auto") != 0 && strcmp(value, only) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown %s \"%s\"", argument, value),
				 errhint("The %ss are auto and %s.", argument, only)));
}

/* A learner either has an encoder or not; auto and hybrid may have parts of both kinds. */
static void
check_encoder(const RlrecAgent *agent)
{
	const RlrecLearner *learner = rlrec_learner_find(agent->learner);

	if (strcmp(agent->encoder, "auto") != 0 && strcmp(agent->encoder, "none") != 0 && strcmp(agent->encoder, "transformer") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown encoder \"%s\"", agent->encoder),
				 errhint("The encoders are auto, none and transformer.")));
	if (learner == &rlrec_auto || learner == &rlrec_hybrid || strcmp(agent->encoder, "auto") == 0)
		return;
	if (strcmp(agent->encoder, learner->encoder ? learner->encoder : "none") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("learner \"%s\" does not go with encoder \"%s\"", agent->learner, agent->encoder),
				 learner->encoder ? errhint("Its encoder is \"%s\".", learner->encoder) :
				 errhint("It has no encoder; leave it to \"auto\", or choose learner \"supervised\".")));
}

/* Options that speak of time need a column that tells it. */
static void
check_needs_time(const RlrecAgent *agent, const char *option)
{
	if (rlrec_option_real(agent->options, rlrec_agent_options, option) > 0 && agent->time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" needs to know the time of an event", option),
				 errhint("Name its column with time_column => '...', or leave the option out.")));
}

/* What create and alter both check, on the agent as it would become. */
static void
check_agent(RlrecAgent *agent)
{
	const RlrecOption *options[] = {rlrec_agent_options, rlrec_explore_options};

	if (!OidIsValid(agent->events))
	{
		rlrec_bare_agent_check(agent);
		return;
	}
	check_readable(agent->events, "events");
	check_readable(agent->items, "items");
	check_readable(agent->users, "users");
	check_readable(agent->candidates, "candidates");
	check_rewards(agent->rewards);
	rlrec_options_check(agent->learner, agent->options, lengthof(options), options);
	check_encoder(agent);
	rlrec_agent_infer_columns(agent);
	check_readable(agent->items, "items");
	check_needs_time(agent, "horizon");
	check_needs_time(agent, "session");
	rlrec_reward_check(agent);
	rlrec_state_key_check(agent);
}

#define AGENT_ARGUMENTS 18

/* The agent's row as query arguments, in the order of the columns from name to options. */
static void
agent_arguments(const RlrecAgent *agent, Oid *types, Datum *values, char *nulls)
{
	int			n = 0;

#define ADD_TEXT(string) (types[n] = TEXTOID, nulls[n] = (string) ? ' ' : 'n', \
						  values[n] = (string) ? CStringGetTextDatum(string) : (Datum) 0, n++)
#define ADD_OID(oid) (types[n] = REGCLASSOID, nulls[n] = OidIsValid(oid) ? ' ' : 'n', values[n] = ObjectIdGetDatum(oid), n++)
#define ADD_JSONB(jsonb) (types[n] = JSONBOID, nulls[n] = (jsonb) ? ' ' : 'n', values[n] = PointerGetDatum(jsonb), n++)
	ADD_TEXT(agent->name);
	ADD_OID(agent->anchor);
	ADD_OID(agent->events);
	ADD_TEXT(agent->user_column);
	ADD_TEXT(agent->item_column);
	ADD_TEXT(agent->time_column);
	ADD_TEXT(agent->event_column);
	ADD_TEXT(agent->value_column);
	ADD_JSONB(agent->rewards);
	ADD_OID(agent->items);
	ADD_TEXT(agent->item_key);
	ADD_OID(agent->users);
	ADD_OID(agent->candidates);
	ADD_TEXT(agent->candidate_key);
	ADD_TEXT(agent->encoder);
	ADD_TEXT(agent->generator);
	ADD_TEXT(agent->learner);
	ADD_JSONB(agent->options);
	Assert(n == AGENT_ARGUMENTS);
}

/* Deletes the rows of an agent: its own, its versions, their chunks, what it learned without events, decisions, feedback, its jobs. */
static void
delete_agent_rows(int64 id)
{
	static const char *const tables[] = {"model", "deployment", "training", "environment", "qtable", "episode", "transition",
	"decision", "subscription", "watermark", "worker", "outcome", "experiment", "arm", "shadow", "learned", "seen", "sums"};
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(id)};

	rlrec_catalog_execute("DELETE FROM rlrec.chunk WHERE id IN (SELECT pg_catalog.unnest(chunks) FROM rlrec.model WHERE agent = $1)",
						  1, types, values, NULL);
	for (int i = 0; i < (int) lengthof(tables); i++)
		rlrec_catalog_execute(psprintf("DELETE FROM rlrec.%s WHERE agent = $1", tables[i]), 1, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.agent WHERE id = $1", 1, types, values, NULL);
	rlrec_schedule_remove(id, NULL);
}

/* Rows of an agent of this name that lost its anchor, by DROP OWNED say. */
static void
delete_orphan(const char *name)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(name)};

	if (rlrec_catalog_execute("SELECT id, events FROM rlrec.agent WHERE name = $1", 1, types, values, NULL) == 1)
	{
		bool		isnull;
		int64		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));

		rlrec_feedback_drop_trigger(id, name, DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull)));
		delete_agent_rows(id);
	}
}

/* Makes the second of two sessions that create the same agent wait, and pushes a snapshot that sees what the first did. */
static void
lock_name(const char *name)
{
	PreventCommandIfReadOnly("rlrec_create_agent()");
	PreventCommandDuringRecovery("rlrec_create_agent()");
	LockDatabaseObject(rlrec_catalog_relation("agent"), hash_bytes((const unsigned char *) name, (int) strlen(name)), 0, ExclusiveLock);
	PushActiveSnapshot(GetTransactionSnapshot());
}

static Oid
create_anchor(const char *name)
{
	char	   *relation = psprintf(ANCHOR_PREFIX "%s", name);
	char	   *anchor = quote_qualified_identifier("rlrec", relation);
	char	   *comment;

	if (OidIsValid(get_relname_relid(relation, get_namespace_oid("rlrec", false))))
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("agent name \"%s\" is reserved", name),
				 errdetail("There is a relation %s already.", anchor),
				 errhint("Choose another name.")));
	rlrec_catalog_execute(psprintf("CREATE SEQUENCE %s", anchor), 0, NULL, NULL, NULL);
	comment = psprintf("agent %s: its owner owns the agent, USAGE allows to use it", name);
	rlrec_catalog_execute(psprintf("COMMENT ON SEQUENCE %s IS %s", anchor, quote_literal_cstr(comment)), 0, NULL, NULL, NULL);
	rlrec_catalog_execute(psprintf("ALTER SEQUENCE %s OWNER TO %s", anchor, quote_identifier(GetUserNameFromId(GetUserId(), false))),
						  0, NULL, NULL, NULL);
	return get_relname_relid(relation, get_namespace_oid("rlrec", false));
}

PG_FUNCTION_INFO_V1(rlrec_create_agent);
Datum
rlrec_create_agent(PG_FUNCTION_ARGS)
{
	RlrecAgent	agent = {0};
	Oid			types[AGENT_ARGUMENTS];
	Datum		values[AGENT_ARGUMENTS];
	char		nulls[AGENT_ARGUMENTS];

	agent.name = rlrec_text_argument(fcinfo, 0);
	agent.events = relation_argument(fcinfo, 1);
	agent.user_column = name_argument(fcinfo, 2);
	agent.item_column = name_argument(fcinfo, 3);
	agent.time_column = name_argument(fcinfo, 4);
	agent.event_column = name_argument(fcinfo, 5);
	agent.value_column = name_argument(fcinfo, 6);
	agent.rewards = jsonb_argument(fcinfo, 7);
	agent.items = relation_argument(fcinfo, 8);
	agent.users = relation_argument(fcinfo, 9);
	agent.candidates = relation_argument(fcinfo, 10);
	agent.encoder = PG_ARGISNULL(11) ? "auto" : rlrec_text_argument(fcinfo, 11);
	agent.generator = PG_ARGISNULL(12) ? "auto" : rlrec_text_argument(fcinfo, 12);
	agent.learner = PG_ARGISNULL(13) ? "auto" : rlrec_text_argument(fcinfo, 13);
	agent.options = jsonb_argument(fcinfo, 14);
	agent.item_key = name_argument(fcinfo, 15);
	agent.candidate_key = name_argument(fcinfo, 16);

	check_name(agent.name);
	check_choice("generator", agent.generator, "exact");
	lock_name(agent.name);
	if (rlrec_agent_find(agent.name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("agent \"%s\" already exists", agent.name),
				 errhint("Choose another name, change it with rlrec_alter_agent(), or drop it with rlrec_drop_agent().")));
	check_agent(&agent);

	SPI_connect();
	delete_orphan(agent.name);
	agent.anchor = create_anchor(agent.name);
	agent_arguments(&agent, types, values, nulls);
	rlrec_catalog_execute("INSERT INTO rlrec.agent (name, anchor, events, user_column, item_column, time_column, event_column,"
						  " value_column, rewards, items, item_key, users, candidates, candidate_key, encoder, generator, learner, options)"
						  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
						  AGENT_ARGUMENTS, types, values, nulls);
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_VOID();
}

/* The options with those given put over them; null takes one away. */
static Jsonb *
merge_options(Jsonb *old, Jsonb *given)
{
	Datum		merged;

	if (given == NULL)
		return old;
	if (!JB_ROOT_IS_OBJECT(given))
		return given;			/* rlrec_options_check() refuses it */
	merged = old ? DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(old), JsonbPGetDatum(given)) : JsonbPGetDatum(given);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_strip_nulls, merged));
}

PG_FUNCTION_INFO_V1(rlrec_alter_agent);
Datum
rlrec_alter_agent(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent;
	char	   *name = rlrec_text_argument(fcinfo, 0);
	Oid			types[AGENT_ARGUMENTS];
	Datum		values[AGENT_ARGUMENTS];
	char		nulls[AGENT_ARGUMENTS];
	bool		was_bare;
	Oid			old_events;

	check_name(name);
	agent = rlrec_agent_get_locked(name, RLREC_AGENT_LOCK, "rlrec_alter_agent()");
	was_bare = !OidIsValid(agent->events);
	old_events = agent->events;
	agent->options = merge_options(agent->options, jsonb_argument(fcinfo, 1));
	if (!PG_ARGISNULL(2))
		agent->learner = rlrec_text_argument(fcinfo, 2);

#define ALTER(field, argument, n) if (!PG_ARGISNULL(n)) agent->field = argument(fcinfo, n)
	ALTER(events, relation_argument, 3);
	ALTER(user_column, name_argument, 4);
	ALTER(item_column, name_argument, 5);
	ALTER(time_column, name_argument, 6);
	ALTER(event_column, name_argument, 7);
	ALTER(value_column, name_argument, 8);
	ALTER(rewards, jsonb_argument, 9);
	ALTER(items, relation_argument, 10);
	ALTER(users, relation_argument, 11);
	ALTER(candidates, relation_argument, 12);
	ALTER(item_key, name_argument, 13);
	ALTER(candidate_key, name_argument, 14);
	ALTER(encoder, rlrec_text_argument, 15);
	if (was_bare && OidIsValid(agent->events))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("agent \"%s\" is a bare environment, and cannot be given events", agent->name),
				 errhint("Make another agent: rlrec_create_agent('name', events => '%s').", rlrec_qualified_name(agent->events))));
	if (agent->events != old_events && rlrec_feedback_mode(agent->id) != RLREC_FEEDBACK_DETACHED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("agent \"%s\" is attached to its events", agent->name),
				 errhint("Run SELECT rlrec_detach(%s) first, and rlrec_attach() when it has other ones.", quote_literal_cstr(agent->name))));
	check_agent(agent);
	rlrec_feedback_changed(agent);

	SPI_connect();
	agent_arguments(agent, types, values, nulls);
	rlrec_catalog_execute("UPDATE rlrec.agent SET events = $3, user_column = $4, item_column = $5, time_column = $6, event_column = $7,"
						  " value_column = $8, rewards = $9, items = $10, item_key = $11, users = $12, candidates = $13,"
						  " candidate_key = $14, encoder = $15, generator = $16, learner = $17, options = $18"
						  " WHERE name = $1 AND anchor = $2",
						  AGENT_ARGUMENTS, types, values, nulls);
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(rlrec_drop_agent);
Datum
rlrec_drop_agent(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent;

	/* Not even where there is only one. */
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("rlrec_drop_agent() needs the name of an agent"),
				 errhint("SELECT name FROM rlrec.agents lists the agents that you may use.")));
	agent = rlrec_agent_get_locked(rlrec_text_argument(fcinfo, 0), AccessExclusiveLock, "rlrec_drop_agent()");
	SPI_connect();
	if (rlrec_feedback_mode(agent->id) != RLREC_FEEDBACK_DETACHED)
		rlrec_feedback_drop_trigger(agent->id, agent->name, agent->events);
	delete_agent_rows(agent->id);
	rlrec_past_forget(agent);
	rlrec_catalog_execute(psprintf("DROP SEQUENCE %s", rlrec_qualified_name(agent->anchor)), 0, NULL, NULL, NULL);
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_VOID();
}
