/* slots.pml - how threads come by a slot, leave it, and what the drainer makes of the next one who has it.
 *
 *   free list --ttap__attach()--> live --ttap__thread_exit()--> ended list --drain(), bury()--> free list
 *                                   +----------- nothing to drain -------------------------------^
 *
 * Two threads, of which the second may get the slot of the first; a signal handler that may attach its thread while that attaches itself;
 * the drainer over two sessions. What happens inside an event is engine.pml's: here an event is one step, if the gate is open then.
 *
 * Claims: a slot has one owner; whoever writes into a slot is its owner; each thread's events are delivered under its own number, all of
 * them, numbered from where the drainer began to look; in the end every slot is free.
 */
#define SLOTS 2
#ifndef SIGNALS
#define SIGNALS 1
#endif
#ifndef EVENTS
#define EVENTS 1
#endif
#ifndef SESSIONS
#define SESSIONS 2
#endif
#define NONE 0

mtype = { SLOT_FREE, LIVE, ENDED };

typedef Slot {
    mtype state;
    byte uid;
    byte dirty;        /* the session of its last event */
    byte published;    /* events in that session */
    byte d_uid, d_next; /* struct ttap__slot_drained; d_next: of this session's events */
    byte d_seq         /* since the thread began */
};
Slot slot[SLOTS + 1];
chan free_slots = [SLOTS] of {byte};
chan ended_slots = [SLOTS] of {byte};
byte slots_made, next_uid;
bool gate_open;
byte session;

byte tls[2];           /* of each thread: its slot, or NONE */
bool silent[2];
byte uid_of[2];        /* ghosts: of the thread, and what became of its events in the session at hand */
byte told[2], delivered[2], told_in[2], seq_of[2];
byte owner[SLOTS + 1]; /* 1 + thread */

byte signals = SIGNALS;
bool handling;         /* thread 0 is in its handler */
bool stopped;

/* ttap__slot_release() */
inline slot_release(n)
{
    slot[n].uid = 0;
    d_step { slot[n].state = SLOT_FREE; free_slots!n }
}

/* ttap__attach() */
inline attach(me)
{
    atomic {
        if
        :: nempty(free_slots) -> free_slots?mine
        :: empty(free_slots) && slots_made < SLOTS -> slots_made++; mine = slots_made
        :: empty(free_slots) && slots_made == SLOTS -> mine = NONE
        fi
    };
    if
    :: mine != NONE ->
        d_step { next_uid++; slot[mine].uid = next_uid };
        slot[mine].state = LIVE;
        atomic {
            if
#ifdef MUTANT_attach_does_not_compare
            :: true ->
#else
            :: tls[me] == NONE ->
#endif
                assert(owner[mine] == NONE);
                tls[me] = mine; owner[mine] = 1 + me; uid_of[me] = slot[mine].uid; mine = NONE
            :: else
            fi
        };
        if
#ifndef MUTANT_loser_keeps_its_slot
        :: mine != NONE -> slot_release(mine)
#endif
        :: else
        fi;
        mine = NONE
    :: else
    fi
}

/* An event: in one step, since engine.pml takes it apart. */
inline emit(me)
{
    if
    :: tls[me] == NONE && !silent[me] -> attach(me)
    :: else
    fi;
    d_step {
        if
        :: tls[me] != NONE && gate_open ->
            mine = tls[me];
            assert(owner[mine] == 1 + me && slot[mine].uid == uid_of[me] && slot[mine].state == LIVE);
            if
            :: slot[mine].dirty != session -> slot[mine].dirty = session; slot[mine].published = 0; told[me] = 0; delivered[me] = 0
            :: else
            fi;
            slot[mine].published++; told[me]++; told_in[me] = session;
            mine = NONE
        :: else
        fi
    }
}

/* ttap__thread_exit(), in its last round */
inline thread_exit(me)
{
    mine = tls[me];
    if
    :: mine != NONE ->
        silent[me] = 1;
#ifndef MUTANT_record_is_left_after_the_slot
        d_step { owner[mine] = NONE; tls[me] = NONE };
#endif
        if
#ifdef MUTANT_slot_is_freed_though_there_is_something_to_drain
        :: true -> slot_release(mine)
#endif
        :: slot[mine].dirty == 0 -> slot_release(mine)
        :: slot[mine].dirty != 0 ->
            slot[mine].state = ENDED;
            ended_slots!mine
        fi;
#ifdef MUTANT_record_is_left_after_the_slot
        d_step { owner[mine] = NONE; tls[me] = NONE };
#endif
        mine = NONE
    :: else -> silent[me] = 1 /* no record, or not seen: nothing of it is listed */
    fi
}

