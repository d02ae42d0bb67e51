/*
 * state.h
 *	  What a tabular learner takes a user's history for: the key of a state.
 */
#ifndef RLREC_STATE_H
#define RLREC_STATE_H

#include "lib/stringinfo.h"

#include "learner/learner.h"

typedef enum RlrecStateKind
{
	RLREC_STATE_LAST,			/* the last items */
	RLREC_STATE_CATEGORY,		/* their categories */
	RLREC_STATE_USER,			/* the user, RlrecHistory.key */
	RLREC_STATE_EXPRESSION,		/* the value of an SQL expression for the user, also RlrecHistory.key */
	RLREC_STATE_CLUSTER			/* the cluster of the encoder's state, see cluster.h */
} RlrecStateKind;

/*
 * How keys are made. Of last items and categories a key is the names of the last last_items ones, fewer in a shorter history, oldest first and
 * tab-separated.
 */
typedef struct RlrecStateReader
{
	RlrecStateKind kind;
	int32		last_items;
	RlrecDictionary names;		/* of items or categories */
	int32		n_items;
	const int32 *category;		/* [n_items] of each, as an index in names; NULL where items name themselves */
	StringInfoData key;			/* the last one that was made */
} RlrecStateReader;

/* The options that say what a state is, for the list of a learner's. */
#define RLREC_STATE_OPTIONS \
	{"state", RLREC_OPTION_CHOICE, 0, 0, 0, "last, category, user, expression, cluster"}, \
	{"last_items", RLREC_OPTION_INT, 1, 1, 100, "how many of the last items, or categories, are the state"}, \
	{"category_column", RLREC_OPTION_TEXT, 0, 0, 0, "the column of the items table that has an item's category"}, \
	{"expression", RLREC_OPTION_TEXT, 0, 0, 0, "an SQL expression over the user, whose id is $1, that names his state"}, \
	{"clusters", RLREC_OPTION_INT, 32, 2, 1024, "clusters of the encoder's states"}

extern void rlrec_state_reader_init(RlrecStateReader *reader, const RlrecFit *fit);

/* Why the state that the options ask for cannot be made, or NULL. */
extern const char *rlrec_state_obstacle(const RlrecFit *fit);

/* The option "expression", palloc'd; NULL unless it is the state. */
extern char *rlrec_state_expression(const Jsonb *options);

/* The reader as tensors under prefix, and of a model. */
extern void rlrec_state_reader_save(const RlrecStateReader *reader, const char *prefix, RlrecTensors *tensors);
extern void rlrec_state_reader_open(RlrecStateReader *reader, const RlrecModel *model);

/*
 * The key after a history of n items, by that of the user or by the cluster, -1 for none, where the kind of state is theirs; NULL when there
 * is no state. Good until the next one.
 */
extern const char *rlrec_state_key(RlrecStateReader *reader, const int32 *item, int64 n, const RlrecKey *user, int32 cluster,
								   int32 *length);

#endif							/* RLREC_STATE_H */
