/*
 * feature_builder.c
 *	  From tokens, numbers and vectors of items to a sparse matrix with rows of length 1.
 *
 * A feature is (column, token), (column, bin) or (column, element of a vector). While rows come in, the builder keeps one entry for
 * each (item, feature, value) and, because bins need all of a column's numbers first, the numbers aside. finish() then
 *
 *	1. turns numbers to bins: the knots of a column are its 11 quantiles 0, .1, .. 1, without repetitions; a value between the
 *	   knots a and b becomes (b - v) / (b - a) of bin a and (v - a) / (b - a) of bin b. Near values share bins, far ones are
 *	   orthogonal, and neither a unit nor an outlier can dominate. A column with one knot is constant and says nothing;
 *	2. numbers the features by column, then bytes of the token, bin or element;
 *	3. sorts the entries by (item, feature, value) and sums those of the same item and feature, so that neither the order of the
 *	   rows nor the plan that yields them can change a bit of the result;
 *	4. weighs tokens by TF-IDF, (1 + ln tf) * ln(1 + N / df) (Salton and Buckley 1988, logarithmic tf; the 1 + keeps a token that
 *	   every item has from vanishing), with tf the token's count in the item, df the items that have it, N the items with a row;
 *	5. scales each column's block to length 1, then the row: each column that says something of an item weighs the same.
 *
 * Memory: 12 bytes an entry, 24 a token besides its bytes, 16 a number; finish() adds the 8 bytes an entry of the result.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "common/hashfn.h"
#include "data/feature_builder.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define N_KNOTS 11

/* While rows come in, feature is the index of a token; from step 2 on, of a feature. */
typedef struct Entry
{
	int32		item;
	int32		feature;
	float		value;
} Entry;

/* A feature's name. bytes is NULL for bins and elements, and length then their position in the column. */
typedef struct Token
{
	const char *bytes;
	int32		length;
	int32		column;
	uint32		hash;
} Token;

typedef struct Number
{
	double		value;
	int32		item;
} Number;

typedef struct Column
{
	Number	   *number;
	int64		n_numbers;
	int64		numbers_capacity;
	int32		width;			/* length of its vectors, 0 while there is none */
	int32		first;			/* token of their first element */
} Column;

/* The hash table holds indices of tokens. */
typedef struct Slot
{
	int32		token;
	char		status;
} Slot;

struct token_hash;

struct RlrecFeatureBuilder
{
	MemoryContext context;
	Size		budget;
	int32		n_items;
	int32		n_described;	/* N */
	bool	   *described;		/* [n_items] */
	int			n_columns;
	Column	   *column;			/* [n_columns] */
	Token	   *token;
	int64		n_tokens;
	int64		tokens_capacity;
	Entry	   *entry;
	int64		n_entries;
	int64		entries_capacity;
	struct token_hash *hash;
};

static inline bool token_equal(const Token *a, const Token *b);

#define SH_PREFIX token
#define SH_ELEMENT_TYPE Slot
#define SH_KEY_TYPE int32
#define SH_KEY token
#define SH_HASH_KEY(tb, key) (((RlrecFeatureBuilder *) (tb)->private_data)->token[key].hash)
#define SH_EQUAL(tb, a, b) \
	token_equal(&((RlrecFeatureBuilder *) (tb)->private_data)->token[a], &((RlrecFeatureBuilder *) (tb)->private_data)->token[b])
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static inline int token_compare(const int32 *a, const int32 *b, const Token *token);
static inline int entry_compare(const Entry *a, const Entry *b);
static inline int number_compare(const Number *a, const Number *b);

#define ST_SORT sort_tokens
#define ST_ELEMENT_TYPE int32
#define ST_COMPARE_ARG_TYPE const Token
#define ST_COMPARE(a, b, token) token_compare(a, b, token)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_entries
#define ST_ELEMENT_TYPE Entry
#define ST_COMPARE(a, b) entry_compare(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_numbers
#define ST_ELEMENT_TYPE Number
#define ST_COMPARE(a, b) number_compare(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

