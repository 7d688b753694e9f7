"""examples.py - each example is started, used as its text says, and stopped."""
import json
import os
import re
import signal
import subprocess

import cli_support as cli


def capture(base, seconds=0.5, name="x.trace"):
    cli.run("capture", base, "-s", seconds, "-o", name).expect(0)
    figures = cli.stat(name)
    assert figures["identity"] == "exact", figures["identity"]
    cli.run("convert", name, "-o", "x.json").expect(0)
    return figures, Document(json.loads(cli.read("x.json")))


class Document:
    """Rows of the tables of docs/format.md section 7, with names in place of numbers."""

    def __init__(self, document):
        self.chunks = document["chunks"]
        self.strings = {}
        for chunk in self.chunks:
            if chunk["t"] == "str":
                self.strings.update(enumerate(chunk["v"], chunk["base"]))

    def column(self, chunk, name):
        value = chunk[name]
        return value if isinstance(value, list) else [value] * chunk["n"]

    def names(self, table, column="name"):
        return {self.strings[i] for c in self.chunks if c["t"] == table for i in self.column(c, column) if i >= 0}

    def rows(self, table, *columns):
        for chunk in self.chunks:
            if chunk["t"] == table:
                yield from zip(*(self.column(chunk, column) for column in columns))


def stops_cleanly(background):
    code, rest = background.stop()
    assert code == 0, (code, rest)
    return rest


# ---- hello, embed ----

def hello_shows_its_requests_and_regions():
    with cli.Background("hello", "0") as hello:
        figures, document = capture(hello.line("hello: "))
        assert figures["delivered"] > 10
        assert "request" in document.names("task", "kind") and "work" in document.names("region")
        code, _ = hello.stop()
        assert code == -signal.SIGTERM


def hello_says_why_it_cannot_listen():
    with cli.Background("hello", "0") as hello:
        port = hello.line("hello: ").rstrip("/").rsplit(":", 1)[1]
        done = subprocess.run([cli.program("hello"), port], capture_output=True, text=True, timeout=cli.TIMEOUT_S)
        assert done.returncode == 1 and port in done.stderr, done


def embed_answers_its_own_routes_and_ours():
    with cli.Background("embed", "0") as embed:
        base = embed.line("embed: ").removesuffix("hello")
        assert cli.get(base + "hello")[2] == b"hello\n"
        assert cli.get(base + "nothing")[0] == 404
        process = subprocess.Popen([cli.program("tracetap"), "capture", base, "-s", "1", "-o", "x.trace"], stderr=subprocess.DEVNULL)
        cli.wait_until(lambda: json.loads(cli.get(base + "debug/trace/status")[2])["recording"], "recording to begin")
        for _ in range(5):
            cli.get(base + "hello")
        assert process.wait(cli.TIMEOUT_S) == 0
        cli.run("convert", "x.trace", "-o", "x.json").expect(0)
        document = Document(json.loads(cli.read("x.json")))
        assert "say hello" in document.names("region") and "GET /hello" in document.names("task", "kind")
        stops_cleanly(embed)


def embed_stops_cleanly_in_the_middle_of_a_capture():
    with cli.Background("embed", "0") as embed:
        base = embed.line("embed: ").removesuffix("hello")
        process = subprocess.Popen([cli.program("tracetap"), "capture", base, "-s", "60", "-o", "x.trace"], stderr=subprocess.PIPE, text=True)
        cli.wait_until(lambda: os.path.exists("x.trace.part") and os.path.getsize("x.trace.part") > 0, "the capture's first bytes")
        stops_cleanly(embed)
        _, err = process.communicate(timeout=cli.TIMEOUT_S)
        assert process.returncode == 0, err
        assert cli.stat("x.trace")["reason"] == "shutdown"


# ---- lua ----

