#!/usr/bin/env bash
# soak_simulation.sh SIM SECONDS [FIRST-SEED] - days that nobody has lived before, for as long as is asked, on all processors.
# SIM: build/<preset>/tests/sim. Without FIRST-SEED seeds begin at the time of day in seconds, a million apart for each processor.
set -euo pipefail
sim=$1 seconds=$2 first=${3:-$(date +%s)}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
jobs=$(nproc)
pids=()
for ((i = 0; i < jobs; i++)); do
    "$sim" --from "$((first + i * 1000000))" --seconds "$seconds" >"$scratch/$i" 2>&1 &
    pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
    wait "$pid" || failed=1
done
cat "$scratch"/*
((failed == 0)) && echo "nothing was found"
exit "$failed"
