-- The type rlrec_qtable: what it promises to those who write SQL.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS rlrec;
SELECT plan(93);

SELECT has_type('rlrec_qtable');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
		JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'rlrec' AND p.proname LIKE 'rlrec\_qtable%'
		AND (obj_description(p.oid, 'pg_proc') IS NULL OR p.provolatile <> 'i' OR p.proparallel <> 's')$$,
	'every function is immutable, parallel safe and has a comment');

-- text
SELECT is('{"right": {"visits": 0, "q": -1}, "left": {"q": 0.5, "visits": 3}}'::rlrec_qtable::text,
	'{"left": {"q": 0.5, "visits": 3}, "right": {"q": -1, "visits": 0}}', 'actions are printed in order, keys are read in any');
SELECT is('{"left": 0.5}'::rlrec_qtable::text, '{"left": {"q": 0.5, "visits": 0}}', 'a bare number is a q of no visits');
SELECT is('{"left": {"q": -0.0}}'::rlrec_qtable::text, '{"left": {"q": 0, "visits": 0}}', 'visits default to 0, and -0 is 0');
SELECT is('{}'::rlrec_qtable::text, '{}', 'a table may be empty');
SELECT is('{"B": 1, "a": 2, "aa": 3, "é": 4, "\"\n": 5}'::rlrec_qtable::text,
	'{"\"\n": {"q": 5, "visits": 0}, "B": {"q": 1, "visits": 0}, "a": {"q": 2, "visits": 0}, "aa": {"q": 3, "visits": 0}, "é": {"q": 4, "visits": 0}}',
	'the order is that of bytes, and names are escaped');
SELECT ok(t::text::rlrec_qtable = t AND t::jsonb::rlrec_qtable = t, 'floats of every magnitude pass through text and jsonb bit for bit')
FROM (SELECT setseed(0.5)) AS s, LATERAL (SELECT rlrec_qtable_agg(i::text, (random() - 0.5) * 10 ^ (random() * 600 - 300), (random() * 1e9)::bigint) AS t
	FROM generate_series(1, 5000) AS i) AS v;
SELECT is('{"a": {"q": 1, "visits": 5000000000}}'::rlrec_qtable::text, '{"a": {"q": 1, "visits": 4294967295}}', 'visits saturate');
SELECT is('{"a": {"q": 1, "visits": 99999999999999999999}}'::rlrec_qtable::text, '{"a": {"q": 1, "visits": 4294967295}}',
	'visits beyond 64 bits too');
SELECT is('{"a": 1}'::jsonb::rlrec_qtable::jsonb, '{"a": {"q": 1, "visits": 0}}'::jsonb, 'jsonb casts both ways');

SELECT throws_ok(format('SELECT %L::rlrec_qtable', text), state, NULL, text || ' is an error') FROM (VALUES
	('', '22P02'), ('1', '22P02'), ('[]', '22P02'), ('{"a": "NaN"}', '22P02'), ('{"a": null}', '22P02'), ('{"a": true}', '22P02'),
	('{"a": [1]}', '22P02'), ('{"a": {"q": {}}}', '22P02'), ('{"a": {}}', '22P02'), ('{"a": {"visits": 1}}', '22P02'),
	('{"a": {"q": 1, "q": 2}}', '22P02'), ('{"a": {"q": 1, "v": 2}}', '22P02'), ('{"a": {"q": 1, "visits": 1.5}}', '22P02'),
	('{"a": {"q": 1, "visits": -1}}', '22003'), ('{"a": 1e999}', '22003'), ('{"a": 1e-999}', '22003'), ('{"": 1}', '22023'),
	('{"a": 1, "a": 2}', '42710')) AS bad (text, state);

-- binary: n, then of each action length, bytes, q, visits
SELECT is(rlrec_qtable_send('{"ab": {"q": 1, "visits": 2}}'), '\x00000001000000026162' || float8send(1) || int8send(2), 'the binary form');
CREATE TABLE received (t rlrec_qtable);
-- One value in binary format, by way of COPY: printf knows bytes by their octal numbers.
CREATE FUNCTION receive(value bytea) RETURNS rlrec_qtable LANGUAGE plpgsql AS $$
DECLARE
	file bytea := '\x5047434f50590aff0d0a00' || int4send(0) || int4send(0) || int2send(1::int2) || int4send(length(value)) || value
		|| int2send((-1)::int2);
	result rlrec_qtable;
