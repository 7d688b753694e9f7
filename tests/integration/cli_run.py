"""cli_run.py - programs started by `tracetap run`: the same as without it, and recorded."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import cli_support as cli

TARGET = os.path.join(cli.BIN, "..", "tests", "run_target")
VALIDATE = os.path.join(cli.BIN, "..", "tests", "ttap-validate")
REGIONS_OF_A_FAMILY = 300 + 200 + 400


def preloadable(sanitizer=os.environ.get("TTAP_SANITIZE")):
    if sanitizer:
        raise cli.Skip("a sanitizer's runtime cannot be preloaded into other programs")


def traced(*command, options=("-q",), **more):
    """`tracetap run OPTIONS -- COMMAND`, as subprocess.run() has it."""
    preloadable()
    more.setdefault("capture_output", True)
    return subprocess.run([cli.program("tracetap"), "run", *options, "--", *command], text=True, timeout=cli.TIMEOUT_S, **more)


def recorded(name, *command):
    """Record the whole run; the figures once the file is whole."""
    done = traced(*command, options=("-q", "-o", name))
    return done, whole_figures(name)


def whole_figures(name):
    def whole():
        figures = json.loads(cli.run("stat", "--json", name).out or "{}")
        return figures if figures.get("truncated") is False else None
    figures = cli.wait_until(whole, "the recording to be finished")
    assert subprocess.run([VALIDATE, name], capture_output=True).returncode == 0, "the validator does not agree"
    assert figures["identity"] == "exact", figures["identity"]
    return figures


def rows_of(chunk, *columns):
    """Of a table of the document: the time, and these."""
    at = chunk["t0"]
    for i in range(chunk["n"]):
        at += chunk["dt"][i] if isinstance(chunk["dt"], list) else chunk["dt"]
        yield (at, *(chunk[c][i] if isinstance(chunk[c], list) else chunk[c] for c in columns))


def regions(figures):
    return {row["name"]: row["delivered"] for row in figures["kinds"]}["region_end"]


class Server:
    """`tracetap run --listen :0 -- COMMAND`"""

    def __init__(self, *command):
        preloadable()
        self.process = subprocess.Popen([cli.program("tracetap"), "run", "--listen", ":0", "--", *command], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, start_new_session=True)
        line = self.process.stderr.readline()
        assert line.startswith("tracetap: http://"), line
        self.url = line.split()[1].rstrip("/")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=cli.TIMEOUT_S) as reply:
            return reply.read()

    def capture(self, name, seconds):
        with open(name, "wb") as file:
            file.write(self.get(f"/debug/trace?seconds={seconds}"))
        return whole_figures(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # workers too: they hold our end of the pipes
        except ProcessLookupError:
            pass
        self.process.communicate()


# ---- As without it ----

def a_program_under_run_keeps_its_id_output_and_exit_code():
    preloadable()
    process = subprocess.Popen([cli.program("tracetap"), "run", "-q", "-o", "x.ttap", "--", "sh", "-c", "echo $$; cat; echo no >&2; exit 7"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate("typed\n", timeout=cli.TIMEOUT_S)
    assert (out, err, process.returncode) == (f"{process.pid}\ntyped\n", "no\n", 7), (out, err, process.returncode)


def a_signal_that_ends_a_program_under_run_is_seen_by_its_parent():
    assert traced("sh", "-c", "kill -TERM $$", options=("-q", "-o", "x.ttap")).returncode == -signal.SIGTERM
    assert traced("sh", "-c", "trap 'exit 5' USR1; kill -USR1 $$", options=("-q", "-o", "x.ttap")).returncode == 5


def a_program_under_run_finds_no_descriptor_child_or_signal_more():
    look = ("import os, signal; print(sorted(os.listdir('/proc/self/fd')),"
            "open('/proc/self/task/%d/children' % os.getpid()).read(),"
            "[line for line in open('/proc/self/status') if line.startswith(('Sig', 'Shd', 'Thr')) and not line.startswith('SigQ')], os.getsid(0) == os.getsid(os.getppid()))")
    plain = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True).stdout
    assert traced(sys.executable, "-c", look, options=("-q", "-o", "x.ttap")).stdout == plain


def what_waits_for_the_end_of_a_programs_output_does_not_wait_for_the_keeper():
    begin = time.monotonic()
    done = traced("sh", "-c", "echo out", options=("-q", "--listen", ":0", "--linger", "10"))
    assert done.stdout == "out\n" and time.monotonic() - begin < 8, time.monotonic() - begin


def what_cannot_be_preloaded_is_said_before_it_starts():
    preloadable()
    for command, code, words in [("no-such-program", 127, "no such program"), ("/", 126, "cannot be executed")]:
        cli.run("run", "-o", "x.ttap", "--", command).expect(code, command, words)
    open("text", "w").write("#!/no/such/interpreter\n")
    cli.run("run", "-o", "x.ttap", "--", "./text").expect(126, "text", "cannot be executed")
    os.chmod("text", 0o755)
    cli.run("run", "-o", "x.ttap", "--", "./text").expect(126, "text")
    if os.path.exists("/sbin/ldconfig") and open("/sbin/ldconfig", "rb").read(4) == b"\x7fELF":
        cli.run("run", "-o", "x.ttap", "--", "/sbin/ldconfig", "-p").expect(125, "statically linked")
    if os.geteuid() == 0:
        shutil.copy("/bin/true", "gains")
        os.chown("gains", 65534, 65534)
        os.chmod("gains", 0o4755)
        cli.run("run", "-o", "x.ttap", "--", "./gains").expect(125, "gains", "setuid")


def run_says_which_option_is_wrong():
    cli.run("run").expect(2, "which program?")
    cli.run("run", "--listen", "nowhere", "--", "true").expect(2, "--listen", "nowhere", "ADDR:PORT")
    cli.run("run", "--listen", "[::1", "--", "true").expect(2, "--listen", "[::1", "ADDR:PORT")
    cli.run("run", "--seconds", "3", "--", "true").expect(2, "-o")
    cli.run("run", "-o", "x", "--sample", "0.5,a=2", "--", "true").expect(2, "--sample 0.5,a=2", "from 0 to 1", "byte 4")
    cli.run("run", "-o", "x", "--token-file", "t", "--", "true").expect(2, "--token-file t", "--listen")
    cli.run("run", "--listen", "0.0.0.0:0", "--", "true").expect(125, "token")
    cli.run("run", "-o", "/no/such/folder/x", "--", "true").expect(125, "/no/such/folder/x")


def a_program_whose_standard_streams_are_closed_is_recorded_and_finds_them_closed():
    preloadable()
    reader, writer = os.pipe()
    # A shell closes them: Python would open them again in its child.
    done = subprocess.run(["sh", "-c", f'exec "$@" 9>&{writer} <&- >&- 2>&-', "sh", cli.program("tracetap"), "run", "-o", "x.ttap", "--",
                           "sh", "-c", "for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && echo $fd >&9; done; exit 3"],
                          pass_fds=[writer], timeout=cli.TIMEOUT_S)
    os.close(writer)
    with os.fdopen(reader) as open_ones:
        assert (done.returncode, open_ones.read()) == (3, ""), done
    assert whole_figures("x.ttap")["identity"] == "exact"


# ---- And recorded ----

def a_family_of_processes_is_one_exact_capture():
    done, figures = recorded("family.ttap", TARGET, "family")
    assert (done.returncode, done.stdout) == (3, "child 7\n"), done
    assert regions(figures) == REGIONS_OF_A_FAMILY, figures["kinds"]
    assert [row["name"] for row in figures["threads"] if row["delivered"]].count("child") == 1


def what_a_killed_process_recorded_is_kept():
    done, figures = recorded("killed.ttap", TARGET, "killed")
    assert done.stdout == "child 9\n" and regions(figures) == REGIONS_OF_A_FAMILY, (done.stdout, figures["kinds"])


def a_program_whose_first_thread_has_ended_is_recorded_on():
    done, figures = recorded("leaderless.ttap", TARGET, "leaderless")
    assert done.returncode == 0 and regions(figures) == 60 * 2 * 20, figures["kinds"]


def a_program_in_another_pid_namespace_runs_on_and_keeps_no_helper():
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True).returncode != 0:
        raise cli.Skip("no PID namespace can be made here")
    done = traced("sh", "-c", 'unshare --pid --fork "$0" family; echo $?; "$0" family', TARGET, options=("-q", "-o", "apart.ttap"))
    assert (done.returncode, done.stdout) == (3, "child 7\n3\nchild 7\n"), done
    assert regions(whole_figures("apart.ttap")) == REGIONS_OF_A_FAMILY  # of the one that is not in it; and the helper has ended


def a_helper_that_may_not_have_its_memory_says_so():
    preloadable()
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", limited, cli.program("tracetap"), "run", "-q", "-o", "x.ttap", "--", "true"], capture_output=True,
                          text=True)
    assert done.returncode == 125 and "shared buffers: File too large" in done.stderr, done


def a_program_that_executes_another_is_recorded_on():
    done, figures = recorded("again.ttap", TARGET, "again")
    assert done.returncode == 3 and regions(figures) == 10 + REGIONS_OF_A_FAMILY, figures["kinds"]


def a_program_that_executes_others_again_and_again_is_one_exact_capture():
    """Wrappers that start the real program do: with children in between, who got the slots that each left. The thread had its number in the
    capture given to a slot once more then, whose events stood behind the account of the first."""
    with open("wrapper", "w", encoding="ascii") as script:
        script.write('for i in 1 2 3; do x=$(echo $i); done\n[ $1 -eq 0 ] || exec sh "$0" $(($1 - 1))\n')
    recorded("wrapper.ttap", "sh", "wrapper", "6")


def a_daemon_that_closed_everything_is_recorded_on():
    with Server(TARGET, "daemon") as server:
        server.process.wait(cli.TIMEOUT_S)
        figures = server.capture("daemon.ttap", 0.5)
        assert regions(figures) > 100 and "daemon" in [row["name"] for row in figures["threads"]], figures["threads"]


def a_capture_of_a_program_that_is_killed_ends_whole():
    with Server(TARGET, "spin") as server:
        client = subprocess.Popen([cli.program("tracetap"), "capture", server.url, "--seconds", "30", "-o", "spin.ttap"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        cli.wait_until(lambda: json.loads(server.get("/debug/trace/status"))["recording"], "the capture to begin")
        time.sleep(0.3)
        server.process.kill()
        client.communicate(timeout=25)
        assert client.returncode == 0 and regions(whole_figures("spin.ttap")) > 100


def an_unchanged_program_shows_its_calls():
    script = ("import socket, threading, time\n"
              "server = socket.create_server(('127.0.0.1', 0)); client = socket.create_connection(server.getsockname()); peer, _ = server.accept()\n"
              "client.sendall(b'x' * 100); assert len(peer.recv(1000)) == 100\n"
              "thread = threading.Thread(target=time.sleep, args=(0.01,)); thread.start(); thread.join(); open('written', 'w').write('y')\n")
    done, figures = recorded("calls.ttap", sys.executable, "-c", script)
    kinds = {row["name"]: row["delivered"] for row in figures["kinds"]}
    assert done.returncode == 0 and kinds["net_call"] >= 5 and kinds["net_object"] >= 3 and kinds["file_call"] > 10, (done.stderr, kinds)
    cli.run("convert", "calls.ttap", "--format", "json", "-o", "calls.json").expect(0)


def hooks_and_annotations_of_a_program_with_a_gate_of_its_own_are_recorded():
    """Linked at a fixed address it owns a copy of the gate, in another page than the hooks look at."""
    program = os.path.join(cli.BIN, "..", "tests", "gate_no_pie")
    if not os.path.exists(program):
        raise cli.Skip("built for programs at a fixed address only without ThreadSanitizer")
    done, figures = recorded("gate.ttap", program, "--recorded")
    told = {row["name"]: row["delivered"] for row in figures["kinds"]}
    assert done.returncode == 0 and told["region_end"] == told["sleep_call"] == 1, (done, told)


NOT_OVER = 2  # a row's flag
ENDS_WITH_ITS_THREADS_WAITING = """
import os, threading, time
here, there = os.pipe()
threading.Thread(target=lambda: os.read(here, 1), daemon=True).start()
time.sleep(0.3)
os._exit(0)
"""


def a_thread_whose_process_ends_has_waited_in_its_call_until_then():
    """The call never returns, and nobody is left at the window's end to say that it had not."""
    done, figures = recorded("ended.ttap", sys.executable, "-c", ENDS_WITH_ITS_THREADS_WAITING)
    if "every switch" not in figures["capture"]["notes"]["source.sched"]:
        raise cli.Skip(f"no switch records here: {figures['capture']['notes']['source.sched']}")
    cli.run("convert", "ended.ttap", "--format", "json", "-o", "ended.json").expect(0)
    document = json.load(open("ended.json"))
    strings = [word for chunk in document["chunks"] if chunk["t"] == "str" for word in chunk["v"]]
    reads = [(chunk["lane"], *row) for chunk in document["chunks"] if chunk["t"] == "call" for row in rows_of(chunk, "dur", "op", "object", "flags")
             if strings[row[2]] == "read" and row[4] & NOT_OVER]
    assert done.returncode == 0 and len(reads) == 1, (done, reads)
    lane, start, dur, _, pipe, _ = reads[0]
    assert dur > 250_000_000, reads
    states = [(at, length, strings[state], thing) for chunk in document["chunks"] if chunk["t"] == "state" and chunk["lane"] == lane
              for at, length, state, thing in rows_of(chunk, "dur", "state", "object")]
    waits = [row for row in states if row[0] >= start and row[1] > 1_000_000 and row[2] != "gone"]
    assert waits and all(row[2] == "file" and row[3] == pipe for row in waits), states
    assert states[-1][2] == "gone" and states[-1][0] == start + dur, (states, reads)


