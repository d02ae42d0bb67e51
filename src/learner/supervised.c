/*
 * supervised.c
 *	  The next-item policy: a causal transformer over the user's history, trained by its own events (Kang and McAuley 2018, SASRec, with
 *	  cross-entropy over the catalogue as in Klenitskiy and Vasilev 2023).
 *
 * This is its training; supervised_model.c has what is kept of it, and serving.
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "data/split.h"
#include "encoder/features.h"
#include "learner/learner.h"
#include "learner/parts.h"
#include "learner/supervised.h"
#include "learner/supervised_model.h"

static const RlrecOption options[] = {
	RLREC_SUPERVISED_OPTIONS("sampled, full, gbce, bpr"),
	{NULL}
};

/* .5 where an item has 20 events or fewer in the mean, .1 where it has 300 or more, in between by the logarithm; of items that have any */
static double
default_dropout(const RlrecEvents *events)
{
	bool	   *met = palloc_extended(Max(events->items.n, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	double		n_events = 0;
	double		n_items = 0;
	double		place;

	for (int32 u = 0; u < events->users.n; u++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
		{
			if (!(events->reward[e] > 0))
				continue;
			n_events++;
			n_items += !met[events->item[e]];
			met[events->item[e]] = true;
		}
	}
	pfree(met);
	place = log(Max(n_events / Max(n_items, 1), 20) / 20) / log(300.0 / 20);
	return 0.5 - 0.4 * Min(place, 1);
}

static void
read_loss(const Jsonb *given, int32 n_items, RlrecNextItem *config)
{
	char	   *loss = rlrec_option_choice(given, options, "loss");
	double		calibration = rlrec_option_real(given, options, "calibration");
	double		rate;

	if (strcmp(loss, "full") == 0)
		return;
	config->negatives = rlrec_option_int(given, options, "negatives");
	config->loss = strcmp(loss, "gbce") == 0 ? RLREC_SAMPLED_BCE : strcmp(loss, "bpr") == 0 ? RLREC_SAMPLED_BPR : RLREC_SAMPLED_SOFTMAX;

	/* beta of Petrov and Macdonald 2023, by the rate at which negatives are sampled */
	rate = Min((double) config->negatives / Max(n_items - 1, 1), 1);
	config->beta = rate * (calibration * (1 - 1 / rate) + 1 / rate);
}

static RlrecNextItem
read_options(const RlrecFit *fit, const RlrecObjective *objective)
{
	const Jsonb *given = fit->options;
	RlrecNextItem config = {0};

	config.learner = rlrec_supervised.name;
	config.objective = objective;
	config.shape.length = rlrec_option_int(given, options, "length");
	config.shape.dimension = rlrec_option_int(given, options, "dimension");
	config.shape.blocks = rlrec_option_int(given, options, "blocks");
	config.shape.heads = rlrec_option_int(given, options, "heads");
	config.shape.hidden = rlrec_option_int(given, options, "hidden");
	config.shape.gated = rlrec_option_bool(given, options, "gates");
	if (strcmp(rlrec_option_choice(given, options, "gaps"), "none") != 0)
		config.shape.gaps = RLREC_HISTORY_GAPS;
	config.shape.dropout = rlrec_option_real(given, options, "dropout");
	if (config.shape.dropout == RLREC_DROPOUT_BY_EVENTS)
		config.shape.dropout = default_dropout(fit->events);
	config.modality_dropout = rlrec_option_real(given, options, "modality_dropout");
	config.adam.learning_rate = rlrec_option_real(given, options, "learning_rate");
	config.adam.beta1 = 0.9;
	config.adam.beta2 = 0.98;
	config.adam.weight_decay = rlrec_option_real(given, options, "weight_decay");
	config.adam.warmup = rlrec_option_int(given, options, "warmup");
	config.adam.clip = rlrec_option_real(given, options, "clip");
	config.epochs = rlrec_option_int(given, options, "epochs");
	config.batch = rlrec_option_int(given, options, "batch");
	config.patience = rlrec_option_int(given, options, "patience");
	config.seconds = 60 * rlrec_option_real(given, options, "minutes");
	if (config.seconds == 0)
		config.seconds = fit->seconds;
	config.finish = rlrec_option_real(given, options, "finish");
	config.average = rlrec_option_real(given, options, "average");
	read_loss(given, fit->events->items.n, &config);
	if (objective != NULL)
		config.loss = RLREC_SAMPLED_SOFTMAX;
	config.checkpoint = rlrec_option_real(given, options, "checkpoint");
	config.threads = rlrec_option_int(given, options, "threads");
	if (config.threads == 0)
		config.threads = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
	config.seed = rlrec_option_int(given, options, "seed");
	config.options = given == NULL ? 0 : hash_bytes_extended((const unsigned char *) given, VARSIZE(given), 0);
	return config;
}

static bool
has_pair(const RlrecEvents *events)
{
	for (int32 u = 0; u < events->users.n; u++)
	{
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		for (int64 e = events->start[u]; e < events->end[u]; e++)
			if (events->reward[e] > 0 && ++n == 2)
				return true;
	}
	return false;
}

/*
 * What the events take here: an item, a gap, a type, for a while a time, and what an objective has of their rewards; a user a start, what is
 * fresh, and a window
 */
static Size
event_bytes(const RlrecEvents *events, const RlrecObjective *objective)
{
	Size		rewards = objective != NULL ? (objective->values + 2) * sizeof(float) + sizeof(int64) + sizeof(int32) : 0;
	Size		n = 0;

	for (int32 u = 0; u < events->users.n; u++)
		n += events->end[u] - events->start[u];
	return add_size(mul_size(n, sizeof(int32) + 2 * sizeof(uint8) + sizeof(int64) + rewards), mul_size(events->users.n, 40));
}

const char *
rlrec_supervised_obstacle(const RlrecFit *fit, const RlrecObjective *objective)
{
	RlrecNextItem config = read_options(fit, objective);
	RlrecSequences data = {0};
	Size		needed;

	if (config.shape.dimension % config.shape.heads != 0)
		return "option \"heads\" does not divide option \"dimension\"";
	if (!has_pair(fit->events))
		return "no user has two events with a positive reward";
	data.n_users = fit->events->users.n;
	data.n_items = fit->events->items.n;
	needed = rlrec_next_item_memory(&config, &data) + event_bytes(fit->events, objective);
	if (needed > fit->budget)	/* features are left out where they do not fit */
		return psprintf("it needs %zu MB and maintenance_work_mem is %zu MB", needed / (1024 * 1024) + 1, fit->budget / (1024 * 1024));
	return NULL;
}

static bool
gaps_to_request(const Jsonb *given)
{
	return strcmp(rlrec_option_choice(given, options, "gaps"), "request") == 0;
}

/* The positive events of all users, of which those after `since` are fresh; *until becomes the time of the last one. */
static RlrecSequences
read_sequences(const RlrecFit *fit, int64 since, int64 *until)
{
	const RlrecEvents *events = fit->events;
	int32		n_users = events->users.n;
	int64	   *start = palloc_extended(((Size) n_users + 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int64	   *fresh = palloc_extended(((Size) n_users + 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	bool		to_request = gaps_to_request(fit->options);
	int64	   *time;
	int32	   *item;
	uint8	   *gap;
	uint8	   *type;
	int64		n = 0;
	RlrecSequences data = {0};

	for (int32 u = 0; u < n_users; u++)
		n += events->end[u] - events->start[u];
	item = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(n, 1), sizeof(int32)));
	time = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(n, 1), sizeof(int64)));
	gap = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1));
	type = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1));
	n = 0;
	*until = since;
	for (int32 u = 0; u < n_users; u++)
	{
		start[u] = fresh[u] = n;
		for (int64 e = events->start[u]; e < events->end[u]; e++)
			if (events->reward[e] > 0)
			{
				item[n] = events->item[e];
				time[n] = events->time[e];
				type[n++] = events->type[e];
				*until = Max(*until, events->time[e]);
				if (events->time[e] <= since)
					fresh[u] = n;
			}
		rlrec_history_gaps(n - start[u], time + start[u], to_request, 0, gap + start[u]);
		CHECK_FOR_INTERRUPTS();
	}
	start[n_users] = n;
	pfree(time);
	data.n_users = n_users;
	data.n_items = events->items.n;
	data.start = start;
	data.fresh = fresh;
	data.events = (RlrecHistoryEvents) {item, gap, type};
	data.names.items = events->items;
	data.names.types = events->types;
	return data;
}

