"""What the scheduler's source says about threads that know themselves what they did (tests/support/sched_work.c).

Every lane is looked at for gaps and overlaps in each of these tests. A tier that this machine does not give is skipped with the reason."""

import bisect
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict

from recorded import convert, main, skip
from sched_tables import Document, no_cpu_idle

PROGRAMS, SANITIZED = sys.argv[1], os.environ.get("TTAP_SANITIZE", "")
WORK = sys.argv[2]
SLACK_NS = 100_000  # or 2 %
RECORD_NS = 3_000  # one of the two is told a microsecond before the other
WAKE_APART_NS = 20_000  # one wake, told twice
SWITCH_NS = 16_000  # a switch, where others want the processors and each has the thread's own events to put in place
WIDE_SWITCH_NS = 5_000  # a switch of a CPU that is recorded whole, out of idle
STOLEN_NS = 5_000_000  # a virtual machine's CPU may be away for a timer tick: running by the records, not by the thread's clock
CLOCKS_NS = 1_000_000  # two seconds before the first pair of clocks, ticks are turned into time by what the window's pairs say
OTHER_MIN_NS = 50_000  # shorter stretches of other processes are left out
PAIRS_NS = 1_000  # one tick may be two times, before and behind the next pair of clocks: docs/format.md
BEGAN_BEFORE = 1  # a flag of rows: open_start
BLOCKED = {"blocked", "lock", "network", "file", "sleep"}
NOBODY = 65534


def check_tiled(document):
    """Per thread one sequence of states without gap or overlap, from the window's start to its end."""
    assert document.told() and document.end["identity"] == "exact", document.end
    if not document.end["account"]["lost_full"]:
        assert "disagreements" not in document.end, document.end
    for number, lane in document.told().items():
        at = 0
        for start, dur, state, *_ in lane.states:
            assert start == at and dur > 0, (number, lane.name, state, start, at)
            at = start + dur
        assert at == document.window, (number, lane.name, at, document.window)


def read(native):
    document = Document(convert(PROGRAMS, native))
    print(document.source)
    check_tiled(document)
    return document


def stolen_ns():
    """From this virtual machine's CPUs by others, by the kernel's count, which goes in ticks."""
    return int(open("/proc/stat").readline().split()[8]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def record(mode, *arguments, before=(), child=False, **options):
    folder = tempfile.TemporaryDirectory()
    os.chmod(folder.name, 0o777)
    native = os.path.join(folder.name, "a.ttap")
    stolen = stolen_ns()
    done = subprocess.run([*before, WORK, mode, native, *arguments], stdout=subprocess.PIPE, text=True, timeout=100, **options)
    stolen = stolen_ns() - stolen + 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    if done.returncode == 77:
        skip(done.stdout.strip())
    assert done.returncode == 0, done
    documents = (read(native), read(native + ".child")) if child else (read(native),)
    for document in documents:
        document.stolen_ns = stolen
    return documents if child else documents[0]


def record_switches(mode, *arguments, **options):
    documents = record(mode, *arguments, **options)
    first = documents[0] if isinstance(documents, tuple) else documents
    if not first.source.startswith("on: every switch"):
        skip(f"no switch records here: {first.source}")
    return documents


def may_record_others():
    effective = int(re.search(r"CapEff:\s*(\w+)", open("/proc/self/status").read()).group(1), 16)
    return bool(effective & (1 << 38 | 1 << 21))  # CAP_PERFMON, CAP_SYS_ADMIN


def near(told, measured, whole=0):
    """Within 2 %, or 100 us; of the whole stretch where a share is compared."""
    return abs(told - measured) <= max(SLACK_NS, 0.02 * max(measured, whole))


def blocked(totals):
    return sum(ns for state, ns in totals.items() if state in BLOCKED)


def check_measured(document, threads):
    """Running is the thread's CPU clock, which leaves out what was stolen from its CPU; and where it says how long its calls slept, blocked and
    runnable are that."""
    lanes = list(document.measured())
    assert len(lanes) == threads, len(lanes)
    for number, lane, totals in lanes:
        said = lane.counters
        print(number, dict(totals), said)
        assert near(sum(totals.values()), said["wall_ns"]), (number, dict(totals), said)
        stolen = max(0, min(document.stolen_ns, totals["running"] - said["cpu_ns"]))
        assert near(totals["running"] - stolen, said["cpu_ns"], said["wall_ns"]), (number, dict(totals), said, document.stolen_ns)
        yield number, lane, totals, said


def known_sleeps_are_blocked_for_as_long_as_they_took():
    for number, _, totals, said in check_measured(record_switches("sleeps"), 1):
        waiting = blocked(totals) + totals["runnable"]
        assert waiting >= 300_000_000 and blocked(totals) <= said["asleep_ns"] + SLACK_NS, (number, dict(totals))
        assert near(blocked(totals), said["asleep_ns"]) or near(waiting, said["wall_ns"] - said["cpu_ns"]), (number, dict(totals), said)


def a_spin_is_running_or_runnable_and_never_blocked():
    for number, _, totals, _ in check_measured(record_switches("spin"), 1):
        assert blocked(totals) == 0 and sum(totals.values()) >= 299_000_000, (number, dict(totals))


def two_spinning_threads_on_one_cpu_run_in_turn():
    document = record_switches("pair")
    lanes = list(check_measured(document, 2))
    spans = []
    for number, lane, totals, _ in lanes:
        assert blocked(totals) == 0 and totals["runnable"] >= 0.3 * sum(totals.values()), (number, dict(totals))
        begin, end = lane.instants["begin"], lane.instants["end"]
        inside = [s for s in lane.states if s[0] >= begin and s[0] + s[1] <= end and s[2] == "running"]
        assert {s[3] for s in inside} == {0}, (number, {s[3] for s in inside})
        spans += [(s[0], s[0] + s[1]) for s in inside]
    spans.sort()
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:])), "both ran at once on one CPU"


