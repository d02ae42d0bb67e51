-- rlrec_serve(): what is drawn, with what probability, and what is logged of it.
SET client_min_messages = warning;
SELECT no_plan();

-- 40 users and 30 items of which the first ones are popular.
CREATE TABLE items (id int PRIMARY KEY, title text, in_stock boolean);
INSERT INTO items SELECT i, 'thing ' || i % 7, i % 3 > 0 FROM generate_series(1, 30) i;
CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int REFERENCES items, at timestamptz);
INSERT INTO events (user_id, item_id, at)
SELECT u, 1 + floor(30 * ((hashint8extended(u * 100 + n, 1) & 65535) / 65536.0) ^ 1.7)::int, timestamptz '2025-01-01' + (n * 100 + u) * interval '1 minute'
FROM generate_series(1, 40) u, generate_series(1, 12) n;
CREATE INDEX ON events (user_id, at);
ANALYZE;

-- ---------------------------------------------------------------- without exploration
SELECT FROM rlrec_create_agent('shop', 'events', items => 'items', learner => 'itemknn');
SELECT throws_ok('SELECT * FROM rlrec_serve(7, 5)', '55000', NULL, 'an agent that was not trained cannot serve');
SELECT FROM rlrec_train('shop');
SELECT results_eq('SELECT rank, item, score, source FROM rlrec_serve(7, 5)', 'SELECT * FROM rlrec_recommend(7, 5)', 'it shows what is recommended');
SELECT is((SELECT count(*) FROM rlrec.decision), 1::bigint, 'and logs one decision');
SELECT results_eq('SELECT agent COLLATE "default", version, arm, user_id, role, items, propensity, probability, marginal, uncertainty FROM rlrec.decisions',
	$$ SELECT 'shop', 1, NULL, '7', current_user::regrole, array_agg(item ORDER BY rank), array_fill(1::float8, '{5}'), 1::float8, NULL::float8[], NULL::real[]
		FROM rlrec_recommend(7, 5) $$, 'as the view shows it');
SELECT results_eq('SELECT shortlist, logits FROM rlrec.decisions',
	'SELECT array_agg(item ORDER BY rank), array_agg(score ORDER BY rank) FROM rlrec_recommend(7, 50)', 'the shortlist is the 50 best, with their scores');
SELECT is((SELECT policy - 'seed' FROM rlrec.decisions), '{"explore": "none", "source": "itemknn"}', 'the policy says how it was drawn');
SELECT is((SELECT array_agg(DISTINCT propensity) FROM rlrec_serve(7, 5)), '{1}'::float8[], 'and of what is sure the propensity is 1');
SELECT is((SELECT array_agg(rank) FROM rlrec_serve('7', 2)), '{1,2}', 'a literal is an id');
PREPARE serve AS SELECT count(*) FROM rlrec_serve($1);
SELECT is((SELECT count(DISTINCT decision_id) FROM rlrec_serve(7, 3)), 1::bigint, 'all rows of a call are of one decision');
SELECT is((SELECT count(*) FROM rlrec.decision d JOIN rlrec_serve(8, 3) s ON d.id = s.decision_id), 0::bigint, 'a statement does not see its own decision');
SELECT is((SELECT array_agg(user_id) FROM rlrec.decision WHERE id = (SELECT max(id) FROM rlrec.decision)), '{8}', 'the next one does');

-- ---------------------------------------------------------------- transactions
CREATE TABLE before AS SELECT count(*) AS n FROM rlrec.decision;
BEGIN;
SELECT FROM rlrec_serve(7);
ROLLBACK;
SELECT is((SELECT count(*) FROM rlrec.decision), (SELECT n FROM before), 'a decision that is rolled back was not made');
BEGIN READ ONLY;
SELECT is((SELECT array_agg(decision_id) FROM rlrec_serve(7, 3)), '{NULL,NULL,NULL}'::bigint[], 'a read-only transaction has no decision_id');
COMMIT;
SELECT is((SELECT count(*) FROM rlrec.decision), (SELECT n FROM before), 'and logs nothing');
BEGIN;
INSERT INTO events (user_id, item_id, at) VALUES (7, 1, '2025-02-01');
SELECT FROM rlrec_serve(7);
SELECT is((SELECT pg_visible_in_snapshot(pg_current_xact_id(), seen) FROM rlrec.decision ORDER BY id DESC LIMIT 1), false,
	'the watermark leaves out transactions that are not committed');
