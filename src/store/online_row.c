/*
 * online_row.c
 *	  A row of what an agent learned of events, as rlrec.qtable has it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "compat.h"
#include "store/catalog.h"
#include "store/online_row.h"

/* Entries that a row has room for, at least. */
#define ROOM 8

static RlrecLearnedRow *
make_row(const RlrecQTable *entries, int n)
{
	RlrecLearnedRow *row = palloc0(sizeof(RlrecLearnedRow));

	row->n = n;
	row->room = Max(n, ROOM);
	row->entry = palloc_array(RlrecQEntry, row->room);
	for (int i = 0; i < n; i++)
		row->entry[i] = rlrec_qtable_entry(entries, i);
	return row;
}

RlrecLearnedRow *
rlrec_online_row_create(void)
{
	return make_row(NULL, 0);
}

RlrecLearnedRow *
rlrec_online_row_read(Relation table, Snapshot snapshot, int64 agent, int part, const char *state, int length, HeapTuple *copy)
{
	RlrecLearnedRow *row = NULL;
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], QTABLE_AGENT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(agent));
	ScanKeyInit(&keys[1], QTABLE_STATE, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(cstring_to_text_with_len(state, length)));
	ScanKeyInit(&keys[2], QTABLE_PART, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(part));
	scan = systable_beginscan(table, rlrec_catalog_relation("qtable_pkey"), true, snapshot, 3, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		RlrecQTable *entries = (RlrecQTable *) PG_DETOAST_DATUM_COPY(heap_getattr(tuple, QTABLE_ENTRIES, RelationGetDescr(table), &isnull));

		row = make_row(entries, rlrec_qtable_n(entries));
		if (copy != NULL)
			*copy = heap_copytuple(tuple);
	}
	systable_endscan(scan);
	return row;
}
