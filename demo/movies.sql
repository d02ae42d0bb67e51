-- MovieLens-100K as an application would keep it. Runs where the three files are.

BEGIN;

CREATE TABLE users (
	id int PRIMARY KEY,
	age int,
	gender text,
	occupation text,
	zip_code text
);
\copy users FROM 'ml-100k.user' WITH (FORMAT csv, DELIMITER E'\t', QUOTE E'\b', HEADER)

CREATE TABLE movies (
	id int PRIMARY KEY,
	title text NOT NULL,
	year int,
	genres text[]
);
CREATE TEMP TABLE movie_lines (id int, title text, year text, genres text) ON COMMIT DROP;
\copy movie_lines FROM 'ml-100k.item' WITH (FORMAT csv, DELIMITER E'\t', QUOTE E'\b', HEADER)
INSERT INTO movies
SELECT id, title, CASE WHEN year ~ '^\d+$' THEN year::int END, string_to_array(genres, ' ')
FROM movie_lines;

-- id keeps the order of the file, which decides between ratings of the same second.
CREATE TABLE ratings (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id int NOT NULL REFERENCES users,
	movie_id int NOT NULL REFERENCES movies,
	rating real NOT NULL,
	rated_at timestamptz NOT NULL
);
CREATE TEMP TABLE rating_lines (
	line int GENERATED ALWAYS AS IDENTITY,
	user_id int, movie_id int, rating real, seconds float8
) ON COMMIT DROP;
\copy rating_lines (user_id, movie_id, rating, seconds) FROM 'ml-100k.inter' WITH (FORMAT csv, DELIMITER E'\t', HEADER)
INSERT INTO ratings (user_id, movie_id, rating, rated_at)
SELECT user_id, movie_id, rating, to_timestamp(seconds)
FROM rating_lines
ORDER BY line;
CREATE INDEX ON ratings (user_id, rated_at);

-- For recommend.sql: what a user liked.
CREATE VIEW liked AS
SELECT r.user_id, m.title, r.rated_at AS at, r.id
FROM ratings r
JOIN movies m ON m.id = r.movie_id
WHERE r.rating >= 4;

COMMIT;
ANALYZE users, movies, ratings;
