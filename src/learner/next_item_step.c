/*
 * next_item_step.c
 *	  One step of a training, on both threads.
 *
 * A step takes a batch of sequences, cuts it into two shards of about equal length and each shard into micro-batches of some
 * milliseconds. A shard adds up gradients of its own; then the shards' gradients are added and each shard's task updates half of the
 * parameters. Since the shards are the same whatever the number of threads, so is the result.
 *
 * With sampled negatives and features, or many rows, a step first lists the rows that it touches: only their embeddings are composed,
 * and with many rows only they are updated.
 */
#include "postgres.h"

#include <math.h>

#include "learner/trainer.h"
#include "nn/loss.h"
#include "tensor/blas.h"
#include "tensor/random.h"

/* ---------------------------------------------------------------- the embeddings of items with features, on both threads */

/* The k-th of the rows to compose; it is an item or, in a list, a feature. */
static inline int32
composed_row(const RlrecTrainer *t, int32 k)
{
	return t->composed != NULL ? t->composed[k] : k;
}

static bool
table_kept(const RlrecTrainer *t, int32 item)
{
	return !t->is_cold[item] && rlrec_embedding_table_kept(item, t->modality_dropout, t->step_key);
}

static void
compose_task(RlrecPool *pool, int s, void *argument)
{
	const RlrecTrainer *t = argument;
	int			d = t->config->shape.dimension;

	for (int32 k = s; k < t->n_composed; k += RLREC_SHARDS)
	{
		int32		item = composed_row(t, k);

		if (k % 256 == s && rlrec_pool_stopping(pool))
			return;
		if (item < t->data->n_items)
			rlrec_embedding_forward(item, d, t->source, &t->data->features, t->source + t->n_table,
									table_kept(t, item), t->e + (size_t) item * d);
	}
}

void
rlrec_trainer_compose(RlrecTrainer *t, const int32 *rows, int32 n, real dropout, const real *source)
{
	t->composed = rows;
	t->n_composed = rows != NULL ? n : t->data->n_items;
	t->modality_dropout = dropout;
	t->source = source;
	if (t->data->n_features > 0)
		rlrec_trainer_run(t, compose_task);
}

