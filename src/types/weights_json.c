/*
 * weights_json.c
 *	  The text form of a set of tensors, a JSON object of objects:
 *
 *		{"w": {"dtype": "f32", "shape": [2,2], "data": [1,2,3.5,"NaN"]}, ...}
 *
 * data is row-major. A finite number is printed with the fewest digits that read back as the same bits; what JSON cannot say is a
 * string: "Infinity", "-Infinity", "NaN", and "NaN:ffc00000" for a not-a-number of other bits than the usual one, in hexadecimal
 * (x86 makes such a one of 0/0).
 *
 * The JSON parser goes over the text twice, since the three keys come in any order (jsonb puts data first): first it collects names,
 * dtypes and shapes and counts the data, and so allocates no more than the text accounts for; then it fills the data in.
 */
#include "postgres.h"

#include <math.h>

#include "common/jsonapi.h"
#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/json.h"
#include "utils/jsonfuncs.h"
#include "utils/memutils.h"

#include "compat.h"
#include "types/weights_json.h"

#define F32_NAN_BITS UINT64CONST(0x7fc00000)
#define F64_NAN_BITS UINT64CONST(0x7ff8000000000000)

typedef enum Key
{
	KEY_NONE = 0,
	KEY_DTYPE = 1,
	KEY_SHAPE = 2,
	KEY_DATA = 4
} Key;

typedef struct Parse
{
	RlrecTensors *tensors;
	bool		filling;		/* the second time over the text */
	int			depth;			/* of objects: 1 in the set, 2 in a tensor */
	bool		in_array;
	Key			key;			/* whose value comes now */
	int			seen;			/* keys of this tensor, a bit each */
	int64		n_data;			/* elements of its data so far */

	RlrecTensor header;			/* this tensor, first time: name, dtype, shape */
	int			next;			/* second time: number of the next tensor */
	RlrecTensor *tensor;		/* second time: this tensor */
} Parse;

#define BAD_TEXT(...) \
	ereport(ERROR, \
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), \
			 errmsg("invalid input syntax for type %s", "rlrec_weights"), \
			 errdetail(__VA_ARGS__), \
			 errhint("An example: {\"w\": {\"dtype\": \"f32\", \"shape\": [2,2], \"data\": [1,2,3.5,\"NaN\"]}}")))

/* ---- numbers ---- */

/* The bits after "NaN:" of a value of that size; the caller sees whether they are a not-a-number. */
static bool
parse_nan_bits(const char *token, size_t size, uint64 *bits)
{
	char	   *end;

	if (strncmp(token, "NaN:", 4) != 0 || strlen(token) != 4 + 2 * size || !isxdigit((unsigned char) token[4]))
		return false;
	*bits = strtou64(token + 4, &end, 16);
	return *end == '\0';
}

static bool
parse_special(const char *token, double *value)
{
	if (strcmp(token, "NaN") == 0)
		*value = NAN;
	else if (strcmp(token, "Infinity") == 0)
		*value = INFINITY;
	else if (strcmp(token, "-Infinity") == 0)
		*value = -INFINITY;
	else
		return false;
	return true;
}

/*
 * A float of either size from a number or, when quoted, a special value. f32 is read as such: by way of a double it would be rounded
 * twice.
 */
static void
parse_float(Parse *parse, const char *token, bool quoted)
{
	RlrecTensor *tensor = parse->tensor;
	bool		single = tensor->dtype == RLREC_F32;
	float	   *f32 = (float *) tensor->data + parse->n_data;
	double	   *f64 = (double *) tensor->data + parse->n_data;
	uint64		bits;
	double		value;

	errno = 0;
	if (!quoted && single)
		value = *f32 = strtof(token, NULL);
	else if (!quoted)
		value = *f64 = strtod(token, NULL);
	else if (parse_special(token, &value))
	{
		if (isnan(value))
			bits = single ? F32_NAN_BITS : F64_NAN_BITS;
		else if (single)
			*f32 = (float) value;
		else
			*f64 = value;
	}
	else if (parse_nan_bits(token, rlrec_dtype_size(tensor->dtype), &bits))
		value = NAN;
	else
		BAD_TEXT("Tensor \"%s\" has the element \"%s\", which is not a number.", tensor->name, token);

	if (quoted && isnan(value))
	{
		uint32		low = (uint32) bits;

		memcpy(single ? (void *) f32 : (void *) f64, single ? (void *) &low : (void *) &bits,
			   rlrec_dtype_size(tensor->dtype));
		if (!isnan(single ? *f32 : *f64))
			BAD_TEXT("Tensor \"%s\" has the element \"%s\", whose bits are not those of a not-a-number.", tensor->name, token);
	}
	if (!quoted && errno == ERANGE && (value == 0 || isinf(value)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range for %s", token, rlrec_dtype_name(tensor->dtype)),
				 errdetail("It is an element of tensor \"%s\".", tensor->name)));
}

