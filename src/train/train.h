/*
 * train.h
 *	  What training and evaluation share.
 */
#ifndef RLREC_TRAIN_H
#define RLREC_TRAIN_H

#include "fmgr.h"
#include "learner/learner.h"
#include "store/agent.h"

/* Reads what a learner is fitted on: the events as the current user sees them, the items as the agent's owner does. */
extern void rlrec_fit_begin(RlrecFit *fit, const RlrecAgent *agent);

typedef enum RlrecDeploy
{
	RLREC_DEPLOY_ALWAYS,
	RLREC_DEPLOY_NEVER,
	RLREC_DEPLOY_IF_BETTER
} RlrecDeploy;

/* Text argument n: always (also NULL), never or if_better; an error otherwise. */
extern RlrecDeploy rlrec_deploy_argument(FunctionCallInfo fcinfo, int n);

/* What a training came to. */
typedef struct RlrecTraining
{
	int32		version;
	Jsonb	   *metrics;
	double		seconds;
	bool		deployed;
} RlrecTraining;

/* Trains the agent (NULL: the only one) in the current transaction, as its owner; the caller's rights are checked. */
extern void rlrec_train_agent(const char *name, RlrecDeploy when, RlrecTraining *training);

/*
 * Asks for a training in a background worker, which starts when the current transaction commits; returns its number in rlrec.trainings. SPI must
 * be connected, the caller's rights checked.
 */
extern int64 rlrec_train_request(const RlrecAgent *agent, RlrecDeploy when);

/* The learner that serves: the one that auto chose, else the model's own. */
extern const char *rlrec_model_source(const RlrecModel *model);

#endif							/* RLREC_TRAIN_H */
