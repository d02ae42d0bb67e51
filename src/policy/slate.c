/*
 * slate.c
 *	  Slates: items drawn from a shortlist one after the other, without replacement, and their exact probabilities.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "policy/slate.h"
#include "tensor/random.h"

/* One of n by its probability; they may add up to a little less than 1. */
static int
draw_one(int n, const double *p, double left)
{
	int			last = -1;

	for (int i = 0; i < n; i++)
	{
		if (p[i] <= 0)
			continue;
		last = i;
		left -= p[i];
		if (left < 0)
			break;
	}
	return last;
}

double
rlrec_slate_draw(const RlrecPolicy *policy, const RlrecShortlist *shortlist, uint64 key, int k, int *place, double *propensity)
{
	RlrecExplorer *explorer = rlrec_explorer_create(policy, shortlist);
	double	   *p = palloc(Max(shortlist->n, 1) * sizeof(double));
	double		product = 1;

	for (int r = 0; r < k; r++)
	{
		CHECK_FOR_INTERRUPTS();
		rlrec_explorer_probabilities(explorer, p);
		place[r] = draw_one(shortlist->n, p, rlrec_random_uniform(key, r));
		propensity[r] = p[place[r]];
		product *= propensity[r];
		rlrec_explorer_take(explorer, place[r]);
	}
	return product;
}

double
rlrec_policy_probability(const RlrecPolicy *policy, const RlrecShortlist *shortlist, int k, const int *place, double *propensity)
{
	RlrecExplorer *explorer = rlrec_explorer_create(policy, shortlist);
	double	   *p = palloc(Max(shortlist->n, 1) * sizeof(double));
	double		product = 1;
	bool		possible = true;

	for (int r = 0; r < k; r++)
	{
		double		given = 0;

		CHECK_FOR_INTERRUPTS();
		if (possible && place[r] >= 0 && place[r] < shortlist->n && !explorer->taken[place[r]])
		{
			rlrec_explorer_probabilities(explorer, p);
			given = p[place[r]];
			rlrec_explorer_take(explorer, place[r]);
		}
		possible = given > 0;
		if (propensity)
			propensity[r] = given;
		product *= given;
	}
	return product;
}

/* ---------------------------------------------------------------- marginals */

/*
 * Of a best item mixed with all that are left alike. Number the items from the best, 0. When t were taken and g is the best of what is left,
 * then 0 .. g - 1 were taken, and t - g others, any of those behind g alike. So (t, g) is a state, and the rest is counting: O(k^3 + k n).
 */
typedef struct GreedyWalk
{
	int			n;
	int			k;
	double	   *mass;			/* [k + 1] probability of g, at t */
	double	   *next;			/* the same at t + 1 */
} GreedyWalk;

/* After t were taken: moves the mass of g that takes g itself to what is the best then. */
static void
walk_on(GreedyWalk *walk, int t, int g, double mass)
{
	int			others = t - g;	/* taken behind g, of n - g - 1 alike */
	int			behind = walk->n - g - 1;

	for (g++; others > 0; g++, others--, behind--)
	{
		double		is_taken = (double) others / behind;

		walk->next[g] += mass * (1 - is_taken);
		mass *= is_taken;
	}
	walk->next[g] += mass;
}

/* marginal of the item that is rank-th best to be at position t, and the step to the next position. */
static double
walk_step(GreedyWalk *walk, double mixture, int t, int rank)
{
	double		each = mixture / (walk->n - t);
	double		marginal = 0;

	memset(walk->next, 0, (walk->k + 1) * sizeof(double));
	for (int g = 0; g <= t; g++)
	{
		double		mass = walk->mass[g];

		if (mass == 0)
			continue;
		if (rank == g)
			marginal += mass * (1 - mixture + each);
		else if (rank > g)
			marginal += mass * each * (1 - (double) (t - g) / (walk->n - g - 1));
		walk_on(walk, t, g, mass * (1 - mixture + each));
		walk->next[g] += mass * each * (walk->n - t - 1);
	}
	return marginal;
}

static void
greedy_marginals(const RlrecPolicy *policy, const RlrecExplorer *explorer, int k, const int *place, double *marginal)
{
	GreedyWalk	walk = {explorer->n, k, palloc0((k + 1) * sizeof(double)), palloc0((k + 1) * sizeof(double))};

	walk.mass[0] = 1;
	for (int t = 0; t < k; t++)
	{
		double	   *mass = walk.mass;
		int			rank = 0;

		for (int i = 0; i < explorer->n; i++)
			rank += explorer->value[i] > explorer->value[place[t]] ||
				(explorer->value[i] == explorer->value[place[t]] && i < place[t]);
		marginal[t] = walk_step(&walk, rlrec_policy_mixture(policy, explorer->n - t), t, rank);
		walk.mass = walk.next;
		walk.next = mass;
	}
}

