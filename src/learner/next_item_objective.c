/*
 * next_item_objective.c
 *	  What a micro-batch learns of rewards: its heads' losses, and how much each position of the next-item loss counts.
 *
 * A transition is a position of a history that has a target: the state after an event, the item of the next event as the action, that
 * event's reward, and the state after it, which is the next position's. The end of a history has no future. What was refused in a state, an event
 * without a positive reward, is a transition too, which leaves the state as it is.
 */
#include "postgres.h"

#include <math.h>

#include "learner/trainer.h"

RlrecHead
rlrec_trainer_head(const RlrecTrainer *t, real *parameters, int head)
{
	int			d = t->config->shape.dimension;

	return rlrec_head_place(d, parameters + t->n_network + head * rlrec_head_parameters(t->data->n_items, d));
}

static const real *
target_weights(const RlrecTrainer *t)
{
	return t->average != NULL ? t->average : t->parameters;
}

void
rlrec_trainer_foresee(const RlrecTrainer *t, RlrecTrainerShard *shard, const RlrecPacked *batch)
{
	RlrecHistoryShape shape = t->config->shape;
	int			n = batch->start[batch->sequences];
	RlrecHistoryWeights weights;

	if (!rlrec_objective_looks_ahead(t->config->objective))
		return;
	shape.dropout = 0;
	weights = rlrec_history_place(&shape, unconstify(real *, target_weights(t)) + t->n_embedding);
	memcpy(shard->foreseen, rlrec_history_forward(&shape, &weights, t->e, batch, 0, shard->workspace),
		   (size_t) n * shape.dimension * sizeof(real));
}

/* future[n]: of the actions the one that is best by these weights, valued by the target's */
static void
double_q(const RlrecTrainer *t, RlrecTrainerShard *shard, RlrecPool *pool, int n, const real *states, const RlrecActions *actions)
{
	int			d = t->config->shape.dimension;
	RlrecHead	own = rlrec_trainer_head(t, t->parameters, 0);
	RlrecHead	target = rlrec_trainer_head(t, unconstify(real *, target_weights(t)), 0);

	for (int i = 0; i < n && !rlrec_pool_stopping(pool); i += t->logits_rows)
	{
		int			rows = Min(t->logits_rows, n - i);

		rlrec_head_forward(rows, d, &own, states + (size_t) i * d, NULL, NULL, actions, shard->x, shard->q);
		rlrec_head_forward(rows, d, &target, shard->foreseen + (size_t) i * d, NULL, NULL, actions, shard->x, shard->dq);
		for (int r = 0; r < rows; r++)
		{
			const real *q = shard->q + (size_t) r * actions->n;
			int			best = -1;

			for (int j = 0; j < actions->n; j++)
				if ((best < 0 || q[j] > q[best]) && (actions->item != NULL || !t->is_cold[j]))
					best = j;
			shard->future[i + r] = shard->dq[(size_t) r * actions->n + best];
		}
	}
}

/* future[n]: of the action that followed; a state that none is known to follow is left V */
static void
sarsa(const RlrecTrainer *t, RlrecTrainerShard *shard)
{
	int			d = t->config->shape.dimension;
	RlrecHead	target = rlrec_trainer_head(t, unconstify(real *, target_weights(t)), 0);
	RlrecActions none = {0};

	for (int k = 0; k < shard->n_targets; k++)
		rlrec_head_forward(1, d, &target, shard->foreseen + (size_t) shard->place[k] * d, shard->target + k,
						   shard->positive + (size_t) k * d, &none, shard->x, shard->future + shard->place[k]);
}

/* What each of n states is worth to the one before it */
static void
look_ahead(const RlrecTrainer *t, RlrecTrainerShard *shard, RlrecPool *pool, int n, const real *states, const RlrecActions *actions)
{
	RlrecHead	target = rlrec_trainer_head(t, unconstify(real *, target_weights(t)), 0);

	if (t->config->objective->bootstrap == RLREC_BOOTSTRAP_DOUBLE)
		double_q(t, shard, pool, n, states, actions);
	else
		rlrec_head_value(n, t->config->shape.dimension, &target, shard->foreseen, shard->future);
	if (t->config->objective->bootstrap == RLREC_BOOTSTRAP_SARSA)
		sarsa(t, shard);
}

