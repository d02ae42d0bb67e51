/*
 * model_weights.c
 *	  rlrec_model_weights(): a version's tensors as a value of type rlrec_weights.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "store/agent.h"
#include "store/catalog.h"
#include "store/model.h"
#include "types/weights.h"

PG_FUNCTION_INFO_V1(rlrec_model_weights);
Datum
rlrec_model_weights(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)), RLREC_AGENT_OWN);
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
