/*
 * episodes.c
 *	  How many episodes have ended in this transaction, written to rlrec.environment when it commits.
 *
 * One row an agent counts them. Written at each end, thousands in a transaction would leave as many versions of that row to be passed over; so
 * each is counted here with the subtransaction in which it was observed, dropped when that aborts, and handed to its parent when it commits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "environment/episodes.h"
#include "store/catalog.h"

typedef struct Ended
{
	int64		agent;
	SubTransactionId transaction;
	int64		n;
} Ended;

static List *ended = NIL;		/* of Ended, in TopTransactionContext */

static Ended *
find(int64 agent, SubTransactionId transaction)
{
	ListCell   *cell;

	foreach(cell, ended)
	{
		Ended	   *each = lfirst(cell);

		if (each->agent == agent && each->transaction == transaction)
			return each;
	}
	return NULL;
}

static void
add(int64 agent, SubTransactionId transaction, int64 n)
{
	Ended	   *each = find(agent, transaction);

	if (each == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		each = palloc(sizeof(Ended));
		*each = (Ended) {agent, transaction, 0};
		ended = lappend(ended, each);
		MemoryContextSwitchTo(old);
	}
	each->n += n;
}

void
rlrec_episodes_add(int64 agent)
{
	add(agent, GetCurrentSubTransactionId(), 1);
}

int64
rlrec_episodes_pending(int64 agent)
{
	ListCell   *cell;
	int64		n = 0;

	foreach(cell, ended)
	{
		Ended	   *each = lfirst(cell);

		if (each->agent == agent)
			n += each->n;
	}
	return n;
}

/* In the order of the agents' ids, lest two transactions wait for each other's rows. */
static int
compare_agents(const ListCell *a, const ListCell *b)
{
	int64		x = ((Ended *) lfirst(a))->agent;
	int64		y = ((Ended *) lfirst(b))->agent;

	return x < y ? -1 : x > y;
}

static void
write_episodes(void)
{
	Oid			types[] = {INT8OID, INT8OID};
	ListCell   *cell;

	/* The extension itself may have been dropped in this transaction, or an agent. */
	if (ended == NIL || !OidIsValid(get_relname_relid("environment", get_namespace_oid("rlrec", true))))
		return;
	list_sort(ended, compare_agents);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	foreach(cell, ended)
	{
		Ended	   *each = lfirst(cell);
		Datum		values[] = {Int64GetDatum(each->agent), Int64GetDatum(each->n)};

		rlrec_catalog_execute("INSERT INTO rlrec.environment AS e (agent, episodes) SELECT id, $2 FROM rlrec.agent WHERE id = $1"
							  " ON CONFLICT (agent) DO UPDATE SET episodes = e.episodes + $2", 2, types, values, NULL);
	}
	SPI_finish();
	PopActiveSnapshot();
	ended = NIL;
}

static void
on_transaction(XactEvent event, void *argument pg_attribute_unused())
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		write_episodes();
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		ended = NIL;
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *argument pg_attribute_unused())
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	foreach(cell, ended)
	{
		Ended	   *each = lfirst(cell);

		if (each->transaction != mine)
			continue;
		if (event == SUBXACT_EVENT_ABORT_SUB || find(each->agent, parent) != NULL)
		{
			if (event == SUBXACT_EVENT_COMMIT_SUB)
				find(each->agent, parent)->n += each->n;
			ended = foreach_delete_current(ended, cell);
		}
		else
			each->transaction = parent;
	}
}

void
rlrec_episodes_init(void)
{
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}
