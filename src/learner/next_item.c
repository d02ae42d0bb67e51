/*
 * next_item.c
 *	  Training the history encoder to tell the next item of every history.
 *
 * next_item_step.c takes the steps; this file has the epochs around them.
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

/* Numbers of logits of users ranked at once, users of a validation, and how good a rank must be to count */
#define RANKED (1 << 22)
#define VALIDATION_USERS 10000
#define RANKS 10

/* Where fewer users have an event that the start has not learned, all users validate. */
#define LEAST_VALIDATED 10

/* Of the users with new events, one in so many keeps the last one for validation. */
#define KEEPERS 10

/* Above this many items and features a step with sampled negatives updates only the rows that it touched. */
#define LAZY_ROWS 50000

/* A user who has fewer keeps them all for training. */
#define LEAST_EVENTS 3

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

/* Users ranked at once */
static int
ranked_rows(int32 n_items)
{
	return Max(Min(RANKED / Max(n_items, 1), 64), 1);
}

/* Numbers of logits: of a block of a micro-batch, or of users who are ranked */
static Size
count_logits(const RlrecNextItem *config, int32 n_items)
{
	return Max(block_rows(config, n_items) * (Size) count_actions(config, n_items), ranked_rows(n_items) * (Size) n_items);
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

/* ---------------------------------------------------------------- validation */

/* logits (n,items) of the states (n,d), which change */
static void
score_states(const RlrecTrainer *t, RlrecTrainerShard *shard, int n)
{
	const RlrecObjective *o = t->config->objective;
	int			items = t->data->n_items;
	int			d = t->config->shape.dimension;
	const real *x = shard->dstates;
	RlrecHead	head[RLREC_MAX_HEADS];

	if (o != NULL)
	{
		for (int k = 0; k < o->values; k++)
			head[k] = rlrec_trainer_head(t, unconstify(real *, t->judged), k);
		rlrec_head_blend(n, d, o->policy ? 1 : 0, o->values, head, t->blend, shard->dstates, shard->dheads);
		x = shard->dheads;
	}
	rlrec_gemm_raw(false, true, n, items, d, 1, x, d, t->judged_e, d, 0, shard->logits, items);
	for (int k = 0; o != NULL && k < o->values; k++)
		for (int i = 0; t->blend[k] != 0 && i < n; i++)
			rlrec_add(items, t->blend[k], head[k].bias, shard->logits + (size_t) i * items);
}

static void
validate_task(RlrecPool *pool, int s, void *argument)
{
	RlrecTrainer *t = argument;
	RlrecTrainerShard *shard = &t->shard[s];
	const RlrecSequences *data = t->data;
	const RlrecHistoryShape *shape = &t->config->shape;
	const int32 *item = data->events.item;
	int			d = shape->dimension;
	RlrecHistoryWeights weights = rlrec_history_place(shape, (real *) t->judged + t->n_embedding);
	int			ranked = Min(ranked_rows(data->n_items), t->room);

	shard->ndcg = shard->reward_ndcg = shard->reward = 0;
	memset(shard->mark, 0xff, data->n_items * sizeof(int32));
	for (int32 at = s * ranked; at < t->n_validated; at += RLREC_SHARDS * ranked)
	{
		int			n = Min(ranked, t->n_validated - at);

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
		score_states(t, shard, n);
		for (int k = 0; k < n; k++)
		{
			int32		u = t->validated[at + k];
			int64		end = data->start[u + 1] - 1;
			const real *scores = shard->logits + (size_t) k * data->n_items;
			real		wanted = scores[item[end]];
			int			above = rlrec_count_at_least(data->n_items, scores, wanted);
			double		gain;

			/* neither itself nor what the user has had */
			shard->mark[item[end]] = u;
			above--;
			for (int64 p = data->start[u]; p < end; p++)
			{
				int32		i = item[p];

				above -= shard->mark[i] != u && scores[i] >= wanted;
				shard->mark[i] = u;
			}
			gain = above >= 0 && above < RANKS ? 1 / log2(above + 2) : 0;	/* below 0 where scores are not finite */
			shard->ndcg += gain;
			shard->reward_ndcg += data->rewards.worth != NULL ? gain * data->rewards.worth[end] : gain;
			shard->reward += data->rewards.worth != NULL ? data->rewards.worth[end] : 1;
		}
	}
}

/* Whether a user's last item is kept for validation; where only few are new, that of one user in KEEPERS. */
static bool
is_kept(const RlrecTrainer *t, int32 u)
{
	uint64		key = rlrec_random_key(t->config->seed, RLREC_STREAM_KEEPERS);

	return t->data->start[u + 1] - t->data->start[u] >= LEAST_EVENTS &&
		(!t->config->new_only || rlrec_random_below(key, u, KEEPERS) == 0);
}

/* Who validates */
typedef enum Validators
{
	ALL_USERS,
	FRESH_USERS,				/* whose last item the start has not learned */
	STALE_USERS
} Validators;

static bool
validates(const RlrecTrainer *t, int32 u, Validators who)
{
	return is_kept(t, u) && (who == ALL_USERS || (t->data->fresh[u] < t->data->start[u + 1]) == (who == FRESH_USERS));
}

/* Adds a sample of such users, at most so many; returns how many. */
static int32
add_validated(RlrecTrainer *t, Validators who, int32 at_most)
{
	uint64		key = rlrec_random_key(t->config->seed, RLREC_STREAM_VALIDATION);
	int32		eligible = 0;
	int32		n = 0;

	for (int32 u = 0; u < t->data->n_users; u++)
		eligible += validates(t, u, who);
	for (int32 u = 0; u < t->data->n_users && n < at_most; u++)
		if (validates(t, u, who) && rlrec_random_uniform(key, u) * eligible-- < at_most - n)
			t->validated[t->n_validated + n++] = u;
	t->n_validated += n;
	return n;
}

/*
 * A start has learned the last item of some users already, so the others show what epochs are good for; where only what is new is
 * learned, as many of those show what is forgotten meanwhile. Where next to nothing is new, all do.
 */
static void
choose_validated(RlrecTrainer *t)
{
	t->validated = ALLOCATE(VALIDATION_USERS, int32);
	if (t->data->fresh != NULL && t->config->new_only)
		(void) add_validated(t, STALE_USERS, add_validated(t, FRESH_USERS, VALIDATION_USERS / 2));
	else if (t->data->fresh != NULL)
		(void) add_validated(t, FRESH_USERS, VALIDATION_USERS);
	if (t->n_validated < LEAST_VALIDATED)
	{
		t->n_validated = 0;
		(void) add_validated(t, ALL_USERS, VALIDATION_USERS);
	}
}

/* NDCG@10 by rewards; plain, unless NULL, receives that by which all users count alike. */
static double
validate(RlrecTrainer *t, const real *judged, double *plain)
{
	double		ndcg = 0;
	double		reward_ndcg = 0;
	double		reward = 0;

	t->judged = judged;
	t->judged_e = t->judged;
	if (t->data->n_features > 0)
	{
		rlrec_trainer_compose(t, NULL, 0, 0, t->judged);
		t->judged_e = t->e;
	}
	rlrec_trainer_run(t, validate_task);
	for (int s = 0; s < RLREC_SHARDS; s++)
	{
		ndcg += t->shard[s].ndcg;
		reward_ndcg += t->shard[s].reward_ndcg;
		reward += t->shard[s].reward;
	}
	if (plain != NULL)
		*plain = t->n_validated > 0 ? ndcg / t->n_validated : NAN;
	return t->n_validated > 0 ? reward_ndcg / reward : NAN;
}

/*
 * The weight of the first head in the score: of those with which the plain NDCG is not below the policy's, the one with the best NDCG by
 * rewards.
 */
static void
choose_blend(RlrecTrainer *t)
{
	static const real weights[] = {0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5};
	real		best = 0;
	double		least;
	double		highest;

	if (t->config->objective == NULL || !t->config->objective->choose || t->n_validated == 0)
		return;
	t->blend[0] = 0;
	highest = validate(t, t->best, &least);
	for (int k = 0; k < (int) lengthof(weights); k++)
	{
		double		ndcg;
		double		reward_ndcg;

		t->blend[0] = weights[k];
		reward_ndcg = validate(t, t->best, &ndcg);
		ereport(DEBUG1, (errmsg_internal("values weigh %g: validation NDCG@10 %.4f, by rewards %.4f", weights[k], ndcg, reward_ndcg)));
		if (ndcg < least || reward_ndcg <= highest)
			continue;
		highest = reward_ndcg;
		best = weights[k];
	}
	t->blend[0] = best;
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
		int64		targets = (is_kept(t, u) && !t->finishing ? have - 1 : have) - 1;
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

/* Starts from a checkpoint, or from `start`; both may be NULL. The start is the best there is until an epoch is better. */
static void
begin(RlrecTrainer *t, const RlrecNextItemStart *start, RlrecPast *past)
{
	bool		same_events;

	if (past != NULL && t->config->checkpoint > 0 && rlrec_trainer_resume(t, past, &same_events))
	{
		ereport(NOTICE, (errmsg("training goes on after epoch %d, where an earlier one was interrupted", t->epoch)));
		if (!same_events)
			t->validation = validate(t, t->best, NULL);
		return;
	}
	if (start == NULL)
		return;
	rlrec_trainer_warm(t, start);
	copy(t, t->parameters, t->best);
	t->validation = validate(t, t->best, NULL);
	ereport(DEBUG1, (errmsg_internal("start: validation NDCG@10 %.4f", t->validation)));
}

/* Keeps the weights if they are the best so far. */
static void
judge(RlrecTrainer *t, double loss, double trained, instr_time started)
{
	const real *weights = t->average != NULL ? t->average : t->parameters;
	double		ndcg = validate(t, weights, NULL);

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
	choose_validated(t);
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
			choose_blend(t);
			finish(t, windows);
		}
		else if (start != NULL)
			ereport(NOTICE, (errmsg("no event is newer than those that the version learned that serves")));
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
