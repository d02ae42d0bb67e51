/*
 * model.c
 *	  Versions of a model: storing one as chunks, reading one back, deploying.
 *
 * A version is immutable: a header row in rlrec.model that lists 64 KB chunks of the model's image in rlrec.chunk. A chunk that equals the
 * one at the same place of the agent's newest version is shared instead of stored again; a chunk goes when the last version that lists it
 * goes. Everything is ordinary transactional rows, so an aborted training leaves nothing behind and a standby serves the same bytes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "store/catalog.h"
#include "store/model.h"

#define CHUNK_BYTES (64 * 1024)

/* Columns of rlrec.model and rlrec.chunk, in the order of sql/store.sql. */
enum
{
	MODEL_ID = 1, MODEL_AGENT, MODEL_VERSION, MODEL_LEARNER, MODEL_LENGTH, MODEL_CHUNKS, MODEL_OPTIONS, MODEL_METRICS,
	MODEL_SECONDS, MODEL_CREATED_AT, MODEL_N = MODEL_CREATED_AT
};
enum
{
	CHUNK_ID = 1, CHUNK_CRC, CHUNK_DATA, CHUNK_N = CHUNK_DATA
};

static int64 *
bigints_of_array(Datum array, int *n)
{
	Datum	   *elements;
	int64	   *values;

	deconstruct_array(DatumGetArrayTypeP(array), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, NULL, n);
	values = palloc(Max(*n, 1) * sizeof(int64));
	for (int i = 0; i < *n; i++)
		values[i] = DatumGetInt64(elements[i]);
	return values;
}

static RlrecModelRow *
row_of_tuple(HeapTuple tuple, TupleDesc descriptor)
{
	RlrecModelRow *row = palloc0(sizeof(RlrecModelRow));
	Datum		values[MODEL_N];
	bool		nulls[MODEL_N];

	if (descriptor->natts != MODEL_N)
		elog(ERROR, "rlrec.model has %d columns instead of %d", descriptor->natts, MODEL_N);
	heap_deform_tuple(tuple, descriptor, values, nulls);
	row->id = DatumGetInt64(values[MODEL_ID - 1]);
	row->agent = DatumGetInt64(values[MODEL_AGENT - 1]);
	row->version = DatumGetInt32(values[MODEL_VERSION - 1]);
	row->learner = TextDatumGetCString(values[MODEL_LEARNER - 1]);
	row->length = DatumGetInt64(values[MODEL_LENGTH - 1]);
	if (!nulls[MODEL_OPTIONS - 1])
		row->options = DatumGetJsonbPCopy(values[MODEL_OPTIONS - 1]);
	row->chunks = bigints_of_array(values[MODEL_CHUNKS - 1], &row->n_chunks);
	return row;
}

RlrecModelRow *
rlrec_model_row(int64 id)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	RlrecModelRow *row = NULL;

	rlrec_catalog_begin(&scan, "model", "model_pkey", MODEL_ID, F_INT8EQ, Int64GetDatum(id));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
		row = row_of_tuple(tuple, RelationGetDescr(scan.table));
	rlrec_catalog_end(&scan);
	return row;
}

RlrecModelRow *
rlrec_model_find(const RlrecAgent *agent, int32 version)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	RlrecModelRow *row = NULL;

	rlrec_catalog_begin(&scan, "model", "model_agent_version_key", MODEL_AGENT, F_INT8EQ, Int64GetDatum(agent->id));
	while (row == NULL && HeapTupleIsValid(tuple = rlrec_catalog_next(&scan)))
	{
		row = row_of_tuple(tuple, RelationGetDescr(scan.table));
		if (row->version != version)
			row = NULL;
	}
	rlrec_catalog_end(&scan);
	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("agent \"%s\" has no version %d", agent->name, version),
				 errhint("SELECT version FROM rlrec.models WHERE agent = %s lists them.", quote_literal_cstr(agent->name))));
	return row;
}

double
rlrec_model_age(int64 id)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	TimestampTz now = GetCurrentStatementStartTimestamp();
	TimestampTz created = now;

	rlrec_catalog_begin(&scan, "model", "model_pkey", MODEL_ID, F_INT8EQ, Int64GetDatum(id));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		created = DatumGetTimestampTz(heap_getattr(tuple, MODEL_CREATED_AT, RelationGetDescr(scan.table), &isnull));
	}
	rlrec_catalog_end(&scan);

	/* It may have been trained by this very statement. */
	return (double) Max(0, now - created) / USECS_PER_SEC;
}

