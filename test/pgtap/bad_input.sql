-- Whatever is wrong is a clear error with a hint, and what was deployed goes on serving.
SET client_min_messages = warning;
SELECT plan(210);

CREATE TABLE events (id int PRIMARY KEY, user_id int, item_id int, kind text, value float8, at timestamptz);
CREATE TABLE items (id int PRIMARY KEY, title text);
INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 6) i;
CREATE VIEW shown AS SELECT id FROM items WHERE id < 6;
INSERT INTO events SELECT n, n % 4, n * n % 6, 'buy', 1, timestamptz '2025-01-01' + n * interval '1 hour' FROM generate_series(1, 20) n;
SELECT FROM rlrec_create_agent('shop', 'events', items => 'items', candidates => 'shown', learner => 'itemknn', rewards => '{"buy": 1}',
	value_column => 'value');
SELECT FROM rlrec_train('shop');

-- The statement fails with this SQLSTATE, a message like this, and a hint.
CREATE FUNCTION refused(statement text, state text, wanted text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	got_state text;
	got_message text;
	got_hint text;
BEGIN
	BEGIN
		EXECUTE statement;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS got_state = RETURNED_SQLSTATE, got_message = MESSAGE_TEXT, got_hint = PG_EXCEPTION_HINT;
	END;
	RETURN NEXT ok(COALESCE(got_state = state AND got_message LIKE wanted AND got_hint <> '', false), what);
	IF got_state IS DISTINCT FROM state OR got_message NOT LIKE wanted OR got_hint = '' THEN
		RETURN NEXT diag(format(E'state %s\nmessage %s\nhint %s\nwanted %s %s', got_state, got_message, got_hint, state, wanted));
	END IF;
END
$$;
-- What the deployed version recommends, and that it does.
CREATE FUNCTION served() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(item || ':' || score, ' ' ORDER BY rank) FROM rlrec_recommend(1, 3, 'shop') $$;
SELECT served() AS before \gset
SELECT isnt(:'before'::text, '', 'an agent serves');
CREATE FUNCTION still_serves(before text, what text) RETURNS text LANGUAGE sql AS $$ SELECT is(served(), before, 'still serves: ' || what) $$;

-- ---------------------------------------------------------------- making an agent
SELECT refused($$SELECT rlrec_create_agent('shop', 'events')$$, '42710', 'agent "shop" already exists', 'a name twice');
SELECT refused($$SELECT rlrec_create_agent('', 'events')$$, '22004', 'an agent needs a name', 'an empty name');
SELECT refused($$SELECT rlrec_create_agent(NULL, 'events')$$, '22004', 'an agent needs a name', 'no name');
SELECT refused(format('SELECT rlrec_create_agent(%L, ''events'')', repeat('x', 58)), '42622', 'agent name "xx%" is too long', 'a name of 58 bytes');
SELECT lives_ok(format('SELECT rlrec_create_agent(%L, ''events'')', repeat('é', 28)), 'a name of 56 bytes');
SELECT refused($$SELECT rlrec_create_agent('id_seq', 'events')$$, '42939', 'agent name "id_seq" is reserved', 'a name whose sequence there is already');
SELECT refused($$SELECT rlrec_create_agent('x')$$, '22004', 'agent "x" needs a table of events, or actions', 'no events table');
SELECT refused($$SELECT rlrec_create_agent('x', 0)$$, '22004', 'agent "x" needs a table of events, or actions', 'no table');
SELECT refused($$SELECT rlrec_create_agent('x', 4294967295)$$, '42P01', 'relation with OID 4294967295 does not exist', 'a table that does not exist');
SELECT refused($$SELECT rlrec_create_agent('x', 'items_pkey')$$, '42809', 'public.items_pkey cannot be the events of an agent', 'an index');
SELECT refused($$SELECT rlrec_create_agent('x', 'rlrec.agent_shop')$$, '42809', 'rlrec.agent_shop cannot be the events of an agent', 'a sequence');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', 'nobody')$$, '42703', 'column "nobody" of public.events does not exist', 'a column that does not exist');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', 'ctid')$$, '42703', 'column "ctid" of public.events does not exist', 'a system column');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', 'at')$$, '42804', 'column "at" of public.events has type % and cannot be the user_column', 'a column of another type');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', time_column => 'kind')$$, '42804', '% cannot be the time_column', 'a time that is none');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', event_column => 'id')$$, '42804', '% cannot be the event_column', 'an event that is none');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', value_column => 'kind')$$, '42804', '% cannot be the value_column', 'a value that is none');
CREATE TABLE unkeyed (title text, note text);
SELECT refused($$SELECT rlrec_create_agent('x', 'events', items => 'unkeyed')$$, '42703', 'could not tell which column of public.unkeyed is the item_key', 'items without an id');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', candidates => 'unkeyed')$$, '42703', 'could not tell which column of public.unkeyed is the candidate_key', 'candidates without an id');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', items => 'items', item_key => 'name')$$, '42703', 'column "name" of public.items does not exist', 'a key that does not exist');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', learner => 'magic')$$, '22023', 'unknown learner "magic"', 'an unknown learner');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', encoder => 'magic')$$, '22023', 'unknown encoder "magic"', 'an unknown encoder');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', generator => 'magic')$$, '22023', 'unknown generator "magic"', 'an unknown generator');

