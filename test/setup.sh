# test/setup.sh: what demo/run and test/run share; sourced, with $root the absolute path of the checkout.
#
# Everything that lasts goes to one cache directory, so that a second run starts in seconds; everything else to a temporary
# directory, $work, which is removed on exit together with every server that runs in it. The checkout is only read: it is
# built in a copy, and tests run in another one, as a user who may be root's postgres. Nothing asks a question.
#
# PG_CONFIG     the PostgreSQL to use; else the newest installed one of 15 and up with server headers; else the distribution's
# RLREC_CACHE   the cache directory

set -eu
umask 022
unset PGHOST PGPORT PGUSER PGDATABASE PGDATA PGSERVICE PGOPTIONS PGPASSWORD
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
PATH=$PATH:/usr/sbin:/sbin

if [ "$(id -u)" = 0 ]; then
	cache=${RLREC_CACHE:-/var/cache/rlrec}
else
	cache=${RLREC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rlrec}
fi
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
began=$(date +%s)
work=$(mktemp -d "${TMPDIR:-/tmp}/rlrec.XXXXXX")
chmod 755 "$work"
log=$work/log
child=

# The user that servers and tests run as, for PostgreSQL refuses root, and the words before a command that make it that user's. A
# variable, so that a command in the background is the process to kill.
user=$(id -un)
as_user=

# ---- what is shown

now() { echo $(($(date +%s) - began)); }

say() { printf '%4ds  %s\n' "$(now)" "$*"; }

die()
{
	say "$1" >&2
	exit 1
}

# busy PID LABEL [COMMAND]: waits for a process and shows that time passes, with what the command prints: on a terminal in a line
# that changes every second, elsewhere in a new line every $pace seconds.
busy()
{
	tenths=0
	if [ -t 1 ]; then every=10; else every=$((${pace:-10} * 10)); fi
	while kill -0 "$1" 2>/dev/null; do
		if [ $((tenths % every)) = $((every - 1)) ]; then
			state=$(${3:-:} 2>/dev/null || true)
			if [ -t 1 ]; then
				printf '\r%4ds  %.72s\033[K' "$(now)" "$2 ${state:-...}"
			else
				say "$2 ${state:-...}"
			fi
		fi
		tenths=$((tenths + 1))
		sleep 0.1
	done
	if [ -t 1 ]; then printf '\r\033[K'; fi
	wait "$1"
}

last_words() { tail -n 1 "$log" | tr -d '\r' | cut -c 1-60; }

# attempt LABEL COMMAND...: runs it with its output in $log
attempt()
{
	label=$1
	shift
	"$@" >"$log" 2>&1 </dev/null &
	child=$!
	status=0
	busy $child "$label:" last_words || status=$?
	child=
	return $status
}

# step LABEL COMMAND...: the same, and failure is the end
step()
{
	if ! attempt "$@"; then
		cat "$log" >&2
		die "could not $1"
	fi
	say "$1: done"
}

# ---- the end

# Servers first, whoever started them: a process that leaves a cluster in $work or in the demo's directory.
stop_servers()
{
	find "$@" -name postmaster.pid 2>/dev/null | while read -r file; do
		kill -INT "$(head -n 1 "$file" 2>/dev/null)" 2>/dev/null || continue
		waited=0
		while [ -e "$file" ] && [ $waited -lt 100 ]; do
			sleep 0.1
			waited=$((waited + 1))
		done
		if [ -e "$file" ]; then kill -QUIT "$(head -n 1 "$file" 2>/dev/null)" 2>/dev/null || true; fi
	done
}

# A script that fails before it sets concluded has the last word in its on_failure.
concluded=
finish()
{
	status=$?
	trap - EXIT INT TERM HUP
	if [ $status != 0 ] && [ -z "$concluded" ] && command -v on_failure >/dev/null; then on_failure; fi
	if [ -n "$child" ]; then
		kill "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	fi
	cd /
	stop_servers "$work" ${kept:+"$kept"}
	rm -rf "$work" || { sleep 1; rm -rf "$work"; } || true
	exit $status
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- packages

missing()
{
	for package; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
			installed) ;;
			*) printf ' %s' "$package" ;;
		esac
	done
}

apt_install()
{
	apt-get update -q -o Acquire::Retries=3 || return 1
	apt-get install -q -y --no-install-recommends -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--force-confold "$@"
}

