/* stacks.pml - the free list and the full list of chunks, access by access.
 *
 *   chunks_made --chunk_find()--> Emitter --list_push()--> full list --ttap__full_chunks_take()--> Drainer --list_push()--> free list
 *                                    ^------------------------------list_pop()------------------------------------------------+
 *
 * Each step is one load, store or compare-and-swap of a list's head or of a chunk's `next`. An emitter may hold two chunks at a time, as a
 * thread does with its two streams, so that heads come back to where they were while another emitter is between reading and swapping.
 *
 * Claims: who takes a chunk finds it free; who lists one had it; in the end each chunk is on one list, once.
 */
#define CHUNKS 3
#define EMITTERS 2
#ifndef ROUNDS
#define ROUNDS 3 /* chunks that each emitter takes */
#endif

#define NONE 0
#define FREE 0
#define FULL 9
#define DRAINER 10

typedef List { byte head, tag }; /* one word in the code */
List free_list, full_list;
byte next[CHUNKS + 1], holder[CHUNKS + 1];
byte made;
byte at_work = EMITTERS;

#ifdef MUTANT_no_tag
#define RAISE_TAG(list) skip
#else
#define RAISE_TAG(list) list.tag++
#endif

inline list_push(list, c, from, to)
{
    d_step { assert(holder[c] == from); old = list.head; old_tag = list.tag };
#ifdef MUTANT_next_is_set_once
    next[c] = old;
#endif
    do
    ::
#ifndef MUTANT_next_is_set_once
        next[c] = old;
#endif
        atomic {
            if
            :: list.head == old && list.tag == old_tag ->
                list.head = c; RAISE_TAG(list); holder[c] = to; old = 0; old_tag = 0;
                break
            :: else -> old = list.head; old_tag = list.tag
            fi
        }
    od;
    skip /* spin refuses a jump to the start of a d_step */
}

/* found: NONE when the list is empty. */
inline list_pop(list, by)
{
    d_step { old = list.head; old_tag = list.tag };
    do
    :: old == NONE -> found = NONE; break
    :: else ->
        after = next[old];
        atomic {
            if
#ifdef MUTANT_pop_does_not_compare
            :: true ->
#else
            :: list.head == old && list.tag == old_tag ->
#endif
                found = old; list.head = after; RAISE_TAG(list);
                assert(holder[found] == FREE);
                holder[found] = by;
                break
            :: else -> old = list.head; old_tag = list.tag
            fi
        }
    od;
    skip;
    d_step { old = 0; old_tag = 0; after = 0 }
}

/* chunk_find() */
inline chunk_find(by)
{
    list_pop(free_list, by);
    if
    :: found == NONE ->
        old = made;
        do
        :: old >= CHUNKS -> break
        :: else ->
#ifdef MUTANT_made_is_not_compared
            atomic { made = old + 1; found = made; assert(holder[found] == FREE); holder[found] = by; break }
#else
            atomic {
                if
                :: made == old -> made++; found = made; assert(holder[found] == FREE); holder[found] = by; break
                :: else -> old = made
                fi
            }
#endif
        od;
        old = 0
    :: else
    fi
}

proctype Emitter(byte me)
{
    byte held[2], rounds, found, old, old_tag, after;
    do
    :: rounds < ROUNDS && (held[0] == NONE || held[1] == NONE) ->
        rounds++;
        chunk_find(me);
        if
        :: held[0] == NONE -> held[0] = found
        :: else -> held[1] = found
        fi;
        found = 0
    :: held[0] != NONE -> list_push(full_list, held[0], me, FULL); d_step { held[0] = held[1]; held[1] = NONE }
    :: rounds == ROUNDS && held[0] == NONE -> break
    od;
    at_work--
}

/* drain_full_chunks(), with ttap__full_chunks_take() */
proctype Drainer()
{
    byte taken, oldest, at, after, old, old_tag;
end:
    do
    :: full_list.head != NONE ->
#ifdef MUTANT_taken_without_comparing
        taken = full_list.head;
        d_step { full_list.head = NONE; RAISE_TAG(full_list) };
#else
        d_step { taken = full_list.head; full_list.head = NONE; RAISE_TAG(full_list) };
#endif
        d_step {
            at = taken; taken = 0;
            do
            :: at != NONE ->
                assert(holder[at] == FULL);
                holder[at] = DRAINER;
                after = next[at]; next[at] = oldest; oldest = at; at = after
            :: else -> break
            od;
            after = 0
        };
        do
        :: oldest != NONE ->
#ifdef MUTANT_next_read_after_release
            list_push(free_list, oldest, DRAINER, FREE);
            oldest = next[oldest]
#else
            at = next[oldest];
            list_push(free_list, oldest, DRAINER, FREE);
            d_step { oldest = at; at = 0 }
#endif
        :: else -> break
        od
    od
}

proctype Judge()
{
    byte c, count;
    timeout;
    assert(at_work == 0 && full_list.head == NONE);
    c = free_list.head;
    do
    :: c != NONE -> assert(holder[c] == FREE && count < CHUNKS); count++; c = next[c]
    :: else -> break
    od;
    assert(count == made)
}

init
{
    atomic { run Emitter(1); run Emitter(2); run Drainer(); run Judge() }
}
