-- The worker that learns from committed feedback, and how far it is.

CREATE TABLE rlrec.worker (
	agent bigint PRIMARY KEY,
	batch bigint,
	rate float8 NOT NULL DEFAULT 0,
	learned_at timestamptz,
	skipped bigint NOT NULL DEFAULT 0,
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
COMMENT ON COLUMN rlrec.worker.skipped IS 'events that were not learned, because of errors of their own';
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

CREATE VIEW rlrec.queue WITH (security_barrier) AS
WITH packed AS (
	SELECT 0 AS segment, agent, xid, first, entries, told_at FROM rlrec.queue_0
	UNION ALL SELECT 1, agent, xid, first, entries, told_at FROM rlrec.queue_1
	UNION ALL SELECT 2, agent, xid, first, entries, told_at FROM rlrec.queue_2
), entry AS (
	SELECT r.segment, a.name AS agent, r.entries, r.told_at,
		CASE
			WHEN w.agent IS NULL THEN r.entries
			WHEN r.xid OPERATOR(pg_catalog.=) w.partial THEN GREATEST(LEAST(r.first OPERATOR(pg_catalog.+) r.entries OPERATOR(pg_catalog.-) w.partial_entries, r.entries), 0)
			WHEN pg_catalog.pg_visible_in_snapshot(r.xid, w.seen) THEN 0
			ELSE r.entries
		END AS waiting
	FROM packed r
	JOIN rlrec.subscription s ON s.agent OPERATOR(pg_catalog.=) r.agent
	JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) r.agent
	LEFT JOIN rlrec.watermark w ON w.agent OPERATOR(pg_catalog.=) r.agent
	JOIN rlrec.agents mine ON mine.name OPERATOR(pg_catalog.=) a.name
)
SELECT t.segment, e.agent, pg_catalog.pg_relation_size(t.queue) AS bytes, pg_catalog.sum(e.entries)::bigint AS entries,
	pg_catalog.sum(e.waiting)::bigint AS waiting,
	pg_catalog.min(e.told_at) FILTER (WHERE e.waiting OPERATOR(pg_catalog.>) 0) AS oldest
FROM (VALUES (0, 'rlrec.queue_0'::pg_catalog.regclass), (1, 'rlrec.queue_1'), (2, 'rlrec.queue_2')) t (segment, queue)
LEFT JOIN entry e ON e.segment OPERATOR(pg_catalog.=) t.segment
GROUP BY t.segment, t.queue, e.agent
ORDER BY t.segment, e.agent;
COMMENT ON VIEW rlrec.queue IS 'the segments of the queue of feedback, with what is in them of the agents that you may use';
COMMENT ON COLUMN rlrec.queue.bytes IS 'of the whole segment, whatever agents it is of';
COMMENT ON COLUMN rlrec.queue.entries IS 'events, learned or not, until the segment is truncated; NULL as waiting where there is none of your agents';
COMMENT ON COLUMN rlrec.queue.waiting IS 'events that are committed but not learned yet';
COMMENT ON COLUMN rlrec.queue.oldest IS 'when the first of those that wait was told';
GRANT SELECT ON rlrec.queue TO PUBLIC;

CREATE VIEW rlrec.stats WITH (security_barrier) AS
SELECT a.name AS agent,
	CASE
		WHEN w.retry_at OPERATOR(pg_catalog.=) 'infinity' THEN 'set aside'
		WHEN w.retry_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp() THEN 'backing off'
		WHEN p.pid IS NULL THEN 'no worker'
		WHEN p.pid OPERATOR(pg_catalog.=) 0 THEN 'asleep'
		ELSE 'learning'
	END AS state,
	COALESCE(m.learned, 0) AS learned, COALESCE(w.skipped, 0) AS skipped, COALESCE(q.waiting, 0)::bigint AS waiting,
	COALESCE(pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) q.oldest), 3), 0) AS lag,
	w.batch,
	pg_catalog.round((w.rate OPERATOR(pg_catalog.*) pg_catalog.exp(
		EXTRACT(epoch FROM w.learned_at OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp())::float8 OPERATOR(pg_catalog./) 60))::numeric, 1) AS rate,
	COALESCE(w.errors, 0) AS errors,
	CASE WHEN pg_catalog.pg_has_role(mine.owner, 'USAGE') THEN w.error WHEN w.error IS NOT NULL THEN 'shown to the owner of the agent' END AS error,
	w.failed_at
FROM rlrec.subscription s
JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) s.agent
JOIN rlrec.agents mine ON mine.name OPERATOR(pg_catalog.=) a.name
LEFT JOIN rlrec.watermark m ON m.agent OPERATOR(pg_catalog.=) s.agent
LEFT JOIN rlrec.worker w ON w.agent OPERATOR(pg_catalog.=) s.agent
LEFT JOIN (SELECT agent, pg_catalog.sum(waiting) AS waiting, pg_catalog.min(oldest) AS oldest FROM rlrec.queue GROUP BY agent) q
	ON q.agent OPERATOR(pg_catalog.=) a.name
CROSS JOIN rlrec.worker_pid() p (pid);
COMMENT ON VIEW rlrec.stats IS 'how far the attached agents that you may use are with their feedback';
COMMENT ON COLUMN rlrec.stats.state IS 'learning, backing off after an error, set aside after crashes, asleep until there is feedback, or no worker';
COMMENT ON COLUMN rlrec.stats.learned IS 'events since rlrec_attach()';
COMMENT ON COLUMN rlrec.stats.skipped IS 'events that the worker gave up, each with a warning in the server''s log, because of errors of their own';
COMMENT ON COLUMN rlrec.stats.waiting IS 'events that are committed but not learned yet';
COMMENT ON COLUMN rlrec.stats.lag IS 'seconds since the first of those that wait was told';
COMMENT ON COLUMN rlrec.stats.batch IS 'events of the worker''s last batch';
COMMENT ON COLUMN rlrec.stats.rate IS 'events that the worker learned a second, a mean that forgets within a minute';
COMMENT ON COLUMN rlrec.stats.errors IS 'attempts of the worker that ended in an error or a crash; error and failed_at are of the last';
COMMENT ON COLUMN rlrec.stats.error IS 'its text, which may quote rows, for the owner of the agent; others see only that there was one';
GRANT SELECT ON rlrec.stats TO PUBLIC;
