-- Whatever a time column's type and the time zone, an event is credited to the decision that it answers.
SET client_min_messages = error;
SET timezone = 'America/New_York';
SELECT plan(6);

CREATE FUNCTION credited(agent text, type text, moment text, ago interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	served bigint;
	shown text;
BEGIN
	EXECUTE format('CREATE TABLE %I (id serial PRIMARY KEY, user_id int NOT NULL, item_id int NOT NULL, at %s NOT NULL)', agent, type);
	EXECUTE format('INSERT INTO %I (user_id, item_id, at) SELECT u, i, ''2020-01-01''::timestamptz::%s FROM generate_series(1, 5) u, generate_series(1, 3) i', agent, type);
	PERFORM rlrec_create_agent(agent, agent::regclass, learner => 'popularity', options => '{"exclude_seen": false, "horizon": "1 hour"}');
	PERFORM rlrec_train(agent);
	PERFORM rlrec_attach(agent);
	SELECT s.decision_id, s.item INTO served, shown FROM rlrec_serve(1, 1, agent) s;
	UPDATE rlrec.decision SET served_at = clock_timestamp() - ago WHERE id = served;
	EXECUTE format('INSERT INTO %I (user_id, item_id, at) SELECT 1, $1::int, (%s)::%s', agent, moment, type) USING shown;
	RETURN served;
END
$$;
CREATE TEMP TABLE served AS SELECT agent, credited(agent, type, moment, ago) AS decision FROM (VALUES
	('zoned', 'timestamptz', 'clock_timestamp()', interval '10 minutes'), ('local', 'timestamp', 'clock_timestamp()', '10 minutes'),
	('coarse', 'timestamp(0)', 'clock_timestamp() - interval ''2 seconds''', '0'), ('daily', 'date', 'clock_timestamp()', '0'),
	('late', 'timestamp', 'clock_timestamp() + interval ''90 minutes''', '10 minutes')) t(agent, type, moment, ago);
SELECT rlrec_process(agent) FROM served \g /dev/null
SELECT is(count(o), CASE WHEN served.agent = 'late' THEN 0 ELSE 1 END::bigint, served.agent || ': an event is credited within the horizon') FROM served
LEFT JOIN rlrec.outcome o ON o.decision = served.decision::bigint GROUP BY served.agent ORDER BY served.agent;
SELECT cmp_ok(abs(extract(epoch FROM first_at - clock_timestamp())), '<', 60::numeric, 'and keeps its time') FROM rlrec.outcomes WHERE agent = 'local';

SELECT * FROM finish();
