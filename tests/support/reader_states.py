"""reader_states.py - what a thread was doing, by the rule of docs/design/states.md, and why it was blocked.

      events of level 2, and the losses between them --> pieces of time, one after the other --> joined with the thread's calls

Times are nanoseconds. A piece is [start, end, state, cpu, call, why, flags]. Of streams that only look now and then (how 1) the rule gives sums and no
places: `looks_only` says so, and they are left out of the comparison.
"""

import reader as r

OPEN_START, OPEN_END, ESTIMATED = 1, 2, 4
UNKNOWN, RUNNING, RUNNABLE, BLOCKED, GONE, EITHER = range(6)
CAUSES = ["blocked", "lock", "network", "file", "sleep"]
NAMES = {UNKNOWN: "unknown", RUNNING: "running", RUNNABLE: "runnable", GONE: "gone"}
WAKE_CAUSES = {1: "thread", 2: "process", 3: "interrupt"}
BEFORE = {
    r.SCHED_RUN: UNKNOWN,
    r.SCHED_PREEMPT: RUNNING,
    r.SCHED_BLOCK: RUNNING,
    r.SCHED_WAKE: BLOCKED,
    r.SCHED_BEGIN: GONE,
    r.SCHED_END: RUNNING,
}


def looks_only(events):
    return any(event and event[1] in (r.SCHED_LOOK, r.SCHED_BEGIN, r.SCHED_END) and event[2]["how"] for event in events)


class States:
    """`events`: (ns, kind, values) in order, None where some are missing."""

    def __init__(self, events, end_ns):
        self.pieces, self.wakes, self.disagreements = [], [], 0
        self.now, self.start, self.flags = None, 0, OPEN_START  # now: [state, cpu, call, why]
        self.lost = self.either = False
        self.look = None  # (ns, run_ns, slices) if no switch came since
        self.woken = None
        latest = 0
        for event in events:
            if event is None:
                self.lost, self.woken = self.now is not None, None
                continue
            latest = max(latest, event[0])
            self._event(latest, event[1], event[2])
        if self.now:
            if self.lost:
                self._was(UNKNOWN)
            self._piece(end_ns)
            if self.pieces and self.pieces[-1][1] == end_ns:
                self.pieces[-1][6] |= OPEN_END
        if self.woken:
            self.wakes.append((*self.woken, -1))

    def _was(self, state):
        """What went on until now proves to have been something else."""
        self.now = [state, -1, -1, 0]

    def _piece(self, ns):
        if ns > self.start:
            self.pieces.append([self.start, ns, *self.now, self.flags])
            self.flags = 0
        self.start = max(ns, self.start)

    def _become(self, ns, state, cpu=-1):
        self._piece(ns)
        self.now = [state, cpu, -1, 0]

    def _event(self, ns, kind, values):
        if self.now is None:
            self._was(BEFORE[kind] if kind != r.SCHED_LOOK else {EITHER: RUNNABLE}.get(values["state"], values["state"]))
            self.either = kind == r.SCHED_LOOK and values["state"] == EITHER
            if self.now[0] == RUNNING and kind == r.SCHED_LOOK:
                self.now[1] = values["cpu"] - 1
        if kind == r.SCHED_LOOK:
            self._look(ns, values)
            return
        if kind == r.SCHED_BEGIN:
            self.lost = self.either = False
            self._become(ns, RUNNABLE)
            self.look = (ns, 0, 0)
            return
        self._show(kind)
        if kind == r.SCHED_RUN:
            self._become(ns, RUNNING, values["cpu"])
            if self.woken:
                self.wakes.append((*self.woken, ns - self.woken[0]))
                self.woken = None
        elif kind == r.SCHED_WAKE:
            self._become(ns, RUNNABLE)
            self.woken = (ns, values["by"], WAKE_CAUSES.get(values["cause"], "unknown"))
        else:
            self._become(ns, {r.SCHED_PREEMPT: RUNNABLE, r.SCHED_BLOCK: BLOCKED, r.SCHED_END: GONE}[kind])
        if kind != r.SCHED_WAKE:
            self.look = None
        if kind == r.SCHED_END:
            self.woken = None

    def _show(self, kind):
        """What an event shows of the time before it."""
        wanted = {r.SCHED_RUN: (RUNNABLE, BLOCKED), r.SCHED_WAKE: (BLOCKED,)}.get(kind, (RUNNING,))
        if self.lost:
            self._was(UNKNOWN)
        elif self.either:
            self.now[0] = wanted[0]
        elif self.now[0] not in (*wanted, UNKNOWN):
            self.disagreements += 1
        self.lost = self.either = False

    def _look(self, ns, values):
        state, undecided = values["state"], self.either and self.look
        if state == UNKNOWN:
            self._was(UNKNOWN)
            self.lost = self.either = False
            return
        if self.lost:
            self._was(UNKNOWN)
            self.lost = self.either = False
        elif self.look and self.either and self.look[2] == values["slices"]:
            ran = min(max(values["run_ns"] - self.look[1], 0), ns - self.look[0])
            self.now[0] = RUNNING if 2 * ran >= ns - self.look[0] else RUNNABLE
            self.either = False
        if state == EITHER and (undecided or self.now[0] not in (RUNNING, RUNNABLE)):
            self._become(ns, RUNNABLE)
            self.either = True
        elif state != EITHER and state != self.now[0]:
            self._become(ns, state, values["cpu"] - 1 if state == RUNNING else -1)
            self.either = False
        if self.now[0] == BLOCKED and values["call"] >= 0:
            self.now[2:] = [values["call"], values["why"] if values["why"] < len(CAUSES) else 0]
        self.look = (ns, values["run_ns"], values["slices"])


def call_of(start, end, calls):
    """The call that covers most of a stretch, and at least half; of several that cover alike the inner one, which returned first."""
    best, most = None, 0
    for call in calls:
        inside = min(end, call["start"] + call["dur"]) - max(start, call["start"])
        if inside > most and inside >= (end - start) // 2:
            best, most = call, inside
    return best


def rows_of(lane, pieces, calls):
    """`calls`: those of the lane, in order of their returns, each with its `why`."""
    for start, end, state, cpu, number, why, flags in pieces:
        call = call_of(start, end, calls) if state == BLOCKED else None
        yield {
            "lane": lane,
            "start": start,
            "dur": end - start,
            "state": NAMES.get(state) or (call["why"] if call else CAUSES[why]),
            "cpu": cpu,
            "call": number,
            "op": call["op"] if call else None,
            "object": call["object"] if call else None,
            "stack": call["stack"] if call else None,
            "flags": flags,
        }


def merged(rows):
    """Rows of a lane that say the same one after the other are one: where a writer begins a new row is its own affair."""
    out = []
    for row in sorted(rows, key=lambda row: (repr(row["lane"]), row["start"])):
        before = out[-1] if out else None
        same = before and all(before[name] == row[name] for name in row if name not in ("start", "dur", "flags"))
        if same and before["start"] + before["dur"] == row["start"] and row["state"] in ("running", "runnable", "unknown", "gone"):
            before["dur"] += row["dur"]
            before["flags"] |= row["flags"]
        else:
            out.append(dict(row))
    return out
