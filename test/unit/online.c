/*
 * online.c
 *	  Learners that learn while they act, outside the server: on chains with known values, on logs, on CartPole.
 *
 * Prints the Test Anything Protocol. With arguments it runs dqn on CartPole at length instead: FIRST-LAST STEPS [OPTION=VALUE...] prints
 * for each of those seeds the mean return of greedy episodes after each fifth of the steps, the last of 100 episodes.
 */
#include "postgres.h"

#include "cartpole_run.h"
#include "online.h"

#include "learner/replay.h"
#include "nn/mlp.h"

/* ---------------------------------------------------------------- chains with known values */

/*
 * Five states in a row, one-hot: action 1 goes right, 0 left, where the first state stays; beyond the last is a reward of 1 and the end. So
 * with gamma 0.9 the value of state s is 0.9^(4 - s).
 */
#define CHAIN 5

static void
one_hot(int s, float *state)
{
	memset(state, 0, CHAIN * sizeof(float));
	if (s < CHAIN)
		state[s] = 1;
}

static double
chain_value(int s)
{
	return s == CHAIN ? 0 : pow(0.9, CHAIN - 1 - s);
}

static double
chain_q(int s, int action)
{
	if (action == 0)
		return 0.9 * chain_value(Max(s - 1, 0));
	return s == CHAIN - 1 ? 1 : 0.9 * chain_value(s + 1);
}

static void
chain_options(void)
{
	const int	widths[] = {32, 32};

	reset_options();
	set_ints("hidden", 2, widths);
	set_option("gamma", 0.9);
	set_option("replay", 1000);
	set_option("start", 100);
	set_option("train_every", 1);
	set_option("batch", 32);
	set_option("target_every", 50);
	set_option("tau", 1);
	set_option("n_step", 1);
	set_option("huber", 1);
	set_option("learning_rate", 0.001);
}

/* Acts at random, in `parallel` episodes that take turns, each truncated after 20 steps; action 1 with that probability. */
static void
walk_chain(Run *run, int steps, int parallel, double right)
{
	int			s[8] = {0};
	int			t[8] = {0};

	for (int i = 0; i < steps; i++)
	{
		int			e = i % parallel;
		int			action = rlrec_random_uniform(777, i) < right;
		int			to = action ? s[e] + 1 : Max(s[e] - 1, 0);
		int			end = to == CHAIN ? RLREC_TERMINATED : ++t[e] == 20 ? RLREC_TRUNCATED : 0;
		float		state[CHAIN];
		float		next[CHAIN];

		one_hot(s[e], state);
		one_hot(to, next);
		run_observe(run, state, action, to == CHAIN, next, end, e, 1);
		s[e] = end ? (int) rlrec_random_below(778, i, CHAIN) : to;
		t[e] = end ? 0 : t[e];
	}
}

/* The largest error of a value */
static double
chain_error(Run *run)
{
	double		worst = 0;

	for (int s = 0; s < CHAIN; s++)
	{
		float		state[CHAIN];
		float		q[2];

		one_hot(s, state);
		run->online.learner->values(&run->online, state, q);
		for (int a = 0; a < 2; a++)
			worst = Max(worst, fabs(q[a] - chain_q(s, a)));
	}
	return worst;
}

static void
test_chain(void)
{
	static const struct
	{
		const char *what;
		const char *option[3];
		double		value[3];
	}			kinds[] = {
		{"double Q-learning finds the chain's values", {"double"}, {1}},
		{"Q-learning with a dueling network", {"double", "dueling"}, {0, 1}},
		{"prioritised replay", {"prioritized"}, {1}},
		{"a soft target network, squared errors, no clipping", {"tau", "target_every", "huber"}, {0.05, 1, 0}},
		{"several gradient steps at a time", {"train_every", "gradient_steps"}, {8, 8}}
	};

	for (int k = 0; k < (int) lengthof(kinds); k++)
	{
		Run			run;

		chain_options();
		for (int i = 0; i < 3 && kinds[k].option[i] != NULL; i++)
			set_option(kinds[k].option[i], kinds[k].value[i]);
		run_start(&run, &rlrec_dqn_online, CHAIN, 2, 1);
		walk_chain(&run, 3000, 3, 0.5);
		check(chain_error(&run) < 0.02, kinds[k].what, chain_error(&run));
	}
}

