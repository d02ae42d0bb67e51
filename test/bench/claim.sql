-- psql -v table=NAME -v split=SPLIT <EVENTS: loads user, item, time; NAME_train is what to learn from, NAME_test what to find again. SPLIT is
-- users, the last fifth of each user's events held out, or time, what is not before the .8 quantile of the times of all events.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS rlrec;
CREATE TEMP TABLE loaded (id serial, user_id int NOT NULL, item_id int NOT NULL, ts bigint NOT NULL);
\copy loaded (user_id, item_id, ts) from pstdin
CREATE TABLE :"table" AS TABLE loaded;
SELECT :'table' || '_train' AS train, :'table' || '_test' AS test, :'table' || '_split' AS splitted, :'split' = 'time' AS by_time \gset
\if :by_time
CREATE VIEW :"splitted" AS SELECT *, ts >= (SELECT ts FROM :"table" ORDER BY ts OFFSET (SELECT 8 * count(*) / 10 FROM :"table") LIMIT 1) AS held_out FROM :"table";
\else
CREATE VIEW :"splitted" AS SELECT id, user_id, item_id, ts, n > of - of / 5 AS held_out FROM (
	SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY ts, id) AS n, count(*) OVER (PARTITION BY user_id) AS of FROM :"table") e;
\endif
CREATE TABLE :"train" AS SELECT id, user_id, item_id, ts FROM :"splitted" WHERE NOT held_out;
ALTER TABLE :"train" ADD PRIMARY KEY (id);
CREATE INDEX ON :"train" (user_id, ts);
CREATE TABLE :"test" AS SELECT DISTINCT user_id, item_id FROM :"splitted" WHERE held_out AND user_id IN (SELECT user_id FROM :"train")
	EXCEPT SELECT user_id, item_id FROM :"train";
ANALYZE :"train";
