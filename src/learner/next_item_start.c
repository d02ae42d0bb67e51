/*
 * next_item_start.c
 *	  Where a training starts: from the weights of an earlier one, or from where an interrupted one was.
 *
 * Rows of parameters are carried over by name: items by id, features by bucket, types of events by name. What the earlier training did
 * not know keeps its random start. A checkpoint of the same events and options goes on to the same weights, bit for bit, as if nothing
 * had happened; where the events have changed, its best weights are judged again.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "learner/trainer.h"

/* Of each row here, the row there; -1 for none */
typedef struct Carry
{
	const RlrecNextItemNames *from;
	int32	   *item;			/* [n_items] */
	int32	   *feature;		/* [n_features] */
} Carry;

/* A vector of parameters, there */
typedef struct Vector
{
	const float *table;
	const float *projection;
	const float *network;
	int			n_heads;
	const float *heads;
} Vector;

bool
rlrec_next_item_can_start(const RlrecHistoryShape *a, const RlrecHistoryShape *b)
{
	return a->length == b->length && a->dimension == b->dimension && a->blocks == b->blocks && a->heads == b->heads &&
		a->hidden == b->hidden && a->gated == b->gated && a->gaps == b->gaps;
}

static Carry
carry_begin(const RlrecTrainer *t, const RlrecNextItemNames *from)
{
	const RlrecNextItemNames *names = &t->data->names;
	Carry		carry = {from, NULL, NULL};
	int32		there = 0;

	carry.item = MemoryContextAllocHuge(CurrentMemoryContext, Max(names->items.n, 1) * sizeof(int32));
	carry.feature = MemoryContextAllocHuge(CurrentMemoryContext, Max(names->n_features, 1) * sizeof(int32));
	for (int32 i = 0; i < names->items.n; i++)
	{
		int32		start = names->items.offset[i];

		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		carry.item[i] = rlrec_dictionary_find(&from->items, names->items.bytes + start, names->items.offset[i + 1] - start);
	}
	for (int32 f = 0; f < names->n_features; f++)
	{
		while (there < from->n_features && from->bucket[there] < names->bucket[f])
			there++;
		carry.feature[f] = there < from->n_features && from->bucket[there] == names->bucket[f] ? there : -1;
	}
	return carry;
}

static void
carry_end(Carry *carry)
{
	pfree(carry->item);
	pfree(carry->feature);
}

static void
carry_rows(int32 n, int d, const int32 *row, const float *from, real *to)
{
	for (int32 i = 0; i < n; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		if (row[i] >= 0)
			memcpy(to + (size_t) i * d, from + (size_t) row[i] * d, d * sizeof(real));
	}
}

/* Types are the last tensor of the network: all before them lies at the same place here and there. */
static void
carry_types(const RlrecTrainer *t, const RlrecNextItemNames *from, int there, const float *network, real *to)
{
	const RlrecDictionary *types = &t->data->names.types;
	int			d = t->config->shape.dimension;

	if (t->config->shape.types == 0 || there == 0)
		return;
	memcpy(to, network, d * sizeof(real));
	for (int32 k = 0; k < types->n; k++)
	{
		int32		start = types->offset[k];
		int32		row = rlrec_dictionary_find(&from->types, types->bytes + start, types->offset[k + 1] - start);

		if (row >= 0)
			memcpy(to + (size_t) (k + 1) * d, network + (size_t) (row + 1) * d, d * sizeof(real));
	}
}

/* Heads are carried over where there are as many. */
static void
carry_heads(const RlrecTrainer *t, const Carry *carry, const Vector *from, real *to)
{
	int			d = t->config->shape.dimension;
	size_t		fixed = rlrec_head_fixed(d);
	int			n = rlrec_objective_heads(t->config->objective);

	for (int k = 0; k < n && n == from->n_heads; k++)
	{
		const float *there = from->heads + k * rlrec_head_parameters(carry->from->items.n, d);
		real	   *here = to + k * rlrec_head_parameters(t->data->n_items, d);

		memcpy(here, there, fixed * sizeof(real));
		carry_rows(t->data->names.items.n, 1, carry->item, there + fixed, here + fixed);
	}
}