def threads_of_a_ping_pong_wait_for_each_other():
    document = record_switches("pingpong")
    for number, lane, totals in check_pingpong(document):
        assert blocked(totals) + totals["runnable"] > 0, (number, dict(totals), lane.counters)


def check_pingpong(document):
    """A thread that is woken runs by its own clock from the moment at which it is put on the queue, but by the records when it has the CPU; and each
    switch takes some microseconds: docs/design/states.md, known errors."""
    lanes = list(document.measured())
    assert len(lanes) == 2, len(lanes)
    for number, lane, totals in lanes:
        begin, end = lane.instants["begin"], lane.instants["end"]
        on_queue = sum(max(0, until_run) for at, _, to, until_run, _ in document.wakes if to == number and begin < at < end)
        switches = sum(1 for s in lane.states if s[2] == "running")
        in_switches = switches * (WIDE_SWITCH_NS if may_record_others() else SWITCH_NS)
        gap = lane.counters["cpu_ns"] - totals["running"]
        print(f"{number} {dict(totals)} {lane.counters}: {gap} ns less than its clock; {switches} switches, {on_queue} ns from wakes to runs")
        share = 0.02 * lane.counters["wall_ns"] + SLACK_NS
        assert -share - STOLEN_NS <= gap <= share + max(on_queue, in_switches), (number, gap, switches, on_queue)
    return lanes


PARKED = {
    "park.epoll": "network", "park.cond": "lock", "park.futex": "lock", "park.read": "blocked", "park.sleep": "sleep",
    "park.join": "lock", "park.pause": "blocked",
}


def check_parked(document):
    parked = [lane for lane in document.told().values() if lane.name in PARKED]
    assert len(parked) >= 42, len(parked)
    for lane in parked:
        assert len(lane.states) == 1, (lane.name, lane.states)
        start, dur, state, _, call, flags = lane.states[0]
        assert (start, dur, state) == (0, document.window, PARKED[lane.name]), (lane.name, lane.states)
        assert call >= 0 and flags & 3 == 3, (lane.name, call, flags)


def threads_parked_since_before_the_window_are_blocked_for_all_of_it():
    check_parked(record_switches("parked", "--seconds", "0.3"))


def threads_parked_since_before_the_window_are_blocked_for_all_of_it_without_perf():
    document = record("parked", "--no-perf", "--seconds", "0.5")
    assert document.source.startswith("on: sampled "), document.source
    check_parked(document)


