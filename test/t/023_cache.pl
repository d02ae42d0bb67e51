# What is served does not depend on where the model lies, in shared memory or in a copy of the session's own; which version is served is a
# matter of the transaction; and sessions that share a model have no memory of their own for it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('cache');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 60\nclient_min_messages = warning");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# The model of the agent big has 2,400 x 2,400 numbers, 23 MB; those of the ten small ones 200 x 200.
sql(q{
	CREATE EXTENSION rlrec;
	CREATE TABLE events AS
		SELECT abs(hashint4(i)) % 2000 AS user_id, abs(hashint4(i + 1)) % 2400 AS item_id,
			timestamptz '2025-01-01' + i * interval '1 s' AS at
		FROM generate_series(1, 60000) i;
	CREATE INDEX ON events (user_id, at);
	CREATE VIEW some_events AS SELECT * FROM events WHERE item_id < 200;
	SELECT rlrec_create_agent('big', events => 'events', learner => 'ease');
	SELECT FROM rlrec_train('big');
	SELECT rlrec_create_agent('small' || i, events => 'some_events', learner => 'ease', options => jsonb_build_object('l2', 50 * i))
		FROM generate_series(1, 10) i;
	SELECT t.* FROM generate_series(1, 10) i, rlrec_train('small' || i) t;
	CHECKPOINT});
cmp_ok(sql(q{SELECT bytes FROM rlrec.models WHERE agent = 'big'}), '>', 20e6, 'the model is of 20 MB and more');

my $rows = q{SELECT u, r.* FROM generate_series(1, 20) u, rlrec_recommend(u, 5, 'big') r};
my $small = q{SELECT i, r.* FROM generate_series(1, 10) i, rlrec_recommend(1, 3, 'small' || i) r};
my $private = sql($rows);
my $private_small = sql("$small; $small");
isnt($private, '', 'a private copy serves');

# Megabytes that the models of the server have in shared memory; those are what a backend maps of dynamic shared memory, /dev/shm or a file.
sub shared_mb
{
	my ($pid) = @_;
	open(my $maps, '<', "/proc/$pid/maps") or return undef;
	my $bytes = 0;
	while (<$maps>)
	{
		$bytes += hex($2) - hex($1) if m{^(\w+)-(\w+) .*(/PostgreSQL\.|pg_dynshmem/mmap\.)};
	}
	return $bytes / 1e6;
}

# Asks in one session: rows, then what it maps.
sub ask
{
	my ($query) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 1);
	my $answer = $session->query_safe($query);
	my $mb = shared_mb($session->query_safe('SELECT pg_backend_pid()'));
	$session->quit;
	return ($answer, $mb);
}

sub configure
{
	my ($mb) = @_;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'rlrec'\nrlrec.shared_cache = $mb");
	$node->restart;
}

for my $case ([ '1GB', 'preloaded', 1 ], [ '0', 'preloaded with rlrec.shared_cache = 0', 0 ], [ '1MB', 'with too small an rlrec.shared_cache', 0 ])
{
	my ($size, $how, $shared) = @$case;
	configure($size);
	for my $time ('first', 'second')
	{
		my ($answer, $mb) = ask($rows);
		is($answer, $private, "$how, $time session: the same rows");
	  SKIP:
		{
			skip 'no /proc to read', 1 if !defined $mb;
			if ($shared) { cmp_ok($mb, '>', 20, "$how, $time session: from shared memory") }
			else { cmp_ok($mb, '<', 5, "$how, $time session: from a copy of its own") }
		}
	}
}

# 1 MB holds six of the ten small models: they take turns, in one session and in several.
is(sql("$small; $small"), $private_small, 'when shared models make room for others: the same rows');
my ($answer, $mb) = ask($small);
is("$answer\n$answer", $private_small, 'and in the next session');

