/*
 * learner.h
 *	  The one interface behind which every recommender stands, and the registry of them.
 *
 * Adding a learner: write its file, declare its RlrecLearner below, list it in learner.c, give it a page in docs/.
 */
#ifndef RLREC_LEARNER_H
#define RLREC_LEARNER_H

#include "lib/stringinfo.h"

#include "data/events.h"
#include "data/features.h"
#include "learner/learned.h"
#include "learner/options.h"
#include "types/weights.h"

struct RlrecLearner;

/*
 * What came before a fit: the version that serves, and how far an interrupted fit came. save() replaces what was kept; load() returns it
 * palloc'd, where it has at most so many bytes. Both load() and deployed() are NULL when there is none.
 */
typedef struct RlrecPast
{
	const struct RlrecModel *(*deployed) (struct RlrecPast *past);
	RlrecTensors *(*load) (struct RlrecPast *past, Size most);
	void		(*save) (struct RlrecPast *past, const RlrecTensors *tensors);
} RlrecPast;

/* What a learner is fitted on. */
typedef struct RlrecFit
{
	const RlrecEvents *events;
	const RlrecFeatures *features;	/* NULL when the agent has no items table */
	const Jsonb *options;		/* the agent's, NULL when none */
	Size		budget;			/* bytes that fitting may use: maintenance_work_mem */
	const char *encoder;		/* the agent's: none leaves learners out that have one, transformer lets them in */
	double		seconds;		/* after which a fit that can stop should; 0 for never */
	RlrecPast  *past;			/* NULL where there is to be none: what is fitted to be measured knows only what it is given */
} RlrecFit;

/*
 * A fitted learner. The tensors are a learner's own, found by name; a learner made of others (hybrid, auto) keeps theirs in the same
 * set under a prefix, "markov/". Every model also has what all of them need: `items` and `count`.
 */
typedef struct RlrecModel
{
	const struct RlrecLearner *learner;
	const RlrecTensors *tensors;
	const char *prefix;			/* "" for the outermost */
	RlrecDictionary items;
	RlrecDictionary types;		/* of events; .n 0 when there are none */
	const float *count;			/* [items.n] users that had the item in training */
	int32		n_users;		/* users in training */
	float		reward_scale;	/* by which the rewards of training were divided, and those of a history are */
} RlrecModel;

/* A user's past events, oldest first; only items that the model's dictionary knows and events with a positive reward. */
typedef struct RlrecHistory
{
	int32		n;
	const int32 *item;			/* [n] */
	const int64 *time;			/* [n] microseconds since 2000-01-01 */
	const float *reward;		/* [n] */
	const uint8 *type;			/* [n] 1 + index in the model's types, 0 for none; NULL when no type is known */
	int64		now;			/* time of the request */
	RlrecKey	key;			/* what names the user's state: his id, or the value of option "expression"; none when it is not known */
	RlrecLearned *learned;		/* since the version was trained; NULL for nothing */
} RlrecHistory;

/* A value of a table: of an item as an action in a state, whose name is not terminated. */
typedef void (*RlrecActionValueSink) (void *argument, const char *state, int length, int32 item, float q, int32 visits);

typedef struct RlrecLearner
{
	const char *name;			/* as in learner => '...' */
	const char *summary;		/* one line for people */
	const RlrecOption *options;

	/*
	 * NULL when the learner can be fitted on this, else why not, a translated-free sentence fragment for errdetail. auto and
	 * hybrid leave such learners out.
	 */
	const char *(*obstacle) (const RlrecFit *fit);

	/* Adds the learner's tensors under prefix. Runs in a context of its own: what it palloc's besides is freed by the caller. */
	void		(*fit) (const RlrecFit *fit, const char *prefix, RlrecTensors *tensors);

	/*
	 * Writes scores[items.n], higher is better, every entry finite; returns false, with scores undefined, when the history tells
	 * it nothing (then the caller recommends what is popular). No I/O, no SQL, but for the rows of history->learned; scratch is palloc'd in
	 * CurrentMemoryContext.
	 */
	bool		(*score) (const RlrecModel *model, const RlrecHistory *history, float *scores);

	/* auto, hybrid and rlrec_evaluate() take it only where it is named. */
	bool		when_named;

	/* A learner that it may fit as a part and whose options it takes, too; NULL for none. auto and hybrid take those of all learners. */
	const struct RlrecLearner *part;

	/*
	 * Puts what an event changed into rows, from which score() then takes it: as if it had been there in training. NULL when the learner
	 * learns nothing between trainings.
	 */
	void		(*learn) (const RlrecModel *model, const RlrecLesson *lesson, RlrecLearned *learned);

	/* After a batch of events: makes of the learner's sums what score() takes of them. May be NULL. */
	void		(*learned) (const RlrecModel *model, RlrecLearned *learned);

	/* Appends what fitting came to, for people: members of a JSON object, each with a comma before it. May be NULL. */
	void		(*describe) (const RlrecModel *model, StringInfo json);

	/* Hands out what each action is worth in each state; NULL when values are not kept in a table. */
	void		(*action_values) (const RlrecModel *model, RlrecActionValueSink sink, void *argument);

	/*
	 * Similarity of an item to each of n others, scores[n]; others NULL means all items. More is more alike, on a scale of the learner's own.
	 * NULL when the learner has none.
	 */
	void		(*similar) (const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores);

	/* What turns a history into a state, "transformer"; NULL when the learner has none. Fitting one takes minutes where others take seconds. */
	const char *encoder;

	/*
	 * The state between a history and its scores: score() is encode(), then decode(). All three are NULL in a learner without one; the
	 * dimension is 0 where the learner is made of others and has none this time. encode() returns false as score() does. decode() takes any
	 * finite state; its scores are finite unless the state's numbers are absurdly large.
	 */
	int			(*dimension) (const RlrecModel *model);
	bool		(*encode) (const RlrecModel *model, const RlrecHistory *history, float *state);
	void		(*decode) (const RlrecModel *model, const float *state, float *scores);

	/*
	 * Verifies that the learner's tensors, which come from outside, are as fit() would have written them, so that whatever they hold
	 * nothing else here can read or write out of bounds: see check.h. Returns how many they are. NULL when models cannot be imported.
	 */
	int			(*check) (const RlrecModel *model);

	/*
	 * Standard errors of the scores that score() gives n of the items, error[n], in units of the scores; for exploration. NULL where the
	 * learner knows none: then the number of users that had an item stands in.
	 */
	void		(*uncertainty) (const RlrecModel *model, const RlrecHistory *history, int32 n, const int32 *items, float *error);

	/* The strategy by which rlrec_serve() explores where the option "explore" does not say; NULL for none. */
	const char *explore;
} RlrecLearner;

