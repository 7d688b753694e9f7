"""cli_doctor.py - `tracetap doctor` of this machine, of endpoints, of processes: what it says is what is so."""
import ctypes
import json
import os
import platform
import resource
import shutil
import signal
import struct
import subprocess

import cli_support as cli
from cli_run import Server, preloadable

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
WITH_PERFMON = ("--inh-caps=+perfmon", "--ambient-caps=+perfmon")
PERFMON_LINES = {"systemd unit, [Service]: AmbientCapabilities=CAP_PERFMON", "docker run --cap-add=PERFMON"}
OPEN_EVENT = {"x86_64": 298, "aarch64": 241}
STATIC = os.path.join(cli.BIN, "..", "tests", "static_program")


def root_or_skip():
    if os.geteuid() != 0:
        raise cli.Skip("only root can become others and give capabilities")
    if not shutil.which("setpriv"):
        raise cli.Skip("setpriv is not installed")


def refuse_perf():
    """In the child: perf_event_open fails with EPERM from here on, as under Docker's default filter."""
    libc, number = ctypes.CDLL(None, use_errno=True), OPEN_EVENT[platform.machine()]
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]  # load nr; equal? EPERM; allow
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))

    class Program(ctypes.Structure):
        _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_void_p)]
    argument = Program(len(code), ctypes.addressof(program))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(argument), 0, 0):  # no new privileges; seccomp filter
        os._exit(99)


def doctor(*arguments, before=(), **more):
    """What it says as JSON, by the names of checks, its exit code and whole text. Both forms say the same."""
    def run(*options):
        return subprocess.run([*before, cli.program("tracetap"), "doctor", *options, *map(str, arguments)], capture_output=True, text=True,
                              timeout=cli.TIMEOUT_S, **more)
    plain, machine = run(), run("--json")
    assert plain.returncode == machine.returncode and not plain.stderr and not machine.stderr, (plain, machine)
    said = json.loads(machine.stdout)
    for check in said["checks"]:
        assert check["state"] in ("ok", "missing", "unknown", "impossible"), check
        assert check["what"] in plain.stdout and all(line in plain.stdout for line in check["enable"]), (check, plain.stdout)
        assert check["state"] != "missing" or check["enable"], f"no line turns on what is missing: {check}"
        assert check["state"] != "ok" or not check["enable"], check
    states = {check["state"] for check in said["checks"]}
    if said["recordable"]:
        assert plain.returncode == (3 if states & {"missing", "unknown"} else 0), (plain.returncode, states)
        assert said["tier"] is None or f"\nT{said['tier']}: " in plain.stdout, plain.stdout
    else:
        assert plain.returncode == 4 and "cannot be recorded" in plain.stdout, plain
    return {check["name"]: check for check in said["checks"]}, said, plain.returncode


class Process:
    """A program that sleeps, started in some way; its id once it is that program."""

    def __init__(self, *command, **more):
        self.process = subprocess.Popen(command, **more)
        name = os.path.basename(next(word for word in reversed(command) if not word.isdigit()))
        told = f"/proc/{self.process.pid}/"  # the kernel sets the name first, the command line a moment later
        cli.wait_until(lambda: open(told + "comm").read().strip() == name[:15] and open(told + "cmdline").read(), f"{name} to be executed")
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def doctor_says_of_this_machine_which_tier_it_has_and_what_would_give_more():
    checks, said, code = doctor()
    tried = checks["sched"]["what"]
    assert tried.startswith("tried: ") and f"(T{said['tier']})" in tried, tried
    assert (said["tier"] == 2) == (checks["sched"]["state"] == "ok"), checks["sched"]
    assert code in (0, 3) and {"perf_event_open", "descriptors", "locked memory", "CAP_PERFMON", "PID namespace", "tracefs"} <= checks.keys(), checks


def doctor_of_an_endpoint_repeats_what_its_sources_say():
    with cli.Pipeline() as pipeline:
        checks, said, code = doctor(pipeline.address)
        sources = json.loads(cli.get(pipeline.base + "debug/trace/status")[2])["sources"]
        assert [source["name"] for source in sources] == [check["name"] for check in said["checks"]], (sources, said)
        for source in sources:
            check = checks[source["name"]]
            assert check["enable"] == ([source["enable"]] if source["enable"] else []) and source["why"] in check["what"], (source, check)
            if "tier" in source:
                assert source["tier"] == said["tier"] and f"(T{source['tier']})" in source["why"], (source, said)
        assert checks["hooks"]["state"] == "missing" and "tracetap run" in checks["hooks"]["enable"][0] and code == 3
        for form in (pipeline.base, pipeline.base + "debug/trace", pipeline.base + "debug/trace/status", pipeline.base + "debug/trace/"):
            assert doctor(form)[1]["checks"] == said["checks"], form


