-- Re-ranking by maximal marginal relevance: the lists against the formula in SQL, the same wherever lists are made, and what it measures.
SET client_min_messages = warning;
SELECT plan(61);

-- 60 users, 40 items of falling popularity; no item has more users than a sketch holds, so that its cosines are exact.
CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int, at timestamptz);
INSERT INTO events (user_id, item_id, at)
SELECT u, i, timestamptz '2025-01-01' + ((u * 31 + i * 17) % 97) * interval '1 hour' + u * interval '1 second'
FROM generate_series(1, 60) u, generate_series(1, 40) i
WHERE abs(hashint4(u * 1000 + i)) % 100 < CASE WHEN (u + i) % 3 = 0 THEN 60 ELSE 12 END - i / 2 OR i % 20 = u % 20;
CREATE INDEX ON events (user_id, at);
CREATE TABLE items AS SELECT i AS item_id, 'c' || i % 3 AS category, (i * i % 41)::float8 AS size, sqrt(i * 13 % 29) AS price FROM generate_series(1, 40) i;
CREATE VIEW before AS SELECT * FROM events e WHERE at < (SELECT max(at) FROM events l WHERE l.user_id = e.user_id);

CREATE TABLE learner (name text);
INSERT INTO learner VALUES ('popularity'), ('markov'), ('itemknn'), ('ease'), ('als'), ('content'), ('hybrid');
SELECT rlrec_create_agent(name, 'events', user_column => 'user_id', item_column => 'item_id', time_column => 'at', items => 'items', learner => name,
	encoder => 'none', options => '{"exclude_seen": false, "shortlist": 15}') FROM learner;
SELECT count(*) FROM learner, rlrec_train(name);

-- ---------------------------------------------------------------- the formula
CREATE TABLE score AS SELECT l.name, u AS user_id, r.rank, r.item::int, r.score::float8 FROM learner l, generate_series(1, 8) u, rlrec_recommend(u, 40, l.name) r;
CREATE TABLE likeness AS
	SELECT l.name, i AS item, r.item::int AS other, r.score::float8 AS likeness FROM learner l, generate_series(1, 40) i, rlrec_similar_items(i, 39, l.name) r
	WHERE l.name NOT IN ('popularity', 'markov', 'hybrid')
	UNION ALL
	SELECT n, a.item, b.item, (SELECT count(*) FROM unnest(a.users) u WHERE u = ANY (b.users)) / sqrt(cardinality(a.users) * cardinality(b.users))
	FROM (SELECT item_id, array_agg(DISTINCT user_id) FROM events GROUP BY 1) a(item, users), (SELECT item_id, array_agg(DISTINCT user_id) FROM events GROUP BY 1) b(item, users),
		unnest('{popularity,markov}'::text[]) n WHERE a.item <> b.item;
CREATE INDEX ON likeness (name, item, other);
SELECT is((SELECT max(users) < 64 FROM (SELECT count(DISTINCT user_id) AS users FROM events GROUP BY item_id) i), true, 'sketches are exact here');

CREATE FUNCTION reranked(agent text, for_user int, k int, diversity float8, novelty float8) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	list int[] := '{}';
	users constant float8 := (SELECT count(DISTINCT user_id) FROM events);
BEGIN
	CREATE TEMP TABLE short ON COMMIT DROP AS
		SELECT s.rank, s.item, (1 - novelty) * coalesce((s.score - min(s.score) OVER ()) / nullif(max(s.score) OVER () - min(s.score) OVER (), 0), 0)
			+ novelty * log(users / (SELECT count(DISTINCT user_id) FROM events e WHERE e.item_id = s.item)) / log(users) AS relevance
		FROM score s WHERE s.name = agent AND s.user_id = for_user AND s.rank <= 15;
	CREATE TEMP TABLE pair ON COMMIT DROP AS
		SELECT l.item, l.other, (l.likeness - min(l.likeness) OVER ()) / (max(l.likeness) OVER () - min(l.likeness) OVER ()) AS likeness
		FROM short a JOIN likeness l ON l.name = agent AND l.item = a.item JOIN short b ON b.item = l.other;
	FOR n IN 1 .. k LOOP
		list := list || (SELECT s.item FROM short s WHERE s.item <> ALL (list)
			ORDER BY round(((1 - diversity) * relevance - diversity * coalesce((SELECT max(likeness) FROM pair p WHERE p.other = s.item AND p.item = ANY (list)), 0))::numeric, 5) DESC, rank LIMIT 1);
	END LOOP;
	DROP TABLE short, pair;
	RETURN list;
