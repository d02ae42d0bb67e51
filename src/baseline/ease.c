/*
 * ease.c
 *	  Embarrassingly shallow autoencoder (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", eq. 8).
 *
 * The items x items matrix B with zero diagonal that best reconstructs X, users x items, from itself, in closed form:
 *		G = X^T X,  P = (G + l2 I)^-1,  B_ij = -P_ij / P_jj,  score = x B.
 *
 * G, P and B are one n x n float32 matrix, the model's tensor, computed in place: 4 n^2 bytes and little else.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "data/sparse.h"
#include "learner/learner.h"
#include "tensor/blas.h"
#include "tensor/kernels.h"

/* Rows and columns of a tile of B: two fit the first cache. */
#define TILE 32

static const RlrecOption options[] = {
	{"l2", RLREC_OPTION_REAL, 500, 1e-6, 1e9, "weight of the squared entries of the matrix"},
	{NULL}
};

static const char *
obstacle(const RlrecFit *data)
{
	Size		n = data->events->items.n;
	Size		need = mul_size(mul_size(n, n), sizeof(float));

	if (need <= data->budget)
		return NULL;
	return psprintf("the Gram matrix of %zu items needs %zu MB, and maintenance_work_mem allows %zu MB",
					n, need / (1024 * 1024) + 1, data->budget / (1024 * 1024));
}

/* The lower triangle of g (n,n), zero on entry, becomes that of X^T X. */
static void
count_common(const RlrecIncidence *had, float *g)
{
	int32		n = had->items->n_rows;

	for (int32 i = 0; i < n; i++)
	{
		float	   *row = g + (size_t) i * n;

		for (int64 k = had->items->start[i]; k < had->items->start[i + 1]; k++)
		{
			const int32 *j = had->users->column + had->users->start[had->items->column[k]];

			CHECK_FOR_INTERRUPTS();
			while (*j < i)		/* ascending, and i is among them */
				row[*j++] += 1;
		}
		row[i] = (float) (had->items->start[i + 1] - had->items->start[i]);
		if (i % 64 == 0)
			rlrec_progress("Gram matrix", i, n);
	}
}

/* From the lower triangle of P (n,n) to B, in place. */
static void
divide_by_diagonal(int32 n, float *p)
{
	float	   *scale = palloc_extended((Size) n * sizeof(float), MCXT_ALLOC_HUGE);

	for (int32 i = 0; i < n; i++)
	{
		float	   *diagonal = &p[(size_t) i * n + i];

		scale[i] = -1 / *diagonal;
		*diagonal = 0;
	}
	for (int32 ti = 0; ti < n; ti += TILE)
	{
		CHECK_FOR_INTERRUPTS();
		for (int32 tj = 0; tj <= ti; tj += TILE)
			for (int32 i = ti; i < Min(ti + TILE, n); i++)
				for (int32 j = tj; j < Min(tj + TILE, i); j++)
				{
					float		value = p[(size_t) i * n + j];

					p[(size_t) i * n + j] = value * scale[j];
					p[(size_t) j * n + i] = value * scale[i];
				}
	}
	pfree(scale);
}

static void
report(int64 done, int64 total)
{
	rlrec_progress("inverse of the Gram matrix", done, total);
}

static void
fit(const RlrecFit *data, const char *prefix, RlrecTensors *tensors)
{
	int32		n = data->events->items.n;
	float		l2 = (float) rlrec_option_real(data->options, options, "l2");
	RlrecIncidence had = rlrec_incidence_build(data->events, false);
	float	   *b = rlrec_tensors_add(tensors, psprintf("%sweights", prefix), RLREC_F32, 2, n, n);

	count_common(&had, b);
	rlrec_incidence_free(had);
	for (int32 i = 0; i < n; i++)
		b[(size_t) i * n + i] += l2;
	if (!rlrec_invert(n, b, n, report))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("learner \"ease\" cannot invert its matrix"),
				 errdetail("With l2 = %g the matrix is not positive definite in single precision.", l2),
				 errhint("Raise option \"l2\".")));
	divide_by_diagonal(n, b);
}

static bool
score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	int32		n = model->items.n;
	const float *b = rlrec_model_data(model, "weights", RLREC_F32, (int64) n * n);
	int32	   *had;
	int32		m = rlrec_history_distinct(model, history, &had, NULL);

	memset(scores, 0, n * sizeof(float));
	for (int32 h = 0; h < m; h++)
	{
		CHECK_FOR_INTERRUPTS();
		rlrec_axpy(n, 1, b + (size_t) had[h] * n, scores);
	}
	return m > 0;
}

/* What having this item alone says of the others. */
static void
similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores)
{
	int64		n_items = model->items.n;
	const float *row = (const float *) rlrec_model_data(model, "weights", RLREC_F32, n_items * n_items) + item * n_items;

	for (int32 i = 0; i < n; i++)
		scores[i] = row[others ? others[i] : i];
}

const RlrecLearner rlrec_ease = {
	.name = "ease",
	.summary = "linear autoencoder over items in closed form",
	.options = options,
	.obstacle = obstacle,
	.fit = fit,
	.score = score,
	.similar = similar
};
