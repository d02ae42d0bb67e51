/*
 * qtable_functions.c
 *	  The SQL functions over values of rlrec_qtable: text, lookup, update, merge.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "types/qtable.h"
#include "types/qtable_json.h"

PG_FUNCTION_INFO_V1(rlrec_qtable_in);
Datum
rlrec_qtable_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(rlrec_qtable_parse(PG_GETARG_CSTRING(0)));
}

PG_FUNCTION_INFO_V1(rlrec_qtable_out);
Datum
rlrec_qtable_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(rlrec_qtable_print(PG_GETARG_QTABLE(0)));
}

/* ---- reading ---- */

static Datum
action_datum(const RlrecQEntry *entry)
{
	return PointerGetDatum(cstring_to_text_with_len(entry->action, entry->length));
}

PG_FUNCTION_INFO_V1(rlrec_qtable_entries);
Datum
rlrec_qtable_entries(PG_FUNCTION_ARGS)
{
	RlrecQTable *table = PG_GETARG_QTABLE(0);
	ReturnSetInfo *result;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	for (int i = 0; i < rlrec_qtable_n(table); i++)
	{
		RlrecQEntry entry = rlrec_qtable_entry(table, i);
		Datum		values[3];
		bool		nulls[3] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = action_datum(&entry);
		values[1] = Float8GetDatum(entry.q);
		values[2] = Int64GetDatum(entry.visits);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[0]));
	}
	return (Datum) 0;
}

/* The entry of the action that is argument 1 in the table that is argument 0, or false. */
static bool
find_argument(FunctionCallInfo fcinfo, RlrecQEntry *entry)
{
	RlrecQTable *table = PG_GETARG_QTABLE(0);
	text	   *action = PG_GETARG_TEXT_PP(1);
	int			i = rlrec_qtable_find(table, VARDATA_ANY(action), (int) VARSIZE_ANY_EXHDR(action));

	if (i >= 0)
		*entry = rlrec_qtable_entry(table, i);
	return i >= 0;
}

PG_FUNCTION_INFO_V1(rlrec_qtable_value);
Datum
rlrec_qtable_value(PG_FUNCTION_ARGS)
{
	RlrecQEntry entry;

	if (!find_argument(fcinfo, &entry))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(entry.q);
}

PG_FUNCTION_INFO_V1(rlrec_qtable_visits);
Datum
rlrec_qtable_visits(PG_FUNCTION_ARGS)
{
	RlrecQEntry entry;

	if (!find_argument(fcinfo, &entry))
		PG_RETURN_NULL();
	PG_RETURN_INT64(entry.visits);
}

/* The first entry of the highest q, -1 when there is none. */
static int
best(const RlrecQTable *table)
{
	int			found = -1;
	double		highest = 0;

	for (int i = 0; i < rlrec_qtable_n(table); i++)
	{
		double		q = rlrec_qtable_entry(table, i).q;

		if (found < 0 || q > highest)
		{
			found = i;
			highest = q;
		}
	}
	return found;
}

PG_FUNCTION_INFO_V1(rlrec_qtable_best);
Datum
rlrec_qtable_best(PG_FUNCTION_ARGS)
{
	RlrecQTable *table = PG_GETARG_QTABLE(0);
	int			i = best(table);
	RlrecQEntry entry;

	if (i < 0)
		PG_RETURN_NULL();
	entry = rlrec_qtable_entry(table, i);
	return action_datum(&entry);
}

