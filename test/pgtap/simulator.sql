-- The worlds of simulated users: the same for every policy, and delayed where they say so.
SET client_min_messages = warning;
SELECT plan(18);
\ir ../sim/world.sql

-- The mean return of 60 users of each of three seeds under an oracle
CREATE FUNCTION play(world text, policy text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	p sim.person;
	total float8 := 0;
BEGIN
	FOR seed IN 1 .. 3 LOOP
		FOR u IN 1 .. 60 LOOP
			p := sim.start(world, seed, u);
			LOOP
				p := sim.step(p, CASE policy WHEN 'myopic' THEN sim.best_item(p) ELSE sim.far_sighted_item(p) END);
				total := total + p.reward;
				EXIT WHEN p.done;
			END LOOP;
		END LOOP;
	END LOOP;
	RETURN total / 180;
END
$$;

-- A user and what was seen of him after so many times the same item
CREATE TYPE met AS (person sim.person, seen sim.seen);
CREATE FUNCTION meet(world text, seed int, user_id int, item int, times int) RETURNS met LANGUAGE plpgsql AS $$
DECLARE
	p sim.person := sim.start(world, seed, user_id);
	s sim.seen := sim.first_seen(seed, sim.history(p));
BEGIN
	FOR n IN 1 .. times LOOP
		p := sim.step(p, item);
		s := sim.look(s, item, p.engaged);
	END LOOP;
	RETURN ROW(p, s);
END
$$;

CREATE TABLE gains AS
SELECT world, play(world, 'far-sighted') / play(world, 'myopic') AS gain FROM sim.worlds;

-- ---------------------------------------------------------------- the same users and the same luck

SELECT ok(min(d) > 0 AND max(d) < 1 AND abs(avg(d) - 0.5) < 0.01 AND abs(variance(d) - 1 / 12.0) < 0.002 AND abs(corr(d, n)) < 0.03,
	'draws are uniform') FROM generate_series(1, 20000) n, LATERAL (SELECT sim.draw(7, n) AS d) d;
SELECT is(meet('long_term', 1, 42, 3, 20)::text, meet('long_term', 1, 42, 3, 20)::text, 'a session again is the same session');
SELECT is(count(DISTINCT (sim.start('interest', 1, u)).interest)::int, 100, 'users differ') FROM generate_series(1, 100) u;
SELECT is((sim.start('interest', 1, 5)).interest, (sim.start('myopic', 1, 5)).interest, 'not by the world');
SELECT isnt((sim.start('myopic', 1, 5)).pull, (sim.start('myopic', 2, 5)).pull, 'a seed has a catalogue of its own');
SELECT ok(bool_and((a.person).engaged = (sim.draw((b.person).key, 9) < sim.chance(b.person, 3))),
	'a response depends on the state and the draw of the step alone')
FROM generate_series(1, 50) u, meet('long_term', 1, u, 3, 10) a, meet('long_term', 1, u, 3, 9) b;
SELECT ok(min(l) = 24 AND max(l) = 36, 'sessions have 24 to 36 recommendations')
FROM generate_series(1, 500) u, LATERAL (SELECT (sim.start('myopic', 1, u)).length AS l) p;
SELECT ok(NOT (m.person).done AND (sim.step(m.person, 1)).done, 'and then are done')
FROM LATERAL (SELECT (sim.start('myopic', 1, 5)).length AS l) p, meet('myopic', 1, 5, 1, l - 1) m;
SELECT ok(abs(avg((sim.step(p, 3)).reward) - avg(sim.chance(p, 3))) < 0.04, 'clicks are as frequent as their probability says')
FROM generate_series(1, 2000) u, sim.start('long_term', 1, u) p;

-- ---------------------------------------------------------------- what is delayed, and what is not

SELECT cmp_ok(gain, '>', 1.25::float8, 'with long-term satisfaction patience earns more than the myopic oracle') FROM gains WHERE world = 'long_term';
SELECT cmp_ok(gain, '>', 1.08::float8, 'with interests that drift too') FROM gains WHERE world = 'interest';
SELECT is(gain, 1::float8, 'without delayed effects it earns the same') FROM gains WHERE world = 'myopic';
SELECT ok(bool_and((sim.chance((meet('myopic', 1, u, 4, 10)).person, 4)) = sim.chance(sim.start('myopic', 1, u), 4)),
	'where nothing is delayed no probability ever moves') FROM generate_series(1, 20) u;
SELECT cmp_ok(avg((meet('long_term', 1, u, 1, 15)).person.exposure), '>', 0.3::float8, 'kale builds satisfaction') FROM generate_series(1, 50) u;
SELECT cmp_ok(avg((meet('long_term', 1, u, 2, 15)).person.exposure), '<', -0.3::float8, 'choc consumes it') FROM generate_series(1, 50) u;
SELECT ok(bool_and(abs(later - (p.person).depth[1]) <= abs(before - (p.person).depth[1])) AND avg((later <> before)::int) > 0.9,
	'consumption moves an interest towards the depth of its topic')
FROM generate_series(1, 50) u, meet('interest', 1, u, 1, 24) p,
	LATERAL (SELECT (p.person).interest[1] AS later, (sim.start('interest', 1, u)).interest[1] AS before) i;

-- ---------------------------------------------------------------- what a recommender sees

SELECT is(sim.state_vector(ROW(topic, short, '{0.5,0.25,0.25,0,0}', '{0,4,0,0,0}', '{0,2,0,0,0}', '{0,1,0.5,0,0}', -1, 2, 15, 2)::sim.seen),
	'{0.5,0.25,0.25,0,0,0.35,0.45,0.35,0.35,0.35,0,0.5,0.25,0,0,-0.5,1,0.5}'::float8[], 'a state as numbers')
FROM sim.first_seen(1, '{1}');
SELECT is(sim.state_text(ROW(topic, short, '{0.25,0.5,0.25,0,0}', '{0,4,0,0,0}', '{0,2,0,0,0}', '{0,1,0.5,0,0}', -1, 2, 15, 3)::sim.seen), '2 3 short 1', 'and as text')
FROM sim.first_seen(1, '{1}');
SELECT * FROM finish();
