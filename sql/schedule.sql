-- Scheduled training by pg_cron.

CREATE FUNCTION rlrec_schedule(agent text, schedule text, command text DEFAULT 'train')
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_schedule';
COMMENT ON FUNCTION rlrec_schedule(text, text, text) IS
'Lets pg_cron run a command of an agent by a schedule of cron, in the name of the caller; returns the number of the job in cron.job. Another call for the same command replaces the job. command: train, train_if_better, process or maintain. Only for the owner.';

CREATE FUNCTION rlrec_unschedule(agent text, command text DEFAULT NULL)
RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_unschedule';
COMMENT ON FUNCTION rlrec_unschedule(text, text) IS
'Removes the job of pg_cron that runs a command of an agent, all its jobs by default; returns how many there were. Only for the owner.';
