\if :i % :block = 0
SELECT (ARRAY['plain', 'taught', 'plain', 'ranged', 'plain', 'upserted'])[:i / :block % 6 + 1] AS way, split_part(pg_read_file('/proc/self/schedstat'), ' ', 1) AS cpu \gset
INSERT INTO measured (way, rows, cpu, at) VALUES (':way', 100, :cpu, clock_timestamp());
\endif
\set i :i + 1
\set user random(1, 10000)
\set item random(1, 1000)
INSERT INTO :way (user_id, item_id, event) SELECT :user, :item + i, 'click' FROM generate_series(1, 100) i;
