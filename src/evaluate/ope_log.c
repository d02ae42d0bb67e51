/*
 * ope_log.c
 *	  rlrec_ope_log(): matured decisions as the aggregates of off-policy evaluation take them, with a version of the agent as the target.
 *
 * The model of rewards, of which the direct method and doubly robust estimators are made, is made of the same decisions: what an item earned on
 * average, drawn to the mean of all by PRIOR decisions, plus what the places after it earn on average. Half of the users are
 * told of by the other half's decisions, so that no decision tells of itself (cross-fitting: Chernozhukov et al. 2018).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "data/intern.h"
#include "evaluate/target.h"
#include "policy/slate.h"
#include "store/catalog.h"
#include "store/model.h"
#include "tensor/product.h"
#include "types/float8_array.h"

#define FOLDS 2
#define PRIOR 10.0
#define COLUMNS 10
#define MOST_DECISIONS 1000000

/* What the decisions of other users than a fold's earned */
typedef struct RewardModel
{
	RlrecDictionary items;		/* that were shown */
	double	   *sum[FOLDS];		/* [items.n] of rewards */
	double	   *shown[FOLDS];	/* [items.n] times */
	double		mean[FOLDS];	/* reward of any item */
	double	   *rest[FOLDS];	/* [most_k + 1] what the places from this one on earn in all, on average */
} RewardModel;

static int
fold_of(const char *user)
{
	return hash_bytes((const unsigned char *) user, (int) strlen(user)) % FOLDS;
}

static Datum *
shortlist_items(const RlrecMaturedDecision *decision)
{
	Datum	   *item;
	bool	   *nulls;
	int			n;

	deconstruct_array(decision->shortlist, TEXTOID, -1, false, TYPALIGN_INT, &item, &nulls, &n);
	pfree(nulls);
	return item;
}

static int32
find_item(const RewardModel *model, const char *item, int length)
{
	return rlrec_dictionary_find(&model->items, item, length);
}

static void
learn_items(RewardModel *model, int64 n, const RlrecMaturedDecision *decisions)
{
	RlrecIntern *items = rlrec_intern_create();
	int32	   *rank;

	for (int64 i = 0; i < n; i++)
	{
		Datum	   *item = shortlist_items(&decisions[i]);

		CHECK_FOR_INTERRUPTS();
		for (int r = 0; r < decisions[i].k; r++)
			(void) rlrec_intern_add(items, VARDATA_ANY(item[decisions[i].place[r]]), VARSIZE_ANY_EXHDR(item[decisions[i].place[r]]));
		pfree(item);
	}
	model->items = rlrec_intern_finish(items, &rank);
}

/* Turns the sums at each place into means of what is to come. */
static void
average(RewardModel *model, int f, int most_k, const double *decisions_at)
{
	double		sum = 0;
	double		shown = 0;

	for (int r = most_k - 1; r >= 0; r--)
	{
		sum += model->rest[f][r];
		shown += decisions_at[r];
		model->rest[f][r] = model->rest[f][r + 1] + (decisions_at[r] > 0 ? model->rest[f][r] / decisions_at[r] : 0);
	}
	model->mean[f] = sum / Max(shown, 1);
}

