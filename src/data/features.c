/*
 * features.c
 *	  Reads the items table into features.
 *
 * Every column but the id is a block of features; what kind is decided by its type, domains looked through:
 *
 *	  words		text, varchar and other strings by to_tsvector('simple'), a tsvector as it is
 *	  category	boolean, enum, char, uuid, and any number or string that is a foreign key on its own
 *	  tokens	arrays of strings, enums or uuids: each element a category
 *	  number	integers, floats, numeric, money, and what date_part('epoch') makes a number: dates, timestamps, intervals
 *	  vector	arrays of numbers, pgvector's vector and halfvec
 *	  ignored	everything else, listed in a NOTICE
 *
 * The query does all conversions, so that four C types remain: tsvector, text, text[] (words, category, tokens) and float8 or
 * float8[]. It names every type and function with its schema, because it runs under whatever search_path there is. What becomes
 * of the values: feature_builder.c.
 *
 * The relation stays locked from the look at its columns to the end of the transaction, so the query fits it.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "data/feature_builder.h"
#include "data/features.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "tsearch/ts_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define BATCH 256

/* Longer texts are cut, because a tsvector holds at most 1 MB. */
#define MAX_TEXT "100000"

typedef struct Reader
{
	const char *relation;		/* for messages */
	RlrecFeatureColumn *column; /* [n_columns] of the query, after the id */
	int			n_columns;
	bool		only;			/* the rows of the dictionary's ids are read, not all */
	const RlrecDictionary *dictionary;
	RlrecFeatureBuilder *builder;
} Reader;

static bool
is_string(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING || type == CHAROID;
}

static bool
is_number(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return true;
		default:
			return false;
	}
}

/* A type of pgvector that has a cast to real[]. Its schema is any, so it is known by its name. */
static bool
is_vector(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	result = strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname), "vector") == 0 ||
		strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname), "halfvec") == 0;
	ReleaseSysCache(tuple);
	return result && SearchSysCacheExists2(CASTSOURCETARGET, ObjectIdGetDatum(type), ObjectIdGetDatum(FLOAT4ARRAYOID));
}

static bool
is_foreign_key(Relation rel, AttrNumber attribute)
{
	ListCell   *cell;

	foreach(cell, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *key = lfirst_node(ForeignKeyCacheInfo, cell);

		if (key->nkeys == 1 && key->conkey[0] == attribute)
			return true;
	}
	return false;
}

/* The kind of a column, and the expression of it, with one %s for the column, that the reader takes. */
static RlrecFeatureKind
classify(Oid type, bool foreign_key, const char **expression)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);

	if (OidIsValid(element))
	{
		element = getBaseType(element);
		if (is_number(element))
		{
			*expression = "%s::pg_catalog.float8[]";
			return RLREC_FEATURE_VECTOR;
		}
		*expression = "%s::pg_catalog.text[]";
		return is_string(element) || type_is_enum(element) || element == UUIDOID ? RLREC_FEATURE_TOKENS : RLREC_FEATURE_IGNORED;
	}

	if (base == BOOLOID || base == BPCHAROID || base == CHAROID || base == UUIDOID || type_is_enum(base) ||
		(foreign_key && (is_number(base) || is_string(base))))
	{
		*expression = "%s::pg_catalog.text";
		return RLREC_FEATURE_CATEGORY;
	}
	if (is_string(base))
	{
		*expression = "pg_catalog.to_tsvector('pg_catalog.simple'::pg_catalog.regconfig, pg_catalog.\"left\"(%s::pg_catalog.text, "
			MAX_TEXT "))";
		return RLREC_FEATURE_WORDS;
	}
	if (is_number(base))
	{
		*expression = "%s::pg_catalog.float8";
		return RLREC_FEATURE_NUMBER;
	}
	switch (base)
	{
		case TSVECTOROID:
			*expression = "%s::pg_catalog.tsvector";
			return RLREC_FEATURE_WORDS;
		case CASHOID:
			*expression = "%s::pg_catalog.numeric::pg_catalog.float8";
			return RLREC_FEATURE_NUMBER;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case INTERVALOID:
			*expression = "pg_catalog.date_part('epoch', %s)";
			return RLREC_FEATURE_NUMBER;
		default:
			break;
	}
	*expression = "%s::pg_catalog.float4[]::pg_catalog.float8[]";
	return is_vector(base) ? RLREC_FEATURE_VECTOR : RLREC_FEATURE_IGNORED;
}

