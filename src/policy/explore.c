/*
 * explore.c
 *	  Exploration inside a shortlist: how probable each item is to be shown next.
 *
 * Each strategy is a distribution q over the r items that are left, given which were taken. With f = min(floor, 1/r) what is shown next has
 *		p(i) = (1 - r f) q(i) + f.
 * q is, with v the logits and s their standard errors:
 *	none			1 of the best
 *	epsilon_greedy	1 - epsilon of the best, epsilon / r of all
 *	softmax			exp(v(i) / temperature) over their sum, so that a slate is Plackett and Luce's (Plackett 1975)
 *	ucb				1 of the item with the highest v(i) + width s(i) (Auer et al. 2002)
 *	thompson		the share of draws from N(v(i), s(i)^2) in which i is the highest (Thompson 1933; Agrawal and Goyal 2013)
 *	squarecb		1 / (r + gamma (max x - x(i))), and what is missing to 1 on the best, with x the logits brought to 0 .. 1 (Foster and
 *					Rakhlin 2020, equation 5)
 * An item of which nothing is known counts as the worst that something is known of. Equal ones go by their place.
 *
 * Thompson's draws are a function of the policy's seed, so that q can be computed again. Given the draws it is exact.
 */
#include "postgres.h"

#include <math.h>

#include "policy/explore.h"
#include "tensor/random.h"

bool
rlrec_policy_is_uncertain(const RlrecPolicy *policy)
{
	return policy->explore == RLREC_EXPLORE_UCB || policy->explore == RLREC_EXPLORE_THOMPSON;
}

bool
rlrec_policy_is_greedy(const RlrecPolicy *policy)
{
	return policy->explore == RLREC_EXPLORE_NONE || policy->explore == RLREC_EXPLORE_EPSILON_GREEDY || policy->explore == RLREC_EXPLORE_UCB;
}

double
rlrec_policy_mixture(const RlrecPolicy *policy, int left)
{
	double		epsilon = policy->explore == RLREC_EXPLORE_EPSILON_GREEDY ? policy->epsilon : 0;
	double		floor = Min(policy->floor * left, 1);

	return floor + (1 - floor) * epsilon;
}

bool
rlrec_policy_is_deterministic(const RlrecPolicy *policy)
{
	return rlrec_policy_is_greedy(policy) && rlrec_policy_mixture(policy, 1) == 0;
}

/* The least and the greatest of the finite logits; 0 and 0 where there are none. */
static void
finite_range(const RlrecShortlist *shortlist, double *least, double *greatest)
{
	*least = INFINITY;
	*greatest = -INFINITY;
	for (int i = 0; i < shortlist->n; i++)
	{
		if (!isfinite(shortlist->logit[i]))
			continue;
		*least = Min(*least, shortlist->logit[i]);
		*greatest = Max(*greatest, shortlist->logit[i]);
	}
	if (*least > *greatest)
		*least = *greatest = 0;
}

static void
fill_values(const RlrecPolicy *policy, const RlrecShortlist *shortlist, double *value)
{
	double		least;
	double		greatest;

	finite_range(shortlist, &least, &greatest);
	for (int i = 0; i < shortlist->n; i++)
	{
		double		logit = isfinite(shortlist->logit[i]) ? shortlist->logit[i] : least;

		switch (policy->explore)
		{
			case RLREC_EXPLORE_NONE:
			case RLREC_EXPLORE_EPSILON_GREEDY:
				value[i] = policy->reranked ? -i : shortlist->logit[i];
				break;
			case RLREC_EXPLORE_SOFTMAX:
				value[i] = logit / policy->temperature;
				break;
			case RLREC_EXPLORE_UCB:
				value[i] = logit + policy->width * shortlist->uncertainty[i];
				break;
			case RLREC_EXPLORE_THOMPSON:
				value[i] = logit;
				break;
			case RLREC_EXPLORE_SQUARECB:
				value[i] = greatest > least ? (logit - least) / (greatest - least) : 0;
				break;
		}
	}
}

/* The first of the highest values that are left. */
static int
best_left(const RlrecExplorer *explorer, const double *value)
{
	int			best = -1;

	for (int i = 0; i < explorer->n; i++)
		if (!explorer->taken[i] && (best < 0 || value[i] > value[best]))
			best = i;
	return best;
}

