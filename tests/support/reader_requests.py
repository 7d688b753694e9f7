"""reader_requests.py - what connections were asked, by docs/format.md ("Requests of connections"), from rows of calls."""

import re

RECEIVES = {"read", "readv", "recv", "recvfrom", "recvmsg", "splice", "recvmmsg"}
SENDS = {"write", "writev", "send", "sendto", "sendmsg", "sendfile", "sendmmsg"}
MESSAGES = {"recvmmsg", "sendmmsg"}
EPHEMERAL = 32768


def port_of(address):
    match = re.fullmatch(r".*:(\d{1,5})", address, re.DOTALL)
    return int(match[1]) if match else 0


def asks_by_name(name):
    words = name.split(" ", 2)
    if len(words) < 3:
        return False
    family, local, peer = words
    if family == "unix":
        return local == "-" and peer != "-"
    return port_of(local) >= EPHEMERAL > port_of(peer) > 0


class Connection:
    def __init__(self, thing, asked):
        self.thing, self.asked, self.row, self.after = thing, asked, None, 0

    def close(self, end, flags=0):
        if self.row:
            self.row["dur"] = max(0, end - self.row["start"])
            self.row["flags"] = flags
            self.after = max(self.after, end)
            yield self.row
        self.row = None

    def take(self, at, end, call, received, size):
        at = max(at, self.after)
        if received != self.asked:  # the side that asks
            if self.row and self.row["end_lane"]:
                yield from self.close(min(self.last, at))
            if not self.row:
                side = "asked" if self.asked else "served"
                self.row = {"start": at, "dur": 0, "object": self.thing, "side": side, "lane": call["lane"], "end_lane": None}
                self.row |= {"in": 0, "out": 0, "receives": 0, "sends": 0, "flags": 0}
                self.last = at
        if not self.row:
            return
        self.row["in" if received else "out"] += size
        self.row["receives" if received else "sends"] += 1
        if received == self.asked:
            self.row["end_lane"] = call["lane"]
        self.last = max(self.last, end)


def requests_of(calls, asking, window_ns):
    """`calls`: rows on sockets, as they stand in the file. `asking`: what is known to ask by its name."""
    asking = asking | {call["object"] for call in calls if call["op"] == "connect"}
    moves = []
    for order, call in enumerate(calls):
        received, result = call["op"] in RECEIVES, call["result"]
        if (not received and call["op"] not in SENDS) or result < 0 or (result == 0 and not received) or call["flags"] & 2 or not call["object"]:
            continue
        end = call["start"] + call["dur"]
        moves.append((end if received or call["flags"] & 1 else call["start"], order, end, call, received))
    connections = {}
    for at, _, end, call, received in sorted(moves, key=lambda move: move[:2]):
        thing = call["object"]
        connection = connections.setdefault(thing, Connection(thing, thing in asking))
        if call["result"] == 0:
            yield from connection.close(connection.last if connection.row else 0)
        else:
            yield from connection.take(at, end, call, received, 0 if call["op"] in MESSAGES else call["result"])
    for connection in connections.values():
        if connection.row and connection.row["end_lane"]:
            yield from connection.close(connection.last)
        elif connection.row:
            yield from connection.close(window_ns, 2)
