"""children.py - whatever a test starts ends with it, also when the test is killed and can end nothing itself.

    ctest --SIGKILL--> this process    guard: orphans of all below come to it    the test    servers, their workers, daemons
                            '---------------'------------------------------------'----------'

    import children
    children.end_with_us()              # returns as the test; before anything is started
or  children.py COMMAND...              # the command is the test

Of a test that takes too long, ctest kills the one process that it started. The guard is told by the kernel, and kills what is below it until
nothing is left; processes that made themselves independent are found too, since the guard adopts them (PR_SET_CHILD_SUBREAPER).
"""
import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
KILLING_S = 10  # others' processes, which we may not kill, are left


def prctl(option, value):
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0  # it has ended meanwhile


def kill_children():
    """Killed children leave us theirs: until there are none."""
    until = time.monotonic() + KILLING_S
    while time.monotonic() < until:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for name in filter(str.isdigit, os.listdir("/proc")):
            if parent_of(name) == os.getpid():
                try:
                    os.kill(int(name), signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
        time.sleep(0.002)


def wait_for(pid):
    """The exit code of this child; whoever else ends is only buried."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def guard(parent):
    """Returns in the test."""
    def orphaned(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        kill_children()
        os._exit(1)

    prctl(PR_SET_CHILD_SUBREAPER, 1)
    test = os.fork()
    if not test:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the test, which ends then
    signal.signal(signal.SIGTERM, orphaned)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        orphaned()
    code = wait_for(test)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    kill_children()
    os._exit(code)


def end_with_us():
    us = os.getpid()
    below = os.fork()
    if not below:
        guard(us)
        return
    os._exit(wait_for(below))


if __name__ == "__main__":
    end_with_us()
    os.execvp(sys.argv[1], sys.argv[1:])
