/*
 * learn.c
 *	  What events change in an agent between trainings.
 */
#include "postgres.h"

#include "feedback/learn.h"

void
rlrec_online_learn(const RlrecAgent *agent pg_attribute_unused(), const RlrecFeedbackEvent *events pg_attribute_unused(),
				   int64 n pg_attribute_unused())
{
}
