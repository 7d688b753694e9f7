#!/bin/sh
# headers.sh COMPILER STANDARD INCLUDE_DIR - each public header alone, then every macro, with and without TTAP_DISABLE.
set -eu
compiler=$1 standard=$2 include_dir=$3
here=$(dirname "$0")

command -v "$compiler" >/dev/null || {
    echo "skipped: no $compiler"
    exit 77
}
case $standard in
c++*) language=c++ ;;
*) language=c ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

compile() { # compile NAME FLAGS...
    source=$1
    shift
    "$compiler" -x "$language" "-std=$standard" -O2 -Wall -Wextra -pedantic -Werror "$@" -I "$include_dir" \
        -c "$source" -o "$scratch/out.o"
}

for disable in "" -DTTAP_DISABLE; do
    for header in "$include_dir"/tracetap/*.h; do
        # Something must follow the header: an empty translation unit is itself a pedantic warning.
        printf '#include "%s"\nint not_empty;\n' "tracetap/${header##*/}" >"$scratch/alone.c"
        # shellcheck disable=SC2086 # empty means no flag
        compile "$scratch/alone.c" $disable
    done
    # shellcheck disable=SC2086
    compile "$here/every_macro.c" $disable
done
# Disabled means no call is left behind. The object from the last round was compiled with TTAP_DISABLE.
if nm -u "$scratch/out.o" | grep 'ttap__'; then
    echo "TTAP_DISABLE leaves these calls behind"
    exit 1
fi
