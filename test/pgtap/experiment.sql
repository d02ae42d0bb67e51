-- Experiments: who is in which arm, what serves him, what the arms came to, and what is refused.
SET client_min_messages = warning;
SELECT no_plan();
CREATE TABLE events AS SELECT u AS user_id, (u * 7 + e * e) % 20 AS item_id, now() - interval '1 day' + e * interval '1 minute' AS at
FROM generate_series(1, 30) u, generate_series(1, 10) e;
SELECT rlrec_create_agent('shop', 'events', learner => 'popularity', options => '{"horizon": "1 s", "versions": 2, "explore": "softmax"}');
SELECT rlrec_train('shop');
SELECT rlrec_alter_agent('shop', learner => 'markov');
SELECT rlrec_train('shop');

-- ---- what is refused
SELECT throws_ok(format('SELECT rlrec_experiment(''shop'', %L, %L)', arms, allocation), code, message, message)
FROM (VALUES ('{"control": 1}', NULL, '22023', 'an experiment needs at least two arms, of which one is "control"'),
	('{"a": 1, "b": 2}', NULL, '22023', 'an experiment needs at least two arms, of which one is "control"'),
	(NULL, NULL, '22023', 'an experiment needs at least two arms, of which one is "control"'),
	('[1, 2]', NULL, '22023', 'arms must be a JSON object'),
	('{"control": 1, "new": "two"}', NULL, '22023', '"new" of arms must be a number'),
	('{"control": 1, "new": [2]}', NULL, '22023', '"new" of arms must be a number'),
	('{"control": 1, "new": 1.5}', NULL, '22023', '"new" of arms must be the number of a version'),
	('{"control": 1, "new": 9}', NULL, '42704', NULL),
	('{"control": 1, "new": 2}', '{"control": 0.5}', '22023', 'allocation must give each arm a share of the users'),
	('{"control": 1, "new": 2}', '{"control": 0.5, "old": 0.5}', '22023', 'allocation must give each arm a share of the users'),
	('{"control": 1, "new": 2}', '{"control": 0.5, "new": 0.6}', '22023', 'allocation must give each arm a share of the users'),
	('{"control": 1, "new": 2}', '{"control": 0.5, "new": 0}', '22023', 'allocation must give each arm a share of the users')) v (arms, allocation, code, message);
SELECT is(rlrec_end_experiment('shop'), false, 'none is running');
SELECT is(rlrec_arm('shop', '1'), NULL, 'so nobody is in an arm');

-- ---- who is in which arm
SELECT lives_ok($$ SELECT rlrec_experiment('shop', '{"control": 1, "new": 2}', '{"control": 0.6, "new": 0.3}') $$, 'an experiment');
SELECT throws_ok($$ SELECT rlrec_experiment('shop', '{"control": 1, "new": 2}') $$, '55000', 'an experiment of agent "shop" is running', 'one at a time');
CREATE TABLE arm AS SELECT u, rlrec_arm('shop', u::text) AS arm FROM generate_series(1, 20000) u;
-- chi-square with 2 degrees of freedom: 13.8 has p = .001
SELECT cmp_ok((SELECT sum((n - expected) ^ 2 / expected)
	FROM (SELECT count(*) AS n, 20000 * CASE arm WHEN 'control' THEN 0.6 WHEN 'new' THEN 0.3 ELSE 0.1 END AS expected FROM arm GROUP BY arm) s),
	'<', 13.8, 'the arms have their shares of 20,000 users');
SELECT is((SELECT count(*) FROM arm WHERE arm IS DISTINCT FROM rlrec_arm('shop', ' ' || u || ' ')), 0::bigint, 'a user stays in his arm, however his id is written');

