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
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from trust_core.cli_evidence import add_evidence, run_evidence, show_evidence
from trust_core.cli_options import (
    Parser,
    add_choice,
    add_data,
    add_engine,
    add_model,
    add_score,
    cluster,
    dataset,
    model_options,
    settings,
)
from trust_core.cli_train import (
    add_surfaces,
    add_train,
    run_surfaces,
    run_train,
    show_surfaces,
    show_train,
)
from trust_core.cli_words import (
    counting,
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
from trust_core.errors import NotMet, TrustError

STOPPED = 130  # what shells report for a job that was interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job.

    Args:
        arguments: the command line after the program's name; that of the process when None.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        job: Callable[[argparse.Namespace], dict[str, Any]] = options.job
        result = job(options)
        if options.json:
            print(json.dumps(result, allow_nan=False))
        else:
            options.show(result)
        options.demand(result)
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
    from trust_core.audit import run_audit
    from trust_core.model.expected import compare_expected
    from trust_core.model.opening import open_detector
    from trust_core.model.preflight import preflight
    from trust_core.model.rivals import settle

    asked, where, said = settings(options), cluster(options), model_options(options)
    images = dataset(options)
    detector = settle(open_detector(Path(options.model), said), images)
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


def _tradeoff(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.decision.curves import report, roles_of
    from trust_core.decision.journal import open_seals
    from trust_core.store import open_audit

    audit = open_audit(options.audit)
    result = report(audit, options.indicator, options.role)
    opened = open_seals(audit, roles_of(options.role), f"tradeoff --role {options.role}")
    if opened:
        print(f"Seal opened and logged: {', '.join(opened)}.", file=sys.stderr)
    return result


def _certify(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.decision.certificate import Budget
    from trust_core.decision.planner import Demand
    from trust_core.decision.statement import certify, choose
    from trust_core.store import open_audit

    audit = open_audit(options.audit)
    if options.max_tn_loss is None:
        wanted: Demand | Budget = Demand(options.recall, options.confidence)
    else:
        wanted = Budget(options.max_tn_loss, options.confidence)
    return certify(audit, wanted, choose(audit, options.indicator, options.strength))


def _gate(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.decision.gate import gate, write_junit
    from trust_core.decision.planner import Demand
    from trust_core.decision.statement import choose
    from trust_core.store import open_audit

    audit = open_audit(options.audit)
    demand = Demand(options.recall, options.confidence)
    choice = choose(audit, options.indicator, options.strength)
    result = gate(audit, demand, choice, options.max_tn_loss)
    if options.junit:
        write_junit(options.junit, result)
    return result


def _must_hold(result: dict[str, Any]) -> None:
    """Exit 3, after the result was printed, when what was asked for is not met."""
    if not result.get("met", result.get("certified")):
        raise NotMet(result["sentence"])


def _autotune(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.decision.autotune import autotune
    from trust_core.store import open_audit

    return autotune(open_audit(options.audit))


def _localise(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.decision.curves import roles_of
    from trust_core.decision.journal import open_seals
    from trust_core.decision.localized import report
    from trust_core.decision.mask_counts import find_source, make_counts
    from trust_core.store import open_audit

    audit, roles = open_audit(options.audit), roles_of(options.role)
    counts = make_counts(audit, find_source(audit, options.source), counting())
    result = report(audit, counts, options.threshold, options.min_area, options.role)
    opened = open_seals(audit, roles, f"localise --role {options.role}")
    if opened:
        print(f"Seal opened and logged: {', '.join(opened)}.", file=sys.stderr)
    return result


def _decide(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.decision.journal import decide
    from trust_core.store import open_audit

    audit = open_audit(options.audit)
    return decide(audit, options.indicator, options.threshold, options.strength, options.why)


def _inspect(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.model.opening import open_detector
    from trust_core.model.preflight import preflight

    detector = open_detector(Path(options.model), model_options(options))
    result: dict[str, Any] = {
        "architecture": detector.architecture,
        "outputs": detector.convention.outputs,
        "layer": detector.layers[0],
        "layers": {name: list(shape) for name, shape in detector.layer_grids().items()},
        "notes": list(detector.notes),
    }
    if options.data:
        check = preflight(detector, dataset(options))
        result["notes"] += [*check.findings, *check.warnings]
    return result


def _demo(_: argparse.Namespace) -> dict[str, Any]:
    from trust_core.demo import demo_audit

    audit = demo_audit(progress=progress())
    return {"audit": str(audit.folder), "counts": audit.manifest["counts"]}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m trust_core",
        description="Audit a binary defect classifier: which of the parts it calls good should not "
        "be trusted?",
    )
    jobs = parser.add_subparsers(required=True, metavar="JOB")

    def job(
        name: str,
        run: Callable[[argparse.Namespace], dict[str, Any]],
        show: Callable[[dict[str, Any]], None],
        text: str,
        demand: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> argparse.ArgumentParser:
        part = jobs.add_parser(name, help=text, description=text)
        part.set_defaults(job=run, show=show, demand=demand)
        part.add_argument("--json", action="store_true", help="print one JSON object")
        return part

    audit = job("audit", _audit, show_audit, "score every part that the model calls good")
    audit.add_argument("model", metavar="MODEL", help=".safetensors, .pt, .pth or .onnx")
    audit.add_argument(
        "data", metavar="DATA", help="folder or zip of labelled images, or its address"
    )
    add_model(audit)
    add_data(audit)
    add_score(audit)
    audit.add_argument("--expect", type=Path, metavar="CSV", help="your predictions: path,p")
    add_engine(audit)
    audit.add_argument("--memory", type=float, metavar="GIB", help="for one pass; default: 2")
    audit.add_argument("--out", type=Path, metavar="DIR", help="the audit folder")

    tradeoff = job("tradeoff", _tradeoff, show_tradeoff, "missed defects caught, good parts lost")
    tradeoff.add_argument("audit", type=Path, metavar="AUDIT")
    tradeoff.add_argument("--indicator", default="iou_difference")
    tradeoff.add_argument("--role", default="tune", help="tune, certify, test or all")

    prove = job("certify", _certify, show_certificate, "prove a threshold", _must_hold)
    prove.add_argument("audit", type=Path, metavar="AUDIT")
    asked = prove.add_mutually_exclusive_group(required=True)
    asked.add_argument("--recall", type=float, help="share of the missed parts to be caught")
    asked.add_argument("--max-tn-loss", type=float, help="or the best recall within this loss")
    add_choice(prove)

    gate = job("gate", _gate, show_gate, "exit 3 when a requirement is not met", _must_hold)
    gate.add_argument("audit", type=Path, metavar="AUDIT")
    gate.add_argument("--recall", type=float, required=True)
    gate.add_argument("--max-tn-loss", type=float, help="on certify and on test")
    gate.add_argument("--junit", type=Path, metavar="FILE", help="written for CI systems")
    add_choice(gate)

    tune = job("autotune", _autotune, show_autotune, "try every overlap that the kept maps hold")
    tune.add_argument("audit", type=Path, metavar="AUDIT")

    localise = job("localise", _localise, show_localisation, "do the masks mark the defects?")
    localise.add_argument("audit", type=Path, metavar="AUDIT")
    localise.add_argument(
        "--source", metavar="NAME", help="mask (the mask head) or a kept heatmap, e.g. defect"
    )
    localise.add_argument("--threshold", type=float, default=0.5, help="0.01, 0.02, … 0.99")
    localise.add_argument(
        "--min-area", type=float, default=0.0, help="share of the part below which a mask is empty"
    )
    localise.add_argument("--role", default="tune", help="tune, certify, test or all")

    decide = job("decide", _decide, show_decision, "note an operating point, with its reason")
    decide.add_argument("audit", type=Path, metavar="AUDIT")
    decide.add_argument("--threshold", type=float, required=True)
    decide.add_argument("--strength", type=float, required=True)
    decide.add_argument("--indicator", default="iou_difference")
    decide.add_argument("--why", required=True)

    inspect = job("inspect", _inspect, show_inspection, "what a model file is, and its layers")
    inspect.add_argument("model", metavar="MODEL")
    inspect.add_argument("data", metavar="DATA", nargs="?", help="also put a few images through")
    add_model(inspect)
    add_data(inspect)

    add_evidence(
        job("evidence", run_evidence, show_evidence, "which pixels speak for a defect, or against")
    )
    add_train(job("train", run_train, show_train, "train a network that decides and shows where"))
    add_surfaces(job("surfaces", run_surfaces, show_surfaces, "write made-up parts to train on"))

    job("demo", _demo, show_demo, "make the bundled demo audit, once")
    return parser
