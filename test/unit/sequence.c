/*
 * sequence.c
 *	  How often a bound that is looked at again and again is wrong, and how soon it is right; the same of the test for a drop.
 *
 * Prints the Test Anything Protocol.
 */
#include "postgres.h"

#include <stdlib.h>

#include "evaluate/sequence.h"
#include "tensor/random.h"

#undef printf
#undef snprintf

#define RUNS 500
#define DECISIONS 4000
#define LOOK_EVERY 50
#define ALPHA 0.05

static int	tests = 0;
static int	failures = 0;

void *
palloc0(Size size)
{
	return calloc(1, size);
}

void
pfree(void *pointer)
{
	free(pointer);
}

static void
check(bool good, const char *what, double figure)
{
	tests++;
	failures += !good;
	printf("%s %d - %s (%.4g)\n", good ? "ok" : "not ok", tests, what, figure);
}

/* ---------------------------------------------------------------- logs */

/* A log of decisions: how much more the candidate is estimated to earn by each, and whose it was. */
typedef struct Log
{
	double		value[DECISIONS];
	double		least;			/* that a value can be; of normal ones about that */
	int32		user[DECISIONS];
	int32		users;
} Log;

typedef void (*LogMaker) (uint64 key, double gain, Log *log);

/* Each decision is another user's; uniform logging over ten items, of which incumbent and candidate show one each. */
static void
make_uniform(uint64 key, double gain, Log *log)
{
	for (int i = 0; i < DECISIONS; i++)
	{
		uint32		item = rlrec_random_below(key, 2 * i, 10);
		bool		click = rlrec_random_uniform(key, 2 * i + 1) < 0.1 + (item == 0 ? gain : 0);

		log->user[i] = i;
		log->value[i] = 10.0 * click * ((item == 0) - (item == 1));
	}
	log->least = -10;
	log->users = DECISIONS;
}

/* The incumbent logs and explores a tenth of the time: weights of 91 on few rows, so that the values are very skewed. */
static void
make_greedy(uint64 key, double gain, Log *log)
{
	for (int i = 0; i < DECISIONS; i++)
	{
		bool		explores = rlrec_random_uniform(key, 3 * i) < 0.1;
		uint32		item = explores ? rlrec_random_below(key, 3 * i + 1, 10) : 1;
		bool		click = rlrec_random_uniform(key, 3 * i + 2) < 0.2 + (item == 0 ? gain : 0);
		double		weight = item == 0 ? 0.91 / 0.01 : item == 1 ? 0.01 / 0.91 : 1;

		log->user[i] = i % 2000;
		log->value[i] = click * (weight - 1);
	}
	log->least = -1;
	log->users = 2000;
}

/* The same with rewards of 1 and of -0.5, and three times as much exploration */
static void
make_disliked(uint64 key, double gain, Log *log)
{
	for (int i = 0; i < DECISIONS; i++)
	{
		bool		explores = rlrec_random_uniform(key, 3 * i) < 0.3;
		uint32		item = explores ? rlrec_random_below(key, 3 * i + 1, 10) : 1;
		double		u = rlrec_random_uniform(key, 3 * i + 2);
		double		reward = u < 0.05 ? -0.5 : u > 0.8 - (item == 0 ? gain : 0) ? 1 : 0;
		double		weight = item == 0 ? 0.73 / 0.03 : item == 1 ? 0.03 / 0.73 : 1;

		log->user[i] = i % 2000;
		log->value[i] = (reward + 0.5) * (weight - 1);
	}
	log->least = -1.5;
	log->users = 2000;
}

/* 100 users who are there all the time, and of whom each prefers one or the other. */
static void
make_lasting(uint64 key, double gain, Log *log)
{
	for (int i = 0; i < DECISIONS; i++)
	{
		log->user[i] = i % 100;
		log->value[i] = gain + rlrec_random_normal(key, i) + rlrec_random_normal(key + 1, i % 100);
	}
	log->least = -4;
	log->users = 100;
}

