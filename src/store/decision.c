/*
 * decision.c
 *	  Decisions: what was shown to whom, with what probability.
 *
 * A row is written straight to the heap, below the executor's checks: nobody but the extension's owner has rights on the table, and a plan
 * would cost as much as the rest of the decision. So the table has no trigger and no constraint beyond its indexes, and what partition a row
 * belongs to is found here.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "store/catalog.h"
#include "store/decision.h"
#include "store/decision_partition.h"
#include "types/float8_array.h"

/* Columns of rlrec.decision, in the order of sql/decision.sql. */
enum
{
	DECISION_ID, DECISION_AGENT, DECISION_MODEL, DECISION_ARM, DECISION_USER_ID, DECISION_ROLE, DECISION_SERVED_AT, DECISION_SEEN,
	DECISION_SHORTLIST, DECISION_LOGITS, DECISION_UNCERTAINTY, DECISION_SLATE, DECISION_PROPENSITY, DECISION_PROBABILITY, DECISION_MARGINAL,
	DECISION_POLICY, DECISION_N
};

/* The same of rlrec.shadow, in sql/experiment.sql. */
enum
{
	SHADOW_DECISION, SHADOW_MODEL, SHADOW_AGENT, SHADOW_SHORTLIST, SHADOW_LOGITS, SHADOW_SLATE, SHADOW_PROPENSITY, SHADOW_PROBABILITY,
	SHADOW_POLICY, SHADOW_N
};

