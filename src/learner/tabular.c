/*
 * tabular.c
 *	  Q-learning and its kin over tables of action values.
 */
#include "postgres.h"

#include <math.h>

#include "learner/tabular.h"

const RlrecOption rlrec_tabular_options[] = {
	RLREC_TABULAR_OPTIONS,
	{"lambda", RLREC_OPTION_REAL, 0, 0, 1, "decay of the eligibility traces; 0 for none"},
	{NULL}
};

bool
rlrec_tabular_read(const char *learner, const Jsonb *options, RlrecTabular *tabular)
{
	static const char *const names[] = {"qlearning", "sarsa", "expected_sarsa", "double_q"};
	int			update = 0;

	while (update < (int) lengthof(names) && strcmp(learner, names[update]) != 0)
		update++;
	if (update == lengthof(names))
		return false;
	tabular->update = (RlrecTabularUpdate) update;
	tabular->alpha = rlrec_option_real(options, rlrec_tabular_options, "alpha");
	tabular->alpha_power = rlrec_option_real(options, rlrec_tabular_options, "alpha_power");
	tabular->gamma = rlrec_option_real(options, rlrec_tabular_options, "gamma");
	tabular->epsilon = rlrec_option_real(options, rlrec_tabular_options, "epsilon");
	tabular->epsilon_decay = rlrec_option_real(options, rlrec_tabular_options, "epsilon_decay");
	tabular->epsilon_min = rlrec_option_real(options, rlrec_tabular_options, "epsilon_min");
	tabular->lambda = rlrec_option_real(options, rlrec_tabular_options, "lambda");
	tabular->initial = rlrec_option_real(options, rlrec_tabular_options, "initial");
	return true;
}

double
rlrec_tabular_epsilon(const RlrecTabular *tabular, int64 episodes)
{
	return rlrec_epsilon(tabular->epsilon, tabular->epsilon_decay, tabular->epsilon_min, episodes);
}

int
rlrec_greedy(int n, const double *q)
{
	int			best = 0;

	for (int a = 1; a < n; a++)
		if (q[a] > q[best])
			best = a;
	return best;
}

void
rlrec_epsilon_greedy(int n, double epsilon, const double *q, double *p)
{
	double		best = q[rlrec_greedy(n, q)];
	int			ties = 0;

	for (int a = 0; a < n; a++)
		ties += q[a] == best;
	for (int a = 0; a < n; a++)
		p[a] = q[a] == best ? (1 - epsilon * (n - ties) / n) / ties : epsilon / n;
}

double
rlrec_epsilon_greedy_value(int n, double epsilon, const double *q)
{
	double		sum = 0;

	for (int a = 0; a < n; a++)
		sum += q[a];
	return epsilon / n * sum + (1 - epsilon) * q[rlrec_greedy(n, q)];
}

double
rlrec_tabular_future(const RlrecTabular *tabular, int n, double epsilon, const double *q, const double *other)
{
	if (tabular->update == RLREC_DOUBLE_Q)
		return other[rlrec_greedy(n, q)];
	if (tabular->update == RLREC_QLEARNING)
		return q[rlrec_greedy(n, q)];
	return rlrec_epsilon_greedy_value(n, epsilon, q);
}

double
rlrec_tabular_step(const RlrecTabular *tabular, int64 visits)
{
	return tabular->alpha_power == 0 ? tabular->alpha : tabular->alpha * pow((double) visits, -tabular->alpha_power);
}
