#!/bin/sh
# exports.sh LIBRARY MAP PUBLIC_HEADER [PRIVATE_HEADER] - the names a library exports, its version map and its headers agree.
#
# Public nodes of the map hold the TTAP_API names of the public header; a node with PRIVATE in its name holds the functions
# declared in the private header, and each name is exported under the node that lists it.
set -eu
library=$1 map=$2 public_header=$3 private_header=${4:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

awk '/^[A-Z].*{/ { node = $1 } /^ *ttap_[a-z_0-9]+;/ { sub(";", "", $1); print $1, node }' "$map" | sort >"$scratch/map"
# nm prints NAME@@NODE for a default version. Names of the nodes themselves are absolute symbols: left out.
nm -D --defined-only --with-symbol-versions "$library" | awk '$2 != "A" { split($3, part, "@+"); print part[1], part[2] }' |
    grep -v '^_\(init\|fini\|edata\|end\|_bss_start\) ' | sort >"$scratch/library"

declared() { # names of functions and variables declared with TTAP_API, one declaration a line after joining
    tr '\n' ' ' <"$1" | sed 's/;/;\n/g' | grep -E '(^|[^_A-Z])TTAP_API ' | grep -v '#define TTAP_API' |
        sed -E 's/.*TTAP_API //; s/__attribute__.*//; s/\(.*//; s/;.*//' | grep -oE 'ttap_[a-z_0-9]+ *$' | tr -d ' '
}
grep -v PRIVATE "$scratch/map" | cut -d' ' -f1 >"$scratch/map.public"
declared "$public_header" | sort -u >"$scratch/header.public"

differ() { # differ WHAT A B
    diff -u "$2" "$3" || {
        echo "$1"
        exit 1
    }
}
test -s "$scratch/library"
differ "left: the version map; right: what the library exports" "$scratch/map" "$scratch/library"
differ "left: the version map's public names; right: what the header declares" "$scratch/map.public" "$scratch/header.public"
if [ -n "$private_header" ]; then
    grep PRIVATE "$scratch/map" | cut -d' ' -f1 >"$scratch/map.private"
    sed 's,/\*.*\*/,,' "$private_header" | grep -E '^[a-z].*\bttap__[a-z_0-9]+\(' | grep -oE '\bttap__[a-z_0-9]+\(' |
        tr -d '(' | sort -u >"$scratch/header.private"
    differ "left: the map's private names; right: what the private header declares" "$scratch/map.private" "$scratch/header.private"
fi