/* Numbers and additions that the sum over sets may take */
#define MOST_WORK (1 << 24)

/* C(n, j), as far as a double goes */
static double
choose(int n, int j)
{
	double		c = 1;

	for (int i = 0; i < j; i++)
		c = c * (n - i) / (i + 1);
	return c;
}

/* What the sum over the sets of fewer than k of n takes; Thompson's votes are counted anew for each. */
static double
work_of_sets(const RlrecPolicy *policy, int n, int k)
{
	double		work = 0;

	for (int j = 0; j < k; j++)
		work += choose(n, j) * n;
	return policy->explore == RLREC_EXPLORE_THOMPSON ? work * policy->draws : work;
}

/* Sets of j of n in ascending order, numbered from 0 in colexicographic order */
typedef struct Sets
{
	int			n;
	int			k;
	double	   *choose;			/* (n + 1,k + 1) */
} Sets;

/* The number of set[j] and i, which is not in it. */
static size_t
number_with(const Sets *sets, int j, const int *set, int i)
{
	double		number = 0;
	int			a = 0;

	for (; a < j && set[a] < i; a++)
		number += sets->choose[set[a] * (sets->k + 1) + a + 1];
	number += sets->choose[i * (sets->k + 1) + a + 1];
	for (; a < j; a++)
		number += sets->choose[set[a] * (sets->k + 1) + a + 2];
	return (size_t) number;
}

static void
next_set(int j, int *set)
{
	int			a = 0;

	while (a < j - 1 && set[a] + 1 == set[a + 1])
	{
		set[a] = a;
		a++;
	}
	if (j > 0)
		set[a]++;
}

/*
 * What comes next depends on which items were taken, not on their order: the probability of each set to be the first t, by that of those of
 * t - 1. Returns the marginal of `place` at position t, and fills next, unless it is NULL.
 */
static double
step_over_sets(const Sets *sets, RlrecExplorer *explorer, int t, int place, const double *mass, double *next)
{
	int		   *set = palloc((t + 1) * sizeof(int));
	double	   *p = palloc(sets->n * sizeof(double));
	size_t		n_sets = (size_t) choose(sets->n, t);
	double		marginal = 0;

	for (int a = 0; a < t; a++)
		set[a] = a;
	for (size_t s = 0; s < n_sets; s++, next_set(t, set))
	{
		if (mass[s] == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		rlrec_explorer_set_taken(explorer, t, set);
		rlrec_explorer_probabilities(explorer, p);
		marginal += mass[s] * p[place];
		for (int i = 0; next && i < sets->n; i++)
			if (p[i] > 0)
				next[number_with(sets, t, set, i)] += mass[s] * p[i];
	}
	pfree(set);
	pfree(p);
	return marginal;
}

static void
marginals_over_sets(RlrecExplorer *explorer, int k, const int *place, double *marginal)
{
	Sets		sets = {explorer->n, k, palloc((explorer->n + 1) * (k + 1) * sizeof(double))};
	double	   *mass = palloc(sizeof(double));

	for (int n = 0; n <= sets.n; n++)
		for (int j = 0; j <= k; j++)
			sets.choose[n * (k + 1) + j] = j > n ? 0 : choose(n, j);
	mass[0] = 1;
	for (int t = 0; t < k; t++)
	{
		double	   *next = t + 1 < k ? palloc0((size_t) choose(sets.n, t + 1) * sizeof(double)) : NULL;

		marginal[t] = step_over_sets(&sets, explorer, t, place[t], mass, next);
		pfree(mass);
		mass = next;
	}
}

bool
rlrec_slate_marginals(const RlrecPolicy *policy, const RlrecShortlist *shortlist, int k, const int *place, double *marginal)
{
	if (rlrec_policy_is_greedy(policy))
		greedy_marginals(policy, rlrec_explorer_create(policy, shortlist), k, place, marginal);
	else if (work_of_sets(policy, shortlist->n, k) > MOST_WORK)
		return false;
	else
		marginals_over_sets(rlrec_explorer_create(policy, shortlist), k, place, marginal);
	return true;
}
