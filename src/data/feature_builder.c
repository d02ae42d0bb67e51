/*
 * feature_builder.c
 *	  From tokens, numbers and vectors of items to a sparse matrix with rows of length 1.
 *
 * A feature is (column, token), (column, bin) or (column, element of a vector). While rows come in, the builder keeps an entry for
 * each value, in the order of the rows, and the numbers of a column besides, because bins need all of them first. finish() then
 *
 *	1. finds the knots of each column of numbers, its 11 quantiles 0, .1, .. 1 without repetitions, or fewer, so that there are two
 *	   distinct values a bin: a value v between the knots a and b will be (b - v) / (b - a) of bin a and (v - a) / (b - a) of bin
 *	   b. Near values share bins, far ones are orthogonal, and neither a unit nor an outlier can dominate. A column with one knot
 *	   is constant and says nothing;
 *	2. numbers the features by column, then bytes of the token, bin or element;
 *	3. for each item sorts the entries of its rows by (feature, value) and sums those of the same feature, so that neither the order
 *	   of the rows nor the plan that yields them can change a bit of the result;
 *	4. weighs tokens by TF-IDF, (1 + ln tf) * ln(1 + N / df) (Salton and Buckley 1988, logarithmic tf; the 1 + keeps a token that
 *	   every item has from vanishing), with tf the token's count in the item, df the items that have it, N the items with a row;
 *	5. scales each column's block to length 1, then the row: each column that says something of an item weighs the same.
 *
 * Memory: 8 bytes a value, 8 more a number, 12 a row, 24 a token besides its bytes; finish() adds the 8 bytes a value of the result, and
 * 8 a token with its bytes for the labels.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "common/hashfn.h"
#include "data/feature_builder.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MAX_KNOTS 11

/* A value of a row: of a token, which counts or measures value; or, where token is negative, number[number] of column -1 - token. */
typedef struct Entry
{
	int32		token;
	union
	{
		float		value;
		int32		number;
	};
} Entry;

typedef struct Row
{
	int32		item;
	int32		first;			/* entries first .. first + n - 1 */
	int32		n;
} Row;

/* What an item has of a feature, before weights. */
typedef struct Amount
{
	int32		feature;
	float		value;
} Amount;

/* A feature's name: bytes first .. first + length - 1, or first is negative for bins and elements, and length their position. */
typedef struct Token
{
	int64		first;
	int32		length;
	int32		column;
	uint32		hash;
} Token;

typedef struct Column
{
	double	   *number;
	int64		n_numbers;
	int64		numbers_capacity;
	double		knot[MAX_KNOTS];	/* ascending */
	int			n_knots;
	int32		width;			/* length of its vectors, 0 while there is none */
	int32		first;			/* token of the first bin or element */
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
	int			n_columns;
	const RlrecFeatureColumn *described;	/* [n_columns] */
	Column	   *column;			/* [n_columns] */
	Row		   *row;
	int64		n_rows;
	int64		rows_capacity;
	Entry	   *entry;
	int64		n_entries;
	int64		entries_capacity;
	Token	   *token;
	int64		n_tokens;
	int64		tokens_capacity;
	char	   *bytes;			/* of tokens */
	int64		n_bytes;
	int64		bytes_capacity;
	struct token_hash *hash;
	/* of finish() */
	int32	   *token_of_feature;	/* [n_tokens] */
	int32	   *feature_of_token;	/* [n_tokens] */
	int32	   *df;				/* [n_tokens] items that have the feature */
	int32		n_described;	/* N */
	Amount	   *amount;			/* of one item */
	int64		n_amounts;
	int64		amounts_capacity;
};

static inline bool token_equal(const RlrecFeatureBuilder *builder, int32 a, int32 b);

#define SH_PREFIX token
#define SH_ELEMENT_TYPE Slot
#define SH_KEY_TYPE int32
#define SH_KEY token
#define SH_HASH_KEY(tb, key) (((RlrecFeatureBuilder *) (tb)->private_data)->token[key].hash)
#define SH_EQUAL(tb, a, b) token_equal((tb)->private_data, a, b)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static inline int token_compare(const int32 *a, const int32 *b, const RlrecFeatureBuilder *builder);
static inline int amount_compare(const Amount *a, const Amount *b);

