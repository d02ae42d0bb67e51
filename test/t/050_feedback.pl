# Committed feedback is learned from exactly once, whatever happens: prepared transactions, crashes, restores, and all of that under writers that
# abort at random while the server is killed again and again, for RLREC_FEEDBACK_SECONDS (15 by default).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Poll;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = PostgreSQL::Test::Cluster->new('feedback');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 60\nsynchronous_commit = off\nrestart_after_crash = on\nlog_statement = none\n");
$node->start;

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]) }
sub process { return sql(q{SET synchronous_commit = on; SELECT rlrec_process('shop')}) }

sql(q{
	CREATE EXTENSION rlrec;
	CREATE TABLE events (id bigserial PRIMARY KEY, user_id int, item_id text, at timestamptz DEFAULT now());
	SELECT rlrec_create_agent('shop', events => 'events');
	SELECT rlrec_attach('shop')});
my $insert = 'INSERT INTO events (user_id, item_id) VALUES (100, 1)';

# ---- prepared transactions

sql("BEGIN; $insert; SAVEPOINT a; $insert; ROLLBACK TO a; PREPARE TRANSACTION 'one'");
sql("BEGIN; $insert; PREPARE TRANSACTION 'two'");
is(process(), 0, 'what is prepared teaches nothing yet');
sql($insert);
is(process(), 1, 'what comes later is learned meanwhile');
sql("COMMIT PREPARED 'one'");
sql("ROLLBACK PREPARED 'two'");
is(process(), 1, 'COMMIT PREPARED teaches, ROLLBACK PREPARED does not');
is(process(), 0, 'once');

# ---- columns that are gone

sql(q{
	CREATE TABLE others (user_id int, item_id int, at timestamptz DEFAULT now());
	SELECT rlrec_create_agent('other', events => 'others');
	SELECT rlrec_attach('other');
	ALTER TABLE others RENAME item_id TO product_id});
$node->psql('postgres', 'INSERT INTO others VALUES (1, 1); INSERT INTO others VALUES (1, 2)', stderr => \my $warnings);
is(() = $warnings =~ /WARNING:  agent "other" does not learn from what is inserted into/g, 1, 'a session is told once that an agent does not learn');
like($warnings, qr/column "item_id" of .*others.* does not exist.*rlrec_alter_agent\('other', item_column/s, 'why, and what to do');
sql(q{SELECT rlrec_drop_agent('other')});

# ---- crashes

sql("SET synchronous_commit = on; $insert");
$node->stop('immediate');
$node->start;
is(process(), 1, 'what is committed outlives a crash');
$node->stop('immediate');
$node->start;
is(process(), 0, 'and so does what was learned');

# ---- the queue stays small, also while a prepared transaction has written to one of its tables

my $size = q{SELECT sum(pg_relation_size('rlrec.queue_' || i)) / 1048576 FROM generate_series(0, 2) i};
sql("BEGIN; $insert; PREPARE TRANSACTION 'long'");
my $learned = 0;
for (1 .. 14)
{
	sql(q{INSERT INTO events (user_id, item_id) SELECT 100, repeat('x', 200) FROM generate_series(1, 12000)});
	$learned += process();
}
is($learned, 14 * 12000, 'many events are learned past a transaction that is prepared');
cmp_ok(sql($size), '<', 24, 'and the queue keeps within its tables');
sql("COMMIT PREPARED 'long'");
is(process(), 1, 'which teaches in the end');

# ---- dump and restore

sql($insert);
my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';
command_ok([ 'pg_dump', '--no-sync', '-d', $node->connstr('postgres'), '-f', $file ], 'pg_dump of an agent that is attached');
sql('CREATE DATABASE restored');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $file ], 'and restore');
is(sql(q{SELECT rlrec_process('shop')}, 'restored'), 0, 'what was fed back before the dump is not fed back again');
sql($insert, 'restored');
is(sql(q{SELECT rlrec_process('shop')}, 'restored'), 1, 'the agent is attached there as well');
is(process(), 1, 'and where it was');

# ---- everything at once