static Datum
reals(int n, const float *value)
{
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = Float4GetDatum(value[i]);
	return PointerGetDatum(construct_array(elements, n, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
}

/* Places from 0 as places from 1 */
static Datum
places(int n, const int *place)
{
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(place[i] + 1);
	return PointerGetDatum(construct_array(elements, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

int64
rlrec_decision_insert(const RlrecAgent *agent, const RlrecDecision *decision)
{
	const RlrecShortlist *shortlist = &decision->shortlist;
	int64		id = nextval_internal(rlrec_catalog_relation("decision_id_seq"), false);
	Relation	table = rlrec_decision_partition_open(id);
	Datum		values[DECISION_N];
	bool		nulls[DECISION_N] = {false};

	if (RelationGetDescr(table)->natts != DECISION_N)
		elog(ERROR, "rlrec.decision has %d columns instead of %d", RelationGetDescr(table)->natts, DECISION_N);
	values[DECISION_ID] = Int64GetDatum(id);
	values[DECISION_AGENT] = Int64GetDatum(agent->id);
	values[DECISION_MODEL] = Int64GetDatum(agent->deployed);
	nulls[DECISION_ARM] = decision->arm == NULL;
	if (decision->arm)
		values[DECISION_ARM] = CStringGetTextDatum(decision->arm);
	values[DECISION_USER_ID] = CStringGetTextDatum(decision->user);
	values[DECISION_ROLE] = ObjectIdGetDatum(GetUserId());
	values[DECISION_SERVED_AT] = TimestampTzGetDatum(decision->served_at);
	values[DECISION_SEEN] = OidFunctionCall0(F_PG_CURRENT_SNAPSHOT);
	values[DECISION_SHORTLIST] = PointerGetDatum(construct_array(unconstify(Datum *, decision->item), shortlist->n, TEXTOID, -1, false,
																 TYPALIGN_INT));
	values[DECISION_LOGITS] = reals(shortlist->n, shortlist->logit);
	nulls[DECISION_UNCERTAINTY] = shortlist->uncertainty == NULL;
	if (shortlist->uncertainty)
		values[DECISION_UNCERTAINTY] = reals(shortlist->n, shortlist->uncertainty);
	values[DECISION_SLATE] = places(decision->k, decision->place);
	values[DECISION_PROPENSITY] = PointerGetDatum(rlrec_float8_array_of(decision->k, decision->propensity));
	values[DECISION_PROBABILITY] = Float8GetDatum(decision->probability);
	nulls[DECISION_MARGINAL] = decision->marginal == NULL;
	if (decision->marginal)
		values[DECISION_MARGINAL] = PointerGetDatum(rlrec_float8_array_of(decision->k, decision->marginal));
	values[DECISION_POLICY] = JsonbPGetDatum(decision->policy);
	CatalogTupleInsert(table, heap_form_tuple(RelationGetDescr(table), values, nulls));
	table_close(table, NoLock);
	return id;
}

void
rlrec_decision_insert_shadow(const RlrecAgent *agent, int64 id, const RlrecDecision *decision)
{
	Relation	table = table_open(rlrec_catalog_relation("shadow"), RowExclusiveLock);
	const RlrecShortlist *shortlist = &decision->shortlist;
	Datum		values[SHADOW_N];
	bool		nulls[SHADOW_N] = {false};

	if (RelationGetDescr(table)->natts != SHADOW_N)
		elog(ERROR, "rlrec.shadow has %d columns instead of %d", RelationGetDescr(table)->natts, SHADOW_N);
	values[SHADOW_DECISION] = Int64GetDatum(id);
	values[SHADOW_MODEL] = Int64GetDatum(agent->deployed);
	values[SHADOW_AGENT] = Int64GetDatum(agent->id);
	values[SHADOW_SHORTLIST] = PointerGetDatum(construct_array(unconstify(Datum *, decision->item), shortlist->n, TEXTOID, -1, false, TYPALIGN_INT));
	values[SHADOW_LOGITS] = reals(shortlist->n, shortlist->logit);
	values[SHADOW_SLATE] = places(decision->k, decision->place);
	values[SHADOW_PROPENSITY] = PointerGetDatum(rlrec_float8_array_of(decision->k, decision->propensity));
	values[SHADOW_PROBABILITY] = Float8GetDatum(decision->probability);
	values[SHADOW_POLICY] = JsonbPGetDatum(decision->policy);
	CatalogTupleInsert(table, heap_form_tuple(RelationGetDescr(table), values, nulls));
	table_close(table, RowExclusiveLock);
}

/* Where there are partitions, those of them go one by one that other agents still keep decisions in, and then only of partitions that this one keeps none in. */
static int64
delete_old(const RlrecAgent *agent, double seconds, int most)
{
	Oid			types[] = {INT8OID, FLOAT8OID, INT4OID, INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id), Float8GetDatum(seconds), Int32GetDatum(most), Int64GetDatum(PG_INT64_MAX)};
	bool		isnull;

	if (rlrec_catalog_execute("SELECT id FROM rlrec.decision WHERE agent = $1 AND served_at >= pg_catalog.now() - pg_catalog.make_interval(secs => $2)"
							  " ORDER BY served_at LIMIT 1", 2, types, values, NULL) > 0)
		values[3] = Int64GetDatum(rlrec_decision_partition_low(DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull))));
	SPI_freetuptable(SPI_tuptable);
	return (int64) rlrec_catalog_execute("WITH old AS (DELETE FROM rlrec.decision WHERE id < $4 AND id = ANY (ARRAY("
										 "SELECT id FROM rlrec.decision WHERE agent = $1 AND id < $4"
										 " AND served_at < pg_catalog.now() - pg_catalog.make_interval(secs => $2)"
										 " ORDER BY served_at LIMIT $3)) RETURNING id),"
										 " o AS (DELETE FROM rlrec.outcome WHERE decision IN (SELECT id FROM old)),"
										 " s AS (DELETE FROM rlrec.shadow WHERE decision IN (SELECT id FROM old))"
										 " SELECT FROM old", 4, types, values, NULL);
}

int64
rlrec_decisions_trim(const RlrecAgent *agent, int most)
{
	double		seconds = rlrec_option_real(agent->options, rlrec_agent_options, "decision_retention");
	int64		n;

	rlrec_decision_partition_make();
	n = rlrec_decision_partition_drop();
	return n > 0 || seconds <= 0 ? n : delete_old(agent, seconds, most);
}

/* rlrec_trim_decisions(agent, most) */
PG_FUNCTION_INFO_V1(rlrec_trim_decisions);
Datum
rlrec_trim_decisions(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN);
	int64		n;

	PreventCommandIfReadOnly("rlrec_trim_decisions()");
	PreventCommandDuringRecovery("rlrec_trim_decisions()");
	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("most must be positive"),
				 errhint("It is how many decisions are deleted at most, 10000 by default.")));
	SPI_connect();
	n = rlrec_decisions_trim(agent, PG_GETARG_INT32(1));
	SPI_finish();
	PG_RETURN_INT64(n);
}
