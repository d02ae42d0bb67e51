/*
 * event_stream.c
 *	  The rows of the events table, decoded, one after the other.
 *
 * Training and serving run the same query, serving with a WHERE, through the same receiver, so that what an event means is said once. The
 * executor hands each row to the receiver; none is kept. Order is by (time, tie), the tie being the integer primary key if there is one, else
 * ctid: many logs have thousands of events in the same second, and results must not depend on a plan. Whoever collects the events sorts them.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_collate.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parse_target.h"
#include "parser/parser.h"
#include "rewrite/rewriteManip.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "learner/options.h"
#include "store/catalog.h"
#include "store/event_receiver.h"

/* ---------------------------------------------------------------- the query */

char *
rlrec_integer_primary_key(Oid relation)
{
	Relation	table = table_open(relation, AccessShareLock);
	Oid			index;
	HeapTuple	tuple;
	char	   *column = NULL;

	(void) RelationGetIndexList(table);
	index = table->rd_pkindex;
	if (OidIsValid(index) && HeapTupleIsValid(tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index))))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		if (form->indnkeyatts == 1 && form->indkey.values[0] > 0)
		{
			char	   *name = get_attname(relation, form->indkey.values[0], false);
			Oid			type = rlrec_column_type(relation, name);

			if (type == INT2OID || type == INT4OID || type == INT8OID)
				column = name;
		}
		ReleaseSysCache(tuple);
	}
	table_close(table, AccessShareLock);
	return column;
}

static bool
has_system_columns(Oid relation)
{
	char		kind = get_rel_relkind(relation);

	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_MATVIEW;
}

/* What orders events of the same time: a bigint or ctid. */
static char *
tie_expression(Oid relation)
{
	char	   *key;

	if (!has_system_columns(relation))
		return "NULL::pg_catalog.int8";
	key = rlrec_integer_primary_key(relation);
	if (key)
		return psprintf("%s::pg_catalog.int8", quote_identifier(key));
	return "ctid";
}

/* An expression for the time as timestamp or float8 seconds since 1970; *type says which. */
static char *
time_expression(const RlrecAgent *agent, Oid *type)
{
	Oid			column = agent->time_column ? rlrec_column_type(agent->events, agent->time_column) : InvalidOid;
	const char *name = agent->time_column ? quote_identifier(agent->time_column) : NULL;

	*type = OidIsValid(column) ? TIMESTAMPOID : InvalidOid;
	if (!OidIsValid(column))
		return "NULL::pg_catalog.timestamp";
	if (column == TIMESTAMPOID || column == TIMESTAMPTZOID)
		return pstrdup(name);
	if (column == DATEOID)
		return psprintf("%s::pg_catalog.timestamp", name);
	*type = FLOAT8OID;
	return psprintf("%s::pg_catalog.float8", name);
}

/* A column that an RlrecIdReader reads. No cast of an enum: its owner may have made one, which would run as whoever reads the events. */
static const char *
id_expression(const RlrecAgent *agent, const char *column)
{
	if (rlrec_column_type(agent->events, column) == BPCHAROID)
		return psprintf("%s::pg_catalog.text", quote_identifier(column));
	return quote_identifier(column);
}

/* The comparison of the user column with `users`; equality of a nondeterministic collation is narrowed to that of the bytes. */
static char *
user_condition(const RlrecAgent *agent, const char *users)
{
	const char *column = quote_identifier(agent->user_column);
	Oid			collation = InvalidOid;
	Oid			type;
	int32		typmod;

	get_atttypetypmodcoll(agent->events, get_attnum(agent->events, agent->user_column), &type, &typmod, &collation);
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		return psprintf("%s OPERATOR(pg_catalog.=) %s AND %s COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) %s", column, users, column, users);
	return psprintf("%s OPERATOR(pg_catalog.=) %s", column, users);
}

/* Of the users that the user column is compared with, or, users being NULL, of all. */
static char *
events_query(const RlrecAgent *agent, const char *users, bool xids, Oid *time_type)
{
	StringInfoData query;

	rlrec_agent_check_events(agent);
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s, %s, ", id_expression(agent, agent->user_column), id_expression(agent, agent->item_column));
	appendStringInfo(&query, "%s, %s, ", time_expression(agent, time_type), tie_expression(agent->events));
	appendStringInfo(&query, "%s, ", agent->event_column ? id_expression(agent, agent->event_column) : "NULL");
	appendStringInfo(&query, "%s%s FROM %s", rlrec_reward_sql(agent), xids && has_system_columns(agent->events) ? ", xmin" : "",
					 rlrec_qualified_name(agent->events));
	if (users)
		appendStringInfo(&query, " WHERE %s", user_condition(agent, users));
	return query.data;
}

