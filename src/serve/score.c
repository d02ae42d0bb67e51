/*
 * score.c
 *	  rlrec_score(): one item's score for one user, made for ORDER BY.
 *
 * A query that ranks a table calls this once a row; the user is scored against all items at the first call and the scores are kept for as
 * long as agent, user and snapshot stay the same.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "learner/learner.h"
#include "serve/arguments.h"
#include "store/cache.h"
#include "store/events.h"

/* What identifies a state of the database as a query sees it, and who looks: his rights and policies count. */
typedef struct Moment
{
	Oid			user;
	TransactionId xmin;
	TransactionId xmax;
	CommandId	command;
	SubTransactionId subtransaction;	/* what one inserted is gone when it rolls back, under the same snapshot */
	uint64		completed;
} Moment;

typedef struct ScoreCache
{
	MemoryContext context;		/* of what follows */
	Moment		moment;
	RlrecAgent *agent;
	char	   *agent_argument;	/* NULL when it was NULL */
	char	   *user;
	RlrecDictionary items;		/* a copy of the model's, which may leave the cache meanwhile */
	float	   *scores;			/* [items.n]; NULL before the first user */
} ScoreCache;

static Moment
this_moment(void)
{
	Snapshot	snapshot = GetActiveSnapshot();
	Moment		moment;

	memset(&moment, 0, sizeof(moment));
	moment.user = GetUserId();
	moment.xmin = snapshot->xmin;
	moment.xmax = snapshot->xmax;
	moment.command = snapshot->curcid;
	moment.subtransaction = GetCurrentSubTransactionId();
	moment.completed = snapshot->snapXactCompletionCount;
	return moment;
}

static bool
same_text(const char *a, const char *b)
{
	return (a == NULL && b == NULL) || (a && b && strcmp(a, b) == 0);
}

static ScoreCache *
cache_of(FunctionCallInfo fcinfo)
{
	ScoreCache *cache = fcinfo->flinfo->fn_extra;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ScoreCache));
		cache->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "rlrec scores", ALLOCSET_DEFAULT_SIZES);
		fcinfo->flinfo->fn_extra = cache;
	}
	return cache;
}

static RlrecDictionary
copy_dictionary(const RlrecDictionary *from)
{
	RlrecDictionary copy = {from->n, NULL, NULL};
	Size		offsets = (from->n + (Size) 1) * sizeof(int32);
	int32	   *offset = MemoryContextAllocHuge(CurrentMemoryContext, offsets);
	char	   *bytes = MemoryContextAllocHuge(CurrentMemoryContext, Max(from->offset[from->n], 1));

	memcpy(offset, from->offset, offsets);
	memcpy(bytes, from->bytes, from->offset[from->n]);
	copy.offset = offset;
	copy.bytes = bytes;
	return copy;
}

/* Scores every item for the user. */
static void
score_user(ScoreCache *cache, const char *user)
{
	MemoryContext old = MemoryContextSwitchTo(cache->context);
	const RlrecModel *model = rlrec_cache_model(cache->agent);
	RlrecHistory history;

	cache->items = copy_dictionary(&model->items);
	cache->scores = MemoryContextAllocHuge(cache->context, Max(model->items.n, 1) * sizeof(float));
	rlrec_history_read(cache->agent, user, model, &history, NULL, NULL);
	(void) rlrec_score_history(model, &history, cache->scores);
	rlrec_cache_release(model);
	cache->user = pstrdup(user);
	MemoryContextSwitchTo(old);
}

/* Forgets what is cached and looks the agent up again. */
static void
start_anew(FunctionCallInfo fcinfo, ScoreCache *cache, const char *name)
{
	MemoryContext old;

	cache->agent = NULL;
	cache->user = NULL;
	MemoryContextReset(cache->context);
	old = MemoryContextSwitchTo(cache->context);
	cache->agent = rlrec_agent_argument(fcinfo, 0);
	cache->agent_argument = name ? pstrdup(name) : NULL;
	cache->moment = this_moment();
	MemoryContextSwitchTo(old);
}

/* rlrec_score(agent, user_id, item) */
PG_FUNCTION_INFO_V1(rlrec_score);
Datum
rlrec_score(PG_FUNCTION_ARGS)
{
	ScoreCache *cache = cache_of(fcinfo);
	char	   *name = rlrec_text_argument(fcinfo, 0);
	Moment		moment = this_moment();
	char	   *user;
	char	   *id;
	int32		item;

	if (cache->agent == NULL || memcmp(&cache->moment, &moment, sizeof(moment)) != 0 || !same_text(cache->agent_argument, name))
		start_anew(fcinfo, cache, name);
	user = rlrec_id_argument(fcinfo, 1, cache->agent, cache->agent->user_column, "user_id");
	if (!same_text(cache->user, user))
	{
		if (cache->user)
			start_anew(fcinfo, cache, name);
		score_user(cache, user);
	}
	if (PG_ARGISNULL(2))
		PG_RETURN_NULL();
	id = rlrec_id_argument(fcinfo, 2, cache->agent, cache->agent->item_column, "item");
	item = rlrec_dictionary_find(&cache->items, id, strlen(id));
	PG_RETURN_FLOAT4(item < 0 ? -get_float4_infinity() : cache->scores[item]);
}
