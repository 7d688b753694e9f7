"""cli_waits.py - programs of known behaviour under `tracetap run`: who held what was waited for, and who ended the wait."""
import bisect
import collections
import json
import os
import subprocess

import cli_support as cli
from cli_doctor import refuse_perf, root_or_skip
from cli_run import preloadable, rows_of, whole_figures

LOCK_WORK, WAIT_WORK, MUTEX_KINDS = (os.path.join(cli.BIN, "..", "tests", name) for name in ("lock_work", "wait_work", "mutex_kinds"))
WITH_TRACEFS = ("unshare", "-m", "sh", "-c", "{ umount -q /sys/kernel/tracing; mount -t tracefs nodev /sys/kernel/tracing; } && exec \"$@\"", "-")
ASLEEP = {"blocked", "lock", "network", "file", "sleep"}
CLOCKS_NS = 10_000  # the program's and ours; each of the crowd lets go once, a millisecond from any other
CROWD = 1080  # who finds the lock free for a moment does not wait: of these a thousand do
CALL_OF = {"semaphore": "sem_wait", "signal": "pthread_cond_wait", "broadcast": "pthread_cond_wait", "barrier": "pthread_barrier_wait", "join": "pthread_join",
           "write-unlock": "pthread_rwlock_rdlock", "read-unlock": "pthread_rwlock_wrlock"}

Wait = collections.namedtuple("Wait", "start end tid op object said")
Held = collections.namedtuple("Held", "tid asked got letting_go let_go")
Ended = collections.namedtuple("Ended", "kind tid start end by begun done")


class Waits:
    """A run of a program: what it printed, and what was recorded of it. Times are ns since 1970."""

    def __init__(self, *command, before=(), **more):
        preloadable()
        done = subprocess.run([*before, cli.program("tracetap"), "run", "-q", "-o", "work.ttap", "--", *command], capture_output=True, text=True, timeout=100, **more)
        assert done.returncode == 0, done
        self.lines = [line.split() for line in done.stdout.splitlines()]
        self.figures = whole_figures("work.ttap")
        assert self.figures["lost"]["total"] == 0, self.figures["lost"]
        cli.run("convert", "work.ttap", "--format", "json", "-o", "work.json").expect(0)
        document = json.load(open("work.json"))
        self.source = document["capture"]["notes"]["source.sched"]
        self.t0, self.strings, self.tids = int(document["capture"]["t0_unix_ns"]), [], {-1: 0}
        self.locks, self.waits, self.last_at, self.awake = {}, [], collections.defaultdict(list), collections.defaultdict(list)
        self.releases, self.wakes = collections.defaultdict(list), collections.defaultdict(list)  # of a lock; of a thread: when, and by whom
        for chunk in document["chunks"]:
            if chunk["t"] == "str":
                self.strings += chunk["v"]
            elif chunk["t"] == "lane":
                self.tids[chunk["id"]] = chunk.get("tid", 0)
            elif chunk["t"] == "object" and chunk["kind"] == "lock":
                self.locks[chunk["id"]] = chunk
        for chunk in document["chunks"]:
            getattr(self, "_" + chunk["t"], lambda chunk: None)(chunk)
        for told in (*self.releases.values(), *self.wakes.values(), *self.awake.values()):
            told.sort()
        for wait in self.waits:
            if wait.op == "pthread_barrier_wait" and any(by == wait.tid and wait.start <= at <= wait.end for at, by in self.releases[wait.object]):
                self.last_at[wait.object].append(wait)

    def _call(self, chunk):
        for at, dur, op, object_, said in rows_of(chunk, "dur", "op", "object", "result"):
            self.waits.append(Wait(at + self.t0, at + self.t0 + dur, self.tids[chunk["lane"]], self.strings[op], object_, said))

    def _release(self, chunk):
        for at, object_ in rows_of(chunk, "object"):
            self.releases[object_].append((at + self.t0, self.tids[chunk["lane"]]))

    def _wake(self, chunk):
        for at, to, cause in rows_of(chunk, "to", "cause"):
            if self.strings[cause] == "thread":
                self.wakes[self.tids[to]].append((at + self.t0, self.tids[chunk["lane"]]))

    def _state(self, chunk):
        for at, dur, state in rows_of(chunk, "dur", "state"):
            if self.strings[state] in ASLEEP:
                self.awake[self.tids[chunk["lane"]]].append(at + dur + self.t0)

    def slept_in(self, wait):
        """What it waits for may come before the kernel has put it to sleep: then nobody wakes it."""
        awake = self.awake[wait.tid]
        at = bisect.bisect_left(awake, wait.start)
        return at < len(awake) and awake[at] <= wait.end

    def woken_in(self, wait):
        """By whom and when, as the kernel saw it."""
        wakes = self.wakes[wait.tid]
        return wakes[bisect.bisect_left(wakes, (wait.start, 0)):bisect.bisect_right(wakes, (wait.end, 1 << 62))]

    def ended_by(self, wait):
        """The thread that ended it, by what the hooks tell alone: docs/design/states.md."""
        if wait.op == "pthread_join" or (wait.op == "pthread_rwlock_rdlock" and wait.said):
            return wait.said
        if wait.op == "pthread_barrier_wait":  # told at the end of the wait of who came last
            return max((call.start, call.tid) for call in self.last_at[wait.object] if call.start <= wait.end and call.tid != wait.tid)[1]
        told = self.releases[wait.object]
        last = bisect.bisect_right(told, (wait.end, 1 << 62)) - 1
        while last >= 0 and told[last][1] == wait.tid:
            last -= 1
        return told[last][1] if last >= 0 and told[last][0] >= wait.start else wait.said


