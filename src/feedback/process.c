/*
 * process.c
 *	  Learning from committed feedback: nothing is queued yet.
 */
#include "postgres.h"

#include "feedback/process.h"

bool
rlrec_process_lock(const RlrecAgent *agent pg_attribute_unused(), bool wait pg_attribute_unused())
{
	return true;
}

int64
rlrec_process_batch(const RlrecAgent *agent pg_attribute_unused(), int64 most pg_attribute_unused())
{
	return 0;
}
