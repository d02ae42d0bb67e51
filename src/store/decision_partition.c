/*
 * decision_partition.c
 *	  The partitions of rlrec.decision: where a decision goes, and how they come and go.
 *
 * Ids ascend with time, so partitions are ranges of ids, which also keeps the primary key. Those that setting rlrec.decision_partition asks for
 * are made ahead, when an agent's decisions are trimmed; what none of them is for goes to the default partition, rlrec.decision_rest, which alone
 * belongs to the extension. To make one the default partition is locked, to drop one the table. Those who serve queue behind us, so each is one
 * attempt, in a subtransaction, that gives up as soon as it has waited for a lock for LOCK_WAIT. The table is locked before its partitions, as
 * by everyone.
 */
#include "postgres.h"

#include <limits.h>

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/resowner.h"

#include "store/agent.h"
#include "store/catalog.h"
#include "store/decision_partition.h"

#define LOCK_WAIT 200			/* ms */

static int	partition_size;

/* Partition `oid` has the ids low <= id < high. */
typedef struct Range
{
	Oid			oid;
	int64		low;
	int64		high;
} Range;

void
rlrec_decision_partition_init(void)
{
	DefineCustomIntVariable("rlrec.decision_partition", "Decisions that have a partition of their own.",
							"0 makes no more partitions.",
							&partition_size, 0, 0, INT_MAX, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* ---------------------------------------------------------------- writing */

static Oid
find_partition(Relation table, int64 id)
{
	PartitionDesc partitions = RelationGetPartitionDesc(table, true);
	PartitionKey key = RelationGetPartitionKey(table);
	PartitionBoundInfo bounds = partitions->boundinfo;
	Datum		value = Int64GetDatum(id);
	bool		equal;
	int			index = -1;

	if (bounds != NULL)
	{
		index = bounds->indexes[partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1, &value, &equal) + 1];
		if (index < 0)
			index = bounds->default_index;
	}
	if (index < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("rlrec.decision has no partition for decision %lld", (long long) id),
				 errhint("ALTER TABLE rlrec.decision ATTACH PARTITION rlrec.decision_rest DEFAULT; if it was detached.")));
	return partitions->oids[index];
}

/* A row is written as the table's columns are: others may have attached a partition that is not like it. */
static void
check_partition(Relation table, Relation partition)
{
	TupleDesc	ours = RelationGetDescr(table);
	TupleDesc	its = RelationGetDescr(partition);
	bool		alike = partition->rd_rel->relkind == RELKIND_RELATION && partition->rd_rel->relam == HEAP_TABLE_AM_OID && its->natts == ours->natts;

	for (int i = 0; alike && i < ours->natts; i++)
		alike = strcmp(NameStr(TupleDescAttr(ours, i)->attname), NameStr(TupleDescAttr(its, i)->attname)) == 0;
	if (!alike)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("partition \"%s\" of rlrec.decision is not a plain table with the same columns in the same order", RelationGetRelationName(partition)),
				 errhint("Detach it; setting rlrec.decision_partition makes partitions.")));
}

Relation
rlrec_decision_partition_open(int64 id)
{
	Relation	table = table_open(rlrec_catalog_relation("decision"), RowExclusiveLock);
	Relation	partition;

	for (;;)
	{
		Oid			oid = find_partition(table, id);

		CHECK_FOR_INTERRUPTS();
		partition = try_table_open(oid, RowExclusiveLock);

		/* While we waited for it others may have attached one that the decision belongs to. */
		if (partition != NULL && find_partition(table, id) == oid)
			break;
		if (partition != NULL)
			table_close(partition, RowExclusiveLock);
	}
	check_partition(table, partition);
	table_close(table, NoLock);
	return partition;
}

/* ---------------------------------------------------------------- ranges */

