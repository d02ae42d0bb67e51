/*
 * blas.c
 *	  OpenBLAS, loaded when first needed, and cut into calls of about 10 ms so that cancel works.
 *
 * Nothing links against OpenBLAS: a backend that only serves never maps it (it reserves hundreds of MB of addresses), and the extension
 * loads where it is not installed. It runs on one thread. Should its build start threads all the same, they inherit a full signal mask,
 * so that PostgreSQL's handlers never run on them. The postmaster must not load it, for its children would inherit what it did.
 *
 * LAPACK is column-major: the row-major lower triangle that we use is its upper triangle, and our L is its U transposed.
 */
#include "postgres.h"

#include <dlfcn.h>
#include <math.h>
#include <signal.h>

#include "miscadmin.h"

#include "tensor/blas.h"
#include "tensor/kernels.h"

#define LIBRARY "libopenblas.so.0"

/* Multiply-adds in one call: 10 ms at 27 GFLOPS, 3 ms on a core with AVX-512. */
#define CALL_WORK (1 << 27)
#define COLUMNS 512
#define DEPTH 1024

/* Rows of a block of the blocked inverse. */
#define BLOCK 256

/* The constants of the CBLAS interface. */
enum
{
	ROW_MAJOR = 101,
	NO_TRANSPOSE = 111,
	TRANSPOSE = 112,
	LOWER = 122,
	NON_UNIT = 131,
	LEFT = 141,
	RIGHT = 142
};

/* The last arguments of the LAPACK functions are Fortran's hidden lengths of the strings. */
static struct
{
	bool		loaded;
	void		(*gemm) (int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
						 const float *b, int ldb, float beta, float *c, int ldc);
	void		(*syrk) (int order, int triangle, int transpose, int n, int k, float alpha, const float *a, int lda, float beta,
						 float *c, int ldc);
	void		(*trmm) (int order, int side, int triangle, int transpose, int diagonal, int m, int n, float alpha,
						 const float *a, int lda, float *b, int ldb);
	void		(*potrf) (const char *triangle, const int *n, float *a, const int *lda, int *info, size_t);
	void		(*potrs) (const char *triangle, const int *n, const int *sides, const float *a, const int *lda, float *b,
						  const int *ldb, int *info, size_t);
	void		(*trtri) (const char *triangle, const char *diagonal, const int *n, float *a, const int *lda, int *info, size_t,
						  size_t);
	void		(*lauum) (const char *triangle, const int *n, float *a, const int *lda, int *info, size_t);
	void		(*dpotrf) (const char *triangle, const int *n, double *a, const int *lda, int *info, size_t);
}			blas;

static void
find_symbols(void *library)
{
	const struct
	{
		const char *name;
		void	  **function;
	}			symbols[] = {
		{"cblas_sgemm", (void **) &blas.gemm},
		{"cblas_ssyrk", (void **) &blas.syrk},
		{"cblas_strmm", (void **) &blas.trmm},
		{"spotrf_", (void **) &blas.potrf},
		{"spotrs_", (void **) &blas.potrs},
		{"strtri_", (void **) &blas.trtri},
		{"slauum_", (void **) &blas.lauum},
		{"dpotrf_", (void **) &blas.dpotrf}
	};

	for (int i = 0; i < (int) lengthof(symbols); i++)
	{
		*symbols[i].function = dlsym(library, symbols[i].name);
		if (*symbols[i].function == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FUNCTION),
					 errmsg("library \"%s\" has no function \"%s\"", LIBRARY, symbols[i].name),
					 errhint("Install a complete OpenBLAS, on Debian: apt-get install libopenblas0.")));
	}
}

void
rlrec_blas_load(void)
{
	void	   *library;
	const char *failure = NULL;
	sigset_t	every,
				mask;

	if (blas.loaded)
		return;
	if (IsPostmasterEnvironment && !IsUnderPostmaster)
		elog(ERROR, "OpenBLAS must not be loaded in the postmaster");
	if (setenv("OPENBLAS_NUM_THREADS", "1", 1) != 0)
		elog(ERROR, "could not set OPENBLAS_NUM_THREADS: %m");
	sigfillset(&every);
	sigprocmask(SIG_SETMASK, &every, &mask);
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		failure = dlerror();
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (library == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("could not load library \"%s\"", LIBRARY),
				 errdetail_internal("%s", failure),
				 errhint("Install it, on Debian: apt-get install libopenblas0.")));
	find_symbols(library);
	blas.loaded = true;
}

