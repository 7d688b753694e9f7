"""test_clients.py - what clients do, and that only they suffer from it.

The window ends on time, memory stays within the budget and 8 MiB, what is lost is counted and told in the trailer, and recording is
off soon after nobody is left.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import service
from service import Skip, reader, with_options

BUDGET = 16 << 20
BUDGET_OF_CONVERSIONS = 48 << 20  # an eighth of it has room for one
WIDE = ("--budget", str(128 << 20))  # room for two
BUSY = ("--requests-per-s", "0", "--threads", "2", "--budget", str(BUDGET))
OFF_MS = 100      # what is promised
OFF_SLACK_MS = 1000  # what is accepted from a machine that does other things too


class Memory:
    """The most memory the service had beyond what it had before."""

    def __init__(self, s, budget=BUDGET):
        self.s, self.budget, self.before, self.most, self.over = s, budget, s.rss_bytes(), 0, False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.over:
            self.most = max(self.most, self.s.rss_bytes() - self.before)
            time.sleep(0.02)

    def check(self):
        self.over = True
        self.thread.join()
        print(f"memory: {self.most / (1 << 20):.1f} MiB over the idle service, budget {self.budget >> 20} MiB")
        if os.environ.get("TTAP_SANITIZE"):
            return  # the sanitizer's own memory is not ours to bound
        assert self.most <= self.budget + (8 << 20), self.most


def window_ms(capture):
    return (capture.trailer["end_mono_ns"] - capture.header.base_mono_ns) / 1e6


def off_after(s, moment_ns, what):
    late_ms = (s.wait_off() - moment_ns) / 1e6
    print(f"{what}: recording off after {late_ms:.1f} ms (promised {OFF_MS})")
    assert late_ms < OFF_MS + OFF_SLACK_MS, late_ms


def start_and_wait(s, path="/debug/trace?seconds=60", **how):
    client = service.RawClient(s, path, **how)
    service.wait_until(s.is_recording, "recording")
    time.sleep(0.3)
    return client


@with_options(*BUSY)
def a_reader_of_50_kb_per_s_gets_its_trailer_and_the_account_of_what_it_lost(s):
    memory = Memory(s)
    client = start_and_wait(s, "/debug/trace?seconds=2", receive_buffer=8192)
    head = client.head()
    body = service.Background(lambda: client.read_all(bytes_per_s=50_000, until_s=8) + client.read_all())
    on = s.gates[0][1]
    open_ms = (s.wait_off() - on) / 1e6
    print(f"window of 2000 ms was open {open_ms:.0f} ms")
    assert 1900 < open_ms < 4000 and head.startswith(b"HTTP/1.1 200")
    native, complete = service.dechunk(body.result())
    verdict = service.validate(native)
    assert complete and verdict == "exact", (complete, verdict)
    trailer = reader.Capture(native).trailer
    print(f"delivered {trailer['delivered']}, lost {trailer['lost_queue']} in the queue, {trailer['lost_full']} for want of buffers")
    assert trailer["reason"] == 1 and trailer["lost_queue"] + trailer["lost_full"] > 0, trailer
    memory.check()


@with_options(*BUSY)
def a_reader_that_takes_nothing_does_not_hold_the_window_open(s):
    memory = Memory(s)
    client = start_and_wait(s, "/debug/trace?seconds=2", receive_buffer=4096)
    open_ms = (s.wait_off() - s.gates[0][1]) / 1e6
    print(f"window of 2000 ms was open {open_ms:.0f} ms")
    assert 1900 < open_ms < 4000
    assert s.status()["recording"] is False
    s.get("/debug/trace?seconds=0.1").expect(200)
    memory.check()
    client.socket.close()


@with_options(*BUSY)
def a_client_that_resets_ends_its_recording(s):
    client = start_and_wait(s)
    moment = service.now_ns()
    client.reset()
    off_after(s, moment, "reset")


@with_options("--requests-per-s", "0", "--threads", "0")
def a_client_that_leaves_a_quiet_capture_ends_its_recording(s):
    client = start_and_wait(s)
    moment = service.now_ns()
    client.socket.close()
    off_after(s, moment, "close while nothing happens")


@with_options(*BUSY)
def a_client_that_closes_its_sending_side_ends_its_recording(s):
    client = start_and_wait(s)
    moment = service.now_ns()
    client.half_close()
    off_after(s, moment, "half-close")
    client.read_all(until_s=5)


@with_options(*BUSY, *WIDE)
def a_client_that_leaves_during_a_conversion_ends_its_recording(s):
    client = start_and_wait(s, "/debug/trace?seconds=60&format=json")
    moment = service.now_ns()
    client.reset()
    off_after(s, moment, "reset during a conversion")
    service.wait_until(lambda: s.status()["cost"]["conversions"] == 0, "the conversion to end")
    s.get("/debug/trace?seconds=0.1&format=json").expect(200)


def curl(s, path):
    try:
        return subprocess.Popen(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{s.port}{path}"])
    except FileNotFoundError:
        raise Skip("curl is not installed")


@with_options(*BUSY)
def a_killed_curl_ends_its_recording(s):
    child = curl(s, "/debug/trace?seconds=60")
    service.wait_until(s.is_recording, "recording")
    time.sleep(0.3)
    moment = service.now_ns()
    child.kill()
    child.wait()
    off_after(s, moment, "SIGKILL")


@with_options(*BUSY)
def a_stopped_curl_does_not_hold_the_window_open_and_can_go_on(s):
    memory = Memory(s)
    child = curl(s, "/debug/trace?seconds=2")
    service.wait_until(s.is_recording, "recording")
    time.sleep(0.2)
    child.send_signal(signal.SIGSTOP)
    open_ms = (s.wait_off() - s.gates[0][1]) / 1e6
    print(f"window of 2000 ms was open {open_ms:.0f} ms")
    assert 1900 < open_ms < 4000
    s.status()
    child.send_signal(signal.SIGCONT)
    assert child.wait(30) == 0  # whole, with its last chunk
    memory.check()


@with_options(*BUSY, "--captures-max", "4")
def four_stalled_clients_share_the_budget_and_leave_it(s):
    memory = Memory(s)
    clients = [start_and_wait(s, "/debug/trace?seconds=2", receive_buffer=4096) for _ in range(4)]
    s.wait_off()
    memory.check()
    for client in clients:
        client.reset()
    service.wait_until(lambda: s.status()["captures_active"] == 0, "the captures to be gone")
    service.wait_until(lambda: s.status()["memory"]["used_bytes"] < 2 << 20, "the memory to be given back")


@with_options("--requests-per-s", "200")
def of_a_hundred_captures_at_once_four_are_served_and_the_rest_refused_at_once(s):
    """Each sends its request as soon as it has connected: in a crowd, whoever takes its time makes room for others."""
    refused_s, served, lock = [], [], threading.Lock()
    start = time.monotonic()

    def connect():
        client = socket.create_connection(("127.0.0.1", s.port), timeout=60)
        client.sendall(b"GET /debug/trace?seconds=3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client

    def read(client):
        with client, http.client.HTTPResponse(client, method="GET") as answer:
            answer.begin()
            body = answer.read()
        with lock:
            if answer.status == 200:
                served.append(reader.Capture(body))
            else:
                assert answer.status == 503 and json.loads(body)["error"]["code"] == "too_many_captures", (answer.status, body)
                assert 1 <= int(answer.headers["Retry-After"]) <= 3, answer.headers["Retry-After"]
                refused_s.append(time.monotonic() - start)
    callers = [service.Background(lambda client=client: read(client)) for client in [connect() for _ in range(100)]]
    for caller in callers:
        caller.result()
    refused_s.sort()
    print(f"served {len(served)}, refused {len(refused_s)}: median {refused_s[48] * 1e3:.1f} ms, last {refused_s[-1] * 1e3:.1f} ms")
    assert len(served) == 4 and len(refused_s) == 96
    assert refused_s[-1] < 2.5, "the refusals waited for a window to end"
    assert all(not capture.truncated for capture in served)


@with_options(*WIDE)
def a_third_conversion_is_refused_and_told_when_to_come_again(s):
    clients = [start_and_wait(s, "/debug/trace?seconds=10&format=json") for _ in range(2)]
    answer = s.get("/debug/trace?seconds=1&format=json").expect_error(503, "conversions_busy", "native")
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    info = s.keep()
    s.get(info["url"] + "?format=json").expect_error(503, "conversions_busy")
    s.get(info["url"] + "?format=native").expect(200)
    for client in clients:
        client.reset()
    service.wait_until(lambda: s.status()["cost"]["conversions"] == 0, "the conversions to end")
    s.get(info["url"] + "?format=json").expect(200)


@with_options(*BUSY, "--budget", str(BUDGET_OF_CONVERSIONS))
def a_slow_reader_of_a_conversion_holds_bounded_memory(s):
    memory = Memory(s, BUDGET_OF_CONVERSIONS)
    client = start_and_wait(s, "/debug/trace?seconds=2&format=json", receive_buffer=8192)
    open_ms = (s.wait_off() - s.gates[0][1]) / 1e6
    assert 1900 < open_ms < 4000, open_ms
    time.sleep(1)
    memory.check()
    client.head()
    service.dechunk(client.read_all())


def starting_and_leaving_again_and_again_leaves_nothing_behind(s):
    def fds():
        return len(os.listdir(f"/proc/{s.process.pid}/fd"))

    def threads():
        return len(os.listdir(f"/proc/{s.process.pid}/task"))
    s.get("/debug/trace?seconds=0.1&format=json").expect(200)
    service.wait_until(lambda: s.status()["captures_active"] == 0, "the first to end")
    time.sleep(1.5)
    before = fds(), threads()
    for i in range(100):
        client = service.RawClient(s, f"/debug/trace?seconds=60&format={'json' if i % 3 == 0 else 'native'}")
        head = client.head()
        assert head.startswith(b"HTTP/1.1 200"), (i, head, client.socket.recv(1000))
        service.wait_until(s.is_recording, "recording")
        client.reset()
        s.wait_off()
    service.wait_until(lambda: s.status()["captures_active"] == 0, "all to end")
    service.wait_until(lambda: fds() <= before[0] and threads() <= before[1], f"descriptors and threads {before} again, are {fds(), threads()}")


@with_options("--budget", 32 << 20, "--threads", "1", "--requests-per-s", "100")
def a_conversion_that_the_budget_has_no_room_for_is_refused(s):
    """Each is charged 4 MiB, of the part that chunks, queues and kept captures leave: one fits, a second beside it does not."""
    first = service.RawClient(s, "/debug/trace?seconds=60&format=json")
    assert first.head().startswith(b"HTTP/1.1 200"), "the first conversion"
    assert s.status()["cost"]["conversions"] == 1
    for _ in range(10):
        s.get("/debug/trace?seconds=0.05&format=json").expect_error(503, "no_memory", "budget")
    assert service.validate(s.get("/debug/trace?seconds=0.05").expect(200).body) == "exact"
    first.reset()
    service.wait_until(lambda: s.status()["cost"]["conversions"] == 0, "the first conversion to end")
    service.wait_until(lambda: s.get("/debug/trace?seconds=0.05&format=json").status == 200, "a conversion again")


if __name__ == "__main__":
    service.main(__file__)
