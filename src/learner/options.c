/*
 * options.c
 *	  The options of agents and learners, read. They were validated when the agent was made, so what is amiss here cannot happen.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "learner/options.h"

static const RlrecOption *
find_spec(const RlrecOption *specs, const char *name)
{
	for (; specs->name != NULL; specs++)
		if (strcmp(specs->name, name) == 0)
			return specs;
	elog(ERROR, "option \"%s\" is not declared", name);
}

/* The option's value in the object; NULL when it is not given or is null. */
static JsonbValue *
find_value(const Jsonb *options, const char *name, JsonbValue *value)
{
	if (options == NULL || !JB_ROOT_IS_OBJECT(options))
		return NULL;
	value = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root), name, strlen(name), value);
	return value == NULL || value->type == jbvNull ? NULL : value;
}

static double
seconds(const JsonbValue *value)
{
	char	   *text = pnstrdup(value->val.string.val, value->val.string.len);
	Interval   *interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
																 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));

	return ((double) interval->month * DAYS_PER_MONTH + interval->day) * SECS_PER_DAY +
		(double) interval->time / USECS_PER_SEC;
}

bool
rlrec_option_bool(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	const RlrecOption *spec = find_spec(specs, name);
	JsonbValue	buffer;
	JsonbValue *value = find_value(options, name, &buffer);

	if (value == NULL)
		return spec->initial != 0;
	if (value->type != jbvBool)
		elog(ERROR, "option \"%s\" is not a boolean", name);
	return value->val.boolean;
}

double
rlrec_option_real(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	const RlrecOption *spec = find_spec(specs, name);
	JsonbValue	buffer;
	JsonbValue *value = find_value(options, name, &buffer);

	if (value == NULL)
		return spec->initial;
	if (value->type == jbvString && spec->type == RLREC_OPTION_INTERVAL)
		return seconds(value);
	if (value->type != jbvNumeric)
		elog(ERROR, "option \"%s\" is not a number", name);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
}

int
rlrec_option_int(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	return (int) rlrec_option_real(options, specs, name);
}

List *
rlrec_option_names(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	JsonbValue	buffer;
	JsonbValue *value = find_value(options, name, &buffer);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	List	   *names = NIL;

	(void) find_spec(specs, name);
	if (value == NULL)
		return NIL;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		elog(ERROR, "option \"%s\" is not an array", name);
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &buffer, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (buffer.type != jbvString)
			elog(ERROR, "option \"%s\" has an element that is not a string", name);
		names = lappend(names, pnstrdup(buffer.val.string.val, buffer.val.string.len));
	}
	return names;
}
