"""service.py - what recording costs a real service: redis GET, CPU of the server per request, against the same server without tracetap.

    service.py FOLDER [--json] [--check] [--short]        FOLDER: of a build, with bin/ lib/ tests/

Each kind of recording has a server of its own; slots of load go round all servers, so that what the machine does meanwhile meets all alike, and the order
turns round each time. A pair is a slot of one kind and the mean of the plain slots before and after it. Servers are started anew every few rounds, since two
processes of one program differ by where their memory lies: "null", a second plain server, shows what the method cannot tell apart. Intervals: 95 %, by
resampling whole generations of servers.

    off          tracetap run, nobody listens                    saturated
    hooks        locks, sockets, files, sleeps are streamed      saturated and paced
    switches     the scheduler's switch records alone            paced
    rings        both                                            saturated and paced
    wakes        the same and who woke whom                      saturated and paced
    perf         perf record --switch-events                     paced, in the same rounds
    lttng        LTTng's preloaded wrappers, a snapshot session  saturated and paced, in the same rounds, where it is installed

Where something is streamed a second plain server is in the same rounds, too: its 99th percentile is what theirs is to be compared with.
Who woke whom is taken from the whole machine, and would make all slots alike dearer: so it is recorded while its own slot lasts and no longer, and the
other kinds have no right to it.

Saturated: 20 connections, each with one request under way. Paced: 5,000 requests a second. CPU is the kernel's count for the server's threads; what helpers
take (keeper, perf, LTTng's daemons) is reported beside it.
"""
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1])
SHORT, AS_JSON, CHECK = ("--short" in sys.argv, "--json" in sys.argv, "--check" in sys.argv)
PAIRS = 6 if SHORT else 160
GENERATION = 3 if SHORT else 16  # pairs of one generation of servers
QUIET, SATURATED, PACED = (4000 if SHORT else 15000), (4000 if SHORT else 30000), (1500 if SHORT else 2000)  # 0.15 s; 0.3 s, several drains; 0.4 s
RATE, CONNECTIONS = 5000, 20
CALLGRIND = (200, 700) if SHORT else (1000, 6000)
TRACETAP, LOAD = os.path.join(BUILD, "bin", "tracetap"), os.path.join(BUILD, "tests", "redis_load")
REDIS = shutil.which("redis-server") or "/usr/bin/redis-server"
SERVER_CPU, LOAD_CPU = "0", "1"
report, missed = {"bench": "service"}, []


def say(text):
    if not AS_JSON:
        print(text, flush=True)


def figure(key, value, bar=None, note=""):
    """A figure and its bar. Of an interval the upper end may be half a point beyond the bar."""
    report[key] = value
    over = bar is not None and value is not None and value > bar
    if over:
        missed.append(key)
    say(f"  {key:<34} {'-' if value is None else format(value, '.5g'):>10}  {'' if bar is None else f'<= {bar}'}{'  MISSED' if over else ''}  {note}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_ns(pids):
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                total += int(open(path).read().split()[0])
            except OSError:
                pass
    return total


def wait_for(port):
    for _ in range(500):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                client.sendall(b"SET key value\r\n")
                assert client.recv(100) == b"+OK\r\n"
                return
        time.sleep(0.02)
    raise SystemExit("the server does not answer")


class Server:
    """A redis server of some kind, with the processes that help to record it."""
    events = None

    def __init__(self, folder):
        self.folder, self.port, self.children = folder, free_port(), []
        self.file = os.path.join(folder, f"{type(self).__name__}-{self.port}")
        self.start()
        wait_for(self.port)
        self.listen()

    def command(self):
        return ["taskset", "-c", SERVER_CPU, REDIS, "--port", str(self.port), "--save", "", "--bind", "127.0.0.1", "--dir", self.folder]

    def spawn(self, *command, **more):
        self.children.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, **{"stderr": subprocess.DEVNULL, **more}))
        return self.children[-1]

    def start(self):
        self.pid = self.spawn(*self.command()).pid

    def listen(self):
        pass

    def helpers(self):
        return []

    def written(self):
        return os.stat(self.file).st_size if os.path.exists(self.file) else 0

    def slot(self, requests, rate):
        """Server CPU, helpers' CPU, p99 and bytes, each for one request."""
        helpers = self.helpers()
        before, helped, wrote = cpu_ns([self.pid]), cpu_ns(helpers), self.written()
        done, took, _, p99 = map(int, subprocess.run(["taskset", "-c", LOAD_CPU, LOAD, str(self.port), str(CONNECTIONS), str(requests), str(rate)],
                                                     check=True, capture_output=True, text=True).stdout.split())
        cpu, help_cpu = cpu_ns([self.pid]) - before, cpu_ns(helpers) - helped
        return {"cpu": cpu / done, "tot": (cpu + help_cpu) / done, "p99": p99, "bytes": (self.written() - wrote) / done, "rate": done / took * 1e9}

    def stop(self):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


