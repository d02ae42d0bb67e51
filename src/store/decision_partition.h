/*
 * decision_partition.h
 *	  The partitions of rlrec.decision: where a decision goes, and how they come and go.
 */
#ifndef RLREC_DECISION_PARTITION_H
#define RLREC_DECISION_PARTITION_H

#include "utils/rel.h"

extern void rlrec_decision_partition_init(void);

/* The partition of a decision, locked for writing until the transaction ends; to be closed without a lock mode. */
extern Relation rlrec_decision_partition_open(int64 id);

/* Makes what setting rlrec.decision_partition asks for, unless others hold locks for long. SPI must be connected, as below. */
extern void rlrec_decision_partition_make(void);

/*
 * Drops the oldest partition, with the outcomes of its decisions, when every agent's decisions in it are older than its decision_retention, unless
 * others hold locks for long. Returns how many decisions that were; 0 when there is none to drop.
 */
extern int64 rlrec_decision_partition_drop(void);

/* The lowest id of the partition of a decision; PG_INT64_MAX where that is the default one. */
extern int64 rlrec_decision_partition_low(int64 id);

#endif							/* RLREC_DECISION_PARTITION_H */
