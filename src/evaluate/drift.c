/*
 * drift.c
 *	  rlrec_check_drift(): going back when a version earns less than the one before it did; rlrec.drift shows how near it is to that.
 *
 * Page's test runs over what the version's matured decisions came to, in standard deviations of what its predecessor's did, from the latest
 * deployment on. It is computed anew each time from the latest WINDOW decisions: a drop above the tolerance is found long before those
 * are over.
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "evaluate/drift.h"
#include "evaluate/matured.h"
#include "evaluate/sequence.h"
#include "learner/options.h"
#include "store/model.h"

#define WINDOW 20000

/* The version that serves beside the one before it */
typedef struct Drift
{
	int32		version;
	int32		predecessor;
	int64		n;				/* matured decisions since it was deployed */
	double		mean;			/* of their rewards */
	int64		reference_n;
	double		reference_mean;
	double		reference_deviation;
	RlrecPage	test;
	double		threshold;
} Drift;

static void
describe_rewards(int64 n, const double *reward, double *mean, double *deviation)
{
	double		sum = 0,
				squares = 0;

	for (int64 i = 0; i < n; i++)
		sum += reward[i];
	*mean = sum / Max(n, 1);
	for (int64 i = 0; i < n; i++)
		squares += (reward[i] - *mean) * (reward[i] - *mean);
	*deviation = sqrt(squares / Max(n - 1, 1));
}

/* False when no version was deployed after another. Without enough decisions of that one the statistic is 0. */
static bool
measure(const RlrecAgent *agent, Drift *drift)
{
	double		tolerance = rlrec_option_real(agent->options, rlrec_agent_options, "rollback_tolerance");
	RlrecDeployment serving,
				before;
	double	   *reward;
	double		deviation;
	bool		both;

	memset(drift, 0, sizeof(*drift));
	SPI_connect();
	both = rlrec_model_deployments(agent, &serving, &before);
	SPI_finish();
	if (!both)
		return false;
	drift->version = serving.version;
	drift->predecessor = before.version;
	drift->threshold = rlrec_option_real(agent->options, rlrec_agent_options, "rollback");
	reward = rlrec_matured_rewards(agent, before.model, before.since, WINDOW, &drift->reference_n);
	describe_rewards(drift->reference_n, reward, &drift->reference_mean, &drift->reference_deviation);
	pfree(reward);
	reward = rlrec_matured_rewards(agent, serving.model, serving.since, WINDOW, &drift->n);
	describe_rewards(drift->n, reward, &drift->mean, &deviation);
	if (drift->reference_n >= RLREC_LEAST_REFERENCE && drift->reference_deviation > 0)
		for (int64 i = 0; i < drift->n; i++)
			rlrec_page_add(&drift->test, (reward[i] - drift->reference_mean) / drift->reference_deviation,
						   rlrec_page_tolerance(tolerance, drift->reference_n));
	pfree(reward);
	return true;
}

static bool
has_dropped(const Drift *drift)
{
	return drift->threshold > 0 && drift->test.most > drift->threshold;
}

int32
rlrec_drift_check(const RlrecAgent *agent)
{
	Drift		drift;
	int32		version = 0;

	if (!measure(agent, &drift) || !has_dropped(&drift) || !ConditionalLockRelationOid(agent->anchor, RLREC_AGENT_LOCK))
		return 0;
	agent = rlrec_agent_get_locked(agent->name, RLREC_AGENT_LOCK, "rlrec_check_drift()");

	/* Somebody may have deployed another meanwhile. */
	if (measure(agent, &drift) && has_dropped(&drift))
	{
		SPI_connect();
		version = rlrec_model_rollback(agent);
		SPI_finish();
		ereport(WARNING,
				(errmsg("agent \"%s\" is rolled back from version %d to version %d", agent->name, drift.version, version),
				 errdetail("Mean reward of a decision: %.4g over %lld decisions, where it was %.4g over %lld before; Page's statistic is %.1f of %.1f.",
						   drift.mean, (long long) drift.n, drift.reference_mean, (long long) drift.reference_n,
						   drift.test.most, drift.threshold)));
	}
	PopActiveSnapshot();
	return version;
}

PG_FUNCTION_INFO_V1(rlrec_check_drift);
Datum
rlrec_check_drift(PG_FUNCTION_ARGS)
{
	int32		version;

	PreventCommandIfReadOnly("rlrec_check_drift()");
	version = rlrec_drift_check(rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN));
	if (version == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(version);
}

/* rlrec.drift_of(agent): a row of rlrec.drift, none when there is nothing to go back to */
PG_FUNCTION_INFO_V1(rlrec_drift_of);
Datum
rlrec_drift_of(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[9];
	bool		nulls[9] = {false};
	Drift		drift;

	InitMaterializedSRF(fcinfo, 0);
	if (!measure(rlrec_agent_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), RLREC_AGENT_OWN), &drift))
		return (Datum) 0;
	values[0] = Int32GetDatum(drift.version);
	values[1] = Int32GetDatum(drift.predecessor);
	values[2] = Int64GetDatum(drift.n);
	values[3] = Float8GetDatum(drift.mean);
	values[4] = Int64GetDatum(drift.reference_n);
	values[5] = Float8GetDatum(drift.reference_mean);
	values[6] = Float8GetDatum(drift.reference_deviation);
	values[7] = Float8GetDatum(drift.test.most);
	values[8] = Float8GetDatum(drift.threshold);
	nulls[3] = drift.n == 0;
	nulls[5] = drift.reference_n == 0;
	nulls[6] = drift.reference_n < 2;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
