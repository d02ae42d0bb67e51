/*
 * replay_memory.c
 *	  The transitions of an agent of vector states: rows of rlrec.transition, and a backend's copy of the last of them.
 *
 * Rows are added and taken up by who holds the agent's lock, so that they are numbered in the order of commits and a copy misses none. What a
 * transaction that aborts has added is the caller's to forget.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "environment/replay_memory.h"
#include "store/catalog.h"

/* Columns of rlrec.transition, in the order of sql/environment.sql */
enum
{
	TRANSITION_AGENT = 1, TRANSITION_ID, TRANSITION_EPISODE, TRANSITION_ACTION, TRANSITION_REWARD, TRANSITION_PROPENSITY, TRANSITION_ENDING,
	TRANSITION_STATE, TRANSITION_NEXT_STATE, TRANSITION_N = TRANSITION_NEXT_STATE
};

static void
create(const RlrecEnvironment *environment, RlrecReplayMemory *memory, int32 capacity)
{
	RlrecReplay *replay = &memory->replay;
	Size		vectors = mul_size(mul_size(capacity, environment->state_size), sizeof(float));
	Size		bytes = add_size(mul_size(vectors, 2), mul_size(capacity, 32));
	MemoryContext context,
				old;

	if (bytes > (Size) maintenance_work_mem * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("the replay memory of agent \"%s\" needs %zu MB", environment->name, bytes >> 20),
				 errdetail("It keeps %d transitions of %d numbers; maintenance_work_mem is %d MB.", capacity, environment->state_size,
						   maintenance_work_mem / 1024),
				 errhint("Raise maintenance_work_mem, or lower the agent's option that says how many transitions it keeps.")));
	context = AllocSetContextCreate(CurrentMemoryContext, "rlrec replay memory", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	memset(replay, 0, sizeof(*replay));
	replay->state_size = environment->state_size;
	replay->capacity = capacity;
	replay->state = palloc_extended(vectors, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	replay->next_state = palloc_extended(vectors, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	replay->action = palloc_array_extended(int32, capacity, MCXT_ALLOC_HUGE);
	replay->reward = palloc_array_extended(float, capacity, MCXT_ALLOC_HUGE);
	replay->propensity = palloc_array_extended(float, capacity, MCXT_ALLOC_HUGE);
	replay->end = palloc_array_extended(uint8, capacity, MCXT_ALLOC_HUGE);
	replay->episode = palloc_array_extended(int64, capacity, MCXT_ALLOC_HUGE);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	memory->context = context;
}

void
rlrec_replay_memory_forget(RlrecReplayMemory *memory)
{
	if (memory->context)
		MemoryContextDelete(memory->context);
	memory->context = NULL;
}

/* The slot of the transition that comes next, which is then the last. */
static int32
next_slot(RlrecReplay *replay)
{
	int32		slot = (int32) (replay->next++ % replay->capacity);

	replay->first = Max(replay->first, replay->next - replay->capacity);
	return slot;
}

static void
copy_state(const RlrecEnvironment *environment, float *to, Datum datum)
{
	bytea	   *bytes = DatumGetByteaPP(datum);

	if (VARSIZE_ANY_EXHDR(bytes) != environment->state_size * sizeof(float))
		rlrec_environment_misfit(environment);
	memcpy(to, VARDATA_ANY(bytes), environment->state_size * sizeof(float));
	if ((Pointer) bytes != DatumGetPointer(datum))
		pfree(bytes);
}

/* A transition of before the options changed may have an action or a state that the networks have no place for. */
static void
take_up(const RlrecEnvironment *environment, RlrecReplay *replay, HeapTuple tuple, TupleDesc descriptor)
{
	Datum		values[TRANSITION_N];
	bool		nulls[TRANSITION_N];
	int32		slot;

	heap_deform_tuple(tuple, descriptor, values, nulls);
	if (replay->next != DatumGetInt64(values[TRANSITION_ID - 1]))
		replay->first = replay->next = DatumGetInt64(values[TRANSITION_ID - 1]);
	slot = next_slot(replay);
	replay->episode[slot] = DatumGetInt64(values[TRANSITION_EPISODE - 1]);
	replay->action[slot] = DatumGetInt32(values[TRANSITION_ACTION - 1]);
	if (replay->action[slot] < 0 || replay->action[slot] >= environment->n_actions)
		rlrec_environment_misfit(environment);
	replay->reward[slot] = DatumGetFloat4(values[TRANSITION_REWARD - 1]);
	replay->propensity[slot] = DatumGetFloat4(values[TRANSITION_PROPENSITY - 1]);
	replay->end[slot] = (uint8) DatumGetInt16(values[TRANSITION_ENDING - 1]);
	copy_state(environment, replay->state + (Size) slot * replay->state_size, values[TRANSITION_STATE - 1]);
	if (!nulls[TRANSITION_NEXT_STATE - 1])
		copy_state(environment, replay->next_state + (Size) slot * replay->state_size, values[TRANSITION_NEXT_STATE - 1]);
}

void
rlrec_replay_memory_load(const RlrecEnvironment *environment, RlrecReplayMemory *memory, int32 capacity, Relation table)
{
	Relation	index = index_open(rlrec_catalog_relation("transition_pkey"), AccessShareLock);
	RlrecReplay *replay = &memory->replay;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (memory->context == NULL)
		create(environment, memory, capacity);
	ScanKeyInit(&keys[0], TRANSITION_AGENT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(environment->agent));
	ScanKeyInit(&keys[1], TRANSITION_ID, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(replay->next));
	scan = systable_beginscan_ordered(table, index, GetActiveSnapshot(), 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		take_up(environment, replay, tuple, RelationGetDescr(table));
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
}

static Datum
state_bytes(const float *state, int state_size)
{
	Size		length = VARHDRSZ + state_size * sizeof(float);
	bytea	   *bytes = palloc(length);

	SET_VARSIZE(bytes, length);
	memcpy(VARDATA(bytes), state, state_size * sizeof(float));
	return PointerGetDatum(bytes);
}

void
rlrec_replay_memory_add(const RlrecEnvironment *environment, RlrecReplayMemory *memory, Relation table, const RlrecObservation *seen)
{
	Datum		values[TRANSITION_N];
	bool		nulls[TRANSITION_N] = {false};
	HeapTuple	tuple;

	values[TRANSITION_AGENT - 1] = Int64GetDatum(environment->agent);
	values[TRANSITION_ID - 1] = Int64GetDatum(memory->replay.next);
	values[TRANSITION_EPISODE - 1] = Int64GetDatum(seen->episode);
	values[TRANSITION_ACTION - 1] = Int32GetDatum(seen->action);
	values[TRANSITION_REWARD - 1] = Float4GetDatum((float4) seen->reward);
	values[TRANSITION_PROPENSITY - 1] = Float4GetDatum((float4) seen->propensity);
	values[TRANSITION_ENDING - 1] = Int16GetDatum(seen->end);
	values[TRANSITION_STATE - 1] = state_bytes(seen->state.vector, environment->state_size);
	nulls[TRANSITION_NEXT_STATE - 1] = seen->end == RLREC_TERMINATED;
	if (seen->end != RLREC_TERMINATED)
		values[TRANSITION_NEXT_STATE - 1] = state_bytes(seen->next_state.vector, environment->state_size);
	tuple = heap_form_tuple(RelationGetDescr(table), values, nulls);
	CatalogTupleInsert(table, tuple);
	take_up(environment, &memory->replay, tuple, RelationGetDescr(table));
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}
