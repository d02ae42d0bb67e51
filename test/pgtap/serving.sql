-- Serving: exactly k rows whenever k items are eligible, the events as they are now, ids in every form, the same answer by every way.
SET client_min_messages = warning;
SELECT no_plan();

-- 40 users and 30 items of which the first ones are popular; items 31 and 32 have no event.
CREATE TABLE items (id int PRIMARY KEY, title text, in_stock boolean);
INSERT INTO items SELECT i, 'thing ' || i % 7 || ' kind ' || i % 3, i % 3 > 0 FROM generate_series(1, 32) i;
CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int REFERENCES items, at timestamptz);
INSERT INTO events (user_id, item_id, at)
SELECT u, 1 + floor(30 * ((hashint8extended(u * 100 + n, 1) & 65535) / 65536.0) ^ 1.7)::int, timestamptz '2025-01-01' + (n * 100 + u) * interval '1 minute'
FROM generate_series(1, 40) u, generate_series(1, 12) n;
CREATE INDEX ON events (user_id, at);
CREATE VIEW shelf AS SELECT id FROM items WHERE in_stock;
ANALYZE;

CREATE TABLE learner (name text PRIMARY KEY);
INSERT INTO learner VALUES ('popularity'), ('content'), ('itemknn'), ('ease'), ('als'), ('markov'), ('hybrid'), ('auto');
SELECT FROM learner, LATERAL rlrec_create_agent(name, 'events', items => 'items', learner => name), LATERAL (SELECT FROM rlrec_train(name)) t;
SELECT FROM rlrec_create_agent('shelf', 'events', items => 'items', candidates => 'shelf', learner => 'itemknn'), rlrec_train('shelf');
SELECT is((SELECT count(*) FROM rlrec.agents WHERE deployed = 1), 9::bigint, 'every learner serves');

CREATE FUNCTION items_of(agent text, user_id int, k int, candidates text[] DEFAULT NULL, exclude text[] DEFAULT NULL, context jsonb DEFAULT NULL)
RETURNS int[] LANGUAGE sql AS $$ SELECT array_agg(item::int ORDER BY rank) FROM rlrec_recommend(user_id, k, agent, candidates, exclude, context) $$;
CREATE FUNCTION had(user_id int) RETURNS SETOF int LANGUAGE sql AS $$ SELECT DISTINCT item_id FROM events e WHERE e.user_id = $1 $$;

-- ---------------------------------------------------------------- exactly k of the eligible, in order
-- The eligible items by their scores, which is the definition of what is recommended; only the two that score() has -Infinity for are at the end.
CREATE FUNCTION wanted(agent text, user_id int, k int, eligible int[]) RETURNS int[] LANGUAGE sql AS $$
	SELECT array_agg(id ORDER BY score DESC, id::text COLLATE "C")
	FROM (SELECT id, rlrec_score(agent, user_id, id) AS score FROM unnest(eligible) id ORDER BY score DESC, id::text COLLATE "C" LIMIT k) t $$;
SELECT is((SELECT count(*) FROM generate_series(1, 42) u, unnest('{1,7,100}'::int[]) k
	WHERE items_of(name, u, k) IS DISTINCT FROM wanted(name, u, k, ARRAY(SELECT id FROM items EXCEPT SELECT had(u)))), 0::bigint,
	name || ': the k best of what a user has not had, for all users and of the whole catalogue') FROM learner;
SELECT is((SELECT count(*) FROM generate_series(1, 40) u WHERE
	items_of(name, u, 5, candidates => '{3,5,8,13,21,29,31,5,5,999,NULL}', exclude => '{5,888,NULL}')
		IS DISTINCT FROM (wanted(name, u, 5, ARRAY(SELECT unnest('{3,8,13,21,29,31}'::int[]) EXCEPT SELECT had(u)))
			|| CASE WHEN (SELECT count(*) FROM (SELECT unnest('{3,8,13,21,29,31}'::int[]) EXCEPT SELECT had(u)) t) < 5 THEN ARRAY[999] END)), 0::bigint,
	name || ': candidates with duplicates, NULL and an unknown item, which comes last; exclude with the like') FROM learner;
SELECT is(items_of('shelf', 1, 100), wanted('shelf', 1, 100, ARRAY(SELECT id FROM items WHERE in_stock EXCEPT SELECT had(1))), 'the agent''s candidates');
SELECT is(items_of('shelf', 1, 100, '{1,2,3,4,5,6,28,29,30,31,32,999}'),
	wanted('shelf', 1, 100, ARRAY(SELECT id FROM items WHERE in_stock AND id IN (1, 2, 3, 4, 5, 6, 28, 29, 30, 31, 32) EXCEPT SELECT had(1))), 'both kinds of candidates: the items in both');
