#!/bin/sh
# install.sh BUILD_DIR cmake|pkg-config|files - installs into a scratch prefix, moves the prefix (so nothing may name the place it
# was installed to), and builds and runs outside programs against it, or lists what must be there.
set -eu
build_dir=$1 way=$2
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/moved

cmake --install "$build_dir" --prefix "$scratch/prefix" >/dev/null
mv "$scratch/prefix" "$prefix"

run_annotate() { # run_annotate PROGRAM: what it recorded must be readable by the installed command
    "$1" "$scratch/capture"
    "$prefix/bin/tracetap" stat "$scratch/capture" >"$scratch/stat"
    echo "ok: ${1##*/}"
}

configure_and_build() {
    cmake -S "$here/cmake_project" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" -DSOURCES="$here" &&
        cmake --build "$scratch/build"
}

with_cmake() {
    configure_and_build >"$scratch/log" 2>&1 || {
        cat "$scratch/log"
        exit 1
    }
    for program in annotate_c annotate_cxx annotate_static; do
        run_annotate "$scratch/build/$program"
    done
    "$scratch/build/serve"
}

# What the README shows, with what it leaves to the reader: compiled as C and as C++, not run, for its port may be taken.
build_the_readmes_program() {
    {
        echo '#include <stdio.h>'
        echo 'struct request { int price; };'
        echo 'static void compute_price(struct request *r) { r->price++; }'
        awk '/^## Embed it/ { here = 1 } here && /^```$/ { exit } shown; here && /^```c$/ { shown = 1 }' "$prefix/share/doc/tracetap/README.md" |
            sed 's/^    \.\.\.$/    struct request r = {0}; handle(\&r); ttap_http_stop(http);/'
    } >"$scratch/readme.c"
    grep -q ttap_http_start "$scratch/readme.c"
    # shellcheck disable=SC2046,SC2086 # pkg-config prints several words, and so does the compiler's name
    for compiler in "cc -x c" "c++ -x c++"; do
        $compiler -Wall -Wextra -Werror "$scratch/readme.c" -x none $(pkg-config --cflags --libs tracetap-http) -o "$scratch/readme"
    done
}

with_pkg_config() {
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name tracetap.pc)")
    export PKG_CONFIG_PATH
    LD_LIBRARY_PATH=$(pkg-config --variable=libdir tracetap)
    export LD_LIBRARY_PATH
    # shellcheck disable=SC2046 # pkg-config prints several words
    {
        cc -o "$scratch/annotate_c" "$here/annotate.c" $(pkg-config --cflags --libs tracetap)
        c++ -x c++ -o "$scratch/annotate_cxx" "$here/annotate.c" $(pkg-config --cflags --libs tracetap)
        cc -o "$scratch/serve" "$here/serve.c" $(pkg-config --cflags --libs tracetap-http)
    }
    run_annotate "$scratch/annotate_c"
    run_annotate "$scratch/annotate_cxx"
    "$scratch/serve"
    build_the_readmes_program
    # Two releases cannot be mixed: the version of the package is the library's.
    pkg-config --exact-version="$("$prefix/bin/tracetap" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1)" tracetap
}

files() {
    cd "$prefix"
    for wanted in include/tracetap/tracetap.h include/tracetap/http.h bin/tracetap share/doc/tracetap/README.md \
        share/doc/tracetap/LICENSE; do
        test -f "$wanted" || {
            echo "not installed: $wanted"
            exit 1
        }
    done
    for wanted in libtracetap.so libtracetap.so.0 libtracetap.a libtracetap-http.so libtracetap-http.so.0; do
        find . -name "$wanted" | grep -q . || {
            echo "not installed: $wanted"
            exit 1
        }
    done
    grep -oE '\(docs/[^)#]+' share/doc/tracetap/README.md | tr -d '(' | while read -r linked; do
        test -f "share/doc/tracetap/$linked" || {
            echo "the README names it, and it is not installed: $linked"
            exit 1
        }
    done
    # Annotating a program must not bring a web server along.
    needed=$(readelf -d "$(find . -name libtracetap.so)" | awk '/NEEDED/ { print $NF }' | tr '\n' ' ')
    echo "libtracetap.so needs: $needed"
    case $needed in
    "[libc.so.6] ") ;;
    *) exit 1 ;;
    esac
}

case $way in
cmake) with_cmake ;;
pkg-config) with_pkg_config ;;
files) files ;;
esac
