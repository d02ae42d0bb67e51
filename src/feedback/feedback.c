/*
 * feedback.c
 *	  rlrec_feedback(): what came of an item that was shown, where no row of the events table tells it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "feedback/buffer.h"
#include "feedback/process.h"
#include "store/catalog.h"
#include "store/reward.h"

/* A decision, and whether its slate has an item */
typedef struct Decision
{
	char	   *agent;
	char	   *user;
	Oid			role;			/* that was served */
	bool		has_item;
} Decision;

static void
find_decision(int64 id, text *item, Decision *decision)
{
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[2];
	HeapTuple	row;
	bool		isnull;

	values[0] = Int64GetDatum(id);
	values[1] = PointerGetDatum(item);
	rlrec_catalog_execute("SELECT a.name, d.user_id, d.role::oid, EXISTS (SELECT FROM unnest(d.slate) AS s(choice) WHERE d.shortlist[s.choice] = $2)"
						  " FROM rlrec.decision d JOIN rlrec.agent a ON a.id = d.agent WHERE d.id = $1", 2, types, values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("decision %lld does not exist", (long long) id),
				 errhint("Pass the decision_id that rlrec_serve() returned, once its transaction is committed.")));
	row = SPI_tuptable->vals[0];
	decision->agent = SPI_getvalue(row, SPI_tuptable->tupdesc, 1);
	decision->user = SPI_getvalue(row, SPI_tuptable->tupdesc, 2);
	decision->role = DatumGetObjectId(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull));
	decision->has_item = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &isnull));
}

/* What is told, for an agent that learns from it. */
static void
tell(const RlrecAgent *agent, int64 id, const Decision *decision, text *item, text *type, double value)
{
	RlrecQueueEntry entry = {0};
	RlrecFeedbackEvent *event = &entry.event;
	RlrecRewardReader reader;
	RlrecEvent	row = {0};

	row.type = event->type = VARDATA_ANY(type);
	row.type_length = event->type_length = VARSIZE_ANY_EXHDR(type);
	event->user = decision->user;
	event->user_length = strlen(decision->user);
	event->item = VARDATA_ANY(item);
	event->item_length = VARSIZE_ANY_EXHDR(item);
	event->time = GetCurrentStatementStartTimestamp();
	event->decision = id;
	rlrec_reward_reader_init(&reader, agent);
	event->reward = rlrec_reward_of_type(&reader, &row, value);
	if (!rlrec_buffer_add(agent->id, &entry))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the ids and the type of the event are too long")));
}

PG_FUNCTION_INFO_V1(rlrec_feedback);
Datum
rlrec_feedback(PG_FUNCTION_ARGS)
{
	int64		id;
	text	   *item;
	Decision	decision;
	RlrecAgent *agent;

	PreventCommandIfReadOnly("rlrec_feedback()");
	PreventCommandDuringRecovery("rlrec_feedback()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", PG_ARGISNULL(0) ? "decision_id" : PG_ARGISNULL(1) ? "item" : "event"),
				 errhint("Pass the decision_id that rlrec_serve() returned, one of its items, and a type of event that the agent's rewards name.")));
	id = PG_GETARG_INT64(0);
	item = PG_GETARG_TEXT_PP(1);

	SPI_connect();
	find_decision(id, item, &decision);
	agent = rlrec_agent_get(decision.agent, RLREC_AGENT_USE);
	if (GetUserId() != decision.role && !has_privs_of_role(GetUserId(), agent->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for decision %lld", (long long) id),
				 errhint("Only the role that was served and the owner of agent \"%s\" can tell what came of it.", agent->name)));
	if (!decision.has_item)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("decision %lld did not show item \"%s\"", (long long) id, text_to_cstring(item)),
				 errhint("Pass an item that rlrec_serve() returned with this decision_id.")));
	rlrec_process_check(agent);
	tell(agent, id, &decision, item, PG_GETARG_TEXT_PP(2), PG_ARGISNULL(3) ? 1 : PG_GETARG_FLOAT8(3));
	SPI_finish();
	PG_RETURN_VOID();
}
