/*
 * auto.h
 *	  What the learner "auto" tells of its model.
 */
#ifndef RLREC_AUTO_H
#define RLREC_AUTO_H

#include "learner/parts.h"

/* The name of the learner that was chosen; NULL when the model is not of auto. */
extern const char *rlrec_auto_chosen(const RlrecModel *model);

#endif							/* RLREC_AUTO_H */