def with_wakes(*command):
    """A run in which the kernel tells who woke whom."""
    root_or_skip()
    if subprocess.run([*WITH_TRACEFS, "true"], stderr=subprocess.DEVNULL).returncode:
        raise cli.Skip("tracefs cannot be mounted here")
    work = Waits(*command, before=WITH_TRACEFS)
    if "(T2)" not in work.source:
        raise cli.Skip(work.source)
    return work


def with_hooks_alone(*command):
    """A run of which the kernel tells nothing."""
    work = Waits(*command, preexec_fn=refuse_perf)
    assert "(T0)" in work.source, work.source
    return work


def share_of_right(what, judged, wrong, at_least):
    print(f"{what}: {judged - len(wrong)} of {judged} right; {wrong[:5]}")
    assert judged >= at_least and len(wrong) <= 0.001 * judged, (what, judged, wrong)


class Crowd:
    """Threads that each hold one lock for a millisecond, and wrote down when."""

    def __init__(self, work):
        self.work = work
        self.held = sorted((Held(*map(int, line)) for line in work.lines), key=lambda held: held.got)
        self.of = {held.tid: (held, before) for held, before in zip(self.held, [None, *self.held])}
        self.waits = [wait for wait in work.waits if wait.op == "pthread_mutex_lock"]
        self.waited = {wait.tid for wait in self.waits}
        assert len(self.held) == len(self.of) == CROWD and len(self.waited) == len(self.waits), (len(self.held), len(self.waits))

    def check_holders(self):
        """It had the lock at some time between when this one was about to ask for it, and when its wait began. Nobody is known as its holder from when
        one lets go of it until the next, who may lose its CPU meanwhile, has written down that it has it, in its call."""
        def is_right(wait):
            asked, began = self.of[wait.tid][0].asked - CLOCKS_NS, wait.start + CLOCKS_NS
            if not wait.said:
                return any(before.letting_go <= began and held.got >= asked for before, held in zip(self.held, self.held[1:]))
            if wait.said not in self.of:
                return False
            held, before = self.of[wait.said]
            return (before.letting_go if before else 0) <= began and held.let_go >= asked
        print(sum(not wait.said for wait in self.waits), "while nobody had it")
        share_of_right("holders", len(self.waits), [wait for wait in self.waits if not is_right(wait)], 990)

    def check_wakes(self):
        """Each is woken from within the one call in which the thread that is said to have done it lets go."""
        wrong, slept = [], [wait for wait in self.waits if self.work.slept_in(wait)]
        for wait in slept:
            at, by = (self.work.woken_in(wait) or [(0, 0)])[-1]
            if by not in self.of or not self.of[by][0].letting_go - CLOCKS_NS <= at <= self.of[by][0].let_go + CLOCKS_NS:
                wrong.append((wait, at, by))
        share_of_right("wakers", len(slept), wrong, 990)

    def check_releases(self):
        """By the hooks alone: who had it before, or, if that one had come in between while the woken one had not run yet, who had it before that."""
        wrong = []
        for wait in self.waits:
            before = self.of[wait.tid][1]
            might = {before.tid}
            while before.tid not in self.waited and self.of[before.tid][1]:
                before = self.of[before.tid][1]
                might.add(before.tid)
            if self.work.ended_by(wait) not in might:
                wrong.append((wait, self.work.ended_by(wait), might))
        share_of_right("wakers by the hooks", len(self.waits), wrong, 990)


def at_a_lock_that_a_thousand_want_holders_and_wakers_are_those_that_were_without_perf():
    crowd = Crowd(with_hooks_alone(LOCK_WORK, "crowd", str(CROWD)))
    crowd.check_holders()
    crowd.check_releases()


def at_a_lock_that_a_thousand_want_holders_and_wakers_are_those_that_were_by_the_kernels_wakes():
    crowd = Crowd(with_wakes(LOCK_WORK, "crowd", str(CROWD)))
    crowd.check_holders()
    crowd.check_wakes()
    crowd.check_releases()


