/*
 * buffer.c
 *	  What the current transaction tells, until it commits.
 *
 * Entries are packed as the queue keeps them, in a buffer for each agent and subtransaction, in TopTransactionContext. A savepoint that is
 * rolled back takes its buffers along; one that is released hands them to its parent. PRE_COMMIT and PRE_PREPARE write what is left to the
 * queue; by then deferred triggers have run.
 *
 * When the buffers together hold MAX_BYTES, those of the current subtransaction are written at once. Rows bear its transaction id, so those of
 * its parents have to wait, for they must outlive it. A released savepoint's entries become its parent's; so that a loop of savepoints
 * keeps no more in memory either, a subtransaction that ends over the limit writes its own first.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "feedback/buffer.h"
#include "feedback/queue.h"
#include "feedback/worker.h"

#define MAX_BYTES (256 * 1024)

/* How many entries the transaction has told an agent of in the queue */
typedef struct Counter
{
	int64		agent;
	int64		written;
	struct Counter *next;
} Counter;

/* Of one subtransaction for one agent */
typedef struct Told
{
	Counter    *counter;
	SubTransactionId subtransaction;
	StringInfoData packed;
	struct Told *next;
} Told;

/* Of this transaction */
static Counter *counters = NULL;
static Told *buffers = NULL;	/* those of the innermost subtransactions first */
static Size total = 0;			/* bytes in them */

static void
write_buffer(Told *buffer)
{
	if (buffer->packed.len > 0)
		buffer->counter->written = rlrec_queue_write(buffer->counter->agent, buffer->counter->written, buffer->packed.data,
													 buffer->packed.len);
	total -= buffer->packed.len;
	resetStringInfo(&buffer->packed);
}

/* Those of the current subtransaction */
static void
write_current(void)
{
	SubTransactionId subtransaction = GetCurrentSubTransactionId();

	for (Told *buffer = buffers; buffer && buffer->subtransaction == subtransaction; buffer = buffer->next)
		write_buffer(buffer);
}

static Counter *
find_counter(int64 agent)
{
	Counter    *counter = counters;

	while (counter && counter->agent != agent)
		counter = counter->next;
	if (counter == NULL)
	{
		counter = MemoryContextAllocZero(TopTransactionContext, sizeof(Counter));
		counter->agent = agent;
		counter->next = counters;
		counters = counter;
	}
	return counter;
}

/* The buffer of the current subtransaction, made if need be. */
static Told *
find_buffer(int64 agent)
{
	SubTransactionId subtransaction = GetCurrentSubTransactionId();
	Told	   *buffer = buffers;
	MemoryContext old;

	while (buffer && buffer->subtransaction == subtransaction && buffer->counter->agent != agent)
		buffer = buffer->next;
	if (buffer && buffer->subtransaction == subtransaction)
		return buffer;
	old = MemoryContextSwitchTo(TopTransactionContext);
	buffer = palloc(sizeof(Told));
	buffer->counter = find_counter(agent);
	buffer->subtransaction = subtransaction;
	initStringInfo(&buffer->packed);
	buffer->next = buffers;
	buffers = buffer;
	MemoryContextSwitchTo(old);
	return buffer;
}

bool
rlrec_buffer_add(int64 agent, const RlrecQueueEntry *entry)
{
	Told	   *buffer = find_buffer(agent);
	int			before = buffer->packed.len;

	if (!rlrec_queue_pack(&buffer->packed, entry))
		return false;
	total += buffer->packed.len - before;
	if (total > MAX_BYTES)
		write_current();
	return true;
}

static void
on_transaction(XactEvent event, void *argument pg_attribute_unused())
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			write_current();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			if (counters)
				rlrec_worker_poke();
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
			counters = NULL;
			buffers = NULL;
			total = 0;
			break;
		default:
			break;
	}
}

/* Takes a buffer off the list. */
static void
drop_buffer(Told **link)
{
	Told	   *buffer = *link;

	*link = buffer->next;
	total -= buffer->packed.len;
	pfree(buffer->packed.data);
	pfree(buffer);
}

/* Hands the subtransaction's buffers to its parent. */
static void
merge(SubTransactionId mine, SubTransactionId parent)
{
	Told	  **link = &buffers;

	while (*link && (*link)->subtransaction == mine)
	{
		Told	   *buffer = *link;
		Told	   *to = buffer->next;

		while (to && !(to->subtransaction == parent && to->counter == buffer->counter))
			to = to->next;
		if (to)
		{
			appendBinaryStringInfo(&to->packed, buffer->packed.data, buffer->packed.len);
			total += buffer->packed.len;
			drop_buffer(link);
		}
		else
		{
			buffer->subtransaction = parent;
			link = &buffer->next;
		}
	}
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *argument pg_attribute_unused())
{
	if (buffers == NULL || buffers->subtransaction != mine)
		return;
	if (event == SUBXACT_EVENT_PRE_COMMIT_SUB && total > MAX_BYTES)
		write_current();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		merge(mine, parent);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		while (buffers && buffers->subtransaction == mine)
			drop_buffer(&buffers);
}

void
rlrec_buffer_init(void)
{
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}
