/*
 * next_item.c
 *	  Training the history encoder to tell the next item of every history.
 *
 * next_item_step.c takes the steps, next_item_validate.c says how good the weights are; this file has the epochs around them.
 *
 * The last item of every user with enough of them is kept for validation: after an epoch it is ranked among all items that the user has
 * not had. The weights of the best epoch are the result.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "portability/instr_time.h"

#include "learner/learner.h"
#include "learner/trainer.h"
#include "tensor/blas.h"
#include "tensor/random.h"

/* Positions of a micro-batch: at 64 dimensions and 3,000 items about 20 ms of a core */
#define POSITIONS 1024
#define SMALL_NETWORK (64 * 128 * 2)	/* dimension x hidden x blocks */

/* Taken off a cold item's logit by heads that compare all items */
#define COLD 1e9

/* Numbers of a block of logits, which should stay in the cache */
#define LOGITS (1 << 18)

/* Above this many items and features a step with sampled negatives updates only the rows that it touched. */
#define LAZY_ROWS 50000

static bool
interrupt_pending(void)
{
	return InterruptPending && INTERRUPTS_CAN_BE_PROCESSED();
}

void
rlrec_trainer_run(RlrecTrainer *trainer, RlrecTask task)
{
	do
		CHECK_FOR_INTERRUPTS();
	while (!rlrec_pool_run(trainer->pool, task, trainer));
}

/* ---------------------------------------------------------------- memory */

/* As many positions as take some milliseconds: POSITIONS of a small network, fewer of a larger one, but one history at least */
static int
micro_batch(const RlrecNextItem *config)
{
	const RlrecHistoryShape *shape = &config->shape;
	double		cost = (double) shape->dimension * Max(shape->dimension, shape->hidden) * shape->blocks / SMALL_NETWORK;

	return Max((int) (POSITIONS / Max(cost, 1)), shape->length);
}

/* The actions of a row, its own and those that all rows have in common */
static int
count_actions(const RlrecNextItem *config, int32 n_items)
{
	return config->negatives > 0 ? config->negatives + 1 : n_items + (config->objective != NULL);
}

static int
block_rows(const RlrecNextItem *config, int32 n_items)
{
	return Max(Min(LOGITS / count_actions(config, n_items), 256), 16);
}

/* Numbers of logits: of a block of a micro-batch, or of users who are ranked */
static Size
count_logits(const RlrecNextItem *config, int32 n_items)
{
	return Max(block_rows(config, n_items) * (Size) count_actions(config, n_items), rlrec_trainer_ranked(n_items) * (Size) n_items);
}

static Size
count_parameters(const RlrecNextItem *config, const RlrecSequences *data)
{
	Size		heads = mul_size(rlrec_objective_heads(config->objective), rlrec_head_parameters(data->n_items, config->shape.dimension));

	return add_size(add_size(mul_size((Size) data->n_items + data->n_features, config->shape.dimension),
							 rlrec_history_parameters(&config->shape)), heads);
}

/* Rows of targets of a micro-batch at most; of refused events as many as of positions, and what is more is left out. */
static int
count_rows(const RlrecSequences *data, int room)
{
	return data->rewards.n_refused > 0 ? 2 * room : room;
}

/* Numbers that a shard has for its objective */
static Size
objective_numbers(const RlrecNextItem *config, const RlrecSequences *data, Size room)
{
	Size		d = config->shape.dimension;
	Size		actions = count_actions(config, data->n_items);

	if (config->objective == NULL)
		return 0;
	return room * (5 * d + 8) + (count_rows(data, (int) room) - room) * (5 * d + 4) + 2 * (Size) block_rows(config, data->n_items) * (d + actions) + 3 * actions;
}

Size
rlrec_next_item_memory(const RlrecNextItem *config, const RlrecSequences *data)
{
	Size		d = config->shape.dimension;
	int			room = micro_batch(config);
	Size		copies = 4 + RLREC_SHARDS + (config->average > 0);
	Size		each = rlrec_history_workspace(&config->shape, room, config->shape.length) +
		count_logits(config, data->n_items) + room * (4 * d + 4) +
		config->negatives * (2 * d + 2) + 4 * (Size) data->n_items + 2 * (Size) data->n_features + objective_numbers(config, data, room);
	Size		numbers = add_size(mul_size(copies, count_parameters(config, data)), mul_size(RLREC_SHARDS, each));

	if (data->n_features > 0)
		numbers = add_size(numbers, mul_size(data->n_items, d));
	return mul_size(numbers, sizeof(real));
}

/* Bytes that are cleared or copied between two looks at interrupts */
#define PIECE (1 << 24)

