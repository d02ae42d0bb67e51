-- Off-policy evaluation as aggregates.
BEGIN;
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS rlrec;
SELECT plan(82);

SELECT has_type('rlrec_estimate');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
		JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'rlrec' AND p.proname <> 'rlrec_ope' AND (prorettype = 'rlrec_estimate'::regtype OR p.proname LIKE '%\_accumulate' OR p.proname = 'rlrec_ope_combine')
		AND (obj_description(p.oid, 'pg_proc') IS NULL OR p.provolatile <> 'i' OR p.proparallel <> 's')$$,
	'every function of an aggregate is immutable, parallel safe and has a comment');

-- ---- against the Open Bandit Pipeline, on its Open Bandit data: ope-men.json of the project's shared data has these values
CREATE TABLE counted (action int, position int, reward float8, n int, logged float8, target float8, q_logged float8, q_policy float8);
\copy counted FROM test/ope/men.csv CSV HEADER
CREATE TABLE men AS SELECT row_number() OVER (ORDER BY hashint8(c.action * 1000000 + c.position * 100000 + i)) AS id, c.*
FROM counted AS c, generate_series(1, n) AS i ORDER BY id;

CREATE FUNCTION near(a float8, b float8, error float8, what text) RETURNS text LANGUAGE sql AS
$$SELECT ok(abs(a - b) <= error, what) || CASE WHEN abs(a - b) <= error THEN '' ELSE format(E'\n# %s, not %s', a, b) END$$;

CREATE VIEW estimates AS SELECT rlrec_ips(reward, logged, target) AS ips, rlrec_clipped_ips(reward, logged, target, 5) AS clipped_ips,
	rlrec_snips(reward, logged, target) AS snips, rlrec_dm(q_policy) AS dm, rlrec_dr(reward, logged, target, q_logged, q_policy) AS dr,
	rlrec_sndr(reward, logged, target, q_logged, q_policy) AS sndr, rlrec_switch_dr(reward, logged, target, q_logged, q_policy, 5) AS switch_dr,
	rlrec_dr_os(reward, logged, target, q_logged, q_policy, 10) AS dr_os FROM men;
CREATE VIEW estimate AS SELECT key AS name, e.* FROM estimates AS v, to_jsonb(v) AS j, jsonb_each(j), jsonb_populate_record(NULL::rlrec_estimate, value) AS e;

SELECT near(e.value, v.value, 1e-9, v.name || ' is that of the Open Bandit Pipeline') FROM (VALUES
	('ips', 0.004523360000000008), ('clipped_ips', 0.004264540000000005), ('snips', 0.004595199977894408), ('dm', 0.005130539033083925),
	('dr', 0.004626900290851353), ('sndr', 0.004618901503200415), ('switch_dr', 0.00484632001538358), ('dr_os', 0.004975499970207947)) AS v (name, value)
	JOIN estimate AS e USING (name);
SELECT near(e.ess, v.ess, 1e-6, 'effective sample size') FROM estimates, LATERAL (SELECT (ips).*) AS e,
	(SELECT sum(target / logged) ^ 2 / sum((target / logged) ^ 2) AS ess FROM men) AS v;
SELECT is((ips).max_weight, (SELECT max(target / logged) FROM men), 'greatest weight') FROM estimates;
SELECT is((dr_os).n, 10000::bigint, 'rows') FROM estimates;
SELECT is(ARRAY[(dm).ess, (dm).max_weight], '{10000,1}', 'the direct method weighs all rows alike') FROM estimates;

-- ---- intervals
CREATE FUNCTION half(e rlrec_estimate) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$SELECT (e.upper - e.lower) / 2$$;
SELECT near((dr).upper - (dr).value, 1.959963984540054 * v.error, 1e-12, 'normal: 1.96 standard errors of the mean') FROM estimates,
	(SELECT stddev(q_policy + target / logged * (reward - q_logged)) / sqrt(count(*)) AS error FROM men) AS v;
