"""reader_compare.py - our own rows against a viewer JSON document, row for row.

      Capture --> reader_tables --\\
                                   >-- same shape --> pair tasks, then rows by all columns but times --> compare times
      OUT.json --> Document ------/

The document numbers lanes, strings, objects and tasks as it likes; here a lane is (pid, tid, kind, which of that
name), an object its name and which of that name, a string itself. Tasks have no outside name: they are paired by
everything known about them, times last.

Tolerance: section 5 lets a streaming reader be off by less than 1 us where a later clock pair bends the line. Where
ticks are nanoseconds and all pairs lie on that there is nothing to bend, and only rounding is forgiven: 1 ns. (A pair
of another clock that is 1 ns off after 10 ms is 5 ns off after 50.)
"""

import collections
import json
import re

import reader as r
import reader_states
import reader_tables

MAX_ROWS = 16384
MAX_SHOWN = 10
TIME_COLUMNS = ("start", "dur", "at")
REPLACED = re.compile("\ufffd+")  # how many U+FFFD stand for a run of broken bytes is not said


class Malformed(Exception):
    pass


class Document:
    """A viewer JSON document, checked for its written form while it is read."""

    TABLES = {
        "region": ["depth", "dur", "name", "task", "flags"],
        "work": ["dur", "task", "flags"],
        "log": ["cat", "text", "task"],
        "instant": ["name", "task"],
        "counter": ["name", "v"],
        "depth": ["object", "v"],
        "alloc": ["calls", "bytes", "frees"],
        "wait": ["dur", "object", "why", "task", "flags"],
        "gc": ["dur", "phase", "flags"],
        "lost": ["dur", "count", "reason"],
        "call": ["dur", "op", "object", "stack", "result", "task", "flags"],
        "release": ["op", "object"],
        "request": ["dur", "object", "side", "lane", "end_lane", "in", "out", "receives", "sends", "flags"],
        "state": ["dur", "state", "cpu", "call", "op", "object", "stack", "flags"],
        "wake": ["to", "run", "cause"],
        "other": ["dur", "cpu", "pid", "name", "flags"],
    }
    STRINGS = {
        "region": ["name"],
        "log": ["cat"],
        "instant": ["name"],
        "counter": ["name"],
        "wait": ["why"],
        "gc": ["phase"],
        "lost": ["reason"],
        "call": ["op"],
        "release": ["op"],
        "request": ["side"],
        "state": ["state", "op"],
        "wake": ["cause"],
        "other": ["name"],
    }
    TASK_COLUMNS = [
        "id",
        "parent",
        "kind",
        "start",
        "dur",
        "status",
        "lane",
        "end_lane",
        "code",
        "text",
        "trace",
        "flags",
    ]

    def __init__(self, raw):
        if not raw.isascii():
            raise Malformed("the document is not all ASCII")
        self.document = json.loads(raw)
        self._check_lines(raw.decode())
        self.strings, self.lanes, self.lane_names, self.objects = [], {}, {}, {}
        self.frames, self.stacks = [], []
        self.rows = {name: [] for name in [*self.TABLES, "task", "attr", "sample", "alloc_sample"]}
        for chunk in self.document["chunks"]:
            self._chunk(chunk)
        for table in ("sample", "alloc_sample", "call", "state"):  # frames and stacks may come later
            for row in self.rows[table]:
                row["stack"] = self._stack(row["stack"])
        self._name_objects()

    def _check_lines(self, document):
        head, opened, rest = document.partition('"chunks":[\n')
        lines = rest.strip("\n").split("\n")  # without chunks an empty line may stand in their place
        if not opened or not lines[-1].startswith("]"):
            raise Malformed('the head does not end in a line with "chunks":[, or no line closes the chunks')
        if len(lines) != len(self.document["chunks"]) + 1:
            raise Malformed(f"{len(lines) - 1} lines for {len(self.document['chunks'])} chunks")
        for line in lines[:-1]:
            if not line.startswith('{"t":'):
                raise Malformed(f"a chunk's line begins with {line[:20]!r}")
        if (self.document["format"], self.document["version"]) != ("tracetap", 1):
            raise Malformed("format and version are not tracetap 1")

    def _chunk(self, chunk):
        table = chunk["t"]
        if table == "str":
            if chunk["base"] != len(self.strings):
                raise Malformed(f"strings from {chunk['base']}, but {len(self.strings)} are known")
            self.strings += chunk["v"]
        elif table == "lane":
            self._lane(chunk)
        elif table == "object":
            self.objects[chunk["id"]] = (chunk["kind"], chunk.get("address", chunk["name"]))
        elif table == "task":
            self._task_chunk(chunk)
        elif table == "attr":
            self._attr_chunk(chunk)
        elif table == "frame":
            self.frames += [self._string(func) for func in self._column(chunk, "func")]
        elif table == "stack":
            self.stacks += zip(self._column(chunk, "frame"), self._column(chunk, "up"))
        elif table in ("sample", "alloc_sample"):
            self._sample_chunk(table, chunk)
        elif table in self.TABLES:
            self._timed_chunk(table, chunk)

    def _name_objects(self):
        """Each by its kind, its last name, and which of that name it is: names may come late."""
        seen, keys = {}, {-1: None}
        for number, named in self.objects.items():
            keys[number] = (*named, seen.get(named, 0))
            seen[named] = seen.get(named, 0) + 1
        for row in (row for rows in self.rows.values() for row in rows if "object" in row):
            row["object"] = keys[row["object"]]

    def _lane(self, chunk):
        head = (chunk["pid"], chunk["tid"], chunk["kind"])
        if chunk["id"] not in self.lanes:
            self.lanes[chunk["id"]] = (*head, sum(key[:3] == head for key in self.lanes.values()))
        self.lane_names[self.lanes[chunk["id"]]] = chunk["name"]

    @staticmethod
    def _column(chunk, name):
        rows, column = chunk["n"], chunk[name]
        if not 0 < rows <= MAX_ROWS:
            raise Malformed(f"a {chunk['t']} chunk of {rows} rows")
        if not isinstance(column, list):
            return [column] * rows
        if len(column) != rows:
            raise Malformed(f"column {name} of a {chunk['t']} chunk has {len(column)} of {rows} values")
        if chunk["t"] != "attr" and all(value == column[0] for value in column):
            raise Malformed(f"column {name} of a {chunk['t']} chunk is all {column[0]!r} and yet an array")
        return column

    def _string(self, number):
        if number == -1:
            return None
        if not 0 <= number < len(self.strings):
            raise Malformed(f"string {number} of {len(self.strings)} is used")
        return self.strings[number]

    def _lane_key(self, lane):
        if lane != -1 and lane not in self.lanes:
            raise Malformed(f"lane {lane} is used before its chunk")
        return None if lane == -1 else self.lanes[lane]

    def _sample_chunk(self, table, chunk):
        weights = ("cpu_ns",) if table == "sample" else ("bytes", "weight")
        for at, lane, stack, task, *values in zip(self._times(chunk), *(self._column(chunk, name) for name in ("lane", "stack", "task", *weights))):
            row = {"lane": self._lane_key(lane), "at": at, "stack": stack, "task": None if task == -1 else task}
            self.rows[table].append(row | dict(zip(weights, values)))

    def _stack(self, number):
        """Innermost first; `up` rows before is the one that called it."""
        names, up = [], 0 if number == -1 else 1
        while up:
            frame, up = self.stacks[number]
            names.append(self.frames[frame])
            number -= up
            if number < 0:
                raise Malformed("a stack goes up beyond the first")
        return tuple(names) or None

    def _times(self, chunk):
        at = chunk["t0"]
        for step in self._column(chunk, "dt"):
            at += step
            yield at

    def _timed_chunk(self, table, chunk):
        times = list(self._times(chunk))
        columns = {name: self._column(chunk, name) for name in self.TABLES[table]}
        lane, time_name = self._lane_key(chunk["lane"]) if "lane" in chunk and "lane" not in columns else None, "start" if "dur" in columns else "at"
        rows = []
        for index, time in enumerate(times):
            row = {"lane": lane, time_name: time, **{name: column[index] for name, column in columns.items()}}
            row.update((name, self._string(row[name])) for name in self.STRINGS.get(table, []))
            if "task" in row:
                row["task"] = None if row["task"] == -1 else row["task"]
            row.update((name, self._lane_key(row[name])) for name in ("lane", "end_lane", "to") if name in columns)
            if row.get("object", -1) != -1 and row["object"] not in self.objects:
                raise Malformed(f"object {row['object']} is used before its chunk")
            rows.append(row)
        if table == "region":
            self._check_disjoint(rows)
        self.rows[table] += rows

    @staticmethod
    def _check_disjoint(rows):
        if len({row["depth"] for row in rows}) != 1:
            raise Malformed("a region chunk of several depths")
        for one, next_one in zip(rows, rows[1:]):
            if next_one["start"] < one["start"] + one["dur"]:
                raise Malformed(f"regions of one lane and depth overlap: {one} and {next_one}")

    def _task_chunk(self, chunk):
        columns = {name: self._column(chunk, name) for name in self.TASK_COLUMNS}
        for index in range(chunk["n"]):
            row = {name: column[index] for name, column in columns.items()}
            row["parent"] = None if row["parent"] == -1 else row["parent"]
            row["kind"], row["text"] = self._string(row["kind"]), self._string(row["text"]) or ""
            row["lane"], row["end_lane"] = self._lane_key(row["lane"]), self._lane_key(row["end_lane"])
            self.rows["task"].append(row)

    def _attr_chunk(self, chunk):
        tasks, keys, values = (self._column(chunk, name) for name in ("task", "key", "value"))
        if not isinstance(chunk["value"], list):
            raise Malformed("attr values are not an array")
        self.rows["attr"] += [{"task": t, "key": self._string(k), "value": v} for t, k, v in zip(tasks, keys, values)]


