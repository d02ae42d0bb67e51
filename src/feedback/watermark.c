/*
 * watermark.c
 *	  Which transactions an agent has learned from.
 *
 * Why every committed entry of the queue is learned exactly once. Write W for the set of an agent's watermark and S for the transactions
 * that had ended when a batch took its snapshot. An entry carries the id of the top-level transaction that wrote it.
 *
 * 1. W is a set of transactions that have ended. What has ended writes no more, so the entries of a transaction in W are all there are.
 * 2. A batch holds the lock on W's row from before it takes its snapshot until it commits. So it sees the last W, and that was made of an
 *	  earlier snapshot: W is a subset of S.
 * 3. A batch learns the entries that its snapshot sees of the transactions in W' \ W, for a W' with W < W' <= S, and replaces W by W' in the
 *	  same transaction: both are committed or none is. The snapshot sees an entry of a transaction in S if and only if it is committed and
 *	  no savepoint undid it.
 * So each transaction enters W once, and its committed entries are learned then and never again. The batch's own transaction has not ended, so
 * it is not in S (PostgreSQL's own snapshots leave it out of their lists, hence rlrec_watermark_now()). A prepared transaction ends with
 * COMMIT PREPARED. A commit that is not yet flushed may be lost in a crash, but then the batch that learned of it, whose commit follows in
 * the log, is lost as well.
 *
 * A batch of limited size takes the transactions of S \ W in the order of their ids, up to c: W' = W + {x in S: x <= c}. That is again a
 * snapshot: below max(W.xmax, c + 1), not in W' are those of S.xip up to c, and those of W.xip above c. (Those of S.xip below W.xmax and above
 * c are among the latter, by 2.) A transaction too large for one batch is c for several. Its entries are numbered; until the last is learned
 * it stands in W'.xip with the count of those that are, and batches go on with it first.
 *
 * S may be older than the batch's own snapshot, and what S saw be kept for several batches (reader.c): 1 to 3 hold for any S of which W is
 * a subset, and W' of one batch is a subset of the S that the next one starts from.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"

#include "feedback/watermark.h"

void
rlrec_watermark_read(RlrecWatermark *watermark, Datum snapshot)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, snapshot));
	char	   *at;
	int			commas = 0;

	memset(watermark, 0, sizeof(*watermark));
	for (at = text; *at; at++)
		commas += *at == ',';
	watermark->xip = palloc(sizeof(uint64) * (commas + 1));
	watermark->xmin = strtoull(text, &at, 10);
	watermark->xmax = strtoull(at + 1, &at, 10);
	for (at++; *at; at += *at == ',')
		watermark->xip[watermark->n++] = strtoull(at, &at, 10);
	pfree(text);
}

Datum
rlrec_watermark_datum(const RlrecWatermark *watermark)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":", watermark->xmin, watermark->xmax);
	for (int i = 0; i < watermark->n; i++)
		appendStringInfo(&text, "%s" UINT64_FORMAT, i ? "," : "", watermark->xip[i]);
	return DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(text.data));
}

bool
rlrec_watermark_equal(const RlrecWatermark *a, const RlrecWatermark *b)
{
	return a->xmin == b->xmin && a->xmax == b->xmax && a->n == b->n && a->partial == b->partial && a->partial_entries == b->partial_entries &&
		memcmp(a->xip, b->xip, sizeof(uint64) * a->n) == 0;
}

void
rlrec_watermark_copy(RlrecWatermark *to, const RlrecWatermark *from)
{
	*to = *from;
	to->xip = palloc(sizeof(uint64) * Max(from->n, 1));
	memcpy(to->xip, from->xip, sizeof(uint64) * from->n);
}

/* Takes a transaction below xmax out of the set. */
static void
exclude(RlrecWatermark *watermark, uint64 xid)
{
	int			i = watermark->n;

	watermark->xip = repalloc(watermark->xip, sizeof(uint64) * (watermark->n + 1));
	for (; i > 0 && watermark->xip[i - 1] > xid; i--)
		watermark->xip[i] = watermark->xip[i - 1];
	watermark->xip[i] = xid;
	watermark->n++;
	watermark->xmin = watermark->xip[0];
}

void
rlrec_watermark_now(RlrecWatermark *watermark)
{
	uint64		own = U64FromFullTransactionId(GetTopFullTransactionId());

	rlrec_watermark_read(watermark, DirectFunctionCall1(pg_current_snapshot, (Datum) 0));
	if (rlrec_watermark_has(watermark, own))
		exclude(watermark, own);
}

void
rlrec_watermark_advance(RlrecWatermark *watermark, const RlrecWatermark *later, uint64 last)
{
	uint64	   *xip = palloc(sizeof(uint64) * (watermark->n + later->n + 1));
	int			n = 0;

	for (int i = 0; i < later->n && later->xip[i] <= last; i++)
		xip[n++] = later->xip[i];
	for (int i = 0; i < watermark->n; i++)
		if (watermark->xip[i] > last)
			xip[n++] = watermark->xip[i];
	watermark->xmax = Max(watermark->xmax, last + 1);
	watermark->xmin = n > 0 ? xip[0] : watermark->xmax;
	watermark->n = n;
	watermark->xip = xip;
}

void
rlrec_watermark_set_partial(RlrecWatermark *watermark, uint64 xid, int64 entries)
{
	if (rlrec_watermark_has(watermark, xid))
		exclude(watermark, xid);
	watermark->partial = xid;
	watermark->partial_entries = entries;
}

void
rlrec_watermark_end_partial(RlrecWatermark *watermark)
{
	int			n = 0;

	for (int i = 0; i < watermark->n; i++)
		if (watermark->xip[i] != watermark->partial)
			watermark->xip[n++] = watermark->xip[i];
	watermark->n = n;
	watermark->xmin = n > 0 ? watermark->xip[0] : watermark->xmax;
	watermark->partial = 0;
	watermark->partial_entries = 0;
}
