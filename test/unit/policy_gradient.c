/*
 * policy_gradient.c
 *	  REINFORCE, PPO and A2C outside the server: advantages and episodes by hand, values and policies of problems with known answers, CartPole.
 *
 * Prints the Test Anything Protocol. With arguments it runs a learner on CartPole at length instead: LEARNER SEEDS STEPS [OPTION=VALUE...]
 * prints for each seed the mean return of greedy episodes, 20 at each fifth of the way, 100 at its end.
 */
#include "postgres.h"

#include "online.h"

#include "cartpole_run.h"

#include "learner/actor.h"
#include "nn/policy_gradient.h"

/* NaN is larger than all. */
static double
larger(double a, double b)
{
	return b > a || isnan(b) ? b : a;
}

/* ---------------------------------------------------------------- advantages and rows */

/* Three episodes and the start of a fourth: one terminated, one truncated, one terminated at once; what comes after a termination is NaN. */
static void
test_advantages(void)
{
	const real	reward[8] = {1, -2, 3, 0.5, 4, -1, 2, 1};
	const real	value[8] = {0.3, 1, -1, 2, 0.7, -0.4, 1.5, 0.1};
	const real	next_value[8] = {1, -1, NAN, 0.7, 5, NAN, 0.1, -3};
	const bool	terminated[8] = {false, false, true, false, false, true, false, false};
	const bool	last[8] = {false, false, true, false, true, true, false, true};
	const double gamma = 0.9,
				lambda = 0.7;
	real		advantage[8];
	double		worst = 0;

	rlrec_generalized_advantages(8, gamma, lambda, reward, value, next_value, terminated, last, advantage);
	for (int i = 0; i < 8; i++)
	{
		double		sum = 0;

		for (int j = i;; j++)
		{
			sum += pow(gamma * lambda, j - i) * (reward[j] + (terminated[j] ? 0 : gamma * next_value[j]) - value[j]);
			if (last[j])
				break;
		}
		worst = larger(worst, fabs(sum - advantage[i]));
	}
	check(worst < 1e-5, "advantages are the discounted errors until the episode's last", worst);

	rlrec_generalized_advantages(8, gamma, 1, reward, value, next_value, terminated, last, advantage);
	worst = fabs(advantage[0] - (1 - 2 * gamma + 3 * gamma * gamma - value[0]));
	check(worst < 1e-5, "with lambda 1 that of a terminated episode is its return less the value", worst);
	worst = fabs(advantage[3] - (0.5 + 4 * gamma + 5 * gamma * gamma - value[3]));
	check(worst < 1e-5, "and a truncated one goes on with the value of its last next state", worst);
}

/* A replay of one-number states 0, 1, .., of which `capacity` are left. */
static RlrecReplay
small_replay(int n, int capacity, const int64 *episode, const uint8 *end)
{
	RlrecReplay replay = {.state_size = 1, .capacity = capacity, .first = Max(0, n - capacity), .next = n};

	replay.state = allocated(capacity * sizeof(float));
	replay.next_state = allocated(capacity * sizeof(float));
	replay.action = allocated(capacity * sizeof(int32));
	replay.reward = allocated(capacity * sizeof(float));
	replay.propensity = allocated(capacity * sizeof(float));
	replay.end = allocated(capacity);
	replay.episode = allocated(capacity * sizeof(int64));
	for (int i = 0; i < n; i++)
	{
		replay.state[i % capacity] = i;
		replay.next_state[i % capacity] = NAN;
		replay.episode[i % capacity] = episode[i];
		replay.end[i % capacity] = end[i];
	}
	return replay;
}

static void
check_rows(const RlrecRows *rows, int n, const int *expected, const char *last, const char *what)
{
	bool		good = rows->n == n;

	for (int i = 0; good && i < n; i++)
		good = rows->state[i] == expected[i] && rows->last[i] == (last[i] == '1');
	check(good, what, rows->n);
}

static void
test_rows(void)
{
	/* 1 and 2 side by side; 1 ends at 3, and its name is given to an episode that ends at 8, and to one that does not */
	static const int64 episode[12] = {1, 2, 1, 1, 2, 1, 2, 2, 1, 2, 1, 3};
	static const uint8 end[12] = {0, 0, 0, 2, 0, 0, 0, 0, 1, 1, 0, 0};
	static const int latest[8] = {5, 8, 10, 4, 6, 7, 9, 11};
	static const int ended[7] = {5, 8, 1, 4, 6, 7, 9};
	static const int left[6] = {5, 8, 4, 6, 7, 9};
	RlrecReplay replay = small_replay(12, 12, episode, end);

	check_rows(rlrec_actor_rows(&replay, 4, false), 8, latest, "01100011", "the latest transitions, by episode");
	check_rows(rlrec_actor_rows(&replay, 4, true), 7, ended, "0100001", "all of the episodes that have ended since");
	replay = small_replay(12, 9, episode, end);
	check_rows(rlrec_actor_rows(&replay, 4, true), 6, left, "010001", "and of them what is left");
}

