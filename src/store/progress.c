/*
 * progress.c
 *	  What a training is doing, as rlrec.training_progress shows it.
 *
 * This is PostgreSQL's own progress reporting (backend_progress.h), with a command number of ours that its views pass over: no lock, no
 * memory of our own, seen from other sessions at once, and cleared when the transaction ends in whatever way.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "learner/learner.h"
#include "store/progress.h"

#define RLREC_PROGRESS_COMMAND ((ProgressCommandType) 0x726c)

/* Slots of st_progress_param. Those from PROGRESS_DONE on are of the phase and written together; its name is text, eight bytes a slot. */
enum
{
	PROGRESS_STARTED,
	PROGRESS_TRAINING,
	PROGRESS_DONE,
	PROGRESS_TOTAL,
	PROGRESS_EPOCH,
	PROGRESS_EPOCHS,			/* 0 when the phase has no epochs */
	PROGRESS_STEP,
	PROGRESS_STEPS,
	PROGRESS_LOSS,				/* a double's bits, as the next; NaN for none */
	PROGRESS_VALIDATION,
	PROGRESS_STEPPING,			/* when the first step began, and which it was: not 0 of a training that goes on */
	PROGRESS_FIRST_STEP,
	PROGRESS_PHASE,
	PROGRESS_PHASE_SLOTS = 6,
	PROGRESS_SLOTS = PROGRESS_PHASE + PROGRESS_PHASE_SLOTS
};

StaticAssertDecl(PROGRESS_SLOTS <= PGSTAT_NUM_PROGRESS_PARAM, "a backend's status has no more slots");

void
rlrec_progress_start(Oid anchor, bool training)
{
	pgstat_progress_start_command(RLREC_PROGRESS_COMMAND, anchor);
	pgstat_progress_update_param(PROGRESS_TRAINING, training);
	pgstat_progress_update_param(PROGRESS_STARTED, GetCurrentTimestamp());
}

void
rlrec_progress_end(void)
{
	pgstat_progress_end_command();
}

static bool
is_reporting(void)
{
	return MyBEEntry != NULL && MyBEEntry->st_progress_command == RLREC_PROGRESS_COMMAND;
}

/* slot[PROGRESS_SLOTS]: those from PROGRESS_DONE on count, the phase's name is put in. */
static void
report(const char *phase, int64 *slot)
{
	int			index[PROGRESS_SLOTS];

	for (int i = 0; i < PROGRESS_SLOTS; i++)
		index[i] = i;
	memcpy(slot + PROGRESS_PHASE, phase, Min(strlen(phase), PROGRESS_PHASE_SLOTS * sizeof(int64)));
	pgstat_progress_update_multi_param(PROGRESS_SLOTS - PROGRESS_DONE, index + PROGRESS_DONE, slot + PROGRESS_DONE);
}

void
rlrec_progress(const char *phase, int64 done, int64 total)
{
	int64		slot[PROGRESS_SLOTS] = {0};

	CHECK_FOR_INTERRUPTS();
	if (!is_reporting())
		return;
	slot[PROGRESS_DONE] = done;
	slot[PROGRESS_TOTAL] = total;
	report(phase, slot);
}

void
rlrec_progress_epoch(const char *phase, int epoch, int epochs, int64 step, int64 steps, double loss, double validation)
{
	int64		slot[PROGRESS_SLOTS] = {0};

	CHECK_FOR_INTERRUPTS();
	if (!is_reporting())
		return;
	slot[PROGRESS_DONE] = slot[PROGRESS_STEP] = step;
	slot[PROGRESS_TOTAL] = slot[PROGRESS_STEPS] = steps;
	slot[PROGRESS_EPOCH] = epoch;
	slot[PROGRESS_EPOCHS] = epochs;
	memcpy(&slot[PROGRESS_LOSS], &loss, sizeof(loss));
	memcpy(&slot[PROGRESS_VALIDATION], &validation, sizeof(validation));
	if (step == 0 || MyBEEntry->st_progress_param[PROGRESS_EPOCHS] == 0)
	{
		slot[PROGRESS_STEPPING] = GetCurrentTimestamp();
		slot[PROGRESS_FIRST_STEP] = step;
	}
	else
	{
		slot[PROGRESS_STEPPING] = MyBEEntry->st_progress_param[PROGRESS_STEPPING];
		slot[PROGRESS_FIRST_STEP] = MyBEEntry->st_progress_param[PROGRESS_FIRST_STEP];
	}
	report(phase, slot);
}

