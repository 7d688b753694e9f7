#!/bin/sh
# What the emit objects need from outside: $1 nm, $2 ld, then the objects. Everything on the list is safe in a signal handler or is called
# only when a thread attaches; init.c, which does the little of pthreads there is, is not among the objects.
set -eu
nm=$1 ld=$2
shift 2
allowed="clock_gettime ttap__exit_hook_arm memcpy memset _GLOBAL_OFFSET_TABLE_"
joined=$(mktemp)
trap 'rm -f "$joined"' EXIT
"$ld" -r -o "$joined" "$@"
undefined=$("$nm" --undefined-only "$joined" | awk '{print $NF}' | sort -u)
count=0
for symbol in $undefined; do
    case $symbol in
    __asan_*|__tsan_*|__ubsan_*|__sanitizer_*|__gcov_*|__llvm_*) echo "skipped: instrumented objects need their runtime"; exit 77 ;;
    __aarch64_*) continue ;; # the compiler's atomics for processors with and without LSE: a few instructions, linked in
    esac
    count=$((count + 1))
    case " $allowed " in
    *" $symbol "*) echo "needs $symbol" ;;
    *) echo "not allowed: $symbol"; exit 1 ;;
    esac
done
[ "$count" -le 8 ] || { echo "$count symbols, 8 are allowed"; exit 1; }
