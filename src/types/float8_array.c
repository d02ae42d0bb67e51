/*
 * float8_array.c
 *	  Numbers as an SQL float8[] of one dimension.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "types/float8_array.h"

ArrayType *
rlrec_float8_array(int n)
{
	Size		bytes = ARR_OVERHEAD_NONULLS(1) + n * sizeof(double);
	ArrayType  *array;

	if (n == 0)
		return construct_empty_array(FLOAT8OID);
	array = palloc0(bytes);
	SET_VARSIZE(array, bytes);
	array->ndim = 1;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	return array;
}

ArrayType *
rlrec_float8_array_of(int n, const double *numbers)
{
	ArrayType  *array = rlrec_float8_array(n);

	if (n > 0)
		memcpy(ARR_DATA_PTR(array), numbers, n * sizeof(double));
	return array;
}
