/*
 * weights_functions.c
 *	  The SQL functions that look into values of rlrec_weights and make new ones.
 *
 * Whatever its dtype, an element is seen here as a double, which holds each of them exactly.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "types/weights.h"

/* Elements between two looks at interrupts, less one. */
#define PAUSE_MASK 0xFFFF

static double
element(const RlrecTensor *tensor, int64 i)
{
	switch (tensor->dtype)
	{
		case RLREC_F32:
			return ((const float *) tensor->data)[i];
		case RLREC_F64:
			return ((const double *) tensor->data)[i];
		case RLREC_I8:
			return ((const int8 *) tensor->data)[i];
		case RLREC_I32:
			return ((const int32 *) tensor->data)[i];
	}
	elog(ERROR, "dtype %d", tensor->dtype);
	return 0;
}

static const RlrecTensor *
find_or_error(const RlrecTensors *tensors, const char *name)
{
	const RlrecTensor *tensor = rlrec_tensors_find(tensors, name);

	if (tensor == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("weights have no tensor \"%s\"", name),
				 errhint("rlrec_weights_tensors() lists the tensors.")));
	return tensor;
}

static Datum
int8_array(const int64 *values, int n)
{
	Datum		datums[RLREC_MAX_DIMS];

	for (int i = 0; i < n; i++)
		datums[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(rlrec_weights_tensors);
Datum
rlrec_weights_tensors(PG_FUNCTION_ARGS)
{
	RlrecTensors *tensors = rlrec_weights_to_tensors(PG_GETARG_DATUM(0));
	ReturnSetInfo *result;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	for (int i = 0; i < tensors->n; i++)
	{
		const RlrecTensor *tensor = &tensors->tensor[i];
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = CStringGetTextDatum(tensor->name);
		values[1] = CStringGetTextDatum(rlrec_dtype_name(tensor->dtype));
		values[2] = int8_array(tensor->shape, tensor->n_dims);
		values[3] = Int64GetDatum(rlrec_tensor_elements(tensor));
		values[4] = Int64GetDatum((int64) rlrec_tensor_bytes(tensor));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(rlrec_weights_tensor);
Datum
rlrec_weights_tensor(PG_FUNCTION_ARGS)
{
	RlrecTensors *tensors = rlrec_weights_to_tensors(PG_GETARG_DATUM(0));
	const RlrecTensor *tensor = find_or_error(tensors, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	int64		elements = rlrec_tensor_elements(tensor);
	Size		overhead = ARR_OVERHEAD_NONULLS(tensor->n_dims);
	ArrayType  *array;
	double	   *out;

	if (elements == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(FLOAT8OID));
	if (elements > (int64) ((MaxAllocSize - overhead) / sizeof(double)))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("tensor \"%s\" is too large for an array", tensor->name),
				 errdetail("It has %lld elements; an array of double precision has less than 1 GB.", (long long) elements),
				 errhint("Cast the weights to bytea to export them.")));

	array = palloc(overhead + elements * sizeof(double));
	SET_VARSIZE(array, overhead + elements * sizeof(double));
	array->ndim = tensor->n_dims;
	array->dataoffset = 0;
	array->elemtype = FLOAT8OID;
	for (int d = 0; d < tensor->n_dims; d++)
	{
		ARR_DIMS(array)[d] = (int) tensor->shape[d];
		ARR_LBOUND(array)[d] = 1;
	}
	out = (double *) ARR_DATA_PTR(array);
	for (int64 i = 0; i < elements; i++)
	{
		if ((i & PAUSE_MASK) == 0)
			CHECK_FOR_INTERRUPTS();
		out[i] = element(tensor, i);
	}
	PG_RETURN_ARRAYTYPE_P(array);
}

/* Stores value as element i; false when the dtype does not hold it. A float rounds, an integer must be exact. */
static bool
set_element(RlrecDtype dtype, void *data, int64 i, double value)
{
	double		low = dtype == RLREC_I8 ? PG_INT8_MIN : PG_INT32_MIN;
	double		high = dtype == RLREC_I8 ? PG_INT8_MAX : PG_INT32_MAX;

	if (dtype == RLREC_F64)
		((double *) data)[i] = value;
	else if (dtype == RLREC_F32)
	{
		((float *) data)[i] = (float) value;
		return isfinite(value) == isfinite(((float *) data)[i]);
	}
	else if (!(value >= low && value <= high) || value != rint(value))
		return false;
	else if (dtype == RLREC_I8)
		((int8 *) data)[i] = (int8) value;
	else
		((int32 *) data)[i] = (int32) value;
	return true;
}

/* rlrec_weights_build(name text, values float8[], dtype text): one tensor of the array's dimensions. */
PG_FUNCTION_INFO_V1(rlrec_weights_build);
Datum
rlrec_weights_build(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(1);
	char	   *dtype_name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	int			n_dims = ARR_NDIM(array);
	int64		elements = ArrayGetNItems(n_dims, ARR_DIMS(array));
	const double *in = (const double *) ARR_DATA_PTR(array);
	int64		shape[MAXDIM] = {0};	/* an array without elements has no dimensions: (0) */
	RlrecTensors *tensors = rlrec_tensors_create();
	RlrecDtype	dtype;
	void	   *data;

	if (!rlrec_dtype_parse(dtype_name, &dtype))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown dtype \"%s\"", dtype_name),
				 errhint("The dtypes are f32, f64, i8 and i32.")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("values of tensor \"%s\" must not be NULL", name),
				 errhint("A missing number is 'NaN'::float8.")));
	for (int d = 0; d < n_dims; d++)
		shape[d] = ARR_DIMS(array)[d];

	data = rlrec_tensors_add_shape(tensors, name, dtype, Max(n_dims, 1), shape);
	for (int64 i = 0; i < elements; i++)
	{
		if ((i & PAUSE_MASK) == 0)
			CHECK_FOR_INTERRUPTS();
		if (!set_element(dtype, data, i, in[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s does not fit dtype %s", double_to_shortest_decimal(in[i]), rlrec_dtype_name(dtype)),
					 errdetail("It is element %lld, from 1, row after row, of tensor \"%s\".", (long long) i + 1, name),
					 errhint("f32 holds up to 3.4e38, i8 and i32 hold integers of 8 and 32 bits, f64 holds every value.")));
	}
	return rlrec_weights_from_tensors(tensors);
}

static void
add_all(RlrecTensors *to, const RlrecTensors *from)
{
	for (int i = 0; i < from->n; i++)
		rlrec_tensors_add_data(to, from->tensor[i].name, from->tensor[i].dtype, from->tensor[i].n_dims,
							   from->tensor[i].shape, from->tensor[i].data);
}

PG_FUNCTION_INFO_V1(rlrec_weights_concat);
Datum
rlrec_weights_concat(PG_FUNCTION_ARGS)
{
	RlrecTensors *joined = rlrec_tensors_create();

	add_all(joined, rlrec_weights_to_tensors(PG_GETARG_DATUM(0)));
	add_all(joined, rlrec_weights_to_tensors(PG_GETARG_DATUM(1)));
	return rlrec_weights_from_tensors(joined);
}

static void
largest_magnitude(const RlrecTensor *tensor, double *largest)
{
	int64		elements = rlrec_tensor_elements(tensor);

	for (int64 i = 0; i < elements; i++)
	{
		double		x = fabs(element(tensor, i));

		if ((i & PAUSE_MASK) == 0)
			CHECK_FOR_INTERRUPTS();
		if (x > *largest || isnan(x))
			*largest = x;		/* what follows a NaN never compares greater */
	}
}

static double
sum_of_squares(const RlrecTensor *tensor, double scale)
{
	int64		elements = rlrec_tensor_elements(tensor);
	double		sum = 0;

	for (int64 i = 0; i < elements; i++)
	{
		double		x = element(tensor, i) * scale;

		if ((i & PAUSE_MASK) == 0)
			CHECK_FOR_INTERRUPTS();
		sum += x * x;
	}
	return sum;
}

/* Scales by a power of two, which is exact, so that no square overflows, nor all of them vanish. */
static double
norm(const RlrecTensor *tensor, int n)
{
	double		largest = 0;
	double		sum = 0;
	int			exponent;

	for (int t = 0; t < n; t++)
		largest_magnitude(&tensor[t], &largest);
	if (largest == 0 || !isfinite(largest))
		return largest;
	frexp(largest, &exponent);
	exponent = Max(exponent, -1000);	/* its inverse is finite */
	for (int t = 0; t < n; t++)
		sum += sum_of_squares(&tensor[t], ldexp(1, -exponent));
	return ldexp(sqrt(sum), exponent);
}

/* rlrec_weights_norm(weights, name text): of the tensor of that name, of all when name is NULL. */
PG_FUNCTION_INFO_V1(rlrec_weights_norm);
Datum
rlrec_weights_norm(PG_FUNCTION_ARGS)
{
	RlrecTensors *tensors;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	tensors = rlrec_weights_to_tensors(PG_GETARG_DATUM(0));
	if (PG_ARGISNULL(1))
		PG_RETURN_FLOAT8(norm(tensors->tensor, tensors->n));
	PG_RETURN_FLOAT8(norm(find_or_error(tensors, text_to_cstring(PG_GETARG_TEXT_PP(1))), 1));
}

static void
check_same_shape(const RlrecTensor *a, const RlrecTensor *b)
{
	bool		same = a->n_dims == b->n_dims;

	for (int d = 0; same && d < a->n_dims; d++)
		same = a->shape[d] == b->shape[d];
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("tensor \"%s\" has different shapes in the two weights", a->name),
				 errhint("rlrec_weights_tensors() lists the shapes.")));
}

