#!/usr/bin/env python3
"""test_reader.py - the second reader and the C validator against captures made here, by an encoder of its own.

Every capture is also given to ttap-validate (its path in $TTAP_VALIDATE), whose verdict and rule must be those of reader_check.py. Each
kind of wrong is seeded once and must be caught under its own rule by both.
"""

import contextlib
import copy
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reader  # noqa: E402
import reader_check  # noqa: E402
import reader_compare  # noqa: E402
import reader_tables  # noqa: E402

TOOL = os.environ.get("TTAP_VALIDATE")

KINDS = """region_begin name:n|region_end|region_end_at name:n depth:u|region_end_open name:n level:u|instant name:n|log category:n text:s
counter name:n value:i|task_begin task:k parent:k kind:n|task_end task:k parent:k kind:n start:t status:u|task_enter task:k
task_enter_full task:k parent:k kind:n start:t|task_attr_int task:k key:n value:i|task_attr_str task:k key:n text:s
task_fail task:k code:i text:s|task_trace task:k trace_hi:x trace_lo:x span:x|queue_enqueue queue:u name:n depth:u
queue_dequeue queue:u name:n depth:u|queue_wait_begin queue:u name:n why:u|queue_wait_end queue:u name:n why:u|gc_begin phase:n|gc_end phase:n"""
KINDS = [kind.partition(" ")[::2] for kind in KINDS.replace("\n", "|").split("|")]
NUMBERS = {name: number for number, (name, _) in enumerate(KINDS, 1)}
ACCOUNT = ["delivered", "filtered", "lost_full", "lost_nested", "lost_queue", "lost_late", "lost_stall", "sampled_out"]
BASE = 1000  # ticks, at mono 5000 ns; the clock is CLOCK_MONOTONIC's kind, one tick a nanosecond


def u(*values):
    out = b""
    for value in values:
        while value > 127:
            out += bytes([value % 128 + 128])
            value //= 128
        out += bytes([value])
    return out


def z(value):
    value = (value + (1 << 63)) % (1 << 64) - (1 << 63)
    return u(2 * value if value >= 0 else -2 * value - 1)


