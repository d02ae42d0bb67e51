/*
 * qtable.h
 *	  The action values of one state: in C, and as the SQL type rlrec_qtable.
 */
#ifndef RLREC_QTABLE_H
#define RLREC_QTABLE_H

/* An action, its value and how often it was taken. */
typedef struct RlrecQEntry
{
	const char *action;			/* not terminated */
	int			length;
	double		q;
	int64		visits;
} RlrecQEntry;

/* A varlena; its actions are in the order of their bytes. */
typedef struct RlrecQTable RlrecQTable;

#define RLREC_QTABLE_MAX_BYTES ((uint64) 128 * 1024 * 1024)	/* escaped in full, the text form stays below 1 GB */
#define RLREC_QTABLE_MAX_VISITS PG_UINT32_MAX	/* more are kept as this many */

/* Detoasted and aligned, perhaps in place: to be written to only after PG_DETOAST_DATUM_COPY. */
#define DatumGetRlrecQTable(datum) ((RlrecQTable *) PG_DETOAST_DATUM(datum))
#define PG_GETARG_QTABLE(n) DatumGetRlrecQTable(PG_GETARG_DATUM(n))

extern int	rlrec_qtable_n(const RlrecQTable *table);

/* The action points into the table. */
extern RlrecQEntry rlrec_qtable_entry(const RlrecQTable *table, int i);

/* -1 when there is none. */
extern int	rlrec_qtable_find(const RlrecQTable *table, const char *action, int length);

/* Sorts the entries in place. An error: a duplicate or empty action, a q that is not finite, negative visits, too large a table. */
extern RlrecQTable *rlrec_qtable_build(int n, RlrecQEntry *entries);

/* Overwrites entry i of a table that the caller owns. */
extern void rlrec_qtable_set(RlrecQTable *table, int i, double q, int64 visits);

/* A copy that has the action, with q 0 and no visits where it is new, and its place. */
extern RlrecQTable *rlrec_qtable_with(const RlrecQTable *table, const char *action, int length, int *i);

/* Raises the errors of rlrec_qtable_build() that an entry alone can have. */
extern void rlrec_qtable_check(const RlrecQEntry *entry);

/* The mean of two values by their weights, the same whichever comes first, and exact where they are equal. */
extern double rlrec_qtable_mean(double a, double weight_a, double b, double weight_b);

#endif							/* RLREC_QTABLE_H */