extern const RlrecLearner rlrec_popularity;
extern const RlrecLearner rlrec_content;
extern const RlrecLearner rlrec_itemknn;
extern const RlrecLearner rlrec_ease;
extern const RlrecLearner rlrec_als;
extern const RlrecLearner rlrec_markov;
extern const RlrecLearner rlrec_supervised;
extern const RlrecLearner rlrec_qlearning;
extern const RlrecLearner rlrec_sarsa;
extern const RlrecLearner rlrec_expected_sarsa;
extern const RlrecLearner rlrec_double_q;
extern const RlrecLearner rlrec_actor_critic;
extern const RlrecLearner rlrec_reinforce;
extern const RlrecLearner rlrec_dqn;
extern const RlrecLearner rlrec_linucb;
extern const RlrecLearner rlrec_lints;
extern const RlrecLearner rlrec_hybrid;
extern const RlrecLearner rlrec_auto;

/* The registry: ends with NULL. */
extern const RlrecLearner *const rlrec_learners[];

/* NULL when there is none. */
extern const RlrecLearner *rlrec_learner_find(const char *name);

/*
 * The data of a tensor of the model, at model->prefix. An error when it is missing, or its type or number of elements is not what is asked for
 * (elements < 0 accepts any).
 */
extern const void *rlrec_model_data(const RlrecModel *model, const char *name, RlrecDtype dtype, int64 elements);

/* A dictionary as the tensors name || "/offset" and name || "/bytes", and that of a model at model->prefix. */
extern void rlrec_dictionary_save(const RlrecDictionary *dictionary, const char *name, RlrecTensors *tensors);
extern RlrecDictionary rlrec_dictionary_open(const RlrecModel *model, const char *name);

/* The share of the users that had each item, times 1e-6: added to scores so that items without evidence rank by popularity. */
extern void rlrec_model_add_popularity(const RlrecModel *model, float *scores);

/*
 * The number of users, and by how much more than in `count` had each item, since then too: NULL for none; in a history that is served.
 */
extern const RlrecLearnedCounts *rlrec_model_users(const RlrecModel *model, const RlrecHistory *history, double *users);

/* Numbers in a state of the model, 0 when it has none. */
extern int	rlrec_model_dimension(const RlrecModel *model);

/*
 * Fits a learner: its obstacle raised as an error, its tensors with `items` and `count` under prefix "", and the model over them. All
 * in CurrentMemoryContext.
 */
extern RlrecModel *rlrec_learner_fit(const RlrecLearner *learner, const RlrecFit *fit);

/* The model over tensors that rlrec_learner_fit() made, here or in another life. */
extern RlrecModel *rlrec_model_open(const RlrecLearner *learner, const RlrecTensors *tensors);

/*
 * The distinct items of a history, palloc'd, in order of first appearance, with the sums of their rewards unless reward is NULL. Returns
 * their number.
 */
extern int32 rlrec_history_distinct(const RlrecModel *model, const RlrecHistory *history, int32 **item, float **reward);

/* What training is doing, for rlrec.training_progress; phase is a static string. Cheap enough for every few milliseconds. */
extern void rlrec_progress(const char *phase, int64 done, int64 total);

/*
 * The same of a phase of epochs, before each of its steps: epoch counts from 1, step from 0 and over all of the training, epochs and steps
 * are what there will be at most; loss and validation (NDCG@10) are NaN while there is none.
 */
extern void rlrec_progress_epoch(const char *phase, int epoch, int epochs, int64 step, int64 steps, double loss, double validation);

#endif							/* RLREC_LEARNER_H */
