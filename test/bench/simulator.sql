-- What test/bench/simulator needs beside the worlds of test/sim/world.sql. It meets them as an application would: it knows the catalogue, a
-- user's history and responses, and asks rlrec for the item to show.
SET client_min_messages = warning;
CREATE EXTENSION rlrec;

-- Users are numbered apart: from 1 to be evaluated on, then those of the log, of training and of learning curves.
CREATE TABLE policies (
	policy text PRIMARY KEY,
	kind text NOT NULL,			-- truth; log: an agent trained on logged events; text, vector: one that acts and observes
	learner text,
	options jsonb
);
INSERT INTO policies VALUES
	('random', 'random', NULL, NULL),
	('myopic oracle', 'truth', NULL, NULL),
	('far-sighted oracle', 'truth', NULL, NULL),
	('popularity', 'log', 'popularity', '{}'),
	('itemknn', 'log', 'itemknn', '{}'),
	('supervised', 'log', 'supervised', '{"length": 40, "dimension": 32, "hidden": 32, "blocks": 1, "epochs": 15}'),
	('qlearning', 'text', 'qlearning', '{"gamma": 0.9, "lambda": 0.5, "alpha": 1, "alpha_power": 0.6, "epsilon": 0.3,
		"epsilon_decay": 0.998, "epsilon_min": 0.05}'),
	('dqn', 'vector', 'dqn', '{"gamma": 0.95, "hidden": [64, 64], "batch": 64, "learning_rate": 0.0005,
		"epsilon_decay": 0.998, "epsilon_min": 0.05}'),
	('reinforce', 'vector', 'reinforce', '{"gamma": 0.95, "entropy": 0.03}'),
	('actor_critic', 'vector', 'actor_critic', '{"gamma": 0.95, "entropy": 0.01, "epochs": 10, "rollout": 512}');
INSERT INTO policies SELECT policy || ', gamma 0', kind, learner, options || '{"gamma": 0}' FROM policies WHERE kind IN ('text', 'vector');

CREATE TABLE measured (world text, seed int, policy text, mean_return float8, seconds float8, PRIMARY KEY (world, seed, policy));
CREATE TABLE curves (world text, seed int, policy text, steps int, mean_return float8);

-- A state for tables: the topic that the user likes best by clicks and past choices, that of the last item, what the clicks were on lately
CREATE FUNCTION place(seen sim.seen) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	liked float8;
	most float8 := -1;
	best int;
BEGIN
	FOR t IN 1 .. 5 LOOP
		liked := (seen.clicked[t] + 0.7) / (seen.shown[t] + 2) + 0.5 * seen.picks[t];
		IF liked > most THEN
			most := liked;
			best := t;
		END IF;
	END LOOP;
	RETURN best || ' ' || seen.last || CASE WHEN seen.balance < -0.5 THEN ' short' WHEN seen.balance > 0.5 THEN ' long' ELSE ' even' END;
END
$$;