/* draw[draws][n] from the normal distributions, each pair by one Box and Muller. */
static void
fill_draws(const RlrecPolicy *policy, int n, const double *mean, const float *error, double *draw)
{
	uint64		key = rlrec_random_key(policy->seed, RLREC_STREAM_THOMPSON);
	size_t		count = (size_t) policy->draws * n;

	for (size_t at = 0; at < count; at += 2)
	{
		double		radius = sqrt(-2 * log(rlrec_random_uniform(key, at)));
		double		angle = 2 * M_PI * rlrec_random_uniform(key, at + 1);

		draw[at] = mean[at % n] + error[at % n] * radius * cos(angle);
		if (at + 1 < count)
			draw[at + 1] = mean[(at + 1) % n] + error[(at + 1) % n] * radius * sin(angle);
	}
}

RlrecExplorer *
rlrec_explorer_create(const RlrecPolicy *policy, const RlrecShortlist *shortlist)
{
	RlrecExplorer *explorer = palloc0(sizeof(RlrecExplorer));
	int			n = shortlist->n;

	explorer->policy = policy;
	explorer->n = n;
	explorer->taken = palloc0(Max(n, 1) * sizeof(bool));
	explorer->value = palloc(Max(n, 1) * sizeof(double));
	fill_values(policy, shortlist, explorer->value);
	if (policy->explore == RLREC_EXPLORE_THOMPSON && n > 0)
	{
		explorer->draw = palloc((Size) policy->draws * n * sizeof(double));
		explorer->vote = palloc(policy->draws * sizeof(int));
		fill_draws(policy, n, explorer->value, shortlist->uncertainty, explorer->draw);
	}
	rlrec_explorer_set_taken(explorer, 0, NULL);
	return explorer;
}

void
rlrec_explorer_set_taken(RlrecExplorer *explorer, int n, const int *taken)
{
	memset(explorer->taken, 0, explorer->n);
	for (int i = 0; i < n; i++)
		explorer->taken[taken[i]] = true;
	explorer->left = explorer->n - n;
	for (int d = 0; explorer->draw && d < explorer->policy->draws; d++)
		explorer->vote[d] = best_left(explorer, explorer->draw + (Size) d * explorer->n);
}

void
rlrec_explorer_take(RlrecExplorer *explorer, int i)
{
	explorer->taken[i] = true;
	explorer->left--;
	for (int d = 0; explorer->draw && d < explorer->policy->draws; d++)
		if (explorer->vote[d] == i)
			explorer->vote[d] = best_left(explorer, explorer->draw + (Size) d * explorer->n);
}

static void
softmax(const RlrecExplorer *explorer, double *p)
{
	double		highest = explorer->value[best_left(explorer, explorer->value)];
	double		sum = 0;

	for (int i = 0; i < explorer->n; i++)
	{
		p[i] = explorer->taken[i] ? 0 : exp(explorer->value[i] - highest);
		sum += p[i];
	}
	for (int i = 0; i < explorer->n; i++)
		p[i] /= sum;
}

static void
squarecb(const RlrecExplorer *explorer, double *p)
{
	int			best = best_left(explorer, explorer->value);
	double		rest = 1;

	for (int i = 0; i < explorer->n; i++)
	{
		p[i] = explorer->taken[i] || i == best ? 0 :
			1 / (explorer->left + explorer->policy->gamma * (explorer->value[best] - explorer->value[i]));
		rest -= p[i];
	}
	p[best] = rest;
}

static void
shares_of_votes(const RlrecExplorer *explorer, double *p)
{
	memset(p, 0, explorer->n * sizeof(double));
	for (int d = 0; d < explorer->policy->draws; d++)
		p[explorer->vote[d]]++;
	for (int i = 0; i < explorer->n; i++)
		p[i] /= explorer->policy->draws;
}

void
rlrec_explorer_probabilities(const RlrecExplorer *explorer, double *p)
{
	const RlrecPolicy *policy = explorer->policy;
	double		mixture = Min(policy->floor * explorer->left, 1);

	if (rlrec_policy_is_greedy(policy))
	{
		memset(p, 0, explorer->n * sizeof(double));
		p[best_left(explorer, explorer->value)] = 1;
		mixture = rlrec_policy_mixture(policy, explorer->left);
	}
	else if (policy->explore == RLREC_EXPLORE_SOFTMAX)
		softmax(explorer, p);
	else if (policy->explore == RLREC_EXPLORE_SQUARECB)
		squarecb(explorer, p);
	else
		shares_of_votes(explorer, p);
	if (mixture == 0)
		return;
	for (int i = 0; i < explorer->n; i++)
		if (!explorer->taken[i])
			p[i] = (1 - mixture) * p[i] + mixture / explorer->left;
}
