/*
 * maintain.c
 *	  What is to be done for an attached agent from time to time: each part adds its line.
 */
#include "postgres.h"

#include "executor/spi.h"

#include "feedback/maintain.h"
#include "store/decision.h"

#define TRIM 10000				/* decisions a minute at most, so that no transaction is long */

void
rlrec_maintain(const RlrecAgent *agent)
{
	SPI_connect();
	(void) rlrec_decisions_trim(agent, TRIM);
	SPI_finish();
}