#define ST_SORT sort_tokens
#define ST_ELEMENT_TYPE int32
#define ST_COMPARE_ARG_TYPE const RlrecFeatureBuilder
#define ST_COMPARE(a, b, builder) token_compare(a, b, builder)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_amounts
#define ST_ELEMENT_TYPE Amount
#define ST_COMPARE(a, b) amount_compare(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_rows
#define ST_ELEMENT_TYPE Row
#define ST_COMPARE(a, b) (((a)->item > (b)->item) - ((a)->item < (b)->item))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_doubles
#define ST_ELEMENT_TYPE double
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

static inline bool
token_equal(const RlrecFeatureBuilder *builder, int32 a, int32 b)
{
	const Token *x = &builder->token[a];
	const Token *y = &builder->token[b];

	return x->hash == y->hash && x->column == y->column && x->length == y->length &&
		memcmp(builder->bytes + x->first, builder->bytes + y->first, x->length) == 0;
}

static inline int
token_compare(const int32 *a, const int32 *b, const RlrecFeatureBuilder *builder)
{
	const Token *x = &builder->token[*a];
	const Token *y = &builder->token[*b];
	int			order = 0;

	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	if (x->first >= 0)
		order = memcmp(builder->bytes + x->first, builder->bytes + y->first, Min(x->length, y->length));
	if (order == 0)
		order = (x->length > y->length) - (x->length < y->length);
	return order;
}

static inline int
amount_compare(const Amount *a, const Amount *b)
{
	if (a->feature != b->feature)
		return a->feature < b->feature ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

static void
check_budget(RlrecFeatureBuilder *builder, Size more)
{
	if (add_size(MemoryContextMemAllocated(builder->context, true), more) > builder->budget)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("the features of the items need more than maintenance_work_mem"),
				 errdetail("%lld values of %lld rows were read.", (long long) builder->n_entries, (long long) builder->n_rows),
				 errhint("Raise maintenance_work_mem, or give the agent a view of the items with fewer or shorter columns.")));
}

static void
report_too_many(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the items have more than %d values of features", INT32_MAX),
			 errhint("Give the agent a view of the items with fewer or shorter columns.")));
}

/* Room for at least n elements, by half more of them. */
static void *
grow(RlrecFeatureBuilder *builder, void *array, int64 n, int64 *capacity, Size size)
{
	int64		larger = Max(*capacity + *capacity / 2 + 64, n);

	if (n <= *capacity)
		return array;
	check_budget(builder, mul_size(larger - *capacity, size));
	*capacity = larger;
	if (array == NULL)
		return MemoryContextAllocHuge(builder->context, mul_size(larger, size));
	return repalloc_huge(array, mul_size(larger, size));
}

/* Room for one element more at array[n], whose index must be an int32. */
static void *
reserve(RlrecFeatureBuilder *builder, void *array, int64 n, int64 *capacity, Size size)
{
	if (n >= INT32_MAX)
		report_too_many();
	return grow(builder, array, n + 1, capacity, size);
}

/* The next entry of the last row. */
static Entry *
push_entry(RlrecFeatureBuilder *builder, int32 token)
{
	Entry	   *entry;

	builder->entry = reserve(builder, builder->entry, builder->n_entries, &builder->entries_capacity, sizeof(Entry));
	entry = &builder->entry[builder->n_entries++];
	entry->token = token;
	builder->row[builder->n_rows - 1].n++;
	return entry;
}

/* A new token, not in the hash table; bytes is NULL for bins and elements. */
static int32
push_token(RlrecFeatureBuilder *builder, int column, const char *bytes, int32 length)
{
	Token	   *token;

	builder->token = reserve(builder, builder->token, builder->n_tokens, &builder->tokens_capacity, sizeof(Token));
	token = &builder->token[builder->n_tokens];
	token->first = -1;
	token->length = length;
	token->column = column;
	token->hash = 0;
	if (bytes != NULL)
	{
		builder->bytes = grow(builder, builder->bytes, builder->n_bytes + length, &builder->bytes_capacity, 1);
		memcpy(builder->bytes + builder->n_bytes, bytes, length);
		token->first = builder->n_bytes;
		token->hash = hash_combine(hash_bytes((const unsigned char *) bytes, length), murmurhash32(column));
		builder->n_bytes += length;
	}
	return builder->n_tokens++;
}