/*
 * A user's events about time $2, no more than $3 on each side; the latest $3 without a time column. The order is by columns COLUMN_TIME and
 * COLUMN_TIE, and by an index on user and time where there is one.
 */
static char *
window_query(const RlrecAgent *agent, const char *query, Oid parameter)
{
	Oid			type;
	char	   *time = time_expression(agent, &type);
	const char *about = parameter == FLOAT8OID ? "$2::pg_catalog.float8" : parameter == TIMESTAMPOID ? "$2::pg_catalog.timestamp" :
		"$2::pg_catalog.timestamptz";

	if (agent->time_column == NULL)
		return psprintf("%s ORDER BY 4 DESC LIMIT $3", query);
	return psprintf("(%s AND %s OPERATOR(pg_catalog.<=) %s ORDER BY 3 DESC, 4 DESC LIMIT $3)"
					" UNION ALL (%s AND %s OPERATOR(pg_catalog.>) %s ORDER BY 3, 4 LIMIT $3)", query, time, about, query, time, about);
}

/* ---------------------------------------------------------------- running it */

/* Prepared queries of this session, by their text and the type of $1. */
typedef struct PlanEntry
{
	uint32		hash;
	Oid			type;			/* of the parameter */
	char	   *query;
	SPIPlanPtr	plan;
} PlanEntry;

#define MAX_PLANS 64
static PlanEntry plans[MAX_PLANS];
static int	n_plans = 0;

