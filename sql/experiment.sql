-- Experiments, shadows and the gate before a deployment.

CREATE FUNCTION rlrec_gain(agent text, version int)
RETURNS TABLE (decisions bigint, users bigint, mean float8, gain float8, lower float8, support float8)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 COST 1000000
AS 'MODULE_PATHNAME', 'rlrec_gain';
COMMENT ON FUNCTION rlrec_gain(text, int) IS
'How much more reward a decision a version would have earned than the version that serves, as matured decisions of that one tell which came after the training of either. mean: of the reward of these; gain: estimated by importance weights; lower: a bound of it that holds at all times at once, with the option deploy_confidence, NULL with fewer than 30 users, or where all decisions came to the same; support: the probability that the version would show first what the log could have. Only for the owner.';

CREATE TABLE rlrec.experiment (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	agent bigint NOT NULL,
	seed bigint,
	arms text[] NOT NULL,
	models bigint[] NOT NULL,
	versions int[] NOT NULL,
	shares float8[] NOT NULL,
	shadows bigint[],
	started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	ended_at timestamptz
);
CREATE UNIQUE INDEX experiment_running_idx ON rlrec.experiment (agent) WHERE ended_at IS NULL;
COMMENT ON TABLE rlrec.experiment IS 'one row an experiment; rlrec.experiments shows it to people';
COMMENT ON COLUMN rlrec.experiment.seed IS 'of the hash that assigns users; NULL for the experiment''s id';
COMMENT ON COLUMN rlrec.experiment.models IS 'rlrec.model.id of each arm; kept while the experiment runs';
COMMENT ON COLUMN rlrec.experiment.shadows IS 'rlrec.model.id of versions that decide too, and are not shown; kept like models';
COMMENT ON COLUMN rlrec.experiment.shares IS 'of the users, in the order of arms; the rest is served by the deployed version';

CREATE TABLE rlrec.shadow (
	decision bigint NOT NULL,
	model bigint NOT NULL,
	agent bigint NOT NULL,
	shortlist text[] NOT NULL,
	logits real[] NOT NULL,
	slate int[] NOT NULL,
	propensity float8[] NOT NULL,
	probability float8 NOT NULL,
	policy jsonb NOT NULL,
	PRIMARY KEY (decision, model)
);
COMMENT ON TABLE rlrec.shadow IS 'what versions would have shown in the place of decisions; columns as in rlrec.decision';
COMMENT ON COLUMN rlrec.shadow.model IS 'rlrec.model.id of the version that was not shown';

CREATE TABLE rlrec.arm (
	agent bigint NOT NULL,
	experiment bigint NOT NULL,
	arm text NOT NULL,
	version int NOT NULL,
	share float8 NOT NULL,
	started_at timestamptz NOT NULL,
	ended_at timestamptz NOT NULL,
	users bigint NOT NULL,
	decisions bigint NOT NULL,
	mean float8,
	difference float8,
	lower float8,
	upper float8,
	PRIMARY KEY (experiment, arm)
);
COMMENT ON TABLE rlrec.arm IS 'what the arms of ended experiments came to when all of their decisions had matured; columns as in rlrec.experiments';

