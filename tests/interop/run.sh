#!/bin/sh
# Runs the interoperability tests against real clients: tests/interop/run.sh PATH_TO_ESTUDELY
# Everything happens in a network namespace that has nothing but loopback.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
estudely=$(realpath "$1")
if ! python3 -c 'import libtorrent' 2>/dev/null; then
    echo "skipped: libtorrent for Python is not installed (pip install libtorrent)"
    exit 0
fi
if ! unshare -n true 2>/dev/null; then
    echo "skipped: no right to make a network namespace (unshare -n)"
    exit 0
fi
for test in crawl_real_clients serve_real_clients commands_real_clients serve_metadata sizes_scripted_peer pex_real_clients create \
    resume finding proxies matrix_real_clients transfer_real_clients; do
    echo "== $test"
    unshare -n sh -c "ip link set lo up && exec timeout 900 python3 -W ignore '$here/$test.py' '$estudely'"
done
