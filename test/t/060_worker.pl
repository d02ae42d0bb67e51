# The worker: committed feedback is learned with nobody's help, through errors, crashes, promotion and the end of databases.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Poll;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('worker');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'rlrec'\nmax_prepared_transactions = 10\nrestart_after_crash = on");
$node->start;

sub sql { my ($statement, $database) = @_; return $node->safe_psql($database // 'postgres', $statement); }

sub wait_for
{
	my ($query, $what, $database) = @_;

	ok(poll_until($node, $database // 'postgres', $query), $what) or diag(sql('TABLE rlrec.stats; TABLE rlrec.queue', $database));
}

sub learned
{
	my ($agent, $n, $what, $database) = @_;

	wait_for("SELECT learned = $n AND waiting = 0 AND lag = 0 FROM rlrec.stats WHERE agent = '$agent'", $what, $database);
}

sub worker_pid { my ($database) = @_; return sql('SELECT coalesce(rlrec.worker_pid(), -1)', $database); }

sub set { my ($setting, $value) = @_; sql("ALTER SYSTEM SET $setting = $value"); sql('SELECT pg_reload_conf()'); }

my $setup = q(
	CREATE EXTENSION rlrec;
	CREATE TABLE events (id bigserial PRIMARY KEY, user_id int, item_id int, at timestamptz DEFAULT now());
	INSERT INTO events (user_id, item_id) SELECT u, (u * e) % 50 FROM generate_series(1, 40) u, generate_series(1, 10) e;
	CREATE INDEX ON events (user_id, at);
	SELECT rlrec_create_agent('shop', 'events', learner => 'popularity');
	SELECT FROM rlrec_train('shop'));
my $five = 'INSERT INTO events (user_id, item_id) SELECT i, i FROM generate_series(1, 5) i';

# ---- learning

sql($setup);
is(worker_pid(), '0', 'a database without attached agents has no worker');
is(sql('SELECT count(*) FROM rlrec.stats'), '0', 'and nothing to show');
my ($status, $out, $messages) = $node->psql('postgres', "SELECT rlrec_attach('shop')");
unlike($messages, qr/preload/, 'nothing is to be said where the library is preloaded');
wait_for('SELECT rlrec.worker_pid() > 0', 'attaching an agent starts one');
sql("BEGIN; $five; ROLLBACK");
sql($five) for 1 .. 4;
learned('shop', 20, 'what is committed is learned, what is rolled back is not');
is(sql("SELECT agent, state, batch > 0, errors, error IS NULL FROM rlrec.stats"), 'shop|learning|t|0|t', 'the view tells of it');

my $attached = "BEGIN; SELECT rlrec_create_agent('undone', 'events', learner => 'popularity'); SELECT rlrec_attach('undone'); ROLLBACK";
sql($attached);
is(sql('SELECT count(*) FROM rlrec.stats'), '1', 'attaching that is rolled back attaches nothing');

sql("BEGIN; $five; PREPARE TRANSACTION 'feedback'");
sql($five);
learned('shop', 25, 'a prepared transaction holds nothing up');
sql("COMMIT PREPARED 'feedback'");
learned('shop', 30, 'and is learned once it is committed');

sql('CREATE ROLE stranger');
is(sql('SET ROLE stranger; SELECT count(*) FROM rlrec.stats'), '0', 'who may not use an agent sees nothing of it');
is(sql('SET ROLE stranger; SELECT count(agent), sum(entries), sum(waiting), count(oldest) FROM rlrec.queue'), '0|||0', 'nor of its queue');

# ---- processes that end

sql('SELECT pg_terminate_backend(rlrec.worker_pid())');
sql($five);
learned('shop', 35, 'a worker that was terminated is started again');
my $pid = worker_pid();
sql("SELECT pg_cancel_backend($pid)");
sql($five);
learned('shop', 40, 'one that is cancelled goes on');
is(worker_pid(), $pid, 'as the same process');
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'rlrec launcher'");
sql($five);
learned('shop', 45, 'a worker needs no launcher');
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'rlrec launcher'", 'which comes back');

kill 'KILL', worker_pid();
poll_until($node, 'postgres', 'SELECT true');
sql($five);
learned('shop', 50, 'a crash loses nothing and repeats nothing');

set('rlrec.worker', 'off');
wait_for('SELECT rlrec.worker_pid() IS NULL', 'the worker can be turned off');
sql($five);
is(sql("SELECT state, waiting FROM rlrec.stats"), 'no worker|5', 'then feedback waits');
set('rlrec.worker', 'on');
learned('shop', 55, 'until it is turned on');

set('rlrec.worker_idle_timeout', '100');
wait_for('SELECT rlrec.worker_pid() = 0', 'a worker with nothing to do ends');
is(sql('SELECT state FROM rlrec.stats'), 'asleep', 'until there is something');
sql($five);
learned('shop', 60, 'and feedback starts it again');
wait_for('SELECT rlrec.worker_pid() = 0', 'it ends again');
sql("BEGIN; $five; PREPARE TRANSACTION 'late'");
wait_for('SELECT rlrec.worker_pid() > 0', 'a transaction that is prepared');
sleep 2;
cmp_ok(worker_pid(), '>', 0, 'keeps it waiting for the end of that');
sql("COMMIT PREPARED 'late'");
learned('shop', 65, 'as nothing wakes it then');
set('rlrec.worker_idle_timeout', q('5min'));

# ---- errors and crashes of one agent

# The last that a batch does is to write down its pace: there it fails, or stops to be killed.
sql(q(
	SELECT rlrec_create_agent('broken', 'events', learner => 'popularity');
	SELECT FROM rlrec_train('broken');
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'out of order' USING HINT = 'Mend it.'; END$$;
	CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(100); RETURN NEW; END$$));
my $when = sql("SELECT format('WHEN (NEW.batch > 0 AND NEW.agent = %s)', id) FROM rlrec.agent WHERE name = 'broken'");
sub break { my ($how) = @_; sql("CREATE TRIGGER break BEFORE INSERT ON rlrec.worker FOR EACH ROW $when EXECUTE FUNCTION $how()"); }

break('fail');
sql("SELECT rlrec_attach('broken')");
sql($five);
learned('shop', 70, 'an agent that fails is in no other one\'s way');
wait_for("SELECT state = 'backing off' AND learned = 0 AND waiting = 5 AND lag > 0 AND errors > 0 AND failed_at < now() FROM rlrec.stats WHERE agent = 'broken'",
	'it backs off');
is(sql("SELECT error FROM rlrec.stats WHERE agent = 'broken'"), 'out of order; Mend it.', 'its error is kept');
sql('GRANT USAGE ON SEQUENCE rlrec.agent_broken TO stranger');
is(sql("SET ROLE stranger; SELECT agent, errors > 0, error, failed_at IS NOT NULL FROM rlrec.stats"), 'broken|t|shown to the owner of the agent|t',
	'and shown to its owner only');
like(slurp_file($node->logfile), qr/out of order.*learning feedback of agent "broken"/s, 'and logged with its name');
sql('DROP TRIGGER break ON rlrec.worker');
learned('broken', 5, 'it is tried again');
is(sql("SELECT state, errors > 0, error FROM rlrec.stats WHERE agent = 'broken'"), 'learning|t|out of order; Mend it.', 'and works again');

# Its last pace was written down a second ago, so that this batch writes it again.
sleep 2;
break('hang');
sql($five);
my $hangs = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'rlrec worker' AND wait_event = 'PgSleep' AND query = 'rlrec_process(''broken'')'";
wait_for($hangs, 'a batch that takes long');
$pid = worker_pid();
sql($five);
is(sql("SELECT waiting FROM rlrec.stats WHERE agent = 'shop'"), '5', 'holds up other agents');
set('rlrec.worker_batch_timeout', q('3s'));
sql("SELECT pg_cancel_backend($pid)");
wait_for("SELECT error LIKE '%statement timeout' FROM rlrec.stats WHERE agent = 'broken'", 'for no longer than a batch may take');
learned('shop', 80, 'which then have their turn');
is(worker_pid(), $pid, 'of the same process');
set('rlrec.worker_batch_timeout', 'DEFAULT');
for my $crash (1 .. 3)
{
	poll_until($node, 'postgres', $hangs) or die "no attempt $crash";
	kill 'KILL', worker_pid();
	poll_until($node, 'postgres', 'SELECT true');
}
wait_for("SELECT state = 'set aside' FROM rlrec.stats WHERE agent = 'broken'", 'an agent that crashes the server is set aside');
like(sql("SELECT error FROM rlrec.stats WHERE agent = 'broken'"), qr/crashed/, 'with the reason');
sql("INSERT INTO rlrec.queue_2 SELECT s.agent, pg_current_xact_id(), i, now(), 1, convert_to(repeat('x', 8000), 'SQL_ASCII')
	FROM rlrec.subscription s JOIN rlrec.agent a ON a.id = s.agent, generate_series(1, 16400) i WHERE a.name = 'broken'");
ok($node->wait_for_log(qr/WARNING:  the queue of feedback of database "postgres" has grown to 128 MB/), 'and when the queue then grows, the log says so');
sql("DELETE FROM rlrec.queue_2 WHERE length(data) = 8000");
learned('shop', 80, 'while another one learned what it was told');
sql('DROP TRIGGER break ON rlrec.worker');
is(sql("SELECT rlrec_process('broken')"), '10', 'its owner can let it learn');
sql($five);
learned('broken', 20, 'and then the worker does so again');
is(sql("SELECT count(*) FROM pg_ls_dir('pg_stat_tmp') WHERE pg_ls_dir LIKE 'rlrec%'"), '1', 'the marks of other workers are gone');

sql("SELECT rlrec_drop_agent('broken')");
is(sql('SELECT count(*) FROM rlrec.worker'), '1', 'an agent that is dropped leaves nothing behind');

# ---- events that fail

sub stats { my ($columns) = @_; return sql("SELECT $columns FROM rlrec.stats WHERE agent = 'visits'"); }

sql(q(
	CREATE TABLE visits (id serial PRIMARY KEY, user_id int, item_id int, value float8);
	CREATE INDEX ON visits (user_id);
	INSERT INTO visits (user_id, item_id, value) SELECT u, i, 1 FROM generate_series(1, 10) u, generate_series(1, 10) i;
	SELECT rlrec_create_agent('visits', 'visits', learner => 'popularity', options => '{"reward": "6 / value"}');
	SELECT FROM rlrec_train('visits');
	SELECT rlrec_attach('visits', 'range')));
sql('INSERT INTO visits (user_id, item_id, value) VALUES (1, 1, 1)');
learned('visits', 1, 'an agent learns');
sql('INSERT INTO visits (user_id, item_id, value) SELECT u, u, CASE WHEN u = 3 THEN 0 ELSE 2 END FROM generate_series(1, 5) u');
wait_for("SELECT learned = 5 AND skipped = 1 AND waiting = 0 AND errors = 3 FROM rlrec.stats WHERE agent = 'visits'",
	'an event whose error does not pass is skipped, and those around it are learned');
like(slurp_file($node->logfile), qr/WARNING:  agent "visits" skips the event with the primary key 104\n.*DETAIL:  division by zero/, 'which the log tells');
is(stats('state, error'), 'learning|division by zero', 'the agent goes on');
is(sql("SELECT visits, newer FROM rlrec.online WHERE agent = 'visits'"), '5|5', 'with what it has learned');
sql('INSERT INTO visits (user_id, item_id, value) VALUES (3, 1, 1)');
wait_for("SELECT errors >= 7 AND waiting = 1 AND state = 'backing off' FROM rlrec.stats WHERE agent = 'visits'", 'an error that all events meet skips none');
($status, $out, $messages) = $node->psql('postgres', "SELECT rlrec_process('visits')");
like($messages, qr/ERROR:  division by zero/, 'nor does rlrec_process()');
sql('UPDATE visits SET value = 2 WHERE id = 104');
is(sql("SELECT rlrec_process('visits')"), '1', 'which learns the event once the reason is gone');

sql('BEGIN; INSERT INTO visits (user_id, item_id) SELECT u, u FROM generate_series(1, 5) u; ALTER TABLE visits DROP COLUMN value; COMMIT');
my $errors = stats('errors');
wait_for("SELECT errors >= $errors + 4 FROM rlrec.stats WHERE agent = 'visits'", 'an agent whose column is gone');
is(stats('learned, skipped, waiting'), '6|1|1', 'skips nothing either');
like(stats('error'), qr/column "?value"?.* does not exist/, 'and its error says why');
sql('ALTER TABLE visits ADD value float8 DEFAULT 1');
is(sql("SELECT rlrec_process('visits')"), '5', 'once that is mended it learns all');

# A row that no trigger saw spoils what is read of its user.
sql("SELECT rlrec_detach('visits'); SELECT rlrec_attach('visits')");
sql('INSERT INTO visits (user_id, item_id) VALUES (1, 1)');
learned('visits', 1, 'rows that are told of one by one');
sql('SET session_replication_role = replica; INSERT INTO visits (user_id, item_id, value) VALUES (3, 3, 0)');
sql(q(SELECT rlrec_alter_agent('visits', options => '{"feedback_batch": 1}')));
sql('INSERT INTO visits (user_id, item_id) SELECT u, u + 1 FROM generate_series(1, 5) u');
learned('visits', 5, 'are learned around one that fails, also where a batch is one event');
like(slurp_file($node->logfile), qr/WARNING:  agent "visits" skips an event of user "3" and item "4"/, 'which the log names');
sql("SELECT rlrec_drop_agent('visits')");

# ---- many at once

# The worker reads the queue's tables while others make them larger: all the time, as one agent never has enough.
sql(q(
	CREATE TABLE crowd (id bigserial PRIMARY KEY, user_id int, item_id int);
	CREATE INDEX ON crowd (user_id);
	INSERT INTO crowd (user_id, item_id) SELECT u, i FROM generate_series(1, 10) u, generate_series(1, 10) i;
	SELECT rlrec_create_agent('crowd', 'crowd', learner => 'popularity');
	SELECT FROM rlrec_train('crowd');
	SELECT rlrec_attach('crowd');
	SELECT rlrec_create_agent('greedy', 'crowd', learner => 'popularity', options => '{"feedback_batch": 1}');
	SELECT FROM rlrec_train('greedy');
	SELECT rlrec_attach('greedy')));
append_to_file($node->basedir . '/crowd.sql', "\\set u random(1, 100000)\nINSERT INTO crowd (user_id, item_id) VALUES (:u, 1)\n");
$node->command_ok([ 'pgbench', '-n', '-c', 4, '-T', 5, '-f', $node->basedir . '/crowd.sql', $node->connstr('postgres') ], 'of many who write');
sql("SELECT rlrec_drop_agent('greedy')");
wait_for("SELECT waiting = 0 FROM rlrec.stats WHERE agent = 'crowd'", 'the worker learns');
is(sql("SELECT learned FROM rlrec.stats WHERE agent = 'crowd'"), sql('SELECT count(*) - 100 FROM crowd'), 'each event once');
sql("SELECT rlrec_drop_agent('crowd')");

# ---- upkeep

# The second version earns nothing where the first one earned a third; a decision matures after 10 minutes.
sql(q(
	SELECT rlrec_create_agent('drifting', 'events', learner => 'popularity', options => '{"horizon": "10 minutes"}');
	SELECT FROM rlrec_train('drifting');
	SELECT FROM rlrec_train('drifting');
	UPDATE rlrec.deployment d SET deployed_at = now() - interval '3 hours' + d.id * interval '1 s' FROM rlrec.agent a WHERE a.id = d.agent AND a.name = 'drifting';
	WITH decision AS (
		INSERT INTO rlrec.decision (agent, model, user_id, role, served_at, seen, shortlist, logits, slate, propensity, probability, policy)
		SELECT a.id, m.id, i, 'postgres'::regrole, now() - (3 - m.version) * interval '1 hour' + i * interval '1 s', pg_current_snapshot(), '{a,b}', '{1,0}', '{1}', '{1}', 1, '{}'
		FROM rlrec.agent a JOIN rlrec.model m ON m.agent = a.id, generate_series(1, 400) i WHERE a.name = 'drifting'
		RETURNING id, agent, model, user_id, served_at)
	INSERT INTO rlrec.outcome (decision, place, agent, reward, events, first_at)
	SELECT d.id, 1, d.agent, 1, 1, d.served_at FROM decision d JOIN rlrec.model m ON m.id = d.model WHERE m.version = 1 AND d.user_id::int % 3 = 0));
is(sql("SELECT deployed FROM rlrec.agents WHERE name = 'drifting'"), '2', 'a bad version serves');
sql("SELECT rlrec_attach('drifting', 'none'); UPDATE rlrec.subscription SET attached_at = '-infinity'");
wait_for("SELECT deployed = 1 FROM rlrec.agents WHERE name = 'drifting'", 'the worker rolls it back by itself');
like(slurp_file($node->logfile), qr/WARNING:  agent "drifting" is rolled back from version 2 to version 1/, 'and logs that');
sql("SELECT rlrec_drop_agent('drifting')");

# ---- databases that end

sql('CREATE DATABASE one');
sql("$setup; SELECT rlrec_attach('shop')", 'one');
sql($five, 'one');
learned('shop', 5, 'another database has a worker of its own', 'one');
sql('ALTER DATABASE one RENAME TO two');
sql($five, 'two');
learned('shop', 10, 'which gives way to ALTER DATABASE', 'two');
sql('CREATE DATABASE three TEMPLATE two');
sql($five, 'three');
wait_for("SELECT waiting = 0 FROM rlrec.stats", 'and to CREATE DATABASE; the copy has one too', 'three');
sql($five, 'two');
learned('shop', 15, 'beside it', 'two');
sql('DROP DATABASE two');
ok(1, 'and to DROP DATABASE');
sql('DROP EXTENSION rlrec CASCADE', 'three');
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'three' AND backend_type = 'rlrec worker'", 'and to DROP EXTENSION');
sql('DROP DATABASE three WITH (FORCE)');

# What looks like the extension and is not: the worker is a superuser.
sql('CREATE ROLE impostor; CREATE DATABASE trap OWNER impostor');
sql(q(
	SET ROLE impostor;
	CREATE SCHEMA rlrec;
	CREATE TABLE rlrec.trapped (who name);
	CREATE FUNCTION rlrec.spring() RETURNS bigint LANGUAGE sql AS 'INSERT INTO rlrec.trapped VALUES (session_user) RETURNING 1';
	CREATE TABLE rlrec.agent (id bigint, name text);
	CREATE VIEW rlrec.subscription AS SELECT rlrec.spring() AS agent), 'trap');

# ---- standby and promotion

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
sql($five);
learned('shop', 90, 'the primary learns');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT state, learned FROM rlrec.stats WHERE agent = 'shop'"), 'no worker|90', 'a standby shows how far it is');
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'rlrec%'"), '0', 'and does nothing itself');
is(sql('SELECT count(*) FROM rlrec.trapped', 'trap'), '0', 'an impostor\'s view was not read');
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|relation "rlrec/, 'the log of the primary is clean');
$standby->promote;
$standby->safe_psql('postgres', $five);
ok(poll_until($standby, 'postgres', "SELECT learned = 95 FROM rlrec.stats WHERE agent = 'shop'"), 'once promoted it learns');
$standby->stop('fast');

# ---- fewer processes than databases, and none

my $small = PostgreSQL::Test::Cluster->new('small');
$small->init;
# The launcher of logical replication takes one of the three, ours another one.
$small->append_conf('postgresql.conf', "shared_preload_libraries = 'rlrec'\nmax_worker_processes = 3\nmax_prepared_transactions = 1\nrlrec.worker_idle_timeout = '500ms'");
$small->start;
$small->safe_psql('postgres', "$setup; SELECT rlrec_attach('shop')");
$small->safe_psql('postgres', "BEGIN; $five; PREPARE TRANSACTION 'keep'");
ok(poll_until($small, 'postgres', 'SELECT rlrec.worker_pid() > 0'), 'a worker takes the last place');
$small->safe_psql('postgres', 'CREATE DATABASE second');
$small->safe_psql('second', "$setup; SELECT rlrec_attach('shop')");
$small->safe_psql('second', $five);
$small->wait_for_log('no background worker is left');
sleep 6;
my @waits = slurp_file($small->logfile) =~ /no background worker is left/g;
is(scalar(@waits), 1, 'that another one waits for it is logged once');
$small->safe_psql('postgres', "COMMIT PREPARED 'keep'");
for my $database ('postgres', 'second')
{
	ok(poll_until($small, $database, "SELECT learned = 5 FROM rlrec.stats"), "one place is enough for all in turn: $database");
}

$small->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$small->restart;
$small->safe_psql('postgres', $five);
is($small->safe_psql('postgres', "SELECT state, waiting FROM rlrec.stats"), 'no worker|5', 'not preloaded, feedback waits');
is($small->safe_psql('postgres', "SELECT rlrec_process('shop')"), '5', 'for rlrec_process()');
is($small->safe_psql('postgres', "SELECT state, learned, waiting FROM rlrec.stats"), 'no worker|10|0', 'which does the same');
(undef, undef, $messages) = $small->psql('postgres', "SELECT rlrec_detach('shop'); SELECT rlrec_attach('shop')");
like($messages, qr/NOTICE:.*rlrec_process.*\nHINT:.*preload/, 'and attaching says so');
$small->stop;
done_testing();
