-- What the aggregates of off-policy evaluation say of doubtful estimates.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS rlrec;
RESET client_min_messages;
\t
CREATE TABLE log AS SELECT (i % 4 = 0)::int AS reward, 0.5 AS logged, 0.5 AS target, i FROM generate_series(1, 800) AS i;

-- enough
SELECT round((rlrec_ips(reward, logged, target)).value::numeric, 6) FROM log;
SELECT round((rlrec_dm(0.5)).value::numeric, 6) FROM log;

-- too few rewards, once a query
SELECT i % 2, round((rlrec_ips(reward, logged, target)).value::numeric, 6) FROM log GROUP BY 1 ORDER BY 1;
-- those without weight do not count
SELECT round((rlrec_snips(reward, logged, CASE WHEN i > 4 THEN target ELSE 0 END)).value::numeric, 6) FROM log;

-- poor overlap
SELECT round((rlrec_ips(reward, CASE WHEN i <= 8 THEN 0.01 ELSE logged END, CASE WHEN i <= 8 THEN 0.5 ELSE 0.25 END)).value::numeric, 6) FROM log;

-- actions that were never logged
SELECT round((rlrec_ips(reward, logged, 0.4 + 0.1 * (i % 2))).value::numeric, 6) FROM log;

DROP TABLE log;
