-- linucb and lints over a log of events: the model against the same in SQL, new items, and how they are served.
SET client_min_messages = warning;
SELECT * FROM no_plan();

-- Users like one of three kinds, kind 'dear' is worth most; items 31 to 33, one of each kind, have no events.
CREATE TABLE goods AS SELECT i AS id, (ARRAY['plain', 'green', 'dear'])[1 + i % 3]::char(5) AS kind FROM generate_series(1, 33) i;
CREATE TABLE events AS SELECT n, u AS user_id, i AS item_id, '2026-01-01'::timestamptz + n * interval '1 minute' AS created_at,
	CASE WHEN u % 3 = i % 3 THEN 2 ELSE 0 END + CASE i % 3 WHEN 2 THEN 0.5 ELSE 0 END + ((n * 7) % 5) / 8.0::float8 AS value
	FROM (SELECT n, 1 + n % 40 AS u, 1 + (n * 7 + n / 40) % 30 AS i FROM generate_series(1, 1200) n) x;
CREATE FUNCTION make(agent text, learner text, options jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, events => 'events', user_column => 'user_id', item_column => 'item_id', time_column => 'created_at', value_column => 'value',
		items => 'goods', learner => learner, options => options) $$;

SELECT make('exact', 'linucb', '{"negatives": 0, "lambda": 0.5}'), make('ucb', 'linucb'), make('ts', 'lints', '{"explore_floor": 0.01}');
SELECT rlrec_train(a) FROM unnest('{exact,ucb,ts}'::text[]) a;

-- The same regression in SQL: what describes a user and an item, from the user's items before; a kind is one feature of length 1.
CREATE VIEW popularity AS SELECT id, kind, ln(1 + users) / ln(1 + max(users) OVER ()) AS popularity
	FROM (SELECT id, kind, count(DISTINCT user_id) FILTER (WHERE value > 0) AS users FROM goods LEFT JOIN events ON item_id = id GROUP BY 1, 2) x;
CREATE FUNCTION description(of_item int, of_user int, before int) RETURNS float8[] STABLE LANGUAGE sql AS $$
	WITH profile AS (SELECT k, coalesce(sum(value), 0) AS n FROM unnest('{plain,green,dear}'::text[]) k LEFT JOIN (events JOIN goods ON id = item_id)
		ON kind = k AND user_id = of_user AND events.n < before AND value > 0 GROUP BY k),
	square AS (SELECT sqrt(sum(n * n)) AS length FROM profile)
	SELECT ARRAY[1, popularity] || array_agg((k = kind)::int::float8 ORDER BY k) ||
		array_agg(CASE WHEN k = kind AND length > 0 THEN n / length ELSE 0 END::float8 ORDER BY k)
	FROM popularity, profile, square WHERE id = of_item GROUP BY popularity $$;
CREATE TEMP TABLE regression AS SELECT rlrec_linear_statistics(description(item_id, user_id, n), value) AS s FROM events;
SELECT ok(max(abs(rlrec_score('exact', u, id) - (rlrec_linear_predict(s, description(id, u, 9999), 0.5)).value)) < 1e-5 AND count(*) = 99,
	'scores are those of the same regression in SQL') FROM regression, goods, generate_series(1, 3) u;
SELECT rlrec_alter_agent('exact', '{"negatives": 0, "lambda": 0.5, "explore": "ucb", "explore_floor": 0.01, "explore_shortlist": 30}');
SELECT count(*) FROM rlrec_serve(1, 3, 'exact');
SELECT ok(max(abs(d.uncertainty[r] - noise * (rlrec_linear_predict(s, description(d.shortlist[r]::int, 1, 9999), 0.5)).deviation)) < 1e-5 AND count(*) = 30,
	'and their uncertainties')
	FROM rlrec.decisions d, generate_series(1, 30) r, regression, LATERAL (SELECT (metrics->>'noise')::float8 AS noise FROM rlrec.models WHERE agent = 'exact') m
	WHERE d.agent = 'exact';

