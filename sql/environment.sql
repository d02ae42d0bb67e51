-- Bare environments: what their agents have learned, and the functions by which a program acts and tells what came of it.

CREATE TABLE rlrec.environment (
	agent bigint PRIMARY KEY,
	episodes bigint NOT NULL DEFAULT 0,
	generation bigint NOT NULL DEFAULT 0,
	learned bigint NOT NULL DEFAULT 0,
	steps bigint NOT NULL DEFAULT 0,
	weights bytea
) WITH (fillfactor = 50);
ALTER TABLE rlrec.environment ALTER COLUMN weights SET STORAGE EXTERNAL;
COMMENT ON TABLE rlrec.environment IS 'one row an agent without events';
COMMENT ON COLUMN rlrec.environment.episodes IS 'that ended';
COMMENT ON COLUMN rlrec.environment.generation IS 'how often the weights changed';
COMMENT ON COLUMN rlrec.environment.learned IS 'the number of the transition up to which was learned';
COMMENT ON COLUMN rlrec.environment.steps IS 'of the optimiser';
COMMENT ON COLUMN rlrec.environment.weights IS 'image of the networks and of what their optimiser remembers, of learners of vector states';

CREATE TABLE rlrec.qtable (
	agent bigint NOT NULL,
	state text COLLATE "C" NOT NULL,
	part smallint NOT NULL,
	entries @extschema@.rlrec_qtable NOT NULL,
	PRIMARY KEY (agent, state, part)
) WITH (fillfactor = 60);
COMMENT ON TABLE rlrec.qtable IS 'the action values of a state of a tabular agent; rlrec.qvalues shows them a row a value';
COMMENT ON COLUMN rlrec.qtable.part IS '0, and 1 for the second table of double Q-learning';

CREATE TABLE rlrec.episode (
	agent bigint NOT NULL,
	episode bigint NOT NULL,
	state text COLLATE "C",
	action text COLLATE "C",
	reward float8,
	next_state text COLLATE "C",
	trace_states text[],
	trace_actions text[],
	trace float8[],
	PRIMARY KEY (agent, episode)
) WITH (fillfactor = 50);
COMMENT ON TABLE rlrec.episode IS 'what sarsa and eligibility traces remember of an episode that is under way';
COMMENT ON COLUMN rlrec.episode.state IS 'of the transition that waits for the action after it';
COMMENT ON COLUMN rlrec.episode.trace IS 'the eligibility of each of trace_states and trace_actions';

CREATE TABLE rlrec.transition (
	agent bigint NOT NULL,
	id bigint NOT NULL,
	episode bigint NOT NULL,
	action int NOT NULL,
	reward float4 NOT NULL,
	propensity float4 NOT NULL,
	ending smallint NOT NULL,
	state bytea NOT NULL,
	next_state bytea,
	PRIMARY KEY (agent, id)
);
COMMENT ON TABLE rlrec.transition IS 'the last transitions of an agent of vector states: its replay memory';
COMMENT ON COLUMN rlrec.transition.id IS 'counts from 0';
COMMENT ON COLUMN rlrec.transition.ending IS '1 terminated, 2 truncated, else 0';
COMMENT ON COLUMN rlrec.transition.state IS 'float4 numbers, one after another';

