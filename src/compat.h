/*
 * compat.h
 *	  Every difference between PostgreSQL 15 and 18, in one place. Included after the headers that it speaks of.
 */
#ifndef RLREC_COMPAT_H
#define RLREC_COMPAT_H

#include "utils/backend_status.h"

#if PG_VERSION_NUM < 150000
#error "rlrec needs PostgreSQL 15 or newer"
#endif

/* 16 moved the varlena macros out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 puts it in front of a declaration. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 16 renamed the function that finds a backend's status by its place. */
#if PG_VERSION_NUM >= 160000
#define rlrec_backend_status(index) pgstat_get_local_beentry_by_index(index)
#else
#define rlrec_backend_status(index) pgstat_fetch_stat_local_beentry(index)
#endif

/* 17 lends named dynamic shared memory to libraries that were not preloaded. NULL where there is none. */
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
static inline void *
rlrec_named_dsm(const char *name, size_t size, void (*init) (void *))
{
	bool		found;

	return GetNamedDSMSegment(name, size, init, &found);
}
#else
#define rlrec_named_dsm(name, size, init) NULL
#endif

/* The JSON parser's actions return a verdict since 16; its lexer can live in the caller's memory since 17. */
#if PG_VERSION_NUM >= 160000
#define RLREC_JSON_ACTION JsonParseErrorType
#define RLREC_JSON_GO_ON return JSON_SUCCESS
#else
#define RLREC_JSON_ACTION void
#define RLREC_JSON_GO_ON return
#endif

#if PG_VERSION_NUM >= 170000
#define rlrec_json_lex(json) makeJsonLexContextCstringLen(NULL, json, strlen(json), GetDatabaseEncoding(), true)
#else
#define rlrec_json_lex(json) makeJsonLexContextCstringLen(json, strlen(json), GetDatabaseEncoding(), true)
#endif

/* 17 has JSON_VALUE() and its like, which end in a cast that is no node of its own. */
#if PG_VERSION_NUM >= 170000
#define rlrec_is_json_query(node) IsA(node, JsonExpr)
#else
#define rlrec_is_json_query(node) false
#endif

/* 16 lets columns be missing. Whoever uses it includes access/attmap.h. */
#if PG_VERSION_NUM >= 160000
#define rlrec_attribute_map(in, out) build_attrmap_by_name(in, out, false)
#else
#define rlrec_attribute_map(in, out) build_attrmap_by_name(in, out)
#endif

/* 16 lets the caller say whether a sorted datum is his. Whoever uses it includes utils/tuplesort.h; for types that are passed by value. */
#if PG_VERSION_NUM >= 160000
#define rlrec_tuplesort_getdatum(sort, datum, isnull) tuplesort_getdatum(sort, true, false, datum, isnull, NULL)
#else
#define rlrec_tuplesort_getdatum(sort, datum, isnull) tuplesort_getdatum(sort, true, datum, isnull, NULL)
#endif

#endif							/* RLREC_COMPAT_H */
