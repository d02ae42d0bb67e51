/*
 * bandit.c
 *	  rlrec_bandit_statistics(): what a linear bandit was told, in sums.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"
#include "environment/network.h"
#include "learner/linear_bandit.h"
#include "types/float8_array.h"
#include "types/linear_statistics.h"

static Datum
statistics_datum(RlrecOnline *online, int action)
{
	int			n = (int) rlrec_linear_numbers(rlrec_bandit_dimension(online));
	double	   *statistics = palloc_array(double, n);

	rlrec_bandit_statistics_of(online, action, statistics);
	return PointerGetDatum(rlrec_float8_array_of(n, statistics));
}

PG_FUNCTION_INFO_V1(rlrec_bandit_statistics);
Datum
rlrec_bandit_statistics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const RlrecEnvironment *environment = rlrec_environment_open(rlrec_text_argument(fcinfo, 0));
	RlrecOnline *online;

	if (environment->online == NULL || !rlrec_is_bandit(environment->online))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("agent \"%s\" is not a linear bandit", environment->name),
				 errhint("Make an agent with the learner linucb or lints.")));
	InitMaterializedSRF(fcinfo, 0);
	online = rlrec_network_online(environment);
	for (int a = 0; a < environment->n_actions; a++)
	{
		Datum		values[2] = {CStringGetTextDatum(environment->action[a]), statistics_datum(online, a)};
		bool		nulls[2] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