/* Users who come one after the other, with 1 to 20 decisions each, and go. */
static void
make_passing(uint64 key, double gain, Log *log)
{
	int			left = 0;

	log->users = -1;
	for (int i = 0; i < DECISIONS; i++)
	{
		if (left-- == 0)
		{
			log->users++;
			left = (int) rlrec_random_below(key + 2, i, 20);
		}
		log->user[i] = log->users;
		log->value[i] = gain + rlrec_random_normal(key, i) + rlrec_random_normal(key + 1, log->users);
	}
	log->least = -4;
	log->users++;
}

/* One decision in 500 loses as much as all others earn together, which earn alike, or nearly so. */
static void
make_lucky(uint64 key, double gain, double spread, Log *log)
{
	for (int i = 0; i < DECISIONS; i++)
	{
		log->user[i] = i;
		log->value[i] = rlrec_random_uniform(key, 2 * i) < 0.002 ? -1 :
			gain + 0.002 / 0.998 * (1 + spread * (rlrec_random_uniform(key, 2 * i + 1) - 0.5));
	}
	log->least = -1;
	log->users = DECISIONS;
}

static void
make_equal(uint64 key, double gain, Log *log)
{
	make_lucky(key, gain, 0, log);
}

static void
make_rare_loss(uint64 key, double gain, Log *log)
{
	make_lucky(key, gain, 2, log);
}

/* ---------------------------------------------------------------- the bound */

typedef double (*Bound) (const Log *log, int n);

static double
lower_bound(const Log *log, int n)
{
	return rlrec_sequence_lower(n, log->value, log->user, log->users, log->least, ALPHA);
}

/* Without what could be lost */
static double
careless_bound(const Log *log, int n)
{
	RlrecClusteredMean mean = rlrec_clustered_mean(n, log->value, log->user, log->users);

	return mean.mean - rlrec_sequence_width(mean.n, mean.clusters, mean.clustered, mean.independent, ALPHA);
}

/* That of a single look */
static double
naive_bound(const Log *log, int n)
{
	RlrecClusteredMean mean = rlrec_clustered_mean(n, log->value, log->user, log->users);

	return mean.clusters < RLREC_LEAST_CLUSTERS ? -INFINITY : mean.mean - 1.645 * sqrt(mean.clustered);
}

/* The number of decisions after which a look first finds a gain, 0 for never. */
static int
first_found(const Log *log, Bound bound)
{
	for (int n = LOOK_EVERY; n <= DECISIONS; n += LOOK_EVERY)
		if (bound(log, n) > 0)
			return n;
	return 0;
}

/* The share of runs that find a gain within so many decisions. */
static double
share_found(LogMaker make, double gain, Bound bound, int within)
{
	static Log	log;
	int			found = 0;

	for (int run = 0; run < RUNS; run++)
	{
		int			n;

		make(rlrec_random_key(1000, run), gain, &log);
		n = first_found(&log, bound);
		found += n > 0 && n <= within;
	}
	return (double) found / RUNS;
}

/*
 * The share of experiments in which a look finds a difference: users come one after the other, a tenth of them to the control,
 * with 1 to 5 decisions each, of which few earn something.
 */
static double
share_found_between_arms(double click, double gain)
{
	static double value[2][DECISIONS];
	static int32 user[2][DECISIONS];
	int			found = 0;

	for (int run = 0; run < RUNS; run++)
	{
		uint64		key = rlrec_random_key(2000, run);
		int			n[2] = {0, 0};
		int			users = -1;
		int			left = 0;
		bool		differs = false;

		for (int i = 0, arm = 0; i < DECISIONS && !differs; i++)
		{
			if (left-- == 0)
			{
				users++;
				arm = rlrec_random_uniform(key, 4 * i) < 0.9;
				left = (int) rlrec_random_below(key, 4 * i + 1, 5);
			}
			user[arm][n[arm]] = users;
			value[arm][n[arm]++] = rlrec_random_uniform(key, 4 * i + 2) < click + arm * gain;
			if (i % LOOK_EVERY == LOOK_EVERY - 1)
			{
				RlrecClusteredMean a = rlrec_clustered_mean(n[0], value[0], user[0], users + 1);
				RlrecClusteredMean b = rlrec_clustered_mean(n[1], value[1], user[1], users + 1);

				differs = fabs(a.mean - b.mean) > rlrec_sequence_difference_width(&a, &b, ALPHA / 2);
			}
		}
		found += differs;
	}
	return (double) found / RUNS;
}

