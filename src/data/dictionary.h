/*
 * dictionary.h
 *	  Ids as sorted byte strings: id to index by binary search, index to id by offset. No pointers inside, so it can live in
 *	  shared memory and in a model's tensors as it is.
 */
#ifndef RLREC_DICTIONARY_H
#define RLREC_DICTIONARY_H

/* The text form of n distinct ids, in strcmp order of their bytes. */
typedef struct RlrecDictionary
{
	int32		n;
	const int32 *offset;		/* [n + 1] into bytes */
	const char *bytes;			/* [offset[n]], no terminators */
} RlrecDictionary;

/* The index of an id, or -1. */
extern int32 rlrec_dictionary_find(const RlrecDictionary *dictionary, const char *id, size_t length);

/* What the ids of one dictionary are in another, -1 for none: [from->n], palloc'd. */
extern int32 *rlrec_dictionary_map(const RlrecDictionary *from, const RlrecDictionary *to);

/* The id as a palloc'd C string. */
extern char *rlrec_dictionary_id(const RlrecDictionary *dictionary, int32 index);

#endif							/* RLREC_DICTIONARY_H */
