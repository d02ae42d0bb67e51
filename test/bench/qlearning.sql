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
