-- What agents learn from events between trainings: rows in rlrec.qtable, apart from the versions, which never change.

CREATE TABLE rlrec.learned (
	agent bigint PRIMARY KEY,
	model bigint NOT NULL,
	generation bigint NOT NULL DEFAULT 0,
	events bigint NOT NULL DEFAULT 0,
	users bigint NOT NULL DEFAULT 0,
	states bigint NOT NULL DEFAULT 0,
	newest bigint NOT NULL DEFAULT -9223372036854775808
) WITH (fillfactor = 50);
COMMENT ON TABLE rlrec.learned IS 'one row an agent that learned from events between trainings; rlrec.online shows it to people';
COMMENT ON COLUMN rlrec.learned.model IS 'rlrec.model.id of the version on top of which the rows of rlrec.qtable are; 0 for none';
COMMENT ON COLUMN rlrec.learned.generation IS 'how often the rows changed';
COMMENT ON COLUMN rlrec.learned.events IS 'that were learned';
COMMENT ON COLUMN rlrec.learned.users IS 'that had an item, more than when the version was trained';
COMMENT ON COLUMN rlrec.learned.states IS 'rows of learners that the agent''s option online_states bounds';
COMMENT ON COLUMN rlrec.learned.newest IS 'time of the latest event, microseconds since 2000-01-01';

-- Numbers of transactions mean nothing in another cluster, so this is not dumped.
CREATE TABLE rlrec.seen (
	agent bigint NOT NULL,
	model bigint NOT NULL,
	seen pg_catalog.pg_snapshot NOT NULL,
	PRIMARY KEY (agent, model)
) WITH (fillfactor = 50);
COMMENT ON TABLE rlrec.seen IS 'which events a version was trained on, and, model 0, which are in it or in the rows learned on top of it';
COMMENT ON COLUMN rlrec.seen.seen IS 'the transactions whose rows count, subtransactions listed by themselves';

REVOKE ALL ON rlrec.learned, rlrec.seen FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('rlrec.learned', '');

CREATE VIEW rlrec.online WITH (security_barrier) AS
SELECT a.name AS agent, m.version, l.states, q.entries, l.events AS visits, q.newer
FROM rlrec.learned l
JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) l.agent
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.anchor
LEFT JOIN rlrec.model m ON m.id OPERATOR(pg_catalog.=) l.model
CROSS JOIN LATERAL (
	SELECT pg_catalog.count(*) AS entries,
		coalesce(pg_catalog.sum(e.visits) FILTER (WHERE t.part OPERATOR(pg_catalog.=) 2), 0)::bigint AS newer
	FROM rlrec.qtable t CROSS JOIN LATERAL @extschema@.rlrec_qtable_entries(t.entries) e
	WHERE t.agent OPERATOR(pg_catalog.=) l.agent) q
WHERE CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' AND c.relnamespace OPERATOR(pg_catalog.=) 'rlrec'::pg_catalog.regnamespace
	THEN pg_catalog.has_sequence_privilege(a.anchor, 'USAGE') END;
COMMENT ON VIEW rlrec.online IS 'what agents that you may use learned from events since they were attached: visits are the events, newer those of them, or of the table, that the version was not trained on';
GRANT SELECT ON rlrec.online TO PUBLIC;