/* One state, one action, reward 1, truncated every 4 steps: worth 1 / (1 - 0.9), were it terminated at most 3.5. Of two episodes that take turns. */
static void
test_truncated(void)
{
	const float state[1] = {1};

	for (int n_step = 1; n_step <= 3; n_step += 2)
	{
		Run			run;
		float		q[1];

		chain_options();
		set_option("n_step", n_step);
		set_option("learning_rate", 0.003);
		run_start(&run, &rlrec_dqn_online, 1, 1, 1);
		for (int i = 0; i < 3000; i++)
			run_observe(&run, state, 0, 1, state, i % 8 >= 6 ? RLREC_TRUNCATED : 0, i % 2, 1);
		rlrec_dqn_online.values(&run.online, state, q);
		check(fabs(q[0] - 10) < 0.2, n_step == 1 ? "truncation bootstraps" : "truncation bootstraps after three steps", q[0]);
	}
}

/* ---------------------------------------------------------------- replay */

/*
 * Two episodes, one in even numbers, which terminates at 6 and starts again, one in odd ones, truncated at 5: rewards are 2^number,
 * next_state is number + 1/2.
 */
static void
test_gather(void)
{
	RlrecReplay replay = {.state_size = 1, .capacity = 16, .first = 2, .next = 12};
	static float state[16],
				next_state[16],
				reward[16];
	static int32 action[16];
	static uint8 end[16];
	static int64 episode[16];
	static const int64 from[6] = {2, 3, 4, 5, 8, 11};
	static const double returned[6] = {4 + 8 + 16, 8 + 16, 16 + 32, 32, 256 + 512, 2048};
	static const double discount[6] = {0, 0.25, 0, 0.5, 0.25, 0.5};
	static const double last[6] = {0, 5.5, 0, 5.5, 10.5, 11.5};
	RlrecBatch	batch;
	bool		good = true;

	replay.state = state, replay.next_state = next_state, replay.action = action, replay.reward = reward;
	replay.end = end, replay.episode = episode;
	for (int i = 0; i < 16; i++)
	{
		state[i] = i, next_state[i] = i + 0.5, action[i] = i, reward[i] = 1 << i, episode[i] = i % 2;
		end[i] = i == 6 ? RLREC_TERMINATED : i == 5 ? RLREC_TRUNCATED : 0;
	}
	rlrec_batch_create(&batch, 6, 1, NULL);
	memcpy(batch.number, from, sizeof(from));
	rlrec_replay_gather(&replay, 3, 0.5, &batch);
	for (int i = 0; i < 6; i++)
		good = good && batch.state[i] == from[i] && batch.action[i] == from[i] && batch.reward[i] == returned[i] &&
			batch.discount[i] == discount[i] && (discount[i] == 0 || batch.next_state[i] == last[i]);
	check(good, "returns over three steps keep to their episode", batch.reward[0]);
}

static void
test_priorities(void)
{
	RlrecReplay replay = {.state_size = 1, .capacity = 5, .first = 3, .next = 8};
	float		priority[5] = {1, 2, 0, 4, 3};
	int			count[5] = {0};
	double		worst = 0;
	RlrecPriorities tree;
	RlrecPriorities anew;
	RlrecBatch	batch;

	rlrec_batch_create(&batch, 1000, 1, NULL);
	rlrec_priorities_create(&tree, 5, priority, NULL);
	rlrec_priorities_set(&tree, 1, 0.1f);
	rlrec_priorities_set(&tree, 2, 1);
	rlrec_priorities_set(&tree, 1, 1);
	rlrec_priorities_draw(&tree, &replay, 0.5, 9, &batch);
	for (int i = 0; i < 1000; i++)
	{
		int			slot = (int) (batch.number[i] % 5);

		count[slot]++;
		if (batch.number[i] < 3 || batch.number[i] >= 8)
			worst = 1;
		/* the least priority has the largest weight, 1 */
		worst = Max(worst, fabs(batch.weight[i] - pow(priority[slot], -0.5)));
	}
	check(worst < 1e-6, "importance weights", worst);
	for (int slot = 0; slot < 5; slot++)
		worst = Max(worst, abs(count[slot] - (int) (100 * priority[slot])));
	check(worst <= 2, "draws in proportion to priorities", worst);
	rlrec_priorities_create(&anew, 5, priority, NULL);
	check(memcmp(tree.sum + 1, anew.sum + 1, 15 * sizeof(double)) == 0, "a sum tree built anew has the same bits", tree.sum[1]);
}

