#!/usr/bin/env python3
"""agree.py TTAP-TEXT TRACETAP TRACES... - is what `tracetap convert` writes what the second reader reads?

Each text capture is made into a native one, converted by the command, and compared row for row; then the same for the first half of its
bytes, since a cut capture has a document too. Exit status 1 with the first differences of each file; 77 when a tool is missing.
"""
import io
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reader  # noqa: E402
import reader_compare  # noqa: E402

TIMEOUT_S = 20


def command(*args):
    done = subprocess.run(args, capture_output=True, timeout=TIMEOUT_S, check=False)
    return done.returncode, done.stderr.decode("utf-8", "replace").strip()


def converted(tracetap, native, folder):
    out = os.path.join(folder, "converted.json")
    if os.path.exists(out):
        os.remove(out)
    status, said = command(tracetap, "convert", native, "-o", out)
    return out if os.path.exists(out) else None, f"tracetap convert: status {status}: {said}"


def differences(tracetap, data, folder):
    native = os.path.join(folder, "capture.ttap")
    with open(native, "wb") as stream:
        stream.write(data)
    try:
        capture = reader.Capture(data)
    except reader.NotACapture:
        capture = None
    out, said = converted(tracetap, native, folder)
    if not capture or not capture.header:
        return "a document was made of what is no capture\n" if out and os.path.getsize(out) else ""
    if not out:
        return said + "\n"
    printed = io.StringIO()
    reader_compare.run(capture, out, printed)
    return printed.getvalue()


def check(text_tool, tracetap, path, folder):
    native = os.path.join(folder, "whole.ttap")
    status, said = command(text_tool, "to-wire", path, native)
    if status:
        return f"{os.path.basename(text_tool)}: status {status}: {said}\n"
    with open(native, "rb") as stream:
        data = stream.read()
    found = differences(tracetap, data, folder)
    cut = differences(tracetap, data[: len(data) // 2], folder)
    return found + "".join(f"cut in half: {line}\n" for line in cut.splitlines())


def main():
    text_tool, tracetap, *traces = sys.argv[1:]
    missing = [tool for tool in (text_tool, tracetap) if not os.access(tool, os.X_OK)]
    if missing or not traces:
        print(f"skipped: {missing[0] or 'a tool of this build'} is missing" if missing else "skipped: no text captures")
        return 77
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in traces:
            found = check(text_tool, tracetap, path, folder)
            if found:
                failed += 1
                print(f"{os.path.basename(path)}:\n" + "".join(f"    {line}\n" for line in found.splitlines()))
    print(f"{len(traces) - failed} of {len(traces)} text captures agree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