static pg_crc32c
crc_of(const char *data, size_t length)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, data, length);
	FIN_CRC32C(crc);
	return crc;
}

/* Copies a chunk's bytes, which must be length in number, to data; false when the chunk is missing, or damaged where that is no error. */
static bool
read_chunk(int64 id, char *data, size_t length, bool damaged_ok)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	bool		good = false;

	rlrec_catalog_begin(&scan, "chunk", "chunk_pkey", CHUNK_ID, F_INT8EQ, Int64GetDatum(id));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[CHUNK_N];
		bool		nulls[CHUNK_N];
		struct varlena *bytes;

		heap_deform_tuple(tuple, RelationGetDescr(scan.table), values, nulls);
		bytes = PG_DETOAST_DATUM_PACKED(values[CHUNK_DATA - 1]);
		good = VARSIZE_ANY_EXHDR(bytes) == length &&
			crc_of(VARDATA_ANY(bytes), length) == (pg_crc32c) DatumGetInt64(values[CHUNK_CRC - 1]);
		if (!good && !damaged_ok)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("chunk %lld of a model is damaged", (long long) id),
					 errhint("Train the agent again, or deploy another version with rlrec_rollback().")));
		if (good)
			memcpy(data, VARDATA_ANY(bytes), length);
		if ((Pointer) bytes != DatumGetPointer(values[CHUNK_DATA - 1]))
			pfree(bytes);		/* a small chunk lies in the tuple itself */
	}
	rlrec_catalog_end(&scan);
	return good;
}

void
rlrec_model_read(const RlrecModelRow *row, char *image)
{
	if (row->n_chunks != (int) ((row->length + CHUNK_BYTES - 1) / CHUNK_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("version %d of a model lists %d chunks for %llu bytes", row->version, row->n_chunks, (unsigned long long) row->length)));
	for (int i = 0; i < row->n_chunks; i++)
	{
		uint64		offset = (uint64) i * CHUNK_BYTES;

		CHECK_FOR_INTERRUPTS();
		if (!read_chunk(row->chunks[i], image + offset, Min(CHUNK_BYTES, row->length - offset), false))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("chunk %lld of a model is missing", (long long) row->chunks[i]),
					 errhint("Train the agent again, or deploy another version with rlrec_rollback().")));
	}
}

/* ---------------------------------------------------------------- storing */

typedef struct ChunkWriter
{
	SPIPlanPtr	insert;
	const RlrecModelRow *previous;	/* whose chunks may be shared; NULL when there is none */
	char	   *buffer;			/* [CHUNK_BYTES] the chunk that is being filled */
	size_t		filled;
	char	   *old;			/* [CHUNK_BYTES] */
	int			n;
	Datum	   *ids;			/* [capacity] */
	int			capacity;
	int64		total;
} ChunkWriter;

static int64
insert_chunk(ChunkWriter *writer)
{
	Datum		values[2];
	bytea	   *data = palloc(VARHDRSZ + writer->filled);
	bool		isnull;
	int64		id;

	SET_VARSIZE(data, VARHDRSZ + writer->filled);
	memcpy(VARDATA(data), writer->buffer, writer->filled);
	values[0] = Int64GetDatum((int64) crc_of(writer->buffer, writer->filled));
	values[1] = PointerGetDatum(data);
	if (SPI_execute_plan(writer->insert, values, NULL, false, 0) != SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not insert a chunk");
	id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	pfree(data);
	return id;
}

static void
finish_chunk(ChunkWriter *writer)
{
	const RlrecModelRow *previous = writer->previous;
	int			i = writer->n;
	int64		id = 0;

	if (previous && i < previous->n_chunks && Min(CHUNK_BYTES, previous->length - (uint64) i * CHUNK_BYTES) == writer->filled &&
		read_chunk(previous->chunks[i], writer->old, writer->filled, true) && memcmp(writer->old, writer->buffer, writer->filled) == 0)
		id = previous->chunks[i];
	if (id == 0)
		id = insert_chunk(writer);
	if (writer->n == writer->capacity)
	{
		writer->capacity *= 2;
		writer->ids = repalloc(writer->ids, writer->capacity * sizeof(Datum));
	}
	writer->ids[writer->n++] = Int64GetDatum(id);
	writer->filled = 0;
	rlrec_progress("storing the model", (int64) writer->n * CHUNK_BYTES, writer->total);
}

static void
write_bytes(void *argument, const void *bytes, size_t length)
{
	ChunkWriter *writer = argument;
	const char *from = bytes;

	while (length > 0)
	{
		size_t		take = Min(length, CHUNK_BYTES - writer->filled);

		memcpy(writer->buffer + writer->filled, from, take);
		writer->filled += take;
		from += take;
		length -= take;
		if (writer->filled == CHUNK_BYTES)
			finish_chunk(writer);
	}
}

/* The agent's newest version, NULL when there is none. */
static RlrecModelRow *
newest_version(const RlrecAgent *agent)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id)};
	bool		isnull;

	if (rlrec_catalog_execute("SELECT id FROM rlrec.model WHERE agent = $1 ORDER BY version DESC LIMIT 1", 1, types, values, NULL) == 0)
		return NULL;
	return rlrec_model_row(DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)));
}