find_postgres()
{
	if [ -n "${PG_CONFIG:-}" ]; then
		PG_CONFIG=$(command -v "$PG_CONFIG") || die "PG_CONFIG names no program"
		[ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ] || die "$PG_CONFIG has no server headers"
		return
	fi
	for candidate in $(ls -d /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | sort -t / -k 5 -n) $(command -v pg_config); do
		if [ -n "${PG_CONFIG:-}" ] && [ "$candidate" = "$(command -v pg_config)" ]; then break; fi
		major=$("$candidate" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
		if [ "$major" -ge 15 ] && [ -x "$("$candidate" --bindir)/initdb" ] &&
			[ -f "$("$candidate" --includedir-server)/postgres.h" ]; then
			PG_CONFIG=$candidate
		fi
	done
}

# setup_packages [tests]: installs what is missing and sets pg_config's answers
setup_packages()
{
	find_postgres
	want=$(missing make gcc libc6-dev)
	ldconfig -p | grep -q 'libopenblas\.so\.0' || want="$want libopenblas0-pthread"
	if [ -n "${PG_CONFIG:-}" ]; then
		major=$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
	else
		release_major() { apt-cache policy postgresql 2>/dev/null | sed -n 's/.*Candidate: \([0-9]*\).*/\1/p'; }
		major=$(release_major)
		if [ -z "$major" ] && [ "$(id -u)" = 0 ]; then
			step 'read the package lists' apt-get update -q -o Acquire::Retries=3
			major=$(release_major)
		fi
		[ -n "$major" ] || die 'there is no PostgreSQL here, and apt knows of none'
		want="$want postgresql-$major postgresql-server-dev-$major"
	fi
	if [ "${1:-}" = tests ]; then
		[ -n "${PG_CONFIG:-}" ] && [ -f "$("$PG_CONFIG" --sharedir)/extension/pgtap.control" ] ||
			want="$want postgresql-$major-pgtap"
		perl -MIPC::Run -e 1 2>/dev/null || want="$want libipc-run-perl"
		# Its tests are skipped where the distribution has none.
		if [ "$(id -u)" = 0 ] && apt-cache show "postgresql-$major-cron" >/dev/null 2>&1 &&
			! { [ -n "${PG_CONFIG:-}" ] && [ -f "$("$PG_CONFIG" --sharedir)/extension/pg_cron.control" ]; }; then
			want="$want$(missing "postgresql-$major-cron")"
		fi
	fi
	if [ -n "$want" ]; then
		[ "$(id -u)" = 0 ] || die "packages are missing; as root: apt-get install$want"
		# Debian would make and start a cluster of its own with a first PostgreSQL.
		own=/etc/postgresql-common/createcluster.d/rlrec.conf
		mkdir -p "${own%/*}"
		echo 'create_main_cluster = false' >"$own"
		say "to install:$want"
		step 'install packages' apt_install $want
		rm -f "$own"
		find_postgres
		[ -n "${PG_CONFIG:-}" ] || die 'there is still no PostgreSQL with server headers'
	fi
	export PG_CONFIG
	version=$("$PG_CONFIG" --version)
	bin=$("$PG_CONFIG" --bindir)
	if [ "$(id -u)" = 0 ]; then
		user=postgres
		id "$user" >/dev/null 2>&1 || user=nobody
		as_user="setpriv --reuid=$user --regid=$(id -gn "$user") --init-groups -- env HOME=$work"
	fi
	say "$version, $PG_CONFIG"
}

# A directory of that user's.
user_directory()
{
	mkdir -p "$1"
	if [ "$user" != "$(id -un)" ]; then chown "$user" "$1"; fi
}

# ---- the build

# copy_checkout FROM TO: the sources with their times, without what make made
copy_checkout()
{
	(cd "$1" && tar -cf - --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude='./rlrec--*' \
		--exclude=./results --exclude=./tmp_check .) | tar -C "$2" -xf - --no-same-owner
}

installed()
{
	cmp -s "$build/rlrec.so" "$("$PG_CONFIG" --pkglibdir)/rlrec.so" || return 1
	for file in "$build"/rlrec.control "$build"/rlrec--*.sql; do
		cmp -s "$file" "$("$PG_CONFIG" --sharedir)/extension/${file##*/}" || return 1
	done
}

# setup_build [WARNINGS]: builds in the cache what has changed and installs it. PostgreSQL's headers, which -Wextra does not spare, count
# as the system's.
setup_build()
{
	key=$major-$(printf '%s %s %s' "$root" "$PG_CONFIG" "${1:-}" | cksum | cut -d ' ' -f 1)
	build=$cache/build-$key
	mkdir -p "$build"
	exec 9>"$build.lock"
	flock 9
	stamp="$version $(cksum <"$root/Makefile")"
	if [ "$(cat "$build/.stamp" 2>/dev/null)" != "$stamp" ]; then rm -rf "$build"; fi
	mkdir -p "$build"
	find "$build" -type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' ! -name 'rlrec--*' -delete
	copy_checkout "$root" "$build"
	find "$build" -name '*.o' | while read -r object; do
		if [ ! -e "${object%.o}.c" ]; then rm -f "$object" "${object%.o}.bc" "$build/rlrec.so"; fi
	done
	echo "$stamp" >"$build/.stamp"
	step "build${1:+ with $1}" make -s -C "$build" -j "$(nproc)" \
		COPT="${1:+$1 -isystem $("$PG_CONFIG" --includedir-server)}"
	if ! installed; then step 'install the extension' make -C "$build" install; fi
	exec 9>&-
	rm -f "$build.lock"
}

# ---- the cluster

# cluster_make DIRECTORY: a new cluster that nobody can reach but through a socket in $work
cluster_make()
{
	user_directory "$1"
	cd "$1"
	step 'make a cluster' $as_user "$bin/initdb" -D "$1" -U postgres -A trust -E UTF8 --no-locale -N
	cat >>"$1/postgresql.conf" <<-END
		listen_addresses = ''
		fsync = off
		timezone = 'UTC'
		max_prepared_transactions = 10
	END
	shared_memory_settings >>"$1/postgresql.conf"
}

# A container's /dev/shm may be too small for parallel query and models.
shared_memory_settings()
{
	if [ "$(df -P -k /dev/shm 2>/dev/null | awk 'END {print $4 + 0}')" -lt 262144 ]; then
		echo 'dynamic_shared_memory_type = mmap'
	fi
}

# cluster_start DIRECTORY: sets host, the socket's directory
cluster_start()
{
	host=$work/socket
	user_directory "$host"
	cd "$host"
	step 'start the server' $as_user "$bin/pg_ctl" -D "$1" -w -l "$host/server.log" \
		-o "-c unix_socket_directories='$host'" start
}

psql() { "$bin/psql" -X -h "$host" -U postgres -v ON_ERROR_STOP=1 -P pager=off "$@"; }
