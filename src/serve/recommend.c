/*
 * recommend.c
 *	  rlrec_recommend(), rlrec_recommend_for_history(), rlrec_recommend_all() and rlrec_similar_items().
 *
 * Nothing is written: these look, rlrec_serve() acts. The user's history is read when the function is called, so the last committed event
 * counts.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "learner/parts.h"
#include "serve/arguments.h"
#include "serve/recommend.h"
#include "store/cache.h"
#include "store/events.h"
#include "store/online.h"
#include "store/state_key.h"

static ArrayType *
array_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_ARRAYTYPE_P(n);
}

void
rlrec_request_read(FunctionCallInfo fcinfo, RlrecAgent *agent, const RlrecOption *context, RlrecRequest *request)
{
	char	   *user = rlrec_id_argument(fcinfo, 0, agent, agent->user_column, "user_id");
	bool		exclude_seen = rlrec_exclude_seen(fcinfo, 5, agent, context);

	request->agent = agent;
	request->user = user;
	request->model = rlrec_cache_model(agent);
	request->excluded = rlrec_item_set_create(request->model);
	rlrec_history_read(agent, user, request->model, &request->history, exclude_seen ? request->excluded.member : NULL,
					   exclude_seen ? &request->excluded.others : NULL);
}

RlrecRecommendation *
rlrec_request_best(FunctionCallInfo fcinfo, RlrecRequest *request, int k, int *n)
{
	RlrecCandidates candidates;
	RlrecRecommendation *best;
	RlrecRerank rerank = rlrec_rerank_read(request->agent->options);
	float	   *scores = rlrec_score_buffer(request->model);

	rlrec_candidates_read(&candidates, request->agent, request->model, array_argument(fcinfo, 3));
	rlrec_item_set_add_array(&request->excluded, request->agent, request->model, array_argument(fcinfo, 4));
	request->source = rlrec_score_history(request->model, &request->history, scores);
	rlrec_candidates_add_new(&candidates, request->model, &request->history, request->source);
	best = rlrec_recommendation_buffer(request->model, &candidates, &k);
	*n = rlrec_shortlist(request->model, &rerank, scores, &candidates, &request->excluded, k, best);
	return best;
}

/* Rows of ([user_id text,] rank int, item text, score real [, source text]). */
static void
return_rows(ReturnSetInfo *result, const char *user, const RlrecRecommendation *best, int n, const char *source)
{
	Datum		user_datum = user ? CStringGetTextDatum(user) : (Datum) 0;
	Datum		source_datum = source ? CStringGetTextDatum(source) : (Datum) 0;

	for (int i = 0; i < n; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};
		int			column = 0;

		if (user)
			values[column++] = user_datum;
		values[column++] = Int32GetDatum(i + 1);
		values[column++] = PointerGetDatum(cstring_to_text_with_len(best[i].item, best[i].length));
		values[column++] = Float4GetDatum(best[i].score);
		if (source)
			values[column++] = source_datum;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* The rest that recommend and recommend_for_history share, once the history is known. */
static void
recommend(FunctionCallInfo fcinfo, RlrecRequest *request, int k)
{
	int			n;
	RlrecRecommendation *best = rlrec_request_best(fcinfo, request, k, &n);

	return_rows((ReturnSetInfo *) fcinfo->resultinfo, NULL, best, n, request->source);
	rlrec_cache_release(request->model);
}

/* rlrec_recommend(user_id, k, agent, candidates, exclude, context) */
PG_FUNCTION_INFO_V1(rlrec_recommend);
Datum
rlrec_recommend(PG_FUNCTION_ARGS)
{
	int			k = rlrec_k_argument(fcinfo, 1);
	RlrecRequest request;

	InitMaterializedSRF(fcinfo, 0);
	rlrec_request_read(fcinfo, rlrec_agent_argument(fcinfo, 2), NULL, &request);
	recommend(fcinfo, &request, k);
	return (Datum) 0;
}

/* rlrec_recommend_for_history(items, k, agent, candidates, exclude, context) */
PG_FUNCTION_INFO_V1(rlrec_recommend_for_history);
Datum
rlrec_recommend_for_history(PG_FUNCTION_ARGS)
{
	int			k = rlrec_k_argument(fcinfo, 1);
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 2);
	bool		exclude_seen = rlrec_exclude_seen(fcinfo, 5, agent, NULL);
	ArrayType  *array = array_argument(fcinfo, 0);
	RlrecRequest request = {0};
	RlrecHistory *history = &request.history;
	const RlrecModel *model;
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	int			n = 0;
	int32	   *item;
	int64	   *time;
	float	   *reward;

	InitMaterializedSRF(fcinfo, 0);
	request.agent = agent;
	model = request.model = rlrec_cache_model(agent);
	request.excluded = rlrec_item_set_create(model);
	if (array)
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	item = palloc(Max(n, 1) * sizeof(int32));
	time = palloc(Max(n, 1) * sizeof(int64));
	reward = palloc(Max(n, 1) * sizeof(float));
	history->now = rlrec_events_now(agent);
	history->learned = rlrec_online_read(agent, model);
	for (int i = 0; i < n; i++)
	{
		char	   *id;
		int32		index;

		if (nulls[i])
			continue;
		id = rlrec_canonical_id(agent, agent->item_column, TextDatumGetCString(elements[i]));
		index = rlrec_dictionary_find(&model->items, id, strlen(id));
		if (index < 0)
			continue;
		item[history->n] = index;
		time[history->n] = history->now;
		reward[history->n++] = 1 / model->reward_scale;
	}
	history->item = item;
	history->time = time;
	history->reward = reward;
	if (exclude_seen)
		rlrec_item_set_add_array(&request.excluded, agent, model, array);
	recommend(fcinfo, &request, k);
	return (Datum) 0;
}