ROLLBACK;
SELECT FROM rlrec_serve(7);
SELECT is((SELECT bool_and(pg_visible_in_snapshot(e.xmin::text::xid8, d.seen)) FROM events e,
	(SELECT seen FROM rlrec.decision ORDER BY id DESC LIMIT 1) d), true, 'and has those that are');

-- ---------------------------------------------------------------- every strategy
CREATE TABLE strategy (name text PRIMARY KEY, explore text, options jsonb);
INSERT INTO strategy VALUES ('none', 'none', '{}'), ('epsilon_greedy', 'epsilon_greedy', '{"explore_epsilon": 0.3}'),
	('softmax', 'softmax', '{"explore_temperature": 0.3}'), ('ucb', 'ucb', '{}'), ('mixed_ucb', 'ucb', '{"explore_floor": 0.02}'),
	('thompson', 'thompson', '{"explore_draws": 20}'), ('mixed_thompson', 'thompson', '{"explore_floor": 0.01, "explore_draws": 20}'),
	('squarecb', 'squarecb', '{"explore_gamma": 20}'), ('diverse', 'epsilon_greedy', '{"explore_epsilon": 0.15, "diversity": 0.7}');
SELECT FROM strategy, rlrec_create_agent(name, 'events', items => 'items', learner => 'itemknn',
	options => options || jsonb_build_object('explore', explore, 'explore_shortlist', 8));
SELECT FROM strategy, rlrec_train(name);
CREATE TABLE shown AS SELECT name, u, s.* FROM strategy, generate_series(1, 41) u, rlrec_serve(u, 5, name) s;
SELECT is(count(*), 205::bigint, name || ': rows') FROM shown GROUP BY name;
SELECT results_eq(format('SELECT item, propensity FROM shown WHERE name = %L ORDER BY decision_id, rank', name),
	format('SELECT i, p FROM rlrec.decisions d, unnest(items, propensity) WITH ORDINALITY AS r (i, p, rank) WHERE agent = %L ORDER BY id, rank', name),
	name || ': what is returned is what is logged') FROM strategy;
SELECT is((SELECT count(*) FROM rlrec.decisions WHERE agent = name
		AND (propensity IS DISTINCT FROM rlrec_slate_propensities(policy, logits, slate, uncertainty)
			OR probability IS DISTINCT FROM rlrec_slate_probability(policy, logits, slate, uncertainty) OR NOT probability > 0)), 0::bigint,
	name || ': probabilities computed again from the log are the same to the bit') FROM strategy;
SELECT is((SELECT count(*) FROM rlrec.decisions WHERE agent = name AND cardinality(shortlist) = 8 AND cardinality(logits) = 8
	AND items <@ shortlist AND (uncertainty IS NOT NULL) = (explore IN ('ucb', 'thompson'))), 41::bigint, name || ': shortlists of 8') FROM strategy;
SELECT is((SELECT bool_and(propensity = 1) FROM shown WHERE name = s.name), s.name IN ('none', 'ucb'), name || ': sure or not') FROM strategy s;
SELECT is((SELECT min(propensity) > 0.02 - 1e-15 FROM shown WHERE name = 'mixed_ucb'), true, 'a floor is the least propensity');
SELECT is((SELECT array_agg(DISTINCT policy - '{seed,source}'::text[]) FROM rlrec.decisions WHERE agent = 'mixed_thompson'),
	ARRAY['{"explore": "thompson", "explore_draws": 20, "explore_floor": 0.01}'::jsonb], 'the parameters in force are logged');
