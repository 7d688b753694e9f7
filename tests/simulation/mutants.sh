#!/bin/sh
# Does the simulation find bugs? One line of the engine is changed in a copy, its file compiled again and linked with the other objects; some
# seed must fail. $1 compiler, $2 the project, $3 the validator's archive, the rest: the objects of the simulation.
set -u
cc=$1 project=$2 validator=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$project/tests/simulation
found=0 missed=0
# The rarest of these is found about once in 60 days; unchanged, they take 40 s.
seeds=600

# object FOLDER/FILE.c: compile it from the copy
object() {
    # shellcheck disable=SC2046 # one option a folder
    "$cc" -O1 -w -std=gnu17 -D_GNU_SOURCE -ftls-model=initial-exec -include "$here/shim.h" -I"$here" -I"$project/include" -I"$work/trace" \
        $(printf -- '-I%s ' "$work"/trace/*/) -c "$work/trace/$1" -o "$work/$(basename "$1").o" || exit 2
}

# mutant NAME FILE SED-EXPRESSION [FILES TO COMPILE]
mutant() {
    name=$1 file=$2 change=$3
    shift 3
    rm -rf "$work/trace" "$work"/*.o
    cp -rL "$project/trace" "$work/trace"
    sed -i "$change" "$work/trace/$file"
    if cmp -s "$work/trace/$file" "$project/trace/$file"; then
        echo "$name: the line to change is not there any more"
        missed=$((missed + 1))
        return
    fi
    changed=${*:-$file}
    for source in $changed; do
        object "$source"
    done
    rest=
    for o in $objects; do
        [ -e "$work/$(basename "$o")" ] || rest="$rest $o"
    done
    # shellcheck disable=SC2086 # lists
    "$cc" -o "$work/sim" $rest "$work"/*.o "$validator" -lpthread || exit 2
    if "$work/sim" --seeds $seeds >/dev/null 2>"$work/log"; then
        echo "$name: NOT FOUND"
        missed=$((missed + 1))
    else
        echo "$name: $(head -1 "$work/log" | cut -c 1-150)"
        found=$((found + 1))
    fi
}

objects=$*
mutant full_loss_not_counted emit/chunks.c 's|ttap__store_release(&shared->lost_full, shared->lost_full + 1);|;|'
mutant nested_loss_not_counted emit/emit.c 's|__atomic_fetch_add(&e->shared->lost_nested, 1, __ATOMIC_RELAXED);|;|'
mutant delivered_not_counted capture/sub.c 's|        a->delivered += run->count;|        ;|'
mutant queue_loss_forgotten capture/sub.c 's|    a->pending_lost += lost;|    a->pending_lost = lost;|'
mutant loss_takes_no_numbers capture/drainer.c 's|    d->next_seq += count;|    ;|'
mutant window_ends_early capture/drainer.c 's|now_ns >= sub->end_mono_ns)|now_ns + 1000000 >= sub->end_mono_ns)|'
mutant window_ends_late capture/drainer.c 's|return now_ns + wait_ns < end_ns ? now_ns + wait_ns : end_ns;|return now_ns + wait_ns;|'
mutant lease_ignored emit/chunks.c 's|    check_lease(arena, now_ticks);|    (void)check_lease;|'
mutant chunk_given_back_twice emit/chunks.c 's| \&\& !(published \& TTAP__PUB_HANDED_OVER))|)|'
mutant stop_wakes_nobody capture/sub.c '/^void ttap__sub_stop/,/^}/ s|    ttap__engine_poke();|    ;|'
mutant reader_not_told capture/sub.c 's|    if (!copied \&\& max)|    if (0)|'
mutant segment_stays_charged capture/queue.c '/^static void segment_free/,/^}/ s|__atomic_fetch_sub(&pool->used_bytes, TTAP__SEGMENT_BYTES, __ATOMIC_RELAXED);|;|'
mutant kept_freed_while_pinned capture/kept.c 's|--kept->pins == 0 \&\& kept->deleted;|(--kept->pins, kept->deleted);|'
mutant sampling_rate_off capture/packer.c 's|return !p->f->task \|\| ttap__keep_matches(p->view->keep, p->f->task_draw, p->f->task_root_kind);|return true;|'
mutant handlers_are_not_kept_apart emit/emit.c 's|if (!in_stream(e, 1))|if (!in_stream(e, 0))|'
echo "$found found, $missed not"
[ "$missed" -eq 0 ]