def lua_shows_the_steps_and_cycles_of_its_collector():
    if not os.path.exists(cli.program("lua")):
        raise cli.Skip("liblua5.4-dev is not installed")
    with cli.Background("lua", "0") as lua:
        figures, document = capture(lua.line("lua: "), 1)
        spans = {"cycle": [], "step": []}
        for chunk in document.chunks:
            if chunk["t"] == "gc":
                at = chunk["t0"]
                for dt, dur, phase, flags in zip(*(document.column(chunk, name) for name in ("dt", "dur", "phase", "flags"))):
                    at += dt
                    spans[document.strings[phase]].append((at, at + dur, flags))
        print({name: len(rows) for name, rows in spans.items()})
        steps, cycles = sorted(spans["step"]), sorted(spans["cycle"])
        assert len(steps) > len(cycles) > 2, spans
        assert all(end <= begin for (_, end, _), (begin, _, _) in zip(steps, steps[1:])), "steps do not overlap"
        assert all(end <= begin for (_, end, _), (begin, _, _) in zip(cycles, cycles[1:])), "nor do cycles"
        for begin, end, _ in steps:
            assert any(first <= begin and end <= last for first, last, _ in cycles), (begin, end)
        assert "lua.heap_bytes" in document.names("counter") and "request" in document.names("task", "kind")
        counted = int(re.search(r"cycles: (\d+)", stops_cleanly(lua)).group(1))
        assert counted >= sum(not flags for _, _, flags in cycles), "cycles that began and ended in the window, by the program's own count"


# ---- pipeline ----

def a_pipeline_request_shows_as_one_task_over_many_threads():
    with cli.Pipeline() as pipeline:
        _, document = capture(pipeline.base, 1)
        tasks = document.names("task", "kind")
        assert {"GET /item", "lookup price", "lookup stock", "lookup reviews"} <= tasks, tasks
        regions = document.names("region")
        assert {"fetch", "transform", "normalise", "checksum", "enrich", "wait for children", "serialize", "reply"} <= regions, regions
        assert "requests.in_flight" in document.names("counter")
        assert {"item", "status", "reply_bytes"} <= document.names("attr", "key")
        queues = {chunk["name"] for chunk in document.chunks if chunk["t"] == "object"}
        assert {"fetch.in", "transform.in", "enrich.in", "serialize.in", "pool.jobs"} <= queues, queues
        parents = {task: parent for task, parent in document.rows("task", "id", "parent")}
        assert any(parent >= 0 for parent in parents.values())
        rest = stops_cleanly(pipeline)
        assert re.search(r"served: +\d+ requests, \d+ of them failed", rest), rest


def a_pipeline_request_from_outside_is_answered():
    with cli.Pipeline("--no-load") as pipeline:
        base = pipeline.app.removesuffix("1")
        status, _, body = cli.get(base + "7")
        assert status == 200 and json.loads(body)["item"] == 7
        assert json.loads(body)["reviews"] < 0, "item 7 is one whose reviews time out"
        assert cli.get(base + "50")[0] == 404
        assert cli.get(base + "x")[0] == 404
        assert cli.get(base + "-3")[0] == 404
        assert "served:      2 requests, 1 of them failed" in stops_cleanly(pipeline)


def failures_of_the_pipeline_are_in_the_capture():
    with cli.Pipeline("--rate", "400") as pipeline:
        _, document = capture(pipeline.base, 2)
        assert "no such item" in document.names("task", "text") or "the review service did not answer" in document.names("task", "text")
        assert "degraded" in document.names("log", "cat")


