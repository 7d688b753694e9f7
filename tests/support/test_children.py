#!/usr/bin/env python3
"""What tests start, when they are killed, end by themselves, or are told to end."""
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TEST = [sys.executable, os.path.join(HERE, "children.py")]
PATIENCE_S = 60

# A test that starts a child, and a daemon: of a session of its own, whose parents have ended. Both say their number.
STARTS_MORE = """
sleep 1000 & echo $!
setsid sh -c 'sleep 1000 & echo $!' &
"""


def numbers_of(process):
    return [int(process.stdout.readline()) for _ in range(2)]


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_ended(pids):
    until = time.monotonic() + PATIENCE_S
    while any(map(is_running, pids)):
        assert time.monotonic() < until, f"of {pids} some are left"
        time.sleep(0.01)


def started(then):
    """It goes on to `then` when its input says so: what it started may need its time to begin."""
    return subprocess.Popen([*TEST, "sh", "-c", f"{STARTS_MORE} read go; {then}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def let_go(test):
    test.stdin.write("go\n")
    test.stdin.flush()


def when_it_is_killed():
    with started("wait; sleep 1000") as test:
        pids = numbers_of(test)
        assert all(map(is_running, pids)), "they have not even begun"
        test.kill()
        wait_until_ended(pids)
    assert test.returncode == -signal.SIGKILL


def when_it_ends():
    with started("exit 77") as test:
        pids = numbers_of(test)
        let_go(test)
        assert test.wait(PATIENCE_S) == 77, test.returncode
        assert not any(map(is_running, pids)), "it ended before them"


def when_a_signal_ends_it():
    with started("kill -SEGV $$") as test:
        pids = numbers_of(test)
        let_go(test)
        wait_until_ended(pids)
        assert test.wait(PATIENCE_S) == 128 + signal.SIGSEGV, test.returncode


for statement in (when_it_is_killed, when_it_ends, when_a_signal_ends_it):
    statement()
    print(statement.__name__)
