/*
 * trigger.c
 *	  The trigger on an agent's events table.
 *
 * Anybody may put a trigger function on a table of his own, so the function trusts nothing but what rlrec_attach() wrote down: it teaches an
 * agent only if it is called as the trigger of the agent's name, rlrec_NAME, on the agent's events table or a partition of it, while the agent
 * is attached. Names of triggers are unique in a table, and a partition's copy keeps its name.
 *
 * What a session knows of a trigger it keeps until it hears of a change of the relation, the events table or the agent's anchor; altering an
 * agent sends word of a change of its events table.
 *
 * An UPDATE that moves a row to another partition deletes it in one and inserts it in the other. The trigger of a partitioned table fires
 * on DELETE too, for the agent's next INSERT at the same depth and of the same command is the other half, and is passed over.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "feedback/buffer.h"
#include "feedback/range.h"
#include "feedback/trigger.h"
#include "store/event_stream.h"
#include "store/subscription.h"

/* What this session knows of a trigger */
typedef struct Attachment
{
	Oid			trigger;		/* hash key */
	bool		valid;			/* nothing below has changed */
	Oid			relation;
	Oid			events;			/* the relation, or the root of which it is a partition */
	Oid			anchor;
	MemoryContext context;		/* of agent and reader; NULL for none */
	RlrecAgent *agent;			/* NULL when the trigger teaches nobody */
	RlrecFeedbackMode mode;
	RlrecRowReader *reader;		/* of mode row */
	AttrNumber	key;			/* of mode range: the primary key */
} Attachment;

static HTAB *attachments = NULL;
static Attachment *last = NULL; /* that was found */

static void
forget_relation(Datum argument pg_attribute_unused(), Oid relation)
{
	HASH_SEQ_STATUS status;
	Attachment *attachment;

	if (attachments == NULL)
		return;
	hash_seq_init(&status, attachments);
	while ((attachment = hash_seq_search(&status)) != NULL)
		if (!OidIsValid(relation) || relation == attachment->relation || relation == attachment->events || relation == attachment->anchor)
			attachment->valid = false;
}

void
rlrec_trigger_init(void)
{
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
}

static void
tell(void *argument, const RlrecEvent *row)
{
	const RlrecAgent *agent = ((Attachment *) argument)->agent;
	RlrecQueueEntry entry = {0};
	RlrecFeedbackEvent *event = &entry.event;

	event->user = row->user;
	event->user_length = row->user_length;
	event->item = row->item;
	event->item_length = row->item_length;
	event->type = row->type;
	event->type_length = row->type_length;
	event->time = agent->time_column ? row->time : GetCurrentStatementStartTimestamp();
	event->reward = row->reward;
	if (!rlrec_buffer_add(agent->id, &entry))
		ereport(WARNING,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("agent \"%s\" does not learn from an event whose ids are too long", agent->name)));
}

/* The agent that a trigger teaches, NULL for none. */
static RlrecAgent *
taught_agent(const Trigger *trigger, Relation relation, RlrecFeedbackMode *mode)
{
	RlrecAgent *agent;

	if (strncmp(trigger->tgname, RLREC_TRIGGER_PREFIX, strlen(RLREC_TRIGGER_PREFIX)) != 0)
		return NULL;
	agent = rlrec_agent_find(trigger->tgname + strlen(RLREC_TRIGGER_PREFIX));
	if (agent == NULL || !OidIsValid(agent->events))
		return NULL;
	*mode = rlrec_feedback_mode(agent->id);
	if (*mode != RLREC_FEEDBACK_ROW && *mode != RLREC_FEEDBACK_RANGE)
		return NULL;
	if (agent->events != RelationGetRelid(relation) &&
		!(relation->rd_rel->relispartition && list_member_oid(get_partition_ancestors(RelationGetRelid(relation)), agent->events)))
		return NULL;
	return agent;
}

static void
warn(const RlrecAgent *agent, const char *why, const char *hint)
{
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("agent \"%s\" does not learn from what is inserted into %s", agent->name, rlrec_qualified_name(agent->events)),
			 errdetail("The reason: %s.", why),
			 hint ? errhint("%s", hint) :
			 errhint("Mend it with rlrec_alter_agent(), or run SELECT rlrec_detach(%s).", quote_literal_cstr(agent->name))));
}

/* What reads the rows; NULL, with a WARNING, when they no longer are what the agent was made for, as no INSERT should fail of that. */
static RlrecRowReader *
create_reader(RlrecAgent *agent, Relation relation, Attachment *attachment)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	RlrecRowReader *volatile reader = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		reader = rlrec_row_reader_create(agent, relation, tell, attachment);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION && category != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		warn(agent, error->message, error->hint);
		reader = NULL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return reader;
}