/* The gradient of the projection, in a shard's features, from that of the embeddings. */
static void
project_task(RlrecPool *pool, int s, void *argument)
{
	const RlrecTrainer *t = argument;
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
decompose(RlrecTrainer *t)
{
	int			d = t->config->shape.dimension;

	if (t->data->n_features == 0)
		return;
	rlrec_trainer_run(t, project_task);
	for (int32 k = 0; k < t->n_composed; k++)
	{
		int32		item = composed_row(t, k);

		if (item < t->data->n_items && !table_kept(t, item))
			memset(t->shard[0].gradient + (size_t) item * d, 0, d * sizeof(real));
	}
}

/* ---------------------------------------------------------------- a step, on both threads */

/* The key of a shard's next micro-batch */
static uint64
micro_key(const RlrecTrainer *t, int s, int *micro)
{
	return rlrec_random_key(rlrec_random_key(t->step_key, s), (*micro)++);
}

/* Negatives of a micro-batch: uniform over the warm items; for a softmax with log-Q, so that its sum estimates that over all of them */
static void
draw_negatives(const RlrecTrainer *t, RlrecTrainerShard *shard, uint64 key)
{
	int			n = t->config->negatives;

	key = rlrec_random_key(key, 1);
	for (int j = 0; j < n; j++)
	{
		shard->sample[j] = t->catalog[rlrec_random_below(key, j, t->n_warm)];
		shard->correction[j] = t->config->loss == RLREC_SAMPLED_SOFTMAX ? log((double) n / t->n_warm) : 0;
	}
}

/* Whether targets' embeddings and their gradients have places of their own */
static bool
has_positives(const RlrecTrainer *t)
{
	return t->config->negatives > 0 || t->config->objective != NULL;
}

/* Embeddings of what a micro-batch's n targets are compared with, and their gradients at 0 */
static void
gather(const RlrecTrainer *t, RlrecTrainerShard *shard, int n, uint64 key)
{
	int			d = t->config->shape.dimension;

	if (t->config->negatives > 0)
	{
		draw_negatives(t, shard, key);
		rlrec_gather(t->config->negatives, d, 1, shard->sample, t->e, shard->negative);
		memset(shard->dnegative, 0, (size_t) t->config->negatives * d * sizeof(real));
	}
	if (has_positives(t))
	{
		rlrec_gather(n, d, 1, shard->target, t->e, shard->positive);
		memset(shard->dpositive, 0, (size_t) n * d * sizeof(real));
	}
}

static void
scatter(const RlrecTrainer *t, RlrecTrainerShard *shard, int n)
{
	int			d = t->config->shape.dimension;

	if (has_positives(t))
		rlrec_scatter_add(n, d, 1, shard->target, shard->dpositive, shard->gradient);
	if (t->config->negatives > 0)
		rlrec_scatter_add(t->config->negatives, d, 1, shard->sample, shard->dnegative, shard->gradient);
}

/* The next-item loss of n targets; `weighted`: of which each counts by row_weight and what the policy that acted thought of it */
static double
policy_loss(const RlrecTrainer *t, RlrecTrainerShard *shard, RlrecPool *pool, int n, const real *states, bool weighted)
{
	int			d = t->config->shape.dimension;
	double		loss = 0;
	RlrecNegatives negatives = {t->config->loss, t->config->negatives, shard->sample, shard->negative, shard->correction, t->config->beta};

	for (int i = 0; i < n && !rlrec_pool_stopping(pool); i += t->logits_rows)
	{
		int			block = Min(t->logits_rows, n - i);
		size_t		at = (size_t) i * d;
		RlrecRowWeights weights;
		const RlrecRowWeights *rows = NULL;

		if (weighted)
		{
			const RlrecObjective *o = t->config->objective;

			weights = (RlrecRowWeights) {shard->row_weight + i, o->correction > 0 ? shard->behaviour + i : NULL, o->correction, o->top};
			rows = &weights;
		}
		if (t->config->negatives > 0)
			loss += rlrec_loss_sampled(block, d, t->weight, rows, &negatives, states + at, shard->target + i, shard->positive + at,
									   shard->dstates + at, shard->dpositive + at, shard->dnegative, shard->logits);
		else
			loss += rlrec_loss_full(block, t->data->n_items, d, t->weight, rows, states + at, t->e, shard->target + i,
									t->data->n_items - t->n_warm, t->catalog + t->n_warm, shard->dstates + at, shard->gradient,
									shard->logits);
	}
	return loss;
}

/* All that a micro-batch's targets teach, given the states (n,d), of which `counted` are theirs; dstates is of these. */
static double
micro_loss(const RlrecTrainer *t, RlrecTrainerShard *shard, RlrecPool *pool, int n, uint64 key, const real *states, const real *counted)
{
	const RlrecObjective *objective = t->config->objective;
	size_t		numbers = (size_t) shard->n_targets * t->config->shape.dimension;
	double		loss = 0;

	gather(t, shard, shard->n_targets + shard->n_refused, key);
	if (objective != NULL)
		loss += rlrec_trainer_learn_heads(t, shard, pool, n, states, counted);
	if (objective == NULL || objective->policy)
		loss += policy_loss(t, shard, pool, shard->n_targets, counted, objective != NULL);
	else
		memset(shard->dstates, 0, numbers * sizeof(real));
	if (objective != NULL)
		rlrec_add(numbers, 1, shard->dheads, shard->dstates);
	scatter(t, shard, shard->n_targets + shard->n_refused);
	return loss;
}

/* Rows after the targets' for what the windows' users refused between one event and the next, as many as there is room for */
static void
pack_refused(const RlrecTrainer *t, RlrecTrainerShard *shard, int first, int end)
{
	const RlrecRewards *rewards = &t->data->rewards;
	int64		n_events = t->data->start[t->data->n_users];
	int			n = 0;

	shard->n_refused = 0;
	if (rewards->n_refused == 0)
		return;
	for (const RlrecWindow *window = &shard->window[first]; window < &shard->window[end]; n += window->length, window++)
		for (int k = window->skip; k < window->length - t->tail; k++)
		{
			int64		e = window->first + k;

			for (int64 i = rewards->refused_start[e]; i < rewards->refused_start[e + 1]; i++)
			{
				int			row = shard->n_targets + shard->n_refused;

				if (row == t->row_room)
					return;
				shard->target[row] = rewards->refused[i];
				shard->place[row] = n + k;
				shard->event[row] = n_events + i;
				shard->n_refused++;
			}
		}
}

/* Packs windows from *next on into the shard's arrays; returns the number of sequences. */
static int
pack(const RlrecTrainer *t, RlrecTrainerShard *shard, int *next)
{
	int			first = *next;
	int			sequences = 0;
	int			n = 0;

	shard->n_targets = 0;
	for (; *next < shard->n_windows; (*next)++)
	{
		const RlrecWindow *window = &shard->window[*next];
		RlrecHistoryEvents events;

		if (sequences > 0 && n + window->length > t->room)
			break;
		events = rlrec_history_events_from(&t->data->events, window->first);
		memcpy(shard->item + n, events.item, window->length * sizeof(int32));
		memcpy(shard->gap + n, events.gap, window->length * sizeof(uint8));
		memcpy(shard->type + n, events.type, window->length * sizeof(uint8));
		for (int k = window->skip; k < window->length - t->tail; k++)
		{
			if (t->config->objective != NULL)
			{
				shard->event[shard->n_targets] = window->first + k + 1;
				shard->last[shard->n_targets] = window->first + k + 2 == t->data->start[window->user + 1];
			}
			shard->target[shard->n_targets] = events.item[k + 1];
			shard->place[shard->n_targets++] = n + k;
		}
		shard->start[sequences++] = n;
		n += window->length;
	}
	shard->start[sequences] = n;
	pack_refused(t, shard, first, *next);
	return sequences;
}

static void
touch(RlrecTrainerShard *shard, int n, const int32 *item)
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
	RlrecTrainer *t = argument;
	RlrecTrainerShard *shard = &t->shard[s];
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
		touch(shard, shard->n_targets + shard->n_refused, shard->target);
		touch(shard, t->config->negatives, shard->sample);
	}
	n_items = t->lazy && t->data->n_features > 0 ? shard->n_touched : 0;
	for (int32 k = 0; k < n_items; k++)
		for (int32 i = features->start[shard->touched[k]]; i < features->start[shard->touched[k] + 1]; i++)
			touch(shard, 1, (int32[]) {t->data->n_items + features->feature[i]});
}

