-- The learner "supervised": it learns an order that counting pairs cannot, is deterministic, and stops clearly.
SET client_min_messages = warning;
SELECT plan(28);

-- The next item depends on the last but one: after x comes 10 + x whatever lies in between.
CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int, at int);
SELECT setseed(0.5) \g /dev/null
INSERT INTO events (user_id, item_id, at)
SELECT u, i.item, n FROM generate_series(1, 400) u, LATERAL (SELECT (u * 7919) % 10 AS a, (u * 104729 / 10) % 10 AS b) s,
	LATERAL (VALUES (1, s.a), (2, 20 + (s.b + u) % 10), (3, 10 + s.a), (4, 30 + (s.b + u) % 10)) i(n, item);
CREATE FUNCTION learn(agent text, options jsonb) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, 'events', learner => 'supervised', options => options);
	RETURN (SELECT version FROM rlrec_train(agent));
END
$$;

SELECT is(learn('two', '{"epochs": 60, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 32, "hidden": 32, "length": 8, "dropout": 0, "threads": 2}'), 1, 'it is trained');
SELECT cmp_ok(count(*) FILTER (WHERE r.item::int = 10 + x), '>=', 9::bigint, 'and tells what follows from the last but one')
FROM generate_series(0, 9) x, rlrec_recommend_for_history(ARRAY[x::text, (20 + (x * 3) % 10)::text], 1, 'two') r;
SELECT is(count(*) FILTER (WHERE source = 'supervised'), 5::bigint, 'source') FROM rlrec_recommend(1, 5, 'two');
SELECT is(count(*) FILTER (WHERE source = 'popularity'), 5::bigint, 'a user never seen gets what is popular') FROM rlrec_recommend(0, 5, 'two');
SELECT is(count(*), 4::bigint, 'items are compared') FROM rlrec_similar_items(1, 4, 'two');
SELECT ok(bool_and(abs(s.score - r.score) < 1e-5), 'rlrec_score agrees') FROM rlrec_recommend(1, 5, 'two') r, LATERAL (SELECT rlrec_score('two', 1, r.item) AS score) s;

SELECT is(learn('again', '{"epochs": 3, "dimension": 32, "hidden": 32, "length": 8, "threads": 2}'), 1, 'two threads');
SELECT is(learn('one', '{"epochs": 3, "dimension": 32, "hidden": 32, "length": 8, "threads": 1}'), 1, 'one thread');
SELECT ok(rlrec_model_weights('one') = rlrec_model_weights('again'), 'come to the same weights, bit for bit');
SELECT is(rlrec_weights_from_safetensors(rlrec_weights_to_safetensors(rlrec_model_weights('one'))), rlrec_model_weights('one'),
	'which go through safetensors unchanged');

SELECT ok((metrics->>'best_epoch')::int BETWEEN 1 AND 60 AND (metrics->>'best_ndcg')::float8 BETWEEN 0.01 AND 1, 'the metrics tell what training came to')
FROM rlrec.models WHERE agent = 'two';
SELECT rlrec_create_agent('bad', 'events', learner => 'supervised', options => '{"heads": 3}') \g /dev/null
SELECT throws_ok($$SELECT * FROM rlrec_train('bad')$$, '55000', 'learner "supervised" cannot be fitted', 'heads must divide the dimension');
SELECT throws_ok($$SELECT rlrec_alter_agent('bad', '{"loss": "hinge"}')$$, '22023', 'invalid value of "loss" in options', 'an unknown loss');
CREATE TABLE singles AS SELECT n AS user_id, n % 7 AS item_id, n AS at FROM generate_series(1, 50) n;
SELECT rlrec_create_agent('single', 'singles', learner => 'supervised') \g /dev/null
SELECT throws_ok($$SELECT * FROM rlrec_train('single')$$, '55000', 'learner "supervised" cannot be fitted', 'there is nothing that follows another');
SELECT rlrec_alter_agent('bad', '{"heads": 1, "dimension": 1024, "hidden": 8192}') \g /dev/null
SET maintenance_work_mem = '16MB';
SELECT throws_ok($$SELECT * FROM rlrec_train('bad')$$, '55000', 'learner "supervised" cannot be fitted', 'memory is bounded beforehand');
RESET maintenance_work_mem;
SELECT rlrec_alter_agent('two', '{"epochs": 100000, "patience": 100000}') \g /dev/null
CREATE FUNCTION stopped(agent text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_train(agent);
	RETURN false;
EXCEPTION WHEN query_canceled THEN
	RETURN true;
END
$$;
SET statement_timeout = 300;
SELECT stopped('two') AS stopped \gset
RESET statement_timeout;
SELECT ok(:'stopped', 'statement_timeout stops it');

-- Progressions, of which two items tell the next. Users come one after another, so that time can be split.
CREATE TABLE shifts (id serial PRIMARY KEY, user_id int, item_id int, at int);
INSERT INTO shifts (user_id, item_id, at)
SELECT u, (u * 17 + n * (1 + u % 5 * 3)) % 101, u + 100 * n FROM generate_series(1, 800) u, generate_series(1, 6) n;
CREATE FUNCTION chosen(agent text, encoder text, more jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, 'shifts', encoder => encoder, options => more ||
		'{"epochs": 60, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 32, "hidden": 32, "length": 8, "dropout": 0}');
	RETURN (SELECT metrics->>'chosen' FROM rlrec_train(agent));
END
$$;
-- Of 101 beginnings of a step of 4, how many find what comes next
CREATE FUNCTION found(agent text) RETURNS bigint LANGUAGE sql AS $$
SELECT count(*) FROM generate_series(0, 100) x, rlrec_recommend_for_history(ARRAY[x::text, ((x + 4) % 101)::text, ((x + 8) % 101)::text], 1, agent) r
WHERE r.item::int = (x + 12) % 101
$$;
CREATE FUNCTION learned(agent text, options jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, 'shifts', learner => 'supervised', options =>
		'{"epochs": 60, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 32, "hidden": 32, "length": 8, "dropout": 0, "negatives": 50}'::jsonb || options);
	PERFORM rlrec_train(agent);
	RETURN found(agent);
END
$$;
SELECT cmp_ok(learned(loss, jsonb_build_object('loss', loss)), '>=', 80::bigint, 'loss ' || loss) FROM unnest('{sampled,full,gbce,bpr}'::text[]) loss;
SELECT cmp_ok(learned('plain_bce', '{"loss": "gbce", "calibration": 0}'), '>=', 80::bigint, 'plain binary cross-entropy');
SELECT cmp_ok(learned('idle', '{"learning_rate": 1e-9}'), '<=', 20::bigint, 'which a network that does not learn does not know');
SELECT is(chosen('free', 'auto', '{}'), 'supervised', 'auto picks it where it wins');
SELECT is(source, 'supervised', 'and says so') FROM rlrec_recommend(1, 1, 'free');
SELECT isnt(chosen('plain', 'none', '{}'), 'supervised', 'encoder none leaves it out');
SELECT ok(NOT metrics->'validation_ndcg' ? 'supervised', 'of the comparison too') FROM rlrec.models WHERE agent = 'plain';
SELECT throws_ok($$SELECT rlrec_create_agent('x', 'events', encoder => 'transformer', learner => 'markov')$$, '22023',
	'learner "markov" does not go with encoder "transformer"', 'a learner without an encoder');
SELECT throws_ok($$SELECT rlrec_alter_agent('two', encoder => 'none')$$, '22023', 'learner "supervised" does not go with encoder "none"',
	'a learner that needs one');

SELECT * FROM finish();
