/*
 * ope_aggregate.c
 *	  rlrec_ips() and the other aggregates that estimate a policy's value, a row a decision. Slates are ope_slate.c's.
 *
 * The state is a float8[]: moments, options and, for the bootstrap, groups of rows, for which it doubles. It is changed in place, and
 * parallel workers hand it on as it is. Anyone can make an aggregate of these functions with a state of his own, so its size is checked.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/float.h"

#include "compat.h"
#include "evaluate/ope_aggregate.h"
#include "learner/options.h"
#include "types/float8_array.h"

/* Below these the result comes with a warning. */
#define ENOUGH_REWARDED 200
#define ENOUGH_OVERLAP 0.1		/* effective sample size / rows */
#define MOST_DEVIATION 5		/* standard errors of the mean weight from 1 */

typedef enum IntervalMethod
{
	INTERVAL_NORMAL,
	INTERVAL_BOOTSTRAP,
	INTERVAL_BERNSTEIN
} IntervalMethod;

static const char *const interval_names[] = {"normal", "bootstrap", "bernstein"};

static const RlrecOption ope_options[] = {
	{"interval", RLREC_OPTION_CHOICE, 0, 0, 0, "normal, bootstrap, bernstein"},
	{"confidence", RLREC_OPTION_REAL, 0.95, 0.5, 0.999999, "probability that the interval covers the value"},
	{"replicates", RLREC_OPTION_INT, 1000, 100, 100000, "samples that the bootstrap draws"},
	{"seed", RLREC_OPTION_INT, 1, 0, INT_MAX, "of the bootstrap"},
	{"range", RLREC_OPTION_REAL, 0, 1e-300, 1e300, "by how much, at most, what is averaged can differ between rows"},
	{NULL}
};

/* What is in the array. */
typedef struct State
{
	RlrecOpeMoments moments;
	double		interval;
	double		confidence;
	double		replicates;
	double		seed;
	double		range;
	RlrecOpeGroup groups[FLEXIBLE_ARRAY_MEMBER];
} State;

#define STATE_HEADER ((int) (offsetof(State, groups) / sizeof(double)))
#define GROUP_NUMBERS ((int) (sizeof(RlrecOpeGroup) / sizeof(double)))
#define GROUPS_INITIAL 16
#define STATE_OF(array) ((State *) ARR_DATA_PTR(array))
#define STATE_CAPACITY(array) ((ARR_DIMS(array)[0] - STATE_HEADER) / GROUP_NUMBERS)

/* How many groups have rows. */
#define STATE_GROUPS(state) ((int) Min((state)->moments.n, RLREC_OPE_GROUPS))

/* ---- the state */

static ArrayType *
state_create(int groups)
{
	return rlrec_float8_array(STATE_HEADER + groups * GROUP_NUMBERS);
}

static ArrayType *
state_argument(FunctionCallInfo fcinfo, int argument)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argument);

	if (ARR_NDIM(array) != 1 || ARR_HASNULL(array) || ARR_ELEMTYPE(array) != FLOAT8OID || ARR_DIMS(array)[0] < STATE_HEADER ||
		!(STATE_OF(array)->moments.n >= 0 && STATE_OF(array)->moments.n < 1e15) ||
		(STATE_OF(array)->interval == INTERVAL_BOOTSTRAP && STATE_GROUPS(STATE_OF(array)) > STATE_CAPACITY(array)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid state of an off-policy estimate"),
				 errhint("Use the aggregates themselves, not their functions.")));
	return array;
}

static void
check_aggregate(FunctionCallInfo fcinfo)
{
	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function called outside of an aggregate"),
				 errhint("Use an aggregate such as rlrec_ips().")));
}

/* The state, or a larger one, with room for so many groups. */
static ArrayType *
state_reserve(ArrayType *array, int groups)
{
	ArrayType  *grown;

	if (groups <= STATE_CAPACITY(array))
		return array;
	grown = state_create(Min(Max(2 * STATE_CAPACITY(array), Max(groups, GROUPS_INITIAL)), RLREC_OPE_GROUPS));
	memcpy(STATE_OF(grown), STATE_OF(array), ARR_DIMS(array)[0] * sizeof(double));
	return grown;
}

