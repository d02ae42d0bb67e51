/*
 * network.c
 *	  Acting and observing of agents of vector states.
 *
 * The networks are in rlrec.environment, the transitions in rlrec.transition; each backend keeps both in memory. Whoever observes holds the agent's
 * lock until his transaction ends. Networks in memory are known by their generation. A transaction that aborts throws away what it changed.
 *
 * Learned networks are written once, when the transaction commits; in a subtransaction at once, so that its abort takes them back. What the top
 * level had learned by then, and has not written, is kept in a copy for that case.
 *
 * A learner that learns from each transition at once is what is written of it and the transitions since then, which whoever loads it learns again:
 * an observation costs a row, not the weights. These are written after every FOLDED transitions, and at the first for the actions' names.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "environment/episodes.h"
#include "environment/network.h"
#include "environment/replay_memory.h"
#include "store/catalog.h"
#include "tensor/random.h"

#define ACTIONS "actions"		/* the name of a tensor */
#define FOLDED 256

typedef struct Network
{
	int64		agent;			/* the key */
	MemoryContext context;		/* of the networks; NULL before the first */
	TransactionId xmin;			/* of the agent's row, and its place: it had these options */
	ItemPointerData place;
	int64		generation;
	int64		written;		/* `learned` of that generation */
	bool		alone;			/* who else would teach it waits for this transaction: all that there is was learned */
	bool		changed;		/* in this transaction */
	bool		unsaved;		/* learned at the top level, not written yet */
	bool		stale;			/* a subtransaction that may have changed it has aborted: the copy counts, or what is written */
	MemoryContext copy_context; /* NULL while there is no copy */
	char	   *copy;			/* the tensors' data, one after another */
	int64		copy_learned;
	int64		copy_steps;
	int64		copy_generation;
	RlrecOnline online;
	RlrecReplayMemory memory;
} Network;

static HTAB *networks = NULL;

static void save_network(Network *network);

static void
forget_networks(Network *network)
{
	if (network->context)
		MemoryContextDelete(network->context);
	network->context = NULL;
	network->unsaved = network->stale = network->alone = false;
}

static void
forget(Network *network)
{
	forget_networks(network);
	rlrec_replay_memory_forget(&network->memory);
}

static void
drop_copy(Network *network)
{
	if (network->copy_context)
		MemoryContextDelete(network->copy_context);
	network->copy_context = NULL;
}

static void
save_all(void)
{
	HASH_SEQ_STATUS status;
	Network    *network;

	if (networks == NULL)
		return;
	hash_seq_init(&status, networks);
	while ((network = hash_seq_search(&status)) != NULL)
		if (network->unsaved)
		{
			PushActiveSnapshot(GetTransactionSnapshot());
			save_network(network);
			PopActiveSnapshot();
		}
}

static void
end_transaction(bool committed)
{
	HASH_SEQ_STATUS status;
	Network    *network;

	if (networks == NULL)
		return;
	hash_seq_init(&status, networks);
	while ((network = hash_seq_search(&status)) != NULL)
	{
		if (network->stale || (network->changed && !committed))
			forget(network);
		drop_copy(network);
		network->changed = network->unsaved = network->alone = false;
	}
}

static void
on_transaction(XactEvent event, void *argument pg_attribute_unused())
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		save_all();
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		end_transaction(event == XACT_EVENT_COMMIT);
}

/*
 * A network that the aborted subtransaction changed has a copy, unless nothing was unsaved; what it did not change may still be told changed,
 * and is read again. When a subtransaction of the top level commits, what it wrote is the top level's.
 */
static void
on_subtransaction(SubXactEvent event, SubTransactionId mine pg_attribute_unused(), SubTransactionId parent pg_attribute_unused(),
				  void *argument pg_attribute_unused())
{
	HASH_SEQ_STATUS status;
	Network    *network;
	bool		to_top = event == SUBXACT_EVENT_COMMIT_SUB && GetCurrentTransactionNestLevel() == 2;

	if (networks == NULL || !(to_top || event == SUBXACT_EVENT_ABORT_SUB))
		return;
	hash_seq_init(&status, networks);
	while ((network = hash_seq_search(&status)) != NULL)
	{
		if (to_top && !network->stale)
			drop_copy(network);
		else if (!to_top && network->changed && network->copy_context)
			network->stale = true;
		else if (!to_top && network->changed && !network->unsaved)
			forget(network);
	}
}

void
rlrec_network_init(void)
{
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}