proctype First() provided (!handling)
{
    byte budget = EVENTS, mine;
end:
    do
    :: budget > 0 -> budget--; emit(0)
    :: budget == 0 -> break
    od;
    thread_exit(0)
}

proctype Handler() provided (handling)
{
    byte mine;
end:
    do
    :: emit(0); handling = 0
    od
}

proctype Signals()
{
end:
    do
    :: signals > 0 && !handling && !silent[0] -> d_step { signals--; handling = 1 }
    od
}

proctype Second()
{
    byte budget = EVENTS, mine;
    do
    :: budget > 0 -> budget--; emit(1)
    :: budget == 0 -> break
    od;
    thread_exit(1)
}

/* ---- The drainer ---- */

inline deliver(who, n)
{
    assert(slot[n].d_seq == seq_of[who]); /* numbered without a gap since the thread began */
    delivered[who] = delivered[who] + (slot[n].published - slot[n].d_next);
    slot[n].d_seq = slot[n].d_seq + (slot[n].published - slot[n].d_next);
    seq_of[who] = slot[n].d_seq;
    assert(delivered[who] <= told[who])
}

/* drain_stream() */
inline drain_stream(n)
{
    if
    :: slot[n].state != SLOT_FREE && slot[n].dirty == session ->
        uid = slot[n].uid;
        d_step {
#ifndef MUTANT_numbers_go_on_with_the_next_owner
            if
            :: slot[n].d_uid != uid -> slot[n].d_uid = uid; slot[n].d_next = 0; slot[n].d_seq = 0
            :: else
            fi;
#endif
            if
            :: uid == uid_of[0] -> deliver(0, n)
            :: uid == uid_of[1] -> deliver(1, n)
            :: else -> assert(false)
            fi;
            slot[n].d_next = slot[n].published;
            uid = 0
        }
    :: else
    fi
}

/* bury() */
inline bury_all()
{
    do
    :: ended?n ->
        d_step {
#ifndef MUTANT_buried_without_forgetting
            slot[n].dirty = 0; slot[n].published = 0; slot[n].d_uid = 0; slot[n].d_next = 0; slot[n].d_seq = 0
#else
            skip
#endif
        };
        slot_release(n);
        n = 0
    :: empty(ended) -> break
    od;
    skip /* spin refuses a jump to the start of a d_step */
}

inline take_ended()
{
    d_step {
        do
        :: ended_slots?n -> ended!n
        :: empty(ended_slots) -> break
        od;
        n = 0
    }
}

inline drain()
{
#ifndef MUTANT_ended_ones_are_taken_last
    take_ended();
#endif
    drain_stream(1);
    drain_stream(2);
#ifdef MUTANT_ended_ones_are_taken_last
    take_ended();
#endif
    bury_all()
}

inline exact(me)
{
    assert(told_in[me] != session || delivered[me] == told[me])
}

proctype Drainer()
{
    byte n, uid;
    chan ended = [SLOTS] of {byte};
    do
    :: session < SESSIONS ->
        take_ended();
        bury_all();
        d_step {
            slot[1].d_next = 0; slot[2].d_next = 0;
            session++
        };
        gate_open = 1;
        drain();
        gate_open = 0;
        drain();
        d_step { exact(0); exact(1) };
        d_step { slot[1].dirty = 0; slot[2].dirty = 0 }
    :: else -> break
    od;
    take_ended();
    bury_all();
    stopped = 1
}

proctype Judge()
{
    timeout;
    assert(stopped);
    do
    :: ended_slots?_ -> slots_made-- /* for the next session to bury */
    :: free_slots?_ -> slots_made--
    :: empty(ended_slots) && empty(free_slots) -> break
    od;
    assert(slots_made == 0)
}

init
{
    atomic {
        slot[1].state = SLOT_FREE; slot[2].state = SLOT_FREE;
        run First(); run Handler(); run Signals(); run Second(); run Drainer(); run Judge()
    }
}