SELECT is((SELECT bool_and(policy->'reranked' = 'true') FROM rlrec.decisions WHERE agent = 'diverse'), true, 'so is that the order is not that of scores');
SELECT is((SELECT bool_and(shortlist = (SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend(user_id::int, 8, 'diverse'))) FROM rlrec.decisions WHERE agent = 'diverse'),
	true, 're-ranking comes before exploration');
SELECT is((SELECT array_agg(DISTINCT policy->>'source') FROM rlrec.decisions WHERE agent = 'softmax' AND user_id = '41'), '{popularity}', 'a user never seen is shown what is popular');

-- Frequencies of 3,000 draws with seeds: each of the 12 slates of 2 of 4; the 99.9th percentile of chi-square of 11 degrees of freedom is 31.26.
CREATE FUNCTION chi_square(agent text) RETURNS float8 LANGUAGE sql AS $$
	SELECT sum((coalesce(n, 0) - 3000 * p) ^ 2 / (3000 * p))
	FROM (SELECT policy, logits, uncertainty FROM rlrec.decisions d WHERE d.agent = $1 ORDER BY id DESC LIMIT 1) d,
		generate_series(1, 4) a, generate_series(1, 4) b, rlrec_slate_probability(policy, logits, ARRAY[a, b], uncertainty) p
		LEFT JOIN LATERAL (SELECT count(*) AS n FROM rlrec.decisions d WHERE d.agent = $1 AND slate = ARRAY[a, b]) t ON true
	WHERE a <> b $$;
UPDATE strategy SET options = '{"explore_epsilon": 0.6}' WHERE name = 'epsilon_greedy';
SELECT FROM strategy, rlrec_alter_agent(name, '{"explore_shortlist": 4}' || options);
DELETE FROM rlrec.decision;
SELECT FROM unnest('{epsilon_greedy,softmax,squarecb}'::text[]) name, generate_series(1, 3000) n, rlrec_serve(3, 2, name, context => jsonb_build_object('seed', n)) \g /dev/null
SELECT cmp_ok(chi_square(name), '<', 31.26::float8, name || ': frequencies of slates') FROM unnest('{epsilon_greedy,softmax,squarecb}'::text[]) name;

-- Thompson's votes are of the seed, so frequencies are those of many votes: each decision's own probabilities add up to the counts.
DELETE FROM rlrec.decision;
SELECT FROM generate_series(1, 2000) n, rlrec_serve(3, 1, 'thompson', context => jsonb_build_object('seed', n)) \g /dev/null
SELECT cmp_ok(abs((SELECT sum((slate[1] = i)::int - p) / sqrt(sum(p * (1 - p))) FROM rlrec.decision, rlrec_slate_probability(policy, logits, ARRAY[i], uncertainty) p)),
	'<', 3.9::float8, 'thompson: item ' || i || ' as often as its votes say') FROM generate_series(1, 3) i;

-- ---------------------------------------------------------------- seeds
SELECT results_eq($$ SELECT rank, item, propensity FROM rlrec_serve(5, 4, 'softmax', context => '{"seed": 11}') $$,
	$$ SELECT rank, item, propensity FROM rlrec_serve(5, 4, 'softmax', context => '{"seed": 11}') $$, 'a seed repeats the draw');
SELECT is((SELECT policy->'seeded' FROM rlrec.decision ORDER BY id DESC LIMIT 1), 'true', 'and the log tells of it');
CREATE TABLE drawn AS SELECT n, s.* FROM generate_series(1, 30) n, rlrec_serve(5 + 0 * n, 4, 'softmax') s;
SELECT cmp_ok((SELECT count(DISTINCT items) FROM (SELECT array_agg(item ORDER BY rank) AS items FROM drawn GROUP BY n) t), '>', 3::bigint, 'without one it differs');
SELECT results_eq('SELECT item FROM drawn WHERE n = 1 ORDER BY rank', format('SELECT item FROM rlrec_serve(5, 4, %L, context => %L)', 'softmax',
	(SELECT jsonb_build_object('seed', policy->'seed') FROM rlrec.decision WHERE id = (SELECT min(decision_id) FROM drawn))), 'the seed that is logged repeats it, too');

