"""cli_strace.py - the calls of a run as the kernel saw them, by strace of the same run: each that is not in the capture has a reason.

Compared are calls that returned, of all processes and threads of a real server, by what they were on. The one reason there is: libc reads and writes some
files by itself, inside, where no hook is."""
import contextlib
import glob
import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
from collections import Counter

import cli_support as cli
from cli_programs import answers, free_port, need, redis, tree_of, write_nginx_conf
from cli_run import preloadable, rows_of, whole_figures

OPEN_END = 2  # a flag of rows
NSCD = "/var/run/nscd/socket"  # libc asks it for users and groups
SYSTEM_CALLS = {name: name for name in ("read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "accept", "connect", "epoll_wait",
                                        "fsync", "fdatasync", "sendfile")}
SYSTEM_CALLS |= {"accept4": "accept", "epoll_pwait": "epoll_wait", "pread64": "pread", "pwrite64": "pwrite", "clock_nanosleep": "nanosleep"}
# libc makes these of those
HOOKED = {name: name for name in SYSTEM_CALLS.values()} | {"recv": "recvfrom", "send": "sendto", "usleep": "nanosleep", "sleep": "nanosleep"}
BY_STDIO_OF_POSTGRES = r"/timezonesets/\w+$|/PG_VERSION$|/pg_internal\.init[.\d]*$|/pgstat\.(stat|tmp)$|/postmaster\.opts$"
GETS = 300


def what(path):
    """socket, pipe, or the path of a file; strace and the kernel's own names for the same."""
    path = path.removesuffix(" (deleted)")
    if path.startswith(("tcp ", "TCP", "socket", "unix", "udp", "UNIX", "UDP", "netlink", "NETLINK")):
        return "socket"
    return "pipe" if path.startswith("pipe") else "epoll" if "eventpoll" in path else path


def kernels_calls(log):
    """(call, what it was on) -> how often it returned, and which threads there were."""
    counts, under_way = Counter(), {}
    for line in open(log, encoding="utf-8", errors="replace"):
        tid, rest = line.split(None, 1)
        begun = re.match(r"(\w+)\((?:-?\d+<(.*?)>[,) ])?", rest)
        if begun and begun[1] in SYSTEM_CALLS:
            under_way[tid] = SYSTEM_CALLS[begun[1]], NSCD if NSCD in rest else what(begun[2] or "")
        if tid in under_way and re.search(r"\)\s+= -?\d", rest):
            counts[under_way.pop(tid)] += 1
    return counts, {int(line.split(None, 1)[0]) for line in open(log, encoding="utf-8", errors="replace")}


def recorded_calls(document, pids):
    strings, objects, lanes, counts = [], {}, set(), Counter()
    for chunk in document["chunks"]:
        if chunk["t"] == "str":
            strings += chunk["v"]
        elif chunk["t"] == "object":
            objects[chunk["id"]] = chunk["name"]
        elif chunk["t"] == "lane" and chunk.get("pid") in pids:
            lanes.add(chunk["id"])
    for chunk in document["chunks"]:
        if chunk["t"] == "call" and chunk["lane"] in lanes:
            for _, op, object_, flags in rows_of(chunk, "op", "object", "flags"):
                if strings[op] in HOOKED and not flags & OPEN_END:
                    counts[HOOKED[strings[op]], what(objects.get(object_, ""))] += 1
    return counts


def is_by_libc(path):
    """What the dynamic loader and stdio read and write, and who is asked for users, inside of libc, where no hook is."""
    return path == NSCD or re.search(BY_STDIO_OF_POSTGRES, path) is not None or re.search(r"\.so[.\d]*$|/ld\.so\.cache$|^/proc/|^/sys/|^/etc/|localtime$|/zoneinfo/|\.conf$|^/dev/", path) is not None


