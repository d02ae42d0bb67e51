/*
 * cache.h
 *	  Models ready to serve.
 */
#ifndef RLREC_CACHE_H
#define RLREC_CACHE_H

#include "learner/learner.h"
#include "store/agent.h"

/* The model of the agent's deployed version, good until it is released. An error with a hint when the agent has none. */
extern const RlrecModel *rlrec_cache_model(const RlrecAgent *agent);
extern void rlrec_cache_release(const RlrecModel *model);

/* Called from _PG_init(). */
extern void rlrec_cache_init(void);

#endif							/* RLREC_CACHE_H */