/* Fills reader->column, tells of the columns that are none, and returns the query. */
static char *
plan_query(Reader *reader, Relation rel, const char *id_column)
{
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData query;
	StringInfoData ignored;
	int			n_ignored = 0;
	bool		has_id = false;

	initStringInfo(&query);
	initStringInfo(&ignored);
	/* The blanks that pad a char(n) do not count. */
	appendStringInfo(&query, "SELECT i.%s%s", quote_identifier(id_column),
					 getBaseType(get_atttype(RelationGetRelid(rel), get_attnum(RelationGetRelid(rel), id_column))) == BPCHAROID ?
					 "::pg_catalog.text" : "");
	reader->column = palloc0(Max(desc->natts, 1) * sizeof(RlrecFeatureColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		const char *name = pstrdup(NameStr(attribute->attname));
		const char *expression;
		RlrecFeatureKind kind;

		if (attribute->attisdropped)
			continue;
		if (strcmp(name, id_column) == 0)
		{
			has_id = true;
			continue;
		}
		kind = classify(attribute->atttypid, is_foreign_key(rel, attribute->attnum), &expression);
		if (kind == RLREC_FEATURE_IGNORED)
			appendStringInfo(&ignored, "%s\"%s\" (%s)", n_ignored++ > 0 ? ", " : "", name, format_type_be(attribute->atttypid));
		else
		{
			RlrecFeatureColumn *column = &reader->column[reader->n_columns++];

			column->kind = kind;
			column->type = getBaseType(attribute->atttypid);
			column->name = name;
			appendStringInfoString(&query, ", ");
			appendStringInfo(&query, expression, psprintf("i.%s", quote_identifier(name)));
		}
	}
	if (!has_id)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of the items table \"%s\" does not exist", id_column, reader->relation),
				 errhint("Create the agent anew with the column that holds the ids of the items.")));
	if (n_ignored > 0 && !reader->only)
		ereport(NOTICE,
				(errmsg_plural("column of the items table \"%s\" ignored: %s", "columns of the items table \"%s\" ignored: %s",
							   n_ignored, reader->relation, ignored.data),
				 errhint("A view that turns them into text, numbers or arrays makes features of them.")));
	appendStringInfo(&query, " FROM %s AS i",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel)));
	if (reader->only)
		appendStringInfo(&query, " WHERE i.%s OPERATOR(pg_catalog.=) ANY ($1)", quote_identifier(id_column));
	return query.data;
}

static void
read_words(Reader *reader, int column, Datum value)
{
	TSVector	words = DatumGetTSVector(value);
	WordEntry  *word = ARRPTR(words);

	for (int i = 0; i < words->size; i++)
		rlrec_feature_builder_add_token(reader->builder, column, STRPTR(words) + word[i].pos, word[i].len,
										word[i].haspos ? POSDATALEN(words, &word[i]) : 1);
}

static void
read_tokens(Reader *reader, int column, Datum value)
{
	Datum	   *element;
	bool	   *isnull;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &element, &isnull, &n);
	for (int i = 0; i < n; i++)
	{
		if (!isnull[i])
			rlrec_feature_builder_add_token(reader->builder, column, VARDATA_ANY(DatumGetPointer(element[i])),
											VARSIZE_ANY_EXHDR(DatumGetPointer(element[i])), 1);
	}
}

static void
check_number(Reader *reader, int column, const char *id, bool finite)
{
	if (!finite)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("column \"%s\" of item \"%s\" in \"%s\" is not a finite number", reader->column[column].name, id,
						reader->relation),
				 errhint("Store NULL for what is not known.")));
}

static void
read_vector(Reader *reader, int column, Datum value, const char *id)
{
	Datum	   *element;
	bool	   *isnull;
	int			n;
	int32		width;
	double	   *number;

	deconstruct_array(DatumGetArrayTypeP(value), FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &element, &isnull, &n);
	if (n == 0)
		return;
	number = palloc(n * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		number[i] = isnull[i] ? NAN : DatumGetFloat8(element[i]);
		check_number(reader, column, id, isfinite((float) number[i]));
	}
	width = rlrec_feature_builder_add_vector(reader->builder, column, n, number);
	if (width != n)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("column \"%s\" of item \"%s\" in \"%s\" has %d elements, not %d", reader->column[column].name, id,
						reader->relation, n, width),
				 errdetail("An array of numbers is read as a vector, and the vectors of a column are of one length."),
				 errhint("If the numbers are categories, give the agent a view of the items that casts the column to text[].")));
}

