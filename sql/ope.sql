-- Off-policy evaluation: aggregates over logs of decisions. See src/evaluate/ope.h.

CREATE TYPE rlrec_estimate AS (value float8, lower float8, upper float8, ess float8, max_weight float8, n bigint);
COMMENT ON TYPE rlrec_estimate IS
'An estimate of a policy''s value for a decision, with its interval (NULL of one row), the effective sample size and the greatest of the importance weights, and the number of rows.';

-- The state is a float8[]: see ope_aggregate.c. What a transition function takes after it is what its aggregate takes.
CREATE FUNCTION rlrec_ope_combine(float8[], float8[]) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_ope_final(float8[]) RETURNS rlrec_estimate
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_ope_combine(float8[], float8[]) IS 'aggregate combine function';
COMMENT ON FUNCTION rlrec_ope_final(float8[]) IS 'aggregate final function';

CREATE FUNCTION rlrec_ips_accumulate(float8[], float8, float8, float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_ips_accumulate(float8[], float8, float8, float8) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_ips(reward float8, logged float8, target float8) (
	SFUNC = rlrec_ips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_ips(float8, float8, float8) IS
'Inverse propensity scoring: the mean of w * reward, w = target / logged. reward: of a decision, 0 for none; logged and target: the probabilities of the action that was logged, under the policy that logged it, in (0, 1], and under the one to evaluate, in [0, 1] (Horvitz and Thompson 1952). NULL is an error. See docs/ope.md.';
CREATE FUNCTION rlrec_ips_accumulate(float8[], float8, float8, float8, jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_ips_accumulate(float8[], float8, float8, float8, jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_ips(reward float8, logged float8, target float8, options jsonb) (
	SFUNC = rlrec_ips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_ips(float8, float8, float8, jsonb) IS
'rlrec_ips() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_clipped_ips_accumulate(float8[], float8, float8, float8, float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_clipped_ips_accumulate(float8[], float8, float8, float8, float8) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_clipped_ips(reward float8, logged float8, target float8, clip float8) (
	SFUNC = rlrec_clipped_ips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_clipped_ips(float8, float8, float8, float8) IS
'rlrec_ips() with no w above clip: less variance, and a bias towards 0 (Strehl and others 2010). clip: at least 0.';
CREATE FUNCTION rlrec_clipped_ips_accumulate(float8[], float8, float8, float8, float8, jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_clipped_ips_accumulate(float8[], float8, float8, float8, float8, jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_clipped_ips(reward float8, logged float8, target float8, clip float8, options jsonb) (
	SFUNC = rlrec_clipped_ips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_clipped_ips(float8, float8, float8, float8, jsonb) IS
'rlrec_clipped_ips() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_snips_accumulate(float8[], float8, float8, float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_snips_accumulate(float8[], float8, float8, float8) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_snips(reward float8, logged float8, target float8) (
	SFUNC = rlrec_snips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_snips(float8, float8, float8) IS
'Self-normalised inverse propensity scoring: the sum of w * reward / the sum of w, w = target / logged (Swaminathan and Joachims 2015). Arguments as of rlrec_ips().';
CREATE FUNCTION rlrec_snips_accumulate(float8[], float8, float8, float8, jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_snips_accumulate(float8[], float8, float8, float8, jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_snips(reward float8, logged float8, target float8, options jsonb) (
	SFUNC = rlrec_snips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_snips(float8, float8, float8, jsonb) IS
'rlrec_snips() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_dm_accumulate(float8[], float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_dm_accumulate(float8[], float8) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_dm(q_policy float8) (
	SFUNC = rlrec_dm_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_dm(float8) IS
'The direct method: the mean of a model''s rewards. q_policy: the mean of the model''s rewards of the actions that could be taken, by their probabilities under the policy to evaluate.';
CREATE FUNCTION rlrec_dm_accumulate(float8[], float8, jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_dm_accumulate(float8[], float8, jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_dm(q_policy float8, options jsonb) (
	SFUNC = rlrec_dm_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_dm(float8, jsonb) IS
'rlrec_dm() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_dr_accumulate(float8[], float8, float8, float8, float8, float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_dr_accumulate(float8[], float8, float8, float8, float8, float8) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_dr(reward float8, logged float8, target float8, q_logged float8, q_policy float8) (
	SFUNC = rlrec_dr_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_dr(float8, float8, float8, float8, float8) IS
'Doubly robust: the mean of q_policy + w * (reward - q_logged), w = target / logged (Dudik, Langford and Li 2011). q_logged: a model''s reward of the action that was logged; q_policy: the mean of the model''s rewards over the actions, by their probabilities under the policy to evaluate; the others as of rlrec_ips().';
CREATE FUNCTION rlrec_dr_accumulate(float8[], float8, float8, float8, float8, float8, jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_dr_accumulate(float8[], float8, float8, float8, float8, float8, jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_dr(reward float8, logged float8, target float8, q_logged float8, q_policy float8, options jsonb) (
	SFUNC = rlrec_dr_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_dr(float8, float8, float8, float8, float8, jsonb) IS
'rlrec_dr() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_sndr_accumulate(float8[], float8, float8, float8, float8, float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_sndr_accumulate(float8[], float8, float8, float8, float8, float8) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_sndr(reward float8, logged float8, target float8, q_logged float8, q_policy float8) (
	SFUNC = rlrec_sndr_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_sndr(float8, float8, float8, float8, float8) IS
'Self-normalised doubly robust: the mean of q_policy + the sum of w * (reward - q_logged) / the sum of w. Arguments as of rlrec_dr().';
CREATE FUNCTION rlrec_sndr_accumulate(float8[], float8, float8, float8, float8, float8, jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_sndr_accumulate(float8[], float8, float8, float8, float8, float8, jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_sndr(reward float8, logged float8, target float8, q_logged float8, q_policy float8, options jsonb) (
	SFUNC = rlrec_sndr_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_sndr(float8, float8, float8, float8, float8, jsonb) IS
'rlrec_sndr() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_switch_dr_accumulate(float8[], float8, float8, float8, float8, float8, float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_switch_dr_accumulate(float8[], float8, float8, float8, float8, float8, float8) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_switch_dr(reward float8, logged float8, target float8, q_logged float8, q_policy float8, tau float8) (
	SFUNC = rlrec_switch_dr_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_switch_dr(float8, float8, float8, float8, float8, float8) IS
'rlrec_dr() that leaves a decision to the model where w is above tau (Wang, Agarwal and Dudik 2017). tau: at least 0.';
CREATE FUNCTION rlrec_switch_dr_accumulate(float8[], float8, float8, float8, float8, float8, float8, jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_switch_dr_accumulate(float8[], float8, float8, float8, float8, float8, float8, jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_switch_dr(
	reward float8, logged float8, target float8, q_logged float8, q_policy float8, tau float8, options jsonb
) (
	SFUNC = rlrec_switch_dr_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_switch_dr(float8, float8, float8, float8, float8, float8, jsonb) IS
'rlrec_switch_dr() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_dr_os_accumulate(float8[], float8, float8, float8, float8, float8, float8) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_dr_os_accumulate(float8[], float8, float8, float8, float8, float8, float8) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_dr_os(reward float8, logged float8, target float8, q_logged float8, q_policy float8, lambda float8) (
	SFUNC = rlrec_dr_os_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_dr_os(float8, float8, float8, float8, float8, float8) IS
'rlrec_dr() with optimistic shrinkage: lambda * w / (w * w + lambda) for w (Su and others 2020). lambda: at least 0, where 0 is the direct method and infinity rlrec_dr().';
CREATE FUNCTION rlrec_dr_os_accumulate(float8[], float8, float8, float8, float8, float8, float8, jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_dr_os_accumulate(float8[], float8, float8, float8, float8, float8, float8, jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_dr_os(
	reward float8, logged float8, target float8, q_logged float8, q_policy float8, lambda float8, options jsonb
) (
	SFUNC = rlrec_dr_os_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_dr_os(float8, float8, float8, float8, float8, float8, jsonb) IS
'rlrec_dr_os() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

-- Of clusters instead of actions.
CREATE AGGREGATE rlrec_mips(reward float8, logged float8, target float8) (
	SFUNC = rlrec_ips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_mips(float8, float8, float8) IS
'Marginalised inverse propensity scoring: the mean of w * reward, w = target / logged, where logged and target are the probabilities that the action is of the cluster of the one that was logged, not those of the action itself; for large catalogues (Saito and Joachims 2022).';
CREATE AGGREGATE rlrec_mips(reward float8, logged float8, target float8, options jsonb) (
	SFUNC = rlrec_ips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_mips(float8, float8, float8, jsonb) IS
'rlrec_mips() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_slate_ips_accumulate(float8[], float8[], float8[], float8[]) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_slate_ips_accumulate(float8[], float8[], float8[], float8[]) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_slate_ips(reward float8[], logged float8[], target float8[]) (
	SFUNC = rlrec_slate_ips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_slate_ips(float8[], float8[], float8[]) IS
'Inverse propensity scoring of slates: the mean of w * the sum of the rewards, w the product of target / logged. reward, logged, target: a number for each place in the order of display; logged and target: the probabilities of its item given the items before it (McInerney and others 2020). NULL is an error. See docs/ope.md.';
CREATE FUNCTION rlrec_slate_ips_accumulate(float8[], float8[], float8[], float8[], jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_slate_ips_accumulate(float8[], float8[], float8[], float8[], jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_slate_ips(reward float8[], logged float8[], target float8[], options jsonb) (
	SFUNC = rlrec_slate_ips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_slate_ips(float8[], float8[], float8[], jsonb) IS
'rlrec_slate_ips() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_slate_iips_accumulate(float8[], float8[], float8[], float8[]) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_slate_iips_accumulate(float8[], float8[], float8[], float8[]) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_slate_iips(reward float8[], logged float8[], target float8[]) (
	SFUNC = rlrec_slate_iips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_slate_iips(float8[], float8[], float8[]) IS
'Independent inverse propensity scoring of slates: the mean of the sum of w * reward over places, where an item''s reward depends on its place alone. logged and target: the marginal probabilities of the item at its place (Li and others 2018).';
CREATE FUNCTION rlrec_slate_iips_accumulate(float8[], float8[], float8[], float8[], jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_slate_iips_accumulate(float8[], float8[], float8[], float8[], jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_slate_iips(reward float8[], logged float8[], target float8[], options jsonb) (
	SFUNC = rlrec_slate_iips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_slate_iips(float8[], float8[], float8[], jsonb) IS
'rlrec_slate_iips() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_slate_rips_accumulate(float8[], float8[], float8[], float8[]) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_slate_rips_accumulate(float8[], float8[], float8[], float8[]) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_slate_rips(reward float8[], logged float8[], target float8[]) (
	SFUNC = rlrec_slate_rips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_slate_rips(float8[], float8[], float8[]) IS
'Reward-interaction inverse propensity scoring of slates: the mean of the sum of w * reward over places, w the product of target / logged up to the place, where an item''s reward does not depend on the items after it. Arguments as of rlrec_slate_ips() (McInerney and others 2020).';
CREATE FUNCTION rlrec_slate_rips_accumulate(float8[], float8[], float8[], float8[], jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_slate_rips_accumulate(float8[], float8[], float8[], float8[], jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_slate_rips(reward float8[], logged float8[], target float8[], options jsonb) (
	SFUNC = rlrec_slate_rips_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_slate_rips(float8[], float8[], float8[], jsonb) IS
'rlrec_slate_rips() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_slate_cascade_dr_accumulate(float8[], float8[], float8[], float8[], float8[], float8[]) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_slate_cascade_dr_accumulate(float8[], float8[], float8[], float8[], float8[], float8[]) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_slate_cascade_dr(reward float8[], logged float8[], target float8[], q_logged float8[], q_policy float8[]) (
	SFUNC = rlrec_slate_cascade_dr_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_slate_cascade_dr(float8[], float8[], float8[], float8[], float8[]) IS
'Cascade doubly robust, of slates: rlrec_slate_rips() with a model as control variate. q_logged: for each place the model''s reward from there on of the item that was logged, given the items before it; q_policy: the mean of that over the items, by their probabilities under the policy to evaluate (Kiyohara and others 2022).';
CREATE FUNCTION rlrec_slate_cascade_dr_accumulate(float8[], float8[], float8[], float8[], float8[], float8[], jsonb) RETURNS float8[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_slate_cascade_dr_accumulate(float8[], float8[], float8[], float8[], float8[], float8[], jsonb) IS 'aggregate transition function';
CREATE AGGREGATE rlrec_slate_cascade_dr(
	reward float8[], logged float8[], target float8[], q_logged float8[], q_policy float8[], options jsonb
) (
	SFUNC = rlrec_slate_cascade_dr_accumulate, STYPE = float8[], COMBINEFUNC = rlrec_ope_combine, FINALFUNC = rlrec_ope_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_slate_cascade_dr(float8[], float8[], float8[], float8[], float8[], jsonb) IS
'rlrec_slate_cascade_dr() with options: interval (normal, bootstrap or bernstein), confidence (.95), replicates (1000) and seed (1) of the bootstrap, range of bernstein. See docs/ope.md.';

CREATE FUNCTION rlrec_ope_log(agent text, version int, since timestamptz DEFAULT NULL)
RETURNS TABLE (decision_id bigint, user_id text, reward float8, logged float8, target float8, rewards float8[], logged_places float8[],
	target_places float8[], q_logged float8[], q_policy float8[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 COST 1000000
AS 'MODULE_PATHNAME', 'rlrec_ope_log';
COMMENT ON FUNCTION rlrec_ope_log(text, int, timestamptz) IS
'The matured decisions of an agent as the aggregates of off-policy evaluation take them, with a version as the target: of each its reward and the probabilities of what was shown, when it was shown and as rlrec_serve() would show it with the version; and the same for each place, the probabilities given the places before it. q_logged, q_policy: what a model of rewards expects of a place and those after it, of the item shown and of the version. since: decisions from then on; NULL for those after the version was trained. Only for the owner.';

CREATE FUNCTION rlrec_ope_estimator(estimator text) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_ope_estimator(text) IS 'the name itself, an error where rlrec_ope() knows no such estimator';

CREATE FUNCTION rlrec_ope(
	agent text,
	version int,
	estimator text DEFAULT 'dr',
	options jsonb DEFAULT NULL,
	parameter float8 DEFAULT 10,
	since timestamptz DEFAULT NULL)
RETURNS rlrec_estimate
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH log AS MATERIALIZED (SELECT * FROM @extschema@.rlrec_ope_log($1, $2, $6))
	SELECT CASE @extschema@.rlrec_ope_estimator($3)
		WHEN 'ips' THEN (SELECT @extschema@.rlrec_ips(reward, logged, target, $4) FROM log)
		WHEN 'clipped_ips' THEN (SELECT @extschema@.rlrec_clipped_ips(reward, logged, target, $5, $4) FROM log)
		WHEN 'snips' THEN (SELECT @extschema@.rlrec_snips(reward, logged, target, $4) FROM log)
		WHEN 'dm' THEN (SELECT @extschema@.rlrec_dm(q_policy[1], $4) FROM log)
		WHEN 'dr' THEN (SELECT @extschema@.rlrec_dr(reward, logged, target, q_logged[1], q_policy[1], $4) FROM log)
		WHEN 'sndr' THEN (SELECT @extschema@.rlrec_sndr(reward, logged, target, q_logged[1], q_policy[1], $4) FROM log)
		WHEN 'switch_dr' THEN (SELECT @extschema@.rlrec_switch_dr(reward, logged, target, q_logged[1], q_policy[1], $5, $4) FROM log)
		WHEN 'dr_os' THEN (SELECT @extschema@.rlrec_dr_os(reward, logged, target, q_logged[1], q_policy[1], $5, $4) FROM log)
		WHEN 'rips' THEN (SELECT @extschema@.rlrec_slate_rips(rewards, logged_places, target_places, $4) FROM log)
		WHEN 'cascade_dr' THEN (SELECT @extschema@.rlrec_slate_cascade_dr(rewards, logged_places, target_places, q_logged, q_policy, $4) FROM log)
	END;
END;
COMMENT ON FUNCTION rlrec_ope(text, int, text, jsonb, float8, timestamptz) IS
'What a decision would earn if a version of the agent served, estimated from matured decisions: by ips, clipped_ips, snips, dm, dr, sndr, switch_dr or dr_os, to which a slate is one action, or place by place by rips or cascade_dr. options: those of the aggregates; parameter: clip, tau or lambda; since: as of rlrec_ope_log(). NULL without decisions. Only for the owner.';
