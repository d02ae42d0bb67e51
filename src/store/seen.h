/*
 * seen.h
 *	  Which transactions a snapshot saw, kept for later.
 */
#ifndef RLREC_SEEN_H
#define RLREC_SEEN_H

#include "utils/snapshot.h"

/*
 * The snapshot as a pg_snapshot in which subtransactions count by themselves, as rows bear their numbers. What the current transaction has
 * done counts as seen if `own`.
 */
extern Datum rlrec_seen_of(Snapshot snapshot, bool own);

/* One to ask of rows that the caller sees. */
typedef struct RlrecSeen
{
	Datum		snapshot;		/* pg_snapshot, detoasted, so that asking leaves no copy behind */
	uint64		next;			/* the number of the next transaction, with its epoch */
} RlrecSeen;

extern RlrecSeen rlrec_seen_open(Datum snapshot);

/* Whether a row that bears this number was seen. One that is older than 2^32 transactions cannot be told from a new one. */
extern bool rlrec_seen(const RlrecSeen *seen, TransactionId xid);

#endif							/* RLREC_SEEN_H */