/* Everybody's events as histories of the model's items; one at a time. */
typedef struct Everybody
{
	const RlrecEvents *events;
	const int32 *map;			/* [events->items.n] */
	const int32 *map_type;		/* [events->types.n] */
	int64		now;
	float		rescale;		/* from the events' scale of rewards to the model's */
	RlrecLearned *learned;
	int32	   *item;			/* [longest] of the current user */
	int64	   *time;
	float	   *reward;
	uint8	   *type;
} Everybody;

static Everybody
everybody(const RlrecAgent *agent, const RlrecModel *model)
{
	RlrecEvents *events;
	Everybody	all;
	int64		longest = 1;

	events = rlrec_events_read(agent, (Size) maintenance_work_mem * 1024, false, true);
	rlrec_state_keys_read(agent, events);
	all.events = events;
	all.map = rlrec_dictionary_map(&all.events->items, &model->items);
	all.map_type = rlrec_dictionary_map(&all.events->types, &model->types);
	all.now = rlrec_events_now(agent);
	all.learned = rlrec_online_read(agent, model);
	all.rescale = all.events->scale / model->reward_scale;
	for (int32 u = 0; u < all.events->users.n; u++)
		longest = Max(longest, all.events->end[u] - all.events->start[u]);
	all.item = MemoryContextAllocHuge(CurrentMemoryContext, longest * sizeof(int32));
	all.time = MemoryContextAllocHuge(CurrentMemoryContext, longest * sizeof(int64));
	all.reward = MemoryContextAllocHuge(CurrentMemoryContext, longest * sizeof(float));
	all.type = MemoryContextAllocHuge(CurrentMemoryContext, longest * sizeof(uint8));
	return all;
}

/* User u's history; marks in seen, when not NULL, what he had in any way. */
static RlrecHistory
history_of(const Everybody *all, int32 u, RlrecItemSet *seen)
{
	const RlrecEvents *events = all->events;
	RlrecHistory history = {0, all->item, all->time, all->reward, all->type, all->now, rlrec_events_key(events, u), all->learned};

	for (int64 e = events->start[u]; e < events->end[u]; e++)
	{
		int32		index = all->map[events->item[e]];

		if (index < 0)
		{
			if (seen)
				seen->others = lappend(seen->others, rlrec_dictionary_id(&events->items, events->item[e]));
			continue;
		}
		if (seen)
			seen->member[index] = true;
		if (events->reward[e] <= 0)
			continue;
		all->item[history.n] = index;
		all->time[history.n] = events->time[e];
		all->type[history.n] = events->type[e] == 0 ? 0 : all->map_type[events->type[e] - 1] + 1;
		all->reward[history.n++] = events->reward[e] * all->rescale;
	}
	return history;
}

