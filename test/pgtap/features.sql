-- The items table as features, seen through the learner `content`.
BEGIN;
SET client_min_messages = warning;
SELECT plan(34);

CREATE TYPE department AS ENUM ('feet', 'head', 'kitchen');
CREATE TABLE brands (id int PRIMARY KEY);
INSERT INTO brands VALUES (1), (2), (3);
CREATE TABLE goods (id int PRIMARY KEY, title text, department department, price numeric, since date, tags text[], look real[],
	brand int REFERENCES brands, organic boolean, details jsonb);
INSERT INTO goods VALUES
	(1, 'Red wool sock', 'feet', 5, '2020-01-01', '{red,warm}', '{1,0,0}', 1, true, '{}'),
	(2, 'Red cotton sock', 'feet', 6, '2020-02-01', '{red}', '{9,1,0}', 2, false, '{}'),
	(3, 'Blue wool hat', 'head', 20, '2022-01-01', '{blue,warm}', '{0,1,0}', 2, true, '{}'),
	(4, 'Green felt hat', 'head', 21, '2022-02-01', '{green}', '{0,9,1}', 3, false, '{}'),
	(5, 'Steel pan', 'kitchen', 80, '2024-01-01', '{hob}', '{0,0,1}', 1, NULL, '{}'),
	(6, 'Iron pan', 'kitchen', 1000000, '2024-02-01', '{hob}', '{0,1,9}', 3, NULL, '{}'),
	(7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- Item 2 has no event.
CREATE TABLE events (user_id int NOT NULL, item_id int NOT NULL, at timestamptz NOT NULL);
INSERT INTO events VALUES (1, 1, '2025-01-01'), (2, 3, '2025-01-01'), (2, 4, '2025-01-02'), (3, 5, '2025-01-01'), (3, 6, '2025-01-02'),
	(4, 7, '2025-01-01'), (5, 5, '2025-01-01'), (5, 4, '2025-01-02'), (6, 5, '2025-01-01');

-- An agent over the items of a query, trained.
CREATE FUNCTION learn(agent text, query text, options jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE VIEW %I AS %s', agent || '_items', query);
	PERFORM rlrec_create_agent(agent, events => 'events', items => (agent || '_items')::regclass, learner => 'content',
		options => options);
	PERFORM * FROM rlrec_train(agent);
END
$$;
CREATE FUNCTION nearest(agent text, id int) RETURNS text LANGUAGE sql AS $$
	SELECT item FROM rlrec_similar_items(id, 1, agent) ORDER BY rank $$;
CREATE FUNCTION similarity(agent text, a int, b int) RETURNS numeric LANGUAGE sql AS $$
	SELECT round(COALESCE(max(score), 0)::numeric, 4) FROM rlrec_similar_items(a, 100, agent) WHERE item = b::text $$;
CREATE FUNCTION detail_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END
$$;

-- each kind of column
SELECT learn('words', 'SELECT id, title FROM goods');
SELECT is(nearest('words', 1), '2', 'text: two words in common are nearest');
SELECT is(nearest('words', 6), '5', 'text: a word in common is nearer than none');
SELECT is(similarity('words', 1, 5), 0.0000, 'text: no word in common is a cosine of 0');
-- red and sock are in both, wool in 1 and 3, cotton in 2 only; 7 items are described
SELECT is(similarity('words', 1, 2),
	round((2 * ln(1 + 7 / 2.0) ^ 2 / (sqrt(3 * ln(1 + 7 / 2.0) ^ 2) * sqrt(2 * ln(1 + 7 / 2.0) ^ 2 + ln(1 + 7 / 1.0) ^ 2)))::numeric, 4),
	'text: the cosine is that of the documented formula');

SELECT learn('longer', 'SELECT id, CASE WHEN id > 2 THEN title ELSE ''red red red'' || repeat('' wool'', id - 1) END AS title FROM goods');
-- 1: red x 3; 2: red x 3, wool x 1; red in 2 items, wool in 2
SELECT is(similarity('longer', 1, 2), round(((1 + ln(3.0)) / sqrt((1 + ln(3.0)) ^ 2 + 1))::numeric, 4),
	'text: a word counts by the logarithm of its frequency');

SELECT learn('stems', 'SELECT id, to_tsvector(''english'', title || CASE id WHEN 3 THEN '' pans'' ELSE '''' END) FROM goods');
SELECT cmp_ok(similarity('stems', 3, 5), '>', 0.0, 'tsvector: the words are those of the column''s own text search');

SELECT learn('categories', 'SELECT id, department FROM goods');
SELECT is(nearest('categories', 3), '4', 'enum: the same category is nearest');
SELECT is(similarity('categories', 3, 4), 1.0000, 'enum: the same category is a cosine of 1');
SELECT is(similarity('categories', 3, 5), 0.0000, 'enum: another category is a cosine of 0');

SELECT learn('flags', 'SELECT id, organic FROM goods');
SELECT is(similarity('flags', 2, 4), 1.0000, 'boolean: false and false agree');
SELECT is(similarity('flags', 2, 5), 0.0000, 'boolean: false and NULL do not');

SELECT learn('prices', 'SELECT id, price FROM goods');
SELECT is(nearest('prices', 1), '2', 'numeric: the nearest number is nearest');
SELECT is(nearest('prices', 3), '4', 'numeric: an outlier does not blur the others');
SELECT cmp_ok(similarity('prices', 3, 4), '>', similarity('prices', 3, 1), 'numeric: nearer numbers have a higher cosine');
SELECT is(similarity('prices', 1, 6), 0.0000, 'numeric: far numbers are orthogonal');

SELECT learn('scaled', 'SELECT id, price * 1000 - 7 AS price FROM goods');
SELECT results_eq('SELECT item, round(score::numeric, 4) FROM rlrec_similar_items(3, 10, ''scaled'')',
	'SELECT item, round(score::numeric, 4) FROM rlrec_similar_items(3, 10, ''prices'')', 'numeric: neither unit nor origin matters');

SELECT learn('dates', 'SELECT id, since FROM goods');
SELECT is(nearest('dates', 5), '6', 'date: the nearest day is nearest');

SELECT learn('tags', 'SELECT id, tags FROM goods');
SELECT is(nearest('tags', 5), '6', 'text[]: the same tags are nearest');
SELECT is(nearest('tags', 3), '1', 'text[]: a tag in common is nearer than none');

SELECT learn('looks', 'SELECT id, look FROM goods');
SELECT is(similarity('looks', 1, 2), round((9 / sqrt(82.0))::numeric, 4), 'real[]: the cosine is that of the vectors');
SELECT is(nearest('looks', 5), '6', 'real[]: the nearest direction is nearest');

CREATE TABLE branded (id int PRIMARY KEY, brand int REFERENCES brands);
INSERT INTO branded SELECT id, brand FROM goods;
SELECT rlrec_create_agent('brands', events => 'events', items => 'branded', learner => 'content');
SELECT count(*) FROM rlrec_train('brands');
SELECT is(similarity('brands', 1, 5), 1.0000, 'foreign key: the same key agrees');
SELECT is(similarity('brands', 2, 4), 0.0000, 'foreign key: a category, not a number');

-- the whole table
SELECT rlrec_create_agent('shop', events => 'events', items => 'goods', learner => 'content');
SELECT count(*) FROM rlrec_train('shop');
SELECT is((SELECT item FROM rlrec_recommend(1, 1, 'shop')), '2', 'an item without events is recommended by its features');
SELECT is(similarity('shop', 1, 7), 0.0000, 'an item of which nothing is known is like none');
SELECT is((SELECT count(*) FROM rlrec_recommend(4, 3, 'shop')), 3::bigint, 'a user of such items is recommended what is popular');

CREATE TABLE shuffled AS SELECT * FROM goods ORDER BY title DESC;
SELECT rlrec_create_agent('shuffled', events => 'events', items => 'shuffled', learner => 'content');
SELECT count(*) FROM rlrec_train('shuffled');
SELECT learn('ordered', 'SELECT * FROM shuffled ORDER BY price');
SELECT results_eq('SELECT item, score FROM rlrec_recommend(2, 10, ''shuffled'')', 'SELECT item, score FROM rlrec_recommend(2, 10, ''ordered'')',
	'the order of the rows does not change a bit of the scores');

SELECT learn('recent', 'SELECT id, department FROM goods', '{"profile_half_life": 0.1}');
SELECT learn('steady', 'SELECT id, department FROM goods');
-- user 5 had a pan, then a hat
SELECT is((SELECT item FROM rlrec_recommend(5, 1, 'recent')), '3', 'profile_half_life: the last event decides');
SELECT is((SELECT round(score::numeric, 3) FROM rlrec_recommend(5, 10, 'steady') WHERE item = '3'), round(sqrt(0.5), 3),
	'profile_half_life: without it all events weigh the same');

-- errors
SELECT throws_ok('SELECT learn(''nan'', ''SELECT id, CASE id WHEN 3 THEN ''''NaN'''' ELSE price END AS price FROM goods'')', '22000',
	'column "price" of item "3" in "nan_items" is not a finite number', 'NaN is an error that names column and item');
SELECT throws_ok('SELECT learn(''uneven'', ''SELECT id, CASE id WHEN 3 THEN ''''{1}'''' ELSE look END AS look FROM goods ORDER BY id'')', '22000',
	'column "look" of item "3" in "uneven_items" has 1 elements, not 3', 'vectors of unequal length are an error that names column and item');
SELECT throws_ok('SELECT learn(''null'', ''SELECT NULLIF(id, 3) AS id, title FROM goods'')', '22004', NULL, 'a NULL id is an error');
SELECT is(detail_of('SELECT learn(''empty'', ''SELECT id, details, 5 AS constant FROM goods'')'),
	'The reason is that the agent has no items table with feature columns.', 'items without features are an error');

CREATE TABLE wordy AS SELECT i AS id, (SELECT string_agg(md5((i * 10000 + j)::text), ' ') FROM generate_series(1, 5000) AS j) AS text
	FROM generate_series(1, 7) AS i;
SET LOCAL maintenance_work_mem = '1MB';
SELECT throws_ok('SELECT learn(''wordy'', ''SELECT * FROM wordy'')', '53200', 'the features of the items need more than maintenance_work_mem',
	'maintenance_work_mem holds');

SELECT * FROM finish();
ROLLBACK;
