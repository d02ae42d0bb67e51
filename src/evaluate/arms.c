/*
 * arms.c
 *	  rlrec.experiments: what the arms of experiments came to, with bounds that hold however often one looks.
 *
 * That is computed from the log whenever somebody looks, until the experiment has ended and all of its decisions have matured: then it is kept, for
 * decisions go by the agent's decision_retention.
 *
 * The statistics of each arm are SQL's, over matured decisions of the experiment; of each user come the number of his decisions and the sum of
 * their rewards, and so the variance of the arm's mean with users as clusters. sequence.c has the bounds.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "evaluate/arms.h"
#include "evaluate/matured.h"
#include "evaluate/sequence.h"
#include "learner/options.h"
#include "store/catalog.h"

/* Each experiment's control comes before its other arms. */
static const char arms[] =
"WITH arm AS (SELECT e.id, e.started_at, e.ended_at, a.* FROM rlrec.experiment e, unnest(e.arms, e.models, e.versions, e.shares) AS"
"  a(name, model, version, share) WHERE e.agent = $1 AND NOT EXISTS (SELECT FROM rlrec.arm k WHERE k.experiment = e.id)"
"  AND ($4 IS NULL OR e.ended_at <= $4)),"
" decision AS (SELECT a.id, a.name, d.user_id, (SELECT coalesce(sum(o.reward), 0) FROM rlrec.outcome o WHERE o.decision = d.id) AS reward"
"  FROM arm a JOIN rlrec.decision d ON d.agent = $1 AND d.arm = a.name AND d.model = a.model AND d.served_at >= greatest(a.started_at, $3)"
"   AND d.served_at < least(a.ended_at, $2) AND NOT d.policy ? 'seeded'),"
" client AS (SELECT id, name, user_id, count(*) AS n, sum(reward) AS reward, sum(reward * reward) AS squares FROM decision GROUP BY 1, 2, 3),"
" total AS (SELECT id, name, sum(n) AS n, count(*) AS users, sum(reward) / sum(n)::float8 AS mean, sum(squares) AS squares FROM client GROUP BY 1, 2),"
" clustered AS (SELECT id, name, sum((c.reward - c.n * t.mean) ^ 2) AS squares FROM client c JOIN total t USING (id, name) GROUP BY 1, 2)"
" SELECT a.id, a.name, a.version, a.share, a.started_at, a.ended_at, coalesce(t.users, 0), coalesce(t.n, 0)::bigint, t.mean,"
"  c.squares * t.users / greatest(t.users - 1, 1) / t.n::float8 ^ 2, greatest(t.squares - t.n * t.mean ^ 2, 0) / t.n::float8 ^ 2"
" FROM arm a LEFT JOIN total t USING (id, name) LEFT JOIN clustered c USING (id, name) ORDER BY a.id, a.name <> 'control', a.name";

enum
{
	ARM_EXPERIMENT, ARM_NAME, ARM_VERSION, ARM_SHARE, ARM_STARTED_AT, ARM_ENDED_AT, ARM_USERS, ARM_DECISIONS, ARM_MEAN,
	ARM_CLUSTERED, ARM_INDEPENDENT, ARM_DIFFERENCE = ARM_CLUSTERED, ARM_LOWER, ARM_UPPER, ARM_N
};

static double
float_of(Datum value, bool isnull)
{
	return isnull ? 0 : DatumGetFloat8(value);
}

typedef void (*ArmSink) (void *argument, Datum *values, bool *nulls);