SELECT refused(format('SELECT rlrec_create_agent(''x'', ''events'', learner => %L, options => %L)', learner, options), '22023', message, learner || ' ' || options)
FROM (VALUES ('itemknn', '{"neighbors": 3}', 'unknown key "neighbors" in options'), ('itemknn', '{"neighbours": "3"}', 'invalid value of "neighbours" in options'),
	('itemknn', '{"neighbours": 2.5}', 'invalid value of "neighbours"%'), ('itemknn', '{"neighbours": 0}', 'invalid value of "neighbours"%'),
	('itemknn', '{"neighbours": 1e99}', 'invalid value of "neighbours"%'), ('itemknn', '{"neighbours": [3]}', 'invalid value of "neighbours"%'),
	('itemknn', '{"neighbours": {"a": 3}}', 'invalid value of "neighbours"%'), ('itemknn', '{"neighbours": true}', 'invalid value of "neighbours"%'),
	('itemknn', '[]', 'options must be a JSON object'), ('itemknn', '3', 'options must be a JSON object'), ('itemknn', 'null', 'options must be a JSON object'),
	('ease', '{"l2": "NaN"}', 'invalid value of "l2"%'), ('ease', '{"l2": -1}', 'invalid value of "l2"%'), ('ease', '{"l2": 1e400}', 'invalid value of "l2"%'),
	('ease', '{"exclude_seen": 1}', 'invalid value of "exclude_seen"%'), ('ease', '{"versions": 0}', 'invalid value of "versions"%'),
	('popularity', '{"half_life": "-1 day"}', 'invalid value of "half_life"%'), ('popularity', '{"half_life": true}', 'invalid value of "half_life"%'),
	('hybrid', '{"learners": "ease"}', 'invalid value of "learners"%'), ('hybrid', '{"learners": []}', 'invalid value of "learners"%'),
	('hybrid', '{"learners": ["magic"]}', 'invalid value of "learners"%'), ('hybrid', '{"learners": [["ease"]]}', 'invalid value of "learners"%'),
	('hybrid', '{"learners": [null]}', 'invalid value of "learners"%')) v(learner, options, message);
SELECT refused($$SELECT rlrec_create_agent('x', 'events', learner => 'popularity', options => '{"half_life": "soon"}')$$, '22007',
	'invalid input syntax for type interval: "soon"', 'an interval that is none');
SELECT refused($$SELECT rlrec_create_agent('x', 'events', learner => 'popularity', options => '{"half_life": "9999999999 years"}')$$, '22015',
	'interval %out of range%', 'an interval out of range');

