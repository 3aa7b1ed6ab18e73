#!/usr/bin/env bash
# From a save to the new version that serves, in `sandman dev`: tests/bench/save_to_live.sh SANDMAN LANG [TIMES]
#
# Makes a new guest in a folder of its own, waits until its event is handled, changes the handler and waits for the line that says
# that the next version serves. What is installed the first time is not counted. On a machine that is busy the CPU time says more than
# the clock: it is that of `sandman dev`, the build and the compiler together.
set -euo pipefail

sandman=$(realpath "$1")
lang=$2
times=${3:-3}
case $lang in
    rust) handler=src/lib.rs from='unwrap_or_default().times + 1' ;;
    ts) handler=src/handler.ts from='(state?.times ?? 0) + 1' ;;
    py) handler=handler.py from='else 0) + 1' ;;
    go) handler=handler.go from='state.Times + 1' ;;
    *) echo "LANG is rust, ts, py or go" >&2; exit 2 ;;
esac

folder=$(mktemp -d)
cd "$folder"
export SANDMAN_ADMIN__LISTEN=127.0.0.1:0 SANDMAN_HTTP__LISTEN=127.0.0.1:0
"$sandman" new shop --lang "$lang" >/dev/null
began=$(date +%s%N)
used=0
"$sandman" dev >log 2>errors &
dev=$!
trap 'kill -INT $dev 2>/dev/null; wait $dev 2>/dev/null; rm -rf "$folder"' EXIT

# CPU time so far, in ms: the process, and its children that have ended.
cpu() {
    awk -v tick="$(getconf CLK_TCK)" '{ print int(($14 + $15 + $16 + $17) * 1000 / tick) }' "/proc/$dev/stat"
}

# Waits for a line, and prints the time since `began`.
until_shown() {
    until grep -q -- "$1" log; do
        kill -0 $dev 2>/dev/null || { cat errors >&2; exit 1; }
        sleep 0.02
    done
    echo "$2: $(( ($(date +%s%N) - began) / 1000000 )) ms, $(( $(cpu) - used )) ms of CPU time, load average $(cut -d' ' -f1 /proc/loadavg)"
}

until_shown '"times":1' "$lang, first event, with what is installed"
for n in $(seq 1 "$times"); do
    to="${from% *} $(( n + 1 ))"
    content=$(cat "shop/$handler")
    [[ $content == *"$from"* ]] || { echo "$handler holds no $from" >&2; exit 1; }
    began=$(date +%s%N) used=$(cpu)
    printf '%s\n' "${content/"$from"/"$to"}" >"shop/$handler"
    until_shown "shop: version $(( n + 1 )) serves" "$lang, save to live"
    from=$to
done