/* ---------------------------------------------------------------- known values */

static double
value_of(Run *run, float state)
{
	float		q[2];

	run->online.learner->values(&run->online, &state, q);
	return q[0] == q[1] ? q[0] : NAN;
}

/*
 * Two things that stay as they are, side by side: where the state is 1 each step pays 1, where it is 0 each costs 1. An episode ends so
 * after `length` steps. Without an end the values are 1 / (1 - gamma) = +-5, also when cut off; when each step terminates, +-1.
 */
static void
learn_two(Run *run, const RlrecOnlineLearner *learner, int end, int length, int steps)
{
	set_option("gamma", 0.8);
	set_option("learning_rate", 0.01);
	set_option("clip", 10);
	run_start(run, learner, 1, 2, 3);
	for (int i = 0; i < steps; i++)
	{
		float		state = i % 2;
		float		propensity;
		int			action = run_act(run, &state, true, &propensity);

		run_observe(run, &state, action, 2 * state - 1, &state, i / 2 % length == length - 1 ? end : 0, i % 2, propensity);
	}
	reset_options();
}

static void
check_two(Run *run, double expected, const char *learner, const char *what)
{
	double		worst = larger(fabs(value_of(run, 1) - expected), fabs(value_of(run, 0) + expected));

	check(worst < 0.05 * expected, psprintf("%s, %s", learner, what), worst);
}

static void
test_values(const RlrecOnlineLearner *learner, const char *update, int rollout, int steps)
{
	const char *name = update ? update : learner->name;
	Run			run;

	for (int end = 0; end <= RLREC_TRUNCATED; end++)
	{
		if (update)
			set_choice("update", update);
		set_option("rollout", rollout);
		set_option("episodes", 8);
		if (end == 0 && !update)
			continue;
		learn_two(&run, learner, end, end == RLREC_TERMINATED ? 1 : 4, steps);
		check_two(&run, end == RLREC_TERMINATED ? 1 : 5, name,
				  end == 0 ? "values where nothing ends" : end == RLREC_TERMINATED ? "values where each step terminates" :
				  "values where episodes are cut off");
	}
}

/* ---------------------------------------------------------------- the short corridor */

/*
 * Sutton and Barto 2018, example 13.1: three states that look alike, in the second of which left is right; each step costs 1. The best
 * policy goes right with probability 2 - sqrt(2) = .5858, for -11.6569. Returns that of the last quarter of the episodes, on average.
 */
static double
corridor(const RlrecOnlineLearner *learner, int episodes, uint64 key)
{
	const float looks = 1;
	double		sum = 0;
	int			n = 0;
	Run			run;

	run_start(&run, learner, 1, 2, key);
	for (int episode = 0; episode < episodes; episode++)
	{
		int			end = 0;

		for (int place = 0, steps = 1; end == 0; steps++)
		{
			float		propensity;
			int			action = run_act(&run, &looks, true, &propensity);

			place = Max(place + ((action == 1) != (place == 1) ? 1 : -1), 0);
			end = place == 3 ? RLREC_TERMINATED : steps == 500 ? RLREC_TRUNCATED : 0;
			if (episode >= episodes * 3 / 4)
			{
				sum += action == 1 ? propensity : 1 - propensity;
				n++;
			}
			run_observe(&run, &looks, action, -1, &looks, end, 0, propensity);
		}
	}
	return sum / n;
}

static void
test_corridor(const RlrecOnlineLearner *learner, const char *what)
{
	const int	hidden = 8;
	const int	seeds = 4;
	double		mean = 0;
	double		worst = 0;

	set_option("gamma", 1);
	set_option("learning_rate", 5e-3);
	set_option("episodes", 64);
	set_ints("hidden", 1, &hidden);
	for (int seed = 1; seed <= seeds; seed++)
	{
		double		error = corridor(learner, 6000, seed) - (2 - sqrt(2));

		mean += error / seeds;
		worst = larger(worst, fabs(error));
	}
	check(worst < 0.06, psprintf("%s, each seed", what), worst);
	check(fabs(mean) < 0.03, psprintf("%s, on average", what), mean);
	reset_options();
}

/* ---------------------------------------------------------------- CartPole */

static void
test_cartpole(const RlrecOnlineLearner *learner, int steps, double bound, const char *what)
{
	Run			run;
	CartPole	pole;
	double		reached;

	start_cartpole(&run, &pole, learner, 1);
	reached = greedy_return(&run, 20, 5);
	check(reached < bound / 2, psprintf("%s, before", what), reached);
	learn_cartpole(&run, &pole, steps);
	reached = greedy_return(&run, 20, 5);
	check(reached >= bound, psprintf("%s, after %d steps", what, steps), reached);
}

/* ---------------------------------------------------------------- policies */

