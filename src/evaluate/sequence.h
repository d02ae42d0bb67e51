/*
 * sequence.h
 *	  Looking at a mean again and again: bounds that hold at all times at once, and a test whether it has dropped.
 *
 * Knows of no SQL.
 */
#ifndef RLREC_SEQUENCE_H
#define RLREC_SEQUENCE_H

#include <math.h>

/* The mean of values that come in clusters: those of a cluster may depend on each other. */
typedef struct RlrecClusteredMean
{
	int64		n;
	int64		clusters;
	double		mean;
	double		clustered;		/* variance of the mean */
	double		independent;	/* what it would be if all values were independent */
} RlrecClusteredMean;

/* Of value[n], each of a cluster 0 .. clusters - 1; all 0 when n is 0. */
extern RlrecClusteredMean rlrec_clustered_mean(int64 n, const double *value, const int32 *cluster, int32 clusters);

/*
 * How far below the mean its lower bound lies, at all times at once with confidence 1 - alpha; infinity with fewer than RLREC_LEAST_CLUSTERS
 * clusters, and where all values are equal. The same above it is the upper bound.
 */
#define RLREC_LEAST_CLUSTERS 30
extern double rlrec_sequence_width(int64 n, int64 clusters, double clustered, double independent, double alpha);

/*
 * The lower bound of the mean of values as rlrec_clustered_mean() takes them, none of which can be less than `least`: with one more cluster of average
 * size, all of whose values are that. -infinity where there is no bound.
 */
extern double rlrec_sequence_lower(int64 n, const double *value, const int32 *cluster, int32 clusters, double least, double alpha);

/*
 * The same as rlrec_sequence_width() of the difference of two means of different clusters. Each counts with the larger of both variances, as of one that has too few values
 * that are not 0 the own one says little.
 */
extern double rlrec_sequence_difference_width(const RlrecClusteredMean *a, const RlrecClusteredMean *b, double alpha);

/* The state of Page's test for a drop, 0 at the start */
typedef struct RlrecPage
{
	double		sum;			/* by how much the latest values stayed behind what was expected */
	double		most;			/* that sum has been; an alarm where it is above a threshold */
} RlrecPage;

/* Adds a value, as a difference from what is expected. A drop of as much as tolerance counts for nothing. */
extern void rlrec_page_add(RlrecPage *test, double value, double tolerance);

/*
 * The tolerance where what is expected is itself a mean, of so many rewards, at least RLREC_LEAST_REFERENCE: that may be too high by three standard
 * errors. So much is more than the first reward among n does to their mean, 1 / sqrt(n), so that it does not matter when one came.
 */
#define RLREC_LEAST_REFERENCE 300
static inline double
rlrec_page_tolerance(double tolerance, int64 reference_n)
{
	return tolerance + 3 / sqrt((double) reference_n);
}

#endif							/* RLREC_SEQUENCE_H */
