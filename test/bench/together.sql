SET client_min_messages = warning;
CREATE EXTENSION rlrec;
CREATE TABLE small (user_id int NOT NULL, item_id int NOT NULL, ts int NOT NULL);
CREATE TABLE large (LIKE small);
COPY small FROM :'small';
COPY large FROM :'large';
CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL) WITH (fillfactor = 50);
INSERT INTO account SELECT i, 0 FROM generate_series(1, 100000) i;
VACUUM (ANALYZE, FREEZE) small, large, account;
SELECT rlrec_create_agent('agent' || i, 'small', learner => 'supervised', options => jsonb_build_object('epochs', :epochs, 'finish', 0))
FROM generate_series(1, :agents) i;
SELECT rlrec_create_agent(loss, 'large', learner => 'supervised', options => jsonb_build_object('loss', loss))
FROM unnest('{sampled,full}'::text[]) loss;
