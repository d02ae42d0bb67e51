-- Partitions of the decisions: made ahead, written to, and dropped when nobody keeps what is in them.
SET client_min_messages = warning;
SELECT * FROM no_plan();

CREATE TABLE events AS SELECT 1 + i % 20 AS user_id, 1 + i * 7 % 30 AS item_id FROM generate_series(1, 600) i;
CREATE FUNCTION make(agent text, options jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, events => 'events', learner => 'popularity', options => options) $$;
SELECT make('a', '{"decision_retention": "1 day"}'), make('b', '{}');
SELECT rlrec_train('a'), rlrec_train('b');
CREATE FUNCTION serve(name text, n int) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM generate_series(1, n) i, rlrec_serve(1 + i % 20, 2, name) $$;
CREATE VIEW partitions AS
	SELECT c.oid, relname::text AS name, relname || ' ' || pg_get_expr(relpartbound, c.oid) AS bounds FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
	WHERE inhparent = 'rlrec.decision'::regclass ORDER BY c.oid;
-- partition: how many decisions, of those that have any
CREATE FUNCTION filled() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s: %s', relation, n), ', ' ORDER BY first)
	FROM (SELECT tableoid::regclass::text AS relation, count(*) AS n, min(id) AS first FROM rlrec.decision GROUP BY 1) p $$;
CREATE FUNCTION make_older(by interval) RETURNS void LANGUAGE sql AS $$ UPDATE rlrec.decision SET served_at = served_at - by $$;

SELECT serve('a', 5);
SELECT is(rlrec_trim_decisions('a'), 0::bigint, 'without the setting');
SELECT is((SELECT array_agg(name) FROM partitions), '{decision_rest}', 'no partition is made');

SET rlrec.decision_partition = 10;
SELECT is(rlrec_trim_decisions('a'), 0::bigint, 'with it nothing goes yet');
SELECT is((SELECT array_agg(bounds) FROM partitions), ARRAY['decision_rest DEFAULT', $$decision_6 FOR VALUES FROM ('6') TO ('16')$$], 'one is ready for the next');
SELECT rlrec_trim_decisions('a');
SELECT is((SELECT count(*) FROM partitions), 2::bigint, 'and only one');
SELECT serve('a', 7);
SELECT rlrec_trim_decisions('a');
SELECT is((SELECT array_agg(name) FROM partitions), '{decision_rest,decision_6,decision_16}', 'the next is made while that one fills');
SELECT serve('b', 20);
SELECT is(filled(), 'rlrec.decision_rest: 12, rlrec.decision_6: 10, rlrec.decision_16: 10', 'each has its own, the rest what they are not for');
SELECT rlrec_maintain('b');
SELECT is((SELECT max(bounds) FROM partitions WHERE name LIKE '%_33'), $$decision_33 FOR VALUES FROM ('33') TO ('43')$$, 'after a gap they go on with the next decision');

-- Two agents that keep theirs for different times
SELECT serve('a', 3);
SELECT is(rlrec_trim_decisions('a'), 0::bigint, 'nothing is old');
SELECT make_older('2 days');
INSERT INTO rlrec.outcome SELECT id, 1, agent, 1, 1, now() FROM rlrec.decision;
SELECT is((SELECT count(*) FROM rlrec.outcomes), 35::bigint, 'outcomes of all');
SELECT is(rlrec_trim_decisions('a'), 15::bigint, 'where another agent keeps some, the decisions of the one that does not go one by one');
SELECT is((SELECT count(*) FROM partitions), 5::bigint, 'no partition goes');
SELECT FROM rlrec_alter_agent('b', '{"decision_retention": "1 day"}');
SELECT is(rlrec_trim_decisions('b'), 3::bigint, 'nobody keeps the oldest: it is dropped');
SELECT is(rlrec_trim_decisions('a'), 10::bigint, 'whoever asks');
SELECT is((SELECT array_agg(name) FROM partitions WHERE name LIKE '%6'), NULL, 'they are gone');
SELECT bag_eq('SELECT decision FROM rlrec.outcome', 'SELECT id FROM rlrec.decision', 'outcomes go with their decisions');
SELECT serve('b', 1);
SELECT is(rlrec_trim_decisions('b'), 7::bigint, 'and what lies in the rest one by one');
SELECT is(filled(), 'rlrec.decision_33: 1', 'what is not old is kept');

-- Attribution and feedback over partitions
SELECT rlrec_attach('b', 'none');
SELECT rlrec_feedback(decision_id, item, 'click') FROM rlrec_serve(3, 1, 'b');
SELECT rlrec_process('b');
SELECT is((SELECT count(*) FROM rlrec.outcomes JOIN rlrec.decisions d ON d.id = decision_id WHERE d.user_id = '3'), 1::bigint, 'feedback finds its decision');

SELECT is((SELECT array_agg(name) FROM partitions WHERE has_table_privilege('public', oid, 'SELECT')), NULL, 'nobody has rights on them');
RESET rlrec.decision_partition;
SELECT serve('b', 40);
SELECT rlrec_trim_decisions('b');
SELECT is((SELECT array_agg(name) FROM partitions), '{decision_rest,decision_33,decision_43}', 'without the setting no more are made');
CREATE ROLE dp_user;
SELECT throws_ok('SET ROLE dp_user; SET rlrec.decision_partition = 5', '42501', 'permission denied to set parameter "rlrec.decision_partition"', 'for superusers');
RESET ROLE;
DROP ROLE dp_user;
DROP EXTENSION rlrec CASCADE;
SELECT is((SELECT count(*) FROM pg_class WHERE relname LIKE 'decision%'), 0::bigint, 'they go with the extension');
SELECT * FROM finish();
