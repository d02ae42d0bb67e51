-- Tables that are the same but for what inserting into them teaches: nothing, an agent, and a table of action values by an upsert in PL/pgSQL.
CREATE EXTENSION rlrec;
CREATE TABLE plain (id bigserial PRIMARY KEY, user_id int, item_id int, event text, at timestamptz DEFAULT now());
CREATE TABLE taught (LIKE plain INCLUDING ALL);
CREATE TABLE ranged (LIKE plain INCLUDING ALL);
CREATE TABLE upserted (LIKE plain INCLUDING ALL);
SELECT rlrec_create_agent('taught', 'taught', rewards => '{"click": 1, "buy": 5}');
SELECT rlrec_attach('taught');
SELECT rlrec_create_agent('ranged', 'ranged', rewards => '{"click": 1, "buy": 5}');
SELECT rlrec_attach('ranged', mode => 'range');

CREATE TABLE learned (user_id int, item_id int, q float8, visits bigint, PRIMARY KEY (user_id, item_id)) WITH (fillfactor = 60);
CREATE FUNCTION learn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO learned VALUES (NEW.user_id, NEW.item_id, 0.1, 1)
		ON CONFLICT (user_id, item_id) DO UPDATE SET q = learned.q + 0.1 * (1 - learned.q), visits = learned.visits + 1;
	RETURN NULL;
END
$$;
CREATE TRIGGER learn AFTER INSERT ON upserted FOR EACH ROW EXECUTE FUNCTION learn();

-- The processor time of this backend, in ns, at the beginning of each block of transactions
CREATE TABLE measured (id serial, way text, rows int, cpu bigint, at timestamptz);
CREATE VIEW block AS
	SELECT id, way, rows, (lead(cpu) OVER w - cpu) / 1000.0 AS cpu, extract(epoch FROM lead(at) OVER w - at) * 1000000 AS elapsed
	FROM measured WINDOW w AS (PARTITION BY rows ORDER BY id);
CREATE VIEW plain_block AS
	SELECT rows, what, percentile_cont(0.5) WITHIN GROUP (ORDER BY us) AS us
	FROM block, LATERAL (VALUES ('cpu', cpu), ('elapsed', elapsed)) AS v(what, us) WHERE way = 'plain' AND us IS NOT NULL GROUP BY rows, what;
CREATE VIEW ratio AS	-- of a block to the two before and after it, which are plain
	SELECT rows, way, what, percentile_cont(0.5) WITHIN GROUP (ORDER BY 2 * us / around) AS ratio
	FROM (SELECT *, lag(cpu) OVER w + lead(cpu) OVER w AS cpu_around, lag(elapsed) OVER w + lead(elapsed) OVER w AS elapsed_around
		FROM block WINDOW w AS (PARTITION BY rows ORDER BY id)) b,
		LATERAL (VALUES ('cpu', cpu, cpu_around), ('elapsed', elapsed, elapsed_around)) AS v(what, us, around)
	WHERE way <> 'plain' AND us IS NOT NULL AND around IS NOT NULL GROUP BY rows, way, what;
