/*
 * qtable.c
 *	  The SQL type rlrec_qtable: the action values of one state, packed.
 *
 * A value is its number of actions, n, then q[n], visits[n], offset[n + 1] and the bytes of the actions in ascending order, so that an
 * action is found by binary search and its value overwritten in place. There is no padding and no -0, so equality is that of bytes. What
 * comes in is checked in full; what is stored is trusted.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "compat.h"
#include "data/dictionary.h"
#include "types/qtable.h"

struct RlrecQTable
{
	int32		vl_len_;
	int32		n;
	double		q[FLEXIBLE_ARRAY_MEMBER];
};

#define QTABLE_HEADER offsetof(RlrecQTable, q)
#define QTABLE_PER_ACTION (sizeof(double) + sizeof(uint32) + sizeof(int32))

StaticAssertDecl(QTABLE_HEADER == MAXALIGN(QTABLE_HEADER), "the values are aligned");

static inline uint32 *
visits_of(const RlrecQTable *table)
{
	return (uint32 *) (unconstify(RlrecQTable *, table)->q + table->n);
}

static inline int32 *
offset_of(const RlrecQTable *table)
{
	return (int32 *) (visits_of(table) + table->n);
}

static inline char *
bytes_of(const RlrecQTable *table)
{
	return (char *) (offset_of(table) + table->n + 1);
}

int
rlrec_qtable_n(const RlrecQTable *table)
{
	return table->n;
}

RlrecQEntry
rlrec_qtable_entry(const RlrecQTable *table, int i)
{
	const int32 *offset = offset_of(table);
	RlrecQEntry entry;

	Assert(i >= 0 && i < table->n);
	entry.action = bytes_of(table) + offset[i];
	entry.length = offset[i + 1] - offset[i];
	entry.q = table->q[i];
	entry.visits = visits_of(table)[i];
	return entry;
}

int
rlrec_qtable_find(const RlrecQTable *table, const char *action, int length)
{
	RlrecDictionary actions = {table->n, offset_of(table), bytes_of(table)};

	return rlrec_dictionary_find(&actions, action, length);
}

void
rlrec_qtable_set(RlrecQTable *table, int i, double q, int64 visits)
{
	Assert(i >= 0 && i < table->n && isfinite(q) && visits >= 0);
	table->q[i] = q + 0.0;		/* -0 becomes 0 */
	visits_of(table)[i] = (uint32) Min(visits, (int64) RLREC_QTABLE_MAX_VISITS);
}

static int
compare_actions(const void *left, const void *right)
{
	const RlrecQEntry *a = left;
	const RlrecQEntry *b = right;
	int			order = memcmp(a->action, b->action, Min(a->length, b->length));

	return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

void
rlrec_qtable_check(const RlrecQEntry *entry)
{
	if (entry->length <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an action must not be empty"),
				 errhint("Name the action by at least one character.")));
	if (!isfinite(entry->q))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value of action \"%.*s\" is not finite", entry->length, entry->action),
				 errdetail("It is %s.", double_to_shortest_decimal(entry->q)),
				 errhint("Leave the action out when its value is not known.")));
	if (entry->visits < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("visits of action \"%.*s\" are negative", entry->length, entry->action),
				 errdetail("They are %lld.", (long long) entry->visits),
				 errhint("An action that was never taken has 0 visits.")));
}

RlrecQTable *
rlrec_qtable_build(int n, RlrecQEntry *entries)
{
	uint64		size = QTABLE_HEADER + (uint64) n * QTABLE_PER_ACTION + sizeof(int32);
	RlrecQTable *table;
	int32	   *offset;

	qsort(entries, n, sizeof(RlrecQEntry), compare_actions);
	for (int i = 0; i < n; i++)
	{
		rlrec_qtable_check(&entries[i]);
		size += entries[i].length;
		if (i > 0 && compare_actions(&entries[i - 1], &entries[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("duplicate action \"%.*s\"", entries[i].length, entries[i].action),
					 errhint("The aggregate rlrec_qtable_agg() merges duplicates.")));
	}
	if (size > RLREC_QTABLE_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a table of action values is too large"),
				 errdetail("It takes %llu bytes; a value of rlrec_qtable has at most %llu.",
						   (unsigned long long) size, (unsigned long long) RLREC_QTABLE_MAX_BYTES),
				 errhint("Use fewer actions, or shorter names for them.")));

	table = palloc(size);
	SET_VARSIZE(table, size);
	table->n = n;
	offset = offset_of(table);
	offset[0] = 0;
	for (int i = 0; i < n; i++)
	{
		rlrec_qtable_set(table, i, entries[i].q, entries[i].visits);
		memcpy(bytes_of(table) + offset[i], entries[i].action, entries[i].length);
		offset[i + 1] = offset[i] + entries[i].length;
	}
	return table;
}

