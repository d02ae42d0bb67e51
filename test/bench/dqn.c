/*
 * dqn.c
 *	  Times a gradient step of dqn, sampling included, in microseconds: dqn STEPS prints the least of so many.
 */
#include "postgres.h"

#include <time.h>

#include "../unit/online.h"

#define STATE 4
#define ACTIONS 2
#define FILL 10000

static double
microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static float noise[1000 * STATE];

/* A transition between random states, and from number `start` on a gradient step */
static void
observe(Run *run)
{
	int64		number = run->replay.next;
	const float *states = noise + number % 999 * STATE;

	run_observe(run, states, number % ACTIONS, 1, states + STATE, number % 50 == 49 ? RLREC_TERMINATED : 0, 0, 1);
}

int
main(int n, char **argument)
{
	int			steps = n > 1 ? atoi(argument[1]) : 1000;
	const int	widths[] = {64, 128};
	double		least = 1e300;
	Run			run;

	set_ints("hidden", 2, widths);
	set_option("batch", 128);
	set_option("replay", FILL);
	set_option("start", FILL);
	set_option("train_every", 1);
	set_option("gradient_steps", 1);
	set_option("target_every", 100);
	set_option("tau", 1);
	set_option("n_step", 1);
	set_option("double", 0);
	set_option("clip", 0);
	for (int i = 0; i < (int) lengthof(noise); i++)
		noise[i] = rlrec_random_normal(7, i);
	run_start(&run, &rlrec_dqn_online, STATE, ACTIONS, 1);
	while (run.replay.next < FILL)
		observe(&run);
	for (int i = 0; i < steps; i++)
	{
		double		began = microseconds();

		observe(&run);
		least = Min(least, microseconds() - began);
	}
	printf("%.2f\n", least);
	return 0;
}