static void
learn_about(Attachment *attachment, const Trigger *trigger, Relation relation)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "rlrec trigger", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	RlrecAgent *agent;
	RlrecRowReader *reader = NULL;
	AttrNumber	key = InvalidAttrNumber;

	attachment->relation = RelationGetRelid(relation);
	attachment->events = attachment->anchor = InvalidOid;
	attachment->valid = true;	/* unless word of a change comes from here on */
	PushActiveSnapshot(GetLatestSnapshot());
	agent = taught_agent(trigger, relation, &attachment->mode);
	if (agent)
	{
		attachment->events = agent->events;
		attachment->anchor = agent->anchor;
		if (attachment->mode == RLREC_FEEDBACK_ROW)
			reader = create_reader(agent, relation, attachment);
		else
			key = rlrec_range_key(relation);
		if (attachment->mode == RLREC_FEEDBACK_RANGE && key == InvalidAttrNumber)
			warn(agent, "the table has no integer primary key", NULL);
		if (reader == NULL && key == InvalidAttrNumber)
			agent = NULL;
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, TopMemoryContext);
	/* A call further up may still be using what was known before. */
	if (attachment->context)
		MemoryContextSetParent(attachment->context, TopTransactionContext);
	attachment->context = context;
	attachment->agent = agent;
	attachment->reader = reader;
	attachment->key = key;
}

static Attachment *
find_attachment(const Trigger *trigger, Relation relation)
{
	bool		found;

	if (last && last->valid && last->trigger == trigger->tgoid)
		return last;
	if (attachments == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Attachment)};

		attachments = hash_create("rlrec triggers", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	last = hash_search(attachments, &trigger->tgoid, HASH_ENTER, &found);
	if (!found)
		memset((char *) last + sizeof(Oid), 0, sizeof(Attachment) - sizeof(Oid));
	if (!last->valid)
	{
		Attachment *attachment = last;

		last = NULL;
		PG_TRY();
		{
			learn_about(attachment, trigger, relation);
		}
		PG_CATCH();
		{
			attachment->valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
		last = attachment;
	}
	return last;
}

/* ---------------------------------------------------------------- rows that move between partitions */

/*
 * The DELETE half, for each agent, of the last UPDATE that moved a row, until its INSERT half comes. The triggers of several agents fire in
 * turn for the one half, then for the other; and between the halves other triggers may move rows, one level deeper.
 */
typedef struct Move
{
	struct
	{
		int64		agent;
		int64		depth;
	}			key;
	TransactionId transaction;
	CommandId	command;
} Move;

static HTAB *moves = NULL;

static Move *
find_move(const RlrecAgent *agent, HASHACTION action)
{
	Move		move = {{agent->id, DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0))}, 0, 0};

	return hash_search(moves, &move.key, action, NULL);
}

static void
note_move(const RlrecAgent *agent, HeapTupleHeader old)
{
	Move	   *move;

	if (!HeapTupleHeaderIndicatesMovedPartitions(old))
		return;
	if (moves == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(move->key), .entrysize = sizeof(Move)};

		moves = hash_create("rlrec moves", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	move = find_move(agent, HASH_ENTER);
	move->transaction = GetTopTransactionId();
	move->command = HeapTupleHeaderGetCmax(old);
}

static bool
is_move(const RlrecAgent *agent, HeapTupleHeader new)
{
	Move	   *move = moves && hash_get_num_entries(moves) > 0 ? find_move(agent, HASH_FIND) : NULL;

	if (move == NULL || move->transaction != GetTopTransactionId() || move->command != HeapTupleHeaderGetCmin(new))
		return false;
	(void) hash_search(moves, &move->key, HASH_REMOVE, NULL);
	return true;
}

/* ---------------------------------------------------------------- the function */

static void
on_row(Attachment *attachment, const TriggerData *data)
{
	if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		note_move(attachment->agent, data->tg_trigtuple->t_data);
	else if (TRIGGER_FIRED_BY_INSERT(data->tg_event) && !is_move(attachment->agent, data->tg_trigtuple->t_data))
		rlrec_row_reader_read(attachment->reader, data->tg_trigslot);
}

PG_FUNCTION_INFO_V1(rlrec_feedback_trigger);
Datum
rlrec_feedback_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Attachment *attachment;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("rlrec_feedback_trigger() can only be called as a trigger")));
	if (!TRIGGER_FIRED_AFTER(data->tg_event))
		return PointerGetDatum(NULL);
	attachment = find_attachment(data->tg_trigger, data->tg_relation);
	if (attachment->agent == NULL)
		return PointerGetDatum(NULL);
	if (attachment->mode == RLREC_FEEDBACK_ROW && TRIGGER_FIRED_FOR_ROW(data->tg_event))
		on_row(attachment, data);
	else if (attachment->mode == RLREC_FEEDBACK_RANGE && data->tg_newtable &&
			 TRIGGER_FIRED_BY_INSERT(data->tg_event) && !TRIGGER_FIRED_FOR_ROW(data->tg_event))
		rlrec_range_tell(attachment->agent->id, data->tg_relation, attachment->key, data->tg_newtable);
	return PointerGetDatum(NULL);
}
