-- What agents learned from events between trainings.

CREATE TABLE rlrec.sums (
	agent bigint NOT NULL,
	learner text COLLATE "C" NOT NULL,
	statistics float8[] NOT NULL,
	made float8[] NOT NULL,
	PRIMARY KEY (agent, learner)
);
ALTER TABLE rlrec.sums ALTER COLUMN statistics SET STORAGE EXTERNAL, ALTER COLUMN made SET STORAGE EXTERNAL;
COMMENT ON TABLE rlrec.sums IS 'what the linear learners of agents learned of events that the version was not trained on';
COMMENT ON COLUMN rlrec.sums.learner IS 'linucb or lints: the agent''s, or a part of it';
COMMENT ON COLUMN rlrec.sums.statistics IS 'as rlrec_linear_statistics() gives them';
COMMENT ON COLUMN rlrec.sums.made IS 'what they come to with those of the version: noise, theta and the factor of its precision';
REVOKE ALL ON rlrec.sums FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('rlrec.sums', '');

CREATE VIEW rlrec.online WITH (security_barrier) AS
SELECT a.name AS agent, m.version, l.states, q.entries, l.events AS visits, l.newer
FROM rlrec.learned l
JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) l.agent
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.anchor
LEFT JOIN rlrec.model m ON m.id OPERATOR(pg_catalog.=) l.model
CROSS JOIN LATERAL (
	SELECT pg_catalog.count(*) AS entries
	FROM rlrec.qtable t CROSS JOIN LATERAL @extschema@.rlrec_qtable_entries(t.entries) e
	WHERE t.agent OPERATOR(pg_catalog.=) l.agent) q
WHERE CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' AND c.relnamespace OPERATOR(pg_catalog.=) 'rlrec'::pg_catalog.regnamespace
	THEN pg_catalog.has_sequence_privilege(a.anchor, 'USAGE') END;
COMMENT ON VIEW rlrec.online IS 'what agents that you may use learned from events since they were attached: visits are the events, newer those of them, or of the table, that the version was not trained on';
GRANT SELECT ON rlrec.online TO PUBLIC;