# A shared memory that is full gives an error at its creation; here because no file may be so large.
configure('1GB');
$node->stop;
my $start = 'ulimit -f 34000; exec pg_ctl -w -D "$0" -l "$1" start';
run_log([ 'sh', '-c', $start, $node->data_dir, $node->logfile ]) or die 'could not start the server';
$node->_update_pid(1);
my $offset = -s $node->logfile;
my ($status, $stdout, $stderr) = $node->psql('postgres', $rows);
is($stdout, $private, 'when shared memory cannot be had: the same rows');
is($stderr, '', 'and neither error nor warning');
like(slurp_file($node->logfile, $offset), qr/LOG: +could not share a model of \d+ MB/, 'but a line in the log');
$node->restart;

# 30 connections that served once and one that has not. A page of shared memory is counted as private while one process only has touched it,
# so whoever reads the model first, here a session that has ended, would seem to own it.
sql($rows);
my @sessions = map { $node->background_psql('postgres', on_error_stop => 1) } 0 .. 30;
my @pids = map { $_->query_safe('SELECT pg_backend_pid()') } @sessions;
$sessions[$_]->query_safe($_ == 0 ? 'SELECT count(*) FROM events WHERE user_id = 1' : "SELECT * FROM rlrec_recommend($_, 10, 'big')") for 0 .. 30;
my @dirty;
for my $pid (@pids)
{
	open(my $smaps, '<', "/proc/$pid/smaps_rollup") or last;
	push @dirty, join('', <$smaps>) =~ /^Private_Dirty: +(\d+) kB/m;
}
SKIP:
{
	skip 'smaps_rollup cannot be read', 1 if @dirty != 31;
	my $plain = shift @dirty;
	my ($most) = sort { $b <=> $a } @dirty;
	note("Private_Dirty: $plain kB of a plain session, at most $most kB of those that served");
	cmp_ok($most - $plain, '<=', 2048, 'sessions that served have at most 2 MB of their own');
}
$_->quit for @sessions;

# Which version serves is a matter of the transaction.
my $recommended = q{SELECT string_agg(item || ' ' || score, ',' ORDER BY rank) FROM rlrec_recommend(1, 5, 'small1')};
my $first = sql($recommended);
my $session = $node->background_psql('postgres', on_error_stop => 1);
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($session->query_safe($recommended), $first, 'a session in REPEATABLE READ');
sql(q{SELECT rlrec_alter_agent('small1', options => '{"l2": 5000}'); SELECT FROM rlrec_train('small1')});
my $second = sql($recommended);
isnt($second, $first, 'a new version serves');
is($session->query_safe($recommended), $first, 'but not in REPEATABLE READ');
$session->query_safe('COMMIT');
is($session->query_safe($recommended), $second, 'until its transaction ends');

$session->query_safe('BEGIN');
$session->query_safe(q{SELECT rlrec_alter_agent('small1', options => '{"l2": 50000}')});
$session->query_safe(q{SELECT FROM rlrec_train('small1')});
my $third = $session->query_safe($recommended);
isnt($third, $second, 'a version serves in the transaction that trained it');
is(sql($recommended), $second, 'and nowhere else');
$session->query_safe('ROLLBACK');
is($session->query_safe($recommended), $second, 'and goes with ROLLBACK');
sql(q{SELECT rlrec_alter_agent('small1', options => '{"l2": 500}'); SELECT FROM rlrec_train('small1')});
my $retrained = sql($recommended);
is(sql(q{SELECT max(version) FROM rlrec.models WHERE agent = 'small1'}), 3, 'its number is given again');
isnt($retrained, $third, 'and what was cached of it is not');
is($session->query_safe($recommended), $retrained, 'in the session that had it either');

is(sql(q{SELECT rlrec_rollback('small1')}), 2, 'rlrec_rollback()');
is($session->query_safe($recommended), $second, 'brings the version before back');
is(sql(q{SELECT rlrec_rollback('small1')}), 1, 'rlrec_rollback() again');
is($session->query_safe($recommended), $first, 'brings the first back');
$session->query_safe(q{SELECT rlrec_deploy('small1', 3)});
is(sql($recommended), $retrained, 'rlrec_deploy() takes what is wanted');
$session->quit;

$node->stop;
done_testing();
