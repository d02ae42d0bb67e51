/*
 * replay.c
 *	  rlrec_replay(): learning from a table of transitions, or from draws of an MDP that is given as a table.
 *
 * Tabular learners that need no memory of the episode work in memory, on dense values of the states that the table has, and write their rows at
 * the end; all others observe row after row as rlrec_observe() does.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "commands/sequence.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "data/intern.h"
#include "environment/episodes.h"
#include "environment/observe.h"
#include "environment/qrows.h"
#include "environment/transitions.h"
#include "store/catalog.h"
#include "tensor/random.h"

/* A row of the table, with states as numbers */
typedef struct Outcome
{
	int32		state;
	int32		next_state;		/* -1 where terminated */
	int32		action;
	double		reward;
	double		probability;	/* within its pair; NaN for the same as the others */
} Outcome;

/* The tables of action values in memory: part p of state s has q[(s * parts + p) * n_actions] and what follows. */
typedef struct Memory
{
	const RlrecEnvironment *environment;
	MemoryContext context;
	MemoryContext scratch;		/* reset after each row */
	RlrecIntern *states;
	int32		n_states;
	int32		room;			/* in states */
	int			parts;
	int64		episodes;		/* ended */
	double		epsilon;
	uint64		key;
	uint64		drawn;
	double	   *q;
	int64	   *visits;
	bool		keep;			/* outcomes, to draw from; else each is learned at once */
	Outcome    *outcome;
	int64		n;				/* outcomes, or transitions learned */
	int64		outcome_room;
} Memory;

static void
check_memory(Size bytes)
{
	if (bytes > (Size) maintenance_work_mem * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("replay needs more memory than maintenance_work_mem, %d MB", maintenance_work_mem / 1024),
				 errhint("Raise maintenance_work_mem, or replay the table in parts.")));
}

/* The number of a state; the values of a new one are those of its rows. */
static int32
number_of(Memory *memory, const RlrecEnvironmentState *state)
{
	int			width = memory->environment->n_actions;
	int32		s = rlrec_intern_add(memory->states, state->text, state->length);
	MemoryContext old;

	if (s < memory->n_states)
		return s;
	if (s >= memory->room)
	{
		Size		values;

		memory->room = Max(64, memory->room * 2);
		values = mul_size(mul_size(memory->room, (Size) memory->parts * width), sizeof(double));
		check_memory(add_size(mul_size(values, 2), rlrec_intern_size(memory->states)));
		memory->q = memory->q ? repalloc_huge(memory->q, values) : palloc_extended(values, MCXT_ALLOC_HUGE);
		memory->visits = memory->visits ? repalloc_huge(memory->visits, values) : palloc_extended(values, MCXT_ALLOC_HUGE);
	}
	memory->n_states++;
	old = MemoryContextSwitchTo(memory->scratch);
	for (int part = 0; part < memory->parts; part++)
	{
		Size		at = ((Size) s * memory->parts + part) * width;

		rlrec_qrows_read(memory->environment, state->text, state->length, part, memory->q + at, memory->visits + at);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(memory->scratch);
	return s;
}

static double
uniform(Memory *memory)
{
	return rlrec_random_uniform(memory->key, memory->drawn++);
}

/* The update of learner/tabular.c, on values in memory */
static void
learn_outcome(Memory *memory, const Outcome *outcome)
{
	const RlrecTabular *tabular = &memory->environment->tabular;
	int			width = memory->environment->n_actions;
	int			part = memory->parts > 1 && uniform(memory) < 0.5;
	double	   *q = memory->q + ((Size) outcome->state * memory->parts + part) * width;
	int64	   *visits = memory->visits + (q - memory->q);
	double		target = outcome->reward;

	if (outcome->next_state >= 0 && tabular->gamma > 0)
	{
		const double *next = memory->q + (Size) outcome->next_state * memory->parts * width;

		target += tabular->gamma * rlrec_tabular_future(tabular, width, memory->epsilon, next + part * width, next + (1 - part) * width);
	}
	visits[outcome->action]++;
	q[outcome->action] += rlrec_tabular_step(tabular, visits[outcome->action]) * (target - q[outcome->action]);
}

static void
take_outcome(void *argument, const RlrecObservation *seen, double probability)
{
	Memory	   *memory = argument;
	MemoryContext old = MemoryContextSwitchTo(memory->context);
	Outcome		outcome;

	outcome.state = number_of(memory, &seen->state);
	outcome.next_state = seen->end == RLREC_TERMINATED ? -1 : number_of(memory, &seen->next_state);
	outcome.action = seen->action;
	outcome.reward = seen->reward;
	outcome.probability = probability;
	if (!memory->keep)
	{
		learn_outcome(memory, &outcome);
		if (seen->end != 0)
		{
			rlrec_episodes_add(memory->environment->agent);
			memory->epsilon = rlrec_tabular_epsilon(&memory->environment->tabular, ++memory->episodes);
		}
	}
	else
	{
		if (memory->n == memory->outcome_room)
		{
			Size		bytes;

			memory->outcome_room = Max(1024, memory->outcome_room * 2);
			bytes = mul_size(memory->outcome_room, sizeof(Outcome));
			check_memory(bytes);
			memory->outcome = memory->outcome ? repalloc_huge(memory->outcome, bytes) : palloc(bytes);
		}
		memory->outcome[memory->n] = outcome;
	}
	memory->n++;
	MemoryContextSwitchTo(old);
}

static int
compare_outcomes(const void *a, const void *b)
{
	const Outcome *x = a;
	const Outcome *y = b;

	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	return x->action < y->action ? -1 : x->action > y->action;
}

/* Draws of a pair at random, then of one of its outcomes */
static void
learn_draws(Memory *memory, int64 updates)
{
	int64	   *pair = palloc_extended((memory->n + 1) * sizeof(int64), MCXT_ALLOC_HUGE);	/* first outcome of each, and the end */
	int64		n = 0;

	qsort(memory->outcome, memory->n, sizeof(Outcome), compare_outcomes);
	for (int64 i = 0; i < memory->n; i++)
		if (i == 0 || compare_outcomes(&memory->outcome[i - 1], &memory->outcome[i]) != 0)
			pair[n++] = i;
	pair[n] = memory->n;
	for (int64 p = 0; p < n; p++)
	{
		double		sum = 0;

		for (int64 i = pair[p]; i < pair[p + 1]; i++)
			sum += isnan(memory->outcome[i].probability) ? 1 : memory->outcome[i].probability;
		if (sum == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("all probabilities of action \"%s\" in a state are 0",
							memory->environment->action[memory->outcome[pair[p]].action]),
					 errhint("Give one of its rows a probability above 0, or leave them out.")));
		for (int64 i = pair[p]; i < pair[p + 1]; i++)
			memory->outcome[i].probability = (isnan(memory->outcome[i].probability) ? 1 : memory->outcome[i].probability) / sum;
	}
	for (int64 u = 0; u < updates; u++)
	{
		int64		p = (int64) (uniform(memory) * n);
		int64		i = pair[p];
		double		left = pair[p + 1] - i > 1 ? uniform(memory) : 0;

		if (u % 10000 == 0)
			CHECK_FOR_INTERRUPTS();
		while (i + 1 < pair[p + 1] && left >= memory->outcome[i].probability)
			left -= memory->outcome[i++].probability;
		learn_outcome(memory, &memory->outcome[i]);
	}
}

