"""The jobs on a finished audit: their options, and what they do.

Like all jobs they import what they need when they run: `--help` and a wrong option answer at once.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_core.cli.options import add_choice
from trust_core.cli.printing import counting
from trust_core.errors import NotMet

if TYPE_CHECKING:
    from trust_core.storage.audit_files import Audit


def add_tradeoff(part: argparse.ArgumentParser) -> None:
    """Options of the job `tradeoff`."""
    _add_audit(part)
    part.add_argument("--indicator", default="iou_difference")
    _add_role(part)


def add_certify(part: argparse.ArgumentParser) -> None:
    """Options of the job `certify`."""
    _add_audit(part)
    asked = part.add_mutually_exclusive_group(required=True)
    asked.add_argument("--recall", type=float, help="share of the missed parts to be caught")
    asked.add_argument("--max-tn-loss", type=float, help="or the best recall within this loss")
    add_choice(part)


def add_gate(part: argparse.ArgumentParser) -> None:
    """Options of the job `gate`."""
    _add_audit(part)
    part.add_argument("--recall", type=float, required=True)
    part.add_argument("--max-tn-loss", type=float, help="on certify and on test")
    part.add_argument("--junit", type=Path, metavar="FILE", help="written for CI systems")
    add_choice(part)


def add_autotune(part: argparse.ArgumentParser) -> None:
    """Options of the job `autotune`."""
    _add_audit(part)


def add_localise(part: argparse.ArgumentParser) -> None:
    """Options of the job `localise`."""
    _add_audit(part)
    part.add_argument(
        "--source", metavar="NAME", help="mask (the mask head) or a kept heatmap, e.g. defect"
    )
    part.add_argument("--threshold", type=float, default=0.5, help="0.01, 0.02, … 0.99")
    part.add_argument(
        "--min-area", type=float, default=0.0, help="share of the part below which a mask is empty"
    )
    _add_role(part)


def add_decide(part: argparse.ArgumentParser) -> None:
    """Options of the job `decide`."""
    _add_audit(part)
    part.add_argument("--threshold", type=float, required=True)
    part.add_argument("--strength", type=float, required=True)
    part.add_argument("--indicator", default="iou_difference")
    part.add_argument("--why", required=True)


def _add_audit(part: argparse.ArgumentParser) -> None:
    part.add_argument("audit", type=Path, metavar="AUDIT")


def _add_role(part: argparse.ArgumentParser) -> None:
    part.add_argument("--role", default="tune", help="tune, certify, test or all")


def run_tradeoff(options: argparse.Namespace) -> dict[str, Any]:
    """Every point of the curves, by role."""
    from trust_core.decision.curves import report, roles_of
    from trust_core.storage.audit_files import open_audit

    audit = open_audit(options.audit)
    result = report(audit, options.indicator, options.role)
    _open_seals(audit, roles_of(options.role), f"tradeoff --role {options.role}")
    return result


def run_certify(options: argparse.Namespace) -> dict[str, Any]:
    """A threshold that is proven on `certify`, or why there is none."""
    from trust_core.decision.certificate import Budget, Demand
    from trust_core.decision.certify import certify, choose
    from trust_core.storage.audit_files import open_audit

    audit = open_audit(options.audit)
    if options.max_tn_loss is None:
        wanted: Demand | Budget = Demand(options.recall, options.confidence)
    else:
        wanted = Budget(options.max_tn_loss, options.confidence)
    return certify(audit, wanted, choose(audit, options.indicator, options.strength))


def run_gate(options: argparse.Namespace) -> dict[str, Any]:
    """Whether a requirement is met, for a CI system."""
    from trust_core.decision.certificate import Demand
    from trust_core.decision.certify import choose
    from trust_core.decision.gate import gate, write_junit
    from trust_core.storage.audit_files import open_audit

    audit = open_audit(options.audit)
    demand = Demand(options.recall, options.confidence)
    choice = choose(audit, options.indicator, options.strength)
    result = gate(audit, demand, choice, options.max_tn_loss)
    if options.junit:
        write_junit(options.junit, result)
    return result


def must_hold(result: dict[str, Any]) -> None:
    """Exit 3, after the result was printed, when what was asked for is not met."""
    if not result.get("met", result.get("certified")):
        raise NotMet(result["sentence"])


def run_autotune(options: argparse.Namespace) -> dict[str, Any]:
    """Every overlap that the kept maps hold, judged on `tune`."""
    from trust_core.decision.tuning.autotune import autotune
    from trust_core.storage.audit_files import open_audit

    return autotune(open_audit(options.audit))


def run_localise(options: argparse.Namespace) -> dict[str, Any]:
    """How well masks mark the defects; pixels are counted once."""
    from trust_core.decision.curves import roles_of
    from trust_core.decision.localization.pixel_counts import find_source, make_counts
    from trust_core.decision.localization.report import report
    from trust_core.storage.audit_files import open_audit

    audit, roles = open_audit(options.audit), roles_of(options.role)
    counts = make_counts(audit, find_source(audit, options.source), counting())
    result = report(audit, counts, options.threshold, options.min_area, options.role)
    _open_seals(audit, roles, f"localise --role {options.role}")
    return result


def run_decide(options: argparse.Namespace) -> dict[str, Any]:
    """Note an operating point in the journal."""
    from trust_core.decision.journal import decide
    from trust_core.storage.audit_files import open_audit

    audit = open_audit(options.audit)
    return decide(audit, options.indicator, options.threshold, options.strength, options.why)


def _open_seals(audit: "Audit", roles: Sequence[str], why: str) -> None:
    """Say it when a look at sealed images is logged."""
    from trust_core.decision.journal import open_seals

    if opened := open_seals(audit, roles, why):
        print(f"Seal opened and logged: {', '.join(opened)}.", file=sys.stderr)
