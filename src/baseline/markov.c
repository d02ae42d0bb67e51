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

static bool
score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	int32		n = model->items.n;
	const int32 *offset = rlrec_model_data(model, "offset", RLREC_I32, (int64) n + 1);
	const int32 *item = rlrec_model_data(model, "item", RLREC_I32, offset[n]);
	const float *value = rlrec_model_data(model, "value", RLREC_F32, offset[n]);
	int32		h = history->n - 1;
	int32		last;
	double		total = 0;

	while (h >= 0 && offset[history->item[h]] == offset[history->item[h] + 1])
		h--;
	if (h < 0)
		return false;
	last = history->item[h];
	for (int32 k = offset[last]; k < offset[last + 1]; k++)
		total += value[k];
	memset(scores, 0, n * sizeof(float));
	rlrec_axpy(n, (float) (PRIOR / (total * model->n_users)), model->count, scores);
	for (int32 k = offset[last]; k < offset[last + 1]; k++)
		scores[item[k]] += (float) (value[k] / total);
	return true;
}

const RlrecLearner rlrec_markov = {
	.name = "markov",
	.summary = "what users had next, a first-order Markov chain",
	.options = options,
	.obstacle = obstacle,
	.fit = fit,
	.score = score
};
