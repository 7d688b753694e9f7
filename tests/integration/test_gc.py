"""What a capture says of a collector, against the program's own measurement (tests/support/gc_work.c)."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict

from recorded import document_of, main, skip_where_nothing_can_be_preloaded, strings_of, timed_rows, wait_until_whole

PROGRAMS, RECORDS_ITSELF, PLAIN = sys.argv[1:4]
CYCLES = 40
WORKERS = 4
CLOSE_NS = 50_000


class Own:
    """What the program printed."""

    def __init__(self, out):
        rows = [line.split() for line in out.splitlines()]
        self.pauses = [(int(row[1]), int(row[2])) for row in rows if row[0] == "pause"]
        self.stopped = next(int(row[1]) for row in rows if row[0] == "stopped")
        self.kept = "callbacks kept" in out.splitlines()


class Collector:
    """The rows of `gc`, by phase, in order of time; and the memory counters."""

    def __init__(self, native):
        document = document_of(PROGRAMS, native)
        self.source = document["capture"]["notes"]["source.gc"]
        self.window = document["end"]["dur_ns"]
        assert not document["end"]["account"]["lost_full"], document["end"]
        strings, self.phases, self.counters = strings_of(document), defaultdict(list), defaultdict(list)
        for chunk in document["chunks"]:
            if chunk["t"] == "gc":
                for at, dur, phase in timed_rows(chunk, "dur", "phase"):
                    self.phases[strings[phase]].append((at, dur, chunk["lane"]))
            elif chunk["t"] == "counter":
                self.counters[strings[chunk["name"]]] += timed_rows(chunk, "v")
        for rows in self.phases.values():
            rows.sort()


def recorded(*command, options=()):
    """The program recording itself, or a plain one under `tracetap run`."""
    with tempfile.TemporaryDirectory() as folder:
        native = os.path.join(folder, "a.ttap")
        command = [native if word == "FILE" else word for word in command]
        under_run = [os.path.join(PROGRAMS, "tracetap"), "run", "-q", "-o", native, "--"] if command[0] == PLAIN else []
        done = subprocess.run([*under_run, *command, *options], stdout=subprocess.PIPE, text=True, timeout=100, check=True)
        wait_until_whole(PROGRAMS, native)
        return Own(done.stdout), Collector(native)


def by_itself(*options):
    return recorded(RECORDS_ITSELF, str(CYCLES), "--capture", "FILE", options=options)


def check_pauses(own, seen):
    """As many, each of the same length and at the same time; a CPU may be taken from the thread between our reading of the clock and its."""
    pauses = seen.phases["pause"]
    assert len(own.pauses) >= CYCLES, "the program hardly collected"
    assert len(own.pauses) <= len(pauses) <= len(own.pauses) + 1, (len(own.pauses), len(pauses))  # one before its callbacks were set
    pauses = pauses[-len(own.pauses):]
    lengths = [abs(dur - theirs) for (_, dur, _), (_, theirs) in zip(pauses, own.pauses)]
    places = [abs((at - pauses[0][0]) - (theirs - own.pauses[0][0])) for (at, _, _), (theirs, _) in zip(pauses, own.pauses)]
    print("pauses:", len(pauses), "length differs by", sorted(lengths)[-5:], "place by", sorted(places)[-5:], "ns")
    assert statistics.median(lengths) <= CLOSE_NS and statistics.median(places) <= CLOSE_NS
    for at, dur, lane in pauses:
        marks = [m for m in seen.phases["mark"] if m[2] == lane and at <= m[0] and m[0] + m[1] <= at + dur]
        assert len(marks) == 1, (at, dur, marks)


def check_stopped(own, seen):
    """Each suspension of a thread is a row on its lane, within one pause of another lane."""
    rows = seen.phases["stopped"]
    assert own.stopped <= len(rows) <= own.stopped + WORKERS, (own.stopped, len(rows))
    for at, dur, lane in rows:
        assert any(p <= at and at + dur <= p + length and lane != other for p, length, other in seen.phases["pause"]), (at, dur, lane)
    assert len({lane for _, _, lane in rows}) >= WORKERS


def check_heap(seen):
    heap, free = [[v for _, v in sorted(seen.counters[name])] for name in ("gc.heap_bytes", "gc.free_bytes")]
    assert len(heap) == len(free) == len(seen.phases["sweep"]) > 0
    assert all(0 <= f <= h for h, f in zip(heap, free)) and max(heap) > 100_000, (heap[:5], free[:5])


def pauses_of_boehms_collector_are_those_the_program_measures():
    own, seen = by_itself()
    check_pauses(own, seen)
    check_heap(seen)
    assert len(seen.phases["collection"]) == len(seen.phases["pause"]), "not incremental: one pause a collection"
    assert seen.source == "on: Boehm's collector", seen.source
    assert max(v for _, v in seen.counters["memory.resident_bytes"]) > 1 << 20, "a process that records itself is there at both edges"


def threads_that_boehms_collector_stops_are_marked():
    check_stopped(*by_itself())


def callbacks_that_a_program_gave_its_collector_are_called_and_put_back():
    own, _ = by_itself()
    assert len(own.pauses) >= CYCLES and own.stopped > 0 and own.kept


def a_collector_under_run_is_seen_as_the_program_sees_it():
    skip_where_nothing_can_be_preloaded()
    own, seen = recorded(PLAIN, str(CYCLES))
    check_pauses(own, seen)
    check_stopped(own, seen)
    check_heap(seen)
    assert own.kept


def an_incremental_collector_has_pauses_without_a_collection_around_them():
    own, seen = by_itself("--incremental")
    assert own.pauses and len(seen.phases["pause"]) == len(own.pauses), (len(own.pauses), len(seen.phases["pause"]))


if __name__ == "__main__":
    main()
