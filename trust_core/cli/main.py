"""The command line: `python -m trust_core JOB ...`.

With `--json` standard output carries one JSON object and nothing else; progress and sentences go to
standard error. Exit 0: done; 2: bad input, one sentence; 3: a requirement that was asked for is not
met.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from trust_core.cli import audit, decisions, doctor, evidence, guard, report, train
from trust_core.cli.options import Parser
from trust_core.errors import TrustError

FAMILIES = {"guard": "what goes to the line: export, check, run, serve, drift"}
STOPPED = 130  # what shells report for a job that was interrupted

Result = dict[str, Any]  # of a job, as `--json` prints it


@dataclass(frozen=True)
class Subcommand:
    """One job of the command line.

    Attributes:
        text: what it does, for `--help`.
        add: adds its options to a parser.
        run: does it; the result is what `--json` prints.
        show: prints the result for people.
        demand: raises `NotMet` after that, when what was asked for is not met.
        aliases: other names that it goes by.
    """

    text: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Result]
    show: Callable[[Result], None]
    demand: Callable[[Result], None]
    aliases: tuple[str, ...]


def _job(
    module: ModuleType,
    name: str,
    text: str,
    demand: Callable[[Result], None] = lambda _: None,
    aliases: tuple[str, ...] = (),
) -> Subcommand:
    """The job that `add_NAME`, `run_NAME` and `show_NAME` of a module are."""
    add, run, show = (getattr(module, f"{part}_{name}") for part in ("add", "run", "show"))
    return Subcommand(text, add, run, show, demand, aliases)


GUARD_TASKS = {
    "export": _job(guard, "export", "write the guard of an audit into a folder"),
    "check": _job(
        guard, "check", "is a guard still what was exported? exit 3 when not", guard.must_agree
    ),
    "run": _job(guard, "run", "decide on new images, without labels"),
    "serve": _job(guard, "serve", "answer requests over HTTP"),
    "drift": _job(
        guard, "drift", "is the line still what was audited? exit 3 when not", guard.must_not_drift
    ),
}

JOBS: dict[str, Subcommand | dict[str, Subcommand]] = {
    "audit": _job(audit, "audit", "score every part that the model calls good"),
    "tradeoff": _job(decisions, "tradeoff", "missed defects caught, good parts lost"),
    "certify": _job(decisions, "certify", "prove a threshold", decisions.must_hold),
    "gate": _job(decisions, "gate", "exit 3 when a requirement is not met", decisions.must_hold),
    "autotune": _job(decisions, "autotune", "try every overlap that the kept maps hold"),
    "labels": _job(decisions, "labels", "labels called wrong, and those most worth checking"),
    "localize": _job(
        decisions, "localize", "do the masks mark the defects?", aliases=("localise",)
    ),
    "decide": _job(decisions, "decide", "note an operating point, with its reason"),
    "report": _job(
        report, "report", "one HTML file of an audit that can be signed", report.must_pass
    ),
    "guard": GUARD_TASKS,
    "inspect": _job(audit, "inspect", "what a model file is, and its layers"),
    "evidence": _job(evidence, "evidence", "which pixels speak for a defect, or against"),
    "export": _job(audit, "export", "write a network as ONNX, for other runtimes"),
    "train": _job(train, "train", "train a network that decides and shows where"),
    "surfaces": _job(train, "surfaces", "write made-up parts to train on"),
    "doctor": _job(
        doctor,
        "doctor",
        "check the files of an audit, or of all in a folder, and repair them",
        doctor.must_be_sound,
    ),
    "demo": _job(audit, "demo", "make the bundled demo audit, once"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job.

    Args:
        arguments: the command line after the program's name; that of the process when None.

    Returns:
        The exit code.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = build_parser().parse_args(words)
    options.words = words
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        job: Subcommand = options.job
        result = job.run(options)
        if options.json:
            print(json.dumps(result, allow_nan=False))
        else:
            job.show(result)
        job.demand(result)
    except TrustError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped. The same command goes on where this one ended.", file=sys.stderr)
        return STOPPED
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All jobs with their options."""
    parser = Parser(
        prog="python -m trust_core",
        description="Audit a binary defect classifier: which of the parts it calls good should not "
        "be trusted?",
    )
    _add_jobs(parser, JOBS)
    return parser


def _add_jobs(
    parser: argparse.ArgumentParser,
    jobs: Mapping[str, "Subcommand | dict[str, Subcommand]"],
    what: str = "JOB",
) -> None:
    """Jobs as words of a command line; those of a family are words after its own."""
    parts = parser.add_subparsers(required=True, metavar=what)
    for name, job in jobs.items():
        if isinstance(job, dict):
            text = "; ".join(f"{task}: {each.text}" for task, each in job.items())
            _add_jobs(parts.add_parser(name, help=FAMILIES[name], description=text), job, "TASK")
            continue
        part = parts.add_parser(
            name, help=job.text, description=job.text, aliases=list(job.aliases)
        )
        part.set_defaults(job=job)
        part.add_argument("--json", action="store_true", help="print one JSON object")
        job.add(part)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
