/*
 * dictionary.c
 *	  Ids as sorted byte strings: id to index by binary search, index to id by offset.
 */
#include "postgres.h"

#include "data/dictionary.h"

/*
 * strcmp order of an entry and an id, neither of them terminated. Most comparisons of a search end within a few bytes, before a call of
 * memcmp() would have begun.
 */
static inline int
compare(const RlrecDictionary *dictionary, int32 index, const char *id, size_t length)
{
	int32		offset = dictionary->offset[index];
	size_t		own = dictionary->offset[index + 1] - offset;
	const char *entry = dictionary->bytes + offset;
	size_t		common = Min(own, length);

	for (size_t i = 0; i < common; i++)
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

char *
rlrec_dictionary_id(const RlrecDictionary *dictionary, int32 index)
{
	int32		offset = dictionary->offset[index];

	return pnstrdup(dictionary->bytes + offset, dictionary->offset[index + 1] - offset);
}
