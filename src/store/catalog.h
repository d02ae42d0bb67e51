/*
 * catalog.h
 *	  The extension's own tables, and the role in whose name the code runs.
 */
#ifndef RLREC_CATALOG_H
#define RLREC_CATALOG_H

#include "access/genam.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* The OID of a relation in schema rlrec; an error when it is not there. */
extern Oid	rlrec_catalog_relation(const char *name);

/* Who owns the extension's tables: the role that writes them. */
extern Oid	rlrec_catalog_owner(void);

/* The rows of a table in schema rlrec for which column attno equals key, by the index named; all rows when index is NULL. Ended by rlrec_catalog_end(). */
typedef struct RlrecCatalogScan
{
	Relation	table;
	SysScanDesc scan;
} RlrecCatalogScan;

extern void rlrec_catalog_begin(RlrecCatalogScan *scan, const char *table, const char *index, AttrNumber attno, RegProcedure equals,
								Datum key);
extern HeapTuple rlrec_catalog_next(RlrecCatalogScan *scan);
extern void rlrec_catalog_end(RlrecCatalogScan *scan);

/*
 * Runs what follows as another role, with search_path = pg_catalog, pg_temp, until rlrec_run_back(); an error in between restores both
 * through the abort of the transaction. security is SECURITY_RESTRICTED_OPERATION for anything that may run the agent owner's code (views,
 * functions in them), SECURITY_LOCAL_USERID_CHANGE for our own statements.
 */
typedef struct RlrecRole
{
	Oid			user;
	int			security;
	int			guc_level;
} RlrecRole;

extern void rlrec_run_as(RlrecRole *saved, Oid role, int security);
extern void rlrec_run_back(const RlrecRole *saved);

/* Runs one of our own statements as the owner of the extension's tables; SPI must be connected. Returns SPI_processed. */
extern uint64 rlrec_catalog_execute(const char *statement, int n, Oid *types, Datum *values, const char *nulls);

#endif							/* RLREC_CATALOG_H */
