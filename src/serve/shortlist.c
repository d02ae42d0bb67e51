/*
 * shortlist.c
 *	  Which items may be recommended, and the best of them.
 *
 * Every filter is exact: the k best are taken among the eligible items, not filtered afterwards, so there are k rows whenever k items are
 * eligible.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "compat.h"
#include "serve/shortlist.h"
#include "store/events.h"
#include "tensor/topk.h"

RlrecItemSet
rlrec_item_set_create(const RlrecModel *model)
{
	RlrecItemSet set;

	set.member = MemoryContextAllocExtended(CurrentMemoryContext, Max(model->items.n, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	set.others = NIL;
	return set;
}

static void
add_id(RlrecItemSet *set, const RlrecModel *model, const char *id, size_t length)
{
	int32		item = rlrec_dictionary_find(&model->items, id, length);

	if (item >= 0)
		set->member[item] = true;
	else
		set->others = lappend(set->others, pnstrdup(id, length));
}

void
rlrec_item_set_add_array(RlrecItemSet *set, const RlrecAgent *agent, const RlrecModel *model, ArrayType *ids)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (ids == NULL)
		return;
	deconstruct_array(ids, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *id;

		if (nulls[i])
			continue;
		id = rlrec_canonical_id(agent, agent->item_column, TextDatumGetCString(elements[i]));
		add_id(set, model, id, strlen(id));
	}
}

typedef struct CandidateSink
{
	RlrecItemSet set;
	const RlrecModel *model;
	MemoryContext context;
} CandidateSink;

static void
collect_candidate(void *argument, const char *id, size_t length)
{
	CandidateSink *sink = argument;
	MemoryContext old = MemoryContextSwitchTo(sink->context);

	add_id(&sink->set, sink->model, id, length);
	MemoryContextSwitchTo(old);
}

static int
compare_strings(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Distinct, in order of the bytes. */
static List *
sorted(List *ids)
{
	List	   *distinct = NIL;
	ListCell   *cell;

	list_sort(ids, compare_strings);
	foreach(cell, ids)
		if (distinct == NIL || strcmp(llast(distinct), lfirst(cell)) != 0)
			distinct = lappend(distinct, lfirst(cell));
	return distinct;
}

/* Of two sorted lists the ids that are in the second as well (keep), or that are not (!keep). */
static List *
merge(List *ids, List *other, bool keep)
{
	List	   *result = NIL;
	ListCell   *cell;
	int			j = 0;

	foreach(cell, ids)
	{
		while (j < list_length(other) && strcmp(list_nth(other, j), lfirst(cell)) < 0)
			j++;
		if ((j < list_length(other) && strcmp(list_nth(other, j), lfirst(cell)) == 0) == keep)
			result = lappend(result, lfirst(cell));
	}
	return result;
}

void
rlrec_candidates_read(RlrecCandidates *candidates, const RlrecAgent *agent, const RlrecModel *model, ArrayType *array)
{
	RlrecItemSet given;

	candidates->member = NULL;
	candidates->others = NIL;
	if (OidIsValid(agent->candidates))
	{
		CandidateSink sink;

		sink.set = rlrec_item_set_create(model);
		sink.model = model;
		sink.context = CurrentMemoryContext;
		rlrec_ids_read(agent, agent->candidates, agent->candidate_key, collect_candidate, &sink);
		candidates->member = sink.set.member;
		candidates->others = sorted(sink.set.others);
	}
	if (array == NULL)
		return;
	given = rlrec_item_set_create(model);
	rlrec_item_set_add_array(&given, agent, model, array);
	given.others = sorted(given.others);
	if (candidates->member)
	{
		for (int32 i = 0; i < model->items.n; i++)
			given.member[i] = given.member[i] && candidates->member[i];
		given.others = merge(given.others, candidates->others, true);
	}
	candidates->member = given.member;
	candidates->others = given.others;
}

float *
rlrec_score_buffer(const RlrecModel *model)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, Max(model->items.n, 1) * sizeof(float));
}

RlrecRecommendation *
rlrec_recommendation_buffer(const RlrecModel *model, const RlrecCandidates *candidates, int *k)
{
	*k = Min(*k, Max(model->items.n + list_length(candidates->others), 1));
	return MemoryContextAllocHuge(CurrentMemoryContext, *k * sizeof(RlrecRecommendation));
}

int
rlrec_shortlist(const RlrecModel *model, const RlrecRerank *rerank, const float *scores, const RlrecCandidates *candidates,
				const RlrecItemSet *excluded, int k, RlrecRecommendation *best)
{
	int32		n_items = model->items.n;
	bool	   *eligible = MemoryContextAllocHuge(CurrentMemoryContext, Max(n_items, 1));
	int32	   *top;
	int			n;

	for (int32 i = 0; i < n_items; i++)
		eligible[i] = (candidates->member == NULL || candidates->member[i]) && !excluded->member[i];
	top = MemoryContextAllocHuge(CurrentMemoryContext, Max(Min(k, n_items), 1) * sizeof(int32));
	if (rerank != NULL)
		n = rlrec_rerank(model, rerank, scores, eligible, Min(k, n_items), top);
	else
		n = rlrec_topk(n_items, scores, eligible, Min(k, n_items), top);
	for (int i = 0; i < n; i++)
	{
		int32		start = model->items.offset[top[i]];

		best[i].item = model->items.bytes + start;
		best[i].length = model->items.offset[top[i] + 1] - start;
		best[i].index = top[i];
		best[i].score = scores[top[i]];
	}
	if (n < k && candidates->others != NIL)
	{
		ListCell   *cell;

		foreach(cell, merge(candidates->others, sorted(excluded->others), false))
		{
			if (n == k)
				break;
			best[n].item = lfirst(cell);
			best[n].length = strlen(lfirst(cell));
			best[n].index = -1;
			best[n].score = -get_float4_infinity();
			n++;
		}
	}
	pfree(eligible);
	pfree(top);
	return n;
}
