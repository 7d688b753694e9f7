/* engine.pml - one emitting thread with its two streams, the signal handlers that interrupt it, and the drainer.
 *
 *   Thread <- interrupted by - Handler <- interrupted by - SecondHandler           one processor with a store buffer
 *       |                                                          shared: gate, busy, published, lost_full, free and full list
 *   Drainer: (give memory back) -> start_session -> ticks -> close_gate -> drain -> count_late -> end_session -> again
 *
 * Each step of a process is one access to a shared word, with the private work around it. What cannot be told apart from outside is one
 * step: a chunk's cells are read at once, since what is published does not change; if it did, the writer's own assertion fails.
 * Ghosts, which the code does not have: who holds each chunk; the true number of each event; and in a cell, which event it is.
 *
 * Claims
 *   - a cell is written only into a chunk that the writing stream holds; a chunk has one holder and no chunk is forgotten;
 *   - the drainer's numbers are the true ones: each event is delivered once, in order, or counted lost once; the one a preempted emitter
 *     was in the middle of is counted late;
 *   - only a second handler inside a first one's event loses for being nested;
 *   - the lease of one session does not close the gate of the next;
 *   - stop comes to its end whatever the thread does (model checked with a thread that may stop for ever anywhere);
 *   - with WINDOWS: no call is refused behind an event that a window delivers and before that window's end, as nobody would count it.
 */
#ifndef EVENTS
#define EVENTS 3       /* of the thread's normal course */
#endif
#ifndef SIGNALS
#define SIGNALS 0      /* first handlers, each with one event */
#endif
#ifndef SECOND_SIGNALS
#define SECOND_SIGNALS 0 /* handlers inside handlers */
#endif
#ifndef SESSIONS
#define SESSIONS 2
#endif
#ifndef TICKS
#define TICKS 1        /* drains in a session before its last */
#endif
#ifndef CHUNKS
#define CHUNKS 2
#endif
#ifndef CELLS
#define CELLS 2        /* a chunk's; an event is one cell */
#endif
#ifndef LIGHT
#define LIGHT 1        /* the fast path of emit.h may be used */
#endif
#ifndef CHANGES
#define CHANGES 0      /* how often a second listener comes within a session: a new epoch, the same session */
#endif
/* WINDOWS: so many windows one after the other in each session, of a listener that wants the thread's events, beside one that does not. And the
 * thread calls while the gate is closed, too. */

#define NONE 0
/* Who holds a chunk. */
#define FREE 0
#define OF(s) (1 + (s))
#define FULL 3
#define DRAINER 4

typedef Chunk {
    byte holder;       /* ghost */
    byte session, level, serial, lost_before, used;
    byte cell[CELLS]   /* session * 32 + number of the event */
};
Chunk chunk[CHUNKS + 1]; /* by index + 1, as in the code */
chan full_list = [CHUNKS] of {byte};
chan taken = [CHUNKS] of {byte};

/* ttap_gate: one word, read and written at once. */
byte gate_epoch;
bool gate_open;
byte session;

/* struct ttap__slot_stream. `published` is one word of four fields. */
bool busy[2];
bool buffered;         /* busy[0] = 1 is still in the store buffer of the thread's processor */
byte pub_chunk[2], pub_serial[2], pub_used[2];
bool pub_handed[2];
byte dirty[2];
byte lost_full[2], lost_nested;

/* struct ttap__stream and ttap__record: the thread's own. at: the chunk that has room, or NONE (s->end is NULL). */
byte at[2], at_used[2], own_serial[2], own_session[2], own_epoch[2];
byte fast_epoch;
bool fast;
byte events[2];        /* ghost: begun in own_session */

/* struct ttap__slot_drained */
byte d_serial[2], d_used[2], d_lost[2], d_next[2];
byte d_nested;

