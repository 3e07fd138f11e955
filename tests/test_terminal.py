import subprocess
import sys

SCRIPT = """
import subprocess, sys, warnings
from trust_core.__main__ import silence_libraries
silence_libraries()
warnings.warn("of a library")
subprocess.run([sys.executable, "-c", "import warnings; warnings.warn('of a child')"], check=True)
"""


def test_no_warning_of_a_library_reaches_the_terminal():
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert (told.stdout, told.stderr) == ("", "")


def test_whoever_wants_to_see_them_does():
    command = [sys.executable, "-W", "default", "-c", SCRIPT]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "of a library" in told.stderr
