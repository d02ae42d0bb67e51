/*
 * options.c
 *	  The options of agents and learners, read. They were validated when the agent was made, so what is amiss here cannot happen.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "learner/learner.h"
#include "learner/options.h"
#include "learner/rerank.h"

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

/* To the error of interval_in(). */
static void
interval_context(void *argument)
{
	errhint("Option \"%s\" must be an interval such as \"30 days\", or seconds.", (const char *) argument);
}

static double
seconds(const RlrecOption *option, const JsonbValue *value)
{
	ErrorContextCallback context = {error_context_stack, interval_context, unconstify(char *, option->name)};
	char	   *text = pnstrdup(value->val.string.val, value->val.string.len);
	Interval   *interval;

	error_context_stack = &context;
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	error_context_stack = context.previous;
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
		return seconds(spec, value);
	if (value->type != jbvNumeric)
		elog(ERROR, "option \"%s\" is not a number", name);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
}

int
rlrec_option_int(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	return (int) rlrec_option_real(options, specs, name);
}

char *
rlrec_option_choice(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	const RlrecOption *spec = find_spec(specs, name);
	JsonbValue	buffer;
	JsonbValue *value = find_value(options, name, &buffer);

	if (value == NULL)
		return pnstrdup(spec->summary, strcspn(spec->summary, ","));
	if (value->type != jbvString)
		elog(ERROR, "option \"%s\" is not a word", name);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

char *
rlrec_option_text(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	JsonbValue	buffer;
	JsonbValue *value = find_value(options, name, &buffer);

	(void) find_spec(specs, name);
	if (value == NULL)
		return NULL;
	if (value->type != jbvString)
		elog(ERROR, "option \"%s\" is not a text", name);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* Sets *names to the strings of an array; false when it has none or an element that is not a string. */
static bool
read_strings(const JsonbValue *value, List **names)
{
	JsonbIterator *iterator = JsonbIteratorInit(value->val.binary.data);
	JsonbValue	element;
	JsonbIteratorToken token;

	*names = NIL;
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvString)
			return false;
		*names = lappend(*names, pnstrdup(element.val.string.val, element.val.string.len));
	}
	return *names != NIL;
}

List *
rlrec_option_names(const Jsonb *options, const RlrecOption *specs, const char *name)
{
	JsonbValue	buffer;
	JsonbValue *value = find_value(options, name, &buffer);
	List	   *names;

	(void) find_spec(specs, name);
	if (value == NULL)
		return NIL;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) || !read_strings(value, &names))
		elog(ERROR, "option \"%s\" is not an array of strings", name);
	return names;
}

bool
rlrec_option_given(const Jsonb *options, const char *name)
{
	JsonbValue	buffer;

	return find_value(options, name, &buffer) != NULL;
}

/* Returns how many integers of the option's range the array has, at most RLREC_OPTION_MAX_INTS, else 0; value may be NULL. */
static int
read_ints(const RlrecOption *option, const JsonbValue *array, int *value)
{
	JsonbIterator *iterator;
	JsonbValue	element;
	JsonbIteratorToken token;
	int			n = 0;

	if (array->type != jbvBinary || !JsonContainerIsArray(array->val.binary.data))
		return 0;
	iterator = JsonbIteratorInit(array->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		double		number;

		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvNumeric || n == RLREC_OPTION_MAX_INTS)
			return 0;
		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(element.val.numeric)));
		if (!(number >= option->minimum && number <= option->maximum && number == rint(number)))
			return 0;
		if (value != NULL)
			value[n] = (int) number;
		n++;
	}
	return n;
}

int
rlrec_option_ints(const Jsonb *options, const RlrecOption *specs, const char *name, int *value)
{
	const RlrecOption *spec = find_spec(specs, name);
	JsonbValue	buffer;
	JsonbValue *given = find_value(options, name, &buffer);
	int			n = 0;

	if (given != NULL)
	{
		n = read_ints(spec, given, value);
		if (n == 0)
			elog(ERROR, "option \"%s\" is not an array of integers", name);
		return n;
	}
	for (const char *word = spec->summary; *word != '\0'; word += strspn(word, ", "))
	{
		value[n++] = atoi(word);
		word += strcspn(word, ",");
	}
	return n;
}

