-- Weights from and to safetensors files.
BEGIN;
SELECT plan(19);

CREATE FUNCTION file(header text, data bytea) RETURNS bytea LANGUAGE sql AS $$
	SELECT decode(string_agg(lpad(to_hex((octet_length(header)::bigint >> (8 * i)) & 255), 2, '0'), '' ORDER BY i), 'hex')
		|| convert_to(header, 'UTF8') || data
	FROM generate_series(0, 7) i
$$;
CREATE FUNCTION read(header text, data bytea) RETURNS text LANGUAGE sql AS
	$$ SELECT rlrec_weights_from_safetensors(file(header, data))::text $$;

SELECT is(rlrec_weights_to_safetensors('{"w": {"dtype": "f32", "shape": [1, 2], "data": [1, -2]}}'),
	file('{"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}', '\x0000803f000000c0'), 'a file is written as the format says');
SELECT is(read('{"b":{"dtype":"I32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
	'\x0000803ffeffffff'), '{"a": {"dtype": "f32", "shape": [1], "data": [1]}, "b": {"dtype": "i32", "shape": [1], "data": [-2]}}',
	'tensors come in the order of their data');
SELECT is(read('{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[6],"data_offsets":[0,12]}}', '\x003c00c0010000fc007eff7b'),
	'{"a": {"dtype": "f32", "shape": [6], "data": [1,-2,5.9604645e-08,"-Infinity","NaN",65504]}}', 'F16, metadata passed over');
SELECT is(read('{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}', '\x803f80bf'),
	'{"a": {"dtype": "f32", "shape": [2], "data": [1,-1]}}', 'BF16');
SELECT is(read('{"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]}}', '\xff'),
	'{"a": {"dtype": "i8", "shape": [1], "data": [-1]}}', 'a scalar');
SELECT is(read('{"a":{"dtype":"F64","shape":[0,3],"data_offsets":[0,0]}}', ''),
	'{"a": {"dtype": "f64", "shape": [0,3], "data": []}}', 'nothing');

SELECT is(rlrec_weights_from_safetensors(rlrec_weights_to_safetensors(w)), w, 'and back, bit for bit: ' || left(w::text, 40))
FROM (VALUES ('{}'::rlrec_weights),
	('{"x\"ö": {"dtype": "f64", "shape": [2, 1, 1, 2], "data": [0.1, "NaN", "-Infinity", -0]}, "a": {"dtype": "i8", "shape": [3], "data": [1, -128, 127]}, "z": {"dtype": "i32", "shape": [0], "data": []}}'),
	((SELECT rlrec_weights_build('w', array_agg(sin(i)), 'f32') FROM generate_series(1, 10000) i))) v(w);

SELECT throws_ok(format('SELECT read(%L, %L)', header, data), '22P03', 'invalid safetensors data', what) FROM (VALUES
	('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', '\x00000000', 'a shape that needs more'),
	('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', '\x0000000000', 'data left over'),
	('{"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}', '\x0000000000', 'a gap'),
	('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}', '', 'a negative offset'),
	('{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}', '', 'a shape that overflows'),
	('{"a":{"dtype":"U4","shape":[1],"data_offsets":[0,1]}}', '\x00', 'an unknown dtype'),
	('{"a":[1]}', '', 'no tensor'),
	('[1]', '', 'no object')) v(header, data, what);
SELECT throws_ok($$SELECT rlrec_weights_from_safetensors('\xffffffffffffffff7b7d')$$, '22P03', 'invalid safetensors data', 'a header that is too long');
SELECT throws_ok($$SELECT rlrec_weights_from_safetensors('\x00')$$, '22P03', 'invalid safetensors data', 'a file that is too short');

SELECT * FROM finish();
ROLLBACK;
