-- The type rlrec_weights: round trips, and everything that must be refused.
\pset format unaligned
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS rlrec;
RESET client_min_messages;

-- what is printed reads back
SELECT '{"w": {"dtype": "f32", "shape": [2,2], "data": [1,2,3.5,"NaN"]}}'::rlrec_weights AS w;
SELECT ' { "b":{"data":[0.1,-0,1e-45,"Infinity","-Infinity"],"shape":[5],"dtype":"f32"},
	"a" : {"shape":[1,1,2,1],"dtype":"f64","data":[0.1,1e300]}, "i": {"dtype":"i8","shape":[2],"data":[-128,127]},
	"j \"\u006a\n": {"dtype":"i32","shape":[2],"data":[-2147483648,2147483647]},"z":{"dtype":"f64","shape":[0,3],"data":[]}}'::rlrec_weights AS w;
SELECT '{}'::rlrec_weights AS w;
SELECT ('{"w":{"dtype":"f32","shape":[2],"data":["NaN","NaN:ffc00000"]}, "d":{"dtype":"f64","shape":[1],"data":["NaN:fff8000000000001"]}}'
	::rlrec_weights)::bytea::rlrec_weights AS w;

-- the image, byte by byte (its checksum aside, what docs/weights.md says)
SELECT length(image), encode(substr(image, 1, 12), 'hex') AS magic_version, encode(substr(image, 17, 16), 'hex') AS length_count,
	encode(substr(image, 33, 112), 'hex') AS entry, encode(substr(image, 145), 'hex') AS data
FROM (SELECT rlrec_weights_send('{"w":{"dtype":"i8","shape":[1,2],"data":[1,-1]}}') AS image) AS i;

CREATE TEMP TABLE w (id int, weights rlrec_weights);
INSERT INTO w VALUES
	(1, '{"w":{"dtype":"f32","shape":[2,2],"data":[1,2,3.5,-4]}, "n":{"dtype":"i8","shape":[3],"data":[1,2,3]}}'),
	(2, '{}'),
	(3, '{"w":{"dtype":"f64","shape":[2,0],"data":[]}}'),
	(4, '{"w":{"dtype":"f32","shape":[2,2],"data":[1,2,3.5,-4]}, "n":{"dtype":"i8","shape":[3],"data":[1,2,3]}}'),
	(5, '{"n":{"dtype":"i8","shape":[3],"data":[1,2,3]}, "w":{"dtype":"f32","shape":[2,2],"data":[1,2,3.5,-4]}}');

-- binary COPY there and back
CREATE TEMP TABLE back (LIKE w);
COPY w TO PROGRAM 'cat > rlrec_weights_test.copy' (FORMAT binary);
COPY back FROM PROGRAM 'cat rlrec_weights_test.copy; rm rlrec_weights_test.copy' (FORMAT binary);
SELECT count(*) AS equal, bool_and(w.weights = back.weights) AND NOT bool_or(w.weights <> back.weights) AS all_equal
FROM w JOIN back USING (id);

-- equality and grouping: the order of names, the dtype and the shape all count
SELECT array_agg(id ORDER BY id) AS ids FROM w GROUP BY weights ORDER BY 1;
SELECT count(DISTINCT weights) AS "distinct" FROM w;
SET enable_hashagg = off;
SELECT count(*) AS sorted FROM (SELECT DISTINCT weights FROM w) AS d;
SET enable_sort = off;
SET enable_hashagg = on;
SELECT count(*) AS hashed FROM (SELECT DISTINCT weights FROM w) AS d;
RESET enable_sort;
RESET enable_hashagg;
SELECT bool_and((a.weights < b.weights) = (b.weights > a.weights) AND (a.weights <= b.weights) = (a.weights < b.weights OR a.weights = b.weights)
	AND (a.weights >= b.weights) <> (a.weights < b.weights)) AS "order" FROM w AS a, w AS b;
