/*
 * supervised_model.c
 *	  A trained next-item policy: its tensors, and serving from them.
 *
 * The tensors are `shape`, those of encoder/history.c by their names there, and the items' embeddings: `item_embedding` (items,d), or in
 * 8 bits `item_code` (items,d) and `item_scale` [items], of which tensor/quantize.h tells. A state is the encoder's after the last events;
 * an item's score is the product of the state and the item's embedding. The encoder reads the same embeddings as the score.
 */
#include "postgres.h"

#include <math.h>

#include "learner/check.h"
#include "learner/supervised_model.h"
#include "tensor/kernels.h"
#include "tensor/quantize.h"

/* The numbers in `shape` */
enum
{
	SHAPE_LENGTH,
	SHAPE_DIMENSION,
	SHAPE_BLOCKS,
	SHAPE_HEADS,
	SHAPE_HIDDEN,
	SHAPE_GATED,
	SHAPE_NUMBERS
};

/* What serving reads; the weights are not written to. */
typedef struct Network
{
	RlrecHistoryShape shape;
	RlrecHistoryWeights weights;
	int32		n_items;
	const float *e;				/* (n_items,d); NULL when in 8 bits: */
	const int8 *code;			/* (n_items,d) */
	const float *scale;			/* [n_items] */
} Network;

static void
write_items(int32 n, int d, const float *e, bool quantized, const char *prefix, RlrecTensors *tensors)
{
	int8	   *code;

	if (!quantized)
	{
		memcpy(rlrec_tensors_add(tensors, psprintf("%sitem_embedding", prefix), RLREC_F32, 2, n, d), e, mul_size(n, d * sizeof(float)));
		return;
	}
	code = rlrec_tensors_add(tensors, psprintf("%sitem_code", prefix), RLREC_I8, 2, n, d);
	rlrec_quantize_rows(n, d, e, code, rlrec_tensors_add(tensors, psprintf("%sitem_scale", prefix), RLREC_F32, 1, n, 0));
}

void
rlrec_supervised_write(const RlrecHistoryShape *shape, float *parameters, int32 n_items, const float *e, bool quantized,
					   const char *prefix, RlrecTensors *tensors)
{
	RlrecHistoryWeights weights = rlrec_history_place(shape, parameters);
	int32	   *numbers = rlrec_tensors_add(tensors, psprintf("%sshape", prefix), RLREC_I32, 1, SHAPE_NUMBERS, 0);

	numbers[SHAPE_LENGTH] = shape->length;
	numbers[SHAPE_DIMENSION] = shape->dimension;
	numbers[SHAPE_BLOCKS] = shape->blocks;
	numbers[SHAPE_HEADS] = shape->heads;
	numbers[SHAPE_HIDDEN] = shape->hidden;
	numbers[SHAPE_GATED] = shape->gated;
	write_items(n_items, shape->dimension, e, quantized, prefix, tensors);
	for (int t = 0; t < rlrec_history_tensors(shape); t++)
	{
		char		name[64];
		int			rows;
		int			columns;

		rlrec_history_describe(shape, t, name, &rows, &columns);
		if (rows > 0)
			memcpy(rlrec_tensors_add(tensors, psprintf("%s%s", prefix, name), RLREC_F32, 2, rows, columns), weights.tensor[t],
				   (Size) rows * columns * sizeof(float));
	}
}

static RlrecHistoryShape
read_shape(const RlrecModel *model)
{
	const int32 *numbers = rlrec_model_data(model, "shape", RLREC_I32, SHAPE_NUMBERS);

	if (numbers[SHAPE_BLOCKS] > RLREC_HISTORY_MAX_BLOCKS)
		elog(ERROR, "model of learner \"supervised\" has %d blocks", numbers[SHAPE_BLOCKS]);
	return (RlrecHistoryShape) {numbers[SHAPE_LENGTH], numbers[SHAPE_DIMENSION], numbers[SHAPE_BLOCKS], numbers[SHAPE_HEADS],
		numbers[SHAPE_HIDDEN], numbers[SHAPE_GATED] != 0, 0};
}

static bool
is_quantized(const RlrecModel *model)
{
	return rlrec_tensors_find(model->tensors, psprintf("%sitem_code", model->prefix)) != NULL;
}

static void
open_items(const RlrecModel *model, Network *network)
{
	int64		numbers;

	memset(network, 0, sizeof(*network));
	network->shape = read_shape(model);
	network->n_items = model->items.n;
	numbers = (int64) model->items.n * network->shape.dimension;
	if (is_quantized(model))
	{
		network->code = rlrec_model_data(model, "item_code", RLREC_I8, numbers);
		network->scale = rlrec_model_data(model, "item_scale", RLREC_F32, model->items.n);
	}
	else
		network->e = rlrec_model_data(model, "item_embedding", RLREC_F32, numbers);
}

static void
open_encoder(const RlrecModel *model, Network *network)
{
	open_items(model, network);
	for (int t = 0; t < rlrec_history_tensors(&network->shape); t++)
	{
		char		name[64];
		int			rows;
		int			columns;

		rlrec_history_describe(&network->shape, t, name, &rows, &columns);
		network->weights.tensor[t] = rows == 0 ? NULL :
			unconstify(float *, (const float *) rlrec_model_data(model, name, RLREC_F32, (int64) rows * columns));
	}
}

