-- Q-learning and its kin from a log: values by hand on tiny tables, and by a plain implementation on random ones.
SET client_min_messages = warning;
SELECT plan(113);

CREATE TABLE tiny (user_id int, item_id int, at timestamptz, stars float8);
CREATE FUNCTION learn(agent text, learner text, options jsonb DEFAULT NULL, events regclass DEFAULT 'tiny', items regclass DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, events, value_column => 'stars', items => items, learner => learner, options => options);
	RETURN (SELECT metrics FROM rlrec_train(agent));
END
$$;
-- What the items 1, 2, ... are worth after a history of an item.
CREATE FUNCTION q(agent text, after text, items int[] DEFAULT '{1,2,3}') RETURNS numeric[] LANGUAGE sql AS $$
	SELECT array_agg(round(r.score::numeric, 5) ORDER BY i) FROM unnest(items) i
		JOIN rlrec_recommend_for_history(string_to_array(after, ','), 100, agent, context => '{"exclude_seen": false}') r ON r.item = i::text AND r.source <> 'popularity' $$;
CREATE FUNCTION rounded(VARIADIC expected float8[]) RETURNS numeric[] LANGUAGE sql AS $$ SELECT array_agg(round(x::numeric, 5) ORDER BY n) FROM unnest(expected) WITH ORDINALITY AS t(x, n) $$;

-- ---------------------------------------------------------------- by hand
-- One user: items 1, 2, 1, 3 with rewards 1, 2, 1, 4; so from 1 to 2, from 2 to 1, from 1 to 3.
INSERT INTO tiny SELECT 7, i, timestamptz '2025-01-01' + n * interval '1 hour', r FROM (VALUES (1, 0, 1), (2, 1, 2), (1, 2, 1), (3, 4, 4)) v(i, n, r);
-- of the 3 transitions, item 1 has reward 1, item 2 has 2, item 3 has 4
\set prior1 '(1 / 3.0::float8)'
\set prior2 '(2 / 3.0::float8)'
\set prior3 '(4 / 3.0::float8)'
SELECT is(learn('q', 'qlearning', '{"alpha": 0.5}') - 'bytes' - 'td_error', '{"events": 4, "users": 1, "items": 3, "states": 3, "values": 3, "transitions": 3}', 'qlearning: metrics');
SELECT is(q('q', '1'), rounded(:prior1, 1, 2), 'qlearning: after item 1');
SELECT is(q('q', '2'), rounded(0.5 * (1 + 0.9 * 1), :prior2, :prior3), 'qlearning: after item 2, the best of item 1 counts');
SELECT is(q('q', '2,3'), q('q', '2'), 'nothing was done after item 3, so item 2 before it counts');
SELECT is(q('q', '3'), NULL, 'where there is none, popularity does');
SELECT is((SELECT round(rlrec_score('q', 7, 2)::numeric, 5)), 1.00000, 'a user is served by his history');
SELECT is((SELECT string_agg(concat_ws(' ', state, action, round(q::numeric, 5), visits), ', ' ORDER BY state, action) FROM rlrec.qvalues WHERE agent = 'q'),
	'1 2 1.00000 1, 1 3 2.00000 1, 2 1 0.95000 1', 'rlrec.qvalues shows what was learned');
