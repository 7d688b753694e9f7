"""test_stop.py - starting and stopping the endpoint, with work in progress."""
import json
import socket
import subprocess
import time

import service
from service import alone, reader, with_options


def stopped_ms(s):
    s.order("stop")
    return int(s.line("stopped").split()[1]) / 1e6


# Few events: what is left for the last moment is then a trailer and not, as under a sanitizer on a busy machine, a second's worth of
# events to convert; who takes nothing or little is the next test's subject.
@with_options("--requests-per-s", "20", "--threads", "2")
def stopping_ends_live_captures_with_their_trailers(s):
    stream = service.Background(lambda: s.get("/debug/trace?seconds=60"))
    document = service.Background(lambda: s.get("/debug/trace?seconds=60&format=json"))
    kept = s.post("/debug/trace/captures", {"seconds": 60}).expect(202)
    service.wait_until(lambda: len(s.status()["captures"]) == 3, "all three")
    time.sleep(0.3)
    took_ms = stopped_ms(s)
    print(f"stopped in {took_ms:.0f} ms with three captures (promised 2000)")
    assert took_ms < 4000 and kept
    capture = reader.Capture(stream.result().expect(200).body)
    assert not capture.truncated and capture.trailer["reason"] == 6, capture.trailer
    end = json.loads(document.result().expect(200).body)["end"]
    assert end["reason"] == "shutdown" and end["truncated"] is False, end
    s.wait_off()


@with_options("--requests-per-s", "0", "--threads", "2")
def stopping_does_not_wait_for_clients_that_take_nothing(s):
    clients = [service.RawClient(s, f"/debug/trace?seconds=60&format={form}", receive_buffer=4096) for form in ("native", "json", "native")]
    service.wait_until(lambda: len(s.status()["captures"]) == 3, "all three")
    time.sleep(0.5)
    took_ms = stopped_ms(s)
    print(f"stopped in {took_ms:.0f} ms with three stalled clients (promised 2000)")
    assert took_ms < 4000 and clients
    s.wait_off()


def after_stopping_nobody_listens_on_the_port(s):
    stopped_ms(s)
    try:
        socket.create_connection(("127.0.0.1", s.port), 5).close()
        raise AssertionError("somebody listens")
    except ConnectionRefusedError:
        pass


def a_forked_child_does_not_keep_the_endpoint_alive(s):
    s.order("fork")
    child = int(s.line("child").split()[1])
    try:
        stopped_ms(s)
        try:
            socket.create_connection(("127.0.0.1", s.port), 5).close()
            raise AssertionError("the child listens")
        except ConnectionRefusedError:
            pass
    finally:
        subprocess.run(["kill", "-9", str(child)], check=True)


@alone
def options_out_of_range_are_refused_in_words():
    for options, words in [(("--seconds-max", "0"), ["seconds_max", "3600"]), (("--seconds-max", "4000"), ["seconds_max", "3600"]),
                           (("--seconds-max", "nan"), ["seconds_max"]), (("--seconds-max", "-1"), ["seconds_max"]),
                           (("--captures-max", "0"), ["captures_max", "16"]), (("--captures-max", "17"), ["captures_max", "16"]),
                           (("--connections-max", "3"), ["connections_max", "1024"]), (("--connections-max", "1025"), ["connections_max", "1024"]),
                           (("--address", "0.0.0.0"), ["0.0.0.0", "token"]), (("--address", "localhost"), ["localhost"]),
                           (("--address", "1.2.3"), ["1.2.3"]), (("--token-file", "/nonexistent/token"), ["token"]),
                           (("--static-dir", "/nonexistent/dir"), ["static_dir"])]:
        s = service.Service(*options, expect_port=False)
        line = s.lines[0]
        assert line.startswith("error "), (options, line)
        for word in words:
            assert word in line, (word, line)
        assert s.process.wait(20) == 1


@alone
def a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        s = service.Service("--port", port, expect_port=False)
        assert s.lines[0].startswith("error ") and str(port) in s.lines[0], s.lines
        s.process.wait(20)


if __name__ == "__main__":
    service.main(__file__)
