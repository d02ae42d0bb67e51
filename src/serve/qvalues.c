/*
 * qvalues.c
 *	  rlrec_trained_values(): the action values that an agent has learned from a log, which rlrec.qvalues shows beside those of agents without
 *	  events. The states may be users, or what an expression says of them, so that they are the owner's to see.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "store/agent.h"
#include "store/cache.h"

typedef struct Values
{
	ReturnSetInfo *result;
	const RlrecModel *model;
} Values;

static void
put_value(void *argument, const char *state, int length, int32 item, float q, int32 visits)
{
	Values	   *values = argument;
	const RlrecDictionary *items = &values->model->items;
	Datum		row[4];
	bool		nulls[4] = {false};

	CHECK_FOR_INTERRUPTS();
	row[0] = PointerGetDatum(cstring_to_text_with_len(state, length));
	row[1] = PointerGetDatum(cstring_to_text_with_len(items->bytes + items->offset[item], items->offset[item + 1] - items->offset[item]));
	row[2] = Float8GetDatum(q);
	row[3] = Int64GetDatum(visits);
	tuplestore_putvalues(values->result->setResult, values->result->setDesc, row, nulls);
	pfree(DatumGetPointer(row[0]));
	pfree(DatumGetPointer(row[1]));
}

/* No rows for an agent whose learner keeps no table, or that is not trained. */
PG_FUNCTION_INFO_V1(rlrec_trained_values);
Datum
rlrec_trained_values(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), RLREC_AGENT_OWN);
	Values		values = {(ReturnSetInfo *) fcinfo->resultinfo, NULL};

	InitMaterializedSRF(fcinfo, 0);
	if (!OidIsValid(agent->events) || agent->deployed == 0)
		return (Datum) 0;
	values.model = rlrec_cache_model(agent);
	if (values.model->learner->action_values != NULL)
		values.model->learner->action_values(values.model, put_value, &values);
	rlrec_cache_release(values.model);
	return (Datum) 0;
}
