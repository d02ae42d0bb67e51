-- States of the learner supervised: encoded, decoded, in 8 bits, exported and imported.
SET client_min_messages = warning;
SELECT plan(143);

CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int, at int);
INSERT INTO events (user_id, item_id, at)
SELECT u, i.item, n FROM generate_series(1, 200) u, LATERAL (SELECT (u * 7919) % 10 AS a, (u * 104729 / 10) % 10 AS b) s,
	LATERAL (VALUES (1, s.a), (2, 20 + (s.b + u) % 10), (3, 10 + s.a), (4, 30 + (s.b + u) % 10)) i(n, item);
INSERT INTO events (user_id, item_id, at) SELECT 500, i, i FROM generate_series(1, 20) i;
CREATE TABLE shown AS SELECT generate_series(5, 25) AS item_id;
CREATE FUNCTION learn(agent text, learner text, more jsonb DEFAULT '{}') RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, 'events', learner => learner, options => CASE learner WHEN 'itemknn' THEN '{}'::jsonb ELSE
		'{"epochs": 5, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 16, "hidden": 16, "length": 8, "dropout": 0}'::jsonb END || more);
	RETURN (SELECT version FROM rlrec_train(agent));
END
$$;
-- The statement fails with this SQLSTATE, a message like this, and a hint.
CREATE FUNCTION refused(statement text, state text, wanted text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	got text[];
	hint text;
BEGIN
	BEGIN
		EXECUTE statement;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
		got := ARRAY[SQLSTATE, SQLERRM, CASE WHEN hint <> '' THEN 'with a hint' END];
	END;
	IF got[2] LIKE wanted THEN
		got[2] := wanted;
	END IF;
	RETURN is(got, ARRAY[state, wanted, 'with a hint'], what);
END
$$;
-- The same items in the same order with the same scores, for some users.
CREATE FUNCTION agrees(agent text) RETURNS boolean LANGUAGE sql AS $$
	SELECT bool_and(decoded = recommended)
	FROM unnest('{1,2,77,500}'::int[]) u,
		LATERAL (SELECT array_agg((d.rank, d.item, d.score)::text) AS decoded FROM rlrec_decode(agent, rlrec_encode(agent, u), 30) d) d,
		LATERAL (SELECT array_agg((r.rank, r.item, r.score)::text) AS recommended
			FROM rlrec_recommend(u, 30, agent, context => '{"exclude_seen": false}') r) r
$$;

-- ---------------------------------------------------------------- encoding and decoding

CREATE TABLE goods (item_id int PRIMARY KEY, kind text NOT NULL, price int);
INSERT INTO goods SELECT n, CASE WHEN n < 20 THEN 'boots' ELSE 'rope' END, 10 * n FROM generate_series(0, 39) n;
SELECT rlrec_create_agent('words', 'events', items => 'goods', item_key => 'item_id', learner => 'supervised', options =>
	'{"epochs": 1, "dimension": 16, "hidden": 16, "length": 8}') \g /dev/null
CREATE VIEW boots AS SELECT item_id FROM goods WHERE kind = 'boots';
SELECT version FROM rlrec_train('words') \g /dev/null
SELECT ok(bool_and(shared ~ 'kind: (boots|rope) \(\d+ of 10\)' AND shared ~ 'price'), 'decoding says what the items share') FROM rlrec_decode('words', rlrec_encode('words', 1), 10);
SELECT rlrec_alter_agent('words', candidates => 'boots') \g /dev/null
SELECT ok(bool_and(shared ~ 'kind: boots \(6 of 6\)'), 'of the candidates alone') FROM rlrec_decode('words', rlrec_encode('words', 1), 6);
CREATE ROLE visitor;
SELECT format('GRANT USAGE ON SEQUENCE %s TO visitor', anchor) FROM rlrec.agents WHERE name = 'words' \gexec
GRANT SELECT ON events, boots TO visitor;
SET ROLE visitor;
SELECT is(max(shared), NULL, 'nothing of what the caller may not see') FROM rlrec_decode('words', array_fill(0.5::float8, '{16}'), 6);
RESET ROLE;
CREATE TABLE named AS SELECT user_id, CASE WHEN item_id = 39 THEN 'sku-x' ELSE item_id::text END AS item_id, at FROM events;
SELECT rlrec_create_agent('named', 'named', items => 'goods', item_key => 'item_id', learner => 'supervised', options => '{"epochs": 1, "dimension": 16, "hidden": 16, "length": 8}') \g /dev/null
SELECT version FROM rlrec_train('named') \g /dev/null
SELECT ok(bool_and(shared ~ 'kind: (boots|rope)'), 'ids that the items table cannot hold') FROM rlrec_decode('named', rlrec_encode('named', 1), 41);
-- States wider than the network behind them, and narrower.
SET maintenance_work_mem = '256MB';
SELECT is(learn('wide', 'supervised', '{"epochs": 1, "dimension": 512, "hidden": 1, "length": 200}'), 1, 'a wide state');
SELECT is((SELECT count(*) FROM generate_series(1, 20) u, rlrec_recommend(u, 5, 'wide')), 100::bigint, 'recommends');
SELECT is(learn('deep', 'supervised', '{"epochs": 1, "dimension": 4, "hidden": 512, "blocks": 4}'), 1, 'a wide network');
SELECT is((SELECT count(*) FROM generate_series(1, 20) u, rlrec_recommend(u, 5, 'deep')), 100::bigint, 'recommends');
SELECT is((SELECT count(*) FROM rlrec_recommend(500, 5, 'wide')), 5::bigint, 'after a longer history too');
RESET maintenance_work_mem;
SELECT is(shared, NULL, 'one item shares nothing') FROM rlrec_decode('words', rlrec_encode('words', 1), 1);

SELECT is(learn('shop', 'supervised'), 1, 'supervised is trained');
SELECT is(learn('chosen', 'auto', '{"learners": ["supervised"]}'), 1, 'auto is trained, with supervised');
SELECT is(learn('counts', 'itemknn'), 1, 'itemknn is trained');
SELECT is(learn('blend', 'hybrid', '{"learners": ["supervised", "markov"]}'), 1, 'hybrid is trained');

SELECT is(array_length(rlrec_encode('shop', 1), 1), 16, 'a state has as many numbers as the option says');
SELECT is(rlrec_encode('shop', '1'), rlrec_encode('shop', 1), 'an id may be text');
SELECT is(rlrec_encode('shop', 9999), NULL, 'a user without events has no state');
SELECT is(pg_typeof(rlrec_encode('shop', 1))::text, 'double precision[]', 'a state is an array of double precision');
SELECT ok(rlrec_encode('shop', 1) <> rlrec_encode('shop', 2), 'two users, two states');
SELECT ok(agrees('shop'), 'decoding a state ranks as rlrec_recommend does');
SELECT ok(agrees('chosen'), 'also where auto chose the learner');
SELECT is((SELECT count(*) FROM rlrec_decode('shop', rlrec_encode('shop', 1))), 10::bigint, 'ten items unless told');
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_decode('shop', (SELECT array_agg(-x ORDER BY i) FROM unnest(rlrec_encode('shop', 1)) WITH ORDINALITY s(x, i)), 41)),
	(SELECT array_agg(item ORDER BY rank DESC) FROM rlrec_decode('shop', rlrec_encode('shop', 1), 41)), 'the opposite state has the opposite order');
