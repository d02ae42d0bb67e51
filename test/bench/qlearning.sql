-- What sh test/bench/qlearning measures: 1,000 states of 4 actions, as rlrec keeps them and as a plain table.
SET client_min_messages = warning;
CREATE EXTENSION rlrec;
SELECT rlrec_create_agent('observed', options => '{"actions": ["a0", "a1", "a2", "a3"]}');
SELECT rlrec_create_agent('replayed', options => '{"actions": ["a0", "a1", "a2", "a3"]}');
CREATE TABLE plain (agent bigint, state text, action text, q float8, visits bigint, PRIMARY KEY (agent, state, action)) WITH (fillfactor = 60);
INSERT INTO plain SELECT 1, 's' || s, 'a' || a, 0, 0 FROM generate_series(0, 999) s, generate_series(0, 3) a;

-- n updates, and what an update took, in microseconds
CREATE FUNCTION observe(n int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
BEGIN
	FOR i IN 1..n LOOP
		PERFORM rlrec_observe('observed', 's' || i % 1000, 'a' || i % 4, 1, 's' || i * 7 % 1000, false);
	END LOOP;
	RETURN extract(epoch FROM clock_timestamp() - began) * 1e6 / n;
END
$$;
CREATE FUNCTION update_plain(n int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
BEGIN
	FOR i IN 1..n LOOP
		UPDATE plain SET q = q + 0.1 * (1 - q), visits = visits + 1 WHERE agent = 1 AND state = 's' || i % 1000 AND action = 'a' || i % 4;
	END LOOP;
	RETURN extract(epoch FROM clock_timestamp() - began) * 1e6 / n;
END
$$;
SELECT observe(4000), update_plain(4000);

CREATE TABLE log AS SELECT 's' || i % 5000 AS state, 'a' || i % 4 AS action, i % 3 AS reward, 's' || i::bigint * 7919 % 5000 AS next_state,
	false AS terminated FROM generate_series(1, 1000000) i;
VACUUM ANALYZE log;

-- Transitions a second
CREATE FUNCTION replay() RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
BEGIN
	RETURN rlrec_replay('replayed', 'log') / extract(epoch FROM clock_timestamp() - began);
END
$$;

-- A log of 10,000 users with 100 events each, 5,000 items, the low numbers more often
CREATE TABLE events AS SELECT u AS user_id, ((hashint8extended(u * 100 + n, 1) & 65535) * (hashint8extended(u * 100 + n, 2) & 65535) / 65536 * 5000 / 65536)::int AS item_id,
	n AS at, (hashint8extended(u * 100 + n, 3) & 3) + 1 AS stars FROM generate_series(1, 10000) u, generate_series(1, 100) n;
CREATE INDEX ON events (user_id, at);
VACUUM ANALYZE events;
SELECT rlrec_create_agent(learner || sweeps, 'events', value_column => 'stars', learner => learner, options => jsonb_build_object('sweeps', sweeps))
FROM unnest('{qlearning,sarsa,expected_sarsa,double_q}'::text[]) learner, unnest('{1,11}'::int[]) sweeps;

-- What this backend has had of a core, in seconds
CREATE FUNCTION cpu() RETURNS float8 LANGUAGE sql AS $$
	SELECT (f[12]::float8 + f[13]::float8) / 100 FROM string_to_array(split_part(pg_read_file(format('/proc/%s/stat', pg_backend_pid())), ') ', 2), ' ') f $$;

-- Transitions a second of a core: learned in so many sweeps, with all of the training besides
CREATE FUNCTION train(learner text, sweeps int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	began float8 := cpu();
	transitions float8;
BEGIN
	SELECT (metrics->>'transitions')::float8 INTO transitions FROM rlrec_train(learner || sweeps);
	RETURN sweeps * transitions / (cpu() - began);
END
$$;
