-- What rlrec_create_agent() takes the columns for, as its notices say it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS rlrec;
RESET client_min_messages;

-- by foreign keys, which go before names
CREATE TABLE members (id int PRIMARY KEY);
CREATE TABLE songs (id int PRIMARY KEY, title text);
CREATE TABLE plays (id bigserial PRIMARY KEY, who int REFERENCES members, what int REFERENCES songs, item_id int, ts timestamptz);
SELECT rlrec_create_agent('keys', 'plays');

-- by names; an index on (user, time) keeps the second notice away, one on time or a partial one does not
CREATE TABLE log (customer_id uuid, sku text, action text, created_at timestamp, updated_at timestamp);
CREATE INDEX ON log (created_at, customer_id);
CREATE INDEX ON log (customer_id, created_at) WHERE action = 'buy';
SELECT rlrec_create_agent('names', 'log');
CREATE INDEX ON log (customer_id, created_at);
SELECT rlrec_create_agent('indexed', 'log');

-- by types: the only timestamp is the time; letters of any case
CREATE TYPE act AS ENUM ('see', 'buy');
CREATE TABLE visits ("User_ID" smallint, "Product" varchar(10), kind act, moment timestamptz, price numeric);
SELECT rlrec_create_agent('types', 'visits');

-- no time, no event: an index on the user is enough
CREATE TABLE pairs (user_id text, item_id text);
SELECT rlrec_create_agent('timeless', 'pairs');
CREATE INDEX ON pairs (user_id, item_id);
SELECT rlrec_create_agent('timeless2', 'pairs');

-- named columns win; a view has no index to suggest
CREATE VIEW recent AS SELECT who AS a, what AS b, ts AS c FROM plays;
SELECT rlrec_create_agent('view', 'recent', user_column => 'a', item_column => 'b');
CREATE MATERIALIZED VIEW kept AS SELECT * FROM recent;
SELECT rlrec_create_agent('matview', 'kept', user_column => 'a', item_column => 'b');

-- partitions
CREATE TABLE parts (user_id int, item_id int, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SELECT rlrec_create_agent('partitioned', 'parts');
CREATE INDEX ON parts (user_id, at);
SELECT rlrec_alter_agent('partitioned', learner => 'markov');

-- names that need quotes
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."Eve""nts" ("The User" int, "it'em" text, "The Time" date);
SELECT rlrec_create_agent('it''s "quoted"', '"My Schema"."Eve""nts"', 'The User', 'it''em', 'The Time');

-- several columns could be it, or none
CREATE TABLE two_users (user_id int, customer_id int, item_id int);
SELECT rlrec_create_agent('e', 'two_users');
CREATE TABLE two_keys (a int REFERENCES songs, b int REFERENCES songs, user_id int);
SELECT rlrec_create_agent('e', 'two_keys');
CREATE TABLE two_times (user_id int, item_id int, seen timestamptz, bought timestamptz);
SELECT rlrec_create_agent('e', 'two_times');
CREATE TABLE nothing (a int, b text, c bytea);
SELECT rlrec_create_agent('e', 'nothing');
SELECT rlrec_create_agent('e', 'nothing', 'a');
SELECT rlrec_create_agent('e', 'nothing', 'a', 'c');
SELECT rlrec_create_agent('e', 'nothing', 'a', 'd');
SELECT rlrec_create_agent('e', 'nothing', 'a', 'b', rewards => '{"buy": 1}');
SELECT rlrec_create_agent('e', 'nothing', 'a', 'b', value_column => 'c');

SELECT name, events, user_column, item_column, time_column, event_column, items, item_key FROM rlrec.agents ORDER BY name;
SET client_min_messages = warning;
SELECT rlrec_drop_agent(name) FROM rlrec.agents ORDER BY name;
SELECT name FROM rlrec.agents;
DROP SCHEMA "My Schema" CASCADE;
DROP TABLE members, songs, plays, log, visits, pairs, parts, two_users, two_keys, two_times, nothing CASCADE;
DROP TYPE act;
