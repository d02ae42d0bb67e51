/*
 * learner.c
 *	  The registry of learners, and what every model has.
 *
 * The tensors of a model, whatever its learner: items/offset and items/bytes are its dictionary, items/count how many users had each
 * item with a positive reward, items/users how many users had any; types/offset and types/bytes are the dictionary of the types of events,
 * where there are any; rewards/scale is what rewards were divided by, where that is not 1; a model that knows no similar items has
 * sketch.c's.
 */
#include "postgres.h"

#include "data/sparse.h"
#include "learner/learner.h"
#include "learner/parts.h"
#include "learner/sketch.h"
#include "tensor/kernels.h"

const RlrecLearner *const rlrec_learners[] = {
	&rlrec_popularity,
	&rlrec_content,
	&rlrec_itemknn,
	&rlrec_ease,
	&rlrec_als,
	&rlrec_markov,
	&rlrec_supervised,
	&rlrec_qlearning,
	&rlrec_sarsa,
	&rlrec_expected_sarsa,
	&rlrec_double_q,
	&rlrec_actor_critic,
	&rlrec_reinforce,
	&rlrec_dqn,
	&rlrec_linucb,
	&rlrec_lints,
	&rlrec_hybrid,
	&rlrec_auto,
	NULL
};

const RlrecLearner *
rlrec_learner_find(const char *name)
{
	for (const RlrecLearner *const *learner = rlrec_learners; *learner != NULL; learner++)
		if (strcmp((*learner)->name, name) == 0)
			return *learner;
	return NULL;
}

const void *
rlrec_model_data(const RlrecModel *model, const char *name, RlrecDtype dtype, int64 elements)
{
	char		full[NAMEDATALEN];
	const RlrecTensor *tensor;

	if (strlcpy(full, model->prefix, sizeof(full)) >= sizeof(full) ||
		strlcat(full, name, sizeof(full)) >= sizeof(full))
		elog(ERROR, "tensor name \"%s%s\" is too long", model->prefix, name);
	tensor = rlrec_tensors_find(model->tensors, full);
	if (tensor == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("model of learner \"%s\" has no tensor \"%s\"", model->learner->name, full)));
	if (tensor->dtype != dtype || (elements >= 0 && rlrec_tensor_elements(tensor) != elements))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("model of learner \"%s\" has an unfit tensor \"%s\"", model->learner->name, full),
				 errdetail("It has %lld elements of type %s.", (long long) rlrec_tensor_elements(tensor),
						   rlrec_dtype_name(tensor->dtype))));
	return tensor->data;
}

void
rlrec_model_add_popularity(const RlrecModel *model, float *scores)
{
	if (model->n_users > 0)
		rlrec_axpy(model->items.n, 1e-6f / model->n_users, model->count, scores);
}

const RlrecLearnedCounts *
rlrec_model_users(const RlrecModel *model, const RlrecHistory *history, double *users)
{
	RlrecLearned *learned = history->learned;

	*users = model->n_users + (learned ? (double) learned->users : 0);
	return learned ? learned->counts(learned, RLREC_LEARNED_USERS) : NULL;
}

int
rlrec_model_dimension(const RlrecModel *model)
{
	return model->learner->dimension != NULL ? model->learner->dimension(model) : 0;
}

int32
rlrec_history_distinct(const RlrecModel *model, const RlrecHistory *history, int32 **item, float **reward)
{
	int32	   *seen = palloc_extended((Size) model->items.n * sizeof(int32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	Size		room = history->n;
	int32		n;

	*item = palloc_extended(room * sizeof(int32), MCXT_ALLOC_HUGE);
	if (reward != NULL)
		*reward = palloc_extended(room * sizeof(float), MCXT_ALLOC_HUGE);
	n = rlrec_incidence_distinct(history->n, history->item, history->reward, seen, *item, reward != NULL ? *reward : NULL);
	pfree(seen);
	return n;
}

void
rlrec_dictionary_save(const RlrecDictionary *dictionary, const char *name, RlrecTensors *tensors)
{
	int32		length = dictionary->offset[dictionary->n];

	memcpy(rlrec_tensors_add(tensors, psprintf("%s/offset", name), RLREC_I32, 1, (int64) dictionary->n + 1, 0), dictionary->offset,
		   (dictionary->n + (Size) 1) * sizeof(int32));
	memcpy(rlrec_tensors_add(tensors, psprintf("%s/bytes", name), RLREC_I8, 1, length, 0), dictionary->bytes, length);
}

RlrecDictionary
rlrec_dictionary_open(const RlrecModel *model, const char *name)
{
	const char *offset = psprintf("%s/offset", name);
	RlrecDictionary dictionary;

	dictionary.offset = rlrec_model_data(model, offset, RLREC_I32, -1);
	dictionary.n = (int32) (rlrec_tensor_elements(rlrec_tensors_find(model->tensors, psprintf("%s%s", model->prefix, offset))) - 1);
	dictionary.bytes = rlrec_model_data(model, psprintf("%s/bytes", name), RLREC_I8, dictionary.offset[dictionary.n]);
	return dictionary;
}

RlrecModel *
rlrec_model_open(const RlrecLearner *learner, const RlrecTensors *tensors)
{
	RlrecModel *model = palloc0(sizeof(RlrecModel));

	model->learner = learner;
	model->tensors = tensors;
	model->prefix = "";
	model->items = rlrec_dictionary_open(model, "items");
	if (rlrec_tensors_find(tensors, "types/offset") != NULL)
		model->types = rlrec_dictionary_open(model, "types");
	model->count = rlrec_model_data(model, "items/count", RLREC_F32, model->items.n);
	model->n_users = *(const int32 *) rlrec_model_data(model, "items/users", RLREC_I32, 1);
	model->reward_scale = 1;
	if (rlrec_tensors_find(tensors, "rewards/scale") != NULL)
		model->reward_scale = *(const float *) rlrec_model_data(model, "rewards/scale", RLREC_F32, 1);
	return model;
}

/* The dictionaries, the items' users, the number of users and the scale of rewards. */
static void
add_items(const RlrecFit *fit, RlrecTensors *tensors)
{
	float	   *count;
	int32	   *users;

	rlrec_dictionary_save(&fit->events->items, "items", tensors);
	count = rlrec_tensors_add(tensors, "items/count", RLREC_F32, 1, fit->events->items.n, 0);
	users = rlrec_tensors_add(tensors, "items/users", RLREC_I32, 1, 1, 0);
	if (fit->events->types.n > 0)
		rlrec_dictionary_save(&fit->events->types, "types", tensors);
	if (fit->events->scale != 1)
		*(float *) rlrec_tensors_add(tensors, "rewards/scale", RLREC_F32, 1, 1, 0) = fit->events->scale;
	*users = rlrec_incidence_count(fit->events, count);
}

RlrecModel *
rlrec_learner_fit(const RlrecLearner *learner, const RlrecFit *fit)
{
	RlrecTensors *tensors = rlrec_tensors_create();
	const char *obstacle = learner->obstacle(fit);

	if (obstacle != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("learner \"%s\" cannot be fitted", learner->name),
				 errdetail("The reason is that %s.", obstacle),
				 errhint("Remove the obstacle, or choose learner \"auto\", which leaves out learners that cannot be fitted.")));
	add_items(fit, tensors);
	learner->fit(fit, "", tensors);
	if (!rlrec_parts_has_similar(rlrec_model_open(learner, tensors)))
		rlrec_sketch_add(fit->events, tensors);
	return rlrec_model_open(learner, tensors);
}
