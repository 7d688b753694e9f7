"""What a capture says of a thread that waits for a ring (tests/support/uring_work.c)."""

import json
import os
import subprocess
import sys
import tempfile
import time

PROGRAMS, URING_WORK = sys.argv[1:3]
WAIT_MS = 30


def skip(why):
    print(why)
    sys.exit(77)


def columns(chunk, *keys):
    return list(zip(*(chunk[key] if isinstance(chunk[key], list) else [chunk[key]] * chunk["n"] for key in keys)))


def recorded(*command):
    if os.environ.get("TTAP_SANITIZE"):
        skip("a sanitizer's runtime cannot be preloaded into other programs")
    tool = os.path.join(PROGRAMS, "tracetap")
    with tempfile.TemporaryDirectory() as folder:
        native = os.path.join(folder, "a.ttap")
        done = subprocess.run([tool, "run", "-q", "-o", native, "--", *command], stdout=subprocess.PIPE, text=True, timeout=100, check=False)
        if done.returncode == 77:
            skip(done.stdout.strip())
        assert done.returncode == 0, done
        for _ in range(300):
            stat = subprocess.run([tool, "stat", "--json", native], capture_output=True, text=True, check=False)
            if stat.returncode == 0 and json.loads(stat.stdout)["truncated"] is False:
                break
            time.sleep(0.1)
        subprocess.run([os.environ["TTAP_VALIDATE"], native], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([tool, "convert", native, "-o", native + ".json"], check=True)
        with open(native + ".json", encoding="ascii") as file:
            return done.stdout, json.load(file)


def waits_for_a_ring_are_calls_on_its_descriptor():
    out, document = recorded(URING_WORK, str(WAIT_MS))
    waits = int(out.split()[0])
    strings = [text for chunk in document["chunks"] if chunk["t"] == "str" for text in chunk["v"]]
    objects = {chunk["id"]: chunk["name"] for chunk in document["chunks"] if chunk["t"] == "object"}
    calls = [row for chunk in document["chunks"] if chunk["t"] == "call" for row in columns(chunk, "op", "dur", "object", "result")]
    told = [(dur, objects[ring], result) for op, dur, ring, result in calls if strings[op] == "io_uring_wait"]
    long = [row for row in told if row[0] >= WAIT_MS * 900_000]
    print(waits, told)
    assert len(told) <= waits, "each wait once, also where one of its functions calls another"
    assert len(long) >= waits // 3, "those that submit and wait in one; others find it over when the machine was busy in between"
    assert all("io_uring" in name and result >= 0 for _, name, result in told), told
    submits = [row for row in calls if strings[row[0]] == "io_uring_submit"]
    assert len(submits) == 2 * waits // 3, submits


if __name__ == "__main__":
    globals()[sys.argv[3]]()