/* types: rows of the table of types there */
static void
carry_vector(const RlrecTrainer *t, const Carry *carry, int types, const Vector *from, real *to)
{
	int			d = t->config->shape.dimension;
	size_t		before = t->n_network - t->n_embedding - (size_t) t->config->shape.types * d;

	carry_rows(t->data->names.items.n, d, carry->item, from->table, to);
	carry_rows(t->data->names.n_features, d, carry->feature, from->projection, to + t->n_table);
	memcpy(to + t->n_embedding, from->network, before * sizeof(real));
	carry_types(t, carry->from, types, from->network + before, to + t->n_embedding + before);
	carry_heads(t, carry, from, to + t->n_network);
}

void
rlrec_trainer_warm(RlrecTrainer *t, const RlrecNextItemStart *start)
{
	int			d = t->config->shape.dimension;
	Vector		vector = {start->e, start->projection, start->network, start->n_heads, start->heads};
	real	   *of_features;
	Carry		carry;

	carry = carry_begin(t, &start->names);
	carry_vector(t, &carry, start->shape.types, &vector, t->parameters);

	/* What was carried over as the table has the features in it: e = table + features. */
	of_features = palloc(d * sizeof(real));
	for (int32 i = 0; t->data->n_features > 0 && i < t->data->n_items; i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (carry.item[i] < 0)
			continue;
		rlrec_embedding_forward(i, d, t->parameters, &t->data->features, t->parameters + t->n_table, false, of_features);
		rlrec_add(d, -1, of_features, t->parameters + (size_t) i * d);
	}
	pfree(of_features);
	if (t->average != NULL)
		memcpy(t->average, t->parameters, t->n * sizeof(real));
	carry_end(&carry);
}

/* ---------------------------------------------------------------- checkpoints */

enum
{
	COUNTER_STEP, COUNTER_EPOCH, COUNTER_BEST_EPOCH, COUNTER_NDCG, COUNTER_SECONDS, COUNTERS
};

enum
{
	SHAPE_LENGTH, SHAPE_DIMENSION, SHAPE_BLOCKS, SHAPE_HEADS, SHAPE_HIDDEN, SHAPE_GATED, SHAPE_GAPS, SHAPE_TYPES, SHAPE_NUMBERS
};

/* What the steps depend on */
typedef struct Fingerprint
{
	uint64		options;
	uint64		events;
} Fingerprint;

#define PIECE (1 << 26)

static uint64
hash_array(uint64 seed, const void *array, Size bytes)
{
	const unsigned char *at = array;

	for (Size done = 0; done < bytes; done += PIECE)
	{
		CHECK_FOR_INTERRUPTS();
		seed = hash_bytes_extended(at + done, (int) Min(PIECE, bytes - done), seed);
	}
	return seed;
}

static uint64
hash_dictionary(uint64 seed, const RlrecDictionary *dictionary)
{
	if (dictionary->n == 0)
		return seed;
	seed = hash_array(seed, dictionary->offset, (dictionary->n + (Size) 1) * sizeof(int32));
	return hash_array(seed, dictionary->bytes, dictionary->offset[dictionary->n]);
}

static Fingerprint
fingerprint_of(const RlrecTrainer *t)
{
	const RlrecSequences *data = t->data;
	Size		n = data->start[data->n_users];
	Fingerprint result = {t->config->options, 1};

	result.events = hash_array(result.events, data->start, (data->n_users + (Size) 1) * sizeof(int64));
	result.events = hash_array(result.events, data->events.item, n * sizeof(int32));
	result.events = hash_array(result.events, data->events.gap, n);
	result.events = hash_array(result.events, data->events.type, n);
	if (t->config->objective != NULL)
	{
		result.events = hash_array(result.events, data->rewards.worth, n * sizeof(float));
		result.events = hash_array(result.events, data->rewards.credit, n * sizeof(float));
		result.events = hash_array(result.events, data->rewards.reward, t->config->objective->values * (n + data->rewards.n_refused) * sizeof(float));
		result.events = hash_array(result.events, data->rewards.refused, data->rewards.n_refused * sizeof(int32));
		if (data->rewards.n_refused > 0)
			result.events = hash_array(result.events, data->rewards.refused_start, (n + 1) * sizeof(int64));
	}
	result.events = hash_dictionary(result.events, &data->names.items);
	result.events = hash_dictionary(result.events, &data->names.types);
	if (data->fresh != NULL)
		result.events = hash_array(result.events, data->fresh, data->n_users * sizeof(int64));
	if (data->n_features > 0)
	{
		Size		entries = data->features.start[data->n_items];

		result.events = hash_array(result.events, data->features.start, (data->n_items + (Size) 1) * sizeof(int32));
		result.events = hash_array(result.events, data->names.bucket, data->n_features * sizeof(int32));
		result.events = hash_array(result.events, data->features.feature, entries * sizeof(int32));
		result.events = hash_array(result.events, data->features.value, entries * sizeof(float));
	}
	return result;
}

