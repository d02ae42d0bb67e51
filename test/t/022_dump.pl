# pg_dump and restore: agents, versions, owners and rights arrive in another cluster and serve the same rows.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->start;
my $files = PostgreSQL::Test::Utils::tempdir();

# The OIDs of the new cluster differ from those of the old.
$new->safe_psql('postgres', join('; ', map { "CREATE TABLE t$_ ()" } 1 .. 5));

$old->safe_psql('postgres', q{
	CREATE ROLE owner LOGIN;
	CREATE ROLE analyst LOGIN;
	CREATE ROLE stranger LOGIN;
	CREATE DATABASE shop});
$old->safe_psql('shop', q{
	CREATE EXTENSION rlrec;
	CREATE SCHEMA "Shop" AUTHORIZATION owner;
	GRANT USAGE ON SCHEMA "Shop" TO analyst, stranger;
	SET ROLE owner;
	CREATE TABLE "Shop"."the events" AS
		SELECT abs(hashint4(i)) % 200 AS user_id, abs(hashint4(i + 1) % 40) * (abs(hashint4(i + 2)) % 10) AS item_id,
			timestamptz '2025-01-01' + i * interval '1 s' AS at
		FROM generate_series(1, 10000) i;
	CREATE INDEX ON "Shop"."the events" (user_id, at);
	GRANT SELECT ON "Shop"."the events" TO analyst, stranger;
	CREATE VIEW "Shop".shown AS SELECT DISTINCT item_id FROM "Shop"."the events" WHERE item_id > 4;
	SELECT rlrec_create_agent('My shop', events => '"Shop"."the events"', candidates => '"Shop".shown', learner => 'itemknn');
	SELECT rlrec_create_agent('lost', events => '"Shop"."the events"', learner => 'markov');
	SELECT FROM rlrec_train('lost');
	SELECT FROM rlrec_train('My shop');
	SELECT rlrec_alter_agent('My shop', learner => 'ease', options => '{"l2": 20, "versions": 3}');
	SELECT FROM rlrec_train('My shop');
	SELECT FROM rlrec_train('My shop');
	SELECT rlrec_deploy('My shop', 2);
	GRANT USAGE ON SEQUENCE rlrec."agent_My shop" TO analyst;
	DROP SEQUENCE rlrec.agent_lost;
	SELECT FROM rlrec_serve(1, 3, 'My shop');
	RESET ROLE;
	SET rlrec.decision_partition = 4;
	SELECT rlrec_trim_decisions('My shop');
	SELECT FROM generate_series(1, 5) u, LATERAL rlrec_serve(u, 3, 'My shop')});
is($old->safe_psql('shop', 'SELECT tableoid::regclass, count(*) FROM rlrec.decision GROUP BY 1 ORDER BY 1'),
	"rlrec.decision_rest|2\nrlrec.decision_2|4", 'there are decisions to dump, in partitions and in the rest');

my $rows = 'SELECT u, r.* FROM generate_series(1, 50) u, rlrec_recommend(u, 5) r';
my %state = (
	'recommendations of the owner' => "SET ROLE owner; $rows",
	'recommendations of the one granted to' => "SET ROLE analyst; $rows",
	'rlrec.agents' => q{SELECT a.* FROM (SELECT name, owner, learner, deployed, events, user_column, item_column, time_column,
		candidates, candidate_key, options, anchor FROM rlrec.agents) a},
	'rlrec.models' => 'SELECT * FROM rlrec.models ORDER BY agent, version',
	'decisions' => 'SELECT tableoid::regclass, id, user_id, slate, propensity FROM rlrec.decision ORDER BY id',
	'weights' => q{SELECT version, md5(rlrec_model_weights('My shop', version)::text) FROM rlrec.models ORDER BY 1},
	'rights' => q{SELECT relname, relowner::regrole, relacl FROM pg_class WHERE relnamespace = 'rlrec'::regnamespace
		AND relname <> 'progress' AND relname !~ '^decision_[0-9]' ORDER BY relname},
	'rights on partitions' => q{SELECT relname, relowner::regrole, coalesce(relacl, acldefault('r', relowner)) FROM pg_class
		WHERE relname ~ '^decision_[0-9]*$' ORDER BY relname},
	'comments' => q{SELECT obj_description('rlrec."agent_My shop"'::regclass)});