static Network *
find_network(int64 agent)
{
	Network    *network;
	bool		found;

	if (networks == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(Network), .hcxt = TopMemoryContext};

		networks = hash_create("rlrec networks", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	network = hash_search(networks, &agent, HASH_ENTER, &found);
	if (!found)
	{
		memset(network, 0, sizeof(*network));
		network->agent = agent;
	}
	return network;
}

/* ---------------------------------------------------------------- networks */

/* Adds a tensor of the actions' names, so that the weights of one are not taken for those of another. */
static void
name_actions(const RlrecEnvironment *environment, RlrecTensors *tensors)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int a = 0; a < environment->n_actions; a++)
		appendBinaryStringInfo(&names, environment->action[a], (int) strlen(environment->action[a]) + 1);
	memcpy(rlrec_tensors_add(tensors, ACTIONS, RLREC_I8, 1, names.len, 0), names.data, names.len);
	pfree(names.data);
}

/* Copies the weights of an image over those that start() made, which have the shapes that the options ask for. */
static void
read_weights(const RlrecEnvironment *environment, RlrecTensors *tensors, struct varlena *weights)
{
	struct varlena *image = PG_DETOAST_DATUM_COPY(PointerGetDatum(weights));
	RlrecTensors *stored = rlrec_image_open(VARDATA(image), VARSIZE(image) - VARHDRSZ, true);
	bool		fits = stored->n == tensors->n;

	for (int i = 0; fits && i < tensors->n; i++)
	{
		const RlrecTensor *from = rlrec_tensors_find(stored, tensors->tensor[i].name);

		fits = from && from->dtype == tensors->tensor[i].dtype && rlrec_tensor_bytes(from) == rlrec_tensor_bytes(&tensors->tensor[i]);
		if (fits && strcmp(from->name, ACTIONS) == 0)
			fits = memcmp(tensors->tensor[i].data, from->data, rlrec_tensor_bytes(from)) == 0;
		else if (fits)
			memcpy(tensors->tensor[i].data, from->data, rlrec_tensor_bytes(from));
	}
	if (!fits)
		rlrec_environment_misfit(environment);
	pfree(image);
}

/* Makes networks of what start() and the row's weights say, in the place of those that are there. */
static void
read_network(const RlrecEnvironment *environment, Network *network, const RlrecEnvironmentRow *row)
{
	RlrecOnline *online = &network->online;
	MemoryContext context;
	MemoryContext old;

	forget_networks(network);
	context = AllocSetContextCreate(CurrentMemoryContext, "rlrec network", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	memset(online, 0, sizeof(*online));
	online->learner = environment->online;
	online->options = (Jsonb *) PG_DETOAST_DATUM_COPY(PointerGetDatum(environment->options));
	online->state_size = environment->state_size;
	online->actions = environment->n_actions;
	online->key = rlrec_random_key(environment->key, 1);
	online->learned = row->learned;
	online->steps = row->steps;
	online->tensors = rlrec_tensors_create();
	online->context = context;
	online->learner->start(online);
	name_actions(environment, online->tensors);
	if (row->weights)
		read_weights(environment, online->tensors, row->weights);
	else
		online->learner->initialize(online);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	network->context = context;
	network->generation = row->generation;
	network->written = row->learned;
	network->xmin = environment->xmin;
	network->place = environment->place;
}

static void
take_copy(Network *network)
{
	const RlrecTensors *tensors = network->online.tensors;
	Size		bytes = 0;

	for (int i = 0; i < tensors->n; i++)
		bytes += rlrec_tensor_bytes(&tensors->tensor[i]);
	network->copy_context = AllocSetContextCreate(TopTransactionContext, "rlrec copy of a network", ALLOCSET_SMALL_SIZES);
	network->copy = MemoryContextAllocHuge(network->copy_context, Max(bytes, 1));
	bytes = 0;
	for (int i = 0; i < tensors->n; i++)
	{
		memcpy(network->copy + bytes, tensors->tensor[i].data, rlrec_tensor_bytes(&tensors->tensor[i]));
		bytes += rlrec_tensor_bytes(&tensors->tensor[i]);
	}
	network->copy_learned = network->online.learned;
	network->copy_steps = network->online.steps;
	network->copy_generation = network->generation;
}

/* The transitions in memory are read again, for some of them were taken back. */
static void
restore_copy(Network *network)
{
	const RlrecTensors *tensors = network->online.tensors;
	Size		at = 0;

	for (int i = 0; i < tensors->n; i++)
	{
		memcpy(tensors->tensor[i].data, network->copy + at, rlrec_tensor_bytes(&tensors->tensor[i]));
		at += rlrec_tensor_bytes(&tensors->tensor[i]);
	}
	network->online.learned = network->copy_learned;
	network->online.steps = network->copy_steps;
	network->online.scratch = NULL;
	network->generation = network->copy_generation;
	network->memory.replay.first = network->memory.replay.next = 0;
	network->unsaved = true;
	network->stale = false;
}

/* Learns from the transitions in memory that it has not learned from. */
static void
learn_each(const RlrecEnvironment *environment, Network *network)
{
	const RlrecReplay *replay = &network->memory.replay;

	if (network->online.learned < replay->first)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not read what agent \"%s\" has observed", environment->name),
				 errdetail("The transaction's snapshot does not see observations %lld to %lld.", (long long) network->online.learned,
						   (long long) replay->first - 1),
				 errhint("Try again in a new transaction.")));
	for (; network->online.learned < replay->next; network->online.learned++)
	{
		int32		slot = (int32) (network->online.learned % replay->capacity);

		environment->online->observe(&network->online, replay->state + (Size) slot * replay->state_size, replay->action[slot],
									 replay->reward[slot]);
	}
}

