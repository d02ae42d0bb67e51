/*
 * online.h
 *	  Learners of vector states and few actions that learn while they act: DQN, REINFORCE, PPO, A2C, linear bandits.
 *
 * They know of no SQL. src/environment keeps what they have learned and their transitions in tables, and calls them.
 */
#ifndef RLREC_ONLINE_H
#define RLREC_ONLINE_H

#include "learner/options.h"
#include "types/weights.h"

/* How a transition ended its episode. What is terminated has no future; what is truncated had one that was not seen. */
#define RLREC_TERMINATED 1
#define RLREC_TRUNCATED 2

/* The last transitions, a ring: that of number i, from 0, is in slot i % capacity while first <= i < next. */
typedef struct RlrecReplay
{
	int			state_size;
	int32		capacity;
	int64		first;
	int64		next;
	float	   *state;			/* (capacity,state_size) */
	float	   *next_state;		/* (capacity,state_size); of no meaning where terminated */
	int32	   *action;			/* [capacity] */
	float	   *reward;			/* [capacity] */
	float	   *propensity;		/* [capacity] probability of the action when it was taken */
	uint8	   *end;			/* [capacity] 0, RLREC_TERMINATED or RLREC_TRUNCATED */
	int64	   *episode;		/* [capacity]; transitions of several may be interleaved, those of one are in order */
} RlrecReplay;

struct RlrecOnlineLearner;

/* A learner at work on one agent. */
typedef struct RlrecOnline
{
	const struct RlrecOnlineLearner *learner;
	const Jsonb *options;
	int			state_size;
	int			actions;
	uint64		key;			/* of all its random numbers */
	int64		transitions;	/* observed so far */
	int64		episodes;		/* ended so far */
	int64		learned;		/* the number of the transition up to which learn() came, which sets it to replay->next; or those observed */
	int64		steps;			/* of the optimiser */
	RlrecTensors *tensors;		/* everything that lasts: networks, targets, moments, priorities */
	MemoryContext context;		/* in which the tensors are */
	void	   *scratch;		/* the learner's own, made of the rest in the context when NULL; it points into the tensors */
} RlrecOnline;

typedef struct RlrecOnlineLearner
{
	const char *name;
	const RlrecOption *options;

	/* Adds the learner's tensors, all 0; then makes them those of a learner that has learned nothing. */
	void		(*start) (RlrecOnline *online);
	void		(*initialize) (RlrecOnline *online);

	/* p[actions] of acting in a state[state_size]: with exploration as while learning, else as greedily as the learner serves. Sums to 1. */
	void		(*policy) (RlrecOnline *online, const float *state, bool explore, float *p);

	/* q[actions]: what each action is worth; a learner without action values gives all of them the state's. */
	void		(*values) (RlrecOnline *online, const float *state, float *q);

	/*
	 * Learns from one transition at once, changing tensors; each once and in order, but what is not written of it yet may be learned again
	 * from the tensors of before. A learner that can has none of the functions below; of the others this one is NULL.
	 */
	void		(*observe) (RlrecOnline *online, const float *state, int action, double reward);

	/* An error when what was observed last, of this action, leaves it unable to act, upon which the caller throws away everything here. */
	void		(*check) (RlrecOnline *online, int action);

	/* Transitions that it wants kept. */
	int32		(*capacity) (const RlrecOnline *online);

	/* Whether it is time to learn: asked after each transition. */
	bool		(*due) (RlrecOnline *online, const RlrecReplay *replay);

	/*
	 * Learns from the replay, changing tensors and steps. An error when a number is not finite, upon which the caller throws away
	 * everything here. Looks for interrupts at least every 10 ms. Scratch is palloc'd in CurrentMemoryContext.
	 */
	void		(*learn) (RlrecOnline *online, const RlrecReplay *replay);
} RlrecOnlineLearner;

/* The data of a tensor that start() added: n numbers. */
extern float *rlrec_online_tensor(const RlrecOnline *online, const char *name, size_t n);

/* The action of the highest x[n], the first of equal ones. */
extern int	rlrec_online_best(int n, const float *x);

extern const RlrecOnlineLearner rlrec_dqn_online;
extern const RlrecOnlineLearner rlrec_reinforce_online;
extern const RlrecOnlineLearner rlrec_actor_critic_online;

#endif							/* RLREC_ONLINE_H */
