/*
 * cluster.c
 *	  Spherical k-means (Dhillon and Modha 2001) over the states of the transformer, seeded as in k-means++ (Arthur and Vassilvitskii 2007).
 *
 * A state counts by its direction. The centroids are fitted on the states of a sample of users, and then every event is given the nearest
 * one, so that no more states than the sample's are held. States come a window of events at a time: the first window's all, then those
 * with at least half a window before them; serving looks back over a whole window.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "learner/cluster.h"
#include "learner/parts.h"
#include "learner/supervised_model.h"
#include "tensor/kernels.h"
#include "tensor/random.h"

#define SAMPLE_PER_CLUSTER 64
#define ITERATIONS 10

/* What states are made with; arrays of a user's positive events, and those of one window. */
typedef struct Encoder
{
	const RlrecEvents *events;
	RlrecModel	model;
	RlrecNextItemStart start;	/* its network and embeddings */
	RlrecHistoryWeights weights;
	float	   *workspace;
	int64		n;				/* of the user */
	int64	   *event;			/* [n] index in the events' arrays */
	int32	   *item;
	int64	   *time;
	uint8	   *gap;
	uint8	   *type;
} Encoder;

/* Takes n states (n,d), the first of them after event number `first` of the user. */
typedef void (*StateSink) (void *argument, const Encoder *encoder, int64 first, int n, float *states);

static void
encoder_open(Encoder *encoder, const RlrecFit *fit, const char *prefix, const RlrecTensors *tensors)
{
	const RlrecEvents *events = fit->events;
	Size		longest = 1;

	memset(encoder, 0, sizeof(*encoder));
	for (int32 u = 0; u < events->users.n; u++)
		longest = Max(longest, events->end[u] - events->start[u]);
	encoder->events = events;
	encoder->model.learner = &rlrec_supervised;
	encoder->model.tensors = tensors;
	encoder->model.prefix = psprintf("%s%s/", prefix, rlrec_supervised.name);
	encoder->model.items = events->items;
	encoder->model.types = events->types;
	encoder->model.reward_scale = 1;
	encoder->start = rlrec_supervised_start(&encoder->model);
	encoder->start.shape.dropout = 0;
	encoder->weights = rlrec_history_place(&encoder->start.shape, unconstify(float *, encoder->start.network));
	encoder->workspace = palloc_extended(rlrec_history_workspace(&encoder->start.shape, encoder->start.shape.length,
																 encoder->start.shape.length) * sizeof(float), MCXT_ALLOC_HUGE);
	encoder->event = palloc_extended(longest * sizeof(int64), MCXT_ALLOC_HUGE);
	encoder->item = palloc_extended(longest * sizeof(int32), MCXT_ALLOC_HUGE);
	encoder->time = palloc_extended(longest * sizeof(int64), MCXT_ALLOC_HUGE);
	encoder->gap = palloc_extended(longest, MCXT_ALLOC_HUGE);
	encoder->type = palloc_extended(longest, MCXT_ALLOC_HUGE);
}

/* The states after each of a user's positive events, of length 1. */
static void
encode_user(Encoder *encoder, int32 u, StateSink sink, void *argument)
{
	const RlrecEvents *events = encoder->events;
	const RlrecHistoryShape *shape = &encoder->start.shape;
	int			d = shape->dimension;
	int64		n = 0;
	int64		done = 0;

	for (int64 e = events->start[u]; e < events->end[u]; e++)
		if (events->reward[e] > 0)
		{
			encoder->event[n] = e;
			encoder->item[n] = events->item[e];
			encoder->time[n] = events->time[e];
			encoder->type[n++] = events->type[e];
		}
	if (n > 0)
		rlrec_history_gaps(n, encoder->time, encoder->start.to_request, encoder->time[n - 1], encoder->gap);
	for (int64 from = 0; done < n; from += Max(shape->length / 2, 1))
	{
		int			size = (int) Min(n - from, shape->length);
		int			start[2] = {0, size};
		RlrecPacked batch = {1, start, {encoder->item + from, encoder->gap + from, encoder->type + from}};
		float	   *states;
		int			new = (int) (from + size - done);

		CHECK_FOR_INTERRUPTS();
		states = rlrec_history_forward(shape, &encoder->weights, encoder->start.e, &batch, 0, encoder->workspace) + (size_t) (size - new) * d;
		for (int i = 0; i < new; i++)
		{
			float	   *state = states + (size_t) i * d;
			float		length;

			rlrec_supervised_blend(&encoder->model, state);
			length = sqrtf(rlrec_dot(d, state, state));
			for (int j = 0; j < d && length > 0; j++)
				state[j] /= length;
		}
		sink(argument, encoder, done, new, states);
		done += new;
	}
}