SELECT near(half(rlrec_ips(reward, logged, target, '{"confidence": 0.9}')) / half(rlrec_ips(reward, logged, target)),
	1.6448536269514722 / 1.959963984540054, 1e-9, 'confidence') FROM men;
-- the variance of a ratio, by the delta method written another way
SELECT near(half((SELECT snips FROM estimates)), 1.959963984540054 * stddev(w * (reward - v)) / avg(w) / sqrt(count(*)), 1e-12, 'normal: of snips')
FROM men, LATERAL (SELECT target / logged AS w) AS l, (SELECT sum(reward * target / logged) / sum(target / logged) AS v FROM men) AS s;
SELECT near(half((SELECT sndr FROM estimates)), 1.959963984540054 * stddev(q_policy + w * (reward - q_logged - v) / m) / sqrt(count(*)), 1e-12,
	'normal: of sndr')
FROM men, LATERAL (SELECT target / logged AS w) AS l,
	(SELECT sum((reward - q_logged) * target / logged) / sum(target / logged) AS v, avg(target / logged) AS m FROM men) AS s;
SELECT near(half(rlrec_clipped_ips(reward, logged, target, 5, '{"interval": "bernstein", "range": 5}')),
	sqrt(2 * variance(t) * ln(80) / count(*)) + 7 * 5 * ln(80) / (3 * (count(*) - 1)), 1e-12, 'empirical Bernstein, of Maurer and Pontil')
FROM men, LATERAL (SELECT least(target / logged, 5) * reward AS t) AS l;

CREATE FUNCTION bootstrap(rows int, seed int) RETURNS rlrec_estimate[] LANGUAGE sql AS $$
	SELECT ARRAY[rlrec_ips(reward, logged, target, o), rlrec_snips(reward, logged, target, o), rlrec_sndr(reward, logged, target, q_logged, q_policy, o),
		rlrec_ips(reward, logged, target), rlrec_snips(reward, logged, target), rlrec_sndr(reward, logged, target, q_logged, q_policy)]
	FROM (SELECT jsonb_build_object('interval', 'bootstrap', 'seed', seed, 'replicates', 10000) AS o) AS o,
		LATERAL (SELECT (hashint8(id) % 3 = 0)::int AS reward, logged, target, q_logged, q_policy FROM men ORDER BY id LIMIT rows) AS m$$;
SELECT near(half(b[i]) / half(b[i + 3]), 1, 0.06, format('bootstrap: as wide as the normal interval, of %s rows, estimator %s', n, i))
FROM (VALUES (1000), (7000)) AS v (n), bootstrap(n, 3) AS b, generate_series(1, 3) AS i;
SELECT is(bootstrap(1000, 3), bootstrap(1000, 3), 'a seed gives the same interval again');
SELECT isnt(bootstrap(1000, 3), bootstrap(1000, 4), 'another seed another');
SELECT ok((e).value - (e).lower < (e).upper - (e).value, 'the bootstrap knows that rare rewards are skewed')
FROM (SELECT rlrec_ips(reward, logged, target, '{"interval": "bootstrap"}') AS e FROM men) AS e;
-- rows that come round with a period that divides the number of groups
SELECT near(half(rlrec_dm(q, '{"interval": "bootstrap", "replicates": 10000}')) / half(rlrec_dm(q)), 1, 0.06, 'the bootstrap and a log with a period')
FROM (SELECT (i % 8 = 0)::int AS q FROM generate_series(1, 16384) AS i) AS l;