SELECT refused(format('SELECT rlrec_create_agent(''x'', ''events'', rewards => %L)', rewards), '22023', message, 'rewards ' || rewards)
FROM (VALUES ('[]', 'rewards must be%'), ('5', 'rewards must be%'), ('{}', 'rewards must be%'), ('null', 'rewards must be%'), ('"buy"', 'rewards must be%'),
	('{"buy": "1"}', 'the reward of event "buy" is not a finite number'), ('{"buy": null}', '%not a finite number'), ('{"buy": [1]}', '%not a finite number'),
	('{"a": 1, "buy": 1e39}', 'the reward of event "buy" %'), ('{"buy": 1e999}', '%not a finite number'), ('{"buy": "NaN"}', '%not a finite number')) v(rewards, message);
SELECT is((SELECT count(*) FROM rlrec.agents), 2::bigint, 'none of these made an agent');
SELECT refused($$SELECT rlrec_alter_agent('shop', '{"magic": 1}')$$, '22023', 'unknown key "magic" in options', 'altering is checked as well');
SELECT refused($$SELECT rlrec_alter_agent('shop', '[1]')$$, '22023', 'options must be a JSON object', 'in every way');
SELECT refused($$SELECT rlrec_alter_agent('shop', item_column => 'at')$$, '42804', '%cannot be the item_column', 'columns too');
SELECT refused($$SELECT rlrec_alter_agent('nobody', '{}')$$, '42704', 'agent "nobody" does not exist', 'altering an unknown agent');
SELECT refused($$SELECT rlrec_alter_agent(NULL, '{}')$$, '22004', 'an agent needs a name', 'altering none');
SELECT refused($$SELECT rlrec_drop_agent('nobody')$$, '42704', 'agent "nobody" does not exist', 'dropping an unknown agent');

-- ---------------------------------------------------------------- calls
SELECT refused(format('SELECT * FROM %s', call), '22023', message, call)
FROM (VALUES ('rlrec_recommend(1, 0, ''shop'')', 'k must be positive, not 0'), ('rlrec_recommend(1, -3, ''shop'')', 'k must be positive, not -3'),
	('rlrec_recommend(1, NULL, ''shop'')', 'k must not be NULL'), ('rlrec_recommend(1, 1000001, ''shop'')', 'k must be at most 1000000, not 1000001'),
	('rlrec_recommend(1, 2147483647, ''shop'')', 'k must be at most%'), ('rlrec_recommend_for_history(''{1}'', 0, ''shop'')', 'k must be positive%'),
	('rlrec_recommend_all(''shop'', 0)', 'k must be positive%'), ('rlrec_recommend_all(''shop'', NULL)', 'k must not be NULL'),
	('rlrec_similar_items(1, 0, ''shop'')', 'k must be positive%'), ('rlrec_evaluate(''shop'', 0)', 'k must be positive%'),
	('rlrec_evaluate(''shop'', NULL)', 'k must not be NULL'), ('rlrec_evaluate(''shop'', 10, ''magic'')', 'unknown protocol "magic"'),
	('rlrec_evaluate(''shop'', learners => ''{magic}'')', 'unknown learner "magic"'), ('rlrec_train(''shop'', ''sometimes'')', 'unknown value "sometimes" of deploy'),
	('rlrec_recommend(1, 1, ''shop'', context => ''{"exclude_seen": "no"}'')', 'invalid value of "exclude_seen" in context'),
	('rlrec_recommend(1, 1, ''shop'', context => ''{"magic": 1}'')', 'unknown key "magic" in context'),
	('rlrec_recommend(1, 1, ''shop'', context => ''[]'')', 'context must be a JSON object')) v(call, message);
SELECT is((SELECT count(*) FROM rlrec_recommend(1, 1000000, 'shop')), 3::bigint, 'the largest k');

SELECT refused('SELECT * FROM ' || call, '42704', 'agent "nobody" does not exist', call)
FROM unnest('{"rlrec_recommend(1, 1, ''nobody'')","rlrec_recommend_for_history(''{}'', 1, ''nobody'')","rlrec_recommend_all(''nobody'')","rlrec_similar_items(1, 1, ''nobody'')","rlrec_score(''nobody'', 1, 1)","rlrec_train(''nobody'')","rlrec_evaluate(''nobody'')","rlrec_deploy(''nobody'', 1)","rlrec_rollback(''nobody'')","rlrec_model_weights(''nobody'')","rlrec_import_model(''nobody'', ''{}'')","rlrec_encode(''nobody'', 1)","rlrec_decode(''nobody'', ''{1}'')"}'::text[]) call;
SELECT refused($$SELECT * FROM rlrec_recommend(1)$$, '42P08', 'there are 2 agents that you may use', 'no agent named, and there are two');

