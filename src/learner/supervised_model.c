/*
 * supervised_model.c
 *	  A trained next-item policy: its tensors, and serving from them.
 *
 * The tensors are `shape`, those of encoder/history.c by their names there, and the items' embeddings: `item_embedding` (items,d), or in
 * 8 bits `item_code` (items,d) and `item_scale` [items], of which tensor/quantize.h tells. A state is the encoder's after the last events;
 * an item's score is the product of the state and the item's embedding. The encoder reads the same embeddings as the score. Where items
 * have features, `feature_bucket` [features], ascending, and `feature_projection` (features,d) are what the embeddings have of them.
 * `training` is until when events were learned and what that came to.
 *
 * A policy that learned of rewards has n heads too (nn/head.h): `head_projection` (n d,d), `head_state` (2 n,d + 1), each head's level and
 * then its value, `head_bias` (n,items), and `head_weight` [1 + n], the weights in the score of the policy and of the heads. Its state is the
 * encoder's, blended by them, so that an item's score is the product with its embedding, plus its blended bias.
 */
#include "postgres.h"

#include <math.h>

#include "encoder/features.h"
#include "learner/check.h"
#include "learner/supervised_model.h"
#include "tensor/fused.h"
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
	SHAPE_GAPS,
	SHAPE_TYPES,
	SHAPE_TO_REQUEST,
	SHAPE_NUMBERS
};

/* The numbers in `training` */
enum
{
	TRAINING_UNTIL,				/* the time of the last event that was learned */
	TRAINING_EPOCH,				/* the best one */
	TRAINING_NDCG,				/* of its validation; -1 where there was none */
	TRAINING_NUMBERS
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
	int			n_heads;
	const float *blend;			/* [1 + n_heads] */
	const float *projection;	/* (n_heads d,d) */
	const float *bias;			/* (n_heads,n_items) */
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

static void
write_features(const RlrecSupervisedModel *model, const char *prefix, RlrecTensors *tensors)
{
	int			d = model->shape.dimension;

	if (model->n_features == 0)
		return;
	memcpy(rlrec_tensors_add(tensors, psprintf("%sfeature_bucket", prefix), RLREC_I32, 1, model->n_features, 0), model->bucket,
		   mul_size(model->n_features, sizeof(int32)));
	memcpy(rlrec_tensors_add(tensors, psprintf("%sfeature_projection", prefix), RLREC_F32, 2, model->n_features, d), model->projection,
		   mul_size(model->n_features, d * sizeof(float)));
}

static void
write_heads(const RlrecSupervisedModel *model, const char *prefix, RlrecTensors *tensors)
{
	int			n = model->n_heads;
	int			d = model->shape.dimension;
	float	   *projection;
	float	   *state;
	float	   *bias;

	if (n == 0)
		return;
	projection = rlrec_tensors_add(tensors, psprintf("%shead_projection", prefix), RLREC_F32, 2, n * d, d);
	state = rlrec_tensors_add(tensors, psprintf("%shead_state", prefix), RLREC_F32, 2, 2 * n, d + 1);
	bias = rlrec_tensors_add(tensors, psprintf("%shead_bias", prefix), RLREC_F32, 2, n, model->n_items);
	for (int k = 0; k < n; k++)
	{
		RlrecHead	head = rlrec_head_place(d, model->heads + k * rlrec_head_parameters(model->n_items, d));

		memcpy(projection + (Size) k * d * d, head.projection, (Size) d * d * sizeof(float));
		memcpy(state + (Size) 2 * k * (d + 1), head.level, 2 * (d + 1) * sizeof(float));
		memcpy(bias + (Size) k * model->n_items, head.bias, model->n_items * sizeof(float));
	}
	memcpy(rlrec_tensors_add(tensors, psprintf("%shead_weight", prefix), RLREC_F32, 1, 1 + n, 0), model->blend, (1 + n) * sizeof(float));
}

void
rlrec_supervised_write(const RlrecSupervisedModel *model, bool quantized, const char *prefix, RlrecTensors *tensors)
{
	const RlrecHistoryShape *shape = &model->shape;
	RlrecHistoryWeights weights = rlrec_history_place(shape, model->network);
	int32	   *numbers = rlrec_tensors_add(tensors, psprintf("%sshape", prefix), RLREC_I32, 1, SHAPE_NUMBERS, 0);
	double	   *training;

	numbers[SHAPE_LENGTH] = shape->length;
	numbers[SHAPE_DIMENSION] = shape->dimension;
	numbers[SHAPE_BLOCKS] = shape->blocks;
	numbers[SHAPE_HEADS] = shape->heads;
	numbers[SHAPE_HIDDEN] = shape->hidden;
	numbers[SHAPE_GATED] = shape->gated;
	numbers[SHAPE_GAPS] = shape->gaps;
	numbers[SHAPE_TYPES] = shape->types;
	numbers[SHAPE_TO_REQUEST] = model->to_request;
	training = rlrec_tensors_add(tensors, psprintf("%straining", prefix), RLREC_F64, 1, TRAINING_NUMBERS, 0);
	training[TRAINING_UNTIL] = (double) model->until;
	training[TRAINING_EPOCH] = model->epoch;
	training[TRAINING_NDCG] = isnan(model->ndcg) ? -1 : model->ndcg;
	write_items(model->n_items, shape->dimension, model->e, quantized, prefix, tensors);
	write_features(model, prefix, tensors);
	write_heads(model, prefix, tensors);
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
		numbers[SHAPE_HIDDEN], numbers[SHAPE_GATED] != 0, numbers[SHAPE_GAPS], numbers[SHAPE_TYPES], 0};
}

