/*
 * queue.h
 *	  The queue of feedback: what committed transactions told, in three tables.
 */
#ifndef RLREC_QUEUE_H
#define RLREC_QUEUE_H

#include "feedback/feedback.h"
#include "feedback/watermark.h"

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

/* A row of the queue */
typedef struct RlrecQueueRow
{
	uint64		xid;
	int64		first;			/* number of the first entry within the transaction */
	int			n;				/* entries */
	int			skip;			/* of them that were learned before */
	char	   *packed;			/* palloc'd */
} RlrecQueueRow;

/*
 * The first entries of an agent that the active snapshot sees and the watermark does not have, in the order of transaction and number: whole
 * rows, until there are `most` entries or more. *rows is an array of *n of them; *rest is the transaction of the first row that was
 * left, 0 for none.
 */
extern void rlrec_queue_read(int64 agent, const RlrecWatermark *watermark, int64 most, RlrecQueueRow **rows, int *n, uint64 *rest);

/* Writes on in the next table when the one that is written to is full, and empties those of the others that all agents have learned from. */
extern void rlrec_queue_rotate(void);

/* Bytes of all tables; they are written to in turn at some RLREC_QUEUE_TABLE_BYTES each, as long as all agents learn. */
#define RLREC_QUEUE_TABLE_BYTES (8 * 1024 * 1024)
extern int64 rlrec_queue_bytes(void);

extern void rlrec_queue_init(void);

#endif							/* RLREC_QUEUE_H */
