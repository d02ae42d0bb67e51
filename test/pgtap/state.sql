-- States of the learner supervised: encoded, decoded, in 8 bits, exported and imported.
SET client_min_messages = warning;
SELECT plan(39);

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

SELECT * FROM finish();
