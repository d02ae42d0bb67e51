-- The learners that learn of rewards from a log: actor_critic, reinforce, dqn; and NDCG weighed by rewards.
SET client_min_messages = warning;
SELECT plan(55);

CREATE FUNCTION learned(agent text, events regclass, learner text, more jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, events, learner => learner, value_column => 'worth', options => more ||
		'{"epochs": 30, "patience": 30, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 16, "hidden": 16, "length": 8, "dropout": 0, "negatives": 64}');
	RETURN (SELECT metrics FROM rlrec_train(agent));
END
$$;
-- What comes first after a history
CREATE FUNCTION after(history text[], agent text) RETURNS int LANGUAGE sql AS $$
SELECT item::int FROM rlrec_recommend_for_history(history, 1, agent)
$$;

-- After 1 come 10, mostly, and 11, which pays more; after 2 come 20 and 21 likewise; then 30 + what came, which tells the last event apart.
CREATE TABLE choices (id serial PRIMARY KEY, user_id int, item_id int, worth real, ts int);
INSERT INTO choices (user_id, item_id, worth, ts)
SELECT u, i.item, i.worth, n FROM generate_series(1, 300) u, LATERAL (SELECT 1 + u % 2 AS start, u % 10 >= 7 AS rare) s,
	LATERAL (VALUES (1, start, 1), (2, 10 * start + rare::int, CASE WHEN rare THEN 5 ELSE 1 END), (3, 30 + u % 5, 1), (4, 40, 1)) i(n, item, worth);

SELECT ok(learned('imitator', 'choices', 'supervised', '{}') ? 'best_epoch', 'supervised learns the log');
SELECT is(ARRAY[after('{1}', 'imitator'), after('{2}', 'imitator')], '{10,20}', 'and ranks what is frequent first');
SELECT ok(learned(name, 'choices', learner, options) ? 'best_epoch', name || ' is trained')
FROM (VALUES ('weighted', 'reinforce', '{"gamma": 0, "importance": 0}'::jsonb), ('critic', 'actor_critic', '{"gamma": 0, "weight": 3}'),
	('advantage', 'actor_critic', '{"gamma": 0, "advantage": "exponential", "temperature": 0.5, "weight": 0}'),
	('cql', 'dqn', '{"gamma": 0, "conservative": 0.1}'), ('iql', 'dqn', '{"gamma": 0, "offline": "iql", "temperature": 0.5}')) l(name, learner, options);
SELECT is(ARRAY[after('{1}', name), after('{2}', name)], '{11,21}', name || ' ranks what pays first')
FROM unnest('{weighted,critic,advantage,cql,iql}'::text[]) name;

-- The reward of 11 comes a step later, with 21; of 10 follows 20, which pays as little as all else.
CREATE TABLE steps (id serial PRIMARY KEY, user_id int, item_id int, worth real, ts int);
INSERT INTO steps (user_id, item_id, worth, ts)
SELECT u, i.item, i.worth, n * 60000000 FROM generate_series(1, 300) u, LATERAL (SELECT u % 10 >= 7 AS rare) s,
	LATERAL (VALUES (1, 1, 1), (2, 10 + rare::int, 1), (3, 20 + rare::int, CASE WHEN rare THEN 5 ELSE 1 END), (4, 30 + u % 5, 1), (5, 40, 1)) i(n, item, worth);
SELECT is(ARRAY[(learned(name || ' far', 'steps', learner, options || '{"gamma": 0.9}') IS NULL)::int, (learned(name || ' near', 'steps', learner, options || '{"gamma": 0}') IS NULL)::int,
	after('{1}', name || ' far'), after('{1}', name || ' near')], '{0,0,11,10}', name || ' takes the step that leads to the reward with gamma 0.9, not with gamma 0')