-- ---- what serves him
SELECT rlrec_serve(u, 1, 'shop') FROM generate_series(1, 300) u;
SELECT is((SELECT count(*) FROM rlrec.decisions d JOIN arm a ON a.u = d.user_id::int WHERE d.arm IS DISTINCT FROM a.arm), 0::bigint, 'decisions have their arm');
SELECT results_eq($$ SELECT DISTINCT arm, version FROM rlrec.decisions ORDER BY 1 $$, $$ VALUES ('control', 1), ('new', 2), (NULL, 2) $$,
	'and are made by its version, others by the deployed one');
SELECT is((SELECT count(*) FROM rlrec.decisions WHERE policy ->> 'source' <> CASE version WHEN 1 THEN 'popularity' END AND version = 1), 0::bigint, 'by its learner');
SELECT rlrec_train('shop');
SELECT rlrec_train('shop');
SELECT rlrec_train('shop');
SELECT set_eq($$ SELECT version FROM rlrec.models WHERE agent = 'shop' $$, ARRAY[1, 2, 4, 5], 'versions of a running experiment are kept');

-- ---- what they came to: served an hour ago, several times, with rewards known
UPDATE rlrec.experiment SET started_at = now() - interval '2 hours';
SELECT rlrec_attach('shop', mode => 'none');
UPDATE rlrec.subscription SET attached_at = '-infinity';
UPDATE rlrec.decision SET served_at = now() - interval '1 hour';
SELECT results_eq($$ SELECT arm, version, share, users, decisions, mean, difference FROM rlrec.experiments ORDER BY arm $$,
	$$ SELECT arm, CASE arm WHEN 'new' THEN 2 ELSE 1 END, CASE arm WHEN 'new' THEN 0.3 ELSE 0.6 END::float8, count(*), count(*), 0::float8,
		CASE arm WHEN 'new' THEN 0::float8 END FROM arm WHERE u <= 300 AND arm IS NOT NULL GROUP BY arm ORDER BY arm $$, 'ignored decisions count with 0');
SELECT is((SELECT num_nulls(lower, upper) FROM rlrec.experiments WHERE arm = 'new'), 2, 'but have no bounds while all came to the same');
UPDATE rlrec.decision SET policy = policy || '{"seeded": true}';
SELECT is((SELECT sum(decisions) FROM rlrec.experiments), 0::numeric, 'and none that was seeded');
UPDATE rlrec.decision SET policy = policy - 'seeded';
SELECT setseed(0.5);
INSERT INTO rlrec.outcome (decision, place, agent, reward, events, first_at)
SELECT id, 1, agent, 1, 1, served_at FROM rlrec.decision WHERE random() < CASE arm WHEN 'new' THEN 0.9 ELSE 0.1 END;
SELECT results_eq($$ SELECT e.arm, round(e.mean::numeric, 9) FROM rlrec.experiments e ORDER BY arm $$,
	$$ SELECT arm, round(avg(coalesce(reward, 0))::numeric, 9) FROM rlrec.decision d LEFT JOIN rlrec.outcome o ON o.decision = d.id
	WHERE arm IS NOT NULL GROUP BY arm ORDER BY arm $$, 'the means are those of the log');
SELECT is((SELECT lower > 0 AND upper < 1.2 AND abs((lower + upper) / 2 - difference) < 1e-9 FROM rlrec.experiments WHERE arm = 'new'), true, 'a difference so large is found');
SELECT is((SELECT num_nulls(difference, lower, upper) FROM rlrec.experiments WHERE arm = 'control'), 3, 'the control has none from itself');
-- by hand: each user has one decision, so that both variances are r (1 - r) / n, but for n / (n - 1) of the clusters
SELECT is((SELECT round((upper - difference)::numeric, 9) FROM rlrec.experiments WHERE arm = 'new'),
	(SELECT round(sqrt(v * 2 * (t + 1) / t * ln(1 + sqrt(t + 1) / 0.05))::numeric, 9) FROM (
		SELECT max(clustered) * sum(1 / n) AS v, sum(n) * (max(clustered) / max(independent)) * (2 * ln(40) + ln(2 * ln(40)) + 1) / 1000 AS t
		FROM (SELECT decisions::float8 AS n, mean * (1 - mean) AS independent, mean * (1 - mean) * users / (users - 1.0) AS clustered FROM rlrec.experiments) s) w),
	'the bound is that by hand');

