# Whatever happens to a training, the version that was deployed serves on and nothing of the attempt is left: kill -9, an immediate
# shutdown, pg_cancel_backend(), statement_timeout.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Poll;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nshared_preload_libraries = 'rlrec'\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(q{
	CREATE EXTENSION rlrec;
	CREATE TABLE events AS
		SELECT abs(hashint4(i)) % 3000 AS user_id, abs(hashint4(i + 1) % 40) * (abs(hashint4(i + 2)) % 50) AS item_id,
			timestamptz '2025-01-01' + i * interval '1 s' AS at
		FROM generate_series(1, 300000) i;
	CREATE INDEX ON events (user_id, at);
	SELECT rlrec_create_agent('shop', events => 'events', learner => 'ease');
	SELECT FROM rlrec_train('shop')});

sub learn_by
{
	my ($learner, $option, $value) = @_;
	my %options = (iterations => 'null', l2 => 'null', $option ? ($option => $value) : ());
	my $options = '{' . join(', ', map { qq("$_": $options{$_}) } keys %options) . '}';
	sql("SELECT rlrec_alter_agent('shop', learner => '$learner', options => '$options')");
}
learn_by('als', iterations => 100);

# What is served and what is stored.
my $state = q{SELECT (SELECT md5(string_agg(format('%s %s %s', u, r.rank, r), ' ' ORDER BY u, r.rank))
		FROM generate_series(1, 50) u, rlrec_recommend(u, 5, 'shop') r),
	(SELECT string_agg(version || ' ' || deployed, ', ') FROM rlrec.models), (SELECT count(*) FROM rlrec.chunk),
	(SELECT count(*) FROM rlrec.deployment), (SELECT count(*) FROM rlrec.training_progress)};
my $before = sql($state);
like($before, qr/^[0-9a-f]{32}\|1 true\|[1-9][0-9]*\|1\|0$/, 'one version serves');

# A training in a session of its own.
sub start_training
{
	my ($statement) = @_;
	$statement //= q{SELECT FROM rlrec_train('shop')};
	my %training = (out => '', err => '');
	$training{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $statement ],
		'<', '/dev/null', '>', \$training{out}, '2>', \$training{err});
	return \%training;
}

# Its process, once it is in a phase that starts so.
sub pid_in_phase
{
	my ($phase) = @_;
	poll_until($node, 'postgres', "SELECT count(*) > 0 FROM rlrec.training_progress WHERE phase LIKE '$phase%'")
	  or die "no training came to the phase \"$phase\"";
	return sql('SELECT pid FROM rlrec.training_progress');
}

sub outlives
{
	my ($what) = @_;
	is(sql($state), $before, "$what leaves what is served and stored as it was");
}

# pg_cancel_backend() and statement_timeout

my $training = start_training();
my $pid = pid_in_phase('alternating');
my $began = time;
sql("SELECT pg_cancel_backend($pid)");
$training->{run}->finish;
cmp_ok(time - $began, '<', 3, 'pg_cancel_backend() ends a fit soon');
like($training->{err}, qr/canceling statement due to user request/, 'with the usual error');
outlives('pg_cancel_backend()');

for my $ms (20, 100, 1000)
{
	$began = time;
	my (undef, undef, $stderr) = $node->psql('postgres', "SET statement_timeout = $ms; SELECT FROM rlrec_train('shop')");
	cmp_ok(time - $began, '<', $ms / 1000 + 3, "statement_timeout of $ms ms ends a training soon");
	like($stderr, qr/canceling statement due to statement timeout/, "statement_timeout of $ms ms: the usual error");
}
outlives('statement_timeout');

# An agent that only its own transaction sees is nobody else's to watch.
$training = start_training(q{BEGIN; SELECT rlrec_create_agent('unborn', events => 'events', learner => 'als', options => '{"iterations": 100}');
	SELECT FROM rlrec_train('unborn')});
poll_until($node, 'postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE mode = 'ShareUpdateExclusiveLock' AND relation IS NOT NULL});
my @looks = map { join('', ($node->psql('postgres', 'SELECT count(*) FROM rlrec.training_progress'))[1, 2]) } 1 .. 10;
is("@looks", '0 0 0 0 0 0 0 0 0 0', 'rlrec.training_progress passes over an agent that is not committed');
sql(q{SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE mode = 'ShareUpdateExclusiveLock'});
$training->{run}->finish;
outlives('pg_terminate_backend()');

# kill -9: while it fits, and when all chunks are written and the row of the version waits for a lock
for my $moment ('alternating', 'storing')
{
	my $blocker;
	my $stored = sql(q{SELECT pg_total_relation_size('rlrec.chunk')});
	if ($moment eq 'storing')
	{
		learn_by('ease', l2 => 77);
		$blocker = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
				'BEGIN; LOCK TABLE rlrec.model IN SHARE MODE; SELECT pg_sleep(60)' ], '<', '/dev/null', '>', \my $out, '2>', \my $err);
		poll_until($node, 'postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE relation = 'rlrec.model'::regclass
			AND mode = 'ShareLock' AND granted});
	}
	$training = start_training();
	$pid = pid_in_phase($moment);
	if ($blocker)
	{
		poll_until($node, 'postgres', "SELECT count(*) > 0 FROM pg_locks WHERE pid = $pid AND NOT granted")
		  or die 'the training does not wait for the lock';
		cmp_ok(sql(q{SELECT pg_total_relation_size('rlrec.chunk')}), '>', $stored, 'chunks are written by now');
	}
	kill('KILL', $pid) == 1 or die "could not kill $pid";
	$training->{run}->finish;
	$blocker->finish if $blocker;
	poll_until($node, 'postgres', 'SELECT true') or die 'the cluster does not come back';
	isnt($training->{err}, '', "kill -9 in phase $moment: its session is lost");
	outlives("kill -9 in phase $moment");
}

# An immediate shutdown in the middle of one.
learn_by('als', iterations => 100);
$training = start_training();
pid_in_phase('alternating');
$node->stop('immediate');
$training->{run}->finish;
$node->start;
outlives('an immediate shutdown');

# Training works again, and what is committed survives a crash.
learn_by('itemknn');
is(sql(q{SELECT version, deployed FROM rlrec_train('shop')}), '2|t', 'training works again');
my $after = sql($state);
isnt($after, $before, 'the new version serves');
$node->stop('immediate');
$node->start;
is(sql($state), $after, 'a committed version survives an immediate shutdown');

$node->stop;
done_testing();
