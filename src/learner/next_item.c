/*
 * next_item.c
 *	  Training the history encoder to tell the next item of every history.
 *
 * A step takes a batch of sequences, cuts it into two shards of about equal length and each shard into micro-batches of some
 * milliseconds. A shard adds up gradients of its own; then the shards' gradients are added and each shard's task updates half of the
 * parameters. Since the shards are the same whatever the number of threads, so is the result. All parameters lie in one array: the
 * items' table, the features' projection, the encoder. Table and projection are rows of the same width, so a row is an item or, from
 * n_items on, a feature.
 *
 * With sampled negatives and features, or many rows, a step first lists the rows that it touches: only their embeddings are composed,
 * and with many rows only they are updated.
 *
 * The last item of every user with enough of them is kept for validation: after an epoch it is ranked among all items that the user has
 * not had. The weights of the best epoch are the result.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "portability/instr_time.h"

#include "learner/learner.h"
#include "learner/next_item.h"
#include "nn/loss.h"
#include "tensor/blas.h"
#include "tensor/parallel.h"
#include "tensor/random.h"

/* Positions of a micro-batch: at 64 dimensions and 3,000 items about 20 ms of a core */
#define POSITIONS 1024

/* Numbers of a block of logits, which should stay in the cache */
#define LOGITS (1 << 18)

/* Users ranked at once, users of a validation, and how good a rank must be to count */
#define RANKED 64
#define VALIDATION_USERS 10000
#define RANKS 10

/* Above this many items and features a step with sampled negatives updates only the rows that it touched. */
#define LAZY_ROWS 50000

/* A user who has fewer keeps them all for training. */
#define LEAST_EVENTS 3

/* The streams of random numbers */
enum
{
	STREAM_TABLE,
	STREAM_NETWORK,
	STREAM_ORDER,
	STREAM_WINDOW,
	STREAM_STEP,
	STREAM_VALIDATION
};

typedef struct Window
{
	int32		user;
	int64		first;			/* place in data->events of the first input */
	int32		length;			/* inputs; the targets are one further on */
} Window;

/* What a shard's task has for itself */
typedef struct Shard
{
	Window	   *window;			/* [batch + 1] */
	int			n_windows;
	int64		positions;
	real	   *gradient;		/* of all parameters */
	real	   *workspace;		/* of the encoder */
	real	   *logits;
	real	   *dstates;		/* (positions,d) */
	real	   *positive;		/* (positions,d), dpositive as well; with negatives only */
	real	   *dpositive;
	real	   *negative;		/* (negatives,d) */
	real	   *dnegative;
	real	   *correction;		/* [negatives] */
	int32	   *sample;			/* [negatives] */
	int32	   *item;			/* [positions] inputs, and what else is known of them */
	uint8	   *gap;
	uint8	   *type;
	int32	   *target;			/* [positions] */
	int		   *start;			/* [positions + 1] */
	int32	   *mark;			/* [items] by validation */
	int32	   *touched;		/* [n_touched] rows that have a gradient, when listed */
	int32		n_touched;
	bool	   *is_touched;		/* [rows] */
	double		loss;
	double		squares;
	double		ndcg;
} Shard;

typedef struct Trainer
{
	const RlrecNextItem *config;
	const RlrecSequences *data;
	bool		listed;			/* a step lists the rows that it touches, the first shard's list becoming that of both */
	bool		lazy;			/* and only these are updated */
	size_t		n_table;		/* numbers of the table, of it and the projection, of all */
	size_t		n_embedding;
	size_t		n;
	int			room;			/* positions of a micro-batch at most */
	int			logits_rows;
	real	   *parameters;
	real	   *m;
	real	   *v;
	real	   *average;		/* NULL when not averaged */
	real	   *best;
	real	   *e;				/* embeddings; the table itself when there are no features */
	const int32 *composed;		/* [n_composed] rows whose embeddings compose_task() makes; NULL for all items */
	int32		n_composed;
	real		modality_dropout;
	const real *source;			/* parameters of which it makes them */
	RlrecHistoryWeights weights;
	RlrecAdamStep step;
	uint64		step_key;
	real		keep;			/* of the average, in this step */
	real		weight;			/* of a position's loss: 1 / positions of the batch */
	bool		finishing;		/* nothing is kept for validation any more */
	int32	   *validated;		/* users */
	int32		n_validated;
	double		loss;			/* mean of the epoch so far; NaN before the first step */
	double		validation;		/* the best so far; NaN before the first */
	const real *judged;			/* parameters under validation */
	const real *judged_e;
	Shard		shard[RLREC_SHARDS];
} Trainer;

