/*
 * rlrec.c
 *	  The module: its magic, and what it sets up when it is loaded.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "environment/episodes.h"
#include "environment/network.h"
#include "environment/qrows.h"
#include "feedback/buffer.h"
#include "feedback/launcher.h"
#include "feedback/queue.h"
#include "feedback/trigger.h"
#include "store/cache.h"
#include "store/decision_partition.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	rlrec_cache_init();
	rlrec_decision_partition_init();
	rlrec_episodes_init();
	rlrec_network_init();
	rlrec_qrows_init();
	rlrec_buffer_init();
	rlrec_queue_init();
	rlrec_trigger_init();
	rlrec_launcher_init();
	MarkGUCPrefixReserved("rlrec");
}
