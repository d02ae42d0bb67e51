/*
 * environment.c
 *	  An agent without events: what its options say, and the arguments of the functions by which a program acts and observes.
 *
 * The options are parsed once and kept in the backend, found by the agent's id and thrown away when the agent's row is another version, which
 * its xmin and place tell.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/pg_prng.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "data/intern.h"
#include "environment/environment.h"
#include "environment/episodes.h"
#include "store/bare_agent.h"
#include "store/catalog.h"
#include "tensor/random.h"

#define MAX_STATE_BYTES 1000	/* of a text: an index must hold it */

/* Columns of rlrec.environment, in the order of sql/environment.sql */
enum
{
	ROW_AGENT = 1, ROW_EPISODES, ROW_GENERATION, ROW_LEARNED, ROW_STEPS, ROW_WEIGHTS, ROW_N = ROW_WEIGHTS
};

/* ---------------------------------------------------------------- opening */

static HTAB *environments = NULL;

typedef struct Entry
{
	int64		agent;
	MemoryContext context;		/* of the environment; NULL before the first */
	RlrecEnvironment *environment;
} Entry;

/* In CurrentMemoryContext */
static RlrecEnvironment *
parse_environment(const RlrecAgent *agent)
{
	RlrecEnvironment *environment = palloc0(sizeof(RlrecEnvironment));
	RlrecIntern *actions = rlrec_intern_create();
	ListCell   *cell;
	int32	   *rank;

	environment->agent = agent->id;
	environment->anchor = agent->anchor;
	environment->name = pstrdup(agent->name);
	environment->xmin = agent->xmin;
	environment->place = agent->place;
	environment->options = (Jsonb *) PG_DETOAST_DATUM_COPY(PointerGetDatum(agent->options));
	foreach(cell, rlrec_option_names(agent->options, rlrec_bare_options, "actions"))
		(void) rlrec_intern_add(actions, lfirst(cell), strlen(lfirst(cell)));
	environment->actions = rlrec_intern_finish(actions, &rank);
	environment->n_actions = environment->actions.n;
	environment->action = palloc_array(char *, environment->n_actions);
	for (int a = 0; a < environment->n_actions; a++)
		environment->action[a] = rlrec_dictionary_id(&environment->actions, a);
	environment->state_size = rlrec_option_int(agent->options, rlrec_bare_options, "state_size");
	if (!rlrec_tabular_read(agent->learner, agent->options, &environment->tabular))
	{
		environment->online = rlrec_online_find(agent->learner);
		if (environment->online == NULL)
			elog(ERROR, "unknown learner \"%s\"", agent->learner);
	}
	environment->key = rlrec_random_key(rlrec_option_int(agent->options, rlrec_tabular_options, "seed"), 0);
	return environment;
}

static Entry *
find_entry(int64 agent)
{
	Entry	   *entry;
	bool		found;

	if (environments == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(Entry), .hcxt = TopMemoryContext};

		environments = hash_create("rlrec environments", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(environments, &agent, HASH_ENTER, &found);
	if (!found)
		entry->context = NULL;
	return entry;
}

const RlrecEnvironment *
rlrec_environment_open(const char *name)
{
	RlrecAgent *agent = rlrec_agent_get(name, RLREC_AGENT_USE);
	Entry	   *entry;
	MemoryContext context,
				old;

	if (OidIsValid(agent->events))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("agent \"%s\" learns from events, not from a bare environment", agent->name),
				 errhint("Its functions are rlrec_train() and rlrec_recommend(). An agent made without events acts and observes.")));
	entry = find_entry(agent->id);
	if (entry->context && entry->environment->xmin == agent->xmin && ItemPointerEquals(&entry->environment->place, &agent->place))
		return entry->environment;

	context = AllocSetContextCreate(CacheMemoryContext, "rlrec environment", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	entry->environment = parse_environment(agent);
	MemoryContextSwitchTo(old);

	/* The old one may still be in use by a call below this one, and goes with the transaction. */
	if (entry->context)
		MemoryContextSetParent(entry->context, TopTransactionContext);
	entry->context = context;
	return entry->environment;
}

/* ---------------------------------------------------------------- arguments */

static char *
describe_actions(const RlrecEnvironment *environment)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int a = 0; a < Min(environment->n_actions, 20); a++)
		appendStringInfo(&names, "%s%s", a ? ", " : "", environment->action[a]);
	if (environment->n_actions > 20)
		appendStringInfo(&names, " and %d more", environment->n_actions - 20);
	return names.data;
}

int
rlrec_action_argument(FunctionCallInfo fcinfo, int n, const RlrecEnvironment *environment)
{
	text	   *name = PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n);
	int			action = name ? rlrec_dictionary_find(&environment->actions, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) : -1;

	if (action < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 name ? errmsg("agent \"%s\" has no action \"%s\"", environment->name, text_to_cstring(name)) :
				 errmsg("action must not be NULL"),
				 errhint("Its actions are %s.", describe_actions(environment))));
	return action;
}

