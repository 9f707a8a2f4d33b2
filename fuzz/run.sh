#!/bin/sh
# Runs fuzz targets, each for some seconds, as many at a time as there are cores:
#
#     fuzz/run.sh [SECONDS [TARGET...]]       10 s when none are given; all targets when none is named
#
# One line for each target. Exit status 1 if an input crashed one, took 25 s or made it use 2 GiB: that input is left in
# fuzz/artifacts/TARGET/, and fuzz/corpus/TARGET/ holds what was found on the way. `cargo fuzz` looks in the same places.
# The stable toolchain and a C++ compiler are enough: libFuzzer comes with its crate, coverage from rustc.
set -eu
cd "$(dirname "$0")"

# run.sh --one FOLDER SECONDS TARGET: what xargs calls below.
if [ "${1-}" = --one ]; then
    built=$2 seconds=$3 target=$4
    artifacts=artifacts/$target
    mkdir -p "corpus/$target" "$artifacts"
    # The first folder is written to, the others are only read.
    set -- "corpus/$target"
    if [ -d "seeds/$target" ]; then set -- "$@" "seeds/$target"; fi
    if [ "$target" = torrent ]; then set -- "$@" ../wire/tests/fixtures; fi
    begun=$(date +%s)
    if "$built/$target" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -max_len=65536 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="$artifacts/" "$@" >"$artifacts/log" 2>&1; then
        inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$artifacts/log")
        echo "fuzz $target: $inputs inputs in $(($(date +%s) - begun)) s, clean"
        exit 0
    fi
    {
        tail -n 80 "$artifacts/log"
        echo "fuzz $target: FAILED. The input is in fuzz/$artifacts/; to run it again:"
        echo "    $built/$target $(sed -n 's/.*Test unit written to /fuzz\//p' "$artifacts/log")"
    } >&2
    exit 1
fi

seconds=${1:-10}
case $seconds in
'' | *[!0-9]*)
    echo "usage: fuzz/run.sh [SECONDS [TARGET...]]" >&2
    exit 2
    ;;
esac
if [ $# -gt 0 ]; then shift; fi
if [ $# -eq 0 ]; then
    for file in fuzz_targets/*.rs; do set -- "$@" "$(basename "$file" .rs)"; done
fi
for target; do
    if [ ! -f "fuzz_targets/$target.rs" ]; then
        echo "no fuzz target $target in fuzz/fuzz_targets" >&2
        exit 2
    fi
done
if ! command -v "${CXX:-c++}" >/dev/null; then
    echo "fuzz: no C++ compiler (${CXX:-c++}), which libFuzzer is built with" >&2
    exit 2
fi

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
# Named though it is the host's own: without it the flags would go to build scripts, too.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --quiet --target "$host"
built=${CARGO_TARGET_DIR:-$PWD/target}/$host/release
# xargs goes on after a failure, and then fails.
if ! printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 ./run.sh --one "$built" "$seconds"; then
    echo "fuzz: at least one target FAILED" >&2
    exit 1
fi