UPDATE items SET in_stock = NOT in_stock;
SELECT is(items_of('shelf', 1, 100), wanted('shelf', 1, 100, ARRAY(SELECT id FROM items WHERE in_stock EXCEPT SELECT had(1))), 'the view is read each time');
UPDATE items SET in_stock = NOT in_stock;
INSERT INTO items VALUES (33, 'new', true), (34, 'new', true);
SELECT is((items_of('shelf', 1, 100))[array_upper(items_of('shelf', 1, 100), 1) - 1:], '{33,34}', 'what is new since the training comes last, in order of its bytes');
SELECT is((SELECT array_agg(score) FROM rlrec_recommend(1, 100, 'shelf') WHERE item IN ('33', '34')), '{-Infinity,-Infinity}'::real[], 'with a score of -Infinity');
INSERT INTO events (user_id, item_id, at) VALUES (1, 33, now());
SELECT is((items_of('shelf', 1, 100))[array_upper(items_of('shelf', 1, 100), 1)], 34, 'and not when the user has had it');
SELECT is(NOT 33 = ANY (items_of('shelf', 1, 100)), true, 'indeed');
DELETE FROM events WHERE item_id = 33;
DELETE FROM items WHERE id > 32;
SELECT is(items_of('itemknn', 1, 5, '{}'), NULL, 'no candidates, no rows');
SELECT is(items_of('itemknn', 1, 5, exclude => ARRAY(SELECT id::text FROM items)), NULL, 'everything excluded, no rows');
SELECT is(items_of('itemknn', 1, 3, NULL, '{}'), items_of('itemknn', 1, 3), 'an empty exclude excludes nothing');
SELECT is((SELECT array_agg(rank) FROM rlrec_recommend(1, 4, 'ease')), '{1,2,3,4}', 'ranks from 1');

SELECT is((SELECT array_agg(id) FROM (SELECT id FROM items WHERE in_stock AND title LIKE '%kind 1' AND id NOT IN (SELECT had(5))
		ORDER BY rlrec_score(name, 5, id) DESC, id::text COLLATE "C" LIMIT 4) t),
	items_of(name, 5, 4, ARRAY(SELECT id::text FROM items WHERE in_stock AND title LIKE '%kind 1')), name || ': any WHERE with ORDER BY rlrec_score()') FROM learner;

-- ---------------------------------------------------------------- what a user has had
SELECT is(items_of(name, 1, 100, context => '{"exclude_seen": false}'), wanted(name, 1, 100, ARRAY(SELECT id FROM items)), name || ': exclude_seen of the context') FROM learner;
SELECT FROM rlrec_alter_agent('ease', '{"exclude_seen": false}');
SELECT is(cardinality(items_of('ease', 1, 100)), 32, 'exclude_seen of the agent');
SELECT is(cardinality(items_of('ease', 1, 100, context => '{"exclude_seen": true}')), 32 - (SELECT count(*)::int FROM had(1)), 'the context goes before it');
SELECT is(cardinality(items_of('ease', 1, 100, context => '{"exclude_seen": null}')), 32, 'null says nothing');
SELECT is((SELECT count(*) FROM rlrec_recommend_all('ease', 100) WHERE user_id = '1'), 32::bigint, 'for everybody');
SELECT FROM rlrec_alter_agent('ease', '{"exclude_seen": null}');

SELECT is((SELECT array_agg(DISTINCT source) FROM rlrec_recommend(1, 9, name)),
	ARRAY[CASE name WHEN 'auto' THEN (SELECT metrics->>'chosen' FROM rlrec.models WHERE agent = 'auto') ELSE name END], name || ': source') FROM learner;
SELECT is((SELECT array_agg(DISTINCT source) FROM rlrec_recommend(4711, 9, name)), '{popularity}', name || ': a user never seen gets what is popular') FROM learner;
SELECT is(items_of(name, 4711, 32), (SELECT array_agg(i.id ORDER BY (SELECT count(DISTINCT user_id) FROM events e WHERE e.item_id = i.id) DESC, i.id::text COLLATE "C")
	FROM items i), name || ': by how many users had it') FROM learner;

-- ---------------------------------------------------------------- now
BEGIN;
SELECT items_of('markov', 1, 1) AS old \gset
INSERT INTO events (user_id, item_id, at) SELECT 1, (:'old'::int[])[1], now();
SELECT is((:'old'::int[])[1] = ANY (items_of(name, 1, 100)), false, name || ': an event of this transaction counts') FROM learner;
INSERT INTO events (user_id, item_id, at) VALUES (4711, 7, now());
SELECT is((SELECT array_agg(DISTINCT source) FROM rlrec_recommend(4711, 9, 'itemknn')), '{itemknn}', 'a new user is known by his first event');
ROLLBACK;
SELECT is(items_of('markov', 1, 1), :'old'::int[], 'and no longer when it is rolled back');

