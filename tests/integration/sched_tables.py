"""The tables of viewer JSON that the scheduler's tests look at: states, wakes, and the marks threads left of themselves."""

import contextlib
import json
import os
import subprocess
import sys
from collections import defaultdict

from recorded import rows, timed_rows


@contextlib.contextmanager
def no_cpu_idle():
    """Something of low priority on each CPU: some virtual machines' kernels tell of no wake that an interrupt of an idle CPU makes (nor does perf)."""
    spin = "import os, sys\nos.nice(19)\nos.sched_setaffinity(0, {int(sys.argv[1])})\nos.write(1, b'.')\nwhile os.getppid() == int(sys.argv[2]): pass"
    spinners = [subprocess.Popen([sys.executable, "-c", spin, str(cpu), str(os.getpid())], stdout=subprocess.PIPE) for cpu in os.sched_getaffinity(0)]
    try:
        for spinner in spinners:
            spinner.stdout.read(1)
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.stdout.close()
            spinner.wait()


class Lane:
    def __init__(self):
        self.info = {}
        self.states = []  # (start, dur, state, cpu, call, flags)
        self.instants = {}  # name -> last time
        self.counters = {}  # name -> last value

    @property
    def name(self):
        return self.info.get("name", "")

    def totals(self, begin, end):
        """Nanoseconds of each state between two moments."""
        sums = defaultdict(int)
        for start, dur, state, *_ in self.states:
            inside = min(end, start + dur) - max(begin, start)
            if inside > 0:
                sums[state] += inside
        return sums


class Document:
    def __init__(self, path):
        with open(path, encoding="ascii") as file:
            document = json.load(file)
        self.capture, self.end = document["capture"], document["end"]
        self.window = self.end["dur_ns"]
        self.source = self.capture["notes"]["source.sched"]
        self.lanes = defaultdict(Lane)
        self.others = []  # (start, dur, cpu, pid, name)
        self.wakes = []  # (time, from lane, to lane, ns until it ran, cause)
        self.tasks = []  # (kind, start, dur, status, flags)
        self._strings = []
        for chunk in document["chunks"]:
            getattr(self, "_" + chunk["t"], lambda chunk: None)(chunk)

    def _str(self, chunk):
        self._strings += chunk["v"]

    def _lane(self, chunk):
        self.lanes[chunk["id"]].info = chunk

    def _state(self, chunk):
        for at, dur, state, cpu, call, flags in timed_rows(chunk, "dur", "state", "cpu", "call", "flags"):
            self.lanes[chunk["lane"]].states.append((at, dur, self._strings[state], cpu, call, flags))

    def _instant(self, chunk):
        for at, name in timed_rows(chunk, "name"):
            self.lanes[chunk["lane"]].instants[self._strings[name]] = at

    def _counter(self, chunk):
        for _, value in timed_rows(chunk, "v"):
            self.lanes[chunk["lane"]].counters[self._strings[chunk["name"]]] = value

    def _task(self, chunk):
        for kind, *row in rows(chunk, "kind", "start", "dur", "status", "flags"):
            self.tasks.append((self._strings[kind], *row))

    def _other(self, chunk):
        for at, dur, cpu, pid, name in timed_rows(chunk, "dur", "cpu", "pid", "name"):
            self.others.append((at, dur, cpu, pid, self._strings[name]))

    def _wake(self, chunk):
        for at, to, run, cause in timed_rows(chunk, "to", "run", "cause"):
            self.wakes.append((at, chunk["lane"], to, run, self._strings[cause]))

    def told(self):
        return {number: lane for number, lane in self.lanes.items() if lane.states}

    def measured(self):
        """Lanes of threads that measured themselves, with their totals between their marks."""
        for number, lane in sorted(self.told().items()):
            if "begin" in lane.instants and "end" in lane.instants:
                yield number, lane, lane.totals(lane.instants["begin"], lane.instants["end"])
