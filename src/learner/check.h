/*
 * check.h
 *	  Tensors that come from outside, held to what a model needs before anything reads them.
 *
 * All raise an error with a hint when something does not fit.
 */
#ifndef RLREC_CHECK_H
#define RLREC_CHECK_H

#include "compat.h"
#include "learner/learner.h"

/*
 * A model of a learner over tensors of unknown origin: those that all models have are checked, then the learner's, by its check(). There
 * may be no others. An error, too, when the learner has no check().
 */
extern RlrecModel *rlrec_model_check(const RlrecLearner *learner, const RlrecTensors *tensors);

/* For check() of a learner: the data of a tensor, which must be there with that dtype and shape; floats must be finite. */
extern const void *rlrec_check_vector(const RlrecModel *model, const char *name, RlrecDtype dtype, int64 n);
extern const void *rlrec_check_matrix(const RlrecModel *model, const char *name, RlrecDtype dtype, int64 rows, int64 columns);

/* A number that must be in the range of the learner's option of that name. */
extern void rlrec_check_option(const RlrecModel *model, const char *name, int64 number);

/* The error itself, with a detail in errdetail's format. */
pg_noreturn extern void rlrec_check_failed(const RlrecLearner *learner, const char *format,...) pg_attribute_printf(2, 3);

#endif							/* RLREC_CHECK_H */