CREATE FUNCTION scores_in_a_loop(level text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	a real;
	b real;
	c real;
	x real[];
BEGIN
	FOR i IN 1..3 LOOP
		x := x || rlrec_score('itemknn', 4712, 9);
		INSERT INTO events (user_id, item_id, at) VALUES (4712, i, now());
	END LOOP;
	RETURN NEXT ok(x[1] < x[2] AND x[2] < x[3], level || ': a loop that inserts events sees each of them');
	FOR i IN 4..5 LOOP
		a := rlrec_score('itemknn', 4712, 9);
		BEGIN
			INSERT INTO events (user_id, item_id, at) VALUES (4712, i, now());
			b := rlrec_score('itemknn', 4712, 9);
			RAISE EXCEPTION 'undo';
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
		c := rlrec_score('itemknn', 4712, 9);
		RETURN NEXT ok(b <> a AND c = a, level || ': and one that is rolled back no longer');
	END LOOP;
	FOR i IN 1..2 LOOP
		x[i] := rlrec_score('itemknn', 4710 + i, 9);
	END LOOP;
	RETURN NEXT ok(x[1] <> x[2], level || ': each user has his own scores');
	DELETE FROM events WHERE user_id = 4712;
END
$$;
SELECT scores_in_a_loop('read committed');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT scores_in_a_loop('repeatable read');
COMMIT;
SELECT is((SELECT count(DISTINCT s) FROM (SELECT rlrec_score(name, 3, 8) AS s FROM learner) t), 8::bigint - (SELECT count(*) FROM rlrec.models WHERE agent = 'auto'),
	'an agent that changes from row to row is looked up anew');
SELECT is((SELECT array_agg(rlrec_score('itemknn', u, i) ORDER BY u, i) FROM generate_series(1, 3) u, generate_series(1, 3) i),
	(SELECT array_agg(rlrec_score('itemknn', u, i) ORDER BY u, i) FROM (SELECT * FROM generate_series(1, 3) i, generate_series(1, 3) u OFFSET 0) t), 'in whatever order users come');

-- ---------------------------------------------------------------- one answer
SELECT is((SELECT count(*) FROM generate_series(1, 40) u WHERE items_of(name, u, 9) IS DISTINCT FROM
	(SELECT array_agg(item::int ORDER BY rank) FROM rlrec_recommend_for_history(ARRAY(SELECT item_id::text FROM events e WHERE e.user_id = u ORDER BY at, id), 9, name))),
	0::bigint, name || ': rlrec_recommend_for_history() of his history') FROM learner;
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend_for_history('{4,NULL,999,4}', 5, name)),
	(SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend_for_history('{4,4}', 5, name)), name || ': NULL and unknown items tell nothing') FROM learner;
SELECT is((SELECT array_agg(item::int ORDER BY rank) FROM rlrec_recommend_for_history(h, 5, name)), items_of(name, 4711, 5), name || ': no history')
FROM learner, (VALUES ('{}'::text[]), (NULL), ('{NULL,999}')) v(h);
SELECT set_eq(format('SELECT user_id, rank, item, score FROM rlrec_recommend_all(%L, 6)', name),
	format('SELECT u::text, rank, item, score FROM (SELECT DISTINCT user_id AS u FROM events) e, rlrec_recommend(u, 6, %L)', name),
	name || ': rlrec_recommend_all() is rlrec_recommend() of each') FROM learner;
SELECT set_eq($$SELECT user_id, rank, item, score FROM rlrec_recommend_all('shelf', 6)$$,
	$$SELECT u::text, rank, item, score FROM (SELECT DISTINCT user_id AS u FROM events) e, rlrec_recommend(u, 6, 'shelf')$$, 'with candidates too');
SELECT is((SELECT count(*) FROM rlrec_similar_items(2, 100, name)), 31::bigint, name || ': all items but itself are more or less similar') FROM learner WHERE name <> 'auto';
SELECT is((SELECT count(*) FROM rlrec_similar_items(2, 100, 'shelf')), (SELECT count(*) FROM shelf WHERE id <> 2), 'similar items are candidates');

-- Equal scores: by the bytes of the items, '10' before '2'.
CREATE TABLE ties (user_id text, item_id int);
INSERT INTO ties SELECT 'u' || i, i FROM generate_series(1, 12) i;
SELECT FROM rlrec_create_agent('ties', 'ties', learner => 'popularity'), rlrec_train('ties');
SELECT is((SELECT array_agg(item::int ORDER BY rank) FROM rlrec_recommend('x', 5, 'ties')), '{1,10,11,12,2}', 'equal scores rank by the bytes of the items');