/* ---------------------------------------------------------------- what else dqn promises */

static void
test_policy(void)
{
	Run			run;
	float		state[CHAIN] = {1};
	float		p[3];
	float		q[3];
	int			greedy = 0;

	chain_options();
	set_option("epsilon", 0.6);
	set_option("epsilon_decay", 0.5);
	set_option("epsilon_min", 0.1);
	run_start(&run, &rlrec_dqn_online, CHAIN, 3, 1);
	rlrec_dqn_online.values(&run.online, state, q);
	for (int a = 1; a < 3; a++)
		greedy = q[a] > q[greedy] ? a : greedy;
	rlrec_dqn_online.policy(&run.online, state, false, p);
	check(p[greedy] == 1 && p[0] + p[1] + p[2] == 1, "the greedy policy", p[greedy]);
	run.online.episodes = 1;
	rlrec_dqn_online.policy(&run.online, state, true, p);
	check(fabs(p[greedy] - 0.8) < 1e-6 && fabs(p[(greedy + 1) % 3] - 0.1) < 1e-6, "epsilon after an episode", p[greedy]);
	run.online.episodes = 9;
	rlrec_dqn_online.policy(&run.online, state, true, p);
	check(fabs(p[greedy] - (1 - 0.2 / 3)) < 1e-6, "the least epsilon", p[greedy]);
}

/* The same bits whether or not the scratch is made anew on the way. */
static void
test_deterministic(void)
{
	Run			run[2];
	bool		same = true;

	chain_options();
	set_option("prioritized", 1);
	for (int r = 0; r < 2; r++)
	{
		run_start(&run[r], &rlrec_dqn_online, CHAIN, 2, 1);
		walk_chain(&run[r], 150, 1, 0.5);
		if (r == 1)
			run[r].online.scratch = NULL;
		walk_chain(&run[r], 150, 1, 0.5);
	}
	for (int t = 0; t < run[0].online.tensors->n; t++)
		same = same && memcmp(run[0].online.tensors->tensor[t].data, run[1].online.tensors->tensor[t].data,
							  rlrec_tensor_elements(&run[0].online.tensors->tensor[t]) * sizeof(float)) == 0;
	check(same && run[0].online.steps == 201, "learning is a function of the key", run[0].online.steps);
}

/*
 * Logs in which action 2 never happens and is thought best at the start; action 1 is rewarded in three of four cases, action 0 never. Each
 * method must prefer 1; Q-learning prefers 2.
 */
static int
choose_from_log(const char *option, double value)
{
	const int	widths[] = {16};
	float		state[1] = {1};
	float		p[3];
	Run			run;

	chain_options();
	set_ints("hidden", 1, widths);
	if (option != NULL)
		set_option(option, value);
	run_start(&run, &rlrec_dqn_online, 1, 3, 1);
	/* the bias of q(2), the third of the last */
	{
		const RlrecTensor *network = rlrec_tensors_find(run.online.tensors, "network");
		int			columns = option != NULL && strcmp(option, "expectile") == 0 ? 7 : 3;

		((float *) network->data)[rlrec_tensor_elements(network) - columns + 2] = 5;
	}
	for (int i = 0; i < 2500; i++)
	{
		int			action = i % 2;

		run_observe(&run, state, action, action == 1 && i % 8 != 1, state, RLREC_TERMINATED, 0, 0.5);
	}
	rlrec_dqn_online.policy(&run.online, state, false, p);
	return p[2] == 1 ? 2 : p[1] == 1 ? 1 : 0;
}

static void
test_logs(void)
{
	check(choose_from_log(NULL, 0) == 2, "Q-learning trusts an action that it has not seen", 2);
	check(choose_from_log("cql", 1) == 1, "conservative Q-learning does not", 1);
	check(choose_from_log("expectile", 0.7) == 1, "implicit Q-learning does not", 1);
}

