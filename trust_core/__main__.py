"""`python -m trust_core`."""

import os
import sys
import warnings

# Threads that wait should sleep: spinning, the usual way, costs a network of small layers most of
# its time as soon as anything else runs on the machine (measured: 30 images a second instead of
# 240). It must be said before torch is loaded, which nothing imported here does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# No library asks a model hub for anything, whatever name it is given.
os.environ["HF_HUB_OFFLINE"] = "1"

from trust_core.audit.allocator import keep_freed_memory
from trust_core.cli.main import main


def silence_libraries() -> None:
    """Keep warnings of libraries, which are meant for programmers, off a user's terminal.

    Processes that this one starts are silent too. `python -W default` shows all.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"


def run() -> int:
    """The command line as a process of its own."""
    silence_libraries()
    keep_freed_memory()
    return main()


if __name__ == "__main__":
    sys.exit(run())
