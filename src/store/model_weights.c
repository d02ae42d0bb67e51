/*
 * model_weights.c
 *	  rlrec_model_weights() and rlrec_import_model(): a version's tensors as a value of type rlrec_weights, and back.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "learner/check.h"
#include "store/agent.h"
#include "store/catalog.h"
#include "store/model.h"
#include "types/weights.h"

PG_FUNCTION_INFO_V1(rlrec_model_weights);
Datum
rlrec_model_weights(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN);
	RlrecModelRow *row;
	char	   *image;

	if (PG_ARGISNULL(1) && agent->deployed == 0)
		PG_RETURN_NULL();
	row = PG_ARGISNULL(1) ? rlrec_model_row(agent->deployed) : rlrec_model_find(agent, PG_GETARG_INT32(1));
	if (row->length > RLREC_WEIGHTS_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("version %d of agent \"%s\" is too large for a value: %llu MB", row->version, agent->name,
						(unsigned long long) (row->length / (1024 * 1024))),
				 errhint("A value of type rlrec_weights holds at most %d MB.", (int) (RLREC_WEIGHTS_MAX_BYTES / (1024 * 1024)))));
	image = palloc(row->length + 64);
	image = (char *) TYPEALIGN(64, image);
	rlrec_model_read(row, image);
	PG_RETURN_DATUM(rlrec_weights_from_tensors(rlrec_image_open(image, row->length, true)));
}

static Jsonb *
describe_import(const RlrecModel *model)
{
	char	   *json = psprintf("{\"imported\": true, \"users\": %d, \"items\": %d, \"bytes\": %llu}", model->n_users, model->items.n,
								(unsigned long long) rlrec_image_size(model->tensors));

	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

/* rlrec_import_model(agent, weights, deploy) */
PG_FUNCTION_INFO_V1(rlrec_import_model);
Datum
rlrec_import_model(PG_FUNCTION_ARGS)
{
	TimestampTz started = GetCurrentTimestamp();
	bool		deploy = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	RlrecAgent *agent = rlrec_agent_get_locked(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_LOCK, "rlrec_import_model()");
	RlrecModel *model;
	int32		version;
	int64		id;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("weights must not be NULL"),
				 errhint("rlrec_model_weights() and rlrec_weights_from_safetensors() give some.")));
	model = rlrec_model_check(rlrec_learner_find(agent->learner), rlrec_weights_to_tensors(PG_GETARG_DATUM(1)));
	SPI_connect();
	id = rlrec_model_store(agent, model, describe_import(model), (GetCurrentTimestamp() - started) / 1e6, &version);
	if (deploy)
		rlrec_model_deploy(agent, id);
	rlrec_model_trim(agent);
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_INT32(version);
}