static void
test_bound(void)
{
	static const struct
	{
		const char *name;
		LogMaker	make;
		double		gain;
		int			within;
	}			logs[] = {
		{"uniform logging", make_uniform, 0.2, 2000},
		{"skewed weights", make_greedy, 0.6, 4000},
		{"negative rewards", make_disliked, 0.75, 4000},
		{"lasting users", make_lasting, 0.7, 4000},
		{"passing users", make_passing, 0.5, 2000},
		{"equal values", make_equal, 0.01, 2000},
		{"a rare loss", make_rare_loss, 0.01, 2000},
	};

	for (int i = 0; i < (int) lengthof(logs); i++)
	{
		char		what[100];
		double		share = share_found(logs[i].make, 0, lower_bound, DECISIONS);

		snprintf(what, sizeof(what), "%s: no gain is found where there is none, in all but 5 %% of 80 looks", logs[i].name);
		check(share <= ALPHA, what, share);
		share = share_found(logs[i].make, logs[i].gain, lower_bound, logs[i].within);
		snprintf(what, sizeof(what), "%s: a gain of %.3g is found within %d decisions", logs[i].name, logs[i].gain, logs[i].within);
		check(share >= 0.9, what, share);
	}
	for (double click = 0.1; click > 0.0001; click /= 10)
	{
		double		share = share_found_between_arms(click, 0);

		check(share <= ALPHA, "two arms: no difference is found where there is none", share);
	}
	check(share_found_between_arms(0.1, 0.2) >= 0.9, "one of 0.2 is", share_found_between_arms(0.1, 0.2));
	check(share_found(make_uniform, 0, naive_bound, DECISIONS) > 0.15, "the bound of a single look finds gains where there are none",
		  share_found(make_uniform, 0, naive_bound, DECISIONS));
	check(share_found(make_rare_loss, 0, careless_bound, DECISIONS) > 0.5, "without what could be lost a rare loss would be found too late",
		  share_found(make_rare_loss, 0, careless_bound, DECISIONS));
}

static void
test_formula(void)
{
	/* rho^2 = (2 log 20 + log(2 log 20) + 1) / 1000, t = 500, s = 2 */
	double		rho2 = (2 * log(20) + log(2 * log(20)) + 1) / 1000;
	double		width = 2 * sqrt(2 * (500 * rho2 + 1) / (500.0 * 500 * rho2) * log(1 + sqrt(500 * rho2 + 1) / 0.1));
	const double value[] = {1, 2, 3, 6};
	const int32 user[] = {0, 0, 2, 2};
	RlrecClusteredMean mean = rlrec_clustered_mean(4, value, user, 3);

	check(fabs(rlrec_sequence_width(500, 100, 4.0 / 500, 4.0 / 500, 0.05) - width) < 1e-12, "the bound is the formula", width);
	check(rlrec_sequence_width(500, 29, 4.0 / 500, 4.0 / 500, 0.05) > 1e300, "with 29 users there is none", 29);
	check(rlrec_sequence_width(500, 100, 1.0 / 500, 4.0 / 500, 0.05) == rlrec_sequence_width(500, 100, 4.0 / 500, 4.0 / 500, 0.05),
		  "variance that clusters take away does not count", 0);
	/* residuals -2 -1 0 3: clusters -3 and 3, so 18 * 2 / 16, and 14 / 16 */
	check(mean.mean == 3 && mean.clusters == 2 && fabs(mean.clustered - 2.25) < 1e-12 && fabs(mean.independent - 0.875) < 1e-12,
		  "mean and variances are those by hand", mean.clustered);
}