FROM (VALUES ('returns', 'reinforce', '{"importance": 0}'::jsonb), ('sqn', 'actor_critic', '{"weight": 3}'), ('sarsa', 'actor_critic', '{"weight": 3, "bootstrap": "sarsa"}'),
	('expectile', 'actor_critic', '{"weight": 3, "bootstrap": "expectile", "loss": "full"}'), ('dqn', 'dqn', '{"conservative": 0.1}'),
	('iql far', 'dqn', '{"offline": "iql", "temperature": 0.5}')) l(name, learner, options);
SELECT is(ARRAY[(learned('sessions', 'steps', 'reinforce', '{"importance": 0, "gamma": 0.9, "session": "1 hour"}') IS NULL)::int, after('{1}', 'sessions')], '{0,10}',
	'nor does what came in another session count');

-- Policy and values are blended into one state: what is served by it is what is recommended.
INSERT INTO choices (user_id, item_id, worth, ts) VALUES (9001, 1, 1, 1);
SELECT ok(bool_and(abs(s.score - r.score) < 1e-4) AND count(*) = 5, name || ': the state decoded, and rlrec_score, are what is recommended')
FROM unnest('{critic,cql,iql}'::text[]) name, rlrec_recommend(9001, 5, name) r, rlrec_decode(name, rlrec_encode(name, 9001), 50) s
WHERE s.item = r.item AND abs(rlrec_score(name, 9001, r.item) - r.score) < 1e-5 GROUP BY name;
SELECT is((SELECT metrics->'weights' FROM rlrec.models WHERE agent = 'critic'), '[1, 3]', 'the metrics tell the weights of policy and values');

-- Tasks: 50 is bought half of the time and 51 never; both pay the same, and 51 is met more often.
CREATE TABLE visits (id serial PRIMARY KEY, user_id int, item_id int, kind text, ts int);
INSERT INTO visits (user_id, item_id, kind, ts)
SELECT u, i.item, i.kind, n FROM generate_series(1, 300) u, LATERAL (SELECT u % 10 >= 6 AS bought) s,
	LATERAL (VALUES (1, 1, 'view'), (2, 51 - bought::int, CASE WHEN bought AND u % 2 = 0 THEN 'purchase' ELSE 'view' END), (3, 30 + u % 5, 'view'), (4, 40, 'view')) i(n, item, kind);
CREATE FUNCTION tasked(agent text, tasks jsonb) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, 'visits', learner => 'actor_critic', event_column => 'kind', rewards => '{"view": 1, "purchase": 1}', options =>
		'{"epochs": 30, "patience": 30, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 16, "hidden": 16, "length": 8, "dropout": 0, "negatives": 64}' || tasks);
	PERFORM rlrec_train(agent);
	RETURN (SELECT item::int FROM rlrec_recommend_for_history('{1}', 1, agent));
END
$$;
SELECT is(tasked('viewer', '{"weight": 0}'), 51, 'what is met most comes first');
SELECT is(tasked('buyer', '{"tasks": {"purchase": 3, "reward": 1, "view": 0}}'), 50, 'and with a weight on purchases what is bought');
SELECT is((SELECT metrics->'weights' FROM rlrec.models WHERE agent = 'buyer'), '[1, 0, 1, 3]', 'each task has its weight');

-- What is refused is in no history, and its value is low all the same: 4 of 10 refuse 10 and then take 11.
CREATE TABLE refusals (id serial PRIMARY KEY, user_id int, item_id int, kind text, ts int);
INSERT INTO refusals (user_id, item_id, kind, ts)
SELECT u, i.item, i.kind, n FROM generate_series(1, 300) u, LATERAL (SELECT u % 10 >= 6 AS refused) s,
	LATERAL (VALUES (1, 1, 'like'), (2, CASE WHEN refused THEN 10 END, 'dislike'), (3, 10 + refused::int, 'like'), (4, 30 + u % 5, 'like'), (5, 40, 'like')) i(n, item, kind)
