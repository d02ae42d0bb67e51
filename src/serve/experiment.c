/*
 * experiment.c
 *	  rlrec_experiment(), rlrec_end_experiment() and rlrec_arm(): versions side by side, each for a share of the users.
 *
 * A running experiment is the one row of rlrec.experiment of its agent that has not ended. A user's arm is a pure function of his id and the
 * experiment: a hash brings him to a number in (0, 1), and arms take up that interval one after the other, in the order in which the row
 * has them. Nothing is stored for him but the arm in each of his decisions.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "serve/arguments.h"
#include "serve/experiment.h"
#include "store/catalog.h"
#include "store/events.h"
#include "store/model.h"
#include "tensor/random.h"

#define CONTROL "control"

/* Columns of rlrec.experiment, in the order of sql/experiment.sql. */
enum
{
	EXPERIMENT_ID = 1, EXPERIMENT_AGENT, EXPERIMENT_SEED, EXPERIMENT_ARMS, EXPERIMENT_MODELS, EXPERIMENT_VERSIONS, EXPERIMENT_SHARES,
	EXPERIMENT_SHADOWS, EXPERIMENT_STARTED_AT, EXPERIMENT_ENDED_AT, EXPERIMENT_N = EXPERIMENT_ENDED_AT
};

/* ---------------------------------------------------------------- assignment */

/* The elements of one of the row's arrays, which have no NULL */
static Datum *
elements(Datum array, Oid type, int16 length, bool by_value, char align, int *n)
{
	Datum	   *values;
	bool	   *nulls;

	deconstruct_array(DatumGetArrayTypeP(array), type, length, by_value, align, &values, &nulls, n);
	return values;
}

/* The arm in which the user of that hash is, -1 for none */
static int
arm_of(uint64 hash, const Datum *shares, int n)
{
	double		place = rlrec_random_uniform(hash, 0);

	for (int i = 0; i < n; i++)
	{
		place -= DatumGetFloat8(shares[i]);
		if (place < 0)
			return i;
	}
	return -1;
}

static RlrecAssignment
assign(RlrecAgent *agent, const Datum *values, const bool *nulls, const char *user)
{
	RlrecAssignment assignment = {0};
	uint64		seed = (uint64) DatumGetInt64(values[(nulls[EXPERIMENT_SEED - 1] ? EXPERIMENT_ID : EXPERIMENT_SEED) - 1]);
	uint64		hash = hash_bytes_extended((const unsigned char *) user, (int) strlen(user), seed);
	int			n;
	Datum	   *shares = elements(values[EXPERIMENT_SHARES - 1], FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &n);
	int			arm = arm_of(hash, shares, n);

	if (arm < 0)
		return assignment;
	assignment.arm = TextDatumGetCString(elements(values[EXPERIMENT_ARMS - 1], TEXTOID, -1, false, TYPALIGN_INT, &n)[arm]);
	agent->deployed = DatumGetInt64(elements(values[EXPERIMENT_MODELS - 1], INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &n)[arm]);
	if (!nulls[EXPERIMENT_SHADOWS - 1])
	{
		Datum	   *shadows = elements(values[EXPERIMENT_SHADOWS - 1], INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &n);

		assignment.n_shadows = n;
		assignment.shadow = palloc(Max(n, 1) * sizeof(int64));
		for (int i = 0; i < n; i++)
			assignment.shadow[i] = DatumGetInt64(shadows[i]);
	}
	return assignment;
}

RlrecAssignment
rlrec_experiment_assign(RlrecAgent *agent, const char *user)
{
	RlrecAssignment assignment = {0};
	RlrecCatalogScan scan;
	HeapTuple	tuple;

	rlrec_catalog_begin(&scan, "experiment", "experiment_running_idx", EXPERIMENT_AGENT, F_INT8EQ, Int64GetDatum(agent->id));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[EXPERIMENT_N];
		bool		nulls[EXPERIMENT_N];

		heap_deform_tuple(tuple, RelationGetDescr(scan.table), values, nulls);
		assignment = assign(agent, values, nulls, user);
	}
	rlrec_catalog_end(&scan);
	return assignment;
}

