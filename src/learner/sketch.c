/*
 * sketch.c
 *	  Who had an item, in few numbers: bottom-k sketches (Cohen and Kaplan 2007, "Summarizing Data using Bottom-k Sketches").
 *
 * Users are put in an order that a hash of their index gives, and a sketch keeps the first SIZE of an item's users in that order. Up to
 * where the first of two sketches ends, both tell of every user who had the item, and the users up to there are a random sample: the
 * cosine of two items is taken over them. It is exact of items with fewer than SIZE users.
 *
 * Tensors: items/sketch_start [items + 1] and items/sketch, places in that order, ascending.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "miscadmin.h"

#include "learner/sketch.h"

#define SIZE 64

typedef struct HashedUser
{
	uint32		hash;			/* no two users have the same: murmurhash32() is a bijection */
	int32		user;
} HashedUser;

static int
compare_hashes(const void *a, const void *b)
{
	uint32		x = ((const HashedUser *) a)->hash;
	uint32		y = ((const HashedUser *) b)->hash;

	return x < y ? -1 : x > y;
}

static HashedUser *
shuffled_users(int32 n)
{
	HashedUser *users = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(n, 1), sizeof(HashedUser)));

	for (int32 u = 0; u < n; u++)
	{
		users[u].hash = murmurhash32((uint32) u);
		users[u].user = u;
	}
	qsort(users, n, sizeof(HashedUser), compare_hashes);
	return users;
}

void
rlrec_sketch_add(const RlrecEvents *events, RlrecTensors *tensors)
{
	int32		n_items = events->items.n;
	const float *count = rlrec_tensors_find(tensors, "items/count")->data;
	int32	   *start = rlrec_tensors_add(tensors, "items/sketch_start", RLREC_I32, 1, (int64) n_items + 1, 0);
	int32	   *filled = palloc_extended(Max(n_items, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	HashedUser *users = shuffled_users(events->users.n);
	int32	   *sketch;

	start[0] = 0;
	for (int32 i = 0; i < n_items; i++)
	{
		filled[i] = start[i];
		start[i + 1] = start[i] + (int32) Min(count[i], SIZE);
	}
	sketch = rlrec_tensors_add(tensors, "items/sketch", RLREC_I32, 1, start[n_items], 0);
	for (int32 place = 0; place < events->users.n; place++)
	{
		int32		u = users[place].user;

		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
		{
			int32		i = events->item[e];

			if (events->reward[e] > 0 && filled[i] < start[i + 1] && (filled[i] == start[i] || sketch[filled[i] - 1] != place))
				sketch[filled[i]++] = place;
		}
	}
	pfree(filled);
	pfree(users);
}

/* How many of n ascending places are at most `place`. */
static int
count_up_to(int n, const int32 *places, int32 place)
{
	int			count = 0;

	for (int i = 0; i < n; i++)
		count += places[i] <= place;
	return count;
}

/* The cosine of two items whose sketches have n_x and n_y places, `both` in common. */
static float
cosine(int both, int n_x, const int32 *x, int n_y, const int32 *y)
{
	if (both == 0)
		return 0;
	if (n_x == SIZE && (n_y < SIZE || x[n_x - 1] < y[n_y - 1]))
		n_y = count_up_to(n_y, y, x[n_x - 1]);
	else if (n_y == SIZE)
		n_x = count_up_to(n_x, x, y[n_y - 1]);
	return both / sqrtf((float) n_x * n_y);
}

void
rlrec_sketch_similarities(const RlrecModel *model, int32 n, const int32 *items, float *matrix)
{
	const int32 *start;
	const int32 *sketch;
	int32		places = 0;
	bool	   *marked;

	memset(matrix, 0, (Size) n * n * sizeof(float));
	if (rlrec_tensors_find(model->tensors, "items/sketch") == NULL)
		return;
	start = rlrec_tensors_find(model->tensors, "items/sketch_start")->data;
	sketch = rlrec_tensors_find(model->tensors, "items/sketch")->data;
	for (int32 a = 0; a < n; a++)
		if (start[items[a] + 1] > start[items[a]])
			places = Max(places, sketch[start[items[a] + 1] - 1] + 1);
	marked = palloc0(Max(places, 1) * sizeof(bool));

	for (int32 a = 0; a < n; a++)
	{
		const int32 *x = sketch + start[items[a]];
		int			n_x = start[items[a] + 1] - start[items[a]];

		for (int i = 0; i < n_x; i++)
			marked[x[i]] = true;
		for (int32 b = a + 1; b < n; b++)
		{
			const int32 *y = sketch + start[items[b]];
			int			n_y = start[items[b] + 1] - start[items[b]];
			int			both = 0;

			for (int j = 0; j < n_y; j++)
				both += marked[y[j]];
			matrix[(size_t) a * n + b] = matrix[(size_t) b * n + a] = cosine(both, n_x, x, n_y, y);
		}
		for (int i = 0; i < n_x; i++)
			marked[x[i]] = false;
	}
	pfree(marked);
}
