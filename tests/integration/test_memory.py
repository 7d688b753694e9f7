"""What a capture says of memory, against what programs know of their own (tests/support/memory_work.c)."""

import math
import os
import sys
import tempfile

from recorded import document_of, main, rows, run_recorded, skip, strings_of, timed_rows

PROGRAMS, MEMORY_WORK, ALLOC_WORK, ALLOC_SITES = sys.argv[1:5]
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


def recorded(*command, environment=None, options=()):
    with tempfile.TemporaryDirectory() as folder:
        native = os.path.join(folder, "a.ttap")
        return run_recorded(PROGRAMS, native, *command, environment=environment, options=options), Document(native)


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


def alloc_samples(document):
    """(tid, functions of the stack innermost first, bytes, weight) of each."""
    frames = [document.strings[func] for chunk in document.chunks if chunk["t"] == "frame" for (func,) in rows(chunk, "func")]
    stacks = [row for chunk in document.chunks if chunk["t"] == "stack" for row in rows(chunk, "frame", "up")]
    for chunk in document.chunks:
        for lane, size, weight, stack in rows(chunk, "lane", "bytes", "weight", "stack") if chunk["t"] == "alloc_sample" else ():
            names, up = [], 0 if stack < 0 else 1
            while up:
                frame, up = stacks[stack]
                names.append(frames[frame])
                stack -= up
            yield document.lanes[lane]["tid"], names, size, weight


# The variance of what samples add up to is at most bytes x mean distance. By chance one sum in 500 million is off by more than six times its root.
SIGMAS = 6


def check_weights(out, document, every):
    own = {(name, int(tid)): int(size) for name, tid, size in map(str.split, out.splitlines())}
    assert own
    weights, whole, counted, callers = {}, {}, {}, {0: set(), 1: set()}
    for tid, names, size, weight in alloc_samples(document):
        assert 0 < weight <= size + every, (size, weight)
        if ("one_part", tid) not in own:
            continue  # the main thread: the loader's and the hooks' own start
        name = ("one_part", "three_parts")[size % 2]
        weights[name, tid] = weights.get((name, tid), 0) + weight
        callers[size % 2].add(names[0])
        assert size % 2 == 0 or len(names) > 2, names
        whole[tid] = whole.get(tid, 0) + weight
    for chunk in document.chunks:
        if chunk["t"] == "alloc":
            tid = document.lanes[chunk["lane"]]["tid"]
            counted[tid] = counted.get(tid, 0) + sum(size for (size,) in rows(chunk, "bytes"))
    for (name, tid), size in own.items():
        print(name, tid, size, weights.get((name, tid)))
        assert abs(weights.get((name, tid), 0) - size) <= SIGMAS * math.sqrt(size * every), (name, tid, size, weights.get((name, tid)))
    # A process that ended before anybody read what it has mapped leaves addresses.
    assert all(name == "three_parts" or name.startswith("0x") for name in callers[1]) and not callers[0] & callers[1], callers
    for tid in {tid for _, tid in own}:
        assert 2.9 < own["three_parts", tid] / own["one_part", tid] <= 3
        assert abs(whole[tid] - counted[tid]) <= SIGMAS * math.sqrt(counted[tid] * every), (tid, whole[tid], counted[tid])


def samples_of_allocations_weigh_what_each_caller_allocated():
    for every in (2048, 8192):
        check_weights(*recorded(ALLOC_SITES, "sites", options=("--alloc-samples", str(every))), every)


def allocations_of_forked_processes_are_sampled_too():
    check_weights(*recorded(ALLOC_SITES, "sites", "--fork", options=("--alloc-samples", "4K")), 4096)


def an_allocation_in_a_handler_with_little_room_tells_its_caller_alone():
    _, document = recorded(ALLOC_SITES, "handler", options=("--alloc-samples", "1K"))
    depths = [len(names) for _, names, size, _ in alloc_samples(document) if size == 65536]
    print(sorted(depths))
    assert depths.count(1) == 100 and len(depths) == 200, depths  # 64 mean distances: each is a sample
    assert all(depth > 3 for depth in depths if depth != 1), depths


def without_being_asked_for_no_allocation_is_sampled():
    _, document = recorded(ALLOC_SITES, "sites")
    assert not list(alloc_samples(document)) and any(chunk["t"] == "alloc" for chunk in document.chunks)


if __name__ == "__main__":
    main()