byte running;          /* which Thread(level) the processor is in */
byte signals = SIGNALS, second_signals = SECOND_SIGNALS;
bool frozen, stopped;
byte late_of[2];
#ifdef WINDOWS
/* Ghosts. hole: of which event of its session the thread has made a call behind it that was refused; later: the same, since the gate was closed
 * to the window that is about to end. */
bool begun, closing;
byte hole, later;
#endif
#ifdef LEASE
byte expired = LEASE;  /* how often an emitter may find that the drainer has not ticked for too long */
#endif

#define NUMBER(session, event) ((session) * 32 + (event))
#define BUSY0_SEEN_BY_THREAD (buffered || busy[0])

/* A store of the thread: what is in its buffer goes first. */
inline flush()
{
    if
    :: buffered -> busy[0] = 1; buffered = 0
    :: else
    fi
}

inline release_chunk(c, from)
{
    assert(chunk[c].holder == from);
    chunk[c].holder = FREE
}

/* ---- The thread ---- */

/* ttap__refresh() */
inline refresh()
{
    if
    :: own_session[s] != session ->
#ifndef MUTANT_refresh_keeps_the_chunk
        d_step { left = pub_chunk[s]; left_handed = pub_handed[s] };
        if
        :: left != NONE ->
            d_step { pub_chunk[s] = NONE; pub_serial[s] = 0; pub_used[s] = 0; pub_handed[s] = 0 };
            if
            :: !left_handed -> d_step { release_chunk(left, OF(s)); left = 0 }
            :: else -> d_step { left = 0; left_handed = 0 }
            fi
        :: else
        fi;
        d_step { at[s] = NONE; at_used[s] = 0; own_serial[s] = 0 };
#endif
        d_step {
            own_session[s] = session;
            events[s] = 0;
#ifdef MUTANT_dirty_is_a_flag
            dirty[s] = 1
#else
            dirty[s] = session
#endif
        }
    :: else
    fi;
    d_step {
        own_epoch[s] = epoch;
        if
        :: s == 0 -> fast_epoch = epoch; fast = LIGHT
        :: else
        fi
    }
}

/* check_lease() */
inline check_lease()
{
#ifdef LEASE
#ifndef MUTANT_lease_looks_at_the_gate_last
    d_step { lease_epoch = gate_epoch; lease_open = gate_open };
#endif
    if
    :: expired > 0 ->
        d_step { expired--; age_of = session };
#ifdef MUTANT_lease_looks_at_the_gate_last
        d_step { lease_epoch = gate_epoch; lease_open = gate_open };
#endif
        d_step {
            if
#ifdef MUTANT_lease_closes_without_comparing
            :: lease_open ->
#else
            :: lease_open && gate_open && gate_epoch == lease_epoch ->
#endif
                assert(age_of == session); /* not a later session, whose drainer does tick */
                gate_epoch = lease_epoch + 1;
                gate_open = 0
            :: else
            fi;
            lease_epoch = 0; lease_open = 0; age_of = 0
        }
    :: d_step { lease_epoch = 0; lease_open = 0 }
    fi
#else
    skip
#endif
}

/* hand_over() */
inline hand_over()
{
    d_step { flush(); chunk[at[s]].used = at_used[s] };
#ifdef MUTANT_list_has_it_before_the_flag
    d_step { assert(chunk[at[s]].holder == OF(s)); chunk[at[s]].holder = FULL; full_list!at[s] };
    d_step { pub_handed[s] = 1; at[s] = NONE; at_used[s] = 0 }
#else
#ifndef MUTANT_no_handed_over_flag
    pub_handed[s] = 1;
#endif
    d_step { assert(chunk[at[s]].holder == OF(s)); chunk[at[s]].holder = FULL; full_list!at[s]; at[s] = NONE; at_used[s] = 0 }
#endif
}

