"""The same jobs without a browser: `python -m trust_core JOB ...`.

With `--json` standard output carries one JSON object and nothing else; progress and sentences go to
standard error. Exit 0: done; 2: bad input, one sentence; 3: a requirement that was asked for is not
met.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

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

    settings = _settings(options)
    dataset = _dataset(options)
    model_options = _model_options(options)
    detector = settle(open_detector(Path(options.model), model_options), dataset)
    _say([*detector.notes, *dataset.notes])
    check = preflight(detector, dataset, strengths=len(settings.strengths) - 1)
    findings = [*check.findings, *check.warnings]
    _say(findings)
    origin = {"path": str(Path(options.model).resolve()), "options": asdict(model_options)}
    audit = run_audit(detector, dataset, settings, options.out, origin=origin, progress=_progress())
    manifest = audit.manifest
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
        "notes": [*detector.notes, *dataset.notes, *findings],
    }
    if options.expect:
        table = audit.query("SELECT path, p_defect FROM samples")
        expected = compare_expected(options.expect, table)
        _say([expected.sentence])
        result["expected"] = {
            "compared": expected.compared,
            "reproduced": expected.reproduced,
            "largest_difference": expected.largest,
        }
    return result


def _tradeoff(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.decision.journal import open_seals
    from trust_core.decision.report import report, roles_of
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


def _decide(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.decision.journal import decide
    from trust_core.store import open_audit

    audit = open_audit(options.audit)
    return decide(audit, options.indicator, options.threshold, options.strength, options.why)


def _inspect(options: argparse.Namespace) -> dict[str, Any]:
    from trust_core.model.opening import open_detector
    from trust_core.model.preflight import preflight

    detector = open_detector(Path(options.model), _model_options(options))
    result: dict[str, Any] = {
        "architecture": detector.architecture,
        "outputs": detector.convention.outputs,
        "layer": detector.layers[0],
        "layers": {name: list(shape) for name, shape in detector.layer_grids().items()},
        "notes": list(detector.notes),
    }
    if options.data:
        check = preflight(detector, _dataset(options))
        result["notes"] += [*check.findings, *check.warnings]
    return result


def _demo(_: argparse.Namespace) -> dict[str, Any]:
    from trust_core.demo import demo_audit

    audit = demo_audit(progress=_progress())
    return {"audit": str(audit.folder), "counts": audit.manifest["counts"]}


def _dataset(options: argparse.Namespace) -> Any:  # noqa: ANN401 - Dataset, imported when needed
    from trust_core.data.archives import unpacked
    from trust_core.data.layouts import read_dataset
    from trust_core.model.loading import file_sha256
    from trust_core.store import workspace

    source = Path(options.data)
    if source.suffix.lower() == ".zip" and source.is_file():
        source = unpacked(source, workspace() / "unpacked" / file_sha256(source)[:16])
    return read_dataset(
        source,
        good=options.good,
        samples=options.samples,
        group_column=options.group_column,
        group_pattern=options.group_pattern,
        roles=options.roles,
    )


def _model_options(options: argparse.Namespace) -> Any:  # noqa: ANN401 - ModelOptions
    from trust_core.model.opening import ModelOptions

    return ModelOptions(
        arch=options.arch,
        layers=options.layer,
        defect_index=options.defect_index,
        good_index=options.good_index,
        one_logit=options.one_logit,
        size=options.size,
        resize=options.resize,
        interpolation=options.interpolation,
        channels=options.channels,
        mean=options.mean,
        std=options.std,
    )


def _settings(options: argparse.Namespace) -> Any:  # noqa: ANN401 - AuditSettings
    from trust_core.settings import AuditSettings

    given = {
        name: value
        for name in AuditSettings.__dataclass_fields__
        if (value := getattr(options, name)) is not None
    }
    return AuditSettings(**given | ({"decision_threshold": None} if options.argmax else {}))


def _say(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        print(sentence, file=sys.stderr)


def _progress() -> Callable[[Any], None]:
    """A line that is written over on a terminal, and once in ten seconds into a file."""
    terminal = sys.stderr.isatty()
    told = 0.0

    def show(state: Any) -> None:  # noqa: ANN401 - Progress
        nonlocal told
        now = time.monotonic()
        last = state.done == state.total
        if now - told < (0.2 if terminal else 10) and not last:
            return
        told = now
        left = state.seconds_left
        text = f"{state.done:,} of {state.total:,} images, {state.rate:.1f} a second"
        text += f", {_duration(left)} left" if left else ""
        end = "\r" if terminal and not last else "\n"
        print(f"{text:<60}", end=end, file=sys.stderr, flush=True)

    return show


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _show_audit(result: dict[str, Any]) -> None:
    counts = result["counts"]
    passed, missed = counts["fn"] + counts["tn"], counts["fn"]
    print(f"Audit: {result['audit']}")
    print(
        f"The detector calls {passed:,} parts good; {missed:,} of them are missed defects. "
        f"It catches {counts['tp']:,} defects and raises {counts['fp']:,} false alarms."
    )
    for role, part in result["counts_by_role"].items():
        shown = ", ".join(f"{value:,} {name.upper()}" for name, value in part.items())
        print(f"  {role:<8} {shown}")
    print(
        f"Not readable: {result['unreadable']:,}. Passed without a score: {result['unscored']:,}."
    )
    print(f"{result['seconds']:.1f} s, {result['images_per_second']:.1f} images a second.")


def _show_tradeoff(result: dict[str, Any]) -> None:
    counts = result["counts"]
    print(
        f"{counts['fn']:,} missed defects among {counts['fn'] + counts['tn']:,} parts called good "
        f"(role {result['role']})."
    )
    print(
        f"Good parts re-inspected to catch a share of the missed defects, by {result['indicator']}:"
    )
    wanted = list(result["threshold_shift"]["tn_loss_at"])
    heads = "".join(f"{float(recall):>9.0%}" for recall in wanted)
    print(f"  {'':<18}{'AUROC':>7}{heads}")
    rows = [(f"strength {c['strength']:g}", c) for c in result["curves"]]
    for name, points in [*rows, ("threshold shift", result["threshold_shift"])]:
        losses = "".join(_percent(points["tn_loss_at"][recall]) for recall in wanted)
        area = "      –" if points["auroc"] is None else f"{points['auroc']:7.3f}"
        print(f"  {name:<18}{area}{losses}")


def _percent(value: float | None) -> str:
    return f"{'–':>9}" if value is None else f"{value:9.1%}"


def _show_certificate(result: dict[str, Any]) -> None:
    print(f"{result['indicator']} at strength {result['strength']:g} ({result['chosen_by']}).")
    print(f"Verdict: {result['verdict']['colour']}. {result['verdict']['sentence']}")
    if result["same_ranking"]:
        print(result["same_ranking"])
    if result["certified"]:
        print(result["sentence"])
        print(f"  {'':<18}{'τ':>9}{'certify':>9}{'test':>9}   good parts re-inspected")
        rows = {"indicator": result, "threshold shift": result["threshold_shift"]}
        for name, proof in rows.items():
            at = "–" if proof["threshold"] is None else f"{proof['threshold']:.4f}"
            losses = _percent(proof["tn_loss"]) + _percent(proof["test"]["tn_loss"])
            print(f"  {name:<18}{at:>9}{losses}")
        for kind, part in result["test"]["by_kind"].items():
            print(
                f"  {kind}: {part['flagged_fn']:,} of {part['fn']:,} missed defects flagged on test"
            )
    if not result["chosen_blind"]:
        print("The seal of certify was opened before this was chosen: what is proven holds only if")
        print("the choice did not look at it.")
    for seal in result["seals"]:
        print(f"Seal of {seal['role']} opened {seal['when']} by {seal['who']}: {seal['why']}")


def _show_gate(result: dict[str, Any]) -> None:
    for requirement in result["requirements"]:
        print(f"{'met' if requirement['met'] else 'NOT MET':<8}{requirement['sentence']}")


def _show_autotune(result: dict[str, Any]) -> None:
    chosen = result["chosen"]
    told = ", ".join(f"{name} {value}" for name, value in chosen.items())
    print(f"best_overlap: {told}")
    print(result["sentence"])
    print(f"overlap_profile: {result['profile']['sentence']}")
    for name, judged in result["test"].items():
        print(f"On test, {name}: {judged['colour']}. {judged['sentence']}")
    print(result["sensitivity"]["test"]["sentence"])


def _show_decision(result: dict[str, Any]) -> None:
    print(f"Noted in the audit: {json.dumps(result, ensure_ascii=False)}")


def _show_inspection(result: dict[str, Any]) -> None:
    print(f"{result['architecture']}, {result['outputs']} output(s)")
    for name, (channels, height, width) in result["layers"].items():
        mark = "*" if name == result["layer"] else " "
        print(f" {mark} {name:<40} {height}x{width}, {channels} channels")
    for note in result["notes"]:
        print(note)


def _show_demo(result: dict[str, Any]) -> None:
    print(f"The demo audit is ready: {result['audit']}")


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _indices(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    return int(height), int(width or height)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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

    audit = job("audit", _audit, _show_audit, "score every part that the model calls good")
    audit.add_argument("model", metavar="MODEL", help=".safetensors, .pt, .pth or .onnx")
    audit.add_argument("data", metavar="DATA", help="folder or zip of labelled images")
    _add_model(audit)
    _add_data(audit)
    _add_score(audit)
    audit.add_argument("--expect", type=Path, metavar="CSV", help="your predictions: path,p")
    audit.add_argument("--engine", choices=["local"], default="local")
    audit.add_argument("--out", type=Path, metavar="DIR", help="the audit folder")

    tradeoff = job("tradeoff", _tradeoff, _show_tradeoff, "missed defects caught, good parts lost")
    tradeoff.add_argument("audit", type=Path, metavar="AUDIT")
    tradeoff.add_argument("--indicator", default="iou_difference")
    tradeoff.add_argument("--role", default="tune", help="tune, certify, test or all")

    prove = job("certify", _certify, _show_certificate, "prove a threshold", _must_hold)
    prove.add_argument("audit", type=Path, metavar="AUDIT")
    asked = prove.add_mutually_exclusive_group(required=True)
    asked.add_argument("--recall", type=float, help="share of the missed parts to be caught")
    asked.add_argument("--max-tn-loss", type=float, help="or the best recall within this loss")
    _add_choice(prove)

    gate = job("gate", _gate, _show_gate, "exit 3 when a requirement is not met", _must_hold)
    gate.add_argument("audit", type=Path, metavar="AUDIT")
    gate.add_argument("--recall", type=float, required=True)
    gate.add_argument("--max-tn-loss", type=float, help="on certify and on test")
    gate.add_argument("--junit", type=Path, metavar="FILE", help="written for CI systems")
    _add_choice(gate)

    tune = job("autotune", _autotune, _show_autotune, "try every overlap that the kept maps hold")
    tune.add_argument("audit", type=Path, metavar="AUDIT")

    decide = job("decide", _decide, _show_decision, "note an operating point, with its reason")
    decide.add_argument("audit", type=Path, metavar="AUDIT")
    decide.add_argument("--threshold", type=float, required=True)
    decide.add_argument("--strength", type=float, required=True)
    decide.add_argument("--indicator", default="iou_difference")
    decide.add_argument("--why", required=True)

    inspect = job("inspect", _inspect, _show_inspection, "what a model file is, and its layers")
    inspect.add_argument("model", metavar="MODEL")
    inspect.add_argument("data", metavar="DATA", nargs="?", help="also put a few images through")
    _add_model(inspect)
    _add_data(inspect)

    job("demo", _demo, _show_demo, "make the bundled demo audit, once")
    return parser


def _add_choice(part: argparse.ArgumentParser) -> None:
    part.add_argument("--confidence", type=float, default=0.95)
    part.add_argument("--indicator", help="default: that of the last operating point")
    part.add_argument("--strength", type=float, help="default: likewise, or the best on tune")


def _add_model(part: argparse.ArgumentParser) -> None:
    model = part.add_argument_group("model")
    model.add_argument("--arch", metavar="NAME", help="when it is not recognised")
    model.add_argument("--layer", type=_names, default=(), metavar="NAME[,NAME]")
    model.add_argument("--defect-index", type=_indices, metavar="I[,J]")
    model.add_argument("--good-index", type=_indices, default=(), metavar="I[,J]")
    model.add_argument("--one-logit", choices=["defect", "good"], help="what positive means")
    image = part.add_argument_group("input")
    image.add_argument("--size", type=_size, metavar="HxW")
    image.add_argument("--resize", metavar="{stretch,crop:S,letterbox}")
    image.add_argument("--interpolation", choices=["bilinear", "bicubic", "nearest"])
    image.add_argument("--channels", choices=["rgb", "bgr", "grey"])
    image.add_argument("--mean", type=_numbers, metavar="a[,b,c]")
    image.add_argument("--std", type=_numbers, metavar="a[,b,c]")


def _add_data(part: argparse.ArgumentParser) -> None:
    data = part.add_argument_group("data")
    data.add_argument("--good", nargs="+", default=(), metavar="NAME", help="folders of good parts")
    data.add_argument("--samples", type=Path, metavar="CSV", help="path,label[,mask,group,split]")
    groups = data.add_mutually_exclusive_group()
    groups.add_argument("--group-column", metavar="NAME")
    groups.add_argument("--group-pattern", metavar="REGEX", help="searched in the path")
    data.add_argument("--roles", type=Path, metavar="FILE", help="CSV path,role")


def _add_score(part: argparse.ArgumentParser) -> None:
    score = part.add_argument_group("score")
    score.add_argument("--strengths", type=_numbers, metavar="0,0.5,1")
    score.add_argument("--direction", metavar="{toward_defect,toward_good}")
    score.add_argument("--pgd", type=int, dest="pgd_steps", metavar="STEPS")
    score.add_argument("--specific", type=_names, metavar="FORM[,FORM]")
    score.add_argument("--agnostic", type=_names, metavar="FORM[,FORM]")
    score.add_argument("--mask", metavar="{half,top:q,otsu}")
    score.add_argument(
        "--tta", action="store_true", help="also flip passed images: three forwards more for each"
    )
    rule = score.add_mutually_exclusive_group()
    rule.add_argument("--decision-threshold", type=float, metavar="P")
    rule.add_argument("--argmax", action="store_true", help="decide by the largest output")
