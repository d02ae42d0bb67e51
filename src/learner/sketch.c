/*
 * sketch.c
 *	  Who had an item, in few numbers: bottom-k sketches (Cohen and Kaplan 2007, "Summarizing Data using Bottom-k Sketches").
 *
 * Users are put in an order that a hash of their index gives, and a sketch keeps the first SIZE of an item's users in that order. Among
 * the first SIZE of two items' users together, a random sample of them, the share of those that had both estimates Jaccard's
 * coefficient J, and both are J / (1 + J) * (a + b) users where a had one and b the other. What has at most SIZE users is exact.
 *
 * Tensors: items/sketch_start [items + 1] and items/sketch, places in that order, ascending.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"

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

/* The cosine of items with a and b users, of which x[n_x] and y[n_y] are the sketches. */
static float
cosine(double a, double b, int n_x, const int32 *x, int n_y, const int32 *y)
{
	int			most = a <= SIZE && b <= SIZE ? 2 * SIZE : SIZE;
	int			i = 0;
	int			j = 0;
	int			either = 0;
	int			both = 0;

	while (either < most && i < n_x && j < n_y)
	{
		int32		at_x = x[i];
		int32		at_y = y[j];

		i += at_x <= at_y;
		j += at_y <= at_x;
		both += at_x == at_y;
		either++;
	}
	if (both == 0)
		return 0;
	either = Min(either + (n_x - i) + (n_y - j), most);
	return Min(both * (a + b) / ((either + both) * sqrt(a * b)), 1);
}

void
rlrec_sketch_similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores)
{
	const int32 *start;
	const int32 *sketch;

	if (rlrec_tensors_find(model->tensors, "items/sketch") == NULL)
	{
		memset(scores, 0, n * sizeof(float));
		return;
	}
	start = rlrec_tensors_find(model->tensors, "items/sketch_start")->data;
	sketch = rlrec_tensors_find(model->tensors, "items/sketch")->data;
	for (int32 i = 0; i < n; i++)
	{
		int32		other = others ? others[i] : i;

		scores[i] = cosine(model->count[item], model->count[other], start[item + 1] - start[item], sketch + start[item],
						   start[other + 1] - start[other], sketch + start[other]);
	}
}
