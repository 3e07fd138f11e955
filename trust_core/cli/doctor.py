"""The job `doctor`: whether what lies on disk is what audits wrote, and repairs of what is not."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trust_core.errors import NotMet
from trust_core.messages import amount


def add_doctor(part: argparse.ArgumentParser) -> None:
    """The job has one argument."""
    part.add_argument("place", type=Path, metavar="AUDIT|WORKSPACE")


def run_doctor(options: argparse.Namespace) -> dict[str, Any]:
    """Check every file of an audit, or of all audits in a folder."""
    from trust_core.audit.doctor import examine

    audits, findings = examine(options.place)
    return {
        "audits": audits,
        "sound": all(finding.repaired for finding in findings),
        "findings": [asdict(finding) for finding in findings],
    }


def show_doctor(result: dict[str, Any]) -> None:
    """Every finding in a line, and what remains."""
    for finding in result["findings"]:
        mark = "repaired" if finding["repaired"] else "damaged "
        print(f"{mark}  {finding['folder']}: {finding['sentence']}")
    print(f"{amount(result['audits'], 'audit was', 'audits were')} checked.")


def must_be_sound(result: dict[str, Any]) -> None:
    """Exit 3 when something is left that could not be repaired."""
    if not result["sound"]:
        left = sum(not finding["repaired"] for finding in result["findings"])
        raise NotMet(f"{amount(left, 'fault needs', 'faults need')} somebody to see to it.")