def a_task_begun_two_seconds_before_the_window_is_as_long_as_it_was():
    document = record("task", "--seconds", "0.1")
    ((kind, start, dur, status, flags),) = document.tasks
    (said,) = [lane.counters for lane in document.lanes.values() if "at_least_ns" in lane.counters]
    print(start, dur, said, document.window)
    assert (kind, status, flags) == ("early", 0, BEGAN_BEFORE), document.tasks
    assert start <= CLOCKS_NS - 2_000_000_000 and 0 < start + dur < document.window, (start, dur, document.window)
    assert said["at_least_ns"] - CLOCKS_NS <= dur <= said["at_most_ns"] + CLOCKS_NS, (dur, said)


def threads_that_live_for_a_millisecond_are_seen_from_begin_to_end():
    document = record_switches("churn")
    lanes = list(document.measured())
    assert len(lanes) == 100, len(lanes)
    off = [(number, dict(totals), lane.counters) for number, lane, totals in lanes
           if not near(totals["running"], lane.counters["cpu_ns"]) or not near(sum(totals.values()), lane.counters["wall_ns"])]
    assert len(off) <= 5, off  # a machine that gives its CPU away for 100 us counts that as running, the thread's clock does not
    for number, lane, totals in lanes:
        states = [s[2] for s in lane.states]
        assert states[0] == states[-1] == "gone" and "gone" not in states[1:-1], (number, states)
        assert states[1] == "runnable" and blocked(totals) >= 900_000, (number, states)
    assert len(document.lanes) == len(document.told()), "a thread has two numbers"


def without_perf_the_threads_are_sampled_and_it_is_said():
    document = record("sleeps,spin", "--no-perf", "--seconds", "1")
    assert document.source.startswith("on: sampled ") and "refused" in document.source and "cap-add=PERFMON" in document.source
    period = 1e9 / int(document.source.split()[2])
    for number, lane, totals in document.measured():
        said = lane.counters
        print(number, dict(totals), said)
        # One look's distance at each end, where the thread was not seen, and the kernel's own lag of a tick at each look.
        allowed = 2 * period + 20_000_000
        assert abs(totals["running"] - said["cpu_ns"]) <= allowed, (number, dict(totals), said)
        assert all(flags & 4 for start, dur, state, _, _, flags in lane.states if state == "running"), lane.states
    assert len(list(document.measured())) == 2


def a_service_run_by_nobody_records_every_switch_where_paranoid_is_2():
    if os.geteuid() != 0:
        skip("only root can become nobody")
    document = record_switches("sleeps", user=NOBODY, group=NOBODY, extra_groups=[])
    assert "not who woke whom" in document.source
    list(check_measured(document, 1))


def switches_that_did_not_fit_into_the_rings_are_counted_and_the_time_is_unknown():
    document = record_switches("pingpong", env=dict(os.environ, TRACETAP_BUDGET="1M"))  # rings of 16 KiB
    lost = document.end["account"]["lost_full"]
    if not lost:
        skip("even the smallest ring was large enough: the machine switched slowly")
    lanes = list(document.measured())
    unknown = [totals["unknown"] for _, _, totals in lanes]
    print(lost, unknown)
    assert len(lanes) == 2 and all(unknown), unknown
    for number, lane, totals in lanes:
        assert totals["running"] <= lane.counters["cpu_ns"] + 0.02 * lane.counters["wall_ns"] + STOLEN_NS, (number, dict(totals), lane.counters)


def a_program_that_closes_all_descriptors_is_recorded_on():
    document = record_switches("sleeps,closing")
    for number, _, totals, said in check_measured(document, 1):
        assert near(blocked(totals), said["asleep_ns"]), (number, dict(totals), said)


def a_forked_child_captures_its_own_threads_and_its_parent_its_own():
    if SANITIZED:
        skip("sanitizers do not support threads in the child of a program with threads")
    document, child = record_switches("sleeps,fork", child=True)
    for one in (document, child):
        pids = {lane.info["pid"] for lane in one.told().values()}
        assert pids == {one.capture["pid"]}, (pids, one.capture["pid"])
        for number, _, totals, said in check_measured(one, 1):
            assert near(blocked(totals), said["asleep_ns"]), (number, dict(totals), said)
    assert document.capture["pid"] != child.capture["pid"]


