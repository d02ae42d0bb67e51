/*
 * qtable_aggregate.c
 *	  The aggregate rlrec_qtable_agg(action, q, visits).
 *
 * Its state is a bytea: the bytes in use, then the rows as they came, one after another, with room for more. When there is no room the
 * rows of one action are merged, and if that frees less than half the state doubles; so a row costs a constant time on average, and
 * parallel workers can hand the state on as it is. Rows of an action without visits are counted, so that their mean does not depend on
 * the order in which they come.
 *
 * Anyone can make an aggregate of these functions with a state of his own, so a state is read with care.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "types/qtable.h"

typedef struct State
{
	int32		vl_len_;
	int32		used;			/* bytes of rows */
	char		rows[FLEXIBLE_ARRAY_MEMBER];
} State;

typedef struct Row
{
	double		q;
	int64		visits;
	int64		unvisited;		/* rows of no visits, whose mean q is while visits is 0 */
	int32		length;			/* of the action, whose bytes follow the row */
} Row;

/* What a row is while rows are merged. */
typedef struct Merging
{
	Row			row;
	const char *action;
} Merging;

#define STATE_HEADER offsetof(State, rows)
#define ROW_HEADER (offsetof(Row, length) + sizeof(int32))
#define STATE_INITIAL 1024
#define STATE_CAPACITY(state) ((int32) (VARSIZE(state) - STATE_HEADER))
#define STATE_MAX ((int64) MaxAllocSize - (int64) STATE_HEADER)

static State *
state_create(int64 capacity)
{
	State	   *state = palloc0(STATE_HEADER + capacity);

	SET_VARSIZE(state, STATE_HEADER + capacity);
	return state;
}

static void
state_invalid(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid state of aggregate rlrec_qtable_agg"),
			 errhint("Use the aggregate itself, not its functions.")));
}

static State *
state_argument(FunctionCallInfo fcinfo, int argument)
{
	State	   *state = (State *) PG_DETOAST_DATUM(PG_GETARG_DATUM(argument));

	if (VARSIZE(state) < STATE_HEADER || state->used < 0 || state->used > STATE_CAPACITY(state))
		state_invalid();
	return state;
}

static void
check_aggregate(FunctionCallInfo fcinfo)
{
	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function called outside of an aggregate"),
				 errhint("Use the aggregate rlrec_qtable_agg().")));
}

/* Appends a row if there is room. */
static bool
state_append(State *state, const Row *row, const char *action)
{
	if ((int64) ROW_HEADER + row->length > STATE_CAPACITY(state) - state->used)
		return false;
	memcpy(state->rows + state->used, row, ROW_HEADER);
	memcpy(state->rows + state->used + ROW_HEADER, action, row->length);
	state->used += (int32) ROW_HEADER + row->length;
	return true;
}

/* Takes the row at *at, and moves on; false at the end. */
static bool
state_next(const State *state, int32 *at, Merging *next)
{
	int32		rest = state->used - *at;

	if (rest == 0)
		return false;
	if (rest < (int32) ROW_HEADER)
		state_invalid();
	memcpy(&next->row, state->rows + *at, ROW_HEADER);
	if (next->row.length <= 0 || next->row.length > rest - (int32) ROW_HEADER || next->row.visits < 0 || next->row.unvisited < 0)
		state_invalid();
	next->action = state->rows + *at + ROW_HEADER;
	*at += (int32) ROW_HEADER + next->row.length;
	return true;
}

static int
compare_rows(const void *left, const void *right)
{
	const Merging *a = left;
	const Merging *b = right;
	int			order = memcmp(a->action, b->action, Min(a->row.length, b->row.length));

	return order != 0 ? order : (a->row.length > b->row.length) - (a->row.length < b->row.length);
}

static int64
add_counts(int64 a, int64 b)
{
	return a > PG_INT64_MAX - b ? PG_INT64_MAX : a + b;
}

/* Merges a row of the same action into another. Visits win: values that were never tried count only among themselves. */
static void
merge_row(Row *into, const Row *row)
{
	bool		visited = into->visits > 0 || row->visits > 0;
	double		weight = (double) (visited ? into->visits : into->unvisited);
	double		other = (double) (visited ? row->visits : row->unvisited);

	into->q = rlrec_qtable_mean(into->q, weight, row->q, other);
	into->visits = add_counts(into->visits, row->visits);
	into->unvisited = add_counts(into->unvisited, row->unvisited);
}

