-- Serving: what was shown to whom, with what probability.

CREATE SEQUENCE rlrec.decision_id_seq;
CREATE TABLE rlrec.decision (
	id bigint NOT NULL DEFAULT pg_catalog.nextval('rlrec.decision_id_seq'),
	agent bigint NOT NULL,
	model bigint NOT NULL,
	arm text,
	user_id text NOT NULL,
	role pg_catalog.regrole NOT NULL,
	served_at timestamptz NOT NULL,
	seen pg_catalog.pg_snapshot NOT NULL,
	shortlist text[] NOT NULL,
	logits real[] NOT NULL,
	uncertainty real[],
	slate int[] NOT NULL,
	propensity float8[] NOT NULL,
	probability float8 NOT NULL,
	marginal float8[],
	policy jsonb NOT NULL
) PARTITION BY RANGE (id);
CREATE TABLE rlrec.decision_rest PARTITION OF rlrec.decision (PRIMARY KEY (id)) DEFAULT;
COMMENT ON TABLE rlrec.decision IS 'one row a call of rlrec_serve(); rlrec.decisions shows it to people';
COMMENT ON TABLE rlrec.decision_rest IS 'the decisions for which no partition was made by setting rlrec.decision_partition';
COMMENT ON COLUMN rlrec.decision.model IS 'rlrec.model.id of the version that served';
COMMENT ON COLUMN rlrec.decision.arm IS 'of an experiment; NULL outside of one';
COMMENT ON COLUMN rlrec.decision.role IS 'who served';
COMMENT ON COLUMN rlrec.decision.seen IS 'the snapshot that the user''s history was read in';
COMMENT ON COLUMN rlrec.decision.shortlist IS 'the items that the slate was drawn from, the best first';
COMMENT ON COLUMN rlrec.decision.logits IS 'score of each item of the shortlist';
COMMENT ON COLUMN rlrec.decision.uncertainty IS 'standard error of each score; NULL where the strategy does not read it';
COMMENT ON COLUMN rlrec.decision.slate IS 'what was shown, in order of display: places in the shortlist, from 1';
COMMENT ON COLUMN rlrec.decision.propensity IS 'probability of each item of the slate, given those before it';
COMMENT ON COLUMN rlrec.decision.probability IS 'of the slate: the product of the propensities';
COMMENT ON COLUMN rlrec.decision.marginal IS 'probability of each item of the slate to be at its position, over all slates; NULL unless asked for';
COMMENT ON COLUMN rlrec.decision.policy IS 'the exploration and its parameters in force, the seed, and the learner that the scores are of';

-- Indexes are each partition's own: those of the table would be made twice where a dump is restored, by the extension and by the dump.
CREATE INDEX ON rlrec.decision_rest (agent, user_id, served_at);
CREATE INDEX ON rlrec.decision_rest (agent, served_at);
CREATE INDEX ON rlrec.decision_rest (agent, model, served_at);