# Comparing


def plain(value):
    """Lists and tuples, and text whose broken bytes may have been counted differently, made equal."""
    if isinstance(value, str):
        return REPLACED.sub("\ufffd", value)
    return tuple(plain(part) for part in value) if isinstance(value, (list, tuple)) else value


def key_of(row, leave_out=()):
    return repr(
        sorted(
            (name, plain(value)) for name, value in row.items() if name not in TIME_COLUMNS and name not in leave_out
        )
    )


def times_of(row):
    start = row.get("start", row.get("at"))
    return (start, start + row.get("dur", 0)) if start is not None else (0, 0)


def near(one, other, tolerance_ns):
    return all(abs(a - b) <= tolerance_ns for a, b in zip(times_of(one), times_of(other)))


class Side:
    """One side's rows, with what identifies its tasks."""

    def __init__(self, rows):
        self.rows = rows
        self.tasks = {row["id"]: row for row in rows["task"]}
        uses = collections.defaultdict(list)
        for table, of_table in rows.items():
            for row in of_table if table != "task" else []:
                if row.get("task") is not None:
                    uses[row["task"]].append(table + key_of(row, ("task",)))
        marks = {
            number: key_of(row, ("id", "parent")) + repr(sorted(uses[number])) for number, row in self.tasks.items()
        }
        for _ in range(3):  # a mark knows its ancestors three deep; deeper twins are told apart by time
            marks = {
                number: mark + "<" + str(hash(marks.get(self.tasks[number]["parent"])))
                for number, mark in marks.items()
            }
        self.marks = marks


