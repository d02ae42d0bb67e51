/*
 * propensity.c
 *	  rlrec_slate_propensities() and rlrec_slate_probability(): what a policy gives a slate, of logged logits or of another version's.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

#include "compat.h"
#include "policy/policy.h"
#include "policy/slate.h"

/* The elements of a one-dimensional array without NULL: pointer to n values in the array's own memory, NULL when the argument is NULL. */
static void *
elements(FunctionCallInfo fcinfo, int argument, const char *name, int *n)
{
	ArrayType  *array;

	*n = 0;
	if (PG_ARGISNULL(argument))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must have one dimension, not %d", name, ARR_NDIM(array))));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not contain NULL", name)));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return ARR_DATA_PTR(array);
}

/* Arguments (policy, logits, slate, uncertainty); false when one of the first three is NULL. *places is palloc'd. */
static bool
read_arguments(FunctionCallInfo fcinfo, RlrecPolicy *policy, RlrecShortlist *shortlist, int *k, int **places)
{
	const int32 *slate;
	int			n;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return false;
	*policy = rlrec_policy_of_log(PG_GETARG_JSONB_P(0));
	shortlist->logit = elements(fcinfo, 1, "logits", &shortlist->n);
	slate = elements(fcinfo, 2, "slate", k);
	shortlist->uncertainty = elements(fcinfo, 3, "uncertainty", &n);
	if (shortlist->uncertainty ? n != shortlist->n : rlrec_policy_is_uncertain(policy))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("uncertainty must have as many elements as logits, %d, not %d", shortlist->n, n),
				 errhint("It is a standard error for each logit, as in rlrec.decisions; only ucb and thompson need it.")));
	for (int i = 0; i < shortlist->n; i++)
		if (isnan(shortlist->logit[i]) || shortlist->logit[i] == INFINITY ||
			(shortlist->uncertainty && !(shortlist->uncertainty[i] >= 0 && isfinite(shortlist->uncertainty[i]))))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("element %d of logits or uncertainty is not what it can be", i + 1),
					 errhint("A logit is finite, or -Infinity for an item of which nothing is known; a standard error is finite and not negative.")));
	*places = palloc(Max(*k, 1) * sizeof(int));
	for (int r = 0; r < *k; r++)
		(*places)[r] = slate[r] > 0 ? slate[r] - 1 : -1;
	return true;
}

PG_FUNCTION_INFO_V1(rlrec_slate_propensities);
Datum
rlrec_slate_propensities(PG_FUNCTION_ARGS)
{
	RlrecPolicy policy;
	RlrecShortlist shortlist;
	int		   *places;
	int			k;
	double	   *propensity;
	Datum	   *values;

	if (!read_arguments(fcinfo, &policy, &shortlist, &k, &places))
		PG_RETURN_NULL();
	propensity = palloc(Max(k, 1) * sizeof(double));
	values = palloc(Max(k, 1) * sizeof(Datum));
	(void) rlrec_policy_probability(&policy, &shortlist, k, places, propensity);
	for (int r = 0; r < k; r++)
		values[r] = Float8GetDatum(propensity[r]);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, k, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(rlrec_slate_probability);
Datum
rlrec_slate_probability(PG_FUNCTION_ARGS)
{
	RlrecPolicy policy;
	RlrecShortlist shortlist;
	int		   *places;
	int			k;

	if (!read_arguments(fcinfo, &policy, &shortlist, &k, &places))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(rlrec_policy_probability(&policy, &shortlist, k, places, NULL));
}
