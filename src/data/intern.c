/*
 * intern.c
 *	  Numbers distinct ids in the order in which they come, and makes the sorted dictionary of them at the end.
 *
 * The ids' bytes stand one after the other in one growing array; a hash table over their numbers finds them again.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "data/intern.h"

typedef struct InternEntry
{
	int32		number;			/* the key: an index in offset[]; -1 stands for the id that is being looked up */
	uint32		hash;
	char		status;
} InternEntry;

struct RlrecIntern
{
	MemoryContext context;
	struct intern_hash *table;
	int32		n;
	int32		capacity;
	int64	   *offset;			/* [capacity + 1] into bytes */
	char	   *bytes;
	int64		bytes_capacity;
	const char *sought;			/* the id that is being looked up */
	size_t		sought_length;
	uint32		sought_hash;
};

static inline const char *
id_of(const RlrecIntern *intern, int32 number, size_t *length)
{
	if (number < 0)
	{
		*length = intern->sought_length;
		return intern->sought;
	}
	*length = intern->offset[number + 1] - intern->offset[number];
	return intern->bytes + intern->offset[number];
}

static inline bool
same_id(const RlrecIntern *intern, int32 a, int32 b)
{
	size_t		a_length,
				b_length;
	const char *a_bytes = id_of(intern, a, &a_length);
	const char *b_bytes = id_of(intern, b, &b_length);

	return a_length == b_length && memcmp(a_bytes, b_bytes, a_length) == 0;
}

#define SH_PREFIX intern
#define SH_ELEMENT_TYPE InternEntry
#define SH_KEY_TYPE int32
#define SH_KEY number
#define SH_HASH_KEY(tb, key) (((RlrecIntern *) (tb)->private_data)->sought_hash)
#define SH_EQUAL(tb, a, b) same_id((RlrecIntern *) (tb)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) ((entry)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

RlrecIntern *
rlrec_intern_create(void)
{
	RlrecIntern *intern = palloc0(sizeof(RlrecIntern));

	intern->context = CurrentMemoryContext;
	intern->capacity = 1024;
	intern->bytes_capacity = 16384;
	intern->offset = palloc0((intern->capacity + 1) * sizeof(int64));
	intern->bytes = palloc(intern->bytes_capacity);
	intern->table = intern_create(CurrentMemoryContext, 1024, intern);
	return intern;
}

static void
seek(RlrecIntern *intern, const char *id, size_t length)
{
	intern->sought = id;
	intern->sought_length = length;
	intern->sought_hash = hash_bytes((const unsigned char *) id, (int) length);
}

int32
rlrec_intern_find(RlrecIntern *intern, const char *id, size_t length)
{
	InternEntry *entry;

	seek(intern, id, length);
	entry = intern_lookup_hash(intern->table, -1, intern->sought_hash);
	return entry ? entry->number : -1;
}

int32
rlrec_intern_add(RlrecIntern *intern, const char *id, size_t length)
{
	InternEntry *entry;
	bool		found;
	int64		end;

	seek(intern, id, length);
	entry = intern_insert_hash(intern->table, -1, intern->sought_hash, &found);
	if (found)
		return entry->number;

	if (intern->n == intern->capacity)
	{
		if (intern->capacity > PG_INT32_MAX / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many distinct ids"),
					 errhint("Train on a view with fewer users or items.")));
		intern->capacity *= 2;
		intern->offset = repalloc_huge(intern->offset, (intern->capacity + (Size) 1) * sizeof(int64));
	}
	end = intern->offset[intern->n] + (int64) length;
	if (end > intern->bytes_capacity)
	{
		while (end > intern->bytes_capacity)
			intern->bytes_capacity *= 2;
		intern->bytes = repalloc_huge(intern->bytes, intern->bytes_capacity);
	}
	memcpy(intern->bytes + intern->offset[intern->n], id, length);
	intern->offset[intern->n + 1] = end;
	entry->number = intern->n;
	return intern->n++;
}

Size
rlrec_intern_size(const RlrecIntern *intern)
{
	return (intern->capacity + (Size) 1) * sizeof(int64) + intern->bytes_capacity + intern->table->size * sizeof(InternEntry);
}

static int
compare_ids(const void *a, const void *b, void *argument)
{
	const RlrecIntern *intern = argument;
	size_t		a_length,
				b_length;
	const char *a_bytes = id_of(intern, *(const int32 *) a, &a_length);
	const char *b_bytes = id_of(intern, *(const int32 *) b, &b_length);
	int			order = memcmp(a_bytes, b_bytes, Min(a_length, b_length));

	if (order != 0)
		return order;
	return a_length < b_length ? -1 : a_length > b_length;
}

RlrecDictionary
rlrec_intern_finish(RlrecIntern *intern, int32 **rank)
{
	MemoryContext old = MemoryContextSwitchTo(intern->context);
	int32		n = intern->n;
	int32	   *sorted = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(int32));
	int32	   *offset = MemoryContextAllocHuge(CurrentMemoryContext, (n + (Size) 1) * sizeof(int32));
	char	   *bytes = MemoryContextAllocHuge(CurrentMemoryContext, Max(intern->offset[n], 1));
	RlrecDictionary dictionary;

	if (intern->offset[n] > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the ids are too long: %lld bytes altogether", (long long) intern->offset[n]),
				 errhint("Use shorter ids, integers for example.")));

	*rank = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(int32));
	for (int32 i = 0; i < n; i++)
		sorted[i] = i;
	qsort_arg(sorted, n, sizeof(int32), compare_ids, intern);
	CHECK_FOR_INTERRUPTS();

	offset[0] = 0;
	for (int32 i = 0; i < n; i++)
	{
		size_t		length;
		const char *id = id_of(intern, sorted[i], &length);

		memcpy(bytes + offset[i], id, length);
		offset[i + 1] = offset[i] + (int32) length;
		(*rank)[sorted[i]] = i;
	}
	pfree(sorted);
	pfree(intern->offset);
	pfree(intern->bytes);
	intern_destroy(intern->table);
	pfree(intern);
	MemoryContextSwitchTo(old);

	dictionary.n = n;
	dictionary.offset = offset;
	dictionary.bytes = bytes;
	return dictionary;
}
