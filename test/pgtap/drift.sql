-- Whether a version earns less than the one before it: the statistic, going back, the options, the rights.
CREATE FUNCTION pg_temp.version_id(number int) RETURNS bigint LANGUAGE sql AS
$$ SELECT m.id FROM rlrec.model m JOIN rlrec.agent a ON a.id = m.agent WHERE a.name = 'shop' AND m.version = number $$;

-- Decisions of a version an hour ago, one a second in this order, that came to these rewards.
CREATE FUNCTION pg_temp.serve(number int, rewards float8[], ago interval DEFAULT '1 hour') RETURNS void LANGUAGE sql AS $$
	WITH decision AS (
		INSERT INTO rlrec.decision (agent, model, user_id, role, served_at, seen, shortlist, logits, slate, propensity, probability, policy)
		SELECT a.id, pg_temp.version_id(number), i % 100, 'postgres'::regrole, now() - ago + i * interval '1 s', pg_current_snapshot(), '{a,b}', '{1,0}', '{1}', '{1}', 1, '{}'
		FROM rlrec.agent a, generate_subscripts(serve.rewards, 1) i
		WHERE a.name = 'shop' ORDER BY i
		RETURNING id, agent, served_at)
	INSERT INTO rlrec.outcome (decision, place, agent, reward, events, first_at)
	SELECT id, 1, agent, reward, 1, served_at
	FROM (SELECT *, serve.rewards[row_number() OVER (ORDER BY id)] AS reward FROM decision) d
	WHERE reward <> 0 $$;

-- n rewards of 0 and 1 of which a share is 1.
CREATE FUNCTION pg_temp.clicks(n int, share float8, seed float8) RETURNS float8[] LANGUAGE sql AS $$
	SELECT array_agg((random() < share)::int::float8) FROM generate_series(1, n), (SELECT setseed(seed)) s $$;

SELECT no_plan();
CREATE TABLE events AS SELECT u AS user_id, (u * 7 + e * e) % 20 AS item_id, timestamptz '2026-01-01' + e * interval '1 hour' AS at
FROM generate_series(1, 30) u, generate_series(1, 10) e;
SELECT rlrec_create_agent('shop', 'events', learner => 'popularity', options => '{"horizon": "10 minutes"}');
SELECT is((SELECT count(*) FROM rlrec.drift), 0::bigint, 'without a version there is no drift');
SELECT lives_ok($$ SELECT rlrec_train('shop') $$, 'a first version');
SELECT is((SELECT count(*) FROM rlrec.drift), 0::bigint, 'nor with nothing to go back to');
SELECT is(rlrec_check_drift('shop'), NULL, 'so nothing happens');

SELECT rlrec_attach('shop', mode => 'none');
UPDATE rlrec.subscription SET attached_at = '-infinity';

-- Two versions; deployments lie before the decisions that are made up here.
SELECT rlrec_train('shop');
SELECT rlrec_deploy('shop', 2);
SELECT is((SELECT predecessor FROM rlrec.drift), 1, 'a version that is deployed again where it serves is not its own predecessor');
UPDATE rlrec.deployment SET deployed_at = now() - interval '3 hours' + id * interval '1 s';
SELECT results_eq($$ SELECT version, predecessor, decisions, mean, reference_decisions, reference_mean, statistic, threshold FROM rlrec.drift $$,
	$$ VALUES (2, 1, 0::bigint, NULL::float8, 0::bigint, NULL::float8, 0::float8, 50::float8) $$, 'a second version before its first decision');
SELECT pg_temp.serve(1, '{0,2,0,2}', '2 hours');
SELECT pg_temp.serve(2, '{0,0,0}');
SELECT is((SELECT statistic FROM rlrec.drift), 0::float8, 'four decisions of the first say nothing');
SELECT pg_temp.serve(1, array_agg(2.0 * (i % 2)), '2 hours') FROM generate_series(1, 295) i;
SELECT is((SELECT statistic FROM rlrec.drift), 0::float8, 'nor do 299');
SELECT pg_temp.serve(1, array_agg(2.0 * (i % 2)), '90 minutes') FROM generate_series(0, 100) i;
-- mean 1 and standard deviation sqrt(400 / 399), so that three rewards of 0 add up to 3 / sqrt(400 / 399), less three times .1 + 3 / sqrt(400)
SELECT results_eq($$ SELECT decisions, mean, reference_decisions, reference_mean, round(reference_deviation::numeric, 9), round(statistic::numeric, 9) FROM rlrec.drift $$,
	$$ VALUES (3::bigint, 0::float8, 400::bigint, 1::float8, round(sqrt(400.0 / 399), 9), round(3 / sqrt(400.0 / 399) - 0.75, 9)) $$, 'the statistic is that by hand');
SELECT pg_temp.serve(2, '{0,0,0,0,0,0}', '9 minutes');
SELECT is((SELECT decisions FROM rlrec.drift), 3::bigint, 'decisions within the horizon have not matured');
SELECT is(rlrec_check_drift('shop'), NULL, 'no alarm');
SELECT is((SELECT deployed FROM rlrec.agents), 2, 'and the version serves on');