/* The process that trains the agent of this anchor, 0 when none does. */
int
rlrec_progress_pid(Oid anchor)
{
	pgstat_clear_backend_activity_snapshot();
	for (int i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
	{
		LocalPgBackendStatus *local = rlrec_backend_status(i);
		PgBackendStatus *status = local ? &local->backendStatus : NULL;

		if (status && status->st_procpid != 0 && status->st_databaseid == MyDatabaseId &&
			status->st_progress_command == RLREC_PROGRESS_COMMAND && status->st_progress_command_target == anchor &&
			status->st_progress_param[PROGRESS_TRAINING])
			return status->st_procpid;
	}
	return 0;
}

/* The columns of rlrec.progress() */
enum
{
	COLUMN_PID, COLUMN_ANCHOR, COLUMN_PHASE, COLUMN_DONE, COLUMN_TOTAL, COLUMN_STARTED, COLUMN_EPOCH, COLUMN_EPOCHS, COLUMN_STEP,
	COLUMN_STEPS, COLUMN_LOSS, COLUMN_VALIDATION, COLUMN_SECONDS_LEFT, COLUMNS
};

static Datum
number_or_null(int64 bits, bool *isnull)
{
	double		number;

	memcpy(&number, &bits, sizeof(number));
	*isnull = isnan(number);
	return Float8GetDatum(number);
}

/* The columns that a phase without epochs leaves NULL. The steps that are left are taken to need as long as those before. */
static void
epoch_columns(const int64 *slot, Datum *values, bool *nulls)
{
	int64		step = slot[PROGRESS_STEP];

	if (slot[PROGRESS_EPOCHS] == 0)
	{
		memset(nulls + COLUMN_EPOCH, true, COLUMNS - COLUMN_EPOCH);
		return;
	}
	values[COLUMN_EPOCH] = Int32GetDatum((int32) slot[PROGRESS_EPOCH]);
	values[COLUMN_EPOCHS] = Int32GetDatum((int32) slot[PROGRESS_EPOCHS]);
	values[COLUMN_STEP] = Int64GetDatum(step);
	values[COLUMN_STEPS] = Int64GetDatum(slot[PROGRESS_STEPS]);
	values[COLUMN_LOSS] = number_or_null(slot[PROGRESS_LOSS], &nulls[COLUMN_LOSS]);
	values[COLUMN_VALIDATION] = number_or_null(slot[PROGRESS_VALIDATION], &nulls[COLUMN_VALIDATION]);
	nulls[COLUMN_SECONDS_LEFT] = step == slot[PROGRESS_FIRST_STEP];
	values[COLUMN_SECONDS_LEFT] = Float8GetDatum((GetCurrentTimestamp() - slot[PROGRESS_STEPPING]) / 1e6 *
												 (slot[PROGRESS_STEPS] - step) / Max(step - slot[PROGRESS_FIRST_STEP], 1));
}

/* Those of this database whose agent the caller may use. */
PG_FUNCTION_INFO_V1(rlrec_training_progress);
Datum
rlrec_training_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
	{
		LocalPgBackendStatus *local = rlrec_backend_status(i);
		PgBackendStatus *status = local ? &local->backendStatus : NULL;
		const int64 *slot = status ? status->st_progress_param : NULL;
		char		phase[PROGRESS_PHASE_SLOTS * sizeof(int64) + 1] = {0};
		Datum		values[COLUMNS] = {0};
		bool		nulls[COLUMNS] = {false};
		bool		missing = false;

		if (status == NULL || status->st_procpid == 0 || status->st_progress_command != RLREC_PROGRESS_COMMAND ||
			status->st_databaseid != MyDatabaseId ||
			pg_class_aclcheck_ext(status->st_progress_command_target, GetUserId(), ACL_USAGE, &missing) != ACLCHECK_OK || missing)
			continue;
		memcpy(phase, &slot[PROGRESS_PHASE], sizeof(phase) - 1);
		values[COLUMN_PID] = Int32GetDatum(status->st_procpid);
		values[COLUMN_ANCHOR] = ObjectIdGetDatum(status->st_progress_command_target);
		values[COLUMN_PHASE] = CStringGetTextDatum(phase);
		values[COLUMN_DONE] = Int64GetDatum(slot[PROGRESS_DONE]);
		values[COLUMN_TOTAL] = Int64GetDatum(slot[PROGRESS_TOTAL]);
		values[COLUMN_STARTED] = TimestampTzGetDatum(slot[PROGRESS_STARTED]);
		epoch_columns(slot, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
