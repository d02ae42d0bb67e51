/*
 * progress.c
 *	  What a training is doing, as rlrec.training_progress shows it.
 *
 * This is PostgreSQL's own progress reporting (backend_progress.h), with a command number of ours that its views pass over: no lock, no
 * memory of our own, seen from other sessions at once, and cleared when the transaction ends in whatever way.
 */
#include "postgres.h"

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

/* Slots of st_progress_param; the phase is text, eight bytes a slot. */
enum
{
	PROGRESS_DONE, PROGRESS_TOTAL, PROGRESS_STARTED, PROGRESS_TRAINING, PROGRESS_PHASE, PROGRESS_PHASE_SLOTS = 6
};

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

void
rlrec_progress(const char *phase, int64 done, int64 total)
{
	int			index[PROGRESS_PHASE_SLOTS + 2];
	int64		value[PROGRESS_PHASE_SLOTS + 2];

	CHECK_FOR_INTERRUPTS();
	if (MyBEEntry == NULL || MyBEEntry->st_progress_command != RLREC_PROGRESS_COMMAND)
		return;
	memset(value, 0, sizeof(value));
	for (int i = 0; i < PROGRESS_PHASE_SLOTS; i++)
		index[i] = PROGRESS_PHASE + i;
	memcpy(value, phase, Min(strlen(phase), PROGRESS_PHASE_SLOTS * sizeof(int64)));
	index[PROGRESS_PHASE_SLOTS] = PROGRESS_DONE;
	value[PROGRESS_PHASE_SLOTS] = done;
	index[PROGRESS_PHASE_SLOTS + 1] = PROGRESS_TOTAL;
	value[PROGRESS_PHASE_SLOTS + 1] = total;
	pgstat_progress_update_multi_param(PROGRESS_PHASE_SLOTS + 2, index, value);
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

/* rows of (pid int, anchor oid, phase text, done bigint, total bigint, started timestamptz): those of this database whose agent the caller may use */
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
		char		phase[PROGRESS_PHASE_SLOTS * sizeof(int64) + 1] = {0};
		Datum		values[6];
		bool		nulls[6] = {false};
		bool		missing = false;

		if (status == NULL || status->st_procpid == 0 || status->st_progress_command != RLREC_PROGRESS_COMMAND ||
			status->st_databaseid != MyDatabaseId ||
			pg_class_aclcheck_ext(status->st_progress_command_target, GetUserId(), ACL_USAGE, &missing) != ACLCHECK_OK || missing)
			continue;
		memcpy(phase, &status->st_progress_param[PROGRESS_PHASE], sizeof(phase) - 1);
		values[0] = Int32GetDatum(status->st_procpid);
		values[1] = ObjectIdGetDatum(status->st_progress_command_target);
		values[2] = CStringGetTextDatum(phase);
		values[3] = Int64GetDatum(status->st_progress_param[PROGRESS_DONE]);
		values[4] = Int64GetDatum(status->st_progress_param[PROGRESS_TOTAL]);
		values[5] = TimestampTzGetDatum(status->st_progress_param[PROGRESS_STARTED]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
