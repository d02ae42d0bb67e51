-- The worker that learns from committed feedback, and how far it is.

CREATE TABLE rlrec.worker (
	agent bigint PRIMARY KEY,
	batch bigint,
	rate float8 NOT NULL DEFAULT 0,
	learned_at timestamptz,
	errors bigint NOT NULL DEFAULT 0,
	failures int NOT NULL DEFAULT 0,
	crashes int NOT NULL DEFAULT 0,
	error text,
	failed_at timestamptz,
	retry_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE rlrec.worker IS 'what the worker knows of an attached agent; rlrec.stats shows it to people';
COMMENT ON COLUMN rlrec.worker.batch IS 'events of the last batch';
COMMENT ON COLUMN rlrec.worker.rate IS 'events a second, a mean that forgets within a minute, at learned_at';
COMMENT ON COLUMN rlrec.worker.failures IS 'attempts that ended in an error since the last that did not';
COMMENT ON COLUMN rlrec.worker.crashes IS 'the same of a crash of the server';
COMMENT ON COLUMN rlrec.worker.retry_at IS 'the agent is not tried before; infinity when it was set aside';
REVOKE ALL ON rlrec.worker FROM PUBLIC;

CREATE FUNCTION rlrec.worker_pid()
RETURNS int
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rlrec_worker_pid';
COMMENT ON FUNCTION rlrec.worker_pid() IS
'The process that learns this database''s feedback in the background; 0 when it starts as soon as there is some, NULL when there is none: rlrec was not preloaded, or rlrec.worker is off.';

