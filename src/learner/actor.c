/*
 * actor.c
 *	  What REINFORCE, PPO and A2C share: a policy and a critic, each a multilayer perceptron, and the episodes of a replay.
 *
 * The two networks share nothing but the length to which their gradients are clipped. Of each the tensors are NAME, its parameters in
 * the order of nn/mlp.h, and NAME_m and NAME_v, Adam's moments. All work on rows is cut into chunks, with interrupts between them.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "learner/actor.h"
#include "nn/policy_gradient.h"
#include "tensor/random.h"

/* The policy starts near uniform (Andrychowicz et al. 2021). */
#define FIRST_LOGITS 0.01f

/* What rounds to 0 in single precision must not be divided by. */
#define LEAST_PROPENSITY 1e-6f

static RlrecMlpShape
network_shape(const RlrecOnline *online, int out)
{
	RlrecMlpShape shape = {.activation = RLREC_MLP_TANH};

	shape.layers = rlrec_option_ints(online->options, online->learner->options, "hidden", shape.width + 1) + 1;
	shape.width[0] = online->state_size;
	shape.width[shape.layers] = out;
	return shape;
}

static void
start_network(RlrecOnline *online, int out, const char *name)
{
	RlrecMlpShape shape = network_shape(online, out);
	size_t		n = rlrec_mlp_parameters(&shape);

	rlrec_tensors_add(online->tensors, name, RLREC_F32, 1, n, 0);
	rlrec_tensors_add(online->tensors, psprintf("%s_m", name), RLREC_F32, 1, n, 0);
	rlrec_tensors_add(online->tensors, psprintf("%s_v", name), RLREC_F32, 1, n, 0);
}

void
rlrec_actor_start(RlrecOnline *online, bool critic)
{
	MemoryContext caller = MemoryContextSwitchTo(online->context);

	start_network(online, online->actions, "policy");
	if (critic)
		start_network(online, 1, "critic");
	MemoryContextSwitchTo(caller);
}

void
rlrec_actor_initialize(RlrecOnline *online)
{
	RlrecActor *actor = rlrec_actor_open(online);

	rlrec_mlp_initialize(&actor->policy.shape, rlrec_random_key(online->key, RLREC_ACTOR_POLICY), FIRST_LOGITS, actor->policy.parameter);
	if (actor->critic.n > 0)
		rlrec_mlp_initialize(&actor->critic.shape, rlrec_random_key(online->key, RLREC_ACTOR_CRITIC), 1, actor->critic.parameter);
}

static void
open_network(const RlrecOnline *online, int out, const char *name, RlrecNetwork *network)
{
	network->shape = network_shape(online, out);
	network->n = rlrec_mlp_parameters(&network->shape);
	network->parameter = rlrec_online_tensor(online, name, network->n);
	network->m = rlrec_online_tensor(online, psprintf("%s_m", name), network->n);
	network->v = rlrec_online_tensor(online, psprintf("%s_v", name), network->n);
	network->gradient = palloc0(mul_size(network->n, sizeof(float)));
	network->workspace = palloc(mul_size(rlrec_mlp_workspace(&network->shape, RLREC_ACTOR_CHUNK), sizeof(float)));
}

RlrecActor *
rlrec_actor_open(RlrecOnline *online)
{
	const RlrecOption *specs = online->learner->options;
	MemoryContext caller;
	RlrecActor *actor;

	if (online->scratch != NULL)
		return online->scratch;
	caller = MemoryContextSwitchTo(online->context);
	actor = palloc0(sizeof(RlrecActor));
	open_network(online, online->actions, "policy", &actor->policy);
	if (rlrec_tensors_find(online->tensors, "critic") != NULL)
		open_network(online, 1, "critic", &actor->critic);
	actor->gamma = rlrec_option_real(online->options, specs, "gamma");
	actor->entropy = rlrec_option_real(online->options, specs, "entropy");
	actor->value_weight = rlrec_option_real(online->options, specs, "value_weight");
	actor->adam = (RlrecAdam) {
		.learning_rate = rlrec_option_real(online->options, specs, "learning_rate"),
		.beta1 = 0.9f,
		.beta2 = 0.999f,
		.clip = rlrec_option_real(online->options, specs, "clip")
	};
	online->scratch = actor;
	MemoryContextSwitchTo(caller);
	return actor;
}

/* The outputs for n <= RLREC_ACTOR_CHUNK rows, in the workspace; then, given their gradients dy, adds to the parameters' own. */
static float *
forward(RlrecNetwork *network, int n, const float *x)
{
	CHECK_FOR_INTERRUPTS();
	return rlrec_mlp_forward(&network->shape, network->parameter, n, x, network->workspace);
}

static void
backward(RlrecNetwork *network, int n, const float *x, const float *dy)
{
	rlrec_mlp_backward(&network->shape, network->parameter, n, x, network->workspace, dy, network->gradient, NULL);
}

