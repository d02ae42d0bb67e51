/*
 * shared_memory.h
 *	  Structs in shared memory that live as long as the server, where the library is preloaded.
 */
#ifndef RLREC_SHARED_MEMORY_H
#define RLREC_SHARED_MEMORY_H

/* What is told where the memory is; found is false once, when it has to be initialized. */
typedef void (*RlrecSharedMemoryReady) (void *memory, bool found);

/* From _PG_init() of a preloaded library only. */
extern void rlrec_shared_memory_reserve(const char *name, Size size, RlrecSharedMemoryReady ready);

#endif							/* RLREC_SHARED_MEMORY_H */