/* Stores the image; returns the array of its chunks' ids. */
static ArrayType *
store_chunks(const RlrecTensors *tensors, const RlrecModelRow *previous)
{
	ChunkWriter writer = {0};
	Oid			types[] = {INT8OID, BYTEAOID};
	RlrecRole	saved;

	writer.previous = previous;
	writer.buffer = palloc(CHUNK_BYTES);
	writer.old = palloc(CHUNK_BYTES);
	writer.capacity = 64;
	writer.ids = palloc(writer.capacity * sizeof(Datum));
	writer.total = (int64) rlrec_image_size(tensors);

	rlrec_run_as(&saved, rlrec_catalog_owner(), SECURITY_LOCAL_USERID_CHANGE);
	writer.insert = SPI_prepare("INSERT INTO rlrec.chunk (crc, data) VALUES ($1, $2) RETURNING id", 2, types);
	if (writer.insert == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	rlrec_image_write(tensors, write_bytes, &writer);
	if (writer.filled > 0)
		finish_chunk(&writer);
	rlrec_run_back(&saved);
	return construct_array(writer.ids, writer.n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

int64
rlrec_model_store(const RlrecAgent *agent, const RlrecModel *model, Jsonb *metrics, double seconds, int32 *version)
{
	RlrecModelRow *previous = newest_version(agent);
	Oid			types[] = {INT8OID, INT4OID, TEXTOID, INT8OID, INT8ARRAYOID, JSONBOID, JSONBOID, FLOAT8OID};
	Datum		values[8];
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
	bool		isnull;

	*version = previous ? previous->version + 1 : 1;
	values[0] = Int64GetDatum(agent->id);
	values[1] = Int32GetDatum(*version);
	values[2] = CStringGetTextDatum(model->learner->name);
	values[3] = Int64GetDatum((int64) rlrec_image_size(model->tensors));
	values[4] = PointerGetDatum(store_chunks(model->tensors, previous));
	values[5] = PointerGetDatum(agent->options);
	nulls[5] = agent->options ? ' ' : 'n';
	values[6] = PointerGetDatum(metrics);
	values[7] = Float8GetDatum(seconds);
	rlrec_catalog_execute("INSERT INTO rlrec.model (agent, version, learner, length, chunks, options, metrics, seconds)"
						  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id", 8, types, values, nulls);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* ---------------------------------------------------------------- deploying */

/* Of $1: the last deployment of another version than the one that serves. Where one between them was deleted, that may serve by several. */
#define PREDECESSOR \
	"(SELECT d.id, d.model FROM rlrec.deployment d JOIN rlrec.agent a ON a.id = d.agent" \
	" WHERE d.agent = $1 AND d.model <> a.deployed ORDER BY d.id DESC LIMIT 1)"

void
rlrec_model_deploy(const RlrecAgent *agent, int64 model)
{
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id), Int64GetDatum(model)};

	/* The row's lock: a version that was deleted after an older snapshot, of REPEATABLE READ, is a serialization failure. */
	rlrec_catalog_execute("SELECT FROM rlrec.model WHERE agent = $1 AND id = $2 FOR KEY SHARE", 2, types, values, NULL);
	if (rlrec_catalog_execute("UPDATE rlrec.agent SET deployed = $2 WHERE id = $1 AND deployed IS DISTINCT FROM $2", 2, types, values, NULL) > 0)
		rlrec_catalog_execute("INSERT INTO rlrec.deployment (agent, model) VALUES ($1, $2)", 2, types, values, NULL);
}

void
rlrec_model_trim(const RlrecAgent *agent)
{
	int			keep = rlrec_option_int(agent->options, rlrec_agent_options, "versions");
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(agent->id), Int32GetDatum(keep)};

	if (rlrec_catalog_execute("SELECT FROM rlrec.model WHERE agent = $1 OFFSET $2", 2, types, values, NULL) == 0)
		return;
	rlrec_catalog_execute("WITH old AS (DELETE FROM rlrec.model m USING rlrec.agent a"
						  "  WHERE m.agent = $1 AND a.id = $1 AND m.id IS DISTINCT FROM a.deployed"
						  "   AND m.id IS DISTINCT FROM (SELECT model FROM " PREDECESSOR " b)"
						  "   AND NOT EXISTS (SELECT FROM rlrec.experiment e WHERE e.agent = $1 AND e.ended_at IS NULL AND m.id = ANY (e.models || e.shadows))"
						  "   AND m.version <="
						  "   (SELECT version FROM rlrec.model WHERE agent = $1 ORDER BY version DESC OFFSET $2 LIMIT 1)"
						  "  RETURNING m.chunks, m.id)"
						  " DELETE FROM rlrec.chunk c WHERE c.id IN (SELECT pg_catalog.unnest(chunks) FROM old)"
						  "  AND c.id NOT IN (SELECT pg_catalog.unnest(chunks) FROM rlrec.model WHERE agent = $1"
						  "   AND id NOT IN (SELECT id FROM old))", 2, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.deployment d WHERE agent = $1"
						  " AND NOT EXISTS (SELECT FROM rlrec.model m WHERE m.id = d.model)", 1, types, values, NULL);
	rlrec_catalog_execute("DELETE FROM rlrec.seen s WHERE agent = $1 AND model <> 0"
						  " AND NOT EXISTS (SELECT FROM rlrec.model m WHERE m.id = s.model)", 1, types, values, NULL);
}

int32
rlrec_version_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a version is needed"),
				 errhint("SELECT version FROM rlrec.models lists them.")));
	return PG_GETARG_INT32(n);
}

