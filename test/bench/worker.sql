-- A shop whose events are learned from, and when each batch was committed, for sh test/bench/worker.
CREATE EXTENSION rlrec;
CREATE TABLE events (id bigserial PRIMARY KEY, user_id int NOT NULL, item_id int NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
	xid xid8 NOT NULL DEFAULT pg_current_xact_id());
INSERT INTO events (user_id, item_id) SELECT 1 + i % 50000, 1 + i * 7 % 1000 FROM generate_series(1, 50000) i;
CREATE INDEX ON events (user_id, at);
SELECT rlrec_create_agent('shop', 'events', user_column => 'user_id', item_column => 'item_id', time_column => 'at', learner => 'popularity');
SELECT FROM rlrec_train('shop');
CREATE TABLE batches (at timestamptz NOT NULL, seen pg_snapshot NOT NULL);
CREATE FUNCTION note_batch() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO public.batches VALUES (clock_timestamp(), NEW.seen); RETURN NULL; END$$;
CREATE TRIGGER note_batch AFTER UPDATE ON rlrec.watermark FOR EACH ROW EXECUTE FUNCTION note_batch();

-- Milliseconds from telling each event since the one given to the batch that learned it
CREATE FUNCTION latencies(after bigint) RETURNS SETOF float8 LANGUAGE sql AS $$
	SELECT 1000 * EXTRACT(epoch FROM (SELECT b.at FROM batches b WHERE b.at >= e.at AND pg_visible_in_snapshot(e.xid, b.seen) ORDER BY b.at LIMIT 1) - e.at)
	FROM events e WHERE e.id > after $$;
CREATE INDEX ON batches (at);
SELECT rlrec_attach('shop');
