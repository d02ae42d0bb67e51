/*
 * image.c
 *	  Sets of named tensors in memory, and the flat image that carries a set to disk, to a client and back.
 *
 * The image is canonical: a set has exactly one image, so that equal sets are equal bytes. Directory entries are in the order of the
 * set; each tensor starts at the first multiple of 64 after what precedes it; every byte that carries nothing is zero; nothing
 * follows the last tensor. rlrec_image_check() holds an image to all of that, which also rules out overlaps, and it allocates
 * nothing: what passes can be trusted by every reader. Numbers are in the byte order of the machine that wrote them, which the
 * magic tells.
 */
#include "postgres.h"

#include "common/int.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "types/weights.h"

#define IMAGE_MAGIC UINT64CONST(0x0A0D574345524C52)	/* "RLRECW\r\n" where the low byte comes first */
#define IMAGE_VERSION 1
#define DATA_ALIGN 64
#define PIECE_BYTES (1024 * 1024)	/* what is copied or summed between two looks at interrupts */

typedef struct ImageHeader
{
	uint64		magic;
	uint32		version;
	uint32		crc;			/* CRC-32C of every byte after this field */
	uint64		length;			/* of the image, this header included */
	uint32		n_tensors;
	uint32		zero;
} ImageHeader;

typedef struct ImageEntry
{
	char		name[64];		/* padded with zeros, at least one */
	uint32		dtype;
	uint32		n_dims;
	int64		shape[RLREC_MAX_DIMS];	/* zeros beyond n_dims */
	uint64		offset;			/* of the data, from the image's start */
} ImageEntry;

StaticAssertDecl(sizeof(ImageHeader) == 32 && sizeof(ImageEntry) == 112, "the image's layout is a promise");
StaticAssertDecl(NAMEDATALEN == 64, "the image stores names of up to 63 bytes");

#define CRC_END (offsetof(ImageHeader, crc) + sizeof(uint32))

static const struct
{
	const char *name;
	size_t		size;
}			dtypes[] = {
	[RLREC_F32] = {"f32", 4},
	[RLREC_F64] = {"f64", 8},
	[RLREC_I8] = {"i8", 1},
	[RLREC_I32] = {"i32", 4}
};

/* ---- dtypes and shapes ---- */

size_t
rlrec_dtype_size(RlrecDtype dtype)
{
	return dtypes[dtype].size;
}

const char *
rlrec_dtype_name(RlrecDtype dtype)
{
	return dtypes[dtype].name;
}

bool
rlrec_dtype_parse(const char *name, RlrecDtype *dtype)
{
	for (int i = RLREC_F32; i <= RLREC_I32; i++)
	{
		if (strcmp(name, dtypes[i].name) == 0)
		{
			*dtype = (RlrecDtype) i;
			return true;
		}
	}
	return false;
}

/*
 * A dimension of zero makes a tensor without elements, but the others must still multiply to something sane: a reader may well
 * compute a product of some of them.
 */
bool
rlrec_shape_elements(RlrecDtype dtype, int n_dims, const int64 *shape, int64 *elements)
{
	int64		bytes = rlrec_dtype_size(dtype);
	bool		empty = false;

	for (int i = 0; i < n_dims; i++)
	{
		if (shape[i] < 0)
			return false;
		empty |= shape[i] == 0;
		if (pg_mul_s64_overflow(bytes, Max(shape[i], 1), &bytes))
			return false;
	}
	*elements = empty ? 0 : bytes / (int64) rlrec_dtype_size(dtype);
	return bytes <= PG_INT64_MAX / 2;	/* so that an offset can be added */
}

int64
rlrec_tensor_elements(const RlrecTensor *tensor)
{
	int64		elements = 1;

	for (int i = 0; i < tensor->n_dims; i++)
		elements *= tensor->shape[i];
	return elements;
}

size_t
rlrec_tensor_bytes(const RlrecTensor *tensor)
{
	return (size_t) rlrec_tensor_elements(tensor) * rlrec_dtype_size(tensor->dtype);
}

/* ---- sets ---- */

RlrecTensors *
rlrec_tensors_create(void)
{
	RlrecTensors *tensors = palloc(sizeof(RlrecTensors));

	tensors->n = 0;
	tensors->capacity = 8;
	tensors->tensor = palloc(sizeof(RlrecTensor) * tensors->capacity);
	return tensors;
}