/* The rows of all states that the table had: what they hold of other actions than the agent's stays. */
static void
write_rows(Memory *memory)
{
	const RlrecEnvironment *environment = memory->environment;
	int			width = environment->n_actions;
	Relation	table = table_open(rlrec_catalog_relation("qtable"), RowExclusiveLock);
	int32	   *rank;
	RlrecDictionary names = rlrec_intern_finish(memory->states, &rank);
	MemoryContext old = MemoryContextSwitchTo(memory->scratch);

	for (int32 s = 0; s < memory->n_states; s++)
	{
		const char *name = names.bytes + names.offset[rank[s]];
		int			length = names.offset[rank[s] + 1] - names.offset[rank[s]];

		for (int part = 0; part < memory->parts; part++)
		{
			Size		at = ((Size) s * memory->parts + part) * width;

			CHECK_FOR_INTERRUPTS();
			rlrec_qrow_write(environment, table, name, length, part, memory->q + at, memory->visits + at);
			MemoryContextReset(memory->scratch);
		}
	}
	MemoryContextSwitchTo(old);
	table_close(table, RowExclusiveLock);
}

static int64
replay_in_memory(const RlrecEnvironment *environment, Oid relation, bool draws, int64 updates)
{
	Memory		memory = {0};

	memory.environment = environment;
	memory.context = CurrentMemoryContext;
	memory.scratch = AllocSetContextCreate(CurrentMemoryContext, "rlrec row", ALLOCSET_SMALL_SIZES);
	memory.states = rlrec_intern_create();
	memory.parts = environment->tabular.update == RLREC_DOUBLE_Q ? 2 : 1;
	memory.episodes = rlrec_environment_row(environment).episodes;
	memory.epsilon = rlrec_tabular_epsilon(&environment->tabular, memory.episodes);
	memory.key = rlrec_random_key(environment->key, (uint64) nextval_internal(environment->anchor, false));
	memory.keep = draws;
	(void) rlrec_transitions_read(environment, relation, take_outcome, &memory);
	if (draws && memory.n > 0)
		learn_draws(&memory, updates);
	write_rows(&memory);
	return draws ? (memory.n > 0 ? updates : 0) : memory.n;
}

static void
observe_row(void *argument, const RlrecObservation *seen, double probability pg_attribute_unused())
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec observation", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	rlrec_environment_observe(argument, seen);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

PG_FUNCTION_INFO_V1(rlrec_replay);
Datum
rlrec_replay(PG_FUNCTION_ARGS)
{
	const RlrecEnvironment *environment;
	bool		draws = !PG_ARGISNULL(2);
	bool		alone;
	Oid			relation = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	MemoryContext context,
				old;
	int64		n;

	PreventCommandIfReadOnly("rlrec_replay()");
	PreventCommandDuringRecovery("rlrec_replay()");
	environment = rlrec_environment_open(rlrec_text_argument(fcinfo, 0));
	if (!OidIsValid(relation) || get_rel_name(relation) == NULL || (draws && PG_GETARG_INT64(2) < 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 draws && PG_GETARG_INT64(2) < 0 ? errmsg("updates must not be negative") : errmsg("transitions must be a table"),
				 errhint("For example rlrec_replay('%s', 'transitions').", environment->name)));
	alone = environment->online == NULL && environment->tabular.update != RLREC_SARSA && environment->tabular.lambda == 0;
	if (draws && !alone)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("updates can be drawn only for qlearning, expected_sarsa and double_q without eligibility traces"),
				 errhint("Leave updates out: then the table's rows are observed one after the other.")));
	context = AllocSetContextCreate(CurrentMemoryContext, "rlrec replay", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	rlrec_environment_lock(environment, true);
	PushCopiedSnapshot(GetTransactionSnapshot());
	n = alone ? replay_in_memory(environment, relation, draws, draws ? PG_GETARG_INT64(2) : 0) :
		rlrec_transitions_read(environment, relation, observe_row, unconstify(RlrecEnvironment *, environment));
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	PG_RETURN_INT64(n);
}