-- ---------------------------------------------------------------- marginals
CREATE FUNCTION marginal(d rlrec.decisions, r int) RETURNS float8 LANGUAGE sql AS $$
	SELECT sum(p) FROM generate_series(1, 4) a, generate_series(1, 4) b, generate_series(1, 4) c, rlrec_slate_probability(d.policy, d.logits, ARRAY[a, b, c], d.uncertainty) p
	WHERE (ARRAY[a, b, c])[r] = d.slate[r] $$;
DELETE FROM rlrec.decision;
SELECT FROM strategy, generate_series(1, 4) u, rlrec_serve(u, 3, name, context => '{"marginals": true}') \g /dev/null
SELECT cmp_ok((SELECT max(abs(marginal[r] - marginal(d, r))) FROM rlrec.decisions d, generate_series(1, 3) r WHERE agent = name), '<', 1e-12::float8,
	name || ': marginals are sums over all slates') FROM strategy;
SELECT is((SELECT bool_and(abs(marginal[1] - propensity[1]) < 1e-12) FROM rlrec.decision), true, 'which of the first position is the propensity');
SELECT FROM rlrec_alter_agent('softmax', '{"explore_shortlist": null}');
SELECT throws_ok($$ SELECT * FROM rlrec_serve(41, 10, 'softmax', context => '{"marginals": true}') $$, '54000', 'marginals of so many slates cannot be computed', 'too many slates');
SELECT FROM rlrec_serve(41, 10, 'diverse', context => '{"marginals": true}');
SELECT is((SELECT cardinality(marginal) FROM rlrec.decision ORDER BY id DESC LIMIT 1), 10, 'unless the policy is greedy');
SELECT is((SELECT sum((propensity > 0)::int) FROM rlrec_serve(41, 10, 'softmax')), 10::bigint, 'nor does the draw mind');

-- ---------------------------------------------------------------- which items
SELECT is((SELECT count(*) FROM rlrec_serve(41, 20, 'squarecb')), 20::bigint, 'k above the shortlist widens it');
SELECT is((SELECT cardinality(shortlist) FROM rlrec.decision ORDER BY id DESC LIMIT 1), 20, 'to k');
SELECT is((SELECT count(*) FROM rlrec_serve(41, 100, 'squarecb')), 30::bigint, 'and to no more than there are');
CREATE TABLE decisions AS SELECT count(*) AS n FROM rlrec.decision;
SELECT is_empty($$ SELECT * FROM rlrec_serve(41, 10, 'squarecb', candidates => '{}') $$, 'no candidates, no rows');
SELECT is((SELECT count(*) FROM rlrec.decision), (SELECT n FROM decisions), 'and no decision');
SELECT bag_eq($$ SELECT item FROM rlrec_serve(41, 10, 'softmax', candidates => '{3,5,8,13}', exclude => '{5}') $$, '{3,8,13}'::text[], 'candidates and exclude');
SELECT is_empty($$ SELECT item FROM rlrec_serve(3, 30, 'softmax') INTERSECT SELECT item_id::text FROM events WHERE user_id = 3 $$, 'nothing that the user has had');
SELECT is((SELECT count(*) FROM rlrec_serve(3, 30, 'softmax', context => '{"exclude_seen": false}')), 30::bigint, 'unless the context says so');
INSERT INTO items VALUES (99, 'new', true);
SELECT FROM rlrec_alter_agent('ucb', '{"explore_width": 3}');
SELECT is((SELECT item FROM rlrec_serve(41, 1, 'ucb', candidates => '{3,5,8,99}')), '99', 'of an item that nobody had, ucb is the least certain');
SELECT is((SELECT logits[4] FROM rlrec.decision ORDER BY id DESC LIMIT 1), '-Infinity', 'though its score is -Infinity');
SELECT is((SELECT count(*) FROM rlrec_serve(41, 4, name, candidates => '{3,5,8,99}')), 4::bigint, name || ': it can be shown') FROM strategy;
SELECT is((SELECT count(*) FROM rlrec_serve(41, 4, name, candidates => '{101,102}')), 2::bigint, name || ': where there is nothing else, too') FROM strategy;

