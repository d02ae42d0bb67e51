/*
 * state.c
 *	  The keys of states.
 *
 * The category of an item is all that a column of the items table says of it: the tokens of the column's block of features, in order.
 */
#include "postgres.h"

#include "data/intern.h"
#include "learner/state.h"

static const RlrecOption specs[] = {RLREC_STATE_OPTIONS, {NULL}};

/* The column that option "category_column" names, else the first of categories, else the first of arrays of them; -1 when there is none. */
static int
category_column(const RlrecFit *fit)
{
	const RlrecFeatures *features = fit->features;
	const char *name = rlrec_option_text(fit->options, specs, "category_column");
	int			found = -1;

	for (int c = 0; features && c < features->n_columns; c++)
	{
		RlrecFeatureKind kind = features->column[c].kind;
		bool		tokens = kind == RLREC_FEATURE_CATEGORY || kind == RLREC_FEATURE_TOKENS;

		if (name ? strcmp(features->column[c].name, name) == 0 && (tokens || kind == RLREC_FEATURE_WORDS) :
			tokens && (found < 0 || (kind == RLREC_FEATURE_CATEGORY && features->column[found].kind != kind)))
			found = c;
	}
	return found;
}

static RlrecStateKind
kind_of(const Jsonb *options)
{
	const char *state = rlrec_option_choice(options, specs, "state");

	if (strcmp(state, "category") == 0)
		return RLREC_STATE_CATEGORY;
	if (strcmp(state, "user") == 0)
		return RLREC_STATE_USER;
	if (strcmp(state, "expression") == 0)
		return RLREC_STATE_EXPRESSION;
	if (strcmp(state, "cluster") == 0)
		return RLREC_STATE_CLUSTER;
	return RLREC_STATE_LAST;
}

const char *
rlrec_state_obstacle(const RlrecFit *fit)
{
	RlrecStateKind kind = kind_of(fit->options);

	if (kind == RLREC_STATE_CATEGORY && category_column(fit) < 0)
		return rlrec_option_text(fit->options, specs, "category_column") == NULL ?
			"state \"category\" needs an items table with a column of categories" :
			"the items table has no column of categories or words of the name that category_column says";
	if (kind == RLREC_STATE_EXPRESSION && rlrec_state_expression(fit->options) == NULL)
		return "state \"expression\" needs the option \"expression\"";
	if (kind == RLREC_STATE_CLUSTER)
		return strcmp(fit->encoder, "none") == 0 ? "state \"cluster\" needs an encoder" : rlrec_supervised.obstacle(fit);
	return NULL;
}

char *
rlrec_state_expression(const Jsonb *options)
{
	return kind_of(options) == RLREC_STATE_EXPRESSION ? rlrec_option_text(options, specs, "expression") : NULL;
}

/* Sets category and names of all items: "" where the column says nothing. */
static void
read_categories(RlrecStateReader *reader, const RlrecFit *fit, int column)
{
	const RlrecFeatures *features = fit->features;
	int32		first = features->column[column].first;
	int32		end = features->column[column + 1].first;
	int32		n = reader->n_items;
	int32	   *category = palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	RlrecIntern *names = rlrec_intern_create();
	int32	   *rank;

	for (int32 i = 0; i < n; i++)
	{
		resetStringInfo(&reader->key);
		for (int32 k = features->start[i]; k < features->start[i + 1]; k++)
		{
			int32		f = features->feature[k];

			if (f < first || f >= end)
				continue;
			if (reader->key.len > 0)
				appendStringInfoChar(&reader->key, ' ');
			appendBinaryStringInfo(&reader->key, features->bytes + features->label[f], features->label[f + 1] - features->label[f]);
		}
		category[i] = rlrec_intern_add(names, reader->key.data, reader->key.len);
	}
	reader->names = rlrec_intern_finish(names, &rank);
	for (int32 i = 0; i < n; i++)
		category[i] = rank[category[i]];
	reader->category = category;
	pfree(rank);
}

void
rlrec_state_reader_init(RlrecStateReader *reader, const RlrecFit *fit)
{
	memset(reader, 0, sizeof(*reader));
	initStringInfo(&reader->key);
	reader->kind = kind_of(fit->options);
	reader->last_items = rlrec_option_int(fit->options, specs, "last_items");
	reader->names = fit->events->items;
	reader->n_items = fit->events->items.n;
	if (reader->kind == RLREC_STATE_CATEGORY)
		read_categories(reader, fit, category_column(fit));
}

void
rlrec_state_reader_save(const RlrecStateReader *reader, const char *prefix, RlrecTensors *tensors)
{
	int32	   *kind = rlrec_tensors_add(tensors, psprintf("%sstate", prefix), RLREC_I32, 1, 2, 0);

	kind[0] = reader->kind;
	kind[1] = reader->last_items;
	if (reader->kind != RLREC_STATE_CATEGORY)
		return;
	rlrec_dictionary_save(&reader->names, psprintf("%scategories", prefix), tensors);
	memcpy(rlrec_tensors_add(tensors, psprintf("%scategory", prefix), RLREC_I32, 1, reader->n_items, 0), reader->category,
		   reader->n_items * sizeof(int32));
}

void
rlrec_state_reader_open(RlrecStateReader *reader, const RlrecModel *model)
{
	const int32 *kind = rlrec_model_data(model, "state", RLREC_I32, 2);

	memset(reader, 0, sizeof(*reader));
	initStringInfo(&reader->key);
	reader->kind = (RlrecStateKind) kind[0];
	reader->last_items = kind[1];
	reader->names = model->items;
	reader->n_items = model->items.n;
	if (reader->kind == RLREC_STATE_CATEGORY)
	{
		reader->names = rlrec_dictionary_open(model, "categories");
		reader->category = rlrec_model_data(model, "category", RLREC_I32, model->items.n);
	}
}

const char *
rlrec_state_key(RlrecStateReader *reader, const int32 *item, int64 n, const RlrecKey *user, int32 cluster, int32 *length)
{
	const RlrecDictionary *names = &reader->names;

	if (reader->kind == RLREC_STATE_USER || reader->kind == RLREC_STATE_EXPRESSION)
	{
		*length = user->length;
		return user->bytes;
	}
	resetStringInfo(&reader->key);
	if (reader->kind == RLREC_STATE_CLUSTER)
	{
		appendStringInfo(&reader->key, "%d", cluster);
		*length = reader->key.len;
		return cluster < 0 ? NULL : reader->key.data;
	}
	for (int64 i = Max(0, n - reader->last_items); i < n; i++)
	{
		int32		name = reader->category ? reader->category[item[i]] : item[i];
		int32		offset = names->offset[name];

		if (reader->last_items == 1)	/* as most are: nothing needs copying */
		{
			*length = names->offset[name + 1] - offset;
			return names->bytes + offset;
		}
		if (i > Max(0, n - reader->last_items))
			appendStringInfoChar(&reader->key, '\t');
		appendBinaryStringInfo(&reader->key, names->bytes + offset, names->offset[name + 1] - offset);
	}
	*length = reader->key.len;
	return n == 0 ? NULL : reader->key.data;
}