SELECT is((SELECT string_agg(state || ' ' || action, ', ' ORDER BY state) FROM rlrec_policy('q')), '1 3, 2 1', 'rlrec_policy() the best actions');
CREATE ROLE reader;
GRANT USAGE ON SEQUENCE rlrec.agent_q TO reader;
SET ROLE reader;
SELECT is((SELECT count(*) FROM rlrec.qvalues), 0::bigint, 'only to the owner, for states may be users');
SELECT throws_ok($$SELECT rlrec_trained_values('q')$$, '42501', 'must be owner of agent "q"');
RESET ROLE;
DROP OWNED BY reader;
DROP ROLE reader;
SELECT is((learn('q2', 'qlearning', '{"alpha": 0.5, "sweeps": 2}')->>'td_error')::numeric(9,4), ((1.855 + 1.85 + 2) / 3)::numeric(9,4), 'two sweeps');
SELECT is(q('q2', '1'), rounded(:prior1, 1 + 0.5 * (2 + 0.9 * 0.95 - 1), 3), 'qlearning: the second sweep after item 1');
SELECT is(q('q2', '2'), rounded(0.95 + 0.5 * (1 + 0.9 * 2 - 0.95), :prior2, :prior3), 'and after item 2');
SELECT isnt(learn('sarsa', 'sarsa', '{"alpha": 0.5}'), NULL, 'sarsa');
SELECT is(q('sarsa', '1'), rounded(:prior1, 1, 2), 'sarsa: after item 1');
SELECT is(q('sarsa', '2'), rounded(0.5, :prior2, :prior3), 'sarsa: after item 2, what was done after item 1 counts, not the best');
SELECT isnt(learn('sarsa2', 'sarsa', '{"alpha": 0.5, "sweeps": 2}'), NULL, 'sarsa, two sweeps');
SELECT is(q('sarsa2', '1') || q('sarsa2', '2'), rounded(:prior1, 1.725, 3, 1.65, :prior2, :prior3), 'sarsa: the second sweep');
-- the two hours before item 3 end a session, so that nothing is known of what came after item 1
SELECT isnt(learn('sarsa3', 'sarsa', '{"alpha": 0.5, "session": "90 minutes", "epsilon": 0.2}'), NULL, 'sarsa, in sessions');
SELECT is(q('sarsa3', '2'), rounded(0.5 * (1 + 0.9 * (0.2 / 2 * 1 + 0.8 * 1)), :prior2, :prior3), 'sarsa: the end of a session truncates: the expected value stands in');
SELECT isnt(learn('q3', 'qlearning', '{"alpha": 0.5, "session": "90 minutes"}'), NULL, 'qlearning, in sessions');
SELECT ok(q('q3', '1') = q('q', '1') AND q('q3', '2') = q('q', '2'), 'qlearning: is the same, for truncated is not terminated');
SELECT isnt(learn('expected', 'expected_sarsa', '{"alpha": 0.5, "epsilon": 0.2}'), NULL, 'expected_sarsa');
SELECT is(q('expected', '1') || q('expected', '2'), rounded(:prior1, 1, 2, 0.5 * (1 + 0.9 * (0.2 / 2 * 1 + 0.8 * 1)), :prior2, :prior3), 'expected_sarsa');
SELECT isnt(learn('greedy', 'expected_sarsa', '{"alpha": 0.5, "epsilon": 0, "sweeps": 2}'), NULL, 'expected_sarsa without exploration');
SELECT is(q('greedy', '1') || q('greedy', '2'), q('q2', '1') || q('q2', '2'), 'is qlearning');
SELECT isnt(learn('double', 'double_q', '{"alpha": 1, "gamma": 0, "sweeps": 50}'), NULL, 'double_q');
SELECT is(q('double', '1') || q('double', '2'), rounded(:prior1, 2, 4, 1, :prior2, :prior3), 'double_q: each table is right where nothing is random');
SELECT is((SELECT sum(x) FROM unnest(rlrec_weights_tensor(rlrec_model_weights('double'), 'visits')) x), 150::float8, 'double_q: the visits of both add up');
SELECT isnt(learn('optimist', 'qlearning', '{"alpha": 0.5, "initial": 10}'), NULL, 'qlearning from other initial values');
SELECT is(q('optimist', '1'), rounded(:prior1, 5 + 0.5 * (2 + 9), 5 + 0.5 * (4 + 9)), 'qlearning: initial values count, in states of no actions too');
SELECT isnt(learn('mean', 'qlearning', '{"alpha": 1, "alpha_power": 1, "gamma": 0, "state": "user"}'), NULL, 'qlearning of means');
SELECT is((SELECT array_agg(round(rlrec_score('mean', 7, i)::numeric, 5) ORDER BY i) FROM generate_series(1, 3) i), rounded(1, 2, 4), 'alpha_power 1: values are mean rewards, of the first event too');

