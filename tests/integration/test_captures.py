"""test_captures.py - kept captures: record once, any format later."""
import service
from service import reader, with_options

CAPTURES = "/debug/trace/captures"


def a_kept_capture_goes_from_post_to_list_to_formats_to_delete(s):
    wish = {"events": ["task", "region"], "sample": "1"}
    answer = s.post(CAPTURES, {"seconds": 300, **wish}).expect(202)  # what is said of an open window must not race with its end
    info = answer.json()
    assert answer.headers["Location"] == info["url"] == f"{CAPTURES}/{info['id']}"
    assert info["state"] == "recording" and info["reason"] is None and info["kind"] == "kept", info
    assert info["groups"] == ["task", "region"] and info["duration_ns"] == 300_000_000_000
    assert [c["id"] for c in s.get(CAPTURES).expect(200).json()["captures"]] == [info["id"]]

    s.get(info["url"] + "?format=native").expect_error(409, "still_recording")
    s.ask("DELETE", info["url"]).expect(204)

    info = s.post(CAPTURES, {"seconds": 0.5, **wish}).expect(202).json()
    assert info["duration_ns"] == 500_000_000
    ended = service.wait_until(lambda: (lambda i: i if i["state"] == "ended" else None)(s.get(info["url"]).json()), "its end")
    assert ended["reason"] == "window" and ended["remaining_ns"] == 0 and ended["elapsed_ns"] >= 490_000_000, ended
    assert ended["events"] == ended["delivered"] + ended["filtered"] + ended["lost"] and ended["delivered"] > 100, ended

    native = s.get(info["url"] + "?format=native").expect(200)
    assert service.validate(native.body) == "exact"
    capture = reader.Capture(native.body)
    assert capture.trailer["delivered"] == ended["delivered"] and len(native.body) == ended["bytes"], (capture.trailer, ended)
    document = s.get(info["url"] + "?format=json").expect(200).json()
    assert document["end"]["account"]["delivered"] == ended["delivered"] and document["end"]["identity"] == "exact"
    assert s.get(info["url"] + "?format=native").body == native.body

    s.ask("DELETE", info["url"]).expect(204)
    s.get(info["url"]).expect_error(404, "not_found")
    s.ask("DELETE", info["url"]).expect_error(404, "not_found")
    s.post(info["url"] + "/stop", b"").expect(404)
    assert s.get(CAPTURES).json()["captures"] == []


def an_empty_body_object_means_all_defaults(s):
    info = s.post(CAPTURES, {}).expect(202).json()
    assert info["duration_ns"] == 1_000_000_000
    assert info["groups"] == ["task", "region", "log", "counter", "queue", "gc", "sched", "lock", "net", "file", "sleep", "alloc"]


def a_wrong_body_is_refused_by_the_name_of_its_member(s):
    for body, words in [("", ["empty"]), ("{", ["line 1"]), ("[]", ["object"]), ("3", ["object"]), ("{} {}", ["line 1"]),
                        ('{"seconds":1,"seconds":2}', ["duplicate"]), ({"second": 1}, ["second", "seconds"]),
                        ({"seconds": 0}, ["seconds", "300"]), ({"seconds": "5"}, ["seconds"]), ({"seconds": 301}, ["seconds", "300"]),
                        ({"seconds": -1}, ["seconds"]), ({"seconds": None}, ["seconds"]), ('{"seconds":1e400}', ["line 1"]),
                        ('{"seconds":NaN}', ["line 1"]), ({"seconds": 1e-9}, ["seconds"]),
                        ({"events": []}, ["events"]), ({"events": "task"}, ["events"]), ({"events": ["task", "x"]}, ["events[1]", "region"]),
                        ({"events": [1]}, ["events[0]"]), ({"sample": 1.5}, ["sample"]), ({"sample": "0.5,x=2"}, ["sample", "byte 4"]),
                        ({"sample": ""}, ["sample"]), ({"sample": []}, ["sample"]), ({"bytes": 1}, ["bytes", "4096"]),
                        ({"bytes": 5000.5}, ["bytes"]), ('{"bytes":99999999999999999999}', ["line 1"]),
                        ('{"a":' + "[" * 5000 + "]" * 5000 + "}", ["deeper"]), (b'{"a\xff":1}', ["line 1"]), (b'{"a\\u0000":1}', ["line 1"])]:
        s.post(CAPTURES, body).expect_error(400, "bad_body", *words)
    assert s.status()["captures_started"] == 0


