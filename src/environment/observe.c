/*
 * observe.c
 *	  rlrec_observe(): what an action led to.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "environment/network.h"
#include "environment/observe.h"
#include "environment/table.h"

void
rlrec_environment_observe(const RlrecEnvironment *environment, const RlrecObservation *seen)
{
	if (isnan(seen->reward) || isinf((float) seen->reward))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reward %g is not a finite number of single precision", seen->reward),
				 errhint("Nothing was learned. Pass a finite reward.")));
	if (environment->online)
		rlrec_network_observe(environment, seen);
	else
	{
		PushCopiedSnapshot(GetTransactionSnapshot());
		rlrec_table_observe(environment, seen);
		PopActiveSnapshot();
	}
}

static bool
flag_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name)));
	return PG_GETARG_BOOL(n);
}

static double
propensity_argument(FunctionCallInfo fcinfo, int n)
{
	double		propensity = PG_ARGISNULL(n) ? NAN : PG_GETARG_FLOAT8(n);

	if (!PG_ARGISNULL(n) && !(propensity > 0 && propensity <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("propensity %g is not a probability", propensity),
				 errhint("Pass what rlrec_act() returned, or NULL.")));
	return propensity;
}

PG_FUNCTION_INFO_V1(rlrec_observe);
Datum
rlrec_observe(PG_FUNCTION_ARGS)
{
	const RlrecEnvironment *environment;
	RlrecObservation seen = {0};
	bool		terminated,
				truncated;

	PreventCommandIfReadOnly("rlrec_observe()");
	PreventCommandDuringRecovery("rlrec_observe()");
	environment = rlrec_environment_open(rlrec_text_argument(fcinfo, 0));
	seen.state = rlrec_state_argument(fcinfo, 1, environment, "state");
	seen.action = rlrec_action_argument(fcinfo, 2, environment);
	seen.reward = PG_ARGISNULL(3) ? NAN : PG_GETARG_FLOAT8(3);
	terminated = flag_argument(fcinfo, 5, "terminated");
	truncated = flag_argument(fcinfo, 6, "truncated");
	seen.end = terminated ? RLREC_TERMINATED : truncated ? RLREC_TRUNCATED : 0;
	if (!terminated || !PG_ARGISNULL(4))
		seen.next_state = rlrec_state_argument(fcinfo, 4, environment, "next_state");
	seen.episode = PG_ARGISNULL(7) ? 0 : PG_GETARG_INT64(7);
	seen.propensity = propensity_argument(fcinfo, 8);
	rlrec_environment_observe(environment, &seen);
	PG_RETURN_VOID();
}
