-- The type rlrec_qtable: the action values of one state as one value.

CREATE TYPE rlrec_qtable;

CREATE FUNCTION rlrec_qtable_in(cstring) RETURNS rlrec_qtable
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_qtable_out(rlrec_qtable) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_qtable_recv(internal) RETURNS rlrec_qtable
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_qtable_send(rlrec_qtable) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_qtable_in(cstring) IS 'I/O';
COMMENT ON FUNCTION rlrec_qtable_out(rlrec_qtable) IS 'I/O';
COMMENT ON FUNCTION rlrec_qtable_recv(internal) IS 'I/O';
COMMENT ON FUNCTION rlrec_qtable_send(rlrec_qtable) IS 'I/O';

-- Not compressed: a value is rewritten with each step of learning.
CREATE TYPE rlrec_qtable (
	INPUT = rlrec_qtable_in,
	OUTPUT = rlrec_qtable_out,
	RECEIVE = rlrec_qtable_recv,
	SEND = rlrec_qtable_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = external
);
COMMENT ON TYPE rlrec_qtable IS
	'the action values of one state: of each action, a text, its value q and how often it was taken; at most 128 MB; as text {"left": {"q": 0.5, "visits": 3}, "right": {"q": -1, "visits": 0}}, where a bare number is a q of no visits';

CREATE CAST (rlrec_qtable AS jsonb) WITH INOUT;
CREATE CAST (jsonb AS rlrec_qtable) WITH INOUT;
COMMENT ON CAST (rlrec_qtable AS jsonb) IS 'the text form as jsonb';
COMMENT ON CAST (jsonb AS rlrec_qtable) IS 'from an object as in the text form';

CREATE FUNCTION rlrec_qtable_eq(rlrec_qtable, rlrec_qtable) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_qtable_ne(rlrec_qtable, rlrec_qtable) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_qtable_hash(rlrec_qtable) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_qtable_hash_extended(rlrec_qtable, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_qtable_eq(rlrec_qtable, rlrec_qtable) IS 'implementation of = operator';
COMMENT ON FUNCTION rlrec_qtable_ne(rlrec_qtable, rlrec_qtable) IS 'implementation of <> operator';
COMMENT ON FUNCTION rlrec_qtable_hash(rlrec_qtable) IS 'hash';
COMMENT ON FUNCTION rlrec_qtable_hash_extended(rlrec_qtable, bigint) IS 'hash';

CREATE OPERATOR = (
	FUNCTION = rlrec_qtable_eq, LEFTARG = rlrec_qtable, RIGHTARG = rlrec_qtable,
	COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES
);
CREATE OPERATOR <> (
	FUNCTION = rlrec_qtable_ne, LEFTARG = rlrec_qtable, RIGHTARG = rlrec_qtable,
	COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR = (rlrec_qtable, rlrec_qtable) IS 'equal: the same actions, values and visits';
COMMENT ON OPERATOR <> (rlrec_qtable, rlrec_qtable) IS 'not equal';

CREATE OPERATOR CLASS rlrec_qtable_hash_ops DEFAULT FOR TYPE rlrec_qtable USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 rlrec_qtable_hash(rlrec_qtable),
	FUNCTION 2 rlrec_qtable_hash_extended(rlrec_qtable, bigint);

CREATE FUNCTION rlrec_qtable_entries(qtable rlrec_qtable) RETURNS TABLE (action text, q double precision, visits bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION rlrec_qtable_entries(rlrec_qtable) IS
	'a row for each action, in the order of the bytes of their names: the action, its value q and how often it was taken';

CREATE FUNCTION rlrec_qtable_value(qtable rlrec_qtable, action text) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_qtable_value(rlrec_qtable, text) IS 'the value q of the action, NULL when the table does not have it';

CREATE FUNCTION rlrec_qtable_visits(qtable rlrec_qtable, action text) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_qtable_visits(rlrec_qtable, text) IS
	'how often the action was taken, 4294967295 for that often or more, NULL when the table does not have it';

CREATE FUNCTION rlrec_qtable_best(qtable rlrec_qtable) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_qtable_best(rlrec_qtable) IS
	'the action of the highest q, of equal ones the first by the bytes of its name; NULL when the table is empty';

CREATE FUNCTION rlrec_qtable_softmax(qtable rlrec_qtable, temperature double precision DEFAULT 1)
	RETURNS TABLE (action text, probability double precision)
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION rlrec_qtable_softmax(rlrec_qtable, double precision) IS
	'a row for each action, in the order of the bytes of their names: its probability exp(q / temperature), scaled so that they sum to 1 (the Boltzmann policy); a temperature that is not finite or not above 0 is an error (invalid_parameter_value)';

CREATE FUNCTION rlrec_qtable_update(qtable rlrec_qtable, action text, target double precision, alpha double precision)
	RETURNS rlrec_qtable
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_qtable_update(rlrec_qtable, text, double precision, double precision) IS
	'the table after a step of the action''s value toward the target: q + alpha * (target - q), and one visit more; a new action starts at q 0; a NULL table is an empty one; NULL otherwise, an empty action, a target that is not finite and an alpha outside [0,1] are errors';

CREATE FUNCTION rlrec_qtable_merge(a rlrec_qtable, b rlrec_qtable) RETURNS rlrec_qtable
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_qtable_merge(rlrec_qtable, rlrec_qtable) IS
	'the actions of both; of an action in both, q is the mean weighted by visits (unweighted where neither has any), and visits add up';

-- The aggregate: see qtable_aggregate.c for its state.
CREATE FUNCTION rlrec_qtable_accumulate(bytea, text, double precision, bigint) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
CREATE FUNCTION rlrec_qtable_combine(bytea, bytea) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_qtable_final(bytea) RETURNS rlrec_qtable
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_qtable_accumulate(bytea, text, double precision, bigint) IS 'aggregate transition function';
COMMENT ON FUNCTION rlrec_qtable_combine(bytea, bytea) IS 'aggregate combine function';
COMMENT ON FUNCTION rlrec_qtable_final(bytea) IS 'aggregate final function';

CREATE AGGREGATE rlrec_qtable_agg(action text, q double precision, visits bigint) (
	SFUNC = rlrec_qtable_accumulate,
	STYPE = bytea,
	FINALFUNC = rlrec_qtable_final,
	COMBINEFUNC = rlrec_qtable_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE rlrec_qtable_agg(text, double precision, bigint) IS
	'a table of action values from rows; rows of one action are merged: q is the mean weighted by visits (unweighted where none has any), and visits add up; no rows give NULL; NULL, an empty action, a q that is not finite and negative visits are errors';
