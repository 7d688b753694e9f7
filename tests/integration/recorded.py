"""Captures of programs, for tests that compare them with what the programs say of themselves: recorded, validated, as viewer JSON."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import children  # noqa: E402


def skip(why):
    print(why)
    sys.exit(77)


def skip_where_nothing_can_be_preloaded():
    if os.environ.get("TTAP_SANITIZE"):
        skip("a sanitizer's runtime cannot be preloaded into other programs")


def wait_until_whole(programs, native):
    """The recording's helper finishes the file when the program has ended."""
    for _ in range(300):
        stat = subprocess.run([os.path.join(programs, "tracetap"), "stat", "--json", native], capture_output=True, text=True, check=False)
        if stat.returncode == 0 and json.loads(stat.stdout)["truncated"] is False:
            return
        time.sleep(0.1)
    raise AssertionError("the recording does not end")


def run_recorded(programs, native, *command, environment=None, options=()):
    """A program under `tracetap run`; its output. One that exits with 77 has nothing to test."""
    skip_where_nothing_can_be_preloaded()
    done = subprocess.run([os.path.join(programs, "tracetap"), "run", "-q", "-o", native, *options, "--", *command], stdout=subprocess.PIPE, text=True, timeout=100,
                          check=False, env={**os.environ, **(environment or {})})
    if done.returncode == 77:
        skip(done.stdout.strip())
    assert done.returncode == 0, done
    wait_until_whole(programs, native)
    return done.stdout


def convert(programs, native):
    """The path of the JSON of a capture that the validator found right."""
    subprocess.run([os.environ["TTAP_VALIDATE"], native], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([os.path.join(programs, "tracetap"), "convert", native, "-o", native + ".json"], check=True)
    return native + ".json"


def document_of(programs, native):
    with open(convert(programs, native), encoding="ascii") as file:
        document = json.load(file)
    assert document["end"]["identity"] == "exact", document["end"]
    return document


def strings_of(document):
    return [text for chunk in document["chunks"] if chunk["t"] == "str" for text in chunk["v"]]


def rows(chunk, *keys):
    """What stands in these columns, row by row; a column that is the same in all rows is written as one value."""
    return zip(*(chunk[key] if isinstance(chunk[key], list) else [chunk[key]] * chunk["n"] for key in keys))


def timed_rows(chunk, *keys):
    """The same behind the time of each."""
    at = chunk["t0"]
    for later, *values in rows(chunk, "dt", *keys):
        at += later
        yield (at, *values)


def main():
    """Run the test of the calling module whose name is the last argument."""
    children.end_with_us()
    getattr(sys.modules["__main__"], sys.argv[-1])()