static bool
interrupt_pending(void)
{
	return InterruptPending && INTERRUPTS_CAN_BE_PROCESSED();
}

/* Runs a task to its end, serving interrupts when both threads are at rest. */
static void
run(RlrecPool *pool, RlrecTask task, Trainer *trainer)
{
	do
		CHECK_FOR_INTERRUPTS();
	while (!rlrec_pool_run(pool, task, trainer));
}

/* ---------------------------------------------------------------- memory */

static int
micro_batch(const RlrecNextItem *config)
{
	return Max(POSITIONS, config->shape.length);
}

static int
block_rows(const RlrecNextItem *config, int32 n_items)
{
	int			width = config->negatives > 0 ? config->negatives + 1 : n_items;

	return Max(Min(LOGITS / width, 256), 16);
}

static Size
count_parameters(const RlrecNextItem *config, const RlrecSequences *data)
{
	return add_size(mul_size((Size) data->n_items + data->n_features, config->shape.dimension),
					rlrec_history_parameters(&config->shape));
}

Size
rlrec_next_item_memory(const RlrecNextItem *config, const RlrecSequences *data)
{
	Size		d = config->shape.dimension;
	int			room = micro_batch(config);
	Size		copies = 4 + RLREC_SHARDS + (config->average > 0);
	Size		each = rlrec_history_workspace(&config->shape, room, config->shape.length) +
		(Size) Max(block_rows(config, data->n_items), RANKED) * Max(data->n_items, config->negatives + 1) + room * (3 * d + 3) +
		config->negatives * (2 * d + 2) + 3 * (Size) data->n_items + 2 * (Size) data->n_features;
	Size		numbers = add_size(mul_size(copies, count_parameters(config, data)), mul_size(RLREC_SHARDS, each));

	if (data->n_features > 0)
		numbers = add_size(numbers, mul_size(data->n_items, d));
	return mul_size(numbers, sizeof(real));
}