-- The item that a policy shows: only the kind truth looks at the person
CREATE FUNCTION choose(p policies, agent text, person sim.person, seen sim.seen, clicked text[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	chosen text;
BEGIN
	CASE p.kind
		WHEN 'random' THEN
			RETURN 1 + floor(20 * sim.draw(person.key, 10000 + person.step));
		WHEN 'truth' THEN
			RETURN CASE p.policy WHEN 'myopic oracle' THEN sim.best_item(person) ELSE sim.far_sighted_item(person) END;
		WHEN 'log' THEN
			SELECT item INTO STRICT chosen FROM rlrec_recommend_for_history(clicked, 1, agent, context => '{"exclude_seen": false}');
		WHEN 'text' THEN
			SELECT action INTO STRICT chosen FROM rlrec_act(agent, place(seen), false);
		WHEN 'vector' THEN
			SELECT action INTO STRICT chosen FROM rlrec_act(agent, sim.state_vector(seen), false);
	END CASE;
	RETURN chosen;
END
$$;

-- The mean return of a policy over so many users
CREATE FUNCTION evaluate(world text, seed int, p policies, agent text, first_user int, users int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	person sim.person;
	seen sim.seen;
	history int[];
	clicked text[];
	shown int;
	total float8 := 0;
BEGIN
	FOR u IN first_user .. first_user + users - 1 LOOP
		person := sim.start(world, seed, u);
		history := sim.history(person);
		seen := sim.first_seen(seed, history);
		clicked := history;
		LOOP
			shown := choose(p, agent, person, seen, clicked);
			person := sim.step(person, shown);
			seen := sim.look(seen, shown, person.engaged);
			IF person.engaged THEN
				clicked := clicked || shown::text;
			END IF;
			total := total + person.reward;
			EXIT WHEN person.done;
		END LOOP;
	END LOOP;
	RETURN total / users;
END
$$;

-- A table of events: histories, and what became of so many random recommendations
CREATE PROCEDURE log_events(world text, seed int, steps int, events text) LANGUAGE plpgsql AS $$
DECLARE
	person sim.person;
	shown int;
	taken int := 0;
	u int := 100000;
BEGIN
	CREATE TEMP TABLE logged (user_id int NOT NULL, item_id int NOT NULL, ts int NOT NULL, event text NOT NULL, value float8 NOT NULL) ON COMMIT DROP;
	WHILE taken < steps LOOP
		u := u + 1;
		person := sim.start(world, seed, u);
		INSERT INTO logged SELECT u, item, n - 8, 'click', 1 FROM unnest(sim.history(person)) WITH ORDINALITY h(item, n);
		LOOP
			shown := 1 + floor(20 * sim.draw(person.key, 10000 + person.step));
			person := sim.step(person, shown);
			INSERT INTO logged VALUES (u, shown, person.step, CASE WHEN person.engaged THEN 'click' ELSE 'skip' END, person.reward);
			taken := taken + 1;
			EXIT WHEN person.done;
		END LOOP;
	END LOOP;
	EXECUTE format('CREATE TABLE %I AS SELECT * FROM logged ORDER BY user_id, ts', events);
	COMMIT;
END
$$;

-- Lets an agent act and learn for so many steps; ten points of its curve are the greedy policy's mean return over 40 users.
CREATE PROCEDURE learn(world text, seed int, p policies, agent text, steps int) LANGUAGE plpgsql AS $$
DECLARE
	person sim.person;
	seen sim.seen;
	state float8[];
	place text;
	next_state float8[];
	next_place text;
	act record;
	taken int := 0;
	points int := 0;
	u int := 200000;
BEGIN
	PERFORM rlrec_create_agent(agent, learner => p.learner, options => p.options || jsonb_build_object('seed', seed,
		'actions', (SELECT jsonb_agg(item::text ORDER BY item) FROM sim.catalogue(seed)))
		|| CASE p.kind WHEN 'vector' THEN '{"state_size": 18}'::jsonb ELSE '{}' END);
	COMMIT;
	WHILE taken < steps LOOP
		u := u + 1;
		person := sim.start(world, seed, u);
		seen := sim.first_seen(seed, sim.history(person));
		IF p.kind = 'vector' THEN state := sim.state_vector(seen); ELSE place := place(seen); END IF;
		LOOP
			IF p.kind = 'vector' THEN
				SELECT * INTO STRICT act FROM rlrec_act(agent, state);
			ELSE
				SELECT * INTO STRICT act FROM rlrec_act(agent, place);
			END IF;
			person := sim.step(person, act.action::int);
			seen := sim.look(seen, act.action::int, person.engaged);
			IF p.kind = 'vector' THEN
				next_state := sim.state_vector(seen);
				PERFORM rlrec_observe(agent, state, act.action, person.reward, next_state, person.done, propensity => act.propensity);
				state := next_state;
			ELSE
				next_place := place(seen);
				PERFORM rlrec_observe(agent, place, act.action, person.reward, next_place, person.done, propensity => act.propensity);
				place := next_place;
			END IF;
			taken := taken + 1;
			EXIT WHEN person.done;
		END LOOP;
		IF taken >= (points + 1) * (steps / 10) THEN
			points := points + 1;
			INSERT INTO curves VALUES (world, seed, p.policy, points * (steps / 10), evaluate(world, seed, p, agent, 300001, 40));
		END IF;
		COMMIT;
	END LOOP;
END
$$;

-- All policies in one world with one seed
CREATE PROCEDURE measure(world text, seed int, steps int, users int) LANGUAGE plpgsql AS $$
DECLARE
	p policies;
	events text := format('events %s %s', world, seed);
	agent text;
	began timestamptz;
BEGIN
	CALL log_events(world, seed, steps, events);
	FOR p IN SELECT * FROM policies LOOP
		began := clock_timestamp();
		agent := format('%s, %s %s', p.policy, world, seed);
		IF p.kind = 'log' THEN
			PERFORM rlrec_create_agent(agent, format('%I', events)::regclass, 'user_id', 'item_id', 'ts', 'event', rewards => '{"click": 1}',
				learner => p.learner, options => p.options || '{"exclude_seen": false}');
			PERFORM version FROM rlrec_train(agent);
		ELSIF p.learner IS NOT NULL THEN
			CALL learn(world, seed, p, agent, steps);
		END IF;
		INSERT INTO measured VALUES (world, seed, p.policy, evaluate(world, seed, p, agent, 1, users), extract(epoch FROM clock_timestamp() - began));
		IF p.learner IS NOT NULL THEN
			PERFORM rlrec_drop_agent(agent);
		END IF;
		COMMIT;
	END LOOP;
	EXECUTE format('DROP TABLE %I', events);
END
$$;

-- ---- the tables

-- The 0.975 quantile of Student's t
CREATE FUNCTION t_975(freedom bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(('{12.706,4.303,3.182,2.776,2.571,2.447,2.365,2.306,2.262,2.228,2.201,2.179,2.160,2.145,2.131,2.120,2.110,2.101,2.093,2.086}'::float8[])[freedom], 2.09)
$$;

-- Of each policy: mean return m, regret r against the myopic oracle, halves of their 95 % intervals over the seeds, seconds s
CREATE VIEW returns AS
SELECT world, policy, avg(a.mean_return) AS m, t_975(count(*) - 1) * stddev(a.mean_return) / sqrt(count(*)) AS half,
	avg(b.mean_return - a.mean_return) AS r, t_975(count(*) - 1) * stddev(b.mean_return - a.mean_return) / sqrt(count(*)) AS r_half, avg(a.seconds) AS s
FROM measured a LEFT JOIN (SELECT world, seed, mean_return FROM measured WHERE policy = 'myopic oracle') b USING (world, seed)
GROUP BY world, policy;

-- Of each learner that acts: the mean difference to each rival over the seeds, its 95 % interval, and whether it is as it should be
CREATE VIEW differences AS
SELECT d.world, l.policy AS learner, r.policy AS rival, delayed, difference, difference - half AS lower, difference + half AS upper,
	CASE WHEN delayed THEN difference - half > 0 WHEN twin THEN difference - half <= 0 END AS met
FROM policies l, policies r, LATERAL (SELECT r.policy = l.policy || ', gamma 0' AS twin) t,
	LATERAL (
		SELECT world, avg(a.mean_return - b.mean_return) AS difference,
			t_975(count(*) - 1) * stddev(a.mean_return - b.mean_return) / sqrt(count(*)) AS half
		FROM measured a JOIN measured b USING (world, seed) WHERE a.policy = l.policy AND b.policy = r.policy GROUP BY world) d,
	LATERAL (SELECT drift > 0 OR sensitivity > 0 AS delayed FROM sim.worlds w WHERE w.world = d.world) w
WHERE l.kind IN ('text', 'vector') AND l.policy NOT LIKE '%, gamma 0' AND (r.kind IN ('random', 'log') OR twin);
