/*
 * columns.c
 *	  Which columns of the events table are user, item, time and event: inferred from foreign keys, names and types, and checked when
 *	  they are used.
 *
 * A column that the caller named is only checked. Otherwise the first rule that finds a column decides, and a rule that finds several is
 * an error that names them: a guess between user_id and customer_id would be wrong half of the time.
 *	 user, item:  a foreign key to the users or items table; else one of the usual names; the type must be that of an id.
 *	 time:		  one of the usual names with a type of time or number; else the only timestamp column.
 *	 event:		  one of the usual names with a type of text or an enum; only looked for, never required.
 * The value column is never inferred: a rating or a price is no reward until somebody says so.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "store/agent.h"

typedef bool (*TypeTest) (Oid type);

static const char *const user_names[] = {"user_id", "userid", "user", "customer_id", "customer", "client_id", "account_id", "member_id",
"visitor_id", "subscriber_id", "uid", NULL};
static const char *const item_names[] = {"item_id", "itemid", "item", "product_id", "product", "movie_id", "article_id", "book_id", "song_id",
"track_id", "video_id", "sku", "asin", "iid", NULL};
static const char *const time_names[] = {"event_time", "time", "timestamp", "ts", "created_at", "occurred_at", "happened_at", "rated_at",
"event_timestamp", "at", NULL};
static const char *const event_names[] = {"event", "event_type", "event_name", "action", "type", "kind", NULL};
static const char *const user_tables[] = {"users", "user", "customers", "clients", "accounts", "members", "visitors", NULL};
static const char *const item_tables[] = {"items", "item", "products", "movies", "articles", "books", "songs", "tracks", "videos", NULL};
static const char *const key_names[] = {"id", NULL};

static bool
is_id_type(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == UUIDOID || type == TEXTOID || type == VARCHAROID ||
		type == BPCHAROID;
}

static bool
is_time_type(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID || type == INT2OID || type == INT4OID || type == INT8OID ||
		type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID;
}

static bool
is_timestamp_type(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID;
}

static bool
is_event_type(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type_is_enum(type);
}

static bool
is_value_type(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID ||
		type == INTERVALOID;
}

static bool
listed(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (pg_strcasecmp(name, *names) == 0)
			return true;
	return false;
}

/* The only column that passes both tests (names NULL: any name), NULL when none does. */
static char *
only_column(Oid relation, const char *argument, const char *const *names, TypeTest test, bool error_if_several)
{
	Relation	table = relation_open(relation, AccessShareLock);
	TupleDesc	descriptor = RelationGetDescr(table);
	StringInfoData found;
	char	   *column = NULL;
	int			n = 0;

	initStringInfo(&found);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (attribute->attisdropped || !test(getBaseType(attribute->atttypid)) ||
			(names && !listed(NameStr(attribute->attname), names)))
			continue;
		column = pstrdup(NameStr(attribute->attname));
		appendStringInfo(&found, "%s\"%s\"", n++ ? ", " : "", column);
	}
	relation_close(table, AccessShareLock);

	if (n > 1 && !error_if_several)
		return NULL;
	if (n > 1)
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_COLUMN),
				 errmsg("several columns of %s could be the %s", rlrec_qualified_name(relation), argument),
				 errdetail("They are %s.", found.data),
				 errhint("Name the one with %s => '...'.", argument)));
	return column;
}

/*
 * The column of events with a foreign key of its own to the table wanted, or, when wanted is InvalidOid, to a table of one of the usual
 * names; *referenced and *key are then that table and the column that it refers to. NULL when there is none. When given names a column,
 * only that one is looked at.
 */
static char *
foreign_key_column(Oid events, const char *given, Oid wanted, const char *const *tables, const char *argument, Oid *referenced,
				   char **key)
{
	Relation	constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *column = NULL;

	ScanKeyInit(&scankey, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(events));
	scan = systable_beginscan(constraints, ConstraintRelidTypidNameIndexId, true, NULL, 1, &scankey);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
		AttrNumber	from[INDEX_MAX_KEYS],
					to[INDEX_MAX_KEYS];
		char	   *table = get_rel_name(constraint->confrelid);
		char	   *name;
		int			n;

		if (constraint->contype != CONSTRAINT_FOREIGN || table == NULL ||
			(OidIsValid(wanted) ? constraint->confrelid != wanted : !listed(table, tables)))
			continue;
		DeconstructFkConstraintRow(tuple, &n, from, to, NULL, NULL, NULL, NULL, NULL);
		if (n != 1)
			continue;
		name = get_attname(events, from[0], false);
		if (given && strcmp(given, name) != 0)
			continue;
		if (column && strcmp(column, name) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("several columns of %s could be the %s", rlrec_qualified_name(events), argument),
					 errdetail("Both \"%s\" and \"%s\" refer to a table of that kind.", column, name),
					 errhint("Name the one with %s => '...'.", argument)));
		column = name;
		*referenced = constraint->confrelid;
		*key = get_attname(constraint->confrelid, to[0], false);
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return column;
}

