#!/bin/sh
# A seed is a whole history: two processes, at other addresses and another time of day, must make the same bytes of it.
# $1 sim, $2 how many seeds
set -u
one=$("$1" --digests "$2") || { echo "$one" | tail -3; exit 1; }
two=$("$1" --digests "$2") || exit 1
[ "$(echo "$one" | wc -l)" -eq "$2" ] || { echo "there are not $2 digests"; exit 1; }
if [ "$one" != "$two" ]; then
    echo "the digests differ:"
    printf '%s\n%s\n' "$one" "$two" | sort | uniq -u
    exit 1
fi
echo "$one" | tail -2
