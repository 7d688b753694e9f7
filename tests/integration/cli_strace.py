"""cli_strace.py - the calls of a run as the kernel saw them, by strace of the same run: each that is not in the capture has a reason."""
import json
import os
import re
import signal
import socket
import subprocess
from collections import Counter

import cli_support as cli
from cli_programs import answers, free_port, need, redis
from cli_run import preloadable, rows_of, whole_figures

CALLS = {"read": "read", "write": "write", "accept4": "accept", "accept": "accept", "epoll_wait": "epoll_wait", "fsync": "fsync", "fdatasync": "fdatasync"}
GETS = 300


def what(path):
    """socket, pipe, or the path of a file; strace and the kernel's own names for the same."""
    if path.startswith(("tcp ", "TCP", "socket", "unix", "udp", "UNIX", "UDP")):
        return "socket"
    return "pipe" if path.startswith("pipe") else "epoll" if "eventpoll" in path else path


def kernels_calls(log):
    """(call, what it was on) -> how often, and the process."""
    counts, first = Counter(), None
    for line in open(log):
        match = re.match(r"(\d+)\s+(\w+)\((\d+)<(.*?)>[,) ]", line)
        if not match:
            continue
        first = first or int(match[1])
        counts[CALLS[match[2]], what(match[4])] += 1
    return counts, first


def recorded_calls(document, pid):
    strings, objects, lanes, counts = [], {}, set(), Counter()
    for chunk in document["chunks"]:
        if chunk["t"] == "str":
            strings += chunk["v"]
        elif chunk["t"] == "object":
            objects[chunk["id"]] = chunk["name"]
        elif chunk["t"] == "lane" and chunk.get("pid") == pid:
            lanes.add(chunk["id"])
    for chunk in document["chunks"]:
        if chunk["t"] == "call" and chunk["lane"] in lanes:
            for _, op, object_ in rows_of(chunk, "op", "object"):
                if strings[op] in CALLS.values():
                    counts[strings[op], what(objects.get(object_, "?"))] += 1
    return counts


def is_by_libc(path):
    """Files that the dynamic loader and stdio read inside of libc, where no hook is."""
    return re.search(r"\.so[.\d]*$|/ld\.so\.cache$|^/proc/|^/sys/|^/etc/|localtime$|/zoneinfo/|\.conf$|^/dev/", path) is not None


def calls_of_redis_are_those_that_the_kernel_saw_but_for_libcs_own():
    preloadable()
    strace, server, port = need("strace"), need("redis-server"), free_port()
    command = [cli.program("tracetap"), "run", "-q", "-o", "calls.ttap", "--", strace, "-f", "-y", "-o", "log", "-e", "trace=" + ",".join(CALLS), "-e", "signal=none",
               server, "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", os.getcwd()]
    if subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode:
        raise cli.Skip("processes cannot be traced here")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        answers(port)
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert redis(client, b"SET", b"key", b"value") == b"+OK\r\n"
            for _ in range(GETS):
                assert redis(client, b"GET", b"key") == b"$5\r\nvalue\r\n"
            client.sendall(b"SHUTDOWN NOSAVE\r\n")
            process.wait(cli.TIMEOUT_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert whole_figures("calls.ttap")["lost"]["total"] == 0
    cli.run("convert", "calls.ttap", "--format", "json", "-o", "calls.json").expect(0)
    kernel, pid = kernels_calls("log")
    ours = recorded_calls(json.load(open("calls.json")), pid)
    print("kernel", dict(kernel), "\nours", dict(ours))
    assert ours["read", "socket"] > GETS and ours["write", "socket"] > GETS and ours["epoll_wait", "epoll"] > GETS, ours
    for call, on in kernel.keys() | ours.keys():
        more = kernel[call, on] - ours[call, on]
        assert more == 0 or (more > 0 and is_by_libc(on)), (call, on, kernel[call, on], ours[call, on])


if __name__ == "__main__":
    cli.main()
