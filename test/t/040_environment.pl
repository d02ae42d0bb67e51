# Agents without events under several sessions at once, kill -9, dump and restore, and on a standby: every committed observation teaches once,
# and an aborted one nothing.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Poll;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('environment');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# With alpha 1, alpha_power 1 and no future a value is the mean of its rewards, so that value * visits is their sum.
sql(q{
	CREATE EXTENSION rlrec;
	SELECT rlrec_create_agent('mean', options => '{"actions": ["a", "b"], "alpha": 1, "alpha_power": 1, "gamma": 0}');
	SELECT rlrec_create_agent('vector', learner => 'dqn', options => '{"actions": ["a", "b"], "state_size": 1, "start": 20, "train_every": 10,
		"replay": 100000}')});

# ---------------------------------------------------------------- sessions at once
# Each transaction observes 5 times, one state each, in an order that is the same for all; every third is rolled back.
my $script = PostgreSQL::Test::Utils::tempdir . '/observe.sql';
append_to_file($script, q{\set n random(1, 3)
BEGIN;
SELECT rlrec_observe('mean', 's' || i, 'a', :client_id + 1, NULL, true) FROM generate_series(1, 5) i;
SELECT rlrec_observe('vector', ARRAY[i], 'b', :client_id + 1, NULL, true, episode => :client_id) FROM generate_series(1, 5) i;
\if :n = 3
ROLLBACK;
\else
INSERT INTO committed VALUES (:client_id + 1);
COMMIT;
\endif
});
# pgbench has no comparison in \if: the third is told by a variable
my $text = slurp_file($script);
$text =~ s/\\if :n = 3/\\set third case when :n = 3 then 1 else 0 end\n\\if :third/;
unlink $script;
append_to_file($script, $text);
sql('CREATE TABLE committed (client int)');
$node->command_ok([ 'pgbench', '-n', '-c', '6', '-j', '2', '-t', '40', '-f', $script, $node->connstr('postgres') ], 'six sessions observe');
my $expected = sql('SELECT 5 * count(*), 5 * sum(client) FROM committed');
is(sql(q{SELECT sum(visits), round(sum(q * visits)) FROM rlrec.qvalues WHERE agent = 'mean'}), $expected,
	'tabular: every committed observation once, aborted ones never');
is(sql(q{SELECT count(*), sum(reward) FROM rlrec.transition}), $expected, 'vectors: the same');
is(sql(q{SELECT count(*) = max(id) + 1, min(id) FROM rlrec.transition}), 't|0', 'numbered without a gap');
is(sql(q{SELECT string_agg(e.episodes::text, ' ' ORDER BY a.name) FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent}),
	join(' ', ((split /\|/, $expected)[0]) x 2), 'and every episode counted');
cmp_ok(sql(q{SELECT max(learned) FROM rlrec.environment}), '>', 100, 'vectors: learned meanwhile');

# A session that looks, between two that teach, sees what is committed.
my $looker = $node->background_psql('postgres') if $node->can('background_psql');
my $look = q{SELECT round(value::numeric, 5) FROM rlrec_values('vector', '{3}') WHERE action = 'b'};
SKIP:
{
	skip 'no background_psql in this PostgreSQL::Test', 1 unless $looker && $looker->can('query_safe');
	my $first = $looker->query_safe($look);
	sql(q{SELECT rlrec_observe('vector', '{3}', 'b', 50, NULL, true) FROM generate_series(1, 40)});
	my $second = $looker->query_safe($look);
	isnt($second, $first, 'a session takes up what another has learned');
	$looker->quit;
}

# Two sessions in turns learn to the bit what one learns alone, though each keeps networks and transitions of its own.
SKIP:
{
	skip 'no background_psql in this PostgreSQL::Test', 1 unless $node->can('background_psql');
	my @teachers = map { $node->background_psql('postgres') } 1 .. 2;
	skip 'no query_safe in this PostgreSQL::Test', 1 unless $teachers[0]->can('query_safe');
	my $meet = sub {
		my ($agent, $first, $last) = @_;
		return qq{SELECT count(rlrec_observe('$agent', ARRAY[i % 3], CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END, i % 5, ARRAY[i % 2], i % 7 = 0))
			FROM generate_series($first, $last) i};
	};
	sql(q{SELECT rlrec_create_agent(name, learner => 'dqn', options => '{"actions": ["a", "b"], "state_size": 1, "start": 20, "train_every": 10,
		"replay": 100, "prioritized": true}') FROM unnest('{alone,turns}'::text[]) name});
	sql($meet->('alone', 1, 400));
	for my $turn (0 .. 15)
	{
		$teachers[ $turn % 2 ]->query_safe($meet->('turns', $turn * 25 + 1, $turn * 25 + 25));
	}
	$_->quit for @teachers;
	is(sql(q{SELECT count(DISTINCT (md5(weights), learned, steps)) || ' ' || min(steps) FROM rlrec.environment e JOIN rlrec.agent a ON a.id = e.agent
		WHERE name IN ('alone', 'turns')}), '1 39', 'two sessions in turns learn what one learns');
	sql(q{SELECT rlrec_drop_agent(name) FROM unnest('{alone,turns}'::text[]) name});
}

# Under REPEATABLE READ a row that is newer than the snapshot is a serialization failure, and nothing is lost.
my ($rc, $out, $err) = $node->psql('postgres', q{
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT count(*) FROM committed;
	\! psql -XAtq -d "} . $node->connstr('postgres') . q{" -c "SELECT rlrec_observe('mean', 's1', 'a', 0, NULL, true)"
	SELECT rlrec_observe('mean', 's1', 'a', 0, NULL, true);
	COMMIT;});
like($err, qr/could not serialize access due to concurrent update/, 'REPEATABLE READ: a serialization failure');

# Dropping an agent waits for who teaches it, so that nothing of it is left.
sql(q{SELECT rlrec_create_agent('gone', options => '{"actions": ["a"]}')});
my $teacher = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{BEGIN;
	SELECT rlrec_observe('gone', 'only there', 'a', 1, NULL, true);
	SELECT pg_sleep(1) AS teaching;
	COMMIT} ], '<', '/dev/null', '>', '/dev/null');
poll_until($node, 'postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%AS teaching%' AND wait_event = 'PgSleep'});
sql(q{SELECT rlrec_drop_agent('gone')});
$teacher->finish;
is(sql(q{SELECT count(*) FROM rlrec.qtable WHERE state = 'only there'}), 0, 'an agent that is dropped while it is taught leaves nothing');

# ---------------------------------------------------------------- prepared transactions
my $known = q{SELECT sum(visits), (SELECT count(*) FROM rlrec.transition), (SELECT sum(episodes) FROM rlrec.environment) FROM rlrec.qvalues
	WHERE agent = 'mean'};
my ($visits, $transitions, $episodes) = split /\|/, sql($known);
my $observe = q{SELECT rlrec_observe('mean', 'p', 'a', 1, NULL, true), rlrec_observe('vector', '{5}', 'a', 1, NULL, true) FROM generate_series(1, 30)};
sql("BEGIN; $observe; PREPARE TRANSACTION 'one'");
is(sql($known), "$visits|$transitions|$episodes", 'prepared: nothing is learned yet');
sql("ROLLBACK PREPARED 'one'");
is(sql($known), "$visits|$transitions|$episodes", 'rolled back: nor then');
sql("BEGIN; $observe; PREPARE TRANSACTION 'two'");
sql("COMMIT PREPARED 'two'");
is(sql($known), join('|', $visits + 30, $transitions + 30, $episodes + 60), 'committed: all of it');

# ---------------------------------------------------------------- kill -9
my $state = q{SELECT md5(string_agg(q::text, ' ' ORDER BY q::text)) FROM rlrec.qtable q
	UNION ALL SELECT md5(string_agg(format('%s', e), ' ' ORDER BY agent)) FROM rlrec.environment e
	UNION ALL SELECT md5(string_agg(format('%s', t), ' ' ORDER BY agent, id)) FROM rlrec.transition t
	UNION ALL SELECT string_agg(format('%s', v), ' ') FROM rlrec_values('vector', '{2}') v};
my $before = sql($state);
my ($victim_out, $victim_err) = ('', '');
my $victim = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{BEGIN;
	SELECT rlrec_observe('mean', 's1', 'a', 100, NULL, true), rlrec_observe('vector', '{2}', 'a', 100, NULL, true) FROM generate_series(1, 50);
	SELECT pg_sleep(60)} ], '<', '/dev/null', '>', \$victim_out, '2>', \$victim_err);
ok(poll_until($node, 'postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND wait_event = 'PgSleep'}),
	'a session has observed');
$node->stop('immediate');
$victim->finish;
$node->start;
is(sql($state), $before, 'an immediate shutdown: what was not committed was never learned');

# ---------------------------------------------------------------- dump and restore
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore');
is($node->safe_psql('restored', $state), $before, 'a restored agent knows the same');
is($node->safe_psql('restored', q{SELECT rlrec_observe('vector', '{3}', 'b', 1, NULL, true) FROM generate_series(1, 20);
	SELECT count(*) = max(id) + 1 FROM rlrec.transition}) =~ /t$/ ? 1 : 0, 1, 'and goes on');

# ---------------------------------------------------------------- standby
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $state), $before, 'a standby knows the same');
is($standby->safe_psql('postgres', q{SELECT action IN ('a', 'b') FROM rlrec_act('mean', 's1')}), 't', 'and acts');
($rc, $out, $err) = $standby->psql('postgres', q{SELECT rlrec_observe('mean', 's1', 'a', 1, NULL, true)});
like($err, qr/cannot execute rlrec_observe\(\) during recovery|in a read-only transaction/, 'but does not learn');

done_testing();
