-- play(agent, mdp, start, episodes, explore): an agent acts in a decision process, and learns from what it observes if it explores.
--
-- mdp is a table as in solve.sql, chance PostgreSQL's random(). An episode that does not end in 10,000
-- steps is truncated. total is the sum of an episode's rewards, without discount.
CREATE TABLE world (state text, action text, upto float8, next_state text, reward float8, terminated boolean);
CREATE INDEX ON world (state, action, upto);

CREATE FUNCTION play(agent text, mdp regclass, start text, episodes int, explore boolean DEFAULT true)
	RETURNS TABLE (episode int, steps int, total float8)
	LANGUAGE plpgsql AS $$
DECLARE
	at text;
	chosen record;
	outcome world;
BEGIN
	DELETE FROM world;
	EXECUTE format('INSERT INTO world SELECT state, action, sum(probability) OVER (PARTITION BY state, action ORDER BY next_state, reward) + 1e-9,
		next_state, reward, terminated FROM %s', mdp);
	FOR number IN 1..episodes LOOP
		at := start;
		episode := number;
		steps := 0;
		total := 0;
		LOOP
			SELECT * INTO chosen FROM rlrec_act(agent, at, explore);
			SELECT * INTO STRICT outcome FROM world w WHERE w.state = at AND w.action = chosen.action AND w.upto > random() ORDER BY w.upto LIMIT 1;
			steps := steps + 1;
			total := total + outcome.reward;
			IF explore THEN
				PERFORM rlrec_observe(agent, at, chosen.action, outcome.reward, outcome.next_state, outcome.terminated, steps = 10000, episode);
			END IF;
			EXIT WHEN outcome.terminated OR steps = 10000;
			at := outcome.next_state;
		END LOOP;
		RETURN NEXT;
	END LOOP;
END $$;
