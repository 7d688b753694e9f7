"""cli_rights.py - what is recorded with which rights: under `tracetap run` and in a service that embeds tracetap, each tier works, and the status, the
capture's header and doctor say which it is."""
import json
import os
import re
import subprocess
import urllib.request

import cli_support as cli
from cli_doctor import AS_NOBODY, NOBODY, WITH_PERFMON, doctor, refuse_perf, root_or_skip
from cli_programs import Recording, check_parked, tree_of
from cli_run import TARGET, preloadable, whole_figures
from sched_tables import no_cpu_idle

LOOK_POINTS = 6  # of 100: what may lie before the first and behind the last look at a thread, and the kernel's own lag of a tick
BUSY_SWITCH_NS = 50_000  # where others want the processors, each switch changes address spaces and branch predictors too: seen 27 us
ASLEEP = {"blocked", "lock", "network", "file", "sleep"}
UNMOUNTED = ("unshare", "-m", "sh", "-c", "umount -q /sys/kernel/tracing /sys/kernel/debug; exec \"$@\"", "-")
MOUNTED = ("unshare", "-m", "sh", "-c", f"{{ umount -q /sys/kernel/tracing; mount -t tracefs -o gid={NOBODY},mode=750 nodev /sys/kernel/tracing; }} && exec \"$@\"", "-")


class Service:
    """A program with an endpoint, started with some rights; its processes are killed at the end."""

    def __init__(self, *command, **more):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **more)
        for line in self.process.stdout:
            if line.startswith("tracetap:"):
                self.url = line.split()[1].rstrip("/")
                return
        raise AssertionError(f"ended with {self.process.wait()} without an address")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=cli.TIMEOUT_S) as reply:
            return reply.read()

    def capture(self, name, seconds):
        cli.write(name, self.get(f"/debug/trace?seconds={seconds}"))
        return whole_figures(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, 9)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()


def under_run(*before, **more):
    preloadable()
    return Service(*before, cli.program("tracetap"), "run", "--listen", ":0", "--", TARGET, "spin", **more)


def embedded(*before, **more):
    return Service(*before, cli.program("pipeline"), "--listen", "127.0.0.1:0", **more)


def tier_of(service):
    """What status, header and doctor say, which must be the same."""
    def source():
        return next(source for source in json.loads(service.get("/debug/trace/status"))["sources"] if source["name"] == "sched")
    before = source()
    recording = Recording(service, 0.7, tree_of(service.process.pid))
    after = source()
    told = doctor(service.url)[1]["tier"]
    noted = int(re.search(r"\(T(\d)\)", recording.sched).group(1))
    print(before, recording.sched)
    assert before["tier"] == after["tier"] == told == noted and f"(T{noted})" in after["why"], (before, after, told, recording.sched)
    return noted, recording, after


def check_running(recording, points, switch_ns=0):
    """Each thread's states fill the window, and it ran for as long as the kernel counted, but for the switches themselves."""
    for number, rows in recording.states.items():
        lane, at = recording.lanes[number], 0
        for start, dur, _, _ in rows:
            assert start == at and dur > 0, (lane, start, at)
            at += dur
        assert at == recording.duration_ns, (lane, at, recording.duration_ns)
        kernels = recording.kernel_ns(lane["tid"])
        runs = [dur for _, dur, state, _ in rows if recording.strings[state] == "running"]
        slack_ns = points / 100 * recording.duration_ns
        assert not kernels or kernels[0] - slack_ns - switch_ns * len(runs) <= sum(runs) <= kernels[1] + slack_ns, (lane, sum(runs), kernels)


def check_looked_at(service):
    tier, recording, source = tier_of(service)
    assert tier == 0 and "refused" in source["why"] and "docker run --cap-add=PERFMON" in source["enable"], source
    check_running(recording, LOOK_POINTS)


def check_switches(service):
    tier, recording, source = tier_of(service)
    if tier == 0:
        raise cli.Skip(f"no switch records for others than root here: {source['why']}")
    assert tier == 1 and "not allowed to record other tasks" in source["why"] and "CAP_PERFMON" in source["enable"], source
    check_running(recording, 2, BUSY_SWITCH_NS)


