"""The same jobs without a browser: `python -m trust_core JOB ...`.

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
from typing import Any, NoReturn

from trust_core.cli import audit, decisions, doctor, evidence, guard, report, train
from trust_core.cli.options import Parser
from trust_core.errors import TrustError

FAMILIES = {"guard": "what goes to the line: export, check, run, serve, drift"}
STOPPED = 130  # what shells report for a job that was interrupted


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
    run: Callable[[argparse.Namespace], dict[str, Any]]
    show: Callable[[dict[str, Any]], None]
    demand: Callable[[dict[str, Any]], None] = lambda _: None
    aliases: tuple[str, ...] = ()


GUARD_TASKS = {
    "export": Subcommand(
        "write the guard of an audit into a folder",
        guard.add_export,
        guard.run_export,
        guard.show_export,
    ),
    "check": Subcommand(
        "is a guard still what was exported? exit 3 when not",
        guard.add_check,
        guard.run_check,
        guard.show_check,
        guard.must_agree,
    ),
    "run": Subcommand(
        "decide on new images, without labels", guard.add_run, guard.run_run, guard.show_run
    ),
    "serve": Subcommand(
        "answer requests over HTTP", guard.add_serve, guard.run_serve, guard.show_serve
    ),
    "drift": Subcommand(
        "is the line still what was audited? exit 3 when not",
        guard.add_drift,
        guard.run_drift,
        guard.show_drift,
        guard.must_not_drift,
    ),
}

JOBS: dict[str, Subcommand | dict[str, Subcommand]] = {
    "audit": Subcommand(
        "score every part that the model calls good",
        audit.add_audit,
        audit.run_audit,
        audit.show_audit,
    ),
    "tradeoff": Subcommand(
        "missed defects caught, good parts lost",
        decisions.add_tradeoff,
        decisions.run_tradeoff,
        decisions.show_tradeoff,
    ),
    "certify": Subcommand(
        "prove a threshold",
        decisions.add_certify,
        decisions.run_certify,
        decisions.show_certify,
        decisions.must_hold,
    ),
    "gate": Subcommand(
        "exit 3 when a requirement is not met",
        decisions.add_gate,
        decisions.run_gate,
        decisions.show_gate,
        decisions.must_hold,
    ),
    "autotune": Subcommand(
        "try every overlap that the kept maps hold",
        decisions.add_autotune,
        decisions.run_autotune,
        decisions.show_autotune,
    ),
    "labels": Subcommand(
        "labels called wrong, and those most worth checking",
        decisions.add_labels,
        decisions.run_labels,
        decisions.show_labels,
    ),
    "localize": Subcommand(
        "do the masks mark the defects?",
        decisions.add_localize,
        decisions.run_localize,
        decisions.show_localize,
        aliases=("localise",),
    ),
    "decide": Subcommand(
        "note an operating point, with its reason",
        decisions.add_decide,
        decisions.run_decide,
        decisions.show_decide,
    ),
    "report": Subcommand(
        "one HTML file of an audit that can be signed",
        report.add_report,
        report.run_report,
        report.show_report,
        report.must_pass,
    ),
    "guard": GUARD_TASKS,
    "inspect": Subcommand(
        "what a model file is, and its layers",
        audit.add_inspect,
        audit.run_inspect,
        audit.show_inspect,
    ),
    "evidence": Subcommand(
        "which pixels speak for a defect, or against",
        evidence.add_evidence,
        evidence.run_evidence,
        evidence.show_evidence,
    ),
    "export": Subcommand(
        "write a network as ONNX, for other runtimes",
        audit.add_export,
        audit.run_export,
        audit.show_export,
    ),
    "train": Subcommand(
        "train a network that decides and shows where",
        train.add_train,
        train.run_train,
        train.show_train,
    ),
    "surfaces": Subcommand(
        "write made-up parts to train on",
        train.add_surfaces,
        train.run_surfaces,
        train.show_surfaces,
    ),
    "doctor": Subcommand(
        "check the files of an audit, or of all in a folder, and repair them",
        doctor.add_doctor,
        doctor.run_doctor,
        doctor.show_doctor,
        doctor.must_be_sound,
    ),
    "demo": Subcommand(
        "make the bundled demo audit, once", audit.add_demo, audit.run_demo, audit.show_demo
    ),
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