/* scores[n_items]: the products of x[d] and each item's embedding */
static void
score_items(const Network *network, const float *x, float *scores)
{
	if (network->e != NULL)
		rlrec_gemv(network->n_items, network->shape.dimension, network->e, x, scores);
	else
		rlrec_gemv_int8(network->n_items, network->shape.dimension, network->code, network->scale, x, scores);
}

/* row[d]: an item's embedding */
static void
read_item(const Network *network, int32 item, float *row)
{
	int			d = network->shape.dimension;
	size_t		start = (size_t) item * d;

	if (network->e != NULL)
		memcpy(row, network->e + start, d * sizeof(float));
	else
		for (int j = 0; j < d; j++)
			row[j] = network->scale[item] * network->code[start + j];
}

int
rlrec_supervised_dimension(const RlrecModel *model)
{
	return read_shape(model).dimension;
}

bool
rlrec_supervised_encode(const RlrecModel *model, const RlrecHistory *history, float *state)
{
	Network		network;
	int			n;
	int			d;
	int32	   *place;
	float	   *rows;			/* (n,d) of the last n events' items */
	float	   *scratch;

	if (history->n == 0)
		return false;
	open_encoder(model, &network);
	n = Min(history->n, network.shape.length);
	d = network.shape.dimension;
	place = palloc(n * sizeof(int32));
	rows = palloc_extended((Size) n * d * sizeof(float), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		place[i] = i;
		read_item(&network, history->item[history->n - n + i], rows + (size_t) i * d);
	}
	scratch = palloc_extended(rlrec_history_scratch(&network.shape, n) * sizeof(float), MCXT_ALLOC_HUGE);
	rlrec_history_state(&network.shape, &network.weights, rows, n, place, state, scratch);
	pfree(scratch);
	pfree(rows);
	pfree(place);
	return true;
}

void
rlrec_supervised_decode(const RlrecModel *model, const float *state, float *scores)
{
	Network		network;

	open_items(model, &network);
	score_items(&network, state, scores);
}

bool
rlrec_supervised_score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	float	   *state = palloc(rlrec_supervised_dimension(model) * sizeof(float));
	bool		known = rlrec_supervised_encode(model, history, state);

	if (known)
		rlrec_supervised_decode(model, state, scores);
	pfree(state);
	return known;
}

/* Cosine of the embeddings */
void
rlrec_supervised_similar(const RlrecModel *model, int32 item, float *scores)
{
	Network		network;
	int			d;
	float	   *own;
	float	   *other;
	float		square;

	open_items(model, &network);
	d = network.shape.dimension;
	own = palloc(d * sizeof(float));
	other = palloc(d * sizeof(float));
	read_item(&network, item, own);
	square = rlrec_dot(d, own, own);
	score_items(&network, own, scores);
	for (int32 i = 0; i < network.n_items; i++)
	{
		read_item(&network, i, other);
		scores[i] /= sqrtf(Max(square * rlrec_dot(d, other, other), 1e-30f));
	}
	pfree(own);
	pfree(other);
}

static void
check_shape(const RlrecModel *model)
{
	const int32 *numbers = rlrec_check_vector(model, "shape", RLREC_I32, SHAPE_NUMBERS);

	rlrec_check_option(model, "length", numbers[SHAPE_LENGTH]);
	rlrec_check_option(model, "dimension", numbers[SHAPE_DIMENSION]);
	rlrec_check_option(model, "blocks", numbers[SHAPE_BLOCKS]);
	rlrec_check_option(model, "heads", numbers[SHAPE_HEADS]);
	rlrec_check_option(model, "hidden", numbers[SHAPE_HIDDEN]);
	rlrec_check_option(model, "gates", numbers[SHAPE_GATED]);
	if (numbers[SHAPE_DIMENSION] % numbers[SHAPE_HEADS] != 0)
		rlrec_check_failed(model->learner, "It has %d heads, which do not divide its dimension, %d.", numbers[SHAPE_HEADS],
						   numbers[SHAPE_DIMENSION]);
}

int
rlrec_supervised_check(const RlrecModel *model)
{
	RlrecHistoryShape shape;
	int			n = 2;			/* the shape and the items */

	check_shape(model);
	shape = read_shape(model);
	if (is_quantized(model))
	{
		rlrec_check_matrix(model, "item_code", RLREC_I8, model->items.n, shape.dimension);
		rlrec_check_vector(model, "item_scale", RLREC_F32, model->items.n);
		n++;
	}
	else
		rlrec_check_matrix(model, "item_embedding", RLREC_F32, model->items.n, shape.dimension);
	for (int t = 0; t < rlrec_history_tensors(&shape); t++)
	{
		char		name[64];
		int			rows;
		int			columns;

		rlrec_history_describe(&shape, t, name, &rows, &columns);
		if (rows == 0)
			continue;
		rlrec_check_matrix(model, name, RLREC_F32, rows, columns);
		n++;
	}
	return n;
}
