/*
 * weights.c
 *	  The SQL type rlrec_weights: a set of named tensors as a value, for import, export and inspection.
 *
 * A value is the flat image of image.c. It was checked in full, checksum included, when it came in; later readers check all but the
 * checksum. The image is canonical, so equality is that of bytes, and its CRC is the hash. Four bytes of padding before it keep it at
 * a multiple of eight, as the type's alignment of double promises, so that tensors are read in place.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "compat.h"
#include "types/weights.h"
#include "types/weights_json.h"

typedef struct Weights
{
	int32		vl_len_;
	int32		zero;
	char		image[FLEXIBLE_ARRAY_MEMBER];
} Weights;

#define WEIGHTS_HEADER offsetof(Weights, image)
#define WEIGHTS_CRC_OFFSET (WEIGHTS_HEADER - VARHDRSZ + 12)	/* of the image's CRC, from VARDATA */

StaticAssertDecl(WEIGHTS_HEADER == MAXALIGN(WEIGHTS_HEADER), "the image is aligned");

/* A value with room for an image of that length, which the caller fills. */
static Weights *
weights_alloc(uint64 length)
{
	Weights    *weights;

	if (length > RLREC_WEIGHTS_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("weights are too large"),
				 errdetail("They take %llu bytes; a value of rlrec_weights has at most %llu.",
						   (unsigned long long) length, (unsigned long long) RLREC_WEIGHTS_MAX_BYTES),
				 errhint("Split the set by tensor.")));
	weights = palloc(WEIGHTS_HEADER + length);
	SET_VARSIZE(weights, WEIGHTS_HEADER + length);
	weights->zero = 0;
	return weights;
}

/* A value from bytes that came from outside. */
static Weights *
weights_from_image(const char *image, uint64 length)
{
	Weights    *weights;

	rlrec_image_check(image, length, true, ERRCODE_INVALID_BINARY_REPRESENTATION);
	weights = weights_alloc(length);
	memcpy(weights->image, image, length);
	return weights;
}

static void
copy_sink(void *argument, const void *bytes, size_t length)
{
	char	  **end = argument;

	memcpy(*end, bytes, length);
	*end += length;
}

Datum
rlrec_weights_from_tensors(const RlrecTensors *tensors)
{
	Weights    *weights = weights_alloc(rlrec_image_size(tensors));
	char	   *end = weights->image;

	rlrec_image_write(tensors, copy_sink, &end);
	PG_RETURN_POINTER(weights);
}

RlrecTensors *
rlrec_weights_to_tensors(Datum value)
{
	Weights    *weights = (Weights *) PG_DETOAST_DATUM(value);

	if (VARSIZE(weights) < WEIGHTS_HEADER)
		elog(ERROR, "value of type rlrec_weights of %u bytes", (unsigned) VARSIZE(weights));
	return rlrec_image_open(weights->image, VARSIZE(weights) - WEIGHTS_HEADER, false);
}

/* ---- input and output ---- */

PG_FUNCTION_INFO_V1(rlrec_weights_in);
Datum
rlrec_weights_in(PG_FUNCTION_ARGS)
{
	return rlrec_weights_from_tensors(rlrec_weights_parse(PG_GETARG_CSTRING(0)));
}

PG_FUNCTION_INFO_V1(rlrec_weights_out);
Datum
rlrec_weights_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(rlrec_weights_print(rlrec_weights_to_tensors(PG_GETARG_DATUM(0))));
}

PG_FUNCTION_INFO_V1(rlrec_weights_recv);
Datum
rlrec_weights_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			length = message->len - message->cursor;

	PG_RETURN_POINTER(weights_from_image(pq_getmsgbytes(message, length), length));
}

/* Serves as the cast to bytea too: a bytea is the image alone. */
PG_FUNCTION_INFO_V1(rlrec_weights_send);
Datum
rlrec_weights_send(PG_FUNCTION_ARGS)
{
	Weights    *weights = (Weights *) PG_GETARG_VARLENA_P(0);
	size_t		length = VARSIZE(weights) - WEIGHTS_HEADER;
	bytea	   *image = palloc(VARHDRSZ + length);

	SET_VARSIZE(image, VARHDRSZ + length);
	memcpy(VARDATA(image), weights->image, length);
	PG_RETURN_BYTEA_P(image);
}

PG_FUNCTION_INFO_V1(rlrec_weights_from_bytea);
Datum
rlrec_weights_from_bytea(PG_FUNCTION_ARGS)
{
	bytea	   *image = PG_GETARG_BYTEA_PP(0);

	PG_RETURN_POINTER(weights_from_image(VARDATA_ANY(image), VARSIZE_ANY_EXHDR(image)));
}

/* ---- equality, and an order that means nothing but lets sorts group ---- */

static uint32
weights_crc(Datum value)
{
	bytea	   *crc = PG_DETOAST_DATUM_SLICE(value, WEIGHTS_CRC_OFFSET, sizeof(uint32));
	uint32		result = 0;

	memcpy(&result, VARDATA_ANY(crc), Min(VARSIZE_ANY_EXHDR(crc), sizeof(result)));
	return result;
}

static int
weights_compare(FunctionCallInfo fcinfo)
{
	Weights    *left = (Weights *) PG_GETARG_VARLENA_P(0);
	Weights    *right = (Weights *) PG_GETARG_VARLENA_P(1);
	Size		left_size = VARSIZE(left);
	Size		right_size = VARSIZE(right);
	int			order = memcmp(left->image, right->image, Min(left_size, right_size) - WEIGHTS_HEADER);

	if (order == 0)
		order = (left_size > right_size) - (left_size < right_size);
	PG_FREE_IF_COPY(left, 0);
	PG_FREE_IF_COPY(right, 1);
	return order;
}

/* Sizes and checksums tell most values apart without fetching them whole. */
static bool
weights_equal(FunctionCallInfo fcinfo)
{
	Datum		a = PG_GETARG_DATUM(0);
	Datum		b = PG_GETARG_DATUM(1);

	return toast_raw_datum_size(a) == toast_raw_datum_size(b) && weights_crc(a) == weights_crc(b) &&
		weights_compare(fcinfo) == 0;
}

PG_FUNCTION_INFO_V1(rlrec_weights_eq);
Datum
rlrec_weights_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(weights_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(rlrec_weights_ne);
Datum
rlrec_weights_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!weights_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(rlrec_weights_cmp);
Datum
rlrec_weights_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(weights_compare(fcinfo));
}

PG_FUNCTION_INFO_V1(rlrec_weights_lt);
Datum
rlrec_weights_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(weights_compare(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(rlrec_weights_le);
Datum
rlrec_weights_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(weights_compare(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(rlrec_weights_gt);
Datum
rlrec_weights_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(weights_compare(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(rlrec_weights_ge);
Datum
rlrec_weights_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(weights_compare(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(rlrec_weights_hash);
Datum
rlrec_weights_hash(PG_FUNCTION_ARGS)
{
	return hash_uint32(weights_crc(PG_GETARG_DATUM(0)));
}

PG_FUNCTION_INFO_V1(rlrec_weights_hash_extended);
Datum
rlrec_weights_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_uint32_extended(weights_crc(PG_GETARG_DATUM(0)), PG_GETARG_INT64(1));
}
