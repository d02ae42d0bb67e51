/*
 * next_item_validate.c
 *	  How good the weights of a training are: the last item of every user who keeps it, ranked among all items that the user has not had.
 */
#include "postgres.h"

#include <math.h>

#include "learner/trainer.h"
#include "tensor/blas.h"
#include "tensor/random.h"

/* Numbers of logits of users ranked at once, users of a validation, and how good a rank must be to count */
#define RANKED (1 << 22)
#define VALIDATION_USERS 10000
#define RANKS 10

/* Where fewer users have an event that the start has not learned, all users validate. */
#define LEAST_VALIDATED 10

/* Of the users with new events, one in so many keeps the last one for validation. */
#define KEEPERS 10

/* A user who has fewer keeps them all for training. */
#define LEAST_EVENTS 3

int
rlrec_trainer_ranked(int32 n_items)
{
	return Max(Min(RANKED / Max(n_items, 1), 64), 1);
}

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
	int			ranked = Min(rlrec_trainer_ranked(data->n_items), t->room);

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

			t->wanted[at + k] = wanted;
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

bool
rlrec_trainer_keeps(const RlrecTrainer *t, int32 u)
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
	return rlrec_trainer_keeps(t, u) && (who == ALL_USERS || (t->data->fresh[u] < t->data->start[u + 1]) == (who == FRESH_USERS));
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
void
rlrec_trainer_choose_validated(RlrecTrainer *t)
{
	t->validated = palloc0(VALIDATION_USERS * sizeof(int32));
	t->wanted = palloc(VALIDATION_USERS * sizeof(real));
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

double
rlrec_trainer_validate(RlrecTrainer *t, const real *judged, double *plain)
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

/* The share of the policy's NDCG that must be left when values of gamma 0 have their weight. */
#define TOLERATED 0.98

/*
 * By how much the rewards of the last items differ, per difference in what the first head gave them, at most 1: a head that has learned its log
 * by heart says too much of events that it has not seen. alone[] are their scores without the values, t->wanted those with them.
 */
static double
calibration(const RlrecTrainer *t, const real *alone)
{
	double		mean_q = 0;
	double		mean_reward = 0;
	double		covariance = 0;
	double		variance = 0;

	for (int pass = 0; pass < 2; pass++)
		for (int32 i = 0; i < t->n_validated; i++)
		{
			double		q = (t->wanted[i] - alone[i]) / t->blend[0];
			double		reward = t->data->rewards.reward[t->data->start[t->validated[i] + 1] - 1];

			if (pass == 0)
			{
				mean_q += q / t->n_validated;
				mean_reward += reward / t->n_validated;
				continue;
			}
			covariance += (q - mean_q) * (reward - mean_reward);
			variance += (q - mean_q) * (q - mean_q);
		}
	return covariance > 0 ? Min(covariance / variance, 1) : 0;
}

/*
 * What pays most is ranked by p(a) E[r | a], and log (mean + deviation * Q) is Q * deviation / mean up to a constant, where Q is small.
 * Nothing is -mean / deviation on the scale of Q. False, without a weight, where that would cost the policy more than is tolerated.
 */
static bool
weigh_expectation(RlrecTrainer *t)
{
	real	   *alone = palloc(VALIDATION_USERS * sizeof(real));
	double		least;
	double		ndcg;

	t->blend[0] = 0;
	(void) rlrec_trainer_validate(t, t->best, &least);
	memcpy(alone, t->wanted, t->n_validated * sizeof(real));
	t->blend[0] = Min(1, -1 / t->config->objective->nothing);
	(void) rlrec_trainer_validate(t, t->best, &ndcg);
	t->blend[0] *= calibration(t, alone);
	(void) rlrec_trainer_validate(t, t->best, &ndcg);
	ereport(DEBUG1,
			(errmsg_internal("values weigh %g: validation NDCG@10 %.4f, %.4f of the policy alone", t->blend[0], ndcg, least)));
	pfree(alone);
	if (ndcg >= TOLERATED * least)
		return true;
	t->blend[0] = 0;
	return false;
}

void
rlrec_trainer_choose_blend(RlrecTrainer *t)
{
	const RlrecObjective *o = t->config->objective;
	static const real weights[] = {0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5};
	const real *last = t->average != NULL ? t->average : t->parameters;
	real		best = 0;
	double		least;
	double		highest;

	if (o == NULL || !o->choose || t->n_validated == 0)
		return;
	if (o->gamma == 0 && o->nothing < 0 && weigh_expectation(t))
		return;
	t->blend[0] = 0;
	highest = rlrec_trainer_validate(t, last, &least);
	ereport(DEBUG1, (errmsg_internal("the policy alone: validation NDCG@10 %.4f, by rewards %.4f", least, highest)));
	for (int k = 0; k < (int) lengthof(weights); k++)
	{
		double		reward_ndcg;
		double		ndcg;

		t->blend[0] = weights[k];
		reward_ndcg = rlrec_trainer_validate(t, last, &ndcg);
		ereport(DEBUG1, (errmsg_internal("values weigh %g: validation NDCG@10 %.4f, by rewards %.4f", weights[k], ndcg, reward_ndcg)));
		if (ndcg < least || reward_ndcg <= highest)
			continue;
		highest = reward_ndcg;
		best = weights[k];
	}
	t->blend[0] = best;
}
