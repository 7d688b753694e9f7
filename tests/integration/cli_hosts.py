"""cli_hosts.py - programs that do to themselves what servers do (give up rights, close everything, bring an allocator of their own, have a thousand threads):
the endpoint answers on, and the capture is whole."""
import glob
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import cli_support as cli
from cli_doctor import NOBODY, root_or_skip
from cli_run import Server, preloadable

BEGIN = """
import ctypes, os, sys, threading, time
def busy(*_):
    while True:
        [bytearray(i * 100) for i in range(50)]
        time.sleep(0.001)
"""
GO_ON = """
for _ in range(3): threading.Thread(target=busy, daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
"""
BUDGET_BYTES, KEEPER_BYTES = 64 << 20, 32 << 20  # what the command itself takes beside the budget: seen 17 MB


def recorded_at_work(*command):
    """The program is in its last state; a window of it, which must be whole and have the sleeps of its three threads."""
    with Server(*command) as server:
        assert server.process.stdout.readline() == "ready\n", server.process.stderr.read()
        figures = server.capture("host.ttap", 0.5)
        kinds = {row["name"]: row["delivered"] for row in figures["kinds"]}
        asleep = [row for row in figures["threads"] if row["delivered"] > 10]
        assert kinds.get("sleep_call", 0) > 50 and len(asleep) >= 3, (kinds, figures["threads"])
        assert json.loads(server.get("/debug/trace/status"))["recording"] is False
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(cli.TIMEOUT_S)
        assert json.loads(server.get("/debug/trace/status"))["pid"] == server.process.pid, "the endpoint went with the program"
    return figures


def python(what):
    return sys.executable, "-c", BEGIN + what + GO_ON


def a_program_that_closes_all_descriptors_under_run_is_recorded_on():
    recorded_at_work(*python("ctypes.CDLL(None).close_range(3, ctypes.c_uint(0xffffffff), 0)"))


def a_program_that_gives_up_its_rights_under_run_is_recorded_on():
    root_or_skip()
    recorded_at_work(*python(f"os.setgroups([]); os.setresgid({NOBODY}, {NOBODY}, {NOBODY}); os.setresuid({NOBODY}, {NOBODY}, {NOBODY})"))


def a_program_that_changes_its_root_under_run_is_recorded_on():
    root_or_skip()
    os.mkdir("jail")
    recorded_at_work(*python(f"os.chroot('jail'); os.chdir('/'); os.setresuid({NOBODY}, {NOBODY}, {NOBODY})"))


def with_allocator(name):
    preloadable()
    found = sorted(glob.glob(f"/usr/lib/*/{name}"))
    if not found:
        raise cli.Skip(f"{name} is not installed")
    os.environ["LD_PRELOAD"] = found[0]
    figures = recorded_at_work(*python("assert any(%r in line for line in open('/proc/self/maps')), 'not loaded'" % os.path.basename(os.path.realpath(found[0]))))
    del os.environ["LD_PRELOAD"]
    return figures


def a_program_with_jemalloc_under_run_is_recorded():
    with_allocator("libjemalloc.so.2")


def a_program_with_tcmalloc_under_run_is_recorded():
    with_allocator("libtcmalloc_minimal.so.4")


def a_program_of_a_thousand_threads_is_recorded_from_the_first_tenth_of_a_second_within_the_budget():
    """The tenths of a second are printed; what is asserted is wide, as the machine may be busy."""
    crowd = os.path.join(cli.BIN, "..", "tests", "lock_work")
    with Server(crowd, "sleepers", "1000") as server:
        assert server.process.stdout.readline() == "ready\n"
        asked_s = time.time()
        with urllib.request.urlopen(server.url + "/debug/trace?seconds=1", timeout=cli.TIMEOUT_S) as reply:
            data = reply.read()
        took_s = time.time() - asked_s
        cli.write("crowd.ttap", data)
        said = cli.stat("crowd.ttap")
        keeper = int(open(f"/proc/{server.process.pid}/environ").read().split("TRACETAP_ARENA=/proc/")[1].split("/")[0])
        resident = int(open(f"/proc/{keeper}/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
        peak = 1024 * int(next(line.split()[1] for line in open(f"/proc/{keeper}/status") if line.startswith("VmHWM")))
        begun_s = int(said["capture"]["started_unix_ns"]) / 1e9 - asked_s
        print(f"began {begun_s * 1000:.0f} ms after it was asked for; {(took_s - begun_s - 1) * 1000:.0f} ms longer than its window; "
              f"keeper {resident >> 20} MiB, at most {peak >> 20}; {said['delivered']} events")
        assert said["identity"] == "exact" and not said["truncated"] and said["lost"]["total"] == 0, said
        assert len([row for row in said["threads"] if row["delivered"]]) >= 1000, len(said["threads"])
        assert begun_s < 5 and took_s - begun_s - 1 < 5, (begun_s, took_s)
        assert peak <= BUDGET_BYTES + KEEPER_BYTES, peak
        status = json.loads(server.get("/debug/trace/status"))
        assert status["memory"]["used_bytes"] <= status["memory"]["budget_bytes"], status["memory"]


def a_call_that_was_made_behind_the_window_is_not_in_it():
    """Threads that sleep 50 ms at a time: some begin to when nobody times calls any more, and are asked what they are in just then. They were said
    to have been in that call since before the window, over all the calls that they made in it."""
    with Server(os.path.join(cli.BIN, "..", "tests", "lock_work"), "sleepers", "1000") as server:
        assert server.process.stdout.readline() == "ready\n"
        server.capture("sleepers.ttap", 0.3)
        cli.run("convert", "sleepers.ttap", "--format", "json", "-o", "sleepers.json").expect(0)
        slept, endless = set(), set()
        for chunk in json.load(open("sleepers.json"))["chunks"]:
            if chunk["t"] == "call":
                columns = [chunk[key] if isinstance(chunk[key], list) else [chunk[key]] * chunk["n"] for key in ("lane", "flags")]
                for lane, flags in zip(*columns):
                    (endless if flags & 3 == 3 else slept).add(lane)
        assert len(slept) > 500 and not endless & slept, (len(slept), endless & slept)


if __name__ == "__main__":
    cli.main()
