"""cli_lines.py - source lines and inlined functions in the stacks of what `tracetap convert` writes.

The program is tests/support/lines_work.c; its lines are found by the comments there. Where no recording is needed a capture is made that
names each byte of a function, so that these also run under the sanitizers.
"""
import json
import os
import random
import re
import shutil
import subprocess

import cli_run
import cli_samples
import cli_support as cli
import cli_view

PROGRAMS = os.path.join(cli.BIN, "..", "tests")
SOURCE = os.path.join(cli.SOURCES, "tests", "support", "lines_work.c")
NO_CACHE = {"DEBUGINFOD_CACHE_PATH": "/nowhere"}


def line_of(marker):
    with open(SOURCE, encoding="utf-8") as file:
        found = [number for number, line in enumerate(file, 1) if f"/* {marker} */" in line]
    assert len(found) == 1, (marker, found)
    return found[0]


def tool(*command):
    if not shutil.which(command[0]):
        raise cli.Skip(f"no {command[0]} here")
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=cli.TIMEOUT_S).stdout


def program(name="lines_work"):
    """A copy of the program, in the current folder."""
    if "source lines: yes" not in cli.run("--version").expect(0).out.decode():
        raise cli.Skip("built without libdw")
    return os.path.abspath(shutil.copy(os.path.join(PROGRAMS, name), "lines_work"))


def build_id(path):
    return re.search(r"Build ID: ([0-9a-f]+)", tool("readelf", "-n", path)).group(1)


def function(path, name):
    """First offset in the file, and bytes."""
    address, size = next((int(row[0], 16), int(row[1], 16)) for row in map(str.split, tool("nm", "-S", path).splitlines())
                         if len(row) == 4 and row[3].split(".")[0] == name)
    for row in map(str.split, tool("readelf", "-lW", path).splitlines()):
        if row and row[0] == "LOAD":
            offset, start, length = int(row[1], 16), int(row[2], 16), int(row[4], 16)
            if start <= address < start + length:
                return address - start + offset, size
    raise AssertionError(f"{name} is in no segment")


def capture_of(path, *names, recorded_id=None):
    """A capture with a sample at each byte of these functions of the program."""
    offsets = [first + i for first, size in (function(path, name) for name in names) for i in range(size)]
    raw = "".join(f"\\x{byte:02x}" for byte in bytes.fromhex(recorded_id or build_id(path)))
    text = ["header clock=mono ticks_per_second=1000000000 duration_ns=900000 groups=2047",
            'threads thread=1 pid=71 tid=801 name="worker"',
            f'modules module=1 start=0x400000 end=0x480000 offset=0 path="{path}" build_id="{raw}"']
    text += [f'stacks stack={i} flags=0 frames="1:{offset:#x}"' for i, offset in enumerate(offsets, 1)]
    text += [f"thread 1 at {1000 + i}: sample cpu_ns=1 stack={i}" for i in range(1, len(offsets) + 1)]
    return cli.capture_file("lines.ttap", "\n".join(text + ["end reason=window at=800000", ""]).encode())


def stacks_of(capture, *options, env=None):
    """(function, file, line) of each frame, innermost first, for each sample; each sample's own; what was said."""
    done = cli.run("convert", capture, "-o", "lines.json", *options, env={**NO_CACHE, **(env or {})}).expect(0)
    with open("lines.json", encoding="utf-8") as file:
        doc = json.load(file)
    strings = [text for chunk in doc["chunks"] if chunk["t"] == "str" for text in chunk["v"]]
    frames = [(strings[func].split(".")[0], strings[file] if file >= 0 else "", line) for func, file, line in cli_samples.rows(doc, "frame", "func", "file", "line")]
    nodes = list(cli_samples.rows(doc, "stack", "frame", "up"))

    def walk(at):
        while at >= 0:
            frame, up = nodes[at]
            yield frames[frame]
            at = at - up if up else -1

    def stacks(table, *more):
        return [(list(walk(row[0])), *row[1:]) for row in cli_samples.rows(doc, table, "stack", *more) if row[0] >= 0]
    return stacks("sample"), [stack for stack, op in stacks("call", "op") if strings[op] == "nanosleep"], done.err


def places(samples):
    return {frame for (stack,) in samples for frame in stack}


def in_source(frame):
    return os.path.basename(frame[1]) == "lines_work.c"


def has_lines(samples):
    """Of capture_of(hot): the chain of the inlined function is there, with all its lines right."""
    inner, outer = ("inlined_work", line_of("INLINED")), ("hot", line_of("CALLS INLINED"))
    chains = [[(name, line) for name, _, line in stack] for (stack,) in samples]
    lines = {line for name, _, line in places(samples) if name == "hot"}
    assert all(in_source(frame) for frame in places(samples)), places(samples)
    assert lines <= set(range(line_of("HOT BEGINS"), line_of("HOT ENDS") + 1)), lines
    assert [inner, outer] in chains, chains
    assert any(chain[0][0] == "hot" and len(chain) == 1 for chain in chains), chains
    return True


def has_none(samples):
    return all(file == "" and line == 0 for _, file, line in places(samples))


# ---- As recorded ----

