"""The same jobs without a browser: `python -m trust_core JOB ...`.

With `--json` standard output carries one JSON object and nothing else; progress and sentences go to
standard error. Exit 0: done; 2: bad input, one sentence; 3: a requirement that was asked for is not
met.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from trust_core.cli import decisions
from trust_core.cli.evidence import add_evidence, run_evidence, show_evidence
from trust_core.cli.options import (
    Parser,
    add_data,
    add_engine,
    add_model,
    add_score,
    cluster,
    dataset,
    model_options,
    settings,
)
from trust_core.cli.printing import (
    progress,
    say,
    show_audit,
    show_autotune,
    show_certificate,
    show_decision,
    show_demo,
    show_gate,
    show_inspection,
    show_localisation,
    show_tradeoff,
)
from trust_core.cli.train import (
    add_surfaces,
    add_train,
    run_surfaces,
    run_train,
    show_surfaces,
    show_train,
)
from trust_core.errors import TrustError

STOPPED = 130  # what shells report for a job that was interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job.

    Args:
        arguments: the command line after the program's name; that of the process when None.

    Returns:
        The exit code.
    """
    options = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        job: Job = options.job
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


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


# Jobs import what they need when they run: `--help` and a wrong option answer at once.


def _audit(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.audit.run import run_audit
    from trust_core.model.checks.predictions import compare_expected
    from trust_core.model.checks.preflight import preflight
    from trust_core.model.open import open_for_audit

    asked, where, said = settings(options), cluster(options), model_options(options)
    images = dataset(options)
    detector = open_for_audit(Path(options.model), said, images)
    say([*detector.notes, *images.notes])
    check = preflight(detector, images, strengths=len(asked.strengths) - 1)
    findings = [*check.findings, *check.warnings]
    say(findings)
    origin = {"path": str(Path(options.model).resolve()), "options": asdict(said)}
    audit = run_audit(
        detector,
        images,
        asked,
        options.out,
        origin=origin,
        progress=progress(),
        memory=options.memory and int(options.memory * 2**30),
        cluster=where,
    )
    manifest = audit.manifest
    if manifest.get("precision"):
        say([manifest["precision"]["sentence"]])
    seconds = manifest["timings"]["seconds"]
    result = {
        "audit": str(audit.folder),
        "counts": manifest["counts"],
        "counts_by_role": manifest["counts_by_role"],
        "counts_by_split": manifest["counts_by_split"],
        "unreadable": manifest["unreadable"],
        "unscored": manifest["unscored"],
        "seconds": seconds,
        "images_per_second": manifest["timings"]["images"] / seconds if seconds else 0.0,
        "model_sha256": manifest["model"]["sha256"],
        "data_sha256": manifest["data"]["sha256"],
        "layer": manifest["layer"],
        "grid": manifest["grid"],
        "precision": manifest.get("precision"),
        "notes": [*detector.notes, *images.notes, *findings],
    }
    if options.expect:
        table = audit.query("SELECT path, p_defect FROM samples")
        expected = compare_expected(options.expect, table)
        say([expected.sentence])
        result["expected"] = {
            "compared": expected.compared,
            "reproduced": expected.reproduced,
            "largest_difference": expected.largest,
        }
    return result


def _inspect(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.model.checks.preflight import preflight
    from trust_core.model.open import open_detector, open_for_audit

    model, said = Path(options.model), model_options(options)
    images = dataset(options) if options.data else None
    detector = open_for_audit(model, said, images) if images else open_detector(model, said)
    result: dict[str, Any] = {
        "architecture": detector.architecture,
        "outputs": detector.convention.outputs,
        "layer": detector.layers[0],
        "layers": {name: list(shape) for name, shape in detector.layer_grids().items()},
        "notes": list(detector.notes),
    }
    if images:
        check = preflight(detector, images)
        result["notes"] += [*check.findings, *check.warnings]
    return result


def _demo(_: argparse.Namespace) -> dict[str, Any]:
    from trust_core.audit.demo import demo_audit

    audit = demo_audit(progress=progress())
    return {"audit": str(audit.folder), "counts": audit.manifest["counts"]}


def _add_audit(part: argparse.ArgumentParser) -> None:
    part.add_argument("model", metavar="MODEL", help=".safetensors, .pt, .pth or .onnx")
    part.add_argument(
        "data", metavar="DATA", help="folder or zip of labelled images, or its address"
    )
    add_model(part)
    add_data(part)
    add_score(part)
    part.add_argument("--expect", type=Path, metavar="CSV", help="your predictions: path,p")
    add_engine(part)
    part.add_argument("--memory", type=float, metavar="GIB", help="for one pass; default: 2")
    part.add_argument("--out", type=Path, metavar="DIR", help="the audit folder")


def _add_inspect(part: argparse.ArgumentParser) -> None:
    part.add_argument("model", metavar="MODEL")
    part.add_argument("data", metavar="DATA", nargs="?", help="also put a few images through")
    add_model(part)
    add_data(part)


@dataclass(frozen=True)
class Job:
    """One job of the command line.

    Attributes:
        text: what it does, for `--help`.
        add: adds its options to a parser.
        run: does it; the result is what `--json` prints.
        show: prints the result for people.
        demand: raises `NotMet` after that, when what was asked for is not met.
    """

    text: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], dict[str, Any]]
    show: Callable[[dict[str, Any]], None]
    demand: Callable[[dict[str, Any]], None] = lambda _: None


JOBS = {
    "audit": Job("score every part that the model calls good", _add_audit, _audit, show_audit),
    "tradeoff": Job(
        "missed defects caught, good parts lost",
        decisions.add_tradeoff,
        decisions.run_tradeoff,
        show_tradeoff,
    ),
    "certify": Job(
        "prove a threshold",
        decisions.add_certify,
        decisions.run_certify,
        show_certificate,
        decisions.must_hold,
    ),
    "gate": Job(
        "exit 3 when a requirement is not met",
        decisions.add_gate,
        decisions.run_gate,
        show_gate,
        decisions.must_hold,
    ),
    "autotune": Job(
        "try every overlap that the kept maps hold",
        decisions.add_autotune,
        decisions.run_autotune,
        show_autotune,
    ),
    "localise": Job(
        "do the masks mark the defects?",
        decisions.add_localise,
        decisions.run_localise,
        show_localisation,
    ),
    "decide": Job(
        "note an operating point, with its reason",
        decisions.add_decide,
        decisions.run_decide,
        show_decision,
    ),
    "inspect": Job("what a model file is, and its layers", _add_inspect, _inspect, show_inspection),
    "evidence": Job(
        "which pixels speak for a defect, or against", add_evidence, run_evidence, show_evidence
    ),
    "train": Job("train a network that decides and shows where", add_train, run_train, show_train),
    "surfaces": Job("write made-up parts to train on", add_surfaces, run_surfaces, show_surfaces),
    "demo": Job("make the bundled demo audit, once", lambda _: None, _demo, show_demo),
}


def build_parser() -> argparse.ArgumentParser:
    """All jobs with their options."""
    parser = Parser(
        prog="python -m trust_core",
        description="Audit a binary defect classifier: which of the parts it calls good should not "
        "be trusted?",
    )
    parts = parser.add_subparsers(required=True, metavar="JOB")
    for name, job in JOBS.items():
        part = parts.add_parser(name, help=job.text, description=job.text)
        part.set_defaults(job=job)
        part.add_argument("--json", action="store_true", help="print one JSON object")
        job.add(part)
    return parser
