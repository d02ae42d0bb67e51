/*
 * features.c
 *	  From the features of items to hashed ones.
 *
 * A feature is spelled out in grams. A word of a text has itself, with marks of its ends, and its n-grams of 3 to 5 characters as grams:
 * "<sun>" has "<su", "sun", "un>", "<sun" and "sun>" besides (Bojanowski et al. 2017), so that words with the same stem share some. Any
 * other feature is one gram: the token, or the place of the bin or element in its column. The hash of (column, gram) is the bucket, whose
 * row of the projection is learned (Weinberger et al. 2009). That does not depend on what other items there are, so the rows of two
 * trainings can be matched.
 *
 * Only buckets in use have a row. A gram of a text that only one item has would say nothing of others, and gets none.
 *
 * The value of a word is spread over its grams in such a way that their length is the word's: 1 / sqrt(grams) each. Grams of an item that
 * meet in a bucket add up, and the item's row is scaled to length 1.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "encoder/features.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define SHORTEST 3
#define LONGEST 5

/* What a bucket has so far besides the only item that has it */
#define UNUSED (-1)
#define SHARED (-2)

typedef struct Hasher
{
	const RlrecFeatures *features;
	Size		budget;
	Size		bytes;			/* allocated */
	int64	   *first;			/* [n_features + 1] grams of a feature */
	int32	   *gram;			/* [first[n_features]] bucket of a gram, then its row or UNUSED */
	int32	   *bucket;			/* [RLREC_FEATURE_BUCKETS] UNUSED, SHARED or an item, then the row or UNUSED */
	float	   *sum;			/* [n_rows] of one item */
	int32	   *touched;		/* rows of one item */
} Hasher;

#define ST_SORT sort_rows
#define ST_ELEMENT_TYPE int32
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE static
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

static void *
allocate(Hasher *hasher, Size count, Size size)
{
	Size		bytes = Max(mul_size(count, size), 1);

	hasher->bytes = add_size(hasher->bytes, bytes);
	if (hasher->bytes > hasher->budget)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("the hashed features of the items need more than maintenance_work_mem"),
				 errdetail("There are %d distinct features of %d items.", hasher->features->n_features, hasher->features->n_items),
				 errhint("Raise maintenance_work_mem, or give the agent a view of the items with fewer or shorter columns.")));
	return MemoryContextAllocHuge(CurrentMemoryContext, bytes);
}

#define ALLOCATE(hasher, count, type) ((type *) allocate((hasher), (count), sizeof(type)))

static void
release(Hasher *hasher, void *array, Size count, Size size)
{
	hasher->bytes -= Max(mul_size(count, size), 1);
	pfree(array);
}

/* ---------------------------------------------------------------- grams */

/*
 * The n-grams of a word[length] that is already between its marks, and itself first. Writes their buckets unless that is NULL; returns
 * their number.
 */
static int64
spell(const char *word, int length, uint64 seed, int32 *bucket)
{
	int64		n = 0;

	if (bucket)
		bucket[n] = hash_bytes_extended((const unsigned char *) word, length, seed) % RLREC_FEATURE_BUCKETS;
	n++;
	for (int at = 0; at < length; at += pg_mblen(word + at))
	{
		int			end = at;

		for (int characters = 1; characters <= LONGEST && end < length; characters++)
		{
			end = Min(length, end + pg_mblen(word + end));
			if (characters < SHORTEST || end - at == length)
				continue;
			if (bucket)
				bucket[n] = hash_bytes_extended((const unsigned char *) word + at, end - at, seed) % RLREC_FEATURE_BUCKETS;
			n++;
		}
	}
	return n;
}