/* 30 users with two equal values each; one more would have lost 1 twice. */
static void
test_lower(void)
{
	double		value[62];
	int32		user[62];
	double		lower;
	RlrecClusteredMean equal,
				with_loss;

	for (int i = 0; i < 62; i++)
	{
		value[i] = i < 60 ? 0.1 : -1;
		user[i] = i / 2;
	}
	equal = rlrec_clustered_mean(60, value, user, 30);
	with_loss = rlrec_clustered_mean(62, value, user, 31);
	lower = rlrec_sequence_lower(60, value, user, 30, -1, 0.05);
	check(equal.mean == 0.1 && equal.clustered == 0 && isinf(rlrec_sequence_width(60, 30, equal.clustered, equal.independent, 0.05)),
		  "equal values have no bound", equal.clustered);
	check(fabs(lower - with_loss.mean + rlrec_sequence_width(62, 31, with_loss.clustered, with_loss.independent, 0.05)) < 1e-12,
		  "the lower bound is that with a user more who loses all", lower);
	check(lower < 0, "so that 30 lucky users prove nothing", lower);
	check(isinf(rlrec_sequence_lower(60, value, user, 30, 0.1, 0.05)), "nor do those who could not lose", 0);
	check(isinf(rlrec_sequence_lower(58, value, user, 30, -1, 0.05)), "29 users are too few, also with the one more", 0);
}

/* ---------------------------------------------------------------- the test for a drop */

/* Rewards until an alarm, at most 20,000 */
static int
until_alarm(uint64 key, double mean, double tolerance, double threshold)
{
	RlrecPage test = {0};

	for (int i = 0; i < 20000; i++)
	{
		rlrec_page_add(&test, mean + rlrec_random_normal(key, i), tolerance);
		if (test.most > threshold)
			return i + 1;
	}
	return 20000;
}

/* The same of clicks, when what is expected is what `n` decisions, and as many more as the first click takes, came to. */
static bool
alarms_for_nothing(uint64 key, double click, int n, bool exact)
{
	RlrecPage	test = {0};
	double		clicks = 0;
	double		mean,
				deviation,
				tolerance;
	int			i = 0;

	while (i < n || clicks == 0)
		clicks += rlrec_random_uniform(key, i++) < click;
	mean = clicks / i;
	deviation = sqrt(mean * (1 - mean) * i / (i - 1));
	tolerance = exact ? 0.1 : rlrec_page_tolerance(0.1, i);
	for (int j = 0; j < 20000 && test.most <= 50; j++)
		rlrec_page_add(&test, ((rlrec_random_uniform(key, i + j) < click) - mean) / deviation, tolerance);
	return test.most > 50;
}

static int
false_alarms(double click, int n, bool exact)
{
	int			alarms = 0;

	for (int run = 0; run < 200; run++)
		alarms += alarms_for_nothing(rlrec_random_key(5, run), click, n, exact);
	return alarms;
}

static void
test_reference(void)
{
	for (double click = 0.3; click > 0.0005; click /= 6)
	{
		int			few = false_alarms(click, RLREC_LEAST_REFERENCE, false);
		int			many = false_alarms(click, 3000, false);
		char		what[100];

		snprintf(what, sizeof(what), "of 200 versions that are as good as one of %.2g clicks few give an alarm", click);
		check(few <= 4 && many <= 4, what, Max(few, many));
	}
	check(false_alarms(0.3, 30, true) > 20, "if the mean of 30 decisions were taken as exact many would", false_alarms(0.3, 30, true));
}

static void
test_drop(void)
{
	RlrecPage test = {0};
	const double rewards[] = {-1, -1, 2, -1, -0.5, -0.5, 1};
	double		early = 0,
				delay = 0;

	for (int i = 0; i < (int) lengthof(rewards); i++)
		rlrec_page_add(&test, rewards[i], 0.25);
	/* .75 1.5 0 .75 1 1.25 0 */
	check(fabs(test.most - 1.5) < 1e-12 && test.sum == 0, "Page's statistic is that by hand", test.most);

	/* Siegmund's approximation of the mean time to a false alarm, with tolerance .1 and threshold 50: 1.4 million */
	for (int run = 0; run < 200; run++)
	{
		early += until_alarm(rlrec_random_key(3, run), 0, 0.1, 50) < 20000;
		delay += until_alarm(rlrec_random_key(4, run), -0.6, 0.1, 50);
	}
	check(early <= 8, "within 20,000 rewards few of 200 versions that are as good give an alarm", early);
	check(fabs(delay / 200 - 100) < 5, "a drop of 0.6 deviations does after 50 / (0.6 - 0.1) of them", delay / 200);
}

int
main(void)
{
	test_formula();
	test_lower();
	test_bound();
	test_drop();
	test_reference();
	printf("1..%d\n", tests);
	return failures > 0;
}
