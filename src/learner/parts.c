/*
 * parts.c
 *	  What hybrid and auto share. Their parts are listed in the tensor "parts", the one that counts most first, and each part's own
 *	  tensors stand under its name: "parts", "ease/...", "markov/...".
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "learner/parts.h"
#include "learner/sketch.h"

static bool
named(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

static List *
choose(const RlrecFit *fit, const List *names, bool for_auto, bool strict)
{
	bool		encoders = for_auto ? strcmp(fit->encoder, "none") != 0 : strcmp(fit->encoder, "transformer") == 0;
	List	   *parts = NIL;

	for (int i = 0; rlrec_learners[i] != NULL; i++)
	{
		const RlrecLearner *learner = rlrec_learners[i];
		const char *obstacle;

		if (learner == &rlrec_auto || (learner == &rlrec_hybrid && !(for_auto && named(names, learner->name))))
			continue;
		if (names != NIL ? !named(names, learner->name) : learner->when_named || (learner->encoder != NULL && !encoders))
			continue;

		obstacle = learner->obstacle(fit);
		if (obstacle == NULL)
			parts = lappend(parts, (void *) learner);
		else if (names != NIL && strict)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot fit learner \"%s\"", learner->name),
					 errdetail("The reason is that %s.", obstacle),
					 errhint("Leave it out of the option \"learners\".")));
		else
			ereport(DEBUG1,
					(errmsg_internal("learner \"%s\" is left out: %s", learner->name, obstacle)));
	}
	return parts;
}

/*
 * hybrid within auto reads the same option as auto: names that leave none for it, ["hybrid"], mean all.
 */
List *
rlrec_parts_choose(const RlrecFit *fit, const RlrecOption *specs, bool for_auto, bool strict)
{
	List	   *names = rlrec_option_names(fit->options, specs, "learners");
	bool		any = false;
	ListCell   *cell;

	foreach(cell, names)
	{
		const RlrecLearner *learner = rlrec_learner_find(lfirst(cell));

		any = any || (learner != NULL && learner != &rlrec_auto && (for_auto || learner != &rlrec_hybrid));
	}
	return choose(fit, any ? names : NIL, for_auto, strict);
}

/*
 * Learners leave their scratch to the caller, and a fit of many parts would keep it all; so each part is fitted in a context of its own
 * and its tensors are copied out.
 */
void
rlrec_parts_fit(const RlrecLearner *part, const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	char	   *own = psprintf("%s%s/", prefix, part->name);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec part", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	RlrecTensors *fitted = rlrec_tensors_create();

	part->fit(fit, own, fitted);

	MemoryContextSwitchTo(outer);
	for (int i = 0; i < fitted->n; i++)
	{
		const RlrecTensor *tensor = &fitted->tensor[i];
		void	   *data;

		Assert(tensor->n_dims <= 2);
		data = rlrec_tensors_add(tensors, tensor->name, tensor->dtype, tensor->n_dims, tensor->shape[0],
								 tensor->n_dims > 1 ? tensor->shape[1] : 0);
		memcpy(data, tensor->data, rlrec_tensor_bytes(tensor));
	}
	MemoryContextDelete(context);
	pfree(own);
}

/* Each name is followed by a zero byte. */
void
rlrec_parts_write(const List *learners, const char *prefix, const char *name, RlrecTensors *tensors)
{
	int64		length = 0;
	ListCell   *cell;
	char	   *at;

	foreach(cell, learners)
		length += strlen(((const RlrecLearner *) lfirst(cell))->name) + 1;

	at = rlrec_tensors_add(tensors, psprintf("%s%s", prefix, name), RLREC_I8, 1, length, 0);
	foreach(cell, learners)
	{
		const RlrecLearner *learner = lfirst(cell);

		strcpy(at, learner->name);
		at += strlen(learner->name) + 1;
	}
}