def doctor_of_an_endpoint_that_wants_a_token_sends_it():
    preloadable()
    cli.write("token", b"a-word-that-is-long-enough-1234567890\n")
    os.chmod("token", 0o600)
    with cli.Background("tracetap", "run", "--listen", "127.0.0.1:0", "--unix", os.path.abspath("sock"), "--token-file", "token", "--linger", "0.1", "--", "sleep", "60",
                        stderr=subprocess.PIPE) as service:
        url = service.process.stderr.readline().split()[1]
        cli.run("doctor", url).expect(1, "401")
        cli.run("doctor", url, "--token-file", "token").expect(3)
        cli.run("doctor", "--unix", "sock", "--token-file", "token").expect(3)


def doctor_of_what_is_no_endpoint_says_so():
    cli.run("doctor", ":1").expect(1, "localhost:1")
    cli.run("doctor", "999999999").expect(1, "999999999", "no such process", ":999999999")
    with cli.Pipeline() as pipeline:
        cli.run("doctor", pipeline.app).expect(1, "tracetap endpoint?")


def doctor_of_a_process_under_run_names_the_port_that_answers():
    with Server("sleep", "60") as server:
        cli.wait_until(lambda: open(f"/proc/{server.process.pid}/comm").read() == "sleep\n", "the program to be executed")
        port = server.url.rsplit(":", 1)[1]
        checks, said, _ = doctor(server.process.pid)
        assert said["recordable"] and checks["program"]["state"] == "ok" and f"tracetap doctor :{port} " in checks["tracetap"]["what"], checks
        assert doctor(f":{port}")[1]["tier"] == said["tier"], "what /proc lets one expect is not what was tried"


def doctor_of_a_process_that_runs_without_tracetap_says_how_to_start_it():
    with Process("sleep", "1234") as sleeper:
        checks, said, code = doctor(sleeper.pid)
        assert checks["tracetap"]["enable"] == ["tracetap run -- sleep 1234"] and said["recordable"] and code == 3, checks


def doctor_of_a_static_program_says_that_nothing_can_be_loaded_into_it():
    if not os.path.exists(STATIC):
        raise cli.Skip("static programs cannot be built here")
    with Process(STATIC) as program:
        checks, said, code = doctor(program.pid)
        assert code == 4 and not said["recordable"] and "statically linked" in checks["program"]["what"], checks


def doctor_of_a_program_that_gained_rights_says_so():
    root_or_skip()
    shutil.copy(shutil.which("sleep"), "gains")
    os.chown("gains", NOBODY, NOBODY)
    os.chmod("gains", 0o4755)
    with Process("./gains", "60") as program:
        if os.stat(f"/proc/{program.pid}").st_uid != NOBODY and "\nUid:\t0\t0\t" in open(f"/proc/{program.pid}/status").read():
            raise cli.Skip("programs in this folder gain no rights")
        checks, said, code = doctor(program.pid)
        assert code == 4 and not said["recordable"] and "setuid" in checks["program"]["what"], checks


def doctor_of_a_thread_of_the_kernel_says_what_it_is():
    if "kthreadd" not in open("/proc/2/comm").read():
        raise cli.Skip("process 2 is no thread of the kernel here")
    checks, said, code = doctor(2)
    assert code == 4 and not said["recordable"] and "kernel" in checks["program"]["what"], checks


def doctor_tells_a_process_that_may_record_others_from_one_that_may_not():
    root_or_skip()
    with Process(*AS_NOBODY, "sleep", "60") as plain, Process(*AS_NOBODY, *WITH_PERFMON, "sleep", "60") as granted:
        checks, said, _ = doctor(plain.pid)
        assert checks["CAP_PERFMON"]["state"] == "missing" and PERFMON_LINES <= set(checks["CAP_PERFMON"]["enable"]) and said["tier"] < 2, checks
        assert doctor(granted.pid)[0]["CAP_PERFMON"]["state"] == "ok"


def doctor_of_a_process_under_a_filter_says_that_it_may_refuse_the_kernels_records():
    root_or_skip()
    with Process(*AS_NOBODY, "sleep", "60", preexec_fn=refuse_perf) as filtered:
        checks, said, code = doctor(filtered.pid)
        assert checks["perf_event_open"]["state"] == "unknown" and "docker run --cap-add=PERFMON" in checks["perf_event_open"]["enable"], checks
        assert said["tier"] == 0 and code == 3, said


def doctor_of_a_process_with_few_descriptors_says_how_many_it_takes():
    with Process("sleep", "60", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))) as sleeper:
        checks, said, _ = doctor(sleeper.pid)
        needed = 3 * os.sysconf("SC_NPROCESSORS_ONLN")
        if needed <= 4:
            raise cli.Skip("one CPU: four descriptors are enough")
        assert f"take {needed}, and 4 are allowed" in checks["descriptors"]["what"] and said["tier"] == 0, checks
        assert f"systemd unit, [Service]: LimitNOFILE={2 * needed}" in checks["descriptors"]["enable"], checks


def doctor_does_not_guess_what_it_may_not_see():
    root_or_skip()
    with Process("sleep", "60") as roots:
        checks, _, code = doctor(roots.pid, before=AS_NOBODY)
        assert [checks[name]["state"] for name in ("program", "tracetap", "PID namespace")] == ["unknown"] * 3 and code == 3, checks


if __name__ == "__main__":
    cli.main()