SELECT is(rlrec_end_experiment('shop'), true, 'it is ended');
SELECT is((SELECT count(*) FROM rlrec.experiments WHERE ended_at IS NOT NULL AND decisions > 0), 2::bigint, 'what it came to is still told');
CREATE TABLE came_to AS SELECT * FROM rlrec.experiments;
SELECT rlrec_maintain('shop');
SELECT is((SELECT count(*) FROM rlrec.arm), 0::bigint, 'and is not final while its decisions may not all have matured');
UPDATE rlrec.experiment SET ended_at = now() - interval '10 min';
UPDATE came_to SET ended_at = (SELECT ended_at FROM rlrec.experiment);
SELECT rlrec_maintain('shop');
BEGIN;
DELETE FROM rlrec.decision;
SELECT set_eq('SELECT * FROM rlrec.experiments', 'SELECT * FROM came_to', 'then it is kept, whatever becomes of the decisions');
SELECT is((SELECT count(*) FROM rlrec.arms_of('shop')), 0::bigint, 'and not computed again');
ROLLBACK;
SELECT rlrec_serve(1, 1, 'shop');
SELECT is((SELECT arm IS NULL AND version = 5 FROM rlrec.decisions ORDER BY id DESC LIMIT 1), true, 'everybody is served by the deployed version again');
SELECT isnt(rlrec_experiment('shop', '{"control": 4, "new": 5}'), NULL, 'another');
SELECT cmp_ok((SELECT count(*) FROM arm WHERE arm = 'new' AND rlrec_arm('shop', u::text) = 'new'), '<', 3400::bigint, 'assigns anew');
SELECT is((SELECT rlrec_end_experiment('shop')), true, 'which ends');
SELECT isnt(rlrec_experiment('shop', '{"control": 4, "new": 5}', seed => 7), NULL, 'one with a seed');
CREATE TABLE seeded AS SELECT u, rlrec_arm('shop', u::text) AS arm FROM generate_series(1, 100) u;
SELECT rlrec_end_experiment('shop'), rlrec_experiment('shop', '{"control": 5, "new": 4}', seed => 7);
SELECT is((SELECT count(*) FROM seeded WHERE arm <> rlrec_arm('shop', u::text)), 0::bigint, 'assigns as another with the same');

CREATE ROLE experiment_stranger;
GRANT USAGE ON SEQUENCE rlrec.agent_shop TO experiment_stranger;
SET ROLE experiment_stranger;
SELECT throws_ok($$ SELECT rlrec_experiment('shop', '{"control": 4, "new": 5}') $$, '42501', 'must be owner of agent "shop"', 'who may use an agent cannot experiment');
SELECT throws_ok($$ SELECT rlrec_end_experiment('shop') $$, '42501', 'must be owner of agent "shop"', 'nor end it');
SELECT is((SELECT count(*) FROM rlrec.experiments), 0::bigint, 'nor see what it came to');
SELECT throws_ok($$ SELECT * FROM rlrec.arms_of('shop') $$, '42501', 'must be owner of agent "shop"', 'in no way');
SELECT isnt(rlrec_arm('shop', '1'), NULL, 'but who is in which arm');
RESET ROLE;
DROP OWNED BY experiment_stranger;
DROP ROLE experiment_stranger;
-- ---- shadows
SELECT is(rlrec_end_experiment('shop'), true, 'the last of them ends');
SELECT throws_ok($$ SELECT rlrec_experiment('shop', '{"control": 5}', shadows => '{4, NULL}') $$, '22004', 'shadows must not contain NULL', 'a shadow that is none');
SELECT throws_ok($$ SELECT rlrec_experiment('shop', '{"control": 5}', shadows => '{9}') $$, '42704', NULL, 'or of no version');
SELECT throws_ok($$ SELECT rlrec_experiment('shop', '{"control": 5}', shadows => '{4, 1, 4}') $$, '22023', 'version 4 is in shadows twice', 'or twice');
SELECT throws_ok($$ SELECT rlrec_experiment('shop', '{"control": 5}', shadows => '{4, 5}') $$, '22023', 'version 5 is in shadows and in an arm', 'or of an arm');
SELECT isnt(rlrec_experiment('shop', '{"control": 5}', '{"control": 0.5}', shadows => '{4, 1}'), NULL, 'one arm with two shadows');
CREATE TABLE last AS SELECT max(id) AS id FROM rlrec.decision;
SELECT rlrec_serve(u, 3, 'shop', context => '{"seed": 1}') FROM generate_series(1, 40) u;
SELECT results_eq($$ SELECT d.id, v.version FROM rlrec.decisions d CROSS JOIN (VALUES (1), (4)) v (version) WHERE d.arm IS NOT NULL AND d.id > (SELECT id FROM last) ORDER BY 1, 2 $$,
	$$ SELECT decision, version FROM rlrec.shadows ORDER BY 1, 2 $$, 'each decision in the arm has both shadows');