-- ---------------------------------------------------------------- a falling epsilon
SELECT FROM rlrec_alter_agent('epsilon_greedy', '{"explore_epsilon": 0.4, "explore_half_life": "10 days", "explore_epsilon_min": 0.05}');
SELECT is((SELECT metrics FROM rlrec_train('epsilon_greedy')) IS NULL, false, 'trained anew');
CREATE FUNCTION epsilon_after(age interval) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
	UPDATE rlrec.model SET created_at = now() - age WHERE id = (SELECT deployed FROM rlrec.agent WHERE name = 'epsilon_greedy');
	PERFORM rlrec_serve(3, 1, 'epsilon_greedy');
	RETURN (SELECT policy->>'explore_epsilon' FROM rlrec.decision ORDER BY id DESC LIMIT 1);
END $$;
SELECT ok(abs(epsilon_after('0') - 0.4) < 1e-6, 'explore_epsilon of a new version');
SELECT ok(abs(epsilon_after('10 days') - 0.2) < 1e-6, 'half of it after the half-life');
SELECT ok(abs(epsilon_after('20 days') - 0.1) < 1e-6, 'a quarter after two');
SELECT is(epsilon_after('1000 days'), 0.05::float8, 'and never less than explore_epsilon_min');
SELECT is((SELECT bool_and(propensity = rlrec_slate_propensities(policy, logits, slate)) FROM rlrec.decisions WHERE agent = 'epsilon_greedy'), true,
	'what was in force is what is computed with');

-- ---------------------------------------------------------------- what is not accepted
SELECT throws_ok(format('SELECT rlrec_alter_agent(''softmax'', %L)', options), '22023', message, options) FROM (VALUES
	('{"explore": "often"}', 'invalid value of "explore" in options'),
	('{"explore_epsilon": 1.1}', 'invalid value of "explore_epsilon" in options'),
	('{"explore_floor": -0.1}', 'invalid value of "explore_floor" in options'),
	('{"explore_shortlist": 1001}', 'invalid value of "explore_shortlist" in options'),
	('{"explore_temperature": 0}', 'invalid value of "explore_temperature" in options'),
	('{"explore_draws": 1.5}', 'invalid value of "explore_draws" in options'),
	('{"explore_gamma": "much"}', 'invalid value of "explore_gamma" in options'),
	('{"explore_half_life": true}', 'invalid value of "explore_half_life" in options'),
	('{"explore_often": true}', 'unknown key "explore_often" in options'),
	('{"decision_retention": "-1 day"}', 'invalid value of "decision_retention" in options')) o (options, message);
SELECT throws_ok('SELECT * FROM rlrec_serve(' || arguments || ')', state, message, arguments) FROM (VALUES
	('3, 0, ''softmax''', '22023', 'k must be positive, not 0'),
	('3, 1001, ''softmax''', '22023', 'k must be at most 1000, not 1001'),
	('NULL, 3, ''softmax''', '22004', 'user_id must not be NULL'),
	('''x'', 3, ''softmax''', '22P02', 'invalid input syntax for type integer: "x"'),
	('3, 3, ''nobody''', '42704', 'agent "nobody" does not exist'),
	('3, 3, ''softmax'', context => ''{"seeds": 1}''', '22023', 'unknown key "seeds" in context'),
	('3, 3, ''softmax'', context => ''{"seed": -1}''', '22023', 'invalid value of "seed" in context'),
	('3, 3, ''softmax'', context => ''[]''', '22023', 'context must be a JSON object')) o (arguments, state, message);
