#!/usr/bin/env python3
"""reader.py - the second reader of the native capture format.

Written from docs/format.md alone, with nothing but the standard library, so that the page and the engine cannot be
wrong together.

      bytes --> Capture (this file) --+--> summary, events                 --json, --events
                                      +--> rows of section 7               --viewer, --compare-json (reader_tables)
                                      +--> does everything add up?         --validate               (reader_check)

Invariants:
- What cannot be decoded stops the reading (`damage`), and everything before stays; a damaged EVENTS block counts for
  nothing.
- What can be decoded but breaks a promise of the page (an undefined name, a wrong span) does not stop the reading. It
  is kept in `complaints`, in file order, as (rule, sentence); reader_check makes the verdict of them.
- Ticks, ids and sequence numbers are 64 bits. Differences to tasks and starts wrap; running times and ranges must
  not.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field

PREAMBLE_BYTES = 16
BLOCK_HEAD_BYTES = 8
MAX_PAYLOAD_BYTES = 1048576
U64_MAX = (1 << 64) - 1

HEADER, CLOCK, NAMES, THREADS, EVENTS, LOSS, TASKS, ACCOUNT, TRAILER, CALLS = range(1, 11)
MODULES, STACKS, MAPPED = 12, 13, 14
LEVEL_SCHED = 2  # what the scheduler says of the thread
LEVEL_PROCESS = 3  # what a source says of the whole process, on its main thread
LEVEL_ALLOC = 4
LEVEL_MAX = 7
LOSS_REASONS = {1: "full", 2: "nested", 3: "queue", 4: "late", 5: "stall"}
END_REASONS = {1: "window", 2: "bytes", 3: "stopped", 4: "client", 5: "lease", 6: "shutdown"}
LOST_COLUMNS = ["lost_" + name for name in LOSS_REASONS.values()]
ACCOUNT_COLUMNS = ["delivered", "filtered", *LOST_COLUMNS, "sampled_out"]

(
    REGION_BEGIN,
    REGION_END,
    REGION_END_AT,
    REGION_END_OPEN,
    INSTANT,
    LOG,
    COUNTER,
    TASK_BEGIN,
    TASK_END,
    TASK_ENTER,
    TASK_ENTER_FULL,
    TASK_ATTR_INT,
    TASK_ATTR_STR,
    TASK_FAIL,
    TASK_TRACE,
    QUEUE_ENQUEUE,
    QUEUE_DEQUEUE,
    QUEUE_WAIT_BEGIN,
    QUEUE_WAIT_END,
    GC_BEGIN,
    GC_END,
) = range(1, 22)
SCHED_RUN, SCHED_PREEMPT, SCHED_BLOCK, SCHED_WAKE, SCHED_LOOK, SCHED_BEGIN, SCHED_END, SCHED_OTHER = range(22, 30)
SAMPLE, CALL_STACK, ALLOC_SAMPLE, GC_STOPPED, GC_RESUMED, ALLOC = 32, 33, 34, 40, 41, 42
LOCK_CALL, NET_CALL, FILE_CALL, SLEEP_CALL, LOCK_WAKE, NET_OBJECT, FILE_OBJECT = range(64, 71)

# The kinds of version 1.0. One of that number with another name, or without one of these fields, means nothing to us
# and is skipped by its fields.
KINDS_1_0 = dict(enumerate((line.partition(" ")[::2] for line in """\
region_begin name:n
region_end
region_end_at name:n depth:u
region_end_open name:n level:u
instant name:n
log category:n text:s
counter name:n value:i
task_begin task:k parent:k kind:n
task_end task:k parent:k kind:n start:t status:u
task_enter task:k
task_enter_full task:k parent:k kind:n start:t
task_attr_int task:k key:n value:i
task_attr_str task:k key:n text:s
task_fail task:k code:i text:s
task_trace task:k trace_hi:x trace_lo:x span:x
queue_enqueue queue:u name:n depth:u
queue_dequeue queue:u name:n depth:u
queue_wait_begin queue:u name:n why:u
queue_wait_end queue:u name:n why:u
gc_begin phase:n
gc_end phase:n""".split("\n")), 1))
KINDS_1_0 |= {GC_STOPPED: ("gc_stopped", "tid:u"), GC_RESUMED: ("gc_resumed", "tid:u")}
KINDS_1_0 |= {SAMPLE: ("sample", "cpu_ns:u stack:u"), CALL_STACK: ("call_stack", "start:t stack:u")}
KINDS_1_0[ALLOC_SAMPLE] = ("alloc_sample", "bytes:u weight:u stack:u")
KINDS_1_0[ALLOC] = ("alloc", "calls:u bytes:u frees:u")
KINDS_1_0 |= dict(enumerate((line.partition(" ")[::2] for line in """\
sched_run cpu:u
sched_preempt
sched_block
sched_wake by:u cause:u
sched_look state:u cpu:u run_ns:u wait_ns:u slices:u call:i why:u how:u
sched_begin by:u how:u
sched_end how:u
sched_other cpu:u start:t pid:u name:n""".split("\n")), SCHED_RUN))
KINDS_1_0 |= dict(enumerate((line.partition(" ")[::2] for line in """\
lock_call op:n start:t object:u holder:u
net_call op:n start:t object:u result:i
file_call op:n start:t object:u result:i
sleep_call op:n start:t object:u result:i
lock_wake op:n object:u
net_object object:u text:s
file_object object:u text:s""".split("\n")), LOCK_CALL))


class NotACapture(Exception):
    """The preamble is not that of a version we read."""


class Damage(Exception):
    """A block that is not whole or does not decode. `cut` when the bytes merely end too early."""

    def __init__(self, reason, cut=False):
        super().__init__(reason)
        self.cut = cut


class Cursor:
    """A position in a payload; every step checks what is left."""

    def __init__(self, data):
        self.data = data
        self.pos = 0

    def left(self):
        return len(self.data) - self.pos

    def take(self, size):
        if size > self.left():
            raise Damage(f"{size} bytes wanted, {self.left()} left in the block")
        self.pos += size
        return self.data[self.pos - size : self.pos]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value > U64_MAX:
                    raise Damage("a varint of more than 64 bits")
                return value
        raise Damage("a varint of more than 10 bytes")

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def string(self):
        return self.take(self.varint())

    def rows(self):
        """The numbers of a counted list. No row is shorter than one byte, so a count beyond what is left is a lie."""
        count = self.varint()
        if count > self.left():
            raise Damage(f"{count} rows announced in {self.left()} bytes")
        return range(count)


def text(raw):
    return raw.decode("utf-8", "replace")


@dataclass
class Kind:
    number: int
    name: str
    fields: list  # (label, code), or None when the description cannot be understood
    means: int = 0  # its number, when it is one of ours

    def __post_init__(self):
        if self.number not in KINDS_1_0 or self.fields is None:
            return
        name, fields = KINDS_1_0[self.number]
        if self.name == name and set(parse_fields(fields)) <= set(self.fields):
            self.means = self.number


@dataclass
class Header:
    clock: int
    ticks_per_second: int
    base_ticks: int
    base_mono_ns: int
    base_wall_ns: int
    duration_ns: int
    groups: int
    pid: int
    cpus: int
    budget_bytes: int
    exe: str
    sample: str
    producer: str
    kinds: dict
    notes: dict


@dataclass
class Task:
    id: int
    parent: int
    kind: int
    start_ticks: int
    thread: int = 0


@dataclass
class Event:
    kind: int
    means: int
    ticks: int
    values: dict


@dataclass
class OpenRegion:
    depth: int
    name: int
    begin_ticks: int


@dataclass
class Run:
    """An EVENTS block."""

    thread: int
    level: int
    first_seq: int
    base_ticks: int
    span_ticks: int
    count: int
    filtered: int
    delivered_before: int
    filtered_before: int
    lost_before: int
    sampled_out_before: int
    task: Task | None = None
    open_ends: int = 0
    regions: list = field(default_factory=list)
    events: list = field(default_factory=list)

    def end_seq(self):
        return self.first_seq + self.count + self.filtered


@dataclass
class Loss:
    thread: int
    level: int
    reason: int
    first_seq: int
    lost: int
    filtered: int
    from_ticks: int
    to_ticks: int

    def end_seq(self):
        return self.first_seq + self.lost + self.filtered


@dataclass
class Thread:
    thread: int
    pid: int
    tid: int
    name: bytes


@dataclass
class Module:
    module: int
    start: int
    end: int
    offset: int
    path: bytes
    build_id: bytes


@dataclass
class Stack:
    stack: int
    flags: int
    frames: list  # (module, offset), innermost first

    def cut(self):
        return bool(self.flags & 1)


@dataclass
class Pending:
    """A row of CALLS."""

    thread: int
    kind: int
    start_ticks: int
    op: int
    object: int


class Capture:
    """Everything up to the last whole block. `items` keeps file order: Thread, Run, Loss, Task and account rows."""

    def __init__(self, data):
        self.minor = 0
        self.header = None
        self.names = {0: b""}
        self.threads = {}
        self.modules = {}
        self.stacks = {}
        self.mapped = []  # (pid, module)
        self.pending = []
        self.clock_pairs = []  # (ticks, mono_ns), those that rise
        self.items = []
        self.runs = []
        self.losses = []
        self.account_rows = []
        self.trailer = None
        self.before_trailer = None
        self.block_counts = {}
        self.blocks = 0
        self.bytes_read = 0
        self.damage = None
        self.cut = False
        self.complaints = []
        self._read(data)

    @property
    def truncated(self):
        return self.trailer is None

    def complain(self, rule, sentence):
        self.complaints.append((rule, sentence))

    # Blocks

    def _read(self, data):
        self._read_preamble(data)
        pos = PREAMBLE_BYTES
        while pos < len(data) and not self.trailer:
            try:
                kind, payload = self._frame(data, pos)
                self._read_block(kind, payload)
            except Damage as why:
                self.damage, self.cut = f"block {self.blocks} at byte {pos}: {why}", why.cut
                return
            pos += BLOCK_HEAD_BYTES + len(payload)
            self.blocks += 1
            self.block_counts[kind] = self.block_counts.get(kind, 0) + 1
            self.bytes_read = pos
        if pos < len(data):
            self.complain("after-trailer", f"{len(data) - pos} bytes after the TRAILER")
        self.cut = not self.trailer

    def _read_preamble(self, data):
        if len(data) < PREAMBLE_BYTES or data[:8] != b"TRACETAP":
            raise NotACapture("the file does not begin with the preamble of a capture")
        major, self.minor = int.from_bytes(data[8:10], "little"), int.from_bytes(data[10:12], "little")
        if major != 1:
            raise NotACapture(f"major version {major}; this reader knows 1")
        self.bytes_read = PREAMBLE_BYTES

    @staticmethod
    def _frame(data, pos):
        head = data[pos : pos + BLOCK_HEAD_BYTES]
        if len(head) < BLOCK_HEAD_BYTES:
            raise Damage("the head of the block is not whole", cut=True)
        if head[1:4] != b"TTB":
            raise Damage("the block does not carry TTB")
        size = int.from_bytes(head[4:8], "little")
        if size > MAX_PAYLOAD_BYTES:
            raise Damage(f"a payload of {size} bytes; at most {MAX_PAYLOAD_BYTES} are allowed")
        if pos + BLOCK_HEAD_BYTES + size > len(data):
            raise Damage("the payload is not whole", cut=True)
        return head[0], data[pos + BLOCK_HEAD_BYTES : pos + BLOCK_HEAD_BYTES + size]

    def _read_block(self, kind, payload):
        if (kind == HEADER) != (self.blocks == 0):
            raise Damage("HEADER must be the first block, and only that")
        decode = {
            HEADER: self._header,
            CLOCK: self._clock,
            NAMES: self._names,
            THREADS: self._threads,
            EVENTS: self._events,
            LOSS: self._loss,
            TASKS: self._tasks,
            ACCOUNT: self._account,
            TRAILER: self._trailer,
            CALLS: self._calls,
            MODULES: self._modules,
            STACKS: self._stacks,
            MAPPED: self._mapped,
        }.get(kind)
        if not decode:
            return
        cursor = Cursor(payload)
        apply = decode(cursor)  # nothing of the block counts before all of it was decoded
        apply()
        if cursor.left() and self.minor == 0:
            self.complain("extra-bytes", f"{cursor.left()} bytes beyond the fields of block {self.blocks}, type {kind}")

    def _header(self, c):
        numbers = [c.byte()] + [c.varint() for _ in range(9)]
        strings = [text(c.string()) for _ in range(3)]
        kinds = {}
        for _ in c.rows():
            number, name, fields = c.varint(), text(c.string()), text(c.string())
            kinds[number] = Kind(number, name, parse_fields(fields))
        notes = {}
        for _ in c.rows():
            key = text(c.string())
            notes[key] = text(c.string())

        def apply():
            self.header = Header(*numbers, *strings, kinds, notes)
            self.clock_pairs = [(self.header.base_ticks, self.header.base_mono_ns)]

        return apply

    def _clock(self, c):
        ticks, mono_ns, _wall_ns = c.varint(), c.varint(), c.varint()
        return lambda: self._add_pair(ticks, mono_ns)

    def _add_pair(self, ticks, mono_ns):
        last_ticks, last_mono_ns = self.clock_pairs[-1]
        if ticks > last_ticks and mono_ns > last_mono_ns:
            self.clock_pairs.append((ticks, mono_ns))

    def _names(self, c):
        rows = [(c.varint(), c.string()) for _ in c.rows()]

        def apply():
            for name, raw in rows:
                if name in self.names:
                    self.complain("name-again", f"name {name} is defined again")
                self.names[name] = raw

        return apply

    def _threads(self, c):
        rows = [Thread(c.varint(), c.varint(), c.varint(), c.string()) for _ in c.rows()]

        def apply():
            for row in rows:
                if row.thread == 0:
                    self.complain("thread-zero", "thread 0 is described")
                self.threads[row.thread] = row
                self.items.append(row)

        return apply

    def _loss(self, c):
        loss = Loss(c.varint(), c.byte(), c.byte(), *[c.varint() for _ in range(5)])
        if loss.level > LEVEL_MAX:
            raise Damage(f"level {loss.level}")
        if loss.end_seq() > U64_MAX:
            raise Damage("sequence numbers beyond 64 bits")

        def apply():
            if loss.reason not in LOSS_REASONS:
                self.complain("reason", f"a loss for reason {loss.reason}")
            if loss.from_ticks > loss.to_ticks:
                self.complain("loss-time", f"a loss of thread {loss.thread} ends before it begins")
            self.losses.append(loss)
            self.items.append(loss)

        return apply

    def _tasks(self, c):
        rows = [Task(*[c.varint() for _ in range(5)]) for _ in c.rows()]

        def apply():
            for row in rows:
                self._need_name(row.kind)
                self.items.append(row)

        return apply

    def _account(self, c):
        rows = []
        for _ in c.rows():
            row = {"thread": c.varint(), "level": c.byte(), "start_seq": c.varint(), "end_seq": c.varint()}
            row.update((column, c.varint()) for column in ACCOUNT_COLUMNS)
            if row["level"] > LEVEL_MAX:
                raise Damage(f"level {row['level']}")
            rows.append(row)
        return lambda: self.account_rows.extend(rows)

    def _trailer(self, c):
        columns = [
            "reason",
            "end_ticks",
            "end_mono_ns",
            "end_wall_ns",
            "streams",
            "events",
            *ACCOUNT_COLUMNS,
            "drainer_cpu_ns",
            "blocks",
            "bytes",
        ]
        trailer = {column: c.varint() for column in columns}

        def apply():
            if trailer["reason"] not in END_REASONS:
                self.complain("reason", f"the capture ended for reason {trailer['reason']}")
            self.trailer = trailer
            self.before_trailer = {"blocks": self.blocks, "bytes": self.bytes_read}

        return apply

    def _calls(self, c):
        rows = [Pending(*[c.varint() for _ in range(5)]) for _ in c.rows()]

        def apply():
            for row in rows:
                self._need_name(row.op)
                self.pending.append(row)
                self.items.append(row)

        return apply

    def _modules(self, c):
        rows = [Module(*[c.varint() for _ in range(4)], c.string(), c.string()) for _ in c.rows()]

        def apply():
            for row in rows:
                self._once(self.modules, row.module, row, "module")

        return apply

    def _stacks(self, c):
        rows = [Stack(c.varint(), c.byte(), [(c.varint(), c.varint()) for _ in c.rows()]) for _ in c.rows()]

        def apply():
            for row in rows:
                self._once(self.stacks, row.stack, row, "stack")
                for module, _ in row.frames:
                    if module and module not in self.modules:
                        self.complain("module-unknown", f"stack {row.stack} names module {module} before it is told")

        return apply

    def _mapped(self, c):
        rows = [(c.varint(), c.varint()) for _ in c.rows()]

        def apply():
            for pid, module in rows:
                self.mapped.append((pid, module))
                if module not in self.modules:
                    self.complain("module-unknown", f"process {pid} has module {module} before it is told")

        return apply

    def _once(self, known, number, row, what):
        if number == 0 or number in known:
            self.complain(f"{what}-again", f"{what} {number} is told again")
        known.setdefault(number, row)

    # Events

    def _events(self, c):
        run = Run(c.varint(), c.byte(), *[c.varint() for _ in range(9)])
        if run.level > LEVEL_MAX:
            raise Damage(f"level {run.level}")
        if run.end_seq() > U64_MAX:
            raise Damage("sequence numbers beyond 64 bits")
        task = c.varint()
        if task:
            parent, kind, _draw = c.varint(), c.varint(), c.varint()
            run.task = Task(task, parent, kind, (run.base_ticks - c.zigzag()) & U64_MAX)
        run.open_ends = c.varint()
        run.regions = [OpenRegion(c.varint(), c.varint(), (run.base_ticks - c.zigzag()) & U64_MAX) for _ in c.rows()]
        if run.count * 2 > c.left():
            raise Damage(f"{run.count} events announced in {c.left()} bytes")
        self._decode_events(c, run)

        def apply():
            self._check_run(run)
            self.runs.append(run)
            self.items.append(run)

        return apply

    def _decode_events(self, c, run):
        ticks, last_task = run.base_ticks, 0
        while len(run.events) < run.count:
            number = c.byte()
            if number == 0:
                ticks -= c.varint()
            else:
                kind = self.header.kinds.get(number)
                if not kind or kind.fields is None:
                    raise Damage(f"kind {number}, whose fields the header does not tell")
                ticks += c.varint()
                values = {}
                for label, code in kind.fields:
                    values[label] = self._field(c, code, ticks, last_task)
                    if code == "k":
                        last_task = values[label]
                run.events.append(Event(number, kind.means, ticks, values))
            if not 0 <= ticks <= U64_MAX:
                raise Damage("the time runs beyond 64 bits")

    @staticmethod
    def _field(c, code, ticks, last_task):
        if code in "un":
            return c.varint()
        if code == "i":
            return c.zigzag()
        if code == "k":
            return (last_task + c.zigzag()) & U64_MAX
        if code == "t":
            return (ticks - c.zigzag()) & U64_MAX
        if code == "x":
            return int.from_bytes(c.take(8), "little")
        return c.string()

    # Promises of the page that a run can break and still be decoded

    def _need_name(self, name):
        if name not in self.names:
            self.complain("name-unknown", f"name {name} is used before it is defined")

    def _check_run(self, run):
        where = f"thread {run.thread} level {run.level} at {run.first_seq}"
        if run.thread not in self.threads:
            self.complain("thread-unknown", f"{where}: the thread is not described")
        if run.task:
            self._need_name(run.task.kind)
        for region in run.regions:
            self._need_name(region.name)
        if any(a.depth >= b.depth for a, b in zip(run.regions, run.regions[1:])):
            self.complain("depths", f"{where}: depths of open regions do not rise")
        for event in run.events:
            for label, code in self.header.kinds[event.kind].fields:
                if code == "n":
                    self._need_name(event.values[label])
        end_ticks = (run.base_ticks + run.span_ticks) & U64_MAX  # time may have gone back below the base
        if (
            run.events and not run.filtered and run.events[-1].ticks != end_ticks
        ):  # with filtered events it may be one of theirs
            self.complain("span", f"{where}: the last event is at {run.events[-1].ticks}, not {end_ticks}")
        self._check_entered_tasks(run, where)
        for event in run.events:
            stack = event.values.get("stack", 0) if event.means in (SAMPLE, CALL_STACK, ALLOC_SAMPLE) else 0
            if stack and stack not in self.stacks:
                self.complain("stack-unknown", f"{where}: stack {stack} is named before it is told")

    def _check_entered_tasks(self, run, where):
        """task_enter names a task of this chunk. With filtered events its description may be among those."""
        described = {0} | ({run.task.id} if run.task else set())
        for event in run.events if not run.filtered else []:
            task = event.values.get("task")  # other kinds may have none
            if event.means == TASK_ENTER and task not in described:
                self.complain("task-unknown", f"{where}: entered task {task} is not described in the block")
            if event.means in (TASK_BEGIN, TASK_END, TASK_ENTER_FULL):
                described.add(task)


def parse_fields(description):
    """`label:code label:code` as pairs; None when it says something else: then events of that kind are unreadable."""
    fields = []
    for part in description.split(" ") if description else []:
        label, colon, code = part.partition(":")
        if not colon or len(code) != 1 or code not in "uinktxs":
            return None
        fields.append((label, code))
    return fields


# Output


def name_of(capture, name):
    return text(capture.names[name]) if name in capture.names else "?"


def counted_account(capture):
    """What the blocks that are there say: the whole account of an exact capture, a lower bound of a cut one."""
    total = dict.fromkeys(["events", *ACCOUNT_COLUMNS], 0)
    for run in capture.runs:
        total["delivered"] += run.count
        total["filtered"] += run.filtered
    for loss in capture.losses:
        total["filtered"] += loss.filtered
        column = "lost_" + LOSS_REASONS.get(loss.reason, "")
        if column in total:
            total[column] += loss.lost
    total["events"] = sum(total.values())
    return total


def summary(capture):
    by_kind, by_thread = {}, {}
    for run in capture.runs:
        row = by_thread.setdefault(f"{run.thread}/{run.level}", {"runs": 0, "delivered": 0, "filtered": 0, "lost": 0})
        row["runs"] += 1
        row["delivered"] += run.count
        row["filtered"] += run.filtered
        for event in run.events:
            name = capture.header.kinds[event.kind].name
            by_kind[name] = by_kind.get(name, 0) + 1
    for loss in capture.losses:
        row = by_thread.setdefault(f"{loss.thread}/{loss.level}", {"runs": 0, "delivered": 0, "filtered": 0, "lost": 0})
        row["lost"] += loss.lost
        row["filtered"] += loss.filtered
    header = None
    if capture.header:
        header = {key: value for key, value in vars(capture.header).items() if key != "kinds"}
        header["kinds"] = {str(kind.number): kind.name for kind in capture.header.kinds.values()}
    return {
        "header": header,
        "by_kind": by_kind,
        "by_thread": by_thread,
        "blocks": {str(k): v for k, v in capture.block_counts.items()},
        "threads": {
            str(t.thread): {"pid": t.pid, "tid": t.tid, "name": text(t.name)} for t in capture.threads.values()
        },
        "account": capture.trailer or counted_account(capture),
        "names": len(capture.names) - 1,
        "modules": {str(m.module): text(m.path) for m in capture.modules.values()},
        "stacks": len(capture.stacks),
        "truncated": capture.truncated,
        "damage": capture.damage,
    }


def dump_events(capture, out):
    for run in capture.runs:
        exact = run.filtered == 0
        for index, event in enumerate(run.events):
            kind = capture.header.kinds[event.kind]
            seq = (
                str(run.first_seq + index)
                if exact
                else f"{run.first_seq + index}..{run.first_seq + index + run.filtered}"
            )
            values = " ".join(f"{label}={show(capture, code, event.values[label])}" for label, code in kind.fields)
            print(f"{run.thread}/{run.level} seq {seq} at {event.ticks}: {kind.name} {values}".rstrip(), file=out)


def show(capture, code, value):
    if code == "n":
        return json.dumps(name_of(capture, value))
    if code == "s":
        return json.dumps(text(value))
    return f"{value:016x}" if code == "x" else str(value)


def write_json(document, out):
    json.dump(document, out, sort_keys=True, indent=1)
    out.write("\n")


def arguments():
    parser = argparse.ArgumentParser(description="The second reader of tracetap's native captures.")
    parser.add_argument("file", help="a native capture; - reads standard input")
    parser.add_argument("--json", action="store_true", help="a summary (the default)")
    parser.add_argument("--events", action="store_true", help="every event, one a line")
    parser.add_argument("--viewer", action="store_true", help="the rows of the viewer JSON, sorted")
    parser.add_argument(
        "--validate", action="store_true", help="print `exact`, or the first thing that does not add up"
    )
    parser.add_argument("--compare-json", metavar="OUT.json", help="compare a viewer JSON document with our own rows")
    return parser.parse_args()


def main():
    args = arguments()
    with sys.stdin.buffer if args.file == "-" else open(args.file, "rb") as stream:
        data = stream.read()
    if args.validate:
        import reader_check

        verdict = reader_check.verdict(data)
        print(verdict)
        return 0 if verdict.category == "exact" else 1
    try:
        capture = Capture(data)
    except NotACapture as why:
        print(f"{args.file}: {why}", file=sys.stderr)
        return 2
    if args.compare_json:
        import reader_compare

        return reader_compare.run(capture, args.compare_json, sys.stdout)
    if args.viewer:
        import reader_tables

        write_json(reader_tables.canonical(capture), sys.stdout)
    if args.events:
        dump_events(capture, sys.stdout)
    if args.json or not (args.viewer or args.events):
        write_json(summary(capture), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True  # a reader leaves nothing behind in a source tree
    import reader  # this file once more, under the name by which the other modules know its classes

    sys.exit(reader.main())
