"""test_status.py - GET /debug/trace/status."""
import os
import time

import service
from service import with_options

MEMBERS = {"version", "api", "exe", "pid", "uptime_ns", "now_unix_ns", "recording", "groups", "captures", "captures_active", "captures_started",
           "limits", "formats", "sampling", "threads", "names", "memory", "events", "cost", "streaming", "sources"}


def the_status_of_an_idle_service_says_what_it_is_and_that_nobody_listens(s):
    status = s.status()
    assert set(status) == MEMBERS, set(status) ^ MEMBERS
    assert status["pid"] == s.process.pid and status["exe"] == "busy_service" and status["version"]
    assert status["recording"] is False and status["groups"]["recording"] == [] and status["captures"] == []
    assert status["limits"] == {"seconds_max": 300, "captures_max": 4, "connections_max": 64, "conversions_max": 2, "bytes_min": 4096,
                                "bytes_max": 1 << 40, "body_max_bytes": 65536}, status["limits"]
    assert status["memory"]["budget_bytes"] == 64 << 20
    assert status["streaming"] == {"available": True, "why": "", "enable": ""}
    assert abs(int(status["now_unix_ns"]) - time.time_ns()) < 60e9 and isinstance(status["now_unix_ns"], str)
    assert 0 < status["uptime_ns"] < 600e9, status["uptime_ns"]


def each_source_has_a_state_and_a_reason(s):
    sources = {source["name"]: source for source in s.status()["sources"]}
    assert {"annotations", "sched", "cpu_samples", "gc", "hooks"} <= set(sources), set(sources)
    for source in sources.values():
        assert set(source) - {"tier"} == {"name", "state", "why", "enable"}
        assert source["state"] in ("on", "off") and (source["state"] == "on" or source["why"]), source
    assert sources["annotations"]["state"] == "on"


def a_capture_in_progress_is_shown_with_its_progress(s):
    stream = service.Background(lambda: s.get("/debug/trace?seconds=2&events=task,region&format=json"))
    kept = s.post("/debug/trace/captures", {"seconds": 2}).expect(202).json()
    service.wait_until(lambda: len(s.status()["captures"]) == 2, "both captures in the status")
    first = s.status()
    time.sleep(0.3)
    second = s.status()
    assert first["recording"] and set(first["groups"]["recording"]) == set(first["groups"]["known"])
    by_kind = {capture["kind"]: capture for capture in first["captures"]}
    assert set(by_kind) == {"stream", "kept"} and by_kind["kept"]["id"] == kept["id"]
    assert by_kind["stream"]["id"] is None and by_kind["stream"]["format"] == "json" and by_kind["stream"]["groups"] == ["task", "region"]
    assert first["captures_active"] == 2
    later = {capture["kind"]: capture for capture in second["captures"]}
    for kind, capture in by_kind.items():
        assert later[kind]["elapsed_ns"] > capture["elapsed_ns"] > 0, (kind, capture, later[kind])
        assert later[kind]["bytes"] >= capture["bytes"] > 0
        assert later[kind]["remaining_ns"] + later[kind]["elapsed_ns"] == 2_000_000_000
    stream.result().expect(200)
    service.wait_until(lambda: not s.status()["recording"], "the end of both")
    after = s.status()
    assert after["events"]["recorded"] > 100 and after["cost"]["drainer_cpu_ns"] > 0 and after["threads"] >= 4, after
    assert after["names"]["used"] >= 5 and after["captures_started"] == 2
    assert [capture["kind"] for capture in after["captures"]] == ["kept"]


def the_status_takes_no_parameters_and_no_other_methods(s):
    s.get("/debug/trace/status?x=1").expect_error(400, "bad_parameter", "x")
    s.ask("POST", "/debug/trace/status", "{}", {"Content-Type": "application/json"}).expect_error(405, "method_not_allowed")
    assert s.ask("HEAD", "/debug/trace/status").expect(200).body == b""
    s.get("/debug/trace/statu").expect_error(404, "not_found")


@with_options("--captures-max", "2", "--seconds-max", "10", "--connections-max", "16")
def the_limits_shown_are_those_that_were_set(s):
    limits = s.status()["limits"]
    assert (limits["captures_max"], limits["seconds_max"], limits["connections_max"]) == (2, 10, 16), limits


def memory_is_given_back_after_the_last_listener_left(s):
    s.get("/debug/trace?seconds=0.3").expect(200)
    used = []
    service.wait_until(lambda: used.append(s.status()["memory"]) or used[-1]["buffers"] == 0, "buffers to be given back")
    print(used[0], used[-1], os.getpid())


if __name__ == "__main__":
    service.main(__file__)
