-- Grids with known optima, each a table of its rules (see solve.sql). A state is the number of its cell, row by row from 0.

-- A step in a grid, which stays where it is instead of leaving. On ice each direction but the opposite one is as likely as that chosen.
CREATE FUNCTION grid_steps(rows int, columns int, slippery boolean DEFAULT false)
	RETURNS TABLE (state int, action text, probability float8, target int, bumped boolean)
	LANGUAGE sql AS $$
	WITH direction(action, clockwise, down, rightward) AS (VALUES ('up', 0, -1, 0), ('right', 1, 0, 1), ('down', 2, 1, 0), ('left', 3, 0, -1))
	SELECT r * columns + c, chosen.action, CASE WHEN slippery THEN 1 / 3.0 ELSE 1 END,
		CASE WHEN bumped THEN r * columns + c ELSE (r + taken.down) * columns + c + taken.rightward END, bumped
	FROM generate_series(0, rows - 1) r, generate_series(0, columns - 1) c, direction chosen, direction taken,
		LATERAL (SELECT r + taken.down NOT BETWEEN 0 AND rows - 1 OR c + taken.rightward NOT BETWEEN 0 AND columns - 1 AS bumped) b
	WHERE CASE WHEN slippery THEN taken.clockwise <> (chosen.clockwise + 2) % 4 ELSE taken.clockwise = chosen.clockwise END
$$;

-- FrozenLake: S start, F ice, H hole, G goal
CREATE FUNCTION frozen_lake(size int, map text)
	RETURNS TABLE (state text, action text, probability float8, next_state text, reward float8, terminated boolean)
	LANGUAGE sql AS $$
	SELECT state, action, sum(probability), target, (cell = 'G')::int, cell IN ('G', 'H')
	FROM grid_steps(size, size, true), LATERAL (SELECT substr(map, target + 1, 1) AS cell) c
	WHERE substr(map, state + 1, 1) IN ('S', 'F')
	GROUP BY state, action, target, cell
$$;
CREATE TABLE frozen_lake_4x4 AS SELECT * FROM frozen_lake(4, 'SFFFFHFHFFFHHFFG');
CREATE TABLE frozen_lake_8x8 AS SELECT * FROM frozen_lake(8,
	'SFFFFFFFFFFFFFFFFFFHFFFFFFFFFHFFFFFHFFFFFHHFFFHFFHFFHFHFFFFHFFFG');

-- CliffWalking (Sutton and Barto, example 6.6): from 36 to 47, between which a step costs 100 and leads back to 36
CREATE FUNCTION cliff_walking(slippery boolean)
	RETURNS TABLE (state text, action text, probability float8, next_state text, reward float8, terminated boolean)
	LANGUAGE sql AS $$
	SELECT state, action, sum(probability), next, CASE WHEN fell THEN -100 ELSE -1 END, next = 47
	FROM grid_steps(4, 12, slippery),
		LATERAL (SELECT target BETWEEN 37 AND 46 AS fell) f, LATERAL (SELECT CASE WHEN fell THEN 36 ELSE target END AS next) n
	WHERE state < 37
	GROUP BY state, action, next, fell
$$;
CREATE TABLE cliff_walking AS SELECT * FROM cliff_walking(false);
CREATE TABLE cliff_walking_slippery AS SELECT * FROM cliff_walking(true);

-- Sutton and Barto, example 4.1: two corners end the walk, each step costs 1
CREATE TABLE grid_4x4 AS
	SELECT state::text, action, probability, target::text AS next_state, -1::float8 AS reward, target IN (0, 15) AS terminated
	FROM grid_steps(4, 4) WHERE state NOT IN (0, 15);

-- Sutton and Barto, example 3.5: every action in A leads to A' and gives 10, in B to B' and gives 5; leaving the grid costs 1
CREATE TABLE grid_5x5 AS
	SELECT state::text, action, probability, (CASE state WHEN 1 THEN 21 WHEN 3 THEN 13 ELSE target END)::text AS next_state,
		(CASE WHEN state = 1 THEN 10 WHEN state = 3 THEN 5 WHEN bumped THEN -1 ELSE 0 END)::float8 AS reward, false AS terminated
	FROM grid_steps(5, 5);

-- Sutton and Barto, example 13.1, the short corridor: from 0 to 3; 1 swaps left and right. A policy that cannot tell its states apart is
-- best when it goes right with probability 2 - sqrt(2).
CREATE TABLE short_corridor AS
	SELECT state::text, CASE WHEN state <> 1 THEN action WHEN action = 'left' THEN 'right' ELSE 'left' END AS action, probability,
		target::text AS next_state, -1::float8 AS reward, target = 3 AS terminated
	FROM grid_steps(1, 4) WHERE state < 3 AND action IN ('left', 'right');
