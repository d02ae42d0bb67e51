/*
 * linear_items.c
 *	  linucb and lints over a log of events: one linear model of the reward of showing an item to a user, for all of both (Li et al. 2010, the
 *	  shared part of Algorithm 2), and how uncertain it is, by which rlrec_serve() explores.
 *
 * What describes a user and an item, d = 2 + 2 F numbers:
 *		1
 *		ln(1 + users of the item) / ln(1 + those of the most popular item)
 *		f[F]				the item's features, of RlrecFeatures the F that the items of the log have most of
 *		profile[F] * f[F]	where profile is the sum of the features of the user's items before, times what they were worth, of length 1
 * Each event is an observation of its reward; so are `negatives` items drawn at random for it, of reward 0. The sums of these, exact, are those
 * of types/linear_statistics.h; events that come between trainings are added to sums of their own, on top of those of the version.
 *
 * Tensors: `start` (items + 1), `feature` and `value` (entries), rows of the F features; `popularity` (items); `statistics` and `lambda` (1);
 * what these come to: `linear`, as below.
 */
#include "postgres.h"

#include <math.h>

#include "data/sparse.h"
#include "learner/learner.h"
#include "miscadmin.h"
#include "tensor/random.h"
#include "types/linear_statistics.h"

/* Places in a description */
enum
{
	ONE, POPULARITY, FEATURES
};

#define DIMENSION(n_features) (FEATURES + 2 * (n_features))

static const RlrecOption options[] = {
	{"features", RLREC_OPTION_INT, 64, 1, 1000, "of items, that the model has at most"},
	{"negatives", RLREC_OPTION_INT, 1, 0, 1000, "items drawn at random for each event, taken to have brought nothing"},
	{"lambda", RLREC_OPTION_REAL, 1, 1e-9, 1e9, "ridge: precision of the prior of theta"},
	{"seed", RLREC_OPTION_INT, 1, 0, PG_INT32_MAX, "of the random numbers"},
	{NULL}
};

/* Items by the features of the model */
typedef struct Items
{
	int32		n_items;
	int32		n_features;
	const int32 *start;			/* [n_items + 1] */
	const int32 *feature;		/* ascending in a row */
	const float *value;
	const float *popularity;	/* [n_items] */
} Items;

/* What statistics come to */
typedef struct Linear
{
	double		noise;			/* deviation of the rewards around their means */
	const double *theta;		/* [d] */
	const double *factor;		/* packed */
} Linear;

#define LINEAR_NUMBERS(d) (1 + (size_t) (d) + rlrec_packed_size(d))

/* The numbers of a description that are not 0 */
typedef struct Description
{
	int			n;
	int32	   *place;			/* ascending */
	double	   *x;
} Description;

/* The sum of the features of a user's items times their rewards, which are positive */
typedef struct Profile
{
	double	   *sum;			/* [n_features] */
	double		square;			/* of its length */
} Profile;

static const char *
obstacle(const RlrecFit *fit)
{
	if (fit->features == NULL || fit->features->n_features == 0)
		return "the agent has no items table with feature columns";
	return NULL;
}

/* ---------------------------------------------------------------- features */

typedef struct Weighed
{
	int32		feature;
	double		weight;
} Weighed;

static int
compare_weights(const void *a, const void *b)
{
	const Weighed *x = a;
	const Weighed *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return x->feature < y->feature ? -1 : x->feature > y->feature;
}

/* column[features->n_features]: the place of each feature among the at most `most` chosen ones, -1 of others. Returns how many those are. */
static int
choose_features(const RlrecFit *fit, const float *users, int most, int32 *column)
{
	const RlrecFeatures *features = fit->features;
	Weighed    *weighed = palloc_extended(mul_size(features->n_features, sizeof(Weighed)), MCXT_ALLOC_HUGE);
	int			n = Min(most, features->n_features);

	for (int32 f = 0; f < features->n_features; f++)
	{
		weighed[f] = (Weighed) {f, 0};
		column[f] = -1;
	}
	for (int32 item = 0; item < features->n_items; item++)
		for (int32 i = features->start[item]; i < features->start[item + 1]; i++)
			weighed[features->feature[i]].weight += (1 + users[item]) * fabsf(features->value[i]);
	qsort(weighed, features->n_features, sizeof(Weighed), compare_weights);
	for (int i = 0; i < n; i++)
		column[weighed[i].feature] = 0;
	n = 0;
	for (int32 f = 0; f < features->n_features; f++)	/* in their own order, so that rows stay sorted */
		if (column[f] == 0)
			column[f] = n++;
	pfree(weighed);
	return n;
}