def record_wakes(mode, start='exec "$@"', **options):
    mount = "{ umount -q /sys/kernel/tracing; mount -t tracefs nodev /sys/kernel/tracing; } && "
    if subprocess.run(["unshare", "-m", "sh", "-c", mount + "true"], stderr=subprocess.DEVNULL).returncode:
        skip("tracefs cannot be mounted here")
    with no_cpu_idle():
        document = record_switches(mode, before=["unshare", "-m", "sh", "-c", mount + start, "-"], **options)
    if "who woke whom:" in document.source:
        skip(document.source)
    return document


def in_a_ping_pong_each_is_woken_by_the_other():
    document = record_wakes("pingpong")
    (a, _, _), (b, _, _) = check_pingpong(document)
    lanes = document.told()
    for one, other in ((a, b), (b, a)):
        begin, end = lanes[one].instants["begin"], lanes[one].instants["end"]
        waits = [s for s in lanes[one].states if s[2] in BLOCKED and s[0] > begin and s[0] + s[1] < end]
        wakes = {at: source for at, source, to, *_ in document.wakes if to == one}
        right = sum(1 for s in waits if wakes.get(s[0] + s[1]) == other)
        print(one, len(waits), right)
        assert waits and right >= 0.999 * len(waits), (len(waits), right)


def a_sleep_is_ended_by_an_interrupt_and_no_thread():
    document = record_wakes("sleeps")
    ((number, lane, _),) = document.measured()
    begin, end = lane.instants["begin"], lane.instants["end"]
    wakes = [w for w in document.wakes if w[2] == number and begin < w[0] < end]
    # Shorter waits are for memory or a lock of the kernel's, and may be ended by any thread; ThreadSanitizer's runtime has one of its own.
    slept = {s[0] + s[1] for s in lane.states if s[2] in BLOCKED and s[1] > 15_000_000 and begin < s[0] and s[0] + s[1] < end}
    of_sleeps = [w for w in wakes if w[0] in slept]
    odd = [w for w in of_sleeps if w[1] != -1 or w[4] != "interrupt"]
    print(len(slept), len(wakes), len(of_sleeps), odd)
    assert len(of_sleeps) >= 14 and not odd, (len(of_sleeps), odd)
    assert all(w[3] >= 0 for w in of_sleeps), "a wake that was not followed by a run"


def what_else_runs_on_a_cpu_is_told():
    """Two threads on one CPU, and a process of its own that spins there: the CPU is somebody's all the time."""
    with subprocess.Popen(["taskset", "-c", "0", "sh", "-c", "while :; do :; done"]) as spins:
        try:
            document = record_switches("pair", "--seconds", "0.4")
        finally:
            spins.kill()
    others = [one for one in document.others if one[2] == 0]
    if not document.others and not may_record_others():
        skip("others may not be recorded here")
    by_process = Counter()
    for _, dur, _, pid, name in others:
        by_process[pid, name] += dur
    print(document.source, by_process.most_common(5))
    assert by_process[spins.pid, "sh"] >= 0.1 * document.window, by_process
    ours = [(at, dur) for lane in document.told().values() for at, dur, state, cpu, *_ in lane.states if state == "running" and cpu == 0]
    taken = sorted(ours + [(at, dur) for at, dur, *_ in others])
    assert all(dur >= OTHER_MIN_NS for at, dur, *_ in document.others if at), document.others  # one at the window's start is cut there
    at_once = [(one, after) for one, after in zip(taken, taken[1:]) if sum(one) > after[0] + PAIRS_NS]
    assert not at_once, at_once
    idle = document.window - sum(dur for _, dur in taken)
    assert idle <= 0.05 * document.window, (idle, document.window)


