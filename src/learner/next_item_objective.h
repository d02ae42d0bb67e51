/*
 * next_item_objective.h
 *	  What a training learns of rewards, beside or instead of the next item. docs/policy_learners.md has the formulas.
 */
#ifndef RLREC_NEXT_ITEM_OBJECTIVE_H
#define RLREC_NEXT_ITEM_OBJECTIVE_H

#include "learner/options.h"
#include "tensor/real.h"

#define RLREC_MAX_HEADS RLREC_MOST_WEIGHTS

/* How much a position of the next-item loss counts */
typedef enum RlrecWeighting
{
	RLREC_WEIGH_ALIKE,
	RLREC_WEIGH_CREDIT,			/* the reward, or the return, over its mean */
	RLREC_WEIGH_LINEAR,			/* 1 + A / temperature, in 0 .. cap, with A = Q(s,a) - V(s) */
	RLREC_WEIGH_EXPONENTIAL		/* exp(A / temperature), at most cap */
} RlrecWeighting;

/* What a state is worth to the one before it; by target weights, the moving average of encoder and heads */
typedef enum RlrecBootstrap
{
	RLREC_BOOTSTRAP_DOUBLE,		/* Q of the action, of those sampled, that is best by the weights under training */
	RLREC_BOOTSTRAP_SARSA,		/* Q of the action that followed */
	RLREC_BOOTSTRAP_EXPECTILE	/* V(s) */
} RlrecBootstrap;

typedef struct RlrecObjective
{
	bool		policy;			/* the next-item loss is learned; else the first head scores alone */
	RlrecWeighting weighting;
	bool		baseline;		/* of credit counts what is above V(s), which then learns the credit to expect */
	real		temperature;
	real		cap;
	int			top;			/* K of the top-K correction */
	real		correction;		/* cap of the importance weights; 0 for no correction */
	int			values;			/* heads of values, the first ones; one of the behaviour policy follows where there is a correction */
	RlrecBootstrap bootstrap;
	real		gamma;			/* of the first head; that of others is 0 */
	real		loss;			/* weight of the heads' losses, the policy's being 1; 0 where only V is learned */
	bool		shared;			/* they train encoder and embeddings too, not the heads alone */
	real		conservative;	/* weight of logsumexp Q(s,.) - Q(s,a) */
	real		unobserved;		/* weight of the mean loss of sampled actions that pay `nothing` and leave the state as it is */
	real		nothing;		/* no reward, on the first head's scale */
	real		expectile;		/* that V is of Q */
	real		huber;			/* error up to which the loss of values is quadratic */
	bool		choose;			/* the weight of the first head in the score is found on the users who validate, after training */
	real		blend[RLREC_MAX_HEADS]; /* weights of the heads of values in the score */
} RlrecObjective;

static inline int
rlrec_objective_heads(const RlrecObjective *objective)
{
	return objective == NULL ? 0 : objective->values + (objective->correction > 0);
}

/* Whether targets look at the state that follows, so that it must be encoded too */
static inline bool
rlrec_objective_looks_ahead(const RlrecObjective *objective)
{
	return objective != NULL && objective->values > 0 && objective->loss > 0 && objective->gamma > 0;
}

#endif							/* RLREC_NEXT_ITEM_OBJECTIVE_H */