class Plain(Server):
    pass


class Null(Server):
    pass


# Switches of one's own threads need no right; with the right to more, more is taken.
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all") if os.geteuid() == 0 else ()


class Off(Server):
    events, rights = "", WITHOUT_RIGHTS

    def start(self):
        run = self.spawn(*self.rights, TRACETAP, "run", "--listen", ":0", "--linger", "0.1", "--", *self.command(), stderr=subprocess.PIPE, text=True)
        self.url = run.stderr.readline().split()[1]
        self.pid, self.keeper = run.pid, 0
        while not self.keeper and run.poll() is None:  # until the program is executed
            found = re.search(rb"TRACETAP_ARENA=/proc/(\d+)/", open(f"/proc/{self.pid}/environ", "rb").read())
            self.keeper = int(found.group(1)) if found else 0

    def helpers(self):
        return [self.keeper]

    def listen(self):
        if self.events:
            self.record(self.events)

    def record(self, events):
        curl = self.spawn("curl", "-sS", "-o", self.file, f"{self.url}debug/trace?seconds=300&events={events}")
        self.wait_until_recording(True)
        return curl

    def wait_until_recording(self, wanted):
        for _ in range(200):
            if json.loads(subprocess.run(["curl", "-sS", self.url + "debug/trace/status"], capture_output=True, check=True).stdout)["recording"] == wanted:
                return
            time.sleep(0.02)
        raise SystemExit("the capture does not begin, or end")


class Hooks(Off):
    events = "lock,net,file,sleep"


class Switches(Off):
    events = "sched"


class Rings(Off):
    events = "lock,net,file,sleep,sched"


class Wakes(Off):
    rights = ()

    def slot(self, requests, rate):
        curl = self.record(Rings.events)
        time.sleep(0.2)  # a window's first drains come sooner
        try:
            return super().slot(requests, rate)
        finally:
            curl.terminate()
            curl.wait()
            self.children.remove(curl)
            self.wait_until_recording(False)


class Perf(Server):
    def listen(self):
        self.perf = self.spawn("perf", "record", "-q", "-e", "dummy:u", "--switch-events", "-p", str(self.pid), "-o", self.file)
        time.sleep(0.5)
        if self.perf.poll() is not None:
            raise SystemExit("perf record does not run")

    def helpers(self):
        return [self.perf.pid]


def lttng_wrappers():
    return [found[0] for name in ("libc", "pthread") if (found := glob.glob(f"/usr/lib/*/liblttng-ust-{name}-wrapper.so*"))]


