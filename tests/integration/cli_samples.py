"""cli_samples.py - stacks of programs as they are, under `tracetap run`."""
import json
import os
import subprocess
import sys

import cli_run
import cli_support as cli

BURN = ("import sys, threading, time\n"
        "def burn():\n"
        "    for _ in range(15):\n"
        "        end = time.thread_time() + 0.01\n"
        "        while time.thread_time() < end: sum(range(500))\n"
        "        time.sleep(0.002)\n")
THREADS = BURN + ("threads = [threading.Thread(target=burn) for _ in range(2)]\n"
                  "[t.start() for t in threads]; [t.join() for t in threads]\n"
                  "print(time.process_time())\n")
OWN_TIMER = BURN + ("import signal\n"
                    "came = []\n"
                    "signal.signal(signal.SIGPROF, lambda *_: came.append(1)); signal.setitimer(signal.ITIMER_PROF, 0.005, 0.005)\n"
                    "burn(); signal.setitimer(signal.ITIMER_PROF, 0); print(len(came), signal.getsignal(signal.SIGPROF) is not signal.SIG_DFL)\n")
AFTERWARDS = BURN + ("import os\n"
                     "while not os.path.exists('over'): burn()\n"
                     "burn(); print([line.split()[1] for line in open('/proc/self/status') if line.startswith('SigCgt')][0])\n")
SIGURG_BIT = 1 << 22
# A program, a child that ignores the signal, one that handles it, and one that was executed by a program that ignored it.
FAMILY = BURN + ("import os, signal, subprocess\n"
                 "mode, came, children = sys.argv[1], [], []\n"
                 "if mode in ('ignores', 'executes'): signal.signal(signal.SIGURG, signal.SIG_IGN)\n"
                 "if mode == 'executes': os.execv(sys.executable, [sys.executable, '-c', sys.argv[2], 'executed', ''])\n"
                 "if mode == 'handles': signal.signal(signal.SIGURG, lambda *_: came.append(1))\n"
                 "if mode == 'parent': children = [subprocess.Popen([sys.executable, '-c', sys.argv[2], one, sys.argv[2]], stdout=subprocess.PIPE, text=True)\n"
                 "                                 for one in ('ignores', 'handles', 'executes')]\n"
                 "open('ready.' + mode, 'w').close()\n"
                 "while not os.path.exists('over'): burn()\n"
                 "burn()  # a timer ends with its next signal\n"
                 "status = dict(line.split(':') for line in open('/proc/self/status'))\n"
                 "of_sigurg = [name for name in ('SigIgn', 'SigCgt') if int(status[name], 16) & 1 << 22]\n"
                 "before = len(came); os.kill(os.getpid(), signal.SIGURG); time.sleep(0.01)\n"
                 "print(mode, *of_sigurg, len(came) - before, sep=',')\n"
                 "for child in children: print(child.communicate()[0], end='')\n")


def document(capture):
    cli.run("convert", capture, "--format", "json", "-o", capture + ".json").expect(0)
    with open(capture + ".json", encoding="utf-8") as file:
        return json.load(file)


def rows(doc, table, *keys):
    for chunk in doc["chunks"]:
        if chunk["t"] == table:
            columns = [chunk[key] if isinstance(chunk[key], list) else [chunk[key]] * chunk["n"] for key in keys]
            yield from zip(*columns)


def functions(doc):
    strings = [text for chunk in doc["chunks"] if chunk["t"] == "str" for text in chunk["v"]]
    return {strings[func] for (func,) in rows(doc, "frame", "func")}


def samples(name, script):
    done = cli_run.traced(sys.executable, "-c", script, options=("-q", "-o", name, "--samples", "500"))
    assert done.returncode == 0, done.stderr
    cli_run.whole_figures(name)
    return done, document(name)


def samples_of_a_program_under_run_add_up_to_its_cpu_time():
    done, doc = samples("threads.ttap", THREADS)
    spent_s, seen_s = float(done.stdout), sum(ns for (ns,) in rows(doc, "sample", "cpu_ns")) / 1e9
    lanes = {lane for (lane,) in rows(doc, "sample", "lane")}
    assert 0.5 * spent_s < seen_s < 1.1 * spent_s and len(lanes) >= 2, (spent_s, seen_s, lanes) # the interpreter's start is not seen
    assert any(stack >= 0 for (stack,) in rows(doc, "call", "stack")), "no stack of a wait"
    assert any("clone" in name or "start" in name or "main" in name for name in functions(doc)), functions(doc)


def calls_are_told_with_their_stack_from_the_asked_length_on():
    naps = "import time\nfor _ in range(300): time.sleep(0.0002)\ntime.sleep(0.01)\n"
    for asked_us in (100, 1000, 5000):
        options = ("-q", "-o", "naps.ttap", "--samples", "99", "--long-wait", str(asked_us))
        done = cli_run.traced(sys.executable, "-c", naps, options=options)
        assert done.returncode == 0, done.stderr
        cli_run.whole_figures("naps.ttap")
        told = [dur for dur, stack in rows(document("naps.ttap"), "call", "dur", "stack") if stack >= 0]
        assert told and min(told) >= 990 * asked_us, (asked_us, sorted(told)[:5])
        assert asked_us > 100 or min(told) < 1000000, sorted(told)[:5]


def a_program_under_run_keeps_its_profiling_timer_and_is_sampled_beside_it():
    done, doc = samples("own_timer.ttap", OWN_TIMER)
    came, kept = done.stdout.split()
    assert int(came) >= 5 and kept == "True", done.stdout
    assert list(rows(doc, "sample", "lane")), "no sample"


def a_program_under_run_has_its_signal_back_after_the_window():
    cli_run.preloadable()
    with cli_run.Server(sys.executable, "-c", AFTERWARDS) as server:
        captured = subprocess.run([cli.program("tracetap"), "capture", server.url, "--seconds", "0.5", "--samples", "500", "-o", "window.ttap"],
                                  capture_output=True, text=True, timeout=cli.TIMEOUT_S)
        assert captured.returncode == 0, captured.stderr
        with open("over", "w", encoding="utf-8"):
            pass
        caught = int(server.process.communicate(timeout=cli.TIMEOUT_S)[0], 16)
        assert server.process.returncode == 0 and not caught & SIGURG_BIT, hex(caught)
    assert list(rows(document("window.ttap"), "sample", "lane")), "no sample"
    assert not os.path.exists("window.ttap.part")


def each_program_of_a_family_handles_its_signal_after_the_window_as_before_it():
    cli_run.preloadable()
    with cli_run.Server(sys.executable, "-c", FAMILY, "parent", FAMILY) as server:
        for one in ("parent", "ignores", "handles", "executed"):
            cli.wait_until(lambda one=one: os.path.exists("ready." + one), one)
        captured = subprocess.run([cli.program("tracetap"), "capture", server.url, "--seconds", "0.5", "--samples", "500", "-o", "family.ttap"],
                                  capture_output=True, text=True, timeout=cli.TIMEOUT_S)
        assert captured.returncode == 0, captured.stderr
        with open("over", "w", encoding="utf-8"):
            pass
        said = set(server.process.communicate(timeout=cli.TIMEOUT_S)[0].split())
        assert said == {"parent,0", "ignores,SigIgn,0", "handles,SigCgt,1", "executed,SigIgn,0"}, said
    doc = document("family.ttap")
    lanes = {chunk["id"]: chunk["pid"] for chunk in doc["chunks"] if chunk["t"] == "lane"}
    assert server.process.pid in {lanes[lane] for (lane,) in rows(doc, "sample", "lane")}, "no sample of the program"


if __name__ == "__main__":
    cli.main()
