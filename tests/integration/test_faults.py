"""test_faults.py - system calls of the endpoint that fail: once, each of the first few times they are used, and for ever.

strace injects the errors; nothing in the service knows. Once: it does not start and says why, or it goes on, and answers again as soon as the
fault is over. For ever: it may have to stay silent, but it neither aborts nor hangs, and ends in good order.
"""
import concurrent.futures
import glob
import http.client
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import service
from service import Skip, alone, with_options

SANITIZED = os.environ.get("TTAP_SANITIZE", "")
TOKEN = "0123456789abcdefghijklmn"
EACH = 2 if SANITIZED else 3  # of the first so many uses, each fails once
# call: errors it is given. Those of one line fail for one reason, and share what is asserted.
STARTING = {"socket": ["EMFILE", "ENFILE"], "bind": ["EADDRNOTAVAIL"], "listen": ["EADDRINUSE"], "getsockname": ["ENOBUFS"], "setsockopt": ["ENOMEM"],
            "eventfd2": ["EMFILE"], "clone3": ["EAGAIN"], "chmod": ["EPERM"], "newfstatat": ["EACCES"], "fcntl": ["EINVAL"], "rt_sigprocmask": ["EINVAL"]}
SERVING = {"accept4": ["EMFILE", "ENFILE", "ECONNABORTED", "EINTR", "ENOMEM"], "poll": ["EINTR", "ENOMEM"], "recvfrom": ["ECONNRESET", "EINTR", "ENOMEM"],
           "sendto": ["EPIPE", "EINTR", "ENOMEM"], "sendmsg": ["EPIPE", "EINTR"], "shutdown": ["ENOTCONN"], "close": ["EIO"],
           "getsockopt": ["ENOBUFS"], "eventfd2": ["EMFILE"], "setsockopt": ["ENOMEM"], "clone3": ["EAGAIN"]}
OWN_THREADS = 3  # started by ttap_http_start(): control, TCP, unix. Then come the service's two; then drainer and conversions
STACKS = "mmap"  # only that of our first thread's stack: others belong to the loader, the allocator and the service


def strace_or_skip():
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        raise Skip("strace may not trace here")
    if "thread" in SANITIZED:
        raise Skip("ThreadSanitizer and ptrace together take minutes")


