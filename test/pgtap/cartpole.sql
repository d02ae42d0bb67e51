-- Learners of vector states balance a pole: the cart and pole of Barto, Sutton and Anderson (1983), in SQL.
SELECT plan(6);
SELECT setseed(.5);

-- One step of 0.02 s: state is position, velocity, angle, angular velocity; the action pushes with 10 N.
CREATE FUNCTION cart_pole(state float8[], action text) RETURNS float8[] LANGUAGE sql IMMUTABLE AS $$
	WITH forces AS (
		SELECT (CASE action WHEN 'right' THEN 10 ELSE -10 END + .05 * state[4] ^ 2 * sin(state[3])) / 1.1 AS push
	), turning AS (
		SELECT push, (9.8 * sin(state[3]) - cos(state[3]) * push) / (.5 * (4 / 3.0 - .1 * cos(state[3]) ^ 2 / 1.1)) AS turn FROM forces
	)
	SELECT ARRAY[state[1] + .02 * state[2], state[2] + .02 * (push - .05 * turn * cos(state[3]) / 1.1),
		state[3] + .02 * state[4], state[4] + .02 * turn]
	FROM turning
$$;

-- balance(agent, steps, episodes, explore): episodes of at most 500 steps until so many steps or episodes are done; their mean length
CREATE FUNCTION balance(agent text, most_steps int, episodes int DEFAULT NULL, explore boolean DEFAULT true) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	state float8[];
	next float8[];
	chosen record;
	steps int := 0;
	length int;
	done int := 0;
	fallen boolean;
BEGIN
	WHILE steps < most_steps AND done < coalesce(episodes, most_steps) LOOP
		state := ARRAY(SELECT random() / 10 - .05 FROM generate_series(1, 4));
		length := 0;
		LOOP
			SELECT * INTO chosen FROM rlrec_act(agent, state, explore);
			next := cart_pole(state, chosen.action);
			length := length + 1;
			fallen := abs(next[1]) > 2.4 OR abs(next[3]) > radians(12);
			IF explore THEN
				PERFORM rlrec_observe(agent, state, chosen.action, 1, next, fallen, length = 500, done, chosen.propensity);
			END IF;
			EXIT WHEN fallen OR length = 500;
			state := next;
		END LOOP;
		steps := steps + length;
		done := done + 1;
	END LOOP;
	RETURN steps / done::float8;
END $$;

CREATE FUNCTION start(agent text, learner text, options jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, learner => learner, options => options || '{"actions": ["left", "right"], "state_size": 4}')
$$;
SELECT start('dqn', 'dqn'), start('ppo', 'actor_critic', '{"update": "ppo"}'), start('reinforce', 'reinforce');

SELECT ok(length BETWEEN 5 AND 60, format('%s knows nothing before: %s steps', agent, length))
FROM unnest('{dqn,ppo,reinforce}'::text[]) agent, balance(agent, 100000, 10, false) length;

CREATE TABLE trained AS
	SELECT agent, steps, balance(agent, steps) FROM (VALUES ('dqn', 4000), ('ppo', 12000), ('reinforce', 12000)) t(agent, steps);

SELECT ok(length >= 90, format('%s balances the pole after %s steps: %s', agent, steps, length))
FROM trained, balance(agent, 100000, 20, false) length;

SELECT * FROM finish();