SELECT throws_ok($$ SELECT * FROM rlrec_recommend(3, 3, 'softmax', context => '{"seed": 1}') $$, '22023', 'unknown key "seed" in context', 'to look takes no seed');
SELECT lives_ok($$ SELECT rlrec_create_agent('q', 'events', learner => 'qlearning', options => '{"epsilon": 0.2, "explore": "epsilon_greedy", "explore_epsilon": 0.3}') $$,
	'a learner''s own epsilon is another option');

SELECT is(rlrec_slate_propensities('{"explore": "epsilon_greedy", "explore_epsilon": 0.5}', '{1,4,3,2}', '{2,1}'), ARRAY[0.5 + 0.5::float8 / 4, 0.5::float8 / 3], 'of any logits');
SELECT is(rlrec_slate_propensities('{"explore": "softmax", "explore_temperature": 2}', '{1,1,-Infinity}', '{3,4,1}') > '{0}', true, 'of what nothing is known of');
SELECT is((rlrec_slate_propensities('{"explore": "softmax"}', '{1,1,2}', '{3,4,1}'))[2:], '{0,0}'::float8[], '0 from a place that is not there');
SELECT is(rlrec_slate_probability('{"explore": "softmax"}', '{1,1,2}', '{1,1}'), 0::float8, 'or was before');
SELECT is(rlrec_slate_probability('{}', '{1,1,2}', '{}'), 1::float8, 'an empty slate is sure');
SELECT is(rlrec_slate_probability(NULL, '{1,1,2}', '{1}'), NULL, 'NULL is NULL');
SELECT throws_ok('SELECT rlrec_slate_probability(' || arguments || ')', state, message, arguments) FROM (VALUES
	('''{"explore": "ucb"}'', ''{1,2}'', ''{1}''', '22023', 'uncertainty must have as many elements as logits, 2, not 0'),
	('''{"explore": "ucb"}'', ''{1,2}'', ''{1}'', ''{1}''', '22023', 'uncertainty must have as many elements as logits, 2, not 1'),
	('''{"explore": "ucb"}'', ''{1,2}'', ''{1}'', ''{1,-1}''', '22023', 'element 2 of logits or uncertainty is not what it can be'),
	('''{}'', ''{1,NaN}'', ''{1}''', '22023', 'element 2 of logits or uncertainty is not what it can be'),
	('''{}'', ''{1,NULL}'', ''{1}''', '22004', 'logits must not contain NULL'),
	('''{}'', ''{1}'', ''{{1}}''', '2202E', 'slate must have one dimension, not 2'),
	('''{"epsilon": 1}'', ''{1}'', ''{1}''', '22023', 'unknown key "epsilon" in policy')) o (arguments, state, message);

-- ---------------------------------------------------------------- retention
DELETE FROM rlrec.decision;
SELECT FROM generate_series(1, 30) u, unnest('{ucb,none}'::text[]) name, rlrec_serve(u, 2, name) \g /dev/null
UPDATE rlrec.decision SET served_at = now() - user_id::int * interval '1 day';
INSERT INTO rlrec.outcome SELECT id, 1, agent, 1, 1, now() FROM rlrec.decision;
SELECT is(rlrec_trim_decisions('ucb'), 0::bigint, 'without retention nothing goes');
SELECT FROM rlrec_alter_agent('ucb', '{"decision_retention": "10 days"}');
SELECT is(rlrec_trim_decisions('ucb', 15), 15::bigint, 'a batch of 15');
SELECT is((SELECT max(user_id::int) FROM rlrec.decisions WHERE agent = 'ucb'), 15, 'the oldest first');
SELECT is(rlrec_trim_decisions('ucb'), 6::bigint, 'and the rest');
SELECT is((SELECT max(user_id::int) FROM rlrec.decisions WHERE agent = 'ucb'), 9, 'up to the age declared');
SELECT bag_eq('SELECT decision FROM rlrec.outcome', 'SELECT id FROM rlrec.decision', 'outcomes go with their decisions');
SELECT is((SELECT count(*) FROM rlrec.decisions WHERE agent = 'none'), 30::bigint, 'of no other agent');
SELECT throws_ok('SELECT rlrec_trim_decisions(''ucb'', 0)', '22023', 'most must be positive', 'none is no batch');
SELECT FROM rlrec_drop_agent('none');
SELECT is((SELECT count(DISTINCT agent) FROM rlrec.decision), 1::bigint, 'an agent''s decisions go with it');

