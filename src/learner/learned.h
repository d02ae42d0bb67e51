/*
 * learned.h
 *	  What was learned of events since a version was trained: rows by state, of values or counts of items, apart from the immutable model.
 *
 * Whoever learns and whoever serves keep the rows (feedback/learn.c, store/online.c); learners say what is in them.
 */
#ifndef RLREC_LEARNED_H
#define RLREC_LEARNED_H

#include "data/dictionary.h"
#include "data/events.h"
#include "learner/options.h"
#include "types/qtable.h"

/* Whose rows they are, rlrec.qtable.part, and what an entry's value means. Its visits are the events that taught it. */
typedef enum RlrecLearnedPart
{
	RLREC_LEARNED_VALUES = 0,	/* of a state's actions, to a tabular learner; one higher the second table of double Q-learning */
	RLREC_LEARNED_USERS = 2,	/* by bucket of items: how many users have come to have the item */
	RLREC_LEARNED_DECAYED = 3,	/* likewise, as popularity with a half-life counts them */
	RLREC_LEARNED_NEXT = 4		/* by item: how often each other one has come next */
} RlrecLearnedPart;

/* Rows of items that have no other state are this many. */
#define RLREC_LEARNED_BUCKETS 64

/* The entries are in order of their actions' bytes. */
typedef struct RlrecLearnedRow
{
	int			n;
	int			room;
	RlrecQEntry *entry;
	bool		changed;
} RlrecLearnedRow;

/* An item that the model does not know. */
typedef struct RlrecNewItem
{
	const char *id;				/* not terminated */
	int			length;
	float		count;
} RlrecNewItem;

/* A count for each item, of the rows of buckets. */
typedef struct RlrecLearnedCounts
{
	const float *count;			/* [items.n] */
	int			n_new;
	const RlrecNewItem *new_item;	/* those above 0, highest first */
} RlrecLearnedCounts;

/* What a learner adds up of events, and what it makes of that after each batch for those that are served. */
typedef struct RlrecLearnedSums
{
	int			n;
	double	   *sum;			/* [n] */
	int			m;
	double	   *made;			/* [m] */
} RlrecLearnedSums;

typedef struct RlrecLearned
{
	/* NULL when nothing was learned in the state, unless it is to be created; then only where there is no room for more states. */
	RlrecLearnedRow *(*row) (struct RlrecLearned *learned, int part, const char *state, int length, bool create);

	/* NULL when there are none; only for serving. */
	const RlrecLearnedCounts *(*counts) (struct RlrecLearned *learned, int part);

	/* Those of a learner, a static name, at first 0; NULL where there is no room for states. Without `create` NULL, too, when nobody has asked yet. Only for learning. */
	RlrecLearnedSums *(*sums) (struct RlrecLearned *learned, const char *learner, int n, int m, bool create);

	/* made[m] of them, valid until the next call of this or counts(); NULL when there are none. Only for serving. */
	const double *(*made) (struct RlrecLearned *learned, const char *learner, int m);

	int64		users;			/* that had an item, more than in training */
	int64		newest;			/* time of the latest event learned */
	int			most;			/* entries of a row */
	const Jsonb *options;		/* the agent's, when learning */
} RlrecLearned;

/* A user's event, to those that learn of it. */
typedef struct RlrecPastEvent
{
	RlrecKey	id;				/* of the item */
	int32		item;			/* of the model, -1 when it does not know it */
	int64		time;
	float		reward;			/* as training would have it; only events with a positive one are part of a history */
	uint8		type;
} RlrecPastEvent;

/* What an event changed: the user's events, oldest first, without and with it. */
typedef struct RlrecLesson
{
	RlrecKey	user;			/* as in RlrecHistory.key */
	int32		n_before;
	const RlrecPastEvent *before;
	int32		n_after;
	const RlrecPastEvent *after;
	int32		place;			/* of the event, in `after` */
} RlrecLesson;

/* The entry of an action; NULL when there is none, or no row. rlrec_learned_take() makes it, and drops the one of fewest visits from a full row. */
extern RlrecQEntry *rlrec_learned_find(const RlrecLearnedRow *row, const char *action, int length);
extern RlrecQEntry *rlrec_learned_take(const RlrecLearned *learned, RlrecLearnedRow *row, const char *action, int length);

/* Which row of buckets is an item's. */
extern RlrecLearnedRow *rlrec_learned_bucket(RlrecLearned *learned, int part, const RlrecKey *item);
extern int	rlrec_learned_bucket_name(int bucket, char *name);

/* Counts the event for every agent: what is popular when nothing else is known. */
extern void rlrec_learned_count(RlrecLearned *learned, const RlrecLesson *lesson);

/* Counts an event that changes nothing else. */
extern void rlrec_learned_visit(RlrecLearned *learned, const RlrecKey *item);

static inline bool
rlrec_same_key(const RlrecKey *a, const RlrecKey *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

#endif							/* RLREC_LEARNED_H */