SELECT is((SELECT count(*) FROM rlrec.decisions WHERE id > (SELECT id FROM last)), 40::bigint, 'but is one decision');
SELECT is((SELECT count(*) FROM rlrec.decisions WHERE id > (SELECT id FROM last) AND version <> 5), 0::bigint, 'of the version that is shown');
SELECT is((SELECT count(*) FROM rlrec.shadows WHERE cardinality(items) <> 3 OR abs(probability - rlrec_slate_probability(policy, logits, slate)) > 1e-12), 0::bigint,
	'a shadow logs what it would show with its probability');
SELECT is((SELECT count(*) FROM rlrec.shadows s JOIN rlrec.decisions d ON d.id = s.decision CROSS JOIN LATERAL (SELECT array_agg(item) AS items FROM (
	SELECT item FROM rlrec_recommend(d.user_id, 50, 'shop') LIMIT 50) r) r WHERE s.version = 4 AND s.shortlist <> r.items), 0::bigint, 'as if it were the one that serves');
CREATE ROLE shadow_stranger;
GRANT USAGE ON SEQUENCE rlrec.agent_shop TO shadow_stranger;
SET ROLE shadow_stranger;
SELECT is((SELECT count(*) FROM rlrec.shadows), 0::bigint, 'only the owner sees it');
RESET ROLE;
DROP OWNED BY shadow_stranger;
DROP ROLE shadow_stranger;
SELECT rlrec_drop_agent('shop');
SELECT is((SELECT count(*) FROM rlrec.shadow), 0::bigint, 'shadows go with their agent');
SELECT is((SELECT count(*) FROM rlrec.experiment), 0::bigint, 'experiments go with their agent');

-- marginals of 10 of 20 by Thompson sampling would be too many, but nobody asks for those of a shadow
CREATE TABLE goods AS SELECT i AS item_id, 'kind ' || i % 3 AS kind FROM generate_series(0, 19) i;
SELECT rlrec_create_agent('two', 'events', items => 'goods', learner => 'popularity', options => '{"exclude_seen": false}');
SELECT rlrec_train('two');
SELECT rlrec_alter_agent('two', learner => 'lints');
SELECT rlrec_train('two', 'never');
SELECT rlrec_experiment('two', '{"control": 1}', shadows => '{2}');
SELECT is((SELECT count(*) FROM rlrec_serve(1, 10, 'two', context => '{"marginals": true}')), 10::bigint, 'shadows have no marginals');
SELECT is((SELECT policy ->> 'explore' FROM rlrec.shadows), 'thompson', 'which would be too many');
SELECT rlrec_drop_agent('two');
SELECT finish();
