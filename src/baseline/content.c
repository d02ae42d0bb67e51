/*
 * content.c
 *	  The learner `content`: recommends what is like what the user chose, by the features of the items.
 *
 * A user's profile is the sum of the feature vectors of the items of his history, each item once, at its latest event, by weight
 * 2^-(age / profile_half_life) with the age counted in events; without a half-life all weigh the same. The score of an item is the
 * cosine of its vector and the profile (Rocchio's relevance feedback without its negative term). It needs no events of the item, so
 * what was added to the catalogue a minute ago ranks with the rest.
 *
 * Tensors: `start` (items + 1), `feature` and `value` (entries), the rows of RlrecFeatures; `n_features` (1), `half_life` (1).
 */
#include "postgres.h"

#include <math.h>

#include "learner/learner.h"
#include "miscadmin.h"

static const RlrecOption options[] = {
	{"profile_half_life", RLREC_OPTION_REAL, 0, 0, 1e9,
	"number of later events after which an event counts half in the user's profile; 0 counts all the same"},
	{NULL}
};

/* The rows of RlrecFeatures in a model. */
typedef struct Matrix
{
	int32		n_items;
	int32		n_features;
	const int32 *start;
	const int32 *feature;
	const float *value;
} Matrix;

static const char *
obstacle(const RlrecFit *fit)
{
	if (fit->features == NULL || fit->features->n_features == 0)
		return "the agent has no items table with feature columns";
	return NULL;
}

static void
fit_content(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	const RlrecFeatures *features = fit->features;
	int64		n = features->start[features->n_items];
	int32	   *n_features = rlrec_tensors_add(tensors, psprintf("%sn_features", prefix), RLREC_I32, 1, 1, 0);
	float	   *half_life = rlrec_tensors_add(tensors, psprintf("%shalf_life", prefix), RLREC_F32, 1, 1, 0);

	*n_features = features->n_features;
	*half_life = rlrec_option_real(fit->options, options, "profile_half_life");
	memcpy(rlrec_tensors_add(tensors, psprintf("%sstart", prefix), RLREC_I32, 1, (int64) features->n_items + 1, 0),
		   features->start, mul_size(sizeof(int32), (Size) features->n_items + 1));
	memcpy(rlrec_tensors_add(tensors, psprintf("%sfeature", prefix), RLREC_I32, 1, n, 0),
		   features->feature, mul_size(sizeof(int32), n));
	memcpy(rlrec_tensors_add(tensors, psprintf("%svalue", prefix), RLREC_F32, 1, n, 0),
		   features->value, mul_size(sizeof(float), n));
}

static Matrix
open_matrix(const RlrecModel *model)
{
	Matrix		m;

	m.n_items = model->items.n;
	m.n_features = *(const int32 *) rlrec_model_data(model, "n_features", RLREC_I32, 1);
	m.start = rlrec_model_data(model, "start", RLREC_I32, (int64) m.n_items + 1);
	m.feature = rlrec_model_data(model, "feature", RLREC_I32, m.start[m.n_items]);
	m.value = rlrec_model_data(model, "value", RLREC_F32, m.start[m.n_items]);
	return m;
}

/* profile (n_features) += weight * row of the item */
static void
add_row(const Matrix *m, int32 item, float weight, float *profile)
{
	for (int32 i = m->start[item]; i < m->start[item + 1]; i++)
		profile[m->feature[i]] += weight * m->value[i];
}

/* scores (n_items) = scale * rows . profile */
static void
score_rows(const Matrix *m, const float *profile, float scale, float *scores)
{
	for (int32 item = 0; item < m->n_items; item++)
	{
		float		dot = 0;

		if ((item & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int32 i = m->start[item]; i < m->start[item + 1]; i++)
			dot += m->value[i] * profile[m->feature[i]];
		scores[item] = scale * dot;
	}
}

static float *
make_profile(const Matrix *m)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, mul_size(sizeof(float), m->n_features),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static bool
score(const RlrecModel *model, const RlrecHistory *history, float *scores)
{
	Matrix		m = open_matrix(model);
	float		half_life = *(const float *) rlrec_model_data(model, "half_life", RLREC_F32, 1);
	float	   *profile = make_profile(&m);
	bool	   *seen = palloc0(Max(m.n_items, 1) * sizeof(bool));
	double		square = 0;

	for (int32 i = history->n - 1; i >= 0; i--)
	{
		int32		item = history->item[i];

		if (!seen[item])
			add_row(&m, item, half_life > 0 ? exp2f(-(history->n - 1 - i) / half_life) : 1.0f, profile);
		seen[item] = true;
	}
	for (int32 i = 0; i < m.n_features; i++)
		square += (double) profile[i] * profile[i];
	if (square > 0)
	{
		score_rows(&m, profile, 1 / sqrt(square), scores);
		rlrec_model_add_popularity(model, scores);
	}
	pfree(profile);
	pfree(seen);
	return square > 0;
}

/* Cosine of the feature vectors, whose length is 1: rows are merged, as their features ascend. */
static void
similar(const RlrecModel *model, int32 item, int32 n, const int32 *others, float *scores)
{
	Matrix		m = open_matrix(model);
	int32		end = m.start[item + 1];

	for (int32 o = 0; o < n; o++)
	{
		int32		other = others ? others[o] : o;
		int32		a = m.start[item];
		float		dot = 0;

		if ((o & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int32 b = m.start[other]; b < m.start[other + 1]; b++)
		{
			while (a < end && m.feature[a] < m.feature[b])
				a++;
			if (a == end)
				break;
			if (m.feature[a] == m.feature[b])
				dot += m.value[b] * m.value[a];
		}
		scores[o] = dot;
	}
}

const RlrecLearner rlrec_content = {
	.name = "content",
	.summary = "items with features like those of the user's items",
	.options = options,
	.obstacle = obstacle,
	.fit = fit_content,
	.score = score,
	.similar = similar
};