-- ---- shapes of queries
SELECT is((rlrec_ips(reward, logged, target)).value, NULL, 'of no rows there is no estimate') FROM men WHERE false;
SELECT is(rlrec_ips(1, 0.5, 0.25), '(0.5,,,1,0.5,1)', 'of one row there is no interval');
SELECT is(rlrec_dm(3, '{"interval": "bootstrap"}'), '(3,,,1,1,1)', 'nor by the bootstrap');
SELECT is((rlrec_snips(reward, logged, 0)).value, NULL, 'self-normalised without weight there is no value') FROM men;
SELECT is((rlrec_ips(reward, logged, 0)).value, 0::float8, 'otherwise it is 0') FROM men;
SELECT near((rlrec_dr_os(reward, logged, target, q_logged, q_policy, 0)).value, avg(q_policy), 1e-15, 'lambda 0 is the direct method') FROM men;
SELECT is(rlrec_dr_os(reward, logged, target, q_logged, q_policy, 'Infinity'), rlrec_dr(reward, logged, target, q_logged, q_policy), 'lambda infinity is dr')
FROM men;
SELECT results_eq('SELECT position, (rlrec_ips(reward, logged, target)).n FROM men GROUP BY position ORDER BY 1',
	'SELECT position, count(*) FROM men GROUP BY position ORDER BY 1', 'it groups');
SELECT near(max(abs((w).value - v)), 0, 1e-12, 'a moving window agrees with plain SQL') FROM (
	SELECT rlrec_ips(reward, logged, target) OVER s AS w, avg(reward * target / logged) OVER s AS v
	FROM men WHERE id <= 500 WINDOW s AS (ORDER BY id ROWS BETWEEN 20 PRECEDING AND 5 FOLLOWING)) AS m;
SELECT near((rlrec_dm(1e9 + i % 2)).upper - (1e9 + 0.5), 1.959963984540054 * 0.5 / sqrt(9999), 1e-6, 'variance is stable far from 0')
FROM generate_series(1, 10000) AS i;

-- parallel plans
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY EXECUTE ''EXPLAIN (COSTS off) '' || query; END';
CREATE TABLE serial AS SELECT * FROM estimate;
CREATE TABLE boot AS SELECT rlrec_sndr(reward, logged, target, q_logged, q_policy, '{"interval": "bootstrap", "replicates": 10000}') AS e FROM men;
CREATE TABLE few AS SELECT * FROM men WHERE reward > 0;
CREATE TABLE boot_few AS SELECT rlrec_dm(target, '{"interval": "bootstrap", "replicates": 10000}') AS e FROM few;
ALTER TABLE men SET (parallel_workers = 3);
ALTER TABLE few SET (parallel_workers = 3);
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL parallel_leader_participation = off;
SELECT matches((SELECT string_agg(line, ' ') FROM plan_of('SELECT rlrec_ips(reward, logged, target) FROM men') AS line),
	'Finalize Aggregate.*Partial Aggregate.*Parallel Seq Scan', 'it runs in parallel');
SELECT near(greatest(abs(s.value - p.value), abs(s.lower - p.lower), abs(s.upper - p.upper), abs(s.ess / p.ess - 1), abs(s.max_weight - p.max_weight),
	abs(s.n - p.n)), 0, 1e-12, format('%s is the same in parallel', name)) FROM serial AS s JOIN estimate AS p USING (name);
SELECT near(half(rlrec_sndr(reward, logged, target, q_logged, q_policy, '{"interval": "bootstrap", "replicates": 10000}')) / (SELECT half(e) FROM boot), 1, 0.08,
	'so is the bootstrap but for chance') FROM men;
SELECT near(half(rlrec_dm(target, '{"interval": "bootstrap", "replicates": 10000}')) / (SELECT half(e) FROM boot_few), 1, 0.06,
	'also of few rows') FROM few;

-- ---- slates and clusters: sh test/bench/ope slates prints what the Open Bandit Pipeline makes of the same rows
CREATE VIEW item AS SELECT i, l, a, b / sum(b) OVER p AS logged, e / sum(e) OVER p AS target, ((i * 31 + l * 17 + a * 13) % 11)::float8 / 10 AS q,
	a = (i * 5 + l * 3 + i / 7) % 4 AS shown, CASE WHEN (i * 13 + l * 7 + i / 3) % 5 < 2 THEN 1 + (i + l) % 3 ELSE 0 END::float8 AS reward
	FROM generate_series(0, 499) AS i, generate_series(0, 2) AS l, generate_series(0, 3) AS a,
		LATERAL (SELECT (1 + (i * 7919 + l * 104729 + a * 1299709) % 17)::float8 AS b, (1 + (i * 6271 + l * 7907 + a * 3571) % 23)::float8 AS e) AS p
	WINDOW p AS (PARTITION BY i, l);
