/*
 * int8.c
 *	  Times the ten best of a catalogue by its 8-bit matrix against one float32 product by OpenBLAS, and compares the lists.
 *
 *	  int8 ITEMS DIMENSION QUERIES prints: the least milliseconds of a query by the 8-bit matrix, its list included; those of the float32
 *	  product, without a list; the share of the float32 ten best that are among the 8-bit ten best, over all queries.
 *
 * Items and queries are Gaussian, which makes catalogues dense in near ties. The two take turns, on one core.
 */
#include "postgres.h"

#include <dlfcn.h>
#include <math.h>
#include <time.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "tensor/quantize.h"
#include "tensor/random.h"
#include "tensor/topk.h"

#undef printf
#undef fprintf

#define K 10

/* cblas_sgemv(order, transposed, m, n, alpha, a, lda, x, incx, beta, y, incy) */
typedef void (*Sgemv) (int, int, int, int, float, const float *, int, const float *, int, float, float *, int);

#define ROW_MAJOR 101
#define NOT_TRANSPOSED 111

/* What topk.c needs of a backend */
volatile sig_atomic_t InterruptPending = false;
MemoryContext CurrentMemoryContext = NULL;

void
ProcessInterrupts(void)
{
}

void *
MemoryContextAllocHuge(MemoryContext context pg_attribute_unused(), Size size)
{
	return malloc(size);
}

void
pfree(void *pointer)
{
	free(pointer);
}

static double
milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec * 1e-6;
}

static void *
allocate(size_t size)
{
	void	   *memory = aligned_alloc(64, (size + 63) & ~(size_t) 63);

	if (memory == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return memory;
}

static float *
gaussian(uint64 key, size_t n)
{
	float	   *x = allocate(n * sizeof(float));

	for (size_t i = 0; i < n; i++)
		x[i] = rlrec_random_normal(key, i);
	return x;
}

static Sgemv
load_sgemv(void)
{
	void	   *library = setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0 ? dlopen("libopenblas.so.0", RTLD_NOW) : NULL;
	Sgemv		sgemv = library ? (Sgemv) dlsym(library, "cblas_sgemv") : NULL;

	if (sgemv == NULL)
	{
		fprintf(stderr, "could not load OpenBLAS: %s\n", dlerror());
		exit(1);
	}
	return sgemv;
}

static int
common(const int32 *a, const int32 *b)
{
	int			n = 0;

	for (int i = 0; i < K; i++)
		for (int j = 0; j < K; j++)
			n += a[i] == b[j];
	return n;
}

int
main(int argc, char **argv)
{
	int			m = argc == 4 ? atoi(argv[1]) : 0;
	int			d = argc == 4 ? atoi(argv[2]) : 0;
	int			queries = argc == 4 ? atoi(argv[3]) : 0;
	Sgemv		sgemv = load_sgemv();
	float	   *e;
	int8	   *code;
	float	   *scale;
	float	   *scores;
	float	   *exact;
	double		least_int8 = INFINITY;
	double		least_sgemv = INFINITY;
	int64		found = 0;

	if (m < K || d < 1 || queries < 1)
	{
		fprintf(stderr, "usage: int8 ITEMS DIMENSION QUERIES\n");
		return 1;
	}
	e = gaussian(1, (size_t) m * d);
	code = allocate((size_t) m * d);
	scale = allocate(m * sizeof(float));
	scores = allocate(m * sizeof(float));
	exact = allocate(m * sizeof(float));
	rlrec_quantize_rows(m, d, e, code, scale);
	for (int q = 0; q < queries; q++)
	{
		float	   *x = gaussian(2 + q, d);
		int32		best[K];
		int32		wanted[K];
		double		start = milliseconds();

		sgemv(ROW_MAJOR, NOT_TRANSPOSED, m, d, 1, e, d, x, 1, 0, exact, 1);
		least_sgemv = Min(least_sgemv, milliseconds() - start);
		rlrec_topk(m, exact, NULL, K, wanted);

		start = milliseconds();
		rlrec_gemv_int8(m, d, code, scale, x, scores);
		rlrec_topk(m, scores, NULL, K, best);
		least_int8 = Min(least_int8, milliseconds() - start);
		found += common(wanted, best);
		free(x);
	}
	printf("%.3f %.3f %.4f\n", least_int8, least_sgemv, (double) found / ((double) K * queries));
	return 0;
}