static inline bool
token_equal(const Token *a, const Token *b)
{
	return a->hash == b->hash && a->column == b->column && a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static inline int
token_compare(const int32 *a, const int32 *b, const Token *token)
{
	const Token *x = &token[*a];
	const Token *y = &token[*b];
	int			order = 0;

	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	if (x->bytes != NULL)
		order = memcmp(x->bytes, y->bytes, Min(x->length, y->length));
	if (order == 0)
		order = (x->length > y->length) - (x->length < y->length);
	return order;
}

static inline int
entry_compare(const Entry *a, const Entry *b)
{
	if (a->item != b->item)
		return a->item < b->item ? -1 : 1;
	if (a->feature != b->feature)
		return a->feature < b->feature ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

static inline int
number_compare(const Number *a, const Number *b)
{
	return (a->value > b->value) - (a->value < b->value);
}

static void
check_budget(RlrecFeatureBuilder *builder, Size more)
{
	if (add_size(MemoryContextMemAllocated(builder->context, true), more) > builder->budget)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("the features of the items need more than maintenance_work_mem"),
				 errdetail("%lld values of %d items were read into %zu kB.", (long long) builder->n_entries, builder->n_described,
						   builder->budget / 1024),
				 errhint("Raise maintenance_work_mem, or give the agent a view of the items with fewer or shorter columns.")));
}

/* Room for one element more at array[n], by half more of them. */
static void *
reserve(RlrecFeatureBuilder *builder, void *array, int64 n, int64 *capacity, Size size)
{
	int64		larger = *capacity + *capacity / 2 + 64;

	if (n < *capacity)
		return array;
	if (n >= INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the items have more than %d features", INT32_MAX),
				 errhint("Give the agent a view of the items with fewer or shorter columns.")));
	check_budget(builder, mul_size(larger - *capacity, size));
	*capacity = larger;
	if (array == NULL)
		return MemoryContextAllocHuge(builder->context, mul_size(larger, size));
	return repalloc_huge(array, mul_size(larger, size));
}

static void
add_entry(RlrecFeatureBuilder *builder, int32 item, int32 token, float value)
{
	Entry	   *entry;

	builder->entry = reserve(builder, builder->entry, builder->n_entries, &builder->entries_capacity, sizeof(Entry));
	entry = &builder->entry[builder->n_entries++];
	entry->item = item;
	entry->feature = token;
	entry->value = value;
}

/* A new token, not in the hash table. bytes stay the caller's. */
static int32
push_token(RlrecFeatureBuilder *builder, int column, const char *bytes, int32 length)
{
	Token	   *token;

	builder->token = reserve(builder, builder->token, builder->n_tokens, &builder->tokens_capacity, sizeof(Token));
	token = &builder->token[builder->n_tokens];
	token->bytes = bytes;
	token->length = length;
	token->column = column;
	token->hash = 0;
	return builder->n_tokens++;
}

