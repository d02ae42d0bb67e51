/*
 * markov.c
 *	  What users had next: a first-order Markov chain over items.
 *
 * score(j) = (c_ij + PRIOR p_j) / c_i, where an event of item j came right after one of item i c_ij times in some user's sequence, c_i is
 * the sum of these over j, p_j the share of the users that had j, and i the latest item of the history that anything ever followed.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "data/sparse.h"
#include "learner/learner.h"
#include "tensor/kernels.h"

/* Popularity's part, in transitions: enough to rank equal counts in single precision, too little to rank unequal ones. */
#define PRIOR 0.01f

static const RlrecOption options[] = {{NULL}};

static const char *
obstacle(const RlrecFit *data pg_attribute_unused())
{
	return NULL;
}

/* Row i: the items that followed item i, ascending, once for each time. */
static RlrecSparse *
successors(const RlrecEvents *events)
{
	int32		n_items = events->items.n;
	int64		room = 0;
	int64		n = 0;
	int32	   *from;
	int32	   *to;
	RlrecSparse *predecessors;
	RlrecSparse *sorted;

	for (int32 u = 0; u < events->users.n; u++)
		room += events->end[u] - events->start[u];
	from = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
	to = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
	for (int32 u = 0; u < events->users.n; u++)
	{
		int32		last = -1;

		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
		{
			if (!(events->reward[e] > 0))
				continue;
			if (last >= 0)
			{
				from[n] = last;
				to[n++] = events->item[e];
			}
			last = events->item[e];
		}
	}
	predecessors = rlrec_sparse_gather(n_items, n_items, n, to, from);
	sorted = rlrec_sparse_transpose(predecessors);
	rlrec_sparse_free(predecessors);
	pfree(from);
	pfree(to);
	return sorted;
}

/* Equal entries of a row become one, whose value is their number. In place. */
static void
count(RlrecSparse *a)
{
	int64		begin = 0;		/* of the row as it was */
	int64		n = 0;

	a->value = MemoryContextAllocHuge(CurrentMemoryContext, a->start[a->n_rows] * sizeof(float));
	for (int32 r = 0; r < a->n_rows; r++)
	{
		int64		end = a->start[r + 1];
		int64		same;

		CHECK_FOR_INTERRUPTS();
		for (int64 k = begin; k < end; k += same)
		{
			for (same = 1; k + same < end && a->column[k + same] == a->column[k];)
				same++;
			a->column[n] = a->column[k];
			a->value[n++] = (float) same;
		}
		begin = end;
		a->start[r + 1] = n;
	}
}

static void
fit(const RlrecFit *data, const char *prefix, RlrecTensors *tensors)
{
	RlrecSparse *transitions = successors(data->events);

	count(transitions);
	rlrec_sparse_save(transitions, prefix, tensors);
	rlrec_sparse_free(transitions);
}

static RlrecLearnedRow *
learned_row(const RlrecModel *model, RlrecLearned *learned, int32 item)
{
	const RlrecDictionary *items = &model->items;

	if (learned == NULL)
		return NULL;
	return learned->row(learned, RLREC_LEARNED_NEXT, items->bytes + items->offset[item], items->offset[item + 1] - items->offset[item], false);
}

static bool
score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	int32		n = model->items.n;
	const int32 *offset = rlrec_model_data(model, "offset", RLREC_I32, (int64) n + 1);
	const int32 *item = rlrec_model_data(model, "item", RLREC_I32, offset[n]);
	const float *value = rlrec_model_data(model, "value", RLREC_F32, offset[n]);
	const RlrecLearnedRow *row = NULL;
	const RlrecLearnedCounts *more;
	double		users;
	double		total = 0;
	float		prior;
	int32		last = -1;

	for (int32 h = history->n - 1; h >= 0 && !(total > 0); h--)
	{
		last = history->item[h];
		row = learned_row(model, history->learned, last);
		total = 0;
		for (int32 k = offset[last]; k < offset[last + 1]; k++)
			total += value[k];
		for (int i = 0; row != NULL && i < row->n; i++)
			total += row->entry[i].q;
	}
	if (!(total > 0))
		return false;
	more = rlrec_model_users(model, history, &users);
	prior = (float) (PRIOR / (total * users));
	memset(scores, 0, n * sizeof(float));
	rlrec_axpy(n, prior, model->count, scores);
	if (more != NULL)
		rlrec_axpy(n, prior, more->count, scores);
	for (int32 k = offset[last]; k < offset[last + 1]; k++)
		scores[item[k]] += (float) (value[k] / total);
	for (int i = 0; row != NULL && i < row->n; i++)
	{
		int32		next = rlrec_dictionary_find(&model->items, row->entry[i].action, row->entry[i].length);

		if (next >= 0)
			scores[next] += (float) (row->entry[i].q / total);
	}
	return true;
}

/* ---------------------------------------------------------------- between trainings */

/* The items of a history, as places in the events. */
static int32 *
positive(int32 n, const RlrecPastEvent *events, int32 *n_positive)
{
	int32	   *place = palloc(Max(n, 1) * sizeof(int32));

	*n_positive = 0;
	for (int32 i = 0; i < n; i++)
		if (events[i].reward > 0)
			place[(*n_positive)++] = i;
	return place;
}

/* Counts transitions from places [begin .. end - 1] to those after them. */
static void
change(RlrecLearned *learned, const RlrecPastEvent *events, const int32 *place, int32 begin, int32 end, int by)
{
	for (int32 i = begin; i < end; i++)
	{
		const RlrecKey *from = &events[place[i]].id;
		const RlrecKey *to = &events[place[i + 1]].id;
		RlrecLearnedRow *row = learned->row(learned, RLREC_LEARNED_NEXT, from->bytes, from->length, true);
		RlrecQEntry *entry;

		if (row == NULL)
			continue;
		entry = rlrec_learned_take(learned, row, to->bytes, to->length);
		entry->q += by;
		entry->visits = Max(entry->visits + by, 0);
	}
}

/* What is the same at both ends of the histories without and with the event stays as it was counted. */
static void
learn(const RlrecModel *model pg_attribute_unused(), const RlrecLesson *lesson, RlrecLearned *learned)
{
	int32		n_before,
				n_after;
	int32	   *before = positive(lesson->n_before, lesson->before, &n_before);
	int32	   *after = positive(lesson->n_after, lesson->after, &n_after);
	int32		most = Min(n_before, n_after);
	int32		same = 0;
	int32		same_end = 0;

#define SAME(i, j) rlrec_same_key(&lesson->before[before[i]].id, &lesson->after[after[j]].id)
	while (same < most && SAME(same, same))
		same++;
	while (same_end < most - same && SAME(n_before - 1 - same_end, n_after - 1 - same_end))
		same_end++;
	change(learned, lesson->before, before, Max(same - 1, 0), Min(n_before - same_end, n_before - 1), -1);
	change(learned, lesson->after, after, Max(same - 1, 0), Min(n_after - same_end, n_after - 1), 1);
	pfree(before);
	pfree(after);
}

const RlrecLearner rlrec_markov = {
	.name = "markov",
	.summary = "what users had next, a first-order Markov chain",
	.options = options,
	.obstacle = obstacle,
	.fit = fit,
	.score = score,
	.learn = learn
};
