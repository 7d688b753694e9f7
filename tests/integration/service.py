"""service.py - what the HTTP tests share: a real service on 127.0.0.1, port 0, and clients, good and bad.

    import service
    def a_sentence_about_behaviour(s):      # s: a started Service
        ...
    if __name__ == "__main__":
        service.main(__file__)              # argv: program, name of the test

Tests never compare wall-clock times tightly; where a promise is a time, the figure is printed and the bound has slack for a
machine that does something else too.
"""
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import children  # noqa: E402
import reader  # noqa: E402  the second reader of the native format

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else None
PATIENCE_S = 20  # for anything that must happen at some time


class Skip(Exception):
    """Something this test needs is missing here."""


def wait_until(condition, what, patience_s=PATIENCE_S):
    """Poll until condition() is true, and return that value."""
    end = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {patience_s} s: {what}")
        time.sleep(0.005)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def expect(self, status):
        assert self.status == status, f"status {self.status}, not {status}: {self.body[:300]!r}"
        return self

    def expect_error(self, status, code, *words):
        self.expect(status)
        assert self.headers["Content-Type"].startswith("application/json"), self.headers["Content-Type"]
        error = self.json()["error"]
        assert set(error) == {"code", "message", "hint"}, error
        assert error["code"] == code, error
        for word in words:
            assert word in error["message"] + " " + error["hint"], f"{word!r} is not in {error}"
        return self


class Service:
    """busy_service with its output read in the background."""

    def __init__(self, *options, program=None, expect_port=True, env=None):
        self.process = subprocess.Popen([program or PROGRAM, *map(str, options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.lines, self.gates = [], []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        first = wait_until(lambda: self.lines and self.lines[0], "the service's first line")
        if expect_port:
            assert first.startswith("port "), first
            self.port = int(first.split()[1])

    def _read(self):
        for line in self.process.stdout:
            line = line.rstrip("\n")
            words = line.split()
            if words and words[0] == "gate":
                self.gates.append((int(words[1], 16), int(words[2])))
            self.lines.append(line)

    def line(self, start):
        return wait_until(lambda: next((line for line in self.lines if line.startswith(start)), None), f"a line {start!r}")

    def order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self):
        """End it in good order: its exit code is part of every test."""
        if self.process.poll() is None:
            self.process.stdin.close()
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the service did not end")
        assert code == 0, f"the service ended with {code}"

    # ---- Requests ----
    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def send_json(self, method, path, value, **headers):
        body = value if isinstance(value, (bytes, str)) else json.dumps(value)
        return self.ask(method, path, body, {"Content-Type": "application/json",
                                             **{name.replace("_", "-"): text for name, text in headers.items()}})

    def post(self, path, value, **headers):
        return self.send_json("POST", path, value, **headers)

    def put(self, path, value, **headers):
        return self.send_json("PUT", path, value, **headers)

    def status(self):
        return self.get("/debug/trace/status").expect(200).json()

    def keep(self, **wish):
        """A kept capture, recorded to its end."""
        info = self.post("/debug/trace/captures", {"seconds": 0.2, **wish}).expect(202).json()
        return wait_until(lambda: (lambda i: i if i["state"] != "recording" else None)(self.get(info["url"]).expect(200).json()),
                          "the window of a kept capture to end")

    def is_recording(self):
        return bool(self.gates) and self.gates[-1][0] != 0

    def wait_off(self):
        wait_until(lambda: self.gates and self.gates[-1][0] == 0, "recording to be off")
        return self.gates[-1][1]

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as lines:
            for line in lines:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")


class RawClient:
    """A socket that does what a well-behaved client does not."""

    def __init__(self, s, path, receive_buffer=None, connect_only=False):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", s.port))
        if not connect_only:
            self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    def head(self):
        """Read up to the end of the head; returns it and what came behind it."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(1)
            if not piece:
                break
            data += piece
        return data

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def read_all(self, bytes_per_s=None, until_s=60):
        """Everything up to the end, at no more than that speed."""
        data, start = bytearray(), time.monotonic()
        while time.monotonic() - start < until_s:
            piece = self.socket.recv(4096 if bytes_per_s else 65536)
            if not piece:
                break
            data += piece
            if bytes_per_s:
                ahead = len(data) / bytes_per_s - (time.monotonic() - start)
                if ahead > 0:
                    time.sleep(ahead)
        return bytes(data)


def dechunk(data):
    """The body of a chunked answer (head removed), and whether its last chunk was there."""
    body, at = bytearray(), 0
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return bytes(body), False
        size = int(data[at:line_end].split(b";")[0], 16)
        if size == 0:
            return bytes(body), True
        piece = data[line_end + 2:line_end + 2 + size]
        body += piece
        if len(piece) < size:
            return bytes(body), False
        at = line_end + 2 + size + 2


def validate(native):
    """The verdict of the independent validator: "exact", or what is wrong."""
    done = subprocess.run([os.environ["TTAP_VALIDATE"], "/dev/stdin"], input=native, capture_output=True)
    assert done.returncode in (0, 1), done
    return done.stdout.decode().strip().removeprefix("/dev/stdin: ")


class Background:
    """A call on a thread of its own; result() waits for it."""

    def __init__(self, call):
        self.value, self.error = None, None
        self.thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self.thread.start()

    def _run(self, call):
        try:
            self.value = call()
        except BaseException as error:
            self.error = error

    def result(self):
        self.thread.join(60)
        assert not self.thread.is_alive(), "a background call did not return"
        if self.error:
            raise self.error
        return self.value


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def main(module_file):
    """Run one test of the calling module: argv is the program and the test's name."""
    children.end_with_us()
    module = sys.modules["__main__"]
    test = getattr(module, sys.argv[2])
    options = getattr(test, "options", ())
    s = Service(*options) if getattr(test, "wants_service", True) else None
    try:
        test(s) if s else test()
    except Skip as why:
        print(f"skipped: {why}")
        if s:
            s.process.kill()
        sys.exit(77)
    except BaseException:
        if s:
            print("\n".join(s.lines[-20:]), file=sys.stderr)
            s.process.kill()
        raise
    if s:
        s.end()


def with_options(*options):
    def mark(test):
        test.options = options
        return test
    return mark


def alone(test):
    """The test starts what it needs by itself."""
    test.wants_service = False
    return test