/* With one state, actions worth 0 and 1 equally often and no future, v is the expectile: e (1 - v) = (1 - e) v, so v = e. */
static void
test_expectile(void)
{
	const int	widths[] = {16};
	float		state[1] = {1};
	float		out[6];
	Run			run;
	RlrecMlpShape shape = {2, {1, 16, 5}, RLREC_MLP_RELU};
	float		workspace[64];

	chain_options();
	set_ints("hidden", 1, widths);
	set_option("expectile", 0.8);
	set_option("temperature", 2);
	run_start(&run, &rlrec_dqn_online, 1, 2, 1);
	for (int i = 0; i < 4000; i++)
		run_observe(&run, state, (i / 3) % 2, (i / 3) % 2, state, RLREC_TERMINATED, 0, 0.5);
	memcpy(out, rlrec_mlp_forward(&shape, rlrec_tensors_find(run.online.tensors, "network")->data, 1, state, workspace),
		   5 * sizeof(float));
	check(fabs(out[2] - 0.8) < 0.05, "v is the expectile", out[2]);
	/* odds of the policy: those of the log, 1, times exp(temperature * difference of advantages) */
	check(fabs(out[4] - out[3] - 2) < 0.3, "the policy is weighted by the advantage", out[4] - out[3]);
}

static void
test_diverged(void)
{
	Run			run;
	jmp_buf		jump;
	volatile bool caught = false;

	chain_options();
	run_start(&run, &rlrec_dqn_online, CHAIN, 2, 1);
	walk_chain(&run, 90, 1, 0.5);
	run.replay.reward[50] = NAN;
	raised = &jump;
	if (setjmp(jump) == 0)
		walk_chain(&run, 100, 1, 0.5);
	else
		caught = strstr(raised_message, "diverged") != NULL;
	raised = NULL;
	check(caught, "a loss that is not finite is an error", caught);
}

static void
test_cartpole(void)
{
	Run			run;
	CartPole	pole = {.key = 3};
	double		before;
	double		after;

	reset_options();
	run_start(&run, &rlrec_dqn_online, CARTPOLE_STATE, CARTPOLE_ACTIONS, 1);
	cartpole_reset(&pole);
	before = greedy_return(&run, 20, 5);
	learn_cartpole(&run, &pole, 20000);
	after = greedy_return(&run, 20, 5);
	check(before < 100 && after > 300, "CartPole after 20,000 steps", after);
}

/* ---------------------------------------------------------------- CartPole at length */

static int
tune(int n, char **argument)
{
	int			first = 1;
	int			last = 1;
	int			steps = atoi(argument[1]);
	int			solved = 0;

	if (sscanf(argument[0], "%d-%d", &first, &last) != 2)
		return 2;
	for (int i = 2; i < n; i++)
	{
		char	   *equals = strchr(argument[i], '=');
		int			ints[RLREC_OPTION_MAX_INTS];
		int			count = 0;

		*equals = '\0';
		if (strcmp(argument[i], "hidden") == 0)
		{
			for (char *word = strtok(equals + 1, ","); word != NULL; word = strtok(NULL, ","))
				ints[count++] = atoi(word);
			set_ints(argument[i], count, ints);
		}
		else
			set_option(argument[i], atof(equals + 1));
	}
	for (int seed = first; seed <= last; seed++)
	{
		Run			run;
		double		reached;

		run_start(&run, &rlrec_dqn_online, CARTPOLE_STATE, CARTPOLE_ACTIONS, seed);
		printf("seed %d:", seed);
		for (int part = 0; part < 5; part++)
		{
			CartPole	pole = {.key = rlrec_random_key(seed, 10 + part)};

			cartpole_reset(&pole);
			learn_cartpole(&run, &pole, steps / 5);
			reached = greedy_return(&run, part == 4 ? 100 : 20, rlrec_random_key(seed, 20 + part));
			printf(" %.1f", reached);
			fflush(stdout);
		}
		printf("\n");
		solved += reached >= 475;
	}
	printf("%d of %d seeds end with a mean return of at least 475\n", solved, last - first + 1);
	return 0;
}

int
main(int n, char **argument)
{
	if (n > 2)
		return tune(n - 1, argument + 1);
	test_gather();
	test_priorities();
	test_chain();
	test_truncated();
	test_policy();
	test_deterministic();
	test_logs();
	test_expectile();
	test_diverged();
	test_cartpole();
	printf("1..%d\n", tests);
	return failures > 0;
}
