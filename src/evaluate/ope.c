/*
 * ope.c
 *	  Off-policy evaluation: terms, moments and intervals. docs/ope.md has the formulas and where they are from.
 *
 * The bootstrap does not draw rows but groups of them, to which the rows are dealt. Up to RLREC_OPE_GROUPS rows each is a group, which is
 * the ordinary bootstrap (Efron 1979); beyond, groups are as independent and as alike as rows are, so that their mean is distributed as
 * that of rows, and a row costs one addition instead of one a replicate.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "evaluate/ope.h"
#include "tensor/product.h"
#include "tensor/random.h"

enum
{
	PLAIN,
	NUMERATOR,
	WEIGHT
};

/* The place of a pair, i >= j, in the products. */
#define PAIR(i, j) ((i) * ((i) + 1) / 2 + (j))

/* ---- terms */

/* The weight that the estimator gives a row. */
static double
weight_used(RlrecOpeEstimator estimator, double weight, double parameter)
{
	switch (estimator)
	{
		case RLREC_OPE_CLIPPED_IPS:
			return Min(weight, parameter);
		case RLREC_OPE_SWITCH_DR:
			return weight <= parameter ? weight : 0;
		case RLREC_OPE_DR_OS:	/* lambda w / (w^2 + lambda), also where lambda is 0 or infinite */
			return weight == 0 ? 0 : weight / (1 + weight * weight / parameter);
		case RLREC_OPE_DM:
			return 0;
		default:
			return weight;
	}
}

bool
rlrec_ope_normalised(RlrecOpeEstimator estimator)
{
	return estimator == RLREC_OPE_SNIPS || estimator == RLREC_OPE_SNDR;
}

RlrecOpeTerm
rlrec_ope_term(RlrecOpeEstimator estimator, const RlrecOpeRow *row)
{
	double		correction = weight_used(estimator, row->weight, row->parameter) * (row->reward - row->q_logged);
	RlrecOpeTerm term = {row->q_policy, 0, row->weight, estimator == RLREC_OPE_DM || (row->reward != 0 && row->weight > 0)};

	if (rlrec_ope_normalised(estimator))
		term.numerator = correction;
	else
		term.plain += correction;
	return term;
}

/* The weight of the term is that of the whole slate; of IIPS the mean of those of the places. */
RlrecOpeTerm
rlrec_ope_slate_term(RlrecOpeSlateEstimator estimator, const RlrecOpeSlate *slate)
{
	RlrecOpeTerm term = {0, 0, 0, false};
	double		sum = 0;
	RlrecProduct product = RLREC_PRODUCT_EMPTY;
	double		prefix = 1;		/* the weight of the places so far */
	bool		rewarded = false;

	for (int i = 0; i < slate->length; i++)
	{
		double		weight = slate->target[i] / slate->logged[i];
		double		before = prefix;

		rlrec_product_multiply(&product, weight);
		prefix = rlrec_product_value(&product);
		rewarded |= slate->reward[i] != 0;
		if (estimator == RLREC_OPE_SLATE_IPS)
			sum += slate->reward[i];
		else if (estimator == RLREC_OPE_SLATE_IIPS)
		{
			term.plain += weight * slate->reward[i];
			term.weight += weight / slate->length;
		}
		else if (estimator == RLREC_OPE_SLATE_RIPS)
			term.plain += prefix * slate->reward[i];
		else
			term.plain += prefix * (slate->reward[i] - slate->q_logged[i]) + before * slate->q_policy[i];
	}
	if (estimator == RLREC_OPE_SLATE_IPS)
		term.plain = prefix * sum;
	if (estimator != RLREC_OPE_SLATE_IIPS)
		term.weight = prefix;
	term.rewarded = rewarded && term.weight > 0;
	return term;
}

/* ---- moments */

/* By Welford (1962), in several variables. */
void
rlrec_ope_add(RlrecOpeMoments *moments, const RlrecOpeTerm *term)
{
	const double part[RLREC_OPE_PARTS] = {term->plain, term->numerator, term->weight};
	double		before[RLREC_OPE_PARTS];

	moments->n++;
	moments->rewarded += term->rewarded;
	moments->max_weight = Max(moments->max_weight, term->weight);
	moments->least = moments->n == 1 ? term->plain : Min(moments->least, term->plain);
	moments->most = moments->n == 1 ? term->plain : Max(moments->most, term->plain);
	for (int i = 0; i < RLREC_OPE_PARTS; i++)
	{
		before[i] = part[i] - moments->mean[i];
		moments->mean[i] += before[i] / moments->n;
		for (int j = 0; j <= i; j++)
			moments->products[PAIR(i, j)] += before[i] * (part[j] - moments->mean[j]);
	}
}

