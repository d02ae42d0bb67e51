/*
 * id_reader.h
 *	  Ids of any type as the bytes by which dictionaries know them.
 */
#ifndef RLREC_ID_READER_H
#define RLREC_ID_READER_H

#include "fmgr.h"

/* How an id is turned into bytes. */
typedef struct RlrecIdReader
{
	Oid			type;			/* looked through domains; bpchar is read as text */
	FmgrInfo	output;			/* of other types than integers and text */
	char		buffer[32];
} RlrecIdReader;

extern void rlrec_id_reader_init(RlrecIdReader *reader, Oid type);

/* The bytes of an id, as its type's output function writes them; good until the next one, or allocated in CurrentMemoryContext. */
extern const char *rlrec_id_bytes(RlrecIdReader *reader, Datum datum, size_t *length);

#endif							/* RLREC_ID_READER_H */