def pair_tasks(ours, theirs, tolerance_ns):
    """[(our row, their row)], by mark and time; what is left by kind and start, so that a difference shows as one."""
    pairs, left = [], ([], [])
    groups = collections.defaultdict(lambda: ([], []))
    for side, of in enumerate((ours, theirs)):
        for number, mark in of.marks.items():
            groups[mark][side].append(of.tasks[number])
    for mine, others in groups.values():
        mine.sort(key=times_of)
        others.sort(key=times_of)
        pairs += zip(mine, others)
        left[0].extend(mine[len(others) :])
        left[1].extend(others[len(mine) :])
    for row in left[0][:]:
        found = [
            other
            for other in left[1]
            if other["kind"] == row["kind"] and abs(other["start"] - row["start"]) <= tolerance_ns
        ]
        if found:
            pairs.append((row, found[0]))
            left[0].remove(row)
            left[1].remove(found[0])
    return pairs, left


def rename_tasks(rows, names):
    for table in rows.values():
        for row in table:
            for column in ("id", "task", "parent"):
                if column in row:
                    row[column] = None if row[column] is None else names.get(row[column], "?")


def compare_table(table, ours, theirs, tolerance_ns):
    groups = collections.defaultdict(lambda: ([], []))
    for side, rows in enumerate((ours, theirs)):
        for row in rows:
            groups[key_of(row)][side].append(row)
    differences = []
    for key in sorted(groups):
        mine, others = groups[key]
        mine.sort(key=times_of)
        others.sort(key=times_of)
        for one, other in zip(mine, others):
            if not near(one, other, tolerance_ns):
                differences.append(f"{table}: times differ: {show(one)} here, {show(other)} in the JSON")
        differences += [f"{table}: only here: {show(row)}" for row in mine[len(others) :]]
        differences += [f"{table}: only in the JSON: {show(row)}" for row in others[len(mine) :]]
    return differences