/* rlrec_qtable_softmax(qtable, temperature): p(a) = exp(q(a) / temperature) / sum, from differences to the highest q. */
PG_FUNCTION_INFO_V1(rlrec_qtable_softmax);
Datum
rlrec_qtable_softmax(PG_FUNCTION_ARGS)
{
	RlrecQTable *table = PG_GETARG_QTABLE(0);
	double		temperature = PG_GETARG_FLOAT8(1);
	int			n = rlrec_qtable_n(table);
	double		highest = n > 0 ? rlrec_qtable_entry(table, best(table)).q : 0;
	double		sum = 0;
	ReturnSetInfo *result;

	if (!(temperature > 0) || isinf(temperature))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("temperature must be a finite number above 0"),
				 errhint("At temperature 0 the policy is greedy: rlrec_qtable_best().")));
	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	for (int i = 0; i < n; i++)
		sum += exp((rlrec_qtable_entry(table, i).q - highest) / temperature);
	for (int i = 0; i < n; i++)
	{
		RlrecQEntry entry = rlrec_qtable_entry(table, i);
		Datum		values[2];
		bool		nulls[2] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = action_datum(&entry);
		values[1] = Float8GetDatum(exp((entry.q - highest) / temperature) / sum);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[0]));
	}
	return (Datum) 0;
}

/* ---- learning ---- */

static void
not_null(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name),
				 errhint("Leave the update out where it is not known.")));
}

/* rlrec_qtable_update(qtable, action, target, alpha): one step of the action's value to the target; a NULL table is an empty one. */
PG_FUNCTION_INFO_V1(rlrec_qtable_update);
Datum
rlrec_qtable_update(PG_FUNCTION_ARGS)
{
	RlrecQTable *table;
	RlrecQEntry entry;
	text	   *action;
	double		target;
	double		alpha;
	double		q;
	int			i;

	not_null(fcinfo, 1, "action");
	not_null(fcinfo, 2, "target");
	not_null(fcinfo, 3, "alpha");
	action = PG_GETARG_TEXT_PP(1);
	target = PG_GETARG_FLOAT8(2);
	alpha = PG_GETARG_FLOAT8(3);
	if (!isfinite(target))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("target must be a finite number"),
				 errdetail("It is %s.", double_to_shortest_decimal(target)),
				 errhint("A reward or a value that it was made of is not finite.")));
	if (!(alpha >= 0 && alpha <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("alpha must be from 0 to 1"),
				 errdetail("It is %s.", double_to_shortest_decimal(alpha)),
				 errhint("The step size is the share of the way to the target.")));

	table = PG_ARGISNULL(0) ? rlrec_qtable_build(0, NULL) : PG_GETARG_QTABLE(0);
	table = rlrec_qtable_with(table, VARDATA_ANY(action), (int) VARSIZE_ANY_EXHDR(action), &i);
	entry = rlrec_qtable_entry(table, i);
	q = entry.q + alpha * (target - entry.q);
	if (!isfinite(q))			/* their difference overflowed */
		q = (1 - alpha) * entry.q + alpha * target;
	rlrec_qtable_set(table, i, q, entry.visits + 1);
	PG_RETURN_POINTER(table);
}

/* rlrec_qtable_merge(a, b): the actions of both, values by visits. */
PG_FUNCTION_INFO_V1(rlrec_qtable_merge);
Datum
rlrec_qtable_merge(PG_FUNCTION_ARGS)
{
	RlrecQTable *a = PG_GETARG_QTABLE(0);
	RlrecQTable *b = PG_GETARG_QTABLE(1);
	int			n = rlrec_qtable_n(a);
	RlrecQEntry *entries = palloc_extended((n + rlrec_qtable_n(b) + (Size) 1) * sizeof(RlrecQEntry), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		entries[i] = rlrec_qtable_entry(a, i);
	for (int i = 0; i < rlrec_qtable_n(b); i++)
	{
		RlrecQEntry entry = rlrec_qtable_entry(b, i);
		int			both = rlrec_qtable_find(a, entry.action, entry.length);
		RlrecQEntry *merged = both < 0 ? &entries[n++] : &entries[both];
		bool		visited = both >= 0 && merged->visits + entry.visits > 0;

		CHECK_FOR_INTERRUPTS();
		if (both < 0)
			*merged = entry;
		else
		{
			merged->q = rlrec_qtable_mean(merged->q, visited ? merged->visits : 1, entry.q, visited ? entry.visits : 1);
			merged->visits += entry.visits;
		}
	}
	PG_RETURN_POINTER(rlrec_qtable_build(n, entries));
}
