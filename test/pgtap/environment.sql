-- Agents without events: acting and observing, what each tabular learner learns by hand, bad input, rights, rollback.
SET client_min_messages = warning;
SELECT * FROM no_plan();

CREATE FUNCTION make(agent text, learner text, options jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	SELECT rlrec_create_agent(agent, learner => learner, options => '{"actions": ["left", "right"], "alpha": 0.5, "gamma": 0.9}' || options) $$;
CREATE FUNCTION value(agent text, state text, action text) RETURNS numeric LANGUAGE sql AS $$
	SELECT round(value::numeric, 6) FROM rlrec_values(agent, state) v WHERE v.action = value.action $$;

-- ---------------------------------------------------------------- values by hand
SELECT lives_ok($$SELECT make('q', 'qlearning')$$, 'an agent without events');
SELECT is((SELECT array_agg(value) FROM rlrec_values('q', 'A')), '{0,0}', 'knows nothing');
SELECT rlrec_observe('q', 'B', 'right', 10, NULL, true);
SELECT is(value('q', 'B', 'right'), 5.0, 'terminated: half way to the reward');
SELECT rlrec_observe('q', 'A', 'left', 1, 'B', false);
SELECT is(value('q', 'A', 'left'), 0.5 * (1 + 0.9 * 5), 'half way to reward + gamma * max');
SELECT rlrec_observe('q', 'A', 'left', 1, 'B', false, truncated => true);
SELECT is(value('q', 'A', 'left'), 2.75 + 0.5 * (1 + 0.9 * 5 - 2.75), 'truncated: as if it went on');
SELECT rlrec_observe('q', 'A', 'left', 1, 'B', true);
SELECT is(value('q', 'A', 'left'), 4.125 + 0.5 * (1 - 4.125), 'terminated: no future');
SELECT rlrec_observe('q', 'S', 'left', 1, 'S', false);
SELECT rlrec_observe('q', 'S', 'left', 1, 'S', false);
SELECT is(value('q', 'S', 'left'), 0.5 + 0.5 * (1 + 0.9 * 0.5 - 0.5), 'a state that stays');
SELECT is((SELECT string_agg(concat_ws(' ', state, action, q, visits), ', ' ORDER BY state) FROM rlrec.qvalues WHERE agent = 'q'),
	'A left 2.5625 3, B right 5 1, S left 0.975 2', 'rlrec.qvalues');
SELECT results_eq($$SELECT state, action FROM rlrec_policy('q') ORDER BY 1$$, $$VALUES ('A', 'left'), ('B', 'right'), ('S', 'left')$$, 'rlrec_policy(agent)');
SELECT is((SELECT sum(visits)::int FROM rlrec_values('q')), 6, 'rlrec_values(agent)');

SELECT make('power', 'qlearning', '{"alpha": 1, "alpha_power": 1}');
SELECT rlrec_observe('power', 'A', 'left', r, NULL, true) FROM unnest('{1,2,6}'::float8[]) r;
SELECT is(value('power', 'A', 'left'), 3.0, 'alpha_power 1: the mean; several observations in a statement');

SELECT make('expected', 'expected_sarsa', '{"epsilon": 0.2}');
SELECT rlrec_observe('expected', 'B', 'right', 10, NULL, true);
SELECT rlrec_observe('expected', 'A', 'left', 1, 'B', false);
SELECT is(value('expected', 'A', 'left'), 0.5 * (1 + 0.9 * 0.9 * 5), 'expected_sarsa: by the probabilities of epsilon-greedy');

SELECT make('sarsa', 'sarsa');
SELECT rlrec_observe('sarsa', 'B', 'right', 10, NULL, true);
SELECT rlrec_observe('sarsa', 'A', 'left', 1, 'B', false, episode => 7);
SELECT is(value('sarsa', 'A', 'left'), 0.0, 'sarsa waits for the next action');
SELECT rlrec_observe('sarsa', 'A', 'right', 1, 'B', false, episode => 8);
SELECT rlrec_observe('sarsa', 'B', 'left', 0, 'C', false, episode => 7);
SELECT rlrec_observe('sarsa', 'B', 'right', 0, NULL, true, episode => 8);
SELECT is(value('sarsa', 'A', 'left'), 0.5 * 1.0, 'and learns from it: left is worth nothing');
SELECT is(value('sarsa', 'A', 'right'), 0.5 * (1 + 0.9 * 5), 'in each episode its own: right is worth 5');
SELECT is((SELECT array_agg(episode) FROM rlrec.episode), '{7}', 'an episode that ended is forgotten');

SELECT make('trace', 'qlearning', '{"lambda": 0.5}');
SELECT rlrec_observe('trace', 'A', 'left', 0, 'B', false);
SELECT rlrec_observe('trace', 'B', 'left', 4, NULL, true);
SELECT is(value('trace', 'B', 'left'), 2.0, 'lambda: the pair itself');
SELECT is(value('trace', 'A', 'left'), 0.5 * 0.9 * 0.5 * 4, 'and the one before, by gamma * lambda');
SELECT rlrec_observe('trace', 'A', 'right', 0, 'B', false);
SELECT is(value('trace', 'A', 'right'), 0.5 * 0.9 * 2, 'the next episode begins with an empty trace');
SELECT rlrec_observe('trace', 'B', 'right', 8, NULL, true);
SELECT is(value('trace', 'A', 'right'), 0.9, 'Watkins: an action that explores cuts the trace');

SELECT make('sarsa_trace', 'sarsa', '{"lambda": 0.5}');
SELECT rlrec_observe('sarsa_trace', 'A', 'left', 0, 'B', false);
SELECT rlrec_observe('sarsa_trace', 'B', 'left', 4, NULL, true);
SELECT is(value('sarsa_trace', 'B', 'left'), 2.0, 'sarsa with lambda: the last observation teaches its own pair');
SELECT is(value('sarsa_trace', 'A', 'left'), 0.5 * 0.9 * 0.5 * 4, 'and the one that waited');
SELECT rlrec_observe('sarsa_trace', 'C' || i, 'left', 0, 'C' || i + 1, false) FROM generate_series(1, 5) i;
SELECT rlrec_observe('sarsa_trace', 'C6', 'left', 8, NULL, true);
SELECT is(array_agg(value('sarsa_trace', 'C' || i, 'left') ORDER BY i), (SELECT array_agg(round(4 * 0.45 ^ (6 - i), 6) ORDER BY i) FROM generate_series(1, 6) i),
	'and all before, by (gamma lambda)^age') FROM generate_series(1, 6) i;

SELECT make('double', 'double_q', '{"seed": 3}');
SELECT rlrec_observe('double', 'A', 'left', 1, NULL, true) FROM generate_series(1, 40);
SELECT is((SELECT count(*)::int FROM rlrec.qtable q JOIN rlrec.agent a ON a.id = q.agent WHERE a.name = 'double'), 2, 'double_q has two tables');
SELECT cmp_ok(value('double', 'A', 'left'), '>', 0.99, 'whose mean is the value');
SELECT is((SELECT visits FROM rlrec_values('double', 'A') WHERE action = 'left'), 40::bigint, 'and whose visits add up');

SELECT make('half', 'double_q', '{"initial": 8}');
SELECT rlrec_observe('half', 'A', 'left', 1, NULL, true);
SELECT is(value('half', 'A', 'left'), (8 + 4.5) / 2, 'a table that has not learned counts with the initial value');
SELECT is((SELECT q FROM rlrec.qvalues WHERE agent = 'half'), 6.25::float8, 'also in rlrec.qvalues');
SELECT rlrec_alter_agent('half', learner => 'qlearning');
SELECT is((SELECT coalesce(max(round(q::numeric, 6)), 8) FROM rlrec.qvalues WHERE agent = 'half'), value('half', 'A', 'left'), 'without double_q the second table does not count');
SELECT rlrec_observe('half', 'A', 'left', 1, NULL, true);
SELECT rlrec_alter_agent('half', '{"actions": ["right", "up"]}');
SELECT is_empty($$SELECT * FROM rlrec_policy('half')$$, 'an action that the agent has no longer is not its policy');

SELECT make('large', 'qlearning', '{"alpha": 1, "gamma": 1}');
SELECT rlrec_observe('large', s, 'left', 1, NULL, true) FROM unnest('{A,B}'::text[]) s;
UPDATE rlrec.qtable SET entries = CASE state WHEN 'A' THEN '{"left": -1.7e308}' ELSE '{"left": 1.7e308}' END::rlrec_qtable
	FROM rlrec.agent a WHERE a.id = agent AND a.name = 'large';
SELECT throws_ok($$SELECT rlrec_observe('large', 'A', 'left', 1, 'B', false)$$, '22003', 'agent "large" came to an action value that is not finite');

-- ---------------------------------------------------------------- acting
SELECT results_eq($$SELECT * FROM rlrec_policy('q', 'B')$$, $$VALUES ('left', 0.05::float8), ('right', 0.95::float8)$$, 'epsilon-greedy');
SELECT results_eq($$SELECT * FROM rlrec_policy('q', 'never met')$$, $$VALUES ('left', 0.5::float8), ('right', 0.5::float8)$$, 'equal values: at random');
SELECT results_eq($$SELECT * FROM rlrec_act('q', 'B', false)$$, $$VALUES ('right', 1::float8)$$, 'greedy');
SELECT results_eq($$SELECT * FROM rlrec_act('q', 'never met', false)$$, $$VALUES ('left', 1::float8)$$, 'greedy among equal values: the first by bytes');
SELECT ok((SELECT bool_and(propensity = CASE action WHEN 'right' THEN 0.95 ELSE 0.05 END) FROM generate_series(1, 1000) i, rlrec_act('q', 'B' || left('', i))), 'the propensity is the policy''s');
-- 2,000 draws at probability .05: 100 +- 9.7
SELECT ok((SELECT count(*) FILTER (WHERE action = 'left') BETWEEN 60 AND 140 FROM generate_series(1, 2000) i, rlrec_act('q', 'B' || left('', i))), 'and so are the frequencies');
SELECT make('decay', 'qlearning', '{"epsilon": 0.8, "epsilon_decay": 0.5, "epsilon_min": 0.3}');
SELECT rlrec_observe('decay', 'A', 'left', 1, 'A', false);
SELECT is((SELECT round(probability::numeric, 6) FROM rlrec_policy('decay', 'A') WHERE action = 'right'), 0.4, 'epsilon before the end of an episode');
SELECT rlrec_observe('decay', 'A', 'left', 1, NULL, true);
SELECT is((SELECT round(probability::numeric, 6) FROM rlrec_policy('decay', 'A') WHERE action = 'right'), 0.2, 'epsilon decays by the episode');
SELECT rlrec_observe('decay', 'A', 'left', 1, NULL, true) FROM generate_series(1, 3);
SELECT is((SELECT round(probability::numeric, 6) FROM rlrec_policy('decay', 'A') WHERE action = 'right'), 0.15, 'down to epsilon_min');

-- ---------------------------------------------------------------- transactions
SELECT make('undo', 'qlearning');
BEGIN;
SELECT rlrec_observe('undo', 'A', 'left', 1, NULL, true);
SAVEPOINT s;
SELECT rlrec_observe('undo', 'A', 'left', 100, NULL, true);
ROLLBACK TO s;
SELECT is(value('undo', 'A', 'left'), 0.5, 'rolled back to a savepoint');
ROLLBACK;
SELECT is(value('undo', 'A', 'left'), 0.0, 'rolled back');
SELECT is((SELECT count(*)::int FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent WHERE a.name = 'undo'), 0, 'with the number of episodes');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT rlrec_observe('undo', 'A', 'left', 1, NULL, true);
SELECT rlrec_observe('undo', 'A', 'left', 1, NULL, true);
COMMIT;
SELECT is(value('undo', 'A', 'left'), 0.75, 'under REPEATABLE READ');

-- ---------------------------------------------------------------- replay
CREATE TABLE log (state text, action text, reward int, next_state text, terminated boolean);
INSERT INTO log VALUES ('B', 'right', 10, NULL, true), ('A', 'left', 1, 'B', false);
SELECT make('replay', 'qlearning');
SELECT is(rlrec_replay('replay', 'log'), 2::bigint, 'replay');
SELECT is(value('replay', 'A', 'left'), 0.5 * (1 + 0.9 * 5), 'learns in order');
SELECT is(rlrec_replay('replay', 'log'), 2::bigint, 'again');
SELECT is(value('replay', 'A', 'left'), 2.75 + 0.5 * (1 + 0.9 * 7.5 - 2.75), 'goes on from the rows');
SELECT rlrec_observe('replay', 'A', 'right', 3, NULL, true);
SELECT is(rlrec_replay('replay', 'log', 400), 400::bigint, 'draws');
SELECT is(value('replay', 'A', 'left'), 10.0, 'come to the values: 1 + .9 * 10');
SELECT is(value('replay', 'A', 'right'), 1.5, 'what the table has not stays');
CREATE TABLE mdp AS SELECT 'A' AS state, 'left' AS action, r AS reward, NULL::text AS next_state, true AS terminated, p AS probability
	FROM (VALUES (0, 0.75), (4, 0.25)) v(r, p);
SELECT make('mdp', 'qlearning', '{"alpha": 1, "alpha_power": 1}');
SELECT is(rlrec_replay('mdp', 'mdp', 20000), 20000::bigint, 'an MDP');
-- the mean of 20,000 draws has a deviation of .0122
SELECT ok(abs(value('mdp', 'A', 'left') - 1) < 0.05, 'outcomes come by their probabilities');
UPDATE mdp SET probability = 0;
SELECT throws_ok($$SELECT rlrec_replay('mdp', 'mdp', 10)$$, '22023', 'all probabilities of action "left" in a state are 0');
SELECT make('ended', 'qlearning', '{"epsilon": 0.8, "epsilon_decay": 0.5}');
SELECT rlrec_replay('ended', 'log');
SELECT is((SELECT round(probability::numeric, 6) FROM rlrec_policy('ended', 'A') WHERE action = 'right'), 0.2, 'a replay ends episodes');
SELECT make('replay_sarsa', 'sarsa');
SELECT is(rlrec_replay('replay_sarsa', 'log'), 2::bigint, 'sarsa replays in order');
SELECT throws_like($$SELECT rlrec_replay('replay_sarsa', 'log', 10)$$, '%qlearning, expected_sarsa and double_q%', 'and cannot draw');

-- ---------------------------------------------------------------- bad input
SELECT throws_ok($$SELECT rlrec_observe('q', 'A', 'up', 1, 'B', false)$$, '22023', 'agent "q" has no action "up"');
SELECT throws_ok($$SELECT rlrec_observe('q', 'A', NULL, 1, 'B', false)$$, '22023', 'action must not be NULL');
SELECT throws_ok($$SELECT rlrec_observe('q', 'A', 'left', 'NaN', 'B', false)$$, '22023', 'reward NaN is not a finite number of single precision');
SELECT throws_ok($$SELECT rlrec_observe('q', 'A', 'left', NULL, 'B', false)$$, '22023', 'reward NaN is not a finite number of single precision');
SELECT throws_ok($$SELECT rlrec_observe('q', 'A', 'left', 1, NULL, false)$$, '22004', 'next_state must not be NULL');
SELECT throws_ok($$SELECT rlrec_observe('q', NULL, 'left', 1, 'B', false)$$, '22004', 'state must not be NULL');
SELECT throws_ok($$SELECT rlrec_observe('q', 'A', 'left', 1, 'B', NULL)$$, '22004', 'terminated must not be NULL');
SELECT throws_ok($$SELECT rlrec_observe('q', 'A', 'left', 1, 'B', false, propensity => 1.5)$$, '22023', 'propensity 1.5 is not a probability');
SELECT throws_like($$SELECT rlrec_observe('q', repeat('x', 1001), 'left', 1, 'B', false)$$, 'state has 1001 bytes');
SELECT throws_like($$SELECT rlrec_observe('q', '{1,2}'::float8[], 'left', 1, '{1,2}', false)$$, 'state is an array, but the states of agent "q" are text');
SELECT is(value('q', 'A', 'left'), 2.5625, 'none of this taught anything');
SELECT throws_ok($$SELECT make('x', 'qlearning', '{"gamma": 1.1}')$$, '22023', 'invalid value of "gamma" in options');
SELECT throws_ok($$SELECT make('x', 'qlearning', '{"gamma": "NaN"}')$$, '22023', 'invalid value of "gamma" in options');
SELECT throws_ok($$SELECT make('x', 'qlearning', '{"actions": []}')$$, '22023', 'invalid value of "actions" in options');
SELECT throws_ok($$SELECT make('x', 'qlearning', '{"actions": ["a", "a"]}')$$, '22023', 'invalid value of "actions" in options');
SELECT throws_ok($$SELECT make('x', 'qlearning', '{"actions": ["a", 1]}')$$, '22023', 'invalid value of "actions" in options');
SELECT throws_ok($$SELECT make('x', 'qlearning', '{"neighbours": 3}')$$, '22023', 'unknown key "neighbours" in options');
SELECT throws_ok($$SELECT make('x', 'qlearning', '{"state_size": 3}')$$, '22023', 'learner "qlearning" learns from text states, not from vectors');
SELECT throws_ok($$SELECT make('x', 'double_q', '{"lambda": 0.5}')$$, '22023', 'learner "double_q" has no eligibility traces');
SELECT throws_ok($$SELECT make('x', 'ease', '{}')$$, '22023', 'learner "ease" needs a table of events');
SELECT throws_ok($$SELECT rlrec_create_agent('x')$$, '22004', 'agent "x" needs a table of events, or actions');
SELECT throws_ok($$SELECT rlrec_create_agent('x', item_key => 'id', options => '{"actions": ["a"]}')$$, '22023', 'item_key needs a table of events');
SELECT throws_ok($$SELECT rlrec_create_agent('x', rewards => '{"click": 1}', options => '{"actions": ["a"]}')$$, '22023', 'rewards needs a table of events');
SELECT throws_like($$SELECT * FROM rlrec_train('q')$$, 'agent "q" has no events');
SELECT throws_like($$SELECT * FROM rlrec_recommend(1, 10, 'q')$$, 'agent "q" has no events');
ALTER TABLE log RENAME reward TO gain;
SELECT throws_ok($$SELECT rlrec_replay('q', 'log')$$, '42703', 'public.log has no column "reward"');
ALTER TABLE log RENAME gain TO reward;
INSERT INTO log VALUES ('A', 'up', 1, 'B', false);
SELECT throws_ok($$SELECT rlrec_replay('q', 'log')$$, '22023', 'agent "q" has no action "up"');
SELECT is(value('q', 'B', 'right'), 5.0, 'a replay that fails teaches nothing');
CREATE TABLE events (user_id int, item_id int);
SELECT rlrec_create_agent('shop', 'events');
SELECT throws_ok($$SELECT * FROM rlrec_values('typo')$$, '42704', 'agent "typo" does not exist');
SELECT throws_ok($$SELECT * FROM rlrec_policy('typo')$$, '42704', 'agent "typo" does not exist');
SELECT throws_like($$SELECT rlrec_act('shop', 'A')$$, 'agent "shop" learns from events, not from a bare environment');
SELECT throws_like($$SELECT rlrec_alter_agent('q', events => 'events')$$, 'agent "q" is a bare environment, and cannot be given events');
SELECT lives_ok($$SELECT rlrec_alter_agent('q', '{"actions": ["left", "middle", "right"]}')$$, 'another action');
SELECT results_eq($$SELECT action, value FROM rlrec_values('q', 'B')$$, $$VALUES ('left', 0::float8), ('middle', 0), ('right', 5)$$, 'what was learned stays');

-- ---------------------------------------------------------------- rights
CREATE ROLE environment_user;
SET ROLE environment_user;
SELECT throws_ok($$SELECT rlrec_act('q', 'A')$$, '42501', 'permission denied for agent "q"');
SELECT throws_ok($$SELECT rlrec_observe('q', 'A', 'left', 1, 'B', false)$$, '42501', 'permission denied for agent "q"');
SELECT is((SELECT count(*)::int FROM rlrec.qvalues), 0, 'values of others are not shown');
SELECT throws_ok($$SELECT * FROM rlrec.qtable$$, '42501', 'permission denied for table qtable');
RESET ROLE;
GRANT USAGE ON SEQUENCE rlrec.agent_q TO environment_user;
SET ROLE environment_user;
SELECT lives_ok($$SELECT rlrec_observe('q', 'A', 'left', 1, 'B', false)$$, 'USAGE allows to observe');
SELECT lives_ok($$SELECT rlrec_act('q', 'A')$$, 'and to act');
SELECT is((SELECT count(*)::int FROM rlrec.qvalues), 3, 'and to see the values');
SELECT throws_ok($$SELECT rlrec_replay('q', 'log')$$, '42501', 'permission denied for table log');
RESET ROLE;
DROP OWNED BY environment_user;
DROP ROLE environment_user;
SELECT lives_ok($$SELECT rlrec_drop_agent('q')$$, 'dropped');
SELECT is((SELECT count(*)::int FROM rlrec.qtable q WHERE NOT EXISTS (SELECT FROM rlrec.agent a WHERE a.id = q.agent)), 0, 'with its values');
SELECT * FROM finish();
