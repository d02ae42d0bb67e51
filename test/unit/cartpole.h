/*
 * cartpole.h
 *	  CartPole (Barto, Sutton and Anderson 1983) with the constants of Gymnasium's CartPole-v1.
 */
#ifndef CARTPOLE_H
#define CARTPOLE_H

#include <math.h>

#include "learner/online.h"
#include "tensor/random.h"

#define CARTPOLE_STATE 4
#define CARTPOLE_ACTIONS 2
#define CARTPOLE_STEPS 500

typedef struct CartPole
{
	double		state[CARTPOLE_STATE];	/* position (m), its speed, angle (rad), its speed */
	int			steps;			/* of the episode */
	uint64		key;
	uint64		drawn;
} CartPole;

static inline void
cartpole_reset(CartPole *pole)
{
	for (int i = 0; i < CARTPOLE_STATE; i++)
		pole->state[i] = -0.05 + 0.1 * rlrec_random_uniform(pole->key, pole->drawn++);
	pole->steps = 0;
}

/* Pushes left (0) or right (1); the reward is 1. Returns 0, RLREC_TERMINATED or RLREC_TRUNCATED. */
static inline int
cartpole_step(CartPole *pole, int action)
{
	const double gravity = 9.8,
				pole_mass = 0.1,
				mass = 1.1,
				length = 0.5,
				tau = 0.02;
	double	   *s = pole->state;
	double		force = action == 1 ? 10 : -10;
	double		sine = sin(s[2]);
	double		cosine = cos(s[2]);
	double		push = (force + pole_mass * length * s[3] * s[3] * sine) / mass;
	double		turn = (gravity * sine - cosine * push) / (length * (4.0 / 3.0 - pole_mass * cosine * cosine / mass));
	double		acceleration = push - pole_mass * length * turn * cosine / mass;

	s[0] += tau * s[1];
	s[1] += tau * acceleration;
	s[2] += tau * s[3];
	s[3] += tau * turn;
	pole->steps++;
	if (fabs(s[0]) > 2.4 || fabs(s[2]) > 12 * 2 * 3.14159265358979323846 / 360)
		return RLREC_TERMINATED;
	return pole->steps >= CARTPOLE_STEPS ? RLREC_TRUNCATED : 0;
}

#endif							/* CARTPOLE_H */
