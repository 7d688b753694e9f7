#!/usr/bin/env python3
"""mutate.py [FILE...] - do the tests notice when a file is wrong?

    copy of the tree --one small change--> its object --link--> tests of that room, until one fails --> caught
         |                                   |  `-- same bytes as before: no change at all, not counted
         `-- the next change                 `-- does not compile: not counted

Prints for each file how many changes were made and caught, and every one that was not. equivalent.txt lists those that change
nothing anybody could see, each with its reason; they are not counted either. What is chosen where not all are tried is decided by
--seed alone. The tree itself is never touched: copies and builds lie below --work (build/mutation).
"""
import argparse
import collections
import glob
import hashlib
import os
import queue
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import mutants  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDERS = "support;unit/wire;unit/emit;unit/capture;unit/model;unit/formats;unit/server;unit/handlers;fuzz;compile"
BAR_PERCENT = 90

# Tests by their ctest name, quick ones first: a change that is noticed is noticed by the first few.
EMIT = [
    "emitting_is_right_in_its_rare_moments", "an_event_that_was_left_is_made_up_for_by_the_next",
    "a_slot_has_one_owner_and_tells_nothing_of_the_last", "a_name_is_one_number_for_ever",
    "every_event_arrives_with_its_values", "regions_nest_and_mend", "a_task_is_a_whole_value_and_stays_current",
    "time_survives_the_wrap_of_56_bits_and_steps_back",
    "a_tree_that_is_sampled_out_records_nothing_anywhere", "every_call_keeps_errno_and_the_signal_mask",
    "idle_calls_record_nothing_and_allocate_nothing", "when_the_names_are_full_the_rest_share_one_and_are_counted",
    "processes_share_one_arena_and_leave_alone_what_is_none", "a_thread_key_that_would_need_memory_is_not_used",
    "the_clock_is_the_best_that_the_machine_has", "a_thread_that_stops_inside_an_event_harms_nobody", "events_before_main_and_after_it_are_kept",
    "children_stay_silent_and_can_capture_by_themselves", "a_handler_inside_an_event_loses_nothing",
    "threads_come_and_go_without_a_trace_lost",
]
PACKER = [
    "cells_are_packed_to_what_the_format_says", "regions_nest_and_mend", "every_event_arrives_with_its_values",
    "a_task_is_a_whole_value_and_stays_current", "a_tree_that_is_sampled_out_records_nothing_anywhere",
    "any_cells_are_packed_to_what_a_reader_reads_back",
]
READER = [
    "every_field_decodes_and_what_does_not_is_named", "a_reader_delivers_whole_blocks_alone_however_the_bytes_come", "json_says_what_the_capture_says",
    "the_model_knows_time_tasks_and_sums_in_bounded_memory", "any_bytes_read_as_a_capture_end_in_a_document_or_a_refusal",
]
ESCAPER = ["text_and_numbers_become_json_exactly", "any_text_is_escaped_to_what_a_parser_reads", "json_says_what_the_capture_says"]
PARAMS = [
    "a_parameter_is_exactly_what_its_grammar_says_or_refused", "a_capture_is_asked_for_by_parameters_within_their_limits",
    "any_query_or_host_is_a_value_within_its_limits_or_refused",
    "requests_are_answered_as_http_says",
]
QUERY = ["a_capture_is_asked_for_by_parameters_within_their_limits"]

FILES = collections.OrderedDict([
    ("trace/emit/emit.h", EMIT), ("trace/emit/emit.c", EMIT), ("trace/emit/tasks.c", EMIT), ("trace/emit/names.c", EMIT),
    ("trace/emit/chunks.c", EMIT), ("trace/emit/threads.c", EMIT), ("trace/emit/clock.c", EMIT), ("trace/emit/init.c", EMIT),
    ("trace/emit/share.c", ["processes_share_one_arena_and_leave_alone_what_is_none",
                            "hooks_see_the_gate_of_a_fixed_address_program_that_records_itself"]),
    ("trace/capture/packer.c", PACKER), ("trace/wire/reader.c", READER), ("trace/formats/json_text.c", ESCAPER),
    ("server/params.c", PARAMS), ("server/text.c", PARAMS), ("handlers/query.c", QUERY), ("server/head.c", PARAMS),
])
FUNCTIONS = {"server/head.c": {"hex_digit", "escaped_byte", "ttap__unescape", "take_param", "ttap__query_parse", "port_is_valid", "host_len",
                               "ttap__host_split"}}


