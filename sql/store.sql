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
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	UNIQUE (agent, version)
);
COMMENT ON TABLE rlrec.model IS 'one row a model version; never updated';
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

REVOKE ALL ON rlrec.agent, rlrec.model, rlrec.chunk, rlrec.deployment, rlrec.training FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('rlrec.agent', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.model', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.chunk', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.deployment', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.agent_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.chunk_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('rlrec.deployment_id_seq', '');