/* Reads the options of the first row. */
static void
state_options(State *state, const Jsonb *options)
{
	const RlrecOption *specs[] = {ope_options};
	char	   *interval;

	rlrec_options_check_object("options", options, 1, specs);
	interval = rlrec_option_choice(options, ope_options, "interval");
	for (int i = 0; i < (int) lengthof(interval_names); i++)
		if (strcmp(interval, interval_names[i]) == 0)
			state->interval = i;
	state->confidence = rlrec_option_real(options, ope_options, "confidence");
	state->replicates = rlrec_option_int(options, ope_options, "replicates");
	state->seed = rlrec_option_int(options, ope_options, "seed");
	state->range = rlrec_option_real(options, ope_options, "range");
	if (state->interval != INTERVAL_BERNSTEIN)
		return;
	if (state->moments.normalised)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("interval \"bernstein\" is not valid for a self-normalised estimator"),
				 errhint("Use rlrec_clipped_ips() or rlrec_switch_dr(), or another interval.")));
	if (state->range == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("interval \"bernstein\" needs the option \"range\""),
				 errhint("Of clipped IPS with rewards from 0 to 1 it is the clip.")));
}

static void
group_add(RlrecOpeGroup *group, double n, const double *sum)
{
	group->n += n;
	for (int i = 0; i < RLREC_OPE_PARTS; i++)
		group->sum[i] += sum[i];
}

/* ---- arguments */

void
rlrec_ope_not_null(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name),
				 strcmp(name, "reward") == 0 ?
				 errhint("Where no reward means none, give coalesce(reward, 0); exclude other rows by FILTER (WHERE ... IS NOT NULL).") :
				 errhint("Exclude such rows by FILTER (WHERE ... IS NOT NULL).")));
}

double
rlrec_ope_check_real(double value, const char *name)
{
	if (!isfinite(value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must be finite, not %g", name, value)));
	return value;
}

double
rlrec_ope_check_logged(double value)
{
	if (!(value > 0 && value <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("logged probability must be above 0 and at most 1, not %g", value),
				 errhint("It is the probability with which the action was chosen when it was shown, so it cannot be 0.")));
	return value;
}

double
rlrec_ope_check_target(double value)
{
	if (!(value >= 0 && value <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("target probability must be from 0 to 1, not %g", value),
				 errhint("It is the probability with which the target policy would choose the action that was logged.")));
	return value;
}

static double
real_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	rlrec_ope_not_null(fcinfo, argument, name);
	return rlrec_ope_check_real(PG_GETARG_FLOAT8(argument), name);
}

/* ---- transition */

Datum
rlrec_ope_accumulate(FunctionCallInfo fcinfo, bool normalised, const RlrecOpeTerm *term, int options)
{
	ArrayType  *array;

	check_aggregate(fcinfo);
	if (!isfinite(term->plain) || !isfinite(term->numerator) || !isfinite(term->weight))
		float_overflow_error();
	if (PG_ARGISNULL(0))
	{
		array = state_create(0);
		STATE_OF(array)->moments.normalised = normalised;
		state_options(STATE_OF(array), PG_NARGS() > options && !PG_ARGISNULL(options) ? PG_GETARG_JSONB_P(options) : NULL);
	}
	else
		array = state_argument(fcinfo, 0);
	if (STATE_OF(array)->interval == INTERVAL_BOOTSTRAP)
	{
		const double part[RLREC_OPE_PARTS] = {term->plain, term->numerator, term->weight};
		int64		before = (int64) STATE_OF(array)->moments.n;

		array = state_reserve(array, (int) Min(before + 1, RLREC_OPE_GROUPS));
		group_add(&STATE_OF(array)->groups[rlrec_ope_group(before)], 1, part);
	}
	rlrec_ope_add(&STATE_OF(array)->moments, term);
	PG_RETURN_POINTER(array);
}

/* The arguments after the state: reward, logged and target, q_logged, q_policy, and the parameter, as the estimator has them; options. */
static Datum
accumulate(FunctionCallInfo fcinfo, RlrecOpeEstimator estimator)
{
	static const char *const parameters[] = {
		[RLREC_OPE_CLIPPED_IPS] = "clip",[RLREC_OPE_SWITCH_DR] = "tau",[RLREC_OPE_DR_OS] = "lambda"
	};
	const char *parameter = parameters[estimator];
	RlrecOpeRow row = {0, 1, 0, 0, 0};
	RlrecOpeTerm term;
	int			argument = 1;

	if (estimator != RLREC_OPE_DM)
	{
		row.reward = real_argument(fcinfo, argument++, "reward");
		rlrec_ope_not_null(fcinfo, argument, "logged");
		rlrec_ope_not_null(fcinfo, argument + 1, "target");
		row.weight = rlrec_ope_check_target(PG_GETARG_FLOAT8(argument + 1)) / rlrec_ope_check_logged(PG_GETARG_FLOAT8(argument));
		argument += 2;
	}
	if (estimator > RLREC_OPE_DM)
		row.q_logged = real_argument(fcinfo, argument++, "q_logged");
	if (estimator >= RLREC_OPE_DM)
		row.q_policy = real_argument(fcinfo, argument++, "q_policy");
	if (parameter != NULL)
	{
		rlrec_ope_not_null(fcinfo, argument, parameter);
		row.parameter = PG_GETARG_FLOAT8(argument++);
		if (!(row.parameter >= 0))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be at least 0, not %g", parameter, row.parameter),
					 errhint("It is in units of the importance weight, target / logged; infinity leaves every weight as it is.")));
	}
	term = rlrec_ope_term(estimator, &row);
	return rlrec_ope_accumulate(fcinfo, rlrec_ope_normalised(estimator), &term, argument);
}