static Items
add_items(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	const RlrecFeatures *features = fit->features;
	int32		n = fit->events->items.n;
	int32	   *column = palloc_extended(mul_size(features->n_features, sizeof(int32)), MCXT_ALLOC_HUGE);
	float	   *popularity = rlrec_tensors_add(tensors, psprintf("%spopularity", prefix), RLREC_F32, 1, n, 0);
	int32	   *start = rlrec_tensors_add(tensors, psprintf("%sstart", prefix), RLREC_I32, 1, (int64) n + 1, 0);
	int32	   *feature;
	float	   *value;
	Items		items = {.n_items = n, .start = start, .popularity = popularity};
	float		most = 1;

	(void) rlrec_incidence_count(fit->events, popularity);
	items.n_features = choose_features(fit, popularity, rlrec_option_int(fit->options, options, "features"), column);
	for (int32 i = 0; i < n; i++)
	{
		most = Max(most, popularity[i]);
		start[i + 1] = start[i];
		for (int32 e = features->start[i]; e < features->start[i + 1]; e++)
			start[i + 1] += column[features->feature[e]] >= 0;
	}
	items.feature = feature = rlrec_tensors_add(tensors, psprintf("%sfeature", prefix), RLREC_I32, 1, start[n], 0);
	items.value = value = rlrec_tensors_add(tensors, psprintf("%svalue", prefix), RLREC_F32, 1, start[n], 0);
	for (int32 i = 0, at = 0; i < n; i++)
	{
		popularity[i] = log1pf(popularity[i]) / log1pf(most);
		for (int32 e = features->start[i]; e < features->start[i + 1]; e++)
			if (column[features->feature[e]] >= 0)
			{
				feature[at] = column[features->feature[e]];
				value[at++] = features->value[e];
			}
	}
	pfree(column);
	return items;
}

static Items
open_items(const RlrecModel *model)
{
	Items		items = {.n_items = model->items.n};

	items.start = rlrec_model_data(model, "start", RLREC_I32, (int64) items.n_items + 1);
	items.feature = rlrec_model_data(model, "feature", RLREC_I32, items.start[items.n_items]);
	items.value = rlrec_model_data(model, "value", RLREC_F32, items.start[items.n_items]);
	items.popularity = rlrec_model_data(model, "popularity", RLREC_F32, items.n_items);
	(void) rlrec_model_data(model, "statistics", RLREC_F64, -1);
	items.n_features = (rlrec_linear_dimension(rlrec_tensor_elements(rlrec_tensors_find(model->tensors, psprintf("%sstatistics", model->prefix)))) -
						FEATURES) / 2;
	return items;
}

/* ---------------------------------------------------------------- users and items described */

static Profile
make_profile(const Items *items)
{
	return (Profile) {palloc0(mul_size(items->n_features, sizeof(double))), 0};
}

static void
add_to_profile(const Items *items, int32 item, float reward, Profile *profile)
{
	for (int32 i = items->start[item]; i < items->start[item + 1]; i++)
	{
		double	   *sum = &profile->sum[items->feature[i]];
		double		more = reward * items->value[i];

		profile->square += more * (2 * *sum + more);
		*sum += more;
	}
}

static double
profile_scale(const Profile *profile)
{
	return profile->square > 0 ? 1 / sqrt(profile->square) : 0;
}

static Description
make_description(const Items *items)
{
	int			most = DIMENSION(items->n_features);

	return (Description) {0, palloc(most * sizeof(int32)), palloc(most * sizeof(double))};
}

static void
add_number(Description *description, int place, double x)
{
	description->place[description->n] = place;
	description->x[description->n++] = x;
}

static void
describe_pair(const Items *items, const Profile *profile, int32 item, Description *description)
{
	double		scale = profile_scale(profile);

	description->n = 0;
	add_number(description, ONE, 1);
	add_number(description, POPULARITY, items->popularity[item]);
	for (int32 i = items->start[item]; i < items->start[item + 1]; i++)
		add_number(description, FEATURES + items->feature[i], items->value[i]);
	for (int32 i = items->start[item]; scale > 0 && i < items->start[item + 1]; i++)
		add_number(description, FEATURES + items->n_features + items->feature[i], scale * profile->sum[items->feature[i]] * items->value[i]);
}

/* ---------------------------------------------------------------- fitting */

/* rlrec_linear_add() of a description */
static void
observe(int d, const Description *description, double reward, double *statistics)
{
	double	   *a = rlrec_linear_a(d, statistics);

	statistics[RLREC_LINEAR_ROWS]++;
	statistics[RLREC_LINEAR_WEIGHT]++;
	statistics[RLREC_LINEAR_SQUARES] += reward * reward;
	for (int i = 0; i < description->n; i++)
	{
		double	   *row = a + rlrec_packed_row(d, description->place[i]) - description->place[i];

		statistics[RLREC_LINEAR_B + description->place[i]] += reward * description->x[i];
		for (int j = i; j < description->n; j++)
			row[description->place[j]] += description->x[i] * description->x[j];
	}
}

