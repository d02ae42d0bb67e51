-- Logs of a world where the truth is known, and how often intervals cover it; used by test/bench/ope.
--
-- A decision has one of 20 contexts and 10 actions. A reward is 1 with a probability between 0 and twice the rate. The logging policy is half
-- uniform and half the softmax of normal numbers that know nothing of it; the target is the softmax of the rewards in units of half the rate.

CREATE TABLE world (x int PRIMARY KEY, logged float8[], steps float8[], target float8[], q float8[], model float8[], q_policy float8, value float8);

-- Returns the value of the target policy.
CREATE FUNCTION make_world(rate float8) RETURNS float8 LANGUAGE sql AS $$
	TRUNCATE world;
	SELECT setseed(0.3);
	WITH draw AS MATERIALIZED (
		SELECT x, a, exp(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS preference, 2 * rate * random() AS q, 2 * rate * random() AS error
		FROM generate_series(1, 20) AS x, generate_series(1, 10) AS a),
	policy AS (
		SELECT x, a, q, 0.7 * q + 0.3 * error AS model, 0.5 / 10 + 0.5 * preference / sum(preference) OVER p AS logged,
			exp(2 * q / rate) / sum(exp(2 * q / rate)) OVER p AS target
		FROM draw WINDOW p AS (PARTITION BY x))
	INSERT INTO world SELECT x, array_agg(logged ORDER BY a), array_agg(steps ORDER BY a), array_agg(target ORDER BY a), array_agg(q ORDER BY a),
		array_agg(model ORDER BY a), sum(target * model), sum(target * q)
	FROM (SELECT *, sum(logged) OVER (PARTITION BY x ORDER BY a) - logged AS steps FROM policy) AS p GROUP BY x;
	SELECT avg(value) FROM world $$;

CREATE UNLOGGED TABLE log (simulation int, reward float8, logged float8, target float8, q_logged float8, q_policy float8);

CREATE FUNCTION make_logs(simulations int, n int) RETURNS void LANGUAGE sql AS $$
	TRUNCATE log;
	SELECT setseed(0.7);
	INSERT INTO log SELECT simulation, (r < q[a])::int, logged[a], target[a], model[a], q_policy
	FROM (SELECT s AS simulation, 1 + floor(20 * random())::int AS x, random() AS u, random() AS r
		FROM generate_series(1, simulations) AS s, generate_series(1, n)) AS d
		JOIN world USING (x), LATERAL (SELECT width_bucket(u, steps) AS a) AS c $$;

-- Of each estimator by this kind of interval: how often it covers the truth, its mean width, the bias and the share of ess.
CREATE FUNCTION coverage(kind text, truth float8) RETURNS TABLE (estimator text, covered numeric, width float8, bias float8, overlap float8)
LANGUAGE plpgsql AS $$
DECLARE
	call text;
	options jsonb := jsonb_build_object('interval', kind);
BEGIN
	IF kind = 'bernstein' THEN
		-- of w (r - q), more than of w r; the rewards of the model differ by less than 1
		SELECT options || jsonb_build_object('range', 1 + max(t / l)) INTO options FROM world, unnest(target, logged) AS p (t, l);
	END IF;
	FOREACH call IN ARRAY ARRAY['ips(reward, logged, target', 'clipped_ips(reward, logged, target, 5', 'dr(reward, logged, target, q_logged, q_policy',
		'switch_dr(reward, logged, target, q_logged, q_policy, 5', 'dr_os(reward, logged, target, q_logged, q_policy, 1000',
		'snips(reward, logged, target', 'sndr(reward, logged, target, q_logged, q_policy'] LOOP
		CONTINUE WHEN kind = 'bernstein' AND call ~ '^sn';
		RETURN QUERY EXECUTE format('SELECT %L, avg((%s BETWEEN (e).lower AND (e).upper)::int), avg((e).upper - (e).lower), avg((e).value) - %2$s, avg((e).ess / (e).n)
			FROM (SELECT rlrec_%s, %L) AS e FROM log GROUP BY simulation) AS s', substr(call, 1, strpos(call, '(') - 1), truth, call, options);
	END LOOP;
END $$;
