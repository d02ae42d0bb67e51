/*
 * reinforce.c
 *	  REINFORCE (Williams 1992): Monte-Carlo policy gradient with the reward to go, over whole episodes.
 *
 * What an action was worth is the discounted reward to go of its episode, less the baseline, a learned value of the state. An episode counts
 * once, when it has ended, with all its transitions that the replay still has. Those of before the last learning were taken by an older
 * policy: each transition's gradient is weighted by the ratio of its action's probability now to its propensity, capped.
 */
#include "postgres.h"

#include "learner/actor.h"
#include "tensor/blas.h"

static const RlrecOption options[] = {
	RLREC_ACTOR_OPTIONS(0.99, 3e-3, 0),
	{"baseline", RLREC_OPTION_BOOL, 1, 0, 1, "a learned value of the state, taken from returns"},
	{"normalize", RLREC_OPTION_BOOL, 1, 0, 1, "advantages to mean 0 and deviation 1"},
	{"episodes", RLREC_OPTION_INT, 8, 1, 1000000, "ended episodes between learnings"},
	{"replay", RLREC_OPTION_INT, 20000, 1, 10000000, "transitions kept"},
	{"importance_cap", RLREC_OPTION_REAL, 2, 1, 1e6, "largest importance weight"},
	{NULL, 0, 0, 0, 0, NULL}
};

static void
start(RlrecOnline *online)
{
	rlrec_actor_start(online, rlrec_option_bool(online->options, options, "baseline"));
}

static int32
capacity(const RlrecOnline *online)
{
	return rlrec_option_int(online->options, options, "replay");
}

/* Enough episodes have ended, or one of those that have is about to be lost. */
static bool
due(RlrecOnline *online, const RlrecReplay *replay)
{
	int64		from = Max(replay->first, online->learned);
	int			episodes = rlrec_option_int(online->options, options, "episodes");
	int			ended = 0;

	if (replay->next == from || replay->end[(replay->next - 1) % replay->capacity] == 0)
		return false;
	for (int64 i = from; i < replay->next; i++)
		ended += replay->end[i % replay->capacity] != 0;
	return ended >= episodes || replay->next - from == replay->capacity;
}

static void
learn(RlrecOnline *online, const RlrecReplay *replay)
{
	RlrecActor *actor = rlrec_actor_open(online);
	RlrecRows  *rows = rlrec_actor_rows(replay, online->learned, true);
	RlrecLesson lesson;

	online->learned = replay->next;
	if (rows->n == 0)
		return;
	rlrec_blas_load();
	lesson = rlrec_actor_lesson(actor, rows, 1, rlrec_option_bool(online->options, options, "normalize"));
	lesson.importance_cap = rlrec_option_real(online->options, options, "importance_cap");
	rlrec_actor_gradients(actor, &lesson, rows->n, lesson.order);
	rlrec_actor_step(online, actor);
}

const RlrecOnlineLearner rlrec_reinforce_online = {
	.name = "reinforce",
	.options = options,
	.start = start,
	.initialize = rlrec_actor_initialize,
	.policy = rlrec_actor_policy,
	.values = rlrec_actor_values,
	.capacity = capacity,
	.due = due,
	.learn = learn
};