List *
rlrec_parts_read(const RlrecModel *model, const char *name)
{
	const RlrecTensor *tensor = rlrec_tensors_find(model->tensors, psprintf("%s%s", model->prefix, name));
	const char *at = rlrec_model_data(model, name, RLREC_I8, -1);	/* which complains when there is none */
	const char *end = at + rlrec_tensor_elements(tensor);
	List	   *learners = NIL;

	while (at < end)
	{
		size_t		length = strnlen(at, end - at);
		char	   *part = pnstrdup(at, length);
		const RlrecLearner *learner = rlrec_learner_find(part);

		if (learner == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("model has a part \"%s\" that is no learner", part),
					 errhint("Train the agent again.")));
		learners = lappend(learners, (void *) learner);
		at += length + 1;
	}
	return learners;
}

RlrecModel
rlrec_parts_open(const RlrecModel *model, const RlrecLearner *part)
{
	RlrecModel	opened = *model;

	opened.learner = part;
	opened.prefix = psprintf("%s%s/", model->prefix, part->name);
	return opened;
}

/* The model to ask, in `answering`, or false. */
static bool
find_similar(const RlrecModel *model, RlrecModel *answering)
{
	ListCell   *cell;

	if (model->learner->similar != rlrec_parts_similar)
	{
		*answering = *model;
		return model->learner->similar != NULL;
	}
	foreach(cell, rlrec_parts_read(model, "parts"))
	{
		RlrecModel	part = rlrec_parts_open(model, lfirst(cell));

		if (find_similar(&part, answering))
			return true;
	}
	return false;
}

bool
rlrec_parts_has_similar(const RlrecModel *model)
{
	RlrecModel	answering;

	return find_similar(model, &answering);
}

void
rlrec_parts_similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores)
{
	RlrecModel	answering;

	if (!find_similar(model, &answering))
		elog(ERROR, "no part of learner \"%s\" has similar items", model->learner->name);
	answering.learner->similar(&answering, item, n, others, scores);
}

void
rlrec_parts_similarities(const RlrecModel *model, int32 n, const int32 *items, float *matrix)
{
	RlrecModel	answering;

	if (!find_similar(model, &answering))
	{
		rlrec_sketch_similarities(model, n, items, matrix);
		return;
	}
	for (int32 i = 0; i < n; i++)
		answering.learner->similar(&answering, items[i], n, items, matrix + (size_t) i * n);
}

void
rlrec_parts_describe(const List *learners, const char *key, const float *values, StringInfo json)
{
	appendStringInfo(json, ", \"%s\": {", key);
	for (int i = 0; i < list_length(learners); i++)
		appendStringInfo(json, "%s\"%s\": %.4f", i ? ", " : "", ((const RlrecLearner *) list_nth(learners, i))->name, values[i]);
	appendStringInfoChar(json, '}');
}

const RlrecModel *
rlrec_parts_find(const RlrecModel *model, const RlrecLearner *learner)
{
	ListCell   *cell;

	if (model->learner == learner)
		return model;
	if (model->learner != &rlrec_auto && model->learner != &rlrec_hybrid)
		return NULL;
	foreach(cell, rlrec_parts_read(model, "parts"))
	{
		RlrecModel *part = palloc(sizeof(RlrecModel));
		const RlrecModel *found;

		*part = rlrec_parts_open(model, lfirst(cell));
		found = rlrec_parts_find(part, learner);
		if (found != NULL)
			return found;
	}
	return NULL;
}

List *
rlrec_parts_all(const RlrecModel *model)
{
	List	   *all = NIL;
	ListCell   *cell;

	if (model->learner != &rlrec_auto && model->learner != &rlrec_hybrid)
		return list_make1(unconstify(RlrecModel *, model));
	foreach(cell, rlrec_parts_read(model, "parts"))
	{
		RlrecModel *part = palloc(sizeof(RlrecModel));

		*part = rlrec_parts_open(model, lfirst(cell));
		all = list_concat(all, rlrec_parts_all(part));
	}
	return all;
}
