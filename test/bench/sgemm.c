/*
 * sgemm.c
 *	  The peak of one core: the rate of a large sgemm by OpenBLAS, the library that the extension loads, on one thread.
 *
 * Multiplies for some seconds and prints the best rate of a call in GFLOPS. Run one on each core at once, for together they may be slower.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N 1536
#define SECONDS 4

typedef void (*Gemm) (int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
					  const float *b, int ldb, float beta, float *c, int ldc);

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int
main(void)
{
	float	   *a = malloc(3 * sizeof(float) * N * N);
	float	   *b = a + N * N;
	float	   *c = b + N * N;
	double		started = now();
	double		best = 0;
	void	   *library;
	Gemm		gemm;

	setenv("OPENBLAS_NUM_THREADS", "1", 1);
	library = dlopen("libopenblas.so.0", RTLD_NOW);
	gemm = library != NULL ? (Gemm) dlsym(library, "cblas_sgemm") : NULL;
	if (a == NULL || gemm == NULL)
	{
		fprintf(stderr, "there is no libopenblas.so.0 with cblas_sgemm\n");
		return 1;
	}
	for (int i = 0; i < 2 * N * N; i++)
		a[i] = i % 7 - 3;
	while (now() - started < SECONDS)
	{
		double		before = now();
		double		rate;

		gemm(101, 111, 111, N, N, N, 1, a, N, b, N, 0, c, N);
		rate = 2e-9 * N * N * N / (now() - before);
		if (rate > best)
			best = rate;
	}
	printf("%.2f\n", best);
	return 0;
}