REVOKE ALL ON rlrec.decision, rlrec.decision_rest FROM PUBLIC;
REVOKE ALL ON SEQUENCE rlrec.decision_id_seq FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('rlrec.decision_rest', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.decision_id_seq', '');

CREATE FUNCTION rlrec_serve(
	user_id anyelement,
	k int DEFAULT 10,
	agent text DEFAULT NULL,
	candidates text[] DEFAULT NULL,
	exclude text[] DEFAULT NULL,
	context jsonb DEFAULT NULL)
RETURNS TABLE (decision_id bigint, rank int, item text, score real, propensity float8, source text)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 2000 ROWS 10 SUPPORT rlrec_rows_support
AS 'MODULE_PATHNAME', 'rlrec_serve';
COMMENT ON FUNCTION rlrec_serve(anyelement, int, text, text[], text[], jsonb) IS
'Up to k items to show to a user, at most 1000, drawn from the best by the exploration that the agent declares, and logged as a decision in this transaction, which should be committed before they are shown. propensity: the exact probability of the item at its rank, given those before it. The arguments are those of rlrec_recommend(); context also takes {"seed": n}, which makes the draw repeatable, and {"marginals": true}, which logs the probability of each item at its position. decision_id is NULL, with a NOTICE, where nothing can be written.';

CREATE FUNCTION rlrec_serve(
	user_id text,
	k int DEFAULT 10,
	agent text DEFAULT NULL,
	candidates text[] DEFAULT NULL,
	exclude text[] DEFAULT NULL,
	context jsonb DEFAULT NULL)
RETURNS TABLE (decision_id bigint, rank int, item text, score real, propensity float8, source text)
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 2000 ROWS 10 SUPPORT rlrec_rows_support
AS 'MODULE_PATHNAME', 'rlrec_serve';
COMMENT ON FUNCTION rlrec_serve(text, int, text, text[], text[], jsonb) IS
'Up to k items to show to a user, at most 1000, drawn from the best by the exploration that the agent declares, and logged as a decision in this transaction, which should be committed before they are shown. propensity: the exact probability of the item at its rank, given those before it. The arguments are those of rlrec_recommend(); context also takes {"seed": n}, which makes the draw repeatable, and {"marginals": true}, which logs the probability of each item at its position. decision_id is NULL, with a NOTICE, where nothing can be written.';

CREATE FUNCTION rlrec_slate_propensities(policy jsonb, logits real[], slate int[], uncertainty real[] DEFAULT NULL)
RETURNS float8[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rlrec_slate_propensities';
COMMENT ON FUNCTION rlrec_slate_propensities(jsonb, real[], int[], real[]) IS
'The probability that a policy gives each item of a slate, given those before it. policy: as in rlrec.decisions, or the options of an agent that speak of exploration; logits: a score for each item of the shortlist, that of the deciding version or of another; slate: places in the shortlist, from 1; uncertainty: a standard error for each score, needed by ucb and thompson. 0 from a place on that is not in the shortlist or was before. NULL where policy, logits or slate are.';

CREATE FUNCTION rlrec_slate_probability(policy jsonb, logits real[], slate int[], uncertainty real[] DEFAULT NULL)
RETURNS float8
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'rlrec_slate_probability';
COMMENT ON FUNCTION rlrec_slate_probability(jsonb, real[], int[], real[]) IS
'The probability that a policy gives a slate: the product of rlrec_slate_propensities(), whose arguments it has.';

CREATE FUNCTION rlrec_trim_decisions(agent text DEFAULT NULL, most int DEFAULT 10000)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rlrec_trim_decisions';
COMMENT ON FUNCTION rlrec_trim_decisions(text, int) IS
'Deletes the oldest decisions of an agent beyond its option decision_retention, at most so many, or drops the oldest partition (setting rlrec.decision_partition) when nobody keeps what is in it, and returns how many they were; 0 when there is none left, or no retention. Only for the owner.';

CREATE VIEW rlrec.decisions WITH (security_barrier) AS
SELECT d.id, a.name AS agent, m.version, d.arm, d.user_id, d.role, d.served_at, d.seen,
	ARRAY(SELECT d.shortlist[place] FROM pg_catalog.unnest(d.slate) WITH ORDINALITY AS s (place, rank) ORDER BY rank) AS items,
	d.propensity, d.probability, d.marginal, d.shortlist, d.logits, d.uncertainty, d.slate, d.policy
FROM rlrec.decision d
JOIN rlrec.agent a ON a.id OPERATOR(pg_catalog.=) d.agent
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.anchor
LEFT JOIN rlrec.model m ON m.id OPERATOR(pg_catalog.=) d.model
WHERE CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' AND c.relnamespace OPERATOR(pg_catalog.=) 'rlrec'::pg_catalog.regnamespace
	THEN pg_catalog.pg_has_role(c.relowner, 'USAGE')
		OR d.role OPERATOR(pg_catalog.=) (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) current_user)
			AND pg_catalog.has_sequence_privilege(a.anchor, 'USAGE') END;
COMMENT ON VIEW rlrec.decisions IS 'the decisions of agents that you own, and those that your role served by agents that you may use';
COMMENT ON COLUMN rlrec.decisions.version IS 'that served; NULL when it is not kept any more';
COMMENT ON COLUMN rlrec.decisions.items IS 'what was shown, in order of display';
COMMENT ON COLUMN rlrec.decisions.seen IS 'the snapshot that the user''s history was read in';
COMMENT ON COLUMN rlrec.decisions.propensity IS 'probability of each item shown, given those before it';
COMMENT ON COLUMN rlrec.decisions.probability IS 'of all of them in this order';
COMMENT ON COLUMN rlrec.decisions.marginal IS 'probability of each item shown to be at its position, whatever the others are; NULL unless asked for';
COMMENT ON COLUMN rlrec.decisions.shortlist IS 'the items that they were drawn from, the best first';
COMMENT ON COLUMN rlrec.decisions.logits IS 'score of each item of the shortlist';
COMMENT ON COLUMN rlrec.decisions.slate IS 'places in the shortlist of what was shown, from 1';
GRANT SELECT ON rlrec.decisions TO PUBLIC;
