-- Tabular learners against exact optima: what they learn in decision processes whose values a value iteration in SQL knows.
\ir ../mdp/solve.sql
\ir ../mdp/grids.sql
\ir ../mdp/taxi.sql
\ir ../mdp/play.sql
SELECT plan(27);
SELECT setseed(.5);

-- The greatest |Q - Q*| over all pairs of a table; a pair that nothing was learned of counts as 0.
CREATE FUNCTION greatest_error(agent_name text, mdp regclass, gamma float8) RETURNS float8 LANGUAGE sql AS $$
	SELECT max(abs(coalesce(learned.q, 0) - exact.q))
	FROM mdp_values(mdp, gamma) exact
		LEFT JOIN rlrec.qvalues learned ON learned.agent = agent_name AND learned.state = exact.state AND learned.action = exact.action
$$;

-- What the greedy policy loses: the greatest difference of V* and its value over all states
CREATE FUNCTION greatest_loss(agent_name text, mdp regclass, gamma float8) RETURNS float8 LANGUAGE sql AS $$
	SELECT max(best.v - greedy.v)
	FROM mdp_values(mdp, gamma) best JOIN mdp_values(mdp, gamma, format(
		'SELECT state, action, (row_number() OVER (PARTITION BY state ORDER BY q DESC) = 1)::int::float8 AS probability
			FROM rlrec.qvalues WHERE agent = %L', agent_name)) greedy USING (state, action)
$$;

-- ---- Q-learning of transitions drawn with exploring starts

CREATE FUNCTION learn(agent text, mdp regclass, actions text[], updates bigint, options jsonb, learner text DEFAULT 'qlearning')
	RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, learner => learner, options => options || jsonb_build_object('actions', actions));
	RETURN rlrec_replay(agent, mdp, updates);
END $$;

\set moves '{left,down,right,up}'
SELECT is(learn('lake', 'frozen_lake_4x4', :'moves', 6000000, '{"gamma": 0.95, "alpha": 1, "alpha_power": 0.8}'), 6000000::bigint,
	'6,000,000 transitions on ice');
SELECT cmp_ok(greatest_error('lake', 'frozen_lake_4x4', .95), '<=', .01::float8, 'FrozenLake: |Q - Q*| at most 1e-2, gamma .95');
SELECT cmp_ok(greatest_loss('lake', 'frozen_lake_4x4', .95), '<=', 1e-9::float8, 'FrozenLake: the greedy policy is optimal');

SELECT is(learn('constant', 'frozen_lake_4x4', :'moves', 6000000, '{"gamma": 0.95, "alpha": 0.1}'), 6000000::bigint, 'the same with a constant alpha');
SELECT cmp_ok(greatest_error('constant', 'frozen_lake_4x4', .95), '>', .02::float8, 'does not converge on ice');

SELECT is(learn('far', 'frozen_lake_4x4', :'moves', 24000000, '{"gamma": 0.99, "alpha": 1, "alpha_power": 0.7}'), 24000000::bigint,
	'24,000,000 transitions on ice, for one who looks farther ahead');
SELECT cmp_ok(greatest_error('far', 'frozen_lake_4x4', .99), '<=', .01::float8, 'FrozenLake: |Q - Q*| at most 1e-2, gamma .99');
SELECT cmp_ok(greatest_loss('far', 'frozen_lake_4x4', .99), '<=', 1e-9::float8, 'FrozenLake: the greedy policy is optimal, gamma .99');

SELECT is(learn('cliff', 'cliff_walking', :'moves', 50000, '{"gamma": 0.99, "alpha": 1}'), 50000::bigint, '50,000 transitions beside the cliff');
SELECT cmp_ok(greatest_error('cliff', 'cliff_walking', .99), '<=', 1e-6::float8, 'CliffWalking: Q is Q*, gamma .99');
SELECT cmp_ok(greatest_loss('cliff', 'cliff_walking', 1), '<=', 1e-9::float8, 'CliffWalking: the greedy policy is optimal');
SELECT is((SELECT total FROM play('cliff', 'cliff_walking', '36', 1, false)), -13::float8, 'CliffWalking: acting greedily takes 13 steps');

SELECT is(learn('taxi', 'taxi', '{south,north,east,west,pickup,dropoff}', 500000, '{"gamma": 0.99, "alpha": 1}'), 500000::bigint,
	'500,000 transitions of a taxi');
SELECT cmp_ok(greatest_error('taxi', 'taxi', .99), '<=', 1e-6::float8, 'Taxi: Q is Q*, gamma .99');
SELECT cmp_ok(greatest_loss('taxi', 'taxi', 1), '<=', 1e-9::float8, 'Taxi: the greedy policy is optimal');
SELECT is((SELECT value::numeric(8, 3) FROM rlrec_values('cliff', '36') WHERE action = 'up'), -12.248, 'rlrec_values() tells the same');
SELECT is((SELECT action FROM rlrec_act('cliff', '36', false)), 'up', 'rlrec_act() takes the best action');

-- ---- double Q-learning overestimates less (Sutton and Barto, example 6.7): one of ten actions of A leads to B, all of whose actions give
-- -1.1 or 0.9, -0.1 on average; the other actions of A give 0

CREATE TABLE noisy AS
	SELECT 'A' AS state, a::text AS action, 1::float8 AS probability, 'B' AS next_state, 0::float8 AS reward, a > 1 AS terminated
	FROM generate_series(1, 10) a
	UNION ALL SELECT 'B', a::text, .5, 'end', reward, true FROM generate_series(1, 10) a, (VALUES (-1.1), (.9)) r(reward);
CREATE FUNCTION noisy_value(agent_name text, learner text) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
	FOR seed IN 1..10 LOOP
		PERFORM learn(agent_name || seed, 'noisy', ARRAY(SELECT a::text FROM generate_series(1, 10) a), 4000,
			jsonb_build_object('gamma', 1, 'seed', seed), learner);
	END LOOP;
	RETURN (SELECT avg(q) FROM rlrec.qvalues WHERE agent LIKE agent_name || '%' AND state = 'A' AND action = '1');
END $$;
SELECT cmp_ok(noisy_value('single', 'qlearning'), '>', .1::float8, 'Q-learning overestimates noisy actions worth -0.1');
SELECT cmp_ok(noisy_value('double', 'double_q'), '<', 0::float8, 'double Q-learning does not');

-- ---- acting and learning beside the cliff: 500 episodes, alpha .5, epsilon .1

CREATE FUNCTION walk(agent text, learner text, options jsonb DEFAULT '{}') RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, learner => learner, options => '{"actions": ["left", "down", "right", "up"], "gamma": 1, "alpha": 0.5,
		"epsilon": 0.1}'::jsonb || options);
	RETURN (SELECT avg(total) FROM play(agent, 'cliff_walking', '36', 500) WHERE episode > 400);
