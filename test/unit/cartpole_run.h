/*
 * cartpole_run.h
 *	  A learner of online.h on CartPole.
 */
#ifndef CARTPOLE_RUN_H
#define CARTPOLE_RUN_H

#include "cartpole.h"
#include "online.h"

static inline void
observation(const CartPole *pole, float *state)
{
	for (int i = 0; i < CARTPOLE_STATE; i++)
		state[i] = pole->state[i];
}

/* Mean return of n greedy episodes */
static inline double
greedy_return(Run *run, int n, uint64 key)
{
	CartPole	pole = {.key = key};
	int			total = 0;

	for (int i = 0; i < n; i++)
	{
		int			end = 0;

		for (cartpole_reset(&pole); end == 0; total++)
		{
			float		state[CARTPOLE_STATE];

			observation(&pole, state);
			end = cartpole_step(&pole, run_act(run, state, false, NULL));
		}
	}
	return (double) total / n;
}

/* So many steps more, episode after episode */
static inline void
learn_cartpole(Run *run, CartPole *pole, int steps)
{
	for (int i = 0; i < steps; i++)
	{
		float		state[CARTPOLE_STATE];
		float		next[CARTPOLE_STATE];
		float		propensity;
		int			action;
		int			end;

		observation(pole, state);
		action = run_act(run, state, true, &propensity);
		end = cartpole_step(pole, action);
		observation(pole, next);
		run_observe(run, state, action, 1, next, end, 0, propensity);
		if (end != 0)
			cartpole_reset(pole);
	}
}

/* A run that has learned nothing, and a pole for it */
static inline void
start_cartpole(Run *run, CartPole *pole, const RlrecOnlineLearner *learner, uint64 seed)
{
	run_start(run, learner, CARTPOLE_STATE, CARTPOLE_ACTIONS, seed);
	*pole = (CartPole) {.key = rlrec_random_key(seed, 10)};
	cartpole_reset(pole);
}

#endif							/* CARTPOLE_RUN_H */