SELECT refused($$SELECT * FROM rlrec_recommend(NULL, 1, 'shop')$$, '22004', 'user_id must not be NULL', 'no user');
SELECT refused($$SELECT * FROM rlrec_recommend(NULL::int, 1, 'shop')$$, '22004', 'user_id must not be NULL', 'no user, of a type');
SELECT refused($$SELECT rlrec_score('shop', NULL, 1)$$, '22004', 'user_id must not be NULL', 'a score for no user');
SELECT refused($$SELECT * FROM rlrec_similar_items(NULL, 1, 'shop')$$, '22004', 'item must not be NULL', 'similar to no item');
SELECT refused($$SELECT * FROM rlrec_recommend('ann', 1, 'shop')$$, '22P02', 'invalid input syntax for type integer: "ann"', 'a user of another type');
SELECT refused($$SELECT * FROM rlrec_recommend(99999999999, 1, 'shop')$$, '22003', 'value "99999999999" is out of range for type integer', 'a user out of range');
SELECT refused($$SELECT * FROM rlrec_recommend(1, 1, 'shop', exclude => '{1,x}')$$, '22P02', 'invalid input syntax for type integer: "x"', 'an item of another type');
SELECT refused($$SELECT * FROM rlrec_recommend(1, 1, 'shop', candidates => '{""}')$$, '22P02', 'invalid input syntax for type integer: ""', 'a candidate of another type');
SELECT refused($$SELECT rlrec_score('shop', 1, 'x')$$, '22P02', 'invalid input syntax for type integer: "x"', 'an item of another type to score');
SELECT refused($$SELECT * FROM rlrec_recommend_for_history('{x}', 1, 'shop')$$, '22P02', 'invalid input syntax%', 'an item of another type in a history');
SELECT refused($$SELECT * FROM rlrec_similar_items(77, 1, 'shop')$$, 'P0002', 'agent "shop" does not know item "77"', 'similar to an unknown item');
SELECT is(rlrec_score('shop', 1, 77), '-Infinity'::real, 'an unknown item has a score');
SELECT refused($$SELECT rlrec_deploy('shop', 9)$$, '42704', '%version 9%', 'deploying an unknown version');
SELECT refused($$SELECT rlrec_deploy('shop', NULL)$$, '22004', '%a version is needed%', 'deploying none');
SELECT refused($$SELECT rlrec_drop_agent(NULL)$$, '22004', '%needs the name of an agent%', 'dropping an agent without its name');
SELECT refused($$SELECT rlrec_model_weights('shop', 9)$$, '42704', '%version 9%', 'the weights of an unknown version');
SELECT refused($$SELECT rlrec_rollback('shop')$$, '55000', 'agent "shop" has no earlier deployment to go back to', 'rolling back the first version');
SELECT still_serves(:'before', 'after bad calls');