-- ---------------------------------------------------------------- rights
CREATE ROLE s_owner;
CREATE ROLE s_app;
CREATE ROLE s_other;
CREATE FUNCTION as_role(who name, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', who, true);
	EXECUTE format('SELECT string_agg(q::text, '' '') FROM (%s) q', query) INTO result;
	PERFORM set_config('role', 'none', true);
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END
$$;
GRANT SELECT ON events, items TO s_owner;
SELECT is(as_role('s_owner', 'SELECT rlrec_create_agent(''hers'', ''events'', learner => ''markov'', options => ''{"explore": "softmax"}'')'), '("")', 'an owner');
SELECT is(as_role('s_owner', 'SELECT version FROM rlrec_train(''hers'')'), '(1)', 'trains');
SELECT is(as_role('s_app', 'SELECT count(*) FROM rlrec_serve(3, 2, ''hers'')'), '42501: permission denied for agent "hers"', 'a role without USAGE cannot serve');
GRANT USAGE ON SEQUENCE rlrec.agent_hers TO s_app, s_other;
SELECT is(as_role('s_app', 'SELECT count(*) FROM rlrec_serve(3, 2, ''hers'')'), '42501: permission denied for table events', 'nor one that cannot read the events');
GRANT SELECT ON events TO s_app, s_other;
SELECT is(as_role('s_app', 'SELECT count(*) FROM rlrec_serve(3, 2, ''hers'')'), '(2)', 'with both it serves, and needs no right on the log');
SELECT is(as_role('s_other', 'SELECT count(*) FROM rlrec_serve(4, 2, ''hers'')'), '(2)', 'so does another');
SELECT is(as_role('s_app', 'SELECT role, user_id FROM rlrec.decisions'), '(s_app,3)', 'who sees what it served itself');
SELECT is(as_role('s_other', 'SELECT role, user_id FROM rlrec.decisions'), '(s_other,4)', 'and nothing else');
SELECT is(as_role('s_owner', 'SELECT role, user_id FROM rlrec.decisions ORDER BY id'), '(s_app,3) (s_other,4)', 'the agent''s owner sees all');
SELECT is(as_role('s_owner', 'SELECT count(*) FROM rlrec.decision'), '42501: permission denied for table decision', 'but not the table');
SELECT is(as_role('s_app', 'SELECT rlrec_trim_decisions(''hers'')'), '42501: must be owner of agent "hers"', 'only she may delete');
SELECT is(as_role('s_app', 'SELECT nextval(''rlrec.decision_id_seq'')'), '42501: permission denied for sequence decision_id_seq', 'ids are nobody''s');
REVOKE USAGE ON SEQUENCE rlrec.agent_hers FROM s_app;
SELECT is(as_role('s_app', 'SELECT count(*) FROM rlrec.decisions'), '(0)', 'who may not use it any more sees nothing');
CREATE FUNCTION leak(text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS $$ BEGIN RAISE 'leaked %', $1; END $$;
SELECT is(as_role('s_app', 'SELECT count(*) FROM rlrec.decisions WHERE leak(user_id)'), '(0)', 'nor by a function that tells');
SELECT is((SELECT bool_and(provolatile = 'v' AND proparallel = 'u') FROM pg_proc WHERE proname = 'rlrec_serve'), true, 'serving is volatile, and never in parallel');

DROP OWNED BY s_owner CASCADE;
DROP OWNED BY s_app, s_other;
DROP ROLE s_owner, s_app, s_other;
SELECT * FROM finish();
