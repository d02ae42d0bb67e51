-- What each learner computes, by hand on a tiny table and by known figures on MovieLens; versions, deployment, tiny data.
SET client_min_messages = warning;
SELECT plan(112);

-- ---------------------------------------------------------------- by hand
-- Users 1: 1 2 3, 2: 1 2, 3: 2 3 4, 4: 5; in this order. Items 1 to 5 have 2, 3, 2, 1 and 1 users.
CREATE TABLE tiny (user_id int, item_id int, at timestamptz);
INSERT INTO tiny SELECT u, i, timestamptz '2025-01-01' + n * interval '1 day'
FROM (VALUES (1, 1, 0), (1, 2, 1), (1, 3, 2), (2, 1, 3), (2, 2, 4), (3, 2, 5), (3, 3, 6), (3, 4, 7), (4, 5, 8)) v(u, i, n);
CREATE FUNCTION learn(agent text, learner text, options jsonb DEFAULT NULL, events regclass DEFAULT 'tiny') RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, events, learner => learner, options => options);
	RETURN (SELECT version FROM rlrec_train(agent));
END
$$;
CREATE FUNCTION scores(agent text, user_id int, tenths int DEFAULT 100000) RETURNS numeric[] LANGUAGE sql AS $$
	SELECT array_agg(round(rlrec_score(agent, user_id, i)::numeric * tenths) / tenths ORDER BY i) FROM generate_series(1, 5) i $$;
CREATE FUNCTION rounded(expected float8[]) RETURNS numeric[] LANGUAGE sql AS $$ SELECT array_agg(round(x::numeric, 5) ORDER BY n) FROM unnest(expected) WITH ORDINALITY AS t(x, n) $$;

SELECT is(learn('popularity', 'popularity'), 1, 'popularity');
SELECT is(scores('popularity', 1), '{2,3,2,1,1}', 'popularity: the number of users');
INSERT INTO tiny VALUES (1, 1, '2025-01-01'), (1, 1, '2025-01-01');
SELECT is((SELECT version FROM rlrec_train('popularity')), 2, 'again');
SELECT is(scores('popularity', 1), '{2,3,2,1,1}', 'popularity: repeats do not count');
DELETE FROM tiny WHERE ctid IN (SELECT ctid FROM tiny WHERE user_id = 1 AND item_id = 1 ORDER BY ctid DESC LIMIT 2);
-- ages: item 1: 8 and 5 days, item 2: 7, 4, 3; item 3: 6, 2; item 4: 1; item 5: 0
SELECT is(learn('recent', 'popularity', '{"half_life": "2 days"}'), 1, 'popularity with half_life');
SELECT is(scores('recent', 1), rounded(ARRAY[2 ^ -4 + 2 ^ -2.5, 2 ^ -3.5 + 2 ^ -2 + 2 ^ -1.5, 2 ^ -3 + 2 ^ -1, 2 ^ -0.5, 1]), 'popularity: half_life as an interval');
SELECT is(learn('recent_s', 'popularity', '{"half_life": 172800}'), 1, 'half_life in seconds');
SELECT is(scores('recent_s', 1), scores('recent', 1), 'is the same');
SELECT is((SELECT array_agg(item::int ORDER BY rank) FROM rlrec_recommend(99, 5, 'recent')), '{5,4,2,3,1}', 'a user never seen gets what is popular now');

