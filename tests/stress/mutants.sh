#!/bin/sh
# Does the validator notice when the engine forgets to count? Builds the engine again with one line changed, and expects the accounting stress
# to fail. $1 compiler, $2 the project, $3 archives of the test support, the rest: which mutants (default all).
set -u
cc=$1 project=$2 recording=$3 validator=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
survivors=0 caught=0

# mutant NAME FILE SED-EXPRESSION
mutant() {
    rm -rf "$work/trace"
    mkdir "$work/trace"
    cp -rL "$project/trace/emit" "$project/trace/capture" "$project/trace/wire" "$project/trace/limits.h" "$project/trace/events.def" "$work/trace/"
    [ -z "$2" ] || sed -i "$3" "$work/trace/$2"
    if [ -n "$2" ] && cmp -s "$work/trace/$2" "$project/trace/$2"; then
        echo "$1: the line to change is not there any more"
        survivors=$((survivors + 1))
        return
    fi
    # shellcheck disable=SC2086 # the list of includes is meant to be split
    "$cc" -O2 -w -D_GNU_SOURCE -std=gnu17 -ftls-model=initial-exec -I"$project/include" -I"$work/trace" -I"$work/trace/emit" -I"$work/trace/capture" \
        -I"$work/trace/wire" -I"$project/tests/support" -o "$work/stress" "$project/tests/$program" -I"$project/tests/unit" "$work"/trace/emit/*.c \
        "$work"/trace/capture/*.c "$work/trace/wire/writer.c" "$recording" "$validator" -lcunit -lpthread || exit 2
    TTAP_STRESS_SECONDS=$seconds timeout 60 "$work/stress" >"$work/log" 2>&1
    status=$?
    if [ -z "$2" ]; then
        [ "$status" -eq 0 ] && { echo "unchanged: exact"; return; }
        cat "$work/log"
        echo "the engine fails without any change: nothing is shown by the mutants"
        exit 1
    fi
    if [ "$status" -eq 0 ]; then
        echo "$1: NOT NOTICED"
        survivors=$((survivors + 1))
    else
        echo "$1: $(grep -m 1 -E 'tile|capture|[0-9]\. ' "$work/log")"
        caught=$((caught + 1))
    fi
}

program=stress/stress_accounting.c
seconds=2
mutant unchanged "" ""
seconds=12
mutant lost_full_not_counted emit/chunks.c 's|ttap__store_release(&s->shared->lost_full, s->shared->lost_full + 1);|;|'
mutant sampled_out_not_counted emit/emit.h 's|    ttap__count_one(&.*sampled_out);|    ;|'
mutant lost_takes_no_numbers capture/drainer.c 's|    d->next_seq += count;|    ;|'
mutant full_counted_twice capture/drainer.c 's|d->lost_full = lost_before;|;|'
mutant delivered_not_counted capture/sub.c 's|        a->delivered += run->count;|        ;|'
mutant filtered_not_counted capture/sub.c 's|        a->filtered += run->filtered;|        ;|'
mutant loss_not_in_the_account capture/sub.c 's|        a->lost\[why\] += lost;|        ;|'
mutant queue_loss_not_in_the_account capture/sub.c 's|    a->lost\[TTAP__LOSS_QUEUE\] += lost;|    ;|'
mutant queue_loss_told_once capture/sub.c 's|    a->pending_lost += lost;|    a->pending_lost = lost;|'
mutant event_not_counted capture/packer.c 's|    p->run->count++;|    p->run->count += kind != TTAP__REGION_BEGIN;|'
mutant fact_not_filtered capture/packer.c '/static void pack_fact/,/^}/ s|p->run->filtered++;|;|'
mutant chunk_given_back_twice emit/chunks.c 's|if (!(published \& TTAP__PUB_HANDED_OVER))||'
# Second-level handlers are rare there; this test makes them happen and knows their number.
program=unit/emit/test_signals.c
mutant lost_nested_not_counted emit/emit.c 's|__atomic_fetch_add(&s->shared->lost_nested, 1, __ATOMIC_RELAXED);|(void)s;|'
mutant nested_takes_no_numbers capture/drainer.c 's|at->seq += nested + stalled;|at->seq += stalled;|'
mutant nested_counted_twice capture/drainer.c 's|    d->lost_nested = end.lost_nested;|    ;|'
echo "$caught noticed, $survivors not"
[ "$survivors" -eq 0 ]
