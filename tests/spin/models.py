#!/usr/bin/env python3
"""Check the models beside this file with spin: `models.py holds NAME` explores all of it, `models.py mutants NAME` expects each mutant caught.

Each row is one small world to explore: which options of the model, and what it is for.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.dont_write_bytecode = True
import children  # noqa: E402

HOLDS = {
    "engine": [
        ("three sessions, a chunk too few", "EVENTS=5 SESSIONS=3"),
        ("without membarrier, on the general course", "EVENTS=4 LIGHT=0"),
        ("memory given back between sessions, a second listener", "EVENTS=4 GIVE_BACK CHANGES=1"),
        ("a thread that stops for ever anywhere", "EVENTS=4 FREEZE GIVE_BACK"),
        ("the lease runs out once", "EVENTS=4 LEASE=1"),
        ("calls that are refused between two windows", "EVENTS=4 SESSIONS=1 WINDOWS=2"),
        ("calls that are refused between sessions", "EVENTS=3 WINDOWS=1"),
        ("a handler anywhere, two sessions", "EVENTS=2 SIGNALS=1 TICKS=0"),
        ("a handler in a handler", "EVENTS=1 SIGNALS=1 SECOND_SIGNALS=1 SESSIONS=1"),
    ],
    "stacks": [("two emitters, the drainer", "ROUNDS=2")],
    "slots": [
        ("two threads, two sessions", "SIGNALS=0"),
        ("a handler that attaches too", "SESSIONS=1"),
    ],
}

MUTANTS = {
    "engine": [
        ("no_membarrier", "EVENTS=3"),
        ("gate_before_busy", "EVENTS=3"),
        ("published_before_the_cell", "EVENTS=3"),
        ("preempted_emitters_chunk_is_taken", "EVENTS=3"),
        ("late_ones_are_not_looked_at_again", "EVENTS=3"),
        ("same_epoch_when_opened_again", "EVENTS=3"),
        ("refresh_keeps_the_chunk", "EVENTS=4"),
        ("dirty_is_a_flag", "EVENTS=4"),
        ("freed_before_it_is_read", "EVENTS=4"),
        ("partial_before_full", "EVENTS=4"),
        ("loss_counter_after_position", "EVENTS=5"),
        ("full_is_not_counted", "EVENTS=5"),
        ("no_handed_over_flag", "EVENTS=3 CHUNKS=1"),
        ("list_has_it_before_the_flag", "EVENTS=4 CHUNKS=1"),
        ("memory_goes_while_a_chunk_is_on_its_way", "EVENTS=3 GIVE_BACK"),
        ("full_list_is_emptied_first", "EVENTS=4 GIVE_BACK"),
        ("lease_looks_at_the_gate_last", "EVENTS=4 LEASE=1"),
        ("lease_closes_without_comparing", "EVENTS=4 LEASE=1"),
        ("stop_waits_for_ever", "EVENTS=2 FREEZE"),
        ("nothing_is_drained_before_the_window", "EVENTS=3 WINDOWS=1"),
        ("window_begins_before_its_gate", "EVENTS=3 WINDOWS=1"),
        ("one_stream_only", "EVENTS=2 SIGNALS=1"),
    ],
    "stacks": [(name, "ROUNDS=2") for name in (
        "no_tag", "next_is_set_once", "pop_does_not_compare", "made_is_not_compared", "taken_without_comparing", "next_read_after_release")],
    "slots": [
        ("attach_does_not_compare", "SESSIONS=1"),
        ("loser_keeps_its_slot", "SESSIONS=1"),
        ("record_is_left_after_the_slot", "SESSIONS=1"),
        ("slot_is_freed_though_there_is_something_to_drain", "SIGNALS=0"),
        ("numbers_go_on_with_the_next_owner", "SIGNALS=0"),
        ("buried_without_forgetting", "SIGNALS=0"),
        ("ended_ones_are_taken_last", "SIGNALS=0"),
    ],
}

# The worlds above need at most 330 MB each; more would mean that one of them has grown beyond what a test should take.
MEGABYTES = 1000


def run(command, where):
    return subprocess.run(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def explore(model, options):
    """Returns (complete, errors, states, first complaint)."""
    with tempfile.TemporaryDirectory() as where:
        for name in os.listdir(HERE):
            if name.endswith(".pml"):
                shutil.copy(os.path.join(HERE, name), where)
        made = run(["spin"] + ["-D" + option for option in options] + ["-a", model + ".pml"], where)
        if made.returncode or "rror" in made.stdout:
            sys.exit("spin does not understand %s.pml: %s" % (model, made.stdout))
        # Without partial order reduction, which is not sound with `provided`.
        built = run(["gcc", "-O1", "-w", "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE", "-DMEMLIM=%d" % MEGABYTES, "-o", "pan", "pan.c"], where)
        if built.returncode:
            sys.exit("gcc does not build the verifier: " + built.stdout)
        said = run(["./pan", "-m100000", "-w22", "-n", "-E"], where).stdout
    errors = re.search(r"errors: (\d+)", said)
    states = re.search(r"(\d+) states, stored", said)
    complaint = re.search(r"pan:1: (.*?) \(at depth", said)
    complete = "Search not completed" not in said and "max search depth too small" not in said and "truncated" not in said
    if not errors or not states:
        sys.exit("the verifier of %s.pml says: %s" % (model, said))
    return complete, int(errors.group(1)), int(states.group(1)), complaint.group(1) if complaint else ""


def options_of(text):
    return text.split()


def check_holds(model):
    bad = 0
    for title, text in HOLDS[model]:
        complete, errors, states, complaint = explore(model, options_of(text))
        fine = complete and not errors
        bad += not fine
        print("%-60s %9d states  %s" % (title, states, "holds" if fine else complaint or "NOT EXPLORED TO THE END"), flush=True)
    return bad


def check_mutants(model, step):
    with open(os.path.join(HERE, model + ".pml"), encoding="ascii") as file:
        written = set(re.findall(r"\bMUTANT_(\w+)", file.read()))
    listed = {name for name, _ in MUTANTS[model]}
    bad = len(written ^ listed)
    for name in sorted(written ^ listed):
        print("%-60s is only in the %s" % (name, "model" if name in written else "list"))
    for name, text in MUTANTS[model][::step]:
        _, errors, _, complaint = explore(model, options_of(text) + ["MUTANT_" + name])
        bad += not errors
        print("%-60s %s" % (name, complaint if errors else "NOT CAUGHT"), flush=True)
    return bad


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("holds", "mutants") or sys.argv[2] not in HOLDS:
        sys.exit("usage: models.py holds|mutants engine|stacks|slots [EACH]: of the mutants each EACHth")
    for tool in ("spin", "gcc"):
        if not shutil.which(tool):
            print("no %s here: the models are not checked" % tool)
            return 77
    step = int(sys.argv[3]) if len(sys.argv) == 4 else 1
    return 1 if (check_holds(sys.argv[2]) if sys.argv[1] == "holds" else check_mutants(sys.argv[2], step)) else 0


if __name__ == "__main__":
    children.end_with_us()
    sys.exit(main())
