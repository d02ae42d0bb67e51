/*
 * slate.h
 *	  Slates: items drawn from a shortlist one after the other, without replacement, and their exact probabilities.
 *
 * Places in the shortlist count from 0.
 */
#ifndef RLREC_SLATE_H
#define RLREC_SLATE_H

#include "policy/explore.h"

/* Draws place[k], k <= n; propensity[k] is the probability of each given those before it. Returns their product. */
extern double rlrec_slate_draw(const RlrecPolicy *policy, const RlrecShortlist *shortlist, uint64 key, int k, int *place, double *propensity);

/*
 * The same propensities, which may be NULL, and the same product, of a given slate; 0 from a place on that is not in the shortlist, or was
 * before.
 */
extern double rlrec_policy_probability(const RlrecPolicy *policy, const RlrecShortlist *shortlist, int k, const int *place,
									   double *propensity);

/*
 * marginal[k]: the probability that each item of a slate is where it is, over all slates of this length. Returns false where that would be
 * too many: strategies that are not greedy need a sum over the sets of items that may come before.
 */
extern bool rlrec_slate_marginals(const RlrecPolicy *policy, const RlrecShortlist *shortlist, int k, const int *place, double *marginal);

#endif							/* RLREC_SLATE_H */
