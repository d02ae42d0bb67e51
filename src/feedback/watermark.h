/*
 * watermark.h
 *	  Which transactions an agent has learned from.
 */
#ifndef RLREC_WATERMARK_H
#define RLREC_WATERMARK_H

#include "access/transam.h"
#include "fmgr.h"

/*
 * A set of transactions that have ended, as a pg_snapshot has it: those below xmax that are not in xip. One that is in xip may have been
 * learned from in part.
 */
typedef struct RlrecWatermark
{
	uint64		xmin;			/* none below it is in xip */
	uint64		xmax;
	int			n;
	uint64	   *xip;			/* [n] ascending */
	uint64		partial;		/* the one of xip that was learned from in part, 0 for none */
	int64		partial_entries;	/* how many of its entries */
	bool		committed;		/* by a transaction before this one */
} RlrecWatermark;

static inline bool
rlrec_watermark_has(const RlrecWatermark *watermark, uint64 xid)
{
	int			low = 0;
	int			high = watermark->n;

	if (xid < watermark->xmin || xid >= watermark->xmax)
		return xid < watermark->xmin;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (watermark->xip[middle] < xid)
			low = middle + 1;
		else
			high = middle;
	}
	return low == watermark->n || watermark->xip[low] != xid;
}

/* Those that have ended for the active snapshot; the transaction that runs, which is given an id, has not. */
extern void rlrec_watermark_now(RlrecWatermark *watermark);

extern bool rlrec_watermark_equal(const RlrecWatermark *a, const RlrecWatermark *b);

/* Copies it to the current memory context. */
extern void rlrec_watermark_copy(RlrecWatermark *to, const RlrecWatermark *from);

/* To and from a datum of type pg_snapshot, without the part of a transaction. */
extern Datum rlrec_watermark_datum(const RlrecWatermark *watermark);
extern void rlrec_watermark_read(RlrecWatermark *watermark, Datum snapshot);

/* Adds to a watermark the transactions of a later one up to `last`, which is one of them. */
extern void rlrec_watermark_advance(RlrecWatermark *watermark, const RlrecWatermark *later, uint64 last);

/* Moves a transaction that was added out of the set: so many of its entries were learned. */
extern void rlrec_watermark_set_partial(RlrecWatermark *watermark, uint64 xid, int64 entries);

/* Adds the transaction that was learned from in part. */
extern void rlrec_watermark_end_partial(RlrecWatermark *watermark);

#endif							/* RLREC_WATERMARK_H */
