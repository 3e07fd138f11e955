"""What a reader waits for who opens parts: heatmaps, evidence, a second reading; and the server.

    python -m benchmarks.part_view AUDIT [--parts 5] --json

A copy of the audit without the evidence that is kept with it, in a fresh process; its model and
images have to be where they were. Milliseconds of the pages, as `benchmarks.visits` times them:
`grid_ms` first of all, then at once `first_part_ms`; `next_part_ms` of further ones;
`first_evidence_ms`, what is learnt once for an audit included; `next_evidence_ms` of further parts;
`other_form_ms`. `server_mb`: memory of the process that serves, in the end, and whether it has
PyTorch; `workers_mb`: of its processes.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.many_audits import MEBIBYTE
from benchmarks.visits import Visit
from trust_core.storage.audit_files import EVIDENCE, open_audit

PARTS, LATER = "pages/parts.py", "the-audit"
FORMS = ("path", "saliency")


def measure(audit: Path, parts: int) -> dict[str, object]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / LATER
        shutil.copytree(audit, copy, ignore=shutil.ignore_patterns(EVIDENCE, "evidence"))
        table = open_audit(copy).query(
            "SELECT sample_id FROM samples WHERE role = 'tune' AND outcome IN ('TN', 'FN') "
            "ORDER BY sample_id LIMIT ?",
            [parts + 1],
        )
        first, *others = table["sample_id"]
        visit = Visit(Path(folder), LATER)
        grid = visit.open(PARTS)
        first_part = visit.open(PARTS, part=first)
        next_parts = [visit.open(PARTS, part=part) for part in others]
        first_evidence = visit.open(PARTS, part=first, look="evidence")
        next_evidence = [visit.open(PARTS, part=part, look="evidence") for part in others]
        forms = {form: visit.open(PARTS, part=first, look="evidence", form=form) for form in FORMS}
        return {
            "grid_ms": round(grid),
            "first_part_ms": round(first_part),
            "next_part_ms": round(statistics.median(next_parts)),
            "first_evidence_ms": round(first_evidence),
            "next_evidence_ms": round(statistics.median(next_evidence)),
            "other_form_ms": {form: round(taken) for form, taken in forms.items()},
            "server_mb": round(memory(os.getpid())),
            "pytorch": "torch" in sys.modules,
            "workers_mb": [round(memory(child)) for child in children(os.getpid())],
            "load": round(os.getloadavg()[0], 2),
        }


def memory(process: int) -> float:
    """Mebibytes that a process holds, with its share of what several hold."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line[:4] == "Pss:") / MEBIBYTE


def children(process: int) -> list[int]:
    """All that a process has started, and what those have."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *children(child)]
    return found


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.part_view", description=__doc__)
    parser.add_argument("audit", type=Path)
    parser.add_argument("--parts", type=int, default=5, metavar="N", help="opened after the first")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    options = parser.parse_args()
    print(json.dumps(measure(options.audit, options.parts)))


if __name__ == "__main__":
    main()
