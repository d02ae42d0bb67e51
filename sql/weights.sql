-- The type rlrec_weights: a set of named tensors as one value.

CREATE TYPE rlrec_weights;

CREATE FUNCTION rlrec_weights_in(cstring) RETURNS rlrec_weights
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_out(rlrec_weights) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_recv(internal) RETURNS rlrec_weights
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_send(rlrec_weights) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_in(cstring) IS 'I/O';
COMMENT ON FUNCTION rlrec_weights_out(rlrec_weights) IS 'I/O';
COMMENT ON FUNCTION rlrec_weights_recv(internal) IS 'I/O';
COMMENT ON FUNCTION rlrec_weights_send(rlrec_weights) IS
	'the image of the weights, which bytea::rlrec_weights reads; I/O';

CREATE TYPE rlrec_weights (
	INPUT = rlrec_weights_in,
	OUTPUT = rlrec_weights_out,
	RECEIVE = rlrec_weights_recv,
	SEND = rlrec_weights_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = external
);
COMMENT ON TYPE rlrec_weights IS
	'a set of up to 4096 named tensors of dtype f32, f64, i8 or i32 and 1 to 4 dimensions, at most 512 MB in all; as text {"w": {"dtype": "f32", "shape": [2,2], "data": [1,2,3.5,"NaN"]}}, data row after row';

CREATE FUNCTION rlrec_weights_from_bytea(image bytea) RETURNS rlrec_weights
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_from_bytea(bytea) IS
	'the weights of an image that rlrec_weights_send() or a binary COPY made; every length and the checksum are checked, and an image that fails is an error (invalid_binary_representation)';

CREATE CAST (bytea AS rlrec_weights) WITH FUNCTION rlrec_weights_from_bytea(bytea);
CREATE CAST (rlrec_weights AS bytea) WITH FUNCTION rlrec_weights_send(rlrec_weights);
COMMENT ON CAST (bytea AS rlrec_weights) IS 'reads an image of weights, checking all of it';
COMMENT ON CAST (rlrec_weights AS bytea) IS 'the image of the weights';

CREATE FUNCTION rlrec_weights_eq(rlrec_weights, rlrec_weights) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_ne(rlrec_weights, rlrec_weights) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_hash(rlrec_weights) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_hash_extended(rlrec_weights, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_eq(rlrec_weights, rlrec_weights) IS 'implementation of = operator';
COMMENT ON FUNCTION rlrec_weights_ne(rlrec_weights, rlrec_weights) IS 'implementation of <> operator';
COMMENT ON FUNCTION rlrec_weights_hash(rlrec_weights) IS 'hash';
COMMENT ON FUNCTION rlrec_weights_hash_extended(rlrec_weights, bigint) IS 'hash';

CREATE OPERATOR = (
	FUNCTION = rlrec_weights_eq, LEFTARG = rlrec_weights, RIGHTARG = rlrec_weights,
	COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR <> (
	FUNCTION = rlrec_weights_ne, LEFTARG = rlrec_weights, RIGHTARG = rlrec_weights,
	COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR = (rlrec_weights, rlrec_weights) IS
	'equal: the same names in the same order, dtypes, shapes and bytes (so that NaN equals NaN, and 0 differs from -0)';
COMMENT ON OPERATOR <> (rlrec_weights, rlrec_weights) IS 'not equal';

-- An order by the images' bytes: it means nothing, but sorts, count(DISTINCT) and ordered aggregates need one.
CREATE FUNCTION rlrec_weights_lt(rlrec_weights, rlrec_weights) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_le(rlrec_weights, rlrec_weights) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_gt(rlrec_weights, rlrec_weights) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_ge(rlrec_weights, rlrec_weights) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION rlrec_weights_cmp(rlrec_weights, rlrec_weights) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_lt(rlrec_weights, rlrec_weights) IS 'implementation of < operator';
COMMENT ON FUNCTION rlrec_weights_le(rlrec_weights, rlrec_weights) IS 'implementation of <= operator';
COMMENT ON FUNCTION rlrec_weights_gt(rlrec_weights, rlrec_weights) IS 'implementation of > operator';
COMMENT ON FUNCTION rlrec_weights_ge(rlrec_weights, rlrec_weights) IS 'implementation of >= operator';
COMMENT ON FUNCTION rlrec_weights_cmp(rlrec_weights, rlrec_weights) IS 'less-equal-greater';

CREATE OPERATOR < (
	FUNCTION = rlrec_weights_lt, LEFTARG = rlrec_weights, RIGHTARG = rlrec_weights,
	COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=),
	RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel
);
CREATE OPERATOR <= (
	FUNCTION = rlrec_weights_le, LEFTARG = rlrec_weights, RIGHTARG = rlrec_weights,
	COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>),
	RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel
);
CREATE OPERATOR > (
	FUNCTION = rlrec_weights_gt, LEFTARG = rlrec_weights, RIGHTARG = rlrec_weights,
	COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=),
	RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel
);
CREATE OPERATOR >= (
	FUNCTION = rlrec_weights_ge, LEFTARG = rlrec_weights, RIGHTARG = rlrec_weights,
	COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<),
	RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR < (rlrec_weights, rlrec_weights) IS 'less than, by the bytes of the images';