static void *
allocate(Size count, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, Max(mul_size(count, size), 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

#define ALLOCATE(count, type) ((type *) allocate((count), sizeof(type)))

static void
create_shard(Trainer *t, Shard *shard)
{
	const RlrecNextItem *config = t->config;
	Size		d = config->shape.dimension;
	Size		room = t->room;
	Size		n_items = t->data->n_items;

	shard->window = ALLOCATE(config->batch + 1, Window);
	shard->gradient = ALLOCATE(t->n, real);
	shard->workspace = ALLOCATE(rlrec_history_workspace(&config->shape, t->room, config->shape.length), real);
	shard->logits = ALLOCATE((Size) Max(t->logits_rows, RANKED) * Max(n_items, (Size) config->negatives + 1), real);
	shard->dstates = ALLOCATE(room * d, real);
	if (config->negatives > 0)
	{
		shard->positive = ALLOCATE(room * d, real);
		shard->dpositive = ALLOCATE(room * d, real);
		shard->negative = ALLOCATE(config->negatives * d, real);
		shard->dnegative = ALLOCATE(config->negatives * d, real);
		shard->correction = ALLOCATE(config->negatives, real);
		shard->sample = ALLOCATE(config->negatives, int32);
	}
	shard->item = ALLOCATE(room, int32);
	shard->gap = ALLOCATE(room, uint8);
	shard->type = ALLOCATE(room, uint8);
	shard->target = ALLOCATE(room, int32);
	shard->start = ALLOCATE(room + 1, int);
	shard->mark = ALLOCATE(n_items, int32);
	if (t->listed)
	{
		shard->touched = ALLOCATE(n_items + t->data->n_features, int32);
		shard->is_touched = ALLOCATE(n_items + t->data->n_features, bool);
	}
}

static void
create(Trainer *t, const RlrecNextItem *config, const RlrecSequences *data)
{
	Size		d = config->shape.dimension;
	uint64		key = rlrec_random_key(config->seed, STREAM_TABLE);

	memset(t, 0, sizeof(*t));
	t->config = config;
	t->data = data;
	t->loss = t->validation = NAN;
	t->n_table = (size_t) data->n_items * d;
	t->n_embedding = t->n_table + (size_t) data->n_features * d;
	t->n = count_parameters(config, data);
	t->lazy = config->negatives > 0 && (int64) data->n_items + data->n_features > LAZY_ROWS;
	t->listed = t->lazy || (config->negatives > 0 && data->n_features > 0);
	t->room = micro_batch(config);
	t->logits_rows = block_rows(config, data->n_items);
	t->parameters = ALLOCATE(t->n, real);
	t->m = ALLOCATE(t->n, real);
	t->v = ALLOCATE(t->n, real);
	t->best = ALLOCATE(t->n, real);
	if (config->average > 0)
		t->average = ALLOCATE(t->n, real);
	t->e = data->n_features > 0 ? ALLOCATE(t->n_table, real) : t->parameters;
	t->weights = rlrec_history_place(&config->shape, t->parameters + t->n_embedding);
	for (int s = 0; s < RLREC_SHARDS; s++)
		create_shard(t, &t->shard[s]);
	for (size_t i = 0; i < t->n_embedding; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		t->parameters[i] = 0.02 * rlrec_random_normal(key, i);
	}
	rlrec_history_initialize(&config->shape, rlrec_random_key(config->seed, STREAM_NETWORK), &t->weights);
	if (t->average != NULL)
		memcpy(t->average, t->parameters, t->n * sizeof(real));
}

/* ---------------------------------------------------------------- the embeddings of items with features, on both threads */

/* The k-th of the rows to compose; it is an item or, in a list, a feature. */
static inline int32
composed_row(const Trainer *t, int32 k)
{
	return t->composed != NULL ? t->composed[k] : k;
}

static void
compose_task(RlrecPool *pool, int s, void *argument)
{
	const Trainer *t = argument;
	int			d = t->config->shape.dimension;

	for (int32 k = s; k < t->n_composed; k += RLREC_SHARDS)
	{
		int32		item = composed_row(t, k);

		if (k % 256 == s && rlrec_pool_stopping(pool))
			return;
		if (item < t->data->n_items)
			rlrec_embedding_forward(item, d, t->source, &t->data->features, t->source + t->n_table,
									rlrec_embedding_table_kept(item, t->modality_dropout, t->step_key), t->e + (size_t) item * d);
	}
}

/* Makes t->e of the source's parameters: of all items where rows is NULL. */
static void
compose(Trainer *t, RlrecPool *pool, const int32 *rows, int32 n, real dropout, const real *source)
{
	t->composed = rows;
	t->n_composed = rows != NULL ? n : t->data->n_items;
	t->modality_dropout = dropout;
	t->source = source;
	if (t->data->n_features > 0)
		run(pool, compose_task, t);
}

/* The gradient of the projection, in a shard's features, from that of the embeddings. */
static void
project_task(RlrecPool *pool, int s, void *argument)
{
	const Trainer *t = argument;
	int			d = t->config->shape.dimension;
	int32		n_items = t->data->n_items;
	real	   *gradient = t->shard[0].gradient;

	if (t->lazy)
	{
		for (int32 k = 0; k < t->n_composed; k++)
			if (t->composed[k] >= n_items && (t->composed[k] - n_items) % RLREC_SHARDS == s)
				memset(gradient + (size_t) t->composed[k] * d, 0, d * sizeof(real));
	}
	else
		for (int32 f = s; f < t->data->n_features; f += RLREC_SHARDS)
			memset(gradient + t->n_table + (size_t) f * d, 0, d * sizeof(real));
	for (int32 k = 0; k < t->n_composed; k++)
	{
		int32		item = composed_row(t, k);

		if (k % 256 == 0 && rlrec_pool_stopping(pool))
			return;
		if (item < n_items)
			rlrec_embedding_backward(item, d, &t->data->features, s, RLREC_SHARDS, gradient + (size_t) item * d,
									 gradient + t->n_table);
	}
}

/* Turns the gradient of the embeddings into that of projection and table. */
static void
decompose(Trainer *t, RlrecPool *pool)
{
	int			d = t->config->shape.dimension;

	if (t->data->n_features == 0)
		return;
	run(pool, project_task, t);
	for (int32 k = 0; k < t->n_composed; k++)
	{
		int32		item = composed_row(t, k);

		if (item < t->data->n_items && !rlrec_embedding_table_kept(item, t->modality_dropout, t->step_key))
			memset(t->shard[0].gradient + (size_t) item * d, 0, d * sizeof(real));
	}
}

/* ---------------------------------------------------------------- a step, on both threads */

/* The key of a shard's next micro-batch */
static uint64
micro_key(const Trainer *t, int s, int *micro)
{
	return rlrec_random_key(rlrec_random_key(t->step_key, s), (*micro)++);
}

/* Negatives of a micro-batch: uniform over the items, and log-Q for a sum that estimates that over all items. */
static void
draw_negatives(const Trainer *t, Shard *shard, uint64 key)
{
	int			n = t->config->negatives;

	key = rlrec_random_key(key, 1);
	for (int j = 0; j < n; j++)
	{
		shard->sample[j] = rlrec_random_below(key, j, t->data->n_items);
		shard->correction[j] = log((double) n / t->data->n_items);
	}
}

static double
sampled_loss(const Trainer *t, Shard *shard, RlrecPool *pool, int n, uint64 key, const real *states)
{
	int			d = t->config->shape.dimension;
	double		loss = 0;
	RlrecNegatives negatives = {RLREC_SAMPLED_SOFTMAX, t->config->negatives, shard->sample, shard->negative, shard->correction, 1};

	draw_negatives(t, shard, key);
	rlrec_gather(t->config->negatives, d, 1, shard->sample, t->e, shard->negative);
	memset(shard->dnegative, 0, (size_t) t->config->negatives * d * sizeof(real));
	rlrec_gather(n, d, 1, shard->target, t->e, shard->positive);
	memset(shard->dpositive, 0, (size_t) n * d * sizeof(real));
	for (int i = 0; i < n && !rlrec_pool_stopping(pool); i += t->logits_rows)
	{
		size_t		at = (size_t) i * d;

		loss += rlrec_loss_sampled(Min(t->logits_rows, n - i), d, t->weight, &negatives, states + at, shard->target + i,
								   shard->positive + at, shard->dstates + at, shard->dpositive + at, shard->dnegative,
								   shard->logits);
	}
	rlrec_scatter_add(n, d, 1, shard->target, shard->dpositive, shard->gradient);
	rlrec_scatter_add(t->config->negatives, d, 1, shard->sample, shard->dnegative, shard->gradient);
	return loss;
}

static double
full_loss(const Trainer *t, Shard *shard, RlrecPool *pool, int n, const real *states)
{
	int			d = t->config->shape.dimension;
	double		loss = 0;

	for (int i = 0; i < n && !rlrec_pool_stopping(pool); i += t->logits_rows)
		loss += rlrec_loss_full(Min(t->logits_rows, n - i), t->data->n_items, d, t->weight, states + (size_t) i * d, t->e,
								shard->target + i, shard->dstates + (size_t) i * d, shard->gradient, shard->logits);
	return loss;
}

/* Packs windows from *next on into the shard's arrays; returns the number of sequences. */
static int
pack(const Trainer *t, Shard *shard, int *next)
{
	int			sequences = 0;
	int			n = 0;

	for (; *next < shard->n_windows; (*next)++)
	{
		const Window *window = &shard->window[*next];
		RlrecHistoryEvents events;

		if (sequences > 0 && n + window->length > t->room)
			break;
		events = rlrec_history_events_from(&t->data->events, window->first);
		memcpy(shard->item + n, events.item, window->length * sizeof(int32));
		memcpy(shard->gap + n, events.gap, window->length * sizeof(uint8));
		memcpy(shard->type + n, events.type, window->length * sizeof(uint8));
		memcpy(shard->target + n, events.item + 1, window->length * sizeof(int32));
		shard->start[sequences++] = n;
		n += window->length;
	}
	shard->start[sequences] = n;
	return sequences;
}

static void
touch(Shard *shard, int n, const int32 *item)
{
	for (int i = 0; i < n; i++)
		if (!shard->is_touched[item[i]])
		{
			shard->is_touched[item[i]] = true;
			shard->touched[shard->n_touched++] = item[i];
		}
}

/* The rows that the shard's gradient will have, and when lazy their features. */
static void
list_task(RlrecPool *pool pg_attribute_unused(), int s, void *argument)
{
	Trainer    *t = argument;
	Shard	   *shard = &t->shard[s];
	const RlrecItemFeatures *features = &t->data->features;
	int			next = 0;
	int			micro = 0;
	int32		n_items;

	for (int32 k = 0; k < shard->n_touched; k++)
		shard->is_touched[shard->touched[k]] = false;
	shard->n_touched = 0;
	while (next < shard->n_windows)
	{
		uint64		key = micro_key(t, s, &micro);
		int			n = shard->start[pack(t, shard, &next)];

		draw_negatives(t, shard, key);
		touch(shard, n, shard->item);
		touch(shard, n, shard->target);
		touch(shard, t->config->negatives, shard->sample);
	}
	n_items = t->lazy && t->data->n_features > 0 ? shard->n_touched : 0;
	for (int32 k = 0; k < n_items; k++)
		for (int32 i = features->start[shard->touched[k]]; i < features->start[shard->touched[k] + 1]; i++)
			touch(shard, 1, (int32[]) {t->data->n_items + features->feature[i]});
}

/* Lists what the step touches: the first shard's list becomes that of both. */
static void
list_rows(Trainer *t, RlrecPool *pool)
{
	if (!t->listed)
		return;
	run(pool, list_task, t);
	for (int other = 1; other < RLREC_SHARDS; other++)
		touch(&t->shard[0], t->shard[other].n_touched, t->shard[other].touched);
}

/* All but the projection's, which project_task() writes. */
static void
clear_gradient(const Trainer *t, Shard *shard)
{
	int			d = t->config->shape.dimension;

	if (t->lazy)
	{
		for (int32 k = 0; k < shard->n_touched; k++)
			memset(shard->gradient + (size_t) shard->touched[k] * d, 0, d * sizeof(real));
	}
	else
		memset(shard->gradient, 0, t->n_table * sizeof(real));
	memset(shard->gradient + t->n_embedding, 0, (t->n - t->n_embedding) * sizeof(real));
}

static void
gradient_task(RlrecPool *pool, int s, void *argument)
{
	Trainer    *t = argument;
	Shard	   *shard = &t->shard[s];
	RlrecHistoryWeights gradient = rlrec_history_place(&t->config->shape, shard->gradient + t->n_embedding);
	int			next = 0;
	int			micro = 0;

	clear_gradient(t, shard);
	shard->loss = 0;
	while (next < shard->n_windows && !rlrec_pool_stopping(pool))
	{
		uint64		key = micro_key(t, s, &micro);
		int			sequences = pack(t, shard, &next);
		RlrecPacked batch = {sequences, shard->start, {shard->item, shard->gap, shard->type}};
		int			n = shard->start[sequences];
		real	   *states = rlrec_history_forward(&t->config->shape, &t->weights, t->e, &batch, key, shard->workspace);

		if (t->config->negatives > 0)
			shard->loss += sampled_loss(t, shard, pool, n, key, states);
		else
			shard->loss += full_loss(t, shard, pool, n, states);
		if (rlrec_pool_stopping(pool))
			return;
		rlrec_history_backward(&t->config->shape, &t->weights, &batch, key, shard->workspace, shard->dstates, &gradient,
							   shard->gradient);
	}
}

/* The part of first .. end - 1 that is a shard's, in whole cache lines */
static void
part_of(size_t first, size_t end, int s, size_t *part_first, size_t *part_end)
{
	size_t		size = (((end - first) / RLREC_SHARDS) + 15) & ~(size_t) 15;

	*part_first = Min(end, first + s * size);
	*part_end = s == RLREC_SHARDS - 1 ? end : Min(end, *part_first + size);
}

static void
reduce_part(Trainer *t, size_t first, size_t end, int s)
{
	part_of(first, end, s, &first, &end);
	for (int other = 1; other < RLREC_SHARDS; other++)
		rlrec_add(end - first, 1, t->shard[other].gradient + first, t->shard[0].gradient + first);
}

/* The first shard's gradient becomes the sum: all but the projection's. */
static void
reduce_task(RlrecPool *pool pg_attribute_unused(), int s, void *argument)
{
	Trainer    *t = argument;

	if (!t->lazy)
		reduce_part(t, 0, t->n_table, s);
	reduce_part(t, t->n_embedding, t->n, s);
}

/* The same of the table's rows when lazy, which are few. */
static void
reduce_rows(Trainer *t)
{
	int			d = t->config->shape.dimension;
	Shard	   *sum = &t->shard[0];

	if (!t->lazy)
		return;
	for (int other = 1; other < RLREC_SHARDS; other++)
	{
		const Shard *shard = &t->shard[other];

		for (int32 k = 0; k < shard->n_touched; k++)
			if (shard->touched[k] < t->data->n_items)
				rlrec_add(d, 1, shard->gradient + (size_t) shard->touched[k] * d, sum->gradient + (size_t) shard->touched[k] * d);
	}
}

static void
norm_task(RlrecPool *pool pg_attribute_unused(), int s, void *argument)
{
	Trainer    *t = argument;
	int			d = t->config->shape.dimension;
	const Shard *sum = &t->shard[0];
	double		squares = 0;
	size_t		first;
	size_t		end;

	if (t->lazy)
	{
		for (int32 k = s; k < sum->n_touched; k += RLREC_SHARDS)
			squares += rlrec_sum_squares(d, sum->gradient + (size_t) sum->touched[k] * d);
	}
	part_of(t->lazy ? t->n_embedding : 0, t->n, s, &first, &end);
	t->shard[s].squares = squares + rlrec_sum_squares(end - first, sum->gradient + first);
}

/* Adam on a shard's part of the rows that were touched. Their average would lag behind, so they are taken as they are. */
static void
update_rows(Trainer *t, int s)
{
	int			d = t->config->shape.dimension;

	for (int32 k = s; k < t->shard[0].n_touched; k += RLREC_SHARDS)
	{
		size_t		at = (size_t) t->shard[0].touched[k] * d;

		rlrec_adam_update(d, &t->step, t->shard[0].gradient + at, t->m + at, t->v + at, t->parameters + at);
		if (t->average != NULL)
			memcpy(t->average + at, t->parameters + at, d * sizeof(real));
	}
}

static void
update_task(RlrecPool *pool pg_attribute_unused(), int s, void *argument)
{
	Trainer    *t = argument;
	size_t		first;
	size_t		end;

	if (t->lazy)
		update_rows(t, s);
	part_of(t->lazy ? t->n_embedding : 0, t->n, s, &first, &end);
	rlrec_adam_update(end - first, &t->step, t->shard[0].gradient + first, t->m + first, t->v + first, t->parameters + first);
	if (t->average != NULL)
	{
		rlrec_scale(end - first, t->keep, t->average + first);
		rlrec_add(end - first, 1 - t->keep, t->parameters + first, t->average + first);
	}
}

/* Puts each window where there is less to do. Attention's cost grows with the square: a position costs 1 and 1/500 for each before it. */
static void
deal(Trainer *t, int n, const Window *windows)
{
	double		cost[RLREC_SHARDS] = {0};
	int64		positions = 0;

	for (int s = 0; s < RLREC_SHARDS; s++)
		t->shard[s].n_windows = 0;
	for (int k = 0; k < n; k++)
	{
		int			s = cost[1] < cost[0] ? 1 : 0;
		double		length = windows[k].length;

		t->shard[s].window[t->shard[s].n_windows++] = windows[k];
		cost[s] += length * (1 + length / 500);
		positions += windows[k].length;
	}
	t->weight = 1.0 / Max(positions, 1);
}

/* Returns the mean loss of the batch's positions. */
static double
take_step(Trainer *t, RlrecPool *pool, int64 step, int n, const Window *windows)
{
	double		loss = 0;
	double		squares = 0;

	t->step_key = rlrec_random_key(rlrec_random_key(t->config->seed, STREAM_STEP), step);
	deal(t, n, windows);
	list_rows(t, pool);
	compose(t, pool, t->listed ? t->shard[0].touched : NULL, t->shard[0].n_touched, t->config->modality_dropout, t->parameters);
	run(pool, gradient_task, t);
	run(pool, reduce_task, t);
	reduce_rows(t);
	decompose(t, pool);
	run(pool, norm_task, t);
	for (int s = 0; s < RLREC_SHARDS; s++)
	{
		loss += t->shard[s].loss;
		squares += t->shard[s].squares;
	}
	loss *= t->weight;
	if (!isfinite(loss) || !isfinite(squares))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("training of learner \"supervised\" diverged"),
				 errdetail("The loss of step %lld is not finite.", (long long) step),
				 errhint("Lower option \"learning_rate\".")));
	t->keep = Min(t->config->average, (real) step / (step + 10));	/* young averages forget faster */
	t->step = rlrec_adam_step(&t->config->adam, step, squares);
	run(pool, update_task, t);
	return loss;
}