CREATE TABLE slate AS SELECT i, array_agg(reward ORDER BY l) AS reward, array_agg(logged ORDER BY l) AS logged, array_agg(target ORDER BY l) AS target,
	array_agg(q_logged ORDER BY l) AS q_logged, array_agg(q_policy ORDER BY l) AS q_policy
	FROM (SELECT i, l, min(reward) AS reward, min(logged) FILTER (WHERE shown) AS logged, min(target) FILTER (WHERE shown) AS target,
			min(q) FILTER (WHERE shown) AS q_logged, sum(q * target) AS q_policy FROM item GROUP BY i, l) AS p GROUP BY i;
SELECT near((rlrec_slate_ips(reward, logged, target)).value, 21.658413627051488, 1e-9, 'slate_ips') FROM slate;
SELECT near((rlrec_slate_iips(reward, logged, target)).value, 4.690913625847517, 1e-9, 'slate_iips') FROM slate;
SELECT near((rlrec_slate_rips(reward, logged, target)).value, 8.891336042420516, 1e-9, 'slate_rips') FROM slate;
SELECT near((rlrec_slate_cascade_dr(reward, logged, target, q_logged, q_policy)).value, 5.202506366826754, 1e-9, 'slate_cascade_dr') FROM slate;
SELECT near((rlrec_mips(reward, b, e)).value, 1.3649660606622143, 1e-9, 'mips')
FROM (SELECT i, min(reward) AS reward, sum(logged) AS b, sum(target) AS e FROM (SELECT *, bool_or(shown) OVER (PARTITION BY i, a / 2) AS chosen FROM item WHERE l = 0) AS c
	WHERE chosen GROUP BY i) AS c;

-- slates of two of three items, drawn one after the other, where the second's reward depends on the first: the truth is known
CREATE TABLE pair AS SELECT a, b, ARRAY[a / 6.0, b / (6.0 - a)] AS logged, ARRAY[(4 - a) / 6.0, (4 - b) / (2.0 + a)] AS target,
	ARRAY[0.1 * a, 0.1 * b + 0.3 * (a = 1)::int] AS mean, ARRAY[0.2 + 0.15 * a, 0.2 * b] AS model
	FROM generate_series(1, 3) AS a, generate_series(1, 3) AS b WHERE a <> b;
CREATE TABLE drawn AS SELECT ARRAY[(r1 < mean[1])::int, (r2 < mean[2])::int]::float8[] AS reward, logged::float8[], target::float8[], model::float8[] AS q_logged,
	ARRAY[(SELECT sum(target[1] * target[2] * model[1]) FROM pair), (SELECT sum(target[2] * model[2]) FROM pair AS q WHERE q.a = p.a)]::float8[] AS q_policy
	FROM (SELECT *, sum(logged[1] * logged[2]) OVER (ORDER BY a, b) AS up_to, logged[1] * logged[2] AS whole FROM pair) AS p,
		LATERAL (SELECT i, random() AS u, random() AS r1, random() AS r2 FROM (SELECT setseed(0.5)) AS s, generate_series(1, 20000) AS i) AS d
	WHERE u < up_to AND u >= up_to - whole;
SELECT ok(abs(z) < 4, format('%s is within 4 standard errors of the truth: %s', name, z)) FROM (
	SELECT name, round((1.959963984540054 * ((e).value - (SELECT sum(target[1] * target[2] * (mean[1] + mean[2])) FROM pair)) / half(e))::numeric, 2) AS z FROM (
		SELECT 'slate_ips' AS name, rlrec_slate_ips(reward, logged, target) AS e FROM drawn UNION ALL
		SELECT 'slate_rips', rlrec_slate_rips(reward, logged, target) FROM drawn UNION ALL
		SELECT 'slate_cascade_dr', rlrec_slate_cascade_dr(reward, logged, target, q_logged, q_policy) FROM drawn) AS e) AS z;
