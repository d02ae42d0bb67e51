/*
 * reward.c
 *	  What an event is worth: docs/rewards.md.
 *
 * The expression of option "reward" is the owner's, but serving evaluates it in the name of who calls, as it does with all of the events.
 * So, as in a publication's WHERE, it may do nothing but compute: no subquery, and only functions that are PostgreSQL's own, resolved
 * with search_path = pg_catalog, and immutable, which also gives an event the same reward whenever it is read. It is parsed, analysed and
 * found so each time before its text enters a query, as the text alone proves nothing when settings and tables may have changed.
 */
#include "postgres.h"

#include <math.h>

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "learner/options.h"
#include "store/catalog.h"
#include "store/reward.h"

#define MAX_REWARD 1e30

/* What `rewards` says of one type of event. */
typedef struct TypeReward
{
	const char *event;
	size_t		length;
	float		reward;
} TypeReward;

/* ---------------------------------------------------------------- of an event */

static void
read_rewards(RlrecRewardReader *reader)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	TypeReward *reward = NULL;

	if (reader->agent->rewards == NULL)
		return;
	reader->rewards = palloc(JB_ROOT_COUNT(reader->agent->rewards) * sizeof(TypeReward));
	iterator = JsonbIteratorInit(&reader->agent->rewards->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			reward = &reader->rewards[reader->n_rewards++];
			reward->event = value.val.string.val;
			reward->length = value.val.string.len;
		}
		else if (token == WJB_VALUE)
			reward->reward = (float) DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric)));
	}
}

void
rlrec_reward_reader_init(RlrecRewardReader *reader, const RlrecAgent *agent)
{
	memset(reader, 0, sizeof(*reader));
	reader->agent = agent;
	reader->is_expression = rlrec_option_text(agent->options, rlrec_agent_options, "reward") != NULL;
	reader->minimum = rlrec_option_real(agent->options, rlrec_agent_options, "reward_min");
	reader->maximum = rlrec_option_real(agent->options, rlrec_agent_options, "reward_max");
	read_rewards(reader);
}

static double
type_reward(const RlrecRewardReader *reader, const RlrecEvent *event)
{
	double		reward = 0;

	if (reader->agent->rewards == NULL)
		return 1;
	for (int i = 0; event->type && i < reader->n_rewards; i++)
		if (event->type_length == reader->rewards[i].length &&
			memcmp(event->type, reader->rewards[i].event, reader->rewards[i].length) == 0)
			reward = reader->rewards[i].reward;
	return reward;
}

static double
own_reward(const RlrecRewardReader *reader, const RlrecEvent *event, Datum value, bool isnull)
{
	if (reader->is_expression)
		return isnull ? 0 : DatumGetFloat8(value);
	if (reader->agent->value_column)
		return type_reward(reader, event) * DatumGetFloat8(value);
	return type_reward(reader, event);
}

static float
clip(const RlrecRewardReader *reader, double reward)
{
	return (float) Max(reader->minimum, Min(reader->maximum, reward));
}

float
rlrec_reward_of_type(const RlrecRewardReader *reader, const RlrecEvent *event, double value)
{
	double		reward = type_reward(reader, event) * value;

	if (!(fabs(reward) <= MAX_REWARD))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a reward of %g is out of range", reward),
				 errdetail("Rewards are from %g to %g.", -MAX_REWARD, MAX_REWARD)));
	return clip(reader, reward);
}

bool
rlrec_reward_of(const RlrecRewardReader *reader, RlrecEvent *event, Datum value, bool isnull, bool lenient)
{
	double		reward = own_reward(reader, event, value, isnull);
	bool		valid = fabs(reward) <= MAX_REWARD;

	if (!valid && !lenient)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s has events whose %s is out of range", rlrec_qualified_name(reader->agent->events),
						reader->is_expression ? "reward" : reader->agent->value_column),
				 errdetail("User \"%s\" would have a reward of %g for item \"%s\"; rewards are from %g to %g.",
						   pnstrdup(event->user, event->user_length), reward, pnstrdup(event->item, event->item_length), -MAX_REWARD, MAX_REWARD),
				 reader->is_expression ? errhint("Mend the expression with rlrec_alter_agent(), or these rows.") :
				 errhint("Mend or delete these rows, or make the agent over a view that leaves them out.")));
	event->reward = clip(reader, reward);
	return valid;
}

RlrecRewardRules
rlrec_reward_rules(const RlrecAgent *agent)
{
	char	   *scale = rlrec_option_choice(agent->options, rlrec_agent_options, "reward_scale");
	RlrecRewardRules rules;

	rules.horizon = rlrec_option_real(agent->options, rlrec_agent_options, "horizon") * USECS_PER_SEC;
	rules.discount = rlrec_option_real(agent->options, rlrec_agent_options, "horizon_discount");
	rules.scale = strcmp(scale, "max") == 0 ? RLREC_SCALE_MAX : strcmp(scale, "deviation") == 0 ? RLREC_SCALE_DEVIATION : RLREC_SCALE_NONE;
	return rules;
}

/* ---------------------------------------------------------------- the expression */

/* The only expression of a SELECT that has nothing else; NULL when it is not so. */
static Node *
only_expression(const char *query)
{
	List	   *statements = raw_parser(query, RAW_PARSE_DEFAULT);
	SelectStmt *bare = makeNode(SelectStmt);
	SelectStmt *select;
	ResTarget  *target;

	if (list_length(statements) != 1)
		return NULL;
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt) || list_length(select->targetList) != 1)
		return NULL;
	bare->targetList = select->targetList;
	target = linitial_node(ResTarget, select->targetList);
	return equal(select, bare) && target->name == NULL ? target->val : NULL;
}