RlrecFeatureBuilder *
rlrec_feature_builder_create(int32 n_items, int n_columns, const RlrecFeatureColumn *columns, Size budget)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec features", ALLOCSET_DEFAULT_SIZES);
	RlrecFeatureBuilder *builder = MemoryContextAllocZero(context, sizeof(RlrecFeatureBuilder));

	builder->context = context;
	builder->budget = budget;
	builder->n_items = n_items;
	builder->n_columns = n_columns;
	builder->described = columns;
	builder->column = MemoryContextAllocZero(context, Max(n_columns, 1) * sizeof(Column));
	builder->hash = token_create(context, 1024, builder);
	return builder;
}

void
rlrec_feature_builder_add_row(RlrecFeatureBuilder *builder, int32 item)
{
	Row		   *row;

	check_budget(builder, 0);
	builder->row = reserve(builder, builder->row, builder->n_rows, &builder->rows_capacity, sizeof(Row));
	row = &builder->row[builder->n_rows++];
	row->item = item;
	row->first = builder->n_entries;
	row->n = 0;
}

void
rlrec_feature_builder_add_token(RlrecFeatureBuilder *builder, int column, const char *bytes, int32 length, int32 count)
{
	int32		candidate = push_token(builder, column, bytes, length);
	Slot	   *slot;
	bool		found;

	slot = token_insert(builder->hash, candidate, &found);
	if (found)
	{
		builder->n_tokens--;
		builder->n_bytes -= length;
	}
	push_entry(builder, slot->token)->value = count;
}

void
rlrec_feature_builder_add_number(RlrecFeatureBuilder *builder, int column, double value)
{
	Column	   *c = &builder->column[column];

	c->number = reserve(builder, c->number, c->n_numbers, &c->numbers_capacity, sizeof(double));
	push_entry(builder, -1 - column)->number = c->n_numbers;
	c->number[c->n_numbers++] = value;
}

int32
rlrec_feature_builder_add_vector(RlrecFeatureBuilder *builder, int column, int32 n, const double *values)
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
				push_entry(builder, c->first + i)->value = values[i];
	}
	return c->width;
}

/* Step 1: the distinct quantiles of a column, by the nearest rank below, and a token for the bin of each. */
static void
find_knots(RlrecFeatureBuilder *builder, int column)
{
	Column	   *c = &builder->column[column];
	Size		size = mul_size(sizeof(double), c->n_numbers);
	double	   *sorted;
	int64		n_distinct = 1;
	int			n_quantiles;

	if (c->n_numbers == 0)
		return;
	check_budget(builder, size);
	sorted = MemoryContextAllocHuge(builder->context, size);
	memcpy(sorted, c->number, size);
	sort_doubles(sorted, c->n_numbers);
	for (int64 i = 1; i < c->n_numbers; i++)
		n_distinct += sorted[i] != sorted[i - 1];
	n_quantiles = Max(2, Min(MAX_KNOTS, (n_distinct + 1) / 2));
	for (int i = 0; i < n_quantiles; i++)
	{
		double		value = sorted[(c->n_numbers - 1) * i / (n_quantiles - 1)];

		if (c->n_knots == 0 || value > c->knot[c->n_knots - 1])
			c->knot[c->n_knots++] = value;
	}
	pfree(sorted);
	c->first = builder->n_tokens;
	for (int i = 0; i < c->n_knots; i++)
		push_token(builder, column, NULL, i);
}