/* Hashes the features, in CurrentMemoryContext; none where that takes more than so many bytes. */
static RlrecHashedFeatures
hash_features(const RlrecFeatures *features, Size budget)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(outer, "rlrec hashed features", ALLOCSET_DEFAULT_SIZES);
	RlrecHashedFeatures hashed = {0};

	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		hashed = rlrec_features_hash(features, budget);
	}
	PG_CATCH();
	{
		/* Hashing takes memory and nothing else, so this is all there is to undo. */
		if (geterrcode() != ERRCODE_OUT_OF_MEMORY)
			PG_RE_THROW();
		FlushErrorState();
		MemoryContextReset(context);
		memset(&hashed, 0, sizeof(hashed));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	return hashed;
}

/* Gives the sequences their features, where the memory allows it, and says what training takes. */
static void
add_features(const RlrecFit *fit, RlrecNextItem *config, RlrecSequences *data, const RlrecNextItemStart *start)
{
	Size		base = event_bytes(fit->events, config->objective);
	RlrecHashedFeatures features = {0};
	Size		needed;

	if (start != NULL)
		base = add_size(base, mul_size(start->names.items.n, start->shape.dimension * sizeof(float)));
	if (fit->features != NULL && fit->features->n_features > 0)
	{
		needed = add_size(base, rlrec_next_item_memory(config, data));
		features = hash_features(fit->features, fit->budget - Min(fit->budget, needed));
	}
	data->n_features = features.n_rows;
	needed = add_size(add_size(base, features.bytes), rlrec_next_item_memory(config, data));
	if (fit->features != NULL && fit->features->n_features > 0 && (features.bytes == 0 || needed > fit->budget))
	{
		ereport(NOTICE,
				(errmsg("training of learner \"%s\" leaves the items table out", config->learner),
				 errdetail("Its features do not fit in maintenance_work_mem, which is %zu MB.", fit->budget / (1024 * 1024)),
				 errhint("Raise maintenance_work_mem, or give the agent a view of the items with fewer or shorter columns.")));
		memset(&features, 0, sizeof(features));
		data->n_features = 0;
		needed = add_size(base, rlrec_next_item_memory(config, data));
	}
	data->names.n_features = features.n_rows;
	data->names.bucket = features.bucket;
	data->features = features.items;
	if (needed > fit->budget)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("learner \"%s\" needs more memory than it may use", config->learner),
				 errdetail("It needs %zu MB for %d items and maintenance_work_mem is %zu MB.", needed / (1024 * 1024) + 1,
						   data->n_items, fit->budget / (1024 * 1024)),
				 errhint("Raise maintenance_work_mem, or lower option \"dimension\".")));
	config->spare = fit->budget - needed;
	ereport(fit->past != NULL ? NOTICE : DEBUG1,
			(errmsg("training of learner \"%s\" takes %zu MB", config->learner, needed / (1024 * 1024) + 1),
			 errdetail("There are %lld events, %d items and %d features of items.", (long long) data->start[data->n_users], data->n_items,
					   data->n_features)));
}