END
$$;
CREATE FUNCTION list(agent text, for_user int, k int) RETURNS int[] LANGUAGE sql AS $$ SELECT array_agg(item::int ORDER BY rank) FROM rlrec_recommend(for_user, k, agent) $$;
CREATE FUNCTION lists(agent text, k int) RETURNS text[] LANGUAGE sql AS $$ SELECT array_agg(list(agent, u, k)::text ORDER BY u) FROM generate_series(1, 8) u $$;
CREATE FUNCTION expected(agent text, k int, diversity float8, novelty float8) RETURNS text[] LANGUAGE sql AS $$ SELECT array_agg(reranked(agent, u, k, diversity, novelty)::text ORDER BY u) FROM generate_series(1, 8) u $$;
CREATE TABLE plain AS SELECT name, lists(name, 40) AS lists FROM learner;

SELECT rlrec_alter_agent(name, '{"diversity": 0.4}') FROM learner;
SELECT is(lists(name, 10), expected(name, 10, 0.4, 0), name || ': diversity') FROM learner WHERE name <> 'hybrid';
SELECT isnt(lists(name, 40), (SELECT lists FROM plain p WHERE p.name = l.name), name || ': changes the lists, without a training') FROM learner l;
SELECT rlrec_alter_agent(name, '{"diversity": 0.3, "novelty": 0.5}') FROM learner;
SELECT is(lists(name, 10), expected(name, 10, 0.3, 0.5), name || ': diversity and novelty') FROM learner WHERE name <> 'hybrid';
SELECT rlrec_alter_agent(name, '{"diversity": null, "novelty": 0.7}') FROM learner;
SELECT is(lists(name, 10), expected(name, 10, 0, 0.7), name || ': novelty') FROM learner WHERE name <> 'hybrid';
SELECT rlrec_alter_agent('popularity', '{"diversity": 1, "novelty": 0}');
SELECT is((list('popularity', 1, 1))[1], (SELECT item FROM score WHERE name = 'popularity' AND user_id = 1 AND rank = 1), 'where all are equal the score decides');
SELECT rlrec_alter_agent('popularity', '{"diversity": null, "novelty": 1}');
SELECT is((list('popularity', 1, 15)), (SELECT array_agg(item ORDER BY score, rank) FROM score WHERE name = 'popularity' AND user_id = 1 AND rank <= 15),
	'novelty 1 turns popularity around');

-- ---------------------------------------------------------------- what holds of every list
SELECT rlrec_alter_agent(name, '{"diversity": 0.4, "novelty": 0.2}') FROM learner;
SELECT is((list('als', u, 40))[1:7], list('als', u, 7), 'a shorter list begins the longer one') FROM generate_series(1, 2) u;
SELECT is((list('als', 3, 40))[16:], (SELECT array_agg(item ORDER BY rank) FROM score WHERE name = 'als' AND user_id = 3 AND rank > 15), 'behind the shortlist the score decides');
SELECT is((SELECT count(DISTINCT item) FROM rlrec_recommend(3, 40, 'als')), 40::bigint, 'every item once');
SELECT is_empty($$SELECT r.item, r.score::float8 FROM rlrec_recommend(3, 40, 'als') r EXCEPT SELECT item::text, score FROM score WHERE name = 'als' AND user_id = 3$$,
	'scores are what they were');
SELECT results_eq($$SELECT user_id, rank, item, score FROM rlrec_recommend_all('ease', 9) ORDER BY user_id, rank$$,
	$$SELECT u::text, r.rank, r.item, r.score FROM generate_series(1, 60) u, rlrec_recommend(u, 9, 'ease') r ORDER BY u::text, r.rank$$, 'everybody''s lists are re-ranked too');
SELECT results_eq($$SELECT rank, item, score FROM rlrec_recommend_for_history((SELECT array_agg(item_id::text ORDER BY at, id) FROM events WHERE user_id = 5), 9, 'ease')$$,
	$$SELECT rank, item, score FROM rlrec_recommend(5, 9, 'ease')$$, 'and those of a history');
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend(5, 3, 'ease', candidates => '{3,7,99}')), (SELECT array_agg(item::text ORDER BY rank) FROM score
	WHERE name = 'ease' AND user_id = 5 AND item IN (3, 7)) || '99'::text, 'of two candidates the better is first; an unknown one last');
SELECT is((SELECT count(*) FROM rlrec_recommend(5, 3, 'ease', candidates => '{}')), 0::bigint, 'no candidate');
SELECT is((SELECT count(*) FROM rlrec_recommend(5, 3, 'ease', candidates => '{9}')), 1::bigint, 'one candidate');
SELECT results_eq($$SELECT item::int, score::float8 FROM rlrec_similar_items(4, 39, 'als')$$, $$SELECT other, likeness FROM likeness WHERE name = 'als' AND item = 4 ORDER BY likeness DESC, other::text$$,
	'similar items are not re-ranked');