/* Learns from the transitions that were written since the weights. */
static void
catch_up(const RlrecEnvironment *environment, Network *network)
{
	Relation	table = table_open(rlrec_catalog_relation("transition"), AccessShareLock);
	RlrecReplay *replay = &network->memory.replay;

	rlrec_replay_memory_load(environment, &network->memory, FOLDED, table);
	table_close(table, AccessShareLock);
	if (replay->next < network->online.learned)
		replay->first = replay->next = network->online.learned;
	learn_each(environment, network);
}

/* Makes the agent's networks those that the active snapshot sees, with what this transaction has learned. */
static void
bring_up(const RlrecEnvironment *environment, Network *network)
{
	RlrecEnvironmentRow row = rlrec_environment_row(environment);
	bool		same = network->context && network->xmin == environment->xmin &&
		ItemPointerEquals(&network->place, unconstify(ItemPointerData *, &environment->place));

	if (network->stale && same && row.generation <= network->copy_generation)
		restore_copy(network);
	if (network->unsaved && !same)
	{
		save_network(network);
		PushCopiedSnapshot(GetActiveSnapshot());
		UpdateActiveSnapshotCommandId();	/* it must see what was just written */
		row = rlrec_environment_row(environment);
		PopActiveSnapshot();
	}
	if (!same || network->stale)
		forget(network);
	if (network->context == NULL || (network->generation != row.generation && !network->unsaved && !network->alone))
	{
		if (environment->online->observe)
			forget(network);
		read_network(environment, network, &row);
	}
	if (GetCurrentTransactionNestLevel() == 1)
		drop_copy(network);		/* of a subtransaction that is over */
	network->online.episodes = row.episodes;
	if (environment->online->observe && !network->alone)
		catch_up(environment, network);
}

/*
 * Who has observed under REPEATABLE READ goes on from what was newest then, as rlrec_network_observe() does: the transaction's snapshot would
 * see its own transitions without those of others before them. (A parallel query takes no new snapshot.)
 */
static Network *
load_network(const RlrecEnvironment *environment)
{
	Network    *network = find_network(environment->agent);
	bool		newest = network->changed && IsolationUsesXactSnapshot() && !IsInParallelMode();

	if (newest)
		PushActiveSnapshot(GetLatestSnapshot());
	bring_up(environment, network);
	if (newest)
		PopActiveSnapshot();
	return network;
}

static void
write_image(void *argument, const void *bytes, size_t length)
{
	appendBinaryStringInfo(argument, bytes, (int) length);
}

