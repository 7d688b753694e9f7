"""test_trace.py - GET /debug/trace: each parameter, each error, and what streams."""
import re
import time

import service
from service import reader, with_options


def counters_of(capture):
    """Names of those that annotations set: how large the process is belongs to no task."""
    events = [event for run in capture.runs for event in run.events if event.means == reader.COUNTER]
    return {name for name in (capture.names[event.values["name"]] for event in events) if not name.startswith(b"memory.")}


def kinds_of(capture):
    return {event.kind for run in capture.runs for event in run.events}


def a_capture_with_no_parameters_is_native_and_lasts_a_second(s):
    answer = s.get("/debug/trace").expect(200)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    capture = reader.Capture(answer.body)
    assert not capture.truncated and capture.trailer["reason"] == 1, capture.trailer
    window = capture.trailer["end_mono_ns"] - capture.header.base_mono_ns
    assert 0.9e9 < window < 5e9, window
    assert capture.trailer["delivered"] > 100 and capture.header.pid == s.process.pid
    assert service.validate(answer.body) == "exact"


def a_download_has_a_file_name_that_says_who_and_when(s):
    name = s.get("/debug/trace?seconds=0.01").expect(200).headers["Content-Disposition"]
    match = re.fullmatch(r'attachment; filename="busy_service-(\d+)-(\d{8}T\d{6}Z)\.(\w+)"', name)
    assert match and int(match[1]) == s.process.pid, name
    then = time.strptime(match[2], "%Y%m%dT%H%M%SZ")
    assert abs(time.mktime(then) - time.mktime(time.gmtime())) < 60, name


def seconds_are_digits_with_an_optional_fraction_up_to_the_limit(s):
    for good in ["0.05", "0.000001", "0.1", "00.1"]:
        s.get(f"/debug/trace?seconds={good}").expect(200)
    for bad in ["", "0", "0.0", "-1", "%2B1", "1e0", "1e400", "nan", "inf", "0x10", "5s", "5..1", "300.1", "301", "9223372036854775808",
                "9" * 4096, "%EF%BC%95", "0.0000001", "%201", "1%20", "1,5"]:
        s.get(f"/debug/trace?seconds={bad}").expect_error(400, "bad_parameter", "seconds")
    for bad in ["1%00", "%zz"]:
        s.get(f"/debug/trace?seconds={bad}").expect_error(400, "bad_request")
    assert s.status()["captures_started"] == 4 and not s.is_recording()


@with_options("--seconds-max", "0.5")
def the_longest_window_is_the_operators_to_set(s):
    s.get("/debug/trace?seconds=0.5").expect(200)
    s.get("/debug/trace?seconds=0.6").expect_error(400, "bad_parameter", "seconds", "0.5")
    assert s.status()["limits"]["seconds_max"] == 0.5


def an_unknown_format_is_answered_with_the_list_of_them(s):
    known = [f["name"] for f in s.status()["formats"]]
    assert known[0] == "native" and "json" in known
    for bad in ["", "NATIVE", "jso", "xml", "native,json"]:
        s.get(f"/debug/trace?format={bad}").expect_error(400, "bad_parameter", *known)


def each_format_of_the_list_streams_with_its_media_type(s):
    for form in s.status()["formats"]:
        answer = s.get(f"/debug/trace?seconds=0.1&format={form['name']}").expect(200)
        assert answer.headers["Content-Type"].startswith(form["media_type"]), form
        assert answer.headers["Content-Disposition"].endswith(f".{form['extension']}\""), form
        assert len(answer.body) > 100, form


def the_json_format_is_one_whole_document(s):
    document = s.get("/debug/trace?seconds=0.3&format=json").expect(200).json()
    assert document["format"] == "tracetap" and document["end"]["truncated"] is False, document["end"]
    assert document["end"]["identity"] == "exact", document["end"]
    names = [name for chunk in document["chunks"] if chunk["t"] == "str" for name in chunk["v"]]
    assert {"handle", "parse", "reply", "browse", "note"} <= set(names), names
    assert sum(chunk["n"] for chunk in document["chunks"] if chunk["t"] == "region") > 10


def events_choose_groups_and_the_rest_is_not_in_the_capture(s):
    capture = reader.Capture(s.get("/debug/trace?seconds=0.2&events=log,counter").expect(200).body)
    assert capture.header.groups == 0b1100, capture.header.groups
    assert kinds_of(capture) == {reader.LOG, reader.COUNTER}, kinds_of(capture)


def each_group_can_be_asked_for_by_its_name(s):
    known = s.status()["groups"]["known"]
    assert known == ["task", "region", "log", "counter", "queue", "gc", "sched", "lock", "net", "file", "sleep", "alloc"]
    for bit, name in zip([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11], known):
        assert reader.Capture(s.get(f"/debug/trace?seconds=0.02&events={name}").expect(200).body).header.groups == 1 << bit
    for bad in ["", ",", "task,", "tasks", "task,,log", "TASK", "task%20", "all"]:
        s.get(f"/debug/trace?events={bad}").expect_error(400, "bad_parameter", "events", "region")