-- Nor has what may have come to something that nobody has learned of yet.
SET client_min_messages = warning;
UPDATE rlrec.subscription SET attached_at = now() - interval '1 hour' + interval '1.5 s';
SELECT is((SELECT decisions FROM rlrec.drift), 2::bigint, 'nor have those from before the agent was attached');
UPDATE rlrec.subscription SET attached_at = '-infinity';
INSERT INTO rlrec.queue_0 SELECT id, (txid_current()::text)::xid8, 0, now() - interval '50 minutes' + interval '2.5 s', 0, '' FROM rlrec.agent;
SELECT is((SELECT decisions FROM rlrec.drift), 2::bigint, 'nor those of which an event may be waiting');
DELETE FROM rlrec.queue_0;
SELECT is((SELECT decisions FROM rlrec.drift), 3::bigint, 'until it is learned');
SELECT rlrec_detach('shop');
SELECT is((SELECT decisions FROM rlrec.drift), 0::bigint, 'nor any of an agent that is not attached');
SELECT rlrec_attach('shop', mode => 'none');
UPDATE rlrec.subscription SET attached_at = '-infinity';

-- A version that is as good, two that are bad.
DELETE FROM rlrec.decision;
DELETE FROM rlrec.outcome;
SELECT pg_temp.serve(1, pg_temp.clicks(3000, 0.3, 0.1), '2 hours');
SELECT pg_temp.serve(2, pg_temp.clicks(3000, 0.3, 0.2));
SELECT is(rlrec_check_drift('shop'), NULL, 'a version that is as good stays');
SELECT cmp_ok((SELECT statistic FROM rlrec.drift), '<', 25::float8, 'and its statistic low');
SELECT rlrec_train('shop');
UPDATE rlrec.deployment SET deployed_at = now() - interval '2 hours' WHERE id = (SELECT max(id) FROM rlrec.deployment);
SELECT pg_temp.serve(3, pg_temp.clicks(400, 0.05, 0.3));
SELECT rlrec_alter_agent('shop', options => '{"rollback": 0}');
SELECT is(rlrec_check_drift('shop'), NULL, 'with option rollback 0 a bad one stays');
SELECT rlrec_alter_agent('shop', options => '{"rollback": 50, "rollback_tolerance": 2}');
SELECT is(rlrec_check_drift('shop'), NULL, 'or with more tolerance than it has dropped');
SELECT rlrec_alter_agent('shop', options => '{"rollback_tolerance": null}');
SELECT cmp_ok((SELECT statistic FROM rlrec.drift), '>', 100::float8, 'its statistic is high');
CREATE ROLE drift_stranger;
GRANT USAGE ON SEQUENCE rlrec.agent_shop TO drift_stranger;
SET ROLE drift_stranger;
SELECT throws_ok($$ SELECT rlrec_check_drift('shop') $$, '42501', 'must be owner of agent "shop"', 'who may use an agent cannot roll it back');
SELECT is((SELECT count(*) FROM rlrec.drift), 0::bigint, 'nor see what it earns');
SELECT throws_ok($$ SELECT * FROM rlrec.drift_of('shop') $$, '42501', 'must be owner of agent "shop"', 'in no way');
RESET ROLE;
BEGIN READ ONLY;
SELECT throws_ok($$ SELECT rlrec_check_drift('shop') $$, '25006', NULL, 'a transaction that only reads cannot');
COMMIT;
SELECT is(rlrec_maintain('shop')::text, '', 'maintenance looks at it');
SELECT is((SELECT deployed FROM rlrec.agents), 2, 'and rolls a bad version that was forced live back');
SELECT is(rlrec_check_drift('shop'), NULL, 'which is not rolled back');
SELECT rlrec_deploy('shop', 3);
UPDATE rlrec.deployment SET deployed_at = now() - interval '2 hours' WHERE id = (SELECT max(id) FROM rlrec.deployment);
SELECT is(rlrec_check_drift('shop'), 2, 'deployed again it is rolled back again');
SELECT is((SELECT max(version) FROM rlrec.models WHERE agent = 'shop'), 3, 'the bad one is kept to be looked at');
DROP OWNED BY drift_stranger;
DROP ROLE drift_stranger;

SELECT has_index('rlrec', 'decision_rest', 'decision_rest_agent_model_served_at_idx', '{agent,model,served_at}'::name[], 'the newest decisions of a version are found among those of others');

-- What there is to go back to is kept.
SELECT rlrec_alter_agent('shop', options => '{"versions": 1}');
SELECT rlrec_train('shop', 'never'), rlrec_train('shop', 'never');
SELECT set_eq($$ SELECT version FROM rlrec.models WHERE agent = 'shop' $$, '{1,2,5}'::int[], 'the newest version, the one that serves and the one before it are kept');
SELECT is(rlrec_rollback('shop'), 1, 'to go back to');
SELECT rlrec_deploy('shop', 5), rlrec_deploy('shop', 1);
SELECT rlrec_train('shop');
SELECT set_eq($$ SELECT version FROM rlrec.models WHERE agent = 'shop' $$, '{1,6}'::int[], 'older ones go');
SELECT is(rlrec_rollback('shop'), 1, 'a version that served twice, with nothing kept in between,');
SELECT is((SELECT count(*) FROM rlrec.drift), 0::bigint, 'is not its own predecessor either');
SELECT throws_ok($$ SELECT rlrec_rollback('shop') $$, '55000', NULL, 'nor gone back to again');
SELECT finish();
