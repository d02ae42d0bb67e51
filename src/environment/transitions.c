/*
 * transitions.c
 *	  Reading a table of transitions, or of the outcomes of an MDP.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "environment/transitions.h"
#include "store/agent.h"

#define FETCH 10000				/* rows at a time */

enum
{
	STATE, ACTION, REWARD, NEXT_STATE, TERMINATED, TRUNCATED, EPISODE, PROBABILITY, COLUMNS
};

static const char *const names[COLUMNS] = {"state", "action", "reward", "next_state", "terminated", "truncated", "episode", "probability"};

/* SELECT of the columns, each cast to what it must be, with a constant for those that need not be there. */
static char *
make_query(const RlrecEnvironment *environment, Oid relation)
{
	const char *state_type = environment->state_size > 0 ? "float8[]" : "text";
	const char *const types[COLUMNS] = {state_type, "text", "float8", state_type, "bool", "bool", "int8", "float8"};
	const char *const otherwise[COLUMNS] = {NULL, NULL, NULL, NULL, NULL, "false", "0", "'NaN'"};
	StringInfoData query;

	initStringInfo(&query);
	for (int c = 0; c < COLUMNS; c++)
	{
		bool		exists = get_attnum(relation, names[c]) > 0;

		if (!exists && otherwise[c] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("%s has no column \"%s\"", rlrec_qualified_name(relation), names[c]),
					 errhint("A table of transitions has the columns state, action, reward, next_state and terminated, and may have "
							 "truncated, episode and probability.")));
		appendStringInfo(&query, "%s%s::pg_catalog.%s", c ? ", " : "SELECT ", exists ? quote_identifier(names[c]) : otherwise[c],
						 types[c]);
	}
	appendStringInfo(&query, " FROM %s", rlrec_qualified_name(relation));
	return query.data;
}

static Datum
column(int c, HeapTuple tuple, Oid relation, int64 row, bool *isnull)
{
	Datum		datum = SPI_getbinval(tuple, SPI_tuptable->tupdesc, c + 1, isnull);

	if (*isnull && c != NEXT_STATE)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s has a NULL %s", rlrec_qualified_name(relation), names[c]),
				 errdetail("It is row %lld that was read. Nothing was learned.", (long long) row)));
	return datum;
}

static void
read_row(const RlrecEnvironment *environment, Oid relation, HeapTuple tuple, int64 row, RlrecObservation *seen, double *probability)
{
	bool		is_array = environment->state_size > 0;
	bool		isnull;
	Datum		next;
	text	   *action;

#define COLUMN(c) column(c, tuple, relation, row, &isnull)
	seen->state = rlrec_state_datum(COLUMN(STATE), is_array, environment, "state");
	action = DatumGetTextPP(COLUMN(ACTION));
	seen->action = rlrec_dictionary_find(&environment->actions, VARDATA_ANY(action), VARSIZE_ANY_EXHDR(action));
	seen->reward = DatumGetFloat8(COLUMN(REWARD));
	seen->end = DatumGetBool(COLUMN(TERMINATED)) ? RLREC_TERMINATED : DatumGetBool(COLUMN(TRUNCATED)) ? RLREC_TRUNCATED : 0;
	seen->episode = DatumGetInt64(COLUMN(EPISODE));
	*probability = DatumGetFloat8(COLUMN(PROBABILITY));
	seen->propensity = NAN;
	if (seen->action < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("agent \"%s\" has no action \"%s\"", environment->name, text_to_cstring(action)),
				 errdetail("Row %lld of %s has it. Nothing was learned.", (long long) row, rlrec_qualified_name(relation))));
	if (!isfinite((float) seen->reward) || *probability < 0 || isinf(*probability))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has a row with reward %g and probability %g", rlrec_qualified_name(relation), seen->reward, *probability),
				 errdetail("It is row %lld that was read. Nothing was learned.", (long long) row)));
	next = COLUMN(NEXT_STATE);
	if (isnull && seen->end != RLREC_TERMINATED)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s has a NULL next_state where the episode goes on", rlrec_qualified_name(relation)),
				 errdetail("It is row %lld that was read. Nothing was learned.", (long long) row)));
	if (!isnull)
		seen->next_state = rlrec_state_datum(next, is_array, environment, "next_state");
}

int64
rlrec_transitions_read(const RlrecEnvironment *environment, Oid relation, RlrecTransitionSink sink, void *argument)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec transition", ALLOCSET_SMALL_SIZES);
	char	   *query = make_query(environment, relation);
	int			level = NewGUCNestLevel();
	int64		rows = 0;
	Portal		portal;

	/* In the table's order, also where another scan is under way */
	(void) set_config_option("synchronize_seqscans", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, true, 0);
	for (;;)
	{
		SPITupleTable *fetched;

		SPI_cursor_fetch(portal, true, FETCH);
		fetched = SPI_tuptable;
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0, n = SPI_processed; i < n; i++)
		{
			RlrecObservation seen = {0};
			double		probability;

			SPI_tuptable = fetched;
			MemoryContextSwitchTo(context);
			read_row(environment, relation, fetched->vals[i], ++rows, &seen, &probability);
			MemoryContextSwitchTo(caller);
			sink(argument, &seen, probability);
			MemoryContextReset(context);
		}
		SPI_freetuptable(fetched);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	SPI_finish();
	AtEOXact_GUC(false, level);
	MemoryContextDelete(context);
	return rows;
}
