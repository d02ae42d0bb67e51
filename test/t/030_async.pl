# Trainings in background workers: state, error, progress, cancel, crash, and more of them than there are workers.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Poll;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('async');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 4\nmaintenance_work_mem = '256MB'\nrestart_after_crash = on");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# What rlrec.trainings says of a training once it has one of these states.
sub state_of
{
	my ($id, $states) = @_;

	poll_until($node, 'postgres', "SELECT state IN ($states) FROM rlrec.trainings WHERE id = $id")
	  or die "training $id did not reach any of $states";
	return sql("SELECT state, attempts, coalesce(error, '') FROM rlrec.trainings WHERE id = $id");
}

# Until what is shown of the agent's training is so.
sub wait_for_progress
{
	my ($agent, $condition) = @_;

	poll_until($node, 'postgres', "SELECT count(*) = 1 FROM rlrec.training_progress WHERE agent = '$agent' AND $condition")
	  or die "no progress of $agent";
}
sub wait_until_slow_trains { wait_for_progress('slow', "phase LIKE 'alternating%'") }

sql(q(
CREATE EXTENSION rlrec;
CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int, at timestamptz);
INSERT INTO events (user_id, item_id, at)
SELECT u, (u * 7 + e * e * 13) % 1500, timestamptz '2026-01-01' + e * interval '1 hour'
FROM generate_series(1, 3000) u, generate_series(1, 60) e;
CREATE INDEX ON events (user_id, at);
CREATE TABLE few AS SELECT * FROM events WHERE user_id <= 100 AND at < '2026-01-02';
CREATE TABLE empty (user_id int, item_id int, at timestamptz);
SELECT rlrec_create_agent('quick', 'events', learner => 'markov');
SELECT rlrec_create_agent('slow', 'events', learner => 'als', options => '{"iterations": 100}');
SELECT rlrec_create_agent('neural', 'few', learner => 'supervised', options => '{"dimension": 16, "epochs": 10000, "patience": 10000, "finish": 0.5}');
SELECT rlrec_create_agent('nothing', 'empty', learner => 'markov');
));

my $id = sql("SELECT rlrec_train_async('quick')");
is(state_of($id, "'done', 'failed'"), 'done|1|', 'a training in the background ends well');
is(sql("SELECT version, deployed FROM rlrec.models WHERE agent = 'quick'"), '1|t', 'and its version serves');

$id = sql("SELECT rlrec_train_async('nothing')");
like(state_of($id, "'done', 'failed'"), qr/^failed\|1\|.*no events/, 'an error is kept');
sql("SELECT rlrec_alter_agent('nothing', learner => 'als')");
like(sql("SELECT version, learner, deployed, seconds >= 0, created_at <= now(), error FROM rlrec.models WHERE agent = 'nothing'"),
	qr/^\|markov\|f\|t\|t\|.*no events/, 'also in rlrec.models, with the learner that failed');