-- states
SELECT isnt(learn('user', 'qlearning', '{"alpha": 0.5, "gamma": 0.5, "state": "user"}'), NULL, 'state user');
SELECT is((SELECT array_agg(round(rlrec_score('user', 7, i)::numeric, 5) ORDER BY i) FROM generate_series(1, 3) i),
	rounded(0.5 + 0.5 * (1 + 0.5 * 1.125 - 0.5), 0.5 * (2 + 0.5 * 0.5), 0.5 * (4 + 0.5 * 1.125)), 'state user: a bandit with a future');
SELECT is((SELECT source FROM rlrec_recommend(8, 1, 'user')), 'popularity', 'state user: of others nothing is known');
SELECT isnt(learn('last2', 'qlearning', '{"alpha": 0.5, "last_items": 2}'), NULL, 'state last, of two items');
SELECT is(q('last2', '1') || q('last2', '1,2') || q('last2', '2,1'),
	rounded(:prior1, 1, :prior3, 0.5, :prior2, :prior3, :prior1, :prior2, 2), 'state last: the last two items');
SELECT is(q('last2', '3,1,2'), q('last2', '1,2'), 'of whatever came before');
CREATE TABLE goods (id int PRIMARY KEY, about text, tags text[], kind char(1));
INSERT INTO goods VALUES (1, 'red wine', '{x,y}', 'a'), (2, 'wine', '{y}', 'b'), (3, 'red wine', '{y,x}', 'a'), (4, NULL, NULL, NULL);
SELECT isnt(learn('category', 'qlearning', '{"alpha": 0.5, "state": "category"}', 'tiny', 'goods'), NULL, 'state category');
SELECT is(q('category', '1') || q('category', '2'), rounded(:prior1, 1, 0.5 * (4 + 0.9), 0.95, :prior2, :prior3), 'state category: that of the last item');
SELECT is(q('category', '3'), q('category', '1'), 'the same for items of a category');
SELECT is(q('category', '1,4'), q('category', '1'), 'an item without one tells nothing');
SELECT isnt(learn('category ' || c, 'qlearning', format('{"alpha": 0.5, "state": "category", "category_column": %s}', to_json(c))::jsonb, 'tiny', 'goods'), NULL,
	'state category, by column ' || c) FROM unnest('{about,tags}'::text[]) c;
SELECT is(q('category ' || c, '1') || q('category ' || c, '2'), q('category', '1') || q('category', '2'), 'which says the same') FROM unnest('{about,tags}'::text[]) c;

-- an expression, as the owner: who is served need not see the table of users
CREATE TABLE people (id int PRIMARY KEY, segment text);
INSERT INTO people VALUES (7, 'old'), (8, 'old'), (9, 'new'), (10, NULL);
INSERT INTO tiny VALUES (11, 1, '2025-01-01', 1);
SELECT isnt(learn('expression', 'qlearning', '{"alpha": 0.5, "gamma": 0.5, "state": "expression", "expression": "(SELECT segment FROM public.people WHERE id = $1)"}'), NULL, 'state expression');
DELETE FROM tiny WHERE user_id = 11;
SELECT is((SELECT array_agg(round(rlrec_score('expression', 7, i)::numeric, 5) ORDER BY i) FROM generate_series(1, 3) i),
	(SELECT array_agg(round(rlrec_score('user', 7, i)::numeric, 5) ORDER BY i) FROM generate_series(1, 3) i), 'state expression: with one user in a segment it is the user');
