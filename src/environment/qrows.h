/*
 * qrows.h
 *	  The rows of rlrec.qtable: the action values of a state, read and changed.
 */
#ifndef RLREC_QROWS_H
#define RLREC_QROWS_H

#include "environment/environment.h"
#include "types/qtable.h"
#include "utils/rel.h"

/* A row of a state, locked until the transaction ends, so that it can be changed. */
typedef struct RlrecQRow
{
	RlrecQTable *entries;
	ItemPointerData place;
	HeapTuple	tuple;
	const char *state;			/* whose row it is */
	int			length;
	int			part;
	double	   *q;				/* [n_actions] */
	int64	   *visits;			/* [n_actions] */
} RlrecQRow;

/* q[n_actions] and, unless NULL, visits[n_actions] of a state as the active snapshot sees them. */
extern void rlrec_qrows_read(const RlrecEnvironment *environment, const char *state, int length, int part, double *q, int64 *visits);

/*
 * The newest version of a state's row, made where there is none; under REPEATABLE READ one that is newer than the snapshot is a serialization
 * failure. q and visits are the caller's buffers. The active snapshot must be a copy of its own, and may be replaced by a newer one.
 */
extern void rlrec_qrow_lock(const RlrecEnvironment *environment, Relation table, const char *state, int length, int part, RlrecQRow *row);

/* Writes row->q and row->visits of one action. */
extern void rlrec_qrow_store(const RlrecEnvironment *environment, Relation table, RlrecQRow *row, int action);

/* Writes the values of all actions of a state that were taken; others that the row has stay. As rlrec_qrow_lock() of the snapshot. */
extern void rlrec_qrow_write(const RlrecEnvironment *environment, Relation table, const char *state, int length, int part, const double *q,
							 const int64 *visits);

/* Called from _PG_init(). */
extern void rlrec_qrows_init(void);

#endif							/* RLREC_QROWS_H */
