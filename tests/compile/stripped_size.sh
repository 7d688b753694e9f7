#!/bin/sh
# stripped_size.sh LIBRARY MAX_BYTES - the size that reaches users' machines.
set -eu
copy=$(mktemp)
trap 'rm -f "$copy"' EXIT
strip -o "$copy" "$1"
size_bytes=$(wc -c <"$copy")
echo "$size_bytes bytes stripped, at most $2"
[ "$size_bytes" -le "$2" ]
