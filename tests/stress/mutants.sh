#!/bin/sh
# Does anybody notice when the engine forgets to count? Finds each line of the engine that moves a counter of its books, builds the engine without
# it, and expects books.c, or else stress_captures.c, to fail. $1 compiler, $2 the project, $3.. archives of the test support.
set -u

# Lines that move a counter: lost, delivered, filtered, sampled_out, sequence numbers, and what was seen of them.
counting='^[[:space:]]+[^/*]*((lost|delivered|filtered|sampled_out|next_seq|->seq|rows|events|norecord)[a-z_]*(\[[A-Za-z_]+\])?(\+\+;| \+= [^;]*;)|run->count\+\+;|ttap__count_one\(&[^;]*;|fetch_add\(&[^;]*(lost|sampled)[^;]*;|ttap__store\(&[^,]*(lost|events|sampled)[^;]*;|d->(lost_full|lost_nested|sampled_out|next_seq|used) = [^;]*;|nested_marked = lost;|norecord_seen = count;)'
files='emit/emit.h emit/emit.c emit/chunks.c emit/threads.c capture/drainer.c capture/sub.c capture/packer.c'
# What neither program can bring about: accounts without memory (tests/unit/capture/test_start.c fails each allocation), sources (none are
# linked, they have tests of their own), the numbers of a slot that changed hands without an account to close; and sampled_before, which only
# says more closely between which events something was left out.
# Not shown here either: what is left out while a chunk fills up in the last tick, what merged threads had sampled out, and marks told twice.
elsewhere='merged\.(lost\[TTAP__LOSS_QUEUE\]|filtered) |from->count|lost_events|d->next_seq = 0;|sampled_before,|sampled_until|into->sampled_out|nested_marked|no memory for its account'

compile() { # compile INCLUDES FILES... into the current folder
    includes=$1
    shift
    # shellcheck disable=SC2086 # the list of includes is meant to be split
    "$cc" -O1 -w -D_GNU_SOURCE -std=gnu17 -ftls-model=initial-exec $includes -c "$@"
}

link() { # link PROGRAM-OBJECT OUT: with the objects of the current folder instead of those in base
    objects=
    for object in "$work"/base/*.o; do
        name=${object##*/}
        [ -f "$name" ] && object=$name
        objects="$objects $object"
    done
    # shellcheck disable=SC2086 # as above
    "$cc" -o "$2" "$1" $objects $archives -lpthread
}

one_mutant() { # FILE:LINE
    file=${1%:*} line=${1##*:}
    dir=$work/$(echo "$1" | tr '/:' '__')
    mkdir "$dir"
    cd "$dir" || exit 2
    cp "$project/trace/${file%/*}/"*.[ch] .
    sed -i "${line}s/[^[:space:]].*/;/" "${file##*/}"
    case $file in
    *.h) set -- ./*.c ;;
    *) set -- "${file##*/}" ;;
    esac
    compile "-I. $includes" "$@" || { echo "$file:$line does not build without its line"; exit 2; }
    what=$(sed -n "${line}s/^[[:space:]]*//p" "$project/trace/$file")
    link "$work/books.o" books && timeout 20 ./books >log 2>&1
    status=$?
    if [ "$status" -eq 0 ]; then
        link "$work/captures.o" captures && TTAP_STRESS_CAPTURES=400 timeout 60 ./captures >log 2>&1
        status=$?
    fi
    if [ "$status" -eq 0 ]; then
        echo "NOT NOTICED $file:$line: $what"
    else
        echo "noticed $file:$line: $what   -> $(grep -m 1 -E ': .*(, not |tile|captur|account|hole)|tile' log || echo "status $status")"
    fi
    cd "$work" && rm -rf "$dir"
}

if [ "$1" = --one ]; then
    cc=$2 project=$3 work=$4 archives=$5 includes=$6
    one_mutant "$7"
    exit 0
fi

cc=$1 project=$2
shift 2
archives=$*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trace=$project/trace
includes="-I$project/include -I$trace -I$trace/emit -I$trace/capture -I$trace/wire -I$trace/stacks -I$trace/elf -I$project/tests/support"
mkdir "$work/base"
cd "$work/base" || exit 2
compile "$includes" "$trace"/emit/*.c "$trace"/capture/*.c "$trace"/elf/*.c "$trace"/wire/writer.c || exit 2
cd "$work" || exit 2
compile "$includes" "$project/tests/stress/books.c" "$project/tests/stress/stress_captures.c" || exit 2
mv stress_captures.o captures.o
if ! { link books.o unchanged && ./unchanged >log 2>&1; }; then
    cat log
    echo "the books are wrong without any change: nothing is shown by the mutants"
    exit 1
fi
for file in $files; do
    grep -nE "$counting" "$trace/$file" | grep -vE "$elsewhere" | sed "s|^\([0-9]*\):.*|$file:\1|"
done >list
xargs -P "$(nproc)" -n 1 sh "$project/tests/stress/mutants.sh" --one "$cc" "$project" "$work" "$archives" "$includes" <list >result
sort result
noticed=$(grep -c '^noticed' result)
echo "$noticed of $(wc -l <list) noticed"
[ "$noticed" -eq "$(wc -l <list)" ] && [ "$noticed" -ge 50 ]
