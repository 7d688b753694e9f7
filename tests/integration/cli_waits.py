"""cli_waits.py - programs of known behaviour under `tracetap run`: who held what was waited for, and who ended the wait."""
import bisect
import json
import os
import subprocess

import cli_support as cli
from cli_doctor import root_or_skip
from cli_run import preloadable, whole_figures

WORK = os.path.join(cli.BIN, "..", "tests", "lock_work")
WITH_TRACEFS = ("unshare", "-m", "sh", "-c", "mount -t tracefs nodev /sys/kernel/tracing && exec \"$@\"", "-")
LATE_NS = 20_000_000  # between reading who holds the lock and noting the time, a thread of a crowd may lose its CPU


def rows(chunk, *columns):
    at = chunk["t0"]
    for i in range(chunk["n"]):
        at += chunk["dt"][i] if isinstance(chunk["dt"], list) else chunk["dt"]
        yield (at, *(chunk[c][i] if isinstance(chunk[c], list) else chunk[c] for c in columns))


class Waits:
    """A run of lock_work: what it wrote down, and what was recorded of it."""

    def __init__(self, *arguments, before=()):
        preloadable()
        done = subprocess.run([*before, cli.program("tracetap"), "run", "-q", "-o", "work.ttap", "--", WORK, *arguments], capture_output=True, text=True,
                              timeout=100)
        assert done.returncode == 0, done
        held = sorted((int(begin), int(end), int(tid)) for tid, begin, end in (line.split() for line in done.stdout.splitlines()))
        # One who has just got it may lose its CPU before it writes down when: nobody else had it since the one before let go.
        # The median: who holds it for a moment only may lose its CPU meanwhile, for longer than the other holds it.
        times = {tid: sorted(end - begin for begin, end, by in held if by == tid) for _, _, tid in held}
        self.longest = max(times, key=lambda tid: times[tid][len(times[tid]) // 2])
        self.held = [(before[1], end, tid) for before, (_, end, tid) in zip([(0, 0, 0), *held], held)]
        self.figures = whole_figures("work.ttap")
        cli.run("convert", "work.ttap", "--format", "json", "-o", "work.json").expect(0)
        document = json.load(open("work.json"))
        self.source = document["capture"]["notes"]["source.sched"]
        t0, strings, self.tids, waits, wakes = int(document["capture"]["t0_unix_ns"]), [], {-1: 0}, [], []
        self.locks, self.waited_for = {}, set()
        for chunk in document["chunks"]:
            if chunk["t"] == "str":
                strings += chunk["v"]
        for chunk in document["chunks"]:
            if chunk["t"] == "lane":
                self.tids[chunk["id"]] = chunk.get("tid", 0)
            elif chunk["t"] == "object" and chunk["kind"] == "lock":
                self.locks[chunk["id"]] = chunk
            elif chunk["t"] == "call":
                self.waited_for.update(object_ for _, object_, op in rows(chunk, "object", "op") if strings[op] == "pthread_mutex_lock")
                waits += [(at + t0, dur, chunk["lane"], holder) for at, dur, op, holder in rows(chunk, "dur", "op", "result")
                          if strings[op] == "pthread_mutex_lock"]
            elif chunk["t"] == "wake":
                wakes += [(at + t0, chunk["lane"], to) for at, to, cause in rows(chunk, "to", "cause") if strings[cause] == "thread"]
        self.waits = [(at, dur, self.tids[lane], holder) for at, dur, lane, holder in waits]
        self.wakes = [(at, self.tids[by], self.tids[to]) for at, by, to in wakes]

    def holders(self, begin, end):
        """Who had the lock at some time between the two."""
        return {tid for held_from, held_to, tid in self.held if held_from <= end and held_to >= begin}

    def share_of_right_holders(self):
        """Of those that were named: who has just got a lock and loses its CPU before it is written who has it is nobody yet."""
        named = [wait for wait in self.waits if wait[3]]
        wrong = [wait for wait in named if wait[3] not in self.holders(wait[0] - LATE_NS, wait[0] + 1000)]
        print(len(self.waits), "waits;", len(named) - len(wrong), "with the right holder;", wrong[:5])
        assert len(named) >= 0.8 * len(self.waits), (len(named), len(self.waits))
        return 1 - len(wrong) / len(named)

    def share_of_right_wakers(self):
        """A wait for the lock is ended by one who has just let go of it."""
        ends = [held_to for _, held_to, _ in self.held]
        spans = {}
        for at, dur, tid, _ in self.waits:
            spans.setdefault(tid, []).append((at, at + dur))
        seen = right = 0
        for at, by, to in self.wakes:
            if not any(begin <= at <= end for begin, end in spans.get(to, [])):
                continue
            last = bisect.bisect_right(ends, at)
            seen += 1
            right += by in {tid for _, _, tid in self.held[max(0, last - 3):last]}
        print(seen, "wakes of those who waited;", right, "by one who has just let go")
        assert seen >= 0.9 * len(self.waits), (seen, len(self.waits))
        return right / seen


def a_crowd_of_a_thousand_at_one_lock_is_told_whom_each_waited_for():
    work = Waits("crowd", "1000")
    assert len(work.held) == 1000 and len(work.waits) >= 500, (len(work.held), len(work.waits))
    assert work.share_of_right_holders() >= 0.999


def each_of_a_crowd_at_one_lock_is_woken_by_who_lets_go_of_it():
    root_or_skip()
    if subprocess.run([*WITH_TRACEFS, "true"], stderr=subprocess.DEVNULL).returncode:
        raise cli.Skip("tracefs cannot be mounted here")
    work = Waits("crowd", "300", before=WITH_TRACEFS)
    if "(T2)" not in work.source:
        raise cli.Skip(work.source)
    assert work.figures["lost"]["total"] == 0, work.figures["lost"]
    assert work.share_of_right_holders() >= 0.999 and work.share_of_right_wakers() >= 0.999


def a_lock_held_for_5_ms_makes_its_one_waiter_wait_until_it_is_let_go():
    work = Waits("one")
    if not work.figures["lost"]["total"]:
        cli.same_rows("work.ttap", "work.json")
    # By its address where the program was over before what it has mapped was looked at.
    assert {lock["name"] for lock in map(work.locks.get, work.waited_for)} <= {"lock", *(lock["name"] for lock in work.locks.values() if "file" not in lock)}
    holder = work.longest
    waits = [wait for wait in work.waits if wait[2] != holder]
    assert len(waits) >= 10, (len(waits), work.waits)  # where the machine let the waiter be late, there was nothing to wait for
    wrong = []
    for at, dur, _, named in waits:
        let_go = min(end for _, end, tid in work.held if tid == holder and end >= at)
        if named != holder or at + dur < let_go - 20_000:
            wrong.append((at, dur, named, holder, let_go))
    assert len(wrong) <= 1, wrong  # nobody yet, as above


if __name__ == "__main__":
    cli.main()