my %before = map { $_ => $old->safe_psql('shop', $state{$_}) } keys %state;
like($before{'rlrec.agents'}, qr/^My shop\|owner\|ease\|2\|"Shop"."the events"\|/, 'there is an agent to dump');

# A dump of the whole cluster, of the database as text, and of the database in the custom format.
command_ok([ 'pg_dumpall', '-p', $old->port, '-h', $old->host, '--globals-only', '--no-sync', '-f', "$files/globals.sql" ], 'pg_dumpall');
$new->command_ok([ 'psql', '-X', '-q', '-d', $new->connstr('postgres'), '-f', "$files/globals.sql" ], 'the roles are restored');
for my $format ('plain', 'custom')
{
	my $database = "shop_$format";
	$new->safe_psql('postgres', "CREATE DATABASE $database");
	command_ok([ 'pg_dump', '--format', $format, '--no-sync', '-d', $old->connstr('shop'), '-f', "$files/$format" ], "pg_dump, $format");
	command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $new->connstr($database), '-f', "$files/$format" ]
		: [ 'pg_restore', '--exit-on-error', '-d', $new->connstr($database), "$files/$format" ], "restore, $format");

	is($new->safe_psql($database, $state{$_}), $before{$_}, "$format: $_") for sort keys %state;
	my (undef, undef, $stderr) = $new->psql($database, "SET ROLE stranger; $rows");
	like($stderr, qr/there is no agent that you may use/, "$format: who had no right has none");

	# What is made from here on is new: no id is used twice.
	my $ids = 'SELECT (SELECT max(id) FROM rlrec.agent), (SELECT max(id) FROM rlrec.model), (SELECT max(id) FROM rlrec.chunk)';
	my @used = split /\|/, $new->safe_psql($database, $ids);
	is($new->safe_psql($database, q{SET ROLE owner; SELECT version, deployed FROM rlrec_train('My shop')}), '4|t',
		"$format: a further training gives a new version");
	$new->safe_psql($database, q{SET ROLE owner;
		SELECT rlrec_create_agent('lost', events => '"Shop"."the events"', learner => 'markov'); SELECT FROM rlrec_train('lost')});
	is($new->safe_psql($database, q{SET ROLE owner; SELECT DISTINCT decision_id FROM rlrec_serve(1, 3, 'My shop')}), 7, "$format: new ids of decisions");
	my @now = split /\|/, $new->safe_psql($database, $ids);
	cmp_ok($now[$_], '>', $used[$_], "$format: new ids of " . (qw(agents versions chunks))[$_]) for 0 .. 2;
	is($new->safe_psql($database, q{SET ROLE owner; SELECT rlrec_rollback('My shop')}), 2, "$format: the deployments are restored as well");
	is($new->safe_psql($database, "SET ROLE analyst; $rows"), $before{'recommendations of the one granted to'},
		"$format: rolled back, the same recommendations");
}

# An agent's anchor is its owner's, not the extension's: dropping the extension asks for CASCADE.
my (undef, undef, $stderr) = $new->psql('shop_plain', 'DROP EXTENSION rlrec');
like($stderr, qr/cannot drop extension rlrec because other objects depend on it.*sequence rlrec\."agent_My shop" depends on schema rlrec/s,
	'DROP EXTENSION is refused while there are agents');
$new->safe_psql('shop_plain', 'DROP EXTENSION rlrec CASCADE');
is($new->safe_psql('shop_plain', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'agent%'}), 0, 'CASCADE drops them');
is($new->safe_psql('shop_plain', 'SELECT count(*) FROM "Shop"."the events"'), 10000, 'the events stay');
$new->safe_psql('shop_custom', q{SELECT rlrec_drop_agent(name) FROM rlrec.agents; DROP EXTENSION rlrec});
pass('DROP EXTENSION is enough when all agents were dropped');

# Nobody can have put something in place of the extension's schema.
my $squatter = q{SET ROLE owner; CREATE SCHEMA rlrec; RESET ROLE; CREATE EXTENSION rlrec};
$new->safe_psql('postgres', 'GRANT CREATE ON DATABASE shop_plain TO owner');
(undef, undef, $stderr) = $new->psql('shop_plain', $squatter);
like($stderr, qr/schema "rlrec" already exists\nHINT:.*Drop or rename it/, 'CREATE EXTENSION trusts no schema that it finds');

$_->stop for $old, $new;
done_testing();