/* The nearest of the centroids (k,d), the first of equal ones. products[k] is scratch. */
static int32
nearest(int k, int d, const float *centroids, const float *state, float *products)
{
	int32		best = 0;

	rlrec_gemv(k, d, centroids, state, products);
	for (int c = 1; c < k; c++)
		if (products[c] > products[best])
			best = c;
	return best;
}

/* ---------------------------------------------------------------- the centroids */

typedef struct Sample
{
	int			room;
	int			n;
	float	   *states;			/* (room,d) */
} Sample;

static void
take_sample(void *argument, const Encoder *encoder, int64 first pg_attribute_unused(), int n, float *states)
{
	Sample	   *sample = argument;
	int			d = encoder->start.shape.dimension;

	n = Min(n, sample->room - sample->n);
	memcpy(sample->states + (size_t) sample->n * d, states, (size_t) n * d * sizeof(float));
	sample->n += n;
}

/* States of users drawn without replacement, until there are enough. */
static Sample
draw_sample(Encoder *encoder, int room, uint64 key)
{
	Sample		sample = {room, 0, NULL};
	int32		n_users = encoder->events->users.n;
	int32	   *user = palloc_extended(Max(n_users, 1) * sizeof(int32), MCXT_ALLOC_HUGE);

	sample.states = palloc_extended((Size) room * encoder->start.shape.dimension * sizeof(float), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int32 u = 0; u < n_users; u++)
		user[u] = u;
	for (int32 u = 0; u < n_users && sample.n < room; u++)
	{
		int32		other = u + (int32) rlrec_random_below(key, u, n_users - u);
		int32		drawn = user[other];

		user[other] = user[u];
		encode_user(encoder, drawn, take_sample, &sample);
	}
	pfree(user);
	sample.n = Max(sample.n, 1);
	return sample;
}

/* Each next centroid is a state drawn in proportion to 1 - its cosine to the nearest so far. Returns how many differ, at most k. */
static int
seed_centroids(const Sample *sample, int k, int d, uint64 key, float *centroids)
{
	float	   *distance = palloc_extended(Max(sample->n, 1) * sizeof(float), MCXT_ALLOC_HUGE);
	int			chosen = (int) rlrec_random_below(key, 0, sample->n);

	for (int i = 0; i < sample->n; i++)
		distance[i] = 2;
	for (int c = 0; c < k; c++)
	{
		double		sum = 0;
		double		at;

		CHECK_FOR_INTERRUPTS();
		memcpy(centroids + (size_t) c * d, sample->states + (size_t) chosen * d, d * sizeof(float));
		for (int i = 0; i < sample->n; i++)
		{
			float		one = 1 - rlrec_dot(d, centroids + (size_t) c * d, sample->states + (size_t) i * d);

			distance[i] = Min(distance[i], one < 1e-6f ? 0 : one);
			sum += distance[i];
		}
		if (sum == 0)
			return c + 1;
		at = sum * rlrec_random_uniform(key, c + 1);
		for (chosen = 0; chosen < sample->n - 1 && (at -= distance[chosen]) > 0;)
			chosen++;
	}
	return k;
}

