-- rlrec_ope(): what a version would earn, from the decisions of another one.
SET client_min_messages = error;
SELECT plan(38);

-- Item 1 was the most popular one when version 1 was trained; item 2 is when version 2 is, which does not serve.
CREATE TABLE events (id serial PRIMARY KEY, user_id int NOT NULL, item_id int NOT NULL, at timestamptz NOT NULL);
INSERT INTO events (user_id, item_id, at) SELECT u, i, '2026-01-01' FROM generate_series(1, 60) u, generate_series(1, 6) i WHERE u % i = 0;
SELECT rlrec_create_agent('shop', 'events', learner => 'popularity', options =>
	'{"exclude_seen": false, "explore": "epsilon_greedy", "explore_epsilon": 0.6, "explore_shortlist": 6, "horizon": "1 millisecond", "versions": 9}') \g /dev/null
SELECT rlrec_train('shop') \g /dev/null
INSERT INTO events (user_id, item_id, at) SELECT u, 2, '2026-01-02' FROM generate_series(61, 200) u;
SELECT rlrec_train('shop', 'never') \g /dev/null
SELECT rlrec_attach('shop', mode => 'none') \g /dev/null
SELECT is((SELECT value FROM rlrec_ope('shop', 2)), NULL, 'without decisions there is no estimate');

-- A click comes of item 2 with probability .6, of 1 with .2, of others with .1: made of a hash, so that it is the same each time.
CREATE FUNCTION pays(decision bigint, item text, place int) RETURNS float8 LANGUAGE sql AS $$
SELECT (abs(hashint8extended(decision * 16 + place, 7) % 1000) < CASE item WHEN '2' THEN 600 WHEN '1' THEN 200 ELSE 100 END)::int
$$;
CREATE FUNCTION serve(users int, k int) RETURNS void LANGUAGE sql AS $$
INSERT INTO rlrec.outcome (decision, place, agent, reward, events, first_at)
SELECT decision_id, rank, a.id, pays(decision_id, item, rank), 1, now()
FROM generate_series(1, users) u, rlrec_serve(u, k, 'shop', context => jsonb_build_object('seed', u)), rlrec.agent a
WHERE a.name = 'shop' AND pays(decision_id, item, rank) > 0
$$;
SELECT serve(4000, 1) \g /dev/null
SELECT pg_sleep(0.05) \g /dev/null
SELECT is((SELECT value FROM rlrec_ope('shop', 2)), NULL, 'decisions with a seed of the caller tell nothing');
UPDATE rlrec.decision SET policy = policy - 'seeded';

-- A version shows its best item with probability .4 + .6 / 6 = .5, and each other with .1: version 2 earns .5 * .6 + .1 * .2 + .4 * .1 = .36,
-- version 1 earns .5 * .2 + .1 * .6 + .4 * .1 = .2.
SELECT ok(lower < truth AND truth < upper AND upper - lower < 0.1, format('%s of version %s covers what it earns: %s to %s', estimator, version, lower, upper))
FROM (VALUES (1, 0.2), (2, 0.36)) t(version, truth), unnest('{ips,snips,dr,sndr,dr_os,cascade_dr,rips}'::text[]) estimator,
	rlrec_ope('shop', version, estimator, parameter => CASE estimator WHEN 'dr_os' THEN 1e9 ELSE 10 END);
SELECT cmp_ok(abs(value - 0.36), '<', 0.02::float8, 'the direct method comes close') FROM rlrec_ope('shop', 2, 'dm');
SELECT is(value, (SELECT (rlrec_clipped_ips(reward, logged, target, 2)).value FROM rlrec_ope_log('shop', 2)), 'the log goes into any aggregate')
FROM rlrec_ope('shop', 2, 'clipped_ips', parameter => 2);
SELECT is((SELECT count(*) FROM rlrec_ope_log('shop', 2)), 4000::bigint, 'every decision counts');
SELECT is(round(avg(target / logged)::numeric, 1), 1.0, 'weights are 1 on average') FROM rlrec_ope_log('shop', 2);
SELECT is(count(*), 4000::bigint, 'the version that served has what was logged') FROM rlrec_ope_log('shop', 1) WHERE abs(logged - target) < 1e-12;
SELECT is((SELECT n FROM rlrec_ope('shop', 2, since => now() + interval '1 hour')), NULL, 'since leaves out what came before');

