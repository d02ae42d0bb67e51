-- What agents learn between trainings: counts as training would have counted, each event once whatever version serves, and seen when it is served.
SET client_min_messages = warning;
SELECT plan(98);

CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items SELECT i, 'thing ' || i FROM generate_series(1, 40) i;
CREATE TABLE events (id bigserial PRIMARY KEY, user_id int, item_id int, at timestamptz, stars float8);
CREATE INDEX by_user ON events (user_id);
-- 1,000 events in random order of users and items, some not liked, three of the same minute now and then.
CREATE FUNCTION random_of(i int, what int, n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT (hashint8extended(i * 10 + what, 7) & 65535)::int % n $$;
CREATE TABLE source AS SELECT i, random_of(i, 1, 24) + CASE WHEN i > 600 THEN 6 ELSE 0 END AS user_id, 1 + random_of(i, 2, 40) * random_of(i, 3, 40) / 40 AS item_id,
	timestamptz '2025-01-01' + i / 3 * interval '21 min' AS at, random_of(i, 4, 6) - 1 AS stars FROM generate_series(1, 1000) i;
CREATE FUNCTION add(a int, b int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO events (user_id, item_id, at, stars) SELECT user_id, item_id, at, stars FROM source WHERE i BETWEEN a AND b ORDER BY i $$;
SELECT FROM add(1, 400);

-- Of each kind an agent that learns online, _a, and one that is trained anew, _b.
CREATE TABLE kind (name text PRIMARY KEY, learner text, options jsonb);
INSERT INTO kind VALUES ('popularity', 'popularity', NULL), ('decay', 'popularity', '{"half_life": "1 day"}'), ('markov', 'markov', NULL),
	('credit', 'markov', '{"horizon": "6 hours", "horizon_discount": 0.5}'), ('credited', 'popularity', '{"horizon": "6 hours"}');
CREATE FUNCTION make(agent text, learner text, options jsonb, events regclass DEFAULT 'events') RETURNS void LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, events, user_column => 'user_id', item_column => 'item_id', time_column => 'at', value_column => 'stars', items => 'items',
		learner => learner, options => options) $$;
CREATE FUNCTION train(agent text) RETURNS void LANGUAGE sql AS $$ SELECT FROM rlrec_train(agent) $$;
SELECT FROM kind, unnest('{a,b}'::text[]) s, make(name || '_' || s, learner, options);
SELECT FROM kind, train(name || '_a');
CREATE FUNCTION deviation(a text, b text) RETURNS float8 LANGUAGE sql AS $$
	SELECT max(abs(rlrec_score(a, u, i)::float8 - rlrec_score(b, u, i)) / (1e-3 + abs(rlrec_score(b, u, i)))) FROM generate_series(-1, 30) u, generate_series(1, 40) i $$;
-- NULL, or which kinds differ from one trained anew.
CREATE FUNCTION differ() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM train(name || '_b') FROM kind;
	RETURN (SELECT string_agg(format('%s by %s', name, d), ', ') FROM (SELECT name, deviation(name || '_a', name || '_b') AS d FROM kind) k WHERE NOT d < 1e-5);
END
$$;
CREATE FUNCTION process() RETURNS bigint[] LANGUAGE sql AS $$ SELECT array_agg(DISTINCT n) FROM (SELECT rlrec_process(name || '_a') AS n FROM kind) p $$;
-- visits and newer of all agents, where they are the same
CREATE FUNCTION learned() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(DISTINCT format('%s %s', visits, newer), ', ') FROM rlrec.online JOIN kind ON agent = name || '_a' $$;

-- ---------------------------------------------------------------- as training would have counted
SELECT FROM kind, rlrec_attach(name || '_a');
SELECT is((SELECT count(*) FROM rlrec.online), 0::bigint, 'nothing is learned before the first event');
SELECT FROM add(401, 500);
SELECT isnt(differ(), NULL, 'what is not processed is not learned');
SELECT is(process(), '{100}', 'each event is learned');
SELECT is(differ(), NULL, 'scores are those of a training with them');
SELECT is(learned(), '100 100', 'visits are the events');
SELECT is((SELECT sum(e.visits) FROM rlrec.qtable t JOIN rlrec.agent a ON a.id = t.agent, rlrec_qtable_entries(t.entries) e WHERE a.name = 'markov_a' AND part = 2), 100::numeric,
	'those of the rows too');
SELECT is(process(), '{0}', 'once');
SELECT FROM add(501, 503);
SELECT FROM process();
SELECT FROM add(504, 504);
SELECT FROM process();
SELECT FROM add(505, 600);
SELECT is(process(), '{96}', 'batch by batch');
SELECT is(differ(), NULL, 'batches add up');
SELECT is(learned(), '200 200', 'to as many visits');
BEGIN;
SELECT FROM add(601, 700);
ROLLBACK;
SELECT is(process(), '{0}', 'what is rolled back teaches nothing');
BEGIN;
SAVEPOINT one;
SELECT FROM add(601, 650);
ROLLBACK TO one;
SAVEPOINT two;
SELECT FROM add(651, 700);
RELEASE two;
COMMIT;
SELECT is(process(), '{50}', 'subtransactions that committed do, others do not');
SELECT is(differ(), NULL, 'new users and items that were not popular are counted too');
-- An event that comes late, and one between events that are learned.
INSERT INTO events (user_id, item_id, at, stars) SELECT user_id, 41 - item_id, at - interval '1 s', 3 FROM source WHERE i IN (10, 590, 660);
SELECT is(process(), '{3}', 'events that are older than what was learned');
SELECT is(differ(), NULL, 'take their places');
DROP INDEX by_user;
SELECT FROM add(701, 750);
SELECT FROM process();
SELECT is(differ(), NULL, 'without an index too');
CREATE INDEX by_user ON events (user_id, at);
INSERT INTO events (user_id, item_id, at, stars) VALUES (1, 1, '2025-03-01', 1), (2, NULL, '2025-03-01', 1);
DELETE FROM events WHERE at = '2025-03-01' AND item_id = 1;
SELECT is(process(), '{1}', 'an event that is gone, and one without an item');
DELETE FROM events WHERE item_id IS NULL;
SELECT is(learned(), '304 304', 'the former is counted');

-- ---------------------------------------------------------------- another version
SELECT FROM kind, train(name || '_a');
SELECT is(differ(), NULL, 'a new version serves as it was trained');
SELECT FROM add(751, 751);
SELECT is(process(), '{1}', 'an event later');
SELECT is(learned(), '305 1', 'what it was trained on is not learned again');
SELECT is(differ(), NULL, 'nor counted twice');
SELECT FROM add(752, 800);
SELECT FROM kind, train(name || '_a');
SELECT FROM add(801, 810);
SELECT is(process(), '{59}', 'a version trained on events before they were processed');
SELECT is(learned(), '364 10', 'has them');
SELECT is(differ(), NULL, 'once');
SELECT FROM add(811, 820);
SELECT FROM kind, rlrec_train(name || '_a', deploy => 'never');
SELECT FROM add(821, 830);
SELECT is(process(), '{20}', 'a version that is not deployed');
SELECT is(differ(), NULL, 'changes nothing');
SELECT FROM kind, rlrec_deploy(name || '_a', 4);
SELECT FROM add(831, 840);
SELECT is(process(), '{10}', 'until it is');
SELECT is(learned(), '394 20', 'when what it was not trained on remains');
SELECT is(differ(), NULL, 'exactly');
SELECT FROM kind, rlrec_rollback(name || '_a');
SELECT FROM kind, rlrec_rollback(name || '_a');
SELECT is((SELECT string_agg(DISTINCT deployed::text, ' ') FROM rlrec.agents JOIN kind ON agents.name = kind.name || '_a'), '2', 'back to the second version');
SELECT FROM add(841, 850);
SELECT is(process(), '{10}', 'and on from there');
SELECT is(learned(), '404 100', 'on top of it is what came since');
SELECT is(differ(), NULL, 'so nothing is lost');
-- rlrec_train() in the transaction of its events, under a savepoint
BEGIN;
SELECT FROM add(851, 855);
SAVEPOINT one;
SELECT FROM add(856, 860);
SELECT FROM kind, train(name || '_a');
COMMIT;
SELECT FROM add(861, 861);
SELECT is(process(), '{11}', 'a training of what its transaction wrote');
SELECT is(learned(), '415 1', 'saw it');
SELECT is(differ(), NULL, 'and is not taught it again');

-- ---------------------------------------------------------------- from time to time
SELECT FROM kind, train(name || '_a');
SELECT is(learned(), '415 1', 'a new version, and nothing to learn');
SELECT FROM kind, rlrec_maintain(name || '_a');
SELECT is(learned(), '415 0', 'rlrec_maintain() puts what is left on top of it');
SELECT is(differ(), NULL, 'exactly');
SELECT FROM rlrec_alter_agent('markov_a', options => '{"online_batch": 5}');
SELECT FROM add(862, 865);
SELECT FROM process();
SELECT FROM rlrec_maintain('markov_a');
SELECT is((SELECT count(*) FROM rlrec.trainings), 0::bigint, 'online_batch: fewer new events');
SELECT FROM add(866, 866);
SELECT FROM process();
SELECT is(differ(), NULL, 'which are learned meanwhile');
BEGIN;
SELECT FROM rlrec_maintain('markov_a');
SELECT FROM rlrec_maintain('markov_a');
SELECT is((SELECT array_agg(agent || ' ' || state) FROM rlrec.trainings), '{"markov_a waiting"}', 'as many start a training in the background, once');
ROLLBACK;

-- ---------------------------------------------------------------- serving
SELECT is((SELECT source FROM rlrec_recommend(1000, 1, 'markov_a')), 'popularity', 'of a user who is not known');
CREATE FUNCTION told(agent text) RETURNS text[] LANGUAGE sql AS $$
	SELECT array_agg(format('%s %s %s', call, item, round(score::numeric, 4)) ORDER BY call, item) FROM (
		SELECT 'for anyone' AS call, item, score FROM rlrec_recommend(1000, 40, agent)
		UNION ALL SELECT 'for a history', item, score FROM rlrec_recommend_for_history('{1,2}', 40, agent)
		UNION ALL SELECT 'for all ' || user_id, item, score FROM rlrec_recommend_all(agent, 40)) r $$;
SELECT is(told('markov_a'), told('markov_b'), 'popularity, recommendations for a history and for all are as of now');
-- Items that the version does not know
INSERT INTO events (user_id, item_id, at, stars) SELECT 100 + n, 1000 + n % 2, '2025-03-01', 1 FROM generate_series(1, 99) n;
SELECT FROM process();
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend(1000, 2, 'popularity_a')), '{1001,1000}', 'new items are recommended when they are popular');
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend(1000, 2, 'markov_a')), '{1001,1000}', 'to users of whom nothing is known');
SELECT FROM kind, train(name || '_b');
SELECT is((SELECT array_agg(item || ' ' || round(score::numeric, 5) ORDER BY rank) FROM rlrec_recommend(1000, 42, k || '_a')),
	(SELECT array_agg(item || ' ' || round(score::numeric, 5) ORDER BY rank) FROM rlrec_recommend(1000, 42, k || '_b')), k || ': as if they were known')
	FROM unnest('{popularity,decay,markov}'::text[]) k;
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend(1000, 2, 'popularity_a', candidates => '{1000,7}')), '{1000,7}', 'only candidates');
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend(1000, 1, 'popularity_a', exclude => '{1001}')), '{1000}', 'none that is excluded');
SELECT is((SELECT count(*) FROM rlrec_recommend(1000, 100, 'popularity_a')), 42::bigint, 'each once');
SELECT is((SELECT array_agg(item ORDER BY rank) FROM rlrec_recommend(101, 1, 'popularity_a')), '{1000}', 'nor what the user had');
-- Others see it who may use the agent and cannot read its tables.
CREATE ROLE reader;
GRANT USAGE ON SEQUENCE rlrec.agent_popularity_a TO reader;
GRANT SELECT ON events TO reader;
SET ROLE reader;
SELECT is((SELECT item FROM rlrec_recommend(1000, 1, 'popularity_a')), '1001', 'served to whoever may use the agent');
SELECT throws_ok('SELECT FROM rlrec.learned', '42501');
SELECT is((SELECT array_agg(agent) FROM rlrec.online), '{popularity_a}', 'rlrec.online shows the agents that one may use');
RESET ROLE;
DROP OWNED BY reader;
DROP ROLE reader;
SELECT is((SELECT count(*) FROM rlrec.qvalues), 0::bigint, 'counters are not action values');