const RlrecTensor *
rlrec_tensors_find(const RlrecTensors *tensors, const char *name)
{
	for (int i = 0; i < tensors->n; i++)
	{
		if (strcmp(tensors->tensor[i].name, name) == 0)
			return &tensors->tensor[i];
	}
	return NULL;
}

static void
check_name(const RlrecTensors *tensors, const char *name)
{
	if (name[0] == '\0' || strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid tensor name \"%s\"", name),
				 errdetail("A name has 1 to %d bytes; this one has %zu.", NAMEDATALEN - 1, strlen(name))));
	if (rlrec_tensors_find(tensors, name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("duplicate tensor name \"%s\"", name),
				 errhint("The tensors of a set have distinct names.")));
	if (tensors->n >= RLREC_MAX_TENSORS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many tensors in a set"),
				 errdetail("A set has at most %d tensors.", RLREC_MAX_TENSORS)));
}

/* Raises an error unless the shape is sound; returns the bytes of its data. */
static size_t
check_shape(const char *name, RlrecDtype dtype, int n_dims, const int64 *shape)
{
	int64		elements;

	if (n_dims < 1 || n_dims > RLREC_MAX_DIMS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid shape of tensor \"%s\"", name),
				 errdetail("A tensor has 1 to %d dimensions; this one has %d.", RLREC_MAX_DIMS, n_dims)));
	if (!rlrec_shape_elements(dtype, n_dims, shape, &elements))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid shape of tensor \"%s\"", name),
				 errdetail("A dimension is negative, or the size in bytes overflows.")));
	return mul_size(elements, rlrec_dtype_size(dtype));
}

void
rlrec_tensors_add_data(RlrecTensors *tensors, const char *name, RlrecDtype dtype, int n_dims, const int64 *shape, void *data)
{
	RlrecTensor *tensor;

	check_name(tensors, name);
	check_shape(name, dtype, n_dims, shape);
	if (tensors->n == tensors->capacity)
	{
		tensors->capacity *= 2;
		tensors->tensor = repalloc(tensors->tensor, sizeof(RlrecTensor) * tensors->capacity);
	}
	tensor = &tensors->tensor[tensors->n++];
	memset(tensor, 0, sizeof(RlrecTensor));
	strcpy(tensor->name, name);
	tensor->dtype = dtype;
	tensor->n_dims = n_dims;
	memcpy(tensor->shape, shape, sizeof(int64) * n_dims);
	tensor->data = data;
}

