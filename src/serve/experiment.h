/*
 * experiment.h
 *	  Which version a user is served by while an experiment runs.
 */
#ifndef RLREC_EXPERIMENT_H
#define RLREC_EXPERIMENT_H

#include "store/agent.h"

/* Of a user, while an experiment runs */
typedef struct RlrecAssignment
{
	char	   *arm;			/* NULL outside of an experiment, also for users beyond its allocation */
	int			n_shadows;
	int64	   *shadow;			/* [n_shadows] rlrec.model.id of versions that decide too, and are not shown */
} RlrecAssignment;

/* By the user's id as text. The version of his arm becomes the agent's deployed one for this copy of the row. */
extern RlrecAssignment rlrec_experiment_assign(RlrecAgent *agent, const char *user);

#endif							/* RLREC_EXPERIMENT_H */
