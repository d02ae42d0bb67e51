# Decisions where nothing can be written, after a promotion, and after a dump is restored.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION rlrec;
	CREATE TABLE events AS
		SELECT abs(hashint4(i)) % 200 AS user_id, 'i' || abs(hashint4(i + 1) % 40) AS item_id, timestamptz '2025-01-01' + i * interval '1 s' AS at
		FROM generate_series(1, 10000) i;
	CREATE INDEX ON events (user_id, at);
	SELECT rlrec_create_agent('shop', events => 'events', learner => 'itemknn', options => '{"explore": "softmax"}');
	SELECT FROM rlrec_train('shop');
	CREATE ROLE app;
	GRANT SELECT ON events TO app;
	GRANT USAGE ON SEQUENCE rlrec.agent_shop TO app;
	SET ROLE app;
	SELECT FROM generate_series(1, 20) u, rlrec_serve(u, 3)});
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

my $log = 'SELECT id, agent, version, user_id, role, served_at, seen, items, propensity, probability, shortlist, logits, policy FROM rlrec.decisions ORDER BY id';
my $decisions = $primary->safe_psql('postgres', $log);
is(scalar(split(/\n/, $decisions)), 20, 'decisions on the primary');
is($standby->safe_psql('postgres', $log), $decisions, 'are on the standby');

my $seeded = q{SELECT rank, item, propensity FROM rlrec_serve(7, 3, context => '{"seed": 5}')};
is($standby->safe_psql('postgres', $seeded), $primary->safe_psql('postgres', $seeded), 'a standby draws as the primary does');
my ($status, $rows, $notice) = $standby->psql('postgres', 'SELECT count(*), count(decision_id) FROM rlrec_serve(7, 3)');
is($rows, '3|0', 'without a decision_id');
like($notice, qr/NOTICE:  the decision of agent "shop" is not logged\nDETAIL:  Nothing can be written during recovery/, 'and says so');
(undef, undef, $notice) = $primary->psql('postgres', 'BEGIN READ ONLY; SELECT FROM rlrec_serve(7, 3)');
like($notice, qr/not logged\nDETAIL:  Nothing can be written in a read-only transaction/, 'so does a read-only transaction');
(undef, undef, $notice) = $standby->psql('postgres', q{SELECT rlrec_trim_decisions('shop')});
like($notice, qr/cannot execute rlrec_trim_decisions\(\) in a read-only transaction/, 'nothing is trimmed there');

# The role is dumped by its name, so that nobody inherits the decisions of somebody else.
my $last = $primary->safe_psql('postgres', 'SELECT max(id) FROM rlrec.decision');
$decisions = $primary->safe_psql('postgres', $log);
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init;
$restored->start;
$restored->safe_psql('postgres', 'CREATE ROLE first; CREATE ROLE second; CREATE ROLE app');
my $dump = $primary->backup_dir . '/dump';
$primary->command_ok(['pg_dump', '-f', $dump, $primary->connstr('postgres')], 'pg_dump');
$restored->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $restored->connstr('postgres')], 'restored');
is($restored->safe_psql('postgres', $log), $decisions, 'a restored cluster has the decisions');
is($restored->safe_psql('postgres', 'SET ROLE app; SELECT count(*) FROM rlrec.decisions'),
	$primary->safe_psql('postgres', 'SET ROLE app; SELECT count(*) FROM rlrec.decisions'), 'each of the role that served it');
is($restored->safe_psql('postgres', 'SELECT DISTINCT decision_id FROM rlrec_serve(7, 3)'), $last + 1, 'and goes on counting');

$primary->stop;
$standby->promote;
cmp_ok($standby->safe_psql('postgres', 'SELECT DISTINCT decision_id FROM rlrec_serve(7, 3)'), '>', $last, 'a promoted standby logs');

$_->stop for $standby, $restored;
done_testing();