RlrecQTable *
rlrec_qtable_with(const RlrecQTable *table, const char *action, int length, int *i)
{
	RlrecQTable *copy;

	*i = rlrec_qtable_find(table, action, length);
	if (*i >= 0)
	{
		copy = palloc(VARSIZE(table));
		memcpy(copy, table, VARSIZE(table));
	}
	else
	{
		RlrecQEntry *entries = palloc((table->n + (Size) 1) * sizeof(RlrecQEntry));

		for (int e = 0; e < table->n; e++)
			entries[e] = rlrec_qtable_entry(table, e);
		entries[table->n] = (RlrecQEntry) {action, length, 0, 0};
		copy = rlrec_qtable_build(table->n + 1, entries);
		*i = rlrec_qtable_find(copy, action, length);
		pfree(entries);
	}
	return copy;
}

double
rlrec_qtable_mean(double a, double weight_a, double b, double weight_b)
{
	double		sum = weight_a + weight_b;

	return a == b ? a : a * (weight_a / sum) + b * (weight_b / sum);
}

/* ---- binary input and output: int4 n, then of each action int4 length, the bytes, float8 q, int8 visits ---- */

#define BINARY_PER_ACTION (sizeof(int32) + 1 + sizeof(double) + sizeof(int64))	/* at least */

PG_FUNCTION_INFO_V1(rlrec_qtable_send);
Datum
rlrec_qtable_send(PG_FUNCTION_ARGS)
{
	RlrecQTable *table = PG_GETARG_QTABLE(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint32(&message, table->n);
	for (int i = 0; i < table->n; i++)
	{
		RlrecQEntry entry = rlrec_qtable_entry(table, i);
		const char *action = pg_server_to_client(entry.action, entry.length);
		int			length = action == entry.action ? entry.length : (int) strlen(action);

		CHECK_FOR_INTERRUPTS();
		pq_sendint32(&message, length);
		pq_sendbytes(&message, action, length);
		pq_sendfloat8(&message, entry.q);
		pq_sendint64(&message, entry.visits);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

static void
malformed(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("malformed binary value of type %s", "rlrec_qtable"),
			 errdetail("%s", detail),
			 errhint("rlrec_qtable_send() and binary COPY write well-formed values.")));
}

PG_FUNCTION_INFO_V1(rlrec_qtable_recv);
Datum
rlrec_qtable_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	RlrecQEntry *entries;
	int			n;

	if (message->len - message->cursor < (int) sizeof(int32))
		malformed("It has no number of actions.");
	n = (int) pq_getmsgint(message, sizeof(int32));
	if (n < 0 || n > (message->len - message->cursor) / (int) BINARY_PER_ACTION)
		malformed("Its number of actions does not fit its length.");
	entries = palloc_extended(Max(n, 1) * sizeof(RlrecQEntry), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
	{
		int			rest = message->len - message->cursor - (int) BINARY_PER_ACTION;
		int			length = rest < 0 ? 0 : (int) pq_getmsgint(message, sizeof(int32));

		CHECK_FOR_INTERRUPTS();
		if (length < 1 || length - 1 > rest)
			malformed("The length of an action does not fit.");
		entries[i].action = pq_getmsgtext(message, length, &entries[i].length);
		entries[i].q = pq_getmsgfloat8(message);
		entries[i].visits = pq_getmsgint64(message);
	}
	if (message->cursor != message->len)
		malformed("Bytes follow its last action.");
	PG_RETURN_POINTER(rlrec_qtable_build(n, entries));
}

/* ---- equality ---- */

static bool
equal(FunctionCallInfo fcinfo)
{
	RlrecQTable *left = PG_GETARG_QTABLE(0);
	RlrecQTable *right = PG_GETARG_QTABLE(1);
	bool		same = VARSIZE(left) == VARSIZE(right) && memcmp(left, right, VARSIZE(left)) == 0;

	PG_FREE_IF_COPY(left, 0);
	PG_FREE_IF_COPY(right, 1);
	return same;
}

PG_FUNCTION_INFO_V1(rlrec_qtable_eq);
Datum
rlrec_qtable_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(equal(fcinfo));
}

PG_FUNCTION_INFO_V1(rlrec_qtable_ne);
Datum
rlrec_qtable_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!equal(fcinfo));
}

PG_FUNCTION_INFO_V1(rlrec_qtable_hash);
Datum
rlrec_qtable_hash(PG_FUNCTION_ARGS)
{
	RlrecQTable *table = PG_GETARG_QTABLE(0);
	Datum		hash = hash_any((unsigned char *) table, (int) VARSIZE(table));

	PG_FREE_IF_COPY(table, 0);
	return hash;
}

PG_FUNCTION_INFO_V1(rlrec_qtable_hash_extended);
Datum
rlrec_qtable_hash_extended(PG_FUNCTION_ARGS)
{
	RlrecQTable *table = PG_GETARG_QTABLE(0);
	Datum		hash = hash_any_extended((unsigned char *) table, (int) VARSIZE(table), PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(table, 0);
	return hash;
}