def s(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return u(len(raw)) + raw


def block(kind, payload):
    return bytes([kind]) + b"TTB" + struct.pack("<I", len(payload)) + payload


class Maker:
    """Builds a capture block by block and keeps its books; `fix` arguments put seeded errors in."""

    def __init__(self, minor=0, kinds=None, sample="", clock=2, hz=1000000000, major=1):
        self.kinds = [(number, *kind) for number, kind in enumerate(KINDS, 1)] + (kinds or [])
        self.fields = {name: (number, fields) for number, name, fields in self.kinds}
        self.preamble = b"TRACETAP" + struct.pack("<HHI", major, minor, 0)
        head = bytes([clock]) + u(hz, BASE, 5000, 1700000000000000000, 10000, 63, 71, 8, 1 << 26)
        head += s("svc") + s(sample) + s("maker 1") + u(len(self.kinds))
        head += b"".join(u(number) + s(name) + s(fields) for number, name, fields in self.kinds)
        self.blocks = [block(1, head + u(1) + s("source.sched") + s("off: not asked for"))]
        self.names, self.books = {"": 0}, {}

    def add(self, kind, payload):
        self.blocks.append(block(kind, payload))
        return self

    def name(self, text):
        if text not in self.names:
            self.names[text] = len(self.names)
            self.add(3, u(1, self.names[text]) + s(text))
        return self.names[text]

    def thread(self, thread, tid=None, name="worker", pid=71):
        return self.add(4, u(1, thread, pid, tid or 800 + thread) + s(name))

    def clock(self, ticks, mono_ns):
        return self.add(2, u(ticks, mono_ns, 1700000000000000000 + mono_ns - 5000))

    def book(self, thread, level, start_seq=0):
        fresh = {"start_seq": start_seq, "end_seq": start_seq, **dict.fromkeys(ACCOUNT, 0)}
        return self.books.setdefault((thread, level), fresh)

    def event(self, fields, ticks, values, last_task):
        out = b""
        for part, value in zip(fields.split(), values, strict=True):
            code = part.split(":")[1]
            if code == "n":
                out += u(self.name(value) if isinstance(value, str) else value)
            elif code == "k":
                out += z(value - last_task)
                last_task = value
            else:
                out += {"u": u, "i": z, "s": s, "t": lambda v: z(ticks - v), "x": lambda v: struct.pack("<Q", v)}[code](
                    value
                )
        return out, last_task

    def run(
        self,
        thread,
        events,
        level=0,
        filtered=0,
        task=None,
        regions=(),
        open_ends=0,
        base=None,
        at=None,
        fix=None,
        tail=b"",
    ):
        """events: (kind, ticks, values...). task: (id, parent, kind, start). regions: (depth, name, begin)."""
        book = self.book(thread, level)
        base = base if base is not None else events[0][1]
        ticks, last_task, packed = base, 0, b""
        for kind, when, *values in events:
            if when < ticks:
                packed, ticks = packed + b"\0" + u(ticks - when), when
            number, fields = self.fields[kind]
            body, last_task = self.event(fields, when, values, last_task)
            packed, ticks = packed + bytes([number]) + u(when - ticks) + body, when
        head = {
            "first_seq": book["end_seq"] if at is None else at,
            "base": base,
            "span": (ticks - base) % (1 << 64),
            "count": len(events),
            "filtered": filtered,
            "delivered_before": book["delivered"],
            "filtered_before": book["filtered"],
            "lost_before": sum(book[column] for column in ACCOUNT[2:7]),
            "sampled_out_before": book["sampled_out"],
        }
        head.update(fix or {})
        payload = u(thread) + bytes([level]) + u(*head.values())
        payload += u(task[0], task[1], self.name(task[2]), 12345) + z(base - task[3]) if task else u(0)
        payload += u(open_ends, len(regions)) + b"".join(
            u(d, self.name(n) if isinstance(n, str) else n) + z(base - t) for d, n, t in regions
        )
        book["end_seq"] = max(book["end_seq"], head["first_seq"] + len(events) + filtered)
        book["delivered"] += len(events)
        book["filtered"] += filtered
        return self.add(5, payload + packed + tail)

    def loss(self, thread, lost, reason=1, level=0, filtered=0, when=(0, 0), booked=True):
        book = self.book(thread, level)
        first = book["end_seq"]
        if booked:
            book["end_seq"] += lost + filtered
            book["filtered"] += filtered
            if 1 <= reason <= 5:
                book[ACCOUNT[1 + reason]] += lost
        return self.add(
            6, u(thread) + bytes([level, reason]) + u(first, lost, filtered, BASE + when[0], BASE + when[1])
        )

    def tasks(self, *rows):
        ready = [(t, p, self.name(k), start, thread) for t, p, k, start, thread in rows]
        return self.add(7, u(len(rows)) + b"".join(u(*row) for row in ready))

    def account(self, fix=None):
        """fix: changes to rows, by (thread, level); None drops the row."""
        fix = fix or {}
        self.rows = [
            dict(book, thread=key[0], level=key[1], **{})
            for key, book in sorted(self.books.items())
            if fix.get(key, 0) is not None
        ]
        for row in self.rows:
            row.update(fix.get((row["thread"], row["level"]), {}))
        payload = u(len(self.rows)) + b"".join(
            u(row["thread"]) + bytes([row["level"]]) + u(row["start_seq"], row["end_seq"], *[row[c] for c in ACCOUNT])
            for row in self.rows
        )
        return self.add(8, payload)

    def trailer(self, end=10000, reason=1, fix=None, tail=b""):
        sums = {"events": sum(row["end_seq"] - row["start_seq"] for row in self.rows)}
        sums.update((column, sum(row[column] for row in self.rows)) for column in ACCOUNT)
        values = {
            "reason": reason,
            "end_ticks": BASE + end,
            "mono": 5000 + end,
            "wall": 1700000000000000000 + end,
            "streams": len(self.rows),
            **sums,
            "cpu": 77,
            "blocks": len(self.blocks),
            "bytes": len(self.bytes()),
        }
        values.update(fix or {})
        return self.add(9, u(*values.values()) + tail)

    def end(self, **fix):
        return self.account().trailer(**fix)

    def bytes(self):
        return self.preamble + b"".join(self.blocks)


def rich():
    """A capture with every block and every kind of event."""
    m = Maker().thread(1).thread(2, name="helper").tasks((5, 0, "request", 400, 2))
    m.run(
        1,
        [
            ("region_begin", 1010, "outer"),
            ("region_begin", 1020, "inner"),
            ("instant", 1025, "tick"),
            ("region_end", 1030),
            ("log", 1035, "db", b"caf\xc3\xa9 \xff"),
            ("counter", 1040, "depth", -3),
            ("task_begin", 1050, 9, 5, "query"),
            ("task_enter", 1051, 9),
            ("task_attr_int", 1052, 9, "rows", -(1 << 63)),
            ("task_attr_str", 1053, 9, "table", "users"),
            ("task_trace", 1054, 9, 0x0123456789ABCDEF, 0xFEDCBA9876543210, 7),
            ("task_fail", 1060, 9, -5, "timed out"),
            ("task_end", 1070, 9, 5, "query", 1050, 1),
            ("task_enter", 1071, 0),
            ("region_begin", 1080, "deep"),
            ("region_end_at", 1090, "outer", 0),
            ("region_end_open", 1095, "main", 1),
        ],
    )
    m.run(1, [("instant", 1062, "signal"), ("instant", 1064, "signal")], level=1, task=(9, 5, "query", 1050))
    m.run(
        2,
        [
            ("queue_enqueue", 1100, 3, "jobs", 1),
            ("queue_dequeue", 1110, 3, "jobs", 0),
            ("queue_wait_begin", 1120, 3, "jobs", 2),
            ("queue_wait_end", 1130, 3, "jobs", 2),
            ("gc_begin", 1140, "mark"),
            ("gc_end", 1150, "mark"),
        ],
        task=(5, 0, "request", 400),
    )
    m.loss(2, 4, when=(200, 300)).loss(2, 1, reason=3, filtered=2, when=(300, 310))
    m.run(
        2,
        [
            ("task_enter_full", 1320, 5, 0, "request", 400),
            ("instant", 1310, "back in time"),
            ("region_begin", 1330, "left open"),
        ],
        filtered=1,
        task=(5, 0, "request", 400),
    )
    m.loss(0, 2, reason=4, when=(400, 500))
    return m.clock(BASE + 5000, 10000).add(200, b"from the future").account().trailer()


STACK_KINDS = [(32, "sample", "cpu_ns:u stack:u"), (33, "call_stack", "start:t stack:u"), (34, "alloc_sample", "bytes:u weight:u stack:u")]


def module_row(module=1, path="/srv/svc", build_id=b"\x01\xff"):
    return u(module, 0x400000, 0x500000, 0x1000) + s(path) + s(build_id)


def stack_row(stack, *frames, flags=0):
    return u(stack) + bytes([flags]) + u(len(frames)) + b"".join(u(*frame) for frame in frames)


def stacked(*, modules=(module_row(), module_row(2, "[vdso]", b"")), stacks=(stack_row(1, (1, 16), (0, 99), flags=1), stack_row(2, (2, 7))), **run):
    """A capture with modules, stacks, events that name them, and a call that had not returned."""
    m = Maker(kinds=STACK_KINDS).thread(1).add(12, u(len(modules)) + b"".join(modules)).add(13, u(len(stacks)) + b"".join(stacks))
    m.run(1, [("sample", 1001, 5, 1), ("call_stack", 1003, 1002, 2), ("sample", 1004, 6, 0)], **run)
    m.run(1, [("sample", 1100, 7, 2), ("alloc_sample", 1101, 48, 5000, 2)], level=1)
    pending = u(1, 1, 65, 1090, m.name("recv"), 7)
    return m.add(10, pending).end()


def tables_of(maker):
    tables = reader_tables.Tables(reader.Capture(maker.bytes()))
    return tables.finished()


def rows(table, *columns):
    return sorted(tuple(row[column] for column in columns) for row in table)


def tool_verdicts(captures):
    """The C validator's (category, rule) of each capture."""
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for index, data in enumerate(captures):
            names.append(os.path.join(folder, f"{index:05}.ttap"))
            with open(names[-1], "wb") as out:
                out.write(data)
        done = subprocess.run([TOOL, *names], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or done.stderr:
        raise AssertionError(f"ttap-validate: status {done.returncode}: {done.stderr[:2000]}")
    found = []
    for line in done.stdout.splitlines():
        _, category, *rest = line.split(": ", 3)
        found.append((category, rest[0] if category == "wrong" else ""))
    return found


class Checked(unittest.TestCase):
    def verdicts(self, captures):
        """reader_check's verdicts, after comparing them with the C validator's."""
        captures = list(captures)
        ours = [reader_check.verdict(data) for data in captures]
        if TOOL:
            theirs = tool_verdicts(captures)
            self.assertEqual(len(theirs), len(ours))
            for index, (one, other) in enumerate(zip(ours, theirs)):
                self.assertEqual((one.category, one.rule), other, f"capture {index}: {one}")
        return ours

    def verdict(self, maker):
        return self.verdicts([maker.bytes()])[0]

    def wrong(self, rule, maker):
        found = self.verdict(maker)
        self.assertEqual((found.category, found.rule), ("wrong", rule), str(found))


class WholeCaptures(Checked):
    def test_every_block_and_kind_adds_up(self):
        self.assertEqual(str(self.verdict(rich())), "exact")

    def test_every_field_of_every_kind_is_read(self):
        capture = reader.Capture(rich().bytes())
        events = {}
        for run in capture.runs:
            for event in run.events:
                kind = capture.header.kinds[event.kind]
                events[kind.name] = {
                    label: reader.text(capture.names[value]) if code == "n" else value
                    for (label, code), value in zip(kind.fields, event.values.values())
                }
        self.assertEqual(set(events), {name for name, _ in KINDS})
        self.assertEqual(events["log"], {"category": "db", "text": b"caf\xc3\xa9 \xff"})
        self.assertEqual(events["counter"], {"name": "depth", "value": -3})
        self.assertEqual(events["task_attr_int"], {"task": 9, "key": "rows", "value": -(1 << 63)})
        self.assertEqual(
            events["task_trace"], {"task": 9, "trace_hi": 0x0123456789ABCDEF, "trace_lo": 0xFEDCBA9876543210, "span": 7}
        )
        self.assertEqual(events["task_end"], {"task": 9, "parent": 5, "kind": "query", "start": 1050, "status": 1})
        self.assertEqual(events["task_enter_full"], {"task": 5, "parent": 0, "kind": "request", "start": 400})
        self.assertEqual(events["queue_wait_end"], {"queue": 3, "name": "jobs", "why": 2})

    def test_modules_stacks_and_calls_are_read(self):
        capture = reader.Capture(stacked().bytes())
        self.assertEqual(str(self.verdict(stacked())), "exact")
        self.assertEqual(vars(capture.modules[1]), {"module": 1, "start": 0x400000, "end": 0x500000, "offset": 0x1000, "path": b"/srv/svc", "build_id": b"\x01\xff"})
        self.assertEqual((capture.stacks[1].frames, capture.stacks[1].cut(), capture.stacks[2].frames), ([(1, 16), (0, 99)], True, [(2, 7)]))
        self.assertEqual([vars(row) for row in capture.pending], [{"thread": 1, "kind": 65, "start_ticks": 1090, "op": capture.pending[0].op, "object": 7}])
        samples = [(row["lane"][2], row["at"], row["cpu_ns"], row["stack"]) for row in tables_of(stacked())["sample"]]
        cut = ("svc+0x10", "0x63", "(deeper than recorded)")
        self.assertEqual(samples, [("thread", 1, 5, cut), ("thread", 4, 6, None), ("thread", 100, 7, ("[vdso]+0x7",))])
        (allocated,) = tables_of(stacked())["alloc_sample"]
        self.assertEqual([allocated[key] for key in ("at", "bytes", "weight", "stack")], [101, 48, 5000, ("[vdso]+0x7",)])

    def test_the_summary_has_header_kinds_threads_and_account(self):
        summary = reader.summary(reader.Capture(rich().bytes()))
        self.assertEqual(
            (summary["header"]["exe"], summary["header"]["pid"], summary["header"]["notes"]),
            ("svc", 71, {"source.sched": "off: not asked for"}),
        )
        self.assertEqual(
            (summary["by_kind"]["instant"], summary["by_thread"]["2/0"]),
            (4, {"runs": 2, "delivered": 9, "filtered": 3, "lost": 5}),
        )
        self.assertEqual(
            (summary["account"]["delivered"], summary["account"]["lost_full"], summary["account"]["lost_late"]),
            (28, 4, 2),
        )
        self.assertEqual((summary["truncated"], summary["damage"]), (False, None))

    def test_a_capture_without_events_is_exact(self):
        self.assertEqual(str(self.verdict(Maker().end())), "exact")

    def test_a_window_that_starts_late_in_a_thread_is_exact(self):
        m = Maker().thread(1)
        m.book(1, 0, start_seq=1 << 40)
        self.assertEqual(str(self.verdict(m.run(1, [("instant", 1001, "a")]).loss(1, 5).end())), "exact")

    def test_every_two_byte_varint_and_zigzag_is_read_back(self):
        for value in [0, 1, 127, 128, 16383, 16384, (1 << 63) - 1, (1 << 64) - 1]:
            self.assertEqual(reader.Cursor(u(value)).varint(), value)
        for value in [0, -1, 1, 63, -64, 64, (1 << 63) - 1, -(1 << 63)]:
            self.assertEqual(reader.Cursor(z(value)).zigzag(), value)
        for raw in [b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x00", b"\x80"]:
            with self.assertRaises(reader.Damage):
                reader.Cursor(raw).varint()

    def test_task_differences_wrap_around_64_bits(self):
        big = (1 << 64) - 2
        m = Maker().thread(1).run(1, [("task_begin", 1001, big, 3, "a"), ("task_begin", 1002, 4, big, "b")]).end()
        self.assertEqual([event.values["task"] for event in reader.Capture(m.bytes()).runs[0].events], [big, 4])
        self.assertEqual(str(self.verdict(m)), "exact")


class CutsAndDamage(Checked):
    def test_a_capture_cut_at_any_length_is_read_to_its_last_whole_block(self):
        maker = rich()
        data, ends = maker.bytes(), [16]
        for one in maker.blocks:
            ends.append(ends[-1] + len(one))
        cuts = [data[:length] for length in range(len(data))]
        for length, verdict in enumerate(self.verdicts(cuts)):
            self.assertEqual(
                (verdict.category, verdict.rule),
                ("wrong", "preamble") if length < 16 else ("cut", ""),
                f"cut at {length}",
            )
            if length >= 16:
                capture = reader.Capture(data[:length])
                self.assertTrue(capture.truncated)
                self.assertEqual(capture.blocks, sum(end <= length for end in ends) - 1, f"cut at {length}")
                self.assertEqual(capture.damage is None, length in ends)
                if capture.header:
                    reader_tables.canonical(capture)

    def test_the_two_validators_agree_on_every_changed_byte(self):
        changed = [
            data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
            for data, first in ((rich().bytes(), 0), (stacked().bytes(), stacked().bytes().index(b"\x0cTTB")))
            for mask in (1, 0x80, 0xFF)
            for at in range(first, len(data))
        ]
        for index in range(0, len(changed), 2000):
            self.verdicts(changed[index : index + 2000])

    def test_changed_bytes_never_break_the_tables(self):
        data = rich().bytes()
        for at in range(16, len(data)):
            capture = reader.Capture(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
            json.dumps(reader_tables.canonical(capture))
            reader.dump_events(capture, io.StringIO())

    def test_damage_stops_the_reading_and_keeps_what_was_before(self):
        head = Maker().thread(1).run(1, [("instant", 1001, "a")])
        cases = {
            "no TTB": b"\x05TTX" + struct.pack("<I", 0),
            "too long": b"\x05TTB" + struct.pack("<I", 1048577) + bytes(1048577),
            "a second header": head.blocks[0],
            "more rows than bytes": block(3, u(1 << 60)),
            "a name beyond its block": block(3, u(1, 9, 100) + b"abc"),
            "level 8": block(6, u(1) + bytes([8, 1]) + u(1, 1, 0, 1, 1)),
            "sequence numbers beyond 64 bits": block(6, u(1) + bytes([0, 1]) + u((1 << 64) - 1, 1, 0, 1, 1)),
            "a varint of 65 bits": block(2, b"\xff" * 9 + b"\x02" + u(1, 1)),
            "a varint of 11 bytes": block(2, b"\x80" * 10 + b"\x01" + u(1, 1)),
            "a trailer without its last field": block(9, u(*[1] * 16)),
        }
        for what, raw in cases.items():
            with self.subTest(what):
                maker = copy.deepcopy(head)
                maker.blocks.append(raw)
                self.wrong("damage", maker)
                capture = reader.Capture(maker.bytes())
                self.assertEqual((capture.truncated, len(capture.runs), capture.blocks), (True, 1, 4))

    def test_a_damaged_events_block_counts_for_nothing(self):
        for what, fix in {
            "fewer events than announced": {"count": 3},
            "numbers beyond 64 bits": {"first_seq": (1 << 64) - 1},
        }.items():
            with self.subTest(what):
                maker = Maker().thread(1).run(1, [("instant", 1001, "a"), ("instant", 1002, "a")], fix=fix).end()
                self.wrong("damage", maker)
                self.assertEqual(reader.Capture(maker.bytes()).runs, [])

    def test_a_block_without_header_is_damage_and_another_version_is_refused(self):
        maker = Maker()
        maker.blocks = [block(2, u(1, 1, 1))]
        self.wrong("damage", maker)
        self.wrong("preamble", Maker(major=2))
        with self.assertRaises(reader.NotACapture):
            reader.Capture(Maker(major=2).bytes())

    def test_time_before_zero_is_damage(self):
        maker = Maker().thread(1)
        payload = u(1) + b"\0" + u(0, 5, 0, 1, 0, 0, 0, 0, 0) + u(0, 0, 0) + b"\0" + u(6) + b"\x02" + u(0)
        self.wrong("damage", maker.add(5, payload))


class OtherVersions(Checked):
    def test_unknown_kinds_are_skipped_by_their_fields(self):
        kinds = [(40, "newer", "a:u b:i c:n d:k e:t f:x g:s"), (255, "bare", "")]
        m = Maker(kinds=kinds).thread(1)
        m.run(
            1,
            [
                ("instant", 1001, "a"),
                ("newer", 1002, 300, -7, "b", 77, 900, 1 << 63, "text"),
                ("bare", 1003),
                ("instant", 1004, "c"),
            ],
        )
        self.assertEqual(str(self.verdict(m.end())), "exact")
        self.assertEqual(rows(tables_of(m)["instant"], "at", "name"), [(1, "a"), (4, "c")])
        self.assertEqual(reader.summary(reader.Capture(m.bytes()))["by_kind"], {"instant": 2, "newer": 1, "bare": 1})

    def test_an_unknown_kind_still_moves_the_last_task(self):
        m = Maker(kinds=[(40, "newer", "d:k")]).thread(1)
        m.run(1, [("task_begin", 1001, 100, 0, "a"), ("newer", 1002, 300), ("task_begin", 1003, 301, 300, "b")]).end()
        self.assertEqual(rows(tables_of(m)["task"], "id"), [(100,), (301,)])
        self.assertEqual(str(self.verdict(m)), "exact")

    def test_a_known_kind_with_more_fields_keeps_its_meaning_and_with_fewer_has_none(self):
        m = Maker(kinds=[(5, "instant", "name:n more:s"), (7, "counter", "value:i")]).thread(1)
        m.run(1, [("instant", 1001, "a", "more"), ("counter", 1002, 3)]).end()
        self.assertEqual(str(self.verdict(m)), "exact")
        self.assertEqual((len(tables_of(m)["instant"]), len(tables_of(m)["counter"])), (1, 0))

    def test_a_known_number_under_another_name_is_not_that_kind(self):
        m = Maker(kinds=[(2, "rewind", "")]).thread(1)
        m.run(1, [("rewind", 1001), ("instant", 1002, "a")]).end()
        self.assertEqual(str(self.verdict(m)), "exact")

    def test_a_kind_whose_fields_cannot_be_understood_damages_only_blocks_that_use_it(self):
        for fields in ["a:q", "a", "a:uu", "a:u  b:u", "a:u "]:
            with self.subTest(fields):
                m = Maker(kinds=[(40, "odd", fields)]).thread(1)
                self.assertEqual(str(self.verdict(copy.deepcopy(m).run(1, [("instant", 1001, "a")]).end())), "exact")
                m.fields["odd"] = (40, "")
                self.wrong("damage", m.run(1, [("odd", 1001)]))
        m = Maker().thread(1)
        m.fields["none"] = (77, "")
        self.wrong("damage", m.run(1, [("none", 1001)]))

    def test_a_higher_minor_may_append_fields(self):
        for minor in (0, 1):
            m = Maker(minor=minor).thread(1).run(1, [("instant", 1001, "a")], tail=b"appended")
            m.account().trailer(tail=b"appended")
            self.wrong("extra-bytes", m) if minor == 0 else self.assertEqual(str(self.verdict(m)), "exact")

    def test_unknown_blocks_are_skipped(self):
        m = Maker().add(11, b"").add(0, b"zero").add(255, bytes(1048576)).end()
        self.assertEqual(str(self.verdict(m)), "exact")


class SeededErrors(Checked):
    """One error each, in an otherwise exact capture."""

    def plain(self, **fix):
        return Maker().thread(1).run(1, [("instant", 1001, "a"), ("instant", 1002, "a")], **fix)

    def test_the_plain_capture_is_exact(self):
        self.assertEqual(str(self.verdict(self.plain().end())), "exact")

    def test_names(self):
        self.wrong("name-unknown", Maker().thread(1).run(1, [("instant", 1001, 77)]).end())
        self.wrong("name-unknown", self.plain(regions=[(0, 99, 1)]).end())
        self.wrong("name-again", self.plain().add(3, u(1, 1) + s("a")).end())
        self.wrong("name-again", self.plain().add(3, u(1, 0) + s("zero")).end())
        late = Maker().thread(1)
        late.names["late"] = 50
        self.wrong("name-unknown", late.run(1, [("instant", 1001, "late")]).add(3, u(1, 50) + s("late")).end())
        tasks = Maker()
        tasks.names["never"] = 50
        self.wrong("name-unknown", tasks.tasks((5, 0, "never", 400, 2)).end())

    def test_modules_and_stacks(self):
        self.wrong("module-again", stacked(modules=[module_row(), module_row(2), module_row()]))
        self.wrong("module-again", stacked(modules=[module_row(), module_row(2), module_row(0)]))
        self.wrong("module-unknown", stacked(modules=[module_row()]))
        self.wrong("stack-again", stacked(stacks=[stack_row(1), stack_row(2), stack_row(2)]))
        self.wrong("stack-again", stacked(stacks=[stack_row(1), stack_row(2), stack_row(0)]))
        self.wrong("stack-unknown", stacked(stacks=[stack_row(1)]))
        self.wrong("stack-unknown", stacked(stacks=[stack_row(2)]))
        self.wrong("name-unknown", self.plain().add(10, u(1, 1, 65, 1090, 77, 7)).end())
        self.wrong("damage", stacked(stacks=[stack_row(1), stack_row(2)[:-1] + u(9)]))
        self.assertEqual(str(self.verdict(stacked(filtered=3))), "exact")

    def test_threads(self):
        self.wrong("thread-unknown", Maker().run(1, [("instant", 1001, "a")]).end())
        self.wrong("thread-unknown", Maker().run(1, [("instant", 1001, "a")]).thread(1).end())
        self.wrong("thread-zero", Maker().thread(0).end())

    def test_heads(self):
        self.wrong("span", self.plain(fix={"span": 2}).end())
        self.assertEqual(str(self.verdict(self.plain(fix={"span": 2}, filtered=1).end())), "exact")
        self.wrong("depths", self.plain(regions=[(1, "x", 900), (1, "y", 950)]).end())
        self.wrong("task-unknown", Maker().thread(1).run(1, [("task_enter", 1001, 5)]).end())
        earlier = Maker().thread(1).run(1, [("task_begin", 1001, 5, 0, "q")])
        self.wrong("task-unknown", earlier.run(1, [("task_enter", 1002, 5)]).end())
        self.assertEqual(
            str(self.verdict(Maker().thread(1).run(1, [("task_enter", 1001, 5)], filtered=1).end())), "exact"
        )

    def test_reasons_and_times(self):
        self.wrong("reason", self.plain().loss(1, 1, reason=6).end())
        self.wrong("reason", self.plain().loss(1, 1, reason=0).end())
        self.wrong("reason", self.plain().end(reason=7))
        self.wrong("loss-time", self.plain().loss(1, 1, when=(9, 8)).end())

    def test_bytes_after_the_trailer(self):
        self.wrong("after-trailer", self.plain().end().add(200, b""))

    def test_an_overlap_and_a_hole(self):
        self.wrong(
            "overlap", self.plain().run(1, [("instant", 1003, "a")], at=1).account({(1, 0): {"end_seq": 3}}).trailer()
        )
        self.wrong(
            "hole", self.plain().run(1, [("instant", 1003, "a")], at=3).account({(1, 0): {"delivered": 4}}).trailer()
        )
        self.wrong("hole", self.plain().account({(1, 0): {"end_seq": 3, "delivered": 3}}).trailer())
        late = Maker().thread(1)
        late.book(1, 0, start_seq=4)["end_seq"] = 5
        self.wrong("hole", late.run(1, [("instant", 1003, "a")]).account({(1, 0): {"filtered": 1}}).trailer())

    def test_blocks_beyond_the_account(self):
        self.wrong("outside", self.plain().account({(1, 0): {"end_seq": 1, "delivered": 1}}).trailer())
        self.wrong("outside", self.plain().account({(1, 0): {"start_seq": 1, "delivered": 1}}).trailer())

    def test_account_rows(self):
        self.wrong("account-identity", self.plain().account({(1, 0): {"delivered": 1}}).trailer())
        self.wrong("account-identity", self.plain().account({(1, 0): {"start_seq": 3}}).trailer(fix={"events": 0}))
        self.wrong("account-again", self.plain().account().account().trailer())
        self.wrong("account-missing", self.plain().account({(1, 0): None}).trailer())
        self.wrong(
            "account-missing",
            self.plain().account({(1, 0): None}).add(8, u(1, 0) + b"\0" + u(0, 1, 1, *[0] * 7)).trailer(),
        )

    def test_counts_that_only_sum_up(self):
        self.wrong("account-count", self.plain().account({(1, 0): {"delivered": 1, "filtered": 1}}).trailer())
        self.wrong(
            "account-count",
            self.plain().loss(1, 1, reason=1).account({(1, 0): {"lost_full": 0, "lost_stall": 1}}).trailer(),
        )
        for reason in range(1, 6):
            self.assertEqual(str(self.verdict(self.plain().loss(1, 3, reason=reason).end())), "exact")

    def test_the_running_account_of_heads(self):
        more = [("instant", 1003, "a")]
        for fix in [
            {"delivered_before": 3},
            {"delivered_before": 1},
            {"delivered_before": 1, "filtered_before": 1},
            {"lost_before": 1},
        ]:
            self.wrong("before", self.plain().run(1, more, fix=fix).end())
        self.wrong("before", self.plain().loss(1, 1).run(1, more, fix={"lost_before": 0}).end())
        self.wrong("before", self.plain().run(1, more, fix={"sampled_out_before": 1}).end())
        falls = self.plain(fix={"sampled_out_before": 2}).run(1, more, fix={"sampled_out_before": 1})
        self.wrong("before", falls.account({(1, 0): {"sampled_out": 2}}).trailer())
        cut = self.plain().run(1, more, fix={"delivered_before": 1})
        self.wrong("before", cut)

    def test_what_one_run_leaves_open_the_next_head_lists(self):
        opens = [("region_begin", 1001, "a"), ("region_begin", 1002, "b")]
        after = [("region_end", 1003)]
        good = [(0, "a", 1001), (1, "b", 1002)]
        self.assertEqual(str(self.verdict(Maker().thread(1).run(1, opens).run(1, after, regions=good).end())), "exact")
        for bad in [
            [],
            good[:1],
            [(0, "a", 1001), (1, "b", 1001)],
            [(0, "a", 1001), (2, "b", 1002)],
            [(0, "b", 1001), (1, "b", 1002)],
        ]:
            self.wrong("head-regions", Maker().thread(1).run(1, opens).run(1, after, regions=bad).end())
        self.assertEqual(
            str(self.verdict(Maker().thread(1).run(1, opens).loss(1, 1).run(1, after, regions=good[:1]).end())), "exact"
        )
        sampled = Maker(sample="0.1").thread(1).run(1, opens).run(1, after, regions=good[:1]).end()
        self.assertEqual(str(self.verdict(sampled)), "exact")

    def test_the_task_and_open_ends_of_the_next_head(self):
        enter = [("task_begin", 1001, 9, 0, "query"), ("task_enter", 1002, 9)]
        task = (9, 0, "query", 1001)
        more = [("instant", 1003, "a")]
        self.assertEqual(str(self.verdict(Maker().thread(1).run(1, enter).run(1, more, task=task).end())), "exact")
        self.wrong("head-task", Maker().thread(1).run(1, enter).run(1, more).end())
        self.wrong("head-open-ends", self.plain().run(1, more, open_ends=1).end())

    def test_ends_of_nothing(self):
        self.wrong("end-of-nothing", Maker().thread(1).run(1, [("region_end", 1001)]).end())
        self.wrong("open-level", Maker().thread(1).run(1, [("region_end_open", 1001, "main", 2)]).end())

    def test_trailer(self):
        self.wrong("trailer-streams", self.plain().end(fix={"streams": 2}))
        self.wrong("trailer-blocks", self.plain().end(fix={"blocks": 1}))
        self.wrong("trailer-bytes", self.plain().end(fix={"bytes": 1}))
        for column in ["events", *ACCOUNT]:
            self.wrong("trailer-sum", self.plain().end(fix={column: 1}))

    def test_streams_of_ended_threads_may_share_rows_of_thread_0(self):
        m = self.plain().thread(2).run(2, [("instant", 1005, "a")])
        shared = u(2, 0) + b"\0" + u(0, 5, 2, 0, 3, *[0] * 5) + u(0) + b"\0" + u(0, 1, 1, *[0] * 7)
        m.account({(1, 0): None, (2, 0): None}).add(8, shared)
        m.rows = [
            {"start_seq": 0, "end_seq": 5, **dict.fromkeys(ACCOUNT, 0), "delivered": 2, "lost_full": 3},
            {"start_seq": 0, "end_seq": 1, **dict.fromkeys(ACCOUNT, 0), "delivered": 1},
        ]
        self.assertEqual(str(self.verdict(m.trailer())), "exact")


class Tables(unittest.TestCase):
    REGION = ("depth", "start", "dur", "name", "flags")

    def test_nested_regions_and_ends_at_a_depth(self):
        m = (
            Maker()
            .thread(1)
            .run(
                1,
                [
                    ("region_begin", 1010, "a"),
                    ("region_begin", 1020, "b"),
                    ("region_begin", 1030, "c"),
                    ("region_end_at", 1040, "b", 1),
                    ("region_begin", 1050, "d"),
                    ("region_end_at", 1060, "x", 4),
                    ("region_end", 1070),
                    ("region_end", 1080),
                ],
            )
            .end()
        )
        self.assertEqual(
            rows(tables_of(m)["region"], *self.REGION),
            [(0, 10, 70, "a", 0), (1, 20, 20, "b", 0), (1, 50, 20, "d", 0), (2, 30, 10, "c", 0)],
        )

    def test_regions_that_began_before_the_window_or_are_still_open(self):
        m = (
            Maker()
            .thread(1)
            .run(
                1,
                [
                    ("region_end_open", 1010, "loop", 1),
                    ("region_end_open", 1030, "main", 2),
                    ("region_begin", 1040, "n"),
                ],
            )
        )
        m.thread(2).run(2, [("region_end", 1050)], regions=[(0, "old", 900), (3, "deep", 950)]).end()
        self.assertEqual(
            rows(tables_of(m)["region"], *self.REGION),
            [
                (-2, 0, 30, "main", 1),
                (-1, 0, 10, "loop", 1),
                (0, 0, 10000, "old", 3),
                (0, 40, 9960, "n", 2),
                (3, 0, 50, "deep", 1),
            ],
        )

    def test_regions_across_a_gap(self):
        m = (
            Maker()
            .thread(1)
            .run(1, [("region_begin", 1010, "a"), ("region_begin", 1020, "b"), ("region_begin", 1025, "c")])
        )
        m.loss(1, 9, when=(30, 80)).run(1, [("region_end", 1100)], regions=[(0, "a", 1010), (1, "new", 1060)]).end()
        self.assertEqual(
            rows(tables_of(m)["region"], *self.REGION),
            [(0, 10, 9990, "a", 2), (1, 20, 40, "b", 2), (1, 60, 40, "new", 0), (2, 25, 35, "c", 2)],
        )
        self.assertEqual(rows(tables_of(m)["lost"], "start", "dur", "count", "reason"), [(30, 50, 9, "full")])

    def test_a_region_carries_the_task_it_began_under(self):
        m = (
            Maker()
            .thread(1)
            .run(
                1,
                [
                    ("task_begin", 1001, 9, 0, "q"),
                    ("region_begin", 1010, "a"),
                    ("task_enter", 1020, 9),
                    ("region_begin", 1030, "b"),
                    ("task_enter", 1040, 0),
                    ("region_end", 1050),
                    ("region_end", 1060),
                ],
            )
            .end()
        )
        self.assertEqual(rows(tables_of(m)["region"], "name", "task"), [("a", 0), ("b", 9)])
        self.assertEqual(rows(tables_of(m)["work"], "start", "dur", "task", "flags"), [(20, 20, 9, 0)])

    def test_tasks_from_before_the_window_keep_their_start(self):
        m = Maker().thread(1).tasks((5, 0, "request", 400, 1)).thread(2)
        m.run(1, [("task_enter", 1010, 0)], task=(5, 0, "request", 400)).run(
            2, [("task_end", 1020, 5, 0, "request", 400, 0)]
        ).end()
        self.assertEqual(
            rows(tables_of(m)["task"], "id", "kind", "start", "dur", "status", "lane", "end_lane", "flags"),
            [(5, "request", -600, 620, 0, (71, 801, "thread", 0), (71, 802, "thread", 0), 1)],
        )
        self.assertEqual(rows(tables_of(m)["work"], "start", "dur", "task", "flags"), [(0, 10, 5, 1)])

    def test_a_failed_task_with_attributes_and_trace(self):
        tables = tables_of(rich())
        query = [row for row in tables["task"] if row["kind"] == "query"][0]
        self.assertEqual(
            {key: query[key] for key in ("parent", "start", "dur", "status", "code", "text", "trace", "flags")},
            {
                "parent": 5,
                "start": 50,
                "dur": 20,
                "status": 1,
                "code": -5,
                "text": "timed out",
                "trace": "0123456789abcdeffedcba9876543210",
                "flags": 0,
            },
        )
        self.assertEqual(rows(tables["attr"], "task", "key"), [(9, "rows"), (9, "table")])
        self.assertEqual([row["value"] for row in tables["attr"]], [-(1 << 63), "users"])

    def test_an_unended_task_has_status_2(self):
        m = Maker().thread(1).run(1, [("task_begin", 1100, 9, 0, "q")]).end()
        self.assertEqual(
            rows(tables_of(m)["task"], "start", "dur", "status", "end_lane", "flags"), [(100, 9900, 2, None, 2)]
        )

    def test_time_goes_back(self):
        self.assertIn((310, "back in time"), rows(tables_of(rich())["instant"], "at", "name"))

    def test_time_may_go_back_below_the_base_of_a_run(self):
        m = Maker().thread(1).run(1, [("instant", 1050, "a"), ("instant", 1040, "b")]).end()
        self.assertEqual(rows(tables_of(m)["instant"], "at", "name"), [(40, "b"), (50, "a")])
        self.assertEqual(str(reader_check.verdict(m.bytes())), "exact")

    def test_handlers_have_a_lane_of_their_own(self):
        lanes = rows(tables_of(rich())["instant"], "at", "lane", "task")
        self.assertEqual(
            [row for row in lanes if row[1][2] == "signal"],
            [(62, (71, 801, "signal", 0), 9), (64, (71, 801, "signal", 0), 9)],
        )

    def test_waits_and_phases_whose_begin_or_end_is_missing(self):
        m = (
            Maker()
            .thread(1)
            .run(
                1,
                [
                    ("queue_wait_end", 1010, 3, "q", 1),
                    ("gc_end", 1020, "mark"),
                    ("queue_wait_begin", 1030, 3, "q", 2),
                    ("queue_wait_begin", 1040, 4, "q", 1),
                    ("gc_begin", 1050, "sweep"),
                ],
            )
            .end()
        )
        self.assertEqual(
            rows(tables_of(m)["wait"], "start", "dur", "object", "why", "flags"),
            [
                (0, 10, ("queue", "q", 0), "full", 1),
                (30, 9970, ("queue", "q", 0), "empty", 2),
                (40, 9960, ("queue", "q", 1), "full", 2),
            ],
        )
        self.assertEqual(
            rows(tables_of(m)["gc"], "start", "dur", "phase", "flags"), [(0, 20, "mark", 1), (50, 9950, "sweep", 2)]
        )

    def test_the_clock_is_interpolated_between_pairs_and_extrapolated_beyond(self):
        m = Maker(hz=500000000).clock(BASE + 100, 5200).clock(BASE + 50, 5300).clock(BASE + 200, 5500).thread(1)
        m.run(1, [("instant", 1050, "a"), ("instant", 1150, "a"), ("instant", 1300, "a")], base=990).end(end=400)
        self.assertEqual(rows(tables_of(m)["instant"], "at"), [(100,), (350,), (800,)])
        nominal = Maker(hz=500000000).thread(1).run(1, [("instant", 900, "a"), ("instant", 1050, "a")]).end()
        self.assertEqual(rows(tables_of(nominal)["instant"], "at"), [(-200,), (100,)])

    def test_a_cut_capture_ends_with_its_latest_event(self):
        m = Maker().thread(1).run(1, [("region_begin", 1010, "a"), ("instant", 1070, "x")])
        self.assertEqual(rows(tables_of(m)["region"], *self.REGION), [(0, 10, 60, "a", 2)])


DOCUMENT = """{"format":"tracetap","version":1,"capture":{"t0_unix_ns":"1700000000000000000","dur_ns":10000,"pid":71,"exe":"svc","cpus":8,"clock":"mono","groups":63,"sample":"","producer":"maker 1","notes":{"source.sched":"off: not asked for"}},
"chunks":[
{"t":"lane","id":7,"kind":"thread","pid":71,"tid":801,"name":"worker","sort":0},
{"t":"str","base":0,"v":["a","b","q"]},
{"t":"region","lane":7,"depth":1,"n":2,"t0":20,"dt":[0,20],"dur":10,"name":1,"task":4,"flags":0},
{"t":"region","lane":7,"depth":0,"n":1,"t0":10,"dt":0,"dur":90,"name":0,"task":-1,"flags":0},
{"t":"work","lane":7,"n":1,"t0":15,"dt":0,"dur":80,"task":4,"flags":0},
{"t":"task","n":1,"id":4,"parent":-1,"kind":2,"start":12,"dur":84,"status":0,"lane":7,"end_lane":7,"code":0,"text":-1,"trace":"","flags":0},
{"t":"attr","n":1,"task":4,"key":0,"value":["v\\u00e9"]},
{"t":"str","base":3,"v":["c"]},
{"t":"counter","lane":7,"name":3,"n":3,"t0":101,"dt":[0,1,1],"v":[5,6,5]}
],"end":{"dur_ns":10000,"reason":"window","truncated":false,"identity":"exact","rows":9,"account":{"events":14,"delivered":14,"filtered":0,"lost_full":0,"lost_nested":0,"lost_queue":0,"lost_late":0,"lost_stall":0,"sampled_out":0}}}
"""


def documented():
    """The capture of which DOCUMENT is the viewer JSON."""
    return (
        Maker()
        .thread(1)
        .run(
            1,
            [
                ("region_begin", 1010, "a"),
                ("task_begin", 1012, 900, 0, "q"),
                ("task_attr_str", 1013, 900, "a", "v\u00e9"),
                ("task_enter", 1015, 900),
                ("region_begin", 1020, "b"),
                ("region_end", 1030),
                ("region_begin", 1040, "b"),
                ("region_end", 1050),
                ("task_enter", 1095, 0),
                ("task_end", 1096, 900, 0, "q", 1012, 0),
                ("region_end", 1100),
                ("counter", 1101, "c", 5),
                ("counter", 1102, "c", 6),
                ("counter", 1103, "c", 5),
            ],
        )
        .end()
    )


class Comparing(unittest.TestCase):
    def compare(self, document, maker=None):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as out:
            out.write(document)
            out.flush()
            printed = io.StringIO()
            status = reader_compare.run(reader.Capture((maker or documented()).bytes()), out.name, printed)
        return status, printed.getvalue()

    def test_a_document_with_other_numbering_is_the_same(self):
        self.assertEqual(self.compare(DOCUMENT), (0, ""))

    def test_every_changed_number_is_found(self):
        changes = [
            ('"t0":20', '"t0":22'),
            ('"dur":10,"name":1', '"dur":12,"name":1'),
            ('"name":1,"task":4', '"name":0,"task":4'),
            ('"name":1,"task":4', '"name":1,"task":-1'),
            ('"depth":1', '"depth":2'),
            ('"flags":0}\n],', '"flags":1}\n],'),
            ('"dur":80', '"dur":78'),
            ('"start":12', '"start":10'),
            ('"status":0', '"status":1'),
            ('"end_lane":7', '"end_lane":-1'),
            ('"parent":-1', '"parent":4'),
            ('"code":0', '"code":1'),
            ('"text":-1', '"text":0'),
            ('"trace":""', '"trace":"00"'),
            ('["v\\u00e9"]', '["v"]'),
            ('"key":0', '"key":1'),
            ('"v":[5,6,5]', '"v":[5,6,7]'),
            ('"dt":[0,1,1]', '"dt":[0,1,3]'),
            ('"tid":801', '"tid":802'),
            ('"name":"worker"', '"name":"other"'),
            ('"pid":71,"exe"', '"pid":72,"exe"'),
            ('"events":14', '"events":15'),
            ('"reason":"window"', '"reason":"bytes"'),
            ('"truncated":false', '"truncated":true'),
            ('"identity":"exact"', '"identity":"one is missing"'),
            ('"dur_ns":10000,"reason"', '"dur_ns":10002,"reason"'),
            ('"sample":""', '"sample":"1"'),
            ('"off: not asked for"', '"on"'),
        ]
        for old, new in changes:
            if old not in DOCUMENT:
                continue
            with self.subTest(f"{old} -> {new}"):
                status, printed = self.compare(DOCUMENT.replace(old, new, 1))
                self.assertEqual(status, 1)
                self.assertTrue(printed)

    def test_missing_and_added_rows_are_found(self):
        lines = DOCUMENT.splitlines(keepends=True)
        for index in range(4, len(lines) - 3):
            if '"t":"str"' in lines[index]:
                continue
            with self.subTest(lines[index][:24]):
                fewer = "".join(lines[:index] + lines[index + 1 :])
                more = "".join(lines[: index + 1] + [lines[index]] + lines[index + 1 :])
                self.assertEqual((self.compare(fewer)[0], self.compare(more)[0]), (1, 1))

    def test_the_written_form_is_checked(self):
        for old, new in [
            ('"dur":10,"name":1', '"dur":[10,10],"name":1'),
            ('"dt":[0,20]', '"dt":[0,5]'),
            ('"dt":[0,20]', '"dt":[0]'),
            ('"base":3', '"base":4'),
            ('"name":3', '"name":4'),
            ('"chunks":[\n', '"chunks":['),
            ("\\u00e9", "\u00e9"),
        ]:
            with self.subTest(f"{old!r} -> {new!r}"):
                self.assertEqual(self.compare(DOCUMENT.replace(old, new, 1))[0], 1)

    def test_rounding_is_forgiven_and_a_bent_clock_up_to_a_microsecond(self):
        one_off = DOCUMENT.replace('"t0":101', '"t0":102')
        self.assertEqual(self.compare(one_off)[0], 0)
        bent = copy.deepcopy(documented())
        bent.blocks[-2:-2] = [block(2, u(BASE + 4000, 9500, 1))]
        bent.blocks.pop()
        bent.trailer()
        self.assertEqual(self.compare(DOCUMENT, bent)[0], 1, "the window's end is 1.25 us off: more than is allowed")

    def test_a_cut_capture_is_compared_too(self):
        cut = documented()
        cut.blocks = cut.blocks[:-2]
        document = DOCUMENT.replace(
            '"reason":"window","truncated":false,"identity":"exact"', '"reason":"cut","truncated":true,"identity":"cut"'
        )
        document = document.replace('{"dur_ns":10000,"reason"', '{"dur_ns":103,"reason"')
        self.assertEqual(self.compare(document, cut), (0, ""))


class Command(unittest.TestCase):
    def call(self, *args, data=None):
        with tempfile.NamedTemporaryFile(suffix=".ttap") as capture:
            capture.write(rich().bytes() if data is None else data)
            capture.flush()
            script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reader.py")
            return subprocess.run(
                [sys.executable, "-B", script, capture.name, *args], capture_output=True, text=True, check=False
            )

    def test_the_command_prints_what_it_is_asked_for(self):
        self.assertEqual(json.loads(self.call("--json").stdout)["by_kind"]["instant"], 4)
        self.assertIn('1/0 seq 5 at 1040: counter name="depth" value=-3', self.call("--events").stdout)
        self.assertIn("region", json.loads(self.call("--viewer").stdout)["tables"])
        self.assertEqual(self.call("--validate").stdout, "exact\n")

    def test_the_command_says_what_is_no_capture(self):
        self.assertEqual(
            (self.call(data=b"hello").returncode, self.call("--validate", data=b"hello").returncode), (2, 1)
        )


@unittest.skipUnless(TOOL, "TTAP_VALIDATE does not name the C validator")
class Counters(unittest.TestCase):
    """The counter check, which only the C validator has."""

    def tiles(self, maker):
        with tempfile.NamedTemporaryFile(suffix=".ttap") as capture:
            capture.write(maker.bytes())
            capture.flush()
            done = subprocess.run([TOOL, "--tiles", capture.name], capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        verdict, *tiles = done.stdout.splitlines()
        return verdict.split(": ", 1)[1].split(": ")[:2], [tile.strip() for tile in tiles]

    @staticmethod
    def count(first, last, name="tile.3", at=1001):
        return [("counter", at + index, name, value) for index, value in enumerate(range(first, last + 1))]

    def test_a_stream_of_one_counter_proves_its_losses(self):
        m = Maker().thread(1).run(1, self.count(0, 4)).loss(1, 4).run(1, self.count(9, 11)).loss(1, 2).end()
        self.assertEqual(
            self.tiles(m),
            (
                ["exact"],
                ["tile.3 thread 1: 8 delivered, 0 to 11, 4 missing, 0 twice, 0 out of order, covered, window 0 to 14"],
            ),
        )

    def test_a_window_may_begin_anywhere_and_after_a_loss(self):
        m = Maker().thread(1).loss(1, 3).run(1, self.count(1003, 1004)).end()
        self.assertEqual(
            self.tiles(m)[1],
            [
                "tile.3 thread 1: 2 delivered, 1003 to 1004, 0 missing, 0 twice, 0 out of order, covered, window 1000 to 1005"
            ],
        )

    def test_a_hidden_loss_is_found(self):
        self.assertEqual(
            self.tiles(Maker().thread(1).run(1, self.count(0, 4)).run(1, self.count(6, 7)).end())[0][1], "tile-hole"
        )
        self.assertEqual(
            self.tiles(Maker().thread(1).run(1, self.count(0, 4)).loss(1, 1).run(1, self.count(7, 8)).end())[0][1],
            "tile-hole",
        )

    def test_an_invented_loss_is_found(self):
        self.assertEqual(
            self.tiles(Maker().thread(1).run(1, self.count(0, 4)).loss(1, 1).run(1, self.count(5, 7)).end())[0][1],
            "tile-invented",
        )

    def test_a_loss_in_the_wrong_place_does_not_cover_a_hole(self):
        m = Maker().thread(1).run(1, self.count(0, 4)).loss(1, 2).run(1, [*self.count(5, 6), ("instant", 1050, "x")])
        m.run(1, self.count(9, 9)).end()
        self.assertEqual(self.tiles(m)[0][1], "tile-hole")

    def test_a_loss_is_not_spent_twice(self):
        other = ("instant", 1050, "x")
        m = (
            Maker()
            .thread(1)
            .run(
                1,
                [("counter", 1001, "tile.3", 0), ("counter", 1002, "tile.3", 2), ("counter", 1003, "tile.3", 4), other],
                filtered=1,
            )
            .end()
        )
        self.assertEqual(self.tiles(m)[0][1], "tile-hole")
        m = (
            Maker()
            .thread(1)
            .run(
                1,
                [("counter", 1001, "tile.3", 0), ("counter", 1002, "tile.3", 2), ("counter", 1003, "tile.3", 4), other],
                filtered=2,
            )
            .end()
        )
        self.assertEqual(self.tiles(m)[0], ["exact"])

    def test_other_events_in_the_stream_may_be_what_was_lost(self):
        m = (
            Maker()
            .thread(1)
            .run(1, [*self.count(0, 4), ("instant", 1050, "x")])
            .loss(1, 9)
            .run(1, self.count(7, 8))
            .end()
        )
        self.assertEqual(
            self.tiles(m),
            (["exact"], ["tile.3 thread 1: 7 delivered, 0 to 8, 2 missing, 0 twice, 0 out of order, covered"]),
        )

    def test_filtered_events_may_be_others_and_then_prove_nothing(self):
        m = Maker().thread(1).run(1, self.count(0, 2), filtered=2).run(1, self.count(3, 4)).end()
        self.assertEqual(
            self.tiles(m),
            (["exact"], ["tile.3 thread 1: 5 delivered, 0 to 4, 0 missing, 0 twice, 0 out of order, covered"]),
        )

    def test_values_twice_and_out_of_order_are_found(self):
        m = Maker().thread(1).run(1, self.count(0, 4)).run(1, self.count(4, 5)).end()
        self.assertEqual(self.tiles(m)[0][1], "tile-twice")
        m = Maker().thread(1).run(1, [*self.count(1, 2), *self.count(0, 0, at=1010)]).end()
        self.assertEqual(self.tiles(m)[0][1], "tile-order")

    def test_a_counter_on_both_levels_of_a_thread_is_compared_in_total(self):
        odd = [("counter", 1003, "tile.3", 2), ("counter", 1008, "tile.3", 5)]
        m = (
            Maker()
            .thread(1)
            .run(1, [*self.count(0, 1), *self.count(3, 4, at=1004)])
            .run(1, odd, level=1)
            .loss(1, 1)
            .end()
        )
        self.assertEqual(self.tiles(m)[0], ["exact"])
        odd[1] = ("counter", 1008, "tile.3", 7)
        m = (
            Maker()
            .thread(1)
            .run(1, [*self.count(0, 1), *self.count(3, 4, at=1004)])
            .run(1, odd, level=1)
            .loss(1, 1)
            .end()
        )
        self.assertEqual(self.tiles(m)[0][1], "tile-hole")

    def test_a_counter_on_two_threads_is_refused(self):
        m = Maker().thread(1).thread(2).run(1, self.count(0, 1)).run(2, self.count(2, 3)).end()
        self.assertEqual(self.tiles(m)[0][1], "tile-threads")

    def test_sampled_out_events_have_no_number_and_still_count(self):
        m = Maker(sample="0.5").thread(1).run(1, self.count(0, 4))
        m.book(1, 0)["sampled_out"] += 3
        self.assertEqual(self.tiles(copy.deepcopy(m).run(1, self.count(8, 9)).end())[0], ["exact"])
        self.assertEqual(self.tiles(m.run(1, self.count(9, 9)).end())[0][1], "tile-hole")

    def test_several_counters_on_several_threads(self):
        m = (
            Maker()
            .thread(1)
            .thread(2)
            .run(2, self.count(0, 2, name="tile.12"))
            .run(1, self.count(5, 6, name="tile.1"))
            .end()
        )
        self.assertEqual([tile.split(" ")[0] for tile in self.tiles(m)[1]], ["tile.1", "tile.12"])

    def test_names_that_only_look_like_tiles_are_not_checked(self):
        m = Maker().thread(1)
        for name in ["tile.", "tile.x1", "tiles.1", "tile.1 "]:
            m.run(1, [("counter", 1001, name, 5), ("counter", 1002, name, 3)])
        self.assertEqual(self.tiles(m.end()), (["exact"], []))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main()