/* Step 2. */
static void
number_features(RlrecFeatureBuilder *builder)
{
	Size		size = mul_size(sizeof(int32), Max(builder->n_tokens, 1));

	check_budget(builder, mul_size(3, size));
	builder->token_of_feature = MemoryContextAllocHuge(builder->context, size);
	builder->feature_of_token = MemoryContextAllocHuge(builder->context, size);
	builder->df = MemoryContextAllocExtended(builder->context, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int32 i = 0; i < builder->n_tokens; i++)
		builder->token_of_feature[i] = i;
	sort_tokens(builder->token_of_feature, builder->n_tokens, builder);
	for (int32 i = 0; i < builder->n_tokens; i++)
		builder->feature_of_token[builder->token_of_feature[i]] = i;
}

static void
push_amount(RlrecFeatureBuilder *builder, int32 token, float value)
{
	Amount	   *amount;

	builder->amount = reserve(builder, builder->amount, builder->n_amounts, &builder->amounts_capacity, sizeof(Amount));
	amount = &builder->amount[builder->n_amounts++];
	amount->feature = builder->feature_of_token[token];
	amount->value = value;
}

static void
push_bins(RlrecFeatureBuilder *builder, const Column *c, double value)
{
	int			low = 0;
	double		gap;
	double		share;

	if (c->n_knots < 2)
		return;
	while (low < c->n_knots - 2 && value > c->knot[low + 1])
		low++;
	/* Halves, because the difference of two doubles may not be one. */
	gap = c->knot[low + 1] / 2 - c->knot[low] / 2;
	share = gap > 0 ? (value / 2 - c->knot[low] / 2) / gap : 0;
	push_amount(builder, c->first + low, 1 - share);
	push_amount(builder, c->first + low + 1, share);
}

/* Step 3 for the rows of one item: writes the features it has to feature[] and value[] and returns how many. */
static int64
merge_rows(RlrecFeatureBuilder *builder, const Row *row, int64 n_rows, int32 *feature, float *value)
{
	int64		n = 0;

	builder->n_amounts = 0;
	for (int64 i = 0; i < n_rows; i++)
	{
		for (const Entry *entry = &builder->entry[row[i].first]; entry < &builder->entry[row[i].first + row[i].n]; entry++)
		{
			if (entry->token >= 0)
				push_amount(builder, entry->token, entry->value);
			else
				push_bins(builder, &builder->column[-1 - entry->token],
						  builder->column[-1 - entry->token].number[entry->number]);
		}
	}
	sort_amounts(builder->amount, builder->n_amounts);
	for (int64 i = 0, next; i < builder->n_amounts; i = next)
	{
		double		sum = 0;

		for (next = i; next < builder->n_amounts && builder->amount[next].feature == builder->amount[i].feature; next++)
			sum += builder->amount[next].value;
		if (sum != 0)
		{
			feature[n] = builder->amount[i].feature;
			value[n] = Max(-FLT_MAX, Min(FLT_MAX, sum));
			builder->df[feature[n++]]++;
		}
	}
	return n;
}

/* Steps 4 and 5 for the n features of an item. */
static void
scale_row(const RlrecFeatureBuilder *builder, int64 n, const int32 *feature, float *value)
{
	int			n_blocks = 0;

	for (int64 i = 0, next; i < n; i = next)
	{
		int32		column = builder->token[builder->token_of_feature[feature[i]]].column;
		double		square = 0;

		for (next = i; next < n; next++)
		{
			const Token *token = &builder->token[builder->token_of_feature[feature[next]]];

			if (token->column != column)
				break;
			if (token->first >= 0)
				value[next] = (1 + log(value[next])) * log(1 + (double) builder->n_described / builder->df[feature[next]]);
			square += (double) value[next] * value[next];
		}
		for (int64 j = i; j < next; j++)
			value[j] /= sqrt(square);
		n_blocks++;
	}
	for (int64 i = 0; i < n; i++)
		value[i] /= sqrt(n_blocks);
}

int
rlrec_feature_builder_columns(const RlrecFeatureBuilder *builder, const RlrecFeatureColumn **columns)
{
	*columns = builder->described;
	return builder->n_columns;
}

const double *
rlrec_feature_builder_numbers(const RlrecFeatureBuilder *builder, int column, int64 *n)
{
	*n = builder->column[column].n_numbers;
	return builder->column[column].number;
}

