/*
 * serve.h
 *	  What rlrec_serve() shares with those who ask what it would show.
 */
#ifndef RLREC_SERVE_H
#define RLREC_SERVE_H

#include "serve/recommend.h"

/* Standard errors [n] of the scores of the n best, palloc'd; of the request only model, history and source are read. */
extern float *rlrec_serve_uncertainty(const RlrecRequest *request, int n, const RlrecRecommendation *best);

#endif							/* RLREC_SERVE_H */
