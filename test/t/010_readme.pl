# README.md's SQL blocks, run in order as they are printed, give what is printed under them.
use strict;
use warnings;

use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $readme = slurp_file("$top/README.md");

# Lines without the spaces that psql leaves at their ends, and without empty ones.
sub lines_of
{
	my ($text) = @_;
	return join("\n", grep { $_ ne '' } map { s/\s+$//r } split(/\n/, $text));
}

# [SQL, what is printed under it or undef]
my @blocks;
push @blocks, [ $1, $2 ] while $readme =~ /^```sql\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?/msg;
cmp_ok(scalar @blocks, '>', 1, 'README.md has SQL to run');
cmp_ok(scalar(grep { defined $_->[1] } @blocks), '>', 0, 'README.md shows what some of it prints');

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->start;

# One session, with a marker in front of each block's output.
my $script = join('', map { "\\echo -- block\n$_->[0]" } @blocks);
my ($stdout, $stderr);
my $ok = run_log([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$script, '>', \$stdout, '2>', \$stderr);
ok($ok, 'README.md runs without an error') or diag $stderr;

my (undef, @printed) = split(/^-- block\n/m, $stdout);
for my $n (0 .. $#blocks)
{
	my $expected = $blocks[$n][1];
	next if !defined $expected;

	# A block may print more before, such as the empty result of a void function.
	my $printed = lines_of($printed[$n] // '');
	$expected = lines_of($expected);
	is(substr($printed, -length($expected)), $expected, 'README.md, block ' . ($n + 1) . ' prints what it says')
	  or diag $printed;
}
$node->stop;

# The version is the control file's everywhere.
my ($version) = slurp_file("$top/rlrec.control") =~ /^default_version = '(.*)'/m;
my $meta = decode_json(slurp_file("$top/META.json"));
is($meta->{version}, $version, 'META.json has the version of rlrec.control');
is($meta->{provides}{rlrec}{version}, $version, 'and gives it to what it provides');
like(slurp_file("$top/CHANGELOG.md"), qr/^## \Q$version\E/m, 'CHANGELOG.md tells of it');

# Its links lead somewhere.
for my $page ('README.md', 'docs/README.md')
{
	my ($folder) = $page =~ m|^(.*/)?|;
	$folder //= '';
	my @dead = grep { !-e "$top/$folder$_" } slurp_file("$top/$page") =~ /\]\(([^)#:]+)(?:#[^)]*)?\)/g;
	is("@dead", '', "$page has no dead link");
}

# The index of the documentation leaves no page out.
my $index = slurp_file("$top/docs/README.md");
my @unlisted = grep { index($index, "]($_)") < 0 } map { s|.*/||r } grep { !m|/README\.md$| } glob("'$top/docs/*.md'");
is("@unlisted", '', 'docs/README.md lists every page');

done_testing();
