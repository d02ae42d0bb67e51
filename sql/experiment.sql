-- Experiments, shadows and the gate before a deployment.

CREATE FUNCTION rlrec_gain(agent text, version int)
RETURNS TABLE (decisions bigint, users bigint, mean float8, gain float8, lower float8, support float8)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 COST 1000000
AS 'MODULE_PATHNAME', 'rlrec_gain';
COMMENT ON FUNCTION rlrec_gain(text, int) IS
'How much more reward a decision a version would have earned than the version that serves, as matured decisions of that one tell which came after the training of either. mean: of the reward of these; gain: estimated by importance weights; lower: a bound of it that holds at all times at once, with the option confidence, NULL with fewer than 30 users; support: the probability that the version would show first what the log could have. Only for the owner.';

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
'What the worker does for an attached agent about once a minute: rlrec_check_drift(), and the work of rlrec_trim_decisions(). Only for the owner.';
