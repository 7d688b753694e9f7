#!/usr/bin/env python3
"""soak_door.py BUSY_SERVICE VALIDATOR [SECONDS] - the crowds of tests/integration/test_door.py for a minute or more, on a machine of
their own: here the promised figures themselves are asserted (p99 50 ms, longest 1 s, refusals within 50 ms)."""
import os
import subprocess
import sys

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration", "test_door.py")
TESTS = ("an_honest_client_is_served_at_once_beside_64_hostile_ones_and_a_capture", "a_stampede_is_refused_at_once_and_told_when_to_come_again")
FAULTS = os.path.join(os.path.dirname(FILE), "test_faults.py")

program, validator = sys.argv[1:3]
seconds = sys.argv[3] if len(sys.argv) > 3 else "60"
environment = {**os.environ, "TTAP_DOOR_SECONDS": seconds, "TTAP_VALIDATE": validator, "PYTHONDONTWRITEBYTECODE": "1"}
for test in TESTS:
    print(test, flush=True)
    subprocess.run([sys.executable, FILE, program, test], env=environment, check=True)
subprocess.run([sys.executable, FAULTS, program, "without_descriptors_connections_wait_and_are_served_later"], env=environment, check=True)