-- ---------------------------------------------------------------- values
CREATE TABLE one (id serial PRIMARY KEY, user_id int, item_id int, at timestamptz, stars float8);
INSERT INTO one (user_id, item_id, at, stars) SELECT 7, item_id % 8 + 1, at, greatest(stars, 0) + 1 FROM source WHERE i <= 60 ORDER BY i;
CREATE TABLE way (learner text, options jsonb);
INSERT INTO way VALUES ('qlearning', '{"alpha": 0.3, "state": "last"}'), ('expected_sarsa', '{"alpha": 0.3, "state": "user"}'),
	('qlearning', '{"alpha": 1, "alpha_power": 1, "gamma": 0, "state": "user"}');
CREATE TABLE learning AS SELECT row_number() OVER () AS n, learner, options FROM way;
SELECT FROM learning, unnest('{a,b}'::text[]) s, make(format('v_%s%s', s, n), learner, options, 'one');
SELECT FROM learning, train('v_a' || n), rlrec_attach('v_a' || n);
INSERT INTO one (user_id, item_id, at, stars) SELECT 7, item_id % 8 + 1, at, greatest(stars, 0) + 1 FROM source WHERE i BETWEEN 61 AND 100 ORDER BY i;
SELECT FROM learning, rlrec_process('v_a' || n);
INSERT INTO one (user_id, item_id, at, stars) SELECT 7, item_id % 8 + 1, at, greatest(stars, 0) + 1 FROM source WHERE i BETWEEN 101 AND 120 ORDER BY i;
SELECT FROM learning, rlrec_process('v_a' || n);
SELECT FROM learning, train('v_b' || n);
-- The values of all items, in every state that there is; not of items that were never taken there, for their values are of no state.
CREATE FUNCTION worth(agent text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s %s', s, item, round(score::numeric, 4)) FROM generate_series(1, 8) s, rlrec_recommend_for_history(ARRAY[s::text], 100, agent, context => '{"exclude_seen": false}')
	WHERE (SELECT options->>'state' FROM rlrec.agents WHERE name = agent) = 'last' AND source <> 'popularity' AND (s || ' ' || item) IN (SELECT lag(item_id) OVER (ORDER BY id) || ' ' || item_id FROM one)
	UNION ALL
	SELECT format('%s %s', item, round(score::numeric, 4)) FROM rlrec_recommend(7, 100, agent, context => '{"exclude_seen": false}')
	WHERE (SELECT options->>'state' FROM rlrec.agents WHERE name = agent) = 'user' AND item IN (SELECT item_id::text FROM one) $$;
SELECT bag_eq(format('SELECT worth(%L)', 'v_a' || n), format('SELECT worth(%L)', 'v_b' || n), format('%s by %s: as one sweep over all events', learner, options))
	FROM learning ORDER BY n;
SELECT cmp_ok((SELECT count(*) FROM worth('v_a1')), '>', 20::bigint, 'of many values');
SELECT is((SELECT array_agg(visits ORDER BY agent) FROM rlrec.online WHERE agent LIKE 'v\_a%'), '{60,60,60}', 'values: visits are the events');
SELECT bag_eq($$SELECT state, action, round(q::numeric, 4), visits FROM rlrec.qvalues WHERE agent = 'v_a1'$$,
	$$SELECT state, action, round(q::numeric, 4), visits FROM rlrec.qvalues WHERE agent = 'v_b1'$$, 'rlrec.qvalues shows what was learned since');
SELECT FROM make('double', 'double_q', '{"alpha": 1, "gamma": 0, "state": "user"}', 'one');
SELECT FROM train('double');
SELECT FROM rlrec_attach('double');
INSERT INTO one (user_id, item_id, at, stars) SELECT 7, 5, timestamptz '2025-04-01' + n * interval '1 s', 3 FROM generate_series(1, 20) n;
SELECT is(rlrec_process('double'), 20::bigint, 'double_q');
SELECT is(rlrec_score('double', 7, 5), 3::real, 'both tables learn');
-- in a blend, where the parts learn
SELECT FROM make('blend', 'hybrid', '{"learners": ["ease", "markov", "popularity"]}');
SELECT FROM train('blend');
SELECT FROM rlrec_attach('blend');
CREATE TABLE before AS SELECT i, rlrec_score('blend', 3, i) AS score FROM generate_series(1, 40) i;
SELECT FROM add(871, 1000);
SELECT is(rlrec_process('blend'), 130::bigint, 'hybrid');
SELECT is((SELECT visits FROM rlrec.online WHERE agent = 'blend'), 130::bigint, 'an event is counted once, however many parts learn');
SELECT cmp_ok((SELECT states FROM rlrec.online WHERE agent = 'blend'), '>', 10::bigint, 'the parts learn');
SELECT isnt((SELECT array_agg(score ORDER BY i) FROM before), (SELECT array_agg(rlrec_score('blend', 3, i) ORDER BY i) FROM generate_series(1, 40) i), 'and are blended');

-- ---------------------------------------------------------------- more than one batch, in a transaction and in two
SELECT FROM make('late', 'markov', NULL);
SELECT FROM train('late');
SELECT FROM rlrec_attach('late');
CREATE FUNCTION many(a int, b int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO events (user_id, item_id, at, stars) SELECT random_of(n, 5, 100), 1 + random_of(n, 6, 40), timestamptz '2025-06-01' + n * interval '1 s', 1 FROM generate_series(a, b) n $$;
SELECT FROM many(0, 0);
SELECT FROM rlrec_process('late');
SELECT FROM many(1, 4000);
SELECT FROM many(4001, 15000);
SELECT is(rlrec_process('late'), 15000::bigint, 'more events than are learned at a time');
SELECT FROM make('trained', 'markov', NULL);
SELECT FROM train('trained');
SELECT cmp_ok(deviation('late', 'trained'), '<', 1e-5::float8, 'count as at once');

-- Without a column of time the order is that of the primary key: an event of the same item may wait while one before it is learned.
CREATE TABLE untimed (id bigserial PRIMARY KEY, user_id int, item_id int);
CREATE FUNCTION more(a int, b int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO untimed (user_id, item_id) SELECT random_of(n, 7, 30), 1 + random_of(n, 8, 40) FROM generate_series(a, b) n ORDER BY n $$;
SELECT FROM more(1, 300);
SELECT FROM unnest('{untimed_a,untimed_b}'::text[]) name, rlrec_create_agent(name, 'untimed', items => 'items', learner => 'markov');
SELECT FROM train('untimed_a');
SELECT FROM rlrec_attach('untimed_a');
SELECT FROM more(301, 301);
SELECT FROM rlrec_process('untimed_a');
SELECT FROM more(302, 5301);
SELECT FROM more(5302, 10301);
SELECT FROM more(10302, 15301);
SELECT is(rlrec_process('untimed_a'), 15000::bigint, 'events without time');
SELECT FROM train('untimed_b');
SELECT cmp_ok(deviation('untimed_a', 'untimed_b'), '<', 1e-5::float8, 'are in the order of their key');

-- An event that is gone before it is learned, and an equal one that was learned before
INSERT INTO untimed (user_id, item_id) VALUES (1, 40);
SELECT FROM rlrec_process('untimed_a');
CREATE TABLE rows_before AS SELECT t.state, e.action, e.q FROM rlrec.qtable t JOIN rlrec.agent a ON a.id = t.agent, rlrec_qtable_entries(t.entries) e
	WHERE a.name = 'untimed_a' AND t.part = 4;
WITH one AS (INSERT INTO untimed (user_id, item_id) VALUES (1, 40) RETURNING id) SELECT id FROM one \gset
DELETE FROM untimed WHERE id = :id;
SELECT is(rlrec_process('untimed_a'), 1::bigint, 'an event that is gone');
SELECT bag_eq($$ SELECT t.state, e.action, e.q FROM rlrec.qtable t JOIN rlrec.agent a ON a.id = t.agent, rlrec_qtable_entries(t.entries) e
	WHERE a.name = 'untimed_a' AND t.part = 4 $$, 'SELECT * FROM rows_before', 'does not teach an equal one again');
SELECT rlrec_drop_agent('untimed_a'), rlrec_drop_agent('untimed_b');
-- Nor does an event of a subtransaction pass for learned, whose top-level transaction waits
SELECT rlrec_create_agent('sub_a', 'untimed', items => 'items', learner => 'markov'), rlrec_create_agent('sub_b', 'untimed', items => 'items', learner => 'markov');
SELECT FROM train('sub_a');
SELECT FROM rlrec_attach('sub_a');
BEGIN;
SELECT FROM more(20001, 20010);
SAVEPOINT one;
SELECT FROM more(20011, 32000);
RELEASE one;
COMMIT;
SELECT FROM rlrec_process('sub_a');
SELECT FROM train('sub_b');
SELECT cmp_ok(deviation('sub_a', 'sub_b'), '<', 1e-5::float8, 'a subtransaction that is learned in two batches');

-- ---------------------------------------------------------------- a column of another type while events wait
CREATE TABLE retyped (id bigserial PRIMARY KEY, name text, number int, key uuid, item_id int);
CREATE INDEX ON retyped (name);
CREATE INDEX ON retyped (number);
CREATE INDEX ON retyped (key);
INSERT INTO retyped (name, number, key, item_id) SELECT 'n' || n % 9, n % 9, gen_random_uuid(), n % 7 FROM generate_series(1, 50) n;
SELECT rlrec_create_agent('retyped', 'retyped', user_column => 'name', item_column => 'item_id', learner => 'markov');
SELECT FROM train('retyped');
SELECT FROM rlrec_attach('retyped');
INSERT INTO retyped (name, number, item_id) VALUES ('n1', 1, 2), ('99999999999', 1, 3), ('1 ', 1, 4), ('', 1, 5), ('1', 1, 3);
SELECT FROM rlrec_alter_agent('retyped', user_column => 'number');
SELECT is(rlrec_process('retyped'), 5::bigint, 'ids that are no integers');
INSERT INTO retyped (number, key, item_id) VALUES (1, gen_random_uuid(), 2), (2, gen_random_uuid(), 3);
SELECT FROM rlrec_alter_agent('retyped', user_column => 'key');
SELECT is(rlrec_process('retyped'), 2::bigint, 'and no uuids');
SELECT is((SELECT visits FROM rlrec.online WHERE agent = 'retyped'), 7::bigint, 'are counted as events whose rows are gone');
INSERT INTO retyped (key, item_id) SELECT key, 6 FROM retyped WHERE key IS NOT NULL LIMIT 1;
SELECT FROM rlrec_process('retyped');
SELECT is((SELECT visits FROM rlrec.online WHERE agent = 'retyped'), 8::bigint, 'and the agent goes on');

-- ---------------------------------------------------------------- a user of many events, of whom the last 10,000 are looked at
CREATE TABLE heavy (id bigserial PRIMARY KEY, user_id int, item_id int, at timestamptz, stars float8);
CREATE INDEX ON heavy (user_id, at);
INSERT INTO heavy (user_id, item_id, at, stars) SELECT 1, CASE n WHEN 1 THEN 40 ELSE 1 + n % 7 END, timestamptz '2025-01-01' + n * interval '1 s', 1 FROM generate_series(1, 12000) n;
SELECT FROM unnest('{heavy_a,heavy_b}'::text[]) name, make(name, 'markov', NULL, 'heavy');
SELECT FROM train('heavy_a');
SELECT FROM rlrec_attach('heavy_a');
INSERT INTO heavy (user_id, item_id, at, stars) SELECT 1, 1 + n % 5, timestamptz '2025-02-01' + n * interval '1 s', 1 FROM generate_series(1, 10) n;
SELECT is(rlrec_process('heavy_a'), 10::bigint, 'a user of many events');
INSERT INTO heavy (user_id, item_id, at, stars) SELECT 1, 9, timestamptz '2025-01-01 00:00:01.5' + n * interval '3000 s', 1 FROM generate_series(0, 2) n;
SELECT is(rlrec_process('heavy_a'), 3::bigint, 'who has some late');
SELECT FROM train('heavy_b');
SELECT cmp_ok(deviation('heavy_a', 'heavy_b'), '<', 1e-5::float8, 'is learned from as in training');
INSERT INTO heavy (user_id, item_id, at, stars) VALUES (1, 40, '2025-03-01', 1), (1, 1, '2025-03-02', 1);
SELECT FROM rlrec_process('heavy_a');
SELECT is((SELECT array_agg(format('%s %s', e.action, e.q) ORDER BY e.action) FROM rlrec.qtable t JOIN rlrec.agent a ON a.id = t.agent, rlrec_qtable_entries(t.entries) e
	WHERE a.name = 'heavy_a' AND t.part = 2 AND e.action IN ('1', '40')), '{"1 0","40 1"}', 'an item that he had longer ago is counted as new to him');

-- ---------------------------------------------------------------- users whose events are read together, some having too many for that
CREATE TABLE crowd (id bigserial PRIMARY KEY, user_id int, item_id int, at timestamptz, stars float8);
CREATE INDEX ON crowd (user_id);
INSERT INTO crowd (user_id, item_id, at, stars) SELECT 1 + n % 30, 1 + random_of(n, 1, 40), timestamptz '2025-01-01' + n * interval '1 s', 1 FROM generate_series(1, 300) n;
SELECT FROM unnest('{crowd_a,crowd_b}'::text[]) name, make(name, 'markov', NULL, 'crowd');
SELECT FROM train('crowd_a');
SELECT FROM rlrec_attach('crowd_a');
INSERT INTO crowd (user_id, item_id, at, stars) SELECT CASE WHEN n > 11950 THEN n % 30 ELSE 1 END, 1 + random_of(n, 1, 6), timestamptz '2025-02-01' + n * interval '1 s', 1
	FROM generate_series(1, 12000) n;
SELECT is(rlrec_process('crowd_a'), 12000::bigint, 'a user of many events among others');
INSERT INTO crowd (user_id, item_id, at, stars) SELECT 2 + n % 3, 1 + random_of(n, 2, 40), timestamptz '2025-03-01' + n * interval '1 s', 1 FROM generate_series(1, 15000) n;
SELECT is(rlrec_process('crowd_a'), 15000::bigint, 'users of whom most have many');
ANALYZE crowd;
INSERT INTO crowd (user_id, item_id, at, stars) SELECT n / 2, 1 + random_of(n, 3, 40), timestamptz '2025-01-15' + random_of(n, 4, 1000000) * interval '1 s', 1
	FROM generate_series(1, 14000) n;
SELECT is(rlrec_process('crowd_a'), 14000::bigint, 'and thousands of users, some of whose events come late');
SELECT FROM train('crowd_b');
SELECT cmp_ok(deviation('crowd_a', 'crowd_b'), '<', 1e-5::float8, 'are learned from as in training');

-- ---------------------------------------------------------------- bounds, and the end
SELECT FROM make('small', 'markov', '{"online_states": 3, "online_entries": 2}');
SELECT FROM train('small');
SELECT FROM rlrec_attach('small');
INSERT INTO events (user_id, item_id, at, stars) SELECT 300 + n / 4, 1 + n % 20, timestamptz '2025-07-01' + n * interval '1 s', 1 FROM generate_series(0, 799) n;
SELECT is(rlrec_process('small'), 800::bigint, 'a bounded agent');
SELECT is((SELECT states FROM rlrec.online WHERE agent = 'small'), 3::bigint, 'keeps as many states as it may');
SELECT is((SELECT max(n) FROM (SELECT count(*) AS n FROM rlrec.qtable t JOIN rlrec.agent a ON a.id = t.agent, rlrec_qtable_entries(t.entries) WHERE a.name = 'small' GROUP BY t.state, t.part) e),
	2::bigint, 'and entries of a state');
SELECT is((SELECT visits FROM rlrec.online WHERE agent = 'small'), 800::bigint, 'and counts every event');
SELECT is((SELECT count(*) FROM rlrec_recommend(300, 5, 'small')), 5::bigint, 'it serves');
SELECT FROM rlrec_detach('small');
SELECT is((SELECT count(*) FROM rlrec.qtable t JOIN rlrec.agent a ON a.id = t.agent WHERE a.name = 'small'), 0::bigint, 'rlrec_detach() forgets');
SELECT is((SELECT count(*) FROM rlrec.online WHERE agent = 'small'), 0::bigint, 'all of it');
SELECT FROM rlrec_attach('small');
INSERT INTO events (user_id, item_id, at, stars) VALUES (1, 1, '2025-06-01', 1);
SELECT FROM rlrec_process('small');
SELECT is((SELECT visits FROM rlrec.online WHERE agent = 'small'), 1::bigint, 'visits are counted from the attachment on');
SELECT FROM rlrec.agents, rlrec_drop_agent(name);
SELECT is((SELECT count(*) FROM rlrec.qtable) + (SELECT count(*) FROM rlrec.learned) + (SELECT count(*) FROM rlrec.seen), 0::bigint, 'rlrec_drop_agent() leaves nothing');
SELECT * FROM finish();