static RlrecEnvironmentState
vector_state(ArrayType *array, const RlrecEnvironment *environment, const char *name)
{
	RlrecEnvironmentState state = {NULL, 0, NULL};
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const float8 *x = (const float8 *) ARR_DATA_PTR(array);

	if (ARR_NDIM(array) > 1 || n != environment->state_size || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 array_contains_nulls(array) ? errmsg("%s has a NULL", name) :
				 errmsg("%s has %d numbers instead of %d", name, n, environment->state_size),
				 errhint("The option state_size of agent \"%s\" says that a state is an array of %d numbers.", environment->name,
						 environment->state_size)));
	state.vector = palloc_array(float, n);
	for (int i = 0; i < n; i++)
	{
		state.vector[i] = (float) x[i];
		if (!isfinite(state.vector[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("number %d of %s, %g, is not a finite number of single precision", i + 1, name, x[i])));
	}
	return state;
}

static RlrecEnvironmentState
text_state(text *value, const RlrecEnvironment *environment, const char *name)
{
	RlrecEnvironmentState state = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), NULL};

	if (environment->state_size > 0)
	{
		Datum		array = OidInputFunctionCall(F_ARRAY_IN, text_to_cstring(value), FLOAT8OID, -1);

		return vector_state(DatumGetArrayTypeP(array), environment, name);
	}
	if (state.length > MAX_STATE_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("%s has %d bytes", name, state.length),
				 errhint("A state is at most %d bytes; name a long one by its md5().", MAX_STATE_BYTES)));
	return state;
}

RlrecEnvironmentState
rlrec_state_datum(Datum datum, bool is_array, const RlrecEnvironment *environment, const char *name)
{
	if (!is_array)
		return text_state(DatumGetTextPP(datum), environment, name);
	if (environment->state_size == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s is an array, but the states of agent \"%s\" are text", name, environment->name),
				 errhint("Pass a text, or make the agent with the option state_size and learner dqn, reinforce, actor_critic, linucb or lints.")));
	return vector_state(DatumGetArrayTypeP(datum), environment, name);
}

RlrecEnvironmentState
rlrec_state_argument(FunctionCallInfo fcinfo, int n, const RlrecEnvironment *environment, const char *name)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, n);

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name)));
	if (!OidIsValid(type))		/* the protocol's function call has no expression */
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("could not determine the type of %s", name),
				 errhint("Call the function in a query.")));
	return rlrec_state_datum(PG_GETARG_DATUM(n), type == FLOAT8ARRAYOID, environment, name);
}

double
rlrec_environment_random(const RlrecEnvironment *environment)
{
	if (RecoveryInProgress() || XactReadOnly)
		return pg_prng_double(&pg_global_prng_state);
	return rlrec_random_uniform(environment->key, nextval_internal(environment->anchor, false));
}

/* ---------------------------------------------------------------- the row */

RlrecEnvironmentRow
rlrec_environment_row(const RlrecEnvironment *environment)
{
	RlrecCatalogScan scan;
	HeapTuple	tuple;
	Datum		values[ROW_N];
	bool		nulls[ROW_N];
	RlrecEnvironmentRow row = {0};

	rlrec_catalog_begin(&scan, "environment", "environment_pkey", ROW_AGENT, F_INT8EQ, Int64GetDatum(environment->agent));
	tuple = rlrec_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		heap_deform_tuple(tuple, RelationGetDescr(scan.table), values, nulls);
		row.episodes = DatumGetInt64(values[ROW_EPISODES - 1]);
		row.generation = DatumGetInt64(values[ROW_GENERATION - 1]);
		row.learned = DatumGetInt64(values[ROW_LEARNED - 1]);
		row.steps = DatumGetInt64(values[ROW_STEPS - 1]);
		if (!nulls[ROW_WEIGHTS - 1])
			row.weights = (struct varlena *) DatumGetPointer(datumCopy(values[ROW_WEIGHTS - 1], false, -1));
	}
	rlrec_catalog_end(&scan);
	row.episodes += rlrec_episodes_pending(environment->agent);
	return row;
}

void
rlrec_environment_misfit(const RlrecEnvironment *environment)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("what agent \"%s\" has learned does not fit its options", environment->name),
			 errdetail("That was made for other actions, another state_size, or other layers or intercept."),
			 errhint("Set these options back, or make another agent.")));
}

void
rlrec_environment_lock(const RlrecEnvironment *environment, bool exclusive)
{
	/* Dropping the agent takes the anchor's strongest lock. */
	LockRelationOid(environment->anchor, RowExclusiveLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(environment->anchor)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("agent \"%s\" was dropped meanwhile", environment->name)));
	LockDatabaseObject(rlrec_catalog_relation("environment"), (Oid) environment->agent, 0, exclusive ? ExclusiveLock : RowExclusiveLock);
}