SELECT a.id, b.id FROM w AS a JOIN w AS b ON a.weights = b.weights WHERE a.id < b.id;
SELECT '{"w":{"dtype":"f32","shape":[2],"data":[0,0]}}'::rlrec_weights = '{"w":{"dtype":"f32","shape":[2],"data":[0,-0]}}' AS zeros,
	'{"w":{"dtype":"f32","shape":[2],"data":[0,0]}}'::rlrec_weights = '{"w":{"dtype":"f32","shape":[2,1],"data":[0,0]}}' AS shapes,
	'{"w":{"dtype":"f32","shape":[1],"data":[0]}}'::rlrec_weights = '{"w":{"dtype":"i32","shape":[1],"data":[0]}}' AS dtypes,
	'{"w":{"dtype":"f32","shape":[1],"data":["NaN"]}}'::rlrec_weights = '{"w":{"dtype":"f32","shape":[1],"data":["NaN"]}}' AS nans;

-- values that live in TOAST
CREATE TEMP TABLE big AS
	SELECT rlrec_weights_build('w', array_agg(sin(i * g) ORDER BY i), 'f64') AS weights
	FROM generate_series(1, 5000) AS i, generate_series(1, 3) AS g GROUP BY g;
SELECT count(*), count(DISTINCT weights::bytea), bool_and(weights::text::rlrec_weights = weights) AS round_trip FROM big;
SELECT count(*) FROM (SELECT weights FROM big UNION SELECT weights FROM big) AS u;

-- the functions
SELECT t.* FROM w, rlrec_weights_tensors(weights) AS t WHERE id IN (1, 3) ORDER BY id;
SELECT rlrec_weights_tensor(weights, 'w') AS w, rlrec_weights_tensor(weights, 'n') AS n FROM w WHERE id = 1;
SELECT rlrec_weights_tensor(weights, 'w') AS w FROM w WHERE id = 3;
SELECT rlrec_weights_build('w', '{{1,2},{3,4.5}}') AS f32, rlrec_weights_build('w', '{1,-128,127}', 'i8') AS i8;
SELECT rlrec_weights_build('w', '{{{{1e-40,NaN}}},{{{-Infinity,0.1}}}}', dtype => 'f64') AS f64, rlrec_weights_build('w', '{}') AS empty;
SELECT rlrec_weights_build('a', '{1}') || rlrec_weights_build('b', '{2}', 'i32') AS joined;
SELECT rlrec_weights_norm('{"a":{"dtype":"f32","shape":[2],"data":[3,4]}, "b":{"dtype":"i8","shape":[1],"data":[-12]}}') AS all_tensors,
	rlrec_weights_norm('{"a":{"dtype":"f32","shape":[2],"data":[3,4]}, "b":{"dtype":"i8","shape":[1],"data":[-12]}}', 'a') AS a,
	rlrec_weights_norm('{}') AS empty, rlrec_weights_norm(NULL) AS none;
SELECT rlrec_weights_norm(rlrec_weights_build('w', '{3e200,4e200}', 'f64')) AS large,
	rlrec_weights_norm(rlrec_weights_build('w', '{3e-200,4e-200}', 'f64')) AS small,
	rlrec_weights_norm(rlrec_weights_build('w', '{1,NaN,Infinity}')) AS nan,
	rlrec_weights_norm(rlrec_weights_build('w', '{1,-Infinity}')) AS infinite;
SELECT rlrec_weights_difference(
	'{"a":{"dtype":"f32","shape":[2],"data":[3,4]}, "b":{"dtype":"i8","shape":[1],"data":[-128]}}',
	'{"b":{"dtype":"i8","shape":[1],"data":[127]}, "a":{"dtype":"f32","shape":[2],"data":[1,1.5]}}');

