/*
 * intern.h
 *	  Numbers distinct ids in the order in which they come, and makes the sorted dictionary of them at the end.
 */
#ifndef RLREC_INTERN_H
#define RLREC_INTERN_H

#include "data/dictionary.h"

typedef struct RlrecIntern RlrecIntern;

/* Allocates in CurrentMemoryContext, then and later. */
extern RlrecIntern *rlrec_intern_create(void);

/* The number of an id, a new one if it has not come before. */
extern int32 rlrec_intern_add(RlrecIntern *intern, const char *id, size_t length);

/* The number of an id, -1 if it has not come before. */
extern int32 rlrec_intern_find(RlrecIntern *intern, const char *id, size_t length);

/* Bytes allocated so far. */
extern Size rlrec_intern_size(const RlrecIntern *intern);

/* The dictionary; (*rank)[number] is an id's index in it. Frees the rest. */
extern RlrecDictionary rlrec_intern_finish(RlrecIntern *intern, int32 **rank);

#endif							/* RLREC_INTERN_H */
