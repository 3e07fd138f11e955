"""The job `report`: one HTML file of an audit, what it is held to, its seal, and their check.

Like all jobs it imports what it needs when it runs: `--help` and a wrong option answer at once.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_core.errors import NotMet, SettingsError, file_errors

if TYPE_CHECKING:
    from trust_core.deploy.report.conditions import Condition

LEVELS = ("pass", "warn", "fail")
LEVEL_WORDS = {"pass": "ok", "warn": "warning", "fail": "FAILED"}


def add_report(part: argparse.ArgumentParser) -> None:
    """Options of the job `report`."""
    part.add_argument("audit", type=Path, metavar="AUDIT", nargs="?")
    part.add_argument("--out", type=Path, metavar="FILE", help="the HTML file")
    part.add_argument("--by", metavar="NAME", help="who answers for it; default: the user")
    part.add_argument("--title", help="default: the name of the audit")
    part.add_argument("--recall", type=float, default=0.95, help="that must be proven")
    part.add_argument("--confidence", type=float, default=0.95)
    part.add_argument(
        "--open-seals",
        action="store_true",
        help="look at the photos kept for certify and test, which is noted in the audit",
    )
    line = part.add_argument_group("line")
    line.add_argument("--defect-rate", type=float, metavar="SHARE", help="on the line")
    line.add_argument("--parts-per-shift", type=float, metavar="N")
    line.add_argument("--escape-cost", type=float, metavar="COST")
    line.add_argument("--reinspection-cost", type=float, metavar="COST")
    held = part.add_argument_group("conditions", "such as 'tn_loss <= 0.1'; each may be repeated")
    held.add_argument("--pass", dest="pass_", action="append", metavar="COND",
                      help="passes only where it holds")  # fmt: skip
    held.add_argument("--warn", action="append", metavar="COND", help="warns where it holds")
    held.add_argument("--fail", action="append", metavar="COND",
                      help="fails where it holds, exit 3")  # fmt: skip
    seal = part.add_argument_group("seal")
    seal.add_argument("--sign", type=Path, metavar="KEY", help="Ed25519 private key, PEM")
    seal.add_argument("--verify", type=Path, metavar="FILE", help="check a report instead")
    seal.add_argument("--key", type=Path, metavar="KEY", help="public key that must have signed")


def run_report(options: argparse.Namespace) -> dict[str, Any]:
    """Write a report, or check one."""
    if options.verify:
        return _verify(options)
    if options.audit is None or options.out is None:
        raise SettingsError(
            "Name an audit and the file to write: report AUDIT --out report.html; or a report to "
            "check: report --verify FILE."
        )
    from dataclasses import replace

    from trust_core.decision.certificate import Demand
    from trust_core.deploy.report.content import USUAL_LINE, ReportSettings
    from trust_core.deploy.report.seal import read_private_key
    from trust_core.deploy.report.write import make_report
    from trust_core.storage.audit_files import open_audit

    key = read_private_key(options.sign) if options.sign else None
    names = ("defect_rate", "parts_per_shift", "escape_cost", "reinspection_cost")
    said = {name: getattr(options, name) for name in names}
    settings = ReportSettings(
        demand=Demand(options.recall, options.confidence),
        line=replace(USUAL_LINE, **{n: value for n, value in said.items() if value is not None}),
        person=options.by or _user(),
        title=options.title or "",
        conditions=_conditions(options),
        open_seals=options.open_seals,
    )
    made = make_report(open_audit(options.audit), settings, key)
    _write(options.out, made.page)
    return {"file": str(options.out), "bytes": len(made.page), **made.as_json()}


def show_report(result: dict[str, Any]) -> None:
    """What the report recommends and how its conditions went; or what the check found."""
    if "ok" in result:
        print(result["sentence"])
        return
    print(f"{result['file']}: {result['bytes'] / 1e6:.1f} MB, sha256 {result['sha256']}")
    print(result["recommendation"])
    if result["sealed"]:
        print(
            f"A preview: the photos kept for {' and '.join(result['sealed'])} are sealed; "
            "--open-seals opens them, which is noted in the audit."
        )
    for one in result["conditions"]:
        found = "not known" if one["found"] is None else one["found"]
        print(f"{LEVEL_WORDS[one['level']]:<9}{one['of']}: {one['condition']} (found: {found})")


def must_pass(result: dict[str, Any]) -> None:
    """Exit 3, after the result was printed, when a condition failed or a report was changed."""
    if result.get("ok") is False:
        raise NotMet(result["sentence"])
    if result.get("status") == "fail":
        failed = [o["condition"] for o in result["conditions"] if o["level"] == "fail"]
        raise NotMet(f"Failed: {'; '.join(failed)}.")


def _verify(options: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import asdict

    from trust_core.deploy.report.seal import read_public_key, verify

    trusted = read_public_key(options.key) if options.key else None
    with file_errors(f"Cannot read {options.verify}"):
        page = options.verify.read_bytes()
    return {"file": str(options.verify), **asdict(verify(page, trusted))}


def _conditions(options: argparse.Namespace) -> "tuple[Condition, ...]":
    from trust_core.deploy.report.conditions import parse_condition
    from trust_core.deploy.report.content import MEASURES

    stated = zip(LEVELS, (options.pass_, options.warn, options.fail), strict=True)
    return tuple(
        parse_condition(level, text, MEASURES) for level, texts in stated for text in texts or ()
    )


def _write(path: Path, page: bytes) -> None:
    from trust_core.storage.atomic import replacing

    failed, advice = f"Cannot write {path}", "choose another file (--out)"
    with file_errors(failed, advice), replacing(path) as unfinished:
        unfinished.write_bytes(page)


def _user() -> str:
    from trust_core.decision.journal import current_user

    return current_user()
