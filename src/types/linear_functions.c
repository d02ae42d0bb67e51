/*
 * linear_functions.c
 *	  The statistics of types/linear_statistics.h in SQL: aggregates that make them, and functions that use them.
 *
 * The state of the aggregates is the value itself, changed in place, so that parallel workers hand it on as it is. Anyone can call these
 * functions with an array of his own, so the shape of each is checked; its numbers may be any.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "compat.h"
#include "types/float8_array.h"
#include "types/linear_statistics.h"

#define NUMBERS(array) ((double *) ARR_DATA_PTR(array))
#define COUNT(array) (ARR_DIMS(array)[0])

/* ---------------------------------------------------------------- arguments */

static ArrayType *
array_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(n);

	if (ARR_NDIM(array) != 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 array_contains_nulls(array) ? errmsg("%s has a NULL", name) :
				 errmsg("%s has %d dimensions instead of 1", name, ARR_NDIM(array))));
	return array;
}

/* The statistics, whose dimension becomes *d. */
static ArrayType *
statistics_argument(FunctionCallInfo fcinfo, int n, int *d)
{
	ArrayType  *array = array_argument(fcinfo, n, "statistics");

	*d = rlrec_linear_dimension(COUNT(array));
	if (*d == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%d numbers are not the statistics of a linear model", COUNT(array)),
				 errhint("Pass what rlrec_linear_statistics() returned.")));
	return array;
}

static void
check_dimension(int d, int other)
{
	if (d != other)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a context has %d numbers, another one %d", d, other),
				 errhint("All contexts of a model have the same numbers in the same order.")));
}

static void
check_finite(const char *name, double x)
{
	if (!isfinite(x))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is %g, not a finite number", name, x)));
}

/* Finite, and within bounds when d is not 0. */
static ArrayType *
context_argument(FunctionCallInfo fcinfo, int n, int d)
{
	ArrayType  *context = array_argument(fcinfo, n, "context");

	if (d > 0)
		check_dimension(d, COUNT(context));
	if (COUNT(context) > RLREC_LINEAR_MAX_DIMENSION)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a context has %d numbers, more than %d", COUNT(context), RLREC_LINEAR_MAX_DIMENSION)));
	for (int i = 0; i < COUNT(context); i++)
		check_finite("a number of context", NUMBERS(context)[i]);
	return context;
}

static double
not_negative_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	double		x = PG_GETARG_FLOAT8(n);

	check_finite(name, x);
	if (x < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", name)));
	return x;
}

/* ---------------------------------------------------------------- aggregates */

/*
 * The transition function: state, context, reward and, where there is a fourth argument, weight. Rows where one is NULL are passed over, as
 * the regression aggregates of SQL do.
 */
PG_FUNCTION_INFO_V1(rlrec_linear_accumulate);
Datum
rlrec_linear_accumulate(PG_FUNCTION_ARGS)
{
	MemoryContext aggregate,
				caller;
	ArrayType  *state;
	ArrayType  *context;
	double		weight;
	int			d = 0;

	if (!AggCheckCallContext(fcinfo, &aggregate))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function called outside of an aggregate"),
				 errhint("Use the aggregate rlrec_linear_statistics().")));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || (PG_NARGS() > 3 && PG_ARGISNULL(3)))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	state = PG_ARGISNULL(0) ? NULL : statistics_argument(fcinfo, 0, &d);
	context = context_argument(fcinfo, 1, d);
	check_finite("reward", PG_GETARG_FLOAT8(2));
	weight = PG_NARGS() > 3 ? not_negative_argument(fcinfo, 3, "weight") : 1;
	if (state == NULL)
	{
		d = COUNT(context);
		caller = MemoryContextSwitchTo(aggregate);
		state = rlrec_float8_array(rlrec_linear_numbers(d));
		MemoryContextSwitchTo(caller);
	}
	rlrec_linear_add(d, NUMBERS(context), PG_GETARG_FLOAT8(2), weight, NUMBERS(state));
	PG_RETURN_ARRAYTYPE_P(state);
}

/* The first argument, to be changed: itself when it is an aggregate's state. */
static ArrayType *
own(FunctionCallInfo fcinfo, ArrayType *array)
{
	ArrayType  *copy;

	if (AggCheckCallContext(fcinfo, NULL))
		return array;
	copy = rlrec_float8_array(COUNT(array));
	memcpy(NUMBERS(copy), NUMBERS(array), COUNT(array) * sizeof(double));
	return copy;
}

static ArrayType *
add_statistics(FunctionCallInfo fcinfo, double sign)
{
	int			d,
				other_d;
	ArrayType  *array = statistics_argument(fcinfo, 0, &d);
	ArrayType  *other = statistics_argument(fcinfo, 1, &other_d);

	check_dimension(d, other_d);
	array = own(fcinfo, array);
	rlrec_axpy_double(rlrec_linear_numbers(d), sign, NUMBERS(other), NUMBERS(array));
	return array;
}

/* Also the combine function of both aggregates. */
PG_FUNCTION_INFO_V1(rlrec_linear_merge);
Datum
rlrec_linear_merge(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(add_statistics(fcinfo, 1));
}

