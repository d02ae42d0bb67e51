-- Linear bandits: the statistics against other computations of the same, the learners against numpy, regret where the truth is known.
SET client_min_messages = warning;
SELECT * FROM no_plan();

CREATE FUNCTION context(n int, d int DEFAULT 4) RETURNS float8[] IMMUTABLE LANGUAGE sql AS $$
	SELECT array_agg(((n * i * 79 + i * i * 31) % 17) / 16.0::float8 ORDER BY i) FROM generate_series(1, d) i $$;

-- The largest difference of two arrays, relative to the larger number where that is above 1
CREATE FUNCTION distance(a float8[], b float8[]) RETURNS float8 IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE WHEN cardinality(a) = cardinality(b) THEN max(abs(x - y) / greatest(1, abs(x), abs(y))) END FROM unnest(a, b) u(x, y) $$;

-- ---------------------------------------------------------------- statistics
CREATE TABLE log AS SELECT n, (n % 3)::text AS arm, context(n) AS context, ((n * 13) % 7) / 4.0::float8 AS reward FROM generate_series(1, 20000) n;
ANALYZE log;

SELECT is(rlrec_linear_statistics(ARRAY[x, y], r), '{2,2,125,55,80,26,37,53}', 'rows, weight, squares, b, the triangle')
	FROM (VALUES (1::float8, 2::float8, 5::float8), (5, 7, 10)) v(x, y, r);
SELECT is(rlrec_linear_statistics('{1,2}', r, w), '{2,1,67,5.5,11,1,2,4}', 'weights')
	FROM (VALUES (2::float8, 0.75::float8), (16, 0.25)) v(r, w);
SELECT ok(distance(rlrec_linear_theta(rlrec_linear_statistics(ARRAY[1, context[1]], reward), 0), ARRAY[regr_intercept(reward, context[1]), regr_slope(reward, context[1])])
	< 1e-9, 'without ridge the slope and intercept of PostgreSQL') FROM log;

-- Computed by numpy: rows 1 to 50, lambda 0.5, the context of 1000.
CREATE TEMP TABLE fifty AS SELECT rlrec_linear_statistics(context, reward) AS s, rlrec_linear_statistics(context, reward, 0.9 ^ (50 - n)) AS weighted
	FROM log WHERE n <= 50;
SELECT ok(distance(rlrec_linear_theta(s, 0.5), '{0.08576526981205643,0.5895067422037659,0.28058284053614485,0.43678353387848473}') < 1e-12,
	'theta is numpy''s') FROM fifty;
SELECT ok(distance(rlrec_linear_theta(weighted, 0.5), '{0.14757133230311473,0.16807768444735183,0.44095118710532616,0.4824170957952103}') < 1e-12,
	'and with weights') FROM fifty;
SELECT ok(distance(ARRAY[value, deviation, rlrec_linear_ucb(s, context(1000), 0.75, 0.5)], '{0.7047712115698781,0.25132043486782907,0.8932615377207499}') < 1e-12,
	'value, deviation and upper bound are numpy''s') FROM fifty, rlrec_linear_predict(s, context(1000), 0.5);

SELECT is(rlrec_linear_statistics(context, reward), NULL, 'no rows, no statistics') FROM log WHERE false;
SELECT is(rlrec_linear_statistics(c, r, w), '{1,1,4,2,1}', 'rows with a NULL are passed over')
	FROM (VALUES ('{1}'::float8[], 2::float8, 1::float8), (NULL, 2, 1), ('{1}', NULL, 1), ('{1}', 2, NULL)) v(c, r, w);
SELECT is((SELECT rlrec_linear_statistics(context, reward) FROM log), (SELECT rlrec_linear_sum(s) FROM (SELECT rlrec_linear_statistics(context, reward) AS s FROM log GROUP BY arm) x),
	'the statistics of all are the sum of those of the arms');
SELECT is(rlrec_linear_subtract(rlrec_linear_merge(s, weighted), weighted), s, 'what was merged can be taken away') FROM
	(SELECT rlrec_linear_statistics(context, reward) FILTER (WHERE n <= 60) AS s, rlrec_linear_statistics(context, reward) FILTER (WHERE n > 60) AS weighted FROM log WHERE n < 100) x;
