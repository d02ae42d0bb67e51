-- Worlds of simulated users whose truth is known: recommendations of one item at a time, over a session of 24 to 36 of them. Plain SQL and
-- PL/pgSQL, without rlrec. Frozen: learners are tuned to it, never it to learners.
--
-- After RecSim (Ie et al. 2019, arXiv:1909.04847), of whose interest evolution and long-term satisfaction it keeps the ideas:
-- * a user has an interest in each topic, which moves when the user consumes: towards the topic's depth, so that a deep topic grows on
--   the user and a shallow one wears off; a topic that was just shown satiates, and recovers;
-- * items lie between choc, which is clicked now, and kale, which leaves the user satisfied; the net exposure to kale has a memory, and
--   satisfaction, its sigmoid, multiplies every later click.
--
--     P(click on item i of topic t) = sigmoid(1 + sensitivity * exposure) * sigmoid(1.8 interest_t - fatigue * satiety_t + pull_i)
--     pull:        0.6 (2 choc_i - 1) + appeal_i
--     click:       interest_t += drift * (depth_t - interest_t)
--     every step:  exposure = memory * exposure + clicked * (1 - 2 choc_i);  satiety = 0.6 satiety, + 1 in t
--
-- The worlds differ in what is delayed alone: drift and fatigue in 'interest', sensitivity and a little fatigue in 'long_term',
-- nothing in 'myopic', where what is best now is best for ever.
--
-- Every draw is a hash of (seed, user, step): two policies meet the same users and the same luck. A seed has a catalogue of its own.
-- A recommender may use sim.catalogue(), sim.history(), the responses of sim.step(), and sim.seen, which is made of them; the rest is
-- the truth. A session is a value, so that it needs no table:
--
--     person := sim.start('long_term', 1, 42);
--     seen := sim.first_seen(1, sim.history(person));
--     person := sim.step(person, 7);                   -- item 7; then person.reward, person.engaged, person.done
--     seen := sim.look(seen, 7, person.engaged);       -- then sim.state_vector(seen), 18 numbers, or sim.state_text(seen)
CREATE SCHEMA sim;

CREATE TABLE sim.worlds (
	world text PRIMARY KEY,
	drift float8 NOT NULL,
	fatigue float8 NOT NULL,
	sensitivity float8 NOT NULL,
	patience float8 NOT NULL		-- of sim.far_sighted_item()
);
INSERT INTO sim.worlds VALUES
	('interest', 0.3, 0.4, 0, 1),
	('long_term', 0, 0.3, 0.6, 0.5),
	('myopic', 0, 0, 0, 0);

-- The truth of a user in a session
CREATE TYPE sim.person AS (
	key bigint,				-- of the draws
	step int,				-- recommendations so far
	length int,				-- of the session
	reward float8,			-- of the last step, as the next two
	engaged boolean,		-- clicked
	done boolean,			-- the session is over
	interest float8[],		-- by topic
	satiety float8[],		-- by topic
	exposure float8,
	memory float8,
	drift float8,
	fatigue float8,
	sensitivity float8,
	patience float8,
	topic int[],			-- by item, as the next two
	pull float8[],			-- as above
	kale float8[],			-- 1 - 2 choc
	depth float8[]			-- by topic
);

-- What a recommender has seen of a user, made of the catalogue, past items and responses
CREATE TYPE sim.seen AS (
	topic int[],			-- by item, from the catalogue, as the next
	short boolean[],
	picks float8[],			-- by topic, the share of the history before the session
	shown float8[],			-- by topic, in the session
	clicked float8[],		-- by topic, in the session
	recent float8[],		-- by topic, shown, discounted by 0.7 a step
	balance float8,			-- clicks on long less clicks on short items, discounted by 0.85 a step
	engagement float8,		-- clicks, discounted by 0.85 a step
	step int,
	last int				-- topic, 0 at first
);

