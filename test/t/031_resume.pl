# A training that was interrupted goes on from its checkpoint: after a timeout, after a crash of its worker, and not where it may not.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Poll;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('resume');
$node->init;
$node->append_conf('postgresql.conf', "maintenance_work_mem = '256MB'\nlog_min_messages = notice\nrestart_after_crash = on");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# What psql prints on standard error.
sub told
{
	my ($statements) = @_;
	my $stderr;

	$node->psql('postgres', $statements, stderr => \$stderr);
	return $stderr;
}

sub checkpoints { return scalar glob($node->data_dir . '/pg_stat_tmp/rlrec_*.checkpoint') ? 1 : 0; }

# An agent whose epochs take some tenths of a second, and one that trains in one go.
my $options = '"epochs": 20, "patience": 20, "checkpoint": 0.001, "length": 50, "threads": 1, "finish": 0.2';
sql(qq(
CREATE EXTENSION rlrec;
CREATE TABLE items (id int PRIMARY KEY, colour text);
INSERT INTO items SELECT n, 'colour ' || n % 9 FROM generate_series(0, 699) n;
CREATE TABLE events (id serial PRIMARY KEY, user_id int, item_id int REFERENCES items, event text, at timestamptz);
INSERT INTO events (user_id, item_id, event, at)
SELECT u, (u * 7 + e * (1 + u % 13)) % 700, CASE WHEN (u + e) % 5 = 0 THEN 'buy' ELSE 'see' END, timestamptz '2026-01-01' + e * interval '1 hour'
FROM generate_series(1, 400) u, generate_series(1, 30) e;
CREATE FUNCTION make(agent text) RETURNS void LANGUAGE sql AS \$\$
SELECT rlrec_create_agent(agent, 'events', items => 'items', rewards => '{"see": 1, "buy": 2}', learner => 'supervised', options => '{$options}')
\$\$;
SELECT make('straight'), make('cut'), make('killed');
SELECT * FROM rlrec_train('straight');
));
is(checkpoints(), 0, 'a training that ends leaves no checkpoint');

sub cut
{
	my ($agent) = @_;
	my $id = sql("SELECT rlrec_train_async('$agent')");

	poll_until($node, 'postgres', "SELECT count(*) = 1 FROM rlrec.training_progress WHERE agent = '$agent' AND epoch >= 4") or die 'no epoch 4';
	sql("SELECT rlrec_cancel_training('$agent')");
	poll_until($node, 'postgres', "SELECT state = 'cancelled' FROM rlrec.trainings WHERE id = $id") or die 'no end';
}

cut('cut');
is(checkpoints(), 1, 'one that was cancelled leaves one');
like(told("SELECT * FROM rlrec_train('cut')"), qr/training goes on after epoch \d+, where an earlier one was interrupted/, 'the next one goes on from it');
is(sql("SELECT rlrec_model_weights('cut') = rlrec_model_weights('straight')"), 't', 'and comes to the same weights, bit for bit');
is(checkpoints(), 0, 'and takes it away');

cut('cut');
sql("SELECT rlrec_alter_agent('cut', '{\"learning_rate\": 0.002}')");
unlike(told("SELECT * FROM rlrec_train('cut')"), qr/goes on/, 'with other options it starts anew');

cut('cut');
sql("INSERT INTO items VALUES (700, 'colour 1'); INSERT INTO events (user_id, item_id, event, at) VALUES (1, 700, 'new', '2026-01-09'), (2000, 700, 'see', '2026-01-09');"
  . " DELETE FROM events WHERE item_id = 5; DELETE FROM items WHERE id = 5");
like(told("SELECT * FROM rlrec_train('cut')"), qr/training goes on after epoch/, 'with other events it goes on');
is(sql("SELECT count(*) FROM rlrec_recommend(1, 5, 'cut')"), '5', 'and recommends');

cut('cut');
sql("SELECT rlrec_drop_agent('cut')");
is(checkpoints(), 0, 'an agent that is dropped takes its checkpoint along');

cut('killed');
my ($file) = glob($node->data_dir . '/pg_stat_tmp/rlrec_*.checkpoint');
open(my $handle, '+<', $file) or die;
seek($handle, 100000, 0);
print $handle 'torn';
close($handle);
my $told = told("SELECT * FROM rlrec_train('killed')");
unlike($told, qr/goes on|ERROR/, 'one that is torn counts as none');

my $id = sql("SELECT rlrec_train_async('killed')");
poll_until($node, 'postgres', "SELECT count(*) = 1 FROM rlrec.training_progress WHERE agent = 'killed' AND epoch >= 5") or die 'no epoch 5';
is(sql("SELECT eta < interval '1 hour' FROM rlrec.training_progress"), 't', 'the time to go is told');
kill 'KILL', sql("SELECT pid FROM rlrec.trainings WHERE id = $id");
poll_until($node, 'postgres', "SELECT state = 'done' FROM rlrec.trainings WHERE id = $id") or die 'no end';
is(sql("SELECT attempts FROM rlrec.trainings WHERE id = $id"), '2', 'after a crash it is tried again');
like(slurp_file($node->logfile), qr/training goes on after epoch [4-9]/, 'from the checkpoint');

$node->stop;
done_testing();