CREATE ROLE qlearning_guest;
GRANT USAGE ON SEQUENCE rlrec.agent_expression TO qlearning_guest;
GRANT SELECT ON tiny TO qlearning_guest;
INSERT INTO tiny VALUES (8, 1, '2025-01-01', 1);
SET ROLE qlearning_guest;
CREATE TEMP TABLE shown AS SELECT item, source FROM rlrec_recommend(8, 3, 'expression');
CREATE TEMP TABLE everybody AS SELECT * FROM rlrec_recommend_all('expression', 3) WHERE user_id = '8';
RESET ROLE;
SELECT is((SELECT array_agg(item || source) FROM shown), '{3qlearning,2qlearning}', 'another user of the segment is served by its values, whoever asks');
SELECT is((SELECT array_agg(item ORDER BY rank) FROM everybody), '{3,2}', 'by rlrec_recommend_all() too');
DELETE FROM tiny WHERE user_id = 8;
SELECT is((SELECT array_agg(DISTINCT source) FROM unnest('{9,10,12}'::int[]) u, rlrec_recommend(u, 1, 'expression')), '{popularity}',
	'of a segment that is new, NULL or not there nothing is known');
SELECT is((SELECT source FROM rlrec_recommend_for_history('{1}', 1, 'expression')), 'popularity', 'nor of a history of nobody');
SELECT throws_ok(format('SELECT learn(%L, %L, %L)', 'bad', 'qlearning', jsonb_build_object('state', 'expression', 'expression', e)), state, NULL, format('the expression %s is an error', e))
FROM (VALUES ('moon', '42703'), ('$2', '42P02'), ('1), (2', '42601'), ('1); SELECT (2', '42601'), ('(SELECT segment FROM people WHERE id = $1)', '42P01'),
	('(SELECT segment FROM public.people)', '21000'), ('(INSERT INTO public.people VALUES (99) RETURNING id)', '42601'), ('pg_catalog.nextval(''public.counter'')', '42P01')) v (e, state);
SELECT throws_ok($$SELECT learn('bad', 'qlearning', '{"state": "expression"}')$$, '55000', NULL, 'there must be one');

-- clusters of the encoder's states: users who walk up have others than those who walk down
CREATE TABLE ways AS SELECT u AS user_id, 1 + CASE WHEN u % 2 = 0 THEN (u + n) % 10 ELSE 10 + (u + 9 * n) % 10 END AS item_id, timestamptz '2025-01-01' + n * interval '1 hour' AS at, 1::float8 AS stars
	FROM generate_series(1, 60) u, generate_series(1, 8) n;
\set encoder '{"length": 8, "dimension": 8, "blocks": 1, "hidden": 8, "epochs": 3, "batch": 8}'
\set small '{"state": "cluster", "clusters": 4, "length": 8, "dimension": 8, "blocks": 1, "hidden": 8, "epochs": 3, "batch": 8}'
SELECT is(learn('cluster', 'qlearning', :'small', 'ways')->>'states', '4', 'state cluster');
SELECT is((SELECT shape FROM rlrec_weights_tensors(rlrec_model_weights('cluster')) WHERE name = 'centroid'), '{4,8}', 'the centroids are directions');
SELECT is((SELECT array_agg(round(sqrt(s)::numeric, 4)) FROM (SELECT sum(x ^ 2) AS s FROM unnest(rlrec_weights_tensor(rlrec_model_weights('cluster'), 'centroid')) WITH ORDINALITY t(x, n) GROUP BY (n - 1) / 8) v),
	'{1,1,1,1}', 'of length 1');
-- Each transition once more, as a user of its own who is asked about: the encoder's state, the nearest centroid, and so the visits.
SELECT isnt(learn('encoder', 'supervised', :'encoder', 'ways'), NULL, 'the encoder by itself');
CREATE FUNCTION tensor(name text) RETURNS TABLE (n bigint, x float8) LANGUAGE sql AS $$ SELECT n - 1, x FROM unnest(rlrec_weights_tensor(rlrec_model_weights('cluster'), name)) WITH ORDINALITY t(x, n) $$;
CREATE TEMP TABLE centroid AS SELECT n / 8 AS c, array_agg(x ORDER BY n) AS v FROM tensor('centroid') GROUP BY 1;
CREATE TEMP TABLE learned AS SELECT s.n AS c, a.x::int AS a, v.x AS visits, q.x AS q FROM tensor('offset') s JOIN tensor('offset') e ON e.n = s.n + 1
	JOIN tensor('action') a ON a.n >= s.x AND a.n < e.x JOIN tensor('visits') v ON v.n = a.n JOIN tensor('q') q ON q.n = a.n;
