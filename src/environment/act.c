/*
 * act.c
 *	  What an agent without events does and thinks in a state: rlrec_act(), rlrec_values() and rlrec_policy().
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "environment/network.h"
#include "environment/table.h"

static const RlrecEnvironment *
open_argument(FunctionCallInfo fcinfo)
{
	return rlrec_environment_open(rlrec_text_argument(fcinfo, 0));
}

/* p[n_actions], palloc'd, of the arguments state and explore */
static double *
policy(FunctionCallInfo fcinfo, const RlrecEnvironment *environment)
{
	RlrecEnvironmentState state = rlrec_state_argument(fcinfo, 1, environment, "state");
	bool		explore = PG_ARGISNULL(2) || PG_GETARG_BOOL(2);
	double	   *p = palloc_array(double, environment->n_actions);

	if (environment->online)
		rlrec_network_policy(environment, &state, explore, p);
	else
		rlrec_table_policy(environment, &state, explore, p);
	return p;
}

/* One of n with the probabilities p, which may add up to a little less than 1; sure where one has all. */
static int
draw(const RlrecEnvironment *environment, const double *p)
{
	int			n = environment->n_actions;
	int			last = -1;
	double		left;

	for (int a = 0; a < n; a++)
		if (p[a] >= 1)
			return a;
	left = rlrec_environment_random(environment);
	for (int a = 0; a < n; a++)
	{
		if (p[a] <= 0)
			continue;
		last = a;
		left -= p[a];
		if (left < 0)
			break;
	}
	return last;
}

PG_FUNCTION_INFO_V1(rlrec_act);
Datum
rlrec_act(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const RlrecEnvironment *environment;
	Datum		values[2];
	bool		nulls[2] = {false};
	double	   *p;
	int			action;

	InitMaterializedSRF(fcinfo, 0);
	PushActiveSnapshot(GetTransactionSnapshot());
	environment = open_argument(fcinfo);
	p = policy(fcinfo, environment);
	PopActiveSnapshot();
	action = draw(environment, p);
	values[0] = CStringGetTextDatum(environment->action[action]);
	values[1] = Float8GetDatum(p[action]);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(rlrec_policy);
Datum
rlrec_policy(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const RlrecEnvironment *environment = open_argument(fcinfo);
	double	   *p;

	InitMaterializedSRF(fcinfo, 0);
	p = policy(fcinfo, environment);
	for (int a = 0; a < environment->n_actions; a++)
	{
		Datum		values[2] = {CStringGetTextDatum(environment->action[a]), Float8GetDatum(p[a])};
		bool		nulls[2] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(rlrec_values);
Datum
rlrec_values(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const RlrecEnvironment *environment = open_argument(fcinfo);
	RlrecEnvironmentState state = rlrec_state_argument(fcinfo, 1, environment, "state");
	double	   *q = palloc_array(double, environment->n_actions);
	int64	   *visits = palloc_array(int64, environment->n_actions);

	InitMaterializedSRF(fcinfo, 0);
	if (environment->online)
		rlrec_network_values(environment, &state, q);
	else
		rlrec_table_values(environment, &state, q, visits);
	for (int a = 0; a < environment->n_actions; a++)
	{
		Datum		values[3] = {CStringGetTextDatum(environment->action[a]), Float8GetDatum(q[a]), Int64GetDatum(visits[a])};
		bool		nulls[3] = {false, false, environment->online != NULL};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* rlrec_agent_name(agent): so that functions in SQL refuse an unknown agent as those in C do. */
PG_FUNCTION_INFO_V1(rlrec_agent_name);
Datum
rlrec_agent_name(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_USE);

	PG_RETURN_TEXT_P(cstring_to_text(agent->name));
}