/* Hands out the arms of the agent's experiments that are not kept yet; ended: only of those that ended and all of whose decisions have matured. */
static void
compute_arms(const RlrecAgent *agent, bool ended, ArmSink sink, void *argument)
{
	double		alpha = 1 - rlrec_option_real(agent->options, rlrec_agent_options, "deploy_confidence");
	Oid			types[] = {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		arguments[4];
	TimestampTz since,
				until;
	RlrecClusteredMean control = {0};
	int64		experiment = 0;
	SPITupleTable *table;
	uint64		n;

	rlrec_matured_range(agent, &since, &until);
	arguments[0] = Int64GetDatum(agent->id);
	arguments[1] = arguments[3] = TimestampTzGetDatum(until);
	arguments[2] = TimestampTzGetDatum(since);
	n = rlrec_catalog_execute(arms, lengthof(types), types, arguments, ended ? "    " : "   n");
	table = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		Datum		values[ARM_N];
		bool		nulls[ARM_N] = {false};
		RlrecClusteredMean arm;
		double		width;

		for (int c = 0; c <= ARM_INDEPENDENT; c++)
			values[c] = SPI_getbinval(table->vals[i], table->tupdesc, c + 1, &nulls[c]);
		arm.n = DatumGetInt64(values[ARM_DECISIONS]);
		arm.clusters = DatumGetInt64(values[ARM_USERS]);
		arm.mean = float_of(values[ARM_MEAN], nulls[ARM_MEAN]);
		arm.clustered = float_of(values[ARM_CLUSTERED], nulls[ARM_CLUSTERED]);
		arm.independent = float_of(values[ARM_INDEPENDENT], nulls[ARM_INDEPENDENT]);
		if (arm.independent * arm.n < 1e-12 * arm.mean * arm.mean)	/* rounding, of rewards that are all equal */
			arm.clustered = arm.independent = 0;
		nulls[ARM_DIFFERENCE] = nulls[ARM_LOWER] = nulls[ARM_UPPER] = true;
		if (DatumGetInt64(values[ARM_EXPERIMENT]) != experiment)
			control = arm;
		else if (arm.n > 0 && control.n > 0)
		{
			width = rlrec_sequence_difference_width(&arm, &control, alpha / 2);
			values[ARM_DIFFERENCE] = Float8GetDatum(arm.mean - control.mean);
			values[ARM_LOWER] = Float8GetDatum(arm.mean - control.mean - width);
			values[ARM_UPPER] = Float8GetDatum(arm.mean - control.mean + width);
			nulls[ARM_DIFFERENCE] = false;
			nulls[ARM_LOWER] = nulls[ARM_UPPER] = isinf(width);
		}
		experiment = DatumGetInt64(values[ARM_EXPERIMENT]);
		sink(argument, values, nulls);
	}
	SPI_freetuptable(table);
}

static void
return_arm(void *argument, Datum *values, bool *nulls)
{
	ReturnSetInfo *result = argument;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
insert_arm(void *argument, Datum *values, bool *nulls)
{
	static Oid	types[] = {INT8OID, INT8OID, TEXTOID, INT4OID, FLOAT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID, FLOAT8OID, FLOAT8OID,
	FLOAT8OID, FLOAT8OID};
	const RlrecAgent *agent = argument;
	Datum		arguments[1 + ARM_N];
	char		null[1 + ARM_N];

	StaticAssertDecl(lengthof(types) == 1 + ARM_N, "a type for each column");
	arguments[0] = Int64GetDatum(agent->id);
	null[0] = ' ';
	for (int c = 0; c < ARM_N; c++)
	{
		arguments[1 + c] = values[c];
		null[1 + c] = nulls[c] ? 'n' : ' ';
	}
	rlrec_catalog_execute("INSERT INTO rlrec.arm VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
						  lengthof(types), types, arguments, null);
}

void
rlrec_arms_keep(const RlrecAgent *agent)
{
	SPI_connect();
	compute_arms(agent, true, insert_arm, unconstify(RlrecAgent *, agent));
	SPI_finish();
}

/* rlrec.arms_of(agent) */
PG_FUNCTION_INFO_V1(rlrec_arms_of);
Datum
rlrec_arms_of(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), RLREC_AGENT_OWN);

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	compute_arms(agent, false, return_arm, fcinfo->resultinfo);
	SPI_finish();
	return (Datum) 0;
}
