-- The type rlrec_weights: what it promises to those who write SQL.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS rlrec;
SELECT plan(32);

SELECT has_type('rlrec_weights');
SELECT is((SELECT (typstorage, typalign, typlen)::text FROM pg_type WHERE oid = 'rlrec_weights'::regtype), '(e,d,-1)',
	'a value is stored outside of its row, uncompressed and aligned');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
		JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'rlrec' AND p.proname LIKE 'rlrec\_weights%'
		AND (obj_description(p.oid, 'pg_proc') IS NULL OR p.provolatile <> 'i' OR p.proparallel <> 's')$$,
	'every function is immutable, parallel safe and has a comment');

-- text
SELECT is('{"w": {"dtype": "f32", "shape": [2,2], "data": [1,2,3.5,"NaN"]}}'::rlrec_weights::text,
	'{"w": {"dtype": "f32", "shape": [2,2], "data": [1,2,3.5,"NaN"]}}', 'the text form reads back as it is printed');
SELECT is(('{"w": {"dtype": "f32", "shape": [1], "data": [1]}}'::jsonb)::text::rlrec_weights,
	rlrec_weights_build('w', '{1}'), 'the keys come in any order, as from jsonb');
SELECT is((SELECT count(*) FROM (
		SELECT rlrec_weights_build('w', array_agg((random() - 0.5) * 10 ^ (random() * 76 - 38)), d) AS w
		FROM unnest(ARRAY['f32', 'f64']) AS d, generate_series(1, 20000) GROUP BY d) AS v
	WHERE w::text::rlrec_weights = w), 2::bigint, '20,000 floats of every magnitude pass through the text bit for bit, in f32 and in f64');
SELECT is(to_json(rlrec_weights_tensor('{"w":{"dtype":"f64","shape":[3],"data":["Infinity","-Infinity","NaN"]}}', 'w')::text[])::text,
	'["Infinity","-Infinity","NaN"]', 'what is not finite is a string');
SELECT throws_ok($$SELECT '{"w":{"dtype":"f32","shape":[3],"data":[1,2]}}'::rlrec_weights$$, '22P02', NULL, 'a wrong count is an error');
SELECT throws_ok($$SELECT '{"w":{"dtype":"f8","shape":[1],"data":[1]}}'::rlrec_weights$$, '22P02', NULL, 'an unknown dtype is an error');
SELECT throws_ok($$SELECT '{"w":{"dtype":"i8","shape":[1],"data":[200]}}'::rlrec_weights$$, '22003', '"200" is out of range for i8');
SELECT throws_ok($$SELECT '{"w":{"dtype":"i8","shape":[0],"data":[]},"w":{"dtype":"i8","shape":[0],"data":[]}}'::rlrec_weights$$,
	'42710', 'duplicate tensor name "w"');

-- the image
SELECT is(w::bytea::rlrec_weights, w, 'the image reads back') FROM rlrec_weights_build('w', '{{1,2},{3,4}}', 'f64') AS w;
SELECT is(rlrec_weights_send(w), w::bytea, 'what is sent is what the cast gives') FROM rlrec_weights_build('w', '{1}') AS w;
SELECT is(length(rlrec_weights_send('{}')), 32, 'a set of no tensors is a header');
SELECT throws_ok($$SELECT set_byte(rlrec_weights_build('w', '{1}')::bytea, 195, 1)::rlrec_weights$$, '22P03', 'invalid image of weights',
	'a changed byte is an error');
SELECT throws_ok($$SELECT substr(rlrec_weights_build('w', '{1}')::bytea, 1, 195)::rlrec_weights$$, '22P03', 'invalid image of weights',
	'a lost byte is an error');
SELECT throws_ok($$SELECT (rlrec_weights_build('w', '{1}')::bytea || '\x00')::rlrec_weights$$, '22P03', 'invalid image of weights',
	'a byte too much is an error');

-- equality
SELECT ok(rlrec_weights_build('w', '{NaN}') = rlrec_weights_build('w', '{NaN}'), 'a NaN equals itself');
SELECT ok(rlrec_weights_build('w', '{0}') <> rlrec_weights_build('w', '{-0}'), '0 differs from -0');
SELECT ok(rlrec_weights_build('a', '{1}') || rlrec_weights_build('b', '{1}') <> rlrec_weights_build('b', '{1}') || rlrec_weights_build('a', '{1}'),
	'the order of the tensors counts');
SELECT is((SELECT array_agg(n ORDER BY n) FROM (SELECT count(*) AS n FROM generate_series(1, 30) AS i
		GROUP BY rlrec_weights_build('w', ARRAY[i % 3]::float8[])) AS g), '{10,10,10}', 'values group');
SELECT is((SELECT count(DISTINCT rlrec_weights_build('w', ARRAY[i % 3]::float8[])) FROM generate_series(1, 30) AS i), 3::bigint,
	'values count as distinct');

-- functions
SELECT results_eq($$SELECT * FROM rlrec_weights_tensors(rlrec_weights_build('w', '{{1,2,3},{4,5,6}}', 'f64') || rlrec_weights_build('i', '{}', 'i32'))$$,
	$$VALUES ('w', 'f64', '{2,3}'::bigint[], 6::bigint, 48::bigint), ('i', 'i32', '{0}', 0, 0)$$, 'the tensors are listed in order');
SELECT is(rlrec_weights_tensor(rlrec_weights_build('w', a), 'w'), a, 'an array keeps its dimensions')
FROM (SELECT '{{{{1,2}},{{3,4}},{{5,6}}}}'::float8[] AS a) AS v;
SELECT throws_ok($$SELECT rlrec_weights_tensor('{}', 'w')$$, '42704', 'weights have no tensor "w"');
SELECT throws_ok($$SELECT rlrec_weights_build('w', ARRAY[1, NULL])$$, '22004', 'values of tensor "w" must not be NULL');
SELECT is(rlrec_weights_norm(rlrec_weights_build('a', '{3,4}') || rlrec_weights_build('b', '{12}', 'i8')), 13::float8,
	'the norm is over all tensors');
SELECT is(rlrec_weights_norm(rlrec_weights_build('a', '{3,4}') || rlrec_weights_build('b', '{12}', 'i8'), 'a'), 5::float8,
	'or over one');
SELECT is(rlrec_weights_norm(rlrec_weights_build('w', '{3e300,4e300}', 'f64')) / 5e300 BETWEEN 1 - 1e-15 AND 1 + 1e-15, true,
	'the norm overflows no sooner than its result');
SELECT is(rlrec_weights_difference(rlrec_weights_build('w', '{5,NaN}'), rlrec_weights_build('w', '{3,1}', 'i8')),
	rlrec_weights_build('w', '{2,NaN}', 'f64'), 'a difference across dtypes is in f64');
SELECT throws_ok($$SELECT rlrec_weights_difference(rlrec_weights_build('w', '{1}'), rlrec_weights_build('w', '{{1}}'))$$,
	'42804', 'tensor "w" has different shapes in the two weights');
SELECT throws_ok($$SELECT rlrec_weights_build('w', '{1}') || rlrec_weights_build('w', '{1}')$$, '42710', 'duplicate tensor name "w"');

SELECT * FROM finish();
ROLLBACK;