static SPIPlanPtr
prepared_plan(const char *query, int n, Oid *types)
{
	Oid			type = types[0];	/* the query says what the others are */
	uint32		hash = hash_bytes((const unsigned char *) query, (int) strlen(query));
	PlanEntry  *entry;
	SPIPlanPtr	plan;

	for (int i = 0; i < n_plans; i++)
		if (plans[i].hash == hash && plans[i].type == type && strcmp(plans[i].query, query) == 0)
			return plans[i].plan;
	plan = SPI_prepare(query, n, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (n_plans == MAX_PLANS)
		return plan;			/* goes with SPI_finish(); none is evicted, as an outer call may be running it */
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed: %s", SPI_result_code_string(SPI_result));
	entry = &plans[n_plans];
	entry->query = MemoryContextStrdup(TopMemoryContext, query);
	entry->hash = hash;
	entry->type = type;
	entry->plan = plan;
	n_plans++;
	return plan;
}

typedef struct IdColumn
{
	const RlrecAgent *agent;
	const char *column;
} IdColumn;

/* To the error of an input function. */
static void
id_context(void *argument)
{
	const IdColumn *id = argument;

	errhint("Column \"%s\" of %s has type %s; pass an id of that type.", id->column, rlrec_qualified_name(id->agent->events),
			format_type_be(rlrec_column_type(id->agent->events, id->column)));
}

Datum
rlrec_id_datum(const RlrecAgent *agent, const char *column, const char *id)
{
	IdColumn	id_column = {agent, column};
	ErrorContextCallback context = {error_context_stack, id_context, &id_column};
	Oid			input;
	Oid			parameter;
	Datum		datum;

	getTypeInputInfo(rlrec_column_type(agent->events, column), &input, &parameter);
	error_context_stack = &context;
	datum = OidInputFunctionCall(input, (char *) id, parameter, -1);
	error_context_stack = context.previous;
	return datum;
}

/* What of a user's events is read. */
typedef struct Window
{
	int64		time;
	int64		most;			/* on each side of it */
} Window;

static void
add_parameter(ParamListInfo parameters, Oid type, Datum value)
{
	ParamExternData *parameter = &parameters->params[parameters->numParams++];

	parameter->ptype = type;
	parameter->pflags = PARAM_FLAG_CONST;
	parameter->isnull = false;
	parameter->value = value;
}

/* Runs the query of one user's events. */
static int
run_of_user(const RlrecAgent *agent, const char *query, const char *user, const Window *window, Oid time_type, SPIExecuteOptions *options)
{
	Oid			types[3] = {rlrec_column_type(agent->events, agent->user_column)};

	options->params = makeParamList(lengthof(types));
	options->params->numParams = 0;
	add_parameter(options->params, types[0], rlrec_id_datum(agent, agent->user_column, user));
	if (window != NULL)
	{
		types[1] = FLOAT8OID;
		if (time_type == TIMESTAMPOID)
			types[1] = rlrec_column_type(agent->events, agent->time_column) == TIMESTAMPTZOID ? TIMESTAMPTZOID : TIMESTAMPOID;
		types[2] = INT8OID;
		add_parameter(options->params, types[1], types[1] == FLOAT8OID ? Float8GetDatum((double) window->time / USECS_PER_SEC + RLREC_UNIX_EPOCH_SECONDS) :
					  TimestampTzGetDatum(window->time));
		add_parameter(options->params, types[2], Int64GetDatum(window->most));
		query = window_query(agent, query, types[1]);
	}
	return SPI_execute_plan_extended(prepared_plan(query, options->params->numParams, types), options);
}

/* Runs a query, of one user's events unless that is NULL, into the receiver, which ends with it; `parameters` are those of other queries. */
static void
run(RlrecEventReceiver *receiver, const char *query, const char *user, const Window *window, ParamListInfo parameters)
{
	MemoryContext context = CurrentMemoryContext;
	SPIExecuteOptions options = {0};
	int			result;

	options.dest = &receiver->base;
	options.params = parameters;
	options.read_only = true;
	SPI_connect();
	if (user)
		result = run_of_user(receiver->agent, query, user, window, receiver->time_type, &options);
	else
		result = SPI_execute_extended(query, &options);
	if (result < 0)
		elog(ERROR, "could not read the events: %s", SPI_result_code_string(result));
	SPI_finish();
	MemoryContextSwitchTo(context);
	MemoryContextDelete(receiver->row_context);
}

static void
stream(const RlrecAgent *agent, const char *user, bool xids, const Window *window, RlrecEventSink sink, void *argument)
{
	bool		pinned = rlrec_option_text(agent->options, rlrec_agent_options, "reward") != NULL;
	RlrecEventReceiver receiver;
	RlrecRole	saved;
	Oid			time_type;
	char	   *query;

	/* What the owner wrote means the same whatever the caller's search_path is. */
	if (pinned)
		rlrec_run_as(&saved, GetUserId(), 0);
	query = events_query(agent, user ? "$1" : NULL, xids, &time_type);
	rlrec_event_receiver_init(&receiver, agent, time_type, sink, argument);
	receiver.skip_missing = receiver.skip_missing || xids;
	receiver.lenient = xids;
	run(&receiver, query, user, window, NULL);
	if (pinned)
		rlrec_run_back(&saved);
}

void
rlrec_events_stream(const RlrecAgent *agent, const char *user, RlrecEventSink sink, void *argument)
{
	stream(agent, user, false, NULL, sink, argument);
}

void
rlrec_events_stream_xids(const RlrecAgent *agent, const char *user, RlrecEventSink sink, void *argument)
{
	stream(agent, user, true, NULL, sink, argument);
}

void
rlrec_events_stream_window(const RlrecAgent *agent, const char *user, int64 time, int64 most, RlrecEventSink sink, void *argument)
{
	Window		window = {time, most};

	stream(agent, user, true, &window, sink, argument);
}

/* The users as an array of the user column's type. */
static ParamListInfo
users_parameter(const RlrecAgent *agent, int n, const char *const *users)
{
	Oid			type = rlrec_column_type(agent->events, agent->user_column);
	Datum	   *ids = palloc_array(Datum, n);
	ParamListInfo parameters = makeParamList(1);
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	for (int i = 0; i < n; i++)
		ids[i] = rlrec_id_datum(agent, agent->user_column, users[i]);
	parameters->numParams = 0;
	add_parameter(parameters, get_array_type(type), PointerGetDatum(construct_array(ids, n, type, length, by_value, align)));
	return parameters;
}

void
rlrec_events_stream_users(const RlrecAgent *agent, int n, const char *const *users, const bool *stop, RlrecEventSink sink, void *argument)
{
	RlrecEventReceiver receiver;
	RlrecRole	saved;
	Oid			time_type;
	char	   *query;

	/* An index is there. Planned for these users, and statistics that overestimate their events are no reason to read all. */
	rlrec_run_as(&saved, GetUserId(), 0);
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	query = events_query(agent, "ANY ($1)", true, &time_type);
	rlrec_event_receiver_init(&receiver, agent, time_type, sink, argument);
	receiver.skip_missing = receiver.lenient = true;
	receiver.stop = stop;
	run(&receiver, query, NULL, NULL, users_parameter(agent, n, users));
	rlrec_run_back(&saved);
}

void
rlrec_events_stream_range(const RlrecAgent *agent, int64 low, int64 high, TransactionId xmin, CommandId cmin, RlrecEventSink sink,
						  void *argument)
{
	char	   *key = rlrec_integer_primary_key(agent->events);
	RlrecEventReceiver receiver;
	RlrecRole	saved;
	Oid			time_type;
	char	   *query;

	if (key == NULL)
		return;
	rlrec_run_as(&saved, GetUserId(), 0);
	query = psprintf("%s WHERE %s BETWEEN %lld AND %lld AND xmin = '%u' AND cmin = '%u' ORDER BY %s",
					 events_query(agent, NULL, false, &time_type), quote_identifier(key), (long long) low, (long long) high, xmin, cmin,
					 quote_identifier(key));
	rlrec_event_receiver_init(&receiver, agent, time_type, sink, argument);
	receiver.skip_missing = receiver.lenient = true;
	run(&receiver, query, NULL, NULL, NULL);
	rlrec_run_back(&saved);
}

/* ---------------------------------------------------------------- single rows */

struct RlrecRowReader
{
	RlrecEventReceiver receiver;
	ExprContext *context;
	ProjectionInfo *projection; /* the query's columns, from a row of the relation */
};

/*
 * The query's columns as expressions over a row of the relation; the tie is NULL. The table is given to the parser as it is, not by name, as
 * who inserts into it may be without rights on its schema.
 */
static List *
row_columns(const RlrecAgent *agent, Relation relation, Oid *time_type)
{
	char	   *text = events_query(agent, NULL, false, time_type);
	RawStmt    *raw = linitial_node(RawStmt, raw_parser(text, RAW_PARSE_DEFAULT));
	ParseState *state = make_parsestate(NULL);
	Relation	events = relation_open(agent->events, AccessShareLock);
	List	   *columns;
	ListCell   *cell;

	state->p_sourcetext = text;
	addNSItemToQuery(state, addRangeTableEntryForRelation(state, events, AccessShareLock, NULL, false, true), false, true, true);
	columns = transformTargetList(state, castNode(SelectStmt, raw->stmt)->targetList, EXPR_KIND_SELECT_TARGET);
	resolveTargetListUnknowns(state, columns);
	assign_list_collations(state, columns);
	free_parsestate(state);
	list_nth_node(TargetEntry, columns, COLUMN_TIE)->expr = (Expr *) makeNullConst(INT8OID, -1, InvalidOid);
	if (RelationGetRelid(relation) != agent->events)
	{
		AttrMap    *map = rlrec_attribute_map(RelationGetDescr(relation), RelationGetDescr(events));
		bool		whole_row;

		columns = (List *) map_variable_attnos((Node *) columns, 1, 0, map, InvalidOid, &whole_row);
	}
	relation_close(events, NoLock);
	foreach(cell, columns)
	{
		TargetEntry *column = lfirst_node(TargetEntry, cell);

		column->expr = expression_planner(column->expr);
	}
	return columns;
}

RlrecRowReader *
rlrec_row_reader_create(const RlrecAgent *agent, Relation relation, RlrecEventSink sink, void *argument)
{
	RlrecRowReader *reader = palloc0(sizeof(RlrecRowReader));
	RlrecRole	saved;
	Oid			time_type;
	List	   *columns;

	rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
	columns = row_columns(agent, relation, &time_type);
	rlrec_event_receiver_init(&reader->receiver, agent, time_type, sink, argument);
	reader->receiver.skip_missing = true;
	reader->receiver.lenient = true;
	reader->context = CreateStandaloneExprContext();
	reader->projection = ExecBuildProjectionInfo(columns, reader->context,
												 MakeSingleTupleTableSlot(ExecTypeFromTL(columns), &TTSOpsVirtual), NULL, NULL);
	rlrec_run_back(&saved);
	return reader;
}

void
rlrec_row_reader_read(RlrecRowReader *reader, TupleTableSlot *row)
{
	reader->context->ecxt_scantuple = row;
	ResetExprContext(reader->context);
	(void) rlrec_event_receive(ExecProject(reader->projection), &reader->receiver.base);
}

/* ---------------------------------------------------------------- order */

int
rlrec_place_compare(const void *a, const void *b)
{
	const RlrecPlace *x = a;
	const RlrecPlace *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (x->tie != y->tie)
		return x->tie < y->tie ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

/* Sorts a user's events [n] by (time, tie); logs mostly come in order already. */
void
rlrec_places_sort(RlrecPlace *places, int64 n)
{
	for (int64 i = 1; i < n; i++)
		if (rlrec_place_compare(&places[i - 1], &places[i]) > 0)
		{
			qsort(places, n, sizeof(RlrecPlace), rlrec_place_compare);
			return;
		}
}
