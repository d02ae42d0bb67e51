/*
 * explore.c
 *	  Exploration: probabilities against frequencies of 200,000 draws, formulas, and sums over all slates. Prints the Test Anything Protocol.
 */
#include "postgres.h"

#include <math.h>
#include <stdlib.h>

#include "miscadmin.h"
#include "policy/slate.h"
#include "tensor/random.h"

#undef printf

#define DRAWS 200000
#define MOST_ITEMS 8
#define MOST_SLATES 4096

static int	tests = 0;
static int	failures = 0;

static void
check(bool good, const char *strategy, const char *what, double value)
{
	tests++;
	failures += !good;
	printf("%s %d - %s: %s (%.4g)\n", good ? "ok" : "not ok", tests, strategy, what, value);
}

/* What src/policy calls of the server; `used` = 0 frees all */
volatile sig_atomic_t InterruptPending = false;

void
ProcessInterrupts(void)
{
}

static char arena[1 << 22] pg_attribute_aligned(16);
static Size used = 0;

void *
palloc(Size size)
{
	void	   *memory = arena + used;

	used += TYPEALIGN(16, size);
	if (used > sizeof(arena))
		abort();
	return memory;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void
pfree(void *memory pg_attribute_unused())
{
}

typedef struct Case
{
	const char *name;
	RlrecPolicy policy;
} Case;

#define POLICY(explore, reranked, epsilon, temperature, width, draws, gamma, floor) \
	{RLREC_EXPLORE_##explore, reranked, epsilon, temperature, width, draws, gamma, floor, 42}

static const Case cases[] = {
	{"none", POLICY(NONE, false, 0, 0, 0, 0, 0, 0)},
	{"epsilon_greedy", POLICY(EPSILON_GREEDY, false, 0.3, 0, 0, 0, 0, 0)},
	{"epsilon_greedy, re-ranked, with a floor", POLICY(EPSILON_GREEDY, true, 0.2, 0, 0, 0, 0, 0.03)},
	{"softmax", POLICY(SOFTMAX, false, 0, 0.7, 0, 0, 0, 0)},
	{"softmax with a floor", POLICY(SOFTMAX, false, 0, 0.2, 0, 0, 0, 0.05)},
	{"ucb", POLICY(UCB, false, 0, 0, 2, 0, 0, 0)},
	{"ucb with a floor", POLICY(UCB, false, 0, 0, 2, 0, 0, 0.06)},
	{"thompson", POLICY(THOMPSON, false, 0, 0, 0, 16, 0, 0)},
	{"thompson with a floor", POLICY(THOMPSON, false, 0, 0, 0, 16, 0, 0.02)},
	{"squarecb", POLICY(SQUARECB, false, 0, 0, 0, 0, 30, 0)},
	{"a floor that leaves nothing else", POLICY(SOFTMAX, false, 0, 0.2, 0, 0, 0, 0.5)}};

static const float logits[] = {1.5, 0.8, 1.1, 1.1, -INFINITY, 0.2, -0.4, 0.9};
static const float errors[] = {0.1, 0.5, 0.3, 0.3, 0.9, 0.4, 0.2, 0.6};

static RlrecShortlist
shortlist_of(int n)
{
	RlrecShortlist shortlist = {n, logits, errors};

	return shortlist;
}

/* The probability of a chi-square this large or larger, after Wilson and Hilferty 1931. Cells of less than 5 are taken together. */
static double
chi_square(int n, const int *observed, const double *p)
{
	double		square = 0;
	double		rest_p = 0;
	int			rest = 0;
	int			df = -1;
	double		z;

	for (int i = 0; i < n; i++)
	{
		double		expected = p[i] * DRAWS;

		if (p[i] == 0 && observed[i] > 0)
			return 0;
		if (expected < 5)
		{
			rest += observed[i];
			rest_p += p[i];
			continue;
		}
		square += (observed[i] - expected) * (observed[i] - expected) / expected;
		df++;
	}
	if (rest_p * DRAWS >= 1)
	{
		square += (rest - rest_p * DRAWS) * (rest - rest_p * DRAWS) / (rest_p * DRAWS);
		df++;
	}
	if (df <= 0)
		return square < 1e-9;
	z = (cbrt(square / df) - (1 - 2.0 / (9 * df))) / sqrt(2.0 / (9 * df));
	return erfc(z / M_SQRT2) / 2;
}

/* All slates of k of n, each k places; returns how many. */
static int
all_slates(int n, int k, int (*slates)[MOST_ITEMS])
{
	int			found = 0;
	int			all = 1;

	for (int r = 0; r < k; r++)
		all *= n;
	for (int code = 0; code < all; code++)
	{
		bool		used[MOST_ITEMS] = {false};
		bool		distinct = true;
		int			left = code;

		for (int r = 0; r < k; r++, left /= n)
		{
			slates[found][r] = left % n;
			distinct = distinct && !used[left % n];
			used[left % n] = true;
		}
		found += distinct;
	}
	return found;
}

static int
find_slate(int n_slates, int k, int (*slates)[MOST_ITEMS], const int *place)
{
	for (int s = 0; s < n_slates; s++)
		if (memcmp(slates[s], place, k * sizeof(int)) == 0)
			return s;
	abort();
}

/* 200,000 slates of k of n against their probabilities, which must add up to 1. */
static void
test_frequencies(const Case *c, int n, int k)
{
	static int	slates[MOST_SLATES][MOST_ITEMS];
	RlrecShortlist shortlist = shortlist_of(n);
	int			n_slates = all_slates(n, k, slates);
	static int	observed[MOST_SLATES];
	static double p[MOST_SLATES];
	double		sum = 0;
	double		worst = 0;
	double		chance;

	memset(observed, 0, sizeof(observed));
	for (int s = 0; s < n_slates; s++, used = 0)
		sum += p[s] = rlrec_policy_probability(&c->policy, &shortlist, k, slates[s], NULL);
	for (int d = 0; d < DRAWS; d++, used = 0)
	{
		int			place[MOST_ITEMS];
		double		propensity[MOST_ITEMS];
		double		logged = rlrec_slate_draw(&c->policy, &shortlist, rlrec_random_key(7, d), k, place, propensity);
		int			s = find_slate(n_slates, k, slates, place);

		observed[s]++;
		worst = Max(worst, fabs(logged - p[s]));
	}
	chance = chi_square(n_slates, observed, p);
	check(fabs(sum - 1) < 1e-12, c->name, "the probabilities of all slates add up to 1", sum - 1);
	check(worst == 0, c->name, "what is drawn has the probability that is computed again", worst);
	check(chance > 0.001, c->name, k == 1 ? "200,000 draws of one item, p of chi-square" : "200,000 slates, p of chi-square", chance);
}

/* Marginals against the sum over all slates. */
static void
test_marginals(const Case *c, int n, int k)
{
	static int	slates[MOST_SLATES][MOST_ITEMS];
	RlrecShortlist shortlist = shortlist_of(n);
	int			n_slates = all_slates(n, k, slates);
	double		wanted[MOST_ITEMS][MOST_ITEMS] = {{0}};
	double		worst = 0;

	for (int s = 0; s < n_slates; s++, used = 0)
	{
		double		p = rlrec_policy_probability(&c->policy, &shortlist, k, slates[s], NULL);

		for (int r = 0; r < k; r++)
			wanted[r][slates[s][r]] += p;
	}
	for (int s = 0; s < n_slates; s++, used = 0)
	{
		double		marginal[MOST_ITEMS];

		if (!rlrec_slate_marginals(&c->policy, &shortlist, k, slates[s], marginal))
			worst = INFINITY;
		for (int r = 0; r < k; r++)
			worst = Max(worst, fabs(marginal[r] - wanted[r][slates[s][r]]));
	}
	check(worst < 1e-12, c->name, "marginals are sums over all slates", worst);
}

/* The probabilities of the next of the first n items once those in taken [n_taken] are, within 1e-12. */
static void
test_formula(RlrecPolicy policy, const char *what, int n, int n_taken, const int *taken, const double *wanted)
{
	RlrecShortlist shortlist = shortlist_of(n);
	RlrecExplorer *explorer = rlrec_explorer_create(&policy, &shortlist);
	double		p[MOST_ITEMS];
	double		worst = 0;

	rlrec_explorer_set_taken(explorer, n_taken, taken);
	rlrec_explorer_probabilities(explorer, p);
	for (int i = 0; i < n; i++)
		worst = Max(worst, fabs(p[i] - wanted[i]));
	check(worst < 1e-7, "formula", what, worst);
}

static void
test_formulas(void)
{
	const int	best[] = {0};
	double		e = exp(-0.4) + exp(-0.7) + 1;

	test_formula((RlrecPolicy) POLICY(EPSILON_GREEDY, false, 0.3, 0, 0, 0, 0, 0), "epsilon-greedy", 3, 0, NULL, (double[]) {0.8, 0.1, 0.1});
	test_formula((RlrecPolicy) POLICY(EPSILON_GREEDY, false, 0.3, 0, 0, 0, 0, 0), "epsilon-greedy of the rest", 3, 1, best,
				 (double[]) {0, 0.15, 0.85});
	test_formula((RlrecPolicy) POLICY(NONE, false, 0, 0, 0, 0, 0, 0), "of equal ones the first", 4, 1, best, (double[]) {0, 0, 1, 0});
	test_formula((RlrecPolicy) POLICY(NONE, true, 0, 0, 0, 0, 0, 0), "re-ranked by place", 4, 1, best, (double[]) {0, 1, 0, 0});
	test_formula((RlrecPolicy) POLICY(SOFTMAX, false, 0, 1, 0, 0, 0, 0), "softmax", 3, 0, NULL,
				 (double[]) {1 / e, exp(-0.7) / e, exp(-0.4) / e});
	test_formula((RlrecPolicy) POLICY(SOFTMAX, false, 0, 1, 0, 0, 0, 0.1), "with a floor of .1", 3, 0, NULL,
				 (double[]) {0.7 / e + 0.1, 0.7 * exp(-0.7) / e + 0.1, 0.7 * exp(-0.4) / e + 0.1});
	test_formula((RlrecPolicy) POLICY(UCB, false, 0, 0, 2, 0, 0, 0), "the highest upper confidence bound", 4, 0, NULL, (double[]) {0, 1, 0, 0});
	/* logits 1.5, .8, 1.1 are 1, 0, 3/7 */
	test_formula((RlrecPolicy) POLICY(SQUARECB, false, 0, 0, 0, 0, 7, 0), "SquareCB", 3, 0, NULL,
				 (double[]) {1 - 1.0 / 10 - 1.0 / 7, 1.0 / 10, 1.0 / 7});
}

/* Thompson's votes of 10,000 draws against the normal probability that the second of two is better. */
static void
test_thompson(void)
{
	RlrecPolicy policy = POLICY(THOMPSON, false, 0, 0, 0, 10000, 0, 0);
	RlrecShortlist shortlist = shortlist_of(2);
	RlrecExplorer *explorer = rlrec_explorer_create(&policy, &shortlist);
	double		wanted = erfc(0.7 / sqrt(0.1 * 0.1 + 0.5 * 0.5) / M_SQRT2) / 2;
	double		p[2];

	rlrec_explorer_probabilities(explorer, p);
	check(fabs(p[1] - wanted) < 4 * sqrt(wanted * (1 - wanted) / policy.draws), "thompson", "votes by the posterior", p[1] - wanted);
}

static void
test_rest(void)
{
	RlrecShortlist shortlist = shortlist_of(6);
	const int	twice[] = {1, 2, 1};
	const int	beyond[] = {0, 6};
	float		many[60] = {0};
	RlrecShortlist large = {60, many, many};
	const int	ten[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	double		propensity[10];
	bool		greedy;
	int			observed[3] = {DRAWS * 0.8 + 1000, DRAWS * 0.1 - 500, DRAWS * 0.1 - 500};

	double		probability = rlrec_policy_probability(&cases[3].policy, &shortlist, 3, twice, propensity);

	check(probability == 0 && propensity[2] == 0, "softmax", "no item comes twice", probability);
	check(propensity[0] > 0 && propensity[1] > 0, "softmax", "and what comes before it may", propensity[1]);
	probability = rlrec_policy_probability(&cases[3].policy, &shortlist, 2, beyond, NULL);
	check(probability == 0, "softmax", "nor one that is not in the shortlist", probability);
	check(!rlrec_slate_marginals(&cases[3].policy, &large, 10, ten, propensity), "softmax", "marginals of 10 of 60 are too many", 10);
	greedy = rlrec_slate_marginals(&cases[1].policy, &large, 10, ten, propensity);
	check(greedy && propensity[9] > pow(0.7, 10) && propensity[9] < 1, "epsilon_greedy", "but not of a greedy policy", propensity[9]);
	check(rlrec_policy_is_deterministic(&cases[5].policy) && !rlrec_policy_is_deterministic(&cases[6].policy), "ucb",
		  "deterministic without a floor", 0);
	check(chi_square(3, observed, (double[]) {0.8, 0.1, 0.1}) < 0.001, "chi-square", "would see half a per cent", 0);
}

int
main(void)
{
	for (int i = 0; i < (int) lengthof(cases); i++)
	{
		test_frequencies(&cases[i], 8, 1);
		test_frequencies(&cases[i], 5, 3);
		test_marginals(&cases[i], 6, 4);
		test_marginals(&cases[i], 4, 4);
	}
	test_formulas();
	test_thompson();
	test_rest();
	printf("1..%d\n", tests);
	return failures > 0;
}