#define TRANSITION(function, estimator) \
	PG_FUNCTION_INFO_V1(function); \
	Datum function(PG_FUNCTION_ARGS) { return accumulate(fcinfo, estimator); } \
	extern Datum function(PG_FUNCTION_ARGS)

TRANSITION(rlrec_ips_accumulate, RLREC_OPE_IPS);
TRANSITION(rlrec_clipped_ips_accumulate, RLREC_OPE_CLIPPED_IPS);
TRANSITION(rlrec_snips_accumulate, RLREC_OPE_SNIPS);
TRANSITION(rlrec_dm_accumulate, RLREC_OPE_DM);
TRANSITION(rlrec_dr_accumulate, RLREC_OPE_DR);
TRANSITION(rlrec_sndr_accumulate, RLREC_OPE_SNDR);
TRANSITION(rlrec_switch_dr_accumulate, RLREC_OPE_SWITCH_DR);
TRANSITION(rlrec_dr_os_accumulate, RLREC_OPE_DR_OS);

/* The groups of the second state follow those of the first as long as there may be more, and are then added to them. */
PG_FUNCTION_INFO_V1(rlrec_ope_combine);
Datum
rlrec_ope_combine(PG_FUNCTION_ARGS)
{
	ArrayType  *array;
	State	   *other;

	check_aggregate(fcinfo);
	array = state_argument(fcinfo, 0);
	other = STATE_OF(state_argument(fcinfo, 1));
	if (STATE_OF(array)->interval == INTERVAL_BOOTSTRAP && other->interval == INTERVAL_BOOTSTRAP)
	{
		int			first = STATE_GROUPS(STATE_OF(array));

		array = state_reserve(array, Min(first + STATE_GROUPS(other), RLREC_OPE_GROUPS));
		for (int i = 0; i < STATE_GROUPS(other); i++)
			group_add(&STATE_OF(array)->groups[(first + i) % RLREC_OPE_GROUPS], other->groups[i].n, other->groups[i].sum);
	}
	rlrec_ope_merge(&STATE_OF(array)->moments, &other->moments);
	PG_RETURN_POINTER(array);
}

/* ---- the result */

static int
compare_doubles(const void *left, const void *right)
{
	double		a = *(const double *) left;
	double		b = *(const double *) right;

	return (a > b) - (a < b);
}

/* Of sorted values; between two of them linearly. */
static double
quantile(const double *values, int n, double share)
{
	double		place = share * (n - 1);
	int			i = Min((int) place, n - 2);

	return values[i] + (place - i) * (values[i + 1] - values[i]);
}

/* The percentile interval. A sample without weight has no value and does not count. */
static void
bootstrap(const State *state, double *lower, double *upper)
{
	double	   *values = palloc((Size) state->replicates * sizeof(double));
	double		outside = (1 - state->confidence) / 2;
	int			n = 0;

	for (int i = 0; i < (int) state->replicates; i++)
	{
		CHECK_FOR_INTERRUPTS();
		values[n] = rlrec_ope_replicate(state->groups, STATE_GROUPS(state), state->moments.normalised != 0, (uint64) state->seed, i);
		if (isfinite(values[n]))
			n++;
	}
	qsort(values, n, sizeof(double), compare_doubles);
	*lower = n < 2 ? NAN : quantile(values, n, outside);
	*upper = n < 2 ? NAN : quantile(values, n, 1 - outside);
	pfree(values);
}