CREATE TEMP TABLE numbered AS SELECT item_id, row_number() OVER (ORDER BY item_id::text COLLATE "C") - 1 AS a FROM (SELECT DISTINCT item_id FROM ways) w;
INSERT INTO ways SELECT u * 100 + t, w.item_id, w.at, 1 FROM generate_series(1, 60) u, generate_series(1, 8) t, ways w
	WHERE w.user_id = u AND w.at <= timestamptz '2025-01-01' + t * interval '1 hour';
CREATE INDEX ON ways (user_id);
CREATE TEMP TABLE met AS SELECT u, t, (SELECT c FROM centroid ORDER BY (SELECT sum(x * y) FROM unnest(v, state) s(x, y)) DESC LIMIT 1) AS c
	FROM generate_series(1, 60) u, generate_series(1, 8) t, LATERAL rlrec_encode('encoder', u * 100 + t) state;
CREATE TEMP TABLE expected AS SELECT c, a, count(*) AS visits FROM met JOIN ways w ON w.user_id = u AND w.at = timestamptz '2025-01-01' + (t + 1) * interval '1 hour' JOIN numbered USING (item_id) GROUP BY c, a;
SELECT is((SELECT (sum(visits), count(DISTINCT c))::text FROM expected), '(420,4)', '420 transitions from states of 4 clusters');
SELECT is((SELECT count(*) FROM learned FULL JOIN expected USING (c, a) WHERE learned.visits IS DISTINCT FROM expected.visits), 0::bigint, 'the states of the log are those that the encoder gives');
SELECT is((SELECT count(*) FROM met JOIN learned USING (c) JOIN numbered USING (a) WHERE t = 8 AND abs(rlrec_score('cluster', u, item_id) - q) < 1e-6),
	(SELECT count(*) FROM met JOIN learned USING (c) WHERE t = 8), 'and so are those of users who are served');
DELETE FROM ways WHERE user_id > 60;
SELECT isnt(learn('cluster again', 'qlearning', :'small', 'ways'), NULL, 'state cluster again');
SELECT ok(rlrec_model_weights('cluster') = rlrec_model_weights('cluster again'), 'the same seed, the same clusters');
SELECT is((SELECT source FROM rlrec_recommend(99, 1, 'cluster')), 'popularity', 'no history, no cluster');
SELECT rlrec_create_agent('bare', 'ways', learner => 'qlearning', encoder => 'none', options => '{"state": "cluster"}');
SELECT throws_ok($$SELECT rlrec_train('bare')$$, '55000', 'learner "qlearning" cannot be fitted', 'clusters need an encoder');

-- a negative reward is an action that does not change the state
CREATE TABLE rated (user_id int, item_id int, at timestamptz, stars float8);
INSERT INTO rated VALUES (1, 1, '2025-01-01', 1), (1, 2, '2025-01-02', -1), (1, 3, '2025-01-03', 1), (2, 4, '2025-01-01', 1);
SELECT isnt(learn('rated', 'qlearning', '{"alpha": 0.5}', 'rated'), NULL, 'negative rewards');
SELECT is(q('rated', '1', '{1,2,3,4}'), rounded(0, -0.5, 0.5, 0), 'teach that an action was bad, and leave the state');