/* ttap__take_chunk(). found is NONE when there was none. */
inline take_chunk()
{
    check_lease();
    if
    :: at[s] != NONE -> hand_over()
    :: else
    fi;
    atomic {
        if
        :: chunk[1].holder == FREE -> found = 1
        :: CHUNKS >= 2 && chunk[2].holder == FREE -> found = 2
        :: CHUNKS >= 3 && chunk[CHUNKS].holder == FREE -> found = CHUNKS
        :: else -> found = NONE
        fi;
        if
        :: found != NONE -> chunk[found].holder = OF(s)
        :: else
        fi
    };
    if
    :: found == NONE ->
#ifndef MUTANT_full_is_not_counted
        lost_full[s]++
#else
        skip
#endif
    :: else ->
        d_step {
            own_serial[s]++;
            chunk[found].level = s; chunk[found].serial = own_serial[s]; chunk[found].used = 0;
            chunk[found].session = own_session[s]; chunk[found].lost_before = lost_full[s]
        };
        d_step {
            at[s] = found; at_used[s] = 0;
            pub_chunk[s] = found; pub_serial[s] = own_serial[s]; pub_used[s] = 0; pub_handed[s] = 0
        }
    fi
}

/* ttap__emission_publish(), ttap__fast_publish() */
inline write_and_publish()
{
#ifdef MUTANT_published_before_the_cell
    d_step { flush(); pub_used[s] = at_used[s] + 1 };
#endif
    d_step {
        flush();
        assert(chunk[at[s]].holder == OF(s));
        chunk[at[s]].cell[at_used[s]] = NUMBER(own_session[s], events[s]);
        at_used[s]++
    };
#ifndef MUTANT_published_before_the_cell
    pub_used[s] = at_used[s];
#endif
    busy[s] = 0
}

/* ttap__fast_open(): stream 0, nothing changed, room. sent: it was recorded. */
inline fast_course()
{
    if
    :: fast && !BUSY0_SEEN_BY_THREAD ->
        s = 0;
#ifdef MUTANT_gate_before_busy
        ok = gate_open && gate_epoch == fast_epoch;
        d_step { buffered = 1; ok = ok && at[0] != NONE && at_used[0] < CELLS; events[0] = events[0] + ok };
#else
        buffered = 1;
        d_step { ok = gate_open && gate_epoch == fast_epoch && at[0] != NONE && at_used[0] < CELLS; events[0] = events[0] + ok };
#endif
        if
        :: ok -> write_and_publish(); sent = 1
        :: else -> d_step { flush(); busy[0] = 0 }
        fi
    :: else
    fi
}

/* A call that the gate refused. The inline test of the gate and this are one step: only this thread's own events matter here. */
inline refused()
{
#ifdef WINDOWS
    if
    :: own_session[0] == session && closing -> later = events[0]
    :: own_session[0] == session && !closing -> hole = events[0]
    :: else
    fi
#else
    skip
#endif
}

/* The general course: ttap__emission_open(), ttap__emission_reserve(). */
inline general_course()
{
    d_step {
        if
        :: !BUSY0_SEEN_BY_THREAD -> s = 0
#ifdef MUTANT_one_stream_only
        :: else -> s = 2
#else
        :: BUSY0_SEEN_BY_THREAD && !busy[1] -> s = 1
        :: else -> s = 2
#endif
        fi
    };
    if
    :: s == 2 -> d_step { assert(level == 2); lost_nested++ }
    :: else ->
        d_step { flush(); busy[s] = 1 };
        d_step {
            epoch = gate_epoch; ok = gate_open;
            if
            :: !ok -> refused()
            :: else
            fi
        };
        if
        :: ok && epoch != own_epoch[s] -> refresh()
        :: else
        fi;
        if
        :: ok ->
            events[s]++;
            if
            :: at[s] == NONE || at_used[s] == CELLS -> take_chunk()
            :: else -> found = at[s]
            fi;
            if
            :: found != NONE -> write_and_publish()
            :: else -> busy[s] = 0
            fi
        :: else -> busy[s] = 0
        fi
    fi
}