static bool
function_is_unfit(Oid function, void *context pg_attribute_unused())
{
	return function >= FirstNormalObjectId || func_volatile(function) != PROVOLATILE_IMMUTABLE;
}

/* Whether anything in it does more than compute. */
static bool
is_unfit(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_SubLink:
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
		case T_SQLValueFunction:
		case T_NextValueExpr:
		case T_CoerceToDomain:
			return true;
		default:
			return rlrec_is_json_query(node) || check_functions_in_node(node, function_is_unfit, context) ||
				expression_tree_walker(node, is_unfit, context);
	}
}

static bool
is_plain(Oid type)
{
	return OidIsValid(type) && (type < FirstNormalObjectId || type_is_enum(type));
}

/*
 * Whether a raw expression names a type, or a column of one, that is not built in: literals become values while an expression is analysed,
 * by input functions that evaluate the checks of domains.
 */
static bool
names_foreign_type(Node *node, void *context)
{
	const RlrecAgent *agent = context;

	if (node == NULL)
		return false;
	if (IsA(node, TypeName) && !is_plain(typenameTypeId(NULL, (TypeName *) node)))
		return true;
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) node)->fields);
		AttrNumber	column = IsA(last, String) ? get_attnum(agent->events, strVal(last)) : InvalidAttrNumber;

		/* The whole row has no such column; a column that is not there is left to the parser's error. */
		if (!IsA(last, String) ||
			(column == InvalidAttrNumber && strcmp(strVal(last), get_rel_name(agent->events)) == 0) ||
			(column != InvalidAttrNumber && !is_plain(getBaseType(get_atttype(agent->events, column)))))
			return true;
	}
	return raw_expression_tree_walker(node, names_foreign_type, context);
}

static void
refuse(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the reward does more than compute from an event"),
			 errdetail("There may be no subquery, no aggregate, window or set-returning function, no domain, no whole row, and only types, functions and operators that are built in and immutable.")));
}

/* An error unless the parsed expression, of that text, gives a number and does nothing more. */
static void
check_expression(const RlrecAgent *agent, Node *expression, const char *query)
{
	ParseState *state = make_parsestate(NULL);
	Relation	events = relation_open(agent->events, AccessShareLock);
	ParseNamespaceItem *item = addRangeTableEntryForRelation(state, events, AccessShareLock, NULL, false, true);
	Oid			type;

	state->p_sourcetext = query;
	addNSItemToQuery(state, item, false, true, true);
	expression = transformExpr(state, expression, EXPR_KIND_OTHER);
	type = exprType(expression);
	expression = coerce_to_target_type(state, expression, type, FLOAT8OID, -1, COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (expression == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the reward has type %s, which is no number", format_type_be(type))));
	assign_expr_collations(state, expression);
	if (expression_returns_set(expression) || is_unfit(expression, NULL))
		refuse();
	relation_close(events, NoLock);
	free_parsestate(state);
}

typedef struct Expression
{
	const RlrecAgent *agent;
	const char *query;			/* that is parsed */
} Expression;

/* To an error about the expression: where in it, and what it should be. */
static void
expression_context(void *argument)
{
	const Expression *expression = argument;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(expression->query);
	}
	errhint("Option \"reward\" must be one expression over the columns of %s that gives a number, such as \"CASE WHEN event = 'purchase' THEN 5 ELSE -0.2 END\". What needs more belongs in a view over which the agent is made.",
			rlrec_qualified_name(expression->agent->events));
}

/*
 * The text is put in parentheses, so it must be one expression there; and one without them, or it could close the first and open the
 * last.
 */
static char *
expression_sql(const RlrecAgent *agent, const char *text)
{
	Expression	expression = {agent, psprintf("SELECT %s", text)};
	ErrorContextCallback context = {error_context_stack, expression_context, &expression};
	Node	   *parsed;

	error_context_stack = &context;
	parsed = only_expression(expression.query);
	if (parsed == NULL || only_expression(psprintf("SELECT (%s\n)", text)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the reward is not one expression")));
	if (names_foreign_type(parsed, unconstify(RlrecAgent *, agent)))
		refuse();
	check_expression(agent, parsed, expression.query);
	error_context_stack = context.previous;
	return psprintf("(%s\n)::pg_catalog.float8", text);
}

char *
rlrec_reward_sql(const RlrecAgent *agent)
{
	char	   *text = rlrec_option_text(agent->options, rlrec_agent_options, "reward");

	if (text)
		return expression_sql(agent, text);
	if (agent->value_column == NULL)
		return "NULL::pg_catalog.float8";
	if (rlrec_column_type(agent->events, agent->value_column) == INTERVALOID)
		return psprintf("pg_catalog.date_part('epoch', %s)", quote_identifier(agent->value_column));
	return psprintf("%s::pg_catalog.float8", quote_identifier(agent->value_column));
}

void
rlrec_reward_check(const RlrecAgent *agent)
{
	double		minimum = rlrec_option_real(agent->options, rlrec_agent_options, "reward_min");
	double		maximum = rlrec_option_real(agent->options, rlrec_agent_options, "reward_max");
	RlrecRole	saved;

	if (minimum > maximum)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"reward_min\" is %g and above \"reward_max\", which is %g", minimum, maximum),
				 errhint("Rewards are clipped to what lies between them.")));
	rlrec_run_as(&saved, GetUserId(), 0);
	(void) rlrec_reward_sql(agent);
	rlrec_run_back(&saved);
}