def waits_written_down(work):
    """What the program says of each of its waits, and the recorded call of it."""
    told = [Ended(line[1], *map(int, line[2:])) for line in work.lines]
    calls = collections.defaultdict(list)
    for wait in work.waits:
        calls[wait.tid, wait.op].append(wait)
    for ended in told:
        call = max(calls[ended.tid, CALL_OF[ended.kind]], key=lambda call: min(call.end, ended.end) - max(call.start, ended.start))
        assert call.start >= ended.start - CLOCKS_NS and call.end <= ended.end + CLOCKS_NS, (ended, call)
        yield ended, call


def check_who_ended(work, is_right, is_one=lambda wait: True):
    judged, wrong = collections.Counter(), []
    for ended, wait in waits_written_down(work):
        if not is_one(wait):
            continue
        judged[ended.kind] += 1
        if not is_right(ended, wait):
            wrong.append((ended, wait, work.woken_in(wait), work.ended_by(wait)))
    print(dict(judged))
    assert set(judged) == set(CALL_OF) and min(judged.values()) >= 70, judged
    share_of_right("enders", sum(judged.values()), wrong, 1000)


def who_ends_a_wait_of_any_kind_is_known_without_perf():
    work = with_hooks_alone(WAIT_WORK)
    check_who_ended(work, lambda ended, wait: work.ended_by(wait) == ended.by)


def who_ends_a_wait_of_any_kind_is_known_by_the_kernels_wakes():
    """The wake that ends a wait comes from within the call that ended it. Others may follow before libc returns: at a condition by who had its lock, at
    a read-write lock or a barrier by another that was let go. Whom a join waits for wakes it behind its own end."""
    work = with_wakes(WAIT_WORK)

    def is_right(ended, wait):
        wakes = work.woken_in(wait)
        at, by = wakes[0] if wakes else (0, 0)
        return by == ended.by and ended.begun - CLOCKS_NS <= at and (wait.op == "pthread_join" or at <= ended.done + CLOCKS_NS)
    check_who_ended(work, is_right, work.slept_in)  # /proc says asleep a moment before the CPU is given away, and then it may not be


def mutexes_of_every_kind_return_the_same_under_run_and_are_let_go_once():
    """Also when they are used wrongly. While another waits for each, who does not hold it fails to let it go, and who holds it twice lets it go once."""
    preloadable()  # and a sanitizer would say what is used wrongly
    plain = subprocess.run([MUTEX_KINDS], capture_output=True, text=True, timeout=cli.TIMEOUT_S, check=True).stdout.splitlines()
    work = Waits(MUTEX_KINDS)
    assert work.lines == [line.split() for line in plain], (plain, work.lines)
    passed_on = [wait for wait in work.waits if wait.op == "pthread_mutex_lock" and work.ended_by(wait) == wait.said != 0
                 and [by for at, by in work.releases[wait.object] if wait.start <= at <= wait.end]]
    assert len(passed_on) == 6 == len({wait.object for wait in passed_on}), work.waits
    for wait in passed_on:
        assert [by for at, by in work.releases[wait.object] if wait.start <= at <= wait.end] == [wait.said], (wait, work.releases[wait.object])


def a_lock_held_for_5_ms_makes_its_one_waiter_wait_until_it_is_let_go():
    work = Waits(LOCK_WORK, "one")
    cli.same_rows("work.ttap", "work.json")
    held = [Held(*map(int, line)) for line in work.lines]
    # By its address where the program was over before what it has mapped was looked at.
    waits = [wait for wait in work.waits if wait.op == "pthread_mutex_lock"]
    assert {work.locks[wait.object]["name"] for wait in waits} <= {"lock", *(lock["name"] for lock in work.locks.values() if "file" not in lock)}
    # The median: who holds it for a moment only may lose its CPU meanwhile, for longer than the other holds it.
    times = {tid: sorted(one.letting_go - one.got for one in held if one.tid == tid) for tid in {one.tid for one in held}}
    holder = max(times, key=lambda tid: times[tid][len(times[tid]) // 2])
    waits = [wait for wait in waits if wait.tid != holder]
    assert len(waits) >= 10, (len(waits), work.waits)  # where the machine let the waiter be late, there was nothing to wait for
    wrong = []
    for wait in waits:
        letting_go = min(one.letting_go for one in held if one.tid == holder and one.let_go >= wait.start)
        if wait.said != holder or wait.end < letting_go - CLOCKS_NS or work.ended_by(wait) != holder:
            wrong.append((wait, holder, letting_go, work.ended_by(wait)))
    assert len(wrong) <= 1, wrong  # one that has just got it, and lost its CPU before it is written who has it, is nobody yet


if __name__ == "__main__":
    cli.main()