static void *
allocate(Size count, Size size)
{
	Size		bytes = Max(mul_size(count, size), 1);
	char	   *memory = MemoryContextAllocHuge(CurrentMemoryContext, bytes);

	for (Size done = 0; done < bytes; done += PIECE)
	{
		CHECK_FOR_INTERRUPTS();
		memset(memory + done, 0, Min(PIECE, bytes - done));
	}
	return memory;
}

/* All parameters */
static void
copy(const RlrecTrainer *t, const real *from, real *to)
{
	Size		bytes = t->n * sizeof(real);

	for (Size done = 0; done < bytes; done += PIECE)
	{
		CHECK_FOR_INTERRUPTS();
		memcpy((char *) to + done, (const char *) from + done, Min(PIECE, bytes - done));
	}
}

#define ALLOCATE(count, type) ((type *) allocate((count), sizeof(type)))

static void
create_shard_objective(RlrecTrainer *t, RlrecTrainerShard *shard)
{
	const RlrecNextItem *config = t->config;
	Size		d = config->shape.dimension;
	Size		room = t->room;
	Size		rows = t->row_room;
	Size		actions = count_actions(config, t->data->n_items);

	if (config->negatives == 0)
	{
		shard->positive = ALLOCATE(rows * d, real);
		shard->dpositive = ALLOCATE(rows * d, real);
		shard->correction = ALLOCATE(t->data->n_items, real);
		for (int32 k = t->n_warm; k < t->data->n_items; k++)
			shard->correction[t->catalog[k]] = COLD;
	}
	shard->event = ALLOCATE(rows, int64);
	shard->last = ALLOCATE(room, bool);
	shard->foreseen = ALLOCATE(room * d, real);
	shard->future = ALLOCATE(room, real);
	shard->taken = ALLOCATE(rows, real);
	shard->value = ALLOCATE(room, real);
	shard->behaviour = ALLOCATE(room, real);
	shard->row_weight = ALLOCATE(room, real);
	shard->dheads = ALLOCATE(rows * d, real);
	shard->x = ALLOCATE(t->logits_rows * d + actions, real);
	shard->dx = ALLOCATE(t->logits_rows * d + actions, real);
	shard->q = ALLOCATE(t->logits_rows * actions, real);
	shard->dq = ALLOCATE(t->logits_rows * actions, real);
}

static void
create_shard(RlrecTrainer *t, RlrecTrainerShard *shard)
{
	const RlrecNextItem *config = t->config;
	Size		d = config->shape.dimension;
	Size		room = t->room;
	Size		n_items = t->data->n_items;

	shard->window = ALLOCATE(config->batch + 1, RlrecWindow);
	shard->gradient = ALLOCATE(t->n, real);
	shard->workspace = ALLOCATE(rlrec_history_workspace(&config->shape, t->room, config->shape.length), real);
	shard->logits = ALLOCATE(count_logits(config, t->data->n_items), real);
	shard->dstates = ALLOCATE(room * d, real);
	if (config->negatives > 0)
	{
		shard->positive = ALLOCATE(t->row_room * d, real);
		shard->dpositive = ALLOCATE(t->row_room * d, real);
		shard->negative = ALLOCATE(config->negatives * d, real);
		shard->dnegative = ALLOCATE(config->negatives * d, real);
		shard->correction = ALLOCATE(config->negatives, real);
		shard->sample = ALLOCATE(config->negatives, int32);
	}
	shard->item = ALLOCATE(room, int32);
	shard->gap = ALLOCATE(room, uint8);
	shard->type = ALLOCATE(room, uint8);
	shard->target = ALLOCATE(t->row_room, int32);
	shard->place = ALLOCATE(t->row_room, int32);
	if (config->objective != NULL)
		create_shard_objective(t, shard);
	if (config->new_only || t->tail > 0 || t->row_room > t->room)
		shard->counted = ALLOCATE(t->row_room * d, real);
	shard->start = ALLOCATE(room + 1, int);
	shard->mark = ALLOCATE(n_items, int32);
	if (t->listed)
	{
		shard->touched = ALLOCATE(n_items + t->data->n_features, int32);
		shard->is_touched = ALLOCATE(n_items + t->data->n_features, bool);
	}
}

static void
divide_catalog(RlrecTrainer *t)
{
	const RlrecSequences *data = t->data;
	int32		n_cold = 0;

	t->catalog = ALLOCATE(data->n_items, int32);
	t->is_cold = ALLOCATE(data->n_items, bool);
	for (int32 i = 0; data->n_features > 0 && i < data->n_items; i++)
		t->is_cold[i] = data->features.start[i + 1] > data->features.start[i];
	for (int64 e = 0; e < data->start[data->n_users]; e++)
		t->is_cold[data->events.item[e]] = false;
	for (int32 i = 0; i < data->n_items; i++)
		if (!t->is_cold[i])
			t->catalog[t->n_warm++] = i;
	for (int32 i = 0; i < data->n_items; i++)
		if (t->is_cold[i])
			t->catalog[t->n_warm + n_cold++] = i;
}

