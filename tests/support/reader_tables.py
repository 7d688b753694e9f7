"""reader_tables.py - the rows of docs/format.md, section 7, from a Capture.

      items in file order --> one Stream per (thread, level): open regions, task, waits, phases --> rows as things end
                          \\-> Tasks: one record per task id, whoever describes it first       --> rows at the end

Rows are dicts. A lane is its key (pid, tid, kind, which of that name), an object likewise; a task is a wire id until
`canonical` numbers them. Ticks become nanoseconds only at the end, when all clock pairs are known.

Where events are missing, what is known begins again with the head of the next run. What was open before and is not
listed there ended somewhere in the gap: it is shown up to where its place is taken, or to the head's time, with
open_end. What is listed and new has its true begin. A wait or phase whose begin is missing begins where knowledge
began: at the window's start or at the last such head.
"""

import reader as r
import reader_requests
import reader_states

OPEN_START, OPEN_END = 1, 2
WAIT_WHY = {1: "full", 2: "empty"}
TIMED = {"region", "work", "wait", "gc", "lost", "call", "other"}  # tables with start and dur, clipped to the window
CALLS = {r.LOCK_CALL: "lock", r.NET_CALL: "network", r.FILE_CALL: "file", r.SLEEP_CALL: "sleep"}  # and why one is blocked in it
INT32_MAX = (1 << 31) - 1
JSON_EXACT = 1 << 53  # beyond this a viewer's numbers are not exact, so no pid or tid of a document is
POINTS = {"log", "instant", "counter", "depth", "alloc", "sample", "alloc_sample", "release"}  # tables with a time only


