-- What the learner "supervised" sees of an event besides its item: its type, and the gap of time.
SET client_min_messages = warning;
SELECT plan(8);

-- After item x comes 100 + x when it was clicked and 200 + x when it was bought. The last event, 300, is the one that validates.
CREATE TABLE actions (id serial PRIMARY KEY, user_id int, item_id int, event text, at timestamptz);
INSERT INTO actions (user_id, item_id, event, at)
SELECT u, CASE n WHEN 1 THEN u / 7 % 10 WHEN 2 THEN x WHEN 3 THEN CASE WHEN bought THEN 200 ELSE 100 END + x ELSE 300 END,
	CASE WHEN n = 2 AND bought THEN 'buy' ELSE 'click' END, timestamptz '2026-01-01' + n * interval '1 hour'
FROM generate_series(1, 600) u, LATERAL (SELECT u % 10 AS x, u / 10 % 2 = 0 AS bought) s, generate_series(1, 4) n;

SELECT rlrec_create_agent('typed', 'actions', rewards => '{"click": 1, "buy": 1, "look": 0}', learner => 'supervised', options =>
	'{"epochs": 30, "learning_rate": 0.01, "warmup": 10, "average": 0.9, "dimension": 32, "hidden": 32, "length": 8, "dropout": 0, "batch": 16, "finish": 0, "patience": 30}') \g /dev/null
SELECT version FROM rlrec_train('typed') \g /dev/null
INSERT INTO actions (user_id, item_id, event, at)
SELECT 1000 + x + 100 * n, (x + 5 * e) % 10, CASE WHEN n = 2 THEN 'look' WHEN e = 0 AND n = 1 THEN 'buy' ELSE 'click' END,
	timestamptz '2026-02-01' - e * interval '1 hour'
FROM generate_series(0, 9) x, generate_series(0, 2) n, generate_series(0, 1) e;
SELECT cmp_ok(count(*) FILTER (WHERE r.item::int = 100 + x), '>=', 9::bigint, 'what follows a click')
FROM generate_series(0, 9) x, rlrec_recommend(1000 + x, 1, 'typed', exclude => (SELECT array_agg(n::text) FROM generate_series(0, 9) n)) r;
SELECT cmp_ok(count(*) FILTER (WHERE r.item::int = 200 + x), '>=', 9::bigint, 'what follows the purchase of the same item')
FROM generate_series(0, 9) x, rlrec_recommend(1100 + x, 1, 'typed', exclude => (SELECT array_agg(n::text) FROM generate_series(0, 9) n)) r;
SELECT is(count(*), 0::bigint, 'an event that earns nothing is none of the history') FROM rlrec_recommend(1200, 1, 'typed') WHERE source = 'supervised';
SELECT is(array_agg(name ORDER BY name), '{type,types/bytes,types/offset}'::text[], 'the types are in the model')
FROM rlrec_weights_tensors(rlrec_model_weights('typed')) WHERE name ~ '^type';

-- After item x comes 100 + x within a minute, 200 + x after a day.
CREATE TABLE visits (id serial PRIMARY KEY, user_id int, item_id int, at timestamptz);
INSERT INTO visits (user_id, item_id, at)
SELECT u, CASE n WHEN 1 THEN u / 7 % 10 WHEN 2 THEN x WHEN 3 THEN CASE WHEN late THEN 200 ELSE 100 END + x ELSE 300 END,
	timestamptz '2026-01-01' + n * interval '1 hour' + CASE WHEN n < 3 THEN interval '0' WHEN late THEN interval '1 day' ELSE interval '-3570 seconds' END
FROM generate_series(1, 600) u, LATERAL (SELECT u % 10 AS x, u / 10 % 2 = 0 AS late) s, generate_series(1, 4) n;
SELECT rlrec_create_agent('asked', 'visits', learner => 'supervised', options => '{"gaps": "request", "epochs": 30, "learning_rate": 0.01, "warmup": 10,
	"average": 0.9, "dimension": 32, "hidden": 32, "length": 8, "dropout": 0, "batch": 16, "finish": 0, "patience": 30}') \g /dev/null
SELECT version FROM rlrec_train('asked') \g /dev/null
INSERT INTO visits (user_id, item_id, at)
SELECT 1000 + x, x, now() - interval '30 seconds' FROM generate_series(0, 9) x UNION ALL
SELECT 1100 + x, x, now() - interval '24 hours' FROM generate_series(0, 9) x;
SELECT cmp_ok(count(*) FILTER (WHERE r.item::int = 100 + x), '>=', 9::bigint, 'what follows when it is asked for at once')
FROM generate_series(0, 9) x, rlrec_recommend(1000 + x, 1, 'asked') r;
SELECT cmp_ok(count(*) FILTER (WHERE r.item::int = 200 + x), '>=', 9::bigint, 'what follows when it is asked for a day later')
FROM generate_series(0, 9) x, rlrec_recommend(1100 + x, 1, 'asked') r;

-- The next item depends on the gap between the last two events; without gaps it could not be told.
CREATE TABLE paces (id serial PRIMARY KEY, user_id int, item_id int, at timestamp);
INSERT INTO paces (user_id, item_id, at)
SELECT u, CASE n WHEN 1 THEN u / 7 % 10 WHEN 2 THEN u % 10 WHEN 3 THEN CASE WHEN slow THEN 200 ELSE 100 END + u % 10 ELSE 300 END,
	timestamp '2026-01-01' + CASE n WHEN 1 THEN interval '0' ELSE CASE WHEN slow THEN interval '3 days' ELSE interval '1 minute' END + n * interval '1 second' END
FROM generate_series(1, 600) u, LATERAL (SELECT u / 10 % 2 = 0 AS slow) s, generate_series(1, 4) n;
SELECT rlrec_create_agent('paced', 'paces', learner => 'supervised', options => '{"epochs": 30, "learning_rate": 0.01, "warmup": 10,
	"average": 0.9, "dimension": 32, "hidden": 32, "length": 8, "dropout": 0, "batch": 16, "finish": 0, "patience": 30}') \g /dev/null
SELECT rlrec_create_agent('blind', 'paces', learner => 'supervised', options => '{"gaps": "none", "epochs": 30, "learning_rate": 0.01, "warmup": 10,
	"average": 0.9, "dimension": 32, "hidden": 32, "length": 8, "dropout": 0, "batch": 16, "finish": 0, "patience": 30}') \g /dev/null
SELECT version FROM rlrec_train('paced') \g /dev/null
SELECT version FROM rlrec_train('blind') \g /dev/null
INSERT INTO paces (user_id, item_id, at)
SELECT 1000 + x + 100 * n, CASE e WHEN 1 THEN (x + 5) % 10 ELSE x END, timestamp '2026-02-01' + (e - 1) * CASE n WHEN 0 THEN interval '1 minute' ELSE interval '3 days' END
FROM generate_series(0, 9) x, generate_series(0, 1) n, generate_series(1, 2) e;
CREATE VIEW told AS
SELECT agent, count(*) FILTER (WHERE r.item::int = 100 * (n + 1) + x) AS times
FROM generate_series(0, 9) x, generate_series(0, 1) n, (VALUES ('paced'), ('blind')) a(agent), rlrec_recommend(1000 + x + 100 * n, 1, agent) r GROUP BY agent;
SELECT cmp_ok(times, '>=', 18::bigint, 'gaps tell the pace') FROM told WHERE agent = 'paced';
SELECT cmp_ok(times, '<=', 14::bigint, 'which is not known without them') FROM told WHERE agent = 'blind';

SELECT * FROM finish();