-- Slates of two: place 1 as before; then the best of what is left, with probability .4 + .6 / 5 = .52, and each other with .12.
DELETE FROM rlrec.decision;
DELETE FROM rlrec.outcome;
SELECT serve(4000, 2) \g /dev/null
UPDATE rlrec.decision SET policy = policy - 'seeded';
SELECT pg_sleep(0.05) \g /dev/null
CREATE FUNCTION truth() RETURNS float8 LANGUAGE sql AS $$	-- of version 2, whose order is 2, 1, 3, 4, 5, 6
SELECT sum(p1 * p2 * (w1 + w2)) FROM
	(SELECT a, CASE a WHEN 2 THEN 0.5 ELSE 0.1 END AS p1, CASE a WHEN 2 THEN 0.6 WHEN 1 THEN 0.2 ELSE 0.1 END AS w1 FROM generate_series(1, 6) a) f,
	LATERAL (SELECT CASE WHEN b = CASE WHEN a = 2 THEN 1 ELSE 2 END THEN 0.52 ELSE 0.12 END AS p2,
		CASE b WHEN 2 THEN 0.6 WHEN 1 THEN 0.2 ELSE 0.1 END AS w2 FROM generate_series(1, 6) b WHERE b <> a) s
$$;
SELECT ok(lower < truth() AND truth() < upper, format('%s of slates covers the truth, %s: %s to %s', estimator, truth(), lower, upper))
FROM unnest('{ips,rips,cascade_dr}'::text[]) estimator, rlrec_ope('shop', 2, estimator);

