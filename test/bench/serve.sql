-- What sh test/bench/serve measures: 6,000 users with 100 events each, 3,700 items, the low numbers more often; an agent for each exploration.
SET client_min_messages = warning;
CREATE EXTENSION rlrec;
CREATE TABLE events AS SELECT u AS user_id, ((hashint8extended(u * 100 + n, 1) & 65535) * (hashint8extended(u * 100 + n, 2) & 65535) / 65536 * 3700 / 65536)::int AS item_id,
	timestamptz '2025-01-01' + (n * 6000 + u) * interval '1 s' AS at FROM generate_series(1, 6000) u, generate_series(1, 100) n;
CREATE INDEX ON events (user_id, at);
VACUUM ANALYZE events;
SELECT rlrec_create_agent(explore, 'events', learner => 'itemknn', options => jsonb_build_object('explore', explore))
FROM unnest('{none,epsilon_greedy,softmax,ucb,thompson,squarecb}'::text[]) explore;
SELECT rlrec_train(name) FROM rlrec.agents;

-- What an application would keep of what it shows
CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text, items text[], shown_at timestamptz);
CREATE INDEX ON plain (user_id, shown_at);

-- What this backend has had of a core, in seconds
CREATE FUNCTION cpu() RETURNS float8 LANGUAGE sql AS $$
	SELECT (f[12]::float8 + f[13]::float8) / 100 FROM string_to_array(split_part(pg_read_file(format('/proc/%s/stat', pg_backend_pid())), ') ', 2), ' ') f $$;

-- What a call takes, in microseconds
CREATE FUNCTION recommend_and_insert(agent text, calls int, OUT latency float8, OUT cpu float8) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
	had float8 := cpu();
	shown text[];
BEGIN
	FOR i IN 1..calls LOOP
		shown := ARRAY(SELECT item FROM rlrec_recommend(i * 59 % 6000 + 1, 10, agent));
		INSERT INTO plain (user_id, items, shown_at) VALUES (i * 59 % 6000 + 1, shown, clock_timestamp());
	END LOOP;
	latency := extract(epoch FROM clock_timestamp() - began) * 1e6 / calls;
	cpu := (cpu() - had) * 1e6 / calls;
END
$$;
CREATE FUNCTION serve(agent text, calls int, OUT latency float8, OUT cpu float8) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
	had float8 := cpu();
	shown text[];
BEGIN
	FOR i IN 1..calls LOOP
		shown := ARRAY(SELECT item FROM rlrec_serve(i * 59 % 6000 + 1, 10, agent));
	END LOOP;
	latency := extract(epoch FROM clock_timestamp() - began) * 1e6 / calls;
	cpu := (cpu() - had) * 1e6 / calls;
END
$$;
CREATE FUNCTION recommend(agent text, calls int, OUT latency float8, OUT cpu float8) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
	had float8 := cpu();
	shown text[];
BEGIN
	FOR i IN 1..calls LOOP
		shown := ARRAY(SELECT item FROM rlrec_recommend(i * 59 % 6000 + 1, 10, agent));
	END LOOP;
	latency := extract(epoch FROM clock_timestamp() - began) * 1e6 / calls;
	cpu := (cpu() - had) * 1e6 / calls;
END
$$;
