#!/usr/bin/env bash
# soak_stop.sh PROGRAM [CYCLES [LIMIT_MS]] - 1,000 stops of the whole endpoint with live clients, under whatever sanitizer PROGRAM
# (test_the_endpoint_stops_a_thousand_times_with_live_clients) was built with. By default the 2 s themselves are asserted;
# under ThreadSanitizer on a busy machine everything takes longer.
set -euo pipefail
program=$1 cycles=${2:-1000} limit_ms=${3:-2000}
fixed=()
if setarch -R true 2>/dev/null; then fixed=(setarch -R); fi # ThreadSanitizer cannot place its shadow under some kernels' randomisation
exec "${fixed[@]}" "$program" "$cycles" "$limit_ms"