/* rlrec_arm(agent, user_id) */
PG_FUNCTION_INFO_V1(rlrec_arm);
Datum
rlrec_arm(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 0);
	char	   *arm;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	arm = rlrec_experiment_assign(agent, rlrec_canonical_id(agent, agent->user_column, text_to_cstring(PG_GETARG_TEXT_PP(1)))).arm;
	if (arm == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(arm));
}

/* ---------------------------------------------------------------- beginning and ending */

/* The members of an object of numbers, in the order of its keys; *names of texts. Errors name the argument. */
static int
read_numbers(const char *argument, Jsonb *object, Datum **names, double **numbers)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	int			n = 0;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", argument),
				 errhint("For example arms => '{\"control\": 1, \"new\": 2}', allocation => '{\"control\": 0.9, \"new\": 0.1}'.")));
	*names = palloc(Max(JB_ROOT_COUNT(object), 1) * sizeof(Datum));
	*numbers = palloc(Max(JB_ROOT_COUNT(object), 1) * sizeof(double));
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			(*names)[n] = PointerGetDatum(cstring_to_text_with_len(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE)
		{
			if (value.type != jbvNumeric)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("\"%s\" of %s must be a number", TextDatumGetCString((*names)[n]), argument),
						 errhint("Without quotes, for example arms => '{\"control\": 1, \"new\": 2}', allocation => '{\"control\": 0.9, \"new\": 0.1}'.")));
			(*numbers)[n++] = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value.val.numeric)));
		}
	}
	return n;
}

static int
find_text(const char *wanted, const Datum *among, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(wanted, TextDatumGetCString(among[i])) == 0)
			return i;
	return -1;
}

/* The shares of the arms, which may leave users out; equal ones unless they are given. */
static double *
read_shares(FunctionCallInfo fcinfo, int n, const Datum *arms)
{
	double	   *shares = palloc(n * sizeof(double));
	double		sum = 0;
	Datum	   *names;
	double	   *given;

	for (int i = 0; i < n; i++)
		shares[i] = 1.0 / n;
	if (PG_ARGISNULL(2))
		return shares;
	if (read_numbers("allocation", PG_GETARG_JSONB_P(2), &names, &given) != n)
		n = 0;
	for (int i = 0; i < n; i++)
	{
		int			which = find_text(TextDatumGetCString(arms[i]), names, n);

		shares[i] = which < 0 ? 0 : given[which];
		if (!(shares[i] > 0))
			n = 0;
		sum += shares[i];
	}
	if (n == 0 || sum > 1 + 1e-9)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("allocation must give each arm a share of the users"),
				 errdetail("Shares are above 0 and add up to at most 1."),
				 errhint("Leave it out to give each arm the same.")));
	return shares;
}