/* The same for the feature f of a column. */
static int64
spell_feature(const RlrecFeatures *features, const RlrecFeatureColumn *column, int32 f, StringInfo word, int32 *bucket)
{
	uint64		seed = hash_bytes_extended((const unsigned char *) column->name, strlen(column->name), 0);
	const char *token = features->bytes + features->label[f];
	int			length = (int) (features->label[f + 1] - features->label[f]);

	resetStringInfo(word);
	switch (column->kind)
	{
		case RLREC_FEATURE_WORDS:
			appendStringInfoChar(word, '<');
			appendBinaryStringInfo(word, token, length);
			appendStringInfoChar(word, '>');
			return spell(word->data, word->len, seed, bucket);
		case RLREC_FEATURE_NUMBER:
		case RLREC_FEATURE_VECTOR:
			appendStringInfo(word, "%d", f - column->first);
			break;
		default:
			appendBinaryStringInfo(word, token, length);
			break;
	}
	if (bucket)
		*bucket = hash_bytes_extended((const unsigned char *) word->data, word->len, seed) % RLREC_FEATURE_BUCKETS;
	return 1;
}

static void
spell_features(Hasher *hasher)
{
	const RlrecFeatures *features = hasher->features;
	StringInfoData word;

	initStringInfo(&word);
	hasher->first = ALLOCATE(hasher, (Size) features->n_features + 1, int64);
	hasher->first[0] = 0;
	for (int pass = 0; pass < 2; pass++)
	{
		for (int c = 0; c < features->n_columns; c++)
			for (int32 f = features->column[c].first; f < features->column[c + 1].first; f++)
			{
				int64		n = spell_feature(features, &features->column[c], f, &word,
											  pass == 0 ? NULL : hasher->gram + hasher->first[f]);

				hasher->first[f + 1] = hasher->first[f] + n;
				if ((f & 0xFFF) == 0)
					CHECK_FOR_INTERRUPTS();
			}
		if (pass == 0)
			hasher->gram = ALLOCATE(hasher, hasher->first[features->n_features], int32);
	}
	pfree(word.data);
}

/* ---------------------------------------------------------------- buckets */

/* Marks the buckets that get a row. */
static void
mark_buckets(Hasher *hasher)
{
	const RlrecFeatures *features = hasher->features;

	hasher->bucket = ALLOCATE(hasher, RLREC_FEATURE_BUCKETS, int32);
	for (int32 b = 0; b < RLREC_FEATURE_BUCKETS; b++)
		hasher->bucket[b] = UNUSED;
	for (int c = 0; c < features->n_columns; c++)
		if (features->column[c].kind != RLREC_FEATURE_WORDS)
			for (int32 f = features->column[c].first; f < features->column[c + 1].first; f++)
				hasher->bucket[hasher->gram[hasher->first[f]]] = SHARED;
	for (int32 item = 0; item < features->n_items; item++)
	{
		if ((item & 0xFF) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int32 i = features->start[item]; i < features->start[item + 1]; i++)
		{
			int32		f = features->feature[i];

			for (int64 g = hasher->first[f]; g < hasher->first[f + 1]; g++)
			{
				int32	   *bucket = &hasher->bucket[hasher->gram[g]];

				*bucket = *bucket == UNUSED || *bucket == item ? item : SHARED;
			}
		}
	}
}

/* Numbers the marked buckets, and the grams by them. */
static void
number_buckets(Hasher *hasher, RlrecHashedFeatures *result)
{
	int64		grams = hasher->first[hasher->features->n_features];
	int32	   *bucket;

	for (int32 b = 0; b < RLREC_FEATURE_BUCKETS; b++)
		result->n_rows += hasher->bucket[b] == SHARED;
	result->bucket = bucket = ALLOCATE(hasher, result->n_rows, int32);
	result->n_rows = 0;
	for (int32 b = 0; b < RLREC_FEATURE_BUCKETS; b++)
	{
		if (hasher->bucket[b] == SHARED)
		{
			hasher->bucket[b] = result->n_rows;
			bucket[result->n_rows++] = b;
		}
		else
			hasher->bucket[b] = UNUSED;
	}
	for (int64 g = 0; g < grams; g++)
		hasher->gram[g] = hasher->bucket[hasher->gram[g]];
	release(hasher, hasher->bucket, RLREC_FEATURE_BUCKETS, sizeof(int32));
}

/* ---------------------------------------------------------------- items */