def bounds():
    resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30)) # a wrong loop takes memory, but not all of the machine's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, cwd, seconds=None):
    """Exit status and output; None when the time ran out. Nothing that it started is left."""
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True, preexec_fn=bounds)
    try:
        output, _ = process.communicate(timeout=seconds)
        status = process.returncode
    except subprocess.TimeoutExpired:
        output, status = b"", None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if status is None:
        process.communicate()
    return status, output.decode(errors="replace")


class Tree:
    """A copy of the tree with a build of its own, in which one file at a time is wrong."""

    def __init__(self, work, number):
        self.folder = os.path.join(work, f"tree-{number}")
        self.build = os.path.join(work, f"build-{number}")

    def prepare(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True,
                               stdout=subprocess.PIPE).stdout
        kept = b"\0".join(name for name in names.split(b"\0") if name and os.path.isfile(os.path.join(ROOT, os.fsdecode(name))))
        tar = subprocess.run(["tar", "-C", ROOT, "--null", "-T", "-", "-c"], input=kept, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-C", self.folder, "-x", "-m"], input=tar, check=True)
        launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        self.must(["cmake", "-S", self.folder, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=None", "-DCMAKE_C_FLAGS=-O1",
                   "-DTRACETAP_VIEWER=OFF", "-DTRACETAP_TEST_FOLDERS=" + FOLDERS, *launcher])
        self.commands = {}
        for file in glob.glob(self.build + "/tests/**/CTestTestfile.cmake", recursive=True):
            with open(file, encoding="utf-8") as listed:
                for name, command in re.findall(r'^add_test\((?:\[=*\[)?(\w+)(?:\]=*\])? (.*)\)$', listed.read(), re.M):
                    self.commands[name] = re.findall(r'"([^"]*)"', command)

    def must(self, command, cwd=None):
        status, output = run(command, cwd or ROOT)
        if status != 0:
            raise SystemExit(f"mutate: {' '.join(command[:4])} failed:\n{output[-4000:]}")
        return output

    def targets(self, tests):
        return [os.path.relpath(self.commands[test][0], self.build) for test in tests]

    def objects(self, file, tests):
        """Objects that hold the file and go into the tests: of a header all of its room's."""
        room = os.path.dirname(file) if file.endswith(".h") else None
        found = []
        for target in self.targets(tests):
            inputs = run(["ninja", "-t", "inputs", target], self.build)[1].split("\n")
            found += [i for i in inputs if i.endswith(".o") and (room and f"{room}/CMakeFiles" in i or f"/{os.path.basename(file)}.o" in i)]
        return sorted(set(found))

    def make(self, targets):
        return run(["ninja", "-j1", *targets], self.build, 300)[0] == 0

    def digest(self, objects):
        sum_of = hashlib.sha256()
        for name in objects:
            with open(os.path.join(self.build, name), "rb") as file:
                sum_of.update(file.read())
        return sum_of.digest()

    def test(self, name, seconds):
        return run(self.commands[name], self.build, seconds)[0]

    def write(self, file, text):
        with open(os.path.join(self.folder, file), "w", encoding="utf-8") as out:
            out.write(text)


class Subject:
    """One file: its text, what its tests take when it is right, its objects when it is right."""

    def __init__(self, tree, file, tests):
        self.file = file
        with open(os.path.join(tree.folder, file), encoding="utf-8") as source:
            self.text = source.read()
        self.tests = [test for test in tests if test in tree.commands]
        missing = [test for test in tests if test not in tree.commands]
        if missing:
            print(f"mutate: no such test: {', '.join(missing)}", file=sys.stderr)
        self.objects = tree.objects(file, self.tests)
        tree.must(["ninja", "-j2", *tree.targets(self.tests), *self.objects], tree.build)
        self.limits = {}
        for test in list(self.tests):
            start = time.monotonic()
            if tree.test(test, 120) != 0:
                print(f"mutate: {test} fails without any change and is left out", file=sys.stderr)
                self.tests.remove(test)
                continue
            self.limits[test] = 3 * (time.monotonic() - start) + 3
        if not self.tests:
            raise SystemExit(f"mutate: no test left for {file}")


def try_one(tree, subject, digest, mutant):
    """caught, survived, same, or stillborn; and by which test."""
    tree.write(subject.file, subject.text[: mutant.start] + mutant.text + subject.text[mutant.end :])
    if not tree.make(subject.objects):
        return "stillborn", ""
    if tree.digest(subject.objects) == digest:
        return "same", ""
    for test in subject.tests:
        if not tree.make(tree.targets([test])):
            return "stillborn", ""
        if tree.test(test, subject.limits[test]) != 0:
            return "caught", test
    return "survived", ""


def worker(tree, subject, todo, results, deadline):
    tree.make([*subject.objects, *tree.targets(subject.tests)])
    digest = tree.digest(subject.objects)
    while time.monotonic() < deadline:
        try:
            mutant = todo.get_nowait()
        except queue.Empty:
            break
        results.append((mutant, *try_one(tree, subject, digest, mutant)))
    tree.write(subject.file, subject.text)


def equivalents(path):
    rows = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = line.strip().split(" | ")
            if len(fields) < 5:
                raise SystemExit(f"mutate: {path}:{number}: expected `file | function | line | change | reason`")
            rows[(fields[0], fields[1], " | ".join(fields[2:-2]), fields[-2])] = fields[-1]
    return rows


def chosen(file, text, count, seed, known):
    every = [mutant for mutant in mutants.mutants_of(file, text) if mutant.key() not in known]
    every = [mutant for mutant in every if mutant.function in FUNCTIONS.get(file, {mutant.function})]
    if count and count < len(every):
        every = sorted(random.Random(f"{seed} {file}").sample(every, count), key=lambda m: m.start)
    return every


def check_file(trees, file, options, known, deadline):
    subject = Subject(trees[0], file, FILES[file])
    todo, results = queue.Queue(), []
    picked = chosen(file, subject.text, options.sample, options.seed, known)
    for mutant in random.Random(options.seed).sample(picked, len(picked)):
        todo.put(mutant)
    threads = [threading.Thread(target=worker, args=(tree, subject, todo, results, deadline)) for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def report(file, results, seconds):
    counts = collections.Counter(outcome for _, outcome, _ in results)
    tried = counts["caught"] + counts["survived"]
    share = 100 * counts["caught"] / tried if tried else 100
    print(f"{file:28}{tried:>8} mutants{counts['caught']:>6} caught{share:>7.1f} %   "
          f"({counts['stillborn']} do not compile, {counts['same']} give the same code; {seconds:.0f} s)")
    for mutant, outcome, _ in sorted(results, key=lambda row: row[0].start):
        if outcome == "survived":
            print(f"    survived: {mutant}")
    sys.stdout.flush()
    return share >= BAR_PERCENT


def arguments():
    parser = argparse.ArgumentParser(description="Do the tests notice when a file is wrong?")
    parser.add_argument("files", nargs="*", metavar="FILE", help="of: " + " ".join(FILES))
    parser.add_argument("--sample", type=int, default=120, help="changes tried in each file; 0: all (default 120)")
    parser.add_argument("--seed", default="1", help="which ones (default 1)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this long, with what was tried until then")
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "mutation"))
    parser.add_argument("--list", action="store_true", help="only print the changes")
    parser.add_argument("--caught", action="store_true", help="also print which test caught each")
    options = parser.parse_args()
    wrong = [file for file in options.files if file not in FILES]
    if wrong:
        parser.error(f"no such file here: {' '.join(wrong)}; there are {' '.join(FILES)}")
    return options


def main():
    options = arguments()
    known = equivalents(os.path.join(HERE, "equivalent.txt"))
    files = options.files or list(FILES)
    if options.list:
        for file in files:
            with open(os.path.join(ROOT, file), encoding="utf-8") as source:
                for mutant in chosen(file, source.read(), options.sample, options.seed, known):
                    print(mutant)
        return 0
    trees = [Tree(options.work, number) for number in range(options.jobs)]
    for tree in trees:
        tree.prepare()
    deadline, good = time.monotonic() + options.seconds, True
    for file in files:
        start = time.monotonic()
        results = check_file(trees, file, options, known, deadline)
        good &= report(file, results, time.monotonic() - start)
        if options.caught:
            for mutant, outcome, test in results:
                print(f"    {outcome}{' by ' + test if test else ''}: {mutant}")
    return 0 if good else 1


sys.exit(main())
