-- Experiments, shadows and the gate before a deployment.

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