-- ---------------------------------------------------------------- ids as they come
CREATE TEMP TABLE answer AS SELECT * FROM rlrec_recommend(3, 4, 'itemknn');
SELECT results_eq($$SELECT * FROM rlrec_recommend('3', 4, 'itemknn')$$, 'TABLE answer', 'an untyped literal');
SELECT results_eq($$SELECT * FROM rlrec_recommend('3'::text, 4, 'itemknn')$$, 'TABLE answer', 'text');
SELECT results_eq($$SELECT * FROM rlrec_recommend('3'::varchar, 4, 'itemknn')$$, 'TABLE answer', 'varchar');
SELECT results_eq($$SELECT * FROM rlrec_recommend(3::bigint, 4, 'itemknn')$$, 'TABLE answer', 'bigint');
SELECT results_eq($$SELECT * FROM rlrec_recommend(user_id => 3, agent => 'itemknn', k => 4)$$, 'TABLE answer', 'names of arguments');
PREPARE untyped AS SELECT * FROM rlrec_recommend($1, $2, $3);
SELECT results_eq($$EXECUTE untyped('3', 4, 'itemknn')$$, 'TABLE answer', 'a parameter of no type, as drivers send it');
SELECT is((SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped'), '{text,integer,text}'::regtype[], 'is text');
PREPARE typed(int, text[]) AS SELECT * FROM rlrec_recommend($1, 4, 'itemknn', $2);
SELECT results_eq($$EXECUTE typed(3, NULL)$$, 'TABLE answer', 'a parameter with a type');
SELECT results_eq($$EXECUTE typed(3, ARRAY(SELECT generate_series(1, 32)::text))$$, 'TABLE answer', 'candidates as a parameter');
PREPARE similar_to AS SELECT item FROM rlrec_similar_items($1, 3, 'itemknn');
SELECT results_eq($$EXECUTE similar_to('3')$$, $$SELECT item FROM rlrec_similar_items(3, 3, 'itemknn')$$, 'so with items');
SELECT is((SELECT array_agg(DISTINCT s) FROM (VALUES (rlrec_score('itemknn', 3, 2)), (rlrec_score('itemknn', 3, '2')), (rlrec_score('itemknn', '3', 2)),
	(rlrec_score('itemknn', '3', '2')), (rlrec_score('itemknn', 3::bigint, 2::smallint)), (rlrec_score('itemknn', 3::numeric, '2'::varchar))) v(s)),
	ARRAY[rlrec_score('itemknn', 3, 2)], 'the four forms of rlrec_score()');
PREPARE score AS SELECT rlrec_score($1, $2, $3);
SELECT results_eq($$EXECUTE score('itemknn', '3', '2')$$, $$SELECT rlrec_score('itemknn', 3, 2)$$, 'with parameters of no type');
SELECT is(rlrec_score('itemknn', 3, NULL), NULL, 'a NULL item has no score');
SELECT is(rlrec_score('itemknn', 3, NULL::int), NULL, 'of a type neither');
SELECT is((SELECT count(*) FROM (SELECT DISTINCT user_id FROM events) u, rlrec_recommend(user_id, 3, 'itemknn')), 120::bigint, 'LATERAL');

-- ---------------------------------------------------------------- plans
CREATE FUNCTION rows_of(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Plan Rows';
END
$$;
SELECT is(rows_of('SELECT * FROM rlrec_recommend(1, 37, ''itemknn'')'), 37, 'the planner expects k rows');
SELECT is(rows_of('SELECT * FROM rlrec_recommend(''1'', agent => ''itemknn'')'), 10, 'by default 10');
SELECT is(rows_of('SELECT * FROM rlrec_similar_items(1, 3, ''itemknn'')'), 3, 'of similar items');
SELECT is(rows_of('SELECT * FROM rlrec_recommend_for_history(''{1}'', 8, ''itemknn'')'), 8, 'of a history');
SELECT is(rows_of('SELECT * FROM rlrec_recommend(1, -1, ''itemknn'')'), 10, 'a wrong k is no matter for the planner');

SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END AS force \gset
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TEMP TABLE by_score AS SELECT id FROM items WHERE in_stock ORDER BY rlrec_score('itemknn', 3, id) DESC, id LIMIT 9;
SET :force = on;
SELECT results_eq($$SELECT * FROM rlrec_recommend(3, 4, 'itemknn')$$, 'TABLE answer', 'parallel query');
SELECT results_eq($$SELECT id FROM items WHERE in_stock ORDER BY rlrec_score('itemknn', 3, id) DESC, id LIMIT 9$$, 'TABLE by_score', 'of scores too');
SELECT is((SELECT count(*) FROM rlrec_recommend_all('itemknn', 3)), 120::bigint, 'for everybody');
RESET :force;

SELECT * FROM finish();
