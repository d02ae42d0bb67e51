-- The extension's own tables: agents, their model versions, and the chunks that hold the models' bytes.

CREATE TABLE rlrec.agent (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text COLLATE "C" NOT NULL UNIQUE,
	anchor pg_catalog.regclass NOT NULL,
	events pg_catalog.regclass,
	user_column name,
	item_column name,
	time_column name,
	event_column name,
	value_column name,
	rewards jsonb,
	items pg_catalog.regclass,
	item_key name,
	users pg_catalog.regclass,
	candidates pg_catalog.regclass,
	candidate_key name,
	encoder text NOT NULL,
	generator text NOT NULL,
	learner text NOT NULL,
	options jsonb,
	deployed bigint
);
COMMENT ON TABLE rlrec.agent IS 'one row an agent; rlrec.agents shows it to people';
COMMENT ON COLUMN rlrec.agent.anchor IS 'a sequence whose owner owns the agent and whose USAGE privilege allows to use it';
COMMENT ON COLUMN rlrec.agent.deployed IS 'rlrec.model.id of the version that serves, NULL before the first';

CREATE TABLE rlrec.model (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	agent bigint NOT NULL,
	version int NOT NULL,
	learner text NOT NULL,
	length bigint NOT NULL,
	chunks bigint[] NOT NULL,
	options jsonb,
	metrics jsonb,
	seconds float8 NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	UNIQUE (agent, version)
);
COMMENT ON TABLE rlrec.model IS 'one row a model version; never updated';
COMMENT ON COLUMN rlrec.model.created_at IS 'when it had been trained';
COMMENT ON COLUMN rlrec.model.length IS 'bytes of the image that the chunks make up';

CREATE TABLE rlrec.chunk (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	crc bigint NOT NULL,
	data bytea NOT NULL
);
ALTER TABLE rlrec.chunk ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE rlrec.chunk IS '64 KB pieces of model images; versions of an agent share the pieces that are equal';
COMMENT ON COLUMN rlrec.chunk.crc IS 'CRC-32C of data';

CREATE TABLE rlrec.deployment (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	agent bigint NOT NULL,
	model bigint NOT NULL,
	deployed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE rlrec.deployment IS 'what was deployed, oldest first; rlrec_rollback() takes the last row away';

CREATE TABLE rlrec.training (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	agent bigint NOT NULL,
	deploy int NOT NULL,
	state text NOT NULL DEFAULT 'waiting',
	attempts int NOT NULL DEFAULT 0,
	pid int,
	learner text,
	version int,
	error text,
	requested_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	started_at timestamptz,
	finished_at timestamptz
);
COMMENT ON TABLE rlrec.training IS 'trainings in the background: waiting, running, done, failed or cancelled';
COMMENT ON COLUMN rlrec.training.deploy IS '0 always, 1 never, 2 if_better';
COMMENT ON COLUMN rlrec.training.learner IS 'of the agent when the training ended';

CREATE TABLE rlrec.learned (
	agent bigint PRIMARY KEY,
	model bigint NOT NULL,
	generation bigint NOT NULL DEFAULT 0,
	events bigint NOT NULL DEFAULT 0,
	newer bigint NOT NULL DEFAULT 0,
	users bigint NOT NULL DEFAULT 0,
	states bigint NOT NULL DEFAULT 0,
	newest bigint NOT NULL DEFAULT -9223372036854775808
) WITH (fillfactor = 50);
COMMENT ON TABLE rlrec.learned IS 'one row an agent that learned from events between trainings; rlrec.online shows it to people';
COMMENT ON COLUMN rlrec.learned.model IS 'rlrec.model.id of the version on top of which the rows of rlrec.qtable are; 0 for none';
COMMENT ON COLUMN rlrec.learned.generation IS 'how often the rows changed';
COMMENT ON COLUMN rlrec.learned.events IS 'that were learned';
COMMENT ON COLUMN rlrec.learned.newer IS 'events that are in the rows';
COMMENT ON COLUMN rlrec.learned.users IS 'that had an item, more than when the version was trained';
COMMENT ON COLUMN rlrec.learned.states IS 'rows of learners that the agent''s option online_states bounds';
COMMENT ON COLUMN rlrec.learned.newest IS 'time of the latest event, microseconds since 2000-01-01';

-- Numbers of transactions mean nothing in another cluster, so this is not dumped.
CREATE TABLE rlrec.seen (
	agent bigint NOT NULL,
	model bigint NOT NULL,
	seen pg_catalog.pg_snapshot NOT NULL,
	PRIMARY KEY (agent, model)
) WITH (fillfactor = 50);
COMMENT ON TABLE rlrec.seen IS 'which events a version was trained on, and, model 0, which are in it or in the rows learned on top of it';
COMMENT ON COLUMN rlrec.seen.seen IS 'the transactions whose rows count, subtransactions listed by themselves';

REVOKE ALL ON rlrec.agent, rlrec.model, rlrec.chunk, rlrec.deployment, rlrec.training, rlrec.learned, rlrec.seen FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('rlrec.agent', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.model', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.chunk', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.deployment', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.learned', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.agent_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.chunk_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.deployment_id_seq', '');