SELECT is((SELECT array_agg(item) FROM rlrec_decode('shop', array_fill(0::float8, '{16}'), 3)), '{0,1,10}', 'equal scores rank by the item''s bytes');
SELECT is((SELECT count(*) FROM rlrec_decode('shop', (SELECT array_agg(a + b ORDER BY i)
	FROM unnest(rlrec_encode('shop', 1), rlrec_encode('shop', 2)) WITH ORDINALITY AS s(a, b, i)))), 10::bigint, 'two states may be added');
CREATE TEMP TABLE before AS SELECT d.* FROM rlrec_decode('shop', rlrec_encode('shop', 1), 41) d;
SELECT rlrec_alter_agent('shop', candidates => 'shown') \g /dev/null
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_decode('shop', rlrec_encode('shop', 1), 41)),
	(SELECT array_agg(item ORDER BY rank) FROM before WHERE item::int BETWEEN 5 AND 25), 'the agent''s candidates alone are decoded');
SELECT ok(agrees('shop'), 'as they are recommended');

SELECT refused($$SELECT rlrec_encode('counts', 1)$$, '0A000', 'learner "itemknn" of agent "counts" has no state', 'a learner without a state encodes nothing');
SELECT refused($$SELECT rlrec_decode('counts', '{1}')$$, '0A000', 'learner "itemknn" of agent "counts" has no state', 'and decodes nothing');
SELECT refused($$SELECT rlrec_encode('blend', 1)$$, '0A000', 'learner "hybrid" of agent "blend" has no state', 'nor does a blend');
SELECT refused($$SELECT rlrec_encode('shop', NULL)$$, '22004', 'user_id must not be NULL', 'no user');
SELECT refused($$SELECT rlrec_decode('shop', NULL)$$, '22004', 'state must not be NULL', 'no state');
SELECT refused($$SELECT rlrec_decode('shop', '{}')$$, '22023', 'state has 0 numbers instead of 16', 'an empty state');
SELECT refused($$SELECT rlrec_decode('shop', array_fill(1::float8, '{17}'))$$, '22023', 'state has 17 numbers instead of 16', 'a state that is too long');
SELECT refused($$SELECT rlrec_decode('shop', array_fill(1::float8, '{4,4}'))$$, '2202E', 'state must have one dimension, not 2', 'a matrix');
SELECT refused($$SELECT rlrec_decode('shop', array_fill(NULL::float8, '{16}'))$$, '22004', 'state must not contain NULL', 'NULLs');
SELECT refused($$SELECT rlrec_decode('shop', array_fill('NaN'::float8, '{16}'))$$, '22023', 'element 1 of state is not a finite number%', 'NaN');
SELECT refused($$SELECT rlrec_decode('shop', array_fill('-Infinity'::float8, '{16}'))$$, '22023', 'element 1 of state is not a finite number%', 'infinity');
SELECT refused($$SELECT rlrec_decode('shop', array_fill(1e300::float8, '{16}'))$$, '22023', 'element 1 of state is not a finite number%', 'what real cannot hold');
SELECT refused($$SELECT rlrec_decode('shop', array_fill(1::float8, '{16}'), 0)$$, '22023', 'k must be positive, not 0', 'k of 0');

