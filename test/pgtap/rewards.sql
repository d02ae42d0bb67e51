-- What an event is worth to an agent, as rlrec_rewards() tells, and what that changes.
SET client_min_messages = warning;
SELECT no_plan();

CREATE TYPE kind AS ENUM ('view', 'click', 'purchase', 'dislike');
CREATE TABLE log (user_id int, item_id int, event kind, at timestamptz, dwell interval, price numeric, note text, id serial PRIMARY KEY);
INSERT INTO log VALUES
	(1, 10, 'view', '2026-01-01 10:00Z', '5 s', 3, 'a'), (1, 10, 'click', '2026-01-01 10:01Z', '2 min', 3, 'b'),
	(1, 11, 'view', '2026-01-01 10:02Z', NULL, 7.5, '5'), (1, 10, 'purchase', '2026-01-01 12:00Z', '1 s', 3, NULL),
	(1, 11, 'dislike', '2026-01-02 10:00Z', '0 s', 7.5, 'e'), (2, 10, 'click', '2026-01-01 10:00Z', '1 day', 3, 'f');
CREATE TABLE timeless (user_id int, item_id int, event text);

-- The rewards of all events, in order.
CREATE FUNCTION worth(agent text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(reward::text, ' ') FROM rlrec_rewards(agent) $$;
-- And with these options on top of those that the agent has, which it gets back.
CREATE FUNCTION worth(agent text, options jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM rlrec_alter_agent(agent, options);
	result := worth(agent);
	PERFORM rlrec_alter_agent(agent, (SELECT jsonb_object_agg(key, NULL) FROM jsonb_object_keys(options) key));
	RETURN result;
END
$$;
CREATE FUNCTION reward(expression text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('reward', expression) $$;

-- ---------------------------------------------------------------- without options
SELECT rlrec_create_agent('plain', 'log');
SELECT rlrec_create_agent('shop', 'log', rewards => '{"purchase": 5, "click": 1, "dislike": -2}');
SELECT rlrec_create_agent('rated', 'log', rewards => '{"purchase": 5, "click": 1, "dislike": -2}', value_column => 'price');
SELECT is(worth('plain'), '1 1 1 1 1 1', 'every event counts 1');
SELECT is(worth('shop'), '0 1 0 5 -2 1', 'what its type counts, and 0 where that is not listed');
SELECT is(worth('rated'), '0 3 0 15 -15 3', 'times the value');
SELECT results_eq($$SELECT user_id, item, event, event_time, episode FROM rlrec_rewards('shop')$$,
	$$SELECT user_id::text, item_id::text, event::text, at, 1 FROM log ORDER BY log.user_id, at$$, 'rewards come with their events, in order');
SELECT rlrec_create_agent('timeless', 'timeless');
INSERT INTO timeless VALUES (1, 7, NULL);
SELECT results_eq($$SELECT * FROM rlrec_rewards('timeless')$$, $$VALUES ('1', '7', NULL, NULL::timestamptz, 1::real, 1)$$,
	'an event without type and time has neither');

-- ---------------------------------------------------------------- clipping
SELECT is(worth('rated', '{"reward_max": 4}'), '0 3 0 4 -15 3', 'a reward is at most reward_max');
SELECT is(worth('rated', '{"reward_min": -1}'), '0 3 0 15 -1 3', 'and at least reward_min');
SELECT is(worth('rated', '{"reward_min": -1, "reward_max": 1}'), '0 1 0 1 -1 1', 'between both');
SELECT throws_ok($$SELECT rlrec_alter_agent('rated', '{"reward_min": 2, "reward_max": 1}')$$, '22023',
	'option "reward_min" is 2 and above "reward_max", which is 1', 'that leave something between them');
SELECT throws_ok($$SELECT rlrec_alter_agent('rated', '{"reward_max": "much"}')$$, '22023', 'invalid value of "reward_max" in options',
	'and are numbers');
SELECT is(worth('rated'), '0 3 0 15 -15 3', 'what was refused changed nothing');

-- ---------------------------------------------------------------- dwell
SELECT rlrec_create_agent('watched', 'log', value_column => 'dwell', options => '{"skip_missing": true}');
SELECT is(worth('watched'), '5 120 1 0 86400', 'an interval counts in seconds');
SELECT is(worth('watched', '{"reward_max": 30}'), '5 30 1 0 30', 'up to reward_max');
SELECT throws_ok($$SELECT rlrec_create_agent('no', 'log', value_column => 'note')$$, '42804',
	'column "note" of public.log has type text and cannot be the value_column', 'a text is no value');

-- ---------------------------------------------------------------- an expression
SELECT is(worth('rated', reward($$CASE WHEN event = 'purchase' THEN 5 WHEN dwell > interval '30 s' THEN 1 ELSE -0.2 END$$)),
	'-0.2 1 -0.2 5 -0.2 1', 'an expression replaces rewards and value');
SELECT is(worth('plain', reward('extract(epoch FROM dwell)')), '5 120 0 1 0 86400', 'NULL counts 0');
SELECT is(worth('plain', reward('NULL')), '0 0 0 0 0 0', 'always');
SELECT is(worth('plain', reward('price') || '{"reward_max": 5}'), '3 3 5 3 5 3', 'an expression is clipped as well');
SELECT is(worth('plain', reward($$log.price / 2 -- half of it$$)), '1.5 1.5 3.75 1.5 3.75 1.5', 'a comment does no harm');
SELECT is(worth('plain', reward($$length(note || '\''')$$)), '3 3 3 0 3 3', 'nor does a quote');
SELECT rlrec_alter_agent('plain', reward($$length('\') -- ') FROM pg_class$$));
SELECT is(worth('plain'), '1 1 1 1 1 1', 'a backslash is one');
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT throws_ok($$SELECT * FROM rlrec_rewards('plain')$$, '42601', 'the reward is not one expression', 'and lets nothing out where it is none');
RESET standard_conforming_strings;
RESET escape_string_warning;
SELECT rlrec_alter_agent('plain', '{"reward": null}');
SELECT is(worth('rated'), '0 3 0 15 -15 3', 'without the option all is as before');

CREATE FUNCTION public.twice(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE FUNCTION public.same(kind, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR public.= (LEFTARG = kind, RIGHTARG = text, FUNCTION = public.same);
CREATE TABLE refused (code text, message text, reward text);
INSERT INTO refused VALUES
	('42601', 'the reward is not one expression', '1, 2'), ('42601', 'the reward is not one expression', '1 AS one'),
	('42601', 'the reward is not one expression', '1 one'), ('42601', 'the reward is not one expression', '1 FROM pg_class'),
	('42601', 'the reward is not one expression', '1 WHERE true'), ('42601', 'the reward is not one expression', '1 LIMIT 1'),
	('42601', 'the reward is not one expression', '1 UNION SELECT 2'), ('42601', 'the reward is not one expression', 'DISTINCT 1'),
	('42601', 'the reward is not one expression', '1; DROP TABLE log'), ('42601', 'the reward is not one expression', '1 INTO stolen'),
	('42601', 'the reward is not one expression', '1 FOR UPDATE'), ('42601', 'the reward is not one expression', '--'),
	('42601', 'syntax error at or near ")"', 'price) FROM log WHERE (true; SELECT (1'),
	('42601', 'syntax error at or near ")"', '1) + (2'), ('42601', 'syntax error at or near ")"', '1) FROM log; SELECT (2'),
	('42601', 'syntax error at or near "ALL"', 'ALL 1'), ('42601', 'syntax error at or near ";"', '1;'),
	('42601', 'syntax error at end of input', '1 +'), ('42601', 'syntax error at or near "*"', '*'),
	('42601', 'unterminated /* comment at or near "/* "', '1 /* '), ('42703', 'column "cost" does not exist', 'cost'),
	('42P01', 'missing FROM-clause entry for table "pg_class"', 'pg_class.oid'), ('42P02', 'there is no parameter $1', '$1'),
	('42883', 'function sin(text) does not exist', 'sin(note)'), ('42883', 'function twice(numeric) does not exist', 'twice(price)'),
	('42804', 'the reward has type text, which is no number', 'note'), ('42804', 'the reward has type interval, which is no number', 'dwell'),
	('42804', 'the reward has type boolean, which is no number', 'true'), ('22023', 'the reward does more than compute from an event', 'log.*'),
	('22023', 'the reward does more than compute from an event', 'public.twice(price)'),
	('22023', 'the reward does more than compute from an event', 'random()'),
	('22023', 'the reward does more than compute from an event', 'extract(epoch FROM now() - at)'),
	('22023', 'the reward does more than compute from an event', 'CASE WHEN current_user = ''me'' THEN 1 ELSE 0 END'),
	('22023', 'the reward does more than compute from an event', '(SELECT 1)'),
	('22023', 'the reward does more than compute from an event', '(SELECT max(price) FROM public.log)'),
	('22023', 'the reward does more than compute from an event', 'CASE WHEN EXISTS (SELECT FROM pg_class) THEN 1 END'),
	('22023', 'the reward does more than compute from an event', 'sum(price)'),
	('22023', 'the reward does more than compute from an event', 'row_number() OVER ()'),
	('22023', 'the reward does more than compute from an event', 'generate_series(1, 2)'),
	('22023', 'the reward does more than compute from an event', 'price::public.small'),
	('22023', 'the reward does more than compute from an event', 'nextval(''public.log_sequence'')'),
	('22023', 'the reward does more than compute from an event', 'CASE WHEN event OPERATOR(public.=) ''x''::text THEN 1 END'),
	('22023', 'the reward does more than compute from an event', 'length(table_to_xml(''public.log'', true, true, '''')::text)');
CREATE SEQUENCE log_sequence;
SELECT throws_ok(format('SELECT rlrec_alter_agent(''rated'', reward(%L))', reward), code, message, 'refused: ' || reward) FROM refused;
-- Literals of types that hold domains are input while they are parsed, and a domain's check is anybody's code.
CREATE TABLE ran (by name);
CREATE FUNCTION run(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ran VALUES (current_user); RETURN true; END $$;
CREATE DOMAIN checked AS int CHECK (public.run(VALUE));
CREATE TYPE pair AS (a checked);
CREATE TABLE odd (user_id int, item_id int, arrays checked[]);
SELECT rlrec_create_agent('odd', 'odd');
SELECT throws_ok(format('SELECT rlrec_alter_agent(%L, reward(%L))', agent, reward), '22023', 'the reward does more than compute from an event', 'refused: ' || reward)
	FROM (VALUES ('rated', $$CASE WHEN '{1}'::public.checked[] IS NULL THEN 0 ELSE 1 END$$), ('rated', $$CASE WHEN '(1)'::public.pair IS NULL THEN 0 ELSE 1 END$$),
		('odd', $$CASE WHEN arrays = '{1}' THEN 0 ELSE 1 END$$), ('odd', $$CASE WHEN odd = '(1,2,{1})' THEN 0 ELSE 1 END$$),
		('odd', $$CASE WHEN odd.* IS NULL THEN 0 ELSE 1 END$$)) v(agent, reward);
SELECT is((SELECT count(*) FROM ran), 0::bigint, 'and nothing of it ran');
SELECT throws_ok($$SELECT rlrec_create_agent('no', 'log', options => reward('1, 2'))$$, '42601', 'the reward is not one expression',
	'when an agent is made, too');
SELECT throws_ok($$SELECT rlrec_alter_agent('rated', '{"reward": ""}')$$, '22023', 'invalid value of "reward" in options', 'nothing is no text');
SELECT throws_ok($$SELECT rlrec_alter_agent('rated', '{"reward": 5}')$$, '22023', 'invalid value of "reward" in options', 'nor is a number');
SELECT is(worth('rated'), '0 3 0 15 -15 3', 'what was refused changed nothing');
SELECT is((SELECT options FROM rlrec.agents WHERE name = 'rated'), '{}', 'nothing at all');

CREATE FUNCTION hint_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN hint;
END
$$;
SELECT matches(hint_of($$SELECT rlrec_alter_agent('rated', reward('cost'))$$), '^Option "reward" must be one expression over the columns of public.log',
	'the hint says what it must be');

-- NaN and the infinite name their event; what is divided by zero is PostgreSQL's own error.
SELECT rlrec_alter_agent('plain', reward($$CASE WHEN event = 'dislike' THEN 'NaN'::float8 ELSE 1 END$$));
SELECT throws_matching($$SELECT * FROM rlrec_rewards('plain')$$, 'public.log has events whose reward is out of range', 'NaN is no reward');
CREATE FUNCTION detail_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END
$$;
SELECT is(detail_of($$SELECT * FROM rlrec_train('plain')$$), 'User "1" would have a reward of NaN for item "11"; rewards are from -1e+30 to 1e+30.',
	'the error names user and item');
SELECT rlrec_alter_agent('plain', reward($$'-Infinity'::float8$$));
SELECT throws_ok($$SELECT * FROM rlrec_rewards('plain')$$, '22003', 'public.log has events whose reward is out of range', 'nor is minus infinity');
SELECT rlrec_alter_agent('plain', reward('price / 0'));
SELECT throws_ok($$SELECT * FROM rlrec_rewards('plain')$$, '22012', 'division by zero', 'an error of the expression is its own');
SELECT rlrec_alter_agent('plain', '{"reward": null}');

-- It means the same whatever the search_path of who asks, and is held to the rules again when the table has changed.
SELECT rlrec_alter_agent('shop', reward($$CASE WHEN note = 'a' THEN 1 ELSE 0 END$$));
CREATE SCHEMA evil;
CREATE FUNCTION evil.equals(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equals);
SET search_path = evil, public, pg_catalog;
SELECT reward FROM public.rlrec_rewards('shop') ORDER BY reward DESC LIMIT 1 \gset best_
RESET search_path;
SELECT is(:best_reward, 1, 'operators of the search_path are not taken');
SELECT version FROM rlrec_train('shop');
ALTER TABLE log ALTER note TYPE kind USING NULL;
SELECT throws_ok($$SELECT * FROM rlrec_recommend(1, 3, 'shop')$$, '22P02', 'invalid input value for enum public.kind: "a"', 'serving finds the change');
ALTER TABLE log DROP note;
SELECT throws_ok($$SELECT * FROM rlrec_recommend(1, 3, 'shop')$$, '42703', 'column "note" does not exist', 'and that a column is gone');
SELECT rlrec_alter_agent('shop', '{"reward": null}');
SELECT isnt_empty($$SELECT * FROM rlrec_recommend(1, 3, 'shop', context => '{"exclude_seen": false}')$$, 'without it, serving goes on');

-- It is read as who calls: his policies hold, and he needs the right to its columns.
CREATE ROLE rewards_reader;
GRANT SELECT (id, user_id, item_id, event, at) ON log TO rewards_reader;
GRANT USAGE ON SEQUENCE rlrec.agent_shop TO rewards_reader;
SET ROLE rewards_reader;
SELECT is(worth('shop'), '0 1 0 5 -2 1', 'who may read the columns may see what they are worth');
RESET ROLE;
SELECT rlrec_alter_agent('shop', reward('price'));
SET ROLE rewards_reader;
SELECT throws_ok($$SELECT * FROM rlrec_rewards('shop')$$, '42501', 'permission denied for table log', 'the expression reads nothing for him that he may not');
RESET ROLE;
GRANT SELECT ON log TO rewards_reader;
ALTER TABLE log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON log TO rewards_reader USING (user_id = 2);
SET ROLE rewards_reader;
SELECT is(worth('shop'), '3', 'nor rows that a policy hides');
RESET ROLE;
ALTER TABLE log DISABLE ROW LEVEL SECURITY;
DROP OWNED BY rewards_reader;
DROP ROLE rewards_reader;
SELECT rlrec_alter_agent('shop', '{"reward": null}');

-- ---------------------------------------------------------------- sessions
CREATE FUNCTION episodes(agent text) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(episode::text, ' ') FROM rlrec_rewards(agent) $$;
SELECT rlrec_alter_agent('shop', '{"session": "30 minutes"}');
SELECT is(episodes('shop'), '1 1 1 2 3 1', 'a longer gap ends an episode');
SELECT rlrec_alter_agent('shop', '{"session": "1:58:00"}');
SELECT is(episodes('shop'), '1 1 1 1 2 1', 'one that is as long does not');
SELECT rlrec_alter_agent('shop', '{"session": 0}');
SELECT is(episodes('shop'), '1 1 1 1 1 1', 'without a session, a history is one episode');
SELECT throws_ok($$SELECT rlrec_alter_agent('shop', '{"session": "soon"}')$$, '22007', NULL, 'it is an interval');
SELECT throws_ok($$SELECT rlrec_alter_agent('shop', '{"session": "-1 minute"}')$$, '22023', 'invalid value of "session" in options',
	'not a negative one');
SELECT throws_ok($$SELECT rlrec_alter_agent('timeless', '{"session": 60}')$$, '22023',
	'option "session" needs to know the time of an event', 'and needs a column that tells time');

-- ---------------------------------------------------------------- horizon
SELECT is(worth('shop', '{"horizon": "2 hours"}'), '6 0 0 0 -2 1', 'what an item earns inside the horizon is its first event''s, once');
SELECT is(worth('shop', '{"horizon": "1:59:59"}'), '1 0 0 5 -2 1', 'what comes after it opens the next');
SELECT is(worth('shop', '{"horizon": 86400}'), '6 0 -2 0 0 1', 'feedback is credited also when it is negative');
SELECT is(worth('shop', '{"horizon": "2 hours", "reward_max": 4}'), '5 0 0 0 -2 1', 'what is credited was clipped before');
SELECT is(worth('shop', '{"horizon": "4 hours", "horizon_discount": 0.25}' || reward('CASE WHEN event = ''purchase'' THEN 5 END')),
	'2.5 0 0 0 0 0', 'half of the horizon later, the square root of the discount is left');
SELECT is(worth('shop', '{"horizon": 86400, "session": 60}'), '6 0 -2 0 0 1', 'sessions are nothing to it');
SELECT throws_ok($$SELECT rlrec_alter_agent('timeless', '{"horizon": "1 day"}')$$, '22023',
	'option "horizon" needs to know the time of an event', 'it needs a column that tells time');
SELECT throws_ok($$SELECT rlrec_alter_agent('shop', '{"horizon_discount": 1.5}')$$, '22023',
	'invalid value of "horizon_discount" in options', 'its discount is at most 1');

CREATE TABLE chain (user_id int, item_id int, minute int, value real);
INSERT INTO chain VALUES (1, 1, 0, 1), (1, 1, 30, 2), (1, 1, 40, 4), (1, 1, 70, 8), (1, 1, 71, 16), (1, 2, 71, 32), (2, 1, 30, 64);
SELECT rlrec_create_agent('chain', (SELECT 'chain'::regclass), time_column => 'minute', value_column => 'value', options => '{"horizon": 30}');
SELECT is(worth('chain'), '3 0 12 0 16 32 64', 'each window starts with the first event after the one before; items and users are apart');

-- What is held out is not credited to what is learned from. z is what user 5 is asked for, and four others had it before they disliked it.
CREATE TABLE held (user_id int, item_id text, event text, at int);
INSERT INTO held SELECT u, i, e, n FROM generate_series(1, 4) u, (VALUES ('z', 'like', 1), ('b', 'like', 2), ('z', 'dislike', 3)) v (i, e, n);
INSERT INTO held VALUES (5, 'c', 'like', 1), (5, 'd', 'like', 2), (5, 'z', 'like', 3), (7, 'z', 'like', 1), (7, 'b', 'like', 2);
SELECT rlrec_create_agent('held', 'held', learner => 'popularity', rewards => '{"like": 1, "dislike": -5}', options => '{"horizon": 10}');
SELECT is(worth('held'), '-4 1 0 -4 1 0 -4 1 0 -4 1 0 1 1 1 1 1', 'the dislike takes the like away');
SELECT results_eq($$SELECT learner, users, hit_rate FROM rlrec_evaluate('held', k => 1, learners => '{popularity}')$$,
	$$VALUES ('popularity', 5::bigint, 0.2::float8)$$, 'but not from those who do not know of it yet');

-- Serving credits as training does: what was disliked within the horizon is no part of a history.
SELECT version FROM rlrec_train('held');
INSERT INTO held VALUES (6, 'c', 'like', 1), (6, 'z', 'like', 2), (6, 'z', 'dislike', 30);
SELECT rlrec_alter_agent('held', learner => 'markov', options => '{"exclude_seen": false}');
SELECT version FROM rlrec_train('held');
CREATE FUNCTION best(agent text, user_id int) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item || ' ' || round(score::numeric, 4), ', ' ORDER BY rank) FROM rlrec_recommend(user_id, 9, agent) $$;
CREATE FUNCTION best_of_all(agent text, of_user int) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item || ' ' || round(score::numeric, 4), ', ' ORDER BY rank) FROM rlrec_recommend_all(agent, 9) WHERE user_id = of_user::text $$;
CREATE FUNCTION best_after(agent text, items text[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item || ' ' || round(score::numeric, 4), ', ' ORDER BY rank) FROM rlrec_recommend_for_history(items, 9, agent) $$;
SELECT is(best('held', 6), best_after('held', '{c,z}'), 'before the horizon reaches so far, the like counts');
SELECT rlrec_alter_agent('held', '{"horizon": 28}');
SELECT is(best('held', 6), best_after('held', '{c}'), 'then it counts no more');
SELECT isnt(best_after('held', '{c}'), best_after('held', '{c,z}'), 'which differ');
SELECT is(best_of_all('held', 6), best('held', 6), 'for everyone at once as for one');

-- ---------------------------------------------------------------- scale
SELECT is(worth('rated', '{"reward_scale": "max"}'), '0 0.2 0 1 -1 0.2', 'the largest reward becomes 1');
SELECT rlrec_alter_agent('rated', '{"reward_scale": "deviation"}');
SELECT is((SELECT round(stddev_pop(reward)::numeric, 6) FROM rlrec_rewards('rated')), 1.0, 'or their standard deviation');
SELECT is((SELECT count(*) FROM rlrec_rewards('rated') WHERE reward = 0), 2::bigint, 'and 0 stays 0');
SELECT rlrec_alter_agent('rated', '{"reward_scale": null}');
SELECT is(worth('plain', '{"reward_scale": "deviation"}'), '1 1 1 1 1 1', 'rewards that are all the same stay what they are');
SELECT is(worth('plain', '{"reward_scale": "max"}' || reward('0')), '0 0 0 0 0 0', 'as do those that are 0');
SELECT is(worth('shop', '{"reward_scale": "max", "horizon": "2 hours"}' || reward('price')), '1 0 0.8333333 0 0.8333333 0.33333334',
	'rewards are scaled as they are credited');
SELECT throws_ok($$SELECT rlrec_alter_agent('rated', '{"reward_scale": "mean"}')$$, '22023', 'invalid value of "reward_scale" in options',
	'there is no other scale');

-- als learns the same of rewards that are scaled by 1 / 8 with a confidence of 8; and serves the same, whatever the scale is by then.
CREATE TABLE rating (user_id int, item_id text, at int, stars int);
INSERT INTO rating SELECT u, chr(97 + (u * 7 + n * n) % 12), n, 1 + (u * 5 + n * 3) % 8 FROM generate_series(1, 30) u, generate_series(1, 4) n;
SELECT rlrec_create_agent('stars', 'rating', value_column => 'stars', learner => 'als', options => '{"factors": 4, "confidence": 1}');
SELECT rlrec_create_agent('scaled', 'rating', value_column => 'stars', learner => 'als', options =>
	'{"factors": 4, "confidence": 8, "reward_scale": "max"}');
SELECT count(*) FROM unnest('{stars,scaled}'::text[]) agent, rlrec_train(agent);
INSERT INTO rating VALUES (99, 'a', 1, 80), (99, 'b', 2, 1);
SELECT is(best('scaled', u), best('stars', u), 'rewards are scaled alike in training and in serving') FROM unnest('{1,2,99}'::int[]) u;
SELECT is(best_of_all('scaled', 99), best('stars', 99), 'for everyone, too');
SELECT is(best_after('scaled', '{a,b}'), best_after('stars', '{a,b}'), 'and a history without rewards has those of 1');
SELECT isnt(best('stars', 99), best_after('stars', '{a,b}'), 'which differ');
SELECT rlrec_alter_agent('scaled', '{"reward_scale": "none"}');
SELECT is(best('scaled', 99), best('stars', 99), 'the scale is the version''s');
SELECT isnt(best('scaled', 99), NULL, 'of which there is one');

-- It goes with the weights.
SELECT rlrec_create_agent('net', 'rating', value_column => 'stars', learner => 'supervised', options =>
	'{"epochs": 1, "dimension": 8, "hidden": 8, "length": 4, "reward_scale": "max"}');
SELECT version FROM rlrec_train('net');
SELECT rlrec_model_weights('net')::text::jsonb AS weights \gset
SELECT is(:'weights'::jsonb->'rewards/scale'->'data', '[80]', 'the scale is one of a version''s tensors');
SELECT is(rlrec_import_model('net', :'weights'::text::rlrec_weights), 2, 'and is imported');
SELECT is(detail_of(format($$SELECT rlrec_import_model('net', %L)$$, jsonb_set(:'weights', '{rewards/scale,data}', '[-1]'))),
	'Tensor "rewards/scale" is not positive.', 'when it is one');

SELECT * FROM finish();
