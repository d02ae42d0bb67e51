/*
 * sequence.c
 *	  Asymptotic confidence sequences of a mean of clustered values, and a test whether a mean has dropped.
 *
 * The bound is the one-sided normal-mixture bound of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
 * confidence sequences" (2021, Annals of Statistics 2024): with the half-normal mixture of scale rho, with probability 1 - alpha at no time t
 * the mean of t values of deviation s exceeds its expectation by more than
 *
 *	  s sqrt(2 (t rho^2 + 1) / (t^2 rho^2) log(1 + sqrt(t rho^2 + 1) / (2 alpha)))
 *
 * rho makes it narrowest at about BEST_TIME. It is asymptotic, as a z-test is, which is why it starts only with some clusters. Importance weights
 * are skewed to the right, and a gain that hangs on them is found late rather than early; a loss that does would be found too late, so
 * let no value have a large weight before a minus. Where values are bounded below, rlrec_sequence_lower() reckons with a loss that has not come yet, as
 * if one more user, with as many values as the others have on average, had lost as much as can be lost: else a few lucky ones, whose variance is
 * almost 0, would prove a gain. Values that are all equal have no bound, as their variance says nothing.
 *
 * Users are the clusters: what one of them does now depends on what he did before. So s^2 / t is the variance of the mean estimated from whole
 * clusters, and the time t that of a Brownian motion with as much variance, n times the design effect. Where clusters grow and what is in one
 * correlates positively, the standardised sums are more correlated over time than a Brownian motion's, so that by Slepian's inequality they
 * cross the bound no more often. Where it correlates negatively the variance is that of independent values, which is larger.
 */
#include "postgres.h"

#include <math.h>

#include "evaluate/sequence.h"

#define BEST_TIME 1000.0

/* With a cluster more, of so many values that are all `least` */
static RlrecClusteredMean
mean_with(int64 n, const double *value, const int32 *cluster, int32 clusters, int64 more, double least)
{
	RlrecClusteredMean result = {0};
	double	   *residual = palloc0(Max(clusters, 1) * sizeof(double));
	bool	   *met = palloc0(Max(clusters, 1) * sizeof(bool));
	double		first = n > 0 ? value[0] : least;	/* differences from it are exactly 0 where all are equal */
	double		all = more * (least - first);

	for (int64 i = 0; i < n; i++)
		all += value[i] - first;
	result.n = n + more;
	result.mean = result.n > 0 ? first + all / result.n : 0;
	for (int64 i = 0; i < n; i++)
	{
		double		difference = value[i] - result.mean;

		residual[cluster[i]] += difference;
		met[cluster[i]] = true;
		result.independent += difference * difference;
	}
	for (int32 c = 0; c < clusters; c++)
	{
		result.clusters += met[c];
		result.clustered += residual[c] * residual[c];
	}
	result.clusters += more > 0;
	result.clustered += (more * (least - result.mean)) * (more * (least - result.mean));
	result.independent += more * (least - result.mean) * (least - result.mean);
	result.clustered *= result.clusters / Max(result.clusters - 1.0, 1.0) / Max((double) result.n * result.n, 1);
	result.independent /= Max((double) result.n * result.n, 1);
	pfree(residual);
	pfree(met);
	return result;
}

RlrecClusteredMean
rlrec_clustered_mean(int64 n, const double *value, const int32 *cluster, int32 clusters)
{
	return mean_with(n, value, cluster, clusters, 0, 0);
}

double
rlrec_sequence_width(int64 n, int64 clusters, double clustered, double independent, double alpha)
{
	double		variance = Max(clustered, independent);
	double		rho2 = (-2 * log(alpha) + log(-2 * log(alpha)) + 1) / BEST_TIME;
	double		time;

	if (clusters < RLREC_LEAST_CLUSTERS || !(independent > 0))
		return INFINITY;
	time = n * (variance / independent) * rho2;
	return sqrt(variance * 2 * (time + 1) / time * log1p(sqrt(time + 1) / (2 * alpha)));
}

double
rlrec_sequence_lower(int64 n, const double *value, const int32 *cluster, int32 clusters, double least, double alpha)
{
	int64		met = rlrec_clustered_mean(n, value, cluster, clusters).clusters;
	RlrecClusteredMean mean;

	if (met < RLREC_LEAST_CLUSTERS)
		return -INFINITY;
	mean = mean_with(n, value, cluster, clusters, (n + met - 1) / met, least);
	return mean.mean - rlrec_sequence_width(mean.n, mean.clusters, mean.clustered, mean.independent, alpha);
}

double
rlrec_sequence_difference_width(const RlrecClusteredMean *a, const RlrecClusteredMean *b, double alpha)
{
	double		each = 1.0 / Max(a->n, 1) + 1.0 / Max(b->n, 1);

	return rlrec_sequence_width(a->n + b->n, Min(a->clusters, b->clusters), Max(a->clustered * a->n, b->clustered * b->n) * each,
								Max(a->independent * a->n, b->independent * b->n) * each, alpha);
}

/* Page, "Continuous inspection schemes" (Biometrika 1954), section 3; the form of Hinkley (Biometrika 1971) is the same statistic. */
void
rlrec_page_add(RlrecPage *test, double value, double tolerance)
{
	test->sum = Max(0, test->sum - value - tolerance);
	test->most = Max(test->most, test->sum);
}
