# Trainings in background workers: state, error, cancel, crash, and more of them than there are workers.
use strict;
use warnings;

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

	$node->poll_query_until('postgres', "SELECT state IN ($states) FROM rlrec.trainings WHERE id = $id")
	  or die "training $id did not reach any of $states";
	return sql("SELECT state, attempts, coalesce(error, '') FROM rlrec.trainings WHERE id = $id");
}

sub wait_until_slow_trains
{
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM rlrec.training_progress WHERE agent = 'slow' AND phase <> ''")
	  or die 'no progress of the slow training';
}

sql(q(
CREATE EXTENSION rlrec;
CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int, at timestamptz);
INSERT INTO events (user_id, item_id, at)
SELECT u, (u * 7 + e * e * 13) % 1500, timestamptz '2026-01-01' + e * interval '1 hour'
FROM generate_series(1, 3000) u, generate_series(1, 60) e;
CREATE INDEX ON events (user_id, at);
CREATE TABLE empty (user_id int, item_id int, at timestamptz);
SELECT rlrec_create_agent('quick', 'events', learner => 'markov');
SELECT rlrec_create_agent('slow', 'events', learner => 'als', options => '{"iterations": 100}');
SELECT rlrec_create_agent('nothing', 'empty', learner => 'markov');
));

my $id = sql("SELECT rlrec_train_async('quick')");
is(state_of($id, "'done', 'failed'"), 'done|1|', 'a training in the background ends well');
is(sql("SELECT version, deployed FROM rlrec.models WHERE agent = 'quick'"), '1|t', 'and its version serves');

$id = sql("SELECT rlrec_train_async('nothing')");
like(state_of($id, "'done', 'failed'"), qr/^failed\|1\|.*no events/, 'an error is kept');

sql("BEGIN; SELECT rlrec_train_async('quick'); ROLLBACK");
sleep 1;
is(sql("SELECT count(*) FROM rlrec.models WHERE agent = 'quick'"), '1', 'a training that was rolled back does not run');

$id = sql("SELECT rlrec_train_async('slow')");
wait_until_slow_trains();
is(sql("SELECT rlrec_cancel_training('slow')"), 't', 'a running training is found');
like(state_of($id, "'done', 'cancelled'"), qr/^cancelled\|1\|/, 'and cancelled');
is(sql("SELECT rlrec_cancel_training('slow')"), 'f', 'nothing is left to cancel');
is(sql("SELECT count(*) FROM rlrec.models WHERE agent = 'slow'"), '0', 'a cancelled training stores nothing');

# The launcher of logical replication takes one of the four workers.
sql("SELECT rlrec_create_agent('agent$_', 'events', learner => 'itemknn'); SELECT rlrec_train_async('agent$_')") for 1 .. 10;
$node->poll_query_until('postgres', "SELECT count(*) = 10 FROM rlrec.trainings WHERE agent ~ '^agent' AND state = 'done'")
  or diag(sql('SELECT * FROM rlrec.trainings'));
is(sql("SELECT count(*) FROM rlrec.trainings WHERE agent ~ '^agent' AND state = 'done' AND attempts = 1"),
	'10', 'ten trainings on three workers all end, each once');

$id = sql("SELECT rlrec_train_async('slow')");
wait_until_slow_trains();
kill 'KILL', sql("SELECT pid FROM rlrec.trainings WHERE id = $id");
$node->poll_query_until('postgres', "SELECT attempts = 2 AND state = 'running' FROM rlrec.trainings WHERE id = $id")
  or die 'no second attempt';
like(state_of($id, "'running'"), qr/attempt 1 ended in a crash/, 'a crash is recorded and the training tried again');
is(sql("SELECT count(*) FROM rlrec_recommend(1, 3, 'quick')"), '3', 'the deployed version serves meanwhile');
sql("SELECT rlrec_cancel_training('slow')");

sql('DROP EXTENSION rlrec CASCADE');
$node->stop;
done_testing();