-- had together: 1-2 twice, 2-3 twice, 1-3, 2-4, 3-4 once; popularity adds 1e-6 of a user's share
SELECT is(learn('itemknn', 'itemknn'), 1, 'itemknn');
SELECT is(scores('itemknn', 1), rounded(ARRAY[2 / sqrt(6) + 1 / 2.0, 2 / sqrt(6) + 2 / sqrt(6), 1 / 2.0 + 2 / sqrt(6), 1 / sqrt(3) + 1 / sqrt(2), 0]), 'itemknn: sums of cosines');
SELECT is((SELECT source FROM rlrec_recommend(4, 1, 'itemknn')), 'popularity', 'itemknn: an item with no neighbour tells nothing');
SELECT is(learn('itemknn1', 'itemknn', '{"neighbours": 1, "shrinkage": 2}'), 1, 'itemknn with options');
-- with shrinkage 1-2: 2/(sqrt 6 + 2), 2-3 the same, 1-3: 1/4, 2-4: 1/(sqrt 3 + 2), 3-4: 1/(sqrt 2 + 2); 2 keeps 1 for its lower index, 4 keeps 3
SELECT is(scores('itemknn1', 1), rounded(ARRAY[2 / (sqrt(6) + 2), 2 / (sqrt(6) + 2), 2 / (sqrt(6) + 2), 1 / (sqrt(2) + 2), 0]), 'itemknn: neighbours and shrinkage');
SELECT is((SELECT array_agg(item::int ORDER BY rank) FROM rlrec_similar_items(2, 3, 'itemknn')), '{1,3,4}', 'itemknn: similar items');
SELECT is((SELECT array_agg(round(score::numeric, 5) ORDER BY rank) FROM rlrec_similar_items(2, 3, 'itemknn')), rounded(ARRAY[2 / sqrt(6), 2 / sqrt(6), 1 / sqrt(3)]), 'itemknn: by their cosines');

SELECT is(learn('ease', 'ease', '{"l2": 2}'), 1, 'ease');
-- B minimises |X - XB|^2 + l2 |B|^2 under a zero diagonal: for i <> j the derivative, (G B)_ij + l2 B_ij - G_ij, is 0
CREATE TEMP TABLE b AS SELECT i, j, w[i][j] AS b FROM (SELECT rlrec_weights_tensor(rlrec_model_weights('ease'), 'weights')::float8[] AS w) t,
	generate_series(1, 5) i, generate_series(1, 5) j;
CREATE TEMP TABLE g AS SELECT i, j, (SELECT count(DISTINCT a.user_id) FROM tiny a JOIN tiny b USING (user_id) WHERE a.item_id = i AND b.item_id = j) AS g
	FROM generate_series(1, 5) i, generate_series(1, 5) j;
SELECT is((SELECT array_agg(b) FROM b WHERE i = j), '{0,0,0,0,0}'::float8[], 'ease: the diagonal is 0');
SELECT cmp_ok((SELECT max(abs(gb.sum + 2 * b.b - g.g)) FROM b JOIN g USING (i, j),
	LATERAL (SELECT sum(g2.g * b2.b) FROM g g2 JOIN b b2 ON b2.i = g2.j WHERE g2.i = b.i AND b2.j = b.j) gb WHERE b.i <> b.j), '<', 1e-5::float8, 'ease: the optimum');
SELECT is(scores('ease', 1, 10000), (SELECT array_agg(round(s::numeric * 10000) / 10000 ORDER BY j) FROM (SELECT j, sum(b) AS s FROM b WHERE i IN (1, 2, 3) GROUP BY j) t),
	'ease: the score is the sum over the history');

SELECT is(learn('markov', 'markov'), 1, 'markov');
-- next: 1-2 twice, 2-3 twice, 3-4 once; the prior is 0.01 of the shares 2, 3, 2, 1, 1 quarters
SELECT is(scores('markov', 2), rounded(ARRAY[0.005 / 2, 0.0075 / 2, 2.005 / 2, 0.0025 / 2, 0.0025 / 2]), 'markov: after item 2');
SELECT is(scores('markov', 1), rounded(ARRAY[0.005, 0.0075, 0.005, 1.0025, 0.0025]), 'markov: after item 3');
SELECT is(scores('markov', 3), scores('markov', 1), 'markov: nothing follows item 4, so item 3 before it counts');
SELECT is((SELECT source FROM rlrec_recommend(4, 1, 'markov')), 'popularity', 'markov: nothing follows item 5');

