#!/bin/sh
# disabled.sh COMPILER INCLUDE_DIR LIBRARY_DIR - a program with every kind of annotation, compiled with TTAP_DISABLE and linked with the library, makes the
# same system calls from main() to its end as one without either. getppid() marks where main() begins.
set -eu
compiler=$1 include_dir=$2 library_dir=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

skip() {
    echo "skipped: $1"
    exit 77
}
command -v strace >/dev/null || skip "strace is not installed"
strace -qq -o /dev/null true 2>/dev/null || skip "strace may not trace here"

cat >"$scratch/program.c" <<'END'
#include <unistd.h>
#ifdef ANNOTATED
#include "tracetap/tracetap.h"
static void work(int i)
{
    struct ttap_task task, before;
    TTAP_TASK_BEGIN(&task, "task", NULL);
    ttap_task_enter(&task, &before);
    {
        TTAP_REGION("region");
        TTAP_COUNTER("counter", i);
        TTAP_INSTANT("instant");
        TTAP_LOG("log", "text", 4);
    }
    ttap_task_leave(&before);
    ttap_task_end(&task);
    ttap_thread_name("named");
}
#else
static void work(int i)
{
    (void)i;
}
#endif
int main(void)
{
    getppid();
    for (int i = 0; i < 1000; i++)
        work(i);
    return 0;
}
END

calls() { # calls NAME COMPILER_OPTION...
    name=$1
    shift
    "$compiler" -O1 -I "$include_dir" "$scratch/program.c" -o "$scratch/$name" "$@"
    strace -f -qq -o "$scratch/$name.log" "$scratch/$name"
    sed -n '/getppid/,$p' "$scratch/$name.log" | sed -E 's/^[0-9]+ +//; s/\(.*//' >"$scratch/$name.calls"
}

calls plain
calls disabled -DANNOTATED -DTTAP_DISABLE -L "$library_dir" "-Wl,-rpath,$library_dir" -Wl,--no-as-needed -ltracetap -Wl,--as-needed
calls enabled -DANNOTATED -L "$library_dir" "-Wl,-rpath,$library_dir" -ltracetap
diff "$scratch/plain.calls" "$scratch/disabled.calls"
if diff -q "$scratch/plain.calls" "$scratch/enabled.calls" >/dev/null; then
    echo "nor does the enabled one make any: this shows nothing"
    exit 1
fi
echo "$(wc -l <"$scratch/disabled.calls") calls, the same; $(wc -l <"$scratch/enabled.calls") where annotations are compiled in"