/* "a" integer, "b" text, ... for an error's detail */
static char *
describe_columns(Oid relation)
{
	Relation	table = relation_open(relation, AccessShareLock);
	TupleDesc	descriptor = RelationGetDescr(table);
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!attribute->attisdropped)
			appendStringInfo(&text, "%s\"%s\" %s", text.len ? ", " : "", NameStr(attribute->attname), format_type_be(attribute->atttypid));
	}
	relation_close(table, AccessShareLock);
	return text.data;
}

static void
require_column(Oid relation, const char *column, const char *argument, TypeTest test, const char *types)
{
	Oid			type;

	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("could not tell which column of %s is the %s", rlrec_qualified_name(relation), argument),
				 errdetail("It has the columns %s; needed is one of %s.", describe_columns(relation), types),
				 errhint("Name it with %s => '...'.", argument)));
	type = rlrec_column_type(relation, column);
	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of %s does not exist", column, rlrec_qualified_name(relation)),
				 errdetail("It has the columns %s.", describe_columns(relation)),
				 errhint("Name an existing one with %s => '...'.", argument)));
	if (!test(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of %s has type %s and cannot be the %s", column, rlrec_qualified_name(relation),
						format_type_be(type), argument),
				 errhint("Name a column of %s with %s => '...'.", types, argument)));
}

/* The key of an items or candidates table: the name given, the item column's name, else "id", else a usual name of items. */
static char *
infer_key(const RlrecAgent *agent, Oid relation, const char *given, const char *argument)
{
	const char *same[] = {agent->item_column, NULL};
	char	   *key = given ? pstrdup(given) : only_column(relation, argument, same, is_id_type, true);

	if (key == NULL)
		key = only_column(relation, argument, key_names, is_id_type, true);
	if (key == NULL)
		key = only_column(relation, argument, item_names, is_id_type, true);
	require_column(relation, key, argument, is_id_type, "type integer, bigint, uuid or text");
	return key;
}

/* Whether some index of the relation leads with the user column and then the time column. */
static bool
has_history_index(const RlrecAgent *agent)
{
	Relation	table = relation_open(agent->events, AccessShareLock);
	AttrNumber	user = get_attnum(agent->events, agent->user_column);
	AttrNumber	time = agent->time_column ? get_attnum(agent->events, agent->time_column) : InvalidAttrNumber;
	bool		found = false;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(table))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisvalid && index->indnkeyatts >= 1 && index->indkey.values[0] == user &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
			(!time || (index->indnkeyatts >= 2 && index->indkey.values[1] == time)))
			found = true;
		ReleaseSysCache(tuple);
	}
	relation_close(table, AccessShareLock);
	return found;
}

static void
suggest_index(const RlrecAgent *agent)
{
	char		kind = get_rel_relkind(agent->events);

	if ((kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_MATVIEW) || has_history_index(agent))
		return;
	ereport(NOTICE,
			(errmsg("%s has no index that finds a user's events", rlrec_qualified_name(agent->events)),
			 errhint("Recommendations read them each time; run CREATE INDEX ON %s (%s%s%s);", rlrec_qualified_name(agent->events),
					 quote_identifier(agent->user_column), agent->time_column ? ", " : "",
					 agent->time_column ? quote_identifier(agent->time_column) : "")));
}