/* rlrec_weights_difference(a, b): a - b, tensor by tensor; f32 when both are f32, else f64. */
PG_FUNCTION_INFO_V1(rlrec_weights_difference);
Datum
rlrec_weights_difference(PG_FUNCTION_ARGS)
{
	RlrecTensors *left = rlrec_weights_to_tensors(PG_GETARG_DATUM(0));
	RlrecTensors *right = rlrec_weights_to_tensors(PG_GETARG_DATUM(1));
	RlrecTensors *result = rlrec_tensors_create();

	/* Names are distinct: if each of b is in a, and there are as many, the names are the same. */
	for (int t = 0; t < right->n; t++)
		find_or_error(left, right->tensor[t].name);
	for (int t = 0; t < left->n; t++)
	{
		const RlrecTensor *a = &left->tensor[t];
		const RlrecTensor *b = find_or_error(right, a->name);
		RlrecDtype	dtype = a->dtype == RLREC_F32 && b->dtype == RLREC_F32 ? RLREC_F32 : RLREC_F64;
		int64		elements = rlrec_tensor_elements(a);
		void	   *data;

		check_same_shape(a, b);
		data = rlrec_tensors_add_shape(result, a->name, dtype, a->n_dims, a->shape);
		for (int64 i = 0; i < elements; i++)
		{
			double		difference = element(a, i) - element(b, i);

			if ((i & PAUSE_MASK) == 0)
				CHECK_FOR_INTERRUPTS();
			if (dtype == RLREC_F32)
				((float *) data)[i] = (float) difference;
			else
				((double *) data)[i] = difference;
		}
	}
	return rlrec_weights_from_tensors(result);
}