/* The rows that an item has, ascending, in hasher->touched, and what it has of each in hasher->sum. Returns their number. */
static int
sum_item(Hasher *hasher, int32 item, bool *seen)
{
	const RlrecFeatures *features = hasher->features;
	int			n = 0;

	for (int32 i = features->start[item]; i < features->start[item + 1]; i++)
	{
		int32		f = features->feature[i];
		float		share = features->value[i] / sqrtf(hasher->first[f + 1] - hasher->first[f]);

		for (int64 g = hasher->first[f]; g < hasher->first[f + 1]; g++)
		{
			int32		row = hasher->gram[g];

			if (row == UNUSED)
				continue;
			if (!seen[row])
			{
				seen[row] = true;
				hasher->sum[row] = 0;
				hasher->touched[n++] = row;
			}
			hasher->sum[row] += share;
		}
	}
	sort_rows(hasher->touched, n);
	for (int k = 0; k < n; k++)
		seen[hasher->touched[k]] = false;
	return n;
}

/* Entries of all items at most, and *most of one */
static int64
bound_entries(const Hasher *hasher, int32 n_rows, int64 *most)
{
	const RlrecFeatures *features = hasher->features;
	int64		total = 0;

	*most = 0;
	for (int32 item = 0; item < features->n_items; item++)
	{
		int64		n = 0;

		for (int32 i = features->start[item]; i < features->start[item + 1]; i++)
			for (int64 g = hasher->first[features->feature[i]]; g < hasher->first[features->feature[i] + 1]; g++)
				n += hasher->gram[g] != UNUSED;
		n = Min(n, n_rows);
		*most = Max(*most, n);
		total += n;
		if ((item & 0xFF) == 0)
			CHECK_FOR_INTERRUPTS();
	}
	if (total > INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the items have more than %d values of hashed features", INT32_MAX),
				 errhint("Give the agent a view of the items with fewer or shorter columns.")));
	return total;
}

static void
write_items(Hasher *hasher, RlrecHashedFeatures *result)
{
	int32		n_items = hasher->features->n_items;
	int64		most;
	int64		bound = bound_entries(hasher, result->n_rows, &most);
	int32	   *start = ALLOCATE(hasher, (Size) n_items + 1, int32);
	int32	   *feature = ALLOCATE(hasher, bound, int32);
	float	   *value = ALLOCATE(hasher, bound, float);
	bool	   *seen = ALLOCATE(hasher, result->n_rows, bool);
	int32		n = 0;

	hasher->sum = ALLOCATE(hasher, result->n_rows, float);
	hasher->touched = ALLOCATE(hasher, most, int32);
	memset(seen, 0, result->n_rows * sizeof(bool));
	start[0] = 0;
	for (int32 item = 0; item < n_items; item++)
	{
		int			rows = sum_item(hasher, item, seen);
		double		square = 0;

		if ((item & 0xFF) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < rows; k++)
			square += (double) hasher->sum[hasher->touched[k]] * hasher->sum[hasher->touched[k]];
		for (int k = 0; k < rows && square > 0; k++)
		{
			feature[n] = hasher->touched[k];
			value[n++] = hasher->sum[hasher->touched[k]] / sqrt(square);
		}
		start[item + 1] = n;
	}
	result->items = (RlrecItemFeatures) {start, feature, value};
	release(hasher, hasher->touched, most, sizeof(int32));
	release(hasher, hasher->sum, result->n_rows, sizeof(float));
	release(hasher, seen, result->n_rows, sizeof(bool));
}

RlrecHashedFeatures
rlrec_features_hash(const RlrecFeatures *features, Size budget)
{
	RlrecHashedFeatures result = {0};
	Hasher		hasher = {.features = features,.budget = budget};

	if (features->n_features == 0)
		return result;
	spell_features(&hasher);
	mark_buckets(&hasher);
	number_buckets(&hasher, &result);
	write_items(&hasher, &result);
	release(&hasher, hasher.gram, hasher.first[features->n_features], sizeof(int32));
	release(&hasher, hasher.first, (Size) features->n_features + 1, sizeof(int64));
	result.bytes = hasher.bytes;
	return result;
}