static bool
is_quantized(const RlrecModel *model)
{
	return rlrec_tensors_find(model->tensors, psprintf("%sitem_code", model->prefix)) != NULL;
}

static void
open_heads(const RlrecModel *model, Network *network)
{
	const RlrecTensor *weight = rlrec_tensors_find(model->tensors, psprintf("%shead_weight", model->prefix));
	int64		d = network->shape.dimension;

	if (weight == NULL)
		return;
	network->n_heads = (int) (rlrec_tensor_elements(weight) - 1);
	network->blend = weight->data;
	network->projection = rlrec_model_data(model, "head_projection", RLREC_F32, network->n_heads * d * d);
	network->bias = rlrec_model_data(model, "head_bias", RLREC_F32, (int64) network->n_heads * network->n_items);
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
	open_heads(model, network);
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

/* state[d] of the encoder becomes that of the policy and its heads. */
static void
blend_state(const Network *network, float *state)
{
	int			d = network->shape.dimension;
	float	   *own;
	float	   *part;

	if (network->n_heads == 0)
		return;
	own = palloc(d * sizeof(float));
	part = palloc(d * sizeof(float));
	memcpy(own, state, d * sizeof(float));
	rlrec_scale(d, network->blend[0], state);
	for (int k = 0; k < network->n_heads; k++)
	{
		if (network->blend[1 + k] == 0)
			continue;
		rlrec_matmul(1, d, d, own, d, network->projection + (size_t) k * d * d, d, part, d);
		rlrec_axpy(d, network->blend[1 + k], part, state);
	}
	pfree(own);
	pfree(part);
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

void
rlrec_supervised_describe(const RlrecModel *model, StringInfo json)
{
	const double *training = rlrec_model_data(model, "training", RLREC_F64, TRAINING_NUMBERS);
	const RlrecTensor *weight = rlrec_tensors_find(model->tensors, psprintf("%shead_weight", model->prefix));

	appendStringInfo(json, ", \"best_epoch\": %.0f", training[TRAINING_EPOCH]);
	if (training[TRAINING_NDCG] >= 0)
		appendStringInfo(json, ", \"best_ndcg\": %.4f", training[TRAINING_NDCG]);
	if (weight == NULL)
		return;
	appendStringInfo(json, ", \"weights\": [%g", ((const float *) weight->data)[0]);
	for (int64 k = 1; k < rlrec_tensor_elements(weight); k++)
		appendStringInfo(json, ", %g", ((const float *) weight->data)[k]);
	appendStringInfoChar(json, ']');
}

/* The heads as a training has them, palloc'd; NULL when there are none. */
static float *
read_heads(const RlrecModel *model, const Network *network)
{
	int			d = network->shape.dimension;
	size_t		n = rlrec_head_parameters(network->n_items, d);
	const float *state;
	float	   *heads;

	if (network->n_heads == 0)
		return NULL;
	state = rlrec_model_data(model, "head_state", RLREC_F32, (int64) 2 * network->n_heads * (d + 1));
	heads = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(network->n_heads, n * sizeof(float)));
	for (int k = 0; k < network->n_heads; k++)
	{
		RlrecHead	head = rlrec_head_place(d, heads + k * n);

		memcpy(head.projection, network->projection + (size_t) k * d * d, (size_t) d * d * sizeof(float));
		memcpy(head.level, state + (size_t) 2 * k * (d + 1), 2 * (d + 1) * sizeof(float));
		memcpy(head.bias, network->bias + (size_t) k * network->n_items, network->n_items * sizeof(float));
	}
	return heads;
}

RlrecNextItemStart
rlrec_supervised_start(const RlrecModel *model)
{
	const RlrecTensor *bucket = rlrec_tensors_find(model->tensors, psprintf("%sfeature_bucket", model->prefix));
	RlrecNextItemStart start;
	Network		network;
	float	   *parameters;
	float	   *e;

	memset(&start, 0, sizeof(start));
	open_encoder(model, &network);
	start.shape = network.shape;
	start.to_request = ((const int32 *) rlrec_model_data(model, "shape", RLREC_I32, SHAPE_NUMBERS))[SHAPE_TO_REQUEST] != 0;
	start.names.items = model->items;
	start.names.types = model->types;
	start.until = (int64) ((const double *) rlrec_model_data(model, "training", RLREC_F64, TRAINING_NUMBERS))[TRAINING_UNTIL];
	if (bucket != NULL)
	{
		start.names.n_features = (int32) rlrec_tensor_elements(bucket);
		start.names.bucket = bucket->data;
		start.projection = rlrec_model_data(model, "feature_projection", RLREC_F32,
											(int64) start.names.n_features * network.shape.dimension);
	}
	e = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(network.n_items, network.shape.dimension * sizeof(float)));
	for (int32 i = 0; i < network.n_items; i++)
		read_item(&network, i, e + (size_t) i * network.shape.dimension);
	start.e = e;

	start.n_heads = network.n_heads;
	start.blend = network.n_heads > 0 ? network.blend + 1 : NULL;
	start.heads = read_heads(model, &network);
	parameters = palloc_extended(rlrec_history_parameters(&network.shape) * sizeof(float), MCXT_ALLOC_HUGE);
	start.network = parameters;
	for (int t = 0; t < rlrec_history_tensors(&network.shape); t++)
	{
		char		name[64];
		int			rows;
		int			columns;

		rlrec_history_describe(&network.shape, t, name, &rows, &columns);
		if (rows > 0)
			memcpy(parameters, network.weights.tensor[t], (Size) rows * columns * sizeof(float));
		parameters += (Size) rows * columns;
	}
	return start;
}