static void
parse_integer(Parse *parse, const char *token, bool quoted)
{
	RlrecTensor *tensor = parse->tensor;
	int64		low = tensor->dtype == RLREC_I8 ? PG_INT8_MIN : PG_INT32_MIN;
	int64		high = tensor->dtype == RLREC_I8 ? PG_INT8_MAX : PG_INT32_MAX;
	int64		value;
	char	   *end;

	errno = 0;
	value = strtoi64(token, &end, 10);
	if (quoted || *end != '\0')
		BAD_TEXT("Tensor \"%s\" of dtype %s has the element \"%s\", which is not an integer.", tensor->name,
				 rlrec_dtype_name(tensor->dtype), token);
	if (errno == ERANGE || value < low || value > high)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range for %s", token, rlrec_dtype_name(tensor->dtype)),
				 errdetail("It is an element of tensor \"%s\".", tensor->name)));
	if (tensor->dtype == RLREC_I8)
		((int8 *) tensor->data)[parse->n_data] = (int8) value;
	else
		((int32 *) tensor->data)[parse->n_data] = (int32) value;
}

/* ---- the parser's actions ---- */

static void
take_dimension(Parse *parse, const char *token, bool quoted)
{
	int64		dimension;
	char	   *end;

	errno = 0;
	dimension = strtoi64(token, &end, 10);
	if (quoted || *end != '\0' || errno == ERANGE)
		BAD_TEXT("The shape of tensor \"%s\" has \"%s\", which is not an integer.", parse->header.name, token);
	if (parse->header.n_dims == RLREC_MAX_DIMS)
		BAD_TEXT("The shape of tensor \"%s\" has more than %d dimensions.", parse->header.name, RLREC_MAX_DIMS);
	parse->header.shape[parse->header.n_dims++] = dimension;
}

static RLREC_JSON_ACTION
on_scalar(void *state, char *token, JsonTokenType type)
{
	Parse	   *parse = state;
	bool		quoted = type == JSON_TOKEN_STRING;

	CHECK_FOR_INTERRUPTS();
	if (parse->depth == 0)
		BAD_TEXT("The set is not a JSON object.");
	if (parse->depth == 1)
		BAD_TEXT("Tensor \"%s\" is not a JSON object.", parse->header.name);
	if (parse->in_array != (parse->key != KEY_DTYPE) || (!quoted && type != JSON_TOKEN_NUMBER))
		BAD_TEXT("Tensor \"%s\" has \"%s\" where it cannot be.", parse->header.name, token);

	if (parse->key == KEY_DATA && parse->filling)
	{
		if (parse->tensor->dtype == RLREC_F32 || parse->tensor->dtype == RLREC_F64)
			parse_float(parse, token, quoted);
		else
			parse_integer(parse, token, quoted);
	}
	else if (parse->key == KEY_SHAPE && !parse->filling)
		take_dimension(parse, token, quoted);
	else if (parse->key == KEY_DTYPE && (!quoted || !rlrec_dtype_parse(token, &parse->header.dtype)))
		BAD_TEXT("Tensor \"%s\" has the unknown dtype \"%s\"; f32, f64, i8 and i32 are known.", parse->header.name, token);
	parse->n_data += parse->key == KEY_DATA;
	pfree(token);
	RLREC_JSON_GO_ON;
}

static RLREC_JSON_ACTION
on_field(void *state, char *name, bool isnull)
{
	Parse	   *parse = state;

	(void) isnull;
	if (parse->depth == 1)
	{
		if (strlen(name) >= NAMEDATALEN || name[0] == '\0')
			BAD_TEXT("The name \"%s\" of a tensor does not have 1 to %d bytes.", name, NAMEDATALEN - 1);
		memset(&parse->header, 0, sizeof(RlrecTensor));
		strcpy(parse->header.name, name);
		parse->seen = 0;
		parse->n_data = 0;
		parse->key = KEY_NONE;
		if (parse->filling)
			parse->tensor = &parse->tensors->tensor[parse->next++];
	}
	else
	{
		if (strcmp(name, "dtype") == 0)
			parse->key = KEY_DTYPE;
		else if (strcmp(name, "shape") == 0)
			parse->key = KEY_SHAPE;
		else if (strcmp(name, "data") == 0)
			parse->key = KEY_DATA;
		else
			BAD_TEXT("Tensor \"%s\" has the unknown key \"%s\"; dtype, shape and data are known.", parse->header.name, name);
		if (parse->seen & parse->key)
			BAD_TEXT("Tensor \"%s\" has the key \"%s\" twice.", parse->header.name, name);
		parse->seen |= parse->key;
	}
	pfree(name);
	RLREC_JSON_GO_ON;
}

static RLREC_JSON_ACTION
on_object_start(void *state)
{
	Parse	   *parse = state;

	if (parse->depth == 2)
		BAD_TEXT("Tensor \"%s\" has a JSON object where it cannot be.", parse->header.name);
	parse->depth++;
	RLREC_JSON_GO_ON;
}

