/*
 * check.c
 *	  Tensors that come from outside, held to what a model needs before anything reads them.
 *
 * Serving trusts a model: it takes sizes from `shape`, indices from offsets. What rlrec_train() stored deserves that; what
 * rlrec_import_model() is given has to earn it here. The image itself, with its lengths and shapes, is sound already: a value of type
 * rlrec_weights cannot be otherwise.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "learner/check.h"

void
rlrec_check_failed(const RlrecLearner *learner, const char *format,...)
{
	char		detail[1024];
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(detail, sizeof(detail), format, arguments);
	va_end(arguments);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("weights do not fit learner \"%s\"", learner->name),
			 errdetail_internal("%s", detail),
			 errhint("Give all tensors that rlrec_model_weights() has of a version of this learner, and no others.")));
}

/* n_dims is 1 (columns ignored) or 2; rows < 0 accepts any. */
static const RlrecTensor *
check_tensor(const RlrecModel *model, const char *name, RlrecDtype dtype, int n_dims, int64 rows, int64 columns)
{
	const RlrecTensor *tensor = rlrec_tensors_find(model->tensors, psprintf("%s%s", model->prefix, name));
	int64		n;

	if (tensor == NULL)
		rlrec_check_failed(model->learner, "There is no tensor \"%s%s\".", model->prefix, name);
	if (tensor->dtype != dtype)
		rlrec_check_failed(model->learner, "Tensor \"%s\" is of type %s instead of %s.", tensor->name, rlrec_dtype_name(tensor->dtype),
						   rlrec_dtype_name(dtype));
	if (tensor->n_dims != n_dims)
		rlrec_check_failed(model->learner, "Tensor \"%s\" has %d dimensions instead of %d.", tensor->name, tensor->n_dims, n_dims);
	if (rows >= 0 && tensor->shape[0] != rows)
		rlrec_check_failed(model->learner, "Tensor \"%s\" has %lld rows instead of %lld.", tensor->name, (long long) tensor->shape[0],
						   (long long) rows);
	if (n_dims > 1 && tensor->shape[1] != columns)
		rlrec_check_failed(model->learner, "Tensor \"%s\" has %lld columns instead of %lld.", tensor->name, (long long) tensor->shape[1],
						   (long long) columns);
	n = rlrec_tensor_elements(tensor);
	for (int64 i = 0; dtype == RLREC_F32 && i < n; i++)
	{
		if (i % (1024 * 1024) == 0)
			CHECK_FOR_INTERRUPTS();
		if (!isfinite(((const float *) tensor->data)[i]))
			rlrec_check_failed(model->learner, "Element %lld of tensor \"%s\" is not a finite number.", (long long) i, tensor->name);
	}
	return tensor;
}

const void *
rlrec_check_vector(const RlrecModel *model, const char *name, RlrecDtype dtype, int64 n)
{
	return check_tensor(model, name, dtype, 1, n, 0)->data;
}

const void *
rlrec_check_matrix(const RlrecModel *model, const char *name, RlrecDtype dtype, int64 rows, int64 columns)
{
	return check_tensor(model, name, dtype, 2, rows, columns)->data;
}

void
rlrec_check_option(const RlrecModel *model, const char *name, int64 number)
{
	const RlrecOption *option = model->learner->options;

	while (strcmp(option->name, name) != 0)
		option++;
	if (number < option->minimum || number > option->maximum)
		rlrec_check_failed(model->learner, "Its number \"%s\" is %lld, which is not in %.0f .. %.0f.", name, (long long) number, option->minimum,
						   option->maximum);
}