/* An event of a user with that profile, and what is drawn for it: the numbers from `draw` on are its. */
static void
observe_event(const Items *items, const Profile *profile, int32 item, float reward, int negatives, uint64 key, uint64 draw,
			  Description *description, double *statistics)
{
	int			d = DIMENSION(items->n_features);

	describe_pair(items, profile, item, description);
	observe(d, description, reward, statistics);
	for (int n = 0; n < negatives; n++)
	{
		describe_pair(items, profile, (int32) rlrec_random_below(key, draw + n, items->n_items), description);
		observe(d, description, 0, statistics);
	}
}

static void
observe_events(const RlrecFit *fit, const Items *items, double *statistics)
{
	const RlrecEvents *events = fit->events;
	int			negatives = rlrec_option_int(fit->options, options, "negatives");
	uint64		key = rlrec_random_key(rlrec_option_int(fit->options, options, "seed"), 0);
	Description description = make_description(items);
	Profile		profile = make_profile(items);

	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		rlrec_progress("fitting", u, events->users.n);
		memset(profile.sum, 0, items->n_features * sizeof(double));
		profile.square = 0;
		for (int64 e = events->start[u]; e < events->end[u]; e++)
		{
			observe_event(items, &profile, events->item[e], events->reward[e], negatives, key, (uint64) e * negatives, &description, statistics);
			if (events->reward[e] > 0)
				add_to_profile(items, events->item[e], events->reward[e], &profile);
		}
	}
}

/* linear[LINEAR_NUMBERS(d)]; false when they are singular. */
static bool
fit_statistics(int d, const double *statistics, double lambda, double *linear)
{
	double	   *theta = linear + 1;
	double		residual;

	if (!rlrec_linear_fit(d, 1, statistics, lambda, theta + d, theta))
		return false;
	residual = statistics[RLREC_LINEAR_SQUARES] - rlrec_dot_double(d, theta, statistics + RLREC_LINEAR_B);
	linear[0] = sqrt(Max(residual, 0) / Max(statistics[RLREC_LINEAR_WEIGHT], 1));
	return true;
}

static void
fit_linear(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	Items		items = add_items(fit, prefix, tensors);
	int			d = DIMENSION(items.n_features);
	double	   *statistics = rlrec_tensors_add(tensors, psprintf("%sstatistics", prefix), RLREC_F64, 1, rlrec_linear_numbers(d), 0);
	double	   *lambda = rlrec_tensors_add(tensors, psprintf("%slambda", prefix), RLREC_F64, 1, 1, 0);
	double	   *linear = rlrec_tensors_add(tensors, psprintf("%slinear", prefix), RLREC_F64, 1, LINEAR_NUMBERS(d), 0);

	*lambda = rlrec_option_real(fit->options, options, "lambda");
	observe_events(fit, &items, statistics);
	if (!fit_statistics(d, statistics, *lambda, linear))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the sum of x x^T + %g * identity is not positive definite", *lambda),
				 errhint("Raise the option lambda.")));
}

/* ---------------------------------------------------------------- learning between trainings */

static RlrecLearnedSums *
sums_of(const RlrecModel *model, int d, RlrecLearned *learned, bool create)
{
	return learned->sums(learned, model->learner->name, (int) rlrec_linear_numbers(d), (int) LINEAR_NUMBERS(d), create);
}

/* An event is observed with the profile that the events before it give; an item that the version does not know is not described. */
static void
learn(const RlrecModel *model, const RlrecLesson *lesson, RlrecLearned *learned)
{
	const RlrecPastEvent *event = &lesson->after[lesson->place];
	Items		items;
	Profile		profile;
	Description description;
	RlrecLearnedSums *sums;

	if (event->item < 0)
		return;
	items = open_items(model);
	sums = sums_of(model, DIMENSION(items.n_features), learned, true);
	if (sums == NULL)
		return;
	profile = make_profile(&items);
	for (int32 i = 0; i < lesson->place; i++)
		if (lesson->after[i].item >= 0 && lesson->after[i].reward > 0)
			add_to_profile(&items, lesson->after[i].item, lesson->after[i].reward, &profile);
	description = make_description(&items);
	observe_event(&items, &profile, event->item, event->reward, rlrec_option_int(learned->options, options, "negatives"),
				  rlrec_random_key(rlrec_option_int(learned->options, options, "seed"), 1), (uint64) sums->sum[RLREC_LINEAR_ROWS],
				  &description, sums->sum);
}