/* What head k is to say of row i, a target or a refused event */
static real
value_target(const RlrecTrainer *t, const RlrecTrainerShard *shard, int k, int i)
{
	int64		n = t->data->start[t->data->n_users] + t->data->rewards.n_refused;
	bool		refused = i >= shard->n_targets;
	real		reward = t->data->rewards.reward[k * n + shard->event[i]];

	if (k > 0 || !rlrec_objective_looks_ahead(t->config->objective) || (!refused && shard->last[i]))
		return reward;
	return reward + t->config->objective->gamma * shard->future[shard->place[i] + !refused];
}

/* The loss of actions that were not taken, n rows of the head's q from target i on; its gradient is added to dq. */
static double
unobserved_loss(const RlrecTrainer *t, RlrecTrainerShard *shard, const RlrecActions *actions, int i, int n)
{
	const RlrecObjective *o = t->config->objective;
	bool		ahead = rlrec_objective_looks_ahead(o);
	real		weight = t->weight * o->loss * o->unobserved / actions->n;
	double		loss = 0;

	for (int r = 0; r < n; r++)
	{
		const real *q = shard->q + (size_t) r * (1 + actions->n) + 1;
		real	   *dq = shard->dq + (size_t) r * (1 + actions->n) + 1;
		real		target = o->nothing + (ahead ? o->gamma * shard->future[shard->place[i + r]] : 0);

		for (int j = 0; j < actions->n; j++)
		{
			real		error = q[j];

			/* Cold items are no negatives. */
			if ((actions->item != NULL ? actions->item[j] : j) == shard->target[i + r] || (actions->item == NULL && t->is_cold[j]))
				continue;
			loss += rlrec_loss_huber(1, weight, o->huber, &target, &error) / actions->n;
			dq[j] += error;
		}
	}
	return o->unobserved * loss;
}

/* The losses of head k of values in n rows from i on, all targets or all refused, whose states are h */
static double
value_loss(const RlrecTrainer *t, RlrecTrainerShard *shard, const RlrecActions *actions, real *dactions, int k, int i, int n, const real *h)
{
	const RlrecObjective *o = t->config->objective;
	int			d = t->config->shape.dimension;
	size_t		at = (size_t) i * d;
	RlrecActions none = {0};
	bool		compares = i < shard->n_targets && (o->conservative > 0 || o->unobserved > 0);
	const RlrecActions *compared = compares ? actions : &none;
	size_t		width = 1 + compared->n;
	RlrecHead	head = rlrec_trainer_head(t, t->parameters, k);
	RlrecHead	gradient = rlrec_trainer_head(t, shard->gradient, k);
	double		loss = 0;

	rlrec_head_forward(n, d, &head, h, shard->target + i, shard->positive + at, compared, shard->x, shard->q);
	if (compares && o->conservative > 0)
	{
		memcpy(shard->dq, shard->q, n * width * sizeof(real));
		loss += o->conservative * rlrec_loss_actions(n, actions->n, t->weight * o->loss * o->conservative, actions->item, shard->correction,
													 shard->target + i, shard->dq, NULL);
	}
	else
		memset(shard->dq, 0, n * width * sizeof(real));
	if (compares && o->unobserved > 0)
		loss += unobserved_loss(t, shard, actions, i, n);
	for (int r = 0; r < n; r++)
	{
		real		target = value_target(t, shard, k, i + r);
		real		error = shard->q[r * width];

		if (k == 0)
			shard->taken[i + r] = error;
		loss += rlrec_loss_huber(1, t->weight * o->loss, o->huber, &target, &error);
		shard->dq[r * width] += error;
	}
	rlrec_head_backward(n, d, &head, h, shard->target + i, shard->positive + at, compared, shard->x, shard->dq, &gradient, shard->dx,
						o->shared ? shard->dheads + at : NULL, o->shared ? shard->dpositive + at : NULL, o->shared ? dactions : NULL);
	return o->loss * loss;
}

