-- What is deployed if it is better, once decisions have matured: a simulated log of users who like items of one kind or the other.
SET client_min_messages = warning;
SELECT no_plan();

-- 300 users, of whom the even ones like even items and the odd ones odd items, with three events each that say so.
CREATE TABLE events (user_id int, item_id int, at timestamptz);
INSERT INTO events SELECT u, (u % 2 + 2 * (u / 2 + 3 * e)) % 12, now() - interval '1 day' + e * interval '1 minute'
FROM generate_series(1, 300) u, generate_series(0, 2) e;

SELECT rlrec_create_agent('shop', 'events', learner => 'popularity',
	options => '{"horizon": "1 s", "exclude_seen": false, "explore": "epsilon_greedy", "explore_epsilon": 0.6, "explore_shortlist": 12, "versions": 9}');
SELECT lives_ok($$ SELECT rlrec_train('shop', deploy => 'if_better') $$, 'a first version is better than none');

SELECT rlrec_attach('shop', mode => 'none');
UPDATE rlrec.subscription SET attached_at = '-infinity';
CREATE FUNCTION learn_from(events regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_detach('shop'), rlrec_alter_agent('shop', events => events), rlrec_attach('shop', mode => 'none');
	UPDATE rlrec.subscription SET attached_at = '-infinity';
END $$;

-- The log: each user is served n times, k items, and clicks those of his kind six times out of ten, others once; a second between decisions.
-- Seeds make it the same each time; then it forgets them, as what was seeded is no evidence.
CREATE FUNCTION serve(n int, k int, seed float8) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	first bigint := coalesce((SELECT max(id) FROM rlrec.decision), 0);
BEGIN
	PERFORM setseed(seed);
	PERFORM rlrec_serve(u, k, 'shop', context => jsonb_build_object('seed', 1000 * i + u)) FROM generate_series(1, n) i, generate_series(1, 300) u;
	UPDATE rlrec.decision SET served_at = now() - interval '10 hours' + id * interval '1 s', policy = policy - 'seeded';
	INSERT INTO rlrec.outcome (decision, place, agent, reward, events, first_at)
	SELECT d.id, s.place, d.agent, 1, 1, d.served_at
	FROM rlrec.decision d CROSS JOIN unnest(d.slate) WITH ORDINALITY s (choice, place)
	WHERE d.id > first AND random() < CASE WHEN (d.shortlist[s.choice]::int - d.user_id::int) % 2 = 0 THEN 0.6 ELSE 0.1 END;
END $$;
SELECT serve(20, 1, 0.1);
SELECT is((SELECT count(*) FROM rlrec.decisions), 6000::bigint, 'there is a log');
-- as if it had been trained before
UPDATE rlrec.model SET created_at = now() - interval '11 hours';
UPDATE rlrec.deployment SET deployed_at = now() - interval '11 hours';

-- What the gate makes of each decision of the version itself is what was logged.
SELECT results_eq($$ SELECT decisions, users, round(gain::numeric, 9), lower BETWEEN -0.05 AND -0.001, round(support::numeric, 9) FROM rlrec_gain('shop', 1) $$,
	$$ VALUES (6000::bigint, 300::bigint, 0.0, true, 1.0) $$, 'a version has no gain over itself, decision by decision');
SELECT is((SELECT round(mean::numeric, 9) FROM rlrec_gain('shop', 1)), (SELECT round(sum(reward)::numeric / 6000, 9) FROM rlrec.outcome), 'the mean is that of the log');

-- Memory for some of them: the newest count.
SET maintenance_work_mem = '1MB';
CREATE TABLE part AS SELECT decisions, mean FROM rlrec_gain('shop', 1);
RESET maintenance_work_mem;
SELECT is((SELECT decisions BETWEEN 500 AND 5000 FROM part), true, 'no more decisions are read than maintenance_work_mem holds');
SELECT is((SELECT round(avg(coalesce(o.reward, 0))::numeric, 9) FROM (SELECT id FROM rlrec.decision ORDER BY served_at DESC LIMIT (SELECT decisions FROM part)) d
	LEFT JOIN rlrec.outcome o ON o.decision = d.id), (SELECT round(mean::numeric, 9) FROM part), 'which are the newest');

UPDATE rlrec.decision SET policy = policy || '{"seeded": true}' WHERE user_id = '1';
SELECT is((SELECT decisions FROM rlrec_gain('shop', 1)), 5980::bigint, 'what was seeded does not count');
UPDATE rlrec.decision SET policy = policy - 'seeded';

-- The same estimate in SQL: version 2 shows item 5 first, to everybody. How much is explored now does not matter, how does.
CREATE TABLE fad AS SELECT * FROM events UNION ALL SELECT u, 5, now() - interval '1 day' FROM generate_series(301, 400) u;
SELECT learn_from('fad');
SELECT rlrec_train('shop', deploy => 'never');
SELECT learn_from('events');
SELECT rlrec_alter_agent('shop', options => '{"explore_epsilon": 0.1, "explore_shortlist": 5}');
UPDATE rlrec.model SET created_at = now() - interval '11 hours';
SELECT results_eq($$ SELECT decisions, round(gain::numeric, 9), lower < 0 FROM rlrec_gain('shop', 1) $$, $$ VALUES (6000::bigint, 0.0, true) $$,
	'to explore less is no gain of a version');
CREATE TABLE value AS SELECT user_id, reward * ((CASE item WHEN '5' THEN 0.4 ELSE 0 END + 0.6 / 12) / probability - 1) AS value
FROM (SELECT user_id, shortlist[slate[1]] AS item, probability, coalesce(o.reward, 0) AS reward FROM rlrec.decision d LEFT JOIN rlrec.outcome o ON o.decision = d.id) l;
SELECT is((SELECT round(gain::numeric, 9) FROM rlrec_gain('shop', 2)), (SELECT round(avg(value)::numeric, 9) FROM value), 'the gain of another version is what SQL says');
-- one more user, with 20 decisions as the others have, all of which lose the click that they might have had
INSERT INTO value SELECT 'unlucky', -1 FROM generate_series(1, 20);
SELECT is((SELECT round(lower::numeric, 9) FROM rlrec_gain('shop', 2)),
	(SELECT round((mean - sqrt(v * 2 * (t + 1) / t * ln(1 + sqrt(t + 1) / 0.1)))::numeric, 9) FROM (
		SELECT mean, greatest(clustered, independent) AS v, n * greatest(clustered, independent) / independent * (2 * ln(20) + ln(2 * ln(20)) + 1) / 1000 AS t
		FROM (SELECT avg(mean) AS mean, sum(n) AS n, sum(square) / sum(n) ^ 2 AS independent, sum(residual ^ 2) * count(*) / (count(*) - 1) / sum(n) ^ 2 AS clustered
			FROM (SELECT user_id, avg(mean) AS mean, count(*)::float8 AS n, sum(value - mean) AS residual, sum((value - mean) ^ 2) AS square
				FROM value, (SELECT avg(value) AS mean FROM value) m GROUP BY user_id) u) s) w),
	'and so is the bound, which reckons with one more user who loses all');
SELECT rlrec_alter_agent('shop', options => '{"explore": "softmax", "explore_shortlist": 12}');
SELECT results_eq($$ SELECT decisions, gain, lower FROM rlrec_gain('shop', 2) $$, $$ VALUES (0::bigint, NULL::float8, NULL::float8) $$,
	'decisions of another strategy do not count');
SELECT rlrec_alter_agent('shop', options => '{"explore": "epsilon_greedy"}');

-- A better learner, one that is not, and one that learned the opposite.
SELECT is((SELECT deployed FROM rlrec_train('shop', deploy => 'if_better')), false, 'the same learner, with what else it knows, is not surely better');
SELECT rlrec_alter_agent('shop', learner => 'itemknn');
CREATE TABLE lies AS SELECT user_id, (item_id + 1) % 12 AS item_id, at FROM events;
SELECT learn_from('lies');
SELECT is((SELECT deployed FROM rlrec_train('shop', deploy => 'if_better')), false, 'a deliberately bad version is refused');
SELECT is((SELECT version FROM rlrec.models WHERE agent = 'shop' AND deployed), 1, 'and the first serves on');
UPDATE rlrec.model SET created_at = now() - interval '11 hours';
SELECT cmp_ok((SELECT gain FROM rlrec_gain('shop', 4)), '<', -0.05::float8, 'its gain is a loss');
SELECT learn_from('events');
SELECT is((SELECT deployed FROM rlrec_train('shop', deploy => 'if_better')), true, 'a better one is deployed');
SELECT is((SELECT version FROM rlrec.models WHERE agent = 'shop' AND deployed), 5, 'and serves');
SELECT is((SELECT deployed FROM rlrec_train('shop', deploy => 'if_better')), false, 'another waits until the log tells of that one');

-- Slates, of a version that knows each user: what is shown below counts by what is above it.
SELECT serve(4, 3, 0.2);
UPDATE rlrec.model SET created_at = now() - interval '11 hours';
SELECT results_eq($$ SELECT decisions, round(gain::numeric, 9), round(support::numeric, 9) FROM rlrec_gain('shop', 5) $$,
	$$ VALUES (1200::bigint, 0.0, 1.0) $$, 'nor has one that knows its users a gain over itself');
SELECT rlrec_alter_agent('shop', options => '{"explore_epsilon": 0.3}');
-- version 2 ranks item 5 before all others, which were as popular as each other, by their bytes
CREATE FUNCTION gain_of_fad(baseline float8) RETURNS numeric LANGUAGE sql AS $$
SELECT round(avg(gain)::numeric, 9) FROM (
	SELECT sum((coalesce(o.reward, 0) - baseline) * (CASE WHEN w.unknown THEN 0 ELSE least(exp(w.log_weight), 1000) END - 1)) AS gain
	FROM rlrec.decision d CROSS JOIN LATERAL (
		SELECT place, sum(ln(p / d.propensity[place])) OVER (ORDER BY place) AS log_weight,
			bool_or(d.shortlist[d.slate[place]] = 'unknown') OVER (ORDER BY place) AS unknown
		FROM unnest(rlrec_slate_propensities('{"explore": "epsilon_greedy", "explore_epsilon": 0.1}',
			ARRAY(SELECT (CASE WHEN i IN ('5', 'unknown') THEN 99 ELSE 0 END - (SELECT count(*) FROM unnest(d.shortlist) b WHERE b COLLATE "C" < i COLLATE "C"))::real
				FROM unnest(d.shortlist) WITH ORDINALITY u (i, n) ORDER BY n), d.slate)) WITH ORDINALITY u (p, place)) w
	LEFT JOIN rlrec.outcome o ON o.decision = d.id AND o.place = w.place
	WHERE d.id > 6000 GROUP BY d.id) s
$$;
SELECT is((SELECT round(gain::numeric, 9) FROM rlrec_gain('shop', 2)), gain_of_fad(0), 'the gain of a slate is that of its places, each by all above it');

-- Where every decision costs something, to show what nobody knows is no gain.
UPDATE rlrec.outcome SET reward = -1;
SELECT is((SELECT lower < 0 FROM rlrec_gain('shop', 4)), true, 'what the log cannot tell of counts as no better than the least');
SELECT is((SELECT round(gain::numeric, 9) FROM rlrec_gain('shop', 2)), gain_of_fad(-1), 'at each place');

BEGIN;
SELECT pg_sleep(0.1);
SELECT rlrec_train('shop', 'never');
SELECT cmp_ok((SELECT max(created_at) FROM rlrec.models), '>=', now() + interval '0.1 s', 'a version is as old as the end of its training, in a long transaction too');
COMMIT;
SELECT throws_ok($$ SELECT rlrec_gain('shop', 99) $$, '42704', NULL, 'a version that is none');
CREATE ROLE gate_stranger;
GRANT USAGE ON SEQUENCE rlrec.agent_shop TO gate_stranger;
SET ROLE gate_stranger;
SELECT throws_ok($$ SELECT rlrec_gain('shop', 1) $$, '42501', 'must be owner of agent "shop"', 'who may use an agent cannot see what it would earn');
RESET ROLE;
DROP OWNED BY gate_stranger;
DROP ROLE gate_stranger;
SELECT * FROM finish();
