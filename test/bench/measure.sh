# test/bench/measure.sh: what the benchmarks share; sourced after test/setup.sh

missed=0

# ---- measuring

# note KEY VALUE: one measurement; best and most KEY: the least and the greatest of them
note() { echo "$1 $2" >>"$work/measured"; }
best() { awk -v key="$1" '$1 == key && NF == 2 && (least == "" || $2 + 0 < least) {least = $2 + 0} END {print least}' "$work/measured"; }
most() { awk -v key="$1" '$1 == key && NF == 2 && (most == "" || $2 + 0 > most) {most = $2 + 0} END {print most}' "$work/measured"; }

# quantiles KEY: notes KEY.p50, KEY.p99 and KEY.max of the numbers in its input
quantiles()
{
	sort -n | awk -v key="$1" '{v[NR] = $1} END {
		print key ".p50", v[int((NR + 1) / 2)]; print key ".p99", v[int(NR * 0.99 + 0.99)]; print key ".max", v[NR]}' >>"$work/measured"
}

query() { psql -A -t -q -d bench "$@"; }

# run_clients KEY SCRIPT PROTOCOL USERS: latency of each of the script's transactions, one for each user, in ms
run_clients()
{
	"$bin/pgbench" -h "$host" -U postgres -n -c 1 -t "$4" -M "$3" -D i=0 -D users="$4" -f "$2" -l --log-prefix="$work/latency" bench
	awk '{print $3 / 1000}' "$work"/latency.* | quantiles "$1"
	rm -f "$work"/latency.*
}

# ---- the table

# row WHAT OURS UNIT PEER TARGET MET: MET is an awk condition on ours and ratio, PEER 0 for none
row()
{
	if [ -z "$2" ] || [ -z "$4" ]; then die "there is no measurement of: $1"; fi
	line=$(awk -v what="$1" -v ours="$2" -v unit="$3" -v peer="$4" -v target="$5" "BEGIN {
		ratio = peer ? ours / peer : 0
		met = \"\"
		if (\"$6\" != \"\") met = (${6:-0}) ? \"yes\" : \"NO\"
		printf \"| %s | %.3g %s | %s | %s | %s | %s |\", what, ours, unit, peer ? sprintf(\"%.3g %s\", peer, unit) : \"\",
			peer ? sprintf(\"%.3f\", ratio) : \"\", target, met
	}")
	print_row "$line"
}

# print_row LINE: a line of a table; one that ends in NO is a target missed
print_row()
{
	case $1 in *'| NO |') missed=$((missed + 1)) ;; esac
	echo "$1"
}

machine() { echo "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), $(nproc) cores, load $load before the start; $version"; }

conclude()
{
	concluded=yes
	if [ $missed != 0 ]; then
		say "$missed targets missed"
		exit 1
	fi
	say 'no target missed'
}

# ---- the server

# bench_start SETTINGS: builds, and starts a server with the database bench
bench_start()
{
	setup_build
	load=$(cut -d ' ' -f 1 /proc/loadavg)
	cluster_make "$work/data"
	echo "$1" >>"$work/data/postgresql.conf"
	cluster_start "$work/data"
	psql -q -d postgres -c 'CREATE DATABASE bench'
}