/* Arrays of the columns arms, models, versions and shares. */
static void
read_arms(FunctionCallInfo fcinfo, const RlrecAgent *agent, Datum *columns)
{
	Datum	   *arms;
	double	   *version;
	double	   *share;
	int			n = PG_ARGISNULL(1) ? 0 : read_numbers("arms", PG_GETARG_JSONB_P(1), &arms, &version);
	Datum	   *models = palloc(Max(n, 1) * sizeof(Datum));
	Datum	   *versions = palloc(Max(n, 1) * sizeof(Datum));
	Datum	   *shares = palloc(Max(n, 1) * sizeof(Datum));

	if (n < (PG_ARGISNULL(4) ? 2 : 1) || find_text(CONTROL, arms, n) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an experiment needs at least two arms, of which one is \"%s\"", CONTROL),
				 errhint("Give each its version: arms => '{\"control\": 1, \"new\": 2}'. With shadows the control is enough.")));
	share = read_shares(fcinfo, n, arms);
	for (int i = 0; i < n; i++)
	{
		if (version[i] != rint(version[i]) || fabs(version[i]) > PG_INT32_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" of arms must be the number of a version", TextDatumGetCString(arms[i])),
					 errhint("SELECT version FROM rlrec.models lists them.")));
		models[i] = Int64GetDatum(rlrec_model_find(agent, (int32) version[i])->id);
		versions[i] = Int32GetDatum((int32) version[i]);
		shares[i] = Float8GetDatum(share[i]);
	}
	columns[0] = PointerGetDatum(construct_array(arms, n, TEXTOID, -1, false, TYPALIGN_INT));
	columns[1] = PointerGetDatum(construct_array(models, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	columns[2] = PointerGetDatum(construct_array(versions, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	columns[3] = PointerGetDatum(construct_array(shares, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static bool
has_model(Datum model, const Datum *among, int n)
{
	for (int i = 0; i < n; i++)
		if (DatumGetInt64(model) == DatumGetInt64(among[i]))
			return true;
	return false;
}

/* The array of the column shadows, models other than each other and those of the arms */
static Datum
read_shadows(const RlrecAgent *agent, ArrayType *versions, Datum arm_models)
{
	int			n_arms;
	Datum	   *arm = elements(arm_models, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &n_arms);
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(versions, INT4OID, sizeof(int32), true, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		int32		version;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("shadows must not contain NULL")));
		version = DatumGetInt32(values[i]);
		values[i] = Int64GetDatum(rlrec_model_find(agent, version)->id);
		if (has_model(values[i], values, i) || has_model(values[i], arm, n_arms))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 has_model(values[i], arm, n_arms) ? errmsg("version %d is in shadows and in an arm", version) :
					 errmsg("version %d is in shadows twice", version),
					 errhint("Each shadow is a version of its own, which no arm shows.")));
	}
	return PointerGetDatum(construct_array(values, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* rlrec_experiment(agent, arms, allocation, seed, shadows) */
PG_FUNCTION_INFO_V1(rlrec_experiment);
Datum
rlrec_experiment(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get_locked(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_LOCK, "rlrec_experiment()");
	Oid			types[] = {INT8OID, INT8OID, TEXTARRAYOID, INT8ARRAYOID, INT4ARRAYOID, FLOAT8ARRAYOID, INT8ARRAYOID};
	Datum		values[7];
	char		nulls[8] = "       ";
	bool		isnull;
	int64		id;

	values[0] = Int64GetDatum(agent->id);
	values[1] = PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3);
	nulls[1] = PG_ARGISNULL(3) ? 'n' : ' ';
	read_arms(fcinfo, agent, values + 2);
	values[6] = PG_ARGISNULL(4) ? (Datum) 0 : read_shadows(agent, PG_GETARG_ARRAYTYPE_P(4), values[3]);
	nulls[6] = PG_ARGISNULL(4) ? 'n' : ' ';
	SPI_connect();
	if (rlrec_catalog_execute("SELECT FROM rlrec.experiment WHERE agent = $1 AND ended_at IS NULL", 1, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("an experiment of agent \"%s\" is running", agent->name),
				 errhint("End it with rlrec_end_experiment('%s').", agent->name)));
	rlrec_catalog_execute("INSERT INTO rlrec.experiment (agent, seed, arms, models, versions, shares, shadows)"
						  " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
						  lengthof(types), types, values, nulls);
	id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_INT64(id);
}

/* rlrec_end_experiment(agent) */
PG_FUNCTION_INFO_V1(rlrec_end_experiment);
Datum
rlrec_end_experiment(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get_locked(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_LOCK, "rlrec_end_experiment()");
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id)};
	bool		ended;

	SPI_connect();
	ended = rlrec_catalog_execute("UPDATE rlrec.experiment SET ended_at = clock_timestamp() WHERE agent = $1 AND ended_at IS NULL", 1, types,
								  values, NULL) > 0;
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_BOOL(ended);
}
