/*
 * state_key.c
 *	  What names a user's state: his id, or the value of an SQL expression.
 *
 * The expression is the owner's, with the user's id as $1, and may read what the owner may read: it is evaluated in his name, in a
 * security-restricted operation, whoever trains or is served, and with search_path = pg_catalog, as functions of the extension are.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "compat.h"
#include "learner/learner.h"
#include "learner/state.h"
#include "store/catalog.h"
#include "store/event_stream.h"
#include "store/state_key.h"

static void
expression_context(void *argument)
{
	errcontext("option \"expression\" of agent \"%s\"", ((const RlrecAgent *) argument)->name);
}

/* As the agent's owner, connected to SPI. */
static SPIPlanPtr
prepare(const RlrecAgent *agent, const char *expression)
{
	Oid			type = rlrec_column_type(agent->events, agent->user_column);
	SPIPlanPtr	plan = SPI_prepare(psprintf("SELECT (%s\n)::pg_catalog.text", expression), 1, &type);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (!SPI_is_cursor_plan(plan) ||
		((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->resultDesc->natts != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the state is not one expression"),
				 errhint("It may be one such as \"(SELECT segment FROM public.users WHERE id = $1)\".")));
	return plan;
}

/* Runs it; the key is allocated in `context`, and what else is needed in CurrentMemoryContext. */
static RlrecKey
evaluate(const RlrecAgent *agent, SPIPlanPtr plan, const char *user, MemoryContext context)
{
	Datum		id = rlrec_id_datum(agent, agent->user_column, user);
	MemoryContext scratch = CurrentMemoryContext;
	RlrecKey	key = {NULL, 0};
	int			result = SPI_execute_plan(plan, &id, NULL, true, 2);

	MemoryContextSwitchTo(scratch);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not evaluate the expression: %s", SPI_result_code_string(result));
	if (SPI_processed > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("the state of user \"%s\" is more than one value", user),
				 errhint("Add a LIMIT to a subquery, or aggregate.")));
	if (SPI_processed == 1)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		if (value != NULL)
			key = (RlrecKey) {MemoryContextStrdup(context, value), (int32) strlen(value)};
	}
	SPI_freetuptable(SPI_tuptable);
	return key;
}

/* Calls evaluate() for each of the users, or only prepares when there are none. */
static void
evaluate_all(const RlrecAgent *agent, const char *expression, int32 n, const char *(*user) (void *argument, int32 i), void *argument,
			 RlrecKey *keys)
{
	ErrorContextCallback context = {error_context_stack, expression_context, (void *) agent};
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(outer, "rlrec state", ALLOCSET_SMALL_SIZES);
	SPIPlanPtr	plan;
	RlrecRole	saved;

	error_context_stack = &context;
	SPI_connect();
	rlrec_run_as(&saved, OidIsValid(agent->owner) ? agent->owner : GetUserId(), SECURITY_RESTRICTED_OPERATION);
	plan = prepare(agent, expression);
	MemoryContextSwitchTo(scratch);
	for (int32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		keys[i] = evaluate(agent, plan, user(argument, i), outer);
		MemoryContextReset(scratch);
	}
	rlrec_run_back(&saved);
	SPI_finish();
	error_context_stack = context.previous;
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(scratch);
}

void
rlrec_state_key_check(const RlrecAgent *agent)
{
	char	   *expression = rlrec_state_expression(agent->options);

	if (expression != NULL)
		evaluate_all(agent, expression, 0, NULL, NULL, NULL);
}

static const char *
the_user(void *argument, int32 i pg_attribute_unused())
{
	return argument;
}

RlrecKey
rlrec_state_key_read(const RlrecAgent *agent, const char *user)
{
	char	   *expression = rlrec_state_expression(agent->options);
	RlrecKey	key = {pstrdup(user), (int32) strlen(user)};

	if (expression != NULL)
		evaluate_all(agent, expression, 1, the_user, unconstify(char *, user), &key);
	return key;
}

static const char *
user_of_events(void *argument, int32 i)
{
	return rlrec_dictionary_id(&((const RlrecEvents *) argument)->users, i);
}

void
rlrec_state_keys_read(const RlrecAgent *agent, RlrecEvents *events)
{
	char	   *expression = rlrec_state_expression(agent->options);
	RlrecKey   *keys;

	if (expression == NULL)
		return;
	rlrec_progress("reading states", 0, events->users.n);
	keys = palloc_extended(Max(events->users.n, 1) * sizeof(RlrecKey), MCXT_ALLOC_HUGE);
	evaluate_all(agent, expression, events->users.n, user_of_events, events, keys);
	events->key = keys;
}