-- text that is refused
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'accepted!';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || message || ' / ' || detail || CASE WHEN hint = '' THEN '' ELSE ' (hint)' END;
END
$$;
SELECT input, pg_temp.refused(format('SELECT %L::rlrec_weights', input)) FROM unnest(ARRAY[
	'', 'w', '1', '[]', 'null', '{"w":1}', '{"w":[]}', '{"w":{}}', '{', '{"w":{"dtype":"f32","shape":[1],"data":[1]}} x',
	'{"w":{"dtype":"f32","shape":[1]}}',
	'{"w":{"dtype":"f32","shape":[],"data":[1]}}',
	'{"w":{"dtype":"f32","shape":1,"data":[1]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":1}}',
	'{"w":{"dtype":["f32"],"shape":[1],"data":[1]}}',
	'{"w":{"dtype":"f16","shape":[1],"data":[1]}}',
	'{"w":{"dtype":1,"shape":[1],"data":[1]}}',
	'{"w":{"dtype":"f32","shape":[-1],"data":[]}}',
	'{"w":{"dtype":"f32","shape":[1.5],"data":[1]}}',
	'{"w":{"dtype":"f32","shape":["1"],"data":[1]}}',
	'{"w":{"dtype":"f32","shape":[1,1,1,1,1],"data":[1]}}',
	'{"w":{"dtype":"f32","shape":[99999999999999999999],"data":[1]}}',
	'{"w":{"dtype":"f32","shape":[4611686018427387904,4],"data":[]}}',
	'{"w":{"dtype":"f32","shape":[4611686018427387904,4,0],"data":[]}}',
	'{"w":{"dtype":"f32","shape":[1000000000],"data":[1]}}',
	'{"w":{"dtype":"f32","shape":[2],"data":[1]}}',
	'{"w":{"dtype":"f32","shape":[2],"data":[1,2,3]}}',
	'{"w":{"dtype":"f32","shape":[2,1],"data":[[1],[2]]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":[{}]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":[null]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":[true]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":["1"]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":["NaN:3f800000"]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":["NaN:fff8000000000001"]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":[1e39]}}',
	'{"w":{"dtype":"f32","shape":[1],"data":[1e-60]}}',
	'{"w":{"dtype":"f64","shape":[1],"data":[-1e309]}}',
	'{"w":{"dtype":"i8","shape":[1],"data":[128]}}',
	'{"w":{"dtype":"i8","shape":[1],"data":[-129]}}',
	'{"w":{"dtype":"i8","shape":[1],"data":[1.5]}}',
	'{"w":{"dtype":"i8","shape":[1],"data":[1e1]}}',
	'{"w":{"dtype":"i8","shape":[1],"data":["NaN"]}}',
	'{"w":{"dtype":"i32","shape":[1],"data":[2147483648]}}',
	'{"w":{"dtype":"i32","shape":[1],"data":[99999999999999999999]}}',
	'{"w":{"dtype":"i32","shape":[1],"data":[1],"x":2}}',
	'{"w":{"dtype":"i32","shape":[1],"data":[1],"data":[1]}}',
	'{"w":{"dtype":"i8","shape":[1],"data":[1]},"w":{"dtype":"i8","shape":[1],"data":[1]}}',
	'{"":{"dtype":"i8","shape":[1],"data":[1]}}',
	'{"' || repeat('x', 64) || '":{"dtype":"i8","shape":[1],"data":[1]}}']) AS input;
SELECT pg_temp.refused(format('SELECT %L::rlrec_weights',
	(SELECT '{' || string_agg(format('"w%s":{"dtype":"i8","shape":[0],"data":[]}', i), ',') || '}' FROM generate_series(1, 4097) AS i)));
SELECT pg_temp.refused(format('SELECT %L::rlrec_weights', repeat('[', 100000))) LIKE '22P02%' AS deep;

-- calls that are refused
SELECT statement, pg_temp.refused('SELECT ' || statement) FROM unnest(ARRAY[
	$$rlrec_weights_tensor('{}', 'w')$$,
	$$rlrec_weights_norm('{}', 'w')$$,
	$$rlrec_weights_build('w', '{1,NULL}')$$,
	$$rlrec_weights_build('w', '{1}', 'f16')$$,
	$$rlrec_weights_build('', '{1}')$$,
	$$rlrec_weights_build(repeat('x', 64), '{1}')$$,
	$$rlrec_weights_build('w', '{{{{{1}}}}}')$$,
	$$rlrec_weights_build('w', '{1e39}')$$,
	$$rlrec_weights_build('w', '{1,1.5}', 'i32')$$,
	$$rlrec_weights_build('w', '{128}', 'i8')$$,
	$$rlrec_weights_build('w', '{NaN}', 'i8')$$,
	$$rlrec_weights_build('w', '{1}') || rlrec_weights_build('w', '{2}')$$,
	$$rlrec_weights_difference(rlrec_weights_build('a', '{1}'), rlrec_weights_build('b', '{1}'))$$,
	$$rlrec_weights_difference(rlrec_weights_build('a', '{1}'), '{}')$$,
	$$rlrec_weights_difference('{}', rlrec_weights_build('a', '{1}'))$$,
	$$rlrec_weights_difference(rlrec_weights_build('a', '{1}'), rlrec_weights_build('a', '{{1}}'))$$,
	$$rlrec_weights_difference(rlrec_weights_build('a', '{1}'), rlrec_weights_build('a', '{1,2}'))$$]) AS statement;