void *
rlrec_tensors_add_shape(RlrecTensors *tensors, const char *name, RlrecDtype dtype, int n_dims, const int64 *shape)
{
	size_t		bytes = check_shape(name, dtype, n_dims, shape);
	char	   *data;

	check_name(tensors, name);
	data = MemoryContextAllocExtended(CurrentMemoryContext, add_size(bytes, DATA_ALIGN), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	data = (char *) TYPEALIGN(DATA_ALIGN, data);
	rlrec_tensors_add_data(tensors, name, dtype, n_dims, shape, data);
	return data;
}

void *
rlrec_tensors_add(RlrecTensors *tensors, const char *name, RlrecDtype dtype, int n_dims, int64 d0, int64 d1)
{
	int64		shape[2] = {d0, d1};

	Assert(n_dims == 1 || n_dims == 2);
	return rlrec_tensors_add_shape(tensors, name, dtype, n_dims, shape);
}

/* ---- writing an image ---- */

static uint64
directory_end(uint32 n_tensors)
{
	return sizeof(ImageHeader) + (uint64) n_tensors * sizeof(ImageEntry);
}

uint64
rlrec_image_size(const RlrecTensors *tensors)
{
	uint64		size = directory_end(tensors->n);

	for (int i = 0; i < tensors->n; i++)
		size = add_size(TYPEALIGN64(DATA_ALIGN, size), rlrec_tensor_bytes(&tensors->tensor[i]));
	return size;
}

/* Hands out all that follows the CRC. */
static void
write_body(const RlrecTensors *tensors, const ImageHeader *header, RlrecImageSink sink, void *argument)
{
	static const char zeros[DATA_ALIGN] = {0};
	uint64		position = directory_end(tensors->n);

	sink(argument, (const char *) header + CRC_END, sizeof(ImageHeader) - CRC_END);
	for (int i = 0; i < tensors->n; i++)
	{
		const RlrecTensor *tensor = &tensors->tensor[i];
		ImageEntry	entry = {0};

		strcpy(entry.name, tensor->name);
		entry.dtype = tensor->dtype;
		entry.n_dims = tensor->n_dims;
		memcpy(entry.shape, tensor->shape, sizeof(int64) * tensor->n_dims);
		entry.offset = TYPEALIGN64(DATA_ALIGN, position);
		position = entry.offset + rlrec_tensor_bytes(tensor);
		sink(argument, &entry, sizeof(entry));
	}

	position = directory_end(tensors->n);
	for (int i = 0; i < tensors->n; i++)
	{
		const char *data = tensors->tensor[i].data;
		size_t		bytes = rlrec_tensor_bytes(&tensors->tensor[i]);
		size_t		gap = TYPEALIGN64(DATA_ALIGN, position) - position;

		position += gap + bytes;
		if (gap > 0)
			sink(argument, zeros, gap);
		while (bytes > 0)
		{
			size_t		piece = Min(bytes, PIECE_BYTES);

			CHECK_FOR_INTERRUPTS();
			sink(argument, data, piece);
			data += piece;
			bytes -= piece;
		}
	}
}

static void
crc_sink(void *argument, const void *bytes, size_t length)
{
	COMP_CRC32C(*(pg_crc32c *) argument, bytes, length);
}

void
rlrec_image_write(const RlrecTensors *tensors, RlrecImageSink sink, void *argument)
{
	ImageHeader header = {.magic = IMAGE_MAGIC,.version = IMAGE_VERSION,.n_tensors = tensors->n};
	pg_crc32c	crc;

	header.length = rlrec_image_size(tensors);
	INIT_CRC32C(crc);
	write_body(tensors, &header, crc_sink, &crc);
	FIN_CRC32C(crc);
	header.crc = crc;

	sink(argument, &header, CRC_END);
	write_body(tensors, &header, sink, argument);
}

/* ---- reading an image ---- */

#define BAD_IMAGE(...) \
	ereport(ERROR, \
			(errcode(sqlerrcode), \
			 errmsg("invalid image of weights"), \
			 errdetail(__VA_ARGS__), \
			 errhint("The bytes are damaged, cut short, or no image at all; export the weights again.")))

static bool
all_zero(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* An image may lie at any address, so what is wider than a byte is copied out of it. */
static void
read_entry(const char *image, int i, ImageEntry *entry)
{
	memcpy(entry, image + directory_end(i), sizeof(ImageEntry));
}

static void
check_header(const char *image, uint64 length, bool check_crc, int sqlerrcode, ImageHeader *header)
{
	pg_crc32c	crc;

	if (length < sizeof(ImageHeader))
		BAD_IMAGE("An image has at least %zu bytes; this one has %llu.", sizeof(ImageHeader), (unsigned long long) length);
	memcpy(header, image, sizeof(ImageHeader));
	if (header->magic == pg_bswap64(IMAGE_MAGIC))
		ereport(ERROR,
				(errcode(sqlerrcode),
				 errmsg("image of weights is from a machine of the other byte order"),
				 errhint("Carry the weights over in their text form.")));
	if (header->magic != IMAGE_MAGIC)
		BAD_IMAGE("The first eight bytes are not those of an image.");
	if (header->version != IMAGE_VERSION)
		ereport(ERROR,
				(errcode(sqlerrcode),
				 errmsg("image of weights has format version %u", header->version),
				 errdetail("This release reads version %d.", IMAGE_VERSION),
				 errhint("Carry the weights over in their text form, or update the extension.")));
	if (header->length != length)
		BAD_IMAGE("It claims %llu bytes and has %llu.", (unsigned long long) header->length, (unsigned long long) length);
	if (header->n_tensors > RLREC_MAX_TENSORS || directory_end(header->n_tensors) > length)
		BAD_IMAGE("It claims %u tensors, more than it has room for.", header->n_tensors);
	if (header->zero != 0)
		BAD_IMAGE("The header's last four bytes are not zero.");
	if (!check_crc)
		return;

	INIT_CRC32C(crc);
	for (uint64 at = CRC_END; at < length; at += PIECE_BYTES)
	{
		CHECK_FOR_INTERRUPTS();
		COMP_CRC32C(crc, image + at, Min(length - at, PIECE_BYTES));
	}
	FIN_CRC32C(crc);
	if (!EQ_CRC32C(crc, header->crc))
		BAD_IMAGE("The checksum is %08x and should be %08x.", crc, header->crc);
}

/* The name of entry i: terminated, not empty, in the database's encoding, unlike the earlier ones, which were checked before. */
static void
check_entry_name(const char *image, int i, const ImageEntry *entry, int sqlerrcode)
{
	size_t		length = strnlen(entry->name, sizeof(entry->name));

	if (length == 0 || !all_zero(entry->name + length, sizeof(entry->name) - length) || length == sizeof(entry->name))
		BAD_IMAGE("The name of tensor %d is empty or not terminated.", i + 1);
	if (!pg_verify_mbstr(GetDatabaseEncoding(), entry->name, length, true))
		BAD_IMAGE("The name of tensor %d is not valid in the database's encoding \"%s\".", i + 1, GetDatabaseEncodingName());
	for (int j = 0; j < i; j++)
	{
		if (strcmp(image + directory_end(j), entry->name) == 0)
			BAD_IMAGE("Two tensors have the name \"%s\".", entry->name);
	}
}

/* Raises an error, or returns the bytes of the tensor's data. */
static uint64
check_entry_shape(const ImageEntry *entry, int sqlerrcode)
{
	int64		elements;

	if (entry->dtype < RLREC_F32 || entry->dtype > RLREC_I32)
		BAD_IMAGE("Tensor \"%s\" has the unknown dtype %u.", entry->name, entry->dtype);
	if (entry->n_dims < 1 || entry->n_dims > RLREC_MAX_DIMS)
		BAD_IMAGE("Tensor \"%s\" has %u dimensions.", entry->name, entry->n_dims);
	if (!rlrec_shape_elements(entry->dtype, entry->n_dims, entry->shape, &elements) ||
		!all_zero((const char *) &entry->shape[entry->n_dims], sizeof(int64) * (RLREC_MAX_DIMS - entry->n_dims)))
		BAD_IMAGE("The shape of tensor \"%s\" is negative, overflows, or exceeds its dimensions.", entry->name);
	return (uint64) elements * rlrec_dtype_size(entry->dtype);
}

void
rlrec_image_check(const char *image, uint64 length, bool check_crc, int sqlerrcode)
{
	ImageHeader header;
	uint64		position;		/* where what was checked ends */

	check_header(image, length, check_crc, sqlerrcode, &header);
	position = directory_end(header.n_tensors);
	for (int i = 0; i < (int) header.n_tensors; i++)
	{
		ImageEntry	entry;
		uint64		bytes;

		CHECK_FOR_INTERRUPTS();
		read_entry(image, i, &entry);
		check_entry_name(image, i, &entry, sqlerrcode);
		bytes = check_entry_shape(&entry, sqlerrcode);
		if (entry.offset != TYPEALIGN64(DATA_ALIGN, position))
			BAD_IMAGE("Tensor \"%s\" starts at byte %llu and should start at %llu.", entry.name,
					  (unsigned long long) entry.offset, (unsigned long long) TYPEALIGN64(DATA_ALIGN, position));
		if (entry.offset > length || bytes > length - entry.offset)
			BAD_IMAGE("Tensor \"%s\" of %llu bytes runs past the end.", entry.name, (unsigned long long) bytes);
		if (!all_zero(image + position, entry.offset - position))
			BAD_IMAGE("The bytes before tensor \"%s\" are not zero.", entry.name);
		position = entry.offset + bytes;
	}
	if (position != length)
		BAD_IMAGE("%llu bytes follow the last tensor.", (unsigned long long) (length - position));
}

RlrecTensors *
rlrec_image_open(char *image, uint64 length, bool check_crc)
{
	ImageHeader header;
	RlrecTensors *tensors;

	rlrec_image_check(image, length, check_crc, ERRCODE_DATA_CORRUPTED);
	memcpy(&header, image, sizeof(header));
	tensors = palloc(sizeof(RlrecTensors));
	tensors->n = header.n_tensors;
	tensors->capacity = Max(header.n_tensors, 1);
	tensors->tensor = palloc0(sizeof(RlrecTensor) * tensors->capacity);
	for (int i = 0; i < tensors->n; i++)
	{
		RlrecTensor *tensor = &tensors->tensor[i];
		ImageEntry	entry;

		read_entry(image, i, &entry);
		strcpy(tensor->name, entry.name);
		tensor->dtype = (RlrecDtype) entry.dtype;
		tensor->n_dims = entry.n_dims;
		memcpy(tensor->shape, entry.shape, sizeof(entry.shape));
		tensor->data = image + entry.offset;
	}
	return tensors;
}
