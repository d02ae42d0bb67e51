/*
 * learned.c
 *	  Rows of what was learned since a version was trained, and the counts that every agent keeps.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "learner/learned.h"

static int
compare(const char *a, int a_length, const char *b, int b_length)
{
	int			order = memcmp(a, b, Min(a_length, b_length));

	return order != 0 ? order : a_length - b_length;
}

/* Where the action is, or is to be; *found says which. */
static int
place_of(const RlrecLearnedRow *row, const char *action, int length, bool *found)
{
	int			low = 0;
	int			high = row->n;

	*found = false;
	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = compare(row->entry[middle].action, row->entry[middle].length, action, length);

		if (order == 0)
		{
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

RlrecQEntry *
rlrec_learned_find(const RlrecLearnedRow *row, const char *action, int length)
{
	bool		found;
	int			place;

	if (row == NULL)
		return NULL;
	place = place_of(row, action, length, &found);
	return found ? &row->entry[place] : NULL;
}

static void
drop_least(RlrecLearnedRow *row)
{
	int			least = 0;

	for (int i = 1; i < row->n; i++)
		if (row->entry[i].visits < row->entry[least].visits)
			least = i;
	row->n--;
	memmove(&row->entry[least], &row->entry[least + 1], (row->n - least) * sizeof(RlrecQEntry));
}

RlrecQEntry *
rlrec_learned_take(const RlrecLearned *learned, RlrecLearnedRow *row, const char *action, int length)
{
	MemoryContext context = GetMemoryChunkContext(row->entry);
	bool		found;
	int			place = place_of(row, action, length, &found);
	char	   *copy;

	row->changed = true;
	if (found)
		return &row->entry[place];
	if (row->n >= learned->most)
	{
		drop_least(row);
		place = place_of(row, action, length, &found);
	}
	if (row->n == row->room)
	{
		row->room *= 2;
		row->entry = repalloc(row->entry, row->room * sizeof(RlrecQEntry));
	}
	copy = MemoryContextAlloc(context, Max(length, 1));
	memcpy(copy, action, length);
	memmove(&row->entry[place + 1], &row->entry[place], (row->n - place) * sizeof(RlrecQEntry));
	row->n++;
	row->entry[place] = (RlrecQEntry) {copy, length, 0, 0};
	return &row->entry[place];
}

int
rlrec_learned_bucket_name(int bucket, char *name)
{
	return pg_ltoa(bucket, name);
}

RlrecLearnedRow *
rlrec_learned_bucket(RlrecLearned *learned, int part, const RlrecKey *item)
{
	char		name[12];
	int			length = rlrec_learned_bucket_name(hash_bytes((const unsigned char *) item->bytes, item->length) % RLREC_LEARNED_BUCKETS, name);

	return learned->row(learned, part, name, length, true);
}

/* Whether the user had any item, or this one, with a positive reward. */
static void
had(int32 n, const RlrecPastEvent *events, const RlrecKey *item, bool *any, bool *this_one)
{
	*any = *this_one = false;
	for (int32 i = 0; i < n && !*this_one; i++)
		if (events[i].reward > 0)
		{
			*any = true;
			*this_one = rlrec_same_key(&events[i].id, item);
		}
}

void
rlrec_learned_count(RlrecLearned *learned, const RlrecLesson *lesson)
{
	const RlrecPastEvent *event = &lesson->after[lesson->place];
	RlrecQEntry *entry = rlrec_learned_take(learned, rlrec_learned_bucket(learned, RLREC_LEARNED_USERS, &event->id), event->id.bytes,
											event->id.length);
	bool		any_before,
				before,
				any_after,
				after;

	had(lesson->n_before, lesson->before, &event->id, &any_before, &before);
	had(lesson->n_after, lesson->after, &event->id, &any_after, &after);
	learned->users += any_after - any_before;
	entry->q += after - before;
	entry->visits++;
	learned->newest = Max(learned->newest, event->time);
}

void
rlrec_learned_visit(RlrecLearned *learned, const RlrecKey *item)
{
	rlrec_learned_take(learned, rlrec_learned_bucket(learned, RLREC_LEARNED_USERS, item), item->bytes, item->length)->visits++;
}
