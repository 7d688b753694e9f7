"""test_mount.py - the routes inside a libmicrohttpd daemon of the host's own."""
import os
import tempfile

import service
from service import alone, reader

HOST = os.environ.get("TTAP_HOST_DAEMON")


def host(*words):
    return service.Service(*words, program=HOST)


def check_all_but_streams(s):
    """What always works: everything that needs no suspended connection."""
    assert s.get("/hello").expect(200).body == b"hello"
    assert s.get("/nothing/of/ours").expect(404).body == b"what?"
    assert s.status()["pid"] == s.process.pid
    info = s.keep(seconds=0.3)
    native = s.get(info["url"] + "?format=native").expect(200).body
    assert service.validate(native) == "exact" and reader.Capture(native).trailer["delivered"] > 50
    document = s.get(info["url"] + "?format=json").expect(200).json()
    assert document["end"]["identity"] == "exact" and document["end"]["truncated"] is False
    s.put("/debug/trace/sampling", {"default": 0.5}).expect(200)
    s.put("/debug/trace/sampling", {"default": 7}).expect_error(400, "bad_body")
    s.get(info["url"] + "?format=xml").expect_error(400, "bad_parameter")
    s.ask("DELETE", info["url"]).expect(204)
    s.get("/debug/trace/captures/1").expect_error(404, "not_found")
    assert s.get("/hello").expect(200).body == b"hello"


def check_cannot_stream(s):
    s.get("/debug/trace?seconds=0.1").expect_error(501, "cannot_stream", "POST", "/debug/trace/captures")
    streaming = s.status()["streaming"]
    assert streaming["available"] is False and streaming["why"] and streaming["enable"], streaming


def check_streams(s):
    native = s.get("/debug/trace?seconds=0.3").expect(200).body
    assert service.validate(native) == "exact"
    assert s.get("/debug/trace?seconds=0.3&format=json").expect(200).json()["end"]["truncated"] is False
    assert s.status()["streaming"]["available"] is True


@alone
def a_host_that_may_suspend_and_asked_for_streams_gets_them():
    s = host("suspend", "streams")
    check_streams(s)
    check_all_but_streams(s)
    s.end()


@alone
def streams_have_to_be_asked_for():
    s = host("suspend")
    check_cannot_stream(s)
    check_all_but_streams(s)
    s.end()


@alone
def a_host_that_may_not_suspend_has_everything_else():
    s = host("plain", "streams")
    check_cannot_stream(s)
    check_all_but_streams(s)
    s.end()


@alone
def a_host_with_a_thread_per_connection_has_everything_else():
    s = host("threads", "streams")
    check_cannot_stream(s)
    check_all_but_streams(s)
    s.end()


@alone
def unmounting_ends_streams_in_progress_with_their_trailers():
    s = host("suspend", "streams")
    stream = service.Background(lambda: s.get("/debug/trace?seconds=60"))
    stalled = service.RawClient(s, "/debug/trace?seconds=60&format=json", receive_buffer=4096)
    service.wait_until(lambda: len(s.status()["captures"]) == 2, "both streams")
    s.process.stdin.close()
    took_ms = int(s.line("unmounted").split()[1]) / 1e6
    print(f"unmounted in {took_ms:.0f} ms")
    assert took_ms < 4000
    capture = reader.Capture(stream.result().expect(200).body)
    assert capture.trailer["reason"] == 6
    s.line("ended")
    assert s.process.wait(20) == 0
    stalled.socket.close()


@alone
def a_host_that_forgets_to_unmount_ends_in_good_order_by_default():
    for mode in ("suspend", "plain", "threads"):
        s = host(mode, "forget")
        s.keep()
        s.get("/debug/trace?seconds=5").expect(501)
        s.post("/debug/trace/captures", {"seconds": 60}).expect(202)
        s.process.stdin.close()
        s.line("ended")
        assert s.process.wait(20) == 0


@alone
def access_rules_hold_where_mounted_unless_the_host_decides():
    s = host("plain")
    s.get("/debug/trace/status", Host="evil.example").expect_error(403, "forbidden")
    s.get("/debug/trace/status", Sec_Fetch_Site="cross-site").expect_error(403, "forbidden")
    s.end()
    s = host("plain", "by-host")
    s.get("/debug/trace/status", Host="evil.example").expect(200)
    s.end()


@alone
def a_token_is_asked_for_where_mounted():
    with tempfile.NamedTemporaryFile("w") as token:
        token.write("0123456789abcdefghijklmn")
        token.flush()
        s = host("plain", f"token={token.name}")
        s.get("/debug/trace/status").expect_error(401, "unauthorized")
        s.get("/debug/trace/status", Authorization="Bearer 0123456789abcdefghijklmn").expect(200)
        assert s.get("/hello").expect(200).body == b"hello"
        s.end()


if __name__ == "__main__":
    service.main(__file__)