def a_program_that_executes_another_is_explained_on():
    """For the scheduler it is the same thread, for the hooks a new one: what it waits in is called by its cause all the same."""
    _, figures = recorded("executes.ttap", "sh", "-c", "sleep 0.1; exec sleep 0.4")
    if "every switch" not in figures["capture"]["notes"]["source.sched"]:
        raise cli.Skip(f"no switch records here: {figures['capture']['notes']['source.sched']}")
    cli.run("convert", "executes.ttap", "--format", "json", "-o", "executes.json").expect(0)
    cli.same_rows("executes.ttap", "executes.json")
    document = json.load(open("executes.json"))
    strings = [word for chunk in document["chunks"] if chunk["t"] == "str" for word in chunk["v"]]
    slept = [(strings[state], strings[op] if op >= 0 else None) for chunk in document["chunks"] if chunk["t"] == "state"
             for _, dur, state, op in rows_of(chunk, "dur", "state", "op") if strings[state] != "gone" and dur > 300_000_000]
    assert len(slept) == 1 and slept[0][0] == "sleep" and "nanosleep" in slept[0][1], slept


def a_program_is_called_what_it_was_started_as():
    """Several names may lead to one file: known is the name that was used, as long as the program calls neither itself nor its thread otherwise."""
    real = os.path.realpath(sys.executable)
    rename = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'somebody-else'); time.sleep(2)"

    def called(*command, later=()):
        done = traced(*command, options=("-q", "-o", "named.ttap", *later))
        assert done.returncode == 0, done
        return whole_figures("named.ttap")["capture"]["exe"]
    for name in ("short", "with-more-letters-than-the-kernel-keeps"):
        os.symlink(real, name)
        assert called(os.path.abspath(name), "-S", "-c", "pass") == name  # said before there is such a process
        assert called(os.path.abspath(name), "-S", "-c", "import time; time.sleep(2)", later=("--after", "0.3")) == name
    assert called(os.path.abspath("short"), "-S", "-c", rename, later=("--after", "0.3")) in ("short", os.path.basename(real))


if __name__ == "__main__":
    cli.main()
