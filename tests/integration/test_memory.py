"""What a capture says of memory, against what programs know of their own (tests/support/memory_work.c)."""

import json
import os
import subprocess
import sys
import tempfile
import time

PROGRAMS, MEMORY_WORK = sys.argv[1:3]
MIB = 1 << 20


def skip(why):
    print(why)
    sys.exit(77)


def columns(chunk, *keys):
    at = chunk["t0"]
    values = [chunk[key] if isinstance(chunk[key], list) else [chunk[key]] * chunk["n"] for key in ("dt", *keys)]
    for row in zip(*values):
        at += row[0]
        yield (at, *row[1:])


class Document:
    def __init__(self, native):
        tool = os.path.join(PROGRAMS, "tracetap")
        subprocess.run([os.environ["TTAP_VALIDATE"], native], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([tool, "convert", native, "-o", native + ".json"], check=True)
        with open(native + ".json", encoding="ascii") as file:
            document = json.load(file)
        assert document["end"]["identity"] == "exact", document["end"]
        self.notes, self.window = document["capture"]["notes"], document["end"]["dur_ns"]
        self.chunks = document["chunks"]
        self.strings = [text for chunk in self.chunks if chunk["t"] == "str" for text in chunk["v"]]
        self.lanes = {chunk["id"]: chunk for chunk in self.chunks if chunk["t"] == "lane"}

    def counter(self, name):
        """pid -> (time, value)..., of main threads."""
        found = {}
        for chunk in self.chunks:
            if chunk["t"] == "counter" and self.strings[chunk["name"]] == name:
                lane = self.lanes[chunk["lane"]]
                assert lane["pid"] == lane["tid"], lane
                found.setdefault(lane["pid"], []).extend(columns(chunk, "v"))
        return found


def recorded(*command, options=()):
    if os.environ.get("TTAP_SANITIZE"):
        skip("a sanitizer's runtime cannot be preloaded into other programs")
    tool = os.path.join(PROGRAMS, "tracetap")
    with tempfile.TemporaryDirectory() as folder:
        native = os.path.join(folder, "a.ttap")
        done = subprocess.run([tool, "run", "-q", "-o", native, *options, "--", *command], stdout=subprocess.PIPE, text=True, timeout=100, check=True)
        for _ in range(300):
            stat = subprocess.run([tool, "stat", "--json", native], capture_output=True, text=True, check=False)
            if stat.returncode == 0 and json.loads(stat.stdout)["truncated"] is False:
                return done.stdout, Document(native)
            time.sleep(0.1)
    raise AssertionError("the recording does not end")


def memory_of_each_process_is_a_counter_of_its_own():
    out, document = recorded(MEMORY_WORK, "64", "--child")
    own = {}
    for line in out.splitlines():
        pid, when, resident = line.split()
        own.setdefault(int(pid), {})[when] = int(resident)
    resident, data = document.counter("memory.resident_bytes"), document.counter("memory.data_bytes")
    assert set(own) <= set(resident) and set(own) <= set(data), (own, resident.keys())
    for pid, said in own.items():
        values = [value for _, value in resident[pid]]
        print(pid, said, values)
        assert abs(max(values) - said["meanwhile"]) < MIB, "seen at its largest"
        after = values[values.index(max(values)):]
        assert abs(min(after) - said["behind"]) < MIB, "and when it was given back"
        assert max(v for _, v in data[pid]) - min(v for _, v in data[pid]) > (said["meanwhile"] - said["before"]) * 0.9
    assert document.notes["source.memory"].startswith("on"), document.notes


if __name__ == "__main__":
    globals()[sys.argv[3]]()
