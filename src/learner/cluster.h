/*
 * cluster.h
 *	  The encoder's states in clusters, so that a table can have a row for each.
 */
#ifndef RLREC_CLUSTER_H
#define RLREC_CLUSTER_H

#include "learner/learner.h"

/*
 * Fits the learner supervised as a part, and clusters of its states by the key, as tensors under prefix. Returns, by the indices of the
 * events' arrays, the cluster after each event with a positive reward.
 */
extern int32 *rlrec_cluster_fit(const RlrecFit *fit, int clusters, uint64 key, const char *prefix, RlrecTensors *tensors);

/* The cluster of a history, -1 when it is empty. */
extern int32 rlrec_cluster_of(const RlrecModel *model, const RlrecHistory *history);

#endif							/* RLREC_CLUSTER_H */
