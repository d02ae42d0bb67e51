/*
 * target.h
 *	  What rlrec_serve() would do with a version where decisions of others were logged.
 */
#ifndef RLREC_TARGET_H
#define RLREC_TARGET_H

#include "data/events.h"
#include "evaluate/matured.h"
#include "policy/explore.h"
#include "serve/shortlist.h"

typedef struct RlrecTarget RlrecTarget;

/* The stochastic policy in the place of a logged decision, and where in its shortlist is what was shown */
typedef struct RlrecTargetChoice
{
	RlrecPolicy policy;
	RlrecShortlist shortlist;
	const RlrecRecommendation *best;	/* [shortlist.n] */
	int		   *place;			/* [decision->k] in the shortlist, -1 where it is not in there */
} RlrecTargetChoice;

/*
 * The model need not serve. events, whose rewards and order are those of rlrec_events_read(), are all that there are; histories are read
 * from them as of each decision. as_logged: with as much exploration as each decision had, where its strategy is the same: its epsilon, and
 * as long a shortlist.
 */
extern RlrecTarget *rlrec_target_open(const RlrecAgent *agent, const RlrecModel *model, const RlrecEvents *events, bool as_logged);

/* The same of a stored version, with the events as the current user sees them. rlrec_target_close() gives the model back. */
extern RlrecTarget *rlrec_target_open_version(const RlrecAgent *agent, int64 model, bool as_logged);
extern void rlrec_target_close(RlrecTarget *target);

/* Everything in CurrentMemoryContext. */
extern RlrecTargetChoice rlrec_target_choose(RlrecTarget *target, const RlrecMaturedDecision *decision);

#endif							/* RLREC_TARGET_H */