/*
 * The weights of the version that serves, of this learner or else of supervised, as option "warm_start" wants them; false when there are
 * none to start from. `since` becomes the
 * time of the last event that it learned.
 */
static bool
find_start(const RlrecFit *fit, const RlrecLearner *learner, RlrecNextItem *config, RlrecNextItemStart *start, int64 *since)
{
	char	   *warm_start = rlrec_option_choice(fit->options, options, "warm_start");
	const RlrecModel *deployed;
	const RlrecModel *found = NULL;

	if (fit->past == NULL || strcmp(warm_start, "none") == 0)
		return false;
	deployed = fit->past->deployed(fit->past);
	if (deployed != NULL)
		found = rlrec_parts_find(deployed, learner);
	if (deployed != NULL && found == NULL)
		found = rlrec_parts_find(deployed, &rlrec_supervised);
	if (found == NULL)
		return false;
	*start = rlrec_supervised_start(found);
	if (!rlrec_next_item_can_start(&start->shape, &config->shape) || start->to_request != gaps_to_request(fit->options))
	{
		ereport(NOTICE,
				(errmsg("training starts from random weights"),
				 errdetail("The options now give the network another shape than that of the version that serves.")));
		return false;
	}
	if (!rlrec_split_has_time(fit->events))
	{
		if (strcmp(warm_start, "new") == 0)
			ereport(NOTICE,
					(errmsg("all events are learned, not only new ones"),
					 errdetail("The events have no time that would tell which are new.")));
		return true;
	}
	*since = start->until;
	config->new_only = strcmp(warm_start, "new") == 0;
	return true;
}