/* V of n targets from i on, towards Q of what was done, or the credit; it ends at the states. */
static double
state_loss(const RlrecTrainer *t, RlrecTrainerShard *shard, int i, int n, const real *h)
{
	const RlrecObjective *o = t->config->objective;
	int			d = t->config->shape.dimension;
	RlrecHead	head = rlrec_trainer_head(t, t->parameters, 0);
	RlrecHead	gradient = rlrec_trainer_head(t, shard->gradient, 0);

	for (int r = i; o->loss == 0 && r < i + n; r++)
		shard->taken[r] = t->data->rewards.credit[shard->event[r]];
	rlrec_head_value(n, d, &head, h, shard->value + i);
	memcpy(shard->dq, shard->value + i, n * sizeof(real));
	(void) rlrec_loss_expectile(n, t->weight, o->expectile, shard->taken + i, shard->dq);
	rlrec_head_value_backward(n, d, h, shard->dq, &gradient);
	return 0;
}

/* The policy that acted, as a head that learns from states and embeddings but does not change them */
static void
behaviour_loss(const RlrecTrainer *t, RlrecTrainerShard *shard, const RlrecActions *actions, int i, int n, const real *h)
{
	int			d = t->config->shape.dimension;
	int			k = t->config->objective->values;
	RlrecHead	head = rlrec_trainer_head(t, t->parameters, k);
	RlrecHead	gradient = rlrec_trainer_head(t, shard->gradient, k);
	const int32 *item = shard->target + i;
	const real *own = shard->positive + (size_t) i * d;

	rlrec_head_forward(n, d, &head, h, item, own, actions, shard->x, shard->q);
	(void) rlrec_loss_actions(n, actions->n, t->weight, actions->item, shard->correction, item, shard->q, shard->behaviour + i);
	for (int r = i; r < i + n; r++)
		shard->behaviour[r] = -shard->behaviour[r];
	rlrec_head_backward(n, d, &head, h, item, own, actions, shard->x, shard->q, &gradient, shard->dx, NULL, NULL, NULL);
}

static real
row_weight(const RlrecTrainer *t, const RlrecTrainerShard *shard, int i)
{
	const RlrecObjective *o = t->config->objective;
	real		advantage = o->weighting == RLREC_WEIGH_CREDIT ? 0 : (shard->taken[i] - shard->value[i]) / o->temperature;

	switch (o->weighting)
	{
		case RLREC_WEIGH_ALIKE:
			return 1;
		case RLREC_WEIGH_CREDIT:
			return t->data->rewards.credit[shard->event[i]] - (o->baseline ? shard->value[i] : 0);
		case RLREC_WEIGH_LINEAR:
			return Max(Min(1 + advantage, o->cap), 0);
		case RLREC_WEIGH_EXPONENTIAL:
			return Min(exp(advantage), o->cap);
	}
	return 1;
}

double
rlrec_trainer_learn_heads(const RlrecTrainer *t, RlrecTrainerShard *shard, RlrecPool *pool, int n, const real *states,
						  const real *counted)
{
	const RlrecObjective *o = t->config->objective;
	int			d = t->config->shape.dimension;
	int			m = t->config->negatives;
	RlrecActions actions = {m > 0 ? m : t->data->n_items, m > 0 ? shard->sample : NULL, m > 0 ? shard->negative : t->e};
	real	   *dactions = m > 0 ? shard->dnegative : shard->gradient;
	int			n_rows = shard->n_targets + shard->n_refused;
	double		loss = 0;

	memset(shard->dheads, 0, (size_t) n_rows * d * sizeof(real));
	if (rlrec_objective_looks_ahead(o))
		look_ahead(t, shard, pool, n, states, &actions);
	for (int i = 0; i < shard->n_targets && !rlrec_pool_stopping(pool); i += t->logits_rows)
	{
		int			rows = Min(t->logits_rows, shard->n_targets - i);
		const real *h = counted + (size_t) i * d;

		for (int k = 0; k < o->values && o->loss > 0; k++)
			loss += value_loss(t, shard, &actions, dactions, k, i, rows, h);
		if (o->values > 0)
			loss += state_loss(t, shard, i, rows, h);
		if (o->correction > 0)
			behaviour_loss(t, shard, &actions, i, rows, h);
		for (int r = i; r < i + rows; r++)
			shard->row_weight[r] = row_weight(t, shard, r);
	}
	for (int i = shard->n_targets; i < n_rows && o->loss > 0 && !rlrec_pool_stopping(pool); i += t->logits_rows)
		for (int k = 0; k < o->values; k++)
			loss += value_loss(t, shard, &actions, dactions, k, i, Min(t->logits_rows, n_rows - i), counted + (size_t) i * d);
	return loss;
}