void
rlrec_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
		   const float *b, int ldb, float beta, float *c, int ldc)
{
	int			columns = Min(n, COLUMNS);
	int			depth = Min(k, DEPTH);
	int			rows = CALL_WORK / Max(columns * depth, 1);

	rlrec_blas_load();
	for (int i = 0; i < m; i += Min(rows, m - i))
		for (int j = 0; j < n; j += Min(columns, n - j))
			for (int p = 0; p == 0 || p < k; p += Max(Min(depth, k - p), 1))
			{
				CHECK_FOR_INTERRUPTS();
				blas.gemm(ROW_MAJOR, transpose_a ? TRANSPOSE : NO_TRANSPOSE, transpose_b ? TRANSPOSE : NO_TRANSPOSE,
						  Min(rows, m - i), Min(columns, n - j), Min(depth, k - p), alpha,
						  transpose_a ? a + (size_t) p * lda + i : a + (size_t) i * lda + p, lda,
						  transpose_b ? b + (size_t) j * ldb + p : b + (size_t) p * ldb + j, ldb,
						  p == 0 ? beta : 1, c + (size_t) i * ldc + j, ldc);
			}
}

void
rlrec_gemm_raw(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
			   const float *b, int ldb, float beta, float *c, int ldc)
{
	blas.gemm(ROW_MAJOR, transpose_a ? TRANSPOSE : NO_TRANSPOSE, transpose_b ? TRANSPOSE : NO_TRANSPOSE, m, n, k, alpha,
			  a, lda, b, ldb, beta, c, ldc);
}

/* The lower triangle of c (n,n), n <= BLOCK: op(a)^T op(a) as rlrec_syrk(), with a (n,k) when by_rows. */
static void
syrk_block(bool by_rows, int n, int k, float alpha, const float *a, int lda, float beta, float *c, int ldc)
{
	for (int p = 0; p == 0 || p < k; p += DEPTH)
	{
		CHECK_FOR_INTERRUPTS();
		blas.syrk(ROW_MAJOR, LOWER, by_rows ? NO_TRANSPOSE : TRANSPOSE, n, Min(DEPTH, k - p), alpha,
				  by_rows ? a + p : a + (size_t) p * lda, lda, p == 0 ? beta : 1, c, ldc);
	}
}

void
rlrec_syrk(int n, int k, float alpha, const float *a, int lda, float beta, float *c, int ldc)
{
	rlrec_blas_load();
	for (int i = 0; i < n; i += BLOCK)
	{
		int			size = Min(BLOCK, n - i);

		if (i > 0)
			rlrec_gemm(true, false, size, i, k, alpha, a + i, lda, a, lda, beta, c + (size_t) i * ldc, ldc);
		syrk_block(false, size, k, alpha, a + i, lda, beta, c + (size_t) i * ldc + i, ldc);
	}
}

/* b (m,n) = alpha * b op(t) on the right side, alpha * op(t) b on the left, t lower triangular; m and n at most BLOCK */
static void
trmm(int side, bool transpose, int m, int n, float alpha, const float *t, int ldt, float *b, int ldb)
{
	CHECK_FOR_INTERRUPTS();
	blas.trmm(ROW_MAJOR, side, LOWER, transpose ? TRANSPOSE : NO_TRANSPOSE, NON_UNIT, m, n, alpha, t, ldt, b, ldb);
}

/*
 * With M, the inverse of the Cholesky factor L, known for the first `at` rows, finds the next `size` rows of it. In blocks
 *		L_kk' = A_k0 M^T,  L_kk L_kk^T = A_kk - L_k0 L_k0^T,  M_kk = L_kk^-1,  M_k0 = -M_kk L_k0 M
 * where M is the lower triangle above, and `row` holds A_k0, then L_k0, then M_k0. `at` is a multiple of BLOCK. Returns false when the
 * pivot block is not positive definite.
 */
