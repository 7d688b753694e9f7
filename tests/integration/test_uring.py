"""What a capture says of a thread that waits for a ring (tests/support/uring_work.c)."""

import os
import sys
import tempfile

from recorded import document_of, main, rows, run_recorded, strings_of

PROGRAMS, URING_WORK = sys.argv[1:3]
WAIT_MS = 30


def waits_for_a_ring_are_calls_on_its_descriptor():
    with tempfile.TemporaryDirectory() as folder:
        native = os.path.join(folder, "a.ttap")
        out = run_recorded(PROGRAMS, native, URING_WORK, str(WAIT_MS))
        document = document_of(PROGRAMS, native)
    waits = int(out.split()[0])
    strings = strings_of(document)
    objects = {chunk["id"]: chunk["name"] for chunk in document["chunks"] if chunk["t"] == "object"}
    calls = [row for chunk in document["chunks"] if chunk["t"] == "call" for row in rows(chunk, "op", "dur", "object", "result")]
    told = [(dur, objects[ring], result) for op, dur, ring, result in calls if strings[op] == "io_uring_wait"]
    long = [row for row in told if row[0] >= WAIT_MS * 900_000]
    print(waits, told)
    assert len(told) <= waits, "each wait once, also where one of its functions calls another"
    assert len(long) >= waits // 3, "those that submit and wait in one; others find it over when the machine was busy in between"
    assert all("io_uring" in name and result >= 0 for _, name, result in told), told
    submits = [row for row in calls if strings[row[0]] == "io_uring_submit"]
    assert len(submits) == 2 * waits // 3, submits


if __name__ == "__main__":
    main()