def a_trace_id_from_outside_is_kept():
    with cli.Pipeline("--no-load") as pipeline:
        trace_id = "0af7651916cd43dd8448eb211c80319c"
        process = subprocess.Popen([cli.program("tracetap"), "capture", pipeline.base, "-s", "1", "-o", "x.trace"], stderr=subprocess.DEVNULL)
        cli.wait_until(lambda: json.loads(cli.get(pipeline.base + "debug/trace/status")[2])["recording"], "recording to begin")
        cli.get(pipeline.app, {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
        assert process.wait(cli.TIMEOUT_S) == 0
        cli.run("convert", "x.trace", "-o", "x.json").expect(0)
        assert trace_id in {row[0] for row in Document(json.loads(cli.read("x.json"))).rows("task", "trace")}


def share_of(document, name, window_ns):
    return sum(duration for number, duration in document.rows("region", "name", "dur") if document.strings[number] == name) / window_ns


def the_slow_lock_shows_as_waiting_for_it():
    shares = {}
    for switch in [[], ["--slow-lock"]]:
        with cli.Pipeline(*switch) as pipeline:
            figures, document = capture(pipeline.base, 1)
            shares[bool(switch)] = share_of(document, "cache.lock wait", figures["capture"]["window_ns"])
    print("threads waiting for the lock, on average:", shares)
    assert shares[True] > 5 * shares[False] and shares[True] > 0.05, shares


def the_small_queue_shows_as_waits_for_room():
    with cli.Pipeline("--small-queue") as pipeline:
        _, document = capture(pipeline.base, 2)
        objects = {chunk["id"]: chunk["name"] for chunk in document.chunks if chunk["t"] == "object"}
        full = sum(objects[o] == "enrich.in" and document.strings[why] == "full" for o, why in document.rows("wait", "object", "why"))
        print("waits for room in enrich.in:", full)
        assert full > 0


def allocation_pressure_shows_as_a_counter_and_sweeps():
    with cli.Pipeline("--alloc-pressure", "--rate", "400") as pipeline:
        _, document = capture(pipeline.base, 2)
        assert "heap.live_bytes" in document.names("counter")
        assert "sweep" in document.names("gc", "phase") and "allocate" in document.names("region")


def oversubscription_shows_as_bursts_of_compactors():
    with cli.Pipeline("--oversubscribe") as pipeline:
        figures, document = capture(pipeline.base, 1)
        compactors = [row for row in figures["threads"] if row["name"].startswith("compactor-")]
        assert len(compactors) > os.cpu_count() and "compact" in document.names("region"), figures["threads"]


def a_pipeline_whose_port_is_taken_says_so():
    with cli.Pipeline("--no-load") as pipeline:
        port = re.search(r":(\d+)/", pipeline.app).group(1)
        done = subprocess.run([cli.program("pipeline"), "--listen", "127.0.0.1:0", "--app-port", port, "--oversubscribe"], capture_output=True,
                              text=True, timeout=cli.TIMEOUT_S)
        assert done.returncode == 1 and f"port {port}" in done.stderr, done


def the_pipeline_can_end_by_itself():
    with cli.Pipeline("--seconds", "1", "--no-load") as pipeline:
        assert pipeline.process.wait(cli.TIMEOUT_S) == 0


def wrong_options_of_the_pipeline_are_named():
    for args, word in [(["--rate", "0"], "--rate 0"), (["--rate", "abc"], "--rate abc"), (["--threads", "65"], "--threads 65"),
                       (["--listen", "6060"], "--listen 6060"), (["--listen", ":6060"], "--listen :6060"), (["--listen", "a:99999"], "99999"),
                       (["--seconds", "-1"], "--seconds -1"), (["extra"], "extra"), (["--fast"], "--fast"), (["--rate"], "--rate")]:
        done = subprocess.run([cli.program("pipeline"), *args], capture_output=True, text=True, timeout=cli.TIMEOUT_S)
        assert done.returncode == 2 and word in done.stderr, (args, done)
    done = subprocess.run([cli.program("pipeline"), "--listen", "0.0.0.0:0"], capture_output=True, text=True, timeout=cli.TIMEOUT_S)
    assert done.returncode == 1 and "token" in done.stderr, done
    done = subprocess.run([cli.program("pipeline"), "--help"], capture_output=True, text=True, timeout=cli.TIMEOUT_S)
    assert done.returncode == 0 and "--slow-lock" in done.stdout


if __name__ == "__main__":
    cli.main()