CREATE FUNCTION planned(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Plan Rows';
END
$$;
SELECT is(planned($$SELECT * FROM rlrec_decode('shop', '{1}', 7)$$), '7', 'the planner knows how many rows come');
SELECT is(planned($$SELECT * FROM rlrec_decode('shop', '{1}')$$), '10', 'also by default');

-- ---------------------------------------------------------------- 8 bits

SELECT is(learn('small', 'supervised', '{"quantize": "int8"}'), 1, 'a model in 8 bits is trained');
SELECT rlrec_alter_agent('small', candidates => 'shown') \g /dev/null
CREATE TEMP VIEW tensors AS SELECT agent, t.* FROM unnest('{shop,small}'::text[]) agent, rlrec_weights_tensors(rlrec_model_weights(agent)) t;
SELECT is((SELECT array_agg((name, dtype, shape)::text ORDER BY name) FROM tensors WHERE agent = 'small' AND name LIKE 'item\_%'),
	'{"(item_code,i8,\"{40,16}\")","(item_scale,f32,{40})"}', 'its items are codes and scales alone');
SELECT is((SELECT array_agg((name, shape)::text) FROM tensors WHERE agent = 'shop' AND name NOT LIKE 'item\_%'),
	(SELECT array_agg((name, shape)::text) FROM tensors WHERE agent = 'small' AND name NOT LIKE 'item\_%'), 'all else is as before');
SELECT ok(bool_and(abs(exact[i][j] - code[i][j] * scale[i]) <= 0.5001 * scale[i]), 'from the same training: each number within half a step')
FROM (SELECT rlrec_weights_tensor(rlrec_model_weights('shop'), 'item_embedding') AS exact,
	rlrec_weights_tensor(rlrec_model_weights('small'), 'item_code') AS code, rlrec_weights_tensor(rlrec_model_weights('small'), 'item_scale') AS scale) w,
	generate_series(1, 40) i, generate_series(1, 16) j;
SELECT ok(agrees('small'), 'decoding a state of it ranks as rlrec_recommend does');
SELECT cmp_ok(avg(same), '>=', 0.98, 'recall@10 against float32')
FROM (SELECT user_id, count(small.item) / 10.0 AS same FROM rlrec_recommend_all('shop', 10) exact LEFT JOIN rlrec_recommend_all('small', 10) small
	USING (user_id, item) GROUP BY user_id) u;
SELECT ok(bool_and(abs(exact.score - small.score) < 0.02), 'similar items have the same cosine')
FROM generate_series(5, 25) i, rlrec_similar_items(i, 41, 'shop') exact JOIN rlrec_similar_items(i, 41, 'small') small USING (item);
SELECT refused($$SELECT rlrec_alter_agent('small', '{"quantize": "int4"}')$$, '22023', 'invalid value of "quantize" in options', 'there is no other width');

-- ---------------------------------------------------------------- import

SELECT FROM rlrec_create_agent('copy', 'events', learner => 'supervised');
SELECT is(rlrec_import_model('copy', rlrec_model_weights('shop')), 1, 'exported weights are imported as a version');
SELECT is((SELECT (deployed, metrics->>'imported', metrics->>'items')::text FROM rlrec.models WHERE agent = 'copy'), '(f,true,40)', 'which does not serve yet');
SELECT ok(rlrec_model_weights('copy', 1) = rlrec_model_weights('shop'), 'and has the same weights, bit for bit');
SELECT is(rlrec_import_model('copy', rlrec_weights_from_safetensors(rlrec_weights_to_safetensors(rlrec_model_weights('small'))), deploy => true), 2, 'a second, in 8 bits, from a file');
SELECT ok(rlrec_model_weights('copy') = rlrec_model_weights('small'), 'is deployed');
SELECT results_eq($$SELECT * FROM rlrec_recommend(77, 10, 'copy', ARRAY(SELECT item_id::text FROM shown))$$,
	$$SELECT * FROM rlrec_recommend(77, 10, 'small')$$, 'recommends the same');
SELECT rlrec_deploy('copy', 1) \g /dev/null
SELECT results_eq($$SELECT * FROM generate_series(1, 200) u, rlrec_recommend(u, 10, 'copy', ARRAY(SELECT item_id::text FROM shown))$$,
	$$SELECT * FROM generate_series(1, 200) u, rlrec_recommend(u, 10, 'shop')$$, 'as does the first');
SELECT refused($$SELECT rlrec_import_model('counts', rlrec_model_weights('counts'))$$, '0A000', 'a model of learner "itemknn" cannot be imported', 'a learner that cannot check');
SELECT refused($$SELECT rlrec_import_model('copy', NULL)$$, '22004', 'weights must not be NULL', 'no weights');

-- What the import says of weights that are changed, as JSON: merged into the tensors, a null takes one away.
CREATE TEMP TABLE good AS SELECT agent, rlrec_model_weights(agent)::text::jsonb AS weights FROM unnest('{shop,small}'::text[]) agent;
CREATE FUNCTION says(changes jsonb, original text DEFAULT 'shop') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM rlrec_import_model('copy', jsonb_strip_nulls(weights || changes)::text::rlrec_weights) FROM good WHERE agent = original;
	RETURN NULL;
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN CASE WHEN hint = '' THEN 'no hint' WHEN SQLERRM <> 'weights do not fit learner "supervised"' THEN SQLERRM ELSE detail END;
END
$$;
CREATE FUNCTION tensor(name text, dtype text, shape text, data text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object(name, jsonb_build_object('dtype', dtype, 'shape', shape::jsonb, 'data', data::jsonb)) $$;
-- One number of a tensor replaced.
CREATE FUNCTION number(name text, place int, value text, original text DEFAULT 'shop') RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object(name, jsonb_set(weights->name, ARRAY['data', place::text], value::jsonb)) FROM good WHERE agent = original $$;

SELECT is(says('{}'), NULL, 'the order of the tensors is free');
SELECT is(says(jsonb_build_object(key, NULL)), CASE WHEN key LIKE 'item\_%' THEN 'There is no tensor "item_embedding".' ELSE format('There is no tensor "%s".', key) END,
	'without ' || key) FROM good, jsonb_object_keys(weights) key WHERE agent = 'shop';
SELECT is(says('{"item_scale": null}', 'small'), 'There is no tensor "item_scale".', 'without scales');
SELECT is(says(tensor('more', 'f32', '[1]', '[1]')), 'There are 28 tensors instead of 27.', 'one too many');
SELECT is(says(tensor(v.key, v.dtype, v.shape, v.data)), v.detail, v.detail) FROM (VALUES
	('items/count', 'f64', '[1]', '[1]', 'Tensor "items/count" is of type f64 instead of f32.'),
	('items/count', 'f32', '[1]', '[1]', 'Tensor "items/count" has 1 rows instead of 40.'),
	('items/count', 'f32', '[0]', '[]', 'Tensor "items/count" has 0 rows instead of 40.'),
	('items/users', 'i32', '[1,1]', '[1]', 'Tensor "items/users" has 2 dimensions instead of 1.'),
	('training', 'f64', '[3]', '["NaN",1,0.5]', 'Tensor "training" is not a time, an epoch and an NDCG.'),
	('items/users', 'i32', '[1]', '[-1]', 'Tensor "items/users" is negative.'),
	('items/offset', 'i32', '[0]', '[]', 'Tensor "items/offset" has 0 elements; there must be one more than ids, and an id.'),
	('items/offset', 'i32', '[1]', '[0]', 'Tensor "items/offset" has 1 elements; there must be one more than ids, and an id.'),
	('items/offset', 'i32', '[1,2]', '[0,1]', 'Tensor "items/offset" has 2 dimensions instead of 1.'),
	('items/offset', 'i32', '[2]', '[0,2147483647]', 'Tensor "items/offset" does not start at 0 and end at 70, the size of "items/bytes".'),
	('items/offset', 'i32', '[2]', '[0,70]', 'Tensor "items/count" has 40 rows instead of 1.'),
	('norm', 'f32', '[1,32]', '[' || repeat('0,', 31) || '0]', 'Tensor "norm" has 1 rows instead of 2.'),
	('block1/qkv', 'f32', '[16,1]', '[' || repeat('0,', 15) || '0]', 'Tensor "block1/qkv" has 1 columns instead of 48.'),
	('shape', 'i32', '[5]', '[8,16,2,1,16]', 'Tensor "shape" has 5 rows instead of 9.')) v(key, dtype, shape, data, detail);
SELECT is(says(number(v.key, v.place, v.value)), v.detail, v.detail) FROM (VALUES
	('items/offset', 0, '1', 'Tensor "items/offset" does not start at 0 and end at 70, the size of "items/bytes".'),
	('items/offset', 40, '71', 'Tensor "items/offset" does not start at 0 and end at 70, the size of "items/bytes".'),
	('items/offset', 40, '-1', 'Tensor "items/offset" does not start at 0 and end at 70, the size of "items/bytes".'),
	('items/offset', 7, '-5', 'Element 7 of tensor "items/offset" is less than the one before it.'),
	('items/offset', 7, '2147483647', 'Element 8 of tensor "items/offset" is less than the one before it.'),
	('items/bytes', 69, '0', 'Id 39 of tensor "items/bytes" is not text in the encoding of the database.'),
	('items/bytes', 69, '-61', 'Id 39 of tensor "items/bytes" is not text in the encoding of the database.'),
	('items/bytes', 0, '50', 'Id 1 of tensor "items/bytes" does not come after the one before it.'),
	('items/bytes', 69, '56', 'Id 39 of tensor "items/bytes" does not come after the one before it.'),
	('items/count', 3, '"NaN"', 'Element 3 of tensor "items/count" is not a finite number.'),
	('items/count', 3, '-1', 'Element 3 of tensor "items/count" is negative.'),
	('item_embedding', 639, '"NaN"', 'Element 639 of tensor "item_embedding" is not a finite number.'),
	('block0/down', 0, '"-Infinity"', 'Element 0 of tensor "block0/down" is not a finite number.'),
	('shape', 0, '0', 'Its number "length" is 0, which is not in 1 .. 4096.'),
	('shape', 0, '2147483647', 'Its number "length" is 2147483647, which is not in 1 .. 4096.'),
	('shape', 0, '9', 'Tensor "block0/relative" has 8 columns instead of 9.'),
	('shape', 1, '-2147483648', 'Its number "dimension" is -2147483648, which is not in 4 .. 1024.'),
	('shape', 1, '1024', 'Tensor "item_embedding" has 16 columns instead of 1024.'),
	('shape', 2, '0', 'Its number "blocks" is 0, which is not in 1 .. 16.'),
	('shape', 2, '3', 'There is no tensor "block2/attention_norm".'),
	('shape', 2, '1', 'There are 27 tensors instead of 18.'),
	('shape', 3, '0', 'Its number "heads" is 0, which is not in 1 .. 64.'),
	('shape', 3, '3', 'It has 3 heads, which do not divide its dimension, 16.'),
	('shape', 4, '-1', 'Its number "hidden" is -1, which is not in 1 .. 8192.'),
	('shape', 6, '35', 'It has 35 gaps of time instead of 0 or 36.'),
	('shape', 6, '0', 'There are 27 tensors instead of 26.'),
	('shape', 7, '1', 'There is no tensor "type".'),
	('shape', 7, '-1', 'It has -1 types of events instead of 0 or 1.'),
	('shape', 5, '2', 'Its number "gates" is 2, which is not in 0 .. 1.'),
	('shape', 5, '0', 'There are 27 tensors instead of 23.')) v(key, place, value, detail);
SELECT is(says(number('item_scale', 39, '"Infinity"', 'small'), 'small'), 'Element 39 of tensor "item_scale" is not a finite number.', 'a scale that is infinite');
SELECT is(says((SELECT jsonb_build_object('item_embedding', weights->'item_embedding') FROM good WHERE agent = 'shop'), 'small'), 'There are 29 tensors instead of 28.', 'items twice');
SELECT is((SELECT max(version) FROM rlrec.models WHERE agent = 'copy'), 3, 'nothing of all that was stored');

-- Numbers of the integer tensors replaced at random: refused, or a model that serves.
CREATE FUNCTION survives(tensor text, tries int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	n int;
	original text;
BEGIN
	FOR i IN 1 .. tries LOOP
		original := (ARRAY['shop', 'small'])[1 + floor(random() * 2)];
		SELECT jsonb_array_length(weights->tensor->'data') INTO n FROM good WHERE agent = original;
		BEGIN
			PERFORM rlrec_import_model('copy', (weights || number(tensor, floor(random() * n)::int,
				CASE WHEN tensor = 'items/bytes' THEN floor(random() * 256) - 128 ELSE floor(random() * 90) - 10 END::text, original))::text::rlrec_weights, true)
			FROM good WHERE agent = original;
			PERFORM rlrec_recommend(7, 10, 'copy'), rlrec_similar_items('5', 10, 'copy'), rlrec_decode('copy', rlrec_encode('copy', 500));
		EXCEPTION WHEN invalid_parameter_value OR no_data_found THEN
		END;
	END LOOP;
	RETURN true;
END
$$;
SELECT setseed(0.25) \g /dev/null
SELECT ok(survives(tensor, 60), 'whatever is in ' || tensor) FROM unnest('{shape,items/offset,items/bytes}'::text[]) tensor;

-- Finite weights may have products that are not.
SELECT rlrec_import_model('copy', (weights || number('item_embedding', 0, '3e38'))::text::rlrec_weights, true) FROM good WHERE agent = 'shop' \g /dev/null
SELECT refused($$SELECT rlrec_decode('copy', array_fill(9::float8, '{16}'))$$, '22003', 'state is too large to be decoded', 'a product that overflows');
SELECT is((SELECT count(*) FROM generate_series(1, 20) u, rlrec_recommend(u, 5, 'copy')), 100::bigint, 'is no matter when recommending');

-- A training that starts there has a loss that is not finite.
SELECT rlrec_alter_agent('copy', '{"warm_start": "all", "dimension": 16, "hidden": 16, "length": 8}') \g /dev/null
SELECT version AS serving FROM rlrec.models WHERE agent = 'copy' AND deployed \gset
SELECT refused('SELECT * FROM rlrec_train(''copy'')', '22003', 'training of learner "supervised" diverged', 'training does not go on from there');
SELECT is((SELECT max(version)::text || deployed FROM rlrec.models WHERE agent = 'copy' GROUP BY deployed ORDER BY 1 DESC LIMIT 1), :'serving' || 'true', 'and publishes nothing');

SELECT * FROM finish();
