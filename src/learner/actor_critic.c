/*
 * actor_critic.c
 *	  An actor and a critic that learn from the latest transitions, then forget them: PPO and A2C.
 *
 * PPO (Schulman et al. 2017) goes over a rollout several times in shuffled minibatches, each a step along the clipped surrogate; A2C (Mnih et
 * al. 2016) takes one step along the policy gradient of the whole. What its actions were worth is told by GAE(lambda), which stops where an
 * episode terminated, goes on with the critic where it was truncated or the rollout ends, and never crosses from one episode to another.
 */
#include "postgres.h"

#include "learner/actor.h"
#include "tensor/blas.h"
#include "tensor/random.h"

static const RlrecOption options[] = {
	{"update", RLREC_OPTION_CHOICE, 0, 0, 0, "ppo, a2c"},
	RLREC_ACTOR_OPTIONS(0.98, 1e-3, 0),
	{"rollout", RLREC_OPTION_INT, 512, 1, 1000000, "transitions between learnings"},
	{"gae_lambda", RLREC_OPTION_REAL, 0.95, 0, 1, "0 trusts the critic after one reward, 1 rewards alone"},
	{"batch", RLREC_OPTION_INT, 64, 1, 1000000, "transitions in a gradient step of ppo"},
	{"epochs", RLREC_OPTION_INT, 10, 1, 1000, "of ppo over a rollout"},
	{"clip_range", RLREC_OPTION_REAL, 0.2, 1e-3, 1e6, "of ppo: change of a probability, relative, that pays"},
	{"value_clip_range", RLREC_OPTION_REAL, 0, 0, 1e9, "of ppo: change of a value that pays, 0 for any"},
	{NULL, 0, 0, 0, 0, NULL}
};

/* Importance weights of a2c: a rollout is of the policy that learns from it, so they are 1 unless the caller chose actions by itself. */
#define IMPORTANCE_CAP 2

static void
start(RlrecOnline *online)
{
	rlrec_actor_start(online, true);
}

static int32
capacity(const RlrecOnline *online)
{
	return rlrec_option_int(online->options, options, "rollout");
}

static bool
due(RlrecOnline *online, const RlrecReplay *replay)
{
	return replay->next - online->learned >= rlrec_option_int(online->options, options, "rollout");
}

/* order[n] shuffled (Fisher and Yates) */
static void
shuffle(uint64 key, int n, int32 *order)
{
	for (int i = n - 1; i > 0; i--)
	{
		int			j = rlrec_random_below(key, i, i + 1);
		int32		held = order[i];

		order[i] = order[j];
		order[j] = held;
	}
}

static void
learn_ppo(RlrecOnline *online, RlrecActor *actor, const RlrecLesson *lesson)
{
	int			n = lesson->rows->n;
	int			batch = rlrec_option_int(online->options, options, "batch");
	int			epochs = rlrec_option_int(online->options, options, "epochs");

	for (int epoch = 0; epoch < epochs; epoch++)
	{
		shuffle(rlrec_random_key(rlrec_random_key(online->key, RLREC_ACTOR_SHUFFLE), online->steps), n, lesson->order);
		for (int i = 0; i < n; i += batch)
		{
			rlrec_actor_gradients(actor, lesson, Min(batch, n - i), lesson->order + i);
			rlrec_actor_step(online, actor);
		}
	}
}

static void
learn(RlrecOnline *online, const RlrecReplay *replay)
{
	RlrecActor *actor = rlrec_actor_open(online);
	RlrecRows  *rows = rlrec_actor_rows(replay, online->learned, false);
	bool		ppo = strcmp(rlrec_option_choice(online->options, options, "update"), "ppo") == 0;
	RlrecLesson lesson;

	online->learned = replay->next;
	if (rows->n == 0)
		return;
	rlrec_blas_load();
	lesson = rlrec_actor_lesson(actor, rows, rlrec_option_real(online->options, options, "gae_lambda"), true);
	if (ppo)
	{
		lesson.clip_range = rlrec_option_real(online->options, options, "clip_range");
		lesson.value_clip_range = rlrec_option_real(online->options, options, "value_clip_range");
		learn_ppo(online, actor, &lesson);
	}
	else
	{
		lesson.importance_cap = IMPORTANCE_CAP;
		rlrec_actor_gradients(actor, &lesson, rows->n, lesson.order);
		rlrec_actor_step(online, actor);
	}
}

const RlrecOnlineLearner rlrec_actor_critic_online = {
	.name = "actor_critic",
	.options = options,
	.start = start,
	.initialize = rlrec_actor_initialize,
	.policy = rlrec_actor_policy,
	.values = rlrec_actor_values,
	.capacity = capacity,
	.due = due,
	.learn = learn
};