static bool
factor_rows(int at, int size, float *a, int lda)
{
	float	   *row = a + (size_t) at * lda;
	float	   *pivot = row + at;
	int			info;

	/* last block first: a block of L_k0 needs those of A_k0 before it, and itself */
	for (int j = at - BLOCK; j >= 0; j -= BLOCK)
	{
		const float *m = a + (size_t) j * lda;

		trmm(RIGHT, true, size, BLOCK, 1, m + j, lda, row + j, lda);
		if (j > 0)
			rlrec_gemm(false, true, size, BLOCK, j, 1, row, lda, m, lda, 1, row + j, lda);
	}
	if (at > 0)
		syrk_block(true, size, at, -1, row, lda, 1, pivot, lda);
	blas.potrf("U", &size, pivot, &lda, &info, 1);
	if (info != 0)
		return false;
	blas.trtri("U", "N", &size, pivot, &lda, &info, 1, 1);

	/* first block first: a block of M_k0 needs those of L_k0 after it, and itself */
	for (int j = 0; j < at; j += BLOCK)
	{
		int			after = j + BLOCK;

		trmm(RIGHT, false, size, BLOCK, 1, a + (size_t) j * lda + j, lda, row + j, lda);
		if (after < at)
			rlrec_gemm(false, false, size, BLOCK, at - after, 1, row + after, lda, a + (size_t) after * lda + j, lda, 1,
					   row + j, lda);
		trmm(LEFT, false, size, BLOCK, -1, pivot, lda, row + j, lda);
	}
	return true;
}

/* Rows at .. at + size - 1 of M^T M replace those of M; the rows above are done and no longer needed. */
static void
multiply_rows(int n, int at, int size, float *a, int lda)
{
	float	   *row = a + (size_t) at * lda;
	float	   *pivot = row + at;
	int			after = at + size;
	const float *below = a + (size_t) after * lda;
	int			info;

	for (int j = 0; j < at; j += BLOCK)
		trmm(LEFT, true, size, BLOCK, 1, pivot, lda, row + j, lda);
	blas.lauum("U", &size, pivot, &lda, &info, 1);
	if (after < n)
	{
		if (at > 0)
			rlrec_gemm(true, false, size, at, n - after, 1, below + at, lda, below, lda, 1, row, lda);
		syrk_block(false, size, n - after, 1, below + at, lda, 1, pivot, lda);
	}
}

bool
rlrec_invert(int n, float *a, int lda, void (*progress) (int64 done, int64 total))
{
	rlrec_blas_load();
	for (int at = 0; at < n; at += BLOCK)
	{
		if (!factor_rows(at, Min(BLOCK, n - at), a, lda))
			return false;
		if (progress != NULL)
			progress(at, 2 * (int64) n);
	}
	for (int at = 0; at < n; at += BLOCK)
	{
		multiply_rows(n, at, Min(BLOCK, n - at), a, lda);
		if (progress != NULL)
			progress((int64) n + at, 2 * (int64) n);
	}
	/* what rounding has made of a matrix that is nearly singular */
	for (int i = 0; i < n; i++)
		if (!(a[(size_t) i * lda + i] > 0) || isinf(a[(size_t) i * lda + i]))
			return false;
	return true;
}

bool
rlrec_solve(int n, float *a, int lda, float *b)
{
	int			sides = 1;
	int			info;

	rlrec_blas_load();
	blas.potrf("U", &n, a, &lda, &info, 1);
	if (info != 0)
		return false;
	blas.potrs("U", &n, &sides, a, &lda, b, &n, &info, 1);
	return info == 0 && isfinite(rlrec_dot(n, b, b));
}

bool
rlrec_cholesky(int n, double *l)
{
	int			info;

	rlrec_blas_load();
	blas.dpotrf("L", &n, l, &n, &info, 1);
	return info == 0;
}