-- Images that are refused. A checksum hides every other check, so these seal what they have broken: CRC-32C, bit by bit.
CREATE FUNCTION pg_temp.crc_table() RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
	result bigint[];
	c bigint;
BEGIN
	FOR i IN 0 .. 255 LOOP
		c := i;
		FOR bit IN 1 .. 8 LOOP
			c := CASE WHEN c & 1 = 1 THEN (c >> 1) # 2197175160 ELSE c >> 1 END;
		END LOOP;
		result[i] := c;
	END LOOP;
	RETURN result;
END
$$;
CREATE FUNCTION pg_temp.little_endian(value bigint, width int) RETURNS bytea LANGUAGE sql AS $$
	SELECT string_agg(set_byte('\x00', 0, ((value >> (8 * i)) & 255)::int), '' ORDER BY i) FROM generate_series(0, width - 1) AS i
$$;
CREATE FUNCTION pg_temp.seal(image bytea, crcs bigint[]) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	crc bigint := 4294967295;
BEGIN
	FOR i IN 16 .. length(image) - 1 LOOP
		crc := crcs[(crc # get_byte(image, i)) & 255] # (crc >> 8);
	END LOOP;
	RETURN overlay(image PLACING pg_temp.little_endian(crc # 4294967295, 4) FROM 13 FOR 4);
END
$$;
-- 'accepted!' where the image is read but gives back other bytes
CREATE FUNCTION pg_temp.read(image bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	weights rlrec_weights;
	detail text;
BEGIN
	weights := image::rlrec_weights;
	IF weights::bytea <> image OR weights::text::rlrec_weights <> weights THEN
		RETURN 'accepted!';
	END IF;
	RETURN 'same';
EXCEPTION WHEN invalid_binary_representation THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END
$$;
CREATE TEMP TABLE image AS
	SELECT rlrec_weights_send('{"a":{"dtype":"f32","shape":[2,3],"data":[1,2,3,4,5,6]}, "b":{"dtype":"i8","shape":[3],"data":[1,2,3]}}') AS image,
		pg_temp.crc_table() AS crcs;
SELECT pg_temp.seal(image, crcs) = image AS sealed_alike, pg_temp.read(image), length(image) FROM image;

-- every byte flipped; cut at every length, also where the length is mended and the checksum sealed; a byte too much
SELECT count(*) FILTER (WHERE pg_temp.read(set_byte(image, i, get_byte(image, i) # 255)) NOT IN ('same', 'accepted!')) AS refused, count(*)
FROM image, generate_series(0, length(image) - 1) AS i;
SELECT count(*) FILTER (WHERE pg_temp.read(set_bit(image, i, 1 - get_bit(image, i))) NOT IN ('same', 'accepted!')) AS refused, count(*)
FROM image, generate_series(0, 8 * length(image) - 1) AS i;
SELECT count(*) FILTER (WHERE pg_temp.read(substr(image, 1, i)) NOT IN ('same', 'accepted!')) AS refused, count(*)
FROM image, generate_series(0, length(image) - 1) AS i;
SELECT count(*) FILTER (WHERE pg_temp.read(pg_temp.seal(overlay(substr(image, 1, i) PLACING pg_temp.little_endian(i, 8) FROM 17 FOR 8), crcs))
	NOT IN ('same', 'accepted!')) AS refused, count(*)
FROM image, generate_series(32, length(image) - 1) AS i;
SELECT pg_temp.read(image || '\x00'),
	pg_temp.read(pg_temp.seal(overlay(image PLACING pg_temp.little_endian(length(image) + 1, 8) FROM 17 FOR 8) || '\x00', crcs)) FROM image;

-- each check by itself: what is written where (from 0), in how many bytes
SELECT what, pg_temp.read(pg_temp.seal(overlay(image PLACING pg_temp.little_endian(value, width) FROM at + 1 FOR width), crcs))
FROM image, (VALUES
	('magic', 0, 1, 83), ('version', 8, 4, 2), ('length', 16, 8, 1), ('huge length', 16, 8, 9223372036854775807),
	('negative length', 16, 8, -1), ('no tensors', 24, 4, 0), ('one tensor', 24, 4, 1), ('tensors', 24, 4, 4096), ('many tensors', 24, 4, -1),
	('header''s end', 28, 4, 1), ('empty name', 32, 1, 0), ('same names', 144, 1, 97), ('name not terminated', 40, 1, 97),
	('dtype 0', 96, 4, 0), ('dtype', 96, 4, 5), ('dtype that fits too', 96, 4, 2), ('dtype negative', 96, 4, -1),
	('no dimensions', 100, 4, 0), ('dimensions', 100, 4, 5), ('dimensions negative', 100, 4, -1), ('one dimension less', 100, 4, 1),
	('negative shape', 104, 8, -1), ('huge shape', 104, 8, 9223372036854775807), ('overflowing shape', 104, 8, 4611686018427387904),
	('large shape', 104, 8, 1000000), ('smaller shape', 104, 8, 1), ('zero shape', 104, 8, 0), ('shape beyond its dimensions', 120, 8, 1),
	('offset 0', 136, 8, 0), ('offset of another', 248, 8, 256), ('offset misaligned', 136, 8, 257), ('offset huge', 136, 8, -1),
	('padding', 280, 1, 1)) AS v (what, at, width, value);
SELECT pg_temp.read('\x52'), pg_temp.read(''), pg_temp.read(decode(repeat('00', 1000), 'hex'));
SELECT pg_temp.refused(format('SELECT %L::bytea::rlrec_weights', '\x0a0d574345524c52' || encode(substr(image, 9), 'hex'))) FROM image;

-- random damage, sealed: each is refused or gives the same bytes back
SELECT setseed(0.5) \g /dev/null
DO $$
DECLARE
	original bytea;
	crcs bigint[];
	mutated bytea;
	verdict text;
	refused int := 0;
	same int := 0;
BEGIN
	SELECT i.image, i.crcs INTO original, crcs FROM image AS i;
	FOR round IN 1 .. 2000 LOOP
		mutated := original;
		FOR change IN 0 .. floor(random() * 3)::int LOOP
			mutated := set_byte(mutated, (8 + random() * (length(original) - 9))::int,
				(ARRAY[0, 1, 2, 3, 4, 5, 64, 127, 128, 255, floor(random() * 256)])[1 + floor(random() * 11)::int]::int);
		END LOOP;
		IF random() < 0.2 THEN
			mutated := substr(mutated, 1, 32 + floor(random() * 300)::int);
			mutated := overlay(mutated PLACING pg_temp.little_endian(length(mutated), 8) FROM 17 FOR 8);
		END IF;
		verdict := pg_temp.read(pg_temp.seal(mutated, crcs));
		IF verdict = 'same' THEN
			same := same + 1;
		ELSIF verdict = 'accepted!' THEN
			RAISE 'an image was read as another: %', mutated;
		ELSE
			refused := refused + 1;
		END IF;
	END LOOP;
	IF refused < 500 OR same < 50 THEN
		RAISE 'the fuzz is too tame: % refused, % same', refused, same;
	END IF;
	-- bytes without any order
	FOR round IN 1 .. 200 LOOP
		SELECT string_agg(set_byte('\x00', 0, floor(random() * 256)::int), '') INTO mutated
		FROM generate_series(1, 1 + (random() * 400)::int);
		IF pg_temp.read(mutated) IN ('same', 'accepted!') THEN
			RAISE 'garbage was read: %', mutated;
		END IF;
	END LOOP;
END
$$;

-- the receive function itself, through a binary COPY of a damaged image: bytea and rlrec_weights send alike
CREATE TEMP TABLE damaged AS SELECT 1 AS id, set_byte(image, 300, 7) AS image FROM image;
COPY damaged TO PROGRAM 'cat > rlrec_weights_test.copy' (FORMAT binary);
\set SHOW_CONTEXT never
COPY back FROM PROGRAM 'cat rlrec_weights_test.copy; rm rlrec_weights_test.copy' (FORMAT binary);
SELECT count(*) FROM back;