inline emit()
{
    fast_course();
    if
    :: !sent -> general_course()
    :: else
    fi;
    d_step { s = 0; sent = 0; ok = 0; epoch = 0; found = 0 }
}

/* What its code keeps in registers and on the stack, at each level. */
#ifdef LEASE
#define FRAME(LEVEL) byte level = LEVEL, s, epoch, left, found, lease_epoch, age_of; bool sent, ok, left_handed, lease_open
#else
#define FRAME(LEVEL) byte level = LEVEL, s, epoch, left, found; bool sent, ok, left_handed
#endif

proctype Thread() provided (running == 0 && !frozen)
{
    FRAME(0);
    byte budget = EVENTS;
end:
    do
    :: budget > 0 && gate_open -> budget--; emit()
#ifdef WINDOWS
    :: d_step { budget > 0 && !gate_open -> budget--; refused() }
#endif
    od
}

inline handle()
{
    if
    :: gate_open -> emit() /* the inline test of the gate */
    :: else
    fi;
    running = level - 1
}

proctype Handler() provided (running == 1 && !frozen)
{
    FRAME(1);
end:
    do
    :: handle()
    od
}

proctype SecondHandler() provided (running == 2 && !frozen)
{
    FRAME(2);
end:
    do
    :: handle()
    od
}

/* The processor: signals come, the store buffer empties by itself, and the thread may never run again. */
proctype Processor()
{
end:
    do
    :: buffered -> d_step { flush() }
    :: running == 0 && signals > 0 && !frozen -> d_step { running = 1; signals-- }
    :: running == 1 && second_signals > 0 && !frozen -> d_step { running = 2; second_signals-- }
#ifdef FREEZE
    :: !frozen -> frozen = 1
#endif
    od
}

/* ---- The drainer ---- */

/* drain_cells(), and begin_chunk() when it starts at the first. */
inline drain_cells(s, c, to)
{
    if
    :: d_used[s] == 0 && chunk[c].lost_before > d_lost[s] ->
        d_next[s] = d_next[s] + (chunk[c].lost_before - d_lost[s]);
        d_lost[s] = chunk[c].lost_before
    :: else
    fi;
    i = d_used[s];
    do
    :: i < to ->
        d_next[s]++;
        assert(chunk[c].cell[i] == NUMBER(session, d_next[s])); /* the next event, written, of this session */
#ifdef WINDOWS
        assert(!begun || s != 0 || hole < d_next[s]);
#endif
        i++
    :: else -> break
    od;
    i = 0
}

/* drain_full_chunks() */
inline drain_full_chunks()
{
    d_step {
        do
        :: full_list?c -> assert(chunk[c].holder == FULL); chunk[c].holder = DRAINER; taken!c
        :: empty(full_list) -> break
        od;
        c = 0
    };
    do
    :: taken?c ->
#ifdef MUTANT_freed_before_it_is_read
        d_step { release_chunk(c, DRAINER) };
#endif
        d_step {
            if
            :: chunk[c].session == session -> /* is_current() */
                drain_cells(chunk[c].level, c, chunk[c].used);
                d_serial[chunk[c].level] = chunk[c].serial;
                d_used[chunk[c].level] = 0
            :: else
            fi
        };
#ifndef MUTANT_freed_before_it_is_read
        d_step { release_chunk(c, DRAINER) };
#endif
        c = 0
    :: empty(taken) -> break
    od;
    skip /* spin refuses a jump to the start of a d_step */
}

