/*
 * ope.h
 *	  Off-policy evaluation: the value of a target policy, estimated from what a logging policy did. Knows nothing of SQL.
 *
 * A row of the log becomes a term, terms are added to moments, and every estimator is read from these by one formula:
 *
 *		value = E[plain] + E[numerator] / E[weight]
 *
 * The second part is there in self-normalised estimators only; in the others the numerator is part of the plain term.
 */
#ifndef RLREC_OPE_H
#define RLREC_OPE_H

typedef enum RlrecOpeEstimator
{
	RLREC_OPE_IPS,
	RLREC_OPE_CLIPPED_IPS,
	RLREC_OPE_SNIPS,
	RLREC_OPE_DM,
	RLREC_OPE_DR,
	RLREC_OPE_SNDR,
	RLREC_OPE_SWITCH_DR,
	RLREC_OPE_DR_OS
} RlrecOpeEstimator;

/* What is known of a decision. */
typedef struct RlrecOpeRow
{
	double		reward;
	double		weight;			/* probability of the action under the target policy / under the logging policy */
	double		q_logged;		/* a model's reward of the action that was logged; 0 where the estimator has no model */
	double		q_policy;		/* the model's mean reward over the target policy's actions; 0 the same */
	double		parameter;		/* clip, tau or lambda */
} RlrecOpeRow;

/* Estimators of the sum of the rewards of a slate, whose places are in the order of display. */
typedef enum RlrecOpeSlateEstimator
{
	RLREC_OPE_SLATE_IPS,
	RLREC_OPE_SLATE_IIPS,
	RLREC_OPE_SLATE_RIPS,
	RLREC_OPE_SLATE_CASCADE_DR
} RlrecOpeSlateEstimator;

typedef struct RlrecOpeSlate
{
	int			length;
	const double *reward;		/* each is [length] */
	const double *logged;		/* probability of the item, given the items before it; of IIPS its marginal probability */
	const double *target;
	const double *q_logged;		/* NULL where the estimator has no model */
	const double *q_policy;
} RlrecOpeSlate;

typedef struct RlrecOpeTerm
{
	double		plain;
	double		numerator;
	double		weight;
	bool		rewarded;		/* a reward that is not 0, and counts; of DM, which knows none, always */
} RlrecOpeTerm;

#define RLREC_OPE_PARTS 3		/* plain, numerator, weight */

/* What has been added up. Only doubles, so that it can be kept as an array of them; all zeros when new. */
typedef struct RlrecOpeMoments
{
	double		normalised;		/* 1 in self-normalised estimators; set before the first term */
	double		n;
	double		rewarded;
	double		max_weight;
	double		least;			/* of the plain terms */
	double		most;
	double		mean[RLREC_OPE_PARTS];
	double		products[RLREC_OPE_PARTS * (RLREC_OPE_PARTS + 1) / 2];	/* sums of products of deviations: 00, 10, 11, 20, 21, 22 */
} RlrecOpeMoments;

/* The sums of some rows, as the bootstrap draws them: see ope.c. */
typedef struct RlrecOpeGroup
{
	double		n;
	double		sum[RLREC_OPE_PARTS];
} RlrecOpeGroup;

#define RLREC_OPE_GROUPS 1024

extern RlrecOpeTerm rlrec_ope_term(RlrecOpeEstimator estimator, const RlrecOpeRow *row);
extern bool rlrec_ope_normalised(RlrecOpeEstimator estimator);

extern RlrecOpeTerm rlrec_ope_slate_term(RlrecOpeSlateEstimator estimator, const RlrecOpeSlate *slate);

extern void rlrec_ope_add(RlrecOpeMoments *moments, const RlrecOpeTerm *term);
extern void rlrec_ope_merge(RlrecOpeMoments *into, const RlrecOpeMoments *other);

/* NaN where it is not defined: without rows, or self-normalised without weight. */
extern double rlrec_ope_value(const RlrecOpeMoments *moments);

/* Of the value: the square of its standard error. NaN also of one row. */
extern double rlrec_ope_variance(const RlrecOpeMoments *moments);

/* (sum of weights)^2 / sum of squared weights (Kong 1992) */
extern double rlrec_ope_ess(const RlrecOpeMoments *moments);

/* How many standard errors the mean weight is away from 1, which it is where the logging policy can do all that the target would. */
extern double rlrec_ope_weight_deviation(const RlrecOpeMoments *moments);

/* Half the width of a two-sided interval of confidence in (0, 1). */
extern double rlrec_ope_normal(const RlrecOpeMoments *moments, double confidence);

/* The same by Maurer and Pontil (2009), where no two plain terms can differ by more than range. Not of self-normalised estimators. */
extern double rlrec_ope_bernstein(const RlrecOpeMoments *moments, double confidence, double range);

/* To which group a row goes that has so many before it. */
extern int	rlrec_ope_group(int64 row);

/* The value of a bootstrap sample: the replicate-th under this seed. */
extern double rlrec_ope_replicate(const RlrecOpeGroup *groups, int n, bool normalised, uint64 seed, uint64 replicate);

#endif							/* RLREC_OPE_H */
