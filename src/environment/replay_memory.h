/*
 * replay_memory.h
 *	  The transitions of an agent of vector states, in rlrec.transition and in memory.
 */
#ifndef RLREC_REPLAY_MEMORY_H
#define RLREC_REPLAY_MEMORY_H

#include "environment/table.h"
#include "utils/rel.h"

typedef struct RlrecReplayMemory
{
	MemoryContext context;		/* NULL while nothing is in memory */
	RlrecReplay replay;
} RlrecReplayMemory;

/* Takes up the transitions that this backend has not seen. The agent's lock must be held, and the active snapshot be newer. */
extern void rlrec_replay_memory_load(const RlrecEnvironment *environment, RlrecReplayMemory *memory, int32 capacity, Relation table);

/* Adds the one that comes next, after loading, to the table and to the memory. The active snapshot must be a copy of its own. */
extern void rlrec_replay_memory_add(const RlrecEnvironment *environment, RlrecReplayMemory *memory, Relation table,
									const RlrecObservation *observation);

extern void rlrec_replay_memory_forget(RlrecReplayMemory *memory);

#endif							/* RLREC_REPLAY_MEMORY_H */
