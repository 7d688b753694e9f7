"""cli_support.py - what the tests of the `tracetap` command and of the examples share.

    import cli_support as cli
    def a_sentence_about_behaviour(): ...
    if __name__ == "__main__":
        cli.main()                          # argv: folder of the built programs, name of the test

Each test runs in a new empty folder, its current one.
"""
import gzip
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import urllib.request

from service import PATIENCE_S, Skip, children, wait_until  # noqa: F401  for the tests

BIN = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "."
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TIMEOUT_S = 60  # against hangs only


def program(name):
    return os.path.join(BIN, name)


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def expect(self, code, *words_of_err):
        assert self.code == code, f"exit code {self.code}, not {code}; stderr: {self.err}"
        for word in words_of_err:
            assert word in self.err, f"{word!r} is not in {self.err!r}"
        return self


def run(*args, stdin=b"", env=None):
    """Run `tracetap ARGS`; out is bytes, err text."""
    done = subprocess.run([program("tracetap"), *map(str, args)], input=stdin, capture_output=True, timeout=TIMEOUT_S,
                          env={**os.environ, **(env or {})})
    return Result(done.returncode, done.stdout, done.stderr.decode())


class Background:
    """A program that runs until it is told to stop; its output is read line by line."""

    def __init__(self, name, *args, **more):
        self.process = subprocess.Popen([program(name), *map(str, args)], stdout=subprocess.PIPE, text=True, **more)

    def line(self, start):
        """The rest of the next line that begins so."""
        for line in self.process.stdout:
            if line.startswith(start):
                return line[len(start):].strip()
        raise AssertionError(f"ended without a line {start!r}, with {self.process.wait(TIMEOUT_S)}")

    def stop(self, number=signal.SIGTERM):
        """Returns the exit code and what it still said."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Pipeline(Background):
    """The demo service on free ports."""

    def __init__(self, *args):
        super().__init__("pipeline", "--listen", "127.0.0.1:0", *args)
        self.app = self.line("application: ")
        self.base = self.line("tracetap: ")
        self.address = self.base.removeprefix("http://").rstrip("/")


def get(url, headers=None):
    """Status, headers and body, whatever the status."""
    request = urllib.request.Request(url, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def on_terminal(*args):
    """Run `tracetap ARGS` with a terminal as standard error. Returns the exit code and what the terminal got."""
    master, slave = pty.openpty()
    process = subprocess.Popen([program("tracetap"), *map(str, args)], stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    shown = b""
    while select.select([master], [], [], TIMEOUT_S)[0]:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    return process.wait(TIMEOUT_S), shown.decode()


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)
    return name


def read(name):
    with open(name, "rb") as file:
        return file.read()


# One request handed from an acceptor to a worker through a queue: 6 and 11 events.
TWO_WORKERS = b"""header duration_ns=10000
threads thread=1 tid=801 name="acceptor"
threads thread=2 tid=802 name="worker"
thread 1 at 1000: task_begin task=7 kind="GET /a"
thread 1 at 1010: task_enter task=7
thread 1 at 1020: region_begin name="parse"
thread 1 at 1500: region_end
thread 1 at 1520: queue_enqueue queue=1 name="jobs" depth=1
thread 1 at 1530: task_enter task=0
thread 2 at 900: queue_wait_begin queue=1 name="jobs" why=2
thread 2 at 1600: queue_wait_end queue=1 name="jobs" why=2
thread 2 at 1610: queue_dequeue queue=1 name="jobs" depth=0
thread 2 at 1620: task_enter_full task=7 parent=0 kind="GET /a" start=1000
thread 2 at 1700: region_begin name="db.query"
thread 2 at 1800: log category="db" text="slow"
thread 2 at 2700: region_end
thread 2 at 2800: task_attr_int task=7 key="rows" value=3
thread 2 at 2900: task_end task=7 kind="GET /a" start=1000
thread 2 at 2910: task_enter task=0
thread 2 at 2950: counter name="served" value=1
clock ticks=10000 mono_ns=10000
end reason=window at=10000
"""


def same_rows(native, document):
    """The second reader, which knows docs/format.md alone, makes the same rows of a capture as the document has."""
    reader_py = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "reader.py")
    done = subprocess.run([sys.executable, reader_py, "--compare-json", document, native], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr


def capture_file(name="two.trace", text=TWO_WORKERS):
    """A small native capture, made of its text form."""
    subprocess.run([os.environ["TTAP_TEXT"], "to-wire", "-", name], input=text, check=True, timeout=TIMEOUT_S)
    return name


def full_device():
    """A device without room. By a link: were it ever replaced by mistake, by root even, the link would go and not the machine's device."""
    os.symlink("/dev/full", "full")
    return "full"


def blocks_of(data):
    """Offsets at which a native capture can be cut between two blocks, its own end excluded."""
    at, offsets = 16, []
    while at < len(data):
        offsets.append(at)
        at += 8 + int.from_bytes(data[at + 4:at + 8], "little")
    return offsets


def stat(name):
    """What `tracetap stat --json` says of a file."""
    return json.loads(run("stat", "--json", name).expect(0).out)


def gzipped(data):
    return gzip.compress(data)


def main():
    children.end_with_us()
    test = getattr(sys.modules["__main__"], sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="tracetap-cli-") as folder:
        os.chdir(folder)
        try:
            test()
        except Skip as why:
            print(f"skipped: {why}")
            sys.exit(77)
        finally:
            os.chdir("/")
