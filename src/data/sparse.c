/*
 * sparse.c
 *	  Sparse matrices in compressed rows, and who had what.
 *
 * Transposing is a counting sort by column, so transposing twice sorts the rows in linear time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"

#include "data/sparse.h"

static void *
allocate(int64 n, Size size)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, mul_size(n, size));
}

RlrecSparse *
rlrec_sparse_create(int32 n_rows, int32 n_columns, int64 n, bool values)
{
	RlrecSparse *a = palloc(sizeof(RlrecSparse));

	a->n_rows = n_rows;
	a->n_columns = n_columns;
	a->start = allocate((int64) n_rows + 1, sizeof(int64));
	a->column = allocate(n, sizeof(int32));
	a->value = values ? allocate(n, sizeof(float)) : NULL;
	return a;
}

void
rlrec_sparse_free(RlrecSparse *a)
{
	pfree(a->start);
	pfree(a->column);
	if (a->value != NULL)
		pfree(a->value);
	pfree(a);
}

/*
 * Lays out rows as long as the n rows[] say, and returns where the first entry of each goes. That is start + 1, so when each has been
 * advanced past its row, start[] is as it must be.
 */
static int64 *
lay_out(RlrecSparse *a, int64 n, const int32 *rows)
{
	int64	   *next = a->start + 1;
	int64		at = 0;

	memset(a->start, 0, (a->n_rows + (Size) 1) * sizeof(int64));
	for (int64 k = 0; k < n; k++)
	{
		if (k % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		next[rows[k]]++;
	}
	for (int32 r = 0; r < a->n_rows; r++)
	{
		int64		length = next[r];

		next[r] = at;
		at += length;
	}
	return next;
}

RlrecSparse *
rlrec_sparse_gather(int32 n_rows, int32 n_columns, int64 n, const int32 *row, const int32 *column)
{
	RlrecSparse *a = rlrec_sparse_create(n_rows, n_columns, n, false);
	int64	   *next = lay_out(a, n, row);

	for (int64 k = 0; k < n; k++)
	{
		if (k % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		a->column[next[row[k]]++] = column[k];
	}
	return a;
}

RlrecSparse *
rlrec_sparse_transpose(const RlrecSparse *a)
{
	int64		n = a->start[a->n_rows];
	RlrecSparse *t = rlrec_sparse_create(a->n_columns, a->n_rows, n, a->value != NULL);
	int64	   *next = lay_out(t, n, a->column);

	for (int32 r = 0; r < a->n_rows; r++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int64 k = a->start[r]; k < a->start[r + 1]; k++)
		{
			int64		to = next[a->column[k]]++;

			t->column[to] = r;
			if (t->value != NULL)
				t->value[to] = a->value[k];
		}
	}
	return t;
}

void
rlrec_sparse_save(const RlrecSparse *a, const char *prefix, RlrecTensors *tensors)
{
	int64		n = a->start[a->n_rows];
	int32	   *offset;

	if (n > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model is too large"),
				 errdetail("A sparse matrix has %lld entries, and the limit is %d.", (long long) n, PG_INT32_MAX)));
	offset = rlrec_tensors_add(tensors, psprintf("%soffset", prefix), RLREC_I32, 1, (int64) a->n_rows + 1, 0);
	for (int32 r = 0; r <= a->n_rows; r++)
		offset[r] = (int32) a->start[r];
	memcpy(rlrec_tensors_add(tensors, psprintf("%sitem", prefix), RLREC_I32, 1, n, 0), a->column, n * sizeof(int32));
	memcpy(rlrec_tensors_add(tensors, psprintf("%svalue", prefix), RLREC_F32, 1, n, 0), a->value, n * sizeof(float));
}

int32
rlrec_incidence_distinct(int64 n, const int32 *item, const float *reward, int32 *seen, int32 *distinct, float *sum)
{
	int32		found = 0;

	/* seen[i] is one more than the position of i in distinct[] */
	for (int64 k = 0; k < n; k++)
	{
		if (!(reward[k] > 0))
			continue;
		if (seen[item[k]] == 0)
		{
			distinct[found] = item[k];
			if (sum != NULL)
				sum[found] = 0;
			seen[item[k]] = ++found;
		}
		if (sum != NULL)
			sum[seen[item[k]] - 1] += reward[k];
	}
	for (int32 k = 0; k < found; k++)
		seen[distinct[k]] = 0;
	return found;
}

/* The items of each user, in order of first appearance. */
static RlrecSparse *
items_of_users(const RlrecEvents *events, bool rewards)
{
	int32		n_users = events->users.n;
	int32	   *seen = MemoryContextAllocExtended(CurrentMemoryContext, mul_size(events->items.n, sizeof(int32)),
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int64		n_events = 0;
	RlrecSparse *a;

	for (int32 u = 0; u < n_users; u++)
		n_events += events->end[u] - events->start[u];
	a = rlrec_sparse_create(n_users, events->items.n, n_events, rewards);
	a->start[0] = 0;
	for (int32 u = 0; u < n_users; u++)
	{
		int64		from = events->start[u];
		int64		to = a->start[u];

		CHECK_FOR_INTERRUPTS();
		a->start[u + 1] = to + rlrec_incidence_distinct(events->end[u] - from, events->item + from, events->reward + from,
														seen, a->column + to, rewards ? a->value + to : NULL);
	}
	pfree(seen);
	return a;
}

RlrecIncidence
rlrec_incidence_build(const RlrecEvents *events, bool rewards)
{
	RlrecSparse *unordered = items_of_users(events, rewards);
	RlrecIncidence incidence;

	incidence.items = rlrec_sparse_transpose(unordered);
	rlrec_sparse_free(unordered);
	incidence.users = rlrec_sparse_transpose(incidence.items);
	return incidence;
}

void
rlrec_incidence_free(RlrecIncidence incidence)
{
	rlrec_sparse_free(incidence.users);
	rlrec_sparse_free(incidence.items);
}

int32
rlrec_incidence_count(const RlrecEvents *events, float *count)
{
	RlrecSparse *users = items_of_users(events, false);
	RlrecSparse *items = rlrec_sparse_transpose(users);
	int32		n = 0;

	/* from integers: a float that counts up stops at 2^24 */
	for (int32 i = 0; i < items->n_rows; i++)
		count[i] = (float) (items->start[i + 1] - items->start[i]);
	for (int32 u = 0; u < users->n_rows; u++)
		n += users->start[u + 1] > users->start[u];
	rlrec_sparse_free(users);
	rlrec_sparse_free(items);
	return n;
}
