-- Agents of vector states: what is kept, rolled back, refused, and that each learner learns which of two actions pays.
SET client_min_messages = warning;
SELECT * FROM no_plan();

CREATE FUNCTION make(agent text, learner text, options jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, learner => learner, options => '{"actions": ["left", "right"], "state_size": 2, "gamma": 0.9}' || options) $$;
CREATE FUNCTION kept(agent text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', count(*), min(t.id), max(t.id)) FROM rlrec.transition t JOIN rlrec.agent a ON a.id = t.agent WHERE a.name = kept.agent $$;

-- Left pays in one state, right in the other; an episode is one step.
CREATE FUNCTION play(agent text, steps int, seed int DEFAULT 0) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	chosen record;
	state float8[];
	reward float8;
	sum float8 := 0;
BEGIN
	FOR i IN 1..steps LOOP
		state := CASE WHEN hashint4(i + seed) % 2 = 0 THEN '{1,0}' ELSE '{0,1}' END::float8[];
		SELECT * INTO chosen FROM rlrec_act(agent, state);
		reward := (chosen.action = CASE WHEN state[1] = 1 THEN 'left' ELSE 'right' END)::int;
		PERFORM rlrec_observe(agent, state, chosen.action, reward, NULL, true, propensity => chosen.propensity);
		sum := sum + reward;
	END LOOP;
	RETURN sum / steps;
END
$$;

-- Chance is .5; a learner whose gradient has the wrong sign falls to 0.
SELECT make('dqn', 'dqn', '{"start": 50, "train_every": 8, "gradient_steps": 4, "epsilon": 0.1}');
SELECT make('reinforce', 'reinforce', '{"episodes": 10}');
SELECT make('actor_critic', 'actor_critic', '{"rollout": 64}');
SELECT make('a2c', 'actor_critic', '{"update": "a2c", "rollout": 16}');
SELECT play(a, 2000) FROM unnest('{dqn,reinforce,actor_critic,a2c}'::text[]) a;
SELECT cmp_ok(play(a, 300, 5000), '>', 0.9::float8, a || ' learns which action pays') FROM unnest('{dqn,reinforce,actor_critic,a2c}'::text[]) a;
SELECT results_eq($$SELECT action FROM rlrec_act('dqn', '{1,0}', false)$$, $$VALUES ('left')$$, 'greedy, a state given as text');
SELECT ok((SELECT abs(sum(probability) - 1) < 1e-6 FROM rlrec_policy(a, '{0.5,0.5}'::float8[])), a || ': probabilities add up to 1')
	FROM unnest('{dqn,reinforce,actor_critic,a2c}'::text[]) a;
SELECT ok((SELECT bool_and(abs(value - CASE action WHEN 'left' THEN 1 ELSE 0 END) < 0.1) FROM rlrec_values('dqn', '{1,0}')), 'dqn: the values are the rewards');
SELECT ok((SELECT bool_and(visits IS NULL) FROM rlrec_values('dqn', '{1,0}')), 'visits are not known');

-- ---------------------------------------------------------------- what is kept
SELECT make('ring', 'dqn', '{"replay": 100, "start": 50, "train_every": 10}');
SELECT rlrec_observe('ring', '{1,0}', 'left', i, '{0,1}', false) FROM generate_series(1, 260) i;
SELECT is(kept('ring'), '100 160 259', 'the last transitions, no more than replay');
SELECT is((SELECT learned::text FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE a.name = 'ring'), '260', 'learned up to the last');
SELECT make('undo', 'dqn', '{"start": 20, "train_every": 10}');
SELECT rlrec_observe('undo', '{1,0}', 'left', 1, NULL, true) FROM generate_series(1, 30) i;
CREATE TEMP TABLE before AS SELECT * FROM rlrec_values('undo', '{1,0}');
BEGIN;
SELECT rlrec_observe('undo', '{1,0}', 'left', 100, NULL, true) FROM generate_series(1, 50) i;
SELECT isnt((SELECT value FROM rlrec_values('undo', '{1,0}') WHERE action = 'left'), (SELECT value FROM before WHERE action = 'left'), 'learns inside the transaction');
ROLLBACK;
SELECT is(kept('undo'), '30 0 29', 'rolled back: transitions');
SELECT results_eq($$SELECT * FROM rlrec_values('undo', '{1,0}')$$, 'TABLE before', 'and what was learned of them');
BEGIN;
SELECT rlrec_observe('undo', '{1,0}', 'left', 1, NULL, true);
SAVEPOINT s;
SELECT rlrec_observe('undo', '{1,0}', 'left', 100, NULL, true) FROM generate_series(1, 50) i;
ROLLBACK TO s;
SELECT rlrec_observe('undo', '{1,0}', 'right', 1, NULL, true);
COMMIT;
SELECT is(kept('undo'), '32 0 31', 'rolled back to a savepoint');
SELECT is((SELECT array_agg(t.action ORDER BY t.id) FROM rlrec.transition t JOIN rlrec.agent a ON a.id = t.agent WHERE a.name = 'undo' AND t.id >= 30), '{0,1}', 'the right ones stay');
SELECT is((SELECT episodes::text FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE a.name = 'undo'), '32', 'as do the episodes');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT rlrec_observe('undo', '{1,0}', 'right', 1, '{0,1}', false, truncated => true);
SELECT rlrec_observe('undo', '{1,0}', 'right', 1, '{0,1}', false, episode => 4);
COMMIT;
SELECT is(kept('undo'), '34 0 33', 'under REPEATABLE READ');
CREATE TABLE log AS SELECT '{1,0}'::float8[] AS state, 'left' AS action, 2 AS reward, '{0,1}'::float8[] AS next_state, false AS terminated FROM generate_series(1, 20);
SELECT is(rlrec_replay('undo', 'log'), 20::bigint, 'replay');
SELECT is(kept('undo'), '54 0 53', 'observes each row');
SELECT throws_like($$SELECT rlrec_replay('undo', 'log', 10)$$, 'updates can be drawn only for%', 'and does not draw');

-- Two agents of the same seed learn the same.
SELECT make('twin' || i, 'dqn', '{"start": 20, "train_every": 10, "seed": 7}') FROM generate_series(1, 2) i;
SELECT rlrec_observe('twin' || t, ARRAY[i % 3, 1], CASE WHEN i % 2 = 0 THEN 'left' ELSE 'right' END, i % 5, ARRAY[i % 2, 0], i % 7 = 0)
	FROM generate_series(1, 200) i, generate_series(1, 2) t;
SELECT results_eq($$SELECT * FROM rlrec_values('twin1', '{1,1}')$$, $$SELECT * FROM rlrec_values('twin2', '{1,1}')$$, 'the same seed learns the same');

-- What subtransactions take back leaves no trace: an agent that never met it has learned the same.
CREATE PROCEDURE meet(agent text, first int, last int, reward int DEFAULT 0) LANGUAGE sql AS $$
	SELECT rlrec_observe(agent, ARRAY[i % 3, 1], CASE WHEN i % 2 = 0 THEN 'left' ELSE 'right' END, i % 5 + reward, ARRAY[i % 2, 0], i % 7 = 0)
	FROM generate_series(first, last) i $$;
SELECT make(a, 'dqn', '{"start": 20, "train_every": 10, "seed": 9}') FROM unnest('{plain,tangled}'::text[]) a;
CALL meet('plain', 1, 300);
BEGIN;
CALL meet('tangled', 1, 50);
SAVEPOINT a;
CALL meet('tangled', 51, 120, 100);
ROLLBACK TO a;
CALL meet('tangled', 51, 60);
SAVEPOINT b;
CALL meet('tangled', 61, 95);
SAVEPOINT c;
CALL meet('tangled', 96, 140, 100);
ROLLBACK TO c;
CALL meet('tangled', 96, 100);
RELEASE b;
CALL meet('tangled', 101, 150);
SAVEPOINT d;
ROLLBACK TO d;
CALL meet('tangled', 151, 155);
SAVEPOINT e;
SAVEPOINT f;
CALL meet('tangled', 156, 190, 100);
RELEASE f;
ROLLBACK TO e;
CALL meet('tangled', 156, 200);
COMMIT;
CALL meet('tangled', 201, 300);
SELECT is(kept('tangled'), '300 0 299', 'savepoints: transitions');
SELECT results_eq($$SELECT * FROM rlrec_values('tangled', '{1,1}')$$, $$SELECT * FROM rlrec_values('plain', '{1,1}')$$, 'and what was learned');
SELECT results_eq($$SELECT episodes, learned, steps, md5(weights) FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE name = 'tangled'$$,
	$$SELECT episodes, learned, steps, md5(weights) FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE name = 'plain'$$, 'to the bit, as it is kept');

-- The same where they come and go inside a function's exception blocks, between what the transaction itself learns.
SELECT make(a, 'dqn', '{"start": 20, "train_every": 10, "seed": 9}') FROM unnest('{caught,altered}'::text[]) a;
DO $$
BEGIN
	CALL meet('caught', 1, 50);
	FOR i IN 0..2 LOOP
		BEGIN
			CALL meet('caught', 900, 960, 100);
			RAISE 'nothing of it';
		EXCEPTION WHEN raise_exception THEN
		END;
		CALL meet('caught', 51 + 20 * i, 70 + 20 * i);
		BEGIN
			CALL meet('caught', 71 + 20 * i, 70 + 20 * i);
			BEGIN
				CALL meet('caught', 900, 960, 100);
				RAISE 'nothing of it';
			EXCEPTION WHEN raise_exception THEN
			END;
		END;
	END LOOP;
	CALL meet('caught', 111, 300);
END
$$;
SELECT results_eq($$SELECT episodes, learned, steps, md5(weights) FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE name = 'caught'$$,
	$$SELECT episodes, learned, steps, md5(weights) FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE name = 'plain'$$, 'exception blocks');
BEGIN;
CALL meet('altered', 1, 109);
SELECT rlrec_alter_agent('altered', '{"epsilon": 0.5}');
CALL meet('altered', 110, 300);
COMMIT;
SELECT results_eq($$SELECT episodes, learned, steps, md5(weights) FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE name = 'altered'$$,
	$$SELECT episodes, learned, steps, md5(weights) FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE name = 'plain'$$, 'options changed on the way');

-- ---------------------------------------------------------------- other actions
SELECT make('fewer', 'dqn', '{"actions": ["left", "middle", "right"]}');
SELECT rlrec_observe('fewer', '{1,0}', 'right', 1, NULL, true);
SELECT rlrec_alter_agent('fewer', '{"actions": ["left", "middle"]}');
SELECT throws_ok($$SELECT rlrec_observe('fewer', '{1,0}', 'left', 1, NULL, true)$$, '55000', 'what agent "fewer" has learned does not fit its options');
SELECT rlrec_alter_agent('fewer', '{"actions": ["left", "middle", "right"], "state_size": 3}');
SELECT throws_ok($$SELECT rlrec_observe('fewer', '{1,0,0}', 'left', 1, NULL, true)$$, '55000', 'what agent "fewer" has learned does not fit its options');
SELECT rlrec_alter_agent('plain', '{"actions": ["right", "up"]}');
SELECT throws_ok($$SELECT * FROM rlrec_values('plain', '{1,1}')$$, '55000', 'what agent "plain" has learned does not fit its options');

-- ---------------------------------------------------------------- bad input
SELECT throws_ok($$SELECT rlrec_observe('dqn', '{1,0,1}', 'left', 1, NULL, true)$$, '2202E', 'state has 3 numbers instead of 2');
SELECT throws_ok($$SELECT rlrec_observe('dqn', '{1,0}'::float8[], 'left', 1, '{1}', false)$$, '2202E', 'next_state has 1 numbers instead of 2');
SELECT throws_ok($$SELECT rlrec_observe('dqn', '{1,NaN}', 'left', 1, NULL, true)$$, '22023', 'number 2 of state, NaN, is not a finite number of single precision');
SELECT throws_ok($$SELECT rlrec_observe('dqn', '{1,NULL}', 'left', 1, NULL, true)$$, '2202E', 'state has a NULL');
SELECT throws_ok($$SELECT rlrec_observe('dqn', 'left', 'left', 1, NULL, true)$$, '22P02', 'malformed array literal: "left"');
SELECT throws_ok($$SELECT rlrec_observe('dqn', '{1,0}', 'up', 1, NULL, true)$$, '22023', 'agent "dqn" has no action "up"');
SELECT throws_ok($$SELECT rlrec_observe('dqn', '{1,0}', 'left', 'Infinity', NULL, true)$$, '22023', 'reward Infinity is not a finite number of single precision');
SELECT throws_ok($$SELECT rlrec_act('dqn', '{1}')$$, '2202E', 'state has 1 numbers instead of 2');
SELECT throws_ok($$SELECT make('x', 'dqn', '{"gamma": -0.1}')$$, '22023', 'invalid value of "gamma" in options');
SELECT throws_ok($$SELECT make('x', 'dqn', '{"hidden": []}')$$, '22023', 'invalid value of "hidden" in options');
SELECT throws_ok($$SELECT make('x', 'dqn', '{"hidden": [0]}')$$, '22023', 'invalid value of "hidden" in options');
SELECT throws_ok($$SELECT make('x', 'dqn', '{"hidden": "x"}')$$, '22023', 'invalid value of "hidden" in options');
SELECT throws_ok($$SELECT make('x', 'dqn', '{"alpha": 0.1}')$$, '22023', 'unknown key "alpha" in options');
SELECT throws_ok($$SELECT make('x', 'dqn', '{"state_size": null}')$$, '22023', 'learner "dqn" learns from vectors, not from text states');
SET maintenance_work_mem = '1MB';
SELECT make('large', 'dqn', '{"replay": 100000}');
SELECT throws_like($$SELECT rlrec_observe('large', '{1,0}', 'left', 1, NULL, true)$$, 'the replay memory of agent "large" needs%');
RESET maintenance_work_mem;
SELECT lives_ok($$SELECT rlrec_alter_agent('dqn', '{"hidden": [8]}')$$, 'other layers');
SELECT throws_like($$SELECT rlrec_act('dqn', '{1,0}')$$, 'what agent "dqn" has learned does not fit its options');
SELECT lives_ok($$SELECT rlrec_alter_agent('dqn', '{"hidden": null}')$$, 'set back');
SELECT results_eq($$SELECT action FROM rlrec_act('dqn', '{1,0}', false)$$, $$VALUES ('left')$$, 'nothing is lost');
SELECT lives_ok($$SELECT rlrec_drop_agent('dqn')$$, 'dropped');
SELECT is((SELECT count(*)::int FROM rlrec.transition t WHERE NOT EXISTS (SELECT FROM rlrec.agent a WHERE a.id = t.agent)), 0, 'with its transitions');
SELECT * FROM finish();