/* Ids are text in the database's encoding and ascend strictly, by their bytes; n of them by the offsets, which are checked first. */
static void
check_ids(const RlrecLearner *learner, const char *name, const RlrecDictionary *items, int64 length)
{
	if (items->offset[0] != 0 || items->offset[items->n] != length)
		rlrec_check_failed(learner, "Tensor \"%s/offset\" does not start at 0 and end at %lld, the size of \"%s/bytes\".", name,
						   (long long) length, name);
	for (int32 i = 0; i < items->n; i++)
		if (items->offset[i + 1] < items->offset[i])
			rlrec_check_failed(learner, "Element %d of tensor \"%s/offset\" is less than the one before it.", i + 1, name);
	for (int32 i = 0; i < items->n; i++)
	{
		const char *id = items->bytes + items->offset[i];
		int			own = items->offset[i + 1] - items->offset[i];
		int			before = i > 0 ? items->offset[i] - items->offset[i - 1] : 0;
		int			order = i > 0 ? memcmp(id - before, id, Min(before, own)) : -1;

		CHECK_FOR_INTERRUPTS();
		if (!pg_verify_mbstr(GetDatabaseEncoding(), id, own, true))
			rlrec_check_failed(learner, "Id %d of tensor \"%s/bytes\" is not text in the encoding of the database.", i, name);
		if (order > 0 || (order == 0 && before >= own))
			rlrec_check_failed(learner, "Id %d of tensor \"%s/bytes\" does not come after the one before it.", i, name);
	}
}

/* A dictionary of at least one id, as the tensors name/offset and name/bytes */
static RlrecDictionary
check_dictionary(const RlrecModel *model, const char *name)
{
	const RlrecTensor *offset = check_tensor(model, psprintf("%s/offset", name), RLREC_I32, 1, -1, 0);
	const RlrecTensor *bytes = check_tensor(model, psprintf("%s/bytes", name), RLREC_I8, 1, -1, 0);
	RlrecDictionary dictionary;

	if (offset->shape[0] < 2 || offset->shape[0] > PG_INT32_MAX)
		rlrec_check_failed(model->learner, "Tensor \"%s\" has %lld elements; there must be one more than ids, and an id.", offset->name,
						   (long long) offset->shape[0]);
	dictionary = (RlrecDictionary) {(int32) (offset->shape[0] - 1), offset->data, bytes->data};
	check_ids(model->learner, name, &dictionary, bytes->shape[0]);
	return dictionary;
}

/* The tensors of every model; returns how many they are. */
static int
check_items(RlrecModel *model)
{
	int			n = 4;			/* with the dictionary of items */

	model->items = check_dictionary(model, "items");
	if (rlrec_tensors_find(model->tensors, "types/offset") != NULL)
	{
		model->types = check_dictionary(model, "types");
		if (model->types.n > RLREC_MAX_TYPES)
			rlrec_check_failed(model->learner, "It has %d types of events; there may be %d.", model->types.n, RLREC_MAX_TYPES);
		n += 2;
	}
	if (rlrec_tensors_find(model->tensors, "rewards/scale") != NULL)
	{
		if (!(*(const float *) rlrec_check_vector(model, "rewards/scale", RLREC_F32, 1) > 0))
			rlrec_check_failed(model->learner, "Tensor \"rewards/scale\" is not positive.");
		n++;
	}
	model->count = rlrec_check_vector(model, "items/count", RLREC_F32, model->items.n);
	for (int32 i = 0; i < model->items.n; i++)
		if (model->count[i] < 0)
			rlrec_check_failed(model->learner, "Element %d of tensor \"items/count\" is negative.", i);
	model->n_users = *(const int32 *) rlrec_check_vector(model, "items/users", RLREC_I32, 1);
	if (model->n_users < 0)
		rlrec_check_failed(model->learner, "Tensor \"items/users\" is negative.");
	return n;
}

RlrecModel *
rlrec_model_check(const RlrecLearner *learner, const RlrecTensors *tensors)
{
	RlrecModel	model = {.learner = learner, .tensors = tensors, .prefix = ""};
	int			n;

	if (learner->check == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a model of learner \"%s\" cannot be imported", learner->name),
				 errhint("Import it into an agent with learner => 'supervised'.")));
	n = check_items(&model);
	n += learner->check(&model);
	if (tensors->n != n)
		rlrec_check_failed(learner, "There are %d tensors instead of %d.", tensors->n, n);
	return rlrec_model_open(learner, tensors);
}
