# A hot standby serves what the primary serves, learns of new versions by replication, and learns on its own once promoted.
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
		SELECT abs(hashint4(i)) % 200 AS user_id, 'i' || abs(hashint4(i + 1) % 40) * (abs(hashint4(i + 2)) % 10) AS item_id,
			timestamptz '2025-01-01' + i * interval '1 s' AS at
		FROM generate_series(1, 10000) i;
	CREATE INDEX ON events (user_id, at);
	SELECT rlrec_create_agent('shop', events => 'events', learner => 'itemknn');
	SELECT FROM rlrec_train('shop');
	SELECT rlrec_create_agent('film', events => 'events', learner => 'supervised', options => '{"epochs": 1, "dimension": 16, "length": 8}');
	SELECT FROM rlrec_train('film')});

$primary->backup('copy');
my %standby;
for my $preload ('', 'rlrec')
{
	my $node = $standby{$preload} = PostgreSQL::Test::Cluster->new($preload ? 'preloaded' : 'plain');
	$node->init_from_backup($primary, 'copy', has_streaming => 1);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'");
	$node->start;
}

# Everything that only reads. The seconds of an evaluation differ.
my %reads = (
	rlrec_recommend => 'SELECT u, r.* FROM generate_series(1, 50) u, rlrec_recommend(u, 5, \'shop\') r',
	rlrec_recommend_for_history => q{SELECT * FROM rlrec_recommend_for_history('{i4,i6}', 7, 'shop')},
	rlrec_recommend_all => q{SELECT * FROM rlrec_recommend_all('shop', 3)},
	rlrec_similar_items => q{SELECT * FROM rlrec_similar_items('i4', 5, 'shop')},
	rlrec_score => q{SELECT item_id, rlrec_score('shop', 7, item_id) FROM (SELECT DISTINCT item_id FROM events) i ORDER BY 2 DESC, 1},
	rlrec_evaluate => q{SELECT learner, users, "precision", ndcg, diversity FROM rlrec_evaluate('shop', learners => '{itemknn,markov}')},
	rlrec_encode => q{SELECT u, rlrec_encode('film', u) FROM generate_series(1, 20) u},
	rlrec_decode => q{SELECT * FROM rlrec_decode('film', rlrec_encode('film', 7), 5)},
	rlrec_model_weights => q{SELECT md5(rlrec_model_weights('shop')::text)},
	'rlrec.agents' => 'SELECT * FROM rlrec.agents',
	'rlrec.models' => 'SELECT * FROM rlrec.models',
	'rlrec.training_progress' => 'SELECT count(*) FROM rlrec.training_progress');

sub same_everywhere
{
	my ($when) = @_;
	for my $preload ('', 'rlrec')
	{
		$primary->wait_for_catchup($standby{$preload});
		for my $read (sort keys %reads)
		{
			my $rows = $primary->safe_psql('postgres', $reads{$read});
			isnt($rows, '', "$when: $read gives rows") if $preload eq '';
			is($standby{$preload}->safe_psql('postgres', $reads{$read}), $rows,
				"$when: $read on the standby, " . $standby{$preload}->name);
		}
	}
	return $primary->safe_psql('postgres', $reads{rlrec_recommend});
}

my $first = same_everywhere('version 1');

for my $write (q{rlrec_train('shop')}, q{rlrec_deploy('shop', 1)}, q{rlrec_rollback('shop')},
	q{rlrec_import_model('film', '{}')}, q{rlrec_alter_agent('shop')},
	q{rlrec_drop_agent('shop')}, q{rlrec_create_agent('other', events => 'events')})
{
	my ($function) = $write =~ /^(\w+)/;
	my (undef, undef, $stderr) = $standby{''}->psql('postgres', "SELECT $write");
	like($stderr, qr/cannot execute $function\(\) (during recovery|in a read-only transaction)/, "$function() on a standby is a clear error");
}

$primary->safe_psql('postgres', q{SELECT rlrec_alter_agent('shop', learner => 'ease'); SELECT FROM rlrec_train('shop')});
isnt(same_everywhere('version 2'), $first, 'the new version recommends otherwise');
$primary->safe_psql('postgres', q{SELECT rlrec_rollback('shop')});
is(same_everywhere('rolled back'), $first, 'rlrec_rollback() brings the first back');

$primary->stop;
$standby{rlrec}->promote;
is($standby{rlrec}->safe_psql('postgres', $reads{rlrec_recommend}), $first, 'a promoted standby serves the same');
is($standby{rlrec}->safe_psql('postgres', q{SELECT version, deployed FROM rlrec_train('shop')}), '3|t', 'and trains');
isnt($standby{rlrec}->safe_psql('postgres', $reads{rlrec_recommend}), $first, 'and serves what it trained');

$_->stop for values %standby;
done_testing();
