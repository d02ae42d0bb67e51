-- psql -v table=NAME <EVENTS: loads user, item, place in the history, whether it is the user's last; NAME_before is all but those.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS rlrec;
CREATE TEMP TABLE loaded (user_id int NOT NULL, item_id int NOT NULL, ts int NOT NULL, held_out boolean NOT NULL);
\copy loaded from pstdin
CREATE TABLE :"table" AS SELECT * FROM loaded;
CREATE INDEX ON :"table" (user_id, ts);
VACUUM (ANALYZE, FREEZE) :"table";
SELECT :'table' || '_before' AS before \gset
CREATE VIEW :"before" AS SELECT user_id, item_id, ts FROM :"table" WHERE NOT held_out;