/* What the version and the sums come to together; where rounding makes that singular, the version alone. */
static void
learned(const RlrecModel *model, RlrecLearned *learned)
{
	int			d = DIMENSION(open_items(model).n_features);
	size_t		n = rlrec_linear_numbers(d);
	RlrecLearnedSums *sums = sums_of(model, d, learned, false);
	const double *version = rlrec_model_data(model, "statistics", RLREC_F64, n);
	double	   *statistics;

	if (sums == NULL)
		return;
	statistics = palloc_extended(n * sizeof(double), MCXT_ALLOC_HUGE);
	for (size_t i = 0; i < n; i++)
		statistics[i] = version[i] + sums->sum[i];
	if (!fit_statistics(d, statistics, *(const double *) rlrec_model_data(model, "lambda", RLREC_F64, 1), sums->made))
		memcpy(sums->made, rlrec_model_data(model, "linear", RLREC_F64, LINEAR_NUMBERS(d)), LINEAR_NUMBERS(d) * sizeof(double));
	pfree(statistics);
}

static Linear
linear_of(const RlrecModel *model, int d, RlrecLearned *learned)
{
	const double *numbers = learned ? learned->made(learned, model->learner->name, (int) LINEAR_NUMBERS(d)) : NULL;

	if (numbers == NULL)
		numbers = rlrec_model_data(model, "linear", RLREC_F64, LINEAR_NUMBERS(d));
	return (Linear) {numbers[0], numbers + 1, numbers + 1 + d};
}

/* ---------------------------------------------------------------- scores */

static Profile
profile_of(const Items *items, const RlrecHistory *history)
{
	Profile		profile = make_profile(items);

	for (int32 i = 0; i < history->n; i++)
		add_to_profile(items, history->item[i], history->reward[i], &profile);
	return profile;
}

static bool
score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	Items		items = open_items(model);
	const double *theta = linear_of(model, DIMENSION(items.n_features), history->learned).theta;
	Profile		profile = profile_of(&items, history);
	double		scale = profile_scale(&profile);
	double	   *worth = profile.sum;		/* of a feature to this user, in its place */

	for (int32 f = 0; f < items.n_features; f++)
		worth[f] = theta[FEATURES + f] + theta[FEATURES + items.n_features + f] * scale * profile.sum[f];
	for (int32 item = 0; item < items.n_items; item++)
	{
		double		sum = theta[ONE] + theta[POPULARITY] * items.popularity[item];

		if ((item & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int32 i = items.start[item]; i < items.start[item + 1]; i++)
			sum += worth[items.feature[i]] * items.value[i];
		scores[item] = (float) sum;
	}
	pfree(profile.sum);
	return true;
}

static void
uncertainty(const RlrecModel *model, const RlrecHistory *history, int32 n, const int32 *item, float *error)
{
	Items		items = open_items(model);
	int			d = DIMENSION(items.n_features);
	Linear		linear = linear_of(model, d, history->learned);
	Profile		profile = profile_of(&items, history);
	Description description = make_description(&items);
	double	   *x = palloc(d * sizeof(double));
	double	   *scratch = palloc(d * sizeof(double));

	for (int32 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		describe_pair(&items, &profile, item[i], &description);
		memset(x, 0, d * sizeof(double));
		for (int j = 0; j < description.n; j++)
			x[description.place[j]] = description.x[j];
		error[i] = (float) (linear.noise * rlrec_linear_deviation(d, linear.factor, x, scratch));
	}
	pfree(profile.sum);
	pfree(description.place);
	pfree(description.x);
	pfree(x);
	pfree(scratch);
}

static void
describe(const RlrecModel *model, StringInfo json)
{
	int			n_features = open_items(model).n_features;

	appendStringInfo(json, ", \"features\": %d, \"noise\": %g", n_features, linear_of(model, DIMENSION(n_features), NULL).noise);
}

const RlrecLearner rlrec_linucb = {
	.name = "linucb",
	.summary = "a linear model of rewards by the features of items and users' profiles, explored by upper confidence bounds",
	.options = options,
	.obstacle = obstacle,
	.fit = fit_linear,
	.learn = learn,
	.learned = learned,
	.score = score,
	.when_named = true,
	.describe = describe,
	.uncertainty = uncertainty,
	.explore = "ucb"
};

const RlrecLearner rlrec_lints = {
	.name = "lints",
	.summary = "the same, explored by Thompson sampling",
	.options = options,
	.obstacle = obstacle,
	.fit = fit_linear,
	.learn = learn,
	.learned = learned,
	.score = score,
	.when_named = true,
	.describe = describe,
	.uncertainty = uncertainty,
	.explore = "thompson"
};
