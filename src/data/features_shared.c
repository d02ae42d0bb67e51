/*
 * features_shared.c
 *	  What items have in common, in words: tokens by how many items have them, and of each column of numbers the narrowest range that
 *	  holds three quarters of the items that have one.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "data/feature_builder.h"
#include "data/features_shared.h"
#include "data/intern.h"
#include "lib/stringinfo.h"
#include "utils/datetime.h"

#define MOST 5

/* Something that `count` items have. */
typedef struct Trait
{
	const char *column;
	int			count;
	char	   *text;
} Trait;

/* The MOST traits with the highest counts, of equal ones those that came first */
typedef struct Traits
{
	int			items;			/* distinct */
	int			n;
	Trait		trait[MOST];
} Traits;

/* text stays the caller's until it is known to be needed. */
static void
add_trait(Traits *traits, const char *column, int count, const char *text, int length)
{
	int			at = traits->n;

	if (count < 2 || 2 * count < traits->items || (at == MOST && count <= traits->trait[MOST - 1].count))
		return;
	if (at == MOST)
		at--;
	else
		traits->n++;
	for (; at > 0 && traits->trait[at - 1].count < count; at--)
		traits->trait[at] = traits->trait[at - 1];
	traits->trait[at] = (Trait) {column, count, pnstrdup(text, length)};
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static char *
number_text(Oid type, double number)
{
	if (type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID)
	{
		int			year;
		int			month;
		int			day;

		j2date((int) floor(number / SECS_PER_DAY) + UNIX_EPOCH_JDATE, &year, &month, &day);
		return psprintf("%04d-%02d-%02d", year, month, day);
	}
	return psprintf(number == floor(number) && fabs(number) < 1e15 ? "%.0f%s" : "%g%s", number, type == INTERVALOID ? " s" : "");
}

static void
add_range(Traits *traits, const RlrecFeatureColumn *column, int64 n, const double *numbers)
{
	int64		width = Max((3 * n + 3) / 4, Max(2, (traits->items + 1) / 2));
	double	   *sorted;
	int64		best = 0;
	int64		first = 0;
	int64		last = n - 1;
	char	   *text;

	if (width > n)
		return;
	sorted = palloc(n * sizeof(double));
	memcpy(sorted, numbers, n * sizeof(double));
	qsort(sorted, n, sizeof(double), compare_doubles);
	for (int64 i = 1; i + width <= n; i++)
		if (sorted[i + width - 1] - sorted[i] < sorted[best + width - 1] - sorted[best])
			best = i;
	while (sorted[first] < sorted[best])
		first++;
	while (sorted[last] > sorted[best + width - 1])
		last--;
	text = number_text(column->type, sorted[first]);
	if (sorted[last] > sorted[first])
		text = psprintf("%s - %s", text, number_text(column->type, sorted[last]));
	/* An item with several rows may have several numbers. */
	add_trait(traits, column->name, (int) Min(last - first + 1, traits->items), text, strlen(text));
}

static void
add_tokens(Traits *traits, const RlrecFeatures *features)
{
	int		   *count = palloc0(Max(features->n_features, 1) * sizeof(int));

	for (int32 i = 0; features->n_features > 0 && i < features->start[features->n_items]; i++)
		count[features->feature[i]]++;
	for (int c = 0; c < features->n_columns; c++)
	{
		const RlrecFeatureColumn *column = &features->column[c];

		if (column->kind == RLREC_FEATURE_NUMBER || column->kind == RLREC_FEATURE_VECTOR)
			continue;
		for (int32 f = column->first; f < features->column[c + 1].first && f < features->n_features; f++)
			add_trait(traits, column->name, count[f], features->bytes + features->label[f],
					  (int) (features->label[f + 1] - features->label[f]));
	}
}

/* A column's traits stand together, where its first one comes. */
static char *
phrase(const Traits *traits)
{
	bool		written[MOST] = {false};
	StringInfoData text;

	if (traits->n == 0)
		return NULL;
	initStringInfo(&text);
	for (int i = 0; i < traits->n; i++)
	{
		if (written[i])
			continue;
		appendStringInfo(&text, "%s%s: ", i > 0 ? "; " : "", traits->trait[i].column);
		for (int j = i; j < traits->n; j++)
		{
			const Trait *trait = &traits->trait[j];

			if (strcmp(trait->column, traits->trait[i].column) != 0)
				continue;
			appendStringInfo(&text, "%s%s (%d of %d)", j > i ? ", " : "", trait->text, trait->count, traits->items);
			written[j] = true;
		}
	}
	return text.data;
}

char *
rlrec_features_shared(Oid items, const char *id_column, int n, const char *const *ids)
{
	RlrecIntern *intern = rlrec_intern_create();
	RlrecDictionary dictionary;
	RlrecFeatureBuilder *builder;
	const RlrecFeatureColumn *columns;
	int			n_columns;
	int32	   *rank;
	Traits		traits = {0};

	for (int i = 0; i < n; i++)
		rlrec_intern_add(intern, ids[i], strlen(ids[i]));
	dictionary = rlrec_intern_finish(intern, &rank);
	traits.items = dictionary.n;
	builder = rlrec_features_collect(items, id_column, &dictionary, true);
	n_columns = rlrec_feature_builder_columns(builder, &columns);
	for (int c = 0; c < n_columns; c++)
	{
		int64		n_numbers;
		const double *numbers = rlrec_feature_builder_numbers(builder, c, &n_numbers);

		if (numbers != NULL)
			add_range(&traits, &columns[c], n_numbers, numbers);
	}
	add_tokens(&traits, rlrec_feature_builder_finish(builder));
	return phrase(&traits);
}
