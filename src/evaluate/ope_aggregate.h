/*
 * ope_aggregate.h
 *	  What the aggregates of off-policy evaluation share.
 */
#ifndef RLREC_OPE_AGGREGATE_H
#define RLREC_OPE_AGGREGATE_H

#include "fmgr.h"

#include "evaluate/ope.h"

/*
 * The body of a transition function: its state is argument 0, and its options argument number `options`, where the aggregate has them.
 * Returns the state with the term.
 */
extern Datum rlrec_ope_accumulate(FunctionCallInfo fcinfo, bool normalised, const RlrecOpeTerm *term, int options);

/* An error when the argument, of this name, is NULL. */
extern void rlrec_ope_not_null(FunctionCallInfo fcinfo, int argument, const char *name);

/* Errors, which name the number: not finite; not a probability that an action which was taken can have; not a probability. */
extern double rlrec_ope_check_real(double value, const char *name);
extern double rlrec_ope_check_logged(double value);
extern double rlrec_ope_check_target(double value);

#endif							/* RLREC_OPE_AGGREGATE_H */