static RLREC_JSON_ACTION
on_object_end(void *state)
{
	Parse	   *parse = state;
	RlrecTensor *header = &parse->header;
	int64		elements;

	if (parse->depth-- == 1 || parse->filling)
		RLREC_JSON_GO_ON;
	if (parse->seen != (KEY_DTYPE | KEY_SHAPE | KEY_DATA))
		BAD_TEXT("Tensor \"%s\" lacks one of dtype, shape and data.", header->name);
	if (header->n_dims == 0)
		BAD_TEXT("The shape of tensor \"%s\" has no dimensions.", header->name);
	if (!rlrec_shape_elements(header->dtype, header->n_dims, header->shape, &elements))
		BAD_TEXT("The shape of tensor \"%s\" is negative or overflows.", header->name);
	if (elements != parse->n_data)
		BAD_TEXT("Tensor \"%s\" has %lld elements by its shape and %lld in its data.", header->name,
				 (long long) elements, (long long) parse->n_data);
	rlrec_tensors_add_shape(parse->tensors, header->name, header->dtype, header->n_dims, header->shape);
	RLREC_JSON_GO_ON;
}

static RLREC_JSON_ACTION
on_array_start(void *state)
{
	Parse	   *parse = state;

	if (parse->depth < 2)
		BAD_TEXT("The set and each of its tensors are JSON objects, not arrays.");
	if (parse->in_array || parse->key == KEY_DTYPE)
		BAD_TEXT("Tensor \"%s\" has an array where it cannot be; data is one flat array, row after row.", parse->header.name);
	parse->in_array = true;
	RLREC_JSON_GO_ON;
}

static RLREC_JSON_ACTION
on_array_end(void *state)
{
	((Parse *) state)->in_array = false;
	RLREC_JSON_GO_ON;
}

RlrecTensors *
rlrec_weights_parse(char *json)
{
	Parse		parse = {0};
	JsonSemAction actions = {0};

	parse.tensors = rlrec_tensors_create();
	actions.semstate = &parse;
	actions.scalar = on_scalar;
	actions.object_start = on_object_start;
	actions.object_end = on_object_end;
	actions.object_field_start = on_field;
	actions.array_start = on_array_start;
	actions.array_end = on_array_end;
	pg_parse_json_or_ereport(rlrec_json_lex(json), &actions);
	parse.filling = true;
	pg_parse_json_or_ereport(rlrec_json_lex(json), &actions);
	return parse.tensors;
}

/* ---- printing ---- */

static int
print_nan(char *out, uint64 bits, uint64 usual, size_t size)
{
	if (bits == usual)
		return sprintf(out, "\"NaN\"");
	return sprintf(out, "\"NaN:%0*llx\"", (int) (2 * size), (unsigned long long) bits);
}

/* Prints element i into out, which has room for 32 bytes; returns the length. */
static int
print_element(const RlrecTensor *tensor, int64 i, char *out)
{
	double		value;

	if (tensor->dtype == RLREC_I8)
		return sprintf(out, "%d", ((const int8 *) tensor->data)[i]);
	if (tensor->dtype == RLREC_I32)
		return sprintf(out, "%d", ((const int32 *) tensor->data)[i]);

	value = tensor->dtype == RLREC_F32 ? ((const float *) tensor->data)[i] : ((const double *) tensor->data)[i];
	if (isinf(value))
		return sprintf(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	if (tensor->dtype == RLREC_F32)
	{
		if (isnan(value))
			return print_nan(out, ((const uint32 *) tensor->data)[i], F32_NAN_BITS, 4);
		return float_to_shortest_decimal_bufn(((const float *) tensor->data)[i], out);
	}
	if (isnan(value))
		return print_nan(out, ((const uint64 *) tensor->data)[i], F64_NAN_BITS, 8);
	return double_to_shortest_decimal_bufn(value, out);
}

char *
rlrec_weights_print(const RlrecTensors *tensors)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (int t = 0; t < tensors->n; t++)
	{
		const RlrecTensor *tensor = &tensors->tensor[t];
		int64		elements = rlrec_tensor_elements(tensor);

		if (t > 0)
			appendStringInfoString(&text, ", ");
		escape_json(&text, tensor->name);
		appendStringInfo(&text, ": {\"dtype\": \"%s\", \"shape\": [", rlrec_dtype_name(tensor->dtype));
		for (int d = 0; d < tensor->n_dims; d++)
			appendStringInfo(&text, "%s%lld", d > 0 ? "," : "", (long long) tensor->shape[d]);
		appendStringInfoString(&text, "], \"data\": [");
		for (int64 i = 0; i < elements; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (text.len > (int) MaxAllocSize - 1024)	/* room for a few elements and the next tensor's head */
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("weights are too large for their text form"),
						 errdetail("A text has less than 1 GB."),
						 errhint("Cast the weights to bytea, or copy them in binary format.")));
			enlargeStringInfo(&text, 40);
			if (i > 0)
				text.data[text.len++] = ',';
			text.len += print_element(tensor, i, text.data + text.len);
		}
		appendStringInfoString(&text, "]}");
	}
	appendStringInfoChar(&text, '}');
	return text.data;
}