-- The n-th uniform draw of a key, in (0, 1)
CREATE FUNCTION sim.draw(key bigint, n bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT (((hashint8extended(n, key) >> 11) & 9007199254740991)::float8 + 0.5) / 9007199254740992
$$;

-- 20 items, 4 of each of 5 topics, half of them short: what a catalogue publishes
CREATE FUNCTION sim.catalogue(seed int, OUT item int, OUT topic int, OUT format text) RETURNS SETOF record LANGUAGE sql IMMUTABLE AS $$
	SELECT i, (i - 1) / 4 + 1, CASE i % 2 WHEN 0 THEN 'short' ELSE 'long' END FROM generate_series(1, 20) i
$$;

-- The truth of the items: short ones are rather choc, long ones rather kale
CREATE FUNCTION sim.truth(seed int, OUT item int, OUT topic int, OUT pull float8, OUT kale float8) RETURNS SETOF record LANGUAGE sql IMMUTABLE AS $$
	SELECT c.item, c.topic, 0.6 * (2 * choc - 1) + 0.5 * (sim.draw(seed, 1000 + c.item) - 0.5), 1 - 2 * choc
	FROM sim.catalogue(seed) c, LATERAL (SELECT CASE format WHEN 'short' THEN 0.65 ELSE 0.05 END + 0.3 * sim.draw(seed, 2000 + c.item) AS choc) t
$$;

-- Interests and draws of a user are the same in every world of a seed. Shallow topics are liked a little more to begin with.
CREATE FUNCTION sim.start(world text, seed int, user_id int) RETURNS sim.person LANGUAGE plpgsql STABLE AS $$
DECLARE
	p sim.person;
	w sim.worlds;
	favourite int;
BEGIN
	SELECT * INTO STRICT w FROM sim.worlds WHERE worlds.world = start.world;
	SELECT array_agg(t.topic ORDER BY item), array_agg(t.pull ORDER BY item), array_agg(t.kale ORDER BY item)
	INTO p.topic, p.pull, p.kale FROM sim.truth(seed) t;
	SELECT array_agg((rank - 3)::float8 ORDER BY t) INTO p.depth
	FROM (SELECT t, rank() OVER (ORDER BY sim.draw(seed, 3000 + t)) FROM generate_series(1, 5) t) r;
	p.key := hashint8extended(user_id, seed);
	p.step := 0;
	p.length := 24 + floor(13 * sim.draw(p.key, -1));
	p.memory := 0.87 + 0.06 * sim.draw(p.key, -2);
	favourite := 1 + floor(5 * sim.draw(p.key, -3));
	FOR t IN 1 .. 5 LOOP
		p.interest[t] := 0.8 * (favourite = t)::int - 0.3 * p.depth[t] - 0.5 + 0.5 * sim.draw(p.key, -10 - t);
		p.satiety[t] := 0;
	END LOOP;
	p.exposure := 0;
	p.drift := w.drift;
	p.fatigue := w.fatigue;
	p.sensitivity := w.sensitivity;
	p.patience := w.patience;
	RETURN p;
END
$$;

-- The probability of a click on an item now, the expected immediate reward
CREATE FUNCTION sim.chance(p sim.person, item int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	t int := p.topic[item];
BEGIN
	RETURN 1 / (1 + exp(-1 - p.sensitivity * p.exposure))
		/ (1 + exp(p.fatigue * p.satiety[t] - 1.8 * p.interest[t] - p.pull[item]));
END
$$;

-- The user's own choices before the session, oldest first: all clicks, by softmax
CREATE FUNCTION sim.history(p sim.person) RETURNS int[] LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(item ORDER BY n)
	FROM generate_series(1, 8) n, LATERAL (
		SELECT i AS item FROM generate_series(1, 20) i
		ORDER BY 2 * (1.8 * p.interest[p.topic[i]] + p.pull[i]) - ln(-ln(sim.draw(p.key, -100 * n - i))) DESC LIMIT 1) pick
$$;

-- One recommendation
CREATE FUNCTION sim.step(person sim.person, item int) RETURNS sim.person LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	t int := person.topic[item];
BEGIN
	person.engaged := sim.draw(person.key, person.step) < sim.chance(person, item);
	person.exposure := person.memory * person.exposure;
	IF person.engaged THEN
		person.exposure := person.exposure + person.kale[item];
		person.interest[t] := person.interest[t] + person.drift * (person.depth[t] - person.interest[t]);
	END IF;
	FOR i IN 1 .. 5 LOOP
		person.satiety[i] := 0.6 * person.satiety[i] + (i = t)::int;
	END LOOP;
	person.step := person.step + 1;
	person.reward := person.engaged::int;
	person.done := person.step >= person.length;
	RETURN person;
END
$$;

-- ---- what a recommender sees

CREATE FUNCTION sim.first_seen(seed int, history int[]) RETURNS sim.seen LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	s sim.seen;
BEGIN
	SELECT array_agg(c.topic ORDER BY item), array_agg(c.format = 'short' ORDER BY item) INTO s.topic, s.short FROM sim.catalogue(seed) c;
	s.picks := array_fill(0::float8, '{5}');
	s.shown := s.picks;
	s.clicked := s.picks;
	s.recent := s.picks;
	FOR i IN 1 .. cardinality(history) LOOP
		s.picks[s.topic[history[i]]] := s.picks[s.topic[history[i]]] + 1.0 / cardinality(history);
	END LOOP;
	s.balance := 0;
	s.engagement := 0;
	s.step := 0;
	s.last := 0;
	RETURN s;
END
$$;

CREATE FUNCTION sim.look(s sim.seen, item int, engaged boolean) RETURNS sim.seen LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	t int := s.topic[item];
BEGIN
	s.shown[t] := s.shown[t] + 1;
	FOR i IN 1 .. 5 LOOP
		s.recent[i] := 0.7 * s.recent[i] + (i = t)::int;
	END LOOP;
	s.balance := 0.85 * s.balance;
	s.engagement := 0.85 * s.engagement;
	IF engaged THEN
		s.clicked[t] := s.clicked[t] + 1;
		s.balance := s.balance + CASE WHEN s.short[item] THEN -1 ELSE 1 END;
		s.engagement := s.engagement + 1;
	END IF;
	s.step := s.step + 1;
	s.last := t;
	RETURN s;
END
$$;

-- 18 numbers of the order of 1: by topic the share of past choices, the click rate and the recent impressions; balance, engagement, time
CREATE FUNCTION sim.state_vector(s sim.seen) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	v float8[] := s.picks;
BEGIN
	FOR i IN 1 .. 5 LOOP
		v[5 + i] := (s.clicked[i] + 0.7) / (s.shown[i] + 2);
		v[10 + i] := s.recent[i] / 2;
	END LOOP;
	v[16] := s.balance / 2;
	v[17] := s.engagement / 2;
	v[18] := s.step / 30.0;
	RETURN v;
END
$$;

-- For tables: the topic of most past choices, that of the last item, what the clicks were on lately, the third of the session
CREATE FUNCTION sim.state_text(s sim.seen) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	favourite int := 1;
BEGIN
	FOR i IN 2 .. 5 LOOP
		IF s.picks[i] > s.picks[favourite] THEN
			favourite := i;
		END IF;
	END LOOP;
	RETURN favourite || ' ' || s.last || CASE WHEN s.balance < -0.5 THEN ' short ' WHEN s.balance > 0.5 THEN ' long ' ELSE ' even ' END
		|| least(s.step / 10, 2);
END
$$;

-- ---- who knows the truth

-- The myopic oracle: the item with the best expected immediate reward
CREATE FUNCTION sim.best_item(p sim.person) RETURNS int LANGUAGE sql IMMUTABLE AS $$
	SELECT i FROM generate_series(1, 20) i ORDER BY sim.chance(p, i) DESC, i LIMIT 1
$$;

-- The same with a bonus for what a click does to exposure and interest: not the optimum, but what patience alone is worth
CREATE FUNCTION sim.far_sighted_item(p sim.person) RETURNS int LANGUAGE sql IMMUTABLE AS $$
	SELECT i FROM generate_series(1, 20) i
	ORDER BY sim.chance(p, i) * (1 + p.patience * (p.sensitivity * p.kale[i] + 1.8 * p.drift * (p.depth[p.topic[i]] - p.interest[p.topic[i]]))) DESC, i
	LIMIT 1
$$;