/* ---------------------------------------------------------------- validation */

static void
validate_task(RlrecPool *pool, int s, void *argument)
{
	Trainer    *t = argument;
	Shard	   *shard = &t->shard[s];
	const RlrecSequences *data = t->data;
	const RlrecHistoryShape *shape = &t->config->shape;
	const int32 *item = data->events.item;
	int			d = shape->dimension;
	RlrecHistoryWeights weights = rlrec_history_place(shape, (real *) t->judged + t->n_embedding);

	shard->ndcg = 0;
	memset(shard->mark, 0xff, data->n_items * sizeof(int32));
	for (int32 at = s * RANKED; at < t->n_validated; at += RLREC_SHARDS * RANKED)
	{
		int			n = Min(RANKED, t->n_validated - at);

		for (int k = 0; k < n; k++)
		{
			int64		end = data->start[t->validated[at + k] + 1] - 1;
			int64		begin = Max(data->start[t->validated[at + k]], end - shape->length);
			RlrecHistoryEvents events = rlrec_history_events_from(&data->events, begin);

			if (rlrec_pool_stopping(pool))
				return;
			rlrec_history_state(shape, &weights, t->judged_e, (int) (end - begin), &events, shard->dstates + (size_t) k * d,
								shard->workspace);
		}
		rlrec_gemm_raw(false, true, n, data->n_items, d, 1, shard->dstates, d, t->judged_e, d, 0, shard->logits, data->n_items);
		for (int k = 0; k < n; k++)
		{
			int32		u = t->validated[at + k];
			int64		end = data->start[u + 1] - 1;
			const real *scores = shard->logits + (size_t) k * data->n_items;
			real		wanted = scores[item[end]];
			int			above = rlrec_count_at_least(data->n_items, scores, wanted);

			/* neither itself nor what the user has had */
			shard->mark[item[end]] = u;
			above--;
			for (int64 p = data->start[u]; p < end; p++)
			{
				int32		i = item[p];

				above -= shard->mark[i] != u && scores[i] >= wanted;
				shard->mark[i] = u;
			}
			if (above < RANKS)
				shard->ndcg += 1 / log2(above + 2);
		}
	}
}

