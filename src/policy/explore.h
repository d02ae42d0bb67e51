/*
 * explore.h
 *	  Exploration inside a shortlist: how probable each item is to be shown next.
 *
 * Knows of no SQL.
 */
#ifndef RLREC_EXPLORE_H
#define RLREC_EXPLORE_H

typedef enum RlrecExploration
{
	RLREC_EXPLORE_NONE,
	RLREC_EXPLORE_EPSILON_GREEDY,
	RLREC_EXPLORE_SOFTMAX,
	RLREC_EXPLORE_UCB,
	RLREC_EXPLORE_THOMPSON,
	RLREC_EXPLORE_SQUARECB
} RlrecExploration;

/* What random numbers under a seed are for */
enum
{
	RLREC_STREAM_THOMPSON, RLREC_STREAM_SLATE
};

/* A stochastic policy, as far as it is not the logits */
typedef struct RlrecPolicy
{
	RlrecExploration explore;
	bool		reranked;		/* best is what comes first in the shortlist, not what has the highest logit */
	double		epsilon;
	double		temperature;	/* in units of the logits */
	double		width;			/* of the upper confidence bound, in standard errors */
	int			draws;			/* of Thompson sampling, that vote */
	double		gamma;			/* of SquareCB */
	double		floor;			/* least probability of each item that is left */
	uint64		seed;			/* of the random numbers; Thompson's votes depend on it */
} RlrecPolicy;

/* What is chosen from */
typedef struct RlrecShortlist
{
	int			n;
	const float *logit;			/* [n] higher is better; -infinity for an item of which nothing is known */
	const float *uncertainty;	/* [n] standard errors of the logits; NULL unless rlrec_policy_is_uncertain() */
} RlrecShortlist;

/* Whether the strategy reads the uncertainty, and whether it always chooses the same. */
extern bool rlrec_policy_is_uncertain(const RlrecPolicy *policy);
extern bool rlrec_policy_is_deterministic(const RlrecPolicy *policy);

/* Whether there is a best item, which is mixed with all that are left alike; if so, with the weight that these have when `left` are left. */
extern bool rlrec_policy_is_greedy(const RlrecPolicy *policy);
extern double rlrec_policy_mixture(const RlrecPolicy *policy, int left);

/* What is left of a shortlist */
typedef struct RlrecExplorer
{
	const RlrecPolicy *policy;
	int			n;
	int			left;
	bool	   *taken;			/* [n] */
	double	   *value;			/* [n] by which the strategy goes */
	double	   *draw;			/* (policy->draws,n) of Thompson sampling, else NULL */
	int		   *vote;			/* [policy->draws] the best of each draw among what is left */
} RlrecExplorer;

extern RlrecExplorer *rlrec_explorer_create(const RlrecPolicy *policy, const RlrecShortlist *shortlist);

/* As if of all items these were taken, and no other. */
extern void rlrec_explorer_set_taken(RlrecExplorer *explorer, int n, const int *taken);

/* p[n], which add up to 1: the probability of each item to be next, 0 of those that are taken. At least one must be left. */
extern void rlrec_explorer_probabilities(const RlrecExplorer *explorer, double *p);

extern void rlrec_explorer_take(RlrecExplorer *explorer, int i);

#endif							/* RLREC_EXPLORE_H */
