/*
 * seen.c
 *	  Which transactions a snapshot saw, kept for later.
 *
 * pg_current_snapshot() lists top-level transactions only, and a row written under a savepoint, or in a block with an exception clause, bears
 * the number of the subtransaction, which cannot be traced back to its top once that has ended. So subtransactions are listed as well: the
 * snapshot has them, except where some transaction has more than 64, when the numbers in question are looked up while they still can be.
 */
#include "postgres.h"

#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "store/seen.h"

/* With its epoch: of the last 2^32 numbers before the next. */
static uint64
full_xid(uint64 next, TransactionId xid)
{
	uint64		full = (next & ~(uint64) PG_UINT32_MAX) | xid;

	return full > next ? full - ((uint64) 1 << 32) : full;
}

static int
compare(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

typedef struct Unseen
{
	uint64		next;
	int			n;
	int			room;
	uint64	   *xid;
} Unseen;

static void
add(Unseen *unseen, TransactionId xid)
{
	if (unseen->n == unseen->room)
	{
		unseen->room = Max(2 * unseen->room, 64);
		unseen->xid = unseen->xid ? repalloc(unseen->xid, unseen->room * sizeof(uint64)) : palloc(unseen->room * sizeof(uint64));
	}
	unseen->xid[unseen->n++] = full_xid(unseen->next, xid);
}

static TransactionId
next_xid(TransactionId xid)
{
	TransactionIdAdvance(xid);
	return xid;
}

/* Those of which the snapshot knows only the top. */
static void
add_overflowed(Unseen *unseen, Snapshot snapshot)
{
	for (TransactionId xid = snapshot->xmin; TransactionIdPrecedes(xid, snapshot->xmax); xid = next_xid(xid))
	{
		TransactionId top = SubTransGetTopmostTransaction(xid);

		CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; top != xid && i < snapshot->xcnt; i++)
			if (snapshot->xip[i] == top)
				add(unseen, xid);
	}
}

/* Changes xmax so that it sees, or does not see, what the current transaction has done. */
static void
add_own(Unseen *unseen, Snapshot snapshot, bool own, TransactionId *xmax)
{
	TransactionId next = ReadNextTransactionId();
	TransactionId last = snapshot->xmax;

	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	for (TransactionId xid = GetTopTransactionIdIfAny(); TransactionIdPrecedes(xid, next); xid = next_xid(xid))
	{
		CHECK_FOR_INTERRUPTS();
		if (!TransactionIdIsCurrentTransactionId(xid))
			continue;
		if (!own)
			add(unseen, xid);
		else if (TransactionIdFollowsOrEquals(xid, *xmax))
			*xmax = next_xid(xid);
	}
	for (; TransactionIdPrecedes(last, *xmax); last = next_xid(last))
		if (!TransactionIdIsCurrentTransactionId(last))
			add(unseen, last);
}

Datum
rlrec_seen_of(Snapshot snapshot, bool own)
{
	Unseen		unseen = {.next = U64FromFullTransactionId(ReadNextFullTransactionId())};
	TransactionId xmax = snapshot->xmax;
	uint64		begin;
	uint64		end;
	uint64		last = 0;
	StringInfoData text;

	for (uint32 i = 0; i < snapshot->xcnt; i++)
		add(&unseen, snapshot->xip[i]);
	for (int32 i = 0; i < snapshot->subxcnt; i++)
		add(&unseen, snapshot->subxip[i]);
	if (snapshot->suboverflowed)
		add_overflowed(&unseen, snapshot);
	add_own(&unseen, snapshot, own, &xmax);
	if (unseen.n > 0)
		qsort(unseen.xid, unseen.n, sizeof(uint64), compare);

	initStringInfo(&text);
	end = full_xid(unseen.next, xmax);
	begin = full_xid(unseen.next, snapshot->xmin);
	if (unseen.n > 0)
		begin = Min(begin, unseen.xid[0]);
	appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":", begin, end);
	for (int i = 0; i < unseen.n; i++)
	{
		if (unseen.xid[i] == last || unseen.xid[i] >= end)
			continue;
		appendStringInfo(&text, "%s" UINT64_FORMAT, last ? "," : "", unseen.xid[i]);
		last = unseen.xid[i];
	}
	return DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(text.data));
}

RlrecSeen
rlrec_seen_open(Datum snapshot)
{
	return (RlrecSeen) {PointerGetDatum(PG_DETOAST_DATUM(snapshot)), U64FromFullTransactionId(ReadNextFullTransactionId())};
}

bool
rlrec_seen(const RlrecSeen *seen, TransactionId xid)
{
	return !TransactionIdIsNormal(xid) ||
		DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot, UInt64GetDatum(full_xid(seen->next, xid)), seen->snapshot));
}