SELECT is(learn('als', 'als', '{"factors": 3, "regularization": 0.01}'), 1, 'als');
SELECT is((SELECT item FROM rlrec_recommend(2, 1, 'als')), '3', 'als: what similar users had');
SELECT is(learn('als2', 'als', '{"factors": 3, "regularization": 0.01}') + learn('als3', 'als', '{"factors": 3, "regularization": 0.01, "seed": 2}'), 2, 'als twice more');
SELECT ok(rlrec_model_weights('als') = rlrec_model_weights('als2'), 'als: the same seed, the same model');
SELECT ok(rlrec_model_weights('als') <> rlrec_model_weights('als3'), 'als: another seed, another model');

-- ---------------------------------------------------------------- tiny data
CREATE TABLE one (user_id int, item_id int);
INSERT INTO one VALUES (1, 1);
CREATE TABLE learner (name text);
INSERT INTO learner VALUES ('popularity'), ('itemknn'), ('ease'), ('als'), ('markov'), ('hybrid'), ('auto');
SELECT lives_ok(format('SELECT learn(%L, %L, NULL, ''one'')', 'one ' || name, name), name || ': one event of one user') FROM learner;
SELECT is((SELECT string_agg(item || source, ' ') FROM rlrec_recommend(2, 3, 'one ' || name)), '1popularity', name || ': serves what there is') FROM learner;
SELECT is((SELECT count(*) FROM rlrec_recommend(1, 3, 'one ' || name)), 0::bigint, name || ': and nothing to whom had it') FROM learner;
SELECT throws_ok($$SELECT learn('one content', 'content', NULL, 'one')$$, '55000', 'learner "content" cannot be fitted', 'content needs an items table');
SELECT is((SELECT metrics->>'chosen' FROM rlrec.models WHERE agent = 'one auto'), 'popularity', 'auto: with nothing to compare by it takes popularity');
SELECT throws_ok($$SELECT * FROM rlrec_evaluate('one popularity')$$, 'P0002',
	'agent "one popularity" has no user whose events could be held out by protocol "leave_one_out"', 'one event cannot be evaluated');

-- ---------------------------------------------------------------- versions
-- 100 users, 60 items in three groups; a user stays in his group
CREATE TABLE groups (user_id int, item_id int, at int);
INSERT INTO groups SELECT u, u % 3 * 20 + 1 + ((hashint8extended(u * 64 + n, 3) & 1023) % 20), n * 100 + u FROM generate_series(1, 100) u, generate_series(1, 12) n;
SELECT is(learn('v ' || name, name, '{"versions": 3}', 'groups'), 1, name || ': first training') FROM learner;
SELECT count(*) AS chunks FROM rlrec.chunk \gset
SELECT is((SELECT version FROM rlrec_train('v ' || name)), 2, name || ': second training') FROM learner;
SELECT ok(rlrec_model_weights('v ' || name, 1) = rlrec_model_weights('v ' || name, 2), name || ': two trainings, one model') FROM learner;
SELECT is((SELECT count(*) FROM rlrec.chunk), :chunks::bigint, 'equal versions share their chunks');
SELECT is((SELECT array_agg(version ORDER BY version) FROM rlrec.models WHERE agent = 'v als' AND deployed), '{2}', 'the second one serves');
SELECT is((SELECT jsonb_typeof(metrics->'chosen') || ' ' || jsonb_typeof(metrics->'validation_ndcg') FROM rlrec.models WHERE agent = 'v auto' AND deployed), 'string object',
	'auto: metrics have what was chosen and why');
SELECT is((SELECT key FROM rlrec.models, jsonb_each_text(metrics->'validation_ndcg') WHERE agent = 'v auto' AND deployed ORDER BY value::float8 DESC LIMIT 1),
	(SELECT metrics->>'chosen' FROM rlrec.models WHERE agent = 'v auto' AND deployed), 'auto: the best one is chosen');