def lost_by_perf(data):
    dump = subprocess.run(["perf", "script", "-i", data, "--show-lost-events", "-D"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return dump.count("PERF_RECORD_LOST")


def perf_says(data):
    """What `perf sched record` saw: of each thread the moments at which it begins to run, could run, or was blocked; who woke it when; and for how long
    it cannot have done what was seen. Of some tasks (an idle thread, an agent of the host's) a virtual machine's kernel told no event, so that who came
    behind them is first seen when it leaves; a task that has ended goes by -1."""
    script = subprocess.run(["perf", "script", "-i", data, "--ns", "-F", "tid,time,event,trace"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True, check=True).stdout
    turns, wakes, unsure_ns = defaultdict(list), defaultdict(list), defaultdict(int)
    for tid, seconds, ns, event, words in re.findall(r"^\s*(-?\d+)\s+(\d+)\.(\d{9}):\s+sched:(sched_switch|sched_waking):\s+(.*)$", script, re.M):
        at = int(seconds) * 1_000_000_000 + int(ns)
        if event == "sched_switch":
            gone, state, came = re.search(r"prev_pid=(\d+) .*prev_state=(\S+) ==> .*next_pid=(\d+)", words).groups()
            if turns[int(gone)] and turns[int(gone)][-1][1] != "running":
                unsure_ns[int(gone)] += at - turns[int(gone)][-1][0]
            turns[int(gone)].append((at, "runnable" if state[0] == "R" else "blocked"))
            turns[int(came)].append((at, "running"))
        else:
            woken = int(re.search(r" pid=(\d+)", words).group(1))
            wakes[woken].append((at, int(tid)))
            if not turns[woken] or turns[woken][-1][1] == "blocked":
                turns[woken].append((at, "runnable"))
    return turns, wakes, unsure_ns


def perf_totals(turns, begin, end):
    sums = defaultdict(int)
    for (at, word), (until, _) in zip(turns, turns[1:] + [(end, None)]):
        sums[word] += max(0, min(end, until) - max(begin, at))
    return sums


def perf_sched_says_the_same_of_the_same_run():
    """Two recorders of one run, with a clock in common. A switch is told to perf some microseconds before its own record is made."""
    if not shutil.which("perf"):
        skip("perf is not installed")
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "perf.data")
        apart_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        document = record_wakes("sleeps,pair,pingpong", f'exec perf sched record -q -k CLOCK_MONOTONIC -m 4096 -o {data} -- "$@"', stderr=subprocess.DEVNULL)
        if lost := lost_by_perf(data):
            skip(f"perf record lost records itself, {lost} times")
        turns, wakes, unsure_ns = perf_says(data)
    zero = int(document.capture["t0_unix_ns"]) - apart_ns
    tids = {number: lane.info["tid"] for number, lane in document.lanes.items()}
    lanes = list(document.measured())
    assert len(lanes) == 5, len(lanes)
    known = right = 0
    for number, lane, totals in lanes:
        begin, end = lane.instants["begin"], lane.instants["end"]
        theirs = perf_totals(turns[tids[number]], zero + begin, zero + end)
        ours = {"running": totals["running"], "runnable": totals["runnable"], "blocked": blocked(totals)}
        switches = sum(1 for s in lane.states if s[2] == "running" and begin <= s[0] < end)
        slack_ns = max(SLACK_NS, 0.02 * (end - begin)) + switches * RECORD_NS + unsure_ns[tids[number]]
        print(lane.name, ours, dict(theirs), f"{switches} switches, {totals['unknown']} ns unknown, {unsure_ns[tids[number]]} ns to perf")
        assert all(abs(ours[word] - theirs[word]) <= slack_ns + totals["unknown"] for word in ours), (number, ours, dict(theirs), slack_ns)
        heard = sorted((at, tids.get(source)) for at, source, to, _, cause in document.wakes if to == number and cause == "thread" and begin < at < end)
        for at, waker in wakes[tids[number]]:
            i = bisect.bisect(heard, (at - zero, 0))
            near_it = [one for one in heard[max(0, i - 1):i + 1] if abs(one[0] - (at - zero)) <= WAKE_APART_NS]
            known += bool(near_it)
            right += waker in (told for _, told in near_it)
    print(f"{known} wakes that both tell of, {right} by the same thread")
    assert known >= 1000 and right >= 0.999 * known, (known, right)


if __name__ == "__main__":
    main()