-- ---------------------------------------------------------------- against a plain implementation
-- 40 users, 8 items, 1,600 events, rewards of -1 to 3; a session a day.
CREATE TABLE walk AS SELECT u AS user_id, (h >> 8 & 7)::int AS item_id, timestamptz '2025-01-01' + n * interval '1 hour' + (n / 10) * interval '1 day' AS at, (h & 255) / 64 - 1.0 AS stars
	FROM generate_series(1, 40) u, generate_series(1, 40) n, LATERAL (SELECT hashint8extended(u * 1000 + n, 5) & 65535 AS h) x;
CREATE FUNCTION plain(learner text, sweeps int, alpha float8, gamma float8, epsilon float8) RETURNS TABLE (s int, a int, q float8) LANGUAGE plpgsql AS $$
DECLARE
	value float8[] := array_fill(NULL::float8, ARRAY[64]);
	actions float8[];
	e record;
	v float8;
	i int;
BEGIN
	DROP TABLE IF EXISTS step;
	CREATE TEMP TABLE step AS
		SELECT row_number() OVER w AS n, before, item_id AS a, stars AS r, CASE WHEN stars > 0 THEN item_id ELSE before END AS after,
			CASE WHEN lead(at) OVER (PARTITION BY user_id ORDER BY at) - at < interval '2 hours' THEN lead(item_id) OVER (PARTITION BY user_id ORDER BY at) END AS next_action
		FROM (SELECT *, (SELECT p.item_id FROM walk p WHERE p.user_id = w.user_id AND p.at < w.at AND p.stars > 0 ORDER BY p.at DESC LIMIT 1) AS before FROM walk w) x
		WHERE before IS NOT NULL WINDOW w AS (ORDER BY user_id::text COLLATE "C", at);
	FOR e IN SELECT DISTINCT before, x.a FROM step x LOOP
		value[e.before * 8 + e.a + 1] := 0;
	END LOOP;
	FOR sweep IN 1..sweeps LOOP
		FOR e IN SELECT * FROM step ORDER BY n LOOP
			actions := value[e.after * 8 + 1:e.after * 8 + 8];
			IF learner = 'sarsa' AND e.next_action IS NOT NULL THEN
				v := actions[e.next_action + 1];
			ELSE
				SELECT CASE WHEN learner = 'qlearning' THEN max(x) ELSE epsilon * avg(x) + (1 - epsilon) * max(x) END INTO v FROM unnest(actions) x;
			END IF;
			i := e.before * 8 + e.a + 1;
			value[i] := value[i] + alpha * (e.r + gamma * coalesce(v, 0) - value[i]);
		END LOOP;
	END LOOP;
	RETURN QUERY SELECT k / 8, k % 8, value[k + 1] FROM generate_series(0, 63) k WHERE value[k + 1] IS NOT NULL;
END
$$;
SELECT ok((learn('walk ' || l, l, '{"alpha": 0.3, "gamma": 0.8, "epsilon": 0.3, "sweeps": 2, "session": "2 hours"}', 'walk')->>'transitions')::int > 1500, l) FROM unnest('{qlearning,sarsa,expected_sarsa}'::text[]) l;
SELECT is((SELECT count(*) FROM plain(l, 2, 0.3, 0.8, 0.3) p WHERE abs(p.q - (q('walk ' || l, p.s::text, ARRAY[p.a]))[1]) < 2e-5), 64::bigint, l || ': as in plain SQL')
	FROM unnest('{qlearning,sarsa,expected_sarsa}'::text[]) l;

-- ---------------------------------------------------------------- double_q
-- 99, then 100, then one of 1 to 10 with reward 1 or 3 at random: 100 is worth 2, and so 99 1 + 0.9 * 2.
CREATE TABLE noisy AS SELECT u AS user_id, i AS item_id, timestamptz '2025-01-01' + n * interval '1 hour' AS at, r::float8 AS stars
	FROM generate_series(1, 3000) u, LATERAL (SELECT hashint8extended(u, 11) & 65535 AS h) x,
		LATERAL (VALUES (99, 1, 1), (100, 2, 1), (1 + (h % 10)::int, 3, 1 + 2 * (h >> 12 & 1)::int)) v (i, n, r);
