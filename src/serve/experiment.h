/*
 * experiment.h
 *	  Which version a user is served by while an experiment runs.
 */
#ifndef RLREC_EXPERIMENT_H
#define RLREC_EXPERIMENT_H

#include "store/agent.h"

/*
 * The arm that a user, his id as text, is in while an experiment of the agent runs, palloc'd; its version becomes the agent's deployed one for this copy
 * of the row. NULL outside of an experiment, also for users beyond its allocation.
 */
extern char *rlrec_experiment_assign(RlrecAgent *agent, const char *user);

#endif							/* RLREC_EXPERIMENT_H */
