-- The Markov decision processes of test/mdp have the optima that are known: what learners are measured by is right.
\ir ../mdp/solve.sql
\ir ../mdp/grids.sql
\ir ../mdp/taxi.sql
SELECT plan(26);

-- The value of starting in a state
CREATE FUNCTION start_value(mdp regclass, gamma float8, start text, policy text DEFAULT NULL) RETURNS numeric LANGUAGE sql
	AS $$ SELECT v::numeric FROM mdp_values(mdp, gamma, policy) WHERE state = start LIMIT 1 $$;

CREATE FUNCTION uniform(mdp regclass) RETURNS text LANGUAGE sql
	AS $$ SELECT format('SELECT DISTINCT state, action, 0.25 AS probability FROM %s', mdp) $$;

CREATE FUNCTION broken_sums(mdp regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	broken bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM (SELECT FROM %s GROUP BY state, action HAVING abs(sum(probability) - 1) > 1e-12) x', mdp) INTO broken;
	RETURN broken;
END $$;

SELECT is(broken_sums(mdp), 0::bigint, format('the outcomes of each action of %s have probability 1', mdp))
FROM unnest('{frozen_lake_4x4,frozen_lake_8x8,cliff_walking,cliff_walking_slippery,grid_4x4,grid_5x5,short_corridor,taxi}'::regclass[]) mdp;

SELECT is(round(start_value('frozen_lake_4x4', 1, '0'), 6), round(14 / 17.0, 6), 'FrozenLake 4x4 is won 14 times in 17');
SELECT is(round(start_value('frozen_lake_4x4', .99, '0'), 6), .542026, 'FrozenLake 4x4 with gamma .99');
SELECT is(round(start_value('frozen_lake_4x4', .95, '0'), 6), .180472, 'FrozenLake 4x4 with gamma .95');
SELECT is(round(start_value('frozen_lake_8x8', 1, '0'), 6), 1.000000, 'FrozenLake 8x8 is always won');
SELECT is(round(start_value('frozen_lake_8x8', .99, '0'), 6), .414640, 'FrozenLake 8x8 with gamma .99');
SELECT is(round(start_value('cliff_walking', 1, '36'), 6), -13.000000, 'CliffWalking takes 13 steps');
SELECT is(round(start_value('cliff_walking', .99, '36'), 6), -12.247898, 'CliffWalking with gamma .99');
SELECT is(round(start_value('cliff_walking_slippery', 1, '36'), 3), -64.709, 'slippery CliffWalking');

CREATE FUNCTION taxi_value(gamma float8) RETURNS numeric LANGUAGE sql
	AS $$ SELECT avg(v)::numeric FROM mdp_values('taxi', gamma) WHERE state::int / 4 % 5 < 4 $$;
SELECT is((SELECT count(DISTINCT state) FROM taxi WHERE state::int / 4 % 5 < 4), 300::bigint, 'Taxi has 300 states to start in');
SELECT is(round(taxi_value(1), 6), 7.930000, 'Taxi');
SELECT is(round(taxi_value(.99), 6), 6.327464, 'Taxi with gamma .99');

SELECT is((SELECT array_agg(DISTINCT round(v::numeric)) FROM mdp_values('grid_4x4', 1, uniform('grid_4x4'))), '{-22,-20,-18,-14}'::numeric[],
	'Sutton and Barto, example 4.1: the random policy');
SELECT is(start_value('grid_4x4', 1, '3'), -3.0, 'Sutton and Barto, example 4.1: the best policy');
SELECT is(round(start_value('grid_5x5', .9, '1', uniform('grid_5x5')), 3), 8.789, 'Sutton and Barto, example 3.5: the random policy');
SELECT is(round(start_value('grid_5x5', .9, '1'), 3), 24.419, 'Sutton and Barto, example 3.8: the best policy');

CREATE FUNCTION corridor_value(p_right float8) RETURNS numeric LANGUAGE sql
	AS $$ SELECT start_value('short_corridor', 1, '0', format(
		$q$SELECT state, action, CASE action WHEN 'right' THEN %1$s ELSE 1 - %1$s END AS probability FROM short_corridor$q$, p_right)) $$;
SELECT is(round(corridor_value(2 - sqrt(2)), 6), -11.656854, 'Sutton and Barto, example 13.1: the best policy that cannot tell the states apart');
SELECT ok(greatest(corridor_value(.57), corridor_value(.6)) < corridor_value(2 - sqrt(2)), 'and more or less of going right is worse');
SELECT is(ARRAY[round(corridor_value(.95)), round(corridor_value(.05))], '{-44,-82}'::numeric[], 'and so is going one way 19 times in 20');

SELECT * FROM finish();