/* A sample of the users whose last item is kept. */
static void
choose_validated(Trainer *t)
{
	uint64		key = rlrec_random_key(t->config->seed, STREAM_VALIDATION);
	int32		eligible = 0;

	t->validated = ALLOCATE(VALIDATION_USERS, int32);
	for (int32 u = 0; u < t->data->n_users; u++)
		eligible += t->data->start[u + 1] - t->data->start[u] >= LEAST_EVENTS;
	for (int32 u = 0, left = eligible; u < t->data->n_users && t->n_validated < VALIDATION_USERS; u++)
		if (t->data->start[u + 1] - t->data->start[u] >= LEAST_EVENTS &&
			rlrec_random_uniform(key, u) * left-- < VALIDATION_USERS - t->n_validated)
			t->validated[t->n_validated++] = u;
}

static double
validate(Trainer *t, RlrecPool *pool)
{
	double		ndcg = 0;

	t->judged = t->average != NULL ? t->average : t->parameters;
	t->judged_e = t->judged;
	if (t->data->n_features > 0)
	{
		compose(t, pool, NULL, 0, 0, t->judged);
		t->judged_e = t->e;
	}
	run(pool, validate_task, t);
	for (int s = 0; s < RLREC_SHARDS; s++)
		ndcg += t->shard[s].ndcg;
	return ndcg / Max(t->n_validated, 1);
}