SELECT is((SELECT kind FROM goods ORDER BY rlrec_score(a, u, id) DESC LIMIT 1), (ARRAY['plain', 'green', 'dear'])[1 + u % 3]::char(5),
	format('%s: of all items, user %s likes the kind best that he does', a, u)) FROM unnest('{ucb,ts}'::text[]) a, generate_series(1, 3) u;
SELECT cmp_ok(rlrec_score('exact', 1, 31), '>', rlrec_score('exact', 1, 32), 'of items without events, too, the better kind');
SELECT is((SELECT count(*) FROM rlrec_recommend(99999, 33, 'ucb')), 33::bigint, 'somebody unknown');

-- Served as the learner explores
SELECT count(*) FROM rlrec_serve(2, 3, 'ucb');
SELECT count(*) FROM generate_series(1, 50) i, LATERAL rlrec_serve(1 + i % 2, 3, 'ts') s;
SELECT is((SELECT string_agg(DISTINCT policy->>'explore', ' ') FROM rlrec.decisions WHERE agent = 'ucb'), 'ucb', 'linucb explores by upper bounds');
SELECT is((SELECT string_agg(DISTINCT policy->>'explore', ' ') FROM rlrec.decisions WHERE agent = 'ts'), 'thompson', 'lints by Thompson sampling');
SELECT ok(bool_and(p = 1), 'linucb has propensity 1') FROM rlrec.decisions, unnest(propensity) p WHERE agent = 'ucb';
SELECT ok(bool_and(propensity[1] > 0 AND propensity[1] < 1) AND count(DISTINCT slate) > 1, 'lints not') FROM rlrec.decisions WHERE agent = 'ts';
SELECT rlrec_alter_agent('ts', '{"explore": "none"}');
SELECT count(*) FROM rlrec_serve(2, 3, 'ts');
SELECT is((SELECT policy->>'explore' FROM rlrec.decisions WHERE agent = 'ts' ORDER BY id DESC LIMIT 1), 'none', 'unless the option says otherwise');

-- Between trainings: an agent of the first 800 events learns of the others, in any order, as the regression does, items as popular as in training.
CREATE TABLE log (LIKE events);
CREATE INDEX ON log (user_id);
INSERT INTO log SELECT * FROM events WHERE n <= 800;
CREATE TABLE popularity_then AS SELECT id, kind, ln(1 + users) / ln(1 + max(users) OVER ()) AS popularity
	FROM (SELECT id, kind, count(DISTINCT user_id) FILTER (WHERE value > 0) AS users FROM goods LEFT JOIN log ON item_id = id GROUP BY 1, 2) x;
CREATE FUNCTION description_then(of_item int, of_user int, before int) RETURNS float8[] STABLE LANGUAGE sql AS $$
	SELECT d[:1] || popularity || d[3:] FROM popularity_then, description(of_item, of_user, before) d WHERE id = of_item $$;
SELECT rlrec_create_agent('online', events => 'log', user_column => 'user_id', item_column => 'item_id', time_column => 'created_at', value_column => 'value',
	items => 'goods', learner => 'linucb', options => '{"negatives": 0, "lambda": 0.5, "explore_floor": 0.01, "explore_shortlist": 30}');
SELECT rlrec_train('online');
SELECT rlrec_attach('online');
CREATE FUNCTION differs(from_regression float8[]) RETURNS float8 LANGUAGE sql AS $$
	SELECT max(abs(rlrec_score('online', u, id) - (rlrec_linear_predict(from_regression, description_then(id, u, 9999), 0.5)).value))
	FROM goods, generate_series(1, 3) u $$;
CREATE TEMP TABLE sums AS SELECT rlrec_linear_statistics(description_then(item_id, user_id, n), value) FILTER (WHERE n <= 800) AS trained,
	rlrec_linear_statistics(description_then(item_id, user_id, n), value) AS s FROM events;