static RewardModel
learn_rewards(int64 n, const RlrecMaturedDecision *decisions)
{
	RewardModel model = {0};
	double	   *at[FOLDS];		/* [most_k] decisions that have such a place */
	int			most_k = 0;

	for (int64 i = 0; i < n; i++)
		most_k = Max(most_k, decisions[i].k);
	learn_items(&model, n, decisions);
	for (int f = 0; f < FOLDS; f++)
	{
		model.sum[f] = palloc_extended((model.items.n + 1) * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		model.shown[f] = palloc_extended((model.items.n + 1) * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		model.rest[f] = palloc0((most_k + 1) * sizeof(double));
		at[f] = palloc0((most_k + 1) * sizeof(double));
	}
	for (int64 i = 0; i < n; i++)
	{
		int			f = (fold_of(decisions[i].user) + 1) % FOLDS;
		Datum	   *item = shortlist_items(&decisions[i]);

		CHECK_FOR_INTERRUPTS();
		for (int r = 0; r < decisions[i].k; r++)
		{
			Datum		shown = item[decisions[i].place[r]];
			int32		index = find_item(&model, VARDATA_ANY(shown), VARSIZE_ANY_EXHDR(shown));

			model.sum[f][index] += decisions[i].reward[r];
			model.shown[f][index]++;
			model.rest[f][r] += decisions[i].reward[r];
			at[f][r]++;
		}
		pfree(item);
	}
	for (int f = 0; f < FOLDS; f++)
		average(&model, f, most_k, at[f]);
	return model;
}

/* What an item at place r, and the places after it, are to earn. */
static double
expected(const RewardModel *model, int f, const char *item, int length, int r)
{
	int32		index = find_item(model, item, length);
	double		sum = index < 0 ? 0 : model->sum[f][index];
	double		shown = index < 0 ? 0 : model->shown[f][index];

	return (sum + PRIOR * model->mean[f]) / (shown + PRIOR) + model->rest[f][r + 1];
}

/* The target's probability of each item shown, given those before, and what the model of rewards expects of what was shown and of the target. */
static void
describe_target(const RewardModel *model, const RlrecMaturedDecision *decision, const Datum *item, const RlrecTargetChoice *choice, double *target,
				double *q_logged, double *q_policy)
{
	RlrecExplorer *explorer = rlrec_explorer_create(&choice->policy, &choice->shortlist);
	double	   *p = palloc(Max(choice->shortlist.n, 1) * sizeof(double));
	int			f = fold_of(decision->user);
	bool		possible = true;

	for (int r = 0; r < decision->k; r++)
	{
		Datum		shown = item[decision->place[r]];

		target[r] = q_policy[r] = 0;
		q_logged[r] = expected(model, f, VARDATA_ANY(shown), VARSIZE_ANY_EXHDR(shown), r);
		if (!possible || explorer->left == 0)
			continue;
		rlrec_explorer_probabilities(explorer, p);
		for (int i = 0; i < choice->shortlist.n; i++)
			if (p[i] > 0)
				q_policy[r] += p[i] * expected(model, f, choice->best[i].item, choice->best[i].length, r);
		possible = choice->place[r] >= 0;
		if (!possible)
			continue;
		target[r] = p[choice->place[r]];
		rlrec_explorer_take(explorer, choice->place[r]);
	}
}

static void
return_decision(ReturnSetInfo *result, const RewardModel *model, RlrecTarget *target, const RlrecMaturedDecision *decision)
{
	RlrecTargetChoice choice = rlrec_target_choose(target, decision);
	int			k = decision->k;
	double	   *probability = palloc(Max(k, 1) * sizeof(double));
	double	   *q_logged = palloc(Max(k, 1) * sizeof(double));
	double	   *q_policy = palloc(Max(k, 1) * sizeof(double));
	double		reward = 0;
	RlrecProduct all_logged = RLREC_PRODUCT_EMPTY;
	RlrecProduct all_target = RLREC_PRODUCT_EMPTY;
	double		logged_slate;
	double		target_slate;
	Datum	   *item = shortlist_items(decision);
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {false};

	describe_target(model, decision, item, &choice, probability, q_logged, q_policy);
	for (int r = 0; r < k; r++)
	{
		reward += decision->reward[r];
		rlrec_product_multiply(&all_logged, decision->propensity[r]);
		rlrec_product_multiply(&all_target, probability[r]);
	}
	rlrec_product_values(all_logged, all_target, &logged_slate, &target_slate);
	values[0] = Int64GetDatum(decision->id);
	values[1] = CStringGetTextDatum(decision->user);
	values[2] = Float8GetDatum(reward);
	values[3] = Float8GetDatum(logged_slate);
	values[4] = Float8GetDatum(target_slate);
	values[5] = PointerGetDatum(rlrec_float8_array_of(k, decision->reward));
	values[6] = PointerGetDatum(rlrec_float8_array_of(k, decision->propensity));
	values[7] = PointerGetDatum(rlrec_float8_array_of(k, probability));
	values[8] = PointerGetDatum(rlrec_float8_array_of(k, q_logged));
	values[9] = PointerGetDatum(rlrec_float8_array_of(k, q_policy));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * Takes out the decisions that could not have been others though there was a choice: they tell nothing of what else would have come. An error
 * when these are all there are. Returns how many are left.
 */
static int64
drop_certain(const RlrecAgent *agent, int64 n, RlrecMaturedDecision *decisions)
{
	int64		kept = 0;

	for (int64 i = 0; i < n; i++)
	{
		bool		certain = decisions[i].n > 1;

		for (int r = 0; r < decisions[i].k; r++)
			certain = certain && decisions[i].propensity[r] == 1;
		if (!certain)
			decisions[kept++] = decisions[i];
	}
	if (n > 0 && kept == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nothing was explored in the decisions of agent \"%s\"", agent->name),
				 errdetail("Each had but one possible outcome, which tells nothing of another version."),
				 errhint("Set option \"explore\", and with none and ucb a floor, \"explore_floor\"; then serve.")));
	if (kept < n)
		ereport(NOTICE,
				(errmsg("%lld of %lld decisions do not count: nothing was explored in them", (long long) (n - kept), (long long) n)));
	return kept;
}

/* As the agent's owner */
static void
return_log(ReturnSetInfo *result, const RlrecAgent *agent, const RlrecModelRow *row, TimestampTz since)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec decision", ALLOCSET_DEFAULT_SIZES);
	RlrecMaturedDecision *decisions;
	RlrecTarget *target;
	RewardModel rewards;
	int64		n;

	decisions = rlrec_matured_decisions(agent, 0, since, MOST_DECISIONS, &n);
	n = drop_certain(agent, n, decisions);
	if (n == 0)
		ereport(NOTICE,
				(errmsg("agent \"%s\" has no decision that tells of version %d", agent->name, row->version),
				 errdetail("What counts is served after the training of the version, and longer ago than the option horizon, a day where that is 0.")));
	rewards = learn_rewards(n, decisions);
	target = rlrec_target_open_version(agent, row->id, false);
	for (int64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		rlrec_progress("weighing decisions", i, n);
		if (decisions[i].k > 0)
			return_decision(result, &rewards, target, &decisions[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	rlrec_target_close(target);
	MemoryContextDelete(context);
}

/* rlrec_ope_log(agent, version, since) */
PG_FUNCTION_INFO_V1(rlrec_ope_log);
Datum
rlrec_ope_log(PG_FUNCTION_ARGS)
{
	RlrecAgent *agent = rlrec_agent_get(rlrec_text_argument(fcinfo, 0), RLREC_AGENT_OWN);
	RlrecModelRow *row;
	RlrecRole	saved;

	InitMaterializedSRF(fcinfo, 0);
	row = rlrec_model_find(agent, rlrec_version_argument(fcinfo, 1));
	if (agent->time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("versions of agent \"%s\" cannot be evaluated by its decisions", agent->name),
				 errdetail("Its events have no time, so that nobody can tell which of them came before a decision.")));
	rlrec_run_as(&saved, agent->owner, SECURITY_RESTRICTED_OPERATION);
	return_log((ReturnSetInfo *) fcinfo->resultinfo, agent, row, PG_ARGISNULL(2) ? rlrec_model_trained_at(row) : PG_GETARG_TIMESTAMPTZ(2));
	rlrec_run_back(&saved);
	return (Datum) 0;
}

/* rlrec_ope_estimator(estimator): the name itself, an error when there is none of that name */
PG_FUNCTION_INFO_V1(rlrec_ope_estimator);
Datum
rlrec_ope_estimator(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"ips", "clipped_ips", "snips", "dm", "dr", "sndr", "switch_dr", "dr_os", "rips", "cascade_dr"};
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(names[i], name) == 0)
			PG_RETURN_TEXT_P(PG_GETARG_TEXT_PP(0));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown estimator \"%s\"", name),
			 errhint("Use ips, clipped_ips, snips, dm, dr, sndr, switch_dr, dr_os, rips or cascade_dr.")));
}
