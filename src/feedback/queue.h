/*
 * queue.h
 *	  The queue of feedback: what committed transactions told, in three tables.
 */
#ifndef RLREC_QUEUE_H
#define RLREC_QUEUE_H

#include "feedback/feedback.h"

#define RLREC_QUEUE_TABLES 3

/* Columns of a queue table, in the order of sql/feedback.sql */
enum
{
	RLREC_QUEUE_AGENT = 1, RLREC_QUEUE_XID, RLREC_QUEUE_FIRST, RLREC_QUEUE_TOLD_AT, RLREC_QUEUE_ENTRIES, RLREC_QUEUE_DATA,
	RLREC_QUEUE_N = RLREC_QUEUE_DATA
};

/* Of one entry, and of a row's packed entries. */
#define RLREC_QUEUE_MAX_BYTES 8000

/* An event, or those rows of the events table that a command inserted with primary keys in a range. */
typedef struct RlrecQueueEntry
{
	bool		is_range;
	RlrecFeedbackEvent event;
	int64		low;			/* the rest is of a range */
	int64		high;			/* included */
	TransactionId xmin;			/* of the rows, as the next */
	CommandId	cmin;
} RlrecQueueEntry;

/* Appends an entry to packed ones; false when it takes more than RLREC_QUEUE_MAX_BYTES. */
struct StringInfoData;
extern bool rlrec_queue_pack(struct StringInfoData *packed, const RlrecQueueEntry *entry);

/* Takes the entry at a place of packed ones apart; strings stay there. Returns the place of the next. */
extern const char *rlrec_queue_unpack(const char *at, RlrecQueueEntry *entry);

/* Writes packed entries, the first of which has that number, in the current subtransaction. Returns the number that the next one has. */
extern int64 rlrec_queue_write(int64 agent, int64 first, const char *packed, size_t length);

/* Writes on in the next table when the one that is written to is full, and empties those of the others that all agents have learned from. */
extern void rlrec_queue_rotate(void);

/* A table's OID */
extern Oid	rlrec_queue_table(int i);

/* Bytes of all tables; they are written to in turn at some RLREC_QUEUE_TABLE_BYTES each, as long as all agents learn. */
#define RLREC_QUEUE_TABLE_BYTES (8 * 1024 * 1024)
extern int64 rlrec_queue_bytes(void);

extern void rlrec_queue_init(void);

#endif							/* RLREC_QUEUE_H */