SELECT is(rlrec_slate_rips('{1,1}', '{0.5,0.5}', '{1,0.25}', '{"interval": "bootstrap"}'), '(3,,,1,1,1)', 'slates have options too');

-- ---- bad input
SELECT throws_ok(format('SELECT rlrec_dr_os(%s)', a), state, message, format('dr_os(%s)', a)) FROM (VALUES
	('NULL, 0.5, 0.5, 0, 0, 1', '22004', 'reward must not be NULL'), ('1, NULL, 0.5, 0, 0, 1', '22004', 'logged must not be NULL'),
	('1, 0, 0.5, 0, 0, 1', '22003', 'logged probability must be above 0 and at most 1, not 0'),
	('1, 1.5, 0.5, 0, 0, 1', '22003', 'logged probability must be above 0 and at most 1, not 1.5'),
	($$1, 'NaN', 0.5, 0, 0, 1$$, '22003', 'logged probability must be above 0 and at most 1, not NaN'),
	('1, 0.5, -0.1, 0, 0, 1', '22003', 'target probability must be from 0 to 1, not -0.1'),
	($$'Infinity', 0.5, 0.1, 0, 0, 1$$, '22003', 'reward must be finite, not Infinity'), ($$1, 0.5, 0.1, 0, 'NaN', 1$$, '22003', 'q_policy must be finite, not NaN'),
	('1, 0.5, 0.1, 0, 0, -1', '22023', 'lambda must be at least 0, not -1'), ('1, 0.5, 0.1, 0, 0, NULL', '22004', 'lambda must not be NULL'),
	($$1, 0.5, 0.1, 0, 0, 1, '{"intervall": 1}'$$, '22023', 'unknown key "intervall" in options'),
	($$1, 0.5, 0.1, 0, 0, 1, '{"confidence": 95}'$$, '22023', 'invalid value of "confidence" in options'),
	($$1, 0.5, 0.1, 0, 0, 1, '{"interval": "bernstein"}'$$, '22023', 'interval "bernstein" needs the option "range"')) AS bad (a, state, message);
SELECT throws_ok('SELECT rlrec_ips(1e300, 1e-300, 1)', '22003', 'value out of range: overflow', 'an overflow');
SELECT throws_ok($$SELECT rlrec_snips(1, 1, 1, '{"interval": "bernstein", "range": 1}')$$, '0A000', NULL, 'bernstein is not for ratios');
SELECT throws_ok($$SELECT rlrec_ips(reward, logged, target, '{"interval": "bernstein", "range": 2}') FROM men$$, '22023', 'range 2 is too small', 'a range that does not hold');
SELECT throws_ok(format('SELECT rlrec_slate_ips(%s)', a), state, NULL, format('slate_ips(%s)', a)) FROM (VALUES
	($$'{}', '{}', '{}'$$, '2202E'), ($$'{1}', '{0.5,0.5}', '{0.5,0.5}'$$, '2202E'), ($$'{1,NULL}', '{0.5,0.5}', '{0.5,0.5}'$$, '2202E'),
	($$'{1,0}', '{0.5,0}', '{0.5,0.5}'$$, '22003'), ($$NULL, '{0.5}', '{0.5}'$$, '22004')) AS bad (a, state);
SELECT throws_ok($$SELECT rlrec_ope_final('{1}')$$, '55000', NULL, 'its functions cannot be called by themselves');
CREATE AGGREGATE forged(float8) (SFUNC = rlrec_dm_accumulate, STYPE = float8[], FINALFUNC = rlrec_ope_final, INITCOND = '{0,5,0}');
SELECT throws_ok($$SELECT forged(1)$$, 'XX001', NULL, 'a forged state is an error');

SELECT * FROM finish();
ROLLBACK;