-- Where time is told in days or seconds, the click that answered a decision seems to lie before it; it must not tell of it.
CREATE FUNCTION target_with_click(type text, clicked text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	before float8;
BEGIN
	EXECUTE format('CREATE TABLE coarse (user_id int, item_id int, at %s)', type);
	EXECUTE format('INSERT INTO coarse SELECT u, (u * 7 + e * e) %% 20, %s FROM generate_series(1, 30) u, generate_series(1, 10) e',
		CASE type WHEN 'bigint' THEN '1700000000 + e' ELSE 'date ''2023-12-01'' + e' END);
	PERFORM rlrec_create_agent('coarse', 'coarse', learner => 'itemknn',
		options => '{"horizon": "1 millisecond", "exclude_seen": false, "explore": "softmax", "explore_temperature": 0.1}');
	PERFORM rlrec_train('coarse');
	PERFORM rlrec_attach('coarse', mode => 'none');
	UPDATE rlrec.subscription SET attached_at = '-infinity';
	PERFORM rlrec_serve(1, 1, 'coarse');
	UPDATE rlrec.decision d SET served_at = '2024-03-01 15:00:00.4' FROM rlrec.agent a WHERE a.id = d.agent AND a.name = 'coarse';
	before := (SELECT target FROM rlrec_ope_log('coarse', 1, '-infinity'));
	EXECUTE format('INSERT INTO coarse SELECT 1, shortlist[slate[1]]::int, %L FROM rlrec.decisions WHERE agent = %L', clicked, 'coarse');
	RETURN before = (SELECT target FROM rlrec_ope_log('coarse', 1, '-infinity'));
END $$;
CREATE FUNCTION no_leak(type text, clicked text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	same boolean := target_with_click(type, clicked);
BEGIN
	PERFORM rlrec_drop_agent('coarse');
	DROP TABLE coarse;
	RETURN is(same, true, format('a click after the decision does not enter the history before it, of type %s', type));
END $$;
SELECT no_leak(type, clicked) FROM (VALUES ('date', '2024-03-01'), ('timestamptz(0)', '2024-03-01 15:00:00'), ('timestamp(0)', '2024-03-01 15:00:00'),
	('bigint', extract(epoch FROM timestamptz '2024-03-01 15:00:00')::bigint::text)) t (type, clicked);

-- What cannot be told
SELECT throws_ok($$SELECT rlrec_ope('shop', 2, 'best')$$, '22023', 'unknown estimator "best"', 'an unknown estimator is an error');
DELETE FROM rlrec.decision;
DELETE FROM rlrec.outcome;
SELECT rlrec_alter_agent('shop', options => '{"explore": "none"}') \g /dev/null
SELECT serve(10, 1) \g /dev/null
UPDATE rlrec.decision SET policy = policy - 'seeded';
SELECT pg_sleep(0.05) \g /dev/null
SELECT throws_ok($$SELECT rlrec_ope('shop', 2)$$, '55000', 'nothing was explored in the decisions of agent "shop"', 'decisions without exploration tell nothing');
SELECT serve(10, 6) \g /dev/null
UPDATE rlrec.decision SET policy = policy - 'seeded';
SELECT pg_sleep(0.05) \g /dev/null
SELECT throws_ok($$SELECT rlrec_ope('shop', 2)$$, '55000', 'nothing was explored in the decisions of agent "shop"', 'nor does a certain order of all items');
CREATE ROLE ope_reader;
GRANT USAGE ON SEQUENCE rlrec.agent_shop TO ope_reader;
SET ROLE ope_reader;
SELECT throws_ok($$SELECT rlrec_ope('shop', 2)$$, '42501', 'must be owner of agent "shop"', 'only for the owner');
RESET ROLE;
DROP OWNED BY ope_reader;
DROP ROLE ope_reader;

-- Of a slate of 400 the probability is some 1 / 400!, which is no float8; the ratio of two of them is.
CREATE TABLE many AS SELECT u AS user_id, 1 + (u * e) % 400 AS item_id, '2026-01-01'::timestamptz AS at FROM generate_series(1, 40) u, generate_series(1, 400) e
	WHERE (u * e) % 7 < 3;
INSERT INTO many SELECT 0, i, '2026-01-01' FROM generate_series(1, 400) i;
SELECT rlrec_create_agent('long', 'many', learner => 'popularity',
	options => '{"exclude_seen": false, "explore": "epsilon_greedy", "explore_epsilon": 0.5, "explore_shortlist": 400, "horizon": "1 millisecond"}') \g /dev/null
SELECT rlrec_train('long') \g /dev/null
INSERT INTO many SELECT 0, i, '2026-01-02' FROM generate_series(1, 200) i, generate_series(1, 9);
SELECT rlrec_train('long', 'never') \g /dev/null
SELECT rlrec_attach('long', mode => 'none') \g /dev/null
DELETE FROM rlrec.decision;
SELECT rlrec_serve(u, 400, 'long') FROM generate_series(1, 40) u \g /dev/null
INSERT INTO rlrec.outcome (decision, place, agent, reward, events, first_at) SELECT id, 1 + id * 10 % 400, agent, 1, 1, now() FROM rlrec.decision;
SELECT pg_sleep(0.05) \g /dev/null
SELECT is((SELECT count(*) FROM rlrec.decision WHERE probability > 0), 0::bigint, 'a long slate has no probability');
SELECT is((SELECT count(*) FROM rlrec.decisions WHERE rlrec_slate_propensities(policy, logits, slate) = propensity), 40::bigint, 'each place has one');
SELECT is(count(*), 40::bigint, 'the version that served has what was logged, of long slates too') FROM rlrec_ope_log('long', 1) WHERE logged > 0 AND abs(target / logged - 1) < 1e-12;
SELECT is(count(*), 40::bigint, 'and another the product of the weights of the places') FROM (
	SELECT min(logged) AS logged, min(target) AS target, (rlrec_slate_ips(rewards, logged_places, target_places)).max_weight
	FROM rlrec_ope_log('long', 2) GROUP BY decision_id) l WHERE logged > 0 AND target > 0 AND abs(target / logged / max_weight - 1) < 1e-12;
SELECT is((SELECT round(gain::numeric, 9) FROM rlrec_gain('long', 1)), 0.0, 'nor does the version that served gain anything over itself');

SELECT * FROM finish();