/* ---------------------------------------------------------------- epochs */

/*
 * The training windows of an epoch, in random order, one a user: the whole history, or a random part of one that is longer than the encoder
 * looks at, so that over the epochs nothing is left out. Returns their number.
 */
static int32
choose_windows(const Trainer *t, int epoch, Window *windows)
{
	uint64		key = rlrec_random_key(rlrec_random_key(t->config->seed, STREAM_WINDOW), epoch);
	uint64		order = rlrec_random_key(rlrec_random_key(t->config->seed, STREAM_ORDER), epoch);
	int			length = t->config->shape.length;
	int32		n = 0;

	for (int32 u = 0; u < t->data->n_users; u++)
	{
		int64		first = t->data->start[u];
		int64		have = t->data->start[u + 1] - first;
		int64		inputs = (have >= LEAST_EVENTS && !t->finishing ? have - 1 : have) - 1;

		if (inputs < 1)
			continue;
		if (inputs <= length)
			windows[n++] = (Window) {u, first, (int32) inputs};
		else
			windows[n++] = (Window) {u, first + rlrec_random_below(key, u, (uint32) (inputs - length + 1)), length};
	}
	for (int32 k = n - 1; k > 0; k--)
	{
		int32		other = rlrec_random_below(order, k, k + 1);
		Window		swap = windows[k];

		windows[k] = windows[other];
		windows[other] = swap;
	}
	return n;
}

