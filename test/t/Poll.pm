# poll_until(NODE, DATABASE, QUERY): runs the query until it prints t; false after PG_TEST_TIMEOUT_DEFAULT seconds.
#
# PostgreSQL::Test's poll_query_until() feeds psql by a pipe, and a write to one that could not connect ends the test: where a server comes back
# after a crash that happens.
package Poll;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'sleep';

our @EXPORT = ('poll_until');

sub poll_until
{
	my ($node, $database, $query) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	my ($stdout, $stderr);

	while (time < $end)
	{
		IPC::Run::run([ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr($database), '-c', $query ], '<', '/dev/null', '>', \$stdout, '2>', \$stderr);
		chomp $stdout;
		return 1 if $stdout eq 't' && $stderr eq '';
		sleep 0.1;
	}
	diag("timed out: $query\nstdout: $stdout\nstderr: $stderr");
	return 0;
}

1;