/* drain_stream() */
inline drain_stream(s)
{
    if
#ifdef MUTANT_dirty_is_a_flag
    :: dirty[s] != 0 ->
#else
    :: dirty[s] == session ->
#endif
#ifdef MUTANT_loss_counter_after_position
        d_step { p_chunk = pub_chunk[s]; p_serial = pub_serial[s]; p_used = pub_used[s] };
        seen_lost = lost_full[s];
#else
        seen_lost = lost_full[s];
        d_step { p_chunk = pub_chunk[s]; p_serial = pub_serial[s]; p_used = pub_used[s] };
#endif
        /* catch_up() */
        if
#ifndef MUTANT_partial_before_full
        :: p_chunk != NONE && p_serial > d_serial[s] + 1 -> drain_full_chunks()
#endif
        :: else
        fi;
        d_step {
            if
#ifdef MUTANT_partial_before_full
            :: p_chunk != NONE && p_serial > d_serial[s] && chunk[p_chunk].session == session && chunk[p_chunk].level == s ->
#else
            :: p_chunk != NONE && p_serial == d_serial[s] + 1 && chunk[p_chunk].session == session && chunk[p_chunk].level == s ->
#endif
                drain_cells(s, p_chunk, p_used);
                d_used[s] = p_used
            :: else
            fi;
            if
            :: seen_lost > d_lost[s] -> d_next[s] = d_next[s] + (seen_lost - d_lost[s]); d_lost[s] = seen_lost
            :: else
            fi;
            seen_lost = 0; p_chunk = 0; p_serial = 0; p_used = 0
        }
    :: else
    fi
}

inline drain()
{
    drain_full_chunks();
    drain_stream(0);
#if SIGNALS
    drain_stream(1);
#endif
    d_nested = lost_nested
}

/* reclaim_chunk() */
inline reclaim_chunk(s)
{
    d_step { p_chunk = pub_chunk[s]; p_handed = pub_handed[s] };
    if
    :: p_chunk != NONE ->
        d_step { pub_chunk[s] = NONE; pub_serial[s] = 0; pub_used[s] = 0; pub_handed[s] = 0 };
        if
        :: !p_handed -> d_step { release_chunk(p_chunk, OF(s)) }
        :: else
        fi
    :: else
    fi;
    d_step { p_chunk = 0; p_handed = 0 }
}

inline reclaim_unless_busy(s)
{
    if
#ifndef MUTANT_preempted_emitters_chunk_is_taken
    :: busy[s]
    :: !busy[s] ->
        reclaim_chunk(s)
#ifdef MUTANT_dirty_is_a_flag
        ;
        dirty[s] = 0
#endif
#else
    :: reclaim_chunk(s)
#endif
    fi
}

inline release_full_chunks()
{
    d_step {
        do
        :: full_list?c -> release_chunk(c, FULL)
        :: empty(full_list) -> break
        od;
        c = 0
    }
}

/* reclaim_left_chunks() */
inline reclaim_left_chunks()
{
#ifdef MUTANT_full_list_is_emptied_first
    release_full_chunks();
#endif
    reclaim_unless_busy(0);
#if SIGNALS
    reclaim_unless_busy(1);
#endif
#ifndef MUTANT_full_list_is_emptied_first
    release_full_chunks()
#endif
}

#ifdef MUTANT_memory_goes_while_a_chunk_is_on_its_way
#define IN_USE(s) (pub_chunk[s] != NONE)
#else
#define IN_USE(s) (pub_chunk[s] != NONE || busy[s])
#endif

/* give_memory_back(), and map_chunks() when it changes the area: all chunks are free afterwards, whoever had them. */
inline give_memory_back()
{
    reclaim_left_chunks();
    if
    :: IN_USE(0)
    :: else ->
        if
        :: IN_USE(1)
        :: else -> d_step {
                c = 1;
                do
                :: c <= CHUNKS -> assert(chunk[c].holder == FREE); c++
                :: else -> break
                od;
                c = 0
            }
        fi
    fi
}

inline start_stream(s)
{
    d_serial[s] = 0; d_used[s] = 0; d_next[s] = 0; d_lost[s] = lost_full[s]; late_of[s] = 0
}

/* set_gate() */
inline set_gate(to)
{
#ifdef MUTANT_same_epoch_when_opened_again
    d_step { gate_epoch = gate_epoch + !(to); gate_epoch = 1; gate_open = to }
#else
    d_step { gate_epoch = gate_epoch + 1; gate_open = to }
#endif
}

