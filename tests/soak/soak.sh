#!/usr/bin/env bash
# soak.sh URL PID MINUTES - captures a running service over and over, the way good and bad clients do, and sees that nothing grows.
#
# A round: a whole capture whose account must be exact, two at once, one whose client leaves, one whose client is slow. The first
# quarter of the time is for warming up; from then on memory, descriptors and threads of the service must stay where they were.
# SOAK_TRACETAP: the command (default build/release/bin/tracetap).
set -euo pipefail
url=$1 pid=$2 minutes=$3
tracetap=${SOAK_TRACETAP:-build/release/bin/tracetap}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Allocators keep and fragment; what leaks per capture would pass this within minutes.
rss_slack_kib=8192

rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }
descriptors() { find "/proc/$pid/fd" -mindepth 1 | wc -l; }
threads() { awk '/^Threads/ { print $2 }' "/proc/$pid/status"; }

whole_capture() {
    "$tracetap" capture "$url" --seconds 1 -o "$scratch/$1" >/dev/null 2>&1
    "$tracetap" stat --json "$scratch/$1" >"$scratch/$1.json"
    [[ $(jq -r .identity "$scratch/$1.json") == exact ]] || {
        echo "the account of a capture is not exact:"
        cat "$scratch/$1.json"
        exit 1
    }
}

bad_clients() { # their curl ends with an error, as it should
    curl -s -o /dev/null --max-time 0.4 "$url/debug/trace?seconds=5" || true
    curl -s -o /dev/null --max-time 2 --limit-rate 50k "$url/debug/trace?seconds=1" || true
}

round() {
    whole_capture one
    whole_capture two &
    whole_capture three
    wait $!
    bad_clients
}

show() { printf '%5d s  %4d rounds  %7d KiB  %3d descriptors  %3d threads\n' "$SECONDS" "$rounds" "$(rss_kib)" "$(descriptors)" "$(threads)"; }

end_s=$(awk -v m="$minutes" 'BEGIN { printf "%d", m * 60 }')
rounds=0
while ((SECONDS < end_s / 4 || rounds < 2)); do
    round
    rounds=$((rounds + 1))
done
sleep 2 # buffers are given back a second after the last listener left
warm_rss=$(rss_kib) warm_descriptors=$(descriptors) warm_threads=$(threads)
show
while ((SECONDS < end_s)); do
    round
    rounds=$((rounds + 1))
    ((rounds % 10)) || show
done
sleep 2
show
if (($(rss_kib) > warm_rss + rss_slack_kib)); then
    echo "memory grew from $warm_rss KiB"
    exit 1
fi
# The example's own load opens and closes connections all the time: a few more are noise, one more a round is a leak.
if (($(descriptors) > warm_descriptors + 8 || $(threads) > warm_threads + 4)); then
    echo "descriptors or threads grew from $warm_descriptors and $warm_threads"
    exit 1
fi
echo "nothing grew"