REVOKE ALL ON rlrec.experiment, rlrec.shadow, rlrec.arm FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('rlrec.experiment', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.arm', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.shadow', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.experiment_id_seq', '');

CREATE FUNCTION rlrec_experiment(agent text, arms jsonb, allocation jsonb DEFAULT NULL, seed bigint DEFAULT NULL,
	shadows int[] DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_experiment';
COMMENT ON FUNCTION rlrec_experiment(text, jsonb, jsonb, bigint, int[]) IS
'From the commit on rlrec_serve() serves each user by the version of his arm. arms: the version of each, {"control": 1, "new": 2}, of which one is called control; allocation: the share of the users of each, equal ones by default; users beyond their sum are served by the deployed version. A user''s arm is a hash of his id and the seed, by default the number of the experiment, which is returned. shadows: versions that decide, too, for each user in an arm, what they would show, which is logged in rlrec.shadows and not shown; with them the control may be the only arm. One experiment of an agent runs at a time. Only for the owner.';

CREATE FUNCTION rlrec_end_experiment(agent text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_end_experiment';
COMMENT ON FUNCTION rlrec_end_experiment(text) IS
'Ends the experiment of an agent: all users are served by the deployed version again. False when none is running. Only for the owner.';

CREATE FUNCTION rlrec_arm(agent text, user_id text)
RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'rlrec_arm';
COMMENT ON FUNCTION rlrec_arm(text, text) IS
'The arm of a user in the agent''s experiment; NULL when none is running, or he is in none of its arms.';

CREATE FUNCTION rlrec.arms_of(agent text)
RETURNS TABLE (experiment bigint, arm text, version int, share float8, started_at timestamptz, ended_at timestamptz, users bigint,
	decisions bigint, mean float8, difference float8, lower float8, upper float8)
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 2 COST 10000
AS 'MODULE_PATHNAME', 'rlrec_arms_of';
COMMENT ON FUNCTION rlrec.arms_of(text) IS 'the rows of an agent in the view rlrec.experiments that are not kept in rlrec.arm; only for its owner';

CREATE VIEW rlrec.experiments WITH (security_barrier) AS
SELECT a.name AS agent, e.*
FROM rlrec.agents a
CROSS JOIN LATERAL rlrec.arms_of(a.name) e
WHERE pg_catalog.pg_has_role(a.owner, 'USAGE')
UNION ALL
SELECT a.name, e.experiment, e.arm, e.version, e.share, e.started_at, e.ended_at, e.users, e.decisions, e.mean, e.difference, e.lower, e.upper
FROM rlrec.arm e
JOIN rlrec.agent g ON g.id OPERATOR(pg_catalog.=) e.agent
JOIN rlrec.agents a ON a.name OPERATOR(pg_catalog.=) g.name
WHERE pg_catalog.pg_has_role(a.owner, 'USAGE');
COMMENT ON VIEW rlrec.experiments IS 'what the arms of experiments came to, of the agents that you own; only matured decisions count';
COMMENT ON COLUMN rlrec.experiments.mean IS 'reward of a decision';
COMMENT ON COLUMN rlrec.experiments.difference IS 'of the mean from that of the control; NULL of the control';
COMMENT ON COLUMN rlrec.experiments.lower IS 'bounds of the difference that hold at all times at once, with the option deploy_confidence; NULL until both arms have 30 users, and not all decisions came to the same';
GRANT SELECT ON rlrec.experiments TO PUBLIC;

CREATE VIEW rlrec.shadows WITH (security_barrier) AS
SELECT s.decision, a.name AS agent, m.version, ARRAY(SELECT s.shortlist[c.place] FROM pg_catalog.unnest(s.slate) WITH ORDINALITY c (place, rank) ORDER BY c.rank) AS items,
	s.propensity, s.probability, s.shortlist, s.logits, s.slate, s.policy
FROM rlrec.shadow s
JOIN rlrec.agent g ON g.id OPERATOR(pg_catalog.=) s.agent
JOIN rlrec.agents a ON a.name OPERATOR(pg_catalog.=) g.name
LEFT JOIN rlrec.model m ON m.id OPERATOR(pg_catalog.=) s.model
WHERE pg_catalog.pg_has_role(a.owner, 'USAGE');
COMMENT ON VIEW rlrec.shadows IS 'what shadows of experiments would have shown in the place of decisions, of the agents that you own';
COMMENT ON COLUMN rlrec.shadows.decision IS 'rlrec.decisions.id';
COMMENT ON COLUMN rlrec.shadows.version IS 'that was not shown; NULL when it is not kept any more';
COMMENT ON COLUMN rlrec.shadows.items IS 'what it would have shown, in order of display';
GRANT SELECT ON rlrec.shadows TO PUBLIC;

CREATE FUNCTION rlrec_check_drift(agent text)
RETURNS int
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_check_drift';
COMMENT ON FUNCTION rlrec_check_drift(text) IS
'Goes back to the version before when the one that serves earns less than that one did, by Page''s test over matured decisions (options rollback and rollback_tolerance); returns the version that serves again, NULL when there is no reason to, or the agent is being trained. The worker does it by itself. Only for the owner.';

CREATE FUNCTION rlrec.drift_of(agent text)
RETURNS TABLE (version int, predecessor int, decisions bigint, mean float8, reference_decisions bigint, reference_mean float8,
	reference_deviation float8, statistic float8, threshold float8)
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 1 COST 10000
AS 'MODULE_PATHNAME', 'rlrec_drift_of';
COMMENT ON FUNCTION rlrec.drift_of(text) IS 'the row of an agent in the view rlrec.drift; only for its owner';

CREATE VIEW rlrec.drift WITH (security_barrier) AS
SELECT a.name AS agent, d.*
FROM rlrec.agents a
CROSS JOIN LATERAL rlrec.drift_of(a.name) d
WHERE pg_catalog.pg_has_role(a.owner, 'USAGE');
COMMENT ON VIEW rlrec.drift IS 'what the versions that serve earn beside what those before them did, of the agents that you own';
COMMENT ON COLUMN rlrec.drift.decisions IS 'matured ones, since the version was deployed, the latest 20,000';
COMMENT ON COLUMN rlrec.drift.mean IS 'reward of a decision';
COMMENT ON COLUMN rlrec.drift.reference_decisions IS 'matured ones of the predecessor, the latest 20,000';
COMMENT ON COLUMN rlrec.drift.reference_deviation IS 'standard deviation of the reward of the predecessor''s decisions';
COMMENT ON COLUMN rlrec.drift.statistic IS 'Page''s, in those standard deviations: the most that it has been';
COMMENT ON COLUMN rlrec.drift.threshold IS 'option rollback: above it the agent goes back; 0 for never';
GRANT SELECT ON rlrec.drift TO PUBLIC;

CREATE FUNCTION rlrec_maintain(agent text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_maintain_agent';
COMMENT ON FUNCTION rlrec_maintain(text) IS
'What the worker does for an attached agent about once a minute: rlrec_check_drift(), the work of rlrec_trim_decisions(), and to keep what ended experiments came to. Only for the owner.';
