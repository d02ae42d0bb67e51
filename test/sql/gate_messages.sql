-- Why training if_better does not deploy.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS rlrec;
CREATE TABLE gate_events AS SELECT u AS user_id, i AS item_id, now() - interval '1 day' AS at FROM generate_series(1, 60) u, generate_series(1, 6) i WHERE u % i = 0;
SELECT rlrec_create_agent('gate', 'gate_events', learner => 'popularity',
	options => '{"horizon": "1 s", "exclude_seen": false, "explore": "epsilon_greedy", "explore_epsilon": 0.6}');
SELECT version FROM rlrec_train('gate');
SELECT rlrec_attach('gate', mode => 'none');
UPDATE rlrec.subscription SET attached_at = '-infinity';
-- the first half of the decisions is for one user
CREATE FUNCTION serve_gate(users int) RETURNS void BEGIN ATOMIC
	DELETE FROM rlrec.decision;
	SELECT rlrec_serve(1, 1, 'gate') FROM generate_series(1, users);
	SELECT rlrec_serve(u, 1, 'gate') FROM generate_series(1, users) u;
	UPDATE rlrec.decision SET served_at = now() - interval '1 hour' + id * interval '1 s';
END;
RESET client_min_messages;

SELECT serve_gate(29);
SELECT deployed FROM rlrec_train('gate', 'if_better');
SELECT serve_gate(30);
SELECT deployed FROM rlrec_train('gate', 'if_better');
SET client_min_messages = warning;
SELECT rlrec_alter_agent('gate', options => '{"explore": "softmax"}');
RESET client_min_messages;
SELECT deployed FROM rlrec_train('gate', 'if_better');

SET client_min_messages = warning;
SELECT rlrec_drop_agent('gate');
DROP FUNCTION serve_gate;
DROP TABLE gate_events;