RlrecFeatureBuilder *
rlrec_feature_builder_create(int32 n_items, int n_columns, Size budget)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec features", ALLOCSET_DEFAULT_SIZES);
	RlrecFeatureBuilder *builder = MemoryContextAllocZero(context, sizeof(RlrecFeatureBuilder));

	builder->context = context;
	builder->budget = budget;
	builder->n_items = n_items;
	builder->n_columns = n_columns;
	builder->described = MemoryContextAllocExtended(context, Max(n_items, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	builder->column = MemoryContextAllocZero(context, Max(n_columns, 1) * sizeof(Column));
	builder->hash = token_create(context, 1024, builder);
	return builder;
}

void
rlrec_feature_builder_add_item(RlrecFeatureBuilder *builder, int32 item)
{
	check_budget(builder, 0);
	if (!builder->described[item])
		builder->n_described++;
	builder->described[item] = true;
}

void
rlrec_feature_builder_add_token(RlrecFeatureBuilder *builder, int column, int32 item, const char *bytes, int32 length, int32 count)
{
	int32		candidate = push_token(builder, column, bytes, length);
	Slot	   *slot;
	bool		found;

	builder->token[candidate].hash = hash_combine(hash_bytes((const unsigned char *) bytes, length), murmurhash32(column));
	slot = token_insert(builder->hash, candidate, &found);
	if (found)
		builder->n_tokens--;
	else
	{
		char	   *copy = MemoryContextAllocHuge(builder->context, Max(length, 1));

		memcpy(copy, bytes, length);
		builder->token[candidate].bytes = copy;
	}
	add_entry(builder, item, slot->token, (float) count);
}

void
rlrec_feature_builder_add_number(RlrecFeatureBuilder *builder, int column, int32 item, double value)
{
	Column	   *c = &builder->column[column];
	Number	   *number;

	c->number = reserve(builder, c->number, c->n_numbers, &c->numbers_capacity, sizeof(Number));
	number = &c->number[c->n_numbers++];
	number->value = value;
	number->item = item;
}

int32
rlrec_feature_builder_add_vector(RlrecFeatureBuilder *builder, int column, int32 item, int32 n, const double *values)
{
	Column	   *c = &builder->column[column];

	if (c->width == 0)
	{
		c->width = n;
		c->first = builder->n_tokens;
		for (int i = 0; i < n; i++)
			push_token(builder, column, NULL, i);
	}
	if (n == c->width)
	{
		for (int i = 0; i < n; i++)
			if ((float) values[i] != 0)
				add_entry(builder, item, c->first + i, (float) values[i]);
	}
	return c->width;
}

/* The distinct quantiles of n > 0 ascending numbers, by the nearest rank below; returns how many. */
static int
find_knots(const Number *number, int64 n, double *knots)
{
	int			n_knots = 0;

	for (int i = 0; i < N_KNOTS; i++)
	{
		double		value = number[(n - 1) * i / (N_KNOTS - 1)].value;

		if (n_knots == 0 || value > knots[n_knots - 1])
			knots[n_knots++] = value;
	}
	return n_knots;
}

static void
bin_numbers(RlrecFeatureBuilder *builder, int column)
{
	Column	   *c = &builder->column[column];
	double		knots[N_KNOTS];
	int			n_knots;
	int			low = 0;
	int32		first = builder->n_tokens;

	if (c->n_numbers == 0)
		return;
	sort_numbers(c->number, c->n_numbers);
	n_knots = find_knots(c->number, c->n_numbers, knots);
	if (n_knots > 1)
	{
		for (int i = 0; i < n_knots; i++)
			push_token(builder, column, NULL, i);
		for (int64 i = 0; i < c->n_numbers; i++)
		{
			double		value = c->number[i].value;
			double		share;

			if ((i & 0xFFFF) == 0)
				CHECK_FOR_INTERRUPTS();
			while (low < n_knots - 2 && value > knots[low + 1])
				low++;
			/* Halves, because the difference of two doubles may not be one. */
			share = (value / 2 - knots[low] / 2) / (knots[low + 1] / 2 - knots[low] / 2);
			if (share < 1)
				add_entry(builder, c->number[i].item, first + low, (float) (1 - share));
			if (share > 0)
				add_entry(builder, c->number[i].item, first + low + 1, (float) share);
		}
	}
	pfree(c->number);
	c->number = NULL;
}

/* Numbers the features; returns their tokens in order. */
static int32 *
order_features(RlrecFeatureBuilder *builder)
{
	int32		n = builder->n_tokens;
	int32	   *order;
	int32	   *rank;

	check_budget(builder, mul_size(2 * sizeof(int32), n));
	order = MemoryContextAllocHuge(builder->context, mul_size(sizeof(int32), Max(n, 1)));
	rank = MemoryContextAllocHuge(builder->context, mul_size(sizeof(int32), Max(n, 1)));
	for (int32 i = 0; i < n; i++)
		order[i] = i;
	sort_tokens(order, n, builder->token);
	for (int32 i = 0; i < n; i++)
		rank[order[i]] = i;
	for (int64 i = 0; i < builder->n_entries; i++)
	{
		if ((i & 0xFFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		builder->entry[i].feature = rank[builder->entry[i].feature];
	}
	pfree(rank);
	return order;
}

/* Sums the sorted entries of the same item and feature, in place. */
static void
merge_entries(RlrecFeatureBuilder *builder)
{
	Entry	   *entry = builder->entry;
	int64		n = builder->n_entries;
	int64		kept = 0;

	for (int64 i = 0, next; i < n; i = next)
	{
		double		sum = 0;

		if ((kept & 0xFFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		for (next = i; next < n && entry[next].item == entry[i].item && entry[next].feature == entry[i].feature; next++)
			sum += entry[next].value;
		if (sum != 0)
		{
			entry[kept].item = entry[i].item;
			entry[kept].feature = entry[i].feature;
			entry[kept].value = (float) Max(-FLT_MAX, Min(FLT_MAX, sum));
			kept++;
		}
	}
	builder->n_entries = kept;
}

/* Steps 4 and 5 for the n entries of an item. feature_token[] is the token of a feature, df[] the items that have it. */
static void
scale_row(RlrecFeatureBuilder *builder, Entry *row, int64 n, const int32 *feature_token, const int32 *df)
{
	int			n_blocks = 0;

	for (int64 i = 0, next; i < n; i = next)
	{
		int32		column = builder->token[feature_token[row[i].feature]].column;
		double		square = 0;

		for (next = i; next < n && builder->token[feature_token[row[next].feature]].column == column; next++)
		{
			if (builder->token[feature_token[row[next].feature]].bytes != NULL)
				row[next].value = (float) ((1 + log(row[next].value)) *
										   log(1 + (double) builder->n_described / df[row[next].feature]));
			square += (double) row[next].value * row[next].value;
		}
		for (int64 j = i; j < next; j++)
			row[j].value = (float) (row[j].value / sqrt(square));
		n_blocks++;
	}
	for (int64 i = 0; i < n; i++)
		row[i].value = (float) (row[i].value / sqrt(n_blocks));
}

RlrecFeatures *
rlrec_feature_builder_finish(RlrecFeatureBuilder *builder)
{
	RlrecFeatures *features = palloc0(sizeof(RlrecFeatures));
	int32	   *start = MemoryContextAllocExtended(CurrentMemoryContext, mul_size(sizeof(int32), (Size) builder->n_items + 1),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int32	   *feature;
	float	   *value;
	int32	   *feature_token;
	int32	   *df;
	int64		n = 0;

	for (int column = 0; column < builder->n_columns; column++)
		bin_numbers(builder, column);
	feature_token = order_features(builder);
	sort_entries(builder->entry, builder->n_entries);
	merge_entries(builder);

	check_budget(builder, mul_size(sizeof(int32) + sizeof(float), builder->n_entries));
	feature = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(int32), Max(builder->n_entries, 1)));
	value = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(float), Max(builder->n_entries, 1)));
	df = MemoryContextAllocExtended(builder->context, mul_size(sizeof(int32), Max(builder->n_tokens, 1)),
									MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int64 i = 0; i < builder->n_entries; i++)
		df[builder->entry[i].feature]++;

	for (int32 item = 0; item < builder->n_items; item++)
	{
		int64		first = n;

		if ((item & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		while (n < builder->n_entries && builder->entry[n].item == item)
			n++;
		if (n > first)
			scale_row(builder, &builder->entry[first], n - first, feature_token, df);
		for (int64 i = first; i < n; i++)
		{
			feature[i] = builder->entry[i].feature;
			value[i] = builder->entry[i].value;
		}
		start[item + 1] = n;
	}

	features->n_items = builder->n_items;
	features->n_features = n > 0 ? builder->n_tokens : 0;
	features->start = start;
	features->feature = feature;
	features->value = value;
	MemoryContextDelete(builder->context);
	return features;
}
