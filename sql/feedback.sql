-- Feedback: the trigger on the events table, its queue, and what decisions came to.

CREATE TABLE rlrec.subscription (
	agent bigint PRIMARY KEY,
	mode text NOT NULL,
	attached_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE rlrec.subscription IS 'one row an agent that is attached: it learns from what is committed';
COMMENT ON COLUMN rlrec.subscription.mode IS 'row or range: what the trigger on the events queues; none: there is no trigger';
COMMENT ON COLUMN rlrec.subscription.attached_at IS 'of decisions from before nobody knows what they came to';

CREATE TABLE rlrec.watermark (
	agent bigint PRIMARY KEY,
	seen pg_catalog.pg_snapshot NOT NULL,
	partial pg_catalog.xid8,
	partial_entries bigint NOT NULL DEFAULT 0,
	learned bigint NOT NULL DEFAULT 0,
	batches bigint NOT NULL DEFAULT 0,
	learned_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE rlrec.watermark IS 'what an attached agent has learned from the queue; an attached agent without a row has learned nothing of it';
COMMENT ON COLUMN rlrec.watermark.seen IS 'the transactions that it has learned from, as a snapshot sees them';
COMMENT ON COLUMN rlrec.watermark.partial IS 'a transaction of which it has learned the first partial_entries entries';
COMMENT ON COLUMN rlrec.watermark.learned IS 'events since it was attached, or since the database was restored';

-- A row never needs TOAST, and the tables have none only when the column's storage is known before they are made.
CREATE TABLE rlrec.queue_row (
	agent bigint NOT NULL,
	xid pg_catalog.xid8 NOT NULL,
	first bigint NOT NULL,
	told_at timestamptz NOT NULL,
	entries int NOT NULL,
	data bytea NOT NULL
);
ALTER TABLE rlrec.queue_row ALTER COLUMN data SET STORAGE PLAIN;
CREATE TABLE rlrec.queue_0 (LIKE rlrec.queue_row INCLUDING STORAGE) WITH (autovacuum_enabled = false);
CREATE TABLE rlrec.queue_1 (LIKE rlrec.queue_row INCLUDING STORAGE) WITH (autovacuum_enabled = false);
CREATE TABLE rlrec.queue_2 (LIKE rlrec.queue_row INCLUDING STORAGE) WITH (autovacuum_enabled = false);
DROP TABLE rlrec.queue_row;
COMMENT ON TABLE rlrec.queue_0 IS 'what transactions told: a row of packed events an agent and some 8 KB; written to in turn with its siblings, and truncated when learned';
COMMENT ON TABLE rlrec.queue_1 IS 'as rlrec.queue_0';
COMMENT ON TABLE rlrec.queue_2 IS 'as rlrec.queue_0';
COMMENT ON COLUMN rlrec.queue_0.xid IS 'the top-level transaction';
COMMENT ON COLUMN rlrec.queue_0.first IS 'number of the first of the entries among those of the transaction for the agent';
CREATE SEQUENCE rlrec.queue_segment AS int MINVALUE 0 MAXVALUE 2 CYCLE;
COMMENT ON SEQUENCE rlrec.queue_segment IS 'last_value is the number of the queue table that is written to';

CREATE TABLE rlrec.outcome (
	decision bigint NOT NULL,
	place int NOT NULL,
	agent bigint NOT NULL,
	reward float8 NOT NULL,
	events int NOT NULL,
	first_at timestamptz NOT NULL,
	PRIMARY KEY (decision, place)
) WITH (fillfactor = 80);
COMMENT ON TABLE rlrec.outcome IS 'what decisions came to: a row an item that was shown and of which feedback came';
COMMENT ON COLUMN rlrec.outcome.place IS 'in the slate, from 1';
COMMENT ON COLUMN rlrec.outcome.reward IS 'the sum over the events';
COMMENT ON COLUMN rlrec.outcome.first_at IS 'time of the earliest of the events';

REVOKE ALL ON rlrec.subscription, rlrec.watermark, rlrec.queue_0, rlrec.queue_1, rlrec.queue_2, rlrec.outcome FROM PUBLIC;
REVOKE ALL ON SEQUENCE rlrec.queue_segment FROM PUBLIC;

-- Neither the queue nor the watermark is dumped: where a dump is restored, the queue is empty, and nothing of it has been learned.
SELECT pg_catalog.pg_extension_config_dump('rlrec.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.outcome', '');

-- Events tell what users did, so these are for the owner, who may read them; row-level security may hide them from who is served.
CREATE VIEW rlrec.outcomes WITH (security_barrier) AS
SELECT o.decision AS decision_id, a.name AS agent, d.user_id, o.place, d.shortlist[d.slate[o.place]] AS item, o.reward, o.events, o.first_at
FROM rlrec.decision d
JOIN rlrec.outcome o ON o.decision OPERATOR(pg_catalog.=) d.id
JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) d.agent
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.anchor
WHERE c.relkind OPERATOR(pg_catalog.=) 'S' AND c.relnamespace OPERATOR(pg_catalog.=) 'rlrec'::pg_catalog.regnamespace
	AND pg_catalog.pg_has_role(c.relowner, 'USAGE');
COMMENT ON VIEW rlrec.outcomes IS 'what came of the decisions of agents that you own: a row an item of which feedback came';
COMMENT ON COLUMN rlrec.outcomes.place IS 'in the order of display, from 1';
COMMENT ON COLUMN rlrec.outcomes.reward IS 'the sum over the events';
COMMENT ON COLUMN rlrec.outcomes.first_at IS 'time of the earliest of the events';
GRANT SELECT ON rlrec.outcomes TO PUBLIC;

CREATE FUNCTION rlrec_feedback_trigger()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'rlrec_feedback_trigger';
COMMENT ON FUNCTION rlrec_feedback_trigger() IS
'What rlrec_attach() puts on an agent''s events table; on any other table it does nothing.';

CREATE FUNCTION rlrec_attach(agent text, mode text DEFAULT 'row', replicated boolean DEFAULT false)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_attach';
COMMENT ON FUNCTION rlrec_attach(text, text, boolean) IS
'From here on the agent learns from each event that is committed. mode: ''row'' puts a trigger on the events table that queues each inserted row; ''range'' one that queues the range of primary keys that a statement inserted, for bulk loads; ''none'' no trigger, for rlrec_feedback() alone. replicated: rows that logical replication applies are learned from too. Only for the owner, who needs the right TRIGGER on the table, and for replicated owns it.';

CREATE FUNCTION rlrec_detach(agent text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_detach';
COMMENT ON FUNCTION rlrec_detach(text) IS
'Ends what rlrec_attach() began; events that are committed but not yet learned are given up. Only for the owner.';

CREATE FUNCTION rlrec_feedback(decision_id bigint, item text, event text, value float8 DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_feedback';
COMMENT ON FUNCTION rlrec_feedback(bigint, text, text, float8) IS
'Tells what came of an item that rlrec_serve() showed, where no row of the events table does: a type of event, as the agent''s rewards name it, and a number that multiplies its reward. For the role that was served and the agent''s owner.';

CREATE FUNCTION rlrec_process(agent text)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_process';
COMMENT ON FUNCTION rlrec_process(text) IS
'Lets an attached agent learn, in the caller''s transaction, from all that was committed and that it has not learned from yet; returns how many events. Where rlrec is preloaded the worker does it by itself, and may have done so already. Only for the owner.';