void
rlrec_actor_policy(RlrecOnline *online, const float *state, bool explore, float *p)
{
	int			actions = online->actions;
	int			best;

	memcpy(p, forward(&rlrec_actor_open(online)->policy, 1, state), actions * sizeof(float));
	if (explore)
	{
		rlrec_softmax(actions, NULL, p);
		return;
	}
	best = rlrec_online_best(actions, p);
	memset(p, 0, actions * sizeof(float));
	p[best] = 1;
}

void
rlrec_actor_values(RlrecOnline *online, const float *state, float *q)
{
	RlrecActor *actor = rlrec_actor_open(online);
	float		value = actor->critic.n > 0 ? *forward(&actor->critic, 1, state) : 0;

	for (int a = 0; a < online->actions; a++)
		q[a] = value;
}

/* ---------------------------------------------------------------- transitions */

typedef struct Place
{
	int64		episode;
	int64		number;
} Place;

static int
compare_places(const void *a, const void *b)
{
	const Place *x = a;
	const Place *y = b;

	if (x->episode != y->episode)
		return x->episode < y->episode ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* The places of the replay from number `from` on, an episode's together. */
static Place *
sorted_places(const RlrecReplay *replay, int64 from, int n)
{
	Place	   *place = palloc(mul_size(Max(n, 1), sizeof(Place)));

	for (int i = 0; i < n; i++)
		place[i] = (Place) {replay->episode[(from + i) % replay->capacity], from + i};
	qsort(place, n, sizeof(Place), compare_places);
	return place;
}

static bool
is_last(const RlrecReplay *replay, const Place *place, int i, int n)
{
	return i == n - 1 || place[i + 1].episode != place[i].episode || replay->end[place[i].number % replay->capacity] != 0;
}

/* Keeps of place[n] those of episodes that ended at number `learned` or later; returns how many. An id may have named several in turn. */
static int
keep_ended(const RlrecReplay *replay, int64 learned, Place *place, int n)
{
	int			kept = n;
	bool		keep = false;

	for (int i = n - 1; i >= 0; i--)
	{
		if (is_last(replay, place, i, n))
			keep = replay->end[place[i].number % replay->capacity] != 0 && place[i].number >= learned;
		if (keep)
			place[--kept] = place[i];
	}
	memmove(place, place + kept, (n - kept) * sizeof(Place));
	return n - kept;
}

static RlrecRows *
make_rows(int n, int state_size)
{
	RlrecRows  *rows = palloc(sizeof(RlrecRows));
	Size		states = mul_size(mul_size(Max(n, 1), state_size), sizeof(float));

	rows->n = n;
	rows->state = palloc_extended(states, MCXT_ALLOC_HUGE);
	rows->next_state = palloc_extended(states, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	rows->action = palloc(Max(n, 1) * sizeof(int32));
	rows->reward = palloc(Max(n, 1) * sizeof(float));
	rows->propensity = palloc(Max(n, 1) * sizeof(float));
	rows->terminated = palloc(Max(n, 1) * sizeof(bool));
	rows->last = palloc(Max(n, 1) * sizeof(bool));
	return rows;
}

RlrecRows *
rlrec_actor_rows(const RlrecReplay *replay, int64 learned, bool whole)
{
	int64		from = whole ? replay->first : Max(replay->first, learned);
	int			n = (int) (replay->next - from);
	Place	   *place = sorted_places(replay, from, n);
	size_t		d = replay->state_size;
	RlrecRows  *rows;

	if (whole)
		n = keep_ended(replay, learned, place, n);
	rows = make_rows(n, replay->state_size);
	for (int i = 0; i < n; i++)
	{
		size_t		slot = place[i].number % replay->capacity;

		rows->action[i] = replay->action[slot];
		rows->reward[i] = replay->reward[slot];
		rows->propensity[i] = Max(replay->propensity[slot], LEAST_PROPENSITY);
		rows->terminated[i] = replay->end[slot] == RLREC_TERMINATED;
		rows->last[i] = is_last(replay, place, i, n);
		memcpy(rows->state + i * d, replay->state + slot * d, d * sizeof(float));
		if (!rows->terminated[i])
			memcpy(rows->next_state + i * d, replay->next_state + slot * d, d * sizeof(float));
	}
	pfree(place);
	return rows;
}

/* value[n] of x (n,state_size); 0 without a critic */
static void
values_of(RlrecActor *actor, int n, const float *x, float *value)
{
	memset(value, 0, n * sizeof(float));
	for (int i = 0; actor->critic.n > 0 && i < n; i += RLREC_ACTOR_CHUNK)
	{
		int			chunk = Min(RLREC_ACTOR_CHUNK, n - i);

		memcpy(value + i, forward(&actor->critic, chunk, x + (size_t) i * actor->critic.shape.width[0]),
			   chunk * sizeof(float));
	}
}

RlrecLesson
rlrec_actor_lesson(RlrecActor *actor, const RlrecRows *rows, double lambda, bool normalize)
{
	Size		size = mul_size(Max(rows->n, 1), sizeof(float));
	RlrecLesson lesson = {.rows = rows, .value = palloc(size), .advantage = palloc(size), .target = palloc(size), .order = palloc(size)};
	float	   *next = palloc(size);

	values_of(actor, rows->n, rows->state, lesson.value);
	values_of(actor, rows->n, rows->next_state, next);
	rlrec_generalized_advantages(rows->n, actor->gamma, lambda, rows->reward, lesson.value, next, rows->terminated, rows->last,
								 lesson.advantage);
	for (int i = 0; i < rows->n; i++)
	{
		lesson.target[i] = lesson.value[i] + lesson.advantage[i];
		lesson.order[i] = i;
	}
	if (normalize)
		rlrec_normalize(rows->n, lesson.advantage);
	pfree(next);
	return lesson;
}

/* ---------------------------------------------------------------- learning */

/* Rows of a lesson, gathered */
typedef struct Chunk
{
	int			n;
	int32		action[RLREC_ACTOR_CHUNK];
	float		propensity[RLREC_ACTOR_CHUNK];
	float		importance[RLREC_ACTOR_CHUNK];
	float		advantage[RLREC_ACTOR_CHUNK];
	float		value[RLREC_ACTOR_CHUNK];
	float		target[RLREC_ACTOR_CHUNK];
	float		state[FLEXIBLE_ARRAY_MEMBER];	/* (RLREC_ACTOR_CHUNK,state_size) */
} Chunk;

static void
gather(const RlrecLesson *lesson, int n, const int32 *row, size_t d, Chunk *chunk)
{
	chunk->n = n;
	for (int i = 0; i < n; i++)
	{
		chunk->action[i] = lesson->rows->action[row[i]];
		chunk->propensity[i] = lesson->rows->propensity[row[i]];
		chunk->advantage[i] = lesson->advantage[row[i]];
		chunk->value[i] = lesson->value[row[i]];
		chunk->target[i] = lesson->target[row[i]];
		memcpy(chunk->state + i * d, lesson->rows->state + row[i] * d, d * sizeof(float));
	}
}

static void
policy_gradient(RlrecActor *actor, const RlrecLesson *lesson, float weight, Chunk *chunk)
{
	int			actions = actor->policy.shape.width[actor->policy.shape.layers];
	float	   *logits = forward(&actor->policy, chunk->n, chunk->state);

	if (lesson->clip_range > 0)
		rlrec_loss_clipped_surrogate(chunk->n, actions, weight, actor->entropy, lesson->clip_range, chunk->action, chunk->advantage,
									 chunk->propensity, logits);
	else
	{
		rlrec_importance(chunk->n, actions, lesson->importance_cap, chunk->action, chunk->propensity, logits, chunk->importance);
		rlrec_loss_policy_gradient(chunk->n, actions, weight, actor->entropy, chunk->action, chunk->advantage, chunk->importance,
								   logits);
	}
	backward(&actor->policy, chunk->n, chunk->state, logits);
}

static void
critic_gradient(RlrecActor *actor, const RlrecLesson *lesson, float weight, Chunk *chunk)
{
	float	   *value = forward(&actor->critic, chunk->n, chunk->state);

	rlrec_loss_critic(chunk->n, weight * actor->value_weight, lesson->value_clip_range, chunk->value, chunk->target, value);
	backward(&actor->critic, chunk->n, chunk->state, value);
}

void
rlrec_actor_gradients(RlrecActor *actor, const RlrecLesson *lesson, int n, const int32 *row)
{
	size_t		d = actor->policy.shape.width[0];
	Chunk	   *chunk = palloc(add_size(sizeof(Chunk), mul_size(RLREC_ACTOR_CHUNK * sizeof(float), d)));

	for (int i = 0; i < n; i += RLREC_ACTOR_CHUNK)
	{
		gather(lesson, Min(RLREC_ACTOR_CHUNK, n - i), row + i, d, chunk);
		policy_gradient(actor, lesson, 1.0f / n, chunk);
		if (actor->critic.n > 0)
			critic_gradient(actor, lesson, 1.0f / n, chunk);
	}
	pfree(chunk);
}

static void
update_network(RlrecNetwork *network, const RlrecAdamStep *step)
{
	rlrec_adam_update(network->n, step, network->gradient, network->m, network->v, network->parameter);
	memset(network->gradient, 0, network->n * sizeof(float));
}

void
rlrec_actor_step(RlrecOnline *online, RlrecActor *actor)
{
	double		sum = rlrec_sum_squares(actor->policy.n, actor->policy.gradient);
	RlrecAdamStep step;

	if (actor->critic.n > 0)
		sum += rlrec_sum_squares(actor->critic.n, actor->critic.gradient);
	if (!isfinite(sum))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("learner \"%s\" came to a gradient that is not finite", online->learner->name),
				 errhint("Lower the option \"learning_rate\", or scale states and rewards to numbers near 1.")));
	step = rlrec_adam_step(&actor->adam, ++online->steps, sum);
	update_network(&actor->policy, &step);
	if (actor->critic.n > 0)
		update_network(&actor->critic, &step);
}
