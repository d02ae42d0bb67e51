/*
 * auto.h
 *	  What the learner "auto" tells of its model.
 */
#ifndef RLREC_AUTO_H
#define RLREC_AUTO_H

#include "learner/parts.h"

/* The name of the learner that was chosen; NULL when the model is not of auto. */
extern const char *rlrec_auto_chosen(const RlrecModel *model);

/* The learners (const RlrecLearner *) that were compared and the NDCG@10 of each; NIL when the data were too few to compare. */
extern List *rlrec_auto_candidates(const RlrecModel *model, const float **ndcg);

#endif							/* RLREC_AUTO_H */