INSERT INTO log SELECT * FROM events WHERE n > 800 ORDER BY n % 7, n;
SELECT cmp_ok(differs(s), '>', 1e-3::float8, 'what is not processed is not learned') FROM sums;
SELECT is(rlrec_process('online'), 400::bigint, 'events are learned');
SELECT cmp_ok(differs(s), '<', 1e-5::float8, 'scores are those of the regression with them') FROM sums;
SELECT ok(max(abs(x - y)) < 1e-4 AND count(*) = count(y), 'in rlrec.sums are those of the events')
	FROM sums, rlrec.sums l, LATERAL unnest(l.statistics, rlrec_linear_subtract(s, trained)) t(x, y) WHERE l.learner = 'linucb';
SELECT count(*) FROM rlrec_serve(1, 3, 'online');
SELECT ok(max(abs(d.uncertainty[r] - noise * (rlrec_linear_predict(s, description_then(d.shortlist[r]::int, 1, 9999), 0.5)).deviation)) < 1e-5 AND count(*) = 30,
	'and so are the uncertainties that it explores by')
	FROM rlrec.decisions d, generate_series(1, 30) r, sums,
		LATERAL (SELECT sqrt((s[3] - sum(t * b)) / s[2]) AS noise FROM unnest(rlrec_linear_theta(s, 0.5), s[4:]) WITH ORDINALITY x(t, b, i) WHERE t IS NOT NULL) m
	WHERE d.agent = 'online';
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend(1, 5, 'online')),
	(SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend_all('online', 5) WHERE user_id = '1'), 'users that are served one by one and all at once get the same');
SELECT rlrec_train('online');
SELECT is((SELECT count(*) FROM rlrec_process('online')), 1::bigint);
SELECT cmp_ok(max(abs(rlrec_score('online', u, id) - rlrec_score('exact', u, id))), '<', 1e-5::real, 'a version that was trained on them has them once')
	FROM goods, generate_series(1, 3) u;
SELECT rlrec_deploy('online', 1);
SELECT count(*) FROM rlrec_process('online'), rlrec_maintain('online');
SELECT cmp_ok(differs(s), '<', 1e-5::float8, 'and one that was not, gone back to, learns them anew') FROM sums;
INSERT INTO log SELECT n + 10000, user_id, 40, created_at + interval '30 days', value FROM events WHERE n <= 10;
SELECT is(rlrec_process('online'), 10::bigint, 'items that the version does not know');
SELECT cmp_ok(differs(s), '<', 1e-5::float8, 'teach nothing') FROM sums;

-- As a part, and with what is drawn
SELECT rlrec_create_agent('blend', events => 'log', user_column => 'user_id', item_column => 'item_id', time_column => 'created_at', value_column => 'value',
	items => 'goods', learner => 'hybrid', options => '{"learners": ["popularity", "lints"], "negatives": 3}');
SELECT rlrec_train('blend');
SELECT rlrec_attach('blend');
INSERT INTO log SELECT n + 20000, user_id, item_id, created_at + interval '60 days', value FROM events WHERE n <= 20;
SELECT is(rlrec_process('blend'), 20::bigint, 'a part of hybrid');
SELECT is((SELECT statistics[1] FROM rlrec.sums WHERE learner = 'lints'), 80::float8, 'observes each event and what is drawn for it');
SELECT rlrec_alter_agent('blend', '{"learners": ["popularity", "lints"], "online_states": 0}');
SELECT rlrec_train('blend');
INSERT INTO log SELECT n + 30000, user_id, item_id, created_at + interval '90 days', value FROM events WHERE n <= 20;
SELECT is(rlrec_process('blend'), 20::bigint);
SELECT is((SELECT count(*) FROM rlrec.sums WHERE learner = 'lints'), 0::bigint, 'but not without room for states');
SELECT rlrec_drop_agent('blend'), rlrec_detach('online');
SELECT is((SELECT count(*) FROM rlrec.sums), 0::bigint, 'detached or dropped, they are forgotten');

SELECT rlrec_create_agent('bare', events => 'events', user_column => 'user_id', item_column => 'item_id', learner => 'linucb');
SELECT throws_ok($$SELECT rlrec_train('bare')$$, '55000', 'learner "linucb" cannot be fitted', 'without features');
SELECT throws_like($$SELECT make('x', 'linucb', '{"ucb_width": 1}')$$, '%ucb_width%', 'an option of bare environments');

SELECT * FROM finish();