/* Sets both to NaN where there is no interval: of one row. */
static void
interval(const State *state, double *lower, double *upper)
{
	const RlrecOpeMoments *moments = &state->moments;
	double		value = rlrec_ope_value(moments);
	double		half = NAN;

	if (moments->n >= 2 && state->interval == INTERVAL_BOOTSTRAP)
	{
		bootstrap(state, lower, upper);
		return;
	}
	if (state->interval == INTERVAL_NORMAL)
		half = rlrec_ope_normal(moments, state->confidence);
	else if (moments->n >= 2 && state->interval == INTERVAL_BERNSTEIN)
	{
		if (moments->most - moments->least > state->range * (1 + 1e-9))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("range %g is too small", state->range),
					 errdetail("What is averaged goes from %g to %g.", moments->least, moments->most),
					 errhint("The range must follow from the rewards and weights that are possible, not from those in the log.")));
		half = rlrec_ope_bernstein(moments, state->confidence, state->range);
	}
	*lower = value - half;
	*upper = value + half;
}

/* Says what makes the estimate or its interval doubtful, and whether there was anything to say. */
static bool
warn(const RlrecOpeMoments *moments)
{
	double		ess = rlrec_ope_ess(moments);
	bool		few = moments->rewarded < ENOUGH_REWARDED;
	bool		poor = ess < ENOUGH_OVERLAP * moments->n;
	bool		off = rlrec_ope_weight_deviation(moments) > MOST_DEVIATION;

	if (few)
		ereport(WARNING,
				(errmsg("off-policy estimate from %.0f rewarded rows", moments->rewarded),
				 errhint("Below %d the intervals may cover the value less often than they say.", ENOUGH_REWARDED)));
	if (poor)
		ereport(WARNING,
				(errmsg("off-policy estimate with poor overlap: %.0f rows weigh as much as %.1f", moments->n, ess),
				 errhint("The target mostly does what was rarely logged; explore more, or use rlrec_switch_dr() or rlrec_dr_os().")));
	if (off)
		ereport(WARNING,
				(errmsg("off-policy estimate with a mean importance weight of %.3g instead of 1", moments->mean[RLREC_OPE_PARTS - 1]),
				 errhint("The target does what was never logged, or these are not the probabilities of the actions logged.")));
	return few || poor || off;
}

/* What the final function keeps between groups. */
typedef struct Final
{
	TupleDesc	result;
	bool		warned;			/* once a query */
} Final;

static Final *
final_state(FunctionCallInfo fcinfo)
{
	Final	   *final = fcinfo->flinfo->fn_extra;
	MemoryContext old;

	if (final != NULL)
		return final;
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	final = palloc0(sizeof(Final));
	if (get_call_result_type(fcinfo, NULL, &final->result) != TYPEFUNC_COMPOSITE || final->result->natts != 6)
		elog(ERROR, "rlrec_estimate has another form");
	final->result = BlessTupleDesc(final->result);
	MemoryContextSwitchTo(old);
	fcinfo->flinfo->fn_extra = final;
	return final;
}

PG_FUNCTION_INFO_V1(rlrec_ope_final);
Datum
rlrec_ope_final(PG_FUNCTION_ARGS)
{
	const State *state;
	Final	   *final;
	double		lower;
	double		upper;
	Datum		values[6];
	bool		nulls[6] = {false};

	check_aggregate(fcinfo);
	state = STATE_OF(state_argument(fcinfo, 0));
	final = final_state(fcinfo);
	interval(state, &lower, &upper);
	if (!final->warned)
		final->warned = warn(&state->moments);
	values[0] = Float8GetDatum(rlrec_ope_value(&state->moments));
	values[1] = Float8GetDatum(lower);
	values[2] = Float8GetDatum(upper);
	values[3] = Float8GetDatum(rlrec_ope_ess(&state->moments));
	values[4] = Float8GetDatum(state->moments.max_weight);
	values[5] = Int64GetDatum((int64) state->moments.n);
	for (int i = 0; i < 3; i++)
		nulls[i] = isnan(DatumGetFloat8(values[i]));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(final->result, values, nulls)));
}
