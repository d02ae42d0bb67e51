/*
 * reader.h
 *	  What an agent has still to learn from the queue.
 */
#ifndef RLREC_READER_H
#define RLREC_READER_H

#include "feedback/watermark.h"

/* A row of the queue */
typedef struct RlrecQueueRow
{
	uint64		xid;
	int64		first;			/* number of the first entry within the transaction */
	int			n;				/* entries */
	int			skip;			/* of them that were learned before */
	char	   *packed;			/* palloc'd */
} RlrecQueueRow;

/* The first rows that an agent has still to learn from, in the order of transaction and number */
typedef struct RlrecReading
{
	RlrecWatermark learned;		/* what it has learned from */
	RlrecWatermark ended;		/* the transactions that had ended when the rows were read */
	RlrecQueueRow *rows;		/* [n] */
	int			n;
	uint64		rest;			/* the transaction of the first row that was left, 0 for none */
	MemoryContext context;		/* of the above */
} RlrecReading;

/* What comes next by the watermark: of what the active snapshot sees, or an earlier one did. NULL when there is nothing. Valid until the next call. */
extern RlrecReading *rlrec_reader_next(int64 agent, const RlrecWatermark *watermark);

/* The first n rows were learned, the last of them up to the entry with the number `next`, and the watermark became what it is now. */
extern void rlrec_reader_learned(RlrecReading *reading, int n, int64 next, const RlrecWatermark *watermark);

#endif							/* RLREC_READER_H */