class Lttng(Server):
    def start(self):
        self.home = os.path.join(self.folder, f"lttng-{self.port}")
        os.mkdir(self.home)
        self.environment = {**os.environ, "LTTNG_HOME": self.home, "HOME": self.home}
        self.daemon = self.spawn("lttng-sessiond", "--no-kernel", env=self.environment)
        time.sleep(0.7)
        for words in (["create", "bench", "--snapshot"], ["enable-event", "-u", "-a"], ["start"]):
            subprocess.run(["lttng", *words], env=self.environment, check=True, stdout=subprocess.DEVNULL)
        self.pid = self.spawn(*self.command(), env={**self.environment, "LD_PRELOAD": ":".join(lttng_wrappers()), "LTTNG_UST_REGISTER_TIMEOUT": "3000"}).pid

    def helpers(self):
        return [self.daemon.pid]

    def stop(self):
        subprocess.run(["lttng", "destroy", "-a"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().stop()


# ---- Pairs ----

def generation(kinds, pairs, requests, rate):
    """Slots of one set of servers: for each kind a list of (slot, plain slot beside it)."""
    folder = tempfile.mkdtemp(prefix="tracetap-bench-")
    servers, found = [], {kind.__name__: [] for kind in kinds}
    try:
        for kind in random.sample((Plain, *kinds), 1 + len(kinds)):  # the order of their starts must not tell
            servers.append(kind(folder))
        plain = next(server for server in servers if type(server) is Plain)
        others = [server for server in servers if server is not plain]
        for server in servers:
            server.slot(requests // 2, rate)  # warm
        before = plain.slot(requests, rate)
        for _ in range(pairs):
            turn = [server.slot(requests, rate) for server in others]
            after = plain.slot(requests, rate)
            for server, slot in zip(others, turn):
                beside = {key: (before[key] + after[key]) / 2 for key in before}
                found[type(server).__name__].append((slot, beside))
            before = after
            others.append(others.pop(0))
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return found


def measure(kinds, requests, rate):
    """Generations of pairs, by kind."""
    generations = {kind.__name__: [] for kind in kinds}
    for _ in range(-(-PAIRS // GENERATION)):
        for kind, pairs in generation(kinds, GENERATION, requests, rate).items():
            generations[kind].append(pairs)
    return generations


def ratio(pairs, key="cpu"):
    return statistics.median(slot[key] / beside[key] for slot, beside in pairs)


def interval(generations, key="cpu", tries=400):
    """95 % of the median's ratio when whole generations are drawn again."""
    draw = random.Random(1)
    medians = sorted(ratio([pair for pairs in draw.choices(generations, k=len(generations)) for pair in pairs], key) for _ in range(tries))
    return medians[int(0.025 * tries)], medians[int(0.975 * tries)]


def tell(kind, regime, generations, bar=None):
    pairs = [pair for part in generations for pair in part]
    low, high = interval(generations)
    percent = 100 * (ratio(pairs) - 1)
    name = f"{kind.lower()}_{regime}"
    figure(f"{name}_cpu_percent", percent, bar, f"CPU of the server per request, {len(pairs)} pairs [{100 * (low - 1):.2f} .. {100 * (high - 1):.2f}]")
    report[f"{name}_cpu_percent_interval"] = [100 * (low - 1), 100 * (high - 1)]
    report[f"{name}_pairs"] = len(pairs)
    if bar is not None and 100 * (high - 1) > bar + 0.5:
        missed.append(name + "_interval")
        say("      its upper end is more than half a point beyond the bar")
    figure(f"{name}_total_percent", 100 * (ratio(pairs, "tot") - 1), None, "with what its helpers take")
    low, high = interval(generations, "p99")
    figure(f"{name}_p99_ratio", ratio(pairs, "p99"), None, f"[{low:.3f} .. {high:.3f}]")
    report[f"{name}_p99_ratio_interval"] = [low, high]
    figure(f"{name}_throughput_ratio", ratio(pairs, "rate"), None)
    return percent


def tell_difference(name, ours, theirs):
    """Of two kinds of the same rounds, with 95 % when whole generations are drawn again."""
    draw, points = random.Random(1), lambda parts: 100 * ratio([pair for pairs in parts for pair in pairs])
    both, drawn = list(zip(ours, theirs)), []
    for _ in range(400):
        some = draw.choices(both, k=len(both))
        drawn.append(points([mine for mine, _ in some]) - points([other for _, other in some]))
    low, high = sorted(drawn)[10], sorted(drawn)[389]
    report[f"{name}_less_perf_paced_points_interval"] = [low, high]
    figure(f"{name}_less_perf_paced_points", points(ours) - points(theirs), 0, f"no more than perf record --switch-events in the same rounds [{low:.2f} .. {high:.2f}]")


def tell_bytes(kind, regime, generations):
    """Of all slots together: a stream comes in pieces."""
    slots = [slot for pairs in generations for slot, _ in pairs]
    figure(f"{kind.lower()}_{regime}_bytes_per_request", statistics.mean(slot["bytes"] for slot in slots), 60, "on the wire")


# ---- Instructions ----

def instructions(prefix, requests, folder):
    """What callgrind counts for a server that answers so many GETs."""
    port = free_port()
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind", REDIS, "--port", str(port), "--save", "", "--bind", "127.0.0.1",
               "--dir", folder, "--hz", "1"]  # what it does each so many seconds is no request's
    server = subprocess.Popen([*prefix, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(port)
    subprocess.run([LOAD, str(port), "1", str(requests), "0"], check=True, stdout=subprocess.DEVNULL)
    server.send_signal(signal.SIGTERM)
    said = server.communicate(timeout=120)[1]
    counted = re.search(r"Collected : (\d+)", said)
    if not counted:
        raise SystemExit(f"callgrind counted nothing: {said[-500:]}")
    return int(counted.group(1))


def instructions_a_request(prefix):
    few, many = CALLGRIND
    with tempfile.TemporaryDirectory(prefix="tracetap-bench-") as folder:
        return (instructions(prefix, many, folder) - instructions(prefix, few, folder)) / (many - few)


def tell_instructions():
    if not shutil.which("valgrind"):
        report["instructions"] = "valgrind is not installed"
        return say("  instructions: valgrind is not installed")
    plain = instructions_a_request([])
    off = instructions_a_request([TRACETAP, "run", "-q", "--listen", ":0", "--linger", "0.1", "--", "sh", "-c", "exec \"$@\"", "-"])
    figure("plain_instructions", plain, None, "in user mode, per GET on one connection, by callgrind")
    figure("off_instructions", off - plain, None, "more where nobody listens")
    return None


def main():
    for needed in (TRACETAP, LOAD, REDIS):
        if not os.path.exists(needed):
            raise SystemExit(f"{needed} is missing")
    if os.cpu_count() < 2:
        raise SystemExit("takes two CPUs: one for the server, one for the load")
    with_perf, with_lttng = shutil.which("perf") is not None, shutil.which("lttng-sessiond") is not None and len(lttng_wrappers()) == 2
    yardstick = [Lttng] if with_lttng else []
    report["lttng"], report["perf"] = ("yes" if with_lttng else "lttng-tools or its wrappers are not installed"), ("yes" if with_perf else "not installed")
    say("service")
    off = measure([Null, Off], QUIET, 0)
    tell("Null", "off", off["Null"])
    tell("Off", "saturated", off["Off"], 0.5)
    tell_instructions()
    full = measure([Null, Hooks, Rings, Wakes, *yardstick], SATURATED, 0)
    tell("Null", "saturated", full["Null"])
    tell("Hooks", "saturated", full["Hooks"], 5)
    tell("Rings", "saturated", full["Rings"], 10)
    tell("Wakes", "saturated", full["Wakes"], 10)
    tell_bytes("Rings", "saturated", full["Rings"])
    if with_lttng:
        tell("Lttng", "saturated", full["Lttng"])
    paced = measure([Null, Hooks, Switches, Rings, Wakes, *([Perf] if with_perf else []), *yardstick], PACED, RATE)
    tell("Null", "paced", paced["Null"])
    tell("Hooks", "paced", paced["Hooks"], 5)
    tell("Switches", "paced", paced["Switches"])
    tell("Rings", "paced", paced["Rings"])
    tell("Wakes", "paced", paced["Wakes"])
    tell_bytes("Rings", "paced", paced["Rings"])
    if with_lttng:
        tell("Lttng", "paced", paced["Lttng"])
    if with_perf:
        tell("Perf", "paced", paced["Perf"])
        for kind in (Switches, Rings):
            tell_difference(kind.__name__.lower(), paced[kind.__name__], paced["Perf"])
    if AS_JSON:
        print(json.dumps(report))
    return 1 if CHECK and missed else 0


if __name__ == "__main__":
    sys.exit(main())