/* By Chan, Golub and LeVeque (1979) */
void
rlrec_ope_merge(RlrecOpeMoments *into, const RlrecOpeMoments *other)
{
	double		n = into->n + other->n;
	double		share;
	double		delta[RLREC_OPE_PARTS];

	if (other->n == 0)
		return;
	if (into->n == 0)
	{
		*into = *other;
		return;
	}
	share = other->n / n;
	for (int i = 0; i < RLREC_OPE_PARTS; i++)
	{
		delta[i] = other->mean[i] - into->mean[i];
		for (int j = 0; j <= i; j++)
			into->products[PAIR(i, j)] += other->products[PAIR(i, j)] + delta[i] * delta[j] * into->n * share;
		into->mean[i] += delta[i] * share;
	}
	into->n = n;
	into->rewarded += other->rewarded;
	into->max_weight = Max(into->max_weight, other->max_weight);
	into->least = Min(into->least, other->least);
	into->most = Max(into->most, other->most);
}

double
rlrec_ope_value(const RlrecOpeMoments *moments)
{
	const double *mean = moments->mean;

	if (moments->n == 0 || (moments->normalised && mean[WEIGHT] == 0))
		return NAN;
	return moments->normalised ? mean[PLAIN] + mean[NUMERATOR] / mean[WEIGHT] : mean[PLAIN];
}

/* That of a ratio by the delta method: of the mean of plain + (numerator - ratio * weight) / mean weight. */
double
rlrec_ope_variance(const RlrecOpeMoments *moments)
{
	const double *products = moments->products;
	double		weight = moments->mean[WEIGHT];
	double		squares = products[PAIR(PLAIN, PLAIN)];

	if (moments->n < 2 || isnan(rlrec_ope_value(moments)))
		return NAN;
	if (moments->normalised)
	{
		double		ratio = moments->mean[NUMERATOR] / weight;

		squares += (products[PAIR(NUMERATOR, NUMERATOR)] - 2 * ratio * products[PAIR(WEIGHT, NUMERATOR)] +
					ratio * ratio * products[PAIR(WEIGHT, WEIGHT)]) / (weight * weight);
		squares += 2 * (products[PAIR(NUMERATOR, PLAIN)] - ratio * products[PAIR(WEIGHT, PLAIN)]) / weight;
	}
	return Max(squares, 0) / (moments->n - 1) / moments->n;
}

double
rlrec_ope_ess(const RlrecOpeMoments *moments)
{
	double		weight = moments->mean[WEIGHT];

	if (weight == 0)
		return 0;
	return moments->n / (1 + moments->products[PAIR(WEIGHT, WEIGHT)] / (moments->n * weight * weight));
}

double
rlrec_ope_weight_deviation(const RlrecOpeMoments *moments)
{
	double		variance = moments->products[PAIR(WEIGHT, WEIGHT)] / (moments->n - 1) / moments->n;
	double		difference = fabs(moments->mean[WEIGHT] - 1);

	if (difference < 1e-9)
		return 0;
	return moments->n < 2 ? 0 : difference / sqrt(variance);
}

/* ---- intervals */

/* The number that a standard normal variable exceeds, in absolute value, with probability 1 - confidence. */
static double
normal_quantile(double confidence)
{
	double		alpha = 1 - confidence;
	double		z = 0;

	/* Newton's method on a convex function, from below its root: every step goes up. */
	for (int i = 0; i < 100; i++)
	{
		double		step = (erfc(z * M_SQRT1_2) - alpha) / (M_2_SQRTPI * M_SQRT1_2 * exp(-z * z / 2));

		z += step;
		if (!(step > 1e-14 * z))
			break;
	}
	return z;
}

double
rlrec_ope_normal(const RlrecOpeMoments *moments, double confidence)
{
	return normal_quantile(confidence) * sqrt(rlrec_ope_variance(moments));
}

/* Their theorem 4, on either side. */
double
rlrec_ope_bernstein(const RlrecOpeMoments *moments, double confidence, double range)
{
	double		log_term = log(4 / (1 - confidence));

	return sqrt(2 * rlrec_ope_variance(moments) * log_term) + 7 * range * log_term / (3 * (moments->n - 1));
}

/* At random, lest a period in the log put like rows together. */
int
rlrec_ope_group(int64 row)
{
	return row < RLREC_OPE_GROUPS ? (int) row : (int) rlrec_random_below(0, row, RLREC_OPE_GROUPS);
}

double
rlrec_ope_replicate(const RlrecOpeGroup *groups, int n, bool normalised, uint64 seed, uint64 replicate)
{
	uint64		key = rlrec_random_key(seed, replicate);
	RlrecOpeGroup total = {0, {0, 0, 0}};
	double		mean;

	for (int draw = 0; draw < n; draw++)
	{
		const RlrecOpeGroup *group = &groups[rlrec_random_below(key, draw, n)];

		total.n += group->n;
		for (int i = 0; i < RLREC_OPE_PARTS; i++)
			total.sum[i] += group->sum[i];
	}
	mean = total.sum[PLAIN] / total.n;
	return normalised ? mean + total.sum[NUMERATOR] / total.sum[WEIGHT] : mean;
}
