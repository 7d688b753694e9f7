#!/usr/bin/env python3
"""coverage.py BUILD_DIR - which branches of the code that must not be wrong the tests took; missing ones need a reason.

    tests of build/coverage --profraw--> llvm-profdata --> llvm-cov export --> one row a condition: taken true, taken false
    justified.txt ------------------------------------------------------------> explains what is missing, or the run fails

clang counts conditions of the source, each operand of && and || by itself: nothing the compiler made up is among them. A branch is
one outcome of one condition. Inline functions of headers are counted over all files that include them, macros where they are used.
"""
import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# What must not be wrong: the emitting side, what packs and what reads, and what takes text from outside. Files, or functions of a file.
ROOMS = [
    # share.c maps an arena that several processes have; its tests are programs under `tracetap run`, which are not counted here.
    ("emit", r"trace/emit/(?!share)[^/]+\.[ch]"),
    ("packer", r"trace/capture/packer\.[ch]"),
    ("reader", r"trace/wire/reader\.[ch]"),
    ("query parser", r"server/params\.c|server/text\.c|handlers/query\.c|server/head\.c"),
    ("escaper", r"trace/formats/json_text\.c"),
]
FUNCTIONS = {"server/head.c": {"hex_digit", "escaped_byte", "ttap__unescape", "take_param", "ttap__query_parse", "port_is_valid", "host_len",
                               "ttap__host_split"}}

Branch = collections.namedtuple("Branch", "file function text outcome")


def is_ours(path, function):
    return room_of(path) and function.split(":")[-1] in FUNCTIONS.get(path, {function.split(":")[-1]})


def room_of(path):
    return next((room for room, pattern in ROOMS if re.fullmatch(pattern, path)), None)


def tool(name):
    found = shutil.which(name + "-14") or shutil.which(name)
    if not found:
        sys.exit(f"coverage: {name} is missing (Debian: llvm)")
    return found


def binaries(build):
    """Programs and libraries that were counted."""
    found = glob.glob(build + "/tests/test_*") + glob.glob(build + "/tests/fuzz_*") + glob.glob(build + "/lib/*.so")
    return sorted(path for path in found if os.path.isfile(path) and os.access(path, os.X_OK))


def export(build):
    raw = glob.glob(build + "/profile/*.profraw")
    if not raw:
        sys.exit(f"coverage: no counts in {build}/profile; run the tests with LLVM_PROFILE_FILE set to it")
    profile = build + "/all.profdata"
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", profile, *raw], check=True)
    first, *others = binaries(build)
    command = [tool("llvm-cov"), "export", "-instr-profile", profile, first]
    for path in others:
        command += ["-object", path]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)["data"][0]


class Source:
    """Text of files by position."""

    def __init__(self):
        self.lines = {}

    def text(self, path, where):
        if path not in self.lines:
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                self.lines[path] = file.read().split("\n")
        line, column, last_line, last_column = where
        rows = self.lines[path][line - 1 : last_line]
        rows[-1] = rows[-1][: last_column - 1]
        rows[0] = rows[0][column - 1 :]
        return " ".join(" ".join(rows).split())


def place(function, names, branch):
    """Where the source has the condition: outside of the macros it came through, and which of a macro's own it is."""
    outside = {region[6]: region for region in function["regions"] if region[7] == 1}
    where, file = tuple(branch[:4]), branch[6]
    inside = where if file in outside else None
    while file in outside:
        region = outside[file]
        where, file = tuple(region[:4]), region[5]
    return names[file], where, inside


def whole_call(text, source, path, where):
    """A macro's place is its name alone: take its arguments along."""
    line, column = where[0], where[1]
    rest = source.text(path, (line, column, min(line + 5, len(source.lines[path])), 10000))
    depth = 0
    for i, char in enumerate(rest[len(text) :], len(text)):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return rest[: i + (char == ")")]
    return text


