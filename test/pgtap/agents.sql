-- What an agent may be made over: every type of id and time, rewards, views, partitions, odd names. (The notices: test/sql/infer_columns.sql.)
SET client_min_messages = warning;
SELECT plan(90);

-- Items 1, 2 and 3 go together, and 4 and 5 do; user 3 has had 1 and 2, user 5 has had 4.
CREATE TABLE base (u int, i int, n int);
INSERT INTO base VALUES (1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 4), (2, 2, 5), (2, 3, 6), (3, 1, 7), (3, 2, 8), (4, 4, 9), (4, 5, 10), (5, 4, 11);

CREATE FUNCTION trained(agent text, events regclass, learner text DEFAULT 'itemknn', options jsonb DEFAULT NULL, rewards jsonb DEFAULT NULL,
	value_column name DEFAULT NULL) RETURNS int LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, events, learner => learner, options => options, rewards => rewards, value_column => value_column);
	SELECT version FROM rlrec_train(agent) $$;
CREATE FUNCTION best(agent text, user_id text, k int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(item, ',' ORDER BY rank) FROM rlrec_recommend(user_id, k, agent) $$;

-- ---------------------------------------------------------------- ids
CREATE DOMAIN number AS int CHECK (VALUE > 0);
CREATE DOMAIN word AS varchar(9) NOT NULL;
CREATE DOMAIN sentence AS word CHECK (length(VALUE) > 1);
CREATE DOMAIN letters AS char(7);

CREATE TABLE id_type (type text, id text);		-- id: an expression of n
INSERT INTO id_type VALUES ('integer', 'n - 3'), ('bigint', 'n + 5000000000'), ('smallint', '-n'),
	('uuid', '(''A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A1'' || n)::uuid'), ('text', '''it''''s "'' || n || '' é\'''), ('varchar', '''v'' || n'),
	('varchar(5)', '''v '' || n'), ('char(6)', '''c'' || n'), ('"char"', NULL), ('number', 'n'), ('word', '''w'' || n'),
	('sentence', '''s'' || n'), ('letters', '''d '' || n');

CREATE FUNCTION try_ids(type text, id text, OUT typed text, OUT by_text text, OUT score text, OUT alike text, OUT everybody text, OUT wanted text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE ids (user_id %1$s, item_id %1$s, at int);
		CREATE FUNCTION id_of(n int) RETURNS %1$s LANGUAGE sql AS ''SELECT CAST(%2$s AS %1$s)'';
		INSERT INTO ids SELECT id_of(u), id_of(i), n FROM base', type, replace(id, '''', ''''''));
	PERFORM trained('ids', 'ids');
	EXECUTE 'SELECT item FROM rlrec_recommend(id_of(3), 1, agent => ''ids'')' INTO typed;
	EXECUTE 'SELECT item FROM rlrec_recommend(id_of(3)::text, 1, agent => ''ids'')' INTO by_text;
	EXECUTE 'SELECT id_of(n)::text FROM generate_series(3, 5) n ORDER BY rlrec_score(''ids'', id_of(3), id_of(n)) DESC LIMIT 1' INTO score;
	EXECUTE 'SELECT string_agg(item, '','' ORDER BY rank) FROM rlrec_similar_items(id_of(5), 1, ''ids'')' INTO alike;
	EXECUTE 'SELECT string_agg(item, '','' ORDER BY rank) FROM rlrec_recommend_all(''ids'', 1) WHERE user_id = id_of(3)::text' INTO everybody;
	EXECUTE 'SELECT id_of(3)::text || '';'' || id_of(4)::text' INTO wanted;
	PERFORM rlrec_drop_agent('ids');
	DROP TABLE ids;
	DROP FUNCTION id_of(int);
END
$$;
SELECT unnest(ARRAY[
	is(concat_ws('|', typed, by_text, score, everybody), concat_ws('|', third, third, third, third), 'users of type ' || type),
	is(alike, split_part(wanted, ';', 2), 'items of type ' || type)])
FROM id_type, LATERAL try_ids(type, id) t, LATERAL split_part(wanted, ';', 1) third
WHERE id IS NOT NULL;

CREATE TABLE badly_typed (user_id "char", item_id int);
SELECT throws_ok($$SELECT rlrec_create_agent('bad', 'badly_typed', 'user_id')$$, '42804',
	'column "user_id" of public.badly_typed has type "char" and cannot be the user_column', 'other types are refused');

-- users and items of different types, looked up by values of others still
CREATE TABLE mixed (user_id bigint, item_id varchar(3), at int);
INSERT INTO mixed SELECT u, i, n FROM base;
SELECT is(trained('mixed', 'mixed'), 1, 'ids of two types');
SELECT is((SELECT item FROM rlrec_recommend(3::smallint, 1, 'mixed')), '3', 'a smallint finds a bigint');
SELECT is((SELECT item FROM rlrec_recommend(' 3 ', 1, 'mixed')), '3', 'text is parsed as the column''s type is');
SELECT is(rlrec_score('mixed', 3, 3), rlrec_score('mixed', '3', '3'), 'an integer finds a varchar');
SELECT cmp_ok(rlrec_score('mixed', 3, '3'::char(3)), '>', 0::real, 'the blanks that pad a char(n) do not count');
SELECT cmp_ok(rlrec_score('mixed', 3::numeric, 3::bigint), '>', 0::real, 'nor does the type, so long as the text can be parsed');

-- a collation to which 'A' and 'a' are equal
SELECT count(*) > 0 AS icu FROM pg_collation WHERE collname LIKE '%-x-icu' \gset
\if :icu
	CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	CREATE TABLE cases (user_id text COLLATE ignore_case, item_id text COLLATE ignore_case, at int);
	INSERT INTO cases SELECT CASE WHEN u < 4 THEN 'a' || u ELSE 'A' || u - 3 END, CASE WHEN i < 4 THEN 'x' || i ELSE 'X' || i - 3 END, n FROM base;
	CREATE INDEX ON cases (user_id, at);
	SELECT is(count(*), 5::bigint, 'the rows of a1 and A1 are equal to SQL') FROM cases WHERE user_id = 'A1';
	SELECT is(trained('cases', 'cases'), 1, 'a nondeterministic collation');
	SELECT is((SELECT (metrics->>'users') || ' ' || (metrics->>'items') FROM rlrec.models WHERE agent = 'cases'), '5 5',
		'ids that only the collation calls equal are different');
	SELECT is(best('cases', 'a3') || best('cases', 'A2'), 'x3X2', 'each of them has a history of his own');
	SELECT is(best('cases', 'a2', 9), 'X1,X2', 'what the other one had is not excluded');
	SELECT is((SELECT string_agg(user_id || ':' || item, ' ' ORDER BY user_id COLLATE "C") FROM rlrec_recommend_all('cases', 1)),
		(SELECT string_agg(u || ':' || best('cases', u), ' ' ORDER BY u COLLATE "C") FROM unnest('{a1,a2,a3,A1,A2}'::text[]) u), 'for everybody too');
\else
	SELECT skip('no ICU', 6);
\endif

-- ---------------------------------------------------------------- times
-- The order of the times is against that of the rows, and markov needs it: after 2 comes 3, after 3 comes 1.
CREATE TABLE time_type (type text, value text);
INSERT INTO time_type VALUES ('timestamptz', '''2025-01-01 00:00Z''::timestamptz - n * interval ''1 hour'''),
	('timestamp', '''2025-01-01 00:00''::timestamp - n * interval ''1 us'''), ('date', '''1905-01-01''::date - n'), ('int', '1700000000 - n'),
	('bigint', '-n'), ('smallint', '30000 - n'), ('float4', '1.0 / n'), ('float8', '1700000000 - n / 1000.0'), ('numeric(20,6)', '1700000000 - n / 1000.0');
CREATE DOMAIN moment AS timestamptz;
INSERT INTO time_type VALUES ('moment', '''2025-01-01''::timestamptz - n * interval ''1 s''');
CREATE FUNCTION try_time(type text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('CREATE TABLE times (user_id int, item_id int, at %s); INSERT INTO times SELECT 1, i, %s FROM (VALUES (1, 3), (3, 1), (2, 2)) v(i, n)
		ORDER BY n; INSERT INTO times SELECT 2, 3, %s FROM (VALUES (9)) v(n)', type, value, value);
	PERFORM trained('times', 'times', 'markov');
	result := (SELECT time_column FROM rlrec.agents WHERE name = 'times') || ' ' || best('times', '2') || ' '
		|| (SELECT item FROM rlrec_recommend_for_history('{1}', 1, 'times'));
	PERFORM rlrec_drop_agent('times');
	DROP TABLE times;
	RETURN result;
END
$$;
-- by time: 1, 2, 3; nothing follows 3, so user 2 gets the most popular of the others; after 1 comes 2
SELECT is(try_time(type, value), 'at 1 2', 'time of type ' || type) FROM time_type;

CREATE TABLE timeless (id int PRIMARY KEY, user_id int, item_id int);
INSERT INTO timeless VALUES (3, 1, 3), (1, 1, 1), (2, 1, 2), (4, 2, 1);
SELECT is(trained('timeless', 'timeless', 'markov'), 1, 'no time');
SELECT is((SELECT time_column FROM rlrec.agents WHERE name = 'timeless'), NULL, 'none is made up');
SELECT is(best('timeless', '2'), '2', 'the integer primary key orders the events then');
CREATE TABLE keyless (user_id int, item_id int);
INSERT INTO keyless VALUES (1, 1), (1, 2), (1, 3), (2, 1);
SELECT is(trained('keyless', 'keyless', 'markov'), 1, 'neither time nor key');
SELECT is(best('keyless', '2'), '2', 'the place in the table orders the events then');
CREATE TABLE tied (user_id int, item_id int, at timestamptz DEFAULT '2025-01-01', id bigint PRIMARY KEY);
INSERT INTO tied (id, user_id, item_id) SELECT id, user_id, item_id FROM timeless;
SELECT is(trained('tied', 'tied', 'markov'), 1, 'all events at once');
SELECT is(best('tied', '2'), '2', 'the integer primary key decides among equal times');

-- ---------------------------------------------------------------- rewards
CREATE TYPE deed AS ENUM ('buy', 'click', 'hate', 'look');
CREATE TABLE deeds (user_id int, item_id int, kind deed, price float8, at int);
INSERT INTO deeds VALUES (1, 1, 'buy', 10, 1), (2, 1, 'buy', 1, 1), (1, 2, 'click', 1, 2), (2, 2, 'click', 1, 2), (4, 2, 'click', 1, 2),
	(3, 3, 'hate', 1, 1), (1, 3, 'hate', 1, 3), (3, 4, 'look', 1, 2), (5, 4, NULL, 1, 1);
SELECT is(trained('plain', 'deeds', 'popularity'), 1, 'without rewards');
SELECT is(best('plain', '9', 9), '2,1,3,4', 'every event counts 1');
SELECT is(trained('rewarded', 'deeds', 'popularity', rewards => '{"buy": 5, "click": 0.5, "hate": -2}'), 1, 'with rewards, on an enum');
SELECT is((SELECT event_column FROM rlrec.agents WHERE name = 'rewarded'), 'kind', 'the column of the type of event is found');
SELECT is((SELECT array_agg(score ORDER BY item) FROM rlrec_recommend(9, 9, 'rewarded')), '{2,3,0,0}'::real[],
	'events of a negative reward, of an unlisted type and of none are no evidence for an item');
SELECT is(best('rewarded', '3', 9), '2,1', 'they are excluded as seen all the same');
SELECT is((SELECT source FROM rlrec_recommend(3, 1, 'rewarded')), 'popularity', 'a user with such events only');
CREATE VIEW paid AS SELECT user_id, item_id, price, at FROM deeds WHERE kind IN ('buy', 'click');
SELECT is(trained('values', 'paid', 'als', value_column => 'price'), 1, 'value_column');
SELECT trained('unweighted', 'paid', 'als') \gset
SELECT isnt(rlrec_model_weights('values'), rlrec_model_weights('unweighted'),
	'a learner that weighs events weighs them by it');
SELECT lives_ok($$SELECT rlrec_alter_agent('rewarded', rewards => '{"look": 1}', learner => 'popularity'); SELECT rlrec_train('rewarded')$$, 'rewards can be changed');
SELECT is((SELECT item FROM rlrec_recommend(9, 1, 'rewarded')), '4', 'and count from the next training on');

-- ---------------------------------------------------------------- alter and drop
SELECT is(trained('life', 'deeds', 'itemknn', '{"neighbours": 3, "versions": 2}'), 1, 'an agent with options');
SELECT FROM rlrec_alter_agent('life', options => '{"neighbours": 4, "shrinkage": 1}');
SELECT is((SELECT options FROM rlrec.agents WHERE name = 'life'), '{"neighbours": 4, "shrinkage": 1, "versions": 2}', 'options given replace those of their name');
SELECT FROM rlrec_alter_agent('life', options => '{"neighbours": null}');
SELECT is((SELECT options FROM rlrec.agents WHERE name = 'life'), '{"shrinkage": 1, "versions": 2}', 'null takes an option away');
SELECT throws_ok($$SELECT rlrec_alter_agent('life', learner => 'ease')$$, '22023', 'unknown key "shrinkage" in options',
	'a learner that does not have the agent''s options is refused');
SELECT lives_ok($$SELECT rlrec_alter_agent('life', '{"shrinkage": null}', learner => 'ease')$$, 'both can be changed in one call');
SELECT is((SELECT learner FROM rlrec.models WHERE agent = 'life' AND deployed), 'itemknn', 'what serves stays until the next training');
SELECT is((SELECT count(*) FROM rlrec_recommend(9, 2, 'life')), 2::bigint, 'and serves');
SELECT FROM rlrec_drop_agent('life');
SELECT is((SELECT count(*) FROM rlrec.agents WHERE name = 'life'), 0::bigint, 'dropped');
SELECT is((SELECT count(*) FROM rlrec.models WHERE agent = 'life') + (SELECT count(*) FROM pg_class WHERE relname = 'agent_life'), 0::bigint, 'with its versions and its sequence');
SELECT is((SELECT count(*) FROM rlrec.chunk c WHERE NOT EXISTS (SELECT FROM rlrec.model m WHERE c.id = ANY (m.chunks))), 0::bigint, 'and its chunks');
SELECT is(trained('life', 'deeds', 'popularity'), 1, 'its name is free again');

-- ---------------------------------------------------------------- relations
CREATE TABLE parts (user_id int, item_id int, at int, id bigint) PARTITION BY HASH (user_id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_1 (id bigint, gone int, at int, item_id int, user_id int);
ALTER TABLE parts_1 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT u, i, n, n FROM base;
SELECT is(trained('parts', 'parts'), 1, 'a partitioned table');
SELECT is(best('parts', '3') || best('parts', '5'), '35', 'is read as a whole');

CREATE VIEW seen AS SELECT u AS user_id, i AS item_id, n AS at FROM base;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM seen;
SELECT is(trained('seen', 'seen') + trained('kept', 'kept'), 2, 'a view, a materialized view');
SELECT is(best('seen', '3') || best('kept', '3'), '33', 'are read');
INSERT INTO base VALUES (3, 3, 12);
SELECT is(best('seen', '3') || best('kept', '3'), '43', 'as they are');

-- ---------------------------------------------------------------- names
CREATE SCHEMA "Der ""Laden""";
CREATE TABLE "Der ""Laden"""."It's Événements" ("Nutzer Ö" int, "it'em" text, "SELECT" int, "Art" text, "Wert;--" int);
CREATE TABLE "Der ""Laden"""."Ding" ("it'em" text PRIMARY KEY);
INSERT INTO "Der ""Laden"""."It's Événements" SELECT u, i, n, 'ka''uf', 1 FROM base WHERE n < 12;
INSERT INTO "Der ""Laden"""."Ding" SELECT generate_series(1, 5);
CREATE VIEW "Der ""Laden"""."Ange bot" AS SELECT * FROM "Der ""Laden"""."Ding" WHERE "it'em" <> '5';
SELECT lives_ok($$SELECT rlrec_create_agent('L''Agent "Ö"; --', '"Der ""Laden"""."It''s Événements"', 'Nutzer Ö', 'it''em', 'SELECT', 'Art', 'Wert;--',
	'{"ka''uf": 2}', items => '"Der ""Laden"""."Ding"', candidates => '"Der ""Laden"""."Ange bot"', learner => 'itemknn')$$, 'names that need quotes');
SET search_path = pg_catalog;
SELECT deployed FROM public.rlrec_train('L''Agent "Ö"; --') \gset
SELECT string_agg(item, ',' ORDER BY rank) AS items FROM public.rlrec_recommend(3, 9, 'L''Agent "Ö"; --') \gset
RESET search_path;
SELECT is(:'deployed'::text, 't', 'training finds them with another search_path');
SELECT is(:'items'::text, '3,4', 'so does serving');
SELECT is((SELECT item_key || '|' || candidate_key FROM rlrec.agents WHERE name = 'L''Agent "Ö"; --'), 'it''em|it''em', 'keys named as the item column are found');
SELECT is(obj_description((SELECT anchor FROM rlrec.agents WHERE name = 'L''Agent "Ö"; --'), 'pg_class'),
	'agent L''Agent "Ö"; --: its owner owns the agent, USAGE allows to use it', 'the name is quoted wherever it goes');
SELECT lives_ok($$SELECT rlrec_alter_agent('L''Agent "Ö"; --', '{"neighbours": 3}')$$, 'altered');
SELECT lives_ok($$SELECT rlrec_drop_agent('L''Agent "Ö"; --')$$, 'dropped');

ALTER TABLE deeds RENAME TO tales;
ALTER TABLE tales SET SCHEMA "Der ""Laden""";
SELECT is((SELECT count(*) FROM rlrec_recommend(9, 2, 'plain')), 2::bigint, 'a table that is renamed and moved is still the agent''s');

-- No option of a learner has the name of one that every agent has: nobody could set both.
CREATE FUNCTION valid_keys(learner text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	PERFORM rlrec_create_agent('keys', 'base', user_column => 'u', item_column => 'i', learner => learner, options => '{"no such option": 1}');
	RETURN NULL;
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN string_to_array(rtrim(substring(hint FROM 'The valid keys are (.*)'), '.'), ', ');
END
$$;
CREATE FUNCTION learner_names() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	PERFORM rlrec_create_agent('keys', 'base', user_column => 'u', item_column => 'i', learner => 'no such learner');
	RETURN NULL;
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN string_to_array(rtrim(substring(hint FROM 'The learners are (.*)'), '.'), ', ');
END
$$;
SELECT is(string_agg(learner || ': ' || key, ', '), NULL, 'options have one meaning each')
FROM (SELECT learner, key FROM unnest(learner_names()) learner, unnest(valid_keys(learner)) key WHERE learner NOT IN ('auto', 'hybrid')
	GROUP BY learner, key HAVING count(*) > 1) twice;

SELECT * FROM finish();
