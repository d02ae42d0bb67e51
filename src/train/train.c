/*
 * train.c
 *	  rlrec_train(): read the events, fit the learner, store a version, deploy it.
 *
 * Runs as the agent's owner, in the caller's transaction: a training that fails, is cancelled or crashes leaves the deployed version
 * serving. A second training of the same agent waits for the first (lock_timeout applies).
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "data/features.h"
#include "learner/learner.h"
#include "store/agent.h"
#include "store/catalog.h"
#include "store/events.h"
#include "store/model.h"
#include "store/progress.h"
#include "train/train.h"

void
rlrec_fit_begin(RlrecFit *fit, const RlrecAgent *agent)
{
	RlrecEvents *events;

	memset(fit, 0, sizeof(*fit));
	fit->budget = (Size) maintenance_work_mem * 1024;
	fit->options = agent->options;
	events = rlrec_events_read(agent, fit->budget, true, false);
	fit->events = events;
	if (OidIsValid(agent->items))
	{
		RlrecRole	saved;

		rlrec_progress("reading items", 0, events->items.n);
		rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
		fit->features = rlrec_features_read(agent->items, agent->item_key, &events->items);
		rlrec_run_back(&saved);
	}
}
