-- What the items table says lets the learner "supervised" place items that have no events.
SET client_min_messages = warning;
SELECT plan(29);

-- Items 1 .. 80 are sold, 81 .. 90 are new. Users who like the odd ones take odd ones, the others even ones.
CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int, at int);
INSERT INTO events (user_id, item_id, at)
SELECT u, 1 + u % 2 + 2 * ((u * 7 + n * n * 3 + n * 11) % 40), n FROM generate_series(0, 79) u, generate_series(1, 8) n;

-- Words of new items have only parts in common with those of the sold ones; Ä and ä are two bytes each.
CREATE TABLE goods AS
SELECT i AS id, CASE WHEN i % 2 = 1 THEN 'feet' ELSE 'kitchen' END AS department,
	CASE WHEN i <= 80 THEN (ARRAY['running', 'kochend', 'runner', 'kochen', 'läufer', 'töpfe'])[1 + (i - 1) % 6]
		ELSE (ARRAY['rerunning', 'gekocht', 'runners', 'kochens', 'vorläufer', 'töpfen'])[1 + (i - 1) % 6] END || ' n' || i AS title,
	ARRAY[sin(i), cos(i) / 2, (i % 2) * 2 - 1, sin(3 * i)]::real[] AS look,
	CASE WHEN i % 2 = 1 THEN 10 ELSE 90 END + i % 7 AS price
FROM generate_series(1, 90) i;

CREATE FUNCTION learn(agent text, columns text, options jsonb DEFAULT '{}') RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE VIEW %I AS SELECT %s FROM goods', agent || '_items', columns);
	PERFORM rlrec_create_agent(agent, 'events', items => (agent || '_items')::regclass, learner => 'supervised', options =>
		'{"epochs": 8, "finish": 0, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 16, "hidden": 16, "length": 8,
		"negatives": 32, "dropout": 0}'::jsonb || options);
	RETURN (SELECT version FROM rlrec_train(agent));
END
$$;

-- Of all pairs of a new item of the user's kind and one of the other, the share in which the former has the higher score
CREATE FUNCTION told_apart(agent text) RETURNS numeric LANGUAGE sql AS $$
	WITH scores AS MATERIALIZED (
		SELECT u, i, i % 2 = (u + 1) % 2 AS own, rlrec_score(agent, u, i) AS score
		FROM generate_series(0, 79, 7) u, generate_series(81, 90) i)
	SELECT round(avg((a.score > b.score)::int), 2) FROM scores a JOIN scores b USING (u) WHERE a.own AND NOT b.own $$;

-- The same of a new item of the user's kind and a sold one of the other
CREATE FUNCTION above_sold(agent text) RETURNS numeric LANGUAGE sql AS $$
	WITH scores AS MATERIALIZED (
		SELECT u, i, i % 2 = (u + 1) % 2 AS own, rlrec_score(agent, u, i) AS score
		FROM generate_series(0, 79, 7) u, generate_series(1, 90) i)
	SELECT round(avg((a.score > b.score)::int), 2)
	FROM scores a JOIN scores b USING (u) WHERE a.own AND a.i > 80 AND NOT b.own AND b.i <= 80 $$;

SELECT is(learn('category', 'id, department'), 1, 'category');
SELECT is(told_apart('category'), 1.00, 'new items are told apart by their category');
SELECT cmp_ok(above_sold('category'), '>=', 0.95, 'and come before what others buy');
SELECT is(learn('words', 'id, title'), 1, 'text');
SELECT cmp_ok(told_apart('words'), '>=', 0.90, 'and by parts of words that no item with events has');
SELECT is(learn('vector', 'id, look'), 1, 'vector');
SELECT cmp_ok(told_apart('vector'), '>=', 0.95, 'and by a vector');
SELECT is(learn('number', 'id, price'), 1, 'number');
SELECT cmp_ok(told_apart('number'), '>=', 0.95, 'and by a number');
SELECT is(learn('all', '*', '{"seed": 2}'), 1, 'all of them, another seed');
SELECT is(told_apart('all'), 1.00, 'and by all of it');
SELECT is(learn('full', 'id, department, title', '{"seed": 3, "loss": "full", "threads": 1}'), 1, 'all items as negatives');
SELECT is(told_apart('full'), 1.00, 'come to the same');
SELECT cmp_ok(above_sold('full'), '>=', 0.95, 'and new items come before what others buy');
INSERT INTO goods SELECT i, 'attic' FROM generate_series(100, 50100) i;
SELECT is(learn('many', 'id, department'), 1, 'so many items that a step updates only the rows that it touched');
SELECT is(told_apart('many'), 1.00, 'come to the same');
SELECT is(learn('many_one', 'id, department', '{"threads": 1}'), 1, 'and with one thread');
SELECT ok(rlrec_model_weights('many') = rlrec_model_weights('many_one'), 'to the same weights, bit for bit');
DELETE FROM goods WHERE id >= 100;
SELECT is(learn('nothing', 'id'), 1, 'no features');
SELECT cmp_ok(told_apart('nothing'), '<', 0.80, 'tell nothing');

-- Features that do not fit are left out, and auto goes on.
CREATE TABLE wordy AS SELECT i AS id, (SELECT string_agg(md5(i || 'x' || n), ' ') FROM generate_series(1, 60) n) AS text FROM generate_series(1, 90) i;
SELECT rlrec_create_agent('wordy', 'events', items => 'wordy', options => '{"epochs": 1}') \g /dev/null
SET maintenance_work_mem = '40MB';
SELECT is((SELECT version FROM rlrec_train('wordy')), 1, 'auto, with features that do not fit');
SELECT ok(metrics->'validation_ndcg' ? 'supervised', 'has tried supervised without them') FROM rlrec.models WHERE agent = 'wordy';
RESET maintenance_work_mem;
SELECT is(learn('one', '*', '{"epochs": 2, "threads": 1}'), 1, 'one thread');
SELECT is(learn('two', '*', '{"epochs": 2, "threads": 2}'), 1, 'two threads');
SELECT ok(rlrec_model_weights('one') = rlrec_model_weights('two'), 'come to the same weights, bit for bit');

-- What has a row of the projection
CREATE FUNCTION buckets(agent text) RETURNS SETOF float8 LANGUAGE sql AS $$
	SELECT unnest(rlrec_weights_tensor(rlrec_model_weights(agent), 'feature_bucket')) $$;
SELECT is((SELECT count(*) FROM buckets('words')), (
	WITH words AS (SELECT id, '<' || w || '>' AS word FROM goods, regexp_split_to_table(title, ' ') w),
		grams AS (SELECT id, word AS gram FROM words
			UNION SELECT id, substr(word, at, n) FROM words, generate_series(3, 5) n, generate_series(1, length(word) - n + 1) at)
	SELECT count(*) FROM (SELECT gram FROM grams GROUP BY gram HAVING count(DISTINCT id) > 1) shared),
	'words have n-grams of 3 to 5 characters, of which those that two items share have a row');
SELECT bag_has('SELECT * FROM buckets(''all'')', 'SELECT * FROM buckets(''category'')', 'a feature has the same bucket whatever others there are');
SELECT is((SELECT elements FROM rlrec_weights_tensors(rlrec_model_weights('all')) WHERE name = 'feature_projection'),
	16 * count(*), 'and a row of the projection for each') FROM buckets('all');
SELECT throws_ok($$SELECT rlrec_alter_agent('all', '{"modality_dropout": 1}')$$, '22023', NULL, 'modality_dropout is a share below 1');

SELECT * FROM finish();