/* Lists what the step touches: the first shard's list becomes that of both. */
static void
list_rows(RlrecTrainer *t)
{
	if (!t->listed)
		return;
	rlrec_trainer_run(t, list_task);
	for (int other = 1; other < RLREC_SHARDS; other++)
		touch(&t->shard[0], t->shard[other].n_touched, t->shard[other].touched);
}

/* All but the projection's, which project_task() writes. */
static void
clear_gradient(const RlrecTrainer *t, RlrecTrainerShard *shard)
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

/* The states that count, one after another, those of refused events last */
static real *
counted_states(const RlrecTrainer *t, RlrecTrainerShard *shard, int n, real *states)
{
	int			d = t->config->shape.dimension;

	if (shard->n_targets == n && shard->n_refused == 0)
		return states;
	for (int k = 0; k < shard->n_targets + shard->n_refused; k++)
		memcpy(shard->counted + (size_t) k * d, states + (size_t) shard->place[k] * d, d * sizeof(real));
	return shard->counted;
}

/* The gradient of those becomes that of all n states; a place is never before the row, so rows move from the last on. */
static void
spread_gradient(const RlrecTrainer *t, RlrecTrainerShard *shard, int n)
{
	int			d = t->config->shape.dimension;
	int			end = n;

	for (int k = shard->n_targets - 1; k >= 0 && shard->n_targets < n; k--)
	{
		int			place = shard->place[k];

		memmove(shard->dstates + (size_t) place * d, shard->dstates + (size_t) k * d, d * sizeof(real));
		memset(shard->dstates + (size_t) (place + 1) * d, 0, (size_t) (end - place - 1) * d * sizeof(real));
		end = place;
	}
	memset(shard->dstates, 0, shard->n_targets < n ? (size_t) end * d * sizeof(real) : 0);
	for (int k = shard->n_targets; k < shard->n_targets + shard->n_refused; k++)
		rlrec_add(d, 1, shard->dheads + (size_t) k * d, shard->dstates + (size_t) shard->place[k] * d);
}

