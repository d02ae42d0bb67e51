/*
 * als.c
 *	  Implicit matrix factorisation by alternating least squares (Hu, Koren, Volinsky 2008; regularised as in Rendle, Krichene, Zhang,
 *	  Koren 2021, "Revisiting the Performance of iALS on Item Recommendation Benchmarks").
 *
 * User u has item i (p_ui = 1) with confidence c_ui = 1 + confidence * r_ui, r_ui the sum of the pair's rewards; else p_ui = 0 and
 * c_ui = 1. Minimised over the rows x_u and y_i of f factors each:
 *		sum_ui c_ui (p_ui - x_u . y_i)^2 + regularization * (sum_u C_u |x_u|^2 + sum_i C_i |y_i|^2)
 * where C_u is the sum of c_ui over all items, C_i over all users. Given Y, a user's row solves
 *		(Y^T Y + sum_i (c_ui - 1) y_i y_i^T + regularization * C_u I) x_u = sum_i c_ui p_ui y_i
 * and serving solves it anew for the history as it is then; only item factors and Y^T Y are kept.
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "miscadmin.h"

#include "data/sparse.h"
#include "learner/learner.h"
#include "tensor/blas.h"
#include "tensor/kernels.h"

/* Rows gathered for one product. */
#define CHUNK 1024

static const RlrecOption options[] = {
	{"factors", RLREC_OPTION_INT, 64, 1, 1024, "numbers that describe a user and an item"},
	{"iterations", RLREC_OPTION_INT, 15, 1, 1000, "rounds of alternation"},
	{"regularization", RLREC_OPTION_REAL, 0.001, 1e-9, 1e9, "weight of the squared factors, times the confidence of their row"},
	{"confidence", RLREC_OPTION_REAL, 1, 0, 1e9, "what a reward of 1 adds to the confidence, 1, that an item not had is not liked"},
	{"seed", RLREC_OPTION_INT, 1, 0, PG_INT32_MAX, "of the random first factors"},
	{NULL}
};

typedef struct Als
{
	int			f;
	float		regularization;
	float		confidence;
	float	   *gram;			/* (f,f) lower triangle of fixed^T fixed */
	float	   *matrix;			/* (f,f) of one row's system */
	float	   *chunk;			/* (CHUNK,f) */
} Als;

/* The factors of both sides, and who had what both ways: at most a column, a row and a reward an event. */
static const char *
obstacle(const RlrecFit *data)
{
	const RlrecEvents *events = data->events;
	int			f = rlrec_option_int(data->options, options, "factors");
	Size		n = 0;
	Size		need;

	for (int32 u = 0; u < events->users.n; u++)
		n += events->end[u] - events->start[u];
	need = add_size(mul_size((Size) events->users.n + events->items.n, f * sizeof(float)),
					mul_size(n, 2 * (sizeof(int32) + sizeof(float))));
	if (need <= data->budget)
		return NULL;
	return psprintf("the factors of %d users and %d items need %zu MB, and maintenance_work_mem allows %zu MB",
					events->users.n, events->items.n, need / (1024 * 1024) + 1, data->budget / (1024 * 1024));
}

/* Solves row r of the sparse rewards: (f) to x. fixed (n_columns,f) are the factors of the other side. */
static void
solve_row(const Als *als, const RlrecSparse *rewards, int32 r, const float *fixed, float *x)
{
	int			f = als->f;
	int64		begin = rewards->start[r];
	int64		end = rewards->start[r + 1];
	double		total = rewards->n_columns; /* C_u */

	memset(x, 0, f * sizeof(float));
	if (begin == end)
		return;
	memcpy(als->matrix, als->gram, (size_t) f * f * sizeof(float));
	for (int64 at = begin; at < end; at += CHUNK)
	{
		int			rows = (int) Min(CHUNK, end - at);

		for (int k = 0; k < rows; k++)
		{
			const float *y = fixed + (size_t) rewards->column[at + k] * f;
			float		extra = als->confidence * rewards->value[at + k];
			float		root = sqrtf(extra);
			float	   *to = als->chunk + (size_t) k * f;

			for (int d = 0; d < f; d++)
				to[d] = root * y[d];
			rlrec_axpy(f, 1 + extra, y, x);
			total += extra;
		}
		rlrec_syrk(f, rows, 1, als->chunk, f, 1, als->matrix, f);
	}
	for (int d = 0; d < f; d++)
		als->matrix[(size_t) d * f + d] += (float) (als->regularization * total);
	if (!rlrec_solve(f, als->matrix, f, x))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("learner \"als\" cannot solve for its factors"),
				 errdetail("With regularization = %g the matrix is not positive definite in single precision.",
						   als->regularization),
				 errhint("Raise option \"regularization\".")));
}

/* One half of a round: solves for one side's factors, (n_rows,f), given the other's, (n_columns,f). */
static void
solve_side(const Als *als, const RlrecSparse *rewards, const float *fixed, float *solved, int64 done, int64 total)
{
	rlrec_syrk(als->f, rewards->n_columns, 1, fixed, als->f, 0, als->gram, als->f);
	for (int32 r = 0; r < rewards->n_rows; r++)
	{
		CHECK_FOR_INTERRUPTS();
		solve_row(als, rewards, r, fixed, solved + (size_t) r * als->f);
		if (r % 64 == 0)
			rlrec_progress("alternating least squares", done + r, total);
	}
}

