"""crowd.py PORT SECONDS CONNECTIONS [SEED] - clients that mean harm, all at once, each coming again as soon as it is thrown out.

One process and one thread, so that it does not slow the honest client that is measured beside it. Prints what it did as JSON.
"""
import collections
import errno
import json
import random
import selectors
import socket
import struct
import sys
import time

STATUS = b"GET /debug/trace/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
CAPTURE = b"GET /debug/trace?seconds=30 HTTP/1.1\r\nHost: localhost\r\n\r\n"
FILE = b"GET /debug/trace/ui/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = (b"PUT /debug/trace/sampling HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        b'{"default":')
DRIP_S = 0.1


def garbage(rng):
    return rng.randbytes(rng.randrange(1, 3000))


# name: (what is sent at once, what is dripped, how it leaves: when it is thrown out, at once, or at once with a reset; whether it reads)
KINDS = {
    "silent": (lambda r: b"", b"", "stays", True),
    "slow head": (lambda r: b"GET /debug/trace/status HTTP/1.1\r\nX-A: ", b"a", "stays", True),
    "slow body": (lambda r: BODY, b" ", "stays", True),
    "half a request": (lambda r: STATUS[:r.randrange(1, len(STATUS) - 2)], b"", "closes", True),
    "half a request and reset": (lambda r: STATUS[:r.randrange(1, len(STATUS) - 2)], b"", "resets", True),
    "a request and reset": (lambda r: STATUS, b"", "resets", True),
    "a capture and reset": (lambda r: CAPTURE, b"", "resets", True),
    "garbage": (garbage, b"", "stays", True),
    "a head of nothing but headers": (lambda r: b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000, b"", "stays", True),
    "reads nothing": (lambda r: STATUS * 200, b"", "stays", False),
    "takes a file and reads nothing": (lambda r: FILE * 50, b"", "stays", False),
    "keeps it open": (lambda r: STATUS, b"", "stays", True),
}


class Client:
    def __init__(self, crowd):
        self.crowd = crowd
        self.kind = crowd.rng.choice(list(KINDS))
        first, self.drip, self.leaves, self.reads = KINDS[self.kind]
        self.left = first(crowd.rng)
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if not self.reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        error = self.socket.connect_ex(("127.0.0.1", crowd.port))
        assert error in (0, errno.EINPROGRESS), error
        crowd.made[self.kind] += 1
        crowd.selector.register(self.socket, selectors.EVENT_WRITE, self)

    def on_ready(self, events):
        try:
            if events & selectors.EVENT_WRITE and self.left:
                self.left = self.left[self.socket.send(self.left):]
            if events & selectors.EVENT_READ and not self.socket.recv(65536):
                raise ConnectionResetError
        except BlockingIOError:
            pass
        except OSError:
            self.again()
            return
        if self.left:
            return
        if self.leaves == "resets":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.leaves != "stays":
            self.again()
            return
        if self.reads:
            self.crowd.selector.modify(self.socket, selectors.EVENT_READ, self)
        else:
            self.crowd.selector.unregister(self.socket)
            self.crowd.deaf.append(self)

    def on_tick(self):
        try:
            if not self.left and (self.drip or not self.reads):  # one that does not read has no other way to see that it was thrown out
                self.socket.send(self.drip or b"G")
        except BlockingIOError:
            pass
        except OSError:
            self.again()

    def again(self):
        self.crowd.thrown_out += self.leaves == "stays"
        try:
            self.crowd.selector.unregister(self.socket)
        except KeyError:
            self.crowd.deaf.remove(self)
        self.socket.close()
        self.crowd.clients.remove(self)
        self.crowd.clients.add(Client(self.crowd))


class Crowd:
    def __init__(self, port, count, seed):
        self.port, self.rng, self.selector = port, random.Random(seed), selectors.DefaultSelector()
        self.made, self.thrown_out, self.deaf = collections.Counter(), 0, []
        self.clients = set()
        for _ in range(count):
            self.clients.add(Client(self))

    def run(self, seconds):
        end, tick = time.monotonic() + seconds, 0.0
        while time.monotonic() < end:
            for key, events in self.selector.select(DRIP_S / 2):
                key.data.on_ready(events)
            if time.monotonic() >= tick:
                tick = time.monotonic() + DRIP_S
                for client in list(self.clients):
                    client.on_tick()
        return {"connections": sum(self.made.values()), "thrown_out": self.thrown_out, "kinds": dict(self.made)}


if __name__ == "__main__":
    print(json.dumps(Crowd(int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1).run(float(sys.argv[2]))))