COMMENT ON OPERATOR <= (rlrec_weights, rlrec_weights) IS 'less than or equal, by the bytes of the images';
COMMENT ON OPERATOR > (rlrec_weights, rlrec_weights) IS 'greater than, by the bytes of the images';
COMMENT ON OPERATOR >= (rlrec_weights, rlrec_weights) IS 'greater than or equal, by the bytes of the images';

CREATE OPERATOR CLASS rlrec_weights_ops DEFAULT FOR TYPE rlrec_weights USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 rlrec_weights_cmp(rlrec_weights, rlrec_weights);

CREATE OPERATOR CLASS rlrec_weights_hash_ops DEFAULT FOR TYPE rlrec_weights USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 rlrec_weights_hash(rlrec_weights),
	FUNCTION 2 rlrec_weights_hash_extended(rlrec_weights, bigint);

CREATE FUNCTION rlrec_weights_tensors(weights rlrec_weights)
	RETURNS TABLE (name text, dtype text, shape bigint[], elements bigint, bytes bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION rlrec_weights_tensors(rlrec_weights) IS
	'a row for each tensor, in order: its name, dtype, shape (1 to 4 dimensions), number of elements and bytes of data';

CREATE FUNCTION rlrec_weights_tensor(weights rlrec_weights, name text) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_tensor(rlrec_weights, text) IS
	'the tensor of that name as an array of its shape, the empty array when a dimension is 0; an unknown name is an error (undefined_object), as is a tensor of 1 GB or more as double precision (program_limit_exceeded)';

CREATE FUNCTION rlrec_weights_build(name text, "values" double precision[], dtype text DEFAULT 'f32') RETURNS rlrec_weights
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_build(text, double precision[], text) IS
	'weights of one tensor, of the array''s dimensions (1 to 4; the empty array has shape (0)) and of dtype f32, f64, i8 or i32; a NULL in values, a number that the dtype does not hold and a name of no or more than 63 bytes are errors';

CREATE FUNCTION rlrec_weights_concat(a rlrec_weights, b rlrec_weights) RETURNS rlrec_weights
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_concat(rlrec_weights, rlrec_weights) IS
	'the tensors of a, then those of b; a name in both is an error (duplicate_object)';

CREATE OPERATOR || (FUNCTION = rlrec_weights_concat, LEFTARG = rlrec_weights, RIGHTARG = rlrec_weights);
COMMENT ON OPERATOR || (rlrec_weights, rlrec_weights) IS 'the tensors of both, which share no name';

CREATE FUNCTION rlrec_weights_norm(weights rlrec_weights, name text DEFAULT NULL) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_norm(rlrec_weights, text) IS
	'Euclidean norm, the root of the sum of squares, of the tensor of that name, of all elements when name is NULL; NULL weights give NULL, a NaN among the elements gives NaN; an unknown name is an error (undefined_object)';

CREATE FUNCTION rlrec_weights_difference(a rlrec_weights, b rlrec_weights) RETURNS rlrec_weights
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_difference(rlrec_weights, rlrec_weights) IS
	'a - b, tensor by tensor, in the order of a: f32 where both are f32, else f64; a name in one of them only is an error (undefined_object), as are different shapes (datatype_mismatch)';

CREATE FUNCTION rlrec_weights_to_safetensors(weights rlrec_weights) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_to_safetensors(rlrec_weights) IS
	'the bytes of a .safetensors file with these tensors, as F32, F64, I8 or I32, in order';

CREATE FUNCTION rlrec_weights_from_safetensors(file bytea) RETURNS rlrec_weights
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION rlrec_weights_from_safetensors(bytea) IS
	'the tensors of a .safetensors file (F32, F64, I8, I32; F16 and BF16 become f32), in the order of their data; malformed data, another dtype, more than 4 dimensions or a name of more than 63 bytes are errors';
