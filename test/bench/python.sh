# test/bench/python.sh: Python for the benchmarks whose environments others wrote in it; sourced after test/setup.sh
#
# PYTHON     the python to use, of 3.10 or more, with pip. Default python3

python=${PYTHON:-python3}

# python_packages NAME REQUIREMENT...: has pip put them into a directory of the cache, unless they are there, and Python look there
python_packages()
{
	export PYTHONPATH="$cache/python-$1"
	shift
	[ "$(cat "$PYTHONPATH/.requirements" 2>/dev/null)" != "$*" ] || return 0
	if ! "$python" -m pip --version >/dev/null 2>&1; then
		[ "$(id -u)" = 0 ] || die "$python has no pip; as root: apt-get install python3 python3-pip"
		step 'install pip' apt_install python3 python3-pip
	fi
	rm -rf "$PYTHONPATH"
	step "install $*" "$python" -m pip install -q --no-compile --target "$PYTHONPATH" "$@"
	echo "$*" >"$PYTHONPATH/.requirements"
}