static void
save_network(Network *network)
{
	Oid			types[] = {INT8OID, INT8OID, INT8OID, INT8OID, BYTEAOID};
	bool		each = network->online.learner->observe != NULL;
	Datum		values[5];
	StringInfoData image;

	/* The extension itself may have been dropped in this transaction, or the agent. */
	if (!OidIsValid(get_relname_relid("environment", get_namespace_oid("rlrec", true))))
		return;
	initStringInfo(&image);
	appendStringInfoSpaces(&image, VARHDRSZ);
	rlrec_image_write(network->online.tensors, write_image, &image);
	SET_VARSIZE(image.data, image.len);
	network->generation++;
	values[0] = Int64GetDatum(network->agent);
	values[1] = Int64GetDatum(network->generation);
	values[2] = Int64GetDatum(network->online.learned);
	values[3] = Int64GetDatum(network->online.steps);
	values[4] = PointerGetDatum(image.data);
	network->unsaved = false;
	SPI_connect();
	rlrec_catalog_execute("INSERT INTO rlrec.environment AS e (agent, generation, learned, steps, weights)"
						  " SELECT id, $2, $3, $4, $5 FROM rlrec.agent WHERE id = $1"
						  " ON CONFLICT (agent) DO UPDATE SET generation = $2, learned = $3, steps = $4, weights = $5", 5, types, values, NULL);
	/*
	 * From where on there are any, lest many learnings of one transaction pass over all that it has deleted. An old snapshot, of REPEATABLE READ,
	 * does not see others' rows, which the next time deletes.
	 */
	values[1] = Int64GetDatum(each ? network->written - FOLDED : 0);
	values[2] = Int64GetDatum(each ? network->online.learned : network->memory.replay.first);
	rlrec_catalog_execute("DELETE FROM rlrec.transition WHERE agent = $1 AND id >= $2 AND id < $3", 3, types, values, NULL);
	network->written = network->online.learned;
	SPI_finish();
	pfree(image.data);
}

/* ---------------------------------------------------------------- acting and observing */

void
rlrec_network_policy(const RlrecEnvironment *environment, const RlrecEnvironmentState *state, bool explore, double *p)
{
	Network    *network = load_network(environment);
	float	   *single = palloc_array(float, environment->n_actions);

	environment->online->policy(&network->online, state->vector, explore, single);
	for (int a = 0; a < environment->n_actions; a++)
		p[a] = single[a];
}

void
rlrec_network_values(const RlrecEnvironment *environment, const RlrecEnvironmentState *state, double *q)
{
	Network    *network = load_network(environment);
	float	   *single = palloc_array(float, environment->n_actions);

	environment->online->values(&network->online, state->vector, single);
	for (int a = 0; a < environment->n_actions; a++)
		q[a] = single[a];
}

RlrecOnline *
rlrec_network_online(const RlrecEnvironment *environment)
{
	return &load_network(environment)->online;
}

/* Writes the networks at once in a subtransaction, else when the transaction commits. */
static void
keep(Network *network)
{
	if (GetCurrentTransactionNestLevel() > 1)
		save_network(network);
	else
		network->unsaved = true;
}

static void
learn(const RlrecEnvironment *environment, Network *network)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec learning", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	environment->online->learn(&network->online, &network->memory.replay);
	keep(network);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Puts the transition into the replay. */
static void
remember(const RlrecEnvironment *environment, Network *network, const RlrecObservation *seen)
{
	RlrecObservation observation = *seen;
	Relation	table = table_open(rlrec_catalog_relation("transition"), RowExclusiveLock);

	if (environment->online->observe == NULL)	/* else it is up to date, and propensities do not matter */
	{
		rlrec_replay_memory_load(environment, &network->memory, environment->online->capacity(&network->online), table);
		if (isnan(observation.propensity))
		{
			float	   *p = palloc_array(float, environment->n_actions);

			environment->online->policy(&network->online, seen->state.vector, true, p);
			observation.propensity = p[seen->action];
		}
	}
	rlrec_replay_memory_add(environment, &network->memory, table, &observation);
	network->online.transitions = network->memory.replay.next;
	table_close(table, RowExclusiveLock);
}

/* The newest committed state of things is what counts, whatever the transaction's isolation: the lock orders who observes. */
void
rlrec_network_observe(const RlrecEnvironment *environment, const RlrecObservation *seen)
{
	Network    *network;

	rlrec_environment_lock(environment, true);
	PushCopiedSnapshot(GetLatestSnapshot());
	network = load_network(environment);
	network->changed = true;
	if (GetCurrentTransactionNestLevel() > 1 && network->unsaved && network->copy_context == NULL)
		take_copy(network);
	remember(environment, network, seen);
	if (seen->end != 0)
	{
		rlrec_episodes_add(environment->agent);
		network->online.episodes++;
	}
	if (environment->online->observe)
	{
		network->alone = true;
		learn_each(environment, network);
		environment->online->check(&network->online, seen->action);
		if (network->generation == 0 || network->online.learned - network->written >= FOLDED)
			save_network(network);
	}
	else if (environment->online->due(&network->online, &network->memory.replay))
		learn(environment, network);
	else if (network->generation == 0 || network->memory.replay.next % network->memory.replay.capacity == 0)
		keep(network);			/* for the actions' names, and to delete what the replay has forgotten */
	PopActiveSnapshot();
}