def a_sample_of_nothing_leaves_nothing_of_what_tasks_did(s):
    nothing = reader.Capture(s.get("/debug/trace?seconds=0.3&sample=0").expect(200).body)
    everything = reader.Capture(s.get("/debug/trace?seconds=0.3&sample=1").expect(200).body)
    assert nothing.header.sample == "0" and everything.header.sample == "1"
    assert nothing.trailer["sampled_out"] > 100 and everything.trailer["sampled_out"] == 0, (nothing.trailer, everything.trailer)
    done = {reader.REGION_BEGIN, reader.REGION_END, reader.LOG, reader.TASK_BEGIN, reader.TASK_END}
    assert done <= kinds_of(everything) and not done & kinds_of(nothing), kinds_of(nothing)
    assert counters_of(everything) and not counters_of(nothing), counters_of(nothing)


def a_sample_rule_keeps_the_kinds_it_names(s):
    document = s.get("/debug/trace?seconds=0.5&format=json&sample=0,checkout=1").expect(200).json()
    names = {}
    kinds = set()
    for chunk in document["chunks"]:
        if chunk["t"] == "str":
            names.update(enumerate(chunk["v"], chunk["base"]))
        if chunk["t"] == "task":
            column = chunk["kind"] if isinstance(chunk["kind"], list) else [chunk["kind"]]
            kinds |= set(column)
    assert {names[kind] for kind in kinds} == {"checkout"}, (kinds, names)


def a_wrong_sample_is_refused_with_the_offset_of_the_mistake(s):
    for bad, offset in [("", 0), ("2", 0), ("-1", 0), ("0.5,", 3), ("0.5,checkout=7", 4), ("a", 0), ("0.1,0.2", 4), ("0,5", 2), ("=1", 0)]:
        s.get(f"/debug/trace?sample={bad}").expect_error(400, "bad_parameter", "sample", f"byte {offset}")
    too_many = ",".join(f"k{i}=1" for i in range(65))
    s.get(f"/debug/trace?sample={too_many}").expect_error(400, "bad_parameter", "64")


def a_byte_limit_ends_the_window_early(s):
    start = time.monotonic()
    body = s.get("/debug/trace?seconds=30&bytes=50000").expect(200).body
    assert time.monotonic() - start < 20
    capture = reader.Capture(body)
    assert capture.trailer["reason"] == 2, capture.trailer
    print(f"{len(body)} bytes for a limit of 50000")
    for bad in ["", "0", "4095", "1099511627777", "-5", "1.5", "1k", "99999999999999999999999"]:
        s.get(f"/debug/trace?bytes={bad}").expect_error(400, "bad_parameter", "bytes")


def unknown_and_repeated_parameters_are_refused(s):
    s.get("/debug/trace?second=1").expect_error(400, "bad_parameter", "second")
    s.get("/debug/trace?seconds=0.1&seconds=0.2").expect_error(400, "bad_parameter", "seconds")
    s.get("/debug/trace?=1").expect(400)
    assert s.status()["captures_started"] == 0


def head_answers_the_headers_and_records_nothing(s):
    answer = s.ask("HEAD", "/debug/trace?seconds=5&format=json").expect(200)
    assert answer.body == b"" and answer.headers["Content-Type"].startswith("application/json")
    assert ".json" in answer.headers["Content-Disposition"]
    assert s.ask("HEAD", "/debug/trace?seconds=999").status == 400
    assert s.status()["captures_started"] == 0 and not s.gates


def other_methods_are_refused_and_told_which_are_not(s):
    for method in ["POST", "PUT", "DELETE", "PATCH"]:
        answer = s.ask(method, "/debug/trace", "{}", {"Content-Type": "application/json"})
        answer.expect_error(405, "method_not_allowed")
        assert "GET" in answer.headers["Allow"]


def the_first_bytes_arrive_while_the_window_is_open(s):
    client = service.RawClient(s, "/debug/trace?seconds=3")
    start = time.monotonic()
    head = client.head()
    assert head.startswith(b"HTTP/1.1 200")
    client.socket.recv(1)
    assert time.monotonic() - start < 2.5
    client.socket.close()


def an_http_1_0_client_gets_the_capture_to_its_trailer(s):
    client = service.RawClient(s, "", connect_only=True)
    client.socket.sendall(b"GET /debug/trace?seconds=0.1 HTTP/1.0\r\nHost: localhost\r\n\r\n")
    head, _, body = client.read_all().partition(b"\r\n\r\n")
    assert b"chunked" not in head and not reader.Capture(body).truncated


def two_captures_at_once_have_windows_of_their_own(s):
    long = service.Background(lambda: s.get("/debug/trace?seconds=1"))
    service.wait_until(s.is_recording, "the long capture")
    short = reader.Capture(s.get("/debug/trace?seconds=0.2&events=log").expect(200).body)
    long = reader.Capture(long.result().expect(200).body)
    assert short.header.groups == 4 and long.header.groups == 0xffffffff & ~(1 << 12 | 1 << 14)  # samples are on request
    assert short.trailer["end_mono_ns"] < long.trailer["end_mono_ns"]


if __name__ == "__main__":
    service.main(__file__)
