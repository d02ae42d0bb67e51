/*
 * arguments.c
 *	  The arguments that the serving functions share.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "serve/arguments.h"
#include "store/events.h"
#include "train/train.h"

RlrecAgent *
rlrec_agent_argument(FunctionCallInfo fcinfo, int n)
{
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, n), RLREC_AGENT_USE);

	rlrec_agent_check_columns(agent);
	return agent;
}

char *
rlrec_id_argument(FunctionCallInfo fcinfo, int n, const RlrecAgent *agent, const char *column, const char *name)
{
	Oid			type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, n));
	Oid			output;
	bool		is_varlena;
	char	   *id;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name),
				 errhint("Pass an id as column \"%s\" of %s has them.", column, rlrec_qualified_name(agent->events))));
	if (type == TEXTOID || type == VARCHAROID)
		id = text_to_cstring(PG_GETARG_TEXT_PP(n));
	else
	{
		getTypeOutputInfo(type, &output, &is_varlena);
		id = OidOutputFunctionCall(output, PG_GETARG_DATUM(n));
		if (type == rlrec_column_type(agent->events, column) && type != BPCHAROID)
			return id;
	}
	return rlrec_canonical_id(agent, column, id);
}

int
rlrec_k_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n) || PG_GETARG_INT32(n) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 PG_ARGISNULL(n) ? errmsg("k must not be NULL") : errmsg("k must be positive, not %d", PG_GETARG_INT32(n)),
				 errhint("k is the number of rows wanted, 10 by default.")));
	if (PG_GETARG_INT32(n) > RLREC_MAX_K)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be at most %d, not %d", RLREC_MAX_K, PG_GETARG_INT32(n)),
				 errhint("To rank a whole catalogue use ORDER BY rlrec_score(agent, user_id, item) DESC.")));
	return PG_GETARG_INT32(n);
}

Jsonb *
rlrec_jsonb_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n);
}

bool
rlrec_exclude_seen(FunctionCallInfo fcinfo, int context, const RlrecAgent *agent, const RlrecOption *more)
{
	static const RlrecOption context_options[] = {
		{"exclude_seen", RLREC_OPTION_BOOL, -1, 0, 1, "leave out what the user has had already"},
		{NULL}
	};
	const RlrecOption *specs[] = {context_options, more};
	Jsonb	   *object = rlrec_jsonb_argument(fcinfo, context);

	rlrec_options_check_object("context", object, lengthof(specs), specs);
	if (rlrec_option_given(object, "exclude_seen"))
		return rlrec_option_bool(object, context_options, "exclude_seen");
	return rlrec_option_bool(agent->options, rlrec_agent_options, "exclude_seen");
}

const char *
rlrec_score_history(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	const RlrecLearnedCounts *more;
	double		users;

	if (model->learner->score(model, history, scores))
		return rlrec_model_source(model);
	more = rlrec_model_users(model, history, &users);
	for (int32 i = 0; i < model->items.n; i++)
		scores[i] = (float) ((model->count[i] + (more ? more->count[i] : 0)) / Max(users, 1));
	return rlrec_popularity.name;
}