SELECT is(rlrec_linear_scale('{2,4,6,8,10}', 0.5), '{2,2,3,4,5}', 'scaled, but for the number of rows');
SELECT is(array_agg(s), ARRAY['{1,1,4,2,1}', '{2,2,13,5,2}', '{2,2,25,7,2}']::text[], 'a window''s frames')
	FROM (SELECT rlrec_linear_statistics('{1}', r) OVER (ORDER BY r ROWS 1 PRECEDING)::text AS s FROM generate_series(2, 4) r) x;

SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query; END $$;
SELECT ok(bool_or(line LIKE '%Partial %Aggregate%'), 'workers aggregate') FROM plan_of('SELECT arm, rlrec_linear_statistics(context, reward) FROM log GROUP BY arm') line;
CREATE TEMP TABLE parallel AS SELECT arm, rlrec_linear_statistics(context, reward / 3) AS s FROM log GROUP BY arm;
SET max_parallel_workers_per_gather = 0;
SELECT ok(max(distance(p.s, q.s)) < 1e-9 AND count(*) = 3, 'parallel and serial give the same')
	FROM parallel p JOIN (SELECT arm, rlrec_linear_statistics(context, reward / 3) AS s FROM log GROUP BY arm) q USING (arm);
RESET ALL;
SET client_min_messages = warning;

SELECT throws_ok($$SELECT rlrec_linear_statistics(CASE WHEN n = 2 THEN '{1}' ELSE context END, 1) FROM log WHERE n < 3$$, '2202E', NULL, 'contexts of different lengths');
SELECT throws_ok($$SELECT rlrec_linear_statistics('{1,NaN}', 1)$$, '22023', NULL, 'a number that is not finite');
SELECT throws_ok($$SELECT rlrec_linear_statistics('{1,NULL}', 1)$$, '2202E', NULL, 'a NULL in a context');
SELECT throws_ok($$SELECT rlrec_linear_statistics('{1,2}', 'Infinity')$$, '22023', NULL, 'a reward that is not finite');
SELECT throws_ok($$SELECT rlrec_linear_statistics('{1,2}', 1, -1)$$, '22023', NULL, 'a negative weight');
SELECT throws_ok($$SELECT rlrec_linear_statistics('{}', 1)$$, '2202E', NULL, 'an empty context');
SELECT throws_ok($$SELECT rlrec_linear_theta('{1,2,3,4}')$$, '2202E', '4 numbers are not the statistics of a linear model', 'an array of another length');
SELECT throws_ok($$SELECT rlrec_linear_theta(rlrec_linear_statistics(context, reward), 0) FROM log WHERE n < 4$$, '22003', NULL, 'fewer rows than numbers, no ridge');
SELECT throws_ok($$SELECT rlrec_linear_subtract('{1,1,1,1,1}', '{2,2,2,2,2}')$$, '22023', NULL, 'more taken away than there is');
SELECT throws_ok($$SELECT rlrec_linear_accumulate(NULL, '{1}', 1)$$, '55000', NULL, 'the transition function alone');

-- ---------------------------------------------------------------- learners
CREATE FUNCTION make(agent text, learner text, options jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, learner => learner, options => '{"actions": ["a", "b", "c"], "state_size": 4}' || options) $$;

-- Rewards are linear in the context, with some noise.
CREATE FUNCTION reward(action text, x float8[], n int) RETURNS float8 IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE action WHEN 'a' THEN x[1] + x[4] / 2 WHEN 'b' THEN x[2] + x[4] / 2 ELSE x[1] / 4 + x[2] / 4 + x[3] END + (((n * 37) % 11) - 5) / 16.0::float8 $$;

