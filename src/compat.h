/*
 * compat.h
 *	  Every difference between PostgreSQL 15 and 18, in one place.
 */
#ifndef RLREC_COMPAT_H
#define RLREC_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "rlrec needs PostgreSQL 15 or newer"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
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

#endif							/* RLREC_COMPAT_H */