PG_FUNCTION_INFO_V1(rlrec_deploy);
Datum
rlrec_deploy(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get_locked(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_LOCK, "rlrec_deploy()");

	SPI_connect();
	rlrec_model_deploy(agent, rlrec_model_find(agent, rlrec_version_argument(fcinfo, 1))->id);
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_VOID();
}

bool
rlrec_model_deployments(const RlrecAgent *agent, RlrecDeployment *serving, RlrecDeployment *before)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id)};
	Datum		row[5];

	if (rlrec_catalog_execute("SELECT m.id, m.version, s.since, p.id, p.version FROM " PREDECESSOR " b JOIN rlrec.model p ON p.id = b.model"
							  " JOIN rlrec.agent a ON a.id = $1 JOIN rlrec.model m ON m.id = a.deployed,"
							  " LATERAL (SELECT pg_catalog.min(deployed_at) AS since FROM rlrec.deployment WHERE agent = $1 AND id > b.id) s",
							  1, types, values, NULL) == 0)
		return false;
	for (int i = 0; i < (int) lengthof(row); i++)
	{
		bool		isnull;

		row[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull);
	}
	serving->model = DatumGetInt64(row[0]);
	serving->version = DatumGetInt32(row[1]);
	serving->since = DatumGetTimestampTz(row[2]);
	before->model = DatumGetInt64(row[3]);
	before->version = DatumGetInt32(row[4]);
	before->since = DT_NOBEGIN;
	return true;
}

int32
rlrec_model_rollback(const RlrecAgent *agent)
{
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(agent->id), 0};
	RlrecDeployment serving,
				before;

	if (!rlrec_model_deployments(agent, &serving, &before))
		return 0;
	values[1] = Int64GetDatum(before.model);
	rlrec_catalog_execute("DELETE FROM rlrec.deployment WHERE agent = $1 AND id > (SELECT id FROM " PREDECESSOR " b)", 1, types, values, NULL);
	rlrec_catalog_execute("UPDATE rlrec.agent SET deployed = $2 WHERE id = $1", 2, types, values, NULL);
	return before.version;
}

PG_FUNCTION_INFO_V1(rlrec_rollback);
Datum
rlrec_rollback(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get_locked(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_LOCK, "rlrec_rollback()");
	int32		version;

	SPI_connect();
	version = rlrec_model_rollback(agent);
	if (version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("agent \"%s\" has no earlier deployment to go back to", agent->name),
				 errhint("rlrec_deploy() chooses any version that rlrec.models lists.")));
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_INT32(version);
}

TimestampTz
rlrec_model_trained_at(const RlrecModelRow *row)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(row->id)};
	TimestampTz at;
	bool		isnull;

	SPI_connect();
	if (rlrec_catalog_execute("SELECT created_at FROM rlrec.model WHERE id = $1", 1, types, values, NULL) != 1)
		elog(ERROR, "version %d is gone", row->version);
	at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return at;
}