class Clock:
    """Section 5. Floors to whole nanoseconds."""

    def __init__(self, capture):
        self.pairs = capture.clock_pairs
        self.hz = capture.header.ticks_per_second or 1
        self.base_mono_ns = capture.header.base_mono_ns

    def ns(self, ticks):
        pairs = self.pairs
        if len(pairs) == 1:
            return (ticks - pairs[0][0]) * 1000000000 // self.hz
        after = 1
        while after < len(pairs) - 1 and ticks > pairs[after][0]:
            after += 1
        (t0, m0), (t1, m1) = pairs[after - 1], pairs[after]
        return m0 + (ticks - t0) * (m1 - m0) // (t1 - t0) - self.base_mono_ns

    def slope_error_ns(self):
        """How far a reader that used an earlier slope can be off, roughly: the pairs against the nominal rate."""
        first = self.pairs[0]
        return max(abs((t - first[0]) * 1000000000 // self.hz - (m - first[1])) for t, m in self.pairs)


def signed(ticks):
    """A start before the clock's own zero, wrapped by the 64-bit difference, as the negative number it means."""
    return ticks - (1 << 64) if ticks >> 63 else ticks


class Task:
    def __init__(self, number):
        self.id = number
        self.described = False
        self.parent = 0
        self.kind = 0
        self.start = 0
        self.end = None
        self.status = 2
        self.lane = None
        self.end_lane = None
        self.code = 0
        self.text = ""
        self.trace = ""

    def describe(self, parent, kind, start, lane):
        if not self.described:
            self.described, self.parent, self.kind, self.start = True, parent, kind, start
        self.lane = self.lane or lane


class Stream:
    """What one level of one thread has open. Begins are ticks; `known_from` is where knowledge last began."""

    def __init__(self, thread, lane, level, base_ticks):
        self.thread = thread
        self.lane = lane
        self.level = level
        self.next_seq = None
        self.regions = []  # [depth, name, begin, task, flags]
        self.task = 0
        self.work = None  # [task, begin, flags]
        self.waits = {}  # object -> [begin, why, task, flags]
        self.phases = []  # [phase, begin, flags]
        self.known_from = base_ticks


class Tables:
    def __init__(self, capture):
        self.capture = capture
        self.base = capture.header.base_ticks
        self.clock = Clock(capture)
        self.latest = self.base
        self.rows = {
            name: [] for name in ["region", "work", "attr", "log", "instant", "counter", "depth", "alloc", "wait", "gc", "lost", "sample", "alloc_sample", "call", "release", "other"]
        }
        self.tasks = {}
        self.lanes = {}  # (thread, level) -> lane key
        self.lane_names = {}
        self.objects = {}  # what it is -> [kind, name], in order of appearance
        self.asking = set()  # sockets that ask, as their names say
        self.pids = {}  # of threads, as far as they are told
        self.programs = {}  # thread -> the one with its ids that was told before it, which it was before it executed another program
        self.sched = {}  # thread -> its scheduler's events, None where some are missing
        self.call_stacks = {}  # thread -> (start, stack) of the call that is told next
        self.unreturned = []
        self.gone = {}  # thread -> when its scheduler's stream says that it ended
        self.streams = {}
        self.threads_by_tid = {}
        for item in capture.items:
            self._take(item)
        for ticks, _ in capture.clock_pairs:
            self._see(ticks)
        self.end = capture.trailer["end_ticks"] if capture.trailer else self.latest
        for pending in self.unreturned:
            self._unreturned(pending)
        for stream in self.streams.values():
            self._close(stream)

    # Items

    def _take(self, item):
        if isinstance(item, r.Thread):
            before = self.threads_by_tid.get(item.tid)
            if item.thread not in self.pids and before and before.pid == item.pid:
                self.programs[item.thread] = before.thread if before.thread in self.sched else self.programs.get(before.thread, before.thread)
            self.pids[item.thread] = item.pid
            self.threads_by_tid[item.tid] = item
            self._lane(item.thread, 0)
            for level in (0, 1):
                if (item.thread, level) in self.lanes:
                    self.lane_names[self.lanes[item.thread, level]] = r.text(item.name)
        elif isinstance(item, r.Run):
            self._run(item)
        elif isinstance(item, r.Loss):
            self._loss(item)
        elif isinstance(item, r.Pending):
            self._lane(item.thread, 0)
            thing = self._called(self.pids.get(item.thread, 0), item.object, item.kind == r.LOCK_CALL)
            self.unreturned.append((item, thing))
        else:
            self._current_task(item)

    def _see(self, ticks):
        self.latest = max(self.latest, ticks)

    def _lane(self, thread, level):
        if (thread, level) not in self.lanes:
            row = self.capture.threads.get(thread, r.Thread(thread, 0, 0, b""))
            head = (min(row.pid, JSON_EXACT), min(row.tid, JSON_EXACT), "signal" if level else "thread")
            rank = sum(key[:3] == head for key in self.lane_names)
            self.lanes[thread, level] = (*head, rank)
            self.lane_names[self.lanes[thread, level]] = r.text(row.name)
        return self.lanes[thread, level]

    def _stream(self, thread, level):
        if (thread, level) not in self.streams:
            self.streams[thread, level] = Stream(thread, self._lane(thread, level), level, self.base)
        return self.streams[thread, level]

    def _task(self, number):
        return self.tasks.setdefault(number, Task(number))

    def _name(self, name):
        return r.name_of(self.capture, name)

    def _add(self, table, **row):
        self.rows[table].append(row)

    def _current_task(self, item):
        lane = self._lane(item.thread, 0) if item.thread in self.capture.threads else None
        self._task(item.id).describe(item.parent, self._name(item.kind), signed(item.start_ticks), lane)
        stream = self._stream(item.thread, 0) if lane else None
        if stream and stream.next_seq is None and not stream.work:
            stream.task, stream.work = item.id, [item.id, self.base, OPEN_START]

    def _loss(self, loss):
        self._see(loss.to_ticks)
        if loss.lost:
            lane = self._lane(loss.thread, int(loss.level == 1)) if loss.thread else None
            if loss.level == r.LEVEL_SCHED and loss.thread in self.sched:
                self.sched[loss.thread].append(None)
            self._add(
                "lost",
                lane=lane,
                start=loss.from_ticks,
                end=loss.to_ticks,
                count=loss.lost,
                reason=r.LOSS_REASONS.get(loss.reason, "?"),
            )

    # Runs

    def _run(self, run):
        if run.level in (r.LEVEL_PROCESS, r.LEVEL_ALLOC):
            stream = self._stream(run.thread, 0)
            for event in run.events:
                self._see(event.ticks)
                if event.means == r.COUNTER:
                    self._counter(stream, event.ticks, event.values)
                elif event.means == r.ALLOC:
                    self._add("alloc", lane=stream.lane, at=event.ticks, **event.values)
            return
        if run.level > 1:
            if run.level == r.LEVEL_SCHED:
                self._lane(run.thread, 0)
                for event in run.events:
                    self._see(event.ticks)
                    if r.SCHED_RUN <= event.means <= r.SCHED_END:
                        self.sched.setdefault(run.thread, []).append(event)
                    if event.means == r.SCHED_END:
                        self.gone[run.thread] = event.ticks
                    if event.means == r.SCHED_OTHER:
                        self._other(event.ticks, event.values)
                    if event.means == r.SCHED_WAKE and event.values["by"]:
                        self._lane(event.values["by"], 0)
            return
        if run.level == 1 and all(event.means in (r.SAMPLE, r.ALLOC_SAMPLE) for event in run.events):
            for event in run.events:  # about the thread all the same: no lane of handlers for those alone
                self._see(event.ticks)
                self.ACTIONS[event.means](self, self._stream(run.thread, 0), event.ticks, event.values)
            return
        stream = self._stream(run.thread, run.level)
        first, gap = stream.next_seq is None, stream.next_seq != run.first_seq
        before = run.delivered_before + run.filtered_before + run.lost_before
        if gap and (not first or before):
            stream.known_from = run.base_ticks
        self._take_head(stream, run, from_start=first and before == 0)
        for event in run.events:
            self._see(event.ticks)
            act = self.ACTIONS.get(event.means)
            if act:
                act(self, stream, event.ticks, event.values)
        stream.next_seq = run.end_seq()

    def _take_head(self, stream, run, from_start):
        task = run.task.id if run.task else 0
        if run.task:
            lane = stream.lane
            self._task(task).describe(run.task.parent, self._name(run.task.kind), signed(run.task.start_ticks), lane)
        if task != stream.task:
            self._switch(stream, task, self.base if from_start else run.base_ticks, OPEN_START, OPEN_END)
        kept = 0
        for mine, listed in zip(stream.regions, run.regions):
            if (mine[1], mine[2]) != (self._name(listed.name), signed(listed.begin_ticks)):
                break
            mine[0] = listed.depth
            kept += 1
        new = run.regions[kept:]
        ended = min([run.base_ticks] + [signed(listed.begin_ticks) for listed in new[:1]])
        while len(stream.regions) > kept:
            self._end_region(stream, max(ended, stream.regions[-1][2]), OPEN_END)
        for listed in new:
            stream.regions.append([listed.depth, self._name(listed.name), signed(listed.begin_ticks), task, 0])

    def _switch(self, stream, task, ticks, start_flags=0, end_flags=0):
        if stream.work:
            before, begin, flags = stream.work
            self._add("work", lane=stream.lane, start=begin, end=ticks, task=before, flags=flags | end_flags)
        stream.task = task
        stream.work = [task, ticks, start_flags] if task and stream.level == 0 else None

    def _end_region(self, stream, ticks, flags=0):
        depth, name, begin, task, start_flags = stream.regions.pop()
        start_flags |= OPEN_START if begin < self.base else 0
        self._add(
            "region",
            lane=stream.lane,
            depth=depth,
            start=begin,
            end=ticks,
            name=name,
            task=task,
            flags=flags | start_flags,
        )

    # Events

    def _region_begin(self, stream, ticks, v):
        depth = stream.regions[-1][0] + 1 if stream.regions else 0
        stream.regions.append([depth, self._name(v["name"]), ticks, stream.task, 0])

    def _region_end(self, stream, ticks, _v):
        if stream.regions:
            self._end_region(stream, ticks)

    def _region_end_at(self, stream, ticks, v):
        while stream.regions and stream.regions[-1][0] >= v["depth"]:
            self._end_region(stream, ticks)

    def _region_end_open(self, stream, ticks, v):
        self._add(
            "region",
            lane=stream.lane,
            depth=-v["level"],
            start=self.base,
            end=ticks,
            name=self._name(v["name"]),
            task=stream.task,
            flags=OPEN_START,
        )

    def _instant(self, stream, ticks, v):
        self._add("instant", lane=stream.lane, at=ticks, name=self._name(v["name"]), task=stream.task)

    def _log(self, stream, ticks, v):
        self._add(
            "log", lane=stream.lane, at=ticks, cat=self._name(v["category"]), text=r.text(v["text"]), task=stream.task
        )

    def _counter(self, stream, ticks, v):
        self._add("counter", lane=stream.lane, at=ticks, name=self._name(v["name"]), v=v["value"])

    def _task_begin(self, stream, ticks, v):
        self._task(v["task"]).describe(v["parent"], self._name(v["kind"]), ticks, stream.lane)
        self._task(v["task"]).lane = stream.lane

    def _task_end(self, stream, ticks, v):
        task = self._task(v["task"])
        task.describe(v["parent"], self._name(v["kind"]), signed(v["start"]), stream.lane)
        task.end, task.status, task.end_lane = ticks, v["status"], stream.lane

    def _task_enter(self, stream, ticks, v):
        if v["task"]:
            self._task(v["task"])
        if v["task"] != stream.task:
            self._switch(stream, v["task"], ticks)

    def _task_enter_full(self, stream, ticks, v):
        if v["task"]:
            self._task(v["task"]).describe(v["parent"], self._name(v["kind"]), signed(v["start"]), stream.lane)
        self._task_enter(stream, ticks, v)

    def _attr_int(self, _stream, _ticks, v):
        self._task(v["task"])
        self._add("attr", task=v["task"], key=self._name(v["key"]), value=v["value"])

    def _attr_str(self, _stream, _ticks, v):
        self._task(v["task"])
        self._add("attr", task=v["task"], key=self._name(v["key"]), value=r.text(v["text"]))

    def _task_fail(self, _stream, _ticks, v):
        self._task(v["task"]).code, self._task(v["task"]).text = v["code"], r.text(v["text"])

    def _task_trace(self, _stream, _ticks, v):
        self._task(v["task"]).trace = f"{v['trace_hi']:016x}{v['trace_lo']:016x}"

    def _object(self, v):
        key = (v["queue"], self._name(v["name"]))
        self.objects.setdefault(key, ["queue", key[1]])
        return key

    def _called(self, pid, number, is_lock):
        """A lock or a descriptor of a process; None: none."""
        key = (pid, is_lock, number)
        if number:
            self.objects.setdefault(key, ["lock", f"0x{number:x}"] if is_lock else ["descriptor", f"fd {number >> 16 & 0xffffffff if number >> 48 else number & 0xffff}"])
        return key if number else None

    def object_keys(self):
        """Each object by its kind, its last name, and which of that name it is."""
        seen, keys = {}, {None: None}
        for thing, (kind, name) in self.objects.items():
            rank = seen.get((kind, name), 0)
            seen[kind, name] = rank + 1
            keys[thing] = (kind, name, rank)
        return keys

    def _queue_depth(self, stream, ticks, v):
        self._add("depth", lane=stream.lane, object=self._object(v), at=ticks, v=v["depth"])

    def _wait_begin(self, stream, ticks, v):
        thing = self._object(v)
        if thing in stream.waits:
            self._end_wait(stream, thing, ticks, OPEN_END)
        stream.waits[thing] = [ticks, v["why"], stream.task, 0]

    def _wait_end(self, stream, ticks, v):
        thing = self._object(v)
        stream.waits.setdefault(thing, [stream.known_from, v["why"], stream.task, OPEN_START])
        self._end_wait(stream, thing, ticks, 0)

    def _end_wait(self, stream, thing, ticks, flags):
        begin, why, task, start_flags = stream.waits.pop(thing)
        self._add(
            "wait",
            lane=stream.lane,
            start=begin,
            end=ticks,
            object=thing,
            why=WAIT_WHY.get(why, "?"),
            task=task,
            flags=flags | start_flags,
        )

    def _gc_begin(self, stream, ticks, v):
        stream.phases.append([self._name(v["phase"]), ticks, 0])

    def _gc_end(self, stream, ticks, v):
        self._end_phase_named(stream, self._name(v["phase"]), ticks)

    def _end_phase_named(self, stream, name, ticks):
        for index in reversed(range(len(stream.phases))):
            if stream.phases[index][0] == name:
                self._end_phase(stream, index, ticks, 0)
                return
        stream.phases.append([name, stream.known_from, OPEN_START])
        self._end_phase(stream, len(stream.phases) - 1, ticks, 0)

    def _of_stopped(self, stream, tid):
        pid = self.capture.threads[stream.thread].pid
        known = self.threads_by_tid.get(tid)
        young = (thread for thread in self.capture.threads.values() if thread.tid == tid)  # its row comes later
        thread = known or next(young, None)
        return self._stream(thread.thread, 0) if thread and thread.pid == pid else None

    def _gc_stopped(self, stream, ticks, v):
        stopped = self._of_stopped(stream, v["tid"])
        if stopped:
            stopped.phases.append([("stopped", stream.thread), ticks, 0])

    def _gc_resumed(self, stream, ticks, v):
        stopped = self._of_stopped(stream, v["tid"])
        if stopped:
            self._end_phase_named(stopped, ("stopped", stream.thread), ticks)

    def _end_phase(self, stream, index, ticks, flags):
        phase, begin, start_flags = stream.phases.pop(index)
        name = phase[0] if isinstance(phase, tuple) else phase  # a stop, and who told of it
        self._add("gc", lane=stream.lane, start=begin, end=ticks, phase=name, flags=flags | start_flags)

    # Hooked calls

    def _add_call(self, stream, means, op, thing, start, end, result, stack, flags):
        before = start == 0 or start < self.base
        self._add(
            "call",
            lane=stream.lane,
            start=self.base if before else start,
            end=end,
            op=self._name(op),
            object=thing,
            stack=stack,
            result=max(-JSON_EXACT, min(result, JSON_EXACT)),
            task=stream.task,
            flags=flags | (OPEN_START if before else 0),
            why=CALLS.get(means, "sleep"),
            explains=(stream.thread, start),
        )

    def _call(self, stream, ticks, v, means):
        thing = self._called(self.pids.get(stream.thread, 0), v["object"], means == r.LOCK_CALL)
        start, stack = self.call_stacks.pop(stream.thread, (None, None))
        stack = stack if start == v["start"] else None
        self._add_call(stream, means, v["op"], thing, v["start"], ticks, v.get("result", v.get("holder")), stack, 0)

    def _unreturned(self, pending):
        item, thing = pending
        gone = self.gone.get(self._scheduled_as(item.thread, item.start_ticks), self.end)
        self._add_call(self._stream(item.thread, 0), item.kind, item.op, thing, item.start_ticks, gone, 0, None, OPEN_END)

    def _scheduled_as(self, thread, start_ticks):
        """Whose states its call explains: who executes another program goes on as the old thread for the scheduler, and as a new one for the hooks."""
        old = None if thread in self.sched else self.programs.get(thread)
        return old if old in self.sched and start_ticks < self.gone.get(old, start_ticks + 1) else thread

    def _call_stack(self, stream, _ticks, v):
        self.call_stacks[stream.thread] = (v["start"], self._stack_of(v["stack"]))

    def _lock_wake(self, stream, ticks, v):
        thing = self._called(self.pids.get(stream.thread, 0), v["object"], True)
        self._add("release", lane=stream.lane, at=ticks, op=self._name(v["op"]), object=thing)

    def _object_text(self, stream, v, is_socket):
        thing, name = self._called(self.pids.get(stream.thread, 0), v["object"], False), r.text(v["text"])
        if thing:
            self.objects[thing][1] = name or self.objects[thing][1]
        if is_socket and thing and reader_requests.asks_by_name(name):
            self.asking.add(thing)

    def _other(self, ticks, v):
        start, cpu = signed(v["start"]), v["cpu"] if v["cpu"] < INT32_MAX else -1
        self._add("other", lane=None, start=start, end=ticks, cpu=cpu, pid=min(v["pid"], JSON_EXACT), name=self._name(v["name"]),
                  flags=OPEN_START if start < self.base else 0)

    def _sample(self, stream, ticks, v):
        own = self._stream(stream.thread, 0) if (stream.thread, 0) in self.lanes else stream
        stack = self._stack_of(v["stack"])
        self._add("sample", lane=own.lane, at=ticks, cpu_ns=min(v["cpu_ns"], JSON_EXACT), stack=stack, task=own.task)

    def _alloc_sample(self, stream, ticks, v):
        own = self._stream(stream.thread, 0) if (stream.thread, 0) in self.lanes else stream
        size, weight = (min(v[name], JSON_EXACT) for name in ("bytes", "weight"))
        self._add("alloc_sample", lane=own.lane, at=ticks, bytes=size, weight=weight, stack=self._stack_of(v["stack"]), task=own.task)

    def _stack_of(self, number):
        """Names of frames, innermost first; no capture here has files with symbols."""
        stack = self.capture.stacks.get(number)
        if not number or not stack or not stack.frames:
            return None
        return tuple(map(self._frame, stack.frames)) + (("(deeper than recorded)",) if stack.cut() else ())

    def _frame(self, frame):
        module, offset = self.capture.modules.get(frame[0]), frame[1]
        file = module.path.split(b"\0")[0].rsplit(b"/", 1)[-1] if module and frame[0] else b""
        return f"{r.text(file)}+0x{offset:x}" if file else f"0x{offset:x}"

    ACTIONS = {
        r.REGION_BEGIN: _region_begin,
        r.REGION_END: _region_end,
        r.REGION_END_AT: _region_end_at,
        r.REGION_END_OPEN: _region_end_open,
        r.INSTANT: _instant,
        r.LOG: _log,
        r.COUNTER: _counter,
        r.TASK_BEGIN: _task_begin,
        r.TASK_END: _task_end,
        r.TASK_ENTER: _task_enter,
        r.TASK_ENTER_FULL: _task_enter_full,
        r.TASK_ATTR_INT: _attr_int,
        r.TASK_ATTR_STR: _attr_str,
        r.TASK_FAIL: _task_fail,
        r.TASK_TRACE: _task_trace,
        r.QUEUE_ENQUEUE: _queue_depth,
        r.QUEUE_DEQUEUE: _queue_depth,
        r.QUEUE_WAIT_BEGIN: _wait_begin,
        r.QUEUE_WAIT_END: _wait_end,
        r.GC_BEGIN: _gc_begin,
        r.GC_END: _gc_end,
        r.GC_STOPPED: _gc_stopped,
        r.GC_RESUMED: _gc_resumed,
        r.SAMPLE: _sample,
        r.ALLOC_SAMPLE: _alloc_sample,
        r.CALL_STACK: _call_stack,
        r.LOCK_CALL: lambda self, stream, ticks, v: self._call(stream, ticks, v, r.LOCK_CALL),
        r.NET_CALL: lambda self, stream, ticks, v: self._call(stream, ticks, v, r.NET_CALL),
        r.FILE_CALL: lambda self, stream, ticks, v: self._call(stream, ticks, v, r.FILE_CALL),
        r.SLEEP_CALL: lambda self, stream, ticks, v: self._call(stream, ticks, v, r.SLEEP_CALL),
        r.LOCK_WAKE: _lock_wake,
        r.NET_OBJECT: lambda self, stream, _ticks, v: self._object_text(stream, v, True),
        r.FILE_OBJECT: lambda self, stream, _ticks, v: self._object_text(stream, v, False),
    }

    # The end of the window

    def _close(self, stream):
        while stream.regions:
            self._end_region(stream, self.end, OPEN_END)
        self._switch(stream, 0, self.end, 0, OPEN_END)
        for thing in list(stream.waits):
            self._end_wait(stream, thing, self.end, OPEN_END)
        while stream.phases:
            self._end_phase(stream, 0, self.end, OPEN_END)

    # Nanoseconds

    def finished(self):
        """{table: rows} in nanoseconds, with start and dur or at; plus `task` rows with their wire id as `id`."""
        window_ns = max(0, self.clock.ns(self.end))
        tables = {name: [self._timed(name, row, window_ns) for row in rows] for name, rows in self.rows.items()}
        tables["task"] = [self._task_row(task) for task in self.tasks.values() if task.described]
        sockets = [row for row in tables["call"] if row["why"] == "network"]
        tables["request"] = list(reader_requests.requests_of(sockets, self.asking, window_ns))
        tables["other"] = [row for row in tables["other"] if row["start"] + row["dur"] > 0]  # else told up to the edge at which the window begins
        self._add_states(tables, window_ns)
        keys = self.object_keys()
        for row in (row for table in tables.values() for row in table if "object" in row):
            row["object"] = keys[row["object"]]
        for row in tables["call"]:
            del row["why"], row["explains"]
        return tables

    def _add_states(self, tables, window_ns):
        """And wakes. Lanes of threads that were only looked at now and then are told apart: their states have no places to compare."""
        tables["state"], tables["wake"], self.only_looked_at, self.disagreements = [], [], set(), 0
        calls = {}
        for row in tables["call"]:
            calls.setdefault(self.lanes[self._scheduled_as(*row["explains"]), 0], []).append(row)
        for thread, told in self.sched.items():
            lane = self.lanes[thread, 0]
            events = [event and (max(0, self.clock.ns(event.ticks)), event.means, event.values) for event in told]
            if reader_states.looks_only(events):
                self.only_looked_at.add(lane)
                continue
            states = reader_states.States(events, window_ns)
            self.disagreements += states.disagreements
            tables["state"] += reader_states.rows_of(lane, states.pieces, calls.get(lane, []))
            for at, by, cause, run in states.wakes:
                tables["wake"].append({"lane": self.lanes[by, 0] if by else None, "at": at, "to": lane, "run": run, "cause": cause})

    def _timed(self, table, row, window_ns):
        row = dict(row)
        if table in TIMED:
            start = min(max(self.clock.ns(row["start"]), 0), window_ns)
            end = min(max(self.clock.ns(row.pop("end")), start), window_ns)
            row["start"], row["dur"] = start, end - start
        elif table in POINTS:
            row["at"] = self.clock.ns(row["at"])
            row["at"] = max(0, row["at"]) if table in ("sample", "alloc_sample") else row["at"]
        return row

    def _task_row(self, task):
        end = self.end if task.end is None else task.end
        start_ns, end_ns = self.clock.ns(task.start), self.clock.ns(end)
        flags = (OPEN_START if task.start < self.base else 0) | (OPEN_END if task.end is None else 0)
        return {
            "id": task.id,
            "parent": task.parent or None,
            "kind": task.kind,
            "start": start_ns,
            "dur": max(0, end_ns - start_ns),
            "status": task.status,
            "lane": task.lane,
            "end_lane": task.end_lane,
            "code": task.code,
            "text": task.text,
            "trace": task.trace,
            "flags": flags,
        }


def head_of(capture):
    h = capture.header
    clocks = {1: "tsc"}  # the page names no other
    return {
        "t0_unix_ns": str(h.base_wall_ns),
        "dur_ns": h.duration_ns,
        "pid": h.pid,
        "exe": h.exe,
        "cpus": h.cpus,
        "clock": clocks.get(h.clock),
        "groups": h.groups,
        "sample": h.sample,
        "producer": h.producer,
        "notes": h.notes,
    }


def end_of(capture, tables):
    import reader_check

    account = capture.trailer or r.counted_account(capture)
    reason = r.END_REASONS.get(capture.trailer["reason"], "?") if capture.trailer else "cut"
    return {
        "dur_ns": max(0, tables.clock.ns(tables.end)),
        "reason": reason,
        "truncated": capture.truncated,
        "identity": "exact" if reader_check.verdict_of(capture).category == "exact" else "not exact",
        "account": {column: account[column] for column in ["events", *r.ACCOUNT_COLUMNS]},
    }


def lane_rows(tables):
    return [{"lane": key, "name": name} for key, name in tables.lane_names.items()]


def canonical(capture):
    """One JSON value per capture, whatever the order of rows was: tasks numbered by their rows, rows sorted."""
    if not capture.header:
        return {"capture": None, "end": None, "tables": {}}
    tables = Tables(capture)
    rows = tables.finished()
    order = sorted(rows["task"], key=lambda row: (row["start"], row["dur"], row["kind"], row["id"]))
    numbers = {row["id"]: index for index, row in enumerate(order)}
    for table in rows.values():
        for row in table:
            for column in ("id", "task", "parent"):
                if column in row:
                    row[column] = numbers.get(row[column], "?") if row[column] else None
            for column in ("lane", "end_lane", "object"):
                if row.get(column):
                    row[column] = "/".join(str(part) for part in row[column])
    rows["lane"] = [{"lane": "/".join(map(str, row["lane"])), "name": row["name"]} for row in lane_rows(tables)]
    return {
        "capture": head_of(capture),
        "end": end_of(capture, tables),
        "tables": {name: sorted(table, key=repr) for name, table in rows.items()},
    }
