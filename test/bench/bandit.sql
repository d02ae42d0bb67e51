-- Rounds of a contextual bandit out of labelled rows: the context is shown, an action chosen, and the reward is 1 where it is the label.

CREATE TABLE digit (id int PRIMARY KEY, context float8[], label text);	-- numbers and label from bandit.py
CREATE TABLE round (seed int, n int, id int, action text, PRIMARY KEY (seed, n));	-- in random order, with an action at random
CREATE TABLE result (policy text, seed int, logged int, reward float8);	-- mean of the rounds after those that were logged
CREATE VIEW shown AS SELECT seed, n, context, label, action, (action = label)::int::float8 AS reward FROM round JOIN digit USING (id);

CREATE FUNCTION make_rounds(seeds int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR s IN 1 .. seeds LOOP
		PERFORM setseed(1.0 / (s + 1));
		INSERT INTO round SELECT s, row_number() OVER (), id, floor(random() * 10)::int
		FROM (SELECT id FROM (SELECT id FROM digit ORDER BY id) x ORDER BY random()) y;
	END LOOP;
END $$;

CREATE FUNCTION make(agent text, learner text, seed int, options jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, learner => learner, options => jsonb_build_object('actions', (SELECT jsonb_agg(DISTINCT label) FROM digit),
		'state_size', (SELECT cardinality(context) FROM digit LIMIT 1), 'seed', seed) || options) $$;

-- Acts and observes, round after round; returns the mean reward. In the first `logged` rounds, which do not count, the actions are those of the log.
CREATE FUNCTION play(agent text, of_seed int, logged int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	each record;
	chosen text;
	sum float8 := 0;
	rounds int := 0;
BEGIN
	FOR each IN SELECT * FROM shown WHERE seed = of_seed ORDER BY n LOOP
		chosen := each.action;
		IF each.n > logged THEN
			SELECT action INTO chosen FROM rlrec_act(agent, each.context);
			sum := sum + (chosen = each.label)::int;
			rounds := rounds + 1;
		END IF;
		PERFORM rlrec_observe(agent, each.context, chosen, (chosen = each.label)::int, NULL, true);
	END LOOP;
	RETURN sum / rounds;
END $$;

CREATE FUNCTION play_learner(policy text, learner text, options jsonb, seeds int, logged int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR s IN 1 .. seeds LOOP
		PERFORM make('player', learner, s, options);
		INSERT INTO result SELECT policy, s, logged, play('player', s, logged);
		PERFORM rlrec_drop_agent('player');
	END LOOP;
END $$;

-- Policies that never change: any action; the one action that did best in the log (without one, in all rounds); a ridge regression on the log;
-- and, which nobody has who must choose to learn, one on the labels of all rounds.
CREATE FUNCTION play_static(logged int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO result SELECT 'random', seed, logged, avg(reward) FROM shown WHERE n > logged GROUP BY seed;
	INSERT INTO result SELECT 'one action', seed, logged, avg((label = best)::int) FROM shown JOIN (
			SELECT DISTINCT ON (seed) seed, CASE logged WHEN 0 THEN label ELSE action END AS best FROM shown WHERE n <= logged OR logged = 0
			GROUP BY seed, best ORDER BY seed, CASE logged WHEN 0 THEN count(*) ELSE avg(reward) END DESC) b USING (seed)
		WHERE n > logged GROUP BY seed;
	IF logged > 0 THEN
		INSERT INTO result SELECT 'ridge regression on the log', seed, logged, avg((label = best)::int) FROM (
			SELECT DISTINCT ON (seed, n) seed, n, label, model.action AS best FROM shown JOIN (
				SELECT seed, action, rlrec_linear_statistics(context || 1::float8, reward) AS s FROM shown WHERE n <= logged GROUP BY seed, action) model USING (seed)
			WHERE n > logged ORDER BY seed, n, (rlrec_linear_predict(s, context || 1::float8)).value DESC) b GROUP BY seed;
	END IF;
	INSERT INTO result SELECT 'ridge regression on all labels', seed, logged, avg((label = best)::int) FROM (
		SELECT DISTINCT ON (seed, n) seed, n, label, model.action AS best FROM shown, (
			SELECT a.label AS action, rlrec_linear_statistics(context || 1::float8, (a.label = d.label)::int) AS s FROM digit d, (SELECT DISTINCT label FROM digit) a GROUP BY 1) model
		WHERE n > logged ORDER BY seed, n, (rlrec_linear_predict(s, context || 1::float8)).value DESC) b GROUP BY seed;
END $$;
