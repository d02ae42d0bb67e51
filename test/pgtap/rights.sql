-- Who may do what: the agent's owner, a role that was granted its use, a stranger; and what an attacker cannot make others run.
BEGIN;
SET client_min_messages = error;
SELECT no_plan();

CREATE ROLE r_owner;
CREATE ROLE r_analyst;
CREATE ROLE r_stranger;
CREATE ROLE r_heir;

-- What a role gets from a query, its rows or its error.
CREATE FUNCTION as_role(who name, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', who, true);
	IF query ~ '^SELECT' THEN
		EXECUTE format('SELECT string_agg(q::text, '' '') FROM (%s) q', query) INTO result;
	ELSE
		EXECUTE query;
	END IF;
	PERFORM set_config('role', 'none', true);
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END
$$;

CREATE SCHEMA shop AUTHORIZATION r_owner;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
CREATE TABLE shop.events AS
	SELECT u AS user_id, i AS item_id, timestamptz '2025-01-01' + (u * 10 + i) * interval '1 s' AS at
	FROM generate_series(1, 20) u, generate_series(1, 9) i WHERE (u * i) % 4 <> 1;
ALTER TABLE shop.events OWNER TO r_owner;

-- ---- creating

CREATE FUNCTION create_shop(arguments text DEFAULT '') RETURNS text LANGUAGE sql AS $$
	SELECT 'SELECT rlrec_create_agent(''shop'', events => ''shop.events'', learner => ''itemknn''' || arguments || ')' $$;
SELECT is(as_role('r_stranger', create_shop()), '42501: permission denied for table events', 'who cannot read the events can make no agent');
CREATE TABLE shop.hidden (item_id int PRIMARY KEY, title text);
SELECT is(as_role('r_owner', create_shop(', items => ''shop.hidden''')), '42501: permission denied for table hidden', 'nor who cannot read the items');
SELECT is(as_role('r_owner', create_shop(', candidates => ''shop.hidden''')), '42501: permission denied for table hidden', 'nor the candidates');
SELECT is(as_role('r_owner', create_shop()), '("")', 'an agent needs no more than SELECT on what it reads');
SELECT is(as_role('r_owner', 'SELECT version, deployed FROM rlrec_train(''shop'')'), '(1,t)', 'its owner trains it');
SELECT is(as_role('r_owner', 'SELECT version, deployed FROM rlrec_train(''shop'')'), '(2,t)', 'twice');
SELECT is(as_role('r_owner', 'SELECT name, owner, deployed FROM rlrec.agents'), '(shop,r_owner,2)', 'and sees it');

-- ---- a stranger, then one who may use it

CREATE TABLE uses (call text);
INSERT INTO uses VALUES ('* FROM rlrec_recommend(1, 3, ''shop'')'), ('* FROM rlrec_recommend(''1'', 3, ''shop'')'),
	('* FROM rlrec_recommend_for_history(''{3}'', 3, ''shop'')'), ('* FROM rlrec_recommend_all(''shop'', 3)'),
	('rank, item FROM rlrec_serve(1, 3, ''shop'')'), ('* FROM rlrec_rewards(''shop'')'), ('* FROM rlrec_similar_items(3, 3, ''shop'')'), ('rlrec_score(''shop'', 1, 3)'),
	('learner, ndcg FROM rlrec_evaluate(''shop'', learners => ''{popularity}'')');
CREATE TABLE changes (call text);
INSERT INTO changes VALUES ('* FROM rlrec_train(''shop'')'), ('rlrec_alter_agent(''shop'', options => ''{"neighbours": 3}'')'),
	('rlrec_drop_agent(''shop'')'), ('rlrec_deploy(''shop'', 1)'), ('rlrec_rollback(''shop'')'), ('rlrec_model_weights(''shop'')::text'),
	('rlrec_import_model(''shop'', ''{}'')');
GRANT SELECT ON uses, changes TO PUBLIC;
CREATE TABLE views AS SELECT unnest('{rlrec.agents,rlrec.models,rlrec.training_progress}'::text[]) AS view;

GRANT SELECT ON shop.events TO r_stranger, r_analyst;
SELECT is(as_role('r_stranger', 'SELECT count(*) FROM ' || view), '(0)', 'a stranger sees nothing in ' || view) FROM views;
SELECT is(as_role('r_stranger', 'SELECT ' || call), '42501: permission denied for agent "shop"', 'a stranger cannot: ' || call) FROM uses;
SELECT is(as_role('r_stranger', 'SELECT ' || call), '42501: must be owner of agent "shop"', 'a stranger cannot: ' || call) FROM changes;
SELECT is(as_role('r_stranger', 'SELECT * FROM rlrec_recommend(1)'), '42704: there is no agent that you may use',
	'without a name, he has no agent');
SELECT is(as_role('r_stranger', 'GRANT USAGE ON SEQUENCE rlrec.agent_shop TO r_stranger'),
	'42501: permission denied for sequence agent_shop', 'nor can he help himself');

SELECT is(as_role('r_owner', 'GRANT USAGE ON SEQUENCE rlrec.agent_shop TO r_analyst'), NULL, 'its owner grants the use');
SELECT is(as_role('r_analyst', 'SELECT name, owner FROM rlrec.agents'), '(shop,r_owner)', 'who may use it sees it');
SELECT is(as_role('r_analyst', 'SELECT count(*) FROM rlrec.models'), '(2)', 'and its versions');
SELECT is(as_role('r_analyst', 'SELECT ' || call), as_role('r_owner', 'SELECT ' || call), 'who may use it can: ' || call) FROM uses;
SELECT is(as_role('r_analyst', 'SELECT ' || call), '42501: must be owner of agent "shop"', 'but cannot: ' || call) FROM changes;
SELECT isnt(as_role('r_owner', 'SELECT ' || call), NULL, 'the owner gets rows of ' || call) FROM uses;

REVOKE SELECT ON shop.events FROM r_analyst;
SELECT is(as_role('r_analyst', 'SELECT * FROM rlrec_recommend(1, 3, ''shop'')'), '42501: permission denied for table events',
	'the events are read with the rights of who asks');
SELECT isnt(as_role('r_analyst', 'SELECT * FROM rlrec_similar_items(3, 3, ''shop'')'), NULL, 'what reads no events needs no right to them');
GRANT SELECT ON shop.events TO r_analyst;

-- ---- the extension's own tables

SELECT is_empty(
	$$ SELECT r.rolname, c.relname, privilege
		FROM pg_class c, pg_roles r, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
		WHERE c.relnamespace = 'rlrec'::regnamespace AND c.relkind = 'r' AND r.rolname LIKE 'r\_%'
			AND (has_table_privilege(r.oid, c.oid, privilege)
				OR privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege(r.oid, c.oid, privilege)) $$,
	'nobody has a right on the extension''s tables');
SELECT is_empty(
	$$ SELECT r.rolname, c.relname, privilege
		FROM pg_class c, pg_roles r, unnest('{USAGE,SELECT,UPDATE}'::text[]) privilege
		WHERE c.relnamespace = 'rlrec'::regnamespace AND c.relkind = 'S' AND c.relname NOT LIKE 'agent\_shop' AND r.rolname LIKE 'r\_%'
			AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(r.oid, c.oid, privilege) END $$,
	'nor on their sequences');
SELECT is_empty(
	$$ SELECT r.rolname, c.relname, privilege
		FROM pg_class c, pg_roles r, unnest('{INSERT,UPDATE,DELETE}'::text[]) privilege
		WHERE c.relnamespace = 'rlrec'::regnamespace AND c.relkind = 'v' AND r.rolname LIKE 'r\_%' AND has_table_privilege(r.oid, c.oid, privilege) $$,
	'nobody writes through its views');
SELECT ok(NOT has_schema_privilege('r_owner', 'rlrec', 'CREATE'), 'nor makes anything in its schema');
SELECT is_empty(
	$$ SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'rlrec'::regnamespace AND c.relkind = 'v'
		AND NOT coalesce('security_barrier=true' = ANY (c.reloptions), false) $$,
	'its views are security barriers');
SELECT is_empty(
	$$ SELECT p.proname FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'rlrec' WHERE p.prosecdef $$,
	'no function of the extension is SECURITY DEFINER');

-- ---- row-level security

ALTER TABLE shop.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON shop.events TO r_analyst USING (item_id < 5);
SELECT is(as_role('r_analyst', 'SELECT * FROM rlrec_recommend(1, 3, ''shop'', context => ''{"exclude_seen": false}'')'),
	as_role('r_owner', 'SELECT * FROM rlrec_recommend_for_history((SELECT array_agg(item_id::text ORDER BY at) FROM shop.events WHERE user_id = 1
		AND item_id < 5), 3, ''shop'', context => ''{"exclude_seen": false}'')'),
	'events that a policy hides from who asks are not in the history');