static void
create(RlrecTrainer *t, const RlrecNextItem *config, const RlrecSequences *data)
{
	Size		d = config->shape.dimension;
	uint64		key = rlrec_random_key(config->seed, RLREC_STREAM_TABLE);

	memset(t, 0, sizeof(*t));
	t->config = config;
	t->data = data;
	divide_catalog(t);
	t->loss = t->validation = NAN;
	t->n_table = (size_t) data->n_items * d;
	t->n_embedding = t->n_table + (size_t) data->n_features * d;
	t->n_network = t->n_embedding + rlrec_history_parameters(&config->shape);
	t->n = count_parameters(config, data);
	t->tail = rlrec_objective_looks_ahead(config->objective);
	t->lazy = config->negatives > 0 && (int64) data->n_items + data->n_features > LAZY_ROWS;
	t->listed = t->lazy || (config->negatives > 0 && data->n_features > 0);
	t->room = micro_batch(config);
	t->row_room = count_rows(data, t->room);
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
	rlrec_history_initialize(&config->shape, rlrec_random_key(config->seed, RLREC_STREAM_NETWORK), &t->weights);
	for (int k = 0; k < rlrec_objective_heads(config->objective); k++)
		rlrec_head_initialize(data->n_items, d, t->parameters + t->n_network + k * rlrec_head_parameters(data->n_items, d));
	if (config->objective != NULL)
		memcpy(t->blend, config->objective->blend, sizeof(t->blend));
	if (t->average != NULL)
		copy(t, t->parameters, t->average);
	copy(t, t->parameters, t->best);
}

/* ---------------------------------------------------------------- epochs */

/*
 * The training windows of an epoch, in random order, one a user: the whole history, or a random part of one that is longer than the encoder
 * looks at, so that over the epochs nothing is left out. Returns their number.
 */