/* rlrec_recommend_all(agent, k) */
PG_FUNCTION_INFO_V1(rlrec_recommend_all);
Datum
rlrec_recommend_all(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 0);
	int			k = rlrec_k_argument(fcinfo, 1);
	bool		exclude_seen = rlrec_option_bool(agent->options, rlrec_agent_options, "exclude_seen");
	RlrecRerank rerank = rlrec_rerank_read(agent->options);
	MemoryContext row_context;
	const RlrecModel *model;
	RlrecCandidates candidates;
	RlrecRecommendation *best;
	Everybody	all;
	float	   *scores;

	InitMaterializedSRF(fcinfo, 0);
	model = rlrec_cache_model(agent);
	scores = rlrec_score_buffer(model);
	all = everybody(agent, model);
	rlrec_candidates_read(&candidates, agent, model, NULL);
	best = rlrec_recommendation_buffer(model, &candidates, &k);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "rlrec user", ALLOCSET_DEFAULT_SIZES);
	for (int32 u = 0; u < all.events->users.n; u++)
	{
		MemoryContext old = MemoryContextSwitchTo(row_context);
		RlrecItemSet excluded = rlrec_item_set_create(model);
		RlrecHistory history = history_of(&all, u, exclude_seen ? &excluded : NULL);
		int			n;

		CHECK_FOR_INTERRUPTS();
		(void) rlrec_score_history(model, &history, scores);
		n = rlrec_shortlist(model, &rerank, scores, &candidates, &excluded, k, best);
		return_rows((ReturnSetInfo *) fcinfo->resultinfo, rlrec_dictionary_id(&all.events->users, u), best, n, NULL);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_context);
	}
	rlrec_cache_release(model);
	return (Datum) 0;
}

/* rlrec_similar_items(item, k, agent) */
PG_FUNCTION_INFO_V1(rlrec_similar_items);
Datum
rlrec_similar_items(PG_FUNCTION_ARGS)
{
	int			k = rlrec_k_argument(fcinfo, 1);
	RlrecAgent *agent = rlrec_agent_argument(fcinfo, 2);
	char	   *id = rlrec_id_argument(fcinfo, 0, agent, agent->item_column, "item");
	RlrecCandidates candidates;
	RlrecRecommendation *best;
	RlrecItemSet excluded;
	const RlrecModel *model;
	float	   *scores;
	int32		item;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	model = rlrec_cache_model(agent);
	item = rlrec_dictionary_find(&model->items, id, strlen(id));
	if (item < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("agent \"%s\" does not know item \"%s\"", agent->name, id),
				 errhint("It knows the items that the events and the items table had when it was trained; train it again to learn new ones.")));
	scores = rlrec_score_buffer(model);
	if (rlrec_parts_has_similar(model))
		model->learner->similar(model, item, model->items.n, NULL, scores);
	else
	{
		/* What it would recommend to someone who had only this item. */
		const int64 now = rlrec_events_now(agent);
		const float one = 1;
		RlrecHistory history = {1, &item, &now, &one, NULL, now, {NULL, 0}, rlrec_online_read(agent, model)};

		(void) rlrec_score_history(model, &history, scores);
	}
	excluded = rlrec_item_set_create(model);
	excluded.member[item] = true;
	rlrec_candidates_read(&candidates, agent, model, NULL);
	candidates.others = NIL;
	best = rlrec_recommendation_buffer(model, &candidates, &k);
	n = rlrec_shortlist(model, NULL, scores, &candidates, &excluded, k, best);
	return_rows((ReturnSetInfo *) fcinfo->resultinfo, NULL, best, n, NULL);
	rlrec_cache_release(model);
	return (Datum) 0;
}

/* The planner's support function: as many rows as k says, which is the first integer after the first argument. */
PG_FUNCTION_INFO_V1(rlrec_rows_support);
Datum
rlrec_rows_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	SupportRequestRows *rows;
	Node	   *k = NULL;
	ListCell   *cell;

	if (!IsA(request, SupportRequestRows))
		PG_RETURN_POINTER(NULL);
	rows = (SupportRequestRows *) request;
	if (rows->node == NULL || !IsA(rows->node, FuncExpr))
		PG_RETURN_POINTER(NULL);
	for_each_from(cell, ((FuncExpr *) rows->node)->args, 1)
	{
		k = lfirst(cell);
		if (exprType(k) == INT4OID)
			break;
	}
	if (k == NULL || !IsA(k, Const) || ((Const *) k)->constisnull || ((Const *) k)->consttype != INT4OID ||
		DatumGetInt32(((Const *) k)->constvalue) <= 0)
		PG_RETURN_POINTER(NULL);
	rows->rows = DatumGetInt32(((Const *) k)->constvalue);
	PG_RETURN_POINTER(rows);
}
