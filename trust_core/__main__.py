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
from trust_core.storage.event_log import LOG, write_fault
from trust_core.storage.workspace import workspace_folder


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
    try:
        return main()
    except Exception as fault:
        if not workspace_folder().is_dir():
            raise  # there is no log that could keep the story
        number = write_fault(fault, command=sys.argv[1:])
        print(
            f"The program itself failed ({type(fault).__name__}: {fault}). No audit is harmed. "
            f"Please report it as {number}; {workspace_folder() / LOG} tells the whole story.",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(run())