WHERE i.item IS NOT NULL;
CREATE FUNCTION liked(learner text, more jsonb) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent('liked ' || learner || more, 'refusals', learner => learner, event_column => 'kind', rewards => '{"like": 1, "dislike": -3}', options =>
		'{"epochs": 30, "patience": 30, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 16, "hidden": 16, "length": 8, "dropout": 0, "negatives": 64}' || more);
	PERFORM rlrec_train('liked ' || learner || more);
	RETURN after('{1}', 'liked ' || learner || more);
END
$$;
SELECT is(liked('supervised', '{}'), 10, 'what is liked by most comes first');
SELECT is(liked(learner, more), 11, learner || more || ': what nobody refuses')
FROM (VALUES ('actor_critic', '{"gamma": 0, "weight": 3}'::jsonb), ('actor_critic', '{"weight": 3}'), ('dqn', '{"conservative": 0.1}')) l(learner, more);

-- A weight that is not given is chosen so that the next item is found as often: the rare item would be found more rarely. Where fewer users end
-- with what is rare, the reward may count.
CREATE VIEW starts AS SELECT 1000000 + user_id AS id, user_id, 50 AS item_id, 1::real AS worth, 0 AS ts FROM generate_series(1, 300) user_id;
CREATE TABLE ends AS SELECT id, user_id, item_id, worth, ts FROM choices WHERE ts <= 2 OR user_id % 3 = 0 UNION ALL TABLE starts;
CREATE TABLE tails AS SELECT id, user_id, item_id, worth, ts FROM choices WHERE ts <= 2 OR user_id % 3 > 0 UNION ALL TABLE starts;
SELECT is(learned('chosen', 'ends', 'actor_critic', '{"gamma": 0}')->'weights'->0, '1', 'with a weight chosen on users held out');
SELECT is(ARRAY[after('{50,1}', 'chosen'), after('{50,2}', 'chosen')], '{10,20}', 'what is frequent stays first');
SELECT cmp_ok((learned('kept', 'tails', 'actor_critic', '{"gamma": 0}')->'weights'->1)::float8, '>', 0::float8, 'where it costs little the reward counts');
SELECT rlrec_alter_agent('kept', options => (SELECT options FROM rlrec.agents WHERE name = 'kept') || '{"warm_start": "new"}') \g /dev/null
SELECT is((SELECT metrics->'weights' FROM rlrec_train('kept')), (SELECT metrics->'weights' FROM rlrec.models WHERE agent = 'kept' AND version = 1),
	'and a training without new events keeps its weight');

-- Trainings go on from the version that serves, heads and all; weights travel; the number of threads changes nothing.
SELECT rlrec_alter_agent('critic', options => (SELECT options FROM rlrec.agents WHERE name = 'critic') || '{"warm_start": "all", "epochs": 1, "learning_rate": 1e-9, "finish": 0}') \g /dev/null
CREATE FUNCTION weights(threads int, learner text, more jsonb) RETURNS rlrec_weights LANGUAGE plpgsql AS $$
BEGIN
	PERFORM learned(learner || threads, 'choices', learner, more || jsonb_build_object('epochs', 3, 'threads', threads % 2 + 1, 'dropout', 0.1));
	RETURN rlrec_model_weights(learner || threads);