static void
initialize(pg_prng_state *random, int32 n, int f, float *factors)
{
	double		width = 0.2 / sqrt(f);

	for (int32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int d = 0; d < f; d++)
			*factors++ = (float) (width * (pg_prng_double(random) - 0.5));
	}
}

static void
fit(const RlrecFit *data, const char *prefix, RlrecTensors *tensors)
{
	int32		n_items = data->events->items.n;
	int32		n_users = data->events->users.n;
	int			f = rlrec_option_int(data->options, options, "factors");
	int			iterations = rlrec_option_int(data->options, options, "iterations");
	int64		round = (int64) n_users + n_items;
	float	   *parameters = rlrec_tensors_add(tensors, psprintf("%sparameters", prefix), RLREC_F32, 1, 3, 0);
	float	   *items = rlrec_tensors_add(tensors, psprintf("%sitem_factors", prefix), RLREC_F32, 2, n_items, f);
	float	   *users = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(mul_size(n_users, f), sizeof(float)));
	RlrecIncidence had = rlrec_incidence_build(data->events, true);
	pg_prng_state random;
	Als			als;

	parameters[0] = als.regularization = (float) rlrec_option_real(data->options, options, "regularization");
	parameters[1] = als.confidence = (float) rlrec_option_real(data->options, options, "confidence");
	parameters[2] = als.f = f;
	als.gram = rlrec_tensors_add(tensors, psprintf("%sgram", prefix), RLREC_F32, 2, f, f);
	als.matrix = palloc((size_t) f * f * sizeof(float));
	als.chunk = palloc((size_t) CHUNK * f * sizeof(float));
	pg_prng_seed(&random, rlrec_option_int(data->options, options, "seed"));
	initialize(&random, n_items, f, items);
	for (int i = 0; i < iterations; i++)
	{
		solve_side(&als, had.users, items, users, i * round, iterations * round);
		solve_side(&als, had.items, users, items, i * round + n_users, iterations * round);
	}
	rlrec_syrk(f, n_items, 1, items, f, 0, als.gram, f);
	rlrec_incidence_free(had);
	pfree(users);
	pfree(als.matrix);
	pfree(als.chunk);
}

/* What serving reads of a model. */
typedef struct Fitted
{
	float		regularization;
	float		confidence;
	int			f;
	const float *items;			/* (items.n,f) */
	const float *gram;			/* (f,f) lower triangle */
} Fitted;

static Fitted
open_model(const RlrecModel *model)
{
	const float *parameters = rlrec_model_data(model, "parameters", RLREC_F32, 3);
	Fitted		fitted;

	fitted.regularization = parameters[0];
	fitted.confidence = parameters[1];
	fitted.f = (int) parameters[2];
	fitted.items = rlrec_model_data(model, "item_factors", RLREC_F32, (int64) model->items.n * fitted.f);
	fitted.gram = rlrec_model_data(model, "gram", RLREC_F32, (int64) fitted.f * fitted.f);
	return fitted;
}

/* Like solve_row() for the history's row, with the kernels of serving: x (f). Returns false when the history says nothing. */
static bool
fold_in(const RlrecModel *model, const Fitted *fitted, const RlrecHistory *history, float *x)
{
	int			f = fitted->f;
	float	   *matrix = palloc((size_t) f * f * sizeof(float));
	double		total = model->items.n;
	int32	   *had;
	float	   *reward;
	int32		m = rlrec_history_distinct(model, history, &had, &reward);

	memcpy(matrix, fitted->gram, (size_t) f * f * sizeof(float));
	memset(x, 0, f * sizeof(float));
	for (int32 h = 0; h < m; h++)
	{
		const float *y = fitted->items + (size_t) had[h] * f;
		float		extra = fitted->confidence * reward[h];

		CHECK_FOR_INTERRUPTS();
		for (int d = 0; d < f; d++)
			rlrec_axpy(d + 1, extra * y[d], y, matrix + (size_t) d * f);
		rlrec_axpy(f, 1 + extra, y, x);
		total += extra;
	}
	for (int d = 0; d < f; d++)
		matrix[(size_t) d * f + d] += (float) (fitted->regularization * total);
	return m > 0 && rlrec_cholesky_solve(f, matrix, x);
}

static bool
score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	Fitted		fitted = open_model(model);
	float	   *x = palloc(fitted.f * sizeof(float));

	if (!fold_in(model, &fitted, history, x))
		return false;
	rlrec_gemv(model->items.n, fitted.f, fitted.items, x, scores);
	return true;
}

/* Cosine of the items' factors. */
static void
similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores)
{
	Fitted		fitted = open_model(model);
	int			f = fitted.f;
	const float *y = fitted.items + (size_t) item * f;
	float		length = sqrtf(rlrec_dot(f, y, y));

	for (int32 i = 0; i < n; i++)
	{
		const float *other = fitted.items + (size_t) (others ? others[i] : i) * f;
		float		lengths = length * sqrtf(rlrec_dot(f, other, other));

		scores[i] = lengths > 0 ? rlrec_dot(f, y, other) / lengths : 0;
	}
}

const RlrecLearner rlrec_als = {
	.name = "als",
	.summary = "implicit matrix factorisation by alternating least squares",
	.options = options,
	.obstacle = obstacle,
	.fit = fit,
	.score = score,
	.similar = similar
};
