# The extension comes and goes, with the library preloaded and without.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('smoke');
$node->init;
$node->start;

for my $preload ('', 'rlrec')
{
	my $how = $preload ? 'preloaded' : 'not preloaded';

	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'");
	$node->restart;
	is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), $preload, "restarts $how");

	my ($status, undef, $stderr) = $node->psql('postgres', 'CREATE EXTENSION rlrec');
	is($status, 0, "CREATE EXTENSION, $how") or diag $stderr;
	is($node->safe_psql('postgres', q(SELECT extversion FROM pg_extension WHERE extname = 'rlrec')),
		$node->safe_psql('postgres', q(SELECT default_version FROM pg_available_extensions WHERE name = 'rlrec')),
		"the control file's version, $how");

	$node->safe_psql('postgres', 'DROP EXTENSION rlrec');
	is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_namespace WHERE nspname = 'rlrec')),
		0, "DROP EXTENSION leaves no schema, $how");
	is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_proc WHERE proname LIKE 'rlrec%')),
		0, "DROP EXTENSION leaves no function, $how");
}

$node->stop;
done_testing();
