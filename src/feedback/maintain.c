/*
 * maintain.c
 *	  What is to be done for an attached agent from time to time: each part adds its line.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "evaluate/arms.h"
#include "evaluate/drift.h"
#include "feedback/learn.h"
#include "feedback/maintain.h"
#include "store/decision.h"

#define TRIM 10000				/* decisions a minute at most, so that no transaction is long */

void
rlrec_maintain(const RlrecAgent *agent)
{
	rlrec_online_maintain(agent);
	(void) rlrec_drift_check(agent);
	rlrec_arms_keep(agent);
	SPI_connect();
	(void) rlrec_decisions_trim(agent, TRIM);
	SPI_finish();
}

/* rlrec_maintain(agent) */
PG_FUNCTION_INFO_V1(rlrec_maintain_agent);
Datum
rlrec_maintain_agent(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN);

	PreventCommandIfReadOnly("rlrec_maintain()");
	PreventCommandDuringRecovery("rlrec_maintain()");
	rlrec_maintain(agent);
	PG_RETURN_VOID();
}
