/*
 * recommend.h
 *	  What the functions share that recommend to a user: rlrec_recommend(), which looks, and rlrec_serve(), which acts.
 */
#ifndef RLREC_RECOMMEND_H
#define RLREC_RECOMMEND_H

#include "fmgr.h"
#include "serve/shortlist.h"
#include "store/agent.h"

/* A call with the arguments (user_id, k, agent, candidates, exclude, context) */
typedef struct RlrecRequest
{
	const RlrecAgent *agent;
	char	   *user;			/* id as text; NULL for a history of nobody's */
	const RlrecModel *model;	/* to be released by the caller */
	RlrecHistory history;
	RlrecItemSet excluded;
	const char *source;			/* set by rlrec_request_best() */
} RlrecRequest;

/* Reads user and history; the context may have keys of its own beside rlrec_recommend()'s, unless `context` is NULL. */
extern void rlrec_request_read(FunctionCallInfo fcinfo, RlrecAgent *agent, const RlrecOption *context, RlrecRequest *request);

/* The k best by the rest of the arguments, palloc'd; sets *n to how many there are. */
extern RlrecRecommendation *rlrec_request_best(FunctionCallInfo fcinfo, RlrecRequest *request, int k, int *n);

#endif							/* RLREC_RECOMMEND_H */