static double
seconds_since(instr_time started)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, started);
	return INSTR_TIME_GET_DOUBLE(now);
}

/* One pass over the events; `left` is how many there may be with it, *step counts on. Returns the mean loss. */
static double
train_epoch(Trainer *t, RlrecPool *pool, const char *phase, int left, int64 *step, Window *windows)
{
	int			size = t->config->batch;
	int32		n = choose_windows(t, (int) *step, windows);
	int			batches = (n + size - 1) / size;
	double		loss = 0;

	for (int b = 0; b < batches; b++)
	{
		int			before = (int) (*step / batches);

		rlrec_progress_epoch(phase, before + 1, before + left, *step, (int64) (before + left) * batches, t->loss, t->validation);
		loss += take_step(t, pool, ++*step, Min(size, n - b * size), windows + b * size) / batches;
		t->loss = loss * batches / (b + 1);
	}
	return loss;
}

/* The epochs that finish() takes after this one as the best */
static int
finishing_epochs(const RlrecNextItem *config, int best)
{
	return (int) ceil(config->finish * best);
}

/* Epochs until the validation no longer improves; best and result are of the best one. */
static void
train(Trainer *t, RlrecPool *pool, int64 *step, Window *windows, RlrecNextItemResult *result)
{
	const RlrecNextItem *config = t->config;
	int			last = config->epochs;	/* as far as can be told */
	instr_time	started;

	INSTR_TIME_SET_CURRENT(started);
	result->ndcg = -1;
	for (int epoch = 1; epoch <= config->epochs; epoch++)
	{
		double		before = seconds_since(started);
		double		loss = train_epoch(t, pool, "training", last - epoch + 1 + finishing_epochs(config, last), step, windows);
		double		trained = seconds_since(started);
		double		ndcg = validate(t, pool);

		ereport(DEBUG1,
				(errmsg_internal("epoch %d: loss %.4f, validation NDCG@10 %.4f, %.2f s training, %.2f s validation, total %.1f s",
								 epoch, loss, ndcg, trained - before, seconds_since(started) - trained, seconds_since(started))));
		if (ndcg > result->ndcg)
		{
			result->ndcg = t->validation = ndcg;
			result->epoch = epoch;
			memcpy(t->best, t->judged, t->n * sizeof(real));
		}
		else if (epoch - result->epoch >= config->patience)
			break;
		trained = seconds_since(started);
		if (config->seconds > 0 && trained >= config->seconds)
			break;
		if (config->seconds > 0)
			last = (int) Min(config->epochs, 1 + floor(epoch * config->seconds / trained));
	}
}

