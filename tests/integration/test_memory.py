"""What a capture says of memory, against what programs know of their own (tests/support/memory_work.c)."""

import os
import sys
import tempfile

from recorded import document_of, main, run_recorded, skip, strings_of, timed_rows

PROGRAMS, MEMORY_WORK, ALLOC_WORK = sys.argv[1:4]
MIB = 1 << 20


class Document:
    def __init__(self, native):
        document = document_of(PROGRAMS, native)
        self.notes, self.window = document["capture"]["notes"], document["end"]["dur_ns"]
        self.chunks = document["chunks"]
        self.strings = strings_of(document)
        self.lanes = {chunk["id"]: chunk for chunk in self.chunks if chunk["t"] == "lane"}

    def counter(self, name):
        """pid -> (time, value)..., of main threads."""
        found = {}
        for chunk in self.chunks:
            if chunk["t"] == "counter" and self.strings[chunk["name"]] == name:
                lane = self.lanes[chunk["lane"]]
                assert lane["pid"] == lane["tid"], lane
                found.setdefault(lane["pid"], []).extend(timed_rows(chunk, "v"))
        return found


def recorded(*command, environment=None):
    with tempfile.TemporaryDirectory() as folder:
        native = os.path.join(folder, "a.ttap")
        return run_recorded(PROGRAMS, native, *command, environment=environment), Document(native)


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


def check_allocation(out, document):
    """Each thread's own count, by all of its rows; glibc adds a few allocations of its own when a thread begins."""
    seen = {}
    for chunk in document.chunks:
        if chunk["t"] == "alloc":
            sums = seen.setdefault(document.lanes[chunk["lane"]]["tid"], [0, 0, 0])
            for _, *grown in timed_rows(chunk, "calls", "bytes", "frees"):
                for i, value in enumerate(grown):
                    sums[i] += value
    own = [list(map(int, line.split())) for line in out.splitlines()]
    assert own
    for tid, calls, size, frees in own:
        print(tid, (calls, size, frees), seen.get(tid))
        assert tid in seen
        assert calls <= seen[tid][0] <= calls + 20 and size <= seen[tid][1] <= size + 100_000, (tid, calls, size, seen[tid])
        assert frees <= seen[tid][2] <= frees + 20, (tid, frees, seen[tid])
    assert document.notes["source.alloc"].startswith("on"), document.notes


def what_each_thread_allocates_is_counted():
    check_allocation(*recorded(ALLOC_WORK, "6"))


def what_threads_of_forked_processes_allocate_is_counted():
    check_allocation(*recorded(ALLOC_WORK, "6", "--fork"))


def preloaded(library):
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"):
        if os.path.exists(os.path.join(folder, library)):
            return {"LD_PRELOAD": os.path.join(folder, library)}
    return skip(f"{library} is not installed")


def allocation_is_counted_in_front_of_jemalloc():
    check_allocation(*recorded(ALLOC_WORK, "4", environment=preloaded("libjemalloc.so.2")))


def allocation_is_counted_in_front_of_tcmalloc():
    check_allocation(*recorded(ALLOC_WORK, "4", environment=preloaded("libtcmalloc_minimal.so.4")))


if __name__ == "__main__":
    main()