static void
test_policy(void)
{
	const float state[CARTPOLE_STATE] = {0.5, -1, 2, 0};
	float		p[3];
	float		greedy[3];
	const RlrecTensor *policy;
	Run			run;

	run_start(&run, &rlrec_actor_critic_online, CARTPOLE_STATE, 3, 1);
	policy = rlrec_tensors_find(run.online.tensors, "policy");
	((float *) policy->data)[rlrec_tensor_elements(policy) - 2] = 1;	/* the bias of action 1 */
	run.online.learner->policy(&run.online, state, true, p);
	run.online.learner->policy(&run.online, state, false, greedy);
	check(fabs(p[0] + p[1] + p[2] - 1) < 1e-6 && p[1] > 0.5 && p[1] < 0.65, "a policy explores by softmax", p[1]);
	check(greedy[0] == 0 && greedy[1] == 1 && greedy[2] == 0, "and else takes the most likely action", greedy[1]);
	memset(policy->data, 0, rlrec_tensor_bytes(policy));
	run.online.learner->policy(&run.online, state, false, greedy);
	check(greedy[0] == 1 && greedy[1] == 0 && greedy[2] == 0, "the first where several are", greedy[0]);
}

static void
test_determined(const RlrecOnlineLearner *learner)
{
	Run			run[2];
	bool		same = true;

	for (int i = 0; i < 2; i++)
	{
		CartPole	pole;

		start_cartpole(&run[i], &pole, learner, 7);
		learn_cartpole(&run[i], &pole, 1000);
		run[i].online.scratch = NULL;
		learn_cartpole(&run[i], &pole, 1000);
	}
	for (int i = 0; i < run[0].online.tensors->n; i++)
		same &= memcmp(run[0].online.tensors->tensor[i].data, run[1].online.tensors->tensor[i].data,
					   rlrec_tensor_bytes(&run[0].online.tensors->tensor[i])) == 0;
	check(same && run[0].online.steps > 0, psprintf("%s is determined by its key", learner->name), run[0].online.steps);
}

static void
test_diverged(const RlrecOnlineLearner *learner)
{
	jmp_buf		here;
	Run			run;
	const float state = 1;

	set_option("episodes", 1);
	set_option("rollout", 1);
	run_start(&run, learner, 1, 2, 1);
	raised = &here;
	if (setjmp(here) == 0)
		run_observe(&run, &state, 0, 1e30f, &state, RLREC_TERMINATED, 0, 0.5);
	else
		raised = NULL;
	check(raised == NULL, psprintf("%s: %s", learner->name, raised_message), 0);
	raised = NULL;
	reset_options();
}

/* ---------------------------------------------------------------- */

static int
tune(int n, char **argument)
{
	const RlrecOnlineLearner *learner = strcmp(argument[0], "reinforce") == 0 ? &rlrec_reinforce_online : &rlrec_actor_critic_online;
	int			seeds = atoi(argument[1]);
	int			steps = atoi(argument[2]);
	int			solved = 0;

	for (int i = 3; i < n; i++)
	{
		char	   *equals = strchr(argument[i], '=');

		*equals = '\0';
		if (strcmp(argument[i], "update") == 0)
			set_choice(argument[i], equals + 1);
		else
			set_option(argument[i], atof(equals + 1));
	}
	for (int seed = 1; seed <= seeds; seed++)
	{
		Run			run;
		CartPole	pole;
		double		reached = 0;

		start_cartpole(&run, &pole, learner, seed);
		printf("seed %d:", seed);
		for (int part = 0; part < 5; part++)
		{
			learn_cartpole(&run, &pole, steps / 5);
			reached = greedy_return(&run, part == 4 ? 100 : 20, rlrec_random_key(seed, 20 + part));
			printf(" %.1f", reached);
			fflush(stdout);
		}
		printf("\n");
		solved += reached >= 475;
	}
	printf("%d of %d seeds with a mean return of at least 475\n", solved, seeds);
	return 0;
}

int
main(int n, char **argument)
{
	if (n > 3)
		return tune(n - 1, argument + 1);
	test_advantages();
	test_rows();
	test_policy();
	test_values(&rlrec_reinforce_online, NULL, 0, 20000);
	test_values(&rlrec_actor_critic_online, "a2c", 16, 20000);
	test_values(&rlrec_actor_critic_online, "ppo", 64, 10000);
	test_determined(&rlrec_reinforce_online);
	test_determined(&rlrec_actor_critic_online);
	test_diverged(&rlrec_reinforce_online);
	test_diverged(&rlrec_actor_critic_online);
	test_corridor(&rlrec_reinforce_online, "reinforce in the short corridor");
	set_option("baseline", 0);
	test_corridor(&rlrec_reinforce_online, "reinforce in the short corridor, without a baseline");
	test_cartpole(&rlrec_actor_critic_online, 25000, 195, "ppo on CartPole");
	test_cartpole(&rlrec_reinforce_online, 50000, 195, "reinforce on CartPole");
	printf("1..%d\n", tests);
	return failures > 0;
}