def samples_and_waits_of_a_program_are_on_its_lines():
    path = program()
    done = cli_run.traced(path, options=("-q", "-o", "run.ttap", "--samples", "99"))
    assert done.returncode == 0, done.stderr
    cli_run.whole_figures("run.ttap")
    samples, waits, said = stacks_of("run.ttap")
    assert said == "", said
    chains = [[(name, line) for name, _, line in filter(in_source, stack)] for (stack,) in samples]
    assert [("inlined_work", line_of("INLINED")), ("hot", line_of("CALLS INLINED")), ("main", line_of("MAIN CALLS HOT"))] in chains, chains
    hot = range(line_of("HOT BEGINS"), line_of("HOT ENDS") + 1)
    assert all(line in hot for chain in chains for name, line in chain if name == "hot"), chains
    own = [[(name, line) for name, _, line in filter(in_source, stack)] for stack in waits]
    assert own and all(chain[0] == ("nap", line_of("WAITS")) for chain in own), own


# ---- As made ----

def functions_that_were_inlined_are_frames_with_the_lines_of_their_calls():
    samples, _, said = stacks_of(capture_of(program(), "hot"))
    assert has_lines(samples) and said == "", said
    samples, _, _ = stacks_of("lines.ttap", "--no-lines")
    assert has_none(samples) and {name for name, _, _ in places(samples)} == {"hot"}, places(samples)


def the_viewer_of_a_file_is_given_lines_and_a_service_tells_none():
    capture = capture_of(program(), "hot")
    samples, _, _ = stacks_of(capture)
    with cli_view.View(capture) as view:
        assert has_lines(samples) and cli.get(view.base + "debug/trace/captures/1?format=json")[2] == cli.read("lines.json")
    with cli_view.View(capture, "--no-lines") as view:
        assert b"lines_work.c" not in cli.get(view.base + "debug/trace/captures/1?format=json")[2]
    subprocess.run([os.environ["TTAP_TEXT"], "to-json", capture, "service.json"], check=True, timeout=cli.TIMEOUT_S) # as services convert
    assert b"lines_work.c" not in cli.read("service.json") and b'"hot' in cli.read("service.json")


def a_stripped_program_has_no_lines_and_that_is_no_error():
    path = program()
    capture = capture_of(path, "hot")
    tool("strip", path)
    samples, _, said = stacks_of(capture)
    assert samples and has_none(samples) and said == "", (places(samples), said)
    os.unlink(path)
    samples, _, said = stacks_of(capture)
    assert samples and has_none(samples) and said == "", (places(samples), said)


def a_program_built_anew_since_is_not_used_and_named_once_with_both_build_ids():
    path = program()
    capture, recorded = capture_of(path, "hot", "nap"), build_id(path)
    program("lines_work_rebuilt")
    assert build_id(path) != recorded
    samples, _, said = stacks_of(capture)
    assert samples and has_none(samples), places(samples)
    assert said.count("\n") == 1 and all(said.count(word) == 1 for word in (path, recorded, build_id(path))), said


def separate_debug_files_are_found_by_build_id_and_by_link():
    path = program()
    capture, number = capture_of(path, "hot"), build_id(path)
    tool("objcopy", "--only-keep-debug", path, "kept.debug")
    tool("strip", path)
    tool("objcopy", "--add-gnu-debuglink=kept.debug", path)
    places_of_it = [(os.path.join("ids", ".build-id", number[:2], number[2:] + ".debug"), ["--debug-dir", os.path.abspath("ids")], None),
                    (os.path.join("cache", number, "debuginfo"), [], {"DEBUGINFOD_CACHE_PATH": os.path.abspath("cache")}),
                    (os.path.join(".debug", "kept.debug"), [], None),
                    (os.path.join(os.path.abspath("all") + os.getcwd(), "kept.debug"), ["--debug-dir", os.path.abspath("all")], None)]
    os.mkdir("ids")
    os.mkdir("all")
    os.rename("kept.debug", "there")
    for place, options, env in places_of_it:
        samples, _, _ = stacks_of(capture, *options, env=env)
        assert has_none(samples), (place, places(samples))
        os.makedirs(os.path.dirname(place))
        os.rename("there", place)
        samples, _, said = stacks_of(capture, *options, env=env)
        assert has_lines(samples) and said == "", (place, said)
        os.rename(place, "there")
    tool("objcopy", "--only-keep-debug", os.path.join(PROGRAMS, "lines_work_rebuilt"), "kept.debug")
    samples, _, _ = stacks_of(capture)
    assert has_none(samples), places(samples)


def damaged_debug_information_costs_its_lines_and_nothing_else():
    path = program()
    capture = capture_of(path, "hot")
    whole = cli.read(path)
    sections = [(int(row[0], 16), int(row[1], 16)) for row in re.findall(r"\.debug_\w+ +PROGBITS +\w+ (\w+) (\w+)", tool("readelf", "-SW", path))]
    assert len(sections) >= 4, sections
    dice = random.Random(4)
    for _ in range(12):
        data = bytearray(whole)
        for offset, size in sections:
            for _ in range(dice.choice((1, 3, 30))):
                data[offset + dice.randrange(size)] = dice.choice((0, 0xff, dice.randrange(256)))
        cli.write(path, data)
        samples, _, _ = stacks_of(capture)
        assert {stack[-1][0] for (stack,) in samples} == {"hot"}, places(samples)


def a_reader_of_debug_information_that_dies_takes_nothing_with_it():
    cli_run.preloadable()
    path = program()
    samples, _, said = stacks_of(capture_of(path, "hot"), env={"LD_PRELOAD": os.path.join(PROGRAMS, "libbroken_libdw.so")})
    assert {name for name, _, _ in places(samples)} == {"hot"} and has_none(samples), places(samples)
    assert said.count("\n") == 1 and path in said and "could not be read" in said, said


if __name__ == "__main__":
    cli.main()