def show(row):
    return " ".join(f"{name}={value!r}" for name, value in row.items())


def compare_values(what, ours, theirs):
    return [
        f"{what}.{name}: {ours[name]!r} here, {theirs.get(name)!r} in the JSON"
        for name in ours
        if ours[name] is not None and plain(ours[name]) != plain(theirs.get(name))
    ]


def compare_end(ours, theirs, tolerance_ns):
    theirs = dict(theirs, identity="exact" if theirs["identity"] == "exact" else "not exact")
    if abs(ours["dur_ns"] - theirs["dur_ns"]) <= tolerance_ns:
        theirs["dur_ns"] = ours["dur_ns"]
    return compare_values("end", ours, theirs)


def wake_span(row):
    """From when it could run until it did: two times."""
    row = dict(row, start=row["at"], dur=max(0, row["run"]), ran=row["run"] >= 0)
    del row["at"], row["run"]
    return row


def differences(capture, document):
    tables = reader_tables.Tables(capture)
    tolerance_ns = 1 if capture.header.clock == 2 and tables.clock.slope_error_ns() <= 1 else 999
    mine = tables.finished()
    for table in mine.values():
        for row in table:
            if "task" in row:
                row["task"] = row["task"] or None
    ours, theirs = Side(mine), Side(document.rows)
    pairs, left = pair_tasks(ours, theirs, tolerance_ns)
    rename_tasks(ours.rows, {one["id"]: f"T{index}" for index, (one, _) in enumerate(pairs)})
    rename_tasks(theirs.rows, {other: f"T{index}" for index, other in enumerate([row["id"] for _, row in pairs])})
    found = compare_values("capture", reader_tables.head_of(capture), document.document["capture"])
    found += compare_end(reader_tables.end_of(capture, tables), document.document["end"], tolerance_ns)
    found += [
        f"lane: {key} is {name!r} here, {document.lane_names.get(key)!r} in the JSON"
        for key, name in tables.lane_names.items()
        if plain(document.lane_names.get(key)) != plain(name)
    ]
    found += [f"lane: {key} is only in the JSON" for key in document.lane_names if key not in tables.lane_names]
    for side in (ours, theirs):
        side.rows["wake"] = [wake_span(row) for row in side.rows["wake"]]
        side.rows["state"] = reader_states.merged(row for row in side.rows["state"] if row["lane"] not in tables.only_looked_at)
    if not tables.only_looked_at and document.document["end"].get("disagreements", 0) != tables.disagreements:
        found.append(f"disagreements: {tables.disagreements} here, {document.document['end'].get('disagreements', 0)} in the JSON")
    for table in sorted(ours.rows):
        found += compare_table(table, ours.rows[table], theirs.rows.get(table, []), tolerance_ns)
    return found


def run(capture, path, out):
    """0 when nothing differs; else prints the first differences and gives 1."""
    try:
        with open(path, "rb") as stream:
            document = Document(stream.read())
        if not capture.header:
            raise Malformed("a document, though the capture has no HEADER")
        found = differences(capture, document)
    except (Malformed, KeyError, TypeError, ValueError) as why:
        found = [f"the document: {type(why).__name__}: {why}"]
    for line in found[:MAX_SHOWN]:
        print(line, file=out)
    if len(found) > MAX_SHOWN:
        print(f"... and {len(found) - MAX_SHOWN} more", file=out)
    return 1 if found else 0