/* ---------------------------------------------------------------- arithmetic */

PG_FUNCTION_INFO_V1(rlrec_linear_subtract);
Datum
rlrec_linear_subtract(PG_FUNCTION_ARGS)
{
	ArrayType  *array = add_statistics(fcinfo, -1);

	if (NUMBERS(array)[RLREC_LINEAR_ROWS] < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot subtract the statistics of more rows than there are"),
				 errhint("Subtract from the whole what is part of it.")));
	PG_RETURN_ARRAYTYPE_P(array);
}

/* Of all but the number of rows. */
PG_FUNCTION_INFO_V1(rlrec_linear_scale);
Datum
rlrec_linear_scale(PG_FUNCTION_ARGS)
{
	int			d;
	ArrayType  *array = own(fcinfo, statistics_argument(fcinfo, 0, &d));
	double		factor = not_negative_argument(fcinfo, 1, "factor");

	for (size_t i = RLREC_LINEAR_WEIGHT; i < rlrec_linear_numbers(d); i++)
		NUMBERS(array)[i] *= factor;
	PG_RETURN_ARRAYTYPE_P(array);
}

/* ---------------------------------------------------------------- regression */

/* The regression on the last statistics of this call site. */
typedef struct Regression
{
	int			d;
	double		lambda;
	double	   *statistics;
	double	   *factor;
	double	   *theta;
	double	   *scratch;
} Regression;

static Regression *
make_regression(MemoryContext context, int d)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Regression *regression = palloc(sizeof(Regression));

	regression->d = d;
	regression->lambda = NAN;
	regression->statistics = palloc(rlrec_linear_numbers(d) * sizeof(double));
	regression->factor = palloc(rlrec_packed_size(d) * sizeof(double));
	regression->theta = palloc(d * sizeof(double));
	regression->scratch = palloc(d * sizeof(double));
	MemoryContextSwitchTo(caller);
	return regression;
}

static void
free_regression(Regression *regression)
{
	pfree(regression->statistics);
	pfree(regression->factor);
	pfree(regression->theta);
	pfree(regression->scratch);
	pfree(regression);
}

/* Of arguments 0, statistics, and `at`, lambda. */
static Regression *
regression_argument(FunctionCallInfo fcinfo, int at)
{
	int			d;
	ArrayType  *statistics = statistics_argument(fcinfo, 0, &d);
	double		lambda = not_negative_argument(fcinfo, at, "lambda");
	Regression *regression = fcinfo->flinfo->fn_extra;
	Size		bytes = rlrec_linear_numbers(d) * sizeof(double);

	if (regression && regression->d != d)
	{
		fcinfo->flinfo->fn_extra = NULL;
		free_regression(regression);
		regression = NULL;
	}
	if (regression == NULL)
		fcinfo->flinfo->fn_extra = regression = make_regression(fcinfo->flinfo->fn_mcxt, d);
	if (regression->lambda == lambda && memcmp(regression->statistics, NUMBERS(statistics), bytes) == 0)
		return regression;
	regression->lambda = NAN;	/* while it is not done */
	memcpy(regression->statistics, NUMBERS(statistics), bytes);
	if (!rlrec_linear_fit(d, 1, regression->statistics, lambda, regression->factor, regression->theta))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the sum of x x^T + %g * identity is not positive definite", lambda),
				 errhint("Raise lambda, or scale the contexts.")));
	regression->lambda = lambda;
	return regression;
}

PG_FUNCTION_INFO_V1(rlrec_linear_theta);
Datum
rlrec_linear_theta(PG_FUNCTION_ARGS)
{
	Regression *regression = regression_argument(fcinfo, 1);
	ArrayType  *theta = rlrec_float8_array(regression->d);

	memcpy(NUMBERS(theta), regression->theta, regression->d * sizeof(double));
	PG_RETURN_ARRAYTYPE_P(theta);
}

PG_FUNCTION_INFO_V1(rlrec_linear_predict);
Datum
rlrec_linear_predict(PG_FUNCTION_ARGS)
{
	Regression *regression = regression_argument(fcinfo, 2);
	const double *x = NUMBERS(context_argument(fcinfo, 1, regression->d));
	Datum		values[2];
	bool		nulls[2] = {false};
	TupleDesc	descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "rlrec_linear_predict() does not return a row");
	values[0] = Float8GetDatum(rlrec_dot_double(regression->d, regression->theta, x));
	values[1] = Float8GetDatum(rlrec_linear_deviation(regression->d, regression->factor, x, regression->scratch));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

PG_FUNCTION_INFO_V1(rlrec_linear_ucb);
Datum
rlrec_linear_ucb(PG_FUNCTION_ARGS)
{
	Regression *regression = regression_argument(fcinfo, 3);
	const double *x = NUMBERS(context_argument(fcinfo, 1, regression->d));
	double		width = not_negative_argument(fcinfo, 2, "ucb_width");

	PG_RETURN_FLOAT8(rlrec_dot_double(regression->d, regression->theta, x) +
					 width * rlrec_linear_deviation(regression->d, regression->factor, x, regression->scratch));
}