BEGIN
	TRUNCATE received;
	EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', (SELECT format('printf ''%s''',
		string_agg(format('\%s%s%s', get_byte(file, i) / 64, get_byte(file, i) / 8 % 8, get_byte(file, i) % 8), '' ORDER BY i))
		FROM generate_series(0, length(file) - 1) AS i));
	SELECT t INTO result FROM received;
	RETURN result;
END $$;
SELECT is(receive(rlrec_qtable_send(t)), t, format('%s is received as it was sent', t))
FROM (VALUES ('{}'::rlrec_qtable), ('{"a": 1}'), ('{"é": {"q": -2.5, "visits": 7}, "b": 1e300}')) AS v (t);
SELECT is(receive('\x00000002' || int4send(1) || 'b' || float8send(2) || int8send(0) || int4send(1) || 'a' || float8send(1) || int8send(1::bigint << 40)),
	'{"a": {"q": 1, "visits": 4294967295}, "b": 2}', 'in any order, and saturated');
SELECT throws_ok(format('SELECT receive(%L)', value), state, NULL, 'received, ' || what || ' is an error') FROM (VALUES
	('nothing', ''::bytea, '22P03'),
	('a number of actions of -1', int4send(-1), '22P03'),
	('a number of actions that does not fit', int4send(2) || int4send(1) || 'a' || float8send(1) || int8send(0), '22P03'),
	('a length that does not fit', int4send(1) || int4send(2) || 'a' || float8send(1) || int8send(0), '22P03'),
	('a huge length', int4send(1) || int4send(2147483647) || 'a' || float8send(1) || int8send(0), '22P03'),
	('an empty action', int4send(1) || int4send(0) || 'a' || float8send(1) || int8send(0), '22P03'),
	('a byte too much', int4send(1) || int4send(1) || 'a' || float8send(1) || int8send(0) || '\x00', '22P03'),
	('a zero byte', int4send(1) || int4send(1) || '\x00' || float8send(1) || int8send(0), '22021'),
	('NaN', int4send(1) || int4send(1) || 'a' || float8send('NaN') || int8send(0), '22003'),
	('-1 visits', int4send(1) || int4send(1) || 'a' || float8send(1) || int8send(-1), '22003'),
	('an action twice', int4send(2) || int4send(1) || 'a' || float8send(1) || int8send(0) || int4send(1) || 'a' || float8send(1) || int8send(0), '42710'))
	AS bad (what, value, state);

-- lookup
SELECT results_eq($$SELECT * FROM rlrec_qtable_entries('{"b": 2, "a": {"q": 1, "visits": 3}}')$$,
	$$VALUES ('a', 1::float8, 3::bigint), ('b', 2, 0)$$, 'the entries are listed in order');
SELECT is_empty($$SELECT * FROM rlrec_qtable_entries('{}')$$, 'of an empty table none');
SELECT is((SELECT count(*) FROM generate_series(1, 1000) AS i WHERE rlrec_qtable_value(t, i::text) = i AND rlrec_qtable_visits(t, i::text) = 2 * i),
	1000::bigint, 'each of 1,000 actions is found')
FROM (SELECT rlrec_qtable_agg(i::text, i, 2 * i ORDER BY hashint4(i)) AS t FROM generate_series(1, 1000) AS i) AS v;
SELECT is(rlrec_qtable_value('{"a": 1, "ab": 2}', a), NULL, format('%L is not there', a)) FROM unnest('{"",A,aa,abc,b}'::text[]) AS a;
SELECT is(rlrec_qtable_visits('{"a": 1}', 'b'), NULL, 'nor are its visits');
SELECT is(rlrec_qtable_best('{"c": -1, "b": -1, "a": -2}'), 'b', 'of equal actions the first by bytes is best');
SELECT is(rlrec_qtable_best('{}'), NULL, 'an empty table has no best action');
SELECT results_eq($$SELECT action, round(probability::numeric, 12) FROM rlrec_qtable_softmax('{"a": 0, "b": 1}', 2)$$,
	$$VALUES ('a', round((1 / (1 + exp(0.5)))::numeric, 12)), ('b', round((exp(0.5) / (1 + exp(0.5)))::numeric, 12))$$, 'softmax with a temperature');
SELECT results_eq($$SELECT * FROM rlrec_qtable_softmax('{"a": -1e308, "b": 1e308, "c": 1e308}', 1e-300)$$,
	$$VALUES ('a', 0::float8), ('b', 0.5), ('c', 0.5)$$, 'softmax does not overflow');
SELECT throws_ok(format('SELECT * FROM rlrec_qtable_softmax(%L, %L)', '{"a": 1}', t), '22023', 'temperature must be a finite number above 0')
FROM unnest('{0,-1,NaN,Infinity}'::text[]) AS t;

-- update and merge
SELECT is(rlrec_qtable_update('{"a": {"q": 1, "visits": 1}, "c": 5}', 'a', 3, 0.25), '{"a": {"q": 1.5, "visits": 2}, "c": 5}', 'a step of a quarter');
SELECT is(rlrec_qtable_update('{"a": 1, "c": 5}', 'b', 4, 0.5), '{"a": 1, "b": {"q": 2, "visits": 1}, "c": 5}', 'a new action starts at 0');
SELECT is(rlrec_qtable_update(NULL, 'b', 4, 0.5), '{"b": {"q": 2, "visits": 1}}', 'so does a new table');
SELECT is(rlrec_qtable_update('{"a": -1.5e308}', 'a', 1.5e308, 0.5), '{"a": {"q": 0, "visits": 1}}', 'a difference that overflows does not');
SELECT is(rlrec_qtable_visits(rlrec_qtable_update('{"a": {"q": 1, "visits": 4294967295}}', 'a', 1, 1), 'a'), 4294967295, 'visits saturate in an update');
SELECT throws_ok(format('SELECT rlrec_qtable_update(%L, %s)', '{"a": 1}', a), state, NULL, format('an update by %s is an error', a)) FROM (VALUES
	($$'', 1, 1$$, '22023'), ($$NULL, 1, 1$$, '22004'), ($$'a', NULL, 1$$, '22004'), ($$'a', 'NaN', 1$$, '22003'),
	($$'a', '-Infinity', 1$$, '22003'), ($$'a', 1, 1.1$$, '22023'), ($$'a', 1, -0.1$$, '22023'), ($$'a', 1, 'NaN'$$, '22023'), ($$'a', 1, NULL$$, '22004'))
	AS bad (a, state);
SELECT is(rlrec_qtable_merge('{"a": {"q": 1, "visits": 1}, "b": 1, "d": {"q": 9, "visits": 2}}', '{"a": {"q": 5, "visits": 3}, "b": 2, "c": 7, "d": 1}'),
	'{"a": {"q": 4, "visits": 4}, "b": 1.5, "c": 7, "d": {"q": 9, "visits": 2}}', 'values merge by visits');

-- the aggregate
SELECT is((SELECT rlrec_qtable_agg('a', 1, 1) FROM generate_series(1, 0)), NULL, 'of no rows there is no table');
SELECT is((SELECT rlrec_qtable_agg(a, q, v) FROM (VALUES ('b', 7, 0), ('a', 1, 1), ('b', 1, 0), ('a', 5, 3), ('b', 1, 0), ('a', 9, 0)) AS r (a, q, v)),
	'{"a": {"q": 4, "visits": 4}, "b": 3}', 'rows of one action are merged, whatever their order');
SELECT throws_ok(format('SELECT rlrec_qtable_agg(%s)', a), state, NULL, format('a row of %s is an error', a)) FROM (VALUES
	($$NULL, 1, 1$$, '22004'), ($$'', 1, 1$$, '22023'), ($$'a', NULL, 1$$, '22004'), ($$'a', 1, NULL$$, '22004'), ($$'a', 'NaN', 1$$, '22003'),
	($$'a', 'Infinity', 1$$, '22003'), ($$'a', 1, -1$$, '22003')) AS bad (a, state);
CREATE TABLE many AS SELECT i % 3 AS s, (i * 7919 % 1000)::text AS a, (i % 10)::float8 AS q, (i % 4)::bigint AS v FROM generate_series(1, 60000) AS i;
CREATE VIEW plain AS SELECT s, a, coalesce(sum(q * v) / nullif(sum(v), 0), avg(q)) AS q, sum(v) AS v FROM many GROUP BY GROUPING SETS ((s, a), (a));
SELECT is((SELECT count(*) FROM (SELECT s, rlrec_qtable_agg(a, q, v) AS t FROM many GROUP BY s) AS g, rlrec_qtable_entries(t) AS e, plain AS p
		WHERE p.s = g.s AND p.a = e.action AND p.v = e.visits AND abs(p.q - e.q) < 1e-9),
	(SELECT count(*) FROM plain WHERE s IS NOT NULL), 'grouped, it agrees with plain SQL');
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE many SET (parallel_workers = 2);
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY EXECUTE ''EXPLAIN (COSTS off) '' || query; END';
SELECT matches((SELECT string_agg(line, ' ') FROM plan_of('SELECT rlrec_qtable_agg(a, q, v) FROM many') AS line), 'Partial Aggregate.*Parallel Seq Scan',
	'it runs in parallel');
SELECT is((SELECT count(*) FROM (SELECT rlrec_qtable_agg(a, q, v) AS t FROM many) AS g, rlrec_qtable_entries(t) AS e, plain AS p
		WHERE p.s IS NULL AND p.a = e.action AND p.v = e.visits AND abs(p.q - e.q) < 1e-9), 1000::bigint, 'and gives the same');
SELECT throws_ok($$SELECT rlrec_qtable_final('\x00')$$, '55000', NULL, 'its functions cannot be called by themselves');
CREATE AGGREGATE forged(text, float8, bigint) (SFUNC = rlrec_qtable_accumulate, STYPE = bytea, FINALFUNC = rlrec_qtable_final, INITCOND = '\x100000000000');
SELECT throws_ok($$SELECT forged('a', 1, 1)$$, 'XX001', NULL, 'a forged state is an error');

-- equality
SELECT ok('{"a": 1}'::rlrec_qtable = '{"a": {"q": 1.0, "visits": 0}}' AND '{"a": 1}'::rlrec_qtable <> '{"a": 2}'
	AND '{"a": 1}'::rlrec_qtable <> '{"b": 1}' AND '{"a": 1}'::rlrec_qtable <> '{"a": {"q": 1, "visits": 1}}', 'equality is of actions, values and visits');
SELECT is((SELECT array_agg(n ORDER BY n) FROM (SELECT count(*) AS n FROM generate_series(1, 30) AS i
		GROUP BY format('{"a": %s}', i % 3)::rlrec_qtable) AS g), '{10,10,10}', 'values group');

SELECT * FROM finish();
ROLLBACK;