is(sql("SELECT count(*), count(error) FROM rlrec.models WHERE agent = 'quick'"), '1|0', 'where a version has none');
sql("INSERT INTO rlrec.training (agent, deploy, state, error) SELECT id, 0, 'failed', 'old' FROM rlrec.agent, generate_series(1, 150)
	WHERE name = 'nothing'");
$id = sql("SELECT rlrec_train_async('nothing')");
state_of($id, "'failed'");
poll_until($node, 'postgres', "SELECT count(*) = 100 FROM rlrec.training WHERE agent = (SELECT id FROM rlrec.agent WHERE name = 'nothing')");
is(sql("SELECT count(*), max(id) FROM rlrec.trainings WHERE agent = 'nothing'"), "100|$id", 'the newest hundred that ended are kept');

sql("BEGIN; SELECT rlrec_train_async('quick'); ROLLBACK");
sleep 1;
is(sql("SELECT count(*) FROM rlrec.models WHERE agent = 'quick'"), '1', 'a training that was rolled back does not run');

$id = sql("SELECT rlrec_train_async('slow')");
wait_until_slow_trains();
is(sql("SELECT num_nulls(epoch, epochs, step, steps, loss, validation, eta) FROM rlrec.training_progress"), '7', 'which has no epochs');
is(sql("SELECT rlrec_cancel_training('slow')"), 't', 'a running training is found');
like(state_of($id, "'done', 'cancelled'"), qr/^cancelled\|1\|/, 'and cancelled');
is(sql("SELECT rlrec_cancel_training('slow')"), 'f', 'nothing is left to cancel');
is(sql("SELECT count(*) FROM rlrec.models WHERE agent = 'slow'"), '0', 'a cancelled training stores nothing');

sql("SELECT rlrec_train_async('neural')");
wait_for_progress('neural', 'epoch > 1');
# 100 users in batches of 32
is(sql("SELECT phase, epochs, steps, step BETWEEN (epoch - 1) * 4 AND epoch * 4 - 1, (done, total) = (step, steps), percent < 100,
	loss BETWEEN 0.1 AND 20, validation BETWEEN 0 AND 1, eta BETWEEN elapsed AND interval '1 day' FROM rlrec.training_progress"),
	'training|15000|60000|t|t|t|t|t|t', 'a neural training shows its epoch, loss, validation and time to go');
my $pid = sql('SELECT pid FROM rlrec.training_progress');
SKIP:
{
	skip 'the niceness of threads is read from Linux', 1 unless -r "/proc/$pid/task";
	my @nice = map { (split ' ', slurp_file($_) =~ s/.*\)//r)[16] } glob("/proc/$pid/task/*/stat");
	is_deeply(\@nice, [ (10) x @nice ], 'its threads give way to queries');
	like(slurp_file("/proc/$pid/autogroup"), qr/ nice 10$/, 'also where sessions share the processor') if -r "/proc/$pid/autogroup";
}
sql("SELECT rlrec_cancel_training('neural')");

# The launcher of logical replication takes one of the four workers.
sql("SELECT rlrec_create_agent('agent$_', 'events', learner => 'itemknn'); SELECT rlrec_train_async('agent$_')") for 1 .. 10;
poll_until($node, 'postgres', "SELECT count(*) = 10 FROM rlrec.trainings WHERE agent ~ '^agent' AND state = 'done'")
  or diag(sql('SELECT * FROM rlrec.trainings'));
is(sql("SELECT count(*) FROM rlrec.trainings WHERE agent ~ '^agent' AND state = 'done' AND attempts = 1"),
	'10', 'ten trainings on three workers all end, each once');

sql("SELECT rlrec_create_agent('neural$_', 'few', learner => 'supervised', options => '{\"dimension\": 16, \"epochs\": 20, \"threads\": 2}')") for 1 .. 10;
sql("SELECT rlrec_train_async('neural' || i) FROM generate_series(1, 10) i");
poll_until($node, 'postgres', "SELECT count(*) > 0 FROM rlrec.training_progress WHERE step > 0") or die 'none trains';
is(sql('SELECT count(*) FROM events'), '180000', 'a query is answered');
my $running = "SELECT count(*) FROM rlrec.trainings WHERE agent ~ '^neural[0-9]' AND state = 'running'";
cmp_ok(sql($running), '>', 0, 'while supervised trainings run');
poll_until($node, 'postgres', "SELECT count(*) = 10 FROM rlrec.trainings WHERE agent ~ '^neural[0-9]' AND state = 'done'")
  or diag(sql('SELECT * FROM rlrec.trainings'));
is(sql("SELECT count(*), max(attempts) FROM rlrec.trainings WHERE agent ~ '^neural[0-9]' AND state = 'done'"), '10|1', 'of which ten end too, each once');

$id = sql("SELECT rlrec_train_async('slow')");
wait_until_slow_trains();
kill 'KILL', sql("SELECT pid FROM rlrec.trainings WHERE id = $id");
poll_until($node, 'postgres', "SELECT attempts = 2 AND state = 'running' FROM rlrec.trainings WHERE id = $id")
  or die 'no second attempt';
like(state_of($id, "'running'"), qr/attempt 1 ended in a crash/, 'a crash is recorded and the training tried again');
is(sql("SELECT count(*) FROM rlrec_recommend(1, 3, 'quick')"), '3', 'the deployed version serves meanwhile');
sql("SELECT rlrec_cancel_training('slow')");
like(state_of($id, "'done', 'failed', 'cancelled'"), qr/^cancelled\|2\|/, 'and the one that waits to be tried again can be cancelled');

sql('DROP EXTENSION rlrec CASCADE');
$node->stop;
done_testing();