SELECT isnt((SELECT metrics->>'chosen' FROM rlrec.models WHERE agent = 'v auto' AND deployed), 'popularity', 'auto: which here is not popularity');
SELECT is((SELECT jsonb_typeof(metrics->'weights') FROM rlrec.models WHERE agent = 'v hybrid' AND deployed), 'object', 'hybrid: metrics have the weights');
SELECT ok((SELECT bool_and((metrics->>'events')::int = 1200 AND (metrics->>'users')::int = 100 AND (metrics->>'bytes')::bigint = bytes AND seconds > 0) FROM rlrec.models WHERE agent LIKE 'v %'),
	'metrics count what was read');

INSERT INTO groups SELECT 101, i, 2000 + i FROM generate_series(1, 20) i;
SELECT is((SELECT (version, deployed)::text FROM rlrec_train('v itemknn', 'never')), '(3,f)', 'deploy => never');
SELECT is((SELECT version FROM rlrec.models WHERE agent = 'v itemknn' AND deployed), 2, 'leaves the version before');
SELECT isnt((SELECT round(score::numeric, 4) FROM rlrec_similar_items(1, 1, 'v itemknn')), NULL, 'which serves');
SELECT rlrec_deploy('v itemknn', 3) \g /dev/null
SELECT is((SELECT version FROM rlrec.models WHERE agent = 'v itemknn' AND deployed), 3, 'rlrec_deploy()');
SELECT is(rlrec_rollback('v itemknn'), 2, 'rlrec_rollback()');
SELECT is(rlrec_rollback('v itemknn'), 1, 'and on to the first');
SELECT throws_ok($$SELECT rlrec_rollback('v itemknn')$$, '55000', 'agent "v itemknn" has no earlier deployment to go back to', 'which is the last');
SELECT is((SELECT version FROM rlrec.models WHERE agent = 'v itemknn' AND deployed), 1, 'and serves');
SELECT rlrec_train('v itemknn', 'never') \g /dev/null
SELECT rlrec_train('v itemknn', 'never') \g /dev/null
SELECT is((SELECT array_agg(version ORDER BY version) FROM rlrec.models WHERE agent = 'v itemknn'), '{1,3,4,5}', 'three versions are kept, and the one that serves');
SELECT is((SELECT count(*) FROM rlrec.chunk c WHERE NOT EXISTS (SELECT FROM rlrec.model m WHERE c.id = ANY (m.chunks))), 0::bigint, 'chunks that no version has are gone');
SELECT is((SELECT count(*) FROM rlrec.model m, unnest(m.chunks) c WHERE NOT EXISTS (SELECT FROM rlrec.chunk WHERE id = c)), 0::bigint, 'and those that one has are not');

SELECT is((SELECT deployed FROM rlrec_train('v itemknn', 'if_better')), true, 'if_better: the same learner is as good');
SELECT rlrec_alter_agent('v itemknn', learner => 'popularity') \g /dev/null
SELECT is((SELECT (version, deployed)::text FROM rlrec_train('v itemknn', 'if_better')), '(7,f)', 'if_better: popularity is not');
SELECT is((SELECT learner FROM rlrec.models WHERE agent = 'v itemknn' AND deployed), 'itemknn', 'so the better one serves on');
SELECT rlrec_alter_agent('v popularity', learner => 'itemknn') \g /dev/null
SELECT is((SELECT deployed FROM rlrec_train('v popularity', 'if_better')), true, 'if_better: itemknn is better than popularity');
SELECT is(learn('v first', 'markov', NULL, 'groups'), 1, 'a new agent');
SELECT rlrec_drop_agent('v first') \g /dev/null
SELECT rlrec_create_agent('v first', 'groups', learner => 'markov') \g /dev/null
SELECT is((SELECT deployed FROM rlrec_train('v first', 'if_better')), true, 'if_better: than nothing');