-- ---------------------------------------------------------------- bad events
-- A change, a training that is refused, and the version from before it serves on.
CREATE FUNCTION spoilt(change text, repair text, state text, message text, before text, serves boolean, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE change;
	RETURN QUERY SELECT refused('SELECT rlrec_train(''shop'')', state, message, 'training: ' || what);
	IF serves THEN
		RETURN NEXT still_serves(before, what);
	ELSE
		RETURN QUERY SELECT refused('SELECT served()', state, message, 'serving: ' || what);
	END IF;
	EXECUTE repair;
	RETURN NEXT still_serves(before, 'repaired: ' || what);
END
$$;
SELECT spoilt('INSERT INTO events VALUES (99, NULL, 1, ''buy'', 1, now())', 'DELETE FROM events WHERE id = 99', '22004',
	'public.events has events whose user_id is NULL', :'before', true, 'a NULL user');
SELECT spoilt('INSERT INTO events VALUES (99, 9, NULL, ''buy'', 1, now())', 'DELETE FROM events WHERE id = 99', '22004',
	'public.events has events whose item_id is NULL', :'before', true, 'a NULL item');
SELECT spoilt('INSERT INTO events VALUES (99, 9, 1, ''buy'', 1, NULL)', 'DELETE FROM events WHERE id = 99', '22004',
	'public.events has events whose at is NULL', :'before', true, 'a NULL time');
SELECT spoilt('INSERT INTO events VALUES (99, 9, 1, ''buy'', NULL, now())', 'DELETE FROM events WHERE id = 99', '22004',
	'public.events has events whose value is NULL', :'before', true, 'a NULL value');
SELECT spoilt('INSERT INTO events VALUES (99, 9, 1, ''buy'', ''NaN'', now())', 'DELETE FROM events WHERE id = 99', '22003',
	'public.events has events whose value is out of range', :'before', true, 'a value that is no number');
SELECT spoilt('INSERT INTO events VALUES (99, 9, 1, ''buy'', ''-infinity'', now())', 'DELETE FROM events WHERE id = 99', '22003',
	'public.events has events whose value is out of range', :'before', true, 'an infinite value');
SELECT spoilt('INSERT INTO events VALUES (99, 9, 1, ''buy'', 1e300, now())', 'DELETE FROM events WHERE id = 99', '22003',
	'public.events has events whose value is out of range', :'before', true, 'a value beyond single precision');
SELECT spoilt('INSERT INTO events VALUES (99, 9, 1, ''buy'', 1, ''infinity'')', 'DELETE FROM events WHERE id = 99', '22008',
	'public.events has events whose at is infinite', :'before', true, 'an infinite time');
TRUNCATE events;
SELECT refused($$SELECT rlrec_train('shop')$$, 'P0002', 'public.events has no events for agent "shop" to learn from', 'training without events');
SELECT is((SELECT string_agg(source, ' ') FROM rlrec_recommend(1, 2, 'shop')), 'popularity popularity', 'serving without events');
INSERT INTO events SELECT n, n % 4, n * n % 6, 'buy', 1, timestamptz '2025-01-01' + n * interval '1 hour' FROM generate_series(1, 20) n;
SELECT still_serves(:'before', 'with the events again');

INSERT INTO events VALUES (98, NULL, 1, 'buy', 1, now()), (97, 9, NULL, 'buy', 1, now()), (96, 9, 1, 'buy', 1, NULL), (95, 9, 1, 'buy', NULL, now());
SELECT FROM rlrec_alter_agent('shop', '{"skip_missing": true}');
SELECT lives_ok($$SELECT rlrec_train('shop')$$, 'skip_missing');
SELECT is((SELECT (metrics->>'events')::int FROM rlrec.models WHERE agent = 'shop' AND deployed), 20, 'passes over events with NULLs');
SELECT still_serves(:'before', 'and what is left is what was before');
DELETE FROM events WHERE id > 90;

SELECT spoilt('ALTER TABLE events RENAME item_id TO thing', 'ALTER TABLE events RENAME thing TO item_id', '42703',
	'column "item_id" of public.events does not exist', :'before', false, 'a column renamed');
SELECT spoilt('ALTER TABLE events RENAME value TO worth', 'ALTER TABLE events RENAME worth TO value', '42703',
	'column "value" of public.events does not exist', :'before', false, 'the value renamed');
SELECT spoilt('ALTER TABLE events ALTER kind TYPE int USING 1', 'ALTER TABLE events ALTER kind TYPE text USING ''buy''', '42804',
	'column "kind" of public.events has type integer and cannot be the event_column', :'before', false, 'a column of another type');
SELECT spoilt('ALTER TABLE events ALTER at TYPE text', 'ALTER TABLE events ALTER at TYPE timestamptz USING at::timestamptz', '42804',
	'column "at" of public.events has type text and cannot be the time_column', :'before', false, 'a time that is text now');
SELECT spoilt('DROP VIEW shown', 'CREATE VIEW shown AS SELECT id FROM items WHERE id < 6; SELECT rlrec_alter_agent(''shop'', candidates => ''shown'')', '42P01',
	'the candidates table of agent "shop" no longer exists', :'before', false, 'the candidates dropped');
ALTER TABLE events ALTER user_id TYPE bigint;
SELECT still_serves(:'before', 'a user that is a bigint now');
ALTER TABLE events ALTER user_id TYPE text, ALTER item_id TYPE varchar(9);
SELECT still_serves(:'before', 'ids that are text now');
SELECT lives_ok($$SELECT rlrec_train('shop')$$, 'and training reads them');
ALTER TABLE events RENAME user_id TO customer;
SELECT FROM rlrec_alter_agent('shop', user_column => 'customer');
SELECT still_serves(:'before', 'a renamed column, told to the agent');

CREATE TABLE events2 AS SELECT * FROM events;
SELECT spoilt('DROP TABLE events', 'ALTER TABLE events2 RENAME TO events; SELECT rlrec_alter_agent(''shop'', events => ''events'')', '42P01',
	'the events table of agent "shop" no longer exists', :'before', false, 'the events dropped');
SELECT is((SELECT count(*) FROM rlrec.agents WHERE name = 'shop'), 1::bigint, 'rlrec.agents can be read all the while');

-- ---------------------------------------------------------------- training
CREATE TABLE big (user_id int, item_id int, at int);
INSERT INTO big SELECT n % 300, n, n FROM generate_series(1, 40000) n;
SELECT FROM rlrec_create_agent('big', 'big', learner => 'ease');
SELECT refused($$SELECT rlrec_recommend(1, 1, 'big')$$, '55000', 'agent "big" has no trained model yet', 'recommending before training');
SELECT refused($$SELECT rlrec_recommend_all('big')$$, '55000', 'agent "big" has no trained model yet', 'recommending to all before training');
SELECT refused($$SELECT rlrec_score('big', 1, 1)$$, '55000', 'agent "big" has no trained model yet', 'scoring before training');
SELECT refused($$SELECT rlrec_similar_items(1, 1, 'big')$$, '55000', 'agent "big" has no trained model yet', 'similar items before training');
SELECT is(rlrec_model_weights('big'), NULL, 'there are no weights before training');
SET maintenance_work_mem = '1MB';
SELECT refused($$SELECT rlrec_train('big')$$, '54000', 'the events of agent "big" do not fit in maintenance_work_mem', 'too many events for the memory');
SELECT still_serves(:'before', 'in little memory');
SELECT lives_ok($$SELECT rlrec_train('shop')$$, 'few events are trained in little memory');
SET maintenance_work_mem = '64MB';
SELECT refused($$SELECT rlrec_train('big')$$, '55000', 'learner "ease" cannot be fitted', 'too many items for ease and the memory');
SELECT refused($$SELECT * FROM rlrec_evaluate('big', learners => '{ease}')$$, '55000', 'learner "ease" cannot be fitted', 'nor evaluated');
SELECT lives_ok($$SELECT rlrec_alter_agent('big', learner => 'als', options => '{"factors": 1024}')$$, 'als with many factors');
SELECT refused($$SELECT rlrec_train('big')$$, '55000', 'learner "als" cannot be fitted', 'too many factors for the memory');
RESET maintenance_work_mem;
SELECT is((SELECT count(*) FROM rlrec.models WHERE agent = 'big'), 0::bigint, 'no version of it is left');

SET default_transaction_read_only = on;
SELECT throws_ok($$SELECT rlrec_train('shop')$$, '25006', NULL, 'training in a read-only transaction');
SELECT still_serves(:'before', 'in a read-only transaction');
RESET default_transaction_read_only;
SET statement_timeout = '30ms';
DO $$
BEGIN
	PERFORM rlrec_evaluate('big', learners => '{itemknn,als,markov}');
EXCEPTION WHEN query_canceled THEN
	CREATE TABLE cancelled ();
END
$$;
RESET statement_timeout;
SELECT has_table('cancelled', 'statement_timeout stops it');

CREATE TABLE rejected (user_id int, item_id int, kind text);
INSERT INTO rejected VALUES (1, 1, 'hate'), (2, 2, 'hate');
CREATE FUNCTION try_rejected(learner text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM rlrec_create_agent('rejected', 'rejected', rewards => '{"hate": -1}', learner => learner);
	PERFORM rlrec_train('rejected');
	SELECT string_agg(item || source, ' ' ORDER BY rank) INTO result FROM rlrec_recommend(1, 9, 'rejected');
	PERFORM rlrec_drop_agent('rejected');
	RETURN result;
END
$$;
SELECT is(try_rejected(learner), '2popularity', 'no event of a positive reward: ' || learner) FROM unnest('{popularity,itemknn,ease,als,markov,auto}'::text[]) learner;

-- ---------------------------------------------------------------- roles
CREATE ROLE rlrec_test_owner;
CREATE ROLE rlrec_test_other;
GRANT SELECT ON events, items, shown TO rlrec_test_owner, rlrec_test_other;
SET ROLE rlrec_test_other;
SELECT refused($$SELECT * FROM rlrec_recommend(1, 1, 'shop')$$, '42501', 'permission denied for agent "shop"', 'an agent of somebody else');
SELECT refused($$SELECT * FROM rlrec_recommend(1, 1)$$, '42704', 'there is no agent that you may use', 'no agent of one''s own');
SELECT refused($$SELECT rlrec_train('shop')$$, '42501', 'must be owner of agent "shop"', 'training an agent of somebody else');
SELECT refused($$SELECT rlrec_alter_agent('shop', '{}')$$, '42501', 'must be owner of agent "shop"', 'altering it');
SELECT refused($$SELECT rlrec_drop_agent('shop')$$, '42501', 'must be owner of agent "shop"', 'dropping it');
SELECT throws_ok($$SELECT rlrec_create_agent('x', 'big')$$, '42501', 'permission denied for table big', 'a table that one may not read');
SELECT throws_ok($$SELECT rlrec_create_agent($x$x' ; CREATE TABLE public.mine(); --$x$, 'big')$$, '42501', NULL, 'a name that is SQL');
SET ROLE rlrec_test_owner;
SELECT lives_ok($$SELECT rlrec_create_agent($x$x'; DROP TABLE public.big; --$x$, 'events')$$, 'a name that is SQL stays a name');
SELECT lives_ok($$SELECT rlrec_create_agent('owned', 'events', learner => 'itemknn', items => 'items', candidates => 'shown')$$, 'an agent of a role');
SELECT lives_ok($$SELECT rlrec_train('owned')$$, 'trained');
RESET ROLE;
SELECT has_table('big');
SELECT throws_ok('DROP ROLE rlrec_test_owner', '2BP01', NULL, 'the role cannot be dropped while it owns agents');
REASSIGN OWNED BY rlrec_test_owner TO rlrec_test_other;
SELECT is((SELECT owner FROM rlrec.agents WHERE name = 'owned'), 'rlrec_test_other', 'REASSIGN OWNED reassigns them');
SET ROLE rlrec_test_other;
SELECT is((SELECT count(*) FROM rlrec_recommend(1, 2, 'owned')), 2::bigint, 'they serve their new owner');
SELECT lives_ok($$SELECT rlrec_train('owned')$$, 'who trains them');
RESET ROLE;
DROP OWNED BY rlrec_test_other;
SELECT is((SELECT count(*) FROM rlrec.agents WHERE owner = 'rlrec_test_other'), 0::bigint, 'DROP OWNED drops them');
SELECT refused($$SELECT * FROM rlrec_recommend(1, 2, 'owned')$$, '42704', 'agent "owned" does not exist', 'they are gone');
SELECT lives_ok($$SELECT rlrec_create_agent('owned', 'events')$$, 'and their names free');
SELECT lives_ok('DROP OWNED BY rlrec_test_owner; DROP ROLE rlrec_test_owner, rlrec_test_other', 'the roles can be dropped');
SELECT still_serves(:'before', 'to the end');

SELECT * FROM finish();
