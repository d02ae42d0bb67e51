/*
 * state.c
 *	  rlrec_encode() and rlrec_decode(): a user's state as a vector, and the items nearest to a vector.
 *
 * Nothing is written. What is decoded need not have been encoded: the mean of two states, or a state plus an item's direction, ranks
 * items as any other.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "data/features_shared.h"
#include "serve/arguments.h"
#include "serve/shortlist.h"
#include "store/cache.h"
#include "store/catalog.h"
#include "store/events.h"
#include "train/train.h"

/* The numbers in a state; an error when the model has none. */
static int
require_dimension(const RlrecAgent *agent, const RlrecModel *model)
{
	int			dimension = rlrec_model_dimension(model);

	if (dimension == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("learner \"%s\" of agent \"%s\" has no state", rlrec_model_source(model), agent->name),
				 errhint("Train the agent with learner => 'supervised', which encodes a history as a vector.")));
	return dimension;
}

/* rlrec_encode(agent, user_id) */
PG_FUNCTION_INFO_V1(rlrec_encode);
Datum
rlrec_encode(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 0);
	char	   *user = rlrec_id_argument(fcinfo, 1, agent, agent->user_column, "user_id");
	const RlrecModel *model = rlrec_cache_model(agent);
	int			dimension = require_dimension(agent, model);
	float	   *state = palloc(dimension * sizeof(float));
	Datum	   *numbers = palloc(dimension * sizeof(Datum));
	RlrecHistory history;
	bool		known;

	rlrec_history_read(agent, user, model, &history, NULL, NULL);
	known = model->learner->encode(model, &history, state);
	rlrec_cache_release(model);
	if (!known)
		PG_RETURN_NULL();
	for (int i = 0; i < dimension; i++)
		numbers[i] = Float8GetDatum(state[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(numbers, dimension, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* A state argument as float[dimension]. */
static float *
state_argument(FunctionCallInfo fcinfo, int n, const RlrecAgent *agent, int dimension)
{
	ArrayType  *array;
	float	   *state = palloc(dimension * sizeof(float));
	const float8 *numbers;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("state must not be NULL"),
				 errhint("rlrec_encode() gives NULL for a user without events; rlrec_recommend() tells what is popular.")));
	array = PG_GETARG_ARRAYTYPE_P(n);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("state must have one dimension, not %d", ARR_NDIM(array)),
				 errhint("Decode one state a call.")));
	if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) != dimension)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("state has %d numbers instead of %d", ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), dimension),
				 errhint("States of agent \"%s\" are those that rlrec_encode(%s, user_id) gives; another version may have others.", agent->name,
						 quote_literal_cstr(agent->name))));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("state must not contain NULL"),
				 errhint("Every element is a finite number.")));
	numbers = (const float8 *) ARR_DATA_PTR(array);
	for (int i = 0; i < dimension; i++)
	{
		state[i] = (float) numbers[i];
		if (!isfinite(state[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("element %d of state is not a finite number of type real", i + 1),
					 errhint("Every element is a finite number.")));
	}
	return state;
}

/* Finite factors may have infinite products. */
static void
check_scores(int32 n, const float *scores)
{
	for (int32 i = 0; i < n; i++)
		if (!isfinite(scores[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("state is too large to be decoded"),
					 errhint("Scale it down: only its direction decides which items are near.")));
}

/* Whether a column of the items table can hold an id of the events. */
static bool
id_fits(Oid events_type, Oid items_type, const char *id)
{
	int			bits = items_type == INT2OID ? 16 : items_type == INT4OID ? 32 : items_type == INT8OID ? 64 : 0;
	long long	number;
	char	   *end;

	if (events_type == items_type || items_type == TEXTOID || items_type == VARCHAROID)
		return true;
	if (bits == 0)
		return false;
	errno = 0;
	number = strtoll(id, &end, 10);
	return end != id && *end == '\0' && errno == 0 && (bits == 64 || llabs(number) < 1LL << (bits - 1));
}

/*
 * What the items have in common, in words; NULL where nothing is known of them. The items table is read as the caller, who may choose any
 * state and so any items: what he may not see is not told.
 */
static Datum
shared_by(const RlrecAgent *agent, const RlrecRecommendation *items, int n, bool *isnull)
{
	const char **ids = palloc(Max(n, 1) * sizeof(char *));
	char	   *words = NULL;
	bool		missing = false;
	int			n_ids = 0;

	*isnull = true;
	if (!OidIsValid(agent->items) ||
		pg_class_aclcheck_ext(agent->items, GetUserId(), ACL_SELECT, &missing) != ACLCHECK_OK || missing)
		return (Datum) 0;
	for (int i = 0; i < n; i++)
	{
		ids[n_ids] = pnstrdup(items[i].item, items[i].length);
		n_ids += id_fits(rlrec_column_type(agent->events, agent->item_column), rlrec_column_type(agent->items, agent->item_key), ids[n_ids]);
	}
	if (n_ids > 0)
	{
		RlrecRole	saved;

		rlrec_run_as(&saved, GetUserId(), SECURITY_RESTRICTED_OPERATION);
		words = rlrec_features_shared(agent->items, agent->item_key, n_ids, ids);
		rlrec_run_back(&saved);
	}
	*isnull = words == NULL;
	return words == NULL ? (Datum) 0 : CStringGetTextDatum(words);
}

/* rlrec_decode(agent, state, k) */
PG_FUNCTION_INFO_V1(rlrec_decode);
Datum
rlrec_decode(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 0);
	int			k = rlrec_k_argument(fcinfo, 2);
	const RlrecModel *model;
	RlrecCandidates candidates;
	RlrecItemSet excluded;
	RlrecRecommendation *best;
	float	   *state;
	float	   *scores;
	Datum		values[4];
	bool		nulls[4] = {false};
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	model = rlrec_cache_model(agent);
	state = state_argument(fcinfo, 1, agent, require_dimension(agent, model));
	rlrec_candidates_read(&candidates, agent, model, NULL);
	excluded = rlrec_item_set_create(model);
	scores = rlrec_score_buffer(model);
	model->learner->decode(model, state, scores);
	check_scores(model->items.n, scores);
	best = rlrec_recommendation_buffer(model, &candidates, &k);
	n = rlrec_shortlist(model, NULL, scores, &candidates, &excluded, k, best);
	values[3] = shared_by(agent, best, n, &nulls[3]);
	for (int i = 0; i < n; i++)
	{
		values[0] = Int32GetDatum(i + 1);
		values[1] = PointerGetDatum(cstring_to_text_with_len(best[i].item, best[i].length));
		values[2] = Float4GetDatum(best[i].score);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	rlrec_cache_release(model);
	return (Datum) 0;
}
