-- Agents: create, alter, drop, and the view that lists them.

CREATE FUNCTION rlrec_create_agent(
	name text,
	events pg_catalog.regclass DEFAULT NULL,
	user_column name DEFAULT NULL,
	item_column name DEFAULT NULL,
	time_column name DEFAULT NULL,
	event_column name DEFAULT NULL,
	value_column name DEFAULT NULL,
	rewards jsonb DEFAULT NULL,
	items pg_catalog.regclass DEFAULT NULL,
	users pg_catalog.regclass DEFAULT NULL,
	candidates pg_catalog.regclass DEFAULT NULL,
	encoder text DEFAULT 'auto',
	generator text DEFAULT 'auto',
	learner text DEFAULT 'auto',
	options jsonb DEFAULT NULL,
	item_key name DEFAULT NULL,
	candidate_key name DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_create_agent';
COMMENT ON FUNCTION rlrec_create_agent(text, pg_catalog.regclass, name, name, name, name, name, jsonb, pg_catalog.regclass, pg_catalog.regclass, pg_catalog.regclass, text, text, text, jsonb, name, name) IS
'Makes an agent over a table of events. Columns that are not named are inferred from foreign keys, names and types, and a NOTICE says what was chosen. rewards maps event types to numbers, {"purchase": 5, "click": 1}; items is a table or view whose columns describe the items, candidates one of the items that may be shown now. Needs SELECT on each of them.';

CREATE FUNCTION rlrec_alter_agent(
	name text,
	options jsonb DEFAULT NULL,
	learner text DEFAULT NULL,
	events pg_catalog.regclass DEFAULT NULL,
	user_column name DEFAULT NULL,
	item_column name DEFAULT NULL,
	time_column name DEFAULT NULL,
	event_column name DEFAULT NULL,
	value_column name DEFAULT NULL,
	rewards jsonb DEFAULT NULL,
	items pg_catalog.regclass DEFAULT NULL,
	users pg_catalog.regclass DEFAULT NULL,
	candidates pg_catalog.regclass DEFAULT NULL,
	item_key name DEFAULT NULL,
	candidate_key name DEFAULT NULL,
	encoder text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_alter_agent';
COMMENT ON FUNCTION rlrec_alter_agent(text, jsonb, text, pg_catalog.regclass, name, name, name, name, name, jsonb, pg_catalog.regclass, pg_catalog.regclass, pg_catalog.regclass, name, name, text) IS
'Changes an agent: the options given replace those of the same name, a null takes one away; any other argument that is not NULL replaces what it was. What training reads takes effect with the next training. Only for the owner.';

CREATE FUNCTION rlrec_drop_agent(name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_drop_agent';
COMMENT ON FUNCTION rlrec_drop_agent(text) IS
'Drops an agent and all its versions; the events stay. Only for the owner.';

CREATE VIEW rlrec.agents WITH (security_barrier) AS
SELECT a.name, pg_catalog.pg_get_userbyid(c.relowner) AS owner, a.learner, m.version AS deployed, a.events,
	a.user_column, a.item_column, a.time_column, a.event_column, a.value_column, a.rewards,
	a.items, a.item_key, a.users, a.candidates, a.candidate_key, a.encoder, a.generator, a.options, a.anchor
FROM rlrec.agent a
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.anchor
LEFT JOIN rlrec.model m ON m.id OPERATOR(pg_catalog.=) a.deployed
WHERE CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' AND c.relnamespace OPERATOR(pg_catalog.=) 'rlrec'::pg_catalog.regnamespace
	THEN pg_catalog.has_sequence_privilege(a.anchor, 'USAGE') END;
COMMENT ON VIEW rlrec.agents IS 'the agents that you may use';
GRANT SELECT ON rlrec.agents TO PUBLIC;