List *
rlrec_option_weights(const Jsonb *options, const RlrecOption *specs, const char *name, double **weights)
{
	JsonbValue	buffer;
	JsonbValue *value = find_value(options, name, &buffer);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	List	   *names = NIL;

	(void) find_spec(specs, name);
	*weights = palloc(RLREC_MOST_WEIGHTS * sizeof(double));
	if (value == NULL)
		return NIL;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		elog(ERROR, "option \"%s\" is not an object", name);
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &buffer, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			names = lappend(names, pnstrdup(buffer.val.string.val, buffer.val.string.len));
		else if (token == WJB_VALUE)
			(*weights)[list_length(names) - 1] = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(buffer.val.numeric)));
	}
	return names;
}

/* ---------------------------------------------------------------- checking */

static const char *
describe_option(const RlrecOption *option)
{
	switch (option->type)
	{
		case RLREC_OPTION_BOOL:
			return "true or false";
		case RLREC_OPTION_INT:
			return psprintf("an integer from %.0f to %.0f", option->minimum, option->maximum);
		case RLREC_OPTION_REAL:
			return psprintf("a number from %g to %g", option->minimum, option->maximum);
		case RLREC_OPTION_INTERVAL:
			return "an interval such as \"30 days\", or seconds";
		case RLREC_OPTION_CHOICE:
			return psprintf("one of %s", option->summary);
		case RLREC_OPTION_TEXT:
			return "a text that is not empty";
		case RLREC_OPTION_NAMES:
			return "an array of learners' names";
		case RLREC_OPTION_STRINGS:
			return "an array of different strings, none of them empty";
		case RLREC_OPTION_INTS:
			return psprintf("an array of 1 to %d integers from %.0f to %.0f", RLREC_OPTION_MAX_INTS, option->minimum,
							option->maximum);
		case RLREC_OPTION_WEIGHTS:
			return psprintf("an object of 1 to %d names and numbers from %g to %g", RLREC_MOST_WEIGHTS, option->minimum, option->maximum);
	}
	return "";
}

static bool
names_are_learners(const JsonbValue *value)
{
	List	   *names;
	ListCell   *cell;

	if (!read_strings(value, &names))
		return false;
	foreach(cell, names)
		if (rlrec_learner_find(lfirst(cell)) == NULL)
			return false;
	return true;
}

static int
compare_strings(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static bool
strings_differ(const JsonbValue *value)
{
	List	   *names;

	if (!read_strings(value, &names))
		return false;
	list_sort(names, compare_strings);
	for (int i = 0; i < list_length(names); i++)
		if (*(char *) list_nth(names, i) == '\0' || (i > 0 && strcmp(list_nth(names, i - 1), list_nth(names, i)) == 0))
			return false;
	return true;
}

static bool
are_weights(const RlrecOption *option, const JsonbValue *value)
{
	JsonbIterator *iterator = JsonbIteratorInit(value->val.binary.data);
	JsonbValue	element;
	JsonbIteratorToken token;
	int			n = 0;

	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		double		number;

		if (token != WJB_VALUE)
			continue;
		if (element.type != jbvNumeric)
			return false;
		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(element.val.numeric)));
		if (!(number >= option->minimum && number <= option->maximum))
			return false;
		n++;
	}
	return n > 0 && n <= RLREC_MOST_WEIGHTS;
}

/* Whether the string is one of the words between ", ". */
static bool
is_choice(const char *choices, const JsonbValue *value)
{
	for (const char *word = choices; *word != '\0'; word += strspn(word, ", "))
	{
		int			length = (int) strcspn(word, ",");

		if (length == value->val.string.len && strncmp(word, value->val.string.val, length) == 0)
			return true;
		word += length;
	}
	return false;
}