SELECT isnt(learn('noisy ' || l, l, '{"alpha": 0.2, "sweeps": 3}', 'noisy'), NULL, l || ': noise') FROM unnest('{qlearning,double_q}'::text[]) l;
SELECT cmp_ok((q('noisy qlearning', '99', '{100}'))[1], '>', 3.0, 'qlearning takes the luckiest action for good');
SELECT ok((q('noisy double_q', '99', '{100}'))[1] BETWEEN 2.5 AND 2.9, 'double_q does not');
SELECT isnt(learn('noisy again', 'double_q', '{"alpha": 0.2, "sweeps": 3}', 'noisy'), NULL, 'double_q again');
SELECT ok(rlrec_model_weights('noisy again') = rlrec_model_weights('noisy double_q'), 'the same seed, the same model');
SELECT isnt(learn('noisy seed', 'double_q', '{"alpha": 0.2, "sweeps": 3, "seed": 2}', 'noisy'), NULL, 'double_q with another seed');
SELECT ok(rlrec_model_weights('noisy seed') <> rlrec_model_weights('noisy double_q'), 'another seed, another model');

-- ---------------------------------------------------------------- the rest
SELECT throws_ok(format('SELECT learn(%L, %L, %L)', 'bad', l, o), '22023', NULL, format('%s with %s is an error', l, o))
FROM (VALUES ('qlearning', '{"gamma": 1.1}'), ('sarsa', '{"gamma": -0.1}'), ('qlearning', '{"alpha": 2}'), ('double_q', '{"sweeps": 0}'), ('qlearning', '{"state": "moon"}'),
	('qlearning', '{"factors": 3}'), ('qlearning', '{"gamma": "NaN"}')) v (l, o);
SELECT throws_ok($$SELECT learn('bad', 'qlearning', '{"state": "category"}')$$, '55000', 'learner "qlearning" cannot be fitted', 'categories need an items table');
SELECT throws_ok($$SELECT learn('bad', 'qlearning', '{"state": "category", "category_column": "moon"}', 'tiny', 'goods')$$, '55000', NULL, 'and a column that is there');
INSERT INTO tiny VALUES (7, 1, '2025-02-01', 'NaN');
SELECT throws_ok($$SELECT rlrec_train('q')$$, '22003', NULL, 'a NaN is an error');
SELECT is(q('q', '1'), rounded(:prior1, 1, 2), 'upon which what was learned serves on');
CREATE TABLE one (user_id int, item_id int, at timestamptz, stars float8);
INSERT INTO one VALUES (1, 1, '2025-01-01', 1);
SELECT isnt(learn('one ' || l, l, NULL, 'one'), NULL, l || ': one event') FROM unnest('{qlearning,sarsa,expected_sarsa,double_q}'::text[]) l;
SELECT is((SELECT item || source FROM rlrec_recommend(2, 1, 'one ' || l)), '1popularity', l || ': serves what there is') FROM unnest('{qlearning,sarsa,expected_sarsa,double_q}'::text[]) l;
SELECT is(learn('blend', 'hybrid', '{"learners": ["qlearning"]}', 'walk')->'weights', '{"qlearning": 1}', 'hybrid takes it where it is named');
SELECT isnt(learn('auto', 'auto', '{"learners": ["sarsa", "qlearning"], "state": "user"}', 'walk'), NULL, 'so does auto');
SELECT ok(NOT (learn('all', 'hybrid', NULL, 'walk')->'weights' ?| '{qlearning,sarsa,expected_sarsa,double_q}'), 'and not otherwise');
SELECT is((SELECT array_agg(learner) FROM rlrec_evaluate('walk qlearning') WHERE learner ~ 'sarsa|q'), '{qlearning}', 'rlrec_evaluate() takes the agent''s own');
SELECT is((SELECT count(*) FROM rlrec_evaluate('walk qlearning', learners => '{sarsa,double_q}') WHERE ndcg > 0), 2::bigint, 'and those that are named');
