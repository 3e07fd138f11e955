"""The job `guard`: export one, check it, run it over images of the line.

Like all jobs they import what they need when they run: `--help` and a wrong option answer at once.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_core.cli.printing import typed_threshold
from trust_core.errors import NotMet, SettingsError
from trust_core.messages import amount, share_text

if TYPE_CHECKING:
    from trust_core.deploy.inspection import Inspection, Inspector

DECISION_WORDS = {
    "defective": "called defective by the detector",
    "re_inspect": "to be re-inspected",
    "good": "good",
}


def add_export(part: argparse.ArgumentParser) -> None:
    """Options of the task `export`."""
    part.add_argument("audit", type=Path, metavar="AUDIT")
    part.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    point = part.add_argument_group(
        "operating point", "the last one of `decide` unless said; else what certify proves"
    )
    point.add_argument("--threshold", type=float)
    point.add_argument("--strength", type=float)
    point.add_argument("--indicator")
    point.add_argument("--recall", type=float, default=0.95, help="what is to be proven")
    point.add_argument("--confidence", type=float, default=0.95)
    part.add_argument("--onnx", action="store_true", help="also the whole guard as one ONNX graph")
    part.add_argument(
        "--audit-rate",
        type=float,
        default=0.0,
        help="share of the parts passed as good that is inspected at random all the same",
    )


def run_export(options: argparse.Namespace) -> dict[str, Any]:
    """Write the guard of an audit into a folder, and try it there."""
    from trust_core.decision.certificate import Demand
    from trust_core.deploy.export import export_guard
    from trust_core.deploy.operating_point import point_to_deploy
    from trust_core.storage.audit_files import open_audit
    from trust_core.storage.manifest import as_json

    audit = open_audit(options.audit)
    demand = Demand(options.recall, options.confidence)
    point = point_to_deploy(audit, options.indicator, options.strength, options.threshold, demand)
    policy = export_guard(
        audit,
        options.out,
        point,
        demand=demand,
        audit_rate=options.audit_rate,
        onnx=options.onnx,
    )
    return {"guard": str(options.out.resolve()), "policy": as_json(policy)}


def show_export(result: dict[str, Any]) -> None:
    """Where the guard lies, and what it decides by."""
    policy = result["policy"]
    print(f"Guard: {result['guard']}")
    print(
        f"{policy['indicator']} at strength {policy['strength']:g}, "
        f"threshold {typed_threshold(policy['threshold'])} ({policy['chosen_by']})."
    )
    print(policy["certificate"]["sentence"])


def add_check(part: argparse.ArgumentParser) -> None:
    """Options of the task `check`."""
    _add_folder(part)


def run_check(options: argparse.Namespace) -> dict[str, Any]:
    """Whether a guard is what was exported, and gives the same numbers here."""
    from trust_core.deploy.guard import check_guard

    found = list(check_guard(options.folder, options.device).differences)
    if options.onnx:
        from trust_core.deploy.onnx_guard import load_onnx_guard, onnx_differences

        found += onnx_differences(load_onnx_guard(options.folder, verify=False))
    return {"guard": str(options.folder), "ok": not found, "differences": found}


def show_check(result: dict[str, Any]) -> None:
    """That the guard is as it was exported, or what differs."""
    if result["ok"]:
        print(f"{result['guard']} is as it was exported, and its golden parts give their numbers.")
    for sentence in result["differences"]:
        print(sentence)


def must_agree(result: dict[str, Any]) -> None:
    """Exit 3 when something differs."""
    if not result["ok"]:
        raise NotMet(f"The guard in {result['guard']} is not the one that was exported.")


def add_run(part: argparse.ArgumentParser) -> None:
    """Options of the task `run`."""
    _add_folder(part)
    part.add_argument("images", type=Path, nargs="+", metavar="IMAGES", help="files or folders")
    part.add_argument("--out", type=Path, metavar="FILE", help="a row a part: .csv or .parquet")
    part.add_argument("--log", type=Path, metavar="FILE", help="a JSON line a part is added to it")
    part.add_argument(
        "--watch", action="store_true", help="go on with what arrives in the folders, until stopped"
    )


def run_run(options: argparse.Namespace) -> dict[str, Any]:
    """Decide on new images."""
    from trust_core.deploy.line_images import decision_table, find_images, inspect_files, watch
    from trust_core.deploy.log import guard_log

    images = [] if options.watch else find_images(options.images)
    guard = _loaded(options)
    log = guard_log(options.log, options.folder) if options.log else None
    with decision_table(options.out) as table:

        def write(inspections: Sequence["Inspection"]) -> None:
            table(inspections)
            if options.watch:
                for part in inspections:
                    print(json.dumps(part.as_json()), file=sys.stderr, flush=True)

        if options.watch:
            counts = watch(guard, options.images, write, log, stop=_stopper(), tell=_tell)
        else:
            counts = inspect_files(guard, images, write, log)
    return {
        "guard": str(options.folder),
        "decisions": dict(counts),
        "out": options.out and str(options.out),
        "log": options.log and str(options.log),
    }


def show_run(result: dict[str, Any]) -> None:
    """How many parts have each decision."""
    for name, words in DECISION_WORDS.items():
        print(f"{result['decisions'][name]:8,} {words}")


def add_serve(part: argparse.ArgumentParser) -> None:
    """Options of the task `serve`."""
    _add_folder(part)
    part.add_argument("--host", default="127.0.0.1", help="0.0.0.0: from other machines too")
    part.add_argument("--port", type=int, default=8000)
    part.add_argument("--queue", type=int, default=64, help="images that may wait")
    part.add_argument("--max-megabytes", type=float, default=16.0, help="of a request")
    part.add_argument("--log", type=Path, metavar="FILE", help="a JSON line a part is added to it")


def run_serve(options: argparse.Namespace) -> dict[str, Any]:
    """Answer requests until stopped."""
    from trust_core.deploy.log import guard_log
    from trust_core.deploy.server import RequestLimits, create_app, serve

    if options.queue < 1 or options.max_megabytes <= 0:
        raise SettingsError("--queue and --max-megabytes must be above 0.")
    guard = _loaded(options)
    log = guard_log(options.log, options.folder) if options.log else None
    app = create_app(guard, RequestLimits(options.queue, int(options.max_megabytes * 2**20)), log)
    address = f"http://{options.host}:{options.port}"
    print(f"Serving {options.folder} on {address} ({address}/docs)", file=sys.stderr, flush=True)
    with suppress(KeyboardInterrupt):  # how it is stopped
        serve(app, options.host, options.port)
    return {"guard": str(options.folder), "address": address}


def show_serve(result: dict[str, Any]) -> None:
    """That the service has stopped."""
    print(f"{result['address']} has stopped.")


def add_drift(part: argparse.ArgumentParser) -> None:
    """Options of the task `drift`."""
    part.add_argument("folder", type=Path, metavar="DIR", help="of the guard")
    part.add_argument("log", type=Path, metavar="LOG", help="its log, or a file of --out")
    part.add_argument("--labels", type=Path, metavar="CSV", help="that came back: path,label")
    part.add_argument(
        "--alpha", type=float, default=0.05, help="chance of ever calling a drift where none is"
    )
    part.add_argument(
        "--every",
        type=int,
        metavar="N",
        help="photographs of one part in a row, of which one counts; default: as in the audit",
    )


def run_drift(options: argparse.Namespace) -> dict[str, Any]:
    """Whether the line still is what was audited."""
    from trust_core.deploy.drift import drift
    from trust_core.deploy.line_log import read_line, returned_labels
    from trust_core.deploy.policy import read_policy
    from trust_core.deploy.reference import load_reference

    policy = read_policy(options.folder)
    reference = load_reference(options.folder)
    found = drift(
        reference,
        read_line(options.log, options.folder),
        threshold=policy.threshold - policy.tolerance,
        labels=returned_labels(options.labels) if options.labels else None,
        alpha=options.alpha,
        every=options.every,
    )
    return {"guard": str(options.folder), "log": str(options.log), **found.as_json()}


def show_drift(result: dict[str, Any]) -> None:
    """What the log shows, beside the audit."""
    print(result["sentence"])
    rows = {
        "called defective": ("defective", "defective_audit"),
        "of the rest, to be re-inspected": ("flagged", "flagged_audit"),
    }
    for words, names in rows.items():
        line, audit = ("–" if result[n] is None else share_text(result[n]) for n in names)
        print(f"  {words:<34}{line:>8} on the line, {audit:>8} in the audit")
    if result["unreadable"]:
        print(f"  {amount(result['unreadable'], 'image', 'images')} could not be read.")
    if result["recall_sentence"]:
        print(result["recall_sentence"])


def must_not_drift(result: dict[str, Any]) -> None:
    """Exit 3 when the line has drifted."""
    if result["alarm"]:
        raise NotMet("The line has drifted from what was audited.")


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _stopper() -> Any:  # noqa: ANN401 - a function
    """Says whether the user has asked to stop: what is in the network is finished first."""
    asked = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: asked.append(True))
    return lambda: bool(asked)


def _loaded(options: argparse.Namespace) -> "Inspector":
    """The guard that was named, by PyTorch or by onnxruntime."""
    if options.onnx:
        from trust_core.deploy.onnx_guard import load_onnx_guard

        return load_onnx_guard(options.folder)
    from trust_core.deploy.guard import Guard

    return Guard.load(options.folder, device=options.device)


def _add_folder(part: argparse.ArgumentParser) -> None:
    part.add_argument("folder", type=Path, metavar="DIR", help="of the guard")
    part.add_argument("--device", default="cpu", help="cpu or cuda")
    part.add_argument("--onnx", action="store_true", help="by onnxruntime, without PyTorch")