static bool
is_valid(const RlrecOption *option, const JsonbValue *value)
{
	double		number;

	if (value->type == jbvNull)
		return true;
	if (option->type == RLREC_OPTION_BOOL)
		return value->type == jbvBool;
	if (option->type == RLREC_OPTION_CHOICE)
		return value->type == jbvString && is_choice(option->summary, value);
	if (option->type == RLREC_OPTION_TEXT)
		return value->type == jbvString && value->val.string.len > 0;
	if (option->type == RLREC_OPTION_NAMES)
		return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) && names_are_learners(value);
	if (option->type == RLREC_OPTION_STRINGS)
		return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) && strings_differ(value);
	if (option->type == RLREC_OPTION_INTS)
		return read_ints(option, value, NULL) > 0;
	if (option->type == RLREC_OPTION_WEIGHTS)
		return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) && are_weights(option, value);
	if (option->type == RLREC_OPTION_INTERVAL && value->type == jbvString)
		number = seconds(option, value);
	else if (value->type == jbvNumeric)
		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	else
		return false;
	if (option->type == RLREC_OPTION_INT && number != rint(number))
		return false;
	return number >= option->minimum && number <= option->maximum;
}

/* The first option of that name among specs[n_specs], NULL when there is none. */
static const RlrecOption *
find_option(int n_specs, const RlrecOption *const *specs, const char *name)
{
	for (int s = 0; s < n_specs; s++)
		for (const RlrecOption *each = specs[s]; each && each->name; each++)
			if (strcmp(each->name, name) == 0)
				return each;
	return NULL;
}

void
rlrec_options_check_object(const char *what, const Jsonb *options, int n_specs, const RlrecOption *const *specs)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	const RlrecOption *option = NULL;
	StringInfoData valid;

	if (options == NULL)
		return;
	initStringInfo(&valid);
	for (int s = 0; s < n_specs; s++)
		for (const RlrecOption *each = specs[s]; each && each->name; each++)
			if (find_option(s, specs, each->name) == NULL)
				appendStringInfo(&valid, "%s%s", valid.len ? ", " : "", each->name);
	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", what),
				 errhint("Its keys may be %s.", valid.data)));

	iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &options->root));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char	   *name = pnstrdup(value.val.string.val, value.val.string.len);

			option = find_option(n_specs, specs, name);
			if (option == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("unknown key \"%s\" in %s", name, what),
						 errhint("The valid keys are %s.", valid.data)));
		}
		else if (token == WJB_VALUE && !is_valid(option, &value))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value of \"%s\" in %s", option->name, what),
					 errhint("It must be %s.", describe_option(option))));
	}
}

void
rlrec_options_check(const char *learner, const Jsonb *options, int n_more, const RlrecOption *const *more)
{
	const RlrecLearner *found = rlrec_learner_find(learner);
	const RlrecOption *specs[32];
	int			n = 0;

	if (found == NULL)
	{
		StringInfoData names;

		initStringInfo(&names);
		for (const RlrecLearner *const *each = rlrec_learners; *each != NULL; each++)
			appendStringInfo(&names, "%s%s", names.len ? ", " : "", (*each)->name);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown learner \"%s\"", learner),
				 errhint("The learners are %s.", names.data)));
	}
	for (int i = 0; i < n_more; i++)
		specs[n++] = more[i];
	specs[n++] = rlrec_rerank_options;
	specs[n++] = found->options;
	if (found->part != NULL)
		specs[n++] = found->part->options;
	if (found == &rlrec_auto || found == &rlrec_hybrid)
		for (const RlrecLearner *const *each = rlrec_learners; *each != NULL && n < (int) lengthof(specs); each++)
			specs[n++] = (*each)->options;
	rlrec_options_check_object("options", options, n, specs);
}
