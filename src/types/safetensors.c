/*
 * safetensors.c
 *	  Weights from and to the safetensors format, in which other programs keep the weights of networks.
 *
 * A file is the length n of a JSON header, 8 bytes little endian; the header, {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets":
 * [begin, end]}, ...} with an optional "__metadata__"; then the data, each tensor's bytes at its offsets counted from the header's end,
 * without gaps. Reading checks every length before it touches or allocates anything, and brings the tensors into the order of their data, so
 * that reading what was written gives the same value, bit for bit. F16 and BF16 become f32, which holds them exactly.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "types/weights.h"

#define MAX_HEADER (100 * 1024 * 1024)

/* How an element is stored, and what it becomes. */
typedef struct Format
{
	const char *name;
	RlrecDtype	dtype;
	int			bytes;
} Format;

static const Format formats[] = {
	{"F32", RLREC_F32, 4},
	{"F64", RLREC_F64, 8},
	{"I8", RLREC_I8, 1},
	{"I32", RLREC_I32, 4},
	{"F16", RLREC_F32, 2},
	{"BF16", RLREC_F32, 2},
};

typedef struct Entry
{
	char	   *name;
	const Format *format;
	int			n_dims;
	int64		shape[RLREC_MAX_DIMS];
	int64		begin;
	int64		end;
} Entry;

pg_noreturn static void
malformed(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid safetensors data"),
			 errdetail("%s", detail),
			 errhint("Pass the bytes of a whole .safetensors file.")));
}

/* ---------------------------------------------------------------- writing */

static const Format *
format_of(RlrecDtype dtype)
{
	for (int i = 0; i < (int) lengthof(formats); i++)
		if (formats[i].dtype == dtype)
			return &formats[i];
	elog(ERROR, "no safetensors format of dtype %d", dtype);
}

PG_FUNCTION_INFO_V1(rlrec_weights_to_safetensors);
Datum
rlrec_weights_to_safetensors(PG_FUNCTION_ARGS)
{
	RlrecTensors *tensors = rlrec_weights_to_tensors(PG_GETARG_DATUM(0));
	StringInfoData header;
	uint64		offset = 0;
	uint64		length;
	bytea	   *file;
	char	   *to;

	initStringInfo(&header);
	appendStringInfoChar(&header, '{');
	for (int i = 0; i < tensors->n; i++)
	{
		const RlrecTensor *tensor = &tensors->tensor[i];

		appendStringInfoString(&header, i ? "," : "");
		escape_json(&header, tensor->name);
		appendStringInfo(&header, ":{\"dtype\":\"%s\",\"shape\":[", format_of(tensor->dtype)->name);
		for (int d = 0; d < tensor->n_dims; d++)
			appendStringInfo(&header, "%s%lld", d ? "," : "", (long long) tensor->shape[d]);
		appendStringInfo(&header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long) offset,
						 (unsigned long long) (offset + rlrec_tensor_bytes(tensor)));
		offset += rlrec_tensor_bytes(tensor);
	}
	appendStringInfoChar(&header, '}');
	while (header.len % 8 != 0)
		appendStringInfoChar(&header, ' ');

	file = palloc(VARHDRSZ + sizeof(uint64) + header.len + offset);
	SET_VARSIZE(file, VARHDRSZ + sizeof(uint64) + header.len + offset);
	to = VARDATA(file);
	length = header.len;
#ifdef WORDS_BIGENDIAN
	length = pg_bswap64(length);
#endif
	memcpy(to, &length, sizeof(length));
	memcpy(to + sizeof(length), header.data, header.len);
	to += sizeof(length) + header.len;
	for (int i = 0; i < tensors->n; i++)
	{
		size_t		bytes = rlrec_tensor_bytes(&tensors->tensor[i]);

		if (bytes > 0)
			memcpy(to, tensors->tensor[i].data, bytes);
		to += bytes;
	}
	PG_RETURN_BYTEA_P(file);
}

/* ---------------------------------------------------------------- reading */

/* A key's value in an object; *value is malformed when it is missing or of another type. */
static JsonbValue *
member(JsonbContainer *object, const char *key, enum jbvType type, JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(object, key, strlen(key), value) == NULL || value->type != type)
		malformed(psprintf("A tensor's \"%s\" is missing or of the wrong type.", key));
	return value;
}

/* The integers of an array, at most `most` of them. */
static int
integers(JsonbContainer *object, const char *key, int most, int64 *out)
{
	JsonbValue	array;
	int			n;

	member(object, key, jbvBinary, &array);
	if (!JsonContainerIsArray(array.val.binary.data) || (n = JsonContainerSize(array.val.binary.data)) > most)
		malformed(psprintf("A tensor's \"%s\" is not an array of at most %d integers.", key, most));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array.val.binary.data, i);

		if (element->type != jbvNumeric)
			malformed(psprintf("A tensor's \"%s\" is not an array of integers.", key));
		out[i] = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(element->val.numeric)));
		if (out[i] < 0)
			malformed(psprintf("A tensor's \"%s\" has a negative number.", key));
	}
	return n;
}