/* close_gate(). It waits for emitters, but not for ever: so to what comes after it is as if it did not wait. */
inline close_gate()
{
    set_gate(0);
#ifndef MUTANT_no_membarrier
    d_step { flush() };
#endif
#ifdef MUTANT_stop_waits_for_ever
    !busy[0] && !busy[1]
#endif
}

/* count_late(): who is still in the middle of an event has at most that one to tell; of the others all is published by now. */
inline count_late_of(s)
{
    if
    :: busy[s] ->
        d_step {
            late_of[s] = (dirty[s] == session -> 1 : 0);
            if
            :: own_session[s] == session && dirty[s] == session -> assert(d_next[s] <= events[s] && events[s] <= d_next[s] + 1)
            :: else
            fi
        }
    :: !busy[s] ->
#ifndef MUTANT_late_ones_are_not_looked_at_again
        drain_stream(s);
#endif
        d_step {
            if
            :: own_session[s] == session -> assert(d_next[s] == events[s])
            :: else
            fi
        }
    fi
}

inline end_session()
{
    reclaim_unless_busy(0);
#if SIGNALS
    reclaim_unless_busy(1)
#endif
}

#ifdef WINDOWS
/* join(), and what set_gate() does for who leaves while others stay. */
inline one_window()
{
#ifdef MUTANT_window_begins_before_its_gate
    drain();
    begun = 1;
    set_gate(1);
#else
    set_gate(1);
#ifndef MUTANT_nothing_is_drained_before_the_window
    drain();
#endif
    begun = 1;
#endif
    d_step { set_gate(0); closing = 1 };
    d_step { flush() };
    drain();
    d_step {
        begun = 0; closing = 0;
        if
        :: later > hole -> hole = later
        :: else
        fi;
        later = 0
    }
}
#endif

proctype Drainer()
{
    byte c, i, p_chunk, p_serial, p_used, seen_lost, ticks, changes;
#ifdef WINDOWS
    byte windows;
#endif
    bool p_handed;
    do
    :: session < SESSIONS ->
#ifdef GIVE_BACK
        give_memory_back();
#endif
        reclaim_left_chunks();
        d_step {
            start_stream(0); start_stream(1); session++; ticks = 0; changes = 0;
#ifdef WINDOWS
            windows = 0; hole = 0; later = 0
#endif
        };
#ifdef WINDOWS
        do
        :: windows < WINDOWS -> windows++; one_window()
        :: windows == WINDOWS -> break
        od;
        skip;
#else
        set_gate(1);
        do
        :: ticks < TICKS -> ticks++; drain()
        :: changes < CHANGES && gate_open -> changes++; set_gate(1)
        :: ticks == TICKS -> break
        od;
        skip;
#endif
        close_gate();
        drain();
        count_late_of(0);
#if SIGNALS
        count_late_of(1);
#endif
        end_session()
    :: else -> break
    od;
    stopped = 1
}

/* When nothing can move any more: the drainer is through, and no chunk is forgotten. */
#define ACCOUNTED(c) (chunk[c].holder == FREE || chunk[c].holder == FULL || \
    (pub_chunk[0] == c && !pub_handed[0] && chunk[c].holder == OF(0)) || (pub_chunk[1] == c && !pub_handed[1] && chunk[c].holder == OF(1)))

proctype Judge()
{
end:
    timeout;
    assert(stopped);
    assert(frozen || (ACCOUNTED(1) && (CHUNKS < 2 || ACCOUNTED(2)) && (CHUNKS < 3 || ACCOUNTED(CHUNKS))))
}

init
{
    atomic {
        run Thread();
#if SIGNALS
        run Handler();
#endif
#if SECOND_SIGNALS
        run SecondHandler();
#endif
        run Processor();
        run Drainer();
        run Judge()
    }
}