my %script = (
	'single@6' => q{INSERT INTO events (user_id, item_id) VALUES (:client_id, 1);},
	'savepoints@4' => q{
		\set abort random(0, 2)
		\set undo random(0, 1)
		BEGIN;
		INSERT INTO events (user_id, item_id) VALUES (:client_id, 1);
		SAVEPOINT a;
		INSERT INTO events (user_id, item_id) SELECT :client_id, 1 FROM generate_series(1, 20);
		SAVEPOINT b;
		INSERT INTO events (user_id, item_id) VALUES (:client_id, 1);
		\if :undo
			ROLLBACK TO a;
		\else
			ROLLBACK TO b;
			RELEASE a;
		\endif
		INSERT INTO events (user_id, item_id) VALUES (:client_id, 1);
		\if :abort = 0
			ROLLBACK;
		\else
			COMMIT;
		\endif},
	'bulk@1' => q{
		\set abort random(0, 2)
		BEGIN;
		SAVEPOINT a;
		INSERT INTO events (user_id, item_id) SELECT :client_id, 1 FROM generate_series(1, 7000);
		\if :abort = 1
			ROLLBACK TO a;
			INSERT INTO events (user_id, item_id) SELECT :client_id, 1 FROM generate_series(1, 7000);
		\endif
		\if :abort = 0
			ROLLBACK;
		\else
			COMMIT;
		\endif},
	'prepared@3' => q{
		\set abort random(0, 2)
		\set gid random(1, 1000000000)
		BEGIN;
		INSERT INTO events (user_id, item_id) SELECT :client_id, 1 FROM generate_series(1, 3);
		PREPARE TRANSACTION ':gid';
		\sleep 10 ms
		\if :abort = 0
			ROLLBACK PREPARED ':gid';
		\else
			COMMIT PREPARED ':gid';
		\endif});
my %learn = (
	'learn@3' => q{SELECT rlrec_process('shop');},
	'repeatable@1' => q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT rlrec_process('shop'); COMMIT;},
	'unlearn@1' => q{BEGIN; SAVEPOINT a; SELECT rlrec_process('shop'); ROLLBACK TO a; SELECT rlrec_process('shop'); ROLLBACK;});

# A pgbench that runs scripts by so many clients until the server dies.
sub start_clients
{
	my ($clients, $seed, %scripts) = @_;
	my @files;
	for my $name (sort keys %scripts)
	{
		my ($word, $weight) = split /@/, $name;
		my $path = PostgreSQL::Test::Utils::tempdir() . "/$word.sql";
		append_to_file($path, $scripts{$name} =~ s/^\s+//gmr . "\n");
		push @files, '-f', "$path\@$weight";
	}
	my %run = (out => '', err => '');
	$run{run} = IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-j', 1, '-T', 600, '--random-seed', $seed, @files, $node->connstr('postgres') ],
		'<', '/dev/null', '>', \$run{out}, '2>', \$run{err});
	return \%run;
}

# What each writer's events were credited to says which of them were learned.
sql(q{INSERT INTO rlrec.decision (agent, model, user_id, role, served_at, seen, shortlist, logits, slate, propensity, probability, policy)
	SELECT a.id, 0, u, current_user::regrole, now(), pg_current_snapshot(), '{1}', '{0}', '{1}', '{1}', 1, '{}'
	FROM rlrec.agent a, generate_series(0, 7) u});
my $seconds = $ENV{RLREC_FEEDBACK_SECONDS} // 15;
my $end = time + $seconds;
my $round = 0;
my $largest = 0;
srand(1);
while (time < $end)
{
	$round++;
	my @clients = (start_clients(8, $round, %script), start_clients(2, $round, %learn));
	sleep(2 + rand(2));
	my $now = sql($size);
	$largest = $now if $now > $largest;
	if ($round % 3 == 0)
	{
		# One process dies, and the server restarts by itself.
		my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY query LIKE '%rlrec_process%' DESC, random() LIMIT 1});
		kill('KILL', $pid);
		$_->{run}->finish for @clients;
		poll_until($node, 'postgres', 'SELECT true') or die 'the server does not come back';
	}
	else
	{
		my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
		$node->kill9;
		$_->{run}->finish for @clients;
		sleep(0.1) while kill(0, $pid);
		$node->start;
	}
	note("round $round: " . join(' ', map { $_->{err} =~ /(ERROR.*)/ ? $1 : () } @clients));
	unlike($_->{err} . $_->{out}, qr/ERROR:|FATAL:.*rlrec|PANIC/, "round $round: no errors but the connection's") for @clients;
}
my $prepared = sql('SELECT count(*) FROM pg_prepared_xacts');
note("$prepared transactions were left prepared");
sql(($_ % 2 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$_'") for split /\n/, sql('SELECT gid FROM pg_prepared_xacts');
process();
is(process(), 0, 'everything is learned');
my $events = sql('SELECT user_id, count(*) FROM events WHERE user_id < 8 GROUP BY 1 ORDER BY 1');
note('events: ' . $events =~ s/\n/ /gr);
is(sql('SELECT d.user_id, o.events FROM rlrec.outcome o JOIN rlrec.decision d ON d.id = o.decision ORDER BY 1'), $events,
	"each writer's committed events were learned exactly once, in $round rounds");
is(sql('SELECT learned FROM rlrec.watermark'), sql('SELECT count(*) FROM events'), 'and so were all');
note("the queue had at most $largest MB");

$node->stop;
done_testing();
