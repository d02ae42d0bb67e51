-- psql -v table=NAME <EVENTS: loads user, item, rating, time; each user's last event is held out of NAME_before.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS rlrec;
CREATE TEMP TABLE loaded (id serial, user_id int NOT NULL, item_id int NOT NULL, rating int NOT NULL, ts int NOT NULL);
\copy loaded (user_id, item_id, rating, ts) from pstdin
CREATE TABLE :"table" AS SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY ts DESC, id DESC) = 1 AS held_out FROM loaded;
ALTER TABLE :"table" ADD PRIMARY KEY (id);
VACUUM (ANALYZE, FREEZE) :"table";
SELECT :'table' || '_before' AS before \gset
CREATE TABLE :"before" AS SELECT id, user_id, item_id, rating, ts FROM :"table" WHERE NOT held_out;
ALTER TABLE :"before" ADD PRIMARY KEY (id);
CREATE TABLE IF NOT EXISTS found (data text, policy text, seed int, user_id int, gain float8, reward float8);

-- Of a policy: NDCG, NDCG by rewards, and of each the difference to another policy with half of its 95 % interval, from the users' differences,
-- each a mean over the seeds.
CREATE OR REPLACE FUNCTION compared(of_data text, ours text, peer text, OUT ndcg float8, OUT reward_ndcg float8, OUT more float8, OUT more_half float8,
	OUT reward_more float8, OUT reward_half float8)
LANGUAGE sql BEGIN ATOMIC
	WITH own AS (SELECT user_id, avg(gain) AS gain, max(reward) AS reward FROM found WHERE data = of_data AND policy = ours GROUP BY user_id),
		other AS (SELECT user_id, avg(gain) AS gain FROM found WHERE data = of_data AND policy = peer GROUP BY user_id),
		mean AS (SELECT avg(reward) AS reward FROM own),
		each AS (SELECT own.gain, own.reward / mean.reward AS weight, own.gain - other.gain AS difference FROM own JOIN other USING (user_id), mean)
	SELECT avg(gain), avg(weight * gain), avg(difference), 1.96 * stddev(difference) / sqrt(count(*)), avg(weight * difference),
		1.96 * stddev(weight * difference) / sqrt(count(*)) FROM each;
END;