REVOKE ALL ON rlrec.environment, rlrec.qtable, rlrec.episode, rlrec.transition FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('rlrec.environment', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.qtable', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.episode', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.transition', '');

CREATE FUNCTION rlrec_act(agent text, state float8[], explore boolean DEFAULT true)
RETURNS TABLE (action text, propensity float8)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'rlrec_act';
CREATE FUNCTION rlrec_act(agent text, state text, explore boolean DEFAULT true)
RETURNS TABLE (action text, propensity float8)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'rlrec_act';
COMMENT ON FUNCTION rlrec_act(text, float8[], boolean) IS
'The action that an agent without events takes in a state of state_size numbers, and the probability that it would. explore: draw it by the policy with which the agent learns; else take the best one, with propensity 1.';
COMMENT ON FUNCTION rlrec_act(text, text, boolean) IS
'The action that an agent without events takes in a state named by a text, and the probability that it would. explore: draw it by the policy with which the agent learns; else take the best one, with propensity 1.';

CREATE FUNCTION rlrec_observe(
	agent text,
	state float8[],
	action text,
	reward float8,
	next_state float8[],
	terminated boolean,
	truncated boolean DEFAULT false,
	episode bigint DEFAULT 0,
	propensity float8 DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_observe';
CREATE FUNCTION rlrec_observe(
	agent text,
	state text,
	action text,
	reward float8,
	next_state text,
	terminated boolean,
	truncated boolean DEFAULT false,
	episode bigint DEFAULT 0,
	propensity float8 DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_observe';
COMMENT ON FUNCTION rlrec_observe(text, float8[], text, float8, float8[], boolean, boolean, bigint, float8) IS
'Tells an agent without events what an action led to, and lets it learn, in the caller''s transaction. terminated: the episode is over, and next_state is of no meaning and may be NULL; truncated: it was cut off, and next_state had a future. episode: which of several that go on side by side. propensity: as rlrec_act() gave it; NULL for what the policy as it is now gives.';
COMMENT ON FUNCTION rlrec_observe(text, text, text, float8, text, boolean, boolean, bigint, float8) IS
'Tells an agent without events what an action led to, and lets it learn, in the caller''s transaction. terminated: the episode is over, and next_state is of no meaning and may be NULL; truncated: it was cut off, and next_state had a future. episode: which of several that go on side by side. propensity: as rlrec_act() gave it; NULL for what the policy as it is now gives.';

CREATE FUNCTION rlrec_replay(agent text, transitions pg_catalog.regclass, updates bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_replay';
COMMENT ON FUNCTION rlrec_replay(text, pg_catalog.regclass, bigint) IS
'Lets an agent without events observe each row of a table with the columns state, action, reward, next_state, terminated and, where there are, truncated and episode, in the table''s order; returns how many. updates: so many transitions are drawn instead, a state and action at random, then one of their rows, by its column probability where there is one. Nobody else can teach the agent meanwhile.';

CREATE FUNCTION rlrec_values(agent text, state float8[])
RETURNS TABLE (action text, value float8, visits bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'rlrec_values';
CREATE FUNCTION rlrec_values(agent text, state text)
RETURNS TABLE (action text, value float8, visits bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'rlrec_values';
COMMENT ON FUNCTION rlrec_values(text, float8[]) IS
'What each action is worth in a state of an agent without events; visits is NULL. A learner that knows only what states are worth (reinforce, actor_critic) gives all actions the state''s value.';
COMMENT ON FUNCTION rlrec_values(text, text) IS
'What each action is worth in a state of an agent without events, and how often it was taken there; rlrec.qvalues shows all states.';

CREATE FUNCTION rlrec_policy(agent text, state float8[], explore boolean DEFAULT true)
RETURNS TABLE (action text, probability float8)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'rlrec_policy';
CREATE FUNCTION rlrec_policy(agent text, state text, explore boolean DEFAULT true)
RETURNS TABLE (action text, probability float8)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'rlrec_policy';
COMMENT ON FUNCTION rlrec_policy(text, float8[], boolean) IS
'The probability with which rlrec_act() would take each action in a state of an agent without events.';
COMMENT ON FUNCTION rlrec_policy(text, text, boolean) IS
'The probability with which rlrec_act() would take each action in a state of an agent without events.';

CREATE FUNCTION rlrec_trained_values(agent text)
RETURNS TABLE (state text, action text, q float8, visits bigint)
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'rlrec_trained_values';
COMMENT ON FUNCTION rlrec_trained_values(text) IS
'The action values of the deployed version of an agent that learned them from its events: learner qlearning, sarsa, expected_sarsa or double_q; of other agents no rows. Only for the owner, for states may be users.';

CREATE VIEW rlrec.qvalues WITH (security_barrier) AS
SELECT a.name AS agent, q.state COLLATE "C" AS state, e.action COLLATE "C" AS action,
	CASE WHEN a.learner OPERATOR(pg_catalog.=) 'double_q' AND pg_catalog.count(*) OPERATOR(pg_catalog.=) 1
		THEN (pg_catalog.sum(e.q) OPERATOR(pg_catalog.+) coalesce((a.options OPERATOR(pg_catalog.->>) 'initial')::float8, 0)) OPERATOR(pg_catalog./) 2
		ELSE pg_catalog.avg(e.q) END AS q,
	pg_catalog.sum(e.visits)::bigint AS visits
FROM rlrec.agent a
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.anchor
JOIN rlrec.qtable q ON q.agent OPERATOR(pg_catalog.=) a.id
CROSS JOIN LATERAL @extschema@.rlrec_qtable_entries(q.entries) e
WHERE CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' AND c.relnamespace OPERATOR(pg_catalog.=) 'rlrec'::pg_catalog.regnamespace
	THEN pg_catalog.has_sequence_privilege(a.anchor, 'USAGE') END
	AND (q.part OPERATOR(pg_catalog.=) 0 OR a.learner OPERATOR(pg_catalog.=) 'double_q')
	AND (a.options OPERATOR(pg_catalog.->) 'actions') OPERATOR(pg_catalog.?) e.action
GROUP BY a.id, q.state, e.action
UNION ALL
SELECT a.name, v.state, v.action, v.q, v.visits
FROM rlrec.agent a
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.anchor
CROSS JOIN LATERAL (
	SELECT CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' AND c.relnamespace OPERATOR(pg_catalog.=) 'rlrec'::pg_catalog.regnamespace
		AND a.deployed IS NOT NULL AND pg_catalog.pg_has_role(c.relowner, 'USAGE') THEN a.id END AS id) own
CROSS JOIN LATERAL (
	SELECT coalesce(t.state, l.state) AS state, coalesce(t.action, l.action) AS action, coalesce(l.q, t.q) AS q,
		coalesce(t.visits, 0) OPERATOR(pg_catalog.+) coalesce(l.visits, 0) AS visits
	FROM (SELECT v.state COLLATE "C" AS state, v.action COLLATE "C" AS action, v.q, v.visits FROM @extschema@.rlrec_trained_values(CASE WHEN own.id IS NOT NULL THEN a.name END) v) t
	FULL JOIN (SELECT q.state, e.action COLLATE "C" AS action, pg_catalog.avg(e.q) AS q, pg_catalog.sum(e.visits)::bigint AS visits
		FROM rlrec.learned o
		JOIN rlrec.qtable q ON q.agent OPERATOR(pg_catalog.=) o.agent AND q.part OPERATOR(pg_catalog.<=) 1
		CROSS JOIN LATERAL @extschema@.rlrec_qtable_entries(q.entries) e
		WHERE o.agent OPERATOR(pg_catalog.=) own.id AND o.model OPERATOR(pg_catalog.=) a.deployed
		GROUP BY q.state, e.action) l
	ON l.state OPERATOR(pg_catalog.=) t.state AND l.action OPERATOR(pg_catalog.=) t.action) v;
COMMENT ON VIEW rlrec.qvalues IS 'the action values of tabular agents: of those without events that you may use, and of those that learned from events that you own, with what they learned since they were trained';
GRANT SELECT ON rlrec.qvalues TO PUBLIC;

CREATE FUNCTION rlrec_agent_name(agent text)
RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rlrec_agent_name';
COMMENT ON FUNCTION rlrec_agent_name(text) IS
'The name itself, an error when there is no such agent that you may use; of NULL that of the only agent that you may use.';

CREATE FUNCTION rlrec_values(agent text)
RETURNS TABLE (state text, action text, value float8, visits bigint)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
	SELECT v.state, v.action, v.q, v.visits FROM rlrec.qvalues v
	WHERE v.agent OPERATOR(pg_catalog.=) (SELECT @extschema@.rlrec_agent_name($1)) ORDER BY v.state, v.action;
END;
COMMENT ON FUNCTION rlrec_values(text) IS
'What a tabular agent has learned: the value of every action that it took in every state that it met.';

CREATE FUNCTION rlrec_policy(agent text)
RETURNS TABLE (state text, action text, value float8, visits bigint)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
	SELECT DISTINCT ON (v.state) v.state, v.action, v.q, v.visits FROM rlrec.qvalues v
	WHERE v.agent OPERATOR(pg_catalog.=) (SELECT @extschema@.rlrec_agent_name($1)) ORDER BY v.state, v.q DESC, v.action;
END;
COMMENT ON FUNCTION rlrec_policy(text) IS
'What a tabular agent would do: in every state that it met, of the actions that it took there the one of the highest value.';