def check_wakes(service):
    with no_cpu_idle():
        tier, recording, source = tier_of(service)
    if "PID namespace" in source["why"]:
        raise cli.Skip(source["why"])
    assert tier == 2 and not source["enable"], source
    check_running(recording, 2, BUSY_SWITCH_NS)
    ended = sum(recording.strings[row[2]] in ASLEEP for rows in recording.states.values() for row in rows[:-1])
    wakes = sum(chunk["n"] for chunk in json.load(open("server.json"))["chunks"] if chunk["t"] == "wake")
    print(ended, wakes)
    assert wakes >= 0.9 * ended - 2 * len(recording.states), (ended, wakes)


def ambient_or_skip():
    root_or_skip()
    if subprocess.run([*AS_NOBODY, *WITH_PERFMON, "true"], stderr=subprocess.DEVNULL).returncode:
        raise cli.Skip("CAP_PERFMON cannot be given away here")
    if subprocess.run([*MOUNTED, "true"], stderr=subprocess.DEVNULL).returncode:
        raise cli.Skip("tracefs cannot be mounted here")


def waking_id():
    return subprocess.run([*MOUNTED, "cat", "/sys/kernel/tracing/events/sched/sched_waking/id"], capture_output=True, text=True, check=True).stdout.strip()


# ---- As nobody, where perf_event_paranoid is 2 ----

def nobody_gets_every_switch_of_a_program_under_run():
    root_or_skip()
    with under_run(*AS_NOBODY) as service:
        check_switches(service)


def nobody_gets_every_switch_of_a_service_that_embeds_tracetap():
    root_or_skip()
    with embedded(*AS_NOBODY) as service:
        check_switches(service)


# ---- With perf_event_open refused by a filter ----

def under_a_filter_a_program_under_run_is_looked_at():
    with under_run(preexec_fn=refuse_perf) as service:
        check_looked_at(service)


def under_a_filter_a_service_that_embeds_tracetap_is_looked_at():
    with embedded(preexec_fn=refuse_perf) as service:
        check_looked_at(service)


# ---- As nobody with CAP_PERFMON ----

def nobody_with_ambient_perfmon_learns_who_woke_whom_under_run():
    ambient_or_skip()
    with under_run(*AS_NOBODY, *WITH_PERFMON, env={**os.environ, "TRACETAP_WAKING_ID": waking_id()}) as service:
        check_wakes(service)


def nobody_with_ambient_perfmon_learns_who_woke_whom_in_a_service_that_embeds_tracetap():
    ambient_or_skip()
    with embedded(*MOUNTED, *AS_NOBODY, *WITH_PERFMON) as service:
        check_wakes(service)


def nobody_with_ambient_perfmon_but_no_tracefs_is_told_how_to_give_the_id():
    ambient_or_skip()
    with embedded(*UNMOUNTED, *AS_NOBODY, *WITH_PERFMON) as service:
        tier, _, source = tier_of(service)
        if "PID namespace" in source["why"]:
            raise cli.Skip(source["why"])
        assert tier == 1 and "tracefs" in source["why"] and source["enable"].startswith("TRACETAP_WAKING_ID=$("), source


# ---- What waits for ever, tier by tier ----

def parked_under_run(tier, *before, **more):
    preloadable()
    with Service(*before, cli.program("tracetap"), "run", "--listen", ":0", "--", TARGET, "parked", **more) as service:
        recording = check_parked(service)
        if f"(T{tier})" not in recording.sched:
            raise cli.Skip(recording.sched)


def parked_threads_are_blocked_with_their_cause_and_object_without_switch_records():
    parked_under_run(0, preexec_fn=refuse_perf)


def parked_threads_are_blocked_with_their_cause_and_object_with_switch_records():
    root_or_skip()
    parked_under_run(1, *AS_NOBODY)


def parked_threads_are_blocked_with_their_cause_and_object_with_wake_records():
    ambient_or_skip()
    parked_under_run(2, *MOUNTED)


# ---- Where perf_event_paranoid is above 2 ----

def where_paranoid_is_above_2_it_is_named_with_the_line_that_changes_it():
    root_or_skip()
    path = "/proc/sys/kernel/perf_event_paranoid"
    paranoid = open(path).read().strip()
    if int(paranoid) <= 2:
        raise cli.Skip(f"perf_event_paranoid is {paranoid} here, and it is the machine's")
    with embedded(*AS_NOBODY) as service:
        tier, _, source = tier_of(service)
        assert tier in (0, 1) and (tier == 1 or "sysctl kernel.perf_event_paranoid=2" in source["enable"]), source


if __name__ == "__main__":
    cli.main()
