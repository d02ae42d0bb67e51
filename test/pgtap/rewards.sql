-- What an event is worth.
SET client_min_messages = warning;
SELECT plan(4);

CREATE TABLE log (user_id int, item_id int, event text, at int, dwell interval, price numeric);
CREATE TABLE timeless (user_id int, item_id int);

-- ---------------------------------------------------------------- sessions
SELECT lives_ok($$SELECT rlrec_create_agent('shop', 'log', options => '{"session": "30 minutes"}')$$, 'a session is an interval');
SELECT throws_ok($$SELECT rlrec_alter_agent('shop', '{"session": "soon"}')$$, '22007', NULL, 'and nothing else');
SELECT throws_ok($$SELECT rlrec_alter_agent('shop', '{"session": "-1 minute"}')$$, '22023', 'invalid value of "session" in options',
	'not a negative one');
SELECT throws_ok($$SELECT rlrec_create_agent('timeless', 'timeless', options => '{"session": 60}')$$, '22023',
	'option "session" needs to know the time of an event', 'and needs a column that tells time');

SELECT * FROM finish();
