/*
 * serve.h
 *	  What rlrec_serve() shares with those who ask what it would show.
 */
#ifndef RLREC_SERVE_H
#define RLREC_SERVE_H

#include "policy/policy.h"
#include "serve/recommend.h"

/*
 * The policy by which a version of that learner serves that was trained so many seconds ago, which matters where rlrec_policy_decays(); the seed
 * is the caller's.
 */
extern RlrecPolicy rlrec_serve_policy(const RlrecAgent *agent, const RlrecLearner *learner, double age);

/* Standard errors [n] of the scores of the n best, palloc'd; of the request only model, history and source are read. */
extern float *rlrec_serve_uncertainty(const RlrecRequest *request, int n, const RlrecRecommendation *best);

#endif							/* RLREC_SERVE_H */