def count_branches(data, source):
    taken = {}
    for function in data["functions"]:
        names = [os.path.relpath(name, ROOT) for name in function["filenames"]]
        for branch in function["branches"]:
            path, where, inside = place(function, names, branch)
            if not is_ours(path, function["name"]):
                continue
            text = source.text(path, where)
            if inside:
                text = whole_call(text, source, path, where)
            key = (path, where, inside, function["name"].split(":")[-1], text)
            counts = taken.setdefault(key, [0, 0])
            counts[0] += branch[4]
            counts[1] += branch[5]
    return taken


def count_lines(data):
    """Lines of each file that have code: taken or not, over all functions that hold them."""
    lines = collections.defaultdict(dict)
    for function in data["functions"]:
        names = [os.path.relpath(name, ROOT) for name in function["filenames"]]
        for region in function["regions"]:
            path = names[region[5]]
            if region[7] != 0 or not is_ours(path, function["name"]):
                continue
            lines[path].setdefault(tuple(region[:4]), 0)
            lines[path][tuple(region[:4])] += region[4]
    result = {}
    for path, regions in lines.items():
        innermost = {}
        for where in sorted(regions, key=lambda w: (w[0], -w[2])):  # inner ones later
            for line in range(where[0], where[2] + 1):
                innermost[line] = regions[where] if where[0] <= line else 0
        result[path] = (len(innermost), sum(1 for count in innermost.values() if count))
    return result


def justifications(path):
    """Lines `file | function | condition | outcome | reason`; an outcome "sometimes true" may or may not have been seen."""
    rows = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = [field.strip() for field in re.split(r" \| ", line.strip())]
            if len(fields) != 5 or not re.fullmatch(r"(sometimes )?(true|false)", fields[3]) or len(fields[4]) < 10:
                sys.exit(f"coverage: {path}:{number}: expected `file | function | condition | outcome | reason`")
            outcome = fields[3].split()[-1]
            rows[Branch(fields[0], fields[1], fields[2], outcome)] = (number, "sometimes" in fields[3])
    return rows


def report(taken, lines, explained):
    counts = collections.defaultdict(lambda: [0, 0, 0])  # branches, taken, explained
    missing, seen = [], set()
    for (path, where, _, function, text), outcomes in sorted(taken.items(), key=lambda row: (row[0][0], row[0][1])):
        for outcome, count in zip(("true", "false"), outcomes):
            branch = Branch(path, function, text, outcome)
            row = counts[path]
            row[0] += 1
            row[1] += count > 0
            if branch in explained:
                seen.add(branch) if count == 0 or explained[branch][1] else None
                row[2] += count == 0
            elif count == 0:
                missing.append((branch, where[0]))
    print(f"{'file':34}{'lines':>14}{'branches':>16}{'taken':>9}{'justified':>11}")
    for room, _ in ROOMS:
        print(room)
        for path in sorted(counts):
            if room_of(path) == room:
                total, hit, why = counts[path]
                code, reached = lines.get(path, (0, 0))
                print(f"  {path:32}{reached:>7}/{code:<6}{hit:>8}/{total:<7}{100 * hit / total:>8.1f}%{why:>10}")
    total, hit, why = (sum(row[i] for row in counts.values()) for i in range(3))
    code, reached = (sum(row[i] for row in lines.values()) for i in range(2))
    print(f"{'in all':34}{reached:>7}/{code:<6}{hit:>8}/{total:<7}{100 * hit / total:>8.1f}%{why:>10}")
    return missing, [branch for branch in explained if branch not in seen]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    data = export(os.path.abspath(sys.argv[1]))
    explained = justifications(os.path.join(HERE, "justified.txt"))
    missing, stale = report(count_branches(data, Source()), count_lines(data), explained)
    for branch, line in missing:
        print(f"not taken and not justified: {branch.file}:{line} | {branch.function} | {branch.text} | {branch.outcome}")
    for branch in stale:
        print(f"justified, but taken or gone: justified.txt:{explained[branch][0]}: {' | '.join(branch)}")
    sys.exit(1 if missing or stale else 0)


main()
