/*
 * actor.h
 *	  What REINFORCE, PPO and A2C share: a policy and a critic, each a multilayer perceptron, and the episodes of a replay.
 */
#ifndef RLREC_ACTOR_H
#define RLREC_ACTOR_H

#include "learner/online.h"
#include "nn/adam.h"
#include "nn/mlp.h"

/* Rows that go through a network at a time. */
#define RLREC_ACTOR_CHUNK 256

/* Streams of random numbers under the learner's key. */
enum
{
	RLREC_ACTOR_POLICY,			/* its first parameters */
	RLREC_ACTOR_CRITIC,
	RLREC_ACTOR_SHUFFLE
};

/* A perceptron that learns; its arrays are of [n]. */
typedef struct RlrecNetwork
{
	RlrecMlpShape shape;
	size_t		n;				/* parameters */
	float	   *parameter;
	float	   *m;				/* Adam's moments */
	float	   *v;
	float	   *gradient;		/* 0 between steps */
	float	   *workspace;		/* for a chunk */
} RlrecNetwork;

/* The scratch of a learner: its tensors, opened, and its options, read. */
typedef struct RlrecActor
{
	RlrecNetwork policy;		/* from state to logits */
	RlrecNetwork critic;		/* from state to value; n is 0 without one */
	double		gamma;
	double		entropy;
	double		value_weight;
	RlrecAdam	adam;
} RlrecActor;

/* Transitions, those of an episode together and in order. */
typedef struct RlrecRows
{
	int			n;
	float	   *state;			/* (n,state_size) */
	float	   *next_state;		/* (n,state_size); 0 where terminated */
	int32	   *action;			/* [n] */
	float	   *reward;			/* [n] */
	float	   *propensity;		/* [n] */
	bool	   *terminated;		/* [n] */
	bool	   *last;			/* [n] the next row does not follow from this one */
} RlrecRows;

/* The options that all have, as elements of a table. */
#define RLREC_ACTOR_OPTIONS(gamma, learning_rate, entropy) \
	{"gamma", RLREC_OPTION_REAL, gamma, 0, 1, "discount of a step"}, \
	{"learning_rate", RLREC_OPTION_REAL, learning_rate, 1e-9, 1, "of Adam"}, \
	{"hidden", RLREC_OPTION_INTS, 0, 1, 1024, "64, 64"}, \
	{"entropy", RLREC_OPTION_REAL, entropy, 0, 1e6, "weight of the policy's entropy"}, \
	{"value_weight", RLREC_OPTION_REAL, 0.5, 0, 1e6, "weight of the critic's loss"}, \
	{"clip", RLREC_OPTION_REAL, 0.5, 0, 1e9, "longest gradient, 0 for any"}, \
	{"seed", RLREC_OPTION_INT, 1, 0, PG_INT32_MAX, "of the random numbers"}

/* Adds the tensors of a policy and, if there is to be one, a critic. Options are those of online->learner, here and below. */
extern void rlrec_actor_start(RlrecOnline *online, bool critic);
extern void rlrec_actor_initialize(RlrecOnline *online);

/* The scratch, made when it is not there yet. */
extern RlrecActor *rlrec_actor_open(RlrecOnline *online);

/* As RlrecOnlineLearner has them. */
extern void rlrec_actor_policy(RlrecOnline *online, const float *state, bool explore, float *p);
extern void rlrec_actor_values(RlrecOnline *online, const float *state, float *q);

/*
 * The transitions from number `learned` on; with `whole`, all that are in the replay of each episode that ended there or later, and no
 * others. Palloc'd.
 */
extern RlrecRows *rlrec_actor_rows(const RlrecReplay *replay, int64 learned, bool whole);

/* What a policy and a critic are to learn of rows. */
typedef struct RlrecLesson
{
	const RlrecRows *rows;
	float	   *value;			/* [n] the critic's, 0 without one */
	float	   *advantage;		/* [n] */
	float	   *target;			/* [n] for the critic */
	int32	   *order;			/* [n] rows as they come */
	double		clip_range;		/* of the clipped surrogate; 0 for the policy gradient */
	double		value_clip_range;	/* 0 for none */
	double		importance_cap; /* of the policy gradient */
} RlrecLesson;

/*
 * Advantages by GAE(lambda), to mean 0 and deviation 1 with `normalize`; targets are value + advantage before that. What is palloc'd is in
 * CurrentMemoryContext; clips and cap are 0.
 */
extern RlrecLesson rlrec_actor_lesson(RlrecActor *actor, const RlrecRows *rows, double lambda, bool normalize);

/* Adds the gradients of the mean loss over row[n]. */
extern void rlrec_actor_gradients(RlrecActor *actor, const RlrecLesson *lesson, int n, const int32 *row);

/* A step of Adam along the gradients, clipped together, which become 0. An error when they are not finite. */
extern void rlrec_actor_step(RlrecOnline *online, RlrecActor *actor);

#endif							/* RLREC_ACTOR_H */