/* Those that are not the default, ascending, palloc'd. */
static Range *
read_ranges(int *n)
{
	Relation	table = table_open(rlrec_catalog_relation("decision"), AccessShareLock);
	PartitionDesc partitions = RelationGetPartitionDesc(table, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	Range	   *ranges = palloc(Max(partitions->nparts, 1) * sizeof(Range));

	*n = 0;
	for (int i = 1; bounds != NULL && i < bounds->ndatums; i++)
		if (bounds->indexes[i] >= 0 && bounds->kind[i - 1][0] == PARTITION_RANGE_DATUM_VALUE && bounds->kind[i][0] == PARTITION_RANGE_DATUM_VALUE)
			ranges[(*n)++] = (Range) {partitions->oids[bounds->indexes[i]], DatumGetInt64(bounds->datums[i - 1][0]),
			DatumGetInt64(bounds->datums[i][0])};
	table_close(table, AccessShareLock);
	return ranges;
}

int64
rlrec_decision_partition_low(int64 id)
{
	int			n;
	Range	   *ranges = read_ranges(&n);
	int64		low = PG_INT64_MAX;

	for (int i = 0; i < n; i++)
		if (ranges[i].low <= id && id < ranges[i].high)
			low = ranges[i].low;
	pfree(ranges);
	return low;
}

static int64
query_int64(const char *statement, int n, Oid *types, Datum *values)
{
	bool		isnull;
	int64		result = 0;

	if (rlrec_catalog_execute(statement, n, types, values, NULL) > 0)
		result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return result;
}

/* The last id that was given out. */
static int64
last_id(void)
{
	return query_int64("SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM rlrec.decision_id_seq", 0, NULL, NULL);
}

/* ---------------------------------------------------------------- making and dropping */

/* As the default partition is, whatever the caller's settings are. */
static void
make_partition(int64 low, int64 high)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("default_tablespace", "", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	rlrec_catalog_execute(psprintf("CREATE TABLE rlrec.decision_%lld (LIKE rlrec.decision_rest INCLUDING ALL) USING heap", (long long) low),
						  0, NULL, NULL, NULL);
	AtEOXact_GUC(true, level);
	rlrec_catalog_execute(psprintf("REVOKE ALL ON rlrec.decision_%lld FROM PUBLIC", (long long) low), 0, NULL, NULL, NULL);
	rlrec_catalog_execute(psprintf("ALTER TABLE rlrec.decision ATTACH PARTITION rlrec.decision_%lld FOR VALUES FROM (%lld) TO (%lld)",
								   (long long) low, (long long) low, (long long) high), 0, NULL, NULL, NULL);
}

/* The highest id for which there is a partition, or less. */
static int64
made_up_to(void)
{
	int			n;
	Range	   *ranges = read_ranges(&n);
	int64		high = n > 0 ? ranges[n - 1].high - 1 : 0;

	pfree(ranges);
	return high;
}

/* The result of a job, which is undone where that is negative, or it waits for a lock too long: then -1. */
static int64
attempt(int64 (*job) (void))
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			lock_timeout = LockTimeout;
	volatile int64 result = -1;

	/* An older snapshot does not show what others have served. */
	if (IsolationUsesXactSnapshot())
		return -1;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		LockTimeout = LOCK_WAIT;
		result = job();
		LockTimeout = lock_timeout;
		if (result >= 0)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		LockTimeout = lock_timeout;
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		FreeErrorData(error);
		result = -1;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return result;
}

static int64
make(void)
{
	int64		made;

	LockRelationOid(rlrec_catalog_relation("decision"), ShareUpdateExclusiveLock);
	LockRelationOid(rlrec_catalog_relation("decision_rest"), AccessExclusiveLock);
	made = Max(made_up_to(), last_id());
	while (made - last_id() < partition_size)
	{
		make_partition(made + 1, made + 1 + partition_size);
		made += partition_size;
	}
	return 0;
}

/* A partition that nothing is written to yet is ready, so that there is time to make the next. */
void
rlrec_decision_partition_make(void)
{
	if (partition_size > 0 && made_up_to() - last_id() < partition_size)
		(void) attempt(make);
}

/* Whether all decisions of the partition are older than their agents keep them. */
static bool
is_expired(const char *partition)
{
	uint64		n = rlrec_catalog_execute(psprintf("SELECT a.name, extract(epoch FROM clock_timestamp() - d.served_at)::float8 FROM rlrec.agent a, LATERAL ("
												   "SELECT served_at FROM %s WHERE agent = a.id ORDER BY served_at DESC LIMIT 1) d",
												   partition), 0, NULL, NULL, NULL);
	SPITupleTable *table = SPI_tuptable;
	bool		expired = true;

	for (uint64 i = 0; i < n && expired; i++)
	{
		bool		isnull;
		RlrecAgent *agent = rlrec_agent_find(SPI_getvalue(table->vals[i], table->tupdesc, 1));
		double		age = DatumGetFloat8(SPI_getbinval(table->vals[i], table->tupdesc, 2, &isnull));
		double		keep = agent ? rlrec_option_real(agent->options, rlrec_agent_options, "decision_retention") : 0;

		expired = keep > 0 && age > keep;
	}
	SPI_freetuptable(table);
	return expired;
}

/* The oldest partition when it is full; false when there is none. */
static bool
find_oldest(Range *oldest)
{
	int			n;
	Range	   *ranges = read_ranges(&n);
	bool		found = n > 0 && ranges[0].high - 1 <= last_id();

	if (found)
		*oldest = ranges[0];
	pfree(ranges);
	return found;
}

/* What takes time comes before the lock, for it is undone if there is no lock. */
static int64
drop(void)
{
	Range		oldest;
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[2];
	char	   *name;
	int64		decisions;

	if (!find_oldest(&oldest))
		return -1;
	LockRelationOid(rlrec_catalog_relation("decision"), ShareUpdateExclusiveLock);	/* nobody else makes or drops one */
	if (!find_oldest(&oldest))
		return -1;
	name = get_rel_name(oldest.oid);
	name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(oldest.oid)), name);
	if (!is_expired(name))
		return -1;
	values[0] = Int64GetDatum(oldest.low);
	values[1] = Int64GetDatum(oldest.high);
	decisions = query_int64(psprintf("SELECT count(*) FROM %s", name), 0, NULL, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.outcome WHERE decision >= $1 AND decision < $2", 2, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.shadow WHERE decision >= $1 AND decision < $2", 2, types, values, NULL);

	LockRelationOid(rlrec_catalog_relation("decision"), AccessExclusiveLock);
	if (!is_expired(name))
		return -1;				/* somebody has committed a decision meanwhile */
	rlrec_catalog_execute(psprintf("DROP TABLE %s", name), 0, NULL, NULL, NULL);
	return decisions;
}

int64
rlrec_decision_partition_drop(void)
{
	int64		n;

	do
		n = attempt(drop);
	while (n == 0);				/* an empty one */
	return Max(n, 0);
}