/* One row of the query: the item's id, then the sources. Runs in a context that is reset after it. */
static void
read_row(Reader *reader, HeapTuple tuple, TupleDesc desc)
{
	char	   *id = SPI_getvalue(tuple, desc, 1);
	int32		item;

	if (id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("column \"%s\" of \"%s\" has a NULL", NameStr(TupleDescAttr(desc, 0)->attname), reader->relation),
				 errdetail("It holds the ids of the items."),
				 errhint("Delete such rows, or give the agent a view of the items without them.")));
	item = rlrec_dictionary_find(reader->dictionary, id, strlen(id));
	if (item < 0)
		return;
	rlrec_feature_builder_add_row(reader->builder, item);
	for (int column = 0; column < reader->n_columns; column++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(tuple, desc, column + 2, &isnull);

		if (isnull)
			continue;
		switch (reader->column[column].kind)
		{
			case RLREC_FEATURE_WORDS:
				read_words(reader, column, value);
				break;
			case RLREC_FEATURE_CATEGORY:
				value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
				rlrec_feature_builder_add_token(reader->builder, column, VARDATA_ANY(DatumGetPointer(value)),
												VARSIZE_ANY_EXHDR(DatumGetPointer(value)), 1);
				break;
			case RLREC_FEATURE_TOKENS:
				read_tokens(reader, column, value);
				break;
			case RLREC_FEATURE_NUMBER:
				check_number(reader, column, id, isfinite(DatumGetFloat8(value)));
				rlrec_feature_builder_add_number(reader->builder, column, DatumGetFloat8(value));
				break;
			case RLREC_FEATURE_VECTOR:
				read_vector(reader, column, value, id);
				break;
			case RLREC_FEATURE_IGNORED:
				break;
		}
	}
}

/* The dictionary's ids as an array of the id column's type. */
static Datum
id_array(const RlrecDictionary *dictionary, Oid type)
{
	Datum	   *id = palloc(Max(dictionary->n, 1) * sizeof(Datum));
	Oid			input;
	Oid			parameter;
	int16		length;
	bool		by_value;
	char		align;

	getTypeInputInfo(type, &input, &parameter);
	for (int32 i = 0; i < dictionary->n; i++)
		id[i] = OidInputFunctionCall(input, rlrec_dictionary_id(dictionary, i), parameter, -1);
	get_typlenbyvalalign(type, &length, &by_value, &align);
	return PointerGetDatum(construct_array(id, dictionary->n, type, length, by_value, align));
}

static void
read_rows(Reader *reader, const char *query, Oid id_type)
{
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "rlrec items row", ALLOCSET_DEFAULT_SIZES);
	Oid			type = reader->only ? get_array_type(id_type) : InvalidOid;
	Datum		ids = reader->only ? id_array(reader->dictionary, id_type) : (Datum) 0;
	Portal		portal = SPI_cursor_open_with_args(NULL, query, reader->only ? 1 : 0, &type, &ids, NULL, true, CURSOR_OPT_NO_SCROLL);

	for (;;)
	{
		SPI_cursor_fetch(portal, true, BATCH);
		if (SPI_processed == 0)
			break;
		CHECK_FOR_INTERRUPTS();
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			MemoryContext caller = MemoryContextSwitchTo(row_context);

			read_row(reader, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
			MemoryContextSwitchTo(caller);
			MemoryContextReset(row_context);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	MemoryContextDelete(row_context);
}

static Relation
open_items(Oid items)
{
	Relation	rel = try_relation_open(items, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the items table with OID %u does not exist", items),
				 errhint("Create the agent anew with the table of items there is now.")));
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_VIEW:
		case RELKIND_MATVIEW:
		case RELKIND_FOREIGN_TABLE:
			return rel;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot read items from \"%s\"", RelationGetRelationName(rel)),
					 errhint("The items are a table or a view.")));
	}
	return NULL;				/* not reached */
}

RlrecFeatureBuilder *
rlrec_features_collect(Oid items, const char *id_column, const RlrecDictionary *dictionary, bool only)
{
	Relation	rel = open_items(items);
	Reader		reader = {.relation = pstrdup(RelationGetRelationName(rel)),.only = only,.dictionary = dictionary};
	char	   *query = plan_query(&reader, rel, id_column);
	Oid			id_type = getBaseType(get_atttype(items, get_attnum(items, id_column)));

	relation_close(rel, NoLock);
	reader.builder = rlrec_feature_builder_create(dictionary->n, reader.n_columns, reader.column, (Size) maintenance_work_mem * 1024);
	SPI_connect();
	read_rows(&reader, query, id_type);
	SPI_finish();
	return reader.builder;
}

RlrecFeatures *
rlrec_features_read(Oid items, const char *id_column, const RlrecDictionary *dictionary)
{
	return rlrec_feature_builder_finish(rlrec_features_collect(items, id_column, dictionary, false));
}
