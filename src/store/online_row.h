/*
 * online_row.h
 *	  A row of what an agent learned of events, as rlrec.qtable has it, and the columns of these tables.
 */
#ifndef RLREC_ONLINE_ROW_H
#define RLREC_ONLINE_ROW_H

#include "access/htup.h"
#include "learner/learned.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* Columns of rlrec.qtable and rlrec.learned, in the order of sql/environment.sql and sql/store.sql. */
enum
{
	QTABLE_AGENT = 1, QTABLE_STATE, QTABLE_PART, QTABLE_ENTRIES, QTABLE_N = QTABLE_ENTRIES
};
enum
{
	LEARNED_AGENT = 1, LEARNED_MODEL, LEARNED_GENERATION, LEARNED_EVENTS, LEARNED_NEWER, LEARNED_USERS, LEARNED_STATES, LEARNED_NEWEST,
	LEARNED_N = LEARNED_NEWEST
};

/* Both in CurrentMemoryContext. NULL when there is none; *copy becomes its tuple, unless copy is NULL. table is rlrec.qtable. */
extern RlrecLearnedRow *rlrec_online_row_read(Relation table, Snapshot snapshot, int64 agent, int part, const char *state, int length,
											  HeapTuple *copy);
extern RlrecLearnedRow *rlrec_online_row_create(void);

#endif							/* RLREC_ONLINE_ROW_H */
