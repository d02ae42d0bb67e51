/*
 * qtable_json.c
 *	  The text form of the action values of one state, a JSON object of objects:
 *
 *		{"left": {"q": 0.5, "visits": 3}, "right": {"q": -1, "visits": 0}}
 *
 * q is printed with the fewest digits that read back as the same bits. A bare number is a q of no visits: {"left": 0.5}.
 */
#include "postgres.h"

#include <math.h>

#include "common/jsonapi.h"
#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/json.h"
#include "utils/jsonfuncs.h"

#include "compat.h"
#include "types/qtable_json.h"

typedef enum Key
{
	KEY_Q = 1,
	KEY_VISITS = 2
} Key;

typedef struct Parse
{
	int			n;
	int			capacity;
	RlrecQEntry *entries;
	int			depth;			/* of objects: 1 in the table, 2 in an action */
	Key			key;			/* whose value comes now */
	int			seen;			/* keys of this action, a bit each */
} Parse;

#define BAD_TEXT(...) \
	ereport(ERROR, \
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), \
			 errmsg("invalid input syntax for type %s", "rlrec_qtable"), \
			 errdetail(__VA_ARGS__), \
			 errhint("An example: {\"left\": {\"q\": 0.5, \"visits\": 3}, \"right\": -1}")))

static RlrecQEntry *
last(Parse *parse)
{
	return &parse->entries[parse->n - 1];
}

static double
parse_q(const char *action, const char *token)
{
	double		q;

	errno = 0;
	q = strtod(token, NULL);
	if (errno == ERANGE && (q == 0 || isinf(q)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range for type double precision", token),
				 errdetail("It is the value of action \"%s\".", action),
				 errhint("A value has a magnitude between 5e-324 and 1.8e308, or is 0.")));
	return q;
}

static int64
parse_visits(const char *action, const char *token)
{
	char	   *end;
	int64		visits = strtoi64(token, &end, 10);	/* saturates */

	if (*end != '\0')
		BAD_TEXT("The visits of action \"%s\" are \"%s\", which is not an integer.", action, token);
	return visits;
}

static RLREC_JSON_ACTION
on_scalar(void *state, char *token, JsonTokenType type)
{
	Parse	   *parse = state;

	CHECK_FOR_INTERRUPTS();
	if (parse->depth == 0)
		BAD_TEXT("It is not a JSON object.");
	if (type != JSON_TOKEN_NUMBER)
		BAD_TEXT("Action \"%s\" has \"%s\" where a number must be.", last(parse)->action, token);
	if (parse->key == KEY_Q)
		last(parse)->q = parse_q(last(parse)->action, token);
	else
		last(parse)->visits = parse_visits(last(parse)->action, token);
	pfree(token);
	RLREC_JSON_GO_ON;
}

/* The key of an action; its value, a number or an object, follows. */
static void
add_action(Parse *parse, const char *name)
{
	if (parse->n == parse->capacity)
	{
		parse->capacity = Max(8, parse->capacity * 2);
		parse->entries = parse->entries == NULL ? palloc(parse->capacity * sizeof(RlrecQEntry)) :
			repalloc_huge(parse->entries, parse->capacity * sizeof(RlrecQEntry));
	}
	parse->entries[parse->n++] = (RlrecQEntry) {name, (int) strlen(name), 0, 0};
	parse->key = KEY_Q;
	parse->seen = 0;
}

static RLREC_JSON_ACTION
on_field(void *state, char *name, bool isnull)
{
	Parse	   *parse = state;

	(void) isnull;
	if (parse->depth == 1)
	{
		add_action(parse, name);	/* keeps the name */
		RLREC_JSON_GO_ON;
	}
	if (strcmp(name, "q") == 0)
		parse->key = KEY_Q;
	else if (strcmp(name, "visits") == 0)
		parse->key = KEY_VISITS;
	else
		BAD_TEXT("Action \"%s\" has the unknown key \"%s\"; q and visits are known.", last(parse)->action, name);
	if (parse->seen & parse->key)
		BAD_TEXT("Action \"%s\" has the key \"%s\" twice.", last(parse)->action, name);
	parse->seen |= parse->key;
	pfree(name);
	RLREC_JSON_GO_ON;
}

static RLREC_JSON_ACTION
on_object_start(void *state)
{
	Parse	   *parse = state;

	if (parse->depth == 2)
		BAD_TEXT("Action \"%s\" has a JSON object where a number must be.", last(parse)->action);
	parse->depth++;
	RLREC_JSON_GO_ON;
}

static RLREC_JSON_ACTION
on_object_end(void *state)
{
	Parse	   *parse = state;

	if (parse->depth-- == 2 && (parse->seen & KEY_Q) == 0)
		BAD_TEXT("Action \"%s\" has no q.", last(parse)->action);
	RLREC_JSON_GO_ON;
}

static RLREC_JSON_ACTION
on_array_start(void *state)
{
	(void) state;
	BAD_TEXT("It has an array, where objects and numbers are known.");
	RLREC_JSON_GO_ON;
}

RlrecQTable *
rlrec_qtable_parse(char *json)
{
	Parse		parse = {0};
	JsonSemAction actions = {0};

	actions.semstate = &parse;
	actions.scalar = on_scalar;
	actions.object_start = on_object_start;
	actions.object_end = on_object_end;
	actions.object_field_start = on_field;
	actions.array_start = on_array_start;
	pg_parse_json_or_ereport(rlrec_json_lex(json), &actions);
	return rlrec_qtable_build(parse.n, parse.entries);
}

char *
rlrec_qtable_print(const RlrecQTable *table)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < rlrec_qtable_n(table); i++)
	{
		RlrecQEntry entry = rlrec_qtable_entry(table, i);
		char	   *action = pnstrdup(entry.action, entry.length);
		char		q[DOUBLE_SHORTEST_DECIMAL_LEN];

		CHECK_FOR_INTERRUPTS();
		double_to_shortest_decimal_buf(entry.q, q);
		if (i > 0)
			appendStringInfoString(&text, ", ");
		escape_json(&text, action);
		pfree(action);
		appendStringInfo(&text, ": {\"q\": %s, \"visits\": %lld}", q, (long long) entry.visits);
	}
	appendStringInfoChar(&text, '}');
	return text.data;
}
