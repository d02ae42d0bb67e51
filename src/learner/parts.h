/*
 * parts.h
 *	  Learners that are made of other learners: which ones, and where in the tensors these are.
 */
#ifndef RLREC_PARTS_H
#define RLREC_PARTS_H

#include "nodes/pg_list.h"

#include "learner/learner.h"

/*
 * The learners (const RlrecLearner *, in the registry's order) that the option `learners` names, or else all; of these, those that can
 * be fitted. auto is never a part, and hybrid only of auto (for_auto) and when named. Unless named, learners that are to be are left out, and
 * those with an encoder are left to the agent's encoder: auto means yes for auto and no for hybrid. strict: a named learner that cannot be
 * fitted is an error.
 */
extern List *rlrec_parts_choose(const RlrecFit *fit, const RlrecOption *specs, bool for_auto, bool strict);

/* Fits a part, its tensors under prefix || part's name || "/". What it needs besides is freed. */
extern void rlrec_parts_fit(const RlrecLearner *part, const RlrecFit *fit, const char *prefix, RlrecTensors *tensors);

/* The learners' names as the tensor prefix || name, and the learners of such a tensor in the same order. */
extern void rlrec_parts_write(const List *learners, const char *prefix, const char *name, RlrecTensors *tensors);
extern List *rlrec_parts_read(const RlrecModel *model, const char *name);

/* The model of a part; it borrows from the whole. */
extern RlrecModel rlrec_parts_open(const RlrecModel *model, const RlrecLearner *part);

/* Appends `, "key": {"learner": value, ...}` for describe(). */
extern void rlrec_parts_describe(const List *learners, const char *key, const float *values, StringInfo json);

/* The model of that learner in a model, itself or a part; NULL when there is none. Borrows from the whole. */
extern const RlrecModel *rlrec_parts_find(const RlrecModel *model, const RlrecLearner *learner);

/* The models of learners that are not made of others (RlrecModel *): itself, or its parts' and theirs. Borrow from the whole. */
extern List *rlrec_parts_all(const RlrecModel *model);

/*
 * similar() of auto and hybrid: that of the first of `parts` that has one. rlrec_parts_has_similar() tells of any model whether
 * similar() may be asked.
 */
extern void rlrec_parts_similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores);
extern bool rlrec_parts_has_similar(const RlrecModel *model);

/* matrix[n][n]: similar() of each of n items to each; of a model that has none, cosine over the items' users, as its sketches know it. */
extern void rlrec_parts_similarities(const RlrecModel *model, int32 n, const int32 *items, float *matrix);

#endif							/* RLREC_PARTS_H */
