/*
 * decision_partition.c
 *	  The partitions of rlrec.decision: where a decision goes, and how they come and go.
 *
 * Ids ascend with time, so partitions are ranges of ids, which also keeps the primary key. Those that setting rlrec.decision_partition asks for
 * are made ahead, when an agent's decisions are trimmed; what none of them is for goes to the default partition, rlrec.decision_rest, which alone
 * belongs to the extension. To make one the default partition is locked, to drop one all of them: never waited for behind those who
 * are serving, who would then wait behind us.
 */
#include "postgres.h"

#include <limits.h>

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"

#include "store/agent.h"
#include "store/catalog.h"
#include "store/decision_partition.h"

#define TRIES 20				/* of 10 ms, for a lock */

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

static bool
lock_soon(Oid relation)
{
	for (int i = 0; i < TRIES; i++)
	{
		if (ConditionalLockRelationOid(relation, AccessExclusiveLock))
			return true;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(10000);
	}
	return false;
}

/* ---------------------------------------------------------------- making and dropping */

static void
make_partition(int64 low, int64 high)
{
	rlrec_catalog_execute(psprintf("CREATE TABLE rlrec.decision_%lld (LIKE rlrec.decision_rest INCLUDING ALL)", (long long) low), 0, NULL, NULL, NULL);
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

/* A partition that nothing is written to yet is ready, so that there is time to make the next. */
void
rlrec_decision_partition_make(void)
{
	int64		made;

	if (partition_size == 0 || made_up_to() - last_id() >= partition_size || !lock_soon(rlrec_catalog_relation("decision_rest")))
		return;
	made = Max(made_up_to(), last_id());	/* as it is under the lock */
	while (made - last_id() < partition_size)
	{
		make_partition(made + 1, made + 1 + partition_size);
		made += partition_size;
	}
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

int64
rlrec_decision_partition_drop(void)
{
	int			n;
	Range	   *ranges = read_ranges(&n);
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[2];
	char	   *name;
	int64		decisions;

	if (n == 0 || ranges[0].high - 1 > last_id())
		return -1;
	name = get_rel_name(ranges[0].oid);
	if (name == NULL)
		return -1;				/* dropped by others */
	name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(ranges[0].oid)), name);
	if (!is_expired(name))
		return -1;
	if (!lock_soon(ranges[0].oid) || !lock_soon(rlrec_catalog_relation("decision")))
		return 0;
	values[0] = Int64GetDatum(ranges[0].low);
	values[1] = Int64GetDatum(ranges[0].high);
	decisions = query_int64(psprintf("SELECT count(*) FROM %s", name), 0, NULL, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.outcome WHERE decision >= $1 AND decision < $2", 2, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.shadow WHERE decision >= $1 AND decision < $2", 2, types, values, NULL);
	rlrec_catalog_execute(psprintf("DROP TABLE %s", name), 0, NULL, NULL, NULL);
	pfree(ranges);
	return decisions;
}
