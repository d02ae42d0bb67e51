/*
 * dictionary.c
 *	  Ids as sorted byte strings: id to index by binary search, index to id by offset.
 */
#include "postgres.h"

#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "data/dictionary.h"

/*
 * strcmp order of an entry and an id, neither of them terminated. By words and bytes here, because ids are short and a search compares a
 * dozen: a call of memcmp() costs more than what it does.
 */
static inline int
compare(const RlrecDictionary *dictionary, int32 index, const char *id, size_t length)
{
	int32		offset = dictionary->offset[index];
	size_t		own = dictionary->offset[index + 1] - offset;
	const char *entry = dictionary->bytes + offset;
	size_t		common = Min(own, length);
	size_t		i = 0;

	for (; i + sizeof(uint64) <= common; i += sizeof(uint64))
	{
		uint64		a,
					b;

		memcpy(&a, entry + i, sizeof(a));
		memcpy(&b, id + i, sizeof(b));
		if (a != b)
			return pg_ntoh64(a) < pg_ntoh64(b) ? -1 : 1;
	}
	for (; i < common; i++)
		if (entry[i] != id[i])
			return (unsigned char) entry[i] < (unsigned char) id[i] ? -1 : 1;
	return (own > length) - (own < length);
}

int32
rlrec_dictionary_find(const RlrecDictionary *dictionary, const char *id, size_t length)
{
	int32		low = 0;
	int32		high = dictionary->n;

	while (low < high)
	{
		int32		middle = low + (high - low) / 2;
		int			order = compare(dictionary, middle, id, length);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

int32 *
rlrec_dictionary_map(const RlrecDictionary *from, const RlrecDictionary *to)
{
	int32	   *map = MemoryContextAllocHuge(CurrentMemoryContext, Max(from->n, 1) * sizeof(int32));

	for (int32 i = 0; i < from->n; i++)
		map[i] = rlrec_dictionary_find(to, from->bytes + from->offset[i], from->offset[i + 1] - from->offset[i]);
	return map;
}

char *
rlrec_dictionary_id(const RlrecDictionary *dictionary, int32 index)
{
	int32		offset = dictionary->offset[index];

	return pnstrdup(dictionary->bytes + offset, dictionary->offset[index + 1] - offset);
}
