-- Where a training of "supervised" starts: from the version that serves, over all events or only over new ones.
SET client_min_messages = error;
SELECT plan(18);

-- Two items of a progression tell the next; the steps 3 and 7 are known at first, step 11 comes later, as do ids 200 .. 209.
CREATE TABLE walks (id serial PRIMARY KEY, user_id int, item_id int, event text, at timestamptz);
CREATE FUNCTION walk(users int4range, step int, start timestamptz, event text DEFAULT 'see') RETURNS void LANGUAGE sql AS $$
INSERT INTO walks (user_id, item_id, event, at)
SELECT u, (u * 17 + n * step) % 61, event, start + n * interval '1 hour' FROM generate_series(lower(users), upper(users) - 1) u, generate_series(1, 6) n
$$;
SELECT walk('[1,300)', 3, '2026-01-01'), walk('[300,600)', 7, '2026-01-01') \g /dev/null

-- Of the 61 walks of that step that ask for what comes next, how many get it, among the first k.
CREATE FUNCTION known(agent text, step int, k int DEFAULT 1) RETURNS int LANGUAGE sql AS $$
SELECT count(*)::int FROM generate_series(0, 60) x, rlrec_recommend_for_history(ARRAY[x::text, ((x + step) % 61)::text], k, agent) r
WHERE r.item::int = (x + 2 * step) % 61
$$;
CREATE FUNCTION make(agent text, more jsonb) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_create_agent(agent, 'walks', rewards => '{"see": 1, "buy": 1}', learner => 'supervised', options =>
		'{"epochs": 30, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 32, "hidden": 32, "length": 8, "dropout": 0, "batch": 16}'::jsonb || more);
	RETURN (SELECT version FROM rlrec_train(agent));
END
$$;
CREATE FUNCTION again(agent text, options jsonb) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM rlrec_alter_agent(agent, options);
	RETURN (SELECT version FROM rlrec_train(agent));
END
$$;
SELECT make('walk', '{}'), make('short', '{"epochs": 2}') \g /dev/null
SELECT cmp_ok(known('walk', 3) + known('walk', 7), '>=', 100, 'two steps are learned');
SELECT cmp_ok(known('walk', 11), '<=', 20, 'a third is not known yet');

SELECT again('walk', '{"warm_start": "new"}') \g /dev/null
SELECT ok(bool_and(rlrec_weights_tensor(rlrec_model_weights('walk', 1), name) = rlrec_weights_tensor(rlrec_model_weights('walk', 2), name)),
	'without new events the weights stay what they were, bit for bit') FROM rlrec_weights_tensors(rlrec_model_weights('walk', 2)) WHERE name <> 'training';
SELECT again('walk', '{"warm_start": "all", "epochs": 1, "learning_rate": 0.0001}') \g /dev/null
SELECT cmp_ok(known('walk', 3) + known('walk', 7), '>=', 100, 'one epoch more from there keeps what was learned');
SELECT again('walk', '{"warm_start": "none"}') \g /dev/null
SELECT cmp_ok(known('walk', 3) + known('walk', 7), '<=', 40, 'and comes nowhere from random weights');

-- New events: a new step, and after each of the new items 200 + x comes 210 + x.
SELECT walk('[600,900)', 11, '2026-02-01') \g /dev/null
INSERT INTO walks (user_id, item_id, event, at)
SELECT 1000 + u, CASE n % 2 WHEN 0 THEN 200 ELSE 210 END + (u + n / 2) % 10, 'see', timestamptz '2026-02-01' + n * interval '1 hour'
FROM generate_series(1, 300) u, generate_series(0, 5) n;
SELECT rlrec_deploy('walk', 1) \g /dev/null
SELECT again('walk', '{"warm_start": "new", "epochs": 30, "learning_rate": 0.002}') \g /dev/null
SELECT cmp_ok(known('walk', 11), '>=', 40, 'new events alone teach the new step');
SELECT cmp_ok(known('walk', 3, 3) + known('walk', 7, 3), '>=', 80, 'and much of what was known stays');
SELECT cmp_ok(count(*) FILTER (WHERE r.item::int = x + 10), '>=', 9::bigint, 'items that were not there before have found their places')
FROM generate_series(200, 209) x, rlrec_recommend_for_history(ARRAY[x::text], 1, 'walk') r;

SELECT rlrec_deploy('walk', 1) \g /dev/null
SELECT again('walk', '{"warm_start": "all", "epochs": 10, "learning_rate": 0.01}') \g /dev/null
SELECT cmp_ok(known('walk', 3) + known('walk', 7), '>=', 100, 'all events keep what was known');
SELECT cmp_ok(known('walk', 11), '>=', 40, 'and teach what is new');

-- Items that are gone are forgotten; those that stay keep their vectors, which a start in 8 bits knows to within a step.
SELECT again('walk', '{"quantize": "int8"}'), again('walk', '{"warm_start": "new"}') \g /dev/null
SELECT ok(abs(a.score - b.score) < 0.05, 'a start in 8 bits') FROM rlrec_recommend(5, 1, 'walk') a, LATERAL (SELECT rlrec_score('walk', 5, a.item) AS score) b;
DELETE FROM walks WHERE item_id >= 200;
SELECT again('walk', '{"quantize": "none"}') \g /dev/null
SELECT cmp_ok(known('walk', 3) + known('walk', 7), '>=', 100, 'without the items that are gone');

SELECT walk('[2000,2100)', 11, '2026-03-01', 'buy') \g /dev/null
SELECT again('walk', '{"warm_start": "new"}') \g /dev/null
SELECT is(tensor.shape, '{3,32}', 'a new type of event has a row')
FROM rlrec_weights_tensors(rlrec_model_weights('walk')) tensor WHERE name = 'type';
SELECT again('short', '{"warm_start": "all", "dimension": 16}') \g /dev/null
SELECT is(tensor.shape, '{61,16}', 'another shape starts afresh') FROM rlrec_weights_tensors(rlrec_model_weights('short')) tensor WHERE name = 'item_embedding';
SELECT throws_ok($$SELECT rlrec_alter_agent('short', '{"warm_start": "hot"}')$$, '22023', 'invalid value of "warm_start" in options', 'an unknown start');

-- What a training in vain did not learn is new still.
SELECT rlrec_alter_agent('walk', '{"quantize": "none"}') \g /dev/null
SELECT walk('[900,1000)', 13, '2026-03-20') \g /dev/null
SELECT again('walk', '{"warm_start": "new", "learning_rate": 1e-9, "epochs": 3}'), again('walk', '{"learning_rate": 0.002, "epochs": 30}') \g /dev/null
SELECT cmp_ok(known('walk', 13, 3), '>=', 25, 'events that were learned in vain are learned again');
-- Without a time nothing is known to be new.
CREATE TABLE timeless AS SELECT user_id, item_id FROM walks ORDER BY id;
SELECT rlrec_create_agent('timeless', 'timeless', learner => 'supervised', options => '{"epochs": 1, "warm_start": "new", "dimension": 32, "hidden": 32, "length": 8}') \g /dev/null
SELECT is((SELECT version FROM rlrec_train('timeless')), 1, 'events without time');
SELECT ok((metrics->>'best_epoch')::int >= 0 AND version = 2, 'are all learned again') FROM rlrec_train('timeless');

SELECT * FROM finish();
