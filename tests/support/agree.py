#!/usr/bin/env python3
"""agree.py - text captures (tests/traces/*.txt) through independent readers, which must say the same.

agree.py convert TTAP-TEXT TRACETAP TRACE...        what `tracetap convert` writes is what reader.py reads, row for row
agree.py validate TTAP-TEXT TTAP-VALIDATE TRACE...  the two validators give the same verdict, `exact` where expected

Each capture is also taken with the first half of its bytes only: a cut one has a document and a verdict too. Exit
status 1 with the first differences of each file; 77 when a tool is missing.
"""

import io
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reader  # noqa: E402
import reader_check  # noqa: E402
import reader_compare  # noqa: E402

TIMEOUT_S = 20  # against hangs; a call takes milliseconds


def command(*args):
    done = subprocess.run(args, capture_output=True, timeout=TIMEOUT_S, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace").strip()


def stored(data, folder):
    path = os.path.join(folder, "capture.ttap")
    with open(path, "wb") as stream:
        stream.write(data)
    return path


def document_of(tracetap, data, folder):
    """(path of the JSON document or None, what the command said)"""
    out = os.path.join(folder, "converted.json")
    if os.path.exists(out):
        os.remove(out)
    status, _, said = command(tracetap, "convert", "--format", "json", "--output", out, stored(data, folder))
    return out if os.path.exists(out) and os.path.getsize(out) else None, f"tracetap convert: status {status}: {said}\n"


def converts_alike(tracetap, data, _text, folder):
    try:
        capture = reader.Capture(data)
    except reader.NotACapture:
        capture = None
    out, said = document_of(tracetap, data, folder)
    if not capture or not capture.header:
        return "a document was made of what is no capture\n" if out else ""
    if not out:
        return said
    printed = io.StringIO()
    reader_compare.run(capture, out, printed)
    return printed.getvalue()


def validates_alike(tool, data, text, folder):
    path = stored(data, folder)
    _, printed, said = command(tool, path)
    theirs = printed.strip().removeprefix(path + ": ")
    ours = reader_check.verdict(data)
    if said or theirs.split(": ")[0] != ours.category or (ours.rule and theirs.split(": ")[1] != ours.rule):
        return f"the second reader says {ours}; ttap-validate says {theirs}{said}\n"
    return against_expectation(text, ours)


def against_expectation(text, ours):
    """`exact` in a text capture speaks of its account; the capture may break another promise on purpose."""
    expected = text.removeprefix("# expect: ").split(maxsplit=1)[:1] if text.startswith("# expect: ") else []
    accounting = ours.rule.split("-")[0] in ("account", "before", "overlap", "hole", "outside", "trailer")
    if expected == ["exact"] and (ours.category == "cut" or accounting):
        return f"expected is exact, not {ours}\n"
    if expected == ["wrong"] and ours.category != "wrong":
        return f"expected is wrong, not {ours}\n"
    if expected == ["cut"] and ours.category != "cut" and ours.rule != "damage":
        return f"expected is cut, not {ours}\n"
    return ""


def check(alike, text_tool, tool, path, folder):
    native = os.path.join(folder, "whole.ttap")
    status, _, said = command(text_tool, "to-wire", path, native)
    if status:
        return f"ttap-text: status {status}: {said}\n"
    with open(native, "rb") as stream:
        data = stream.read()
    with open(path, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    cut = alike(tool, data[: len(data) // 2], "", folder)
    return alike(tool, data, text, folder) + "".join(f"cut in half: {line}\n" for line in cut.splitlines())


def main():
    what, text_tool, tool, *traces = sys.argv[1:]
    missing = [path for path in (text_tool, tool) if not os.access(path, os.X_OK)]
    if missing or not traces:
        print(
            f"skipped: {missing[0] or 'a tool this build leaves out'} is missing"
            if missing
            else "skipped: no text captures"
        )
        return 77
    alike = {"convert": converts_alike, "validate": validates_alike}[what]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in traces:
            found = check(alike, text_tool, tool, path, folder)
            failed += bool(found)
            if found:
                print(f"{os.path.basename(path)}:\n" + "".join(f"    {line}\n" for line in found.splitlines()))
    print(f"{len(traces) - failed} of {len(traces)} text captures agree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
