-- Feedback by the trigger on the events and by rlrec_feedback(): what commits is learned from once, what does not is not.
SET client_min_messages = error;
SELECT no_plan();

CREATE ROLE f_owner;
CREATE ROLE f_app;
CREATE ROLE f_stranger;
GRANT CREATE, USAGE ON SCHEMA public TO f_owner, f_stranger;

-- What a role gets from a query, its first column or its error.
CREATE FUNCTION as_role(who name, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', who, true);
	EXECUTE query INTO result;
	PERFORM set_config('role', 'none', true);
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END
$$;

CREATE TABLE events (id bigserial PRIMARY KEY, user_id int, item_id int, event text, at timestamptz DEFAULT now());
CREATE INDEX ON events (user_id, at);
SELECT rlrec_create_agent('shop', 'events', rewards => '{"click": 1, "buy": 5, "dislike": -2}');

-- ---- attaching

SELECT throws_ok($$ SELECT rlrec_process('shop') $$, '55000', 'agent "shop" is not attached to its events', 'who is not attached cannot process');
SELECT throws_ok($$ SELECT rlrec_detach('shop') $$, '55000', 'agent "shop" is not attached to its events', 'nor detach');
SELECT throws_ok($$ SELECT rlrec_attach('shop', 'often') $$, '22023', 'unknown mode "often"', 'an unknown mode is an error');
SELECT throws_ok($$ SELECT rlrec_attach('shop', NULL) $$, '22004', 'mode must not be NULL', 'and so is none at all');
SELECT throws_ok($$ SELECT rlrec_attach('shop', 'none', true) $$, '0A000', 'mode none does not see what is replicated', 'no trigger sees what is replicated');
SELECT rlrec_create_agent('another', 'events');
SELECT throws_ok($$ SELECT rlrec_attach(NULL) $$, '42P08', NULL, 'NULL is the only agent, an error where there are several');
SELECT throws_ok($$ SELECT rlrec_process(NULL) $$, '42P08', NULL, 'also to learn');
SELECT rlrec_drop_agent('another');
INSERT INTO events (user_id, item_id, event) VALUES (1, 1, 'click');
SELECT rlrec_attach('shop');
SELECT is(rlrec_process('shop'), 0::bigint, 'what was there before is not feedback');
SELECT throws_ok($$ SELECT rlrec_attach('shop') $$, '55000', 'agent "shop" is attached already', 'nobody is attached twice');

-- ---- the queue's tables

SELECT is(array_agg(reltoastrelid ORDER BY relname), '{0,0,0}'::oid[], 'the tables of the queue have no TOAST table')
	FROM pg_class WHERE relnamespace = 'rlrec'::regnamespace AND relname ~ '^queue_[0-2]$';

-- ---- transactions

INSERT INTO events (user_id, item_id, event) VALUES (1, 2, 'click'), (1, 3, 'buy');
SELECT is(rlrec_process('shop'), 2::bigint, 'committed events are learned');
SELECT is(rlrec_process('shop'), 0::bigint, 'once');

BEGIN;
INSERT INTO events (user_id, item_id, event) VALUES (1, 2, 'click');
ROLLBACK;
SELECT is(rlrec_process('shop'), 0::bigint, 'a rollback teaches nothing');

BEGIN;
INSERT INTO events (user_id, item_id, event) VALUES (1, 1, 'click');
SAVEPOINT a;
INSERT INTO events (user_id, item_id, event) VALUES (1, 2, 'click');
SAVEPOINT b;
INSERT INTO events (user_id, item_id, event) VALUES (1, 3, 'click');
RELEASE b;
ROLLBACK TO a;
INSERT INTO events (user_id, item_id, event) VALUES (1, 4, 'click');
RELEASE a;
SAVEPOINT c;
INSERT INTO events (user_id, item_id, event) VALUES (1, 5, 'click');
SAVEPOINT d;
INSERT INTO events (user_id, item_id, event) VALUES (1, 6, 'click');
ROLLBACK TO d;
COMMIT;
SELECT is(rlrec_process('shop'), 3::bigint, 'nor do savepoints that are rolled back, or released inside one that is');

DO $$
BEGIN
	FOR i IN 1 .. 3000 LOOP
		BEGIN
			INSERT INTO events (user_id, item_id, event) SELECT i, j, 'click' FROM generate_series(1, 10) j;
			PERFORM 1 / (i % 3);
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
END
$$;
SELECT is(rlrec_process('shop'), 20000::bigint, 'blocks with exceptions teach what they kept, also when they fill the buffer');

BEGIN;
INSERT INTO events (user_id, item_id, event) SELECT i, 1, 'click' FROM generate_series(1, 4000) i;
SAVEPOINT a;
INSERT INTO events (user_id, item_id, event) SELECT i, 2, 'click' FROM generate_series(1, 20000) i;
SAVEPOINT b;
INSERT INTO events (user_id, item_id, event) SELECT i, 2, 'click' FROM generate_series(1, 20000) i;
RELEASE b;
ROLLBACK TO a;
INSERT INTO events (user_id, item_id, event) SELECT i, 3, 'click' FROM generate_series(1, 21000) i;
COMMIT;
CREATE TABLE before AS SELECT batches FROM rlrec.watermark;
SELECT is(rlrec_process('shop'), 25000::bigint, 'what left the buffer for the queue is undone by its savepoint too');
SELECT is((SELECT w.batches - b.batches FROM rlrec.watermark w, before b), 3::bigint, 'one transaction can be learned in several batches');

BEGIN;
INSERT INTO events (user_id, item_id, event) SELECT i, 3, 'click' FROM generate_series(1, 7000) i;
COMMIT;
BEGIN;
INSERT INTO events (user_id, item_id, event) SELECT i, 3, 'click' FROM generate_series(1, 26001) i;
COMMIT;
INSERT INTO events (user_id, item_id, event) VALUES (1, 4, 'click');
SELECT is(rlrec_process('shop'), 33002::bigint, 'batches cut between and inside transactions');
SELECT is(rlrec_process('shop'), 0::bigint, 'and leave nothing');

-- A table that a cursor of the same session has open is not emptied.
SELECT 'rlrec.queue_' || last_value AS written FROM rlrec.queue_segment \gset
INSERT INTO events (user_id, item_id, event) SELECT i, 3, 'click' FROM generate_series(1, 1000) i;
SELECT rlrec_process('shop');
SELECT setval('rlrec.queue_segment', (last_value + 1) % 3), pg_sleep(0.6) FROM rlrec.queue_segment;
BEGIN;
DECLARE reader CURSOR FOR SELECT xid FROM :written;
FETCH reader;
SELECT is(rlrec_process('shop'), 0::bigint, 'a cursor on the queue is no obstacle');
SELECT cmp_ok(pg_relation_size(:'written'), '>', 0::bigint, 'to which its rows stay');
COMMIT;
SELECT pg_sleep(0.6);
SELECT rlrec_process('shop');
SELECT is(pg_relation_size(:'written'), 0::bigint, 'until it is closed');

BEGIN;
INSERT INTO events (user_id, item_id, event) SELECT i, 3, 'click' FROM generate_series(1, 20000) i;
CREATE TABLE own AS SELECT rlrec_process('shop') AS n;
COMMIT;
SELECT is((SELECT n FROM own), 0::bigint, 'a transaction does not learn from what it may yet undo');
SELECT is(rlrec_process('shop'), 20000::bigint, 'that is for the next');

BEGIN;
CREATE TABLE undone AS SELECT 1;
INSERT INTO events (user_id, item_id, event) VALUES (1, 5, 'click');
COMMIT;
BEGIN;
SELECT rlrec_process('shop') AS learned \gset
ROLLBACK;
SELECT is(:learned, 1, 'learning is part of its transaction');
SELECT is(rlrec_process('shop'), 1::bigint, 'and undone with it');

COPY events (user_id, item_id, event) FROM stdin;
1	2	click
2	3	buy
3	\N	buy
\.
SELECT is(rlrec_process('shop'), 2::bigint, 'COPY teaches; an event without an item is passed over');

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT FROM events LIMIT 1;
SELECT rlrec_process('shop') AS first \gset
INSERT INTO events (user_id, item_id, event) VALUES (1, 5, 'click');
SELECT rlrec_process('shop') AS second \gset
COMMIT;
SELECT is(:first + :second, 0, 'REPEATABLE READ learns what its snapshot sees');
SELECT is(rlrec_process('shop'), 1::bigint, 'what it inserted comes later');

CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO events (user_id, item_id, event) VALUES (9, 9, 'click');
	RETURN NULL;
END
$$;
CREATE TABLE orders (id int);
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later();
INSERT INTO orders VALUES (1), (2);
SELECT is(rlrec_process('shop'), 2::bigint, 'deferred triggers teach');

INSERT INTO events (user_id, item_id, event, at) VALUES (1, 1, 'click', 'infinity'), (1, NULL, 'click', now()), (NULL, 1, 'click', now());
SELECT is(rlrec_process('shop'), 0::bigint, 'what training would refuse is passed over, and inserted');
DELETE FROM events WHERE at = 'infinity' OR user_id IS NULL OR item_id IS NULL;

SET session_replication_role = replica;
INSERT INTO events (user_id, item_id, event) VALUES (1, 5, 'click');
RESET session_replication_role;
SELECT is(rlrec_process('shop'), 0::bigint, 'what replication applies does not teach');
SELECT rlrec_detach('shop');
INSERT INTO events (user_id, item_id, event) VALUES (1, 5, 'click');
SELECT rlrec_attach('shop', replicated => true);
SET session_replication_role = replica;
INSERT INTO events (user_id, item_id, event) VALUES (1, 5, 'click');
RESET session_replication_role;
SELECT is(rlrec_process('shop'), 1::bigint, 'unless it should; what comes after rlrec_detach() does not teach');

-- ---- two agents, and what an event counts for each

CREATE FUNCTION decide(agent text, user_id text, items text[], served_at timestamptz) RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO rlrec.decision (agent, model, user_id, role, served_at, seen, shortlist, logits, slate, propensity, probability, policy)
	SELECT a.id, 0, $2, current_user::regrole, $4, pg_current_snapshot(), $3,
		array_fill(0::real, ARRAY[cardinality($3)]), ARRAY(SELECT generate_series(1, cardinality($3))),
		array_fill(1::float8, ARRAY[cardinality($3)]), 1, '{}'
	FROM rlrec.agent a WHERE a.name = $1 RETURNING id $$;
CREATE FUNCTION outcomes(decision bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s: %s of %s', place, round(reward::numeric, 4), events), ', ' ORDER BY place) FROM rlrec.outcome WHERE decision = $1 $$;

SELECT rlrec_create_agent('twin', 'events', options => '{"reward": "CASE WHEN event = ''buy'' THEN 3.5 ELSE -item_id END", "reward_min": -20}');
SELECT rlrec_attach('twin');
SELECT decide('shop', '7', '{10,20,30}', '2026-01-01 10:00') AS shop,
	decide('twin', '7', '{10,20,30}', '2026-01-01 10:00') AS twin \gset
INSERT INTO events (user_id, item_id, event, at) VALUES (7, 10, 'click', '2026-01-01 10:01'), (7, 10, 'buy', '2026-01-01 10:05'),
	(7, 30, 'dislike', '2026-01-01 11:00'), (7, 30, 'look', '2026-01-01 11:00'), (7, 40, 'buy', '2026-01-01 11:00'),
	(8, 10, 'buy', '2026-01-01 10:01'), (7, 20, 'buy', '2026-01-01 09:59'), (7, 20, 'buy', '2026-01-02 10:01');
SELECT is(rlrec_process('shop'), 8::bigint, 'one of two agents learns');
SELECT is(rlrec_process('twin'), 8::bigint, 'and so does the other');
SELECT is(outcomes(:shop), '1: 6.0000 of 2, 3: -2.0000 of 2', 'events are credited to the decision that showed the item to the user within a day before');
SELECT is(outcomes(:twin), '1: -6.5000 of 2, 3: -40.0000 of 2', 'with what each agent makes of them: an expression, clipped');
INSERT INTO events (user_id, item_id, event, at) VALUES (7, 10, 'buy', '2026-01-01 10:06');
SELECT is(rlrec_process('shop'), 1::bigint, 'one more');
SELECT is(outcomes(:shop), '1: 11.0000 of 3, 3: -2.0000 of 2', 'is added');
SELECT is((SELECT first_at FROM rlrec.outcome WHERE decision = :shop AND place = 1), '2026-01-01 10:01'::timestamptz, 'the time is the first one''s');

SELECT rlrec_alter_agent('shop', rewards => '{"click": 2}', options => '{"horizon": "1 hour", "horizon_discount": 0.25, "position_discount": 0.5}');
SELECT decide('shop', '7', '{10,20,30}', '2026-02-01 10:00') AS old, decide('shop', '7', '{20,30}', '2026-02-01 10:30') AS new \gset
INSERT INTO events (user_id, item_id, event, at) VALUES (7, 20, 'click', '2026-02-01 11:00'), (7, 10, 'click', '2026-02-01 11:00'),
	(7, 10, 'click', '2026-02-01 11:01'), (7, 20, 'buy', '2026-02-01 11:00');
SELECT is(rlrec_process('shop'), 4::bigint, 'a session learns of an altered agent');
SELECT is(outcomes(:new), '1: 1.0000 of 2', 'the newest decision gets the event, discounted by its delay');
SELECT is(outcomes(:old), '1: 0.5000 of 1', 'within the horizon');
INSERT INTO events (user_id, item_id, event, at) VALUES (7, 30, 'click', '2026-02-01 10:30');
SELECT rlrec_process('shop');
SELECT is(outcomes(:new), '1: 1.0000 of 2, 2: 1.0000 of 1', 'and by its place');
SELECT rlrec_alter_agent('shop', rewards => '{"click": 1, "buy": 5, "dislike": -2}',
	options => '{"horizon": null, "horizon_discount": null, "position_discount": null}');
SELECT throws_ok($$ SELECT rlrec_alter_agent('shop', events => 'own') $$, '55000', 'agent "shop" is attached to its events',
	'an agent that is attached keeps its events');

-- ---- values

CREATE TABLE ratings (user_id text, item_id text, rating float8, dwell interval);
SELECT rlrec_create_agent('ratings', 'ratings', value_column => 'rating');
SELECT rlrec_attach('ratings');
SELECT decide('ratings', 'ann', '{x,y}', now()) AS ann \gset
INSERT INTO ratings VALUES ('ann', 'x', 2.5), ('ann', 'y', NULL), ('ann', 'y', 'NaN'), ('ann', 'y', 'infinity'), (repeat('a', 9000), 'x', 1);
SELECT is(rlrec_process('ratings'), 1::bigint, 'values that are none are passed over, and an id too long');
SELECT is(outcomes(:ann), '1: 2.5000 of 1', 'a value counts');
SELECT rlrec_detach('ratings');
SELECT rlrec_alter_agent('ratings', value_column => 'dwell');
SELECT rlrec_attach('ratings');
INSERT INTO ratings VALUES ('ann', 'y', 1, '1 min 30 s');
SELECT is(rlrec_process('ratings'), 1::bigint, 'time spent');
SELECT is(outcomes(:ann), '1: 2.5000 of 1, 2: 90.0000 of 1', 'counts in seconds');

-- ---- partitions

CREATE TABLE log (extra text, user_id int, item_id int, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE log_2025 PARTITION OF log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE log_2026 (at timestamptz, gone int, item_id int, user_id int, extra text);
ALTER TABLE log_2026 DROP COLUMN gone;
ALTER TABLE log ATTACH PARTITION log_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
SELECT rlrec_create_agent('log', 'log', options => '{"reward": "item_id * 2"}');
SELECT rlrec_attach('log');
CREATE TABLE log_2027 PARTITION OF log FOR VALUES FROM ('2027-01-01') TO ('2028-01-01') PARTITION BY RANGE (at);
CREATE TABLE log_2027a PARTITION OF log_2027 FOR VALUES FROM ('2027-01-01') TO ('2027-07-01');
SELECT decide('log', '1', '{2,3,4}', '2025-12-31 23:00') AS log, decide('log', '1', '{5}', '2027-01-01') AS log_new \gset
INSERT INTO log (user_id, item_id, at) VALUES (1, 2, '2025-12-31 23:30'), (1, 3, '2026-01-01 01:00');
INSERT INTO log_2026 (user_id, item_id, at) VALUES (1, 4, '2026-01-01 02:00');
INSERT INTO log_2027a (user_id, item_id, at) VALUES (1, 5, '2027-01-01 02:00');
SELECT is(rlrec_process('log'), 4::bigint, 'partitions teach: old and new ones, through their parent and by themselves');
SELECT is(outcomes(:log) || ', ' || outcomes(:log_new), '1: 4.0000 of 1, 2: 6.0000 of 1, 3: 8.0000 of 1, 1: 10.0000 of 1', 'whatever the order of their columns');
SELECT rlrec_create_agent('log2', 'log');
SELECT rlrec_attach('log2');
UPDATE log SET at = at + interval '1 year' WHERE at < '2027-01-01';
SELECT is((SELECT count(*) FROM log_2026), 1::bigint, 'rows move between partitions');
SELECT is(rlrec_process('log'), 0::bigint, 'which is no feedback');
SELECT is(rlrec_process('log2'), 0::bigint, 'nor for a second agent');
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE log SET at = '2027-06-02' WHERE item_id = 92;
	RETURN NULL;
END
$$;
INSERT INTO log (user_id, item_id, at) VALUES (1, 91, '2025-05-05'), (1, 92, '2025-05-05');
SELECT is(rlrec_process(a), 2::bigint, a || ' learns of two rows') FROM unnest('{log,log2}'::text[]) a;
CREATE TRIGGER zz AFTER DELETE ON log_2025 FOR EACH ROW WHEN (OLD.item_id = 91) EXECUTE FUNCTION follow();
UPDATE log SET at = '2026-05-05' WHERE item_id = 91;
SELECT is((SELECT count(*) FROM log WHERE item_id > 90 AND at < '2026-01-01'), 0::bigint, 'both moved, one while the other did');
SELECT is(rlrec_process(a), 0::bigint, 'which ' || a || ' does not take for new') FROM unnest('{log,log2}'::text[]) a;
DROP TRIGGER zz ON log_2025;
DELETE FROM log WHERE item_id > 90;
BEGIN;
INSERT INTO log (user_id, item_id, at) VALUES (1, 2, '2025-12-31 23:30');
UPDATE log SET at = '2026-06-01' WHERE at < '2026-01-01';
UPDATE log SET at = '2027-06-01' WHERE at < '2027-01-01';
COMMIT;
SELECT is(rlrec_process('log'), 1::bigint, 'a row that moves in the transaction that inserted it counts once');
WITH gone AS (DELETE FROM log RETURNING user_id, item_id) INSERT INTO log (user_id, item_id, at) SELECT user_id, item_id, '2026-03-03' FROM gone;
SELECT is(rlrec_process('log'), (SELECT count(*) FROM log), 'what is deleted and inserted again counts');
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER stay BEFORE INSERT ON log_2025 FOR EACH ROW EXECUTE FUNCTION stay();
UPDATE log SET at = '2025-03-03' WHERE item_id = 2;
INSERT INTO log (user_id, item_id, at) VALUES (1, 2, '2026-12-31 23:30');
SELECT is(rlrec_process('log'), 1::bigint, 'an INSERT half that a trigger holds up leaves no trace');
ALTER TABLE log DETACH PARTITION log_2026;
INSERT INTO log_2026 (user_id, item_id, at) VALUES (1, 4, '2026-01-01 02:00');
SELECT is(rlrec_process('log'), 0::bigint, 'a table that is a partition no longer does not teach');

-- ---- ranges of keys

CREATE TABLE bulk (key int PRIMARY KEY, user_id int, item_id int, at timestamptz DEFAULT '2026-03-01');
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN CREATE TEMP TABLE IF NOT EXISTS looked (); RETURN NULL; END';
CREATE TRIGGER looks AFTER INSERT ON bulk FOR EACH STATEMENT EXECUTE FUNCTION look();
SELECT rlrec_create_agent('bulk', 'bulk', options => '{"reward": "item_id"}');
SELECT throws_ok($$ SELECT rlrec_attach('log', 'range') $$, '55000', 'agent "log" is attached already', 'mode range is for who is not attached');
SELECT rlrec_detach('log');
SELECT throws_ok($$ SELECT rlrec_attach('log', 'range') $$, '42809', 'mode range needs a table with an integer primary key, and without partitions',
	'and for a table without partitions');
SELECT throws_ok($$ SELECT rlrec_attach('bulk', 'range', true) $$, '0A000', 'mode range does not see what is replicated', 'and without replication');
SELECT rlrec_attach('bulk', 'range');
SELECT decide('bulk', '1', '{1,2,3}', '2026-03-01') AS bulk \gset
INSERT INTO bulk SELECT i, i, i FROM generate_series(1001, 26000) i;
CREATE TEMP TABLE batches AS SELECT w.batches FROM rlrec.watermark w JOIN rlrec.agent a ON a.id = w.agent WHERE a.name = 'bulk';
SELECT is(rlrec_process('bulk'), 25000::bigint, 'a range of keys teaches what it has');
SELECT is((SELECT w.batches - b.batches FROM rlrec.watermark w JOIN rlrec.agent a ON a.id = w.agent, batches b WHERE a.name = 'bulk'), 3::bigint,
	'in batches');
SELECT is(rlrec_process('bulk'), 0::bigint, 'once');
TRUNCATE batches;
INSERT INTO batches SELECT w.batches FROM rlrec.watermark w JOIN rlrec.agent a ON a.id = w.agent WHERE a.name = 'bulk';
INSERT INTO bulk SELECT i, i, i FROM generate_series(56000, 30001, -1) i;
SELECT is(rlrec_process('bulk'), 26000::bigint, 'so does one of keys that do not ascend');
SELECT is((SELECT w.batches - b.batches FROM rlrec.watermark w JOIN rlrec.agent a ON a.id = w.agent, batches b WHERE a.name = 'bulk'), 3::bigint,
	'in as many');
BEGIN;
INSERT INTO bulk VALUES (1, 1, 1), (9, 1, 1), (8, 1, 2);
SAVEPOINT a;
INSERT INTO bulk VALUES (2, 1, 2), (4, 1, 3);
ROLLBACK TO a;
INSERT INTO bulk VALUES (2, 1, 3);
COMMIT;
INSERT INTO bulk VALUES (3, 1, 1);
SELECT is(rlrec_process('bulk'), 5::bigint, 'ranges may lie inside one another');
SELECT is(outcomes(:bulk), '1: 3.0000 of 3, 2: 2.0000 of 1, 3: 3.0000 of 1', 'and have the rows of their statement alone');
COPY bulk (key, user_id, item_id) FROM stdin;
101	1	1
102	1	\N
103	1	1
104	1	1
\.
DELETE FROM bulk WHERE key = 103;
UPDATE bulk SET item_id = 2 WHERE key = 104;
SELECT is(rlrec_process('bulk'), 1::bigint, 'rows that were changed or deleted before they are learned from do not teach');
INSERT INTO bulk SELECT i, 1, 1 FROM generate_series(201, 200) i;
SELECT is(rlrec_process('bulk'), 0::bigint, 'nor does a statement that inserts nothing');

CREATE TABLE guarded (id bigserial PRIMARY KEY, user_id int, item_id int, at timestamptz DEFAULT now());
CREATE FUNCTION again() RETURNS boolean LANGUAGE sql VOLATILE AS $$ SELECT public.rlrec_process('guarded') >= 0 $$;
CREATE POLICY reads ON guarded FOR SELECT USING (public.again());
CREATE POLICY writes ON guarded FOR INSERT WITH CHECK (true);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, OWNER TO f_owner;
SELECT as_role('f_owner', $$ SELECT rlrec_create_agent('guarded', 'guarded') $$), as_role('f_owner', $$ SELECT rlrec_attach('guarded', 'range') $$);
INSERT INTO guarded (user_id, item_id) VALUES (1, 1);
SELECT throws_ok($$ SELECT rlrec_process('guarded') $$, '55006', 'this session is learning from feedback already', 'learning does not learn again');
SELECT rlrec_drop_agent('guarded');
DROP TABLE guarded;

-- ---- explicit feedback

SELECT rlrec_create_agent('told', 'events', rewards => '{"click": 1, "buy": 5}');
SELECT decide('told', '7', '{10,20}', now()) AS told \gset
SELECT throws_ok(format($$ SELECT rlrec_feedback(%s, '10', 'click') $$, :told), '55000', 'agent "told" is not attached to its events',
	'feedback needs an agent that is attached');
SELECT rlrec_attach('told', 'none');
SELECT rlrec_feedback(:told, '10', 'click'), rlrec_feedback(:told, '20', 'buy', 0.5), rlrec_feedback(:told, '20', 'look');
INSERT INTO events (user_id, item_id, event) VALUES (7, 10, 'buy');
SELECT is(rlrec_process('told'), 3::bigint, 'rlrec_feedback() teaches, and without a trigger events do not');
SELECT is(outcomes(:told), '1: 1.0000 of 1, 2: 2.5000 of 2', 'its value multiplies the reward of the type');
SELECT throws_ok($$ SELECT rlrec_feedback(-1, '10', 'click') $$, '42704', 'decision -1 does not exist', 'a decision that does not exist is an error');
SELECT throws_ok(format($$ SELECT rlrec_feedback(%s, '99', 'click') $$, :told), '22023', format('decision %s did not show item "99"', :told),
	'so is an item that was not shown');
SELECT throws_ok($$ SELECT rlrec_feedback(NULL, '10', 'click') $$, '22004', 'decision_id must not be NULL', 'and a decision that is NULL');
SELECT throws_ok(format($$ SELECT rlrec_feedback(%s, '10', 'buy', 'NaN') $$, :told), '22003', NULL, 'and a value that is no number');
BEGIN;
SELECT rlrec_feedback(:told, '10', 'click');
ROLLBACK;
SELECT is(rlrec_process('told'), 0::bigint, 'what is rolled back was not told');

-- What an agent could not get past: discounts that underflow, and times at the ends of what there is
SELECT rlrec_alter_agent('told', options => '{"horizon": "1 min", "horizon_discount": 0.1, "position_discount": 1e-30}');
SELECT decide('told', '7', ARRAY(SELECT i::text FROM generate_series(1, 100) i), now() - interval '1 year') AS old \gset
SELECT rlrec_feedback(:old, '1', 'buy'), rlrec_feedback(:old, '2', 'buy'), rlrec_feedback(:old, '100', 'buy');
SELECT is(rlrec_process('told'), 3::bigint, 'feedback of a year later, and of the end of a long slate');
SELECT is(outcomes(:old), '1: 0.5000 of 1, 2: 0.0000 of 1, 100: 0.0000 of 1', 'counts as at the end of the horizon, and next to nothing');
SELECT rlrec_alter_agent('told', options => '{"horizon_discount": 0, "position_discount": 0}');
SELECT decide('told', '7', '{1,2}', now()) AS zero \gset
SELECT rlrec_feedback(:zero, '1', 'buy'), rlrec_feedback(:zero, '2', 'buy');
SELECT is(rlrec_process('told'), 2::bigint, 'discounts of 0');
SELECT is(outcomes(:zero), '1: 0.0000 of 1, 2: 0.0000 of 1', 'leave nothing but what comes at once at the first place');
CREATE TABLE times (user_id int, item_id int, at timestamptz);
CREATE TABLE seconds (user_id int, item_id int, at float8);
SELECT rlrec_create_agent('times', 'times'), rlrec_create_agent('seconds', 'seconds');
SELECT rlrec_attach('times'), rlrec_attach('seconds');
SELECT decide('times', '1', '{2}', '2026-01-01') AS times \gset
INSERT INTO times VALUES (1, 2, '4714-11-24 00:00:00+00 BC'), (1, 2, '294276-12-31'), (1, 2, '-infinity'), (1, 2, '2026-01-01 00:01');
INSERT INTO seconds VALUES (1, 2, -8.9e12), (1, 2, 8.9e12), (1, 2, 'infinity');
SELECT is(rlrec_process('times') + rlrec_process('seconds'), 5::bigint, 'the first time and the last one');
SELECT is(outcomes(:times), '1: 1.0000 of 1', 'are of no decision');
SELECT rlrec_drop_agent('times'), rlrec_drop_agent('seconds');

-- ---- rights

CREATE TABLE theirs (user_id int, item_id int, at timestamptz);
GRANT SELECT ON theirs, events TO f_owner, f_stranger;
GRANT INSERT ON theirs TO f_app;
SELECT is(as_role('f_owner', $$ SELECT rlrec_create_agent('theirs', 'theirs') $$), '', 'an agent over another''s events');
SELECT is(as_role('f_owner', $$ SELECT rlrec_attach('theirs') $$), '42501: permission denied for table theirs', 'needs TRIGGER to attach');
SELECT is(as_role('f_stranger', $$ SELECT rlrec_attach('theirs') $$), '42501: must be owner of agent "theirs"', 'a stranger cannot attach it');
GRANT TRIGGER ON theirs TO f_owner;
REVOKE SELECT ON theirs FROM f_owner;
SELECT is(as_role('f_owner', $$ SELECT rlrec_attach('theirs') $$), '42501: permission denied for table theirs', 'and SELECT');
GRANT SELECT ON theirs TO f_owner;
SELECT is(as_role('f_owner', $$ SELECT rlrec_attach('theirs', replicated => true) $$), '42501: must be owner of table theirs', 'or, to teach what is replicated, the table');
SELECT is(as_role('f_owner', $$ SELECT rlrec_attach('theirs') $$), '', 'with both it can');
SELECT is(as_role('f_stranger', $$ SELECT rlrec_process('theirs') $$), '42501: must be owner of agent "theirs"', 'a stranger cannot make it learn');
SELECT is(as_role('f_stranger', $$ SELECT rlrec_detach('theirs') $$), '42501: must be owner of agent "theirs"', 'nor detach it');
SELECT is(as_role('f_app', $$ INSERT INTO theirs VALUES (1, 2, now()) RETURNING 'in' $$), 'in', 'who may only insert events');
SELECT is(as_role('f_owner', $$ SELECT rlrec_process('theirs') $$), '1', 'teaches');
SELECT is(as_role('f_app', 'INSERT INTO rlrec.' || t || ' SELECT * FROM rlrec.' || t), '42501: permission denied for table ' || t, 'but cannot write ' || t)
	FROM unnest('{queue_0,queue_1,queue_2,watermark,subscription,outcome}'::text[]) t;

SELECT decide('theirs', '1', '{2}', now()) AS served \gset
UPDATE rlrec.decision SET role = 'f_app'::regrole WHERE id = :served;
SELECT is(as_role('f_app', format($$ SELECT rlrec_feedback(%s, '2', 'click') $$, :served)), '42501: permission denied for agent "theirs"', 'who may not use the agent cannot tell it');
GRANT USAGE ON SEQUENCE rlrec.agent_theirs TO f_app, f_stranger;
SELECT is(as_role('f_app', format($$ SELECT rlrec_feedback(%s, '2', 'click') $$, :served)), '', 'who was served can');
SELECT is(as_role('f_owner', format($$ SELECT rlrec_feedback(%s, '2', 'click') $$, :served)), '', 'and the owner');
SELECT is(as_role('f_stranger', format($$ SELECT rlrec_feedback(%s, '2', 'click') $$, :served)), format('42501: permission denied for decision %s', :served), 'nobody else');
SELECT is(rlrec_process('theirs'), 2::bigint, 'so much was told');
SELECT is(as_role(r, 'SELECT string_agg(format(''%s %s %s'', agent, item, reward), '' '') FROM rlrec.outcomes'), seen, r || ' sees ' || coalesce(seen, 'no outcome'))
	FROM (VALUES ('f_owner', 'theirs 2 2'), ('f_app', NULL), ('f_stranger', NULL)) AS v(r, seen);

-- Poison: our function on another's own table, as another trigger of the same table, as another kind of trigger, and on a detached agent's
SELECT rlrec_process('shop');
SET ROLE f_stranger;
CREATE TABLE poison (user_id int, item_id int, at timestamptz);
CREATE TRIGGER rlrec_theirs AFTER INSERT ON poison FOR EACH ROW EXECUTE FUNCTION rlrec_feedback_trigger();
CREATE TRIGGER rlrec_shop AFTER INSERT ON poison FOR EACH ROW EXECUTE FUNCTION rlrec_feedback_trigger('shop');
INSERT INTO poison SELECT 1, 666, now() FROM generate_series(1, 10);
RESET ROLE;
SELECT is(rlrec_process('theirs') + rlrec_process('shop'), 0::bigint, 'a trigger on a table of one''s own teaches nobody');
GRANT TRIGGER, INSERT ON theirs TO f_stranger;
SET ROLE f_stranger;
CREATE TRIGGER twice AFTER INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION rlrec_feedback_trigger();
CREATE TRIGGER rlrec_told AFTER INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION rlrec_feedback_trigger();
CREATE TRIGGER statement AFTER INSERT ON theirs FOR EACH STATEMENT EXECUTE FUNCTION rlrec_feedback_trigger();
CREATE TRIGGER before BEFORE INSERT ON theirs FOR EACH STATEMENT EXECUTE FUNCTION rlrec_feedback_trigger();
INSERT INTO theirs VALUES (1, 2, now());
RESET ROLE;
SELECT is(rlrec_process('theirs'), 1::bigint, 'more triggers on the events do not make them count twice');
SELECT is(rlrec_process('told'), 0::bigint, 'nor for another agent');
SELECT throws_ok($$ SELECT rlrec_feedback_trigger() $$, '39P01', NULL, 'the function is nothing but a trigger''s');

-- A trigger of that name which rlrec_attach() did not make is not taken away.
CREATE TRIGGER rlrec_theirs2 AFTER INSERT ON theirs FOR EACH STATEMENT EXECUTE FUNCTION rlrec_feedback_trigger();
SELECT is(as_role('f_owner', $$ SELECT rlrec_create_agent('theirs2', 'theirs') $$), '', 'an agent of the name of a trigger');
SELECT is(as_role('f_owner', $$ SELECT rlrec_attach('theirs2', 'none') $$) || as_role('f_owner', $$ SELECT rlrec_detach('theirs2') $$), '', 'comes and goes without it');
SELECT isnt_empty($$ SELECT FROM pg_trigger WHERE tgrelid = 'theirs'::regclass AND tgname = 'rlrec_theirs2' $$, 'the trigger stays');
DROP TRIGGER rlrec_theirs2 ON theirs;
SELECT is(as_role('f_owner', $$ SELECT rlrec_attach('theirs2') $$), '', 'attached by a trigger of its own');
DROP TRIGGER rlrec_theirs2 ON theirs;
CREATE TRIGGER rlrec_theirs2 AFTER INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION later();
SELECT is(as_role('f_owner', $$ SELECT rlrec_drop_agent('theirs2') $$), '', 'that somebody else replaces');
SELECT isnt_empty($$ SELECT FROM pg_trigger WHERE tgrelid = 'theirs'::regclass AND tgname = 'rlrec_theirs2' $$, 'it leaves his');
DROP TRIGGER rlrec_theirs2 ON theirs;

-- Who inserts through a view needs no right on what is behind it.
CREATE SCHEMA private;
CREATE TYPE private.kind AS ENUM ('click', 'buy');
CREATE TABLE private.events (user_id int, item_id int, event private.kind, at timestamptz DEFAULT now());
CREATE VIEW shown AS SELECT user_id, item_id, event FROM private.events;
GRANT INSERT ON shown TO f_app;
SELECT rlrec_create_agent('private', 'private.events', options => '{"reward": "CASE event WHEN ''buy''::private.kind THEN 5 ELSE 1 END"}');
SELECT rlrec_attach('private');
SELECT is(as_role('f_app', $$ INSERT INTO shown VALUES (1, 2, NULL) RETURNING 'in' $$), 'in', 'who may only insert through a view');
SELECT is(rlrec_process('private'), 1::bigint, 'teaches');

-- A column that is gone costs what the agent would learn, not the INSERT.
ALTER TABLE private.events RENAME item_id TO product_id;
SELECT lives_ok('INSERT INTO private.events (user_id, product_id) VALUES (1, 2)', 'who inserts is not held up by a column that was renamed');
SELECT rlrec_alter_agent('private', item_column => 'product_id');
INSERT INTO private.events (user_id, product_id) VALUES (1, 2);
SELECT is(rlrec_process('private'), 1::bigint, 'an agent that was told of it learns again');
ALTER TABLE private.events DROP COLUMN event CASCADE;
SELECT lives_ok('INSERT INTO private.events (user_id, product_id) SELECT 1, 2 FROM generate_series(1, 2)', 'nor by one that the reward is made of');
ALTER TABLE private.events ADD COLUMN event private.kind;
BEGIN;
INSERT INTO private.events (user_id, product_id) VALUES (1, 2);
ALTER TABLE private.events RENAME user_id TO customer_id;
INSERT INTO private.events (customer_id, product_id) VALUES (1, 2);
COMMIT;
SELECT is((SELECT count(*) FROM private.events), 7::bigint, 'all of them are inserted');
SELECT rlrec_alter_agent('private', user_column => 'customer_id');
SELECT is(rlrec_process('private'), 1::bigint, 'what was told before counts');
SELECT lives_ok($$ ALTER TABLE bulk DROP CONSTRAINT bulk_pkey; INSERT INTO bulk VALUES (999999, 1, 1) $$, 'nor by a primary key that is gone');

-- ---- the end

SELECT rlrec_detach('theirs');
INSERT INTO theirs VALUES (1, 2, now());
SELECT rlrec_attach('theirs');
SELECT is(rlrec_process('theirs'), 0::bigint, 'what was inserted between is no feedback');
SELECT rlrec_drop_agent(name) FROM rlrec.agents;
SELECT is_empty($$ SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname LIKE 'rlrec\_%' AND tgrelid <> 'poison'::regclass AND tgname <> 'rlrec_told' $$,
	'dropped agents leave no trigger');
SELECT is_empty('SELECT FROM rlrec.' || t, 'and no row in ' || t) FROM unnest('{watermark,subscription,outcome}'::text[]) t;
DROP TABLE poison, theirs;
DROP SCHEMA private CASCADE;
DROP OWNED BY f_owner, f_app, f_stranger;
DROP ROLE f_owner, f_app, f_stranger;
SELECT finish();
