# Commands of agents by a real pg_cron, which runs a training within the minute.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Poll;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($sharedir) = map { chomp; $_ } `pg_config --sharedir`;
plan skip_all => 'pg_cron is not packaged for this PostgreSQL here' unless -e "$sharedir/extension/pg_cron.control";

my $node = PostgreSQL::Test::Cluster->new('schedule');
$node->init;
$node->start;

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]) }

# What a statement says when it fails, its hint included.
sub error_of
{
	my ($statement, $role, $database) = @_;
	my ($status, $out, $error) = $node->psql($database // 'postgres', $statement, extra_params => [ '-U', $role // 'keeper' ]);

	return $error;
}
sub keeper { return $node->safe_psql('postgres', $_[0], extra_params => [ '-U', 'keeper' ]) }

my $make = q(
CREATE EXTENSION rlrec;
GRANT CREATE ON SCHEMA public TO PUBLIC;
SET ROLE keeper;
CREATE TABLE events (user_id int, item_id int, at timestamptz);
INSERT INTO events SELECT u, (u * 7 + e * e) % 20, timestamptz '2026-01-01' + e * interval '1 hour'
FROM generate_series(1, 30) u, generate_series(1, 10) e;
SELECT rlrec_create_agent('shop', 'events', learner => 'markov');
);
sql('CREATE ROLE keeper LOGIN; CREATE ROLE heir LOGIN; CREATE ROLE passer LOGIN; CREATE DATABASE other');
sql($make);
sql($make, 'other');
like(error_of("SELECT rlrec_schedule('shop', '* * * * *')"), qr/pg_cron is not loaded.*HINT: .*postgresql-\d+-cron.*shared_preload_libraries/s,
	'without pg_cron the hint says what to install');
is(keeper("SELECT rlrec_unschedule('shop')"), '0', 'and there is nothing to unschedule');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.use_background_workers = on\nmax_worker_processes = 12");
$node->restart;
like(error_of("SELECT rlrec_schedule('shop', '* * * * *')"), qr/extension "pg_cron" does not exist.*HINT: .*CREATE EXTENSION pg_cron/s,
	'the extension is missing');
sql('CREATE EXTENSION pg_cron');
like(error_of("SELECT rlrec_schedule('shop', '* * * * *')"), qr/permission denied for schema cron.*HINT: .*GRANT USAGE ON SCHEMA cron TO keeper/s,
	'the right to use it is missing');
sql('GRANT USAGE ON SCHEMA cron TO keeper, heir, passer');

# ---------------------------------------------------------------- a job, which runs while the rest is tested
my $job = keeper("SELECT rlrec_schedule('shop', '* * * * *')");
my $scheduled = time;
my $agent = sql("SELECT id FROM rlrec.agent WHERE name = 'shop'");
is(keeper('SELECT jobid, jobname, schedule, command, database, username, active FROM cron.job'),
	"$job|rlrec train $agent|* * * * *|SELECT * FROM public.rlrec_train('shop'::pg_catalog.text, 'always'::pg_catalog.text)|postgres|keeper|t",
	'a job is made in the name of the caller');
is(keeper("SELECT rlrec_schedule('shop', '* * * * *')"), $job, 'a second call keeps it');
is(sql("SELECT count(*) FROM cron.job"), '1', 'and makes no other');

# ---------------------------------------------------------------- another database
my $error = error_of("SELECT rlrec_schedule('shop', '0 3 * * *', 'train_if_better')", 'keeper', 'other');
like($error, qr/pg_cron keeps its jobs in database "postgres", not in "other"/, 'a database that is not that of pg_cron is told so');
my ($statement) = $error =~ /run (SELECT cron\.schedule_in_database\(.*\))\./;
sql($statement);
is(sql("SELECT database, username, schedule, command FROM cron.job WHERE database = 'other'"),
	"other|keeper|0 3 * * *|SELECT * FROM public.rlrec_train('shop'::pg_catalog.text, 'if_better'::pg_catalog.text)",
	'with the statement that schedules it from there');

# ---------------------------------------------------------------- what is refused
like(error_of("SELECT rlrec_schedule('shop', '* * * * *', 'DROP TABLE events')"),
	qr/unknown command "DROP TABLE events".*'train', 'train_if_better', 'process', 'maintain'/s, 'no statement but the commands');
like(error_of("SELECT rlrec_schedule('shop', 'at noon')"), qr/invalid schedule: at noon/, 'no schedule that is none');
like(error_of("SELECT rlrec_schedule('shop', NULL)"), qr/a schedule is needed/, 'nor NULL');
like(error_of("SELECT rlrec_schedule('sop', '* * * * *')"), qr/agent "sop" does not exist/, 'no agent that is none');
sql('GRANT USAGE ON SEQUENCE rlrec.agent_shop TO passer');
like(error_of("SELECT rlrec_schedule('shop', '* * * * *')", 'passer'), qr/must be owner of agent "shop"/, 'who may use an agent cannot schedule it');
like(error_of("SELECT rlrec_unschedule('shop')", 'passer'), qr/must be owner of agent "shop"/, 'nor unschedule it');
like(error_of("BEGIN READ ONLY; SELECT rlrec_schedule('shop', '* * * * *')"), qr/read-only transaction/, 'nor a transaction that only reads');

# ---------------------------------------------------------------- names, owners, removal
my $odd = q(a'b"c\\d; DROP TABLE events);
keeper("SELECT rlrec_create_agent(\$\$$odd\$\$, 'events', learner => 'popularity'); SELECT rlrec_schedule(\$\$$odd\$\$, '* * * * *')");
keeper("SELECT rlrec_schedule('shop', '0 4 * * *', 'process'), rlrec_schedule('shop', '0 5 * * *', 'maintain')");
is(keeper("SELECT rlrec_unschedule('shop', 'process'), rlrec_unschedule('shop', 'process')"), '1|0', 'one command is unscheduled');
like(error_of("SELECT rlrec_unschedule('shop', 'all')"), qr/unknown command "all"/, 'which must be one');

keeper("SELECT rlrec_create_agent('lent', 'events', learner => 'popularity'); SELECT rlrec_schedule('lent', '0 1 * * *')");
sql('GRANT SELECT ON events TO heir; ALTER SEQUENCE rlrec.agent_lent OWNER TO heir');
$node->safe_psql('postgres', "SELECT rlrec_schedule('lent', '0 2 * * *')", extra_params => [ '-U', 'heir' ]);
is(sql("SELECT username, schedule FROM cron.job WHERE command LIKE '%lent%'"), 'heir|0 2 * * *', 'a new owner takes the job over');
$node->safe_psql('postgres', "SELECT rlrec_drop_agent('lent')", extra_params => [ '-U', 'heir' ]);
is(sql("SELECT count(*) FROM cron.job WHERE command LIKE '%lent%'"), '0', 'dropping the agent drops it');

$node->safe_psql('postgres', q(CREATE TABLE mine AS SELECT * FROM events; SELECT rlrec_create_agent('gone', 'mine', learner => 'popularity');
	SELECT rlrec_schedule('gone', '0 1 * * *')), extra_params => [ '-U', 'heir' ]);
sql('DROP OWNED BY heir');
keeper("SELECT rlrec_create_agent('gone', 'events', learner => 'popularity')");
is(sql("SELECT count(*) FROM cron.job WHERE command LIKE '%gone%'"), '0', 'of an agent that DROP OWNED took nothing is left to its successor');

# ---------------------------------------------------------------- pg_cron has run it
poll_until($node, 'postgres',
	"SELECT count(DISTINCT jobid) = 2 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')") or die 'pg_cron ran nothing';
is(sql("SELECT a.name, j.username, bool_and(d.status = 'succeeded'), a.deployed IS NOT NULL FROM rlrec.agent a
	JOIN cron.job j ON j.jobname = 'rlrec train ' || a.id JOIN cron.job_run_details d USING (jobid)
	WHERE j.schedule = '* * * * *' AND d.end_time IS NOT NULL GROUP BY a.name, j.username, a.deployed ORDER BY a.name"),
	"$odd|keeper|t|t\nshop|keeper|t|t", 'pg_cron trained both agents');
note('after ' . (time - $scheduled) . ' s');
is(keeper("SELECT rlrec_unschedule('shop'), rlrec_unschedule(\$\$$odd\$\$)"), '2|1', 'all of them are unscheduled');
is(sql("SELECT count(*) FROM cron.job WHERE database = 'postgres'"), '0', 'and nothing is left');
is(keeper('SELECT count(*) FROM events'), '300', 'nor has anything else happened');

$node->stop;
done_testing();