SELECT isnt(as_role('r_analyst', query), as_role('r_owner', query), 'the owner, in the same session, has them: ' || query)
	FROM (VALUES ('SELECT * FROM rlrec_recommend(1, 3, ''shop'')'), ('SELECT rlrec_score(''shop'', 1, 3)')) v (query);
SELECT is(as_role('r_stranger', 'SELECT count(*) FROM shop.events'), '(0)', 'no policy, no rows');

-- The same call under two roles in one query after the other.
CREATE FUNCTION score_of(who name) RETURNS real LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', who, true);
	RETURN rlrec_score('shop', 1, 3);
END
$$;
CREATE FUNCTION scores_of(names name[]) RETURNS real[] LANGUAGE plpgsql AS $$
DECLARE
	scores real[];
BEGIN
	FOR i IN 1 .. cardinality(names) LOOP
		scores[i] := score_of(names[i]);
		PERFORM set_config('role', 'none', true);
	END LOOP;
	RETURN scores;
END
$$;
SELECT is('(' || array_to_string(scores_of('{r_owner,r_analyst,r_owner}'), ') (') || ')',
	concat_ws(' ', as_role('r_owner', query), as_role('r_analyst', query), as_role('r_owner', query)), 'scores are not kept from one role to another')
	FROM (VALUES ('SELECT rlrec_score(''shop'', 1, 3)')) v (query);
