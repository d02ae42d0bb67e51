/*
 * float8_array.h
 *	  Numbers as an SQL float8[] of one dimension.
 */
#ifndef RLREC_FLOAT8_ARRAY_H
#define RLREC_FLOAT8_ARRAY_H

#include "utils/array.h"

/* Of n numbers, all 0, palloc'd; rlrec_float8_array_of() of given ones. */
extern ArrayType *rlrec_float8_array(int n);
extern ArrayType *rlrec_float8_array_of(int n, const double *numbers);

#endif							/* RLREC_FLOAT8_ARRAY_H */