/*
 * The events that were kept for validation are the latest of all, so the best weights learn from them too, for some epochs that nothing
 * is left to judge.
 */
static void
finish(Trainer *t, RlrecPool *pool, int64 *step, Window *windows, const RlrecNextItemResult *result)
{
	int			epochs = finishing_epochs(t->config, result->epoch);

	if (epochs == 0)
		return;
	t->finishing = true;
	memcpy(t->parameters, t->best, t->n * sizeof(real));
	for (int epoch = 1; epoch <= epochs; epoch++)
		train_epoch(t, pool, "training on the last events", epochs - epoch + 1, step, windows);
	memcpy(t->best, t->average != NULL ? t->average : t->parameters, t->n * sizeof(real));
	ereport(DEBUG1, (errmsg_internal("finished by %d epochs", epochs)));
}

RlrecNextItemResult
rlrec_next_item_train(const RlrecNextItem *config, const RlrecSequences *data)
{
	RlrecNextItemResult result;
	Trainer    *t = palloc(sizeof(Trainer));
	Window	   *windows = ALLOCATE(Max(data->n_users, 1), Window);
	int64		step = 0;
	RlrecPool  *pool;

	rlrec_blas_load();
	create(t, config, data);
	choose_validated(t);
	pool = rlrec_pool_create(config->threads, interrupt_pending);
	if (pool == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a thread for training: %m"),
				 errhint("Set option \"threads\" to 1.")));
	PG_TRY();
	{
		train(t, pool, &step, windows, &result);
		finish(t, pool, &step, windows, &result);
		compose(t, pool, NULL, 0, 0, t->best);
	}
	PG_FINALLY();
	{
		rlrec_pool_destroy(pool);
	}
	PG_END_TRY();
	result.e = data->n_features > 0 ? t->e : t->best;
	result.projection = t->best + t->n_table;
	result.parameters = t->best + t->n_embedding;
	return result;
}