SELECT throws_ok('SELECT scores_of(''{r_owner,r_stranger}'')', '42501', 'permission denied for agent "shop"', 'nor is the right to them');

-- Training sees what the owner sees, whoever asks for it.
SELECT is(as_role('r_owner', 'SELECT metrics ->> ''items'' FROM rlrec_train(''shop'', ''never'')'), '(9)', 'the owner of a table is above its policies');
ALTER TABLE shop.events FORCE ROW LEVEL SECURITY;
CREATE POLICY owned ON shop.events TO r_owner USING (item_id <> 7);
SELECT is(as_role('r_owner', 'SELECT metrics ->> ''items'' FROM rlrec_train(''shop'', ''never'')'), '(8)', 'unless they are forced');
SELECT is((SELECT metrics ->> 'items' FROM rlrec_train('shop')), '8', 'a superuser''s training sees what the owner sees, too');
SELECT is(rlrec_score('shop', 1, 7), '-Infinity', 'and the model does not know the rest');
ALTER TABLE shop.events NO FORCE ROW LEVEL SECURITY;
ALTER TABLE shop.events DISABLE ROW LEVEL SECURITY;

-- ---- views of an attacker: his candidates, items and, in training, events run as he, and can do nothing to whoever called

CREATE ROLE r_attacker;
CREATE SCHEMA lair AUTHORIZATION r_attacker;
GRANT USAGE ON SCHEMA lair TO PUBLIC;
GRANT SELECT ON shop.events TO r_attacker;
SET ROLE r_attacker;
CREATE TABLE lair.ran (part text, who name, path text, set_role text, make_superuser text, make_table text, deferred text);
CREATE TABLE lair.bait (i int);
CREATE FUNCTION lair.spring() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO lair.ran VALUES ('trigger', current_user); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON lair.bait DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lair.spring();
CREATE FUNCTION lair.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
CREATE FUNCTION lair.trap(part text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	INSERT INTO lair.ran VALUES (part, current_user, current_setting('search_path'),
		lair.try(format('SET ROLE %I', session_user)), lair.try('ALTER ROLE r_attacker SUPERUSER'),
		lair.try('CREATE TEMP TABLE bait (i int)'), lair.try('INSERT INTO lair.bait VALUES (1)'));
	RETURN true;
END
$$;
CREATE VIEW lair.shown AS SELECT i AS item_id FROM generate_series(1, 9) i WHERE i > 1 OR lair.trap('candidates');
CREATE VIEW lair.items AS SELECT i AS item_id, 'title ' || i AS title FROM generate_series(1, 9) i WHERE i > 1 OR lair.trap('items');
CREATE VIEW lair.events AS SELECT * FROM shop.events WHERE (user_id, item_id) <> (2, 1) OR lair.trap('events');
SELECT rlrec_create_agent('trap', events => 'lair.events', items => 'lair.items', candidates => 'lair.shown', learner => 'content',
	user_column => 'user_id', item_column => 'item_id', time_column => 'at', item_key => 'item_id', candidate_key => 'item_id');
RESET ROLE;

SELECT FROM rlrec_train('trap');
SELECT count(*) FROM rlrec_recommend(1, 3, 'trap') \g /dev/null
SELECT results_eq('SELECT DISTINCT part FROM lair.ran ORDER BY 1', ARRAY['candidates', 'events', 'items'], 'an attacker''s views are run');
SELECT is_empty($$ SELECT * FROM lair.ran WHERE who <> 'r_attacker' $$, 'as he');
SELECT is_empty($$ SELECT * FROM lair.ran WHERE path <> 'pg_catalog, pg_temp' $$, 'with a safe search_path');
SELECT is_empty($$ SELECT * FROM lair.ran WHERE set_role <> '42501' $$, 'they cannot become the one who called');
SELECT is_empty($$ SELECT * FROM lair.ran WHERE make_superuser <> '42501' $$, 'nor use his rights');
SELECT is_empty($$ SELECT * FROM lair.ran WHERE make_table <> '42501' $$, 'nor leave temporary tables in his session');
SELECT is_empty($$ SELECT * FROM lair.ran WHERE deferred <> '42501' $$, 'nor triggers that fire later');
SELECT is(current_user, session_user, 'afterwards the caller is who he was');
DELETE FROM lair.ran;
SELECT throws_ok('SELECT * FROM rlrec_recommend(1, 0, ''trap'')', '22023', NULL, 'and after an error');
SELECT is(current_user, session_user, 'too');

-- casts that he made of an enum of his own
SET ROLE r_attacker;
CREATE TYPE lair.mood AS ENUM ('good', 'bad');
CREATE FUNCTION lair.trap(mood lair.mood) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO lair.ran VALUES ('cast', current_user); RETURN 'good'; END $$;
CREATE FUNCTION lair.seconds(mood lair.mood) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN INSERT INTO lair.ran VALUES ('cast', current_user); RETURN 0; END $$;
CREATE CAST (lair.mood AS text) WITH FUNCTION lair.trap(lair.mood) AS IMPLICIT;
CREATE CAST (lair.mood AS float8) WITH FUNCTION lair.seconds(lair.mood) AS IMPLICIT;
CREATE TABLE lair.moods AS SELECT *, (CASE user_id % 2 WHEN 0 THEN 'good' ELSE 'bad' END)::lair.mood AS event FROM shop.events;
SELECT rlrec_create_agent('moods', events => 'lair.moods', learner => 'itemknn', rewards => '{"good": 2, "bad": 1}');
RESET ROLE;
SELECT is(as_role('r_attacker', 'SELECT version FROM rlrec_train(''moods'')'), '(1)', 'an agent whose events are of an enum is trained');
SELECT results_eq('SELECT item_id::text FROM rlrec_recommend(1, 9, ''moods'', context => ''{"exclude_seen": false}'') r, lair.moods m WHERE r.item = m.item_id::text AND user_id = 1 ORDER BY 1',
	'SELECT item_id::text FROM lair.moods WHERE user_id = 1 ORDER BY 1', 'and recommends');
SELECT results_eq('SELECT DISTINCT event, reward FROM rlrec_rewards(''moods'') ORDER BY 1', $$ VALUES ('bad', 1::real), ('good', 2) $$, 'what an event is called is its label');
SELECT rlrec_attach('moods');
INSERT INTO lair.moods VALUES (1, 2, now(), 'bad');
SELECT rlrec_process('moods');
SELECT is_empty('SELECT * FROM lair.ran', 'and runs no cast that its owner made');
SELECT rlrec_detach('moods');
ALTER TABLE lair.moods ALTER at TYPE lair.mood USING 'good';
SELECT throws_ok('SELECT rlrec_recommend(1, 3, ''moods'')', '42804', NULL, 'a time that became an enum is an error');
SELECT is_empty('SELECT * FROM lair.ran', 'before it is cast');
DROP OWNED BY r_attacker CASCADE;

-- ---- search_path: what stands in front of pg_catalog changes nothing

CREATE FUNCTION trapped(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_catalog.set_config('search_path', 'trap, pg_catalog, public', true);
	EXECUTE statement;
	PERFORM pg_catalog.set_config('search_path', 'public', true);
	RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END
$$;
CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO PUBLIC;
CREATE FUNCTION trap.sprung() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'the trap has sprung'; END $$;
SELECT format('CREATE FUNCTION trap.compare(%s, %s) RETURNS boolean LANGUAGE sql AS $$ SELECT trap.sprung() $$', type, type)
	FROM unnest('{int,bigint,text,oid,name}'::text[]) type \gexec
SELECT format('CREATE OPERATOR trap.%s (FUNCTION = trap.compare, LEFTARG = %s, RIGHTARG = %s)', operator, type, type)
	FROM unnest('{=,<,<=,<>}'::text[]) operator, unnest('{int,bigint,text,oid,name}'::text[]) type \gexec
CREATE FUNCTION trap.unnest(bigint[]) RETURNS SETOF bigint LANGUAGE sql AS $$ SELECT trap.sprung()::int::bigint $$;
CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT trap.sprung()::text::timestamptz $$;
CREATE FUNCTION trap.int8(int) RETURNS bigint LANGUAGE sql AS $$ SELECT trap.sprung()::int::bigint $$;
CREATE FUNCTION trap.has_sequence_privilege(oid, text) RETURNS boolean LANGUAGE sql AS $$ SELECT trap.sprung() $$;
CREATE DOMAIN trap.int8 AS text;
CREATE DOMAIN trap.float8 AS text;
CREATE DOMAIN trap.text AS int;
CREATE DOMAIN trap.timestamp AS text;
CREATE TABLE trap.rewarded (user_id int, item_id int, on_day date, kind varchar, price numeric);
INSERT INTO trap.rewarded SELECT user_id, item_id, at::date, 'buy', 2 FROM shop.events;
CREATE TABLE trap.goods (item_id int PRIMARY KEY, title pg_catalog.text, price int);
INSERT INTO trap.goods SELECT i, 'title ' || i, i FROM generate_series(1, 9) i;
SELECT is(trapped('SELECT 1 = 1'), 'the trap has sprung', 'the trap works');
SELECT is(trapped(statement), 'fine', 'search_path is no trap for' || statement) FROM unnest(ARRAY[
	$$ SELECT rlrec_create_agent('path', events => 'trap.rewarded', items => 'trap.goods', candidates => 'trap.goods', learner => 'hybrid',
		user_column => 'user_id', item_column => 'item_id', time_column => 'on_day', event_column => 'kind', value_column => 'price',
		rewards => '{"buy": 2}', options => '{"versions": 2}', item_key => 'item_id', candidate_key => 'item_id') $$,
	$$ SELECT rlrec_train('path') $$,
	$$ SELECT rlrec_train('path') $$,
	$$ SELECT rlrec_train('path', 'never') $$,
	$$ SELECT rlrec_train('path', 'if_better') $$,
	$$ SELECT rlrec_deploy('path', 3) $$,
	$$ SELECT rlrec_rollback('path') $$,
	$$ SELECT rlrec_alter_agent('path', learner => 'content') $$,
	$$ SELECT rlrec_train('path') $$,
	$$ SELECT rlrec_recommend(1, 3, 'path') $$,
	$$ SELECT rlrec_recommend('1', 3, 'path', candidates => '{1,2,3}') $$,
	$$ SELECT rlrec_alter_agent('path', '{"explore": "thompson", "decision_retention": 1e-6}') $$,
	$$ SELECT rlrec_serve(1, 3, 'path') $$,
	$$ SELECT rlrec_trim_decisions('path') $$,
	$$ SELECT rlrec_recommend_for_history('{1}', 3, 'path') $$,
	$$ SELECT rlrec_recommend_all('path', 3) $$,
	$$ SELECT rlrec_rewards('path') $$,
	$$ SELECT rlrec_similar_items(1, 3, 'path') $$,
	$$ SELECT rlrec_score('path', 1, 2) $$,
	$$ SELECT rlrec_evaluate('path') $$,
	$$ TABLE rlrec.agents $$, $$ TABLE rlrec.models $$, $$ TABLE rlrec.decisions $$, $$ TABLE rlrec.training_progress $$,
	$$ SELECT rlrec_drop_agent('path') $$]) statement;
CREATE TABLE rows (rank int, item text);
SELECT trapped('INSERT INTO rows SELECT rank, item FROM rlrec_recommend(1, 3, ''shop'')') \g /dev/null
SELECT results_eq('TABLE rows', 'SELECT rank, item FROM rlrec_recommend(1, 3, ''shop'')', 'and the rows are the same');

-- ---- agent => NULL

SELECT isnt(as_role('r_analyst', 'SELECT * FROM rlrec_recommend(1)'), NULL, 'the only agent that there is');
CREATE TABLE shop.other AS TABLE shop.events;
ALTER TABLE shop.other OWNER TO r_stranger;
SELECT is(as_role('r_stranger', 'SELECT rlrec_create_agent(''other'', events => ''shop.other'', learner => ''markov'')'), '("")', 'another agent');
SELECT is(as_role('r_stranger', 'SELECT version FROM rlrec_train(NULL)'), '(1)', 'rlrec_train(NULL) considers what the caller owns');
SELECT alike(as_role('r_analyst', 'SELECT * FROM rlrec_recommend(1, 1)'), '%,itemknn)', 'who may use one of two need not name it');
SELECT alike(as_role('r_stranger', 'SELECT * FROM rlrec_recommend(1, 1)'), '%,markov)', 'nor the one who may use the other');
SELECT throws_ok('SELECT * FROM rlrec_recommend(1, 1)', '42P08', 'there are 2 agents that you may use', 'who may use both has to');

-- ---- a row whose anchor is gone, or whose OID is another relation's, is no agent

UPDATE rlrec.agent SET anchor = 'shop.other' WHERE name = 'other';
SELECT is(as_role('r_stranger', 'SELECT count(*) FROM rlrec.agents'), '(0)', 'a table is no anchor');
SELECT is(as_role('r_stranger', 'SELECT * FROM rlrec_recommend(1, 1, ''other'')'), '42704: agent "other" does not exist', 'nor for who owns the table');
CREATE SEQUENCE shop.number;
ALTER SEQUENCE shop.number OWNER TO r_stranger;
UPDATE rlrec.agent SET anchor = 'shop.number' WHERE name = 'other';
SELECT is(as_role('r_stranger', 'SELECT * FROM rlrec_recommend(1, 1, ''other'')'), '42704: agent "other" does not exist', 'nor is a sequence elsewhere');
SELECT is(as_role('r_stranger', 'SELECT count(*) FROM rlrec.models'), '(0)', 'nor are its versions seen');

-- ---- a new owner; no owner

SELECT is(as_role('r_owner', 'ALTER SEQUENCE rlrec.agent_shop OWNER TO r_heir'), '42501: must be able to SET ROLE "r_heir"',
	'an agent cannot be foisted on somebody') WHERE current_setting('server_version_num')::int >= 160000;
SELECT is(as_role('r_owner', 'ALTER SEQUENCE rlrec.agent_shop OWNER TO r_heir'), '42501: must be member of role "r_heir"',
	'an agent cannot be foisted on somebody') WHERE current_setting('server_version_num')::int < 160000;
SELECT throws_ok('DROP ROLE r_owner', '2BP01', NULL, 'a role that owns an agent cannot be dropped');
ALTER SEQUENCE rlrec.agent_shop OWNER TO r_heir;
SELECT is((SELECT owner FROM rlrec.agents WHERE name = 'shop'), 'r_heir', 'ALTER SEQUENCE ... OWNER TO gives an agent to another');
SELECT is(as_role('r_owner', 'SELECT * FROM rlrec_train(''shop'')'), '42501: must be owner of agent "shop"', 'the old owner has it no more');
SELECT is(as_role('r_heir', 'SELECT * FROM rlrec_train(''shop'')'), '42501: permission denied for table events', 'the new one needs rights on the events');
GRANT SELECT ON shop.events TO r_heir;
SELECT is(as_role('r_heir', 'SELECT deployed FROM rlrec_train(''shop'')'), '(t)', 'and trains with them');
REASSIGN OWNED BY r_heir TO r_owner;
SELECT is((SELECT owner FROM rlrec.agents WHERE name = 'shop'), 'r_owner', 'REASSIGN OWNED gives it back');
SELECT isnt(as_role('r_analyst', 'SELECT * FROM rlrec_recommend(1, 3, ''shop'')'), NULL, 'what was granted stays granted');

DROP OWNED BY r_analyst;
SELECT is(as_role('r_analyst', 'SELECT * FROM rlrec_recommend(1, 3, ''shop'')'), '42501: permission denied for agent "shop"',
	'DROP OWNED takes what was granted');
CREATE TABLE kept AS TABLE shop.events;
DROP OWNED BY r_owner CASCADE;
SELECT is_empty('SELECT * FROM rlrec.agents', 'DROP OWNED drops an agent');
SELECT throws_ok('SELECT * FROM rlrec_recommend(1, 3, ''shop'')', '42704', 'agent "shop" does not exist', 'which cannot be used any more');
ALTER TABLE kept OWNER TO r_heir;
SELECT is(as_role('r_heir', 'SELECT rlrec_create_agent(''shop'', events => ''public.kept'')'), '("")', 'its name is free');
SELECT is((SELECT count(*) FROM rlrec.models), 0::bigint, 'and the new agent has nothing of the old');
SELECT is((SELECT count(*) FROM rlrec.model m WHERE NOT EXISTS (SELECT FROM rlrec.agent a WHERE a.id = m.agent)), 0::bigint, 'which is gone');

SELECT * FROM finish();
ROLLBACK;
