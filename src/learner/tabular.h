/*
 * tabular.h
 *	  Q-learning and its kin over tables of action values (Sutton and Barto, Reinforcement Learning, 2nd edition, chapter 6).
 *
 * Knows of no SQL. The values of a state come dense, q[actions], those of an action never taken being the option `initial`.
 */
#ifndef RLREC_TABULAR_H
#define RLREC_TABULAR_H

#include <math.h>

#include "learner/options.h"

typedef enum RlrecTabularUpdate
{
	RLREC_QLEARNING,			/* Watkins 1989 */
	RLREC_SARSA,				/* Rummery and Niranjan 1994 */
	RLREC_EXPECTED_SARSA,		/* van Seijen et al. 2009 */
	RLREC_DOUBLE_Q				/* van Hasselt 2010 */
} RlrecTabularUpdate;

typedef struct RlrecTabular
{
	RlrecTabularUpdate update;
	double		alpha;
	double		alpha_power;
	double		gamma;
	double		epsilon;
	double		epsilon_decay;
	double		epsilon_min;
	double		lambda;			/* of the eligibility traces */
	double		initial;
} RlrecTabular;

/* The options that all have, from a log and in a bare environment, as elements of a table. */
#define RLREC_TABULAR_OPTIONS \
	{"alpha", RLREC_OPTION_REAL, 0.1, 0, 1, "size of a step"}, \
	{"alpha_power", RLREC_OPTION_REAL, 0, 0, 1, "a pair's step number N is alpha * N^-alpha_power"}, \
	{"gamma", RLREC_OPTION_REAL, 0.9, 0, 1, "discount of what comes a step later"}, \
	{"epsilon", RLREC_OPTION_REAL, 0.1, 0, 1, "probability of exploring"}, \
	{"epsilon_decay", RLREC_OPTION_REAL, 1, 0, 1, "by which epsilon is multiplied after each episode"}, \
	{"epsilon_min", RLREC_OPTION_REAL, 0, 0, 1, "below which it does not fall"}, \
	{"initial", RLREC_OPTION_REAL, 0, -1e9, 1e9, "value of an action that was never taken"}, \
	{"seed", RLREC_OPTION_INT, 1, 0, 2147483647, "of the random numbers"}

/* Those of a bare environment */
extern const RlrecOption rlrec_tabular_options[];

/* false when the learner of that name is none of these. */
extern bool rlrec_tabular_read(const char *learner, const Jsonb *options, RlrecTabular *tabular);

/* The probability of exploring after so many episodes: epsilon * decay^episodes, at least `least` unless epsilon is below it. */
static inline double
rlrec_epsilon(double epsilon, double decay, double least, int64 episodes)
{
	return Max(epsilon * pow(decay, (double) episodes), Min(least, epsilon));
}

extern double rlrec_tabular_epsilon(const RlrecTabular *tabular, int64 episodes);

/* The action of the highest value, the first of equal ones. */
extern int	rlrec_greedy(int n, const double *q);

/* p[n] of the epsilon-greedy policy, which chooses among actions of the same highest value at random. */
extern void rlrec_epsilon_greedy(int n, double epsilon, const double *q, double *p);

/* What a state is worth under it: sum of p times q. */
extern double rlrec_epsilon_greedy_value(int n, double epsilon, const double *q);

/*
 * What the next state is worth to Q-learning and expected Sarsa, q[n] its action values. To double Q-learning q are those of the table that is
 * updated, which chooses the action, and other[n] those of the other table, which values it.
 */
extern double rlrec_tabular_future(const RlrecTabular *tabular, int n, double epsilon, const double *q, const double *other);

/* The size of the step of a pair's visit number `visits`, from 1: alpha * visits^-alpha_power. */
extern double rlrec_tabular_step(const RlrecTabular *tabular, int64 visits);

#endif							/* RLREC_TABULAR_H */