END $$;
SELECT cmp_ok(walk('walk_q', 'qlearning'), '<', -35::float8, 'Q-learning walks along the cliff and falls');
SELECT is((SELECT total FROM play('walk_q', 'cliff_walking', '36', 1, false)), -13::float8, 'and its greedy walk is the shortest');
SELECT ok(walked BETWEEN -35 AND -22, format('sarsa keeps away: %s', walked)) FROM walk('walk_sarsa', 'sarsa') walked;
SELECT ok(walked BETWEEN -24 AND -18, format('expected sarsa is better: %s', walked)) FROM walk('walk_expected', 'expected_sarsa') walked;

-- ---- eligibility traces carry a reward back along the corridor at once

CREATE TABLE corridor AS
	SELECT state::text, action, probability, target::text AS next_state, (target = 19)::int::float8 AS reward, target = 19 AS terminated
	FROM grid_steps(1, 20) WHERE state < 19 AND action IN ('left', 'right');
CREATE FUNCTION learned_states(agent_name text, learner text, lambda float8) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent_name, learner => learner, options => jsonb_build_object('actions', '{left,right}'::text[], 'lambda', lambda));
	PERFORM play(agent_name, 'corridor', '0', 3);
	RETURN (SELECT count(*) FROM rlrec.qvalues WHERE agent = agent_name AND action = 'right' AND q > 0);
END $$;
SELECT cmp_ok(learned_states(learner || lambda, learner, lambda), operator, states, format('%s with lambda %s: %s', learner, lambda, reach))
FROM unnest('{qlearning,sarsa}'::text[]) learner,
	(VALUES (0, '<=', 3::bigint, 'a reward reaches one state more in each episode'), (.9, '>=', 8, 'it reaches many')) l(lambda, operator, states, reach);

SELECT * FROM finish();
