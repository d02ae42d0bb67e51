/*
 * options.h
 *	  The options of agents and learners: declared once, validated when an agent is made, read by the learner.
 */
#ifndef RLREC_OPTIONS_H
#define RLREC_OPTIONS_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#define RLREC_OPTION_MAX_INTS 7

/* What a learner may weigh by one option */
#define RLREC_MOST_WEIGHTS 8

typedef enum RlrecOptionType
{
	RLREC_OPTION_BOOL,
	RLREC_OPTION_INT,
	RLREC_OPTION_REAL,
	RLREC_OPTION_INTERVAL,		/* "30 days"; read as seconds */
	RLREC_OPTION_CHOICE,		/* one of the words of the summary */
	RLREC_OPTION_TEXT,			/* any but the empty one */
	RLREC_OPTION_NAMES,			/* ["itemknn", "markov"], each a learner's name */
	RLREC_OPTION_STRINGS,		/* ["left", "right"], distinct and not empty */
	RLREC_OPTION_INTS,			/* [64, 128], at least one and at most RLREC_OPTION_MAX_INTS, each in the range */
	RLREC_OPTION_WEIGHTS		/* {"click": 1, "purchase": 5}, at most RLREC_MOST_WEIGHTS */
} RlrecOptionType;

/* An array of these ends with an entry whose name is NULL. */
typedef struct RlrecOption
{
	const char *name;
	RlrecOptionType type;
	double		initial;		/* default; of an interval in seconds; TEXT, NAMES and WEIGHTS have none */
	double		minimum;		/* inclusive */
	double		maximum;		/* inclusive */
	const char *summary;		/* of a CHOICE its words, "full, sampled"; the default is the first. Of INTS the default, "64, 128" */
} RlrecOption;

/* Each returns the option's value in the object, else the default that its spec gives. options may be NULL. */
extern bool rlrec_option_bool(const Jsonb *options, const RlrecOption *specs, const char *name);
extern int	rlrec_option_int(const Jsonb *options, const RlrecOption *specs, const char *name);
extern double rlrec_option_real(const Jsonb *options, const RlrecOption *specs, const char *name);

/* Writes value[RLREC_OPTION_MAX_INTS], returns how many. */
extern int	rlrec_option_ints(const Jsonb *options, const RlrecOption *specs, const char *name, int *value);

/* A palloc'd word. */
extern char *rlrec_option_choice(const Jsonb *options, const RlrecOption *specs, const char *name);

/* A palloc'd C string, NULL when not given. */
extern char *rlrec_option_text(const Jsonb *options, const RlrecOption *specs, const char *name);

/* Whether the object has the key with a value that is not null. */
extern bool rlrec_option_given(const Jsonb *options, const char *name);

/* Of NAMES or STRINGS: a List of palloc'd C strings, NIL when not given. */
extern List *rlrec_option_names(const Jsonb *options, const RlrecOption *specs, const char *name);

/* The same of an object's keys, in jsonb's order, and their palloc'd numbers. */
extern List *rlrec_option_weights(const Jsonb *options, const RlrecOption *specs, const char *name, double **weights);

/*
 * Raises an error unless learner is a learner's name and every key of options is one of its options (of any learner's, for one that is
 * made of others), of re-ranking or of more[n_more], with a value of the right type inside its range. Errors name what would be valid.
 */
extern void rlrec_options_check(const char *learner, const Jsonb *options, int n_more, const RlrecOption *const *more);

/* The same for an object of another name, `what`, whose keys are those of specs[n_specs]. */
extern void rlrec_options_check_object(const char *what, const Jsonb *options, int n_specs, const RlrecOption *const *specs);

#endif							/* RLREC_OPTIONS_H */