class Traced(service.Service):
    """busy_service under strace, with its token and its unix socket."""

    def __init__(self, folder, *strace_options):
        self.unix = os.path.join(folder, "socket")
        # An environment of its own: others are started at the same time. Leaks cannot be looked for while another traces.
        super().__init__("-f", "-qq", "-o", os.path.join(folder, "log"), *strace_options, service.PROGRAM, "--threads", "1", "--requests-per-s", "200",
                         "--token-file", os.path.join(folder, "token"), "--unix-path", self.unix, program="strace", expect_port=False,
                         env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        verdict = service.wait_until(lambda: next((line for line in self.lines if line.startswith(("port ", "error "))), None), "a word whether it serves")
        words = verdict.split()
        self.verdict, self.started = verdict, words[0] == "port"
        self.port = int(words[1]) if self.started else None

    def try_get(self, path, timeout=5):
        """The status; 0 if there was no whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def folder_with_token():
    folder = tempfile.TemporaryDirectory()
    with open(os.path.join(folder.name, "token"), "w") as token:
        token.write(TOKEN)
    os.chmod(os.path.join(folder.name, "token"), 0o600)
    return folder


PATHS = ("/debug/trace/status", "/debug/trace?seconds=0.02", "/debug/trace?seconds=0.02&format=json", "/debug/trace/ui/")


def uses(calls):
    """How often each call is used before main(), and until the service says that it serves: {call: (before, until)}; and which mmaps are stacks."""
    with folder_with_token() as folder:
        s = Traced(folder, "-e", f"trace={','.join(calls)},openat,mmap")
        for path in PATHS:
            s.try_get(path)
        s.end()
        with open(os.path.join(folder, "log")) as log:
            lines = [line.split(None, 1)[1] for line in log if " " in line]
    main_at = max((i for i, line in enumerate(lines) if line.startswith("openat") and ".so" in line), default=0)
    before = {call: sum(line.startswith(call + "(") for line in lines[:main_at + 10]) for call in calls}
    total = {call: sum(line.startswith(call + "(") for line in lines) for call in calls}
    stacks = [n for n, line in enumerate((line for line in lines if line.startswith("mmap(")), 1) if "MAP_STACK" in line]
    return before, total, stacks[:1]  # from the second thread on their number is a matter of luck


def check_fault(call, error, when, filters=()):
    """One run with one fault. Returns what became of it."""
    with folder_with_token() as folder:
        forever = when.endswith("+")
        s = Traced(folder, *[word.format(folder=folder) for word in filters], "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}")
        try:
            if not s.started:
                assert len(s.verdict.split()) > 2, s.verdict  # in words
                code = s.process.wait(20)
                assert code == 1, (call, error, when, code)
                assert not os.path.exists(s.unix), "the unix socket is left behind"
                return "refused"
            if not forever:
                statuses = [s.try_get(path, 10) for path in PATHS]
                assert all(status in (0, 200, 503) for status in statuses), statuses
                service.wait_until(lambda: s.try_get("/debug/trace/status") == 200, "an answer after the fault")
            else:
                s.try_get("/debug/trace/status", 1)
                s.try_get("/debug/trace?seconds=0.02&format=json", 1)
            s.end()
            return "served"
        except BaseException:
            print(f"{call} {error} when={when}: {s.lines[-5:]}", file=sys.stderr)
            s.process.kill()
            raise


def check_all(jobs):
    counts = {"refused": 0, "served": 0}
    with concurrent.futures.ThreadPoolExecutor(3) as pool:  # they wait more than they work
        for outcome in pool.map(lambda job: check_fault(*job), jobs):
            counts[outcome] += 1
    print(f"{len(jobs)} faults of {len({job[0] for job in jobs})} calls: {counts['refused']} times it did not start and said why, {counts['served']} times it went on")
    return counts


def jobs_of(calls, before, total, suffix):
    if calls is not STARTING:
        before = {**before, "clone3": before["clone3"] + OWN_THREADS + 2}
    return [(call, error, f"{before[call] + n}{suffix}") for call, errors in calls.items() for error in errors
            for n in range(1, 1 + (EACH if not suffix else 1)) if total[call] >= before[call] + n or call == "clone3"]


@alone
def a_call_that_fails_once_while_starting_is_told_or_survived():
    strace_or_skip()
    before, total, stacks = uses(STARTING)
    jobs = jobs_of(STARTING, before, total, "") + [(STACKS, "ENOMEM", str(n)) for n in stacks]
    jobs += [(call, error, "1", ("-P", "{folder}/token")) for call, error in (("openat", "EMFILE"), ("openat", "EACCES"), ("read", "EIO"))]
    assert len({job[0] for job in jobs}) >= 9, jobs
    counts = check_all(jobs)
    assert counts["refused"] >= 10, counts


@alone
def a_call_that_fails_for_ever_while_starting_leaves_nothing():
    strace_or_skip()
    before, total, stacks = uses(STARTING)
    check_all(jobs_of(STARTING, before, total, "+"))


@alone
def a_call_that_fails_once_while_serving_costs_one_request_at_most():
    strace_or_skip()
    before, total, _ = uses(SERVING)
    jobs = [job for job in jobs_of(SERVING, before, total, "")]
    assert len({job[0] for job in jobs}) >= 9, jobs
    counts = check_all(jobs)
    assert counts["served"] >= 15, counts


@alone
def a_call_that_fails_for_ever_while_serving_neither_aborts_nor_hangs():
    strace_or_skip()
    before, total, _ = uses(SERVING)

    check_all(jobs_of(SERVING, before, total, "+"))


def cpu_s(s):
    with open(f"/proc/{s.process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@with_options("--requests-per-s", "10", "--threads", "1")
def without_descriptors_connections_wait_and_are_served_later(s):
    used = len(os.listdir(f"/proc/{s.process.pid}/fd"))  # nobody has connected yet
    before = resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE, (used, before[1]))
    waiting = [service.Background(s.status) for _ in range(3)]
    start = cpu_s(s)
    time.sleep(2)
    spent = cpu_s(s) - start
    print(f"{spent:.2f} s of CPU in 2 s without descriptors")
    assert all(client.thread.is_alive() for client in waiting)
    assert spent < (1.0 if SANITIZED else 0.5), spent  # what spins takes a processor's share, which is more on all but the busiest machine
    resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE, before)
    for client in waiting:
        assert client.result()["recording"] is False


def as_another_user(*limits):
    """The words before a program that has no user's rights and these limits; other tests' processes must not count, so the user is of this one's own."""
    if os.getuid() != 0 or not shutil.which("setpriv") or not shutil.which("prlimit"):
        raise Skip("only root can start the service as a user with a limit of its own")
    user = ("setpriv", f"--reuid={65000 + os.getpid() % 500}", "--regid=64999", "--clear-groups", "--")
    if subprocess.run([*user, "test", "-x", service.PROGRAM]).returncode != 0:
        raise Skip("another user may not run the program here")
    return user, user[1:] + (("prlimit", *limits, "--") if limits else ())


@alone
def without_threads_a_conversion_is_refused_and_all_else_goes_on():
    user, words = as_another_user()
    s = service.Service(*words, service.PROGRAM, "--threads", "2", program=user[0])
    s.get("/debug/trace?seconds=0.05&format=json").expect(200)
    service.wait_until(lambda: s.status()["cost"]["conversions"] == 0, "the first conversion to end")
    def limit_threads(soft):
        subprocess.run([*user, "prlimit", "--pid", str(s.process.pid), f"--nproc={soft}:"], check=True)
    limit_threads(1)
    for _ in range(20):
        s.get("/debug/trace?seconds=0.05&format=json").expect_error(503, "no_memory")
    status = s.status()
    assert status["captures_active"] == 0 and status["cost"]["conversions"] == 0, status
    limit_threads(1000)
    s.get("/debug/trace?seconds=0.05&format=json").expect(200)
    s.end()


@alone
def without_threads_the_endpoint_does_not_start_and_says_so():
    """From the service's first thread alone up to as many as it needs."""
    if SANITIZED:
        raise Skip("the sanitizers start threads of their own")
    outcomes = []
    for most in range(1, 12):
        _, words = as_another_user(f"--nproc={most}:{most}")
        s = service.Service(*words, service.PROGRAM, "--threads", "0", program="setpriv", expect_port=False)
        verdict = service.wait_until(lambda: next((line for line in s.lines if line.startswith(("port ", "error "))), None), "a word whether it serves")
        if verdict.startswith("port "):
            try:  # the service wants threads of its own behind that
                s.process.wait(3)
                outcomes.append("served until the service itself ended")
                continue
            except subprocess.TimeoutExpired:
                pass
            s.port = int(verdict.split()[1])
            outcomes.append("served")
            s.status()
            s.end()
            break
        assert "did not start" in verdict and "temporarily unavailable" in verdict, s.lines
        assert s.process.wait(20) == 1
        outcomes.append("refused")
    print(outcomes)
    assert outcomes.count("refused") >= 2 and outcomes[-1] == "served", outcomes


def drainers_of(s):
    """How many of its threads have the drainer's name."""
    found = 0
    for path in glob.glob(f"/proc/{s.process.pid}/task/*/comm"):
        try:
            with open(path) as name:
                found += name.read() == "tracetap\n"
        except OSError:  # it has just ended
            pass
    return found


@alone
def without_threads_a_capture_is_refused_and_leaves_nothing():
    """The drainer's thread cannot be made."""
    if SANITIZED:
        raise Skip("the sanitizers start threads and open files of their own")
    user, words = as_another_user()
    s = service.Service(*words, service.PROGRAM, "--threads", "2", program="setpriv")
    folder = f"/proc/{s.process.pid}"
    holdings = lambda: (len(os.listdir(f"{folder}/fd")), len(os.listdir(f"{folder}/task")))  # noqa: E731
    s.get("/debug/trace?seconds=0.05").expect(200)
    service.wait_until(lambda: len(s.gates) >= 2, "the window to be seen by the service's last thread")
    # The service says its port before it starts its own threads, so what it holds is counted behind that: when the drainer's thread is gone.
    service.wait_until(lambda: not drainers_of(s), "the first capture's thread to end")
    before = holdings()

    def limit_threads(soft):
        subprocess.run([*user, "prlimit", "--pid", str(s.process.pid), f"--nproc={soft}:"], check=True)
    limit_threads(1)
    changes = len(s.gates)
    refused = 0
    for _ in range(20):
        refused += s.get("/debug/trace?seconds=0.05").status == 503
        refused += s.post("/debug/trace/captures", {"seconds": 0.05}).status == 503
    assert refused == 40, refused
    s.get("/debug/trace?seconds=0.05").expect_error(503, "no_memory")
    assert len(s.gates) == changes, "something was recorded"
    assert s.status()["captures_active"] == 0
    service.wait_until(lambda: all(now <= then for now, then in zip(holdings(), before)), f"descriptors and threads {before} again, are {holdings()}")
    limit_threads(1000)
    native = s.get("/debug/trace?seconds=0.1").expect(200).body
    assert service.validate(native) == "exact"
    s.end()


@with_options("--requests-per-s", "500", "--threads", "2")
def a_capture_during_which_the_process_is_stopped_ends_and_is_exact(s):
    """Longer than the lease of 3 s: the gate may close by itself, what is lost is counted, and the window ends when the process goes on."""
    capture = service.Background(lambda: s.get("/debug/trace?seconds=2"))
    service.wait_until(s.is_recording, "the capture")
    time.sleep(0.3)
    os.kill(s.process.pid, signal.SIGSTOP)
    stopped = service.now_ns()
    time.sleep(4)
    os.kill(s.process.pid, signal.SIGCONT)
    native = capture.result().expect(200).body
    assert service.validate(native) == "exact"
    assert not service.reader.Capture(native).truncated
    off_ns = s.wait_off()
    print(f"recording was off {(off_ns - stopped) / 1e9 - 4:.3f} s after the process went on, at the earliest")
    native = s.get("/debug/trace?seconds=0.2").expect(200).body
    assert service.validate(native) == "exact"
    assert len(service.reader.Capture(native).runs) > 0  # the gate opened again


if __name__ == "__main__":
    service.main(__file__)