/* Moves each centroid to the direction of its states' sum; one without states stays. */
static void
move_centroids(const Sample *sample, int k, int d, float *centroids, float *sums, float *products)
{
	memset(sums, 0, (size_t) k * d * sizeof(float));
	for (int i = 0; i < sample->n; i++)
	{
		const float *state = sample->states + (size_t) i * d;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		rlrec_axpy(d, 1, state, sums + (size_t) nearest(k, d, centroids, state, products) * d);
	}
	for (int c = 0; c < k; c++)
	{
		float	   *sum = sums + (size_t) c * d;
		float		length = sqrtf(rlrec_dot(d, sum, sum));

		for (int j = 0; j < d && length > 0; j++)
			centroids[(size_t) c * d + j] = sum[j] / length;
	}
}

/* ---------------------------------------------------------------- the clusters */

typedef struct Assignment
{
	int			k;
	const float *centroids;
	float	   *products;
	int32	   *cluster;		/* of events */
} Assignment;

static void
assign(void *argument, const Encoder *encoder, int64 first, int n, float *states)
{
	Assignment *assignment = argument;
	int			d = encoder->start.shape.dimension;

	for (int i = 0; i < n; i++)
		assignment->cluster[encoder->event[first + i]] = nearest(assignment->k, d, assignment->centroids, states + (size_t) i * d,
																 assignment->products);
}

int32 *
rlrec_cluster_fit(const RlrecFit *fit, int clusters, uint64 key, const char *prefix, RlrecTensors *tensors)
{
	const RlrecEvents *events = fit->events;
	int32		n_users = events->users.n;
	Encoder		encoder;
	Assignment	assignment = {0};
	Sample		sample;
	float	   *centroids;
	float	   *sums;
	int64		n = 0;
	int			d;

	rlrec_parts_fit(&rlrec_supervised, fit, prefix, tensors);
	encoder_open(&encoder, fit, prefix, tensors);
	d = encoder.start.shape.dimension;
	rlrec_progress("clustering", 0, n_users);
	sample = draw_sample(&encoder, SAMPLE_PER_CLUSTER * clusters, rlrec_random_key(key, 0));
	centroids = palloc_extended((Size) clusters * d * sizeof(float), MCXT_ALLOC_HUGE);
	sums = palloc_extended((Size) clusters * d * sizeof(float), MCXT_ALLOC_HUGE);
	assignment.products = palloc(clusters * sizeof(float));
	assignment.k = seed_centroids(&sample, clusters, d, rlrec_random_key(key, 1), centroids);
	for (int i = 0; i < ITERATIONS; i++)
		move_centroids(&sample, assignment.k, d, centroids, sums, assignment.products);
	memcpy(rlrec_tensors_add(tensors, psprintf("%scentroid", prefix), RLREC_F32, 2, assignment.k, d), centroids,
		   (size_t) assignment.k * d * sizeof(float));

	for (int32 u = 0; u < n_users; u++)
		n = Max(n, events->end[u]);
	assignment.centroids = centroids;
	assignment.cluster = palloc_extended(Max(n, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	for (int32 u = 0; u < n_users; u++)
	{
		rlrec_progress("clustering", u, n_users);
		encode_user(&encoder, u, assign, &assignment);
	}
	return assignment.cluster;
}

int32
rlrec_cluster_of(const RlrecModel *model, const RlrecHistory *history)
{
	const float *centroids = rlrec_model_data(model, "centroid", RLREC_F32, -1);
	RlrecModel	encoder = rlrec_parts_open(model, &rlrec_supervised);
	int			d = rlrec_supervised_dimension(&encoder);
	int			k = (int) (rlrec_tensor_elements(rlrec_tensors_find(model->tensors, psprintf("%scentroid", model->prefix))) / d);
	float	   *state = palloc(d * sizeof(float));

	if (!rlrec_supervised_encode(&encoder, history, state))
		return -1;
	return nearest(k, d, centroids, state, palloc(k * sizeof(float)));
}