static int32
choose_windows(const RlrecTrainer *t, RlrecWindow *windows)
{
	uint64		key = rlrec_random_key(rlrec_random_key(t->config->seed, RLREC_STREAM_WINDOW), t->step);
	uint64		order = rlrec_random_key(rlrec_random_key(t->config->seed, RLREC_STREAM_ORDER), t->step);
	int			length = t->config->shape.length;
	int32		n = 0;

	for (int32 u = 0; u < t->data->n_users; u++)
	{
		int64		first = t->data->start[u];
		int64		have = t->data->start[u + 1] - first;
		int64		targets = (rlrec_trainer_keeps(t, u) && !t->finishing ? have - 1 : have) - 1;
		int64		inputs = targets + t->tail;
		int64		old = t->config->new_only && t->data->fresh != NULL ? Max(t->data->fresh[u] - first - 1, 0) : 0;	/* targets that do not count */

		if (targets <= old)
			continue;
		if (inputs <= length)
			windows[n++] = (RlrecWindow) {u, first, (int32) inputs, (int32) old};
		else if (inputs - old <= length)
			windows[n++] = (RlrecWindow) {u, first + inputs - length, length, (int32) (length - (inputs - old))};
		else
			windows[n++] = (RlrecWindow) {u, first + old + rlrec_random_below(key, u, (uint32) (inputs - old - length + 1)), length, 0};
	}
	for (int32 k = n - 1; k > 0; k--)
	{
		int32		other = rlrec_random_below(order, k, k + 1);
		RlrecWindow swap = windows[k];

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

/* One pass over the events; `left` is how many there may be with it. Returns the mean loss. */
static double
train_epoch(RlrecTrainer *t, const char *phase, int left, RlrecWindow *windows)
{
	int			size = t->config->batch;
	int32		n = choose_windows(t, windows);
	int			batches = (n + size - 1) / size;
	double		loss = 0;

	for (int b = 0; b < batches; b++)
	{
		int			before = (int) (t->step / batches);

		rlrec_progress_epoch(phase, before + 1, before + left, t->step, (int64) (before + left) * batches, t->loss, t->validation);
		loss += rlrec_trainer_step(t, Min(size, n - b * size), windows + b * size) / batches;
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

/* What weights are judged by: NDCG@10 by rewards, or the policy's alone while the weight of values in the score is to be found. */
static double
figure(RlrecTrainer *t, const real *weights)
{
	double		plain;
	double		by_rewards = rlrec_trainer_validate(t, weights, &plain);

	return t->config->objective != NULL && t->config->objective->choose ? plain : by_rewards;
}

/* Starts from a checkpoint, or from `start`; both may be NULL. The start is the best there is until an epoch is better. */
static void
begin(RlrecTrainer *t, const RlrecNextItemStart *start, RlrecPast *past)
{
	bool		same_events;

	if (past != NULL && t->config->checkpoint > 0 && rlrec_trainer_resume(t, past, &same_events))
	{
		ereport(NOTICE, (errmsg("training goes on after epoch %d, where an earlier one was interrupted", t->epoch)));
		if (!same_events)
			t->validation = figure(t, t->best);
		return;
	}
	if (start == NULL)
		return;
	rlrec_trainer_warm(t, start);
	copy(t, t->parameters, t->best);
	t->validation = figure(t, t->best);
	ereport(DEBUG1, (errmsg_internal("start: validation NDCG@10 %.4f", t->validation)));
}

/* Keeps the weights if they are the best so far. */
static void
judge(RlrecTrainer *t, double loss, double trained, instr_time started)
{
	const real *weights = t->average != NULL ? t->average : t->parameters;
	double		ndcg = figure(t, weights);

	ereport(DEBUG1,
			(errmsg_internal("epoch %d: loss %.4f, validation NDCG@10 %.4f, %.2f s training, %.2f s validation, total %.1f s",
							 t->epoch, loss, ndcg, trained, seconds_since(started) - trained, t->seconds + seconds_since(started))));
	if (isnan(t->validation) || ndcg > t->validation)
	{
		t->validation = ndcg;
		t->best_epoch = t->epoch;
		copy(t, weights, t->best);
	}
}

/* Epochs until the validation no longer improves; t->best is of the best one. */
static void
train(RlrecTrainer *t, RlrecWindow *windows, RlrecPast *past)
{
	const RlrecNextItem *config = t->config;
	int			last = config->epochs;	/* as far as can be told */
	double		kept = t->seconds;	/* when the last checkpoint was */

	while (t->epoch < config->epochs && t->epoch - t->best_epoch < config->patience &&
		   (config->seconds == 0 || t->seconds < config->seconds))
	{
		instr_time	started;
		double		loss;

		INSTR_TIME_SET_CURRENT(started);
		if (config->seconds > 0 && t->epoch > 0)
			last = (int) Min(config->epochs, 1 + floor(t->epoch * config->seconds / t->seconds));
		loss = train_epoch(t, "training", last - t->epoch + finishing_epochs(config, last), windows);
		t->epoch++;
		judge(t, loss, seconds_since(started), started);
		t->seconds += seconds_since(started);
		if (past != NULL && config->checkpoint > 0 && t->seconds - kept >= config->checkpoint)
		{
			rlrec_trainer_keep(t, past);
			kept = t->seconds;
		}
	}
}

/*
 * The events that were kept for validation are the latest of all, so the best weights learn from them too, for some epochs that nothing
 * is left to judge.
 */
static void
finish(RlrecTrainer *t, RlrecWindow *windows)
{
	int			epochs = finishing_epochs(t->config, t->best_epoch);

	if (epochs == 0)
		return;
	t->finishing = true;
	copy(t, t->best, t->parameters);
	for (int epoch = 1; epoch <= epochs; epoch++)
		train_epoch(t, "training on the last events", epochs - epoch + 1, windows);
	copy(t, t->average != NULL ? t->average : t->parameters, t->best);
	ereport(DEBUG1, (errmsg_internal("finished by %d epochs", epochs)));
}

RlrecNextItemResult
rlrec_next_item_train(const RlrecNextItem *config, const RlrecSequences *data, const RlrecNextItemStart *start, RlrecPast *past)
{
	RlrecNextItemResult result;
	RlrecTrainer *t = palloc(sizeof(RlrecTrainer));
	RlrecWindow	   *windows = ALLOCATE(Max(data->n_users, 1), RlrecWindow);

	rlrec_blas_load();
	create(t, config, data);
	rlrec_trainer_choose_validated(t);
	t->pool = rlrec_pool_create(config->threads, interrupt_pending);
	if (t->pool == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a thread for training: %m"),
				 errhint("Set option \"threads\" to 1.")));
	PG_TRY();
	{
		begin(t, start, past);
		if (choose_windows(t, windows) > 0)
		{
			train(t, windows, past);
			rlrec_trainer_choose_blend(t);
			finish(t, windows);
		}
		else if (start != NULL)
		{
			ereport(NOTICE, (errmsg("no event is newer than those that the version learned that serves")));
			if (config->objective != NULL && config->objective->choose && start->n_heads > 0)
				t->blend[0] = start->blend[0];
		}
		rlrec_trainer_compose(t, NULL, 0, 0, t->best);
	}
	PG_FINALLY();
	{
		rlrec_pool_destroy(t->pool);
	}
	PG_END_TRY();
	result.e = data->n_features > 0 ? t->e : t->best;
	result.projection = t->best + t->n_table;
	result.parameters = t->best + t->n_embedding;
	result.heads = t->best + t->n_network;
	memcpy(result.blend, t->blend, sizeof(result.blend));
	result.epoch = t->best_epoch;
	result.ndcg = t->validation;
	return result;
}
