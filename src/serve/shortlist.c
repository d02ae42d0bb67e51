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

#include "baseline/popularity.h"
#include "compat.h"
#include "learner/parts.h"
#include "serve/shortlist.h"
#include "store/events.h"
#include "tensor/topk.h"
#include "train/train.h"

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
compare_bytes(const char *a, int a_length, const char *b, int b_length)
{
	int			order = memcmp(a, b, Min(a_length, b_length));

	return order != 0 ? order : a_length - b_length;
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

	memset(candidates, 0, sizeof(*candidates));
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

static bool
is_listed(const List *ids, const RlrecNewItem *item)
{
	ListCell   *cell;

	foreach(cell, ids)
		if (strlen(lfirst(cell)) == (size_t) item->length && memcmp(lfirst(cell), item->id, item->length) == 0)
			return true;
	return false;
}

void
rlrec_candidates_add_new(RlrecCandidates *candidates, const RlrecModel *model, const RlrecHistory *history, const char *source)
{
	const RlrecLearnedCounts *more;
	RlrecNewItem *new_item;
	double		scale;

	if (history->learned == NULL || strcmp(source, rlrec_popularity.name) != 0)
		return;
	if (strcmp(rlrec_model_source(model), rlrec_popularity.name) == 0)
		more = rlrec_popularity_learned(rlrec_parts_find(model, &rlrec_popularity), history->learned, &scale);
	else
	{
		more = rlrec_model_users(model, history, &scale);
		scale = 1 / Max(scale, 1);
	}
	if (more == NULL)
		return;
	new_item = palloc(more->n_new * sizeof(RlrecNewItem));
	for (int i = 0; i < more->n_new; i++)
	{
		if (candidates->member != NULL && !is_listed(candidates->others, &more->new_item[i]))
			continue;
		new_item[candidates->n_new] = more->new_item[i];
		new_item[candidates->n_new++].count *= scale;
	}
	candidates->new_item = new_item;
}

float *
rlrec_score_buffer(const RlrecModel *model)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, Max(model->items.n, 1) * sizeof(float));
}

RlrecRecommendation *
rlrec_recommendation_buffer(const RlrecModel *model, const RlrecCandidates *candidates, int *k)
{
	*k = Min(*k, Max(model->items.n + list_length(candidates->others) + candidates->n_new, 1));
	return MemoryContextAllocHuge(CurrentMemoryContext, *k * sizeof(RlrecRecommendation));
}

/* Puts items that the model does not know among the n best, by their scores; returns how many there are then. */
static int
insert_new(const RlrecCandidates *candidates, const RlrecItemSet *excluded, int k, RlrecRecommendation *best, int n)
{
	for (int i = 0; i < candidates->n_new; i++)
	{
		const RlrecNewItem *item = &candidates->new_item[i];
		int			place = n;

		while (place > 0 && (best[place - 1].score < item->count ||
							 (best[place - 1].score == item->count &&
							  compare_bytes(best[place - 1].item, best[place - 1].length, item->id, item->length) > 0)))
			place--;
		if (place == k)
			break;
		if (is_listed(excluded->others, item))
			continue;
		n = Min(n + 1, k);
		memmove(&best[place + 1], &best[place], (n - 1 - place) * sizeof(RlrecRecommendation));
		best[place] = (RlrecRecommendation) {item->id, item->length, -1, item->count};
	}
	return n;
}

static bool
is_new_item(const RlrecCandidates *candidates, const char *id)
{
	for (int i = 0; i < candidates->n_new; i++)
		if (strlen(id) == (size_t) candidates->new_item[i].length && memcmp(id, candidates->new_item[i].id, strlen(id)) == 0)
			return true;
	return false;
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
	n = insert_new(candidates, excluded, k, best, n);
	if (n < k && candidates->others != NIL)
	{
		ListCell   *cell;

		foreach(cell, merge(candidates->others, sorted(excluded->others), false))
		{
			if (n == k)
				break;
			if (is_new_item(candidates, lfirst(cell)))
				continue;
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