/* The rows, palloc'd, of distinct actions in order; the actions stay in the state. */
static Merging *
state_merge(const State *state, int *n)
{
	Merging    *rows = palloc_extended((state->used / (ROW_HEADER + 1) + 1) * sizeof(Merging), MCXT_ALLOC_HUGE);
	int32		at = 0;
	int			all = 0;

	while (state_next(state, &at, &rows[all]))
		all++;
	CHECK_FOR_INTERRUPTS();
	qsort(rows, all, sizeof(Merging), compare_rows);
	*n = 0;
	for (int i = 0; i < all; i++)
	{
		if (*n > 0 && compare_rows(&rows[*n - 1], &rows[i]) == 0)
			merge_row(&rows[*n - 1].row, &rows[i].row);
		else
			rows[(*n)++] = rows[i];
	}
	return rows;
}

/* A state with merged rows and room for another and as much again. */
static State *
state_grow(const State *state, int64 more)
{
	int			n;
	Merging    *rows = state_merge(state, &n);
	int64		need = more;
	State	   *grown;

	for (int i = 0; i < n; i++)
		need += (int64) ROW_HEADER + rows[i].row.length;
	if (need > STATE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many distinct actions for a table of action values"),
				 errhint("Aggregate fewer actions, or give them shorter names.")));
	grown = state_create(Min(Max(2 * need, STATE_CAPACITY(state)), STATE_MAX));
	for (int i = 0; i < n; i++)
		state_append(grown, &rows[i].row, rows[i].action);
	pfree(rows);
	return grown;
}

static void
not_null(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name),
				 errhint("Exclude such rows by FILTER (WHERE %s IS NOT NULL).", name)));
}

/* The transition function. */
PG_FUNCTION_INFO_V1(rlrec_qtable_accumulate);
Datum
rlrec_qtable_accumulate(PG_FUNCTION_ARGS)
{
	State	   *state;
	RlrecQEntry entry;
	text	   *action;
	Row			row;

	check_aggregate(fcinfo);
	not_null(fcinfo, 1, "action");
	not_null(fcinfo, 2, "q");
	not_null(fcinfo, 3, "visits");
	state = PG_ARGISNULL(0) ? state_create(STATE_INITIAL) : state_argument(fcinfo, 0);
	action = PG_GETARG_TEXT_PP(1);
	entry = (RlrecQEntry) {VARDATA_ANY(action), (int) VARSIZE_ANY_EXHDR(action), PG_GETARG_FLOAT8(2), PG_GETARG_INT64(3)};
	rlrec_qtable_check(&entry);
	row = (Row) {entry.q, entry.visits, entry.visits == 0, entry.length};
	if (!state_append(state, &row, entry.action))
	{
		state = state_grow(state, (int64) ROW_HEADER + row.length);
		state_append(state, &row, entry.action);
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(rlrec_qtable_combine);
Datum
rlrec_qtable_combine(PG_FUNCTION_ARGS)
{
	State	   *state;
	State	   *other;
	Merging		row;
	int32		at = 0;

	check_aggregate(fcinfo);
	state = state_argument(fcinfo, 0);
	other = state_argument(fcinfo, 1);
	if (other->used > STATE_CAPACITY(state) - state->used)
		state = state_grow(state, other->used);
	while (state_next(other, &at, &row))
		if (!state_append(state, &row.row, row.action))
			elog(ERROR, "no room in the state of aggregate rlrec_qtable_agg");
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(rlrec_qtable_final);
Datum
rlrec_qtable_final(PG_FUNCTION_ARGS)
{
	State	   *state;
	Merging    *rows;
	RlrecQEntry *entries;
	int			n;

	check_aggregate(fcinfo);
	state = state_argument(fcinfo, 0);
	rows = state_merge(state, &n);
	entries = palloc_extended((n + (Size) 1) * sizeof(RlrecQEntry), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		entries[i] = (RlrecQEntry) {rows[i].action, rows[i].row.length, rows[i].row.q, rows[i].row.visits};
	PG_RETURN_POINTER(rlrec_qtable_build(n, entries));
}