END
$$;
CREATE FUNCTION embeddings(threads int, learner text, more jsonb) RETURNS float8[] LANGUAGE sql AS $$
SELECT rlrec_weights_tensor(weights(threads, learner, more), 'item_embedding')
$$;
SELECT ok(embeddings(1, 'actor_critic', '{"gamma": 0}') = embeddings(2, 'supervised', '{}'), 'values that do not share leave the policy what supervised is');
SELECT ok(embeddings(3, 'actor_critic', '{"gamma": 0, "share": true}') <> embeddings(4, 'supervised', '{}'), 'and those that share do not');
SELECT ok(weights(6, learner, more) = weights(7, learner, more), learner || ': one thread and two come to the same weights')
FROM (VALUES ('actor_critic', '{"unobserved": 1, "conservative": 0.1, "advantage": "linear", "share": true}'::jsonb), ('reinforce', '{"top_k": 3, "baseline": "state"}'), ('dqn', '{}')) l(learner, more);
SELECT rlrec_create_agent('imported', 'choices', learner => 'dqn') \g /dev/null
SELECT is(rlrec_import_model('imported', rlrec_model_weights('cql'), true), 1, 'weights travel');
SELECT is(ARRAY[after('{1}', 'imported'), after('{2}', 'imported')], '{11,21}', 'with the values in them');
SELECT is((SELECT count(*) FROM rlrec_train('critic')), 1::bigint, 'it is trained again');
SELECT is(ARRAY[after('{1}', 'critic'), after('{2}', 'critic')], '{11,21}', 'from where it was');

-- A metric that tells apart what ndcg does not
CREATE TABLE measured (id serial PRIMARY KEY, user_id int, item_id int, worth real, ts int);
INSERT INTO measured (user_id, item_id, worth, ts)
SELECT u, i.item, i.worth, n FROM generate_series(1, 8) u, LATERAL (VALUES (1, 1, 1), (2, 2, 1), (3, CASE WHEN u % 2 = 0 THEN 3 ELSE 4 END, CASE WHEN u % 2 = 0 THEN 3 ELSE 1 END)) i(n, item, worth);
INSERT INTO measured (user_id, item_id, worth, ts) VALUES (9, 3, 1, 1), (9, 1, 1, 2);
SELECT rlrec_create_agent('measured', 'measured', learner => 'popularity', value_column => 'worth') \g /dev/null
SELECT is(ARRAY[round(ndcg::numeric, 4), round(reward_ndcg::numeric, 4)], ARRAY[0.5000, 0.7500], 'of two items half of the users each find one, that of the first pays three times as much')
FROM rlrec_evaluate('measured', 1, learners => '{popularity}');

SELECT throws_ok(format('SELECT rlrec_create_agent(%L, %L, learner => %L, options => %L)', 'bad', 'choices', learner, options), '22023', message, message)
FROM (VALUES ('actor_critic', '{"gamma": 1.5}', 'invalid value of "gamma" in options'), ('dqn', '{"offline": "bcq"}', 'invalid value of "offline" in options'),
	('reinforce', '{"top_k": 0}', 'invalid value of "top_k" in options'), ('actor_critic', '{"tasks": {}}', 'invalid value of "tasks" in options'),
	('actor_critic', '{"tasks": {"purchase": "much"}}', 'invalid value of "tasks" in options'), ('actor_critic', '{"loss": "bpr"}', 'invalid value of "loss" in options'),
	('reinforce', '{"tasks": {"purchase": 1}}', 'unknown key "tasks" in options')) b(learner, options, message);
SELECT rlrec_create_agent('bad', 'choices', learner => 'actor_critic', options => '{"tasks": {"refund": 1}}') \g /dev/null
SELECT throws_ok($$SELECT * FROM rlrec_train('bad')$$, '55000', 'learner "actor_critic" cannot be fitted', 'a task that no event is of');
SELECT rlrec_alter_agent('bad', options => '{"length": 1}') \g /dev/null
SELECT throws_ok($$SELECT * FROM rlrec_train('bad')$$, '55000', 'learner "actor_critic" cannot be fitted', 'a history of one event has no next state');
SELECT rlrec_create_agent('auto', 'choices', value_column => 'worth', options => '{"epochs": 1}') \g /dev/null
SELECT ok(NOT metrics->'validation_ndcg' ?| '{actor_critic,reinforce,dqn}', 'auto leaves them out') FROM rlrec_train('auto');
SELECT is(metrics->>'chosen', 'dqn', 'unless they are named') FROM (SELECT rlrec_alter_agent('auto', options => '{"epochs": 1, "learners": ["dqn"]}')) a, rlrec_train('auto');

SELECT * FROM finish();