void
rlrec_supervised_fit(const RlrecFit *fit, const RlrecLearner *learner, const RlrecObjective *objective, const RlrecRewards *rewards,
					 const char *prefix, RlrecTensors *tensors)
{
	RlrecNextItem config = read_options(fit, objective);
	RlrecSequences data;
	RlrecNextItemStart start;
	RlrecNextItemResult result;
	RlrecSupervisedModel model = {0};
	int64		since = PG_INT64_MIN;
	bool		warm = find_start(fit, learner, &config, &start, &since);

	config.learner = learner->name;
	if (fit->events->types.n > 1)
		config.shape.types = fit->events->types.n + 1;
	data = read_sequences(fit, since, &model.until);
	if (rewards != NULL)
		data.rewards = *rewards;
	if (since == PG_INT64_MIN)
		data.fresh = NULL;
	add_features(fit, &config, &data, warm ? &start : NULL);
	result = rlrec_next_item_train(&config, &data, warm ? &start : NULL, fit->past);

	model.shape = config.shape;
	model.to_request = gaps_to_request(fit->options);
	model.network = result.parameters;
	model.n_items = data.n_items;
	model.e = result.e;
	model.n_features = data.n_features;
	model.bucket = data.names.bucket;
	model.projection = result.projection;
	model.epoch = result.epoch;
	if (warm && result.epoch == 0)
		model.until = since;	/* nothing was learned */
	model.ndcg = result.ndcg;
	model.n_heads = rlrec_objective_heads(objective);
	model.heads = result.heads;
	model.blend[0] = objective == NULL || objective->policy;
	for (int k = 0; objective != NULL && k < objective->values; k++)
		model.blend[1 + k] = result.blend[k];
	rlrec_supervised_write(&model, strcmp(rlrec_option_choice(fit->options, options, "quantize"), "int8") == 0, prefix, tensors);
}

static const char *
obstacle(const RlrecFit *fit)
{
	return rlrec_supervised_obstacle(fit, NULL);
}

static void
fit(const RlrecFit *fit, const char *prefix, RlrecTensors *tensors)
{
	rlrec_supervised_fit(fit, &rlrec_supervised, NULL, NULL, prefix, tensors);
}

const RlrecLearner rlrec_supervised = {
	.name = "supervised",
	.summary = "a transformer over the history, trained to tell the next item",
	.options = options,
	.obstacle = obstacle,
	.fit = fit,
	.score = rlrec_supervised_score,
	.describe = rlrec_supervised_describe,
	.similar = rlrec_supervised_similar,
	.encoder = "transformer",
	.dimension = rlrec_supervised_dimension,
	.encode = rlrec_supervised_encode,
	.decode = rlrec_supervised_decode,
	.check = rlrec_supervised_check
};