CREATE FUNCTION actions_of(agent text, rounds int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	chosen record;
	actions text := '';
BEGIN
	FOR i IN 1..rounds LOOP
		SELECT * INTO chosen FROM rlrec_act(agent, context(i));
		PERFORM rlrec_observe(agent, context(i), chosen.action, reward(chosen.action, context(i), i), NULL, true);
		actions := actions || CASE chosen.propensity WHEN 1 THEN chosen.action ELSE '?' END;
	END LOOP;
	RETURN actions;
END
$$;

-- What Algorithm 1 of Li et al., in numpy, chose.
SELECT make('linucb', 'linucb', '{"intercept": false}');
SELECT is(actions_of('linucb', 200), 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabaabbbabaabaabbabbabbbbabbabaabbabbaabbbabaabaabbabbaabbaabaabaabbabbaabbaabaabaabbabbabbbaabaabaabbabbabbbaabaabaabbabbabbbbabaabaabbabbaabbcaccaccabbabbaacccccc', 'linucb acts as Algorithm 1 does');
SELECT make('intercept', 'linucb');
SELECT is(actions_of('intercept', 200), 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaababbbbbbbbbbabaabbabbabbbbabaabaabbabbaabbcccccccccbacbaabbccccccccbbabbaabcccccaccabbabbabcbcaccaccabbabbabbccaccaccabbabbaacccaccacaabbabbaacccaccaccabbabbabcccacc', 'and with an intercept');

-- The same rows in any order, and as an aggregate
CREATE TEMP TABLE told AS SELECT n, context AS state, substr('abc', n % 3 + 1, 1) AS action, reward, NULL::float8[] AS next_state, true AS terminated FROM log WHERE n <= 300;
CREATE TEMP VIEW backwards AS SELECT * FROM told ORDER BY n DESC;
SELECT make('rows', 'linucb'), make('forth', 'lints'), make('back', 'lints');
SELECT rlrec_observe('rows', state, action, reward, NULL, true) FROM told ORDER BY n;
SELECT is(rlrec_replay('forth', 'told'), 300::bigint, 'lints learns from a table');
SELECT is(rlrec_replay('back', 'backwards'), 300::bigint, 'and backwards');
SELECT ok(max(distance(r.statistics, s.statistics)) < 1e-9 AND count(*) = 3, 'observed row by row: the statistics of the aggregate')
	FROM rlrec_bandit_statistics('rows') r JOIN (SELECT action, rlrec_linear_statistics(state || 1::float8, reward) AS statistics FROM told GROUP BY action) s USING (action);
SELECT ok(max(abs(f.value - b.value)) < 1e-6 AND max(abs(f.value - x.value)) < 1e-6, 'values do not depend on the order, and are those of the statistics')
	FROM rlrec_values('forth', context(7)) f JOIN rlrec_values('back', context(7)) b USING (action)
	JOIN (SELECT action, rlrec_linear_predict(statistics, context(7) || 1::float8) AS p FROM rlrec_bandit_statistics('rows')) y USING (action), LATERAL (SELECT (y.p).value) x;
SELECT is((SELECT concat_ws(' ', count(*), min(t.id), max(t.id)) FROM rlrec.transition t JOIN rlrec.agent a ON a.id = t.agent WHERE a.name = 'rows'), '43 257 299',
	'of the observations those are kept that are not in the sums yet');
SELECT is((SELECT e.learned FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE a.name = 'rows'), 257::bigint, 'which have all others');

-- Policies
SELECT make('mixed', 'lints', '{"floor": 0.05, "posterior_scale": 3}');
SELECT rlrec_replay('mixed', 'told');
SELECT ok(bool_and(a.propensity = p.probability) AND count(DISTINCT a.action) = 3, 'propensities are the policy''s probabilities')
	FROM generate_series(1, 300) i, LATERAL rlrec_act('mixed', context(9 + 0 * i)) a JOIN rlrec_policy('mixed', context(9)) p USING (action);
SELECT ok(abs(sum(probability) - 1) < 1e-6 AND min(probability) >= 0.05 - 1e-7, 'which sum to 1, none below the floor') FROM rlrec_policy('mixed', context(9));
SELECT is((SELECT string_agg(probability::text, ' ') FROM rlrec_policy('mixed', context(9), false)),
	(SELECT string_agg((value = most)::int::text, ' ') FROM (SELECT value, max(value) OVER () AS most FROM rlrec_values('mixed', context(9))) v), 'greedy: the highest value');

-- Transactions
CREATE FUNCTION rows_of(agent text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg((statistics[1])::text, ' ') FROM rlrec_bandit_statistics(agent) $$;
SELECT make('undo', 'linucb');
SELECT rlrec_observe('undo', context(1), 'a', 1, NULL, true);
BEGIN;
SELECT rlrec_observe('undo', context(2), 'b', 1, NULL, true);
SELECT is(rows_of('undo'), '1 1 0', 'learned at once');
ROLLBACK;
SELECT is(rows_of('undo'), '1 0 0', 'rolled back, never learned');
BEGIN;
SELECT rlrec_observe('undo', context(2), 'b', 1, NULL, true);
SAVEPOINT s;
SELECT rlrec_observe('undo', context(2), 'c', 1, NULL, true);
SELECT is(rows_of('undo'), '1 1 1', 'in a subtransaction');
ROLLBACK TO s;
SELECT is(rows_of('undo'), '1 1 0', 'of which nothing stays');
SELECT rlrec_observe('undo', context(3), 'a', 1, NULL, true);
COMMIT;
SELECT is(rows_of('undo'), '2 1 0', 'and the rest does');
SELECT is((SELECT array_agg(round(value::numeric, 5)) FROM rlrec_values('undo', context(5))),
	(SELECT array_agg(round((rlrec_linear_predict(statistics, context(5) || 1::float8)).value::numeric, 5)) FROM rlrec_bandit_statistics('undo')), 'the values are of what stays');

SELECT make('prepared', 'linucb');
BEGIN;
SELECT rlrec_observe('prepared', context(i), 'a', 1, NULL, true) FROM generate_series(1, 300) i;
PREPARE TRANSACTION 'rlrec bandit';
SELECT is(rows_of('prepared'), '0 0 0', 'what is prepared is not learned yet');
COMMIT PREPARED 'rlrec bandit';
SELECT is(rows_of('prepared'), '300 0 0', 'and is when that commits, also past what was written in between');
SELECT ok(value > 0.9, 'by the values too') FROM rlrec_values('prepared', context(5)) WHERE action = 'a';
SELECT count(*) FROM rlrec_act('prepared', context(1)) \g /dev/null
SELECT rlrec_observe('prepared', context(1), 'b', 1, NULL, true);
SELECT is(rows_of('prepared'), '300 1 0', 'which go on from there');

-- ---------------------------------------------------------------- regret
-- The best action depends on the context and is worth 0.5 more than the worst at least; all rewards are above 0, so that who never explores stays
-- with what he tried first. Every learner meets the same rounds.
CREATE FUNCTION mean_of(action text, x float8[]) RETURNS float8 IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE action WHEN 'a' THEN 0.3 WHEN 'b' THEN 0.4 + x[1] ELSE 0.9 - x[1] / 2 END $$;
CREATE FUNCTION regret(agent text, rounds int, learns boolean DEFAULT true) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	chosen text;
	x float8[];
	sum float8 := 0;
BEGIN
	PERFORM setseed(0.25);
	FOR i IN 1..rounds LOOP
		x := ARRAY[random(), random(), random(), random()];
		SELECT action INTO chosen FROM rlrec_act(agent, x);
		sum := sum + greatest(mean_of('b', x), mean_of('c', x)) - mean_of(chosen, x);
		IF learns THEN
			PERFORM rlrec_observe(agent, x, chosen, mean_of(chosen, x) + (random() - 0.5), NULL, true);
		END IF;
	END LOOP;
	RETURN sum;
END
$$;
SELECT make('ucb', 'linucb'), make('ts', 'lints'), make('greedy', 'linucb', '{"ucb_width": 0}'), make('random', 'linucb', '{"floor": 1}'),
	make('epsilon', 'linucb', '{"ucb_width": 0, "floor": 0.0333}'), make('still', 'linucb'), make('still_ts', 'lints');
CREATE TEMP TABLE regrets AS SELECT agent, regret(agent, 2000, agent NOT LIKE 'still%') AS regret
	FROM unnest('{ucb,ts,greedy,random,epsilon,still,still_ts}'::text[]) agent;
CREATE FUNCTION regret_of(agent text) RETURNS float8 STABLE LANGUAGE sql AS $$ SELECT regret FROM regrets r WHERE r.agent = regret_of.agent $$;
SELECT cmp_ok(regret_of(agent), '<', regret_of('random') / 20, agent || ': regret far below that of chance') FROM unnest('{ucb,ts}'::text[]) agent;
SELECT cmp_ok(regret_of(agent), '<', regret_of('epsilon') / 2, agent || ': and half of epsilon-greedy''s at most') FROM unnest('{ucb,ts}'::text[]) agent;
SELECT cmp_ok(regret_of(agent), '>', regret_of('random') / 2, agent || ': who never explores or never learns fails that')
	FROM unnest('{greedy,still,still_ts}'::text[]) agent;

-- An arm that turns bad is given up by who forgets.
SELECT make('keeps', 'linucb'), make('forgets', 'linucb', '{"forget": 0.98}');
SELECT rlrec_observe(agent, context(i), action, (action = CASE WHEN i <= 600 THEN 'a' ELSE 'b' END)::int, NULL, true)
	FROM unnest('{keeps,forgets}'::text[]) agent, generate_series(1, 900) i, unnest('{a,b,c}'::text[]) action;
SELECT is((SELECT string_agg(action, ' ' ORDER BY agent DESC) FROM unnest('{keeps,forgets}'::text[]) agent, LATERAL rlrec_act(agent, context(3), false)), 'a b',
	'forgetting');
SELECT ok(abs(statistics[2] - (1 - 0.98 ^ 2700) / (1 - 0.98 ^ 3)  * CASE action WHEN 'a' THEN 0.98 ^ 2 WHEN 'b' THEN 0.98 ELSE 1 END) < 1e-6, 'weights of action ' || action)
	FROM rlrec_bandit_statistics('forgets');

-- ---------------------------------------------------------------- what is refused
SELECT throws_ok($$SELECT rlrec_create_agent('x', learner => 'linucb', options => '{"actions": ["a", "b"]}')$$, '22023',
	'learner "linucb" learns from vectors, not from text states', 'no state_size');
SELECT throws_like($$SELECT make('x', 'linucb', '{"draws": 5}')$$, '%draws%', 'an option of another learner');
SELECT throws_like($$SELECT make('x', 'lints', '{"floor": 1.5}')$$, '%floor%', 'an option out of range');
SELECT throws_ok($$SELECT rlrec_act('undo', '{1,2}')$$, '2202E', NULL, 'a context of another length');
SELECT throws_ok($$SELECT rlrec_observe('undo', '{1,2,3,NaN}', 'a', 1, NULL, true)$$, '22023', NULL, 'a context that is not finite');
SELECT throws_ok($$SELECT rlrec_observe('undo', context(1), 'a', 'NaN', NULL, true)$$, '22023', NULL, 'a reward that is not finite');
SELECT is(rows_of('undo'), '2 1 0', 'of which nothing was learned');
-- A context that hides lambda is refused, for no later one could make up for it; large ones that differ are not.
SELECT make('scale', 'linucb'), make('scale_forgets', 'lints', '{"forget": 0.99}');
SELECT throws_ok(format($$SELECT rlrec_observe(%L, '{1e9,1e9,0,0}', 'a', 1, NULL, true)$$, agent), '22003', NULL, agent || ': a context that hides lambda')
	FROM unnest('{scale,scale_forgets}'::text[]) agent;
SELECT lives_ok(format($$SELECT rlrec_observe(%L, ARRAY(SELECT (x - 0.5) * 2e7 FROM unnest(context(i)) x), 'a', i, NULL, true) FROM generate_series(1, 300) i$$, agent),
	agent || ': large contexts') FROM unnest('{scale,scale_forgets}'::text[]) agent;
SELECT throws_ok($$SELECT rlrec_observe('scale', '{1e16,1e16,0,0}', 'a', 1, NULL, true)$$, '22003', NULL, 'refused after those as well');
SELECT is(rows_of(agent), '300 0 0', agent || ': of what was refused nothing was learned') FROM unnest('{scale,scale_forgets}'::text[]) agent;
SELECT is(count(*), 3::bigint, agent || ': values of what is read again') FROM unnest('{scale,scale_forgets}'::text[]) agent, LATERAL rlrec_values(agent, context(1)) GROUP BY agent;
SELECT rlrec_create_agent('table', options => '{"actions": ["a"]}'), rlrec_create_agent('net', options => '{"actions": ["a"], "state_size": 1}');
SELECT throws_ok(format('SELECT rlrec_bandit_statistics(%L)', agent), '42809', NULL, 'no linear bandit: ' || agent) FROM unnest('{table,net}'::text[]) agent;
SELECT rlrec_create_agent('large', learner => 'lints', options => '{"actions": ["a", "b", "c", "d"], "state_size": 2000}');
SET maintenance_work_mem = '64MB';
SELECT throws_ok($$SELECT rlrec_act('large', array_fill(0::float8, '{2000}'))$$, '53200', 'learner "lints" needs 122 MB', 'more memory than there may be');
RESET maintenance_work_mem;
-- What is known stays where the learner changes, and does not fit other states.
SELECT lives_ok($$SELECT rlrec_alter_agent('undo', '{"lambda": 2}')$$, 'another ridge');
SELECT is(rows_of('undo'), '2 1 0', 'for what was learned');
SELECT rlrec_alter_agent('undo', '{"intercept": false}');
SELECT throws_ok($$SELECT * FROM rlrec_values('undo', context(1))$$, '55000', NULL, 'another length does not fit');

SELECT * FROM finish();