def a_body_must_be_json_and_short(s):
    s.ask("POST", CAPTURES, "{}", {"Content-Type": "text/plain"}).expect_error(415, "unsupported_media_type")
    s.ask("POST", CAPTURES, "{}").expect(415)
    s.post(CAPTURES, '{"a":"' + "x" * 70000 + '"}').expect_error(413, "too_large")
    assert s.status()["captures_started"] == 0


def a_kept_capture_can_be_stopped_before_its_time(s):
    info = s.post(CAPTURES, {"seconds": 60}).expect(202).json()
    service.wait_until(s.is_recording, "recording")
    s.post(info["url"] + "/stop", b"").expect(200)
    s.wait_off()
    ended = service.wait_until(lambda: (lambda i: i if i["state"] == "ended" else None)(s.get(info["url"]).json()), "its end")
    assert ended["reason"] == "stopped" and ended["elapsed_ns"] < 30_000_000_000, ended
    s.post(info["url"] + "/stop", b"").expect(200)
    capture = reader.Capture(s.get(info["url"] + "?format=native").expect(200).body)
    assert capture.trailer["reason"] == 3


def deleting_a_capture_that_records_ends_its_window(s):
    info = s.post(CAPTURES, {"seconds": 60}).expect(202).json()
    service.wait_until(s.is_recording, "recording")
    s.ask("DELETE", info["url"]).expect(204)
    s.wait_off()


@with_options("--requests-per-s", "0", "--threads", "2")
def a_download_goes_on_to_its_end_after_the_capture_was_deleted(s):
    info = s.keep(seconds=1)
    whole = s.get(info["url"] + "?format=native").expect(200).body
    client = service.RawClient(s, info["url"] + "?format=native", receive_buffer=4096)
    assert client.head().startswith(b"HTTP/1.1 200")
    assert s.get(info["url"]).json()["reading"] is True
    s.ask("DELETE", info["url"]).expect(204)
    s.get(info["url"]).expect(404)
    body, complete = service.dechunk(client.read_all())
    assert complete and body == whole, (complete, len(body), len(whole))


def an_id_has_one_spelling(s):
    info = s.keep()
    for bad in ["0", "00", f"0{info['id']}", f"{info['id']}x", "-1", "99999999999999999999", "x", f"+{info['id']}"]:
        s.get(f"{CAPTURES}/{bad}").expect_error(404, "not_found")
    s.get(info["url"] + "?format=xml").expect_error(400, "bad_parameter", "native", "json")
    s.get(info["url"] + "?seconds=1").expect_error(400, "bad_parameter", "seconds")
    s.get(info["url"] + "/start").expect(404)


def the_file_name_of_a_download_has_the_time_of_the_recording(s):
    info = s.keep()
    name = s.ask("HEAD", info["url"] + "?format=json").expect(200).headers["Content-Disposition"]
    import time
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(int(info["started_unix_ns"]) // 1_000_000_000))
    assert stamp in name and name.endswith('.json"'), (stamp, name)
    assert s.get(info["url"] + "?format=native").headers["Content-Disposition"].count(stamp) == 1


@with_options("--budget", str(4 << 20), "--requests-per-s", "0")
def new_captures_push_out_the_oldest_that_nobody_reads(s):
    first = s.keep(seconds=0.3, bytes=600_000)
    for _ in range(6):
        last = s.keep(seconds=0.3, bytes=600_000)
    ids = [c["id"] for c in s.get(CAPTURES).json()["captures"]]
    assert first["id"] not in ids and last["id"] in ids and ids == sorted(ids), ids
    s.get(first["url"] + "?format=native").expect_error(404, "not_found", "evicted")


if __name__ == "__main__":
    service.main(__file__)
