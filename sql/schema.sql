\echo Use "CREATE EXTENSION rlrec" to load this file. \quit

DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) 'rlrec') THEN
		RAISE EXCEPTION 'schema "rlrec" already exists'
			USING ERRCODE = 'duplicate_schema',
				HINT = 'The extension makes this schema itself and trusts nothing that it finds there. Drop or rename it, then run CREATE EXTENSION rlrec again.';
	END IF;
END
$$;

CREATE SCHEMA rlrec;
GRANT USAGE ON SCHEMA rlrec TO PUBLIC;
COMMENT ON SCHEMA rlrec IS 'tables and views of the extension rlrec';