-- ---------------------------------------------------------------- MovieLens
-- The figures are those of a reference in numpy under the same protocol.
\getenv shared RLREC_SHARED
\if :{?shared}
	CREATE TABLE reference (data text, learner text, options jsonb, ndcg float8, coverage float8, novelty float8);
	INSERT INTO reference VALUES ('ml-100k', 'popularity', NULL, 0.0439, 0.0541, 1.191), ('ml-100k', 'itemknn', '{"neighbours": 100}', 0.0643, 0.2723, 2.034),
		('ml-100k', 'ease', '{"l2": 500}', 0.0737, 0.2533, 1.853), ('ml-100k', 'markov', NULL, 0.0792, 0.5107, 2.422), ('ml-100k', 'als', NULL, NULL, NULL, NULL),
		('ml-100k', 'hybrid', NULL, NULL, NULL, NULL), ('ml-1m', 'popularity', NULL, 0.0178, NULL, NULL), ('ml-1m', 'itemknn', '{"neighbours": 100}', 0.0410, 0.3946, 2.310),
		('ml-1m', 'ease', '{"l2": 500}', 0.0544, 0.3811, 2.267), ('ml-1m', 'markov', NULL, 0.1261, 0.6677, 3.063), ('ml-1m', 'als', NULL, NULL, NULL, NULL),
		('ml-1m', 'hybrid', NULL, NULL, NULL, NULL);
	CREATE TABLE line (user_id serial, items text);
	\set file :shared '/data/ml-100k.seq'
	COPY line (items) FROM :'file';
	CREATE TABLE "ml-100k" AS SELECT user_id, item::int AS item_id, at::int FROM line, string_to_table(items, ' ') WITH ORDINALITY AS t(item, at);
	TRUNCATE line RESTART IDENTITY;
	\set file :shared '/data/ml-1m.seq'
	COPY line (items) FROM :'file';
	CREATE TABLE "ml-1m" AS SELECT user_id, item::int AS item_id, at::int FROM line, string_to_table(items, ' ') WITH ORDINALITY AS t(item, at);
	SET maintenance_work_mem = '512MB';
	SELECT rlrec_create_agent(data || ' ' || learner, format('%I', data)::regclass, learner => learner, options => options) FROM reference \g /dev/null
	CREATE TABLE measured AS SELECT r.data, e.* FROM reference r, rlrec_evaluate(r.data || ' ' || r.learner, 10, 'leave_one_out', ARRAY[r.learner]) e;
	SELECT ok(abs(m.ndcg - r.ndcg) <= 0.003 AND COALESCE(abs(m.coverage - r.coverage) <= 0.003 AND abs(m.novelty - r.novelty) <= 0.01, true),
		format('%s %s: NDCG@10 %s for %s, coverage %s for %s, novelty %s for %s', r.data, learner, round(m.ndcg::numeric, 4), r.ndcg, round(m.coverage::numeric, 4),
			r.coverage, round(m.novelty::numeric, 3), r.novelty))
	FROM reference r JOIN measured m USING (data, learner) WHERE r.ndcg IS NOT NULL;
	SELECT cmp_ok(a.ndcg, '>=', k.ndcg, format('%s als: %s', a.data, round(a.ndcg::numeric, 4))) FROM measured a JOIN measured k USING (data)
		WHERE a.learner = 'als' AND k.learner = 'itemknn';
	SELECT cmp_ok(h.ndcg, '>=', max(p.ndcg), format('%s hybrid: %s', h.data, round(h.ndcg::numeric, 4))) FROM measured h JOIN measured p USING (data)
		WHERE h.learner = 'hybrid' AND p.learner <> 'hybrid' GROUP BY h.data, h.ndcg;
	SELECT is(count(DISTINCT users), 2::bigint, 'every learner is tested on all users') FROM measured;
\else
	SELECT skip('no RLREC_SHARED', 13);
\endif

SELECT * FROM finish();
