#!/usr/bin/env bash
# What csvtool costs: archives that the recorder makes here, as every kind of table, in turn, beside `zstd -dc | wc -l`.
#
#   bench/tables.sh [CONNECTIONS [SECONDS]]
#
# Takes root (for the recorder's network namespaces), zstd and GNU time. All it writes is in a directory below target,
# and removed. Output is a line for each run: wall and CPU seconds, peak memory, and text per second and core.
set -euo pipefail
cd "$(dirname "$0")/.."
connections=${1:-3000} seconds=${2:-25}
cargo build --release --locked -p collector -p csvtool -p bench 2>/dev/null
work=$(mktemp -d target/tables-XXXXXX)
trap 'rm -rf "$work"' EXIT
target/release/bench hold --connections "$connections" --rate 10 --rounds 1 --warm-up 2s --window "${seconds}s" \
    --disk "$work" --keep -- --max-cpu 100 >/dev/null 2>&1

tree=$(dirname "$(find "$work" -name '2[0-9][0-9][0-9]' -type d | head -1)")
find "$tree" -name '*.zst' -print0 | sort -z | xargs -0 zstd -dcq >"$work/all.jsonl"
zstd -q -3 "$work/all.jsonl" -o "$work/all.jsonl.zst"
bytes=$(stat -c %s "$work/all.jsonl")
rm "$work/all.jsonl"
echo "$(find "$tree" -name '*.zst' | wc -l) archives, $(du -sm "$tree" | cut -f1) MB, $bytes bytes of lines; $(uname -r), $(nproc) cores, $(date -I)"

timed() { # what, the command
    /usr/bin/time -o "$work/usage" -f "%e %U %S %M" "${@:2}" >/dev/null
    awk -v what="$1" -v bytes="$bytes" '{
        cpu = $2 + $3
        printf "%-28s %6.2f s %6.2f s CPU %6.1f MB %6.0f MB/s and core\n", what, $1, cpu, $4 / 1024, bytes / cpu / 1e6
    }' "$work/usage"
}

tool=target/release/csvtool
for round in 1 2 3; do
    echo "round $round"
    timed "zstd -dc | wc -l" sh -c "zstd -dc '$work/all.jsonl.zst' | wc -l"
    for jobs in 1 2; do
        timed "csv, tree, $jobs jobs" $tool -j $jobs "$tree"
        timed "summary, tree, $jobs jobs" $tool summary -j $jobs --format csv "$tree"
        timed "bq, tree, $jobs jobs" $tool -j $jobs --format bq "$tree"
        timed "parquet, tree, $jobs jobs" $tool -j $jobs --format parquet -o "$work/table.parquet" "$tree"
    done
    timed "csv, one file" $tool -j 1 "$work/all.jsonl.zst"
    timed "summary, one file" $tool summary -j 1 --format csv "$work/all.jsonl.zst"
    timed "bq, one file" $tool -j 1 --format bq "$work/all.jsonl.zst"
    timed "parquet, one file" $tool -j 1 --format parquet -o "$work/table.parquet" "$work/all.jsonl.zst"
    timed "final, tree" $tool -j 2 --final "$tree"
    timed "jsonl, tree, 2 jobs" $tool -j 2 --format jsonl "$tree"
done
