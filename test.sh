#!/usr/bin/env bash
# Runs all tests. Installs what they need and the machine lacks, where that is possible.
#
# The tests of the daemon make network namespaces of their own and remove them; that needs root. Without it they are
# skipped, and say so.
set -euo pipefail
cd "$(dirname "$0")"

# command=Debian package
needed=(cc=gcc ip=iproute2 ss=iproute2 zstd=zstd mount=mount setpriv=util-linux taskset=util-linux sysctl=procps python3=python3 strace=strace nft=nftables tcpdump=tcpdump tshark=tshark)
missing=()
for pair in "${needed[@]}"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
done
if ((${#missing[@]})); then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "not installed here: ${missing[*]}; tests that need them are skipped or fail" >&2
    fi
fi

# Prometheus and promtool check what is told to them. The package would start a server on this machine: it is only unpacked.
tools=$PWD/target/tools
export PATH=$PATH:$tools/usr/bin
if ! command -v promtool >/dev/null && command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
    mkdir -p "$tools"
    [[ $(id -u) != 0 ]] || apt-get update -qq || true
    (cd "$tools" && apt-get download -qq prometheus && dpkg -x prometheus_*.deb .) ||
        echo "prometheus cannot be had here; tests that need it are skipped" >&2
fi

# Other readers check the tables. They are for these tests alone: nothing is installed for all of the machine.
modules=$PWD/target/tools/python
export PYTHONPATH=$modules${PYTHONPATH:+:$PYTHONPATH}
if ! python3 -c "import pyarrow, duckdb, jsonschema" 2>/dev/null; then
    python3 -m pip install --quiet --target "$modules" pyarrow duckdb jsonschema 2>/dev/null ||
        echo "pyarrow, duckdb and jsonschema cannot be had here; tests that need them are skipped" >&2
fi

exec cargo test --workspace --locked "$@"
