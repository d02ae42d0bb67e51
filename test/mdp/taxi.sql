-- Taxi (Dietterich, 2000), a table of its rules (see solve.sql): fetch a passenger from one of four stands and bring him to another.
-- A state is ((row * 5 + column) * 5 + passenger) * 4 + destination; the passenger is at a stand, or in the taxi, which is 4. Each step
-- costs 1, a fetch or a drop at the wrong place 10, the right drop gives 20 and ends the ride.
CREATE TABLE taxi AS
	WITH stand(number, row, col) AS (VALUES (0, 0, 0), (1, 0, 4), (2, 4, 0), (3, 4, 3)),
	-- the walls east of these cells
	wall(row, col) AS (VALUES (0, 1), (1, 1), (3, 0), (4, 0), (3, 2), (4, 2)),
	state AS (
		SELECT row, col, passenger, destination, ((row * 5 + col) * 5 + passenger) * 4 + destination AS number,
			(SELECT s.number FROM stand s WHERE s.row = r.row AND s.col = c.col) AS here
		FROM generate_series(0, 4) r(row), generate_series(0, 4) c(col), generate_series(0, 4) p(passenger), generate_series(0, 3) d(destination)
		WHERE passenger <> destination
	)
	SELECT number::text AS state, action, 1::float8 AS probability,
		(((new_row * 5 + new_col) * 5 + new_passenger) * 4 + destination)::text AS next_state, reward::float8, new_passenger = destination AS terminated
	FROM state, (VALUES ('south'), ('north'), ('east'), ('west'), ('pickup'), ('dropoff')) a(action),
		LATERAL (SELECT
			CASE action WHEN 'south' THEN least(row + 1, 4) WHEN 'north' THEN greatest(row - 1, 0) ELSE row END AS new_row,
			CASE WHEN action = 'east' AND col < 4 AND NOT (row, col) IN (SELECT * FROM wall) THEN col + 1
				WHEN action = 'west' AND col > 0 AND NOT (row, col - 1) IN (SELECT * FROM wall) THEN col - 1 ELSE col END AS new_col,
			CASE WHEN action = 'pickup' AND passenger = here THEN 4 WHEN action = 'dropoff' AND passenger = 4 AND here IS NOT NULL THEN here
				ELSE passenger END AS new_passenger) n,
		LATERAL (SELECT CASE WHEN action NOT IN ('pickup', 'dropoff') THEN -1 WHEN new_passenger = passenger THEN -10
			WHEN new_passenger = destination THEN 20 ELSE -1 END AS reward) w;
