/*
 * shared_memory.c
 *	  Structs in shared memory that live as long as the server, where the library is preloaded.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "compat.h"
#include "store/shared_memory.h"

typedef struct Reservation
{
	const char *name;
	Size		size;
	RlrecSharedMemoryReady ready;
} Reservation;

#define MOST_RESERVATIONS 4
static Reservation reservations[MOST_RESERVATIONS];
static int	n_reservations = 0;
static shmem_request_hook_type previous_shmem_request_hook = NULL;
static shmem_startup_hook_type previous_shmem_startup_hook = NULL;

static void
request(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	for (int i = 0; i < n_reservations; i++)
		RequestAddinShmemSpace(MAXALIGN(reservations[i].size));
}

static void
startup(void)
{
	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < n_reservations; i++)
	{
		bool		found;
		void	   *memory = ShmemInitStruct(reservations[i].name, reservations[i].size, &found);

		reservations[i].ready(memory, found);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
rlrec_shared_memory_reserve(const char *name, Size size, RlrecSharedMemoryReady ready)
{
	Assert(process_shared_preload_libraries_in_progress && n_reservations < MOST_RESERVATIONS);
	if (n_reservations == 0)
	{
		previous_shmem_request_hook = shmem_request_hook;
		shmem_request_hook = request;
		previous_shmem_startup_hook = shmem_startup_hook;
		shmem_startup_hook = startup;
	}
	reservations[n_reservations++] = (Reservation) {name, size, ready};
}