-- ---------------------------------------------------------------- what is measured
SELECT rlrec_create_agent('before', 'before', user_column => 'user_id', item_column => 'item_id', time_column => 'at', learner => 'itemknn', options => '{"diversity": 0.5, "novelty": 0.3, "shortlist": 20}');
SELECT version FROM rlrec_train('before');
CREATE TABLE shown AS SELECT * FROM rlrec_recommend_all('before', 5);
SELECT rlrec_alter_agent(name, '{"diversity": 0.5, "novelty": 0.3, "shortlist": 20}') FROM learner;
CREATE TABLE measured AS SELECT * FROM rlrec_evaluate('itemknn', 5, learners => '{itemknn}');
CREATE TABLE hit AS SELECT user_id, (SELECT s.rank FROM shown s WHERE s.user_id = e.user_id::text AND s.item = e.item_id::text) AS rank
	FROM events e WHERE NOT EXISTS (SELECT FROM before b WHERE b.id = e.id);
SELECT is((SELECT users FROM measured), (SELECT count(*) FROM hit), 'evaluation: all users');
SELECT is((SELECT round(recall::numeric, 9) FROM measured), (SELECT round(count(rank) / count(*)::numeric, 9) FROM hit), 'evaluation: recall is of the lists that are shown');
SELECT is((SELECT round(ndcg::numeric, 6) FROM measured), (SELECT round(sum(coalesce(1 / log(2, rank + 1), 0)) / count(*)::numeric, 6) FROM hit), 'so is NDCG');
SELECT is((SELECT round(coverage::numeric, 9) FROM measured), (SELECT round(count(DISTINCT item) / 40.0, 9) FROM shown), 'so is coverage');
SELECT rlrec_alter_agent(name, '{"diversity": null, "novelty": null}') FROM learner;
CREATE TABLE without AS SELECT l.name, e.* FROM learner l, rlrec_evaluate(name, 5, learners => ARRAY[name]) e;
SELECT rlrec_alter_agent(name, '{"diversity": 0.6}') FROM learner;
CREATE TABLE diverse AS SELECT l.name, e.* FROM learner l, rlrec_evaluate(name, 5, learners => ARRAY[name]) e;
SELECT cmp_ok((SELECT diversity FROM diverse d WHERE d.name = w.name), '>', w.diversity, w.name || ': lists are more diverse') FROM without w WHERE name IN ('popularity', 'markov', 'itemknn', 'hybrid');
SELECT rlrec_alter_agent(name, '{"diversity": null, "novelty": 0.95}') FROM learner;
CREATE TABLE novel AS SELECT l.name, e.* FROM learner l, rlrec_evaluate(name, 5, learners => ARRAY[name]) e;
SELECT cmp_ok((SELECT novelty FROM novel n WHERE n.name = w.name), '>', w.novelty, w.name || ': less popular items') FROM without w;

-- ---------------------------------------------------------------- the last fifth of each user
CREATE VIEW numbered AS SELECT *, row_number() OVER u AS n, count(*) OVER (PARTITION BY user_id) AS of FROM events WINDOW u AS (PARTITION BY user_id ORDER BY at, id);
CREATE VIEW kept AS SELECT user_id, item_id, at FROM numbered WHERE n <= of - of / 5;
SELECT rlrec_create_agent('kept', 'kept', user_column => 'user_id', item_column => 'item_id', time_column => 'at', learner => 'ease', options => '{"diversity": 0.5}');
SELECT version FROM rlrec_train('kept');
CREATE TABLE listed AS SELECT * FROM rlrec_recommend_all('kept', 5);
SELECT rlrec_alter_agent('ease', '{"diversity": 0.5, "novelty": null, "shortlist": null}');
SELECT results_eq($$SELECT users, round(precision::numeric, 9), round(recall::numeric, 9), round(coverage::numeric, 9) FROM rlrec_evaluate('ease', 5, 'last_fifth', '{ease}')$$,
	$$SELECT count(*), round(avg(hits) / 5, 9), round(avg(hits / tests::numeric), 9), round((SELECT count(DISTINCT item) FROM listed) / 40.0, 9) FROM (
		SELECT n.user_id, count(*) AS tests, count(l.item) AS hits FROM numbered n LEFT JOIN listed l ON l.user_id = n.user_id::text AND l.item = n.item_id::text
		WHERE n > of - of / 5 GROUP BY 1) u$$, 'last_fifth: several test items of each user');
SELECT throws_ok($$SELECT * FROM rlrec_evaluate('ease', 5, 'last')$$, '22023', 'unknown protocol "last"', 'an unknown protocol');

-- ---------------------------------------------------------------- bad input
SELECT throws_ok(format($$SELECT rlrec_alter_agent('als', '{"%s": %s}')$$, key, value), '22023', format('invalid value of "%s" in options', key), key || ' ' || value)
FROM (VALUES ('diversity', '1.01'), ('diversity', '-0.1'), ('novelty', '"much"'), ('shortlist', '0'), ('shortlist', '2.5')) v(key, value);
SELECT * FROM finish();
