/*
 * weights.h
 *	  Named tensors: in memory, as a flat image, and as the SQL type rlrec_weights.
 */
#ifndef RLREC_WEIGHTS_H
#define RLREC_WEIGHTS_H

typedef enum RlrecDtype
{
	RLREC_F32 = 1,
	RLREC_F64 = 2,
	RLREC_I8 = 3,
	RLREC_I32 = 4
} RlrecDtype;

#define RLREC_MAX_DIMS 4
#define RLREC_MAX_TENSORS 4096	/* in a set */

/* A dense row-major array with a name. data is 64-byte aligned, except inside an image at an odd address. */
typedef struct RlrecTensor
{
	char		name[NAMEDATALEN];
	RlrecDtype	dtype;
	int32		n_dims;			/* 1 .. RLREC_MAX_DIMS */
	int64		shape[RLREC_MAX_DIMS];
	void	   *data;
} RlrecTensor;

/* A set of tensors with distinct names: what a learner fits, and what a model is made of. */
typedef struct RlrecTensors
{
	int32		n;
	int32		capacity;
	RlrecTensor *tensor;
} RlrecTensors;

extern size_t rlrec_dtype_size(RlrecDtype dtype);
extern const char *rlrec_dtype_name(RlrecDtype dtype);
extern int64 rlrec_tensor_elements(const RlrecTensor *tensor);
extern size_t rlrec_tensor_bytes(const RlrecTensor *tensor);

/* In memory: allocated in CurrentMemoryContext, zeroed. n_dims is 1 (d1 ignored) or 2. */
extern RlrecTensors *rlrec_tensors_create(void);
extern void *rlrec_tensors_add(RlrecTensors *tensors, const char *name, RlrecDtype dtype, int n_dims, int64 d0, int64 d1);

/* The same with any number of dimensions. A duplicate or unfit name, or a shape that overflows, is an error. */
extern void *rlrec_tensors_add_shape(RlrecTensors *tensors, const char *name, RlrecDtype dtype, int n_dims, const int64 *shape);

/* Adds a tensor over the caller's data, which must outlive the set. */
extern void rlrec_tensors_add_data(RlrecTensors *tensors, const char *name, RlrecDtype dtype, int n_dims, const int64 *shape,
								   void *data);

/* NULL when there is none of that name. */
extern const RlrecTensor *rlrec_tensors_find(const RlrecTensors *tensors, const char *name);

/*
 * The flat image: magic, format version, length, CRC, a directory, then the data, each tensor at a multiple of 64 bytes from the
 * image's start. rlrec_image_write() hands it out in order, in pieces of any size; it never holds the image as a whole.
 */
typedef void (*RlrecImageSink) (void *argument, const void *bytes, size_t length);

extern uint64 rlrec_image_size(const RlrecTensors *tensors);
extern void rlrec_image_write(const RlrecTensors *tensors, RlrecImageSink sink, void *argument);

/* Checks magic, version, lengths and (when check_crc) the CRC before anything is allocated; the tensors point into the image. */
extern RlrecTensors *rlrec_image_open(char *image, uint64 length, bool check_crc);

/* The checks alone: raises an error of that code. */
extern void rlrec_image_check(const char *image, uint64 length, bool check_crc, int sqlerrcode);

/* Elements of a shape; false when a dimension is negative or the size in bytes overflows. */
extern bool rlrec_shape_elements(RlrecDtype dtype, int n_dims, const int64 *shape, int64 *elements);

/* From a name such as f32; false when there is no such dtype. */
extern bool rlrec_dtype_parse(const char *name, RlrecDtype *dtype);

/* The SQL value of a set, to export a model, and the set in a value; the tensors point into the (detoasted) value. */
#define RLREC_WEIGHTS_MAX_BYTES ((uint64) 512 * 1024 * 1024)
extern Datum rlrec_weights_from_tensors(const RlrecTensors *tensors);
extern RlrecTensors *rlrec_weights_to_tensors(Datum weights);

#endif							/* RLREC_WEIGHTS_H */
