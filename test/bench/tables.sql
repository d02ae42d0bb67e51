SET client_min_messages = warning;
CREATE EXTENSION rlrec;
CREATE TABLE events (user_id int NOT NULL, item_id int NOT NULL, ts int NOT NULL);
\copy events from pstdin
CREATE INDEX ON events (user_id, ts);
VACUUM (ANALYZE, FREEZE) events;
SELECT rlrec_create_agent('itemknn', 'events', learner => 'itemknn', options => '{"neighbours": 100}');
SELECT rlrec_create_agent('ease', 'events', learner => 'ease', options => '{"l2": 500}');