static void
read_entry(const char *name, JsonbContainer *object, int64 data_bytes, Entry *entry)
{
	JsonbValue	dtype;
	int64		offsets[2];
	int64		elements;

	entry->name = pstrdup(name);
	entry->format = NULL;
	member(object, "dtype", jbvString, &dtype);
	for (int i = 0; i < (int) lengthof(formats); i++)
		if (dtype.val.string.len == (int) strlen(formats[i].name) &&
			memcmp(dtype.val.string.val, formats[i].name, dtype.val.string.len) == 0)
			entry->format = &formats[i];
	if (entry->format == NULL)
		malformed(psprintf("Tensor \"%s\" has dtype %.*s; known are F32, F64, I8, I32, F16 and BF16.", name,
						   Min(dtype.val.string.len, 20), dtype.val.string.val));
	entry->n_dims = integers(object, "shape", RLREC_MAX_DIMS, entry->shape);
	if (entry->n_dims == 0)
		entry->shape[entry->n_dims++] = 1;	/* a scalar */
	if (integers(object, "data_offsets", 2, offsets) != 2)
		malformed(psprintf("Tensor \"%s\" needs two data_offsets.", name));
	entry->begin = offsets[0];
	entry->end = offsets[1];
	if (!rlrec_shape_elements(entry->format->dtype, entry->n_dims, entry->shape, &elements) || entry->end < entry->begin ||
		entry->end > data_bytes || entry->end - entry->begin != elements * entry->format->bytes)
		malformed(psprintf("The data of tensor \"%s\" do not have the length that its shape needs.", name));
}

static int
compare_entries(const void *a, const void *b)
{
	const Entry *x = a;
	const Entry *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	if (x->end != y->end)
		return x->end < y->end ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The header's tensors in order of their data. */
static Entry *
read_header(const char *json, int length, int64 data_bytes, int *n)
{
	Jsonb	   *header = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(json, length))));
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;
	Entry	   *entries;

	if (!JB_ROOT_IS_OBJECT(header))
		malformed("The header is not a JSON object.");
	entries = palloc0(Max(JB_ROOT_COUNT(header), 1) * sizeof(Entry));
	*n = 0;
	iterator = JsonbIteratorInit(&header->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && strcmp(name, "__metadata__") != 0)
		{
			if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
				malformed(psprintf("\"%s\" is not an object.", name));
			read_entry(name, value.val.binary.data, data_bytes, &entries[(*n)++]);
		}
	}
	qsort(entries, *n, sizeof(Entry), compare_entries);
	for (int i = 0; i < *n; i++)
		if (entries[i].begin != (i ? entries[i - 1].end : 0))
			malformed("The tensors' data overlap or leave gaps.");
	if ((*n ? entries[*n - 1].end : 0) != data_bytes)
		malformed("There are more or fewer data than the header says.");
	return entries;
}

/* IEEE 754 binary16 */
static float
half_to_float(uint16 half)
{
	uint32		sign = (uint32) (half & 0x8000) << 16;
	uint32		exponent = (half >> 10) & 0x1f;
	uint32		fraction = half & 0x3ff;
	uint32		bits;
	float		value;

	if (exponent == 0)			/* zero or subnormal: fraction * 2^-24 */
	{
		value = (float) fraction * 5.9604644775390625e-8f;
		return sign ? -value : value;
	}
	bits = sign | (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | fraction << 13;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static void
read_data(const Entry *entry, const char *data, void *to)
{
	int64		n = (entry->end - entry->begin) / entry->format->bytes;

	if (n == 0)
		return;
	if (entry->format->bytes != 2)
	{
		memcpy(to, data + entry->begin, entry->end - entry->begin);
		return;
	}
	for (int64 i = 0; i < n; i++)
	{
		uint16		half;
		uint32		bits;

		memcpy(&half, data + entry->begin + 2 * i, sizeof(half));
		bits = (uint32) half << 16;
		if (strcmp(entry->format->name, "F16") == 0)
			((float *) to)[i] = half_to_float(half);
		else
			memcpy((float *) to + i, &bits, sizeof(bits));
	}
}

PG_FUNCTION_INFO_V1(rlrec_weights_from_safetensors);
Datum
rlrec_weights_from_safetensors(PG_FUNCTION_ARGS)
{
	bytea	   *file = PG_GETARG_BYTEA_PP(0);
	const char *bytes = VARDATA_ANY(file);
	uint64		size = VARSIZE_ANY_EXHDR(file);
	uint64		length;
	RlrecTensors *tensors = rlrec_tensors_create();
	Entry	   *entries;
	int			n;

	if (size < sizeof(length))
		malformed("There are fewer than 8 bytes.");
	memcpy(&length, bytes, sizeof(length));
#ifdef WORDS_BIGENDIAN
	length = pg_bswap64(length);
#endif
	if (length > size - sizeof(length) || length > MAX_HEADER)
		malformed("The header is longer than the data.");
	entries = read_header(bytes + sizeof(length), (int) length, (int64) (size - sizeof(length) - length), &n);
	for (int i = 0; i < n; i++)
		read_data(&entries[i], bytes + sizeof(length) + length,
				  rlrec_tensors_add_shape(tensors, entries[i].name, entries[i].format->dtype, entries[i].n_dims, entries[i].shape));
	PG_RETURN_DATUM(rlrec_weights_from_tensors(tensors));
}
