/*
 * ope_slate.c
 *	  rlrec_slate_ips() and the other aggregates that estimate a policy's value, a row a slate.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "compat.h"
#include "evaluate/ope_aggregate.h"

/* The numbers of a float8[] argument, whose length it sets when that is 0, and checks when not. */
static const double *
reals(FunctionCallInfo fcinfo, int argument, const char *name, int *length)
{
	ArrayType  *array;
	int			n;

	rlrec_ope_not_null(fcinfo, argument, name);
	array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(array) != 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_ELEMENT_ERROR),
				 errmsg("%s must be an array of one dimension, not empty and without NULL", name),
				 errhint("It has a number for each place of the slate.")));
	n = ARR_DIMS(array)[0];
	if (*length != 0 && n != *length)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s has %d elements, not %d as reward has", name, n, *length),
				 errhint("Each array has a number for each place of the slate.")));
	*length = n;
	return (const double *) ARR_DATA_PTR(array);
}

/* The arguments after the state: reward, logged and target, of cascade-DR q_logged and q_policy; options. */
static Datum
accumulate(FunctionCallInfo fcinfo, RlrecOpeSlateEstimator estimator)
{
	bool		model = estimator == RLREC_OPE_SLATE_CASCADE_DR;
	RlrecOpeSlate slate = {0};
	RlrecOpeTerm term;

	slate.reward = reals(fcinfo, 1, "reward", &slate.length);
	slate.logged = reals(fcinfo, 2, "logged", &slate.length);
	slate.target = reals(fcinfo, 3, "target", &slate.length);
	if (model)
	{
		slate.q_logged = reals(fcinfo, 4, "q_logged", &slate.length);
		slate.q_policy = reals(fcinfo, 5, "q_policy", &slate.length);
	}
	for (int i = 0; i < slate.length; i++)
	{
		rlrec_ope_check_real(slate.reward[i], "reward");
		rlrec_ope_check_logged(slate.logged[i]);
		rlrec_ope_check_target(slate.target[i]);
		if (model)
		{
			rlrec_ope_check_real(slate.q_logged[i], "q_logged");
			rlrec_ope_check_real(slate.q_policy[i], "q_policy");
		}
	}
	term = rlrec_ope_slate_term(estimator, &slate);
	return rlrec_ope_accumulate(fcinfo, false, &term, model ? 6 : 4);
}

#define TRANSITION(function, estimator) \
	PG_FUNCTION_INFO_V1(function); \
	Datum function(PG_FUNCTION_ARGS) { return accumulate(fcinfo, estimator); } \
	extern Datum function(PG_FUNCTION_ARGS)

TRANSITION(rlrec_slate_ips_accumulate, RLREC_OPE_SLATE_IPS);
TRANSITION(rlrec_slate_iips_accumulate, RLREC_OPE_SLATE_IIPS);
TRANSITION(rlrec_slate_rips_accumulate, RLREC_OPE_SLATE_RIPS);
TRANSITION(rlrec_slate_cascade_dr_accumulate, RLREC_OPE_SLATE_CASCADE_DR);
