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
SELECT FROM rlrec_create_agent('shop', 'events', items => 'items', learner => 'itemknn');
SELECT FROM rlrec_train('shop');

SELECT results_eq($$ SELECT rank, item, score, source FROM rlrec_serve(7, 5) $$, $$ SELECT * FROM rlrec_recommend(7, 5) $$,
	'without exploration it shows what is recommended');
SELECT is((SELECT count(*) FROM rlrec.decision), 1::bigint, 'and logs one decision');
SELECT results_eq('SELECT agent COLLATE "default", user_id, items, propensity, probability FROM rlrec.decisions',
	$$ SELECT 'shop', '7', array_agg(item ORDER BY rank), array_fill(1::float8, '{5}'), 1::float8 FROM rlrec_recommend(7, 5) $$, 'as the view shows it');

CREATE TABLE strategy (name text PRIMARY KEY, options jsonb);
INSERT INTO strategy VALUES ('none', '{}'), ('epsilon_greedy', '{"explore_epsilon": 0.3}'), ('softmax', '{"explore_temperature": 0.3}'),
	('ucb', '{"explore_floor": 0.02}'), ('thompson', '{"explore_floor": 0.01, "explore_draws": 20}'), ('squarecb', '{"explore_gamma": 20}');
SELECT FROM strategy, rlrec_create_agent(name, 'events', items => 'items', learner => 'itemknn',
	options => options || jsonb_build_object('explore', name, 'explore_shortlist', 8));
SELECT FROM strategy, rlrec_train(name);
SELECT is(count(*), 200::bigint, name || ' serves') FROM strategy, generate_series(1, 40) u, rlrec_serve(u, 5, name) GROUP BY name;
SELECT * FROM finish();
