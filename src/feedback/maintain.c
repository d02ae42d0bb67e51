/*
 * maintain.c
 *	  What is to be done for an attached agent from time to time: each part adds its line.
 */
#include "postgres.h"

#include "feedback/learn.h"
#include "feedback/maintain.h"

void
rlrec_maintain(const RlrecAgent *agent)
{
	rlrec_online_maintain(agent);
}
