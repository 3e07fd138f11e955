"""The jobs `audit`, `inspect` and `demo`: their options, what they do, and what they print.

Like all jobs they import what they need when they run: `--help` and a wrong option answer at once.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trust_core.audit.options import audit_settings, model_options
from trust_core.audit.settings import AuditSettings
from trust_core.cli.options import absolute, add_options, cluster, dataset
from trust_core.cli.printing import print_notes, progress
from trust_core.data.remote import is_remote
from trust_core.messages import amount
from trust_core.storage.event_log import Stopwatch, write_event
from trust_core.storage.manifest import as_json


def add_audit(part: argparse.ArgumentParser) -> None:
    """Options of the job `audit`."""
    part.add_argument("model", metavar="MODEL", help=".safetensors, .pt, .pth or .onnx")
    part.add_argument(
        "data", metavar="DATA", help="folder or zip of labelled images, or its address"
    )
    add_options(part, "model", "input", "data", "score", "run", "cluster")


def run_audit(options: argparse.Namespace) -> dict[str, Any]:
    """Score every part; the findings of a first look are told before."""
    from trust_core.audit.run import run_audit
    from trust_core.data.duplicates import near_duplicates
    from trust_core.model.checks.fit import fit_warnings
    from trust_core.model.checks.predictions import compare_expected, read_expected, try_expected
    from trust_core.model.checks.preflight import preflight
    from trust_core.model.open import open_for_audit

    watch = Stopwatch()
    values, where = vars(options), cluster(options)
    settings, opening = audit_settings(values), model_options(values)
    images = dataset(options)
    theirs = read_expected(options.expect, images) if options.expect else None
    watch.lap("data")
    detector = open_for_audit(Path(options.model), opening, images)
    watch.lap("model")
    print_notes([*detector.notes, *images.notes])
    check = preflight(detector, images)
    findings = [*check.findings, check.pace(len(settings.strengths) - 1), *check.warnings]
    findings += fit_warnings(detector, images, check)
    if near := near_duplicates(images).sentence:
        findings.append(near)
    print_notes(findings)
    if theirs and not (trial := try_expected(theirs, detector, images)).agrees:
        print_notes([trial.sentence])
        findings.append(trial.sentence)
    watch.lap("checks")
    audit = run_audit(
        detector,
        images,
        settings,
        options.out,
        origin={"path": str(Path(options.model).resolve()), "options": asdict(opening)},
        command=_command(options),
        progress=progress(),
        memory=options.memory and int(options.memory * 2**30),
        cluster=where,
    )
    watch.lap("scores")
    write_event(
        "audit",
        audit=audit.id,
        folder=audit.folder.name,
        seconds=watch.seconds,
        images=audit.manifest.timings.images,
    )
    manifest, written = audit.manifest, as_json(audit.manifest)
    if manifest.precision:
        print_notes([manifest.precision.sentence])
    seconds = manifest.timings.seconds
    result = {
        "audit": str(audit.folder),
        **{key: written[key] for key in ("counts", "counts_by_role", "counts_by_split")},
        "unreadable": manifest.unreadable,
        "unscored": manifest.unscored,
        "seconds": seconds,
        "images_per_second": manifest.timings.images / seconds if seconds else 0.0,
        "model_sha256": manifest.model.sha256,
        "data_sha256": manifest.data.sha256,
        "layer": manifest.layer,
        "grid": manifest.grid,
        "precision": written["precision"],
        "notes": [*detector.notes, *images.notes, *findings],
    }
    if theirs:
        table = audit.query("SELECT path, p_defect FROM samples")
        expected = compare_expected(theirs, table)
        print_notes([expected.sentence])
        result["expected"] = {
            "compared": expected.compared,
            "reproduced": expected.reproduced,
            "largest_difference": expected.largest,
            "largest_log_odds_difference": expected.log_odds,
        }
    return result


def _command(options: argparse.Namespace) -> list[str]:
    """The words that make this audit again, from any folder."""
    remote = is_remote(options.data)
    paths = (options.samples, options.roles, options.expect, options.out)
    return absolute(options.words, (options.model, None if remote else options.data, *paths))


def show_audit(result: dict[str, Any]) -> None:
    """Outcomes by role, what was not scored, and the speed."""
    counts = result["counts"]
    passed, missed = counts["fn"] + counts["tn"], counts["fn"]
    print(f"Audit: {result['audit']}")
    of_them = amount(missed, "of them is a missed defect", "of them are missed defects")
    caught = amount(counts["tp"], "defect", "defects")
    false = amount(counts["fp"], "false alarm", "false alarms")
    called = f"The detector calls {amount(passed, 'part', 'parts')} good"
    print(f"{called}; {of_them}. It catches {caught} and raises {false}.")
    for role, part in result["counts_by_role"].items():
        outcomes = ", ".join(f"{value:,} {name.upper()}" for name, value in part.items())
        print(f"  {role:<8} {outcomes}")
    print(
        f"Not readable: {result['unreadable']:,}. Passed without a score: {result['unscored']:,}."
    )
    print(f"{result['seconds']:.1f} s, {result['images_per_second']:.1f} images a second.")


def add_inspect(part: argparse.ArgumentParser) -> None:
    """Options of the job `inspect`."""
    part.add_argument("model", metavar="MODEL")
    part.add_argument("data", metavar="DATA", nargs="?", help="also put a few images through")
    add_options(part, "model", "input", "data")


def run_inspect(options: argparse.Namespace) -> dict[str, Any]:
    """Open a model file; with data, also put a few images through it."""
    from trust_core.model.checks.fit import fit_warnings
    from trust_core.model.checks.preflight import preflight
    from trust_core.model.open import open_detector, open_for_audit

    model, opening = Path(options.model), model_options(vars(options))
    images = dataset(options) if options.data else None
    detector = open_for_audit(model, opening, images) if images else open_detector(model, opening)
    result: dict[str, Any] = {
        "architecture": detector.architecture,
        "outputs": detector.convention.outputs,
        "layer": detector.layers[0],
        "layers": {name: list(shape) for name, shape in detector.layer_grids().items()},
        "notes": list(detector.notes),
    }
    if images:
        check = preflight(detector, images)
        usual = len(AuditSettings().strengths) - 1
        result["notes"] += [*check.findings, check.pace(usual), *check.warnings]
        result["notes"] += fit_warnings(detector, images, check)
    return result


def add_export(part: argparse.ArgumentParser) -> None:
    """Options of the job `export`."""
    part.add_argument("model", metavar="MODEL", help=".safetensors, .pt, .pth or .onnx")
    part.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .onnx file")
    add_options(part, "model", "input")


def run_export(options: argparse.Namespace) -> dict[str, Any]:
    """Write the network as ONNX."""
    from trust_core.model.onnx_export import export_onnx
    from trust_core.model.open import open_detector

    detector = open_detector(Path(options.model), model_options(vars(options)), device="cpu")
    print_notes(detector.notes)
    return {"onnx": str(export_onnx(detector, options.out))}


def show_export(result: dict[str, Any]) -> None:
    """Where the ONNX file lies, and what its input is."""
    print(f"Network: {result['onnx']}; what its input has to be: {result['onnx']}.json")


def show_inspect(result: dict[str, Any]) -> None:
    """Architecture, layers with their grids, and what a few images gave."""
    print(f"{result['architecture']}, {result['outputs']} output(s)")
    for name, (channels, height, width) in result["layers"].items():
        mark = "*" if name == result["layer"] else " "
        print(f" {mark} {name:<40} {height}x{width}, {channels} channels")
    for note in result["notes"]:
        print(note)


def add_demo(_: argparse.ArgumentParser) -> None:
    """The job `demo` has no options."""


def run_demo(_: argparse.Namespace) -> dict[str, Any]:
    """Make the demo audit where it is not there yet."""
    from trust_core.audit.demo import demo_audit

    audit = demo_audit(progress=progress())
    return {"audit": str(audit.folder), "counts": as_json(audit.manifest.counts)}


def show_demo(result: dict[str, Any]) -> None:
    """Where the demo lies."""
    print(f"The demo audit is ready: {result['audit']}")
