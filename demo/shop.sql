-- A synthetic shop, the same on every machine: 2,000 customers, 500 items, what was viewed, put in the cart and purchased in 90 days.
-- There is something to learn in it: some items are popular, a customer has two favourite categories (collaborative, content), and
-- a third of the views are of what goes with the item viewed before (sequences).

BEGIN;

-- Uniform in [0, 1): a hash, because random() would depend on the plan.
CREATE FUNCTION pg_temp.uniform(n bigint, purpose int) RETURNS float8
LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(n, purpose) & 1073741823) / 1073741824.0;

CREATE TABLE users (
	id int PRIMARY KEY,
	name text NOT NULL
);
INSERT INTO users SELECT n, 'customer ' || n FROM generate_series(1, 2000) n;

CREATE TABLE items (
	id int PRIMARY KEY,
	title text NOT NULL,
	category text NOT NULL,
	price numeric(8,2) NOT NULL,
	tags text[] NOT NULL
);
WITH kind AS (
	SELECT ARRAY['shoes', 'books', 'garden', 'kitchen', 'music', 'camping', 'bicycles', 'toys', 'lamps', 'tea'] AS category,
		ARRAY['shoe', 'novel', 'spade', 'pan', 'record', 'tent', 'saddle', 'puzzle', 'lantern', 'oolong'] AS noun,
		ARRAY['plain', 'red', 'light', 'old', 'fine', 'small', 'green', 'grand', 'soft', 'bright'] AS adjective,
		ARRAY['classic', 'everyday', 'travel', 'gift', 'studio'] AS line
)
INSERT INTO items
SELECT n + 1,
	initcap(adjective[n % 10 + 1] || ' ' || line[n / 10 % 5 + 1] || ' ' || noun[n / 50 + 1]),
	category[n / 50 + 1],
	round((5 + 95 * pg_temp.uniform(n, 1) ^ 2)::numeric, 2),
	ARRAY[adjective[n % 10 + 1], line[n / 10 % 5 + 1]]
FROM kind, generate_series(0, 499) n;

CREATE TABLE events (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id int NOT NULL REFERENCES users,
	item_id int NOT NULL REFERENCES items,
	event_type text NOT NULL,
	created_at timestamptz NOT NULL
);

WITH visit AS (				-- 10 to 50 views a customer; key is one number a view
	SELECT u.id AS user_id, v.n, u.id * 100 + v.n AS key
	FROM users u, generate_series(1, 10 + (40 * pg_temp.uniform(u.id, 2))::int) v(n)
), taste AS (				-- the category of each view, half of them the first favourite, a third the second
	SELECT *, floor(10 * CASE
			WHEN pg_temp.uniform(key, 3) < 0.5 THEN pg_temp.uniform(user_id, 4)
			WHEN pg_temp.uniform(key, 3) < 0.8 THEN pg_temp.uniform(user_id, 5)
			ELSE pg_temp.uniform(key, 6)
		END)::int AS category
	FROM visit
), pick AS (				-- the first items of a category are the popular ones
	SELECT *, category * 50 + floor(50 * pg_temp.uniform(key, 7) ^ 2)::int AS item
	FROM taste
), path AS (				-- 17 items further in its category is what goes with an item
	SELECT *, lag(item) OVER (PARTITION BY user_id ORDER BY n) AS before
	FROM pick
), viewed AS (
	SELECT user_id, key,
		1 + CASE WHEN pg_temp.uniform(key, 8) < 0.35 AND before IS NOT NULL
			THEN before / 50 * 50 + (before + 17) % 50
			ELSE item END AS item_id,
		timestamptz '2026-01-01' + (n + pg_temp.uniform(key, 9)) * interval '43 hours' AS at
	FROM path
)
INSERT INTO events (user_id, item_id, event_type, created_at)
SELECT user_id, item_id, step.event_type, at + step.later
FROM viewed, (VALUES ('view', 1.0, interval '0'), ('cart', 0.3, '2 minutes'), ('purchase', 0.12, '5 minutes')) step(event_type, share, later)
WHERE pg_temp.uniform(key, 10) < step.share
ORDER BY at + step.later, user_id;
CREATE INDEX ON events (user_id, created_at);

-- For recommend.sql: what a user liked.
CREATE VIEW liked AS
SELECT e.user_id, i.title, e.created_at AS at, e.id
FROM events e
JOIN items i ON i.id = e.item_id
WHERE e.event_type = 'purchase';

COMMIT;
ANALYZE users, items, events;
