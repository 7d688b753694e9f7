#!/usr/bin/env bash
# soak_captures.sh BUILD [CAPTURES] - captures that end in every way, each of them exact: ten times as many as a test run makes, in ten runs, each
# with another seed. What a run found it prints; the program itself is tests/stress/stress_captures.c.
set -euo pipefail
build=$1 captures=${2:-100000}
program=$build/tests/test_ten_thousand_captures_that_end_in_every_way_are_exact
runs=10
seed=${TTAP_STRESS_SEED:-$(date +%s)}
for ((run = 0; run < runs; run++)); do
    TTAP_STRESS_SEED=$((seed + run)) TTAP_STRESS_CAPTURES=$((captures / runs)) "$program" || {
        echo "seed $((seed + run)): not exact"
        exit 1
    }
done
echo "$((captures / runs * runs)) captures, all exact or right as far as they go"
