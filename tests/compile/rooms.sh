#!/bin/sh
# rooms.sh COMPILER DIR - which rooms can include which headers. DIR/ROOM holds a room's include path as CMake computed it.
#
# The first list must compile, so that the second one fails for the reason it is there for and not for a misspelt name.
set -eu
compiler=$1 dir=$2
bad=0

can_include() { # can_include ROOM HEADER
    flags=$(tr ';' '\n' <"$dir/$1" | sed '/^$/d; s/^/-I/' | tr '\n' ' ')
    # shellcheck disable=SC2086 # one flag a word; a source path with blanks is not supported by this check
    printf '#include "%s"\n' "$2" | "$compiler" -D_GNU_SOURCE $flags -E -x c -o /dev/null - 2>/dev/null
}

while read -r room header; do
    can_include "$room" "$header" || {
        echo "$room cannot include $header, and should"
        bad=1
    }
done <<'MAY'
capture emit.h
emit kinds.h
read kinds.h
formats convert.h
handlers capture.h
handlers convert.h
handlers server.h
handlers tracetap/tracetap.h
MAY

while read -r room header; do
    if can_include "$room" "$header"; then
        echo "$room can include $header, and must not"
        bad=1
    fi
done <<'MAY_NOT'
wire emit.h
wire capture.h
emit capture.h
emit convert.h
capture convert.h
capture server.h
read emit.h
read capture.h
model capture.h
model convert.h
formats capture.h
formats emit.h
formats server.h
server capture.h
server convert.h
server kinds.h
server tracetap/tracetap.h
MAY_NOT
exit $bad
