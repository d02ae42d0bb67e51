/*
 * qlearning_model.h
 *	  The tables that Q-learning and its kin learned from a log: served, and learned on with events that came since.
 */
#ifndef RLREC_QLEARNING_MODEL_H
#define RLREC_QLEARNING_MODEL_H

#include "learner/learner.h"

/* As the members of RlrecLearner without the prefix. */
extern bool rlrec_qlearning_score(const RlrecModel *model, const RlrecHistory *history, float *scores);
extern void rlrec_qlearning_learn(const RlrecModel *model, const RlrecLesson *lesson, RlrecLearned *learned);
extern void rlrec_qlearning_describe(const RlrecModel *model, StringInfo json);
extern void rlrec_qlearning_action_values(const RlrecModel *model, RlrecActionValueSink sink, void *argument);

#endif							/* RLREC_QLEARNING_MODEL_H */
