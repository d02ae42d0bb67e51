/*
 * sums.c
 *	  The sums that linear learners keep of the events that a version was not trained on: rlrec.sums.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "compat.h"
#include "store/catalog.h"
#include "store/sums.h"
#include "types/float8_array.h"

static double *
numbers_of(const ArrayType *array, int n)
{
	double	   *sums;

	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] != n || ARR_HASNULL(array))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of rlrec.sums is not of the version on top of which it is")));
	sums = palloc(n * sizeof(double));
	memcpy(sums, ARR_DATA_PTR(array), n * sizeof(double));
	return sums;
}

double *
rlrec_sums_read(int64 agent, const char *learner, RlrecSumsColumn column, int n, Snapshot snapshot)
{
	Relation	table = table_open(rlrec_catalog_relation("sums"), AccessShareLock);
	double	   *sums = NULL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], RLREC_SUMS_AGENT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(agent));
	ScanKeyInit(&keys[1], RLREC_SUMS_LEARNER, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(learner));
	scan = systable_beginscan(table, rlrec_catalog_relation("sums_pkey"), true, snapshot, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		ArrayType  *array = DatumGetArrayTypePCopy(heap_getattr(tuple, column, RelationGetDescr(table), &isnull));

		sums = numbers_of(array, n);
		pfree(array);
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return sums;
}

void
rlrec_sums_write(int64 agent, const char *learner, const RlrecLearnedSums *sums)
{
	Oid			types[] = {INT8OID, TEXTOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID};
	Datum		values[] = {Int64GetDatum(agent), CStringGetTextDatum(learner), PointerGetDatum(rlrec_float8_array_of(sums->n, sums->sum)),
	PointerGetDatum(rlrec_float8_array_of(sums->m, sums->made))};

	rlrec_catalog_execute("INSERT INTO rlrec.sums (agent, learner, statistics, made) VALUES ($1, $2, $3, $4)"
						  " ON CONFLICT (agent, learner) DO UPDATE SET statistics = EXCLUDED.statistics, made = EXCLUDED.made",
						  4, types, values, NULL);
	pfree(DatumGetPointer(values[2]));
	pfree(DatumGetPointer(values[3]));
}