static void
gradient_task(RlrecPool *pool, int s, void *argument)
{
	RlrecTrainer *t = argument;
	RlrecTrainerShard *shard = &t->shard[s];
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
		real	   *states;

		rlrec_trainer_foresee(t, shard, &batch);
		states = rlrec_history_forward(&t->config->shape, &t->weights, t->e, &batch, key, shard->workspace);
		shard->loss += micro_loss(t, shard, pool, n, key, states, counted_states(t, shard, n, states));
		if (rlrec_pool_stopping(pool))
			return;
		spread_gradient(t, shard, n);
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
reduce_part(RlrecTrainer *t, size_t first, size_t end, int s)
{
	part_of(first, end, s, &first, &end);
	for (int other = 1; other < RLREC_SHARDS; other++)
		rlrec_add(end - first, 1, t->shard[other].gradient + first, t->shard[0].gradient + first);
}

/* The first shard's gradient becomes the sum: all but the projection's. */
static void
reduce_task(RlrecPool *pool pg_attribute_unused(), int s, void *argument)
{
	RlrecTrainer *t = argument;

	if (!t->lazy)
		reduce_part(t, 0, t->n_table, s);
	reduce_part(t, t->n_embedding, t->n, s);
}

/* The same of the table's rows when lazy, which are few. */
static void
reduce_rows(RlrecTrainer *t)
{
	int			d = t->config->shape.dimension;
	RlrecTrainerShard	   *sum = &t->shard[0];

	if (!t->lazy)
		return;
	for (int other = 1; other < RLREC_SHARDS; other++)
	{
		const RlrecTrainerShard *shard = &t->shard[other];

		for (int32 k = 0; k < shard->n_touched; k++)
			if (shard->touched[k] < t->data->n_items)
				rlrec_add(d, 1, shard->gradient + (size_t) shard->touched[k] * d, sum->gradient + (size_t) shard->touched[k] * d);
	}
}

static void
norm_task(RlrecPool *pool pg_attribute_unused(), int s, void *argument)
{
	RlrecTrainer *t = argument;
	int			d = t->config->shape.dimension;
	const RlrecTrainerShard *sum = &t->shard[0];
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
update_rows(RlrecTrainer *t, int s)
{
	int			d = t->config->shape.dimension;

	for (int32 k = s; k < t->shard[0].n_touched; k += RLREC_SHARDS)
	{
		size_t		at = (size_t) t->shard[0].touched[k] * d;

		rlrec_adam_update(d, &t->adam, t->shard[0].gradient + at, t->m + at, t->v + at, t->parameters + at);
		if (t->average != NULL)
			memcpy(t->average + at, t->parameters + at, d * sizeof(real));
	}
}

static void
update_task(RlrecPool *pool pg_attribute_unused(), int s, void *argument)
{
	RlrecTrainer *t = argument;
	size_t		first;
	size_t		end;

	if (t->lazy)
		update_rows(t, s);
	part_of(t->lazy ? t->n_embedding : 0, t->n, s, &first, &end);
	rlrec_adam_update(end - first, &t->adam, t->shard[0].gradient + first, t->m + first, t->v + first, t->parameters + first);
	if (t->average != NULL)
	{
		rlrec_scale(end - first, t->keep, t->average + first);
		rlrec_add(end - first, 1 - t->keep, t->parameters + first, t->average + first);
	}
}

/* Puts each window where there is less to do. Attention's cost grows with the square: a position costs 1 and 1/500 for each before it. */
static void
deal(RlrecTrainer *t, int n, const RlrecWindow *windows)
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
		positions += windows[k].length - windows[k].skip - t->tail;
	}
	t->weight = 1.0 / Max(positions, 1);
}

double
rlrec_trainer_step(RlrecTrainer *t, int n, const RlrecWindow *windows)
{
	int64		step = ++t->step;
	double		loss = 0;
	double		squares = 0;

	t->step_key = rlrec_random_key(rlrec_random_key(t->config->seed, RLREC_STREAM_STEP), step);
	deal(t, n, windows);
	list_rows(t);
	rlrec_trainer_compose(t, t->listed ? t->shard[0].touched : NULL, t->shard[0].n_touched, t->config->modality_dropout, t->parameters);
	rlrec_trainer_run(t, gradient_task);
	rlrec_trainer_run(t, reduce_task);
	reduce_rows(t);
	decompose(t);
	rlrec_trainer_run(t, norm_task);
	for (int s = 0; s < RLREC_SHARDS; s++)
	{
		loss += t->shard[s].loss;
		squares += t->shard[s].squares;
	}
	loss *= t->weight;
	if (!isfinite(loss) || !isfinite(squares))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("training of learner \"%s\" diverged", t->config->learner),
				 errdetail("The loss of step %lld is not finite.", (long long) step),
				 errhint("Lower option \"learning_rate\".")));
	t->keep = Min(t->config->average, (real) step / (step + 10));	/* young averages forget faster */
	t->adam = rlrec_adam_step(&t->config->adam, step, squares);
	rlrec_trainer_run(t, update_task);
	return loss;
}
