/*
 * catalog.c
 *	  The extension's own tables, and the role in whose name the code runs.
 *
 * Nobody but the extension's owner has rights on the tables in schema rlrec. Reading goes straight to the heap, below the executor's
 * checks; writing runs SQL as the tables' owner. In both cases the caller has checked first what the current user may do.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "store/catalog.h"

Oid
rlrec_catalog_relation(const char *name)
{
	Oid			schema = get_namespace_oid("rlrec", true);
	Oid			relation = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"rlrec.%s\" does not exist", name),
				 errhint("Run CREATE EXTENSION rlrec in this database.")));
	return relation;
}

Oid
rlrec_catalog_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rlrec_catalog_relation("agent")));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation rlrec.agent");
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
rlrec_catalog_begin(RlrecCatalogScan *scan, const char *table, const char *index, AttrNumber attno, RegProcedure equals, Datum key)
{
	ScanKeyData keys[1];

	scan->table = table_open(rlrec_catalog_relation(table), AccessShareLock);
	if (index)
		ScanKeyInit(&keys[0], attno, BTEqualStrategyNumber, equals, key);
	scan->scan = systable_beginscan(scan->table, index ? rlrec_catalog_relation(index) : InvalidOid, index != NULL,
									GetActiveSnapshot(), index ? 1 : 0, keys);
}

HeapTuple
rlrec_catalog_next(RlrecCatalogScan *scan)
{
	return systable_getnext(scan->scan);
}

void
rlrec_catalog_end(RlrecCatalogScan *scan)
{
	systable_endscan(scan->scan);
	table_close(scan->table, AccessShareLock);
}

void
rlrec_run_as(RlrecRole *saved, Oid role, int security)
{
	GetUserIdAndSecContext(&saved->user, &saved->security);
	saved->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(role, saved->security | security);
}

void
rlrec_run_back(const RlrecRole *saved)
{
	SetUserIdAndSecContext(saved->user, saved->security);
	AtEOXact_GUC(false, saved->guc_level);
}

uint64
rlrec_catalog_execute(const char *statement, int n, Oid *types, Datum *values, const char *nulls)
{
	RlrecRole	saved;
	int			result;

	rlrec_run_as(&saved, rlrec_catalog_owner(), SECURITY_LOCAL_USERID_CHANGE);
	result = SPI_execute_with_args(statement, n, types, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
	rlrec_run_back(&saved);
	return SPI_processed;
}