static void
add_borrowed(RlrecTensors *tensors, const char *name, RlrecDtype dtype, int64 n, const void *data)
{
	rlrec_tensors_add_data(tensors, name, dtype, 1, &n, unconstify(void *, data));
}

static void
add_dictionary(RlrecTensors *tensors, const char *offset, const char *bytes, const RlrecDictionary *dictionary)
{
	if (dictionary->n == 0)
		return;
	add_borrowed(tensors, offset, RLREC_I32, (int64) dictionary->n + 1, dictionary->offset);
	add_borrowed(tensors, bytes, RLREC_I8, dictionary->offset[dictionary->n], dictionary->bytes);
}

void
rlrec_trainer_keep(const RlrecTrainer *t, RlrecPast *past)
{
	const RlrecHistoryShape *shape = &t->config->shape;
	const int32 numbers[SHAPE_NUMBERS] = {shape->length, shape->dimension, shape->blocks, shape->heads, shape->hidden, shape->gated,
		shape->gaps, shape->types};
	const double counters[COUNTERS] = {t->step, t->epoch, t->best_epoch, t->validation, t->seconds};
	Fingerprint fingerprint = fingerprint_of(t);
	RlrecTensors *tensors = rlrec_tensors_create();

	add_borrowed(tensors, "fingerprint", RLREC_I32, sizeof(fingerprint) / sizeof(int32), &fingerprint);
	add_borrowed(tensors, "shape", RLREC_I32, SHAPE_NUMBERS, numbers);
	add_borrowed(tensors, "counters", RLREC_F64, COUNTERS, counters);
	add_dictionary(tensors, "items/offset", "items/bytes", &t->data->names.items);
	add_dictionary(tensors, "types/offset", "types/bytes", &t->data->names.types);
	if (t->data->n_features > 0)
		add_borrowed(tensors, "bucket", RLREC_I32, t->data->n_features, t->data->names.bucket);
	add_borrowed(tensors, "parameters", RLREC_F32, t->n, t->parameters);
	add_borrowed(tensors, "m", RLREC_F32, t->n, t->m);
	add_borrowed(tensors, "v", RLREC_F32, t->n, t->v);
	add_borrowed(tensors, "best", RLREC_F32, t->n, t->best);
	if (t->average != NULL)
		add_borrowed(tensors, "average", RLREC_F32, t->n, t->average);
	past->save(past, tensors);
	pfree(tensors->tensor);
	pfree(tensors);
}

/* The data of a tensor of n elements, of any number when n < 0; NULL when it is not there or is otherwise. */
static const void *
data_of(const RlrecTensors *tensors, const char *name, RlrecDtype dtype, int64 n, int64 *found)
{
	const RlrecTensor *tensor = rlrec_tensors_find(tensors, name);

	if (found != NULL)
		*found = tensor == NULL ? 0 : rlrec_tensor_elements(tensor);
	if (tensor == NULL || tensor->dtype != dtype || (n >= 0 && rlrec_tensor_elements(tensor) != n))
		return NULL;
	return tensor->data;
}

