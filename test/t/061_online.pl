# What is learned between trainings: of transactions that were under way while a training read, on a standby, after a crash, and restored from a dump.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 4');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION rlrec;
	CREATE TABLE items AS SELECT i AS id, 'thing ' || i AS name FROM generate_series(0, 39) i;
	ALTER TABLE items ADD PRIMARY KEY (id);
	CREATE TABLE events (id bigserial PRIMARY KEY, user_id int, item_id int, at timestamptz);
	CREATE INDEX ON events (user_id, at);
	CREATE SEQUENCE clock;
	CREATE FUNCTION add(n int) RETURNS void LANGUAGE sql AS $$
		INSERT INTO events (user_id, item_id, at)
			SELECT abs(hashint4(t::int)) % 50, abs(hashint4(t::int + 1) % 40), timestamptz '2025-01-01' + t * interval '1 s'
			FROM (SELECT nextval('clock') AS t FROM generate_series(1, n)) t $$;
	SELECT add(1000);
	SELECT rlrec_create_agent(name, 'events', items => 'items', learner => 'markov') FROM unnest('{online,anew}'::text[]) name;
	SELECT FROM rlrec_train('online');
	SELECT rlrec_attach('online')});

my $rows = q{SELECT u, i, round(rlrec_score('online', u, i)::numeric, 5) FROM generate_series(0, 51) u, generate_series(0, 39) i ORDER BY 1, 2};
sub anew
{
	my ($of, $database) = @_;
	$of->safe_psql($database // 'postgres', q{SELECT FROM rlrec_train('anew')});
	return $of->safe_psql($database // 'postgres', $rows =~ s/online/anew/r);
}

# ---- a training while a transaction, with savepoints, is under way: more of them than a snapshot has room for, and fewer
my $visits = 0;
for my $savepoints (3, 100)
{
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM events');
	my $inside = join '', map { "SAVEPOINT s$_; SELECT add(1); RELEASE s$_;" } 1 .. $savepoints;
	$node->safe_psql('postgres', "BEGIN; SELECT add(2); $inside PREPARE TRANSACTION 'under way'");
	$node->safe_psql('postgres', 'SELECT add(5)');
	$node->safe_psql('postgres', q{SELECT FROM rlrec_train('online')});
	is($node->safe_psql('postgres', q{SELECT rlrec_process('online')}), 5, "$savepoints savepoints: what was committed is learned");
	$node->safe_psql('postgres', q{COMMIT PREPARED 'under way'});
	is($node->safe_psql('postgres', q{SELECT rlrec_process('online')}), $savepoints + 2, "$savepoints savepoints: then what was under way");
	$visits += $savepoints + 7;
	is($node->safe_psql('postgres', q{SELECT visits, newer FROM rlrec.online}), join('|', $visits, $savepoints + 2),
		"$savepoints savepoints: which the training did not see");
	is($node->safe_psql('postgres', $rows), anew($node), "$savepoints savepoints: everything counts once");
}

# ---- a standby, and a crash
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
my $old = $standby->safe_psql('postgres', $rows);
$node->safe_psql('postgres', 'SELECT add(100)');
$node->safe_psql('postgres', q{SELECT rlrec_process('online')});
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
my $now = $node->safe_psql('postgres', $rows);
isnt($now, $old, 'something is learned');
is($standby->safe_psql('postgres', $rows), $now, 'a standby serves it');
$standby->stop;
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $rows), $now, 'it survives a crash');

# ---- a dump
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->start;
my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';
command_ok([ 'pg_dump', '--no-sync', '-d', $node->connstr('postgres'), '-f', $file ], 'pg_dump');
$new->safe_psql('postgres', 'CREATE DATABASE shop');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $new->connstr('shop'), '-f', $file ], 'restore');
is($new->safe_psql('shop', $rows), $now, 'what was learned serves where it is restored');
$new->safe_psql('shop', 'SELECT add(50)');
is($new->safe_psql('shop', q{SELECT rlrec_process('online')}), 50, 'and goes on');
is($new->safe_psql('shop', $rows), anew($new, 'shop'), 'exactly');
$new->safe_psql('shop', q{SELECT FROM rlrec_train('online'); SELECT add(10)});
$new->safe_psql('shop', q{SELECT rlrec_process('online')});
is($new->safe_psql('shop', $rows), anew($new, 'shop'), 'also on top of a new version');
is($new->safe_psql('shop', 'SELECT newer FROM rlrec.online'), 10, 'which has the rest');

$_->stop for $node, $new;
done_testing();
