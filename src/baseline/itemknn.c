/*
 * itemknn.c
 *	  Items had by the same users: nearest neighbours among items (Sarwar, Karypis, Konstan, Riedl 2001; Deshpande and Karypis 2004).
 *
 * sim(i, j) = c_ij / (sqrt(c_i c_j) + shrinkage), where c_ij users had both and c_i had i. Each item j keeps its `neighbours` most similar
 * items, equal ones by lower index, and score(j) is the sum of its similarities to those of them that the user had. Popularity breaks
 * ties.
 *
 * Similarities are found a row at a time, by counting the items of the users of an item, which costs the sum of the squares of the
 * users' numbers of items and never makes an items x items matrix. They are stored by i, so that scoring reads the rows of the history
 * only.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "data/sparse.h"
#include "learner/learner.h"
#include "tensor/topk.h"

static const RlrecOption options[] = {
	{"neighbours", RLREC_OPTION_INT, 100, 1, 100000, "similar items that each item keeps"},
	{"shrinkage", RLREC_OPTION_REAL, 0, 0, 1e9, "added to the denominator of the cosine: similarities on few users count less"},
	{NULL}
};

static const char *
obstacle(const RlrecFit *data pg_attribute_unused())
{
	return NULL;
}

/*
 * Counts for each item how many users had it and j too, to common[items], which is all 0 on entry; the items that any had go to
 * touched[items]. Returns their number.
 */
static int32
count_common(const RlrecIncidence *had, int32 j, int32 *common, int32 *touched)
{
	const int64 *start = had->users->start;
	int64		work = 0;
	int32		n = 0;
	bool		dense;

	for (int64 k = had->items->start[j]; k < had->items->start[j + 1]; k++)
		work += start[had->items->column[k] + 1] - start[had->items->column[k]];
	dense = work > had->items->n_rows;	/* then looking at every item is cheaper than noting each */

	for (int64 k = had->items->start[j]; k < had->items->start[j + 1]; k++)
	{
		const int32 *i = had->users->column + start[had->items->column[k]];
		const int32 *end = had->users->column + start[had->items->column[k] + 1];

		CHECK_FOR_INTERRUPTS();
		if (dense)
			while (i < end)
				common[*i++]++;
		else
			for (; i < end; i++)
				if (common[*i]++ == 0)
					touched[n++] = *i;
	}
	if (dense)
		for (int32 i = 0; i < had->items->n_rows; i++)
			if (common[i] > 0)
				touched[n++] = i;
	return n;
}

/* Row j: the neighbours of item j, best first. */
static RlrecSparse *
find_neighbours(const RlrecIncidence *had, int neighbours, double shrinkage)
{
	int32		n = had->items->n_rows;
	RlrecSparse *found = rlrec_sparse_create(n, n, 0, true);
	int64		room = 0;
	int32	   *common = MemoryContextAllocExtended(CurrentMemoryContext, (Size) n * sizeof(int32),
													MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int32	   *touched = MemoryContextAllocHuge(CurrentMemoryContext, (Size) n * sizeof(int32));
	double	   *root = MemoryContextAllocHuge(CurrentMemoryContext, (Size) n * sizeof(double));
	RlrecTop	top = {Min(neighbours, n), 0, NULL};

	top.entry = MemoryContextAllocHuge(CurrentMemoryContext, (Size) top.k * sizeof(RlrecTopEntry));
	for (int32 i = 0; i < n; i++)
		root[i] = sqrt((double) (had->items->start[i + 1] - had->items->start[i]));
	found->start[0] = 0;
	for (int32 j = 0; j < n; j++)
	{
		int32		m = count_common(had, j, common, touched);
		int64		at = found->start[j];

		common[j] = 0;
		top.n = 0;
		for (int32 k = 0; k < m; k++)
		{
			int32		i = touched[k];

			if (i != j)
				rlrec_top_offer(&top, (float) (common[i] / (root[i] * root[j] + shrinkage)), i);
			common[i] = 0;
		}
		rlrec_top_sort(&top);
		if (at + top.n > room)
		{
			room = Max(2 * room, at + top.n);
			found->column = repalloc_huge(found->column, mul_size(room, sizeof(int32)));
			found->value = repalloc_huge(found->value, mul_size(room, sizeof(float)));
		}
		for (int k = 0; k < top.n; k++)
		{
			found->column[at + k] = top.entry[k].index;
			found->value[at + k] = top.entry[k].score;
		}
		found->start[j + 1] = at + top.n;
		if (j % 64 == 0)
			rlrec_progress("similarities of items", j, n);
	}
	pfree(common);
	pfree(touched);
	pfree(root);
	pfree(top.entry);
	return found;
}

static void
fit(const RlrecFit *data, const char *prefix, RlrecTensors *tensors)
{
	RlrecIncidence had = rlrec_incidence_build(data->events, false);
	RlrecSparse *neighbours = find_neighbours(&had, rlrec_option_int(data->options, options, "neighbours"),
											  rlrec_option_real(data->options, options, "shrinkage"));
	RlrecSparse *by_history = rlrec_sparse_transpose(neighbours);

	rlrec_sparse_save(by_history, prefix, tensors);
	rlrec_incidence_free(had);
	rlrec_sparse_free(neighbours);
	rlrec_sparse_free(by_history);
}

static bool
score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	int32		n = model->items.n;
	const int32 *offset = rlrec_model_data(model, "offset", RLREC_I32, (int64) n + 1);
	const int32 *item = rlrec_model_data(model, "item", RLREC_I32, offset[n]);
	const float *value = rlrec_model_data(model, "value", RLREC_F32, offset[n]);
	int32	   *had;
	int32		m = rlrec_history_distinct(model, history, &had, NULL);
	bool		any = false;

	memset(scores, 0, n * sizeof(float));
	for (int32 h = 0; h < m; h++)
	{
		for (int32 k = offset[had[h]]; k < offset[had[h] + 1]; k++)
			scores[item[k]] += value[k];
		any |= offset[had[h]] < offset[had[h] + 1];
	}
	if (any)
		rlrec_model_add_popularity(model, scores);
	return any;
}

/* The place of an item among n that ascend, by a search whose steps the processor need not guess; -1 when it is not there. */
static int32
find(const int32 *target, int32 n, int32 item)
{
	const int32 *from = target;

	if (n == 0)
		return -1;
	while (n > 1)
	{
		int32		half = n / 2;

		from += from[half] <= item ? half : 0;
		n -= half;
	}
	return *from == item ? (int32) (from - target) : -1;
}

/* Similarity is symmetric, so an item's are those that it keeps and those of the items that keep it. */
static void
similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores)
{
	int32		n_items = model->items.n;
	const int32 *offset = rlrec_model_data(model, "offset", RLREC_I32, (int64) n_items + 1);
	const int32 *target = rlrec_model_data(model, "item", RLREC_I32, offset[n_items]);
	const float *value = rlrec_model_data(model, "value", RLREC_F32, offset[n_items]);

	for (int32 i = 0; i < n; i++)
	{
		int32		other = others ? others[i] : i;
		int32		row = offset[item];
		int32		at = find(target + row, offset[item + 1] - row, other);

		if (at < 0)
		{
			row = offset[other];
			at = find(target + row, offset[other + 1] - row, item);
		}
		scores[i] = at < 0 ? 0 : value[row + at];
	}
}

const RlrecLearner rlrec_itemknn = {
	.name = "itemknn",
	.summary = "items had by the same users, nearest neighbours by cosine",
	.options = options,
	.obstacle = obstacle,
	.fit = fit,
	.score = score,
	.similar = similar
};