/* What merge_rows() can yield at most: a number becomes two bins. */
static int64
bound_amounts(const RlrecFeatureBuilder *builder)
{
	int64		bound = builder->n_entries;

	for (int i = 0; i < builder->n_columns; i++)
		bound += builder->column[i].n_numbers;
	if (bound > INT32_MAX)
		report_too_many();
	return Max(bound, 1);
}

/* A huge chunk cut to what is used of it. */
static void *
trim(void *array, int64 n, Size size)
{
	return array == NULL ? NULL : repalloc_huge(array, mul_size(size, Max(n, 1)));
}

/* The columns with their first features, and the labels; the builder's own bytes are freed. */
static void
write_labels(RlrecFeatureBuilder *builder, RlrecFeatures *features)
{
	RlrecFeatureColumn *columns = palloc0(((Size) builder->n_columns + 1) * sizeof(RlrecFeatureColumn));
	Size		size = mul_size(sizeof(int64), (Size) builder->n_tokens + 1);
	int64	   *label;
	char	   *bytes;
	int64		n = 0;
	int			column = 0;

	check_budget(builder, add_size(size, builder->n_bytes));
	label = MemoryContextAllocHuge(CurrentMemoryContext, size);
	bytes = MemoryContextAllocHuge(CurrentMemoryContext, Max(builder->n_bytes, 1));
	memcpy(columns, builder->described, builder->n_columns * sizeof(RlrecFeatureColumn));
	for (int32 f = 0; f < builder->n_tokens; f++)
	{
		const Token *token = &builder->token[builder->token_of_feature[f]];

		while (column <= token->column)
			columns[column++].first = f;
		label[f] = n;
		if (token->first >= 0)
		{
			memcpy(bytes + n, builder->bytes + token->first, token->length);
			n += token->length;
		}
	}
	label[builder->n_tokens] = n;
	while (column <= builder->n_columns)
		columns[column++].first = builder->n_tokens;
	features->n_columns = builder->n_columns;
	features->column = columns;
	features->label = label;
	features->bytes = bytes;
	if (builder->bytes != NULL)
		pfree(builder->bytes);
	builder->bytes = NULL;
}

RlrecFeatures *
rlrec_feature_builder_finish(RlrecFeatureBuilder *builder)
{
	RlrecFeatures *features = palloc0(sizeof(RlrecFeatures));
	int32	   *start = MemoryContextAllocExtended(CurrentMemoryContext, mul_size(sizeof(int32), (Size) builder->n_items + 1),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int32	   *feature;
	float	   *value;
	int64		bound;
	int64		row = 0;
	int64		n = 0;

	token_destroy(builder->hash);
	builder->entry = trim(builder->entry, builder->n_entries, sizeof(Entry));
	for (int column = 0; column < builder->n_columns; column++)
		find_knots(builder, column);
	number_features(builder);
	write_labels(builder, features);
	sort_rows(builder->row, builder->n_rows);

	bound = bound_amounts(builder);
	check_budget(builder, mul_size(sizeof(int32) + sizeof(float), bound));
	feature = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(int32), bound));
	value = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(sizeof(float), bound));
	for (int32 item = 0; item < builder->n_items; item++)
	{
		int64		first = row;

		if ((item & 0xFF) == 0)
			CHECK_FOR_INTERRUPTS();
		while (row < builder->n_rows && builder->row[row].item == item)
			row++;
		if (row > first)
			builder->n_described++;
		n += merge_rows(builder, &builder->row[first], row - first, &feature[n], &value[n]);
		start[item + 1] = n;
	}
	for (int32 item = 0; item < builder->n_items; item++)
	{
		if ((item & 0xFF) == 0)
			CHECK_FOR_INTERRUPTS();
		scale_row(builder, start[item + 1] - start[item], &feature[start[item]], &value[start[item]]);
	}

	features->n_items = builder->n_items;
	features->n_features = n > 0 ? builder->n_tokens : 0;
	features->start = start;
	features->feature = trim(feature, n, sizeof(int32));
	features->value = trim(value, n, sizeof(float));
	MemoryContextDelete(builder->context);
	return features;
}