static void
read_dictionary(const RlrecTensors *tensors, const char *offset, const char *bytes, RlrecDictionary *dictionary)
{
	int64		n;

	dictionary->offset = data_of(tensors, offset, RLREC_I32, -1, &n);
	dictionary->bytes = data_of(tensors, bytes, RLREC_I8, -1, NULL);
	dictionary->n = dictionary->offset == NULL ? 0 : (int32) n - 1;
}

/* Carries one vector of a checkpoint, to be freed by the caller's context. */
static bool
resume_vector(const RlrecTrainer *t, const RlrecTensors *tensors, const Carry *carry, const RlrecHistoryShape *shape, const char *name,
			  real *to)
{
	size_t		table = (size_t) carry->from->items.n * shape->dimension;
	size_t		embedding = table + (size_t) carry->from->n_features * shape->dimension;
	size_t		network = embedding + rlrec_history_parameters(shape);
	int			heads = rlrec_objective_heads(t->config->objective);
	const float *data = data_of(tensors, name, RLREC_F32, network + heads * rlrec_head_parameters(carry->from->items.n, shape->dimension), NULL);
	Vector		vector = {data, data + table, data + embedding, heads, data + network};

	if (data == NULL)
		return false;
	carry_vector(t, carry, shape->types, &vector, to);
	return true;
}

/* Takes a checkpoint over; false when it is of another shape or of other options. */
static bool
resume(RlrecTrainer *t, const RlrecTensors *tensors, bool *same_events)
{
	Fingerprint here = fingerprint_of(t);
	Fingerprint there;
	RlrecNextItemNames names;
	RlrecHistoryShape shape;
	const void *fingerprint = data_of(tensors, "fingerprint", RLREC_I32, sizeof(there) / sizeof(int32), NULL);
	const int32 *numbers = data_of(tensors, "shape", RLREC_I32, SHAPE_NUMBERS, NULL);
	const double *counters = data_of(tensors, "counters", RLREC_F64, COUNTERS, NULL);
	int64		n_features;
	Carry		carry;

	if (fingerprint == NULL || numbers == NULL || counters == NULL)
		return false;
	memcpy(&there, fingerprint, sizeof(there));
	shape = (RlrecHistoryShape) {numbers[SHAPE_LENGTH], numbers[SHAPE_DIMENSION], numbers[SHAPE_BLOCKS], numbers[SHAPE_HEADS],
		numbers[SHAPE_HIDDEN], numbers[SHAPE_GATED] != 0, numbers[SHAPE_GAPS], numbers[SHAPE_TYPES], 0};
	if (there.options != here.options || !rlrec_next_item_can_start(&shape, &t->config->shape))
		return false;

	read_dictionary(tensors, "items/offset", "items/bytes", &names.items);
	read_dictionary(tensors, "types/offset", "types/bytes", &names.types);
	names.bucket = data_of(tensors, "bucket", RLREC_I32, -1, &n_features);
	names.n_features = (int32) n_features;
	carry = carry_begin(t, &names);
	if (!resume_vector(t, tensors, &carry, &shape, "parameters", t->parameters) ||
		!resume_vector(t, tensors, &carry, &shape, "m", t->m) || !resume_vector(t, tensors, &carry, &shape, "v", t->v) ||
		!resume_vector(t, tensors, &carry, &shape, "best", t->best) ||
		(t->average != NULL && !resume_vector(t, tensors, &carry, &shape, "average", t->average)))
		elog(ERROR, "the checkpoint of a training lacks a vector");	/* which the fingerprint rules out */
	carry_end(&carry);
	t->step = (int64) counters[COUNTER_STEP];
	t->epoch = (int) counters[COUNTER_EPOCH];
	t->best_epoch = (int) counters[COUNTER_BEST_EPOCH];
	t->validation = counters[COUNTER_NDCG];
	t->seconds = counters[COUNTER_SECONDS];
	*same_events = there.events == here.events;
	return true;
}

bool
rlrec_trainer_resume(RlrecTrainer *t, RlrecPast *past, bool *same_events)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec checkpoint", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	RlrecTensors *tensors = past->load(past, t->config->spare);
	bool		resumed = tensors != NULL && resume(t, tensors, same_events);

	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
	return resumed;
}