int
rlrec_supervised_dimension(const RlrecModel *model)
{
	return read_shape(model).dimension;
}

/* The last n events of a history, the items being rows 0 .. n - 1 of their own; each array palloc'd */
static RlrecHistoryEvents
last_events(const RlrecModel *model, const RlrecHistory *history, int n)
{
	const int32 *numbers = rlrec_model_data(model, "shape", RLREC_I32, SHAPE_NUMBERS);
	int32	   *row = palloc(n * sizeof(int32));
	uint8	   *gap = palloc(history->n);
	uint8	   *type = palloc0(n);

	for (int i = 0; i < n; i++)
		row[i] = i;
	rlrec_history_gaps(history->n, history->time, numbers[SHAPE_TO_REQUEST] != 0, history->now, gap);
	memmove(gap, gap + history->n - n, n);
	if (history->type != NULL)
		memcpy(type, history->type + history->n - n, n);
	return (RlrecHistoryEvents) {row, gap, type};
}

bool
rlrec_supervised_encode(const RlrecModel *model, const RlrecHistory *history, float *state)
{
	Network		network;
	int			n;
	int			d;
	float	   *rows;			/* (n,d) of the last n events' items */
	float	   *scratch;
	RlrecHistoryEvents events;

	if (history->n == 0)
		return false;
	open_encoder(model, &network);
	n = Min(history->n, network.shape.length);
	d = network.shape.dimension;
	rows = palloc_extended((Size) n * d * sizeof(float), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		read_item(&network, history->item[history->n - n + i], rows + (size_t) i * d);
	events = last_events(model, history, n);
	scratch = palloc_extended(rlrec_history_scratch(&network.shape, n) * sizeof(float), MCXT_ALLOC_HUGE);
	rlrec_history_state(&network.shape, &network.weights, rows, n, &events, state, scratch);
	blend_state(&network, state);
	pfree(scratch);
	pfree(rows);
	return true;
}

void
rlrec_supervised_blend(const RlrecModel *model, float *state)
{
	Network		network;

	open_items(model, &network);
	blend_state(&network, state);
}

void
rlrec_supervised_decode(const RlrecModel *model, const float *state, float *scores)
{
	Network		network;

	open_items(model, &network);
	score_items(&network, state, scores);
	for (int k = 0; k < network.n_heads; k++)
		if (network.blend[1 + k] != 0)
			rlrec_axpy(network.n_items, network.blend[1 + k], network.bias + (size_t) k * network.n_items, scores);
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
rlrec_supervised_similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores)
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
	for (int32 i = 0; i < n; i++)
	{
		read_item(&network, others ? others[i] : i, other);
		scores[i] = rlrec_dot(d, own, other) / sqrtf(Max(square * rlrec_dot(d, other, other), 1e-30f));
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
	if (numbers[SHAPE_GAPS] != 0 && numbers[SHAPE_GAPS] != RLREC_HISTORY_GAPS)
		rlrec_check_failed(model->learner, "It has %d gaps of time instead of 0 or %d.", numbers[SHAPE_GAPS], RLREC_HISTORY_GAPS);
	if (numbers[SHAPE_TYPES] != 0 && numbers[SHAPE_TYPES] != model->types.n + 1)
		rlrec_check_failed(model->learner, "It has %d types of events instead of 0 or %d.", numbers[SHAPE_TYPES], model->types.n + 1);
	if (numbers[SHAPE_DIMENSION] % numbers[SHAPE_HEADS] != 0)
		rlrec_check_failed(model->learner, "It has %d heads, which do not divide its dimension, %d.", numbers[SHAPE_HEADS],
						   numbers[SHAPE_DIMENSION]);
}

/* Returns how many tensors they are. */
static int
check_features(const RlrecModel *model, int d)
{
	const RlrecTensor *tensor = rlrec_tensors_find(model->tensors, psprintf("%sfeature_bucket", model->prefix));
	const int32 *bucket;
	int64		n;

	if (tensor == NULL)
		return 0;
	bucket = rlrec_check_vector(model, "feature_bucket", RLREC_I32, -1);
	n = rlrec_tensor_elements(tensor);
	for (int64 f = 0; f < n; f++)
		if (bucket[f] < 0 || bucket[f] >= RLREC_FEATURE_BUCKETS || (f > 0 && bucket[f] <= bucket[f - 1]))
			rlrec_check_failed(model->learner, "Element %lld of tensor \"feature_bucket\" is no bucket, or not above the one before it.",
							   (long long) f);
	rlrec_check_matrix(model, "feature_projection", RLREC_F32, n, d);
	return 2;
}

/* Returns how many tensors they are. */
static int
check_heads(const RlrecModel *model, int d)
{
	const RlrecTensor *tensor = rlrec_tensors_find(model->tensors, psprintf("%shead_weight", model->prefix));
	int64		n;

	if (tensor == NULL)
		return 0;
	rlrec_check_vector(model, "head_weight", RLREC_F32, -1);
	n = rlrec_tensor_elements(tensor) - 1;
	if (n < 1 || n > RLREC_MAX_HEADS + 1)
		rlrec_check_failed(model->learner, "Tensor \"head_weight\" is for %lld heads instead of 1 to %d.", (long long) n, RLREC_MAX_HEADS + 1);
	rlrec_check_matrix(model, "head_projection", RLREC_F32, n * d, d);
	rlrec_check_matrix(model, "head_state", RLREC_F32, 2 * n, d + 1);
	rlrec_check_matrix(model, "head_bias", RLREC_F32, n, model->items.n);
	return 4;
}

int
rlrec_supervised_check(const RlrecModel *model)
{
	RlrecHistoryShape shape;
	const double *training;
	int			n = 3;			/* the shape, the training and the items */

	check_shape(model);
	training = rlrec_check_vector(model, "training", RLREC_F64, TRAINING_NUMBERS);
	if (!(training[TRAINING_UNTIL] >= (double) PG_INT64_MIN && training[TRAINING_UNTIL] < -(double) PG_INT64_MIN) ||
		!(training[TRAINING_EPOCH] >= 0 && training[TRAINING_EPOCH] <= PG_INT32_MAX) || !(fabs(training[TRAINING_NDCG]) <= 1))
		rlrec_check_failed(model->learner, "Tensor \"training\" is not a time, an epoch and an NDCG.");
	shape = read_shape(model);
	if (is_quantized(model))
	{
		rlrec_check_matrix(model, "item_code", RLREC_I8, model->items.n, shape.dimension);
		rlrec_check_vector(model, "item_scale", RLREC_F32, model->items.n);
		n++;
	}
	else
		rlrec_check_matrix(model, "item_embedding", RLREC_F32, model->items.n, shape.dimension);
	n += check_features(model, shape.dimension);
	n += check_heads(model, shape.dimension);
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