@contextlib.contextmanager
def straced(*command, **options):
    """A program under strace, all of it recorded in this folder. It is to end."""
    preloadable()
    strace = need("strace")
    if subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode:
        raise cli.Skip("processes cannot be traced here")
    process = subprocess.Popen([cli.program("tracetap"), "run", "-q", "-o", "calls.ttap", "--", strace, "-f", "-y", "-o", "log", "-e",
                                "trace=" + ",".join(SYSTEM_CALLS), "-e", "signal=none", *command], stdout=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield process
        process.wait(cli.TIMEOUT_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def server_of(process):
    """strace's child, which is the program."""
    cli.wait_until(lambda: len(tree_of(process.pid)) > 1, "the program under strace")
    return next(pid for pid in tree_of(process.pid) if pid != process.pid)


def compare():
    """What was recorded, when it is what the kernel saw."""
    assert whole_figures("calls.ttap")["lost"]["total"] == 0
    cli.run("convert", "calls.ttap", "--format", "json", "-o", "calls.json").expect(0)
    kernel, tids = kernels_calls("log")
    ours = recorded_calls(json.load(open("calls.json")), tids)
    print("kernel", dict(kernel), "\nours", dict(ours))
    odd = {(call, on): (kernel[call, on], ours[call, on]) for call, on in kernel.keys() | ours.keys()
           if ours[call, on] > kernel[call, on] or (ours[call, on] < kernel[call, on] and not is_by_libc(on))}
    assert not odd, f"(kernel, ours): {odd}"
    return ours


def calls_of_redis_are_those_that_the_kernel_saw_but_for_libcs_own():
    port = free_port()
    with straced(need("redis-server"), "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", os.getcwd()):
        answers(port)
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert redis(client, b"SET", b"key", b"value") == b"+OK\r\n"
            for _ in range(GETS):
                assert redis(client, b"GET", b"key") == b"$5\r\nvalue\r\n"
            client.sendall(b"SHUTDOWN NOSAVE\r\n")
            client.recv(1)
    ours = compare()
    assert ours["read", "socket"] > GETS and ours["write", "socket"] > GETS and ours["epoll_wait", "epoll"] > GETS, ours


def calls_of_memcached_are_those_that_the_kernel_saw_but_for_libcs_own():
    port = free_port()
    with straced(need("memcached"), "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "4", "-u", "nobody") as process:
        answers(port)
        for _ in range(GETS // 10):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"set k 0 0 5\r\nvalue\r\n" + b"get k\r\n" * 10 + b"quit\r\n")
                while client.recv(4096):
                    pass
        os.kill(server_of(process), signal.SIGTERM)
    ours = compare()
    assert ours["read", "socket"] > GETS // 10 and ours["sendmsg", "socket"] > GETS // 10 and ours["accept", "socket"] >= GETS // 10, ours


def calls_of_nginx_are_those_that_the_kernel_saw_but_for_libcs_own():
    port = free_port()
    folder = write_nginx_conf(port)
    with straced(need("nginx"), "-c", folder + "/nginx.conf") as process:
        answers(port)
        for _ in range(GETS // 10):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
                while client.recv(4096):
                    pass
        os.kill(server_of(process), signal.SIGQUIT)
    ours = compare()
    assert ours["recvfrom", "socket"] >= GETS // 10 and ours["sendfile", "socket"] + ours["writev", "socket"] >= GETS // 10, ours


def calls_of_postgres_are_those_that_the_kernel_saw_but_for_libcs_own():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    if not found or os.geteuid() != 0:
        raise cli.Skip("PostgreSQL is not installed" if not found else "needs root, to become the user that may run PostgreSQL")
    folder, user, port = os.path.dirname(found[-1]), pwd.getpwnam("nobody"), free_port()
    os.chmod(os.getcwd(), 0o777)
    as_nobody = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    here = ["-h", "127.0.0.1", "-p", str(port), "-U", "tester"]

    def run(program, *arguments):
        return subprocess.run([os.path.join(folder, program), *arguments], check=True, capture_output=True, text=True, timeout=120, **as_nobody).stdout
    run("initdb", "-D", "data", "-A", "trust", "-N", "-U", "tester")
    with straced(found[-1], "-D", "data", "-k", os.getcwd(), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", stderr=subprocess.DEVNULL,
                 **as_nobody):
        cli.wait_until(lambda: subprocess.run([os.path.join(folder, "pg_isready"), *here], capture_output=True).returncode == 0, "the server", 60)
        run("pgbench", *here, "-i", "-q", "postgres")
        run("pgbench", *here, "-c", "3", "-t", str(GETS // 10), "-n", "postgres")
        run("pg_ctl", "stop", "-D", "data", "-m", "fast")
    ours = compare()
    assert ours["recvfrom", "socket"] > GETS and ours["sendto", "socket"] > GETS, ours


def calls_of_python_are_those_that_the_kernel_saw_but_for_libcs_own():
    script = ("import os, threading, time\n"
              "def work():\n"
              "    read, write = os.pipe()\n"
              "    for _ in range(100): time.sleep(0.0005); os.write(write, b'x'); os.read(read, 1)\n"
              "threads = [threading.Thread(target=work) for _ in range(4)]\n"
              "for thread in threads: thread.start()\n"
              "for thread in threads: thread.join()\n")
    with straced(sys.executable, "-c", script):
        pass
    ours = compare()
    assert ours["read", "pipe"] == ours["write", "pipe"] == 400 <= ours["nanosleep", ""], ours


def standard_input_is_an_object_like_any_other():
    """Descriptor 0 was taken for none, as long as it had not been opened anew."""
    with straced(need("cat"), stdin=subprocess.PIPE) as process:
        process.stdin.write(b"line")
        process.stdin.close()
    assert compare()["read", "pipe"] == 2


if __name__ == "__main__":
    cli.main()
