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

SELECT rlrec_create_agent('bare', events => 'events', user_column => 'user_id', item_column => 'item_id', learner => 'linucb');
SELECT throws_ok($$SELECT rlrec_train('bare')$$, '55000', 'learner "linucb" cannot be fitted', 'without features');
SELECT throws_like($$SELECT make('x', 'linucb', '{"ucb_width": 1}')$$, '%ucb_width%', 'an option of bare environments');

SELECT * FROM finish();
