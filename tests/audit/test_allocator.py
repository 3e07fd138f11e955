"""The allocator is told once, works as the environment would, and never gets in the way."""

import json
import platform
import subprocess
import sys

import pytest

from trust_core.audit import allocator

FAULTS = """
import json, resource, sys
from trust_core.audit.allocator import keep_freed_memory
done = keep_freed_memory() if sys.argv[1] == "kept" else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(2):
    bytearray(1 << 26)
before = faults()
for _ in range(8):
    bytearray(1 << 26)
print(json.dumps([done, faults() - before]))
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")


def run(mode):
    command = [sys.executable, "-c", FAULTS, mode]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@glibc
def test_a_large_block_is_not_faulted_in_again():
    (_, plain), (done, kept) = run("plain"), run("kept")
    pages = 8 * (1 << 26) // 4096
    assert done
    assert kept < pages / 100 < pages / 2 < plain or plain < pages / 100  # huge pages: few faults


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)
    assert allocator.keep_freed_memory() is False


def test_the_command_line_starts_and_ends_as_before():
    command = [sys.executable, "-m", "trust_core", "no-such-job"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
