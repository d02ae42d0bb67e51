-- Training, versions and progress.

CREATE FUNCTION rlrec_train(agent text, deploy text DEFAULT 'always')
RETURNS TABLE (version int, metrics jsonb, seconds float8, deployed boolean)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 COST 1000000
AS 'MODULE_PATHNAME', 'rlrec_train';
COMMENT ON FUNCTION rlrec_train(text, text) IS
'Trains an agent on its events and stores a version. deploy: always, never, or if_better (than what serves: by a bound of the gain in reward, once decisions have matured, before by NDCG@10 on held-out events). Runs as the agent''s owner within maintenance_work_mem; waits for another training of the same agent. Only for the owner.';

CREATE FUNCTION rlrec_train_async(agent text, deploy text DEFAULT 'always')
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_train_async';
COMMENT ON FUNCTION rlrec_train_async(text, text) IS
'Like rlrec_train(), in a background worker that starts when this transaction commits; returns the training''s number in rlrec.trainings, which keeps its state and error. Only for the owner.';

CREATE FUNCTION rlrec_cancel_training(agent text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_cancel_training';
COMMENT ON FUNCTION rlrec_cancel_training(text) IS
'Cancels the training of an agent that runs, in whatever session, and those that wait; false when there is none. Only for the owner.';

CREATE FUNCTION rlrec_deploy(agent text, version int)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_deploy';
COMMENT ON FUNCTION rlrec_deploy(text, int) IS
'Makes a stored version the one that serves, from the commit on. Only for the owner.';

CREATE FUNCTION rlrec_rollback(agent text)
RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_rollback';
COMMENT ON FUNCTION rlrec_rollback(text) IS
'Takes the last deployment back; returns the version that serves again. Only for the owner.';

CREATE FUNCTION rlrec_model_weights(agent text, version int DEFAULT NULL)
RETURNS rlrec_weights
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rlrec_model_weights';
COMMENT ON FUNCTION rlrec_model_weights(text, int) IS
'The named tensors of a version, the deployed one by default. Only for the owner.';

CREATE FUNCTION rlrec_import_model(agent text, weights rlrec_weights, deploy boolean DEFAULT false)
RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_import_model';
COMMENT ON FUNCTION rlrec_import_model(text, rlrec_weights, boolean) IS
'Stores tensors, as rlrec_model_weights() or rlrec_weights_from_safetensors() gives them, as a new version of the agent''s learner; returns its number. deploy: whether it serves from the commit on. Every tensor is checked; an error where one does not fit, and for learners whose models cannot be imported. Only for the owner.';

CREATE VIEW rlrec.models WITH (security_barrier) AS
SELECT a.name AS agent, m.version, m.learner, m.id OPERATOR(pg_catalog.=) a.deployed IS TRUE AS deployed, m.length AS bytes,
	m.seconds, m.created_at, m.metrics, m.options, NULL::text AS error
FROM rlrec.model m
JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) m.agent
JOIN rlrec.agents mine ON mine.name OPERATOR(pg_catalog.=) a.name
UNION ALL
SELECT a.name, NULL, t.learner, false, NULL,
	EXTRACT(epoch FROM t.finished_at OPERATOR(pg_catalog.-) t.started_at)::float8, t.finished_at, NULL, NULL, t.error
FROM rlrec.training t
JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) t.agent
JOIN rlrec.agents mine ON mine.name OPERATOR(pg_catalog.=) a.name
WHERE t.state OPERATOR(pg_catalog.=) 'failed';
COMMENT ON VIEW rlrec.models IS 'the stored versions of the agents that you may use, and their trainings in the background that failed';
COMMENT ON COLUMN rlrec.models.version IS 'NULL of a training that failed';
COMMENT ON COLUMN rlrec.models.error IS 'why a training failed; NULL of a version';
GRANT SELECT ON rlrec.models TO PUBLIC;

CREATE VIEW rlrec.trainings WITH (security_barrier) AS
SELECT t.id, a.name AS agent, t.state, t.attempts, t.pid, t.version, t.error, t.requested_at, t.started_at, t.finished_at
FROM rlrec.training t
JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) t.agent
JOIN rlrec.agents mine ON mine.name OPERATOR(pg_catalog.=) a.name;
COMMENT ON VIEW rlrec.trainings IS 'the trainings in the background of the agents that you may use';
GRANT SELECT ON rlrec.trainings TO PUBLIC;

CREATE FUNCTION rlrec.progress()
RETURNS TABLE (pid int, anchor oid, phase text, done bigint, total bigint, started timestamptz, epoch int, epochs int, step bigint,
	steps bigint, loss float8, validation float8, seconds_left float8)
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rlrec_training_progress';
COMMENT ON FUNCTION rlrec.progress() IS 'the trainings of agents that you may use; the view rlrec.training_progress shows them';

CREATE VIEW rlrec.training_progress WITH (security_barrier) AS
SELECT a.name AS agent, p.pid, p.phase,
	CASE WHEN p.total OPERATOR(pg_catalog.>) 0
		THEN pg_catalog.round(100.0 OPERATOR(pg_catalog.*) p.done OPERATOR(pg_catalog./) p.total, 1) END AS percent,
	p.epoch, p.epochs, p.step, p.steps, pg_catalog.round(p.loss::numeric, 4) AS loss,
	pg_catalog.round(p.validation::numeric, 4) AS validation,
	pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) p.started) AS elapsed,
	pg_catalog.date_trunc('second', pg_catalog.make_interval(secs => p.seconds_left)) AS eta, p.done, p.total, p.started
FROM rlrec.progress() p
JOIN rlrec.agent a ON a.anchor::oid OPERATOR(pg_catalog.=) p.anchor;
COMMENT ON VIEW rlrec.training_progress IS 'what the trainings that run now are doing';
COMMENT ON COLUMN rlrec.training_progress.percent IS 'of the phase: done of total';
COMMENT ON COLUMN rlrec.training_progress.steps IS 'of the whole training, at most; NULL as epoch to validation and eta in a phase that has no epochs';
COMMENT ON COLUMN rlrec.training_progress.loss IS 'mean of the epoch so far';
COMMENT ON COLUMN rlrec.training_progress.validation IS 'the best NDCG@10 so far on the events kept for validation';
COMMENT ON COLUMN rlrec.training_progress.eta IS 'how long the steps that are left take at the pace so far';
GRANT SELECT ON rlrec.training_progress TO PUBLIC;