void
rlrec_agent_infer_columns(RlrecAgent *agent)
{
	const char *id_types = "type integer, bigint, uuid or text";
	Oid			users = agent->users;
	Oid			items = agent->items;
	char	   *user_key = NULL;
	char	   *item_key = NULL;
	char	   *by_key;

	by_key = foreign_key_column(agent->events, agent->user_column, users, user_tables, "user_column", &users, &user_key);
	if (agent->user_column == NULL)
		agent->user_column = by_key ? by_key : only_column(agent->events, "user_column", user_names, is_id_type, true);
	require_column(agent->events, agent->user_column, "user_column", is_id_type, id_types);

	by_key = foreign_key_column(agent->events, agent->item_column, items, item_tables, "item_column", &items, &item_key);
	if (agent->item_column == NULL)
		agent->item_column = by_key ? by_key : only_column(agent->events, "item_column", item_names, is_id_type, true);
	require_column(agent->events, agent->item_column, "item_column", is_id_type, id_types);

	/* A table that the item column refers to describes the items. */
	if (by_key)
	{
		agent->items = items;
		if (agent->item_key == NULL)
			agent->item_key = item_key;
	}
	if (OidIsValid(agent->items))
		agent->item_key = infer_key(agent, agent->items, agent->item_key, "item_key");
	if (OidIsValid(agent->candidates))
		agent->candidate_key = infer_key(agent, agent->candidates, agent->candidate_key, "candidate_key");

	if (agent->time_column == NULL)
		agent->time_column = only_column(agent->events, "time_column", time_names, is_time_type, true);
	if (agent->time_column == NULL)
		agent->time_column = only_column(agent->events, "time_column", NULL, is_timestamp_type, true);
	if (agent->time_column)
		require_column(agent->events, agent->time_column, "time_column", is_time_type, "a type of timestamp, date or number");

	if (agent->event_column == NULL)
		agent->event_column = only_column(agent->events, "event_column", event_names, is_event_type, agent->rewards != NULL);
	if (agent->event_column)
		require_column(agent->events, agent->event_column, "event_column", is_event_type, "type text or an enum");
	else if (agent->rewards)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("rewards are given, but %s has no column that tells the type of an event", rlrec_qualified_name(agent->events)),
				 errdetail("It has the columns %s.", describe_columns(agent->events)),
				 errhint("Name it with event_column => '...', or leave the rewards out.")));
	if (agent->value_column)
		require_column(agent->events, agent->value_column, "value_column", is_value_type, "a number type or interval");

	ereport(NOTICE,
			(errmsg("agent \"%s\" reads %s: user %s, item %s, time %s, event %s%s%s", agent->name, rlrec_qualified_name(agent->events),
					agent->user_column, agent->item_column, agent->time_column ? agent->time_column : "(none)",
					agent->event_column ? agent->event_column : "(none)",
					OidIsValid(agent->items) ? ", items described by " : "",
					OidIsValid(agent->items) ? rlrec_qualified_name(agent->items) : "")));
	suggest_index(agent);
}

static void
check_relation(const RlrecAgent *agent, Oid relation, const char *role)
{
	if (!OidIsValid(relation))
		return;
	LockRelationOid(relation, AccessShareLock);
	if (get_rel_name(relation) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the %s table of agent \"%s\" no longer exists", role, agent->name),
				 errhint("Create the table again and then the agent: SELECT rlrec_drop_agent(%s), then rlrec_create_agent(); or name another table with rlrec_alter_agent(%s, %s => '...').",
						 quote_literal_cstr(agent->name), quote_literal_cstr(agent->name), role)));
}

static void
check_column(const RlrecAgent *agent, Oid relation, const char *column, const char *argument, TypeTest test)
{
	Oid			type;

	if (column == NULL || !OidIsValid(relation))
		return;
	type = rlrec_column_type(relation, column);
	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of %s does not exist", column, rlrec_qualified_name(relation)),
				 errdetail("Agent \"%s\" reads it as its %s.", agent->name, argument),
				 errhint("If the column was renamed, run SELECT rlrec_alter_agent(%s, %s => 'new name').", quote_literal_cstr(agent->name), argument)));
	if (!test(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of %s has type %s and cannot be the %s", column, rlrec_qualified_name(relation),
						format_type_be(type), argument),
				 errhint("Name another column: SELECT rlrec_alter_agent('%s', %s => '...').", agent->name, argument)));
}

void
rlrec_agent_check_events(const RlrecAgent *agent)
{
	check_relation(agent, agent->events, "events");
	check_column(agent, agent->events, agent->user_column, "user_column", is_id_type);
	check_column(agent, agent->events, agent->item_column, "item_column", is_id_type);
	check_column(agent, agent->events, agent->time_column, "time_column", is_time_type);
	check_column(agent, agent->events, agent->event_column, "event_column", is_event_type);
	check_column(agent, agent->events, agent->value_column, "value_column", is_value_type);
}

void
rlrec_agent_check_columns(const RlrecAgent *agent)
{
	if (!OidIsValid(agent->events))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("agent \"%s\" has no events", agent->name),
				 errdetail("It is a bare environment: it learns by rlrec_observe() and answers by rlrec_act()."),
				 errhint("An agent that is trained and recommends is made with rlrec_create_agent('name', events => 'events').")));
	rlrec_agent_check_events(agent);
	check_relation(agent, agent->items, "items");
	check_relation(agent, agent->candidates, "candidates");
	check_column(agent, agent->items, agent->item_key, "item_key", is_id_type);
	check_column(agent, agent->candidates, agent->candidate_key, "candidate_key", is_id_type);
}
